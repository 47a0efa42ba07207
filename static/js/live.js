// Keeps fragments fresh: a socket says which topic changed, polling goes on without it, and neither disturbs a reader.
//
// A fragment is the root of what a view renders alone:
//   <div id="state" hx-get="…" hx-trigger="live, every 10s" hx-swap="outerHTML"
//        data-live-topics="(signed)" data-live-names="providers,requests"> … <p class="a-stale" data-text="…{time}" hidden></p>

const FRAGMENT = "[data-live-names]";
const SIGNED_OUT = 4401;
const FOREIGN_ORIGIN = 4403;
const FAILURES_UNTIL_STALE = 3;
const STEADY_MS = 5000;

const fragments = () => [...document.querySelectorAll(FRAGMENT)];
const postponed = new Set(); // ids of fragments whose news waits until nobody is in them
const updates = new Map(); // id of a fragment -> failures in a row and the time of its last success

function updatesOf(id) {
  if (!updates.has(id)) updates.set(id, { failures: 0, updatedAt: new Date() });
  return updates.get(id);
}

function hasSelection(fragment) {
  const selection = getSelection();
  return Boolean(selection?.rangeCount) && !selection.isCollapsed && selection.getRangeAt(0).intersectsNode(fragment);
}

// Focus on a button or a link does no harm: each has an id, and htmx gives the focus to its successor.
const WRITTEN_IN = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

function isInUse(fragment) {
  const hasFocus = fragment.contains(document.activeElement) && document.activeElement.matches(WRITTEN_IN);
  // An answer is on its way to something in it, which must still be there when it comes.
  const isWaiting = fragment.querySelector(".htmx-request") !== null;
  const hasMenu = fragment.querySelector("details.dropdown[open], .dropdown-menu.show, dialog[open]") !== null;
  return hasFocus || isWaiting || hasMenu || hasSelection(fragment);
}

function refresh(fragment) {
  if (document.hidden || isInUse(fragment)) postponed.add(fragment.id);
  else window.htmx.trigger(fragment, "live");
}

function refreshPostponed() {
  if (document.hidden || postponed.size === 0) return;
  for (const fragment of fragments()) if (postponed.delete(fragment.id)) refresh(fragment);
}

document.addEventListener("visibilitychange", refreshPostponed);
document.addEventListener("selectionchange", refreshPostponed);
document.addEventListener("toggle", refreshPostponed, true);
// While focus moves, the browser reports none; the next task knows where it went.
document.addEventListener("focusout", () => setTimeout(refreshPostponed));

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (!elt.matches(FRAGMENT) || !(document.hidden || isInUse(elt))) return;
  event.preventDefault();
  postponed.add(elt.id);
});

// What has not changed is not put in again, so that nothing is read aloud twice. The signature of the topics is always new.
const contents = new Map(); // id of a fragment -> what it was last made of
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.elt.matches(FRAGMENT) || !detail.shouldSwap) return;
  if (isInUse(detail.elt)) {
    // Somebody began to write while the answer was on its way.
    detail.shouldSwap = false;
    postponed.add(detail.elt.id);
    return;
  }
  const content = detail.xhr.responseText.replace(/ data-live-topics="[^"]*"/, "");
  if (contents.get(detail.elt.id) === content) detail.shouldSwap = false;
  contents.set(detail.elt.id, content);
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  setTimeout(refreshPostponed);
  if (!detail.elt.matches(FRAGMENT)) return;
  const past = updatesOf(detail.elt.id);
  if (detail.successful) {
    updates.set(detail.elt.id, { failures: 0, updatedAt: new Date() });
    showAge(detail.elt, null);
    return;
  }
  past.failures += 1;
  if (past.failures >= FAILURES_UNTIL_STALE) showAge(detail.elt, past.updatedAt);
});

function showAge(fragment, updatedAt) {
  const slot = fragment.querySelector(".a-stale");
  if (!slot) return;
  slot.hidden = updatedAt === null;
  if (updatedAt === null) return;
  const time = updatedAt.toLocaleTimeString(root.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const text = slot.dataset.text.replace("{time}", time);
  if (slot.textContent !== text) slot.textContent = text; // said once, not at each failure
}

// The socket. What changed while it was away is unknown, so all fragments are asked for when it is back.
const root = document.documentElement;
let socket = null;
let watched = new Set(); // the names that were asked for on this socket
let attempts = 0;
let wasOpen = false;
let waiting = 0;

function watchTopics() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  for (const { dataset } of fragments()) {
    // A fresh fragment brings a fresh signature of the same names.
    if (!dataset.liveTopics || watched.has(dataset.liveNames)) continue;
    watched.add(dataset.liveNames);
    socket.send(JSON.stringify({ t: "watch", topics: dataset.liveTopics }));
  }
}

function onFrame({ data }) {
  const frame = JSON.parse(data);
  if (frame.t !== "changed") return;
  for (const fragment of fragments()) if (fragment.dataset.liveNames.split(",").includes(frame.topic)) refresh(fragment);
}

function connect() {
  clearTimeout(waiting);
  const openedAt = Date.now();
  const url = new URL(document.body.dataset.liveUrl, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  watched = new Set();
  socket = new WebSocket(url);
  socket.addEventListener("message", onFrame);
  socket.addEventListener("open", () => {
    watchTopics();
    if (wasOpen) fragments().forEach(refresh);
    wasOpen = true;
  });
  socket.addEventListener("close", ({ code }) => {
    if (code === SIGNED_OUT || code === FOREIGN_ORIGIN) {
      socket = null; // Asking again would not help; polling tells the person.
      return;
    }
    if (Date.now() - openedAt > STEADY_MS) attempts = 0;
    waiting = setTimeout(connect, waitBefore(attempts++));
  });
}

function waitBefore(attempt) {
  const ms = Math.min(500 * 2 ** attempt, 15_000);
  return ms * (0.8 + Math.random() * 0.4);
}

function connectAtOnce() {
  if (document.hidden || socket?.readyState !== WebSocket.CLOSED) return;
  connect();
}

if (document.body.dataset.liveUrl && document.querySelector("[data-live-topics]")) {
  for (const { id } of fragments()) updatesOf(id);
  connect();
  document.addEventListener("htmx:load", watchTopics);
  addEventListener("online", connectAtOnce);
}
