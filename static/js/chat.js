// The chat page over /ws/chat/ (subprotocol architect.chat.1): the server owns the answers, this shows them.
//
// Every fragment of an answer has a number from 1 without gaps. A smaller one than the last is dropped, a gap is asked
// for again, and the frame that ends an answer brings the whole of it, so nothing is lost or shown twice.

const SUBPROTOCOL = "architect.chat.1";
const SIGNED_OUT = 4401;
const FOREIGN_ORIGIN = 4403;
const TOO_LARGE = 4413;
const STEADY_MS = 5000;
const PAUSES_S = [0.5, 1, 2, 4, 8, 15];
const AT_END_PX = 80;
const FORGOTTEN_MS = 10 * 60 * 1000;

const byId = (id) => document.getElementById(id);
const transcript = byId("transcript");
const composer = byId("composer");
const field = byId("composer-text");
const sendButton = byId("composer-send");
const stopButton = byId("composer-stop");
const statusLine = byId("composer-status");
const words = composer.dataset;

let conversation = transcript.dataset.conversation || null;
let version = Number(transcript.dataset.version || 0);
let limit = Number(words.limit);
let socket = null;
let attempts = 0;
let isRunning = false;
let reconnectTimer = 0;
let noticeTimer = 0;
let steadyTimer = 0;

// --- what is not yet accepted outlives a reload --------------------------------------------------------------------

const outboxKey = () => `chat.unsent.${transcript.dataset.person}.${conversation ?? "new"}`;

function readOutbox() {
  try {
    return JSON.parse(localStorage.getItem(outboxKey()));
  } catch {
    return null; // storage is forbidden or holds something else; the page works without it
  }
}

function keepOutbox(message) {
  try {
    if (message) localStorage.setItem(outboxKey(), JSON.stringify(message));
    else localStorage.removeItem(outboxKey());
  } catch {
    // A person who forbids storage loses an unsent text with the page, as everywhere.
  }
}

let outbox = readOutbox();

// A person who comes back to it after a while decides anew whether it is sent.
function showForgotten() {
  if (!outbox || Date.now() - outbox.written < FORGOTTEN_MS) return;
  field.value = outbox.text;
  settleOutbox();
  say(words.forgotten);
}

// --- turns ---------------------------------------------------------------------------------------------------------

const turnOfRun = (run) => transcript.querySelector(`[data-run="${CSS.escape(run)}"]`);
const isStreaming = (turn) => turn.dataset.state === "streaming";
const streamingTurns = () => [...transcript.querySelectorAll('[data-run]:not([data-run=""])')].filter(isStreaming);

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = document.scrollingElement;
  return scrollHeight - scrollTop - clientHeight < AT_END_PX;
}

function scrollToEnd() {
  document.scrollingElement.scrollTo({ top: document.scrollingElement.scrollHeight });
}

// Changes the transcript and stays at its end if the reader is there; otherwise offers to go.
function change(act) {
  const wasAtEnd = isAtEnd();
  act();
  if (wasAtEnd) scrollToEnd();
  showJump();
}

function showJump() {
  byId("jump-latest").hidden = isAtEnd() || !transcript.lastElementChild;
}

function fragmentOf(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html; // made by our own templates and renderer
  return holder.content;
}

function dress(part) {
  part.dispatchEvent(new CustomEvent("a:content", { bubbles: true }));
}

function addTurns(html) {
  byId("chat-empty")?.remove();
  for (const turn of [...fragmentOf(html).children]) if (!byId(turn.id)) transcript.append(turn);
  dress(transcript);
}

function replaceTurn(id, html) {
  const old = byId(id);
  const [turn] = fragmentOf(html).children;
  if (old) old.replaceWith(turn);
  else transcript.append(turn);
  dress(turn);
}

function appendText(turn, { k, s }) {
  const isReasoning = k === "r";
  const holder = turn.querySelector(isReasoning ? ".a-turn-reasoning .a-plain" : ".a-turn-body .a-plain");
  if (isReasoning) turn.querySelector(".a-turn-reasoning").hidden = false;
  if (holder.lastChild?.nodeType === Node.TEXT_NODE) holder.lastChild.appendData(s);
  else holder.append(s);
}

// --- frames of the server ------------------------------------------------------------------------------------------

const onFrame = {
  hello: ({ limits }) => (limit = limits.message_chars),

  opened(frame) {
    const missed = frame.version > version || frame.runs.some(({ run }) => !turnOfRun(run));
    version = frame.version;
    if (missed) fetchTranscript();
  },

  accepted(frame) {
    const isMine = outbox?.id === frame.id;
    if (isMine) settleOutbox();
    if (conversation !== frame.c) enter(frame);
    version = frame.version;
    change(() => addTurns(frame.html));
    if (isMine) scrollToEnd();
    announce(words.generating);
    showRunning();
  },

  started({ run, provider, model }) {
    const turn = turnOfRun(run);
    if (turn) turn.querySelector(".a-turn-heading").textContent = words.answerFrom.replace("{by}", `${provider} / ${model}`);
    say("");
  },

  note({ text }) {
    say(text);
    announce(text);
  },

  delta(frame) {
    const turn = turnOfRun(frame.run);
    if (!turn || !isStreaming(turn)) return;
    const last = Number(turn.dataset.seq);
    if (frame.seq <= last) return;
    if (frame.seq > last + 1) {
      tell({ t: "resume", run: frame.run, after_seq: last });
      return;
    }
    turn.dataset.seq = frame.seq;
    change(() => appendText(turn, frame));
  },

  done: (frame) => end(frame, words.complete.replace("{words}", frame.words)),
  stopped: (frame) => end(frame, words.stopped),
  failed: (frame) => end(frame, frame.error.text),
  interrupted: (frame) => end(frame, frame.error.text),

  changed(frame) {
    if (frame.c !== conversation || frame.version <= version) return;
    // The news of what this page did itself comes by another way, and mostly a moment later.
    setTimeout(() => frame.version > version && fetchTranscript(), 400);
  },

  resume() {
    for (const turn of streamingTurns()) tell({ t: "resume", run: turn.dataset.run, after_seq: Number(turn.dataset.seq) });
  },

  error(frame) {
    if (outbox && (frame.re ?? outbox.id) === outbox.id) {
      field.value = field.value ? `${outbox.text}\n\n${field.value}` : outbox.text;
      settleOutbox();
      fitField();
    }
    say(frame.text, "danger");
    showRunning();
  },

  pong() {},
};

function end(frame, text) {
  version = Math.max(version, frame.version);
  const turn = turnOfRun(frame.run);
  if (!turn) {
    fetchTranscript(); // asked elsewhere: the question is missing, too
    return;
  }
  if (!isStreaming(turn)) return;
  change(() => replaceTurn(`turn-${frame.message}`, frame.html));
  say("");
  announce(text);
  showRunning();
}

// A new conversation has got its address.
function enter(frame) {
  conversation = frame.c;
  transcript.dataset.conversation = frame.c;
  composer.elements.conversation.value = frame.c;
  history.replaceState(null, "", frame.url);
  document.title = document.title.replace(byId("chat-title").dataset.page, frame.title);
  byId("chat-title").textContent = frame.title;
  const list = byId("conversations");
  if (list && window.htmx) window.htmx.ajax("GET", list.dataset.url, { target: list, swap: "outerHTML" });
}

// Another tab changed the conversation: the turns are read again, then the socket gives what goes on.
async function fetchTranscript() {
  const answer = await fetch(`${location.origin}/chat/${conversation}/transcript/`).catch(() => null);
  if (!answer?.ok) return;
  const html = await answer.text();
  change(() => {
    transcript.replaceChildren(...fragmentOf(html).children);
    byId("chat-empty")?.remove();
    dress(transcript);
  });
  showRunning();
  open();
}

// --- the socket ----------------------------------------------------------------------------------------------------

function tell(frame) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(frame));
  return true;
}

function open() {
  if (!conversation) return;
  const runs = Object.fromEntries(streamingTurns().map(({ dataset }) => [dataset.run, Number(dataset.seq)]));
  tell({ t: "open", c: conversation, runs });
}

function connect() {
  clearTimeout(reconnectTimer);
  const url = new URL("/ws/chat/", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url, [SUBPROTOCOL]);
  socket.addEventListener("message", ({ data }) => {
    const frame = JSON.parse(data);
    onFrame[frame.t]?.(frame);
  });
  socket.addEventListener("open", () => {
    steadyTimer = setTimeout(() => (attempts = 0), STEADY_MS);
    clearTimeout(noticeTimer);
    noticeTimer = 0;
    byId("connection").hidden = true;
    open();
    if (outbox) submit(outbox);
  });
  socket.addEventListener("close", onClose);
}

function onClose({ code }) {
  socket = null;
  clearTimeout(steadyTimer);
  if (code === TOO_LARGE) giveBack();
  if (code === SIGNED_OUT || code === FOREIGN_ORIGIN) {
    say(words.signedOut, "danger");
    return;
  }
  noticeTimer ||= setTimeout(() => (byId("connection").hidden = false), 2000);
  const pause = PAUSES_S[Math.min(attempts, PAUSES_S.length - 1)] * (0.8 + 0.4 * Math.random());
  attempts += 1;
  reconnectTimer = setTimeout(connect, pause * 1000);
}

// The server will never take this one: it goes back to where it can be shortened.
function giveBack() {
  if (!outbox) return;
  field.value = outbox.text;
  settleOutbox();
  fitField();
  say(words.tooLong.replace("{limit}", limit.toLocaleString()), "danger");
}

function connectNow() {
  if (!socket && !document.hidden) connect();
}
addEventListener("online", connectNow);
document.addEventListener("visibilitychange", connectNow);

// --- the composer --------------------------------------------------------------------------------------------------

function say(text, tone = "") {
  statusLine.textContent = text;
  statusLine.classList.toggle("text-danger", tone === "danger");
}

function announce(text) {
  byId("announcer").textContent = text;
}

function showRunning() {
  isRunning = streamingTurns().length > 0;
  stopButton.hidden = !isRunning;
  stopButton.disabled = false;
  sendButton.hidden = isRunning;
  if (!isRunning && outbox?.isQueued) submit(outbox);
}

function newId() {
  // crypto.randomUUID exists in secure contexts only; a plain http address on the team's network is none.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function settleOutbox() {
  keepOutbox(null);
  outbox = null;
}

function submit(message) {
  message.isQueued = isRunning;
  outbox = message;
  keepOutbox(message);
  if (isRunning) say(words.queued);
  else if (!tell({ t: "send", c: conversation, ...message })) say(words.waiting);
}

function send() {
  // Half a surrogate pair, as a cut emoji leaves it, cannot be sent.
  const text = (field.value.toWellFormed?.() ?? field.value).trim();
  if (!text) return;
  if (text.length > limit) {
    say(words.tooLong.replace("{limit}", limit.toLocaleString()), "danger");
    return;
  }
  if (outbox) {
    say(words.oneWaits);
    return;
  }
  field.value = "";
  fitField();
  say("");
  submit({ id: newId(), text, model: composer.elements.model.value, written: Date.now() });
}

function stop() {
  const told = streamingTurns().map((turn) => tell({ t: "stop", run: turn.dataset.run }));
  stopButton.disabled = told.every(Boolean);
  say(stopButton.disabled ? words.stopping : words.waiting);
}

// The field grows with its text; browsers without field-sizing get rows.
function fitField() {
  if (!CSS.supports("field-sizing", "content")) field.rows = Math.min(10, field.value.split("\n").length);
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
field.addEventListener("input", fitField);
stopButton.addEventListener("click", stop);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || event.defaultPrevented) return;
  if (document.querySelector("dialog[open], details.dropdown[open]")) return;
  if (event.shiftKey) field.focus();
  else if (isRunning) stop();
});
document.addEventListener("click", (event) => {
  const prompt = event.target.closest("[data-prompt]");
  if (!prompt) return;
  event.preventDefault();
  field.value = prompt.dataset.prompt;
  fitField();
  field.focus();
});
byId("jump-latest").addEventListener("click", scrollToEnd);
addEventListener("scroll", showJump, { passive: true });

showForgotten();
fitField();
scrollToEnd();
showRunning();
connect();
