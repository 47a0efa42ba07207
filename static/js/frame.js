// What every page shares: theme, toasts, copying, keys, and what htmx does when an answer is an error.

const root = document.documentElement;
const byId = (id) => document.getElementById(id);

// Browsers may forbid storage; then a choice lasts as long as the page.
function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Nothing that a person could do about it.
  }
}

function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

// Theme: the button's form posts the next of the three; the choice is kept here, too, for pages without a person.
const NEXT_THEME = { light: "dark", dark: "system", system: "light" };
const themeForm = byId("theme-form");

function showTheme(theme) {
  root.dataset.theme = theme;
  dispatchEvent(new Event("a:theme"));
  if (!themeForm) return;
  themeForm.elements.theme.value = NEXT_THEME[theme];
  byId("theme-label").textContent = themeForm.dataset[theme];
}

async function changeTheme(event) {
  event.preventDefault();
  const body = new FormData(themeForm);
  const theme = body.get("theme");
  showTheme(theme);
  remember("architect.theme", theme);
  announce(themeForm.dataset[theme]);
  const answer = await fetch(themeForm.action, { method: "POST", body }).catch(() => null);
  if (!answer?.ok) toast({ text: themeForm.dataset.failed, tone: "danger" });
}

if (themeForm) {
  if ("signedIn" in root.dataset) remember("architect.theme", root.dataset.theme);
  themeForm.addEventListener("submit", changeTheme);
}
addEventListener("storage", (event) => {
  if (event.key === "architect.theme" && event.newValue in NEXT_THEME) showTheme(event.newValue);
});

// Toasts: by the event `a:toast` with {text, tone}, from any script or from an HX-Trigger header. At most three are open.
function toast({ text, tone = "info" }) {
  const area = byId("toasts");
  if (!area) return;
  const note = byId("toast").content.firstElementChild.cloneNode(true);
  note.classList.add(`a-toast-${tone}`);
  note.querySelector("[data-text]").textContent = text;
  note.addEventListener("hidden.bs.toast", () => note.remove());
  area.append(note);
  while (area.children.length > 3) area.firstElementChild.remove();
  new window.tabler.Toast(note, { autohide: tone !== "danger", delay: 8000 }).show();
}
document.addEventListener("a:toast", (event) => toast(event.detail));

function announce(text) {
  const announcer = byId("announcer");
  if (announcer) announcer.textContent = text;
}

// Copying: `data-copy="#id"` takes the text of that element, an empty one that of the code block it stands in.
async function copyText(source) {
  if (navigator.clipboard) return navigator.clipboard.writeText(source.textContent.trim());
  // Outside a secure context browsers know only the old way: copy what is selected.
  getSelection().selectAllChildren(source);
  if (!document.execCommand("copy")) throw new Error("The browser refused to copy.");
}

function sourceOf(button) {
  return button.dataset.copy ? document.querySelector(button.dataset.copy) : button.closest(".highlight").querySelector("pre");
}

async function copyFrom(button) {
  const label = button.querySelector("[data-copy-label]");
  const before = label.textContent;
  try {
    await copyText(sourceOf(button));
  } catch {
    toast({ text: button.dataset.failed, tone: "danger" });
    return;
  }
  button.dataset.copied = "";
  label.textContent = button.dataset.done;
  announce(button.dataset.done);
  setTimeout(() => {
    delete button.dataset.copied;
    label.textContent = before;
  }, 2000);
}

// Code blocks get their button here, because without a script it could not copy; who adds text later fires `a:content`.
function dressCode(part) {
  const blank = byId("copy-button");
  for (const block of part.querySelectorAll(".a-turn-body .highlight:not([data-dressed])")) {
    block.dataset.dressed = "";
    if (blank) block.append(blank.content.cloneNode(true));
  }
  // What scrolls sideways must be reachable by keyboard.
  for (const wide of part.querySelectorAll(".a-turn-body :is(pre, table)")) wide.tabIndex = 0;
}
document.addEventListener("a:content", ({ target }) => {
  window.htmx?.process(target);
  dressCode(target);
});
document.addEventListener("htmx:load", (event) => dressCode(event.detail.elt.parentElement ?? document));
dressCode(document);

// Menus are <details>: they work without this file, which only closes them the way people expect.
function closeMenus(keep) {
  for (const menu of document.querySelectorAll("details.dropdown[open]")) if (menu !== keep) menu.open = false;
}
document.addEventListener("click", (event) => {
  const copy = event.target.closest("[data-copy]");
  const opener = event.target.closest("[data-opens]");
  if (copy) copyFrom(copy);
  if (opener) byId(opener.dataset.opens).showModal();
  closeMenus(event.target.closest("details.dropdown"));
});
document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details.dropdown")));

// Keys: single letters work outside fields only, and a person may turn them off.
let firstKey = "";
let firstKeyTimer = 0;
const keysSwitch = byId("keys-switch");

const keysAreOn = () => recall("architect.keys") !== "off";

function isForTheField(event) {
  const busy = event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented;
  return busy || event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]");
}

function followKeys(keys) {
  const link = document.querySelector(`[data-keys="${CSS.escape(keys)}"]`);
  link?.click();
  return Boolean(link);
}

function onKey(event) {
  if (event.key === "Escape") leaveMenu(event);
  if (isForTheField(event) || !keysAreOn()) return;
  const keys = firstKey ? `${firstKey} ${event.key}` : event.key;
  clearTimeout(firstKeyTimer);
  firstKey = "";
  if (event.key === "g" && keys === "g") {
    firstKey = "g";
    firstKeyTimer = setTimeout(() => (firstKey = ""), 1500);
  } else if (followKeys(keys)) event.preventDefault();
}

function leaveMenu(event) {
  const menu = event.target.closest?.("details.dropdown[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
}
document.addEventListener("keydown", onKey);

if (keysSwitch) {
  keysSwitch.checked = keysAreOn();
  keysSwitch.addEventListener("change", () => remember("architect.keys", keysSwitch.checked ? "on" : "off"));
}

// htmx: an error page lands in the page only where the server says so; anything else is told in a toast.
const isLive = (element) => element?.matches?.("[data-live-names]");

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.xhr.status < 400) return;
  const meant = detail.xhr.getResponseHeader("HX-Retarget") !== null;
  detail.shouldSwap = meant;
  detail.isError = !meant;
});
document.addEventListener("htmx:responseError", ({ detail }) => {
  if (isLive(detail.elt)) return; // live.js tells when a fragment has become old
  const request = detail.xhr.getResponseHeader("X-Request-Id");
  const { refused } = byId("toasts").dataset;
  toast({ text: refused.replace("{status}", detail.xhr.status) + (request ? ` (${request})` : ""), tone: "danger" });
});

const offline = byId("offline");
if (offline) {
  document.addEventListener("htmx:sendError", () => (offline.hidden = false));
  document.addEventListener("htmx:afterOnLoad", () => (offline.hidden = true));
  addEventListener("online", () => (offline.hidden = true));
}
