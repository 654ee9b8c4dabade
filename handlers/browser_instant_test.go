package handlers

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chartroom/db"
)

// delayed puts a site behind a front that lets requests to paths with a certain end wait, and counts them.
func (s *site) delayed(end string, by time.Duration) *atomic.Int32 {
	s.t.Helper()
	n := &atomic.Int32{}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, end) && (r.Method == http.MethodPost || isHtmx(r)) {
			n.Add(1)
			time.Sleep(by)
		}
		s.Server.ServeHTTP(w, r)
	}))
	s.t.Cleanup(front.Close)
	s.url = front.URL
	return n
}

const slowSaid = `document.getElementById("slow").textContent === "Loading"`

func TestWhatTakesLongIsSaidAndAFormIsSentOnce(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	n := s.delayed("/account/display", 4000*time.Millisecond)
	b := s.inList(t, db.RoleClinician)
	b.open("/account/display")
	b.until(settled + `document.getElementById("theme")`)
	// In one go: while a browser waits for another page, it answers no further questions about this one.
	got, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(async () => {
		const button = document.querySelector("form[action='/account/display'] button[type=submit]");
		button.click();
		const said = [button.getAttribute("aria-disabled"), `+slowSaid+`];
		for (let i = 0; i < 3; i++) { // apart: of several at once a browser sends one by itself
			await new Promise((done) => setTimeout(done, 300));
			button.click();
		}
		return [...said, `+slowSaid+`, getComputedStyle(document.getElementById("slow")).position].join() })()`, chromedp.EvalAwaitPromise))
	if err != nil || got != "true,false,true,fixed" {
		t.Errorf("the button, what is said at once and later, and where: %s (%v)", got, err)
	}
	b.until(settled + `location.search === "?notice=saved" && !document.querySelector("[aria-disabled]") && !(` + slowSaid + `)`)
	if n.Load() != 1 {
		t.Errorf("the form was sent %d times", n.Load())
	}
}

func TestASlowListIsSaidAndMovesNothing(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	s.delayed("/patients", 3000*time.Millisecond)
	b := s.inList(t, db.RoleClinician)
	b.eval(`window.shift = 0; new PerformanceObserver(l => { for (const e of l.getEntries()) window.shift += e.value }).observe({ type: "layout-shift", buffered: true }); 0`)
	b.click("#page-next")
	b.want("nothing is said at once", slowSaid, false)
	b.until(slowSaid)
	b.want("the list says that it is busy", `document.getElementById("list").getAttribute("aria-busy")`, "true")
	b.until(`document.getElementById("caption").textContent.startsWith("Patients 26 to 50") && !(` + slowSaid + `)`)
	b.want("not any more", `document.getElementById("list").getAttribute("aria-busy")`, nil)
	b.want("what moved meanwhile", `window.shift`, 0)
}

// TestMotionIsForWhoAllowsIt: sorting fades, a search that is typed does not, and nothing where motion is not wanted.
func TestMotionIsForWhoAllowsIt(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)
	for motion, want := range map[string]int{"no-preference": 1, "reduce": 0} {
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: motion}}}); err != nil {
			t.Fatal(err)
		}
		b.open("/patients")
		b.eval(`window.faded = 0; (start => { Element.prototype.animate = function (...a) { window.faded += this.id === "list"; return start.apply(this, a) } })(Element.prototype.animate); 0`)
		b.fill("#q", "quimbl")
		b.until(`document.querySelectorAll("#list tbody tr").length === 1`)
		b.want("a search does not fade", `window.faded`, 0)
		b.click("#sort-mrn")
		b.until(`document.querySelector("th[aria-sort] a")?.id === "sort-mrn"`)
		b.want("a sort, with motion: "+motion, `window.faded`, want)
		b.until(focused + ` === "sort-mrn"`)
	}
}

func TestALostConnectionIsSaidUntilItIsBack(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := wholeChromium(t, s.url, chromedp.Flag("disable-extensions", true)) // a process of its own, whose network nobody else has
	b.open("/login")
	b.signIn(db.RoleClinician, password)
	b.until(settled + `document.querySelectorAll("#list tbody tr").length === 25`)
	offline := func(yes bool) {
		t.Helper()
		if _, err := chromedp.Call(b.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{
			{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(b.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: yes, DownloadThroughput: -1, UploadThroughput: -1}); err != nil {
			t.Fatal(err)
		}
	}
	said := func(words string) string {
		return fmt.Sprintf(`document.getElementById("notice").textContent.includes(%q)`, words)
	}
	b.offline.Store(true)
	offline(true)
	b.until(said("is offline"))
	b.click("#sort-mrn")
	b.until(`!document.getElementById("list").hasAttribute("aria-busy") && ` + said("is offline"))
	b.want("the list stays", `document.querySelectorAll("#list tbody tr").length`, 25)
	offline(false)
	b.until(said("connection is back"))
	b.until(`document.getElementById("notice").textContent === ""`)
	b.click("#sort-mrn")
	b.until(`document.querySelector("th[aria-sort] a").id === "sort-mrn"`)
}

func TestARowOffersWhatCanBeDoneWithIt(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)
	name := b.rowName(1)
	b.want("nothing before", `document.getElementById("row-actions").checkVisibility()`, false)
	b.eval(fmt.Sprintf(nth+`.focus(), 0`, 1))
	b.press(kb.Tab)
	b.want("the page, named with the patient", `document.activeElement.textContent.trim()`, "Open page "+name)
	b.want("its address", fmt.Sprintf(`document.activeElement.href === `+nth+`.href`, 1), true)
	b.press(kb.Tab)
	b.want("the form, named with the patient", `document.activeElement.textContent.trim()`, "Edit "+name)
	b.want("its address", fmt.Sprintf(`document.activeElement.href === `+nth+`.href + "/edit"`, 1), true)
	b.press(kb.Tab)
	b.want("then the next row", onRow(2), true)
	b.click("#sort-mrn") // they come back with other rows
	b.until(`document.querySelector("th[aria-sort] a").id === "sort-mrn"`)
	b.eval(fmt.Sprintf(nth+`.focus(), 0`, 0))
	b.press(kb.Tab)
	b.press(kb.Tab)
	b.press(kb.Enter)
	b.until(settled + `location.pathname.endsWith("/edit") && document.querySelector("#family")`)
	v := s.inList(t, db.RoleViewer)
	v.want("who may not edit is not offered to", `document.querySelector("#row-actions [data-edit]")`, nil)
}
