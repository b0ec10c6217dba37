// Makes the pages more pleasant; every page works without it.
"use strict";

// One click, one upload. The server would take a second one for the same, too.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.method !== "post") return;
  form.dataset.sent = "yes";
  const pressed = event.submitter;
  if (pressed && pressed.hasAttribute("data-stays")) {  // a download: the page stays
    setTimeout(() => delete form.dataset.sent, 2000);
    return;
  }
  // After the browser has collected the fields: a disabled button is not sent.
  setTimeout(() => {
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    if (pressed && pressed.dataset.busy) pressed.textContent = pressed.dataset.busy;
  });
});
window.addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
});

// A file may be dropped anywhere on its field.
for (const input of document.querySelectorAll("input[type=file]")) {
  for (const name of ["dragenter", "dragover"]) input.addEventListener(name, () => input.classList.add("over"));
  for (const name of ["dragleave", "drop"]) input.addEventListener(name, () => input.classList.remove("over"));
}

// A page about something that still runs is loaded again until it says that it has ended.
async function follow() {
  const now = document.querySelector("[data-follow]");
  if (!now) return;
  let text = null;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
    if (answer.ok) text = await answer.text();
  } catch { /* the server is away, or the session has ended: try again, the page says what it knew last */ }
  if (text !== null) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const next = page.querySelector("main");
    if (next && !page.querySelector("[data-follow]")) { location.reload(); return; }
    const live = next && next.querySelector("[data-follow]");
    if (live) now.replaceWith(document.adoptNode(live));
  }
  setTimeout(follow, 1500);
}
if (document.querySelector("[data-follow]")) setTimeout(follow, 1000);
