package handlers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tabTo moves the focus as those without a mouse do, forward from where it is.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 200 {
		if b.eval(fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) == true {
			return
		}
		b.press(kb.Tab)
	}
	b.t.Fatalf("the keyboard does not lead to %s", selector)
}

// enter presses a link or button by keyboard.
func (b *tab) enter(selector string) { b.t.Helper(); b.tabTo(selector); b.press(kb.Enter) }

// withAndWithout runs a walk twice; without JavaScript, nothing of ours runs in the pages.
func withAndWithout(t *testing.T, walk func(t *testing.T, open func(url string) *tab)) {
	for name, off := range map[string]bool{"with JavaScript": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			walk(t, func(url string) *tab {
				b := chromium(t, url)
				if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off}); err != nil {
					t.Fatal(err)
				}
				return b
			})
		})
	}
}

const summaryFocused = `document.activeElement.getAttribute("role") === "alert"`

func TestTheOwnAccountByKeyboard(t *testing.T) {
	t.Parallel()
	withAndWithout(t, func(t *testing.T, open func(string) *tab) {
		s := newSite(t)
		other := s.session("clinician")
		b := open(s.url)
		b.open("/login")
		b.signIn("clinician", password)
		b.until(settled + `location.pathname === "/patients"`)
		b.enter(".avatar")
		b.until(`document.querySelector("#account-menu:popover-open")`)
		b.enter("#account-menu a[href='/account']")
		b.until(said("Where you are signed in"))

		s.stale() // so that the password is asked for, once, and it goes on from there
		b.enter(`form[action="/account/sessions/` + other.sessionID() + `/end"] button`)
		b.until(said("Confirm it is you"))
		b.tabTo("#password")
		b.press(password + "\r")
		b.until(said("The session is ended."))
		if other.alive() {
			t.Error("it is not")
		}

		other = s.session("clinician")
		b.enter("a.button[href='/account/password']")
		b.until(settled + `document.getElementById("current")`)
		b.tabTo("#current")
		b.press(password)
		b.tabTo("#new")
		b.press("short\r")
		b.until(said("One field needs another look. Nothing was saved yet."))
		b.until(summaryFocused)
		b.want("what was typed is not kept", `document.getElementById("current").value + document.getElementById("new").value`, "")
		b.tabTo(".summary a[href='#new']")
		b.tabTo("#current")
		b.press(password)
		b.tabTo("#new")
		b.press(another + "\r")
		b.until(said("Your password was changed; all other sessions were ended."))
		if other.alive() {
			t.Error("they were not")
		}
		b.enter(`form[action="/logout"] button.small`)
		b.until(`location.pathname === "/login"`)
		b.signIn("clinician", another)
		b.until(`location.pathname === "/patients"`)
	})
}

func TestAUserIsInvitedAndDisabledByKeyboard(t *testing.T) {
	t.Parallel()
	withAndWithout(t, func(t *testing.T, open func(string) *tab) {
		s := newSite(t)
		b, zoe := open(s.url), open(s.url)
		b.open("/login")
		b.signIn("admin", password)
		b.until(settled + `location.pathname === "/patients"`)
		b.enter(".avatar")
		b.until(`document.querySelector("#account-menu:popover-open")`)
		b.enter("#account-menu a[href='/admin/users']")
		b.until(said("3 users"))
		b.enter("a[href='/admin/users/new']")
		b.until(settled + `document.getElementById("username")`)
		b.until(focused + ` === "username"`)
		b.press("viewer") // which is taken
		b.enter("main button[type=submit]")
		b.until(said("There is already a user with this name"))
		b.until(focused + ` === "username"`)
		b.retype("username", "zoe")
		b.tabTo("#role")
		b.press("v")
		b.want("chosen by its letter", `document.getElementById("role").value`, "viewer")
		b.enter("main button[type=submit]")
		b.until(said("Invitation for zoe"))
		b.tabTo("#link")
		b.want("all of it is selected, to be copied", `(e => e.selectionEnd - e.selectionStart === e.value.length && e.value.length > 60)(document.activeElement)`, true)
		link := fmt.Sprint(b.eval(`document.getElementById("link").value`))

		zoe.open(strings.TrimPrefix(link, s.url))
		zoe.until(said("For the user zoe"))
		zoe.tabTo("#password")
		zoe.press("short\r")
		zoe.until(said("One field needs another look."))
		zoe.until(summaryFocused)
		zoe.tabTo("#password")
		zoe.press(another + "\r")
		zoe.until(said("Your password is set. Sign in with it."))
		zoe.signIn("zoe", another)
		zoe.until(`location.pathname === "/patients"`)
		zoe.open(strings.TrimPrefix(link, s.url))
		zoe.until(said("This link does not work any more"))

		b.enter("main a[href^='/admin/users/']")
		b.until(said("Where they are signed in"))
		b.enter("form[action$='/disable'] button")
		b.until(said("The user is disabled and signed out everywhere."))
		zoe.open("/patients")
		zoe.until(`location.pathname === "/login"`)
		b.enter("form[action$='/enable'] button")
		b.until(said("The user is enabled and can sign in again."))
		b.open(s.at("admin", ""))
		b.enter("form[action$='/disable'] button")
		b.until(said("This is the last administrator"))
		b.until(summaryFocused)
	})
}
