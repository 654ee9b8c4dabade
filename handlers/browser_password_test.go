package handlers

import (
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestAPasswordCanBeLookedAtWhileTyping(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := chromium(t, s.url)
	b.run(chromedp.EmulateViewport(320, 640))
	b.open("/login")
	b.fill("#username", "clinician")
	b.fill("#password", password)
	kind, state := `document.getElementById("password").type`, `document.querySelector("[data-shows]").getAttribute("aria-pressed")`
	b.want("at first", kind+` + " " + `+state, "password false")
	b.press(kb.Tab)
	b.want("the button follows the field, and is named", `document.activeElement.textContent.trim()`, "Show password")
	b.press(kb.Enter)
	b.want("shown", kind+` + " " + `+state, "text true")
	b.want("what was typed stays", `document.getElementById("password").value`, password)
	b.want("the page is no wider than a phone", `document.documentElement.scrollWidth <= innerWidth`, true)
	b.want("the target is large enough", `Math.min(document.activeElement.offsetWidth, document.activeElement.offsetHeight) >= 24`, true)
	b.press(" ")
	b.want("hidden again", kind+` + " " + `+state, "password false")
	b.press(" ")

	// It is sent as a password, so that the browser does not keep it among texts that were typed.
	b.eval(`document.addEventListener("submit", e => { e.preventDefault(); window.sent = document.getElementById("password").type; }); 0`)
	b.eval(`document.getElementById("password").focus(); 0`)
	b.press(kb.Enter)
	b.until(`window.sent === "password"`)
}

func TestWithoutJavaScriptThereIsNoButtonThatDoesNothing(t *testing.T) {
	t.Parallel()
	a := newSite(t).browser().get("/login")
	if !regexp.MustCompile(`<button type="button" hidden [^>]*data-shows="password"`).MatchString(a.body) {
		t.Errorf("no hidden button in\n%s", a.body)
	}
}
