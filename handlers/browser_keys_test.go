package handlers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chartroom/db"
)

// key is a key as a keyboard sends it: what press types comes even where a page takes the key for itself.
func (b *tab) key(text string) {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		e := input.DispatchKeyEventParams{Type: kind, Key: text}
		if kind == input.DispatchKeyEventTypeKeyDown {
			e.Text = text
		}
		if _, err := chromedp.Call(b.ctx, input.DispatchKeyEvent, e); err != nil {
			b.t.Fatal(err)
		}
	}
}

// onRow says that the focus is on the n-th patient's name.
func onRow(n int) string { return fmt.Sprintf(`document.activeElement === `+nth, n) }

func TestTheListIsWalkedThroughWithTheKeyboard(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)

	// To the search and into the rows.
	b.eval(`document.getElementById("q").value = "abc", 0`)
	b.key("/")
	b.want("the search has the focus", focused, "q")
	b.want("what is in it is selected, and nothing was typed", `(q => q.value + q.selectionStart + q.selectionEnd)(document.getElementById("q"))`, "abc03")
	b.key("/")
	b.want("in the search it is a letter", `document.getElementById("q").value`, "/")
	b.key("?")
	b.want("so is the question mark", `document.getElementById("q").value`, "/?")
	b.open("/patients")
	b.click("#sort-mrn") // the keys work in what came by a swap
	b.until(`document.querySelector("th[aria-sort] a").id === "sort-mrn" && document.querySelectorAll("#list tbody tr").length === 25`)
	b.key("/")
	b.press(kb.ArrowDown)
	b.want("down from the search", onRow(0), true)
	b.press(kb.ArrowDown)
	b.want("down", onRow(1), true)
	b.press(kb.End)
	b.want("the last", onRow(24), true)
	b.press(kb.ArrowDown)
	b.want("no further than the last", onRow(24), true)
	b.press(kb.ArrowUp)
	b.want("up", onRow(23), true)
	b.press(kb.Home)
	b.want("the first", onRow(0), true)
	b.press(kb.ArrowUp)
	b.want("back to the search", focused, "q")

	// Arrows are nobody's elsewhere, with another key, or while a dialog is open.
	b.want("arrows elsewhere are the browser's", `(() => { const all = [];
		for (const [on, init] of [["#sort-mrn", {}], ["#size", {}], ["#q", { ctrlKey: true }], ["tbody th > a", { shiftKey: true }], ["tbody th > a", { altKey: true }]]) {
			document.querySelector(on).focus();
			all.push(document.querySelector(on).dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true, cancelable: true, ...init })));
		}
		return all.join() })()`, "true,true,true,true,true")

	// After a swap, from a row: the same patient, or the first.
	b.eval(`document.getElementById("sort-name").focus(), 0`)
	b.press(kb.Enter)
	b.until(`document.querySelector("th[aria-sort]").getAttribute("aria-sort") === "descending" || document.querySelector("th[aria-sort] a").id === "sort-name"`)
	b.fill("#q", "quimbl")
	b.press(kb.ArrowDown) // sooner than the answer
	b.until(`document.querySelectorAll("#list tbody tr").length === 1 && ` + onRow(0))
	name := b.rowName(0)
	b.press(kb.Enter)
	b.until(inPanel(name))
	b.key("/")
	b.want("from the panel to the search", focused, "q")
	b.press(kb.Escape)
	b.until(`document.getElementById("q").value === "" && document.getElementById("found").textContent === "61 patients" && ` + noPanel)

	// Switched off, single keys are the browser's.
	b.eval(`document.documentElement.dataset.keys = "off"; document.getElementById("main").focus(), 0`)
	b.key("/")
	b.key("?")
	b.want("nothing happens", `[document.activeElement.id, document.getElementById("help").open].join()`, "main,false")
	b.eval(fmt.Sprintf(nth+`.focus(), 0`, 0))
	b.press(kb.ArrowDown)
	b.want("arrows go on", onRow(1), true)
}

func TestHelpIsADialogAndAPage(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)
	b.eval(fmt.Sprintf(nth+`.focus(), 0`, 3))
	b.key("?")
	b.until(`document.getElementById("help").open && document.activeElement.id === "help-title"`)
	b.want("its name", `document.getElementById(document.getElementById("help").getAttribute("aria-labelledby")).textContent`, "Help and keyboard")
	b.want("one head of the first order", `document.querySelectorAll("h1").length`, 1)
	b.key("/")
	b.want("a key does nothing while it is open", focused, "help-title")
	b.press(kb.Escape)
	b.until(`!document.getElementById("help").open && ` + onRow(3))
	b.want("the address is the list's", `location.pathname`, "/patients")
	b.key("?")
	b.until(`document.getElementById("help").open`)
	b.click("#help form[method=dialog] button")
	b.until(`!document.getElementById("help").open`)

	// On every page, for everybody, and without JavaScript.
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	b.open("/account")
	b.click("#to-help")
	b.until(`location.pathname === "/help" && document.querySelector("h1").textContent === "Help and keyboard"`)
	b.want("the reader's menu is there", `document.querySelector("#account-menu a[href='/help']") !== null`, true)

	stranger := s.browser()
	page := stranger.get("/help")
	for _, want := range []string{"<h1>Help and keyboard</h1>", "extension 4711", "25.12.1974", "MRN-0012"} {
		if page.status != 200 || !strings.Contains(page.body, want) {
			t.Errorf("help for strangers lacks %q: %d", want, page.status)
		}
	}
	if strings.Contains(page.body, "account-menu") || !strings.Contains(stranger.get("/login").body, `href="/help"`) {
		t.Error("a stranger has a menu, or the sign-in page does not lead to help")
	}
	s.exec(`INSERT INTO user_preferences (user_id, preferences) SELECT id, '{"language": "es"}' FROM users WHERE username = 'viewer'`)
	part := s.as(db.RoleViewer).get("/help", append(htmx, "HX-Target", "dialog#help")...)
	if part.status != 200 || strings.Contains(part.body, "<html") || !strings.Contains(part.body, `<h2 id="help-title" tabindex="-1">Ayuda y teclado</h2>`) || strings.Contains(part.body, "<h1") ||
		!strings.Contains(part.header.Get("Vary"), "HX-Request") {
		t.Errorf("the dialog: %d %v %.300s", part.status, part.header, part.body)
	}
	us := newSite(t, func(c *Config) { c.Locale, c.Help = "en-US", "" })
	if page := us.browser().get("/help").body; !strings.Contains(page, "<samp>12/25/1974</samp>") || !strings.Contains(page, "Ask an administrator") {
		t.Error("help does not write dates as the clinic does, or names nobody to ask")
	}
}
