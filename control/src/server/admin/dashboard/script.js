// The pages work without this script. It copies secrets, refreshes lists, and sends a form once.
"use strict";

// A second click while the first is on its way would make a second token.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});

// The browser may show a kept page again, whose forms can be sent anew.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const status = button.closest(".card").querySelector("[role=status]");
    try {
      await navigator.clipboard.writeText(source.textContent);
      status.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(source);
      status.textContent = "The browser blocked copying. The text is selected.";
    }
  });
}

const EVERY = 10_000;

async function refresh() {
  const list = document.querySelector("[data-live]");
  const busy = document.activeElement?.closest("form, #live, details");
  if (!list || document.hidden || busy) return;
  try {
    const response = await fetch(location.href, { credentials: "same-origin" });
    if (response.redirected) return location.assign(response.url);
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector("[data-live]");
    // The user may have moved the focus into the list meanwhile.
    if (fresh && !list.contains(document.activeElement)) list.replaceChildren(...fresh.childNodes);
  } catch {
    // The server does not answer; the next refresh retries.
  }
}

if (document.querySelector("[data-live]")) setInterval(refresh, EVERY);
