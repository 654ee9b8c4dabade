// What htmx and the browser do not do by themselves. Everything works without this file; with it, fewer things surprise.
(() => {
  "use strict";

  // A page that the browser kept for "back" may show patients after somebody has signed out. It is blanked when it is
  // left, and when it comes back it is asked for again: "no-store" alone does not prevent that.
  addEventListener("pagehide", () => { document.documentElement.hidden = true; });
  addEventListener("pageshow", (e) => {
    if (e.persisted) location.reload();
    else document.documentElement.hidden = false;
  });

  // Back to another state of the list: the page of that address is asked for. Chromium at times drops a navigation that
  // begins while the step through the history is still ending (seen in 4 of 15 runs of the browser test with htmx's own
  // reload), so it is asked for until it comes; a list never stands under the address of another one.
  const address = () => location.pathname + location.search; // a step to #main is a step within the page
  let shown = address();
  const catchUp = () => {
    if (address() === shown) return;
    document.documentElement.hidden = true;
    location.replace(location.href);
    setTimeout(catchUp, 300);
  };
  addEventListener("popstate", () => setTimeout(catchUp));
  document.addEventListener("htmx:before:history:restore", (e) => e.preventDefault());
  for (const change of ["push", "replace"]) {
    document.addEventListener(`htmx:after:history:${change}`, () => { shown = address(); });
  }

  const list = () => document.getElementById("list");
  const notice = (text) => { document.getElementById("notice").textContent = text; };

  document.addEventListener("htmx:before:request", () => {
    notice("");
    list()?.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:finally:request", () => list()?.removeAttribute("aria-busy"));
  document.addEventListener("htmx:error", () => {
    notice("Chartroom could not be reached. What you see may be out of date; check the connection and try again.");
  });

  // htmx gives the focus back to the element of the same id. Where that one is gone (the last page has no "next") or
  // where the rows changed under the reader, the caption says where one is now.
  document.addEventListener("htmx:after:swap", (e) => {
    const from = e.detail?.ctx?.sourceElement;
    if (from?.matches?.(".pager a")) document.getElementById("caption")?.focus();
  });

  // A session that has ended on the server ends on the screen too. Asking does not keep it alive.
  const session = document.body.dataset.session;
  const ask = async () => {
    try {
      const answer = await fetch(session, {
        headers: { "HX-Request": "true", "HX-Current-URL": location.href }, cache: "no-store", redirect: "manual",
      });
      if (answer.status === 401) {
        document.documentElement.hidden = true;
        location.assign(answer.headers.get("HX-Redirect") || "/login");
      }
    } catch { /* offline: the next time will tell */ }
  };
  if (session) {
    setInterval(ask, 60_000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  }
})();

// Shows what is typed into a password's field, while its button is pressed.
(() => {
  "use strict";

  const offer = () => {
    for (const button of document.querySelectorAll("button[data-shows]")) button.hidden = false;
  };
  const show = (button, yes) => {
    document.getElementById(button.dataset.shows).type = yes ? "text" : "password";
    button.setAttribute("aria-pressed", String(yes));
  };
  document.addEventListener("click", (e) => {
    const button = e.target.closest?.("button[data-shows]");
    if (button) show(button, button.getAttribute("aria-pressed") !== "true");
  });
  // Else the browser would keep it among what was typed into text fields.
  document.addEventListener("submit", (e) => {
    for (const button of e.target.querySelectorAll("button[data-shows]")) show(button, false);
  });
  document.addEventListener("htmx:after:swap", offer);
  offer();
})();
