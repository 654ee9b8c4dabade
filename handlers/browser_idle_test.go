package handlers

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// These tests wait for time to pass more than they work, so they do it side by side.

// another opens a second tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	n := &tab{t: b.t, ctx: ctx, url: b.url, offline: new(atomic.Bool)}
	n.run(chromedp.Navigate("about:blank"))
	n.watch()
	return n
}

// wake is what coming back to a tab does: the page asks how long its session lasts. It is done until it has asked anew,
// because a question that was under way has an answer from before.
func (b *tab) wake() {
	b.t.Helper()
	b.eval(`window.woken = performance.now(); 0`)
	b.until(`window.woken === undefined || performance.getEntriesByType("resource").some(e => e.name.endsWith("/session") && e.startTime >= window.woken)
		|| document.dispatchEvent(new Event("visibilitychange")) && false`)
}

// leave makes the only session's last action so long ago that so much is left of its idle time of 15 minutes.
func (s *site) leave(left time.Duration) {
	s.t.Helper()
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '15 minutes' + $1::interval`, left)
}

// network switches the browser's connection off and on.
func (b *tab) network(on bool) {
	b.t.Helper()
	b.offline.Store(true) // what could not be loaded is in the console, also a moment after all is well
	rules := []*network.Conditions{{Offline: !on, DownloadThroughput: -1, UploadThroughput: -1}}
	if _, err := chromedp.Call(b.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: rules}); err != nil {
		b.t.Fatal(err)
	}
}

const (
	asking = `document.getElementById("idle")?.open`
	button = `document.activeElement.innerText`
	noted  = `location.pathname === "/login" && document.querySelector(".note")?.innerText`
)

// blank says that nothing of a page is left but what leads back to it.
const blank = `!document.querySelector("table, form.fields, header, h1 bdi, dialog")`

func TestTheCountdownOpensInEveryTabAndOneStepClosesItInAll(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	one := chromium(t, s.url)
	one.open("/login")
	one.signIn("clinician", password)
	one.until(`document.querySelectorAll("tbody tr").length === 25`)
	two := one.another()
	two.open("/account")
	two.until(settled + `document.querySelector("h1").innerText === "Account"`)
	both := []*tab{one, two}

	ask := func(left time.Duration) {
		t.Helper()
		s.leave(left)
		for _, b := range both {
			b.wake()
		}
		for _, b := range both {
			b.until(asking)
		}
	}
	closed := func(how string) {
		t.Helper()
		for _, b := range both {
			b.until(`!` + asking)
		}
		if s.idleFor() > 20 {
			t.Errorf("%s: idle for %v s", how, s.idleFor())
		}
	}

	one.click("#q")
	ask(61500 * time.Millisecond) // both learn when, and open by themselves a moment later
	for i, b := range both {
		b.want("where the focus is", button, "Stay signed in")
		b.want("its name and description", `["role", "aria-labelledby", "aria-describedby"].map(n => document.getElementById("idle").getAttribute(n)).join()`, "alertdialog,idle-heading,idle-text")
		b.want("its words", `/^Nothing was done for a while, so you will be signed out in [456]\d seconds\./.test(document.getElementById("idle-text").innerText)`, true)
		b.until(`/^0:[345]\d$/.test(document.querySelector("#idle .countdown").innerText)`)
		b.want("the seconds are not read out", `document.querySelector("#idle .countdown").getAttribute("aria-hidden")`, "true")
		b.want("what is read out", `/^(60|5\d) seconds left$/.test(document.getElementById("idle-said").textContent)`, true)
		before := b.eval(`document.getElementById("idle-said").textContent`)
		shown := b.eval(`document.querySelector("#idle .countdown").innerText`)
		b.until(`document.querySelector("#idle .countdown").innerText !== ` + fmt.Sprintf("%q", shown))
		b.want("and not each second", `document.getElementById("idle-said").textContent`, before)
		// By keyboard alone, and nowhere else.
		b.press(kb.Tab)
		b.want("next", button, "Sign out")
		for range 3 {
			b.press(kb.Tab)
			b.want("the focus stays inside", `document.activeElement === document.body || document.activeElement.closest("#idle") !== null`, true)
		}
		if i == 0 {
			continue
		}
		b.press(kb.Escape)
	}
	closed("Escape")
	one.want("the focus is given back", focused, "q")
	one.press("quimbl")
	one.until(`document.getElementById("q").value === "quimbl" && document.getElementById("found").textContent === "1 patient"`)
	one.until(`!document.querySelector(".htmx-request")`)

	ask(50 * time.Second)
	one.press(kb.Enter)
	closed("the button")

	ask(50 * time.Second)
	two.open("/patients") // somebody goes on with their work elsewhere
	two.until(settled + `document.querySelectorAll("tbody tr").length === 25`)
	closed("work in another tab")

	s.leave(28 * time.Second)
	one.wake()
	one.until(asking + ` && /^(2\d|30) seconds left$/.test(document.getElementById("idle-said").textContent)`)
	s.leave(9 * time.Minute)
	one.wake()
	one.until(`!` + asking)

	ask(50 * time.Second)
	two.press(kb.Tab)
	two.press(kb.Enter)
	for _, b := range both {
		b.until(`location.pathname === "/login" && document.getElementById("username")`)
		b.want("nothing is left", blank, false) // the header of the sign-in page
		b.want("no table", `document.querySelector("table")`, nil)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'sign-out'`); n != 1 {
		t.Errorf("%d sign-outs", n)
	}
}

func TestAtZeroEveryTabIsLeftAndWhatWasTypedComesBackToItsUserAlone(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	one := chromium(t, s.url)
	one.open(path + "/edit")
	one.until(`location.pathname === "/login"`)
	one.signIn("clinician", password)
	one.until(settled + `document.getElementById("family")`)
	two := one.another()
	two.open(path)
	two.until(said("Quimbleton"))

	one.retype("city", "Netherby")
	drafts := func(n int) {
		t.Helper()
		deadline := time.Now().Add(15 * time.Second)
		for scan[int](s, `SELECT count(*) FROM drafts`) != n {
			if time.Now().After(deadline) {
				t.Fatalf("not %d drafts", n)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	drafts(1)
	one.want("nothing of it is in the browser", `localStorage.length + sessionStorage.length + location.search.length`, 0)
	s.leave(2500 * time.Millisecond)
	one.wake()
	two.wake()
	one.until(noted + `.includes("because nothing was done for 15 minutes")`)
	two.until(noted + `.includes("because nothing was done for 15 minutes")`)
	one.want("it leads back", `document.querySelector("[name=next]").value`, path+"/edit")
	two.want("it leads back", `document.querySelector("[name=next]").value`, path)

	// Somebody else at the same computer.
	one.signIn("admin", password)
	one.until(settled + `document.getElementById("family")`)
	one.want("it is not theirs", `document.querySelector(".ask") === null && document.getElementById("city").value`, "")
	one.eval(`document.querySelector(".avatar").focus(); 0`)
	one.press(kb.Enter)
	one.until(`document.querySelector("#recent > *")`)
	for range 7 + int(one.eval(`document.querySelectorAll("#recent a").length`).(float64)) { // past Account, Display, Users, Audit, Help and the recent patients
		one.press(kb.Tab)
	}
	one.press(kb.Enter)
	one.until(`location.pathname === "/login" && document.getElementById("username")`)

	one.open("/login?next=" + path + "/edit")
	one.signIn("clinician", password)
	one.until(said("This is what you had typed at"))
	one.until(`document.activeElement.className === "ask"`)
	one.want("it is back", `document.getElementById("city").value`, "Netherby")
	one.want("the title", `document.title`, "Not saved yet: Edit patient · Test Clinic")
	// What was refused is kept too: the page that says so holds what is nowhere else.
	one.retype("birth_date", "31.02.1999")
	one.save()
	one.until(said("Nothing was saved yet."))
	s.exec(`DELETE FROM drafts`)
	one.run(chromedp.Reload())
	one.until(said("Nothing was saved yet."))
	drafts(1)
	one.retype("birth_date", "1974-12-25")
	one.save()
	one.until(said("The change is saved."))
	drafts(0)
	one.click("a[href$='/edit']")
	one.until(settled + `document.getElementById("city")?.value === "Netherby" && !document.querySelector(".ask")`)

	one.retype("city", "Overby")
	drafts(1)
	one.run(chromedp.Reload())
	one.until(said("This is what you had typed at"))
	one.click(".ask button")
	one.until(settled + `document.getElementById("city")?.value === "Netherby" && !document.querySelector(".ask")`)
	drafts(0)

	// A page from before somebody signed in anew keeps nothing, and says so.
	one.eval(`document.querySelector("form.fields [name=csrf_token]").value = "old"; 0`)
	one.retype("city", "Overby")
	one.until(`document.getElementById("draft").innerText.includes("cannot be kept right now")`)
	one.want("that is seen wherever the form is scrolled to, and said aloud", `(d => d.getAttribute("role") + " " + getComputedStyle(d).position)(document.getElementById("draft"))`, "alert fixed")
	drafts(0)
}

func TestAtZeroThePageIsEmptiedAlsoWithoutAConnection(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.open("/login")
	b.signIn("clinician", password)
	b.until(`document.querySelectorAll("tbody tr").length === 25`)
	s.leave(6 * time.Second)
	b.wake()
	b.until(asking)
	b.network(false)
	b.press(kb.Enter)
	b.until(`document.getElementById("idle-problem").innerText.includes("could not be reached")`)
	b.want("it goes on counting", asking, true)
	b.until(`document.querySelector("h1")?.innerText === "You were signed out"`)
	b.want("nothing is left", blank, true)
	b.want("not hidden in it either", `document.documentElement.outerHTML.includes("Quimbleton") || document.title !== "Signed out"`, false)
	for s.idleFor() < 901 { // the page counts whole seconds, and so ends up to one before the server
		time.Sleep(50 * time.Millisecond)
	}
	b.network(true)
	b.eval(`dispatchEvent(new Event("online")); 0`)
	b.until(noted)
}

func TestASessionsAbsoluteEndIsSaidAndNothingIsOfferedAgainstIt(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.open("/login")
	b.signIn("clinician", password)
	b.until(`document.querySelectorAll("tbody tr").length === 25`)
	b.click("#q")
	s.exec(`UPDATE sessions SET expiry = now() + interval '50 seconds'`)
	b.wake()
	b.until(asking)
	b.want("its words", `/^You will be signed out at .*\d:\d\d.*, whatever you do\. What you type into a patient’s form is kept/.test(document.getElementById("idle-text").innerText)`, true)
	b.want("where the focus is", button, "Go on until then")
	b.want("what is offered", `[...document.querySelectorAll("#idle button")].filter(e => e.checkVisibility()).map(e => e.innerText).join()`, "Go on until then,Sign out")
	b.press(kb.Escape)
	b.until(`!` + asking)
	b.want("the focus is given back", focused, "q")
	b.wake()
	b.until(`!` + asking) // it was said
	s.exec(`UPDATE sessions SET expiry = now() + interval '3 seconds'`)
	b.wake()
	b.until(noted + `.includes("because 12 hours have passed")`)
}

func TestAPageThatNobodyTouchesLeadsToSignInByItself(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	s.idle(3 * time.Second)
	b := chromium(t, s.url)
	b.open("/login")
	b.signIn("clinician", password)
	b.until(noted + `.includes("because nothing was done for 3 seconds")`)
	b.want("and back", `document.querySelector("[name=next]").value`, "/patients")
}
