// The session's time, and what is typed meanwhile. The server alone knows how long a session lasts; a page counts towards
// what it was told last and asks again before it acts on it. Nothing here keeps a session alive by itself.
(() => {
  "use strict";

  // All tabs share one session. What happens in one makes the others ask the server; they believe no tab.
  const tabs = new BroadcastChannel("chartroom");
  const page = document.body.dataset;
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  let form = document.querySelector("form[data-draft]");
  let keep = null; // keeps what was typed into it

  // Where to come back to after signing in: the form, when this page is what became of sending it.
  const here = () => form?.dataset.at ?? location.pathname + location.search;
  const send = (to, more) => fetch(to, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(patience), ...more,
    headers: { "HX-Request": "true", "HX-Current-URL": new URL(here(), location.href).href, ...more?.headers } });
  const fields = (of) => new URLSearchParams(new FormData(of));

  const warn = Number(page.warn) * 1000; // how long before the end somebody is asked
  const calm = 60_000;                   // how often a page asks while nothing is near
  const pace = Math.max(500, Math.min(5_000, warn / 6)); // and while the countdown runs
  const patience = Math.max(2_000, Math.min(5_000, warn / 3)) || 5_000;

  const loaded = Date.now() - performance.now();
  let due = loaded + Number(page.sure) * 1000; // when it ends if nobody does anything; until the server has told, the earliest that can be
  let ends = Infinity;                         // when it ends in any case
  let asked = loaded, asking = null;
  let timer, over = false, expiring = false;

  const ask = () => asking ??= (async () => {
    const started = Date.now();
    try {
      return take(await send(page.session), started);
    } catch {
      return "unreachable";
    } finally {
      asked = Date.now();
      asking = null;
    }
  })();

  const take = (answer, started) => {
    const left = /^idle=(\d+); ends=(\d+)$/.exec(answer.headers.get("Chartroom-Session") ?? "");
    if (left) {
      due = started + Number(left[1]) * 1000;
      ends = started + Number(left[2]) * 1000;
      return "alive";
    }
    if (answer.status !== 401) return "unreachable";
    const soon = Date.now() + 2_000;
    leave(Math.min(due, ends) < soon ? signIn() : answer.headers.get("HX-Redirect") || "/login");
    return "ended";
  };

  const signIn = () => `/login?${new URLSearchParams({ next: here(), reason: ends <= due ? "end" : "timeout" })}`;

  // Date, not a count of intervals: a computer that was asleep must not go on where it stopped.
  const tick = () => {
    clearTimeout(timer);
    if (over) return;
    const now = Date.now(), left = Math.min(due, ends) - now, soon = left <= warn;
    if (left <= 0) { expire(); return; }
    const stale = now < asked || now - asked >= (soon ? pace : calm); // the clock may have been put back
    if (stale && !asking) ask().then(tick);
    if (!soon) hide();
    else if (dialog.open || !stale) show(left);
    timer = setTimeout(tick, soon ? left % 1000 || 1000 : Math.max(100, Math.min(left - warn, asked + calm - now, calm)));
  };

  // At zero nothing is to be seen any more, whoever answers. The server is asked once more, in case another tab that could
  // not tell us went on.
  const expire = async () => {
    if (expiring) return;
    expiring = true;
    root.hidden = true;
    const state = await ask();
    expiring = false;
    if (over) return;
    if (state === "alive" && Math.min(due, ends) > Date.now()) {
      root.hidden = false;
      tick();
      return;
    }
    const to = signIn();
    wipe();
    if (state === "alive") { // for less than a second: see below
      setTimeout(() => location.replace(to), 1_500);
      return;
    }
    explain(to);
    // Not before the server says that the session is over: sign-in leads straight on where it is not, and that would be a
    // step that nobody took.
    const back = async () => {
      try {
        if ((await send(page.session)).status === 401) location.replace(to);
      } catch { /* still not there */ }
    };
    setInterval(back, 5_000);
    addEventListener("online", back);
  };

  // Emptied, not only hidden: what is not there can neither be looked up nor brought back.
  const wipe = () => {
    over = true;
    clearTimeout(timer);
    form = null;
    document.body.replaceChildren();
    document.title = page.out;
    root.hidden = false;
  };

  const leave = (to) => {
    if (over) return;
    wipe();
    location.replace(to);
  };

  const explain = (to) => {
    const make = (name, text, more) => Object.assign(document.createElement(name), { textContent: text, ...more });
    const main = make("main", "", { tabIndex: -1 });
    const box = make("div", "", { className: "card narrow" });
    box.append(make("h1", said.outHeading), make("p", said.outWhy), make("p", ""));
    box.lastChild.append(make("a", said.again, { href: to }));
    main.append(box);
    document.body.append(main);
    main.focus(); // so that it is read out
  };

  // The countdown.
  const dialog = $("idle");
  const still = dialog && $("idle-heading").textContent;
  let byUs = false, final = null, dismissed = false, lastSaid;

  // What it says is in the page's language, and stands on it; {} is what is counted.
  const said = dialog?.dataset;
  const count = (text, ms) => {
    const n = Math.ceil(ms / 1000);
    return n === 1 ? said[`${text}One`] : said[text].replace("{}", n);
  };
  // As the server writes times: in the clinic's zone, by its clock of twelve hours or twenty-four.
  const clock = (ms) => {
    const how = { hour: said.hours === "h12" ? "numeric" : "2-digit", minute: "2-digit", hourCycle: said.hours };
    try {
      return new Date(ms).toLocaleTimeString(root.lang, { ...how, timeZone: said.zone });
    } catch { // a zone that this browser has not heard of
      return new Date(ms).toLocaleTimeString(root.lang, how);
    }
  };

  const words = () => {
    final = ends - due < 1_000;
    $("idle-heading").textContent = final ? said.final : still;
    const what = final ? said.at.replace("{}", clock(ends)) : count("soon", Math.min(due, ends) - Date.now());
    $("idle-text").textContent = `${what} ${said.kept}`;
    $("idle-stay").hidden = final;
    $("idle-until").hidden = !final;
    $("idle-said").textContent = $("idle-problem").textContent = "";
    lastSaid = Infinity;
  };

  const show = (left) => {
    if (ends - due < 1_000 && dismissed) return;
    if (!dialog.open || final !== ends - due < 1_000) {
      words();
      if (!dialog.open) dialog.showModal();
      (final ? $("idle-until") : $("idle-stay").querySelector("button")).focus();
      keep?.();
    }
    const n = Math.ceil(left / 1000);
    dialog.querySelector(".countdown").textContent = `${Math.floor(n / 60)}:${String(n % 60).padStart(2, "0")}`;
    const moment = [10, 30, 60].find((m) => n <= m);
    if (moment < lastSaid) {
      lastSaid = moment;
      $("idle-said").textContent = count("left", left);
    }
  };

  const hide = () => {
    if (!dialog.open) return;
    byUs = true;
    dialog.close(); // the browser gives the focus back
  };

  const stay = async () => {
    const started = Date.now();
    let state = "unreachable", status = 0;
    try {
      const answer = await send(page.session, { method: "POST", body: fields($("idle-stay")) });
      status = answer.status;
      state = take(answer, started);
    } catch { /* said below */ }
    if (over) return;
    if (state === "alive") {
      asked = Date.now();
      tabs.postMessage("used");
    } else {
      $("idle-problem").textContent = status === 403 ? said.old : said.unreachable;
    }
    tick();
  };

  const escape = () => {
    if (!final) { stay(); return; }
    dismissed = true;
    hide();
  };

  if (page.session) {
    dialog.addEventListener("cancel", (e) => { e.preventDefault(); escape(); });
    // Browsers let nobody refuse to be closed twice in a row; that means "stay" as well.
    dialog.addEventListener("close", () => { if (!byUs && !over) escape(); byUs = false; });
    $("idle-stay").addEventListener("submit", (e) => { e.preventDefault(); stay(); });
    $("idle-until").addEventListener("click", escape);
    tabs.onmessage = (e) => { if (!over && (e.data === "gone" || dialog.open)) ask().then(tick); };
    document.addEventListener("htmx:finally:request", () => tabs.postMessage("used"));
    document.addEventListener("visibilitychange", () => { tick(); if (!over && !document.hidden) ask().then(tick); });
    for (const moment of ["pageshow", "focus", "online"]) addEventListener(moment, tick);
    tick();
  } else if (page.left) {
    // Nobody has signed in, because that is switched off. The page goes when it comes back, and when nobody does anything for as
    // long as a session would last then.
    let used = Date.now();
    const look = () => { if (!over && Date.now() >= Math.min(loaded + page.left * 1000, used + page.idle * 1000)) leave("/login"); };
    for (const moment of ["pointerdown", "keydown"]) addEventListener(moment, () => { used = Date.now(); });
    for (const moment of ["pageshow", "focus"]) addEventListener(moment, look);
    document.addEventListener("visibilitychange", look);
    setInterval(look, 1_000);
  }
  tabs.postMessage(page.session ? "used" : "gone");

  // What is typed into a patient's form is kept on the server, a second after the last letter and every five while
  // somebody types on. Nothing of it stays in the browser.
  if (form) {
    let typed = 0, first = 0, pending = false, saving = null, sent = false, failures = 0, later;

    const plan = (ms) => { clearTimeout(later); later = setTimeout(keep, ms); };
    keep = async () => {
      clearTimeout(later);
      if (!pending || saving || sent || !form) return;
      pending = false;
      saving = new AbortController();
      let status = 0;
      try {
        // Long after the last letter it is the page that sends, not a person: that must not keep the session alive.
        const background = Date.now() - typed > 10_000 ? { "Chartroom-Background": "true" } : {};
        const signal = AbortSignal.any([saving.signal, AbortSignal.timeout(10_000)]);
        status = (await send(form.dataset.draft, { method: "POST", body: fields(form), keepalive: true, headers: background, signal })).status;
      } catch { /* it is tried again */ }
      saving = null;
      if (sent || !form) return;
      if (status === 204) {
        failures = 0;
        $("draft").textContent = "";
        tabs.postMessage("used");
      } else if (status === 401) {
        if (page.session) ask();
        return;
      } else {
        // What was refused will be refused again, until something else is typed.
        const refused = status >= 400 && status < 500;
        pending = !refused;
        failures++;
        if (refused || failures >= 3) {
          $("draft").textContent = said.unkept;
        }
      }
      if (pending) plan(status === 204 ? 1_000 : 5_000);
    };
    form.addEventListener("input", () => {
      typed = Date.now();
      sent = false; // somebody stopped the sending and types on
      if (!pending) first = typed;
      pending = true;
      plan(Math.max(0, Math.min(1_000, first + 5_000 - typed)));
    });
    // What is being sent, or thrown away, must not be kept a moment later.
    document.addEventListener("submit", (e) => {
      if (e.target !== form && e.target.action !== new URL(`${form.dataset.draft}/discard`, location.href).href) return;
      sent = true;
      saving?.abort();
    });
    document.addEventListener("visibilitychange", () => { if (document.hidden) keep(); });
    if ("unsaved" in form.dataset) {
      typed = Date.now();
      pending = true;
      plan(1_000);
    }
  }
})();
