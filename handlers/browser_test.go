package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chartroom/db"
)

// tab is a page in a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string
	// offline: failed connections are expected from here on
	offline *atomic.Bool
	root    context.Context // without the deadline
}

// chromium opens a tab in a headless Chromium, with cookies, storage and cache of its own, as a window that leaves nothing. Where Chromium's
// headless shell is, which is the same engine without a desktop browser's windows and history, it is that: the windows took half of the
// suite's time. Where there is no Chromium at all, the test says so and is skipped; with CI=true it fails, because there somebody has
// promised one.
func chromium(t *testing.T, url string) *tab {
	t.Helper()
	found := chromiumPath(t)
	if shell, err := exec.LookPath("chromium-headless-shell"); err == nil {
		found = shell
	}
	return everybodys.open(t, found, url)
}

// wholeChromium is chromium, but always the browser that users have: for what it keeps, the back-forward cache above all. With options it
// is a process of its own.
func wholeChromium(t *testing.T, url string, options ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	found := chromiumPath(t)
	if len(options) == 0 {
		return everybodysWhole.open(t, found, url)
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(browserFlags(found), options...)...)
	t.Cleanup(end)
	return newTab(t, allocator, url)
}

func newTab(t *testing.T, parent context.Context, url string, options ...chromedp.ContextOption) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, url: url, offline: new(atomic.Bool)}
	b.run(chromedp.Navigate("about:blank"))
	b.watch()
	return b
}

// chromiumPath is where the browser's program is.
func chromiumPath(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no browser, and CI is set: install Chromium")
	}
	t.Skip("NO BROWSER: install Chromium to run this test; everything else is tested without it")
	return ""
}

// browserFlags are our own, not chromedp's defaults, so that nothing that users have is switched off: the back-forward cache above
// all. That windows behind others are not slowed down is what makes one process enough for all tests.
func browserFlags(path string) []chromedp.ExecAllocatorOption {
	all := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.Headless, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.DisableGPU, chromedp.WindowSize(1280, 900)}
	for _, flag := range []string{"disable-background-networking", "disable-component-update", "disable-sync", "disable-quic", "disable-dev-shm-usage",
		"disable-background-timer-throttling", "disable-backgrounding-occluded-windows", "disable-renderer-backgrounding"} {
		all = append(all, chromedp.Flag(flag, true))
	}
	// Nobody looks at this browser's own window: it need not make ready what opens there when asked, nor processes for pages to come,
	// which took a third of its time. What a page can do is not touched.
	all = append(all, chromedp.Flag("disable-features", "PreloadTopChromeWebUI,WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess"),
		chromedp.Flag("disable-extensions", true), chromedp.Flag("disable-breakpad", true))
	if os.Getuid() == 0 {
		all = append(all, chromedp.NoSandbox)
	}
	return all
}

// everybodys and everybodysWhole are browser processes that tests share: to start one for each took a fifth of the suite's time.
var everybodys, everybodysWhole sharedBrowser

type sharedBrowser struct {
	once    sync.Once
	ctx     context.Context
	err     error
	profile string
	cancel  []func()
}

func (b *sharedBrowser) open(t *testing.T, program, url string) *tab {
	t.Helper()
	b.once.Do(func() { b.start(program) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return newTab(t, b.ctx, url, chromedp.WithNewBrowserContext())
}

func (b *sharedBrowser) start(path string) {
	if b.profile, b.err = os.MkdirTemp("", "chartroom-browser-"); b.err != nil {
		return
	}
	allocator, end := chromedp.NewExecAllocator(context.Background(), append(browserFlags(path), chromedp.UserDataDir(b.profile))...)
	var cancel func()
	b.ctx, cancel = chromedp.NewContext(allocator)
	b.cancel = []func(){cancel, end}
	b.err = chromedp.Do(b.ctx, chromedp.Navigate("about:blank")) // starts the browser, which lives as long as this context
}

// end stops the browser, if there was one.
func (b *sharedBrowser) end() {
	for _, f := range b.cancel {
		f()
	}
	if b.profile != "" {
		_ = os.RemoveAll(b.profile)
	}
}

// watch turns what the browser complains about into failures, and gives the tab its deadline.
func (b *tab) watch() {
	messages := chromedp.Console(b.ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			// Refusals are noted by the browser as failed loads; anything else, a broken policy above all, is a fault.
			if (m.IsException() || m.Type == chromedp.ConsoleError) && !strings.Contains(m.Text, "the server responded with a status of 4") && !b.offline.Load() {
				b.t.Errorf("the browser complains: %s", m)
			}
		}
	}()
	var cancel func()
	b.root = b.ctx
	b.ctx, cancel = context.WithTimeout(b.root, 90*time.Second)
	b.t.Cleanup(cancel)
}

// lent is the same tab for a part of the test, with a deadline of its own. What the browser complains about fails the whole.
func (b *tab) lent(t *testing.T) *tab {
	ctx, cancel := context.WithTimeout(b.root, 90*time.Second)
	t.Cleanup(cancel)
	return &tab{t: t, ctx: ctx, url: b.url, offline: b.offline, root: b.root}
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(path string) { b.t.Helper(); b.run(chromedp.Navigate(b.url + path)) }

// press types keys into whatever has the focus.
func (b *tab) press(keys string) { b.t.Helper(); b.run(chromedp.KeyEvent(keys)) }

func (b *tab) click(selector string) {
	b.t.Helper()
	b.run(chromedp.Click(selector))
}

func (b *tab) eval(js string) any {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits for a condition of a page that has loaded, through navigations.
func (b *tab) until(js string) {
	b.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && Boolean(`+js+`)`))
		if err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.pathname + "\n" + document.body.innerText`))
			b.t.Fatalf("not so: %s (%v)\nthe page is %.500s", js, err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b *tab) want(what, js string, want any) {
	b.t.Helper()
	if got := b.eval(js); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (b *tab) back() {
	b.t.Helper()
	// Not chromedp's own, which waits for a load that a page from the back-forward cache does not have.
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		h, err := cdp.Call(ctx, t, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, t, page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: h.Entries[h.CurrentIndex-1].ID})
		return err
	}))
}

// settled: not the picture of a page that is about to be asked for again.
const settled = `!document.documentElement.hidden && `

const focused = `document.activeElement.id || document.activeElement.tagName`

// clinic fills a site so that one search is certain to find one patient.
func clinic(t *testing.T) *site {
	s := newSite(t)
	s.fill(60)
	s.load(patientJSON("x1", "Quimbleton", "Zadok", "QX-900", "1974-12-25"))
	return s
}

// fill empties a field and types into it.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.eval(fmt.Sprintf(`(e => { e.value = ""; e.focus(); return 0 })(document.querySelector(%q))`, selector))
	b.press(text)
}

func (b *tab) signIn(name, with string) {
	b.t.Helper()
	b.until(settled + `document.getElementById("password")`) // the address is there before the page is
	b.fill("#username", name)
	b.fill("#password", with+"\r")
}

// has gives the tab a session of somebody who signed in before.
func (b *tab) has(s *site, who string) {
	b.t.Helper()
	do(b, network.SetCookie, network.SetCookieParams{Name: "chartroom", Value: s.session(who).cookies["chartroom"].Value, URL: b.url})
}

// as opens a page as somebody who signed in before, for tests of what comes after: the sign-in page takes longer than most of them.
func (b *tab) as(s *site, who, path string) {
	b.t.Helper()
	b.has(s, who)
	b.open(path)
}

func TestAWalkThroughTheSiteInABrowser(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := wholeChromium(t, s.url)

	b.open("/")
	b.until(`location.pathname === "/login"`)
	b.want("the field one types into first", focused, "username")
	b.signIn("clinician", "not the password")
	b.until(`document.querySelector("[role=alert].error")`)
	b.want("the name is kept", `document.getElementById("username").value`, "clinician")
	b.want("the password is not", `document.getElementById("password").value`, "")
	b.signIn("clinician", password)
	b.until(`location.pathname === "/patients" && document.querySelectorAll("tbody tr").length === 25`)

	// Searching: only the list changes. What is marked would be gone if anything else were replaced.
	b.eval(`window.mark = 1; for (const e of document.querySelectorAll("header, h1, #search, #q, #found")) e.mark = 1; 0`)
	b.click("#q")
	b.press("quimbl")
	b.until(`document.getElementById("found").textContent === "1 patient" && document.querySelectorAll("tbody tr").length === 1`)
	b.want("nothing else was replaced", `window.mark && [...document.querySelectorAll("header, h1, #search, #q, #found")].every(e => e.mark)`, true)
	b.want("the focus", focused, "q")
	b.want("what was typed", `document.getElementById("q").value`, "quimbl")
	b.want("the address holds no search", `location.search.startsWith("?list=") && !/quimbl/i.test(location.href)`, true)
	b.want("the title", `document.title`, "Patients found · Test Clinic")
	b.run(chromedp.Reload())
	b.until(`document.querySelectorAll("tbody tr").length === 1 && document.getElementById("q").value === "quimbl"`)
	b.click("#q")
	for range "quimbl" {
		b.press(kb.Backspace)
	}
	b.until(`document.getElementById("found").textContent === "61 patients" && location.search === ""`)

	// Nothing found is said, and a search that cannot be is refused in place.
	b.press("xyzzy")
	b.until(`document.querySelector(".empty") && document.getElementById("found").textContent === "No patient found"`)
	b.want("the focus", focused, "q")
	b.click(".empty a")
	b.until(`document.querySelectorAll("tbody tr").length === 25`)

	// Sorting and paging, by fragments.
	b.eval(`window.mark = 1; 0`)
	b.click("#sort-birth_date")
	b.until(`document.querySelector("th[aria-sort] a").id === "sort-birth_date"`)
	b.want("the focus stays on the heading", focused, "sort-birth_date")
	b.press(kb.Enter)
	b.until(`document.querySelector("th[aria-sort]").getAttribute("aria-sort") === "descending"`)
	sorted := b.eval(`location.href`)
	b.click("#page-next")
	b.until(`document.getElementById("caption").textContent.startsWith("Patients 26 to 50")`)
	b.until(focused + ` === "caption"`)
	b.click("#page-next")
	b.until(`document.getElementById("caption").textContent.startsWith("Patients 51 to 61")`)
	b.want("no further page", `document.getElementById("page-next")`, nil)
	b.click("#page-prev")
	b.until(`document.getElementById("caption").textContent.startsWith("Patients 26 to 50")`)
	b.want("all this was one page", `window.mark`, 1)
	b.back()
	b.until(settled + `document.getElementById("caption")?.textContent.startsWith("Patients 51 to 61")`)
	b.back()
	b.until(settled + `document.getElementById("caption")?.textContent.startsWith("Patients 26 to 50")`)
	b.back()
	b.until(settled + `document.getElementById("caption")?.textContent.startsWith("Patients 1 to 25")`)
	b.want("back leads to where one was", `location.href`, sorted)

	// A patient's page, and nothing kept in the browser on the way.
	b.click("tbody th a")
	b.until(`location.pathname.match(/^\/patients\/[0-9a-f-]{36}$/) && document.querySelector(".person bdi")`)
	b.want("browser storage", `localStorage.length + sessionStorage.length`, 0)

	// The menu, by keyboard alone.
	menuOpen := `document.querySelector("#account-menu:popover-open")`
	b.eval(`document.querySelector(".brand").focus(); 0`)
	b.press(kb.Tab)
	b.want("the avatar is next", `document.activeElement.className`, "avatar")
	b.press(kb.Enter)
	b.until(menuOpen)
	b.press(kb.Escape)
	b.until(`!` + menuOpen)
	b.want("the focus is given back", `document.activeElement.className`, "avatar")
	b.press(kb.Enter)
	b.until(menuOpen)
	b.press(kb.Tab)
	b.want("first", `document.activeElement.textContent`, "Account")
	b.press(kb.Tab)
	b.want("second", `document.activeElement.textContent`, "Display")
	b.press(kb.Tab)
	b.want("third", `document.activeElement.textContent`, "Help and keyboard")
	b.press(kb.Tab)
	b.want("fourth", `document.activeElement.textContent`, "Recent patients")
	b.until(`document.querySelector("#recent a")`) // loaded when the menu opened
	b.press(kb.Tab)
	b.want("whom one opened last", `document.activeElement.pathname === location.pathname && document.activeElement.closest("#recent") !== null`, true)
	b.press(kb.Escape)
	b.until(`!` + menuOpen + ` && !document.querySelector("#recent").firstChild`)
	b.eval(`document.querySelector(".avatar").focus(); 0`)
	b.press(kb.Enter)
	b.until(menuOpen)
	b.until(`document.querySelector("#recent a")`)
	for range 5 + int(b.eval(`document.querySelectorAll("#recent a").length`).(float64)) {
		b.press(kb.Tab)
	}
	b.want("the last", `document.activeElement.textContent`, "Sign out")
	b.press(kb.Enter)
	b.until(`location.pathname === "/login"`)

	b.back()
	b.until(`location.pathname === "/login" && document.getElementById("username")`)
	b.want("nothing of a patient is to be seen", `document.querySelector("table, h1 bdi, .person")`, nil)
}

func TestTheSameWalkWithoutJavaScript(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := wholeChromium(t, s.url)
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	rows := func(n int) string { return fmt.Sprintf(`document.querySelectorAll("tbody tr").length === %d`, n) }

	b.open("/")
	b.until(`location.pathname === "/login"`)
	b.signIn("clinician", "not the password")
	b.until(`document.querySelector("[role=alert].error")`)
	b.signIn("clinician", password)
	b.until(`location.pathname === "/patients" && ` + rows(25))
	b.want("no script of ours runs", `typeof htmx`, "undefined")
	b.want("the end of the session is said in words", `/signed out after 15 minutes without a step.*Without JavaScript no countdown/s.test(document.querySelector("footer").innerText)`, true)
	b.want("which only a script could count down to", `document.getElementById("idle").checkVisibility()`, false)

	b.fill("#q", "quimbl\r")
	b.until(rows(1) + ` && location.search.startsWith("?list=")`)
	b.want("what was typed", `document.getElementById("q").value`, "quimbl")
	b.fill("#q", "xyzzy")
	b.click("#search button")
	b.until(`document.querySelector(".empty")`)
	b.click(".empty a")
	b.until(rows(25))
	b.click("#sort-mrn")
	b.until(`document.querySelector("th[aria-sort] a").id === "sort-mrn"`)
	b.click("#page-next")
	b.until(`document.getElementById("caption").textContent.startsWith("Patients 26 to 50, sorted by MRN")`)
	b.click("#page-prev")
	b.until(`document.getElementById("caption").textContent.startsWith("Patients 1 to 25, sorted by MRN")`)
	b.click("tbody th a")
	b.until(`document.querySelector("h1 bdi")`)
	b.eval(`document.querySelector(".avatar").focus(); 0`)
	b.press(kb.Enter)
	b.until(`document.querySelector("#account-menu:popover-open")`)
	for range 5 { // past Account, Display, help and the recent patients
		b.press(kb.Tab)
	}
	b.press(kb.Enter)
	b.until(`location.pathname === "/login"`)
	b.back()
	b.until(`location.pathname === "/login" && document.getElementById("username")`)
	b.want("nothing of a patient is to be seen", `document.querySelector("table, h1 bdi, .person")`, nil)
	b.signIn("clinician", password)
	b.until(`document.querySelector("h1 bdi")`) // the page that Back asked for
	s.leave(0)
	b.open("/account")
	b.until(noted + `.includes("Your session has ended")`)
}

// TestTheBrowserOfTheseTestsHasABackForwardCache is the control: without that cache, pressing Back proves nothing. It
// asks with pages that may be stored; Chromium keeps pages that may not be only when it likes.
func TestTheBrowserOfTheseTestsHasABackForwardCache(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><title>fresh</title><script>onpageshow = e => { if (e.persisted) document.title = "kept"; }</script><p>%s`, r.URL.Path)
	}))
	t.Cleanup(server.Close)
	b := wholeChromium(t, server.URL)
	for range 5 { // a browser under pressure may drop a page from it now and then
		b.open("/one")
		b.open("/two")
		b.back()
		b.until(`document.readyState === "complete" && location.pathname === "/one"`)
		if b.eval(`document.title`) == "kept" {
			return
		}
	}
	b.t.Errorf("no page was kept: %v", b.eval(`JSON.stringify(performance.getEntriesByType("navigation")[0].notRestoredReasons)`))
}

func TestTheSkipLinkLeadsToTheContentAndNowhereElse(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.as(s, db.RoleClinician, "/patients")
	b.until(`document.querySelectorAll("tbody tr").length === 25`)
	b.eval(`window.mark = 1; window.pops = 0; addEventListener("popstate", () => window.pops++); document.querySelector(".skip").focus(); 0`)
	b.press(kb.Enter)
	b.until(`location.hash === "#main" && document.activeElement.id === "main"`)
	b.click("#sort-mrn")
	b.until(`document.querySelector("th[aria-sort] a").id === "sort-mrn"`)
	b.want("the page is the same and to be seen", `window.mark === 1 && window.pops < 3 && !document.documentElement.hidden`, true)
}

func TestBackAfterTheSessionEndedElsewhereShowsNothing(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := wholeChromium(t, s.url)
	b.as(s, db.RoleClinician, "/patients")
	b.until(`document.querySelectorAll("tbody tr").length === 25`)
	b.click("tbody th a")
	b.until(`document.querySelector(".person bdi")`)
	b.open("/livez")
	s.exec(`DELETE FROM sessions`) // an administrator, another tab: this browser's cookie stays
	b.back()
	b.until(`location.pathname === "/login" && document.getElementById("username")`)
}

func TestASessionThatEndsUnderAnOpenPageLeadsToSignIn(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.as(s, db.RoleClinician, "/patients")
	b.until(`document.querySelectorAll("tbody tr").length === 25`)
	s.exec(`DELETE FROM sessions`)
	b.click("#sort-birth_date") // a fragment: the sign-in page must not come into the table
	b.until(`location.pathname === "/login" && document.getElementById("username") && !document.querySelector("table")`)
	b.want("and leads back", `new URLSearchParams(location.search).get("next").startsWith("/patients?list=")`, true)
	b.signIn("clinician", password)
	b.until(`location.pathname === "/patients" && document.querySelector("th[aria-sort] a").id === "sort-birth_date"`)
	s.exec(`DELETE FROM sessions`)
	b.eval(`document.dispatchEvent(new Event("visibilitychange")); 0`) // what coming back to the tab does
	b.until(`location.pathname === "/login"`)
}

func TestWhenTheServerCannotBeReachedThePageSaysSo(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	front := httptest.NewServer(s.Server)
	b := chromium(t, front.URL)
	b.as(s, db.RoleClinician, "/patients")
	b.until(`document.querySelectorAll("tbody tr").length === 25`)
	front.CloseClientConnections()
	front.Listener.Close()
	b.offline.Store(true)
	b.click("#sort-mrn")
	b.until(`document.getElementById("notice").textContent.includes("could not be reached")`)
	b.want("the list stays", `document.querySelectorAll("tbody tr").length`, 25)
}
