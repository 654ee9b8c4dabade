// What of the page cannot be seen as it stands: what is wider than the window, or cut off. It answers a list of sentences, empty
// where all is well. Evaluated by the tests over the DevTools protocol; the site itself never has it.
(() => {
  const found = [];
  const name = (e) => e.localName + (e.id ? `#${e.id}` : "") + [...e.classList].map((c) => `.${c}`).join("");
  const say = (e, what) => found.push(`${name(e)} “${(e.innerText ?? "").trim().slice(0, 40)}” ${what}`);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 0.5 && !e.closest('[role="region"]'));
    found.push(`the page is ${root.scrollWidth} px wide in a window of ${root.clientWidth}, by ${wide.slice(-3).map(name).join(", ")}`);
  }

  // Only for ears: one pixel, cut away on purpose.
  const unseen = (e) => {
    if (e.closest(".skip:not(:focus), [hidden], #slow")) return true; // the bar at the top is seen, its word is heard
    for (let at = e; at && at !== root; at = at.parentElement) if (getComputedStyle(at).clipPath === "inset(50%)") return true;
    return false;
  };
  // What may be wider than the window: a region that the keyboard reaches and scrolls, and that says what it is.
  const scrolls = (e) => e.matches('[role="region"][tabindex="0"]:is([aria-label], [aria-labelledby])') || e.matches("dialog, [popover]");

  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let text = words.nextNode(); text; text = words.nextNode()) {
    const own = text.parentElement;
    if (!text.data.trim() || own.closest("select, script, style, noscript, option") || !own.checkVisibility({ visibilityProperty: true }) || unseen(own)) continue;
    range.selectNodeContents(text);
    const boxes = [...range.getClientRects()].filter((r) => r.width > 0);
    let free = false;
    for (let e = own; e && e !== root && !free; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.display === "contents" || style.display === "inline") continue;
      if (style.overflowX === "visible" && style.overflowY === "visible") continue;
      const box = e.getBoundingClientRect();
      if (["hidden", "clip"].includes(style.overflowX) && boxes.some((r) => r.left < box.left - 1 || r.right > box.right + 1)) say(e, `cuts “${text.data.trim().slice(0, 40)}” off at its side`);
      if (["hidden", "clip"].includes(style.overflowY) && boxes.some((r) => r.top < box.top - 3 || r.bottom > box.bottom + 3)) say(e, `cuts “${text.data.trim().slice(0, 40)}” off below or above`);
      if (["auto", "scroll"].includes(style.overflowX)) {
        if (scrolls(e)) free = true;
        else if (e.scrollWidth > e.clientWidth + 1) say(e, "scrolls sideways, and is no region with a name that the keyboard reaches");
      }
    }
    if (!free && boxes.some((r) => r.left < -1 || r.right > root.clientWidth + 1)) say(own, "stands outside the window");
  }

  // A choice shows one line, which it cuts off without a sign.
  const pen = document.createElement("canvas").getContext("2d");
  for (const e of document.querySelectorAll("select")) {
    if (!e.checkVisibility({ visibilityProperty: true }) || e.selectedIndex < 0) continue;
    const style = getComputedStyle(e), text = e.selectedOptions[0].text;
    pen.font = style.font;
    pen.letterSpacing = style.letterSpacing;
    const room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 16; // the arrow
    if (pen.measureText(text).width > room + 1) say(e, `has no room for “${text}”`);
  }

  // What does not move with the page must be inside the window, or scroll by itself.
  for (const e of document.querySelectorAll("dialog[open], :popover-open, #notice:not(:empty)")) {
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (box.left < -1 || box.top < -1 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1) say(e, `leaves the window: ${Math.round(box.left)}, ${Math.round(box.top)} to ${Math.round(box.right)}, ${Math.round(box.bottom)}`);
    if (e.scrollHeight > e.clientHeight + 1 && !["auto", "scroll"].includes(style.overflowY)) say(e, "is higher than it shows");
  }
  return JSON.stringify([...new Set(found)]);
})()
