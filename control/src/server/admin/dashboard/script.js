// The pages work without this. It copies tokens, and keeps lists current.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const status = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(source.textContent);
      status.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(source);
      status.textContent = "The browser does not let this page copy; the token is selected.";
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
    // Somebody may have begun to use the list meanwhile.
    if (fresh && !list.contains(document.activeElement)) list.replaceChildren(...fresh.childNodes);
  } catch {
    // The server does not answer; the next try may.
  }
}

if (document.querySelector("[data-live]")) setInterval(refresh, EVERY);
