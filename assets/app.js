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
  addEventListener("popstate", () => {
    leftPanel();
    setTimeout(catchUp);
  });
  document.addEventListener("htmx:before:history:restore", (e) => e.preventDefault());
  for (const change of ["push", "replace"]) {
    document.addEventListener(`htmx:after:history:${change}`, () => { shown = address(); });
  }

  const $ = (id) => document.getElementById(id);
  const list = () => $("list");
  const aim = (e) => e.detail?.ctx?.target; // what an answer of htmx's is for
  const notice = (text) => {
    const place = $("notice"); // gone once the page was blanked
    if (place) place.textContent = text;
  };

  // The connection: what the computer says of it, and what requests find out.
  const connection = () => notice(navigator.onLine ? "" : document.body.dataset.offline);
  addEventListener("offline", connection);
  addEventListener("online", () => {
    notice(document.body.dataset.online);
    setTimeout(() => { if ($("notice")?.textContent === document.body.dataset.online) notice(""); }, 4_000);
  });
  if (!navigator.onLine) connection();

  // What takes longer than 0.3 s is said. Sooner, it would only flicker.
  let waiting = 0, slowly;
  const wait = () => {
    waiting++;
    slowly ??= setTimeout(() => { if ($("slow")) $("slow").textContent = document.body.dataset.slow; }, 300);
  };
  const arrived = () => {
    waiting = Math.max(0, waiting - 1);
    if (waiting) return;
    clearTimeout(slowly);
    slowly = undefined;
    if ($("slow")) $("slow").textContent = "";
  };
  document.addEventListener("htmx:before:request", wait);
  document.addEventListener("htmx:finally:request", arrived);
  // Another page: this one goes when that one comes. It stays where somebody stops it, or where a file comes instead.
  const leaving = () => {
    wait();
    setTimeout(arrived, 15_000);
  };
  const takesOut = (url) => new URL(url, location.href).pathname.endsWith("/export");
  addEventListener("click", (e) => {
    const link = e.target.closest?.("a[href]");
    if (!link || e.defaultPrevented || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    if (link.origin === location.origin && !link.hash && !takesOut(link.href)) leaving();
  });

  // A form that is on its way is not sent twice: until the answer, or until somebody who stopped it types on.
  const sent = (form, yes) => {
    form.toggleAttribute("data-sent", yes);
    for (const button of form.elements) {
      if (button.type !== "submit") continue;
      if (yes) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    }
  };
  document.addEventListener("submit", (e) => {
    if (!e.target.hasAttribute("data-sent")) return;
    e.preventDefault();
    e.stopImmediatePropagation();
  }, true);
  addEventListener("submit", (e) => { // the last to hear of it: others may send it in their own way
    const form = e.target;
    if (e.defaultPrevented || form.method === "dialog" || takesOut(form.action)) return;
    sent(form, true);
    leaving();
    const again = () => {
      clearTimeout(timer);
      form.removeEventListener("input", again);
      sent(form, false);
    };
    const timer = setTimeout(again, 15_000); // as long as the server takes at most
    form.addEventListener("input", again);
  });

  // Sorting and paging fade in, where the reader allows motion; a search that is typed does not. No view transition: what one
  // captures takes no clicks until it is over, and rows are clicked at once (four of six runs of a browser test lost one).
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
    ctx.fades = ctx.target?.id === "list" && ctx.sourceElement.matches("a");
  });
  document.addEventListener("htmx:after:swap", (e) => {
    if (e.detail.ctx.fades && !still.matches) list()?.animate({ opacity: [0.3, 1] }, 120);
  });

  document.addEventListener("htmx:before:request", (e) => {
    connection();
    if (aim(e)?.id === "list") list().setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:finally:request", (e) => {
    if (aim(e)?.id === "list") list()?.removeAttribute("aria-busy");
  });
  // The form stays as it is while the list changes, so that what an answer says of its fields is tied to them here.
  document.addEventListener("htmx:after:swap", (e) => {
    if (aim(e)?.id !== "list") return;
    const wrong = $("list-error")?.dataset.wrong.split(" ") ?? [];
    for (const id of ["q", "born_from", "born_to"]) {
      const field = $(id);
      if (wrong.includes(id)) {
        field.setAttribute("aria-invalid", "true");
        field.setAttribute("aria-describedby", "list-error");
      } else {
        field?.removeAttribute("aria-invalid");
        field?.removeAttribute("aria-describedby");
      }
    }
  });
  document.addEventListener("htmx:error", (e) => {
    const unreachable = navigator.onLine ? document.body.dataset.unreachable : document.body.dataset.offline;
    if (aim(e) === panel && opened) failedPanel(unreachable);
    else notice(unreachable);
  });

  // A patient beside the list, where there is room for both. The panel has the address of the patient's page: loaded again, or
  // come back to, it is that page. It shows one patient or none, never what belongs to another address.
  const panel = $("panel"), blank = panel ? [...panel.childNodes] : [];
  const room = matchMedia("(min-width: 64rem)");
  let opened = "";             // the address of who is in the panel
  let before = {};             // the list's address and title
  const rowLink = (url) => document.querySelector(`#list tbody th > a[href="${url}"]`);
  const mark = (url, yes) => {
    const row = rowLink(url)?.closest("tr");
    if (yes) row?.setAttribute("aria-current", "true");
    else row?.removeAttribute("aria-current");
  };

  const openPanel = async (link) => {
    const url = link.pathname;
    if (url === opened) {
      $("panel-title").focus();
      return;
    }
    if (opened) mark(opened, false);
    else before = { address: address(), title: document.title };
    history[opened ? "replaceState" : "pushState"]({ htmx: true, panel: true }, "", url);
    opened = shown = url;
    mark(url, true);
    emptyPanel();
    $("panel-page").href = url;
    panel.hidden = false;
    await htmx.ajax("GET", url, { source: panel });
    if (opened === url) $("panel-title")?.focus(); // which reads it out
  };
  const emptyPanel = () => {
    panel.replaceChildren(...blank.map((node) => node.cloneNode(true)));
    panel.scrollTop = 0;
    document.title = before.title;
  };
  const failedPanel = (why) => {
    emptyPanel();
    $("panel-page").href = opened;
    $("panel-title").textContent = why;
  };
  // The panel is gone, whatever the address is. Returns whose it was.
  const shutPanel = () => {
    const was = opened;
    opened = "";
    panel.hidden = true;
    htmx.trigger(panel, "htmx:abort");
    emptyPanel();
    mark(was, false);
    return was;
  };
  // Closed by hand it is a step back, unless the address has moved on within the page. What was in it is gone at once.
  const closePanel = () => {
    if (!history.state?.panel) {
      history.replaceState({ htmx: true }, "", before.address);
      leftPanel();
      return;
    }
    panel.hidden = true;
    panel.replaceChildren();
    history.back();
  };
  const leftPanel = () => {
    if (!opened || address() !== before.address) return;
    shown = before.address;
    rowLink(shutPanel())?.focus();
  };
  if (panel) {
    document.addEventListener("click", (e) => {
      const link = e.target.closest?.("#list tbody th > a");
      if (link && room.matches && e.button === 0 && !(e.ctrlKey || e.metaKey || e.shiftKey || e.altKey)) {
        e.preventDefault();
        openPanel(link);
      } else if (e.target.closest?.("#panel-close")) {
        closePanel();
      }
    });
    document.addEventListener("keydown", (e) => {
      if (e.key !== "Escape" || !opened || e.defaultPrevented || e.isComposing) return;
      if (e.target.matches("input, select, textarea") && e.target.value) return; // which the browser empties, or closes
      if (document.querySelector("dialog[open], :popover-open")) return;
      closePanel();
    });
    room.addEventListener("change", () => { if (opened) location.replace(opened); });
    document.addEventListener("htmx:before:swap", (e) => {
      if (aim(e) === panel && e.detail.ctx.request.action !== opened) e.preventDefault();
      else if (aim(e)?.id === "list" && opened) shutPanel(); // its row may be another one's now
    });
    // htmx has given the address to the new list, or the answer was none that has one.
    document.addEventListener("htmx:after:swap", (e) => {
      if (aim(e)?.id !== "list" || opened || !history.state?.panel) return;
      history.replaceState({ htmx: true }, "", before.address);
      shown = before.address;
    });
  }

  // The keyboard. Keys that people type with are ours only where nobody types, and not at all where the reader has switched them
  // off (WCAG 2.1.4); arrows move only between the rows' names and the search.
  const rows = () => [...document.querySelectorAll("#list tbody th > a")];
  const plain = (e) => !(e.defaultPrevented || e.isComposing || e.ctrlKey || e.metaKey || e.altKey) && !document.querySelector("dialog[open]");
  const typing = (e) => e.target.matches?.("input, select, textarea, [contenteditable]");
  const keys = {
    "/": () => {
      const q = $("q");
      if (!q) return false;
      document.querySelector(":popover-open")?.hidePopover();
      q.focus();
      q.select();
    },
    "?": () => showHelp(),
  };
  const step = (e) => {
    const all = rows(), at = all.indexOf(e.target);
    if (e.shiftKey || at < 0 && !(e.target.id === "q" && e.key === "ArrowDown")) return null;
    switch (e.key) {
      case "ArrowDown": return all[at + 1];
      case "ArrowUp": return at ? all[at - 1] : $("q");
      case "Home": return all[0];
      case "End": return all.at(-1);
    }
    return null;
  };
  document.addEventListener("keydown", (e) => {
    if (!plain(e)) return;
    const to = step(e);
    if (to) to.focus();
    const single = !to && !typing(e) && document.documentElement.dataset.keys !== "off" && Object.hasOwn(keys, e.key) && keys[e.key];
    if (to || single && single() !== false) e.preventDefault();
  });

  // The help page, over the one that is open.
  const showHelp = async () => {
    const help = $("help"), to = $("to-help");
    if (!help.firstChild) {
      await htmx.ajax("GET", to.pathname, { source: help });
      if (!help.firstChild || document.querySelector("dialog[open]")) return; // why there is none is said already
    }
    help.showModal();
    $("help-title").focus();
  };

  // The rows have no ids, which each page would carry: who was on a row stays on the same patient, or comes to the first.
  let stood = "";
  document.addEventListener("htmx:before:swap", (e) => {
    stood = aim(e)?.id === "list" && document.activeElement.closest("#list tbody th > a")?.pathname || "";
  });
  document.addEventListener("htmx:after:swap", () => {
    if (stood && document.activeElement === document.body) (rowLink(stood) ?? rows()[0] ?? $("q"))?.focus();
    stood = "";
  });

  // What can be done with a row, shown in the one under the pointer or with the focus.
  const actions = $("row-actions");
  const offer = (row) => {
    const link = row?.querySelector("th > a");
    if (!link || actions.parentNode === link.parentNode) return;
    if (actions.contains(document.activeElement) && actions.isConnected) return; // they stay where somebody is
    for (const a of actions.children) {
      a.pathname = "edit" in a.dataset ? `${link.pathname}/edit` : link.pathname;
      a.lastElementChild.textContent = link.textContent;
    }
    link.after(actions);
    actions.hidden = false;
  };
  if (actions) {
    for (const moment of ["pointerover", "focusin"]) {
      document.addEventListener(moment, (e) => offer(e.target.closest?.("#list tbody tr")));
    }
  }

  // Whom the reader opened last, asked for each time the menu opens. It is forgotten with the menu.
  $("account-menu")?.addEventListener("toggle", (e) => {
    const recent = $("recent"), to = $("to-recent");
    if (!recent) return;
    if (e.newState === "open") {
      htmx.ajax("GET", to.pathname, { source: recent });
    } else {
      htmx.trigger(recent, "htmx:abort");
      recent.replaceChildren();
    }
  });

  // htmx gives the focus back to the element of the same id. Where that one is gone (the last page has no "next") or
  // where the rows changed under the reader, the caption says where one is now.
  document.addEventListener("htmx:after:swap", (e) => {
    const from = e.detail?.ctx?.sourceElement;
    if (from?.matches?.(".pager a")) $("caption")?.focus();
  });
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
