package handlers

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"chartroom/db"
)

// spacedOut is the text spacing that a reader may choose, under which nothing may be lost (WCAG 2.2, 1.4.12).
const spacedOut = `(on => {
	window.spacing ??= new CSSStyleSheet();
	spacing.replaceSync(on ? "* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important } p { margin-block-end: 2em !important }" : "");
	if (!document.adoptedStyleSheets.includes(spacing)) document.adoptedStyleSheets.push(spacing);
	return 0;
})`

// script is one of the tests' own, in testdata/gates.
func script(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/gates/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fits says where something of the page is cut off, as it stands in the window and with more space between the letters.
func (b *tab) fits(what string) {
	b.t.Helper()
	js := script(b.t, "fit.js")
	for _, wide := range []bool{false, true} {
		if wide {
			what += ", with WCAG's text spacing"
		}
		b.eval(fmt.Sprintf("%s(%t)", spacedOut, wide))
		var found []string
		if err := json.Unmarshal([]byte(b.eval(js).(string)), &found); err != nil {
			b.t.Fatal(err)
		}
		for _, f := range found {
			b.t.Errorf("%s: %s", what, f)
		}
	}
	b.eval(spacedOut + "(false)")
}

// shifts is by how much the page has moved under its reader since it was opened (CLS); what follows a step of theirs does not count.
const shifts = `new Promise(done => {
	let sum = 0;
	const of = [];
	new PerformanceObserver(l => { for (const e of l.getEntries()) if (!e.hadRecentInput) {
		sum += e.value;
		for (const s of e.sources) of.push((s.node?.id || s.node?.className || s.node?.localName || s.node?.nodeName) + " " + [s.previousRect, s.currentRect].map(r => [r.x, r.y, r.width, r.height].map(Math.round)).join(" to "));
	} }).observe({ type: "layout-shift", buffered: true });
	requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(sum === 0 ? "" : sum.toFixed(4) + ": " + of.join("; ")), 100)));
})`

// sinceResized is for how long Chromium holds a window's new size responsible for what moves.
const sinceResized = 600 * time.Millisecond

func (b *tab) stands(what string) {
	b.t.Helper()
	moved, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](shifts, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	if moved != "" {
		b.t.Errorf("%s: the page moved by itself, a layout shift of %s", what, moved)
	}
}

// mainStates are those that are looked at with every run of the tests. TestProveEveryState has all.
var mainStates = []string{"sign-in", "sign-in-refused", "list", "list-similar", "menu-admin", "idle", "patient-admin", "edit-two-versions", "account-sessions", "user-locked", "audit-filtered", "off-list"}

// TestNothingIsCutOff opens pages in a window of 320 CSS pixels and at a zoom of 200 %.
func TestNothingIsCutOff(t *testing.T) {
	t.Parallel()
	everyState(t, func(t *testing.T, g *stage, b *tab, st state) {
		g.fitsEverywhere(b, st, byDay)
	}, mainStates...)
}

func (g *stage) fitsEverywhere(b *tab, st state, world variant) {
	b.t.Helper()
	g.reach(b, st, narrow.in(world))
	if !st.upset { // which a moving notice is a part of
		b.stands("at 320 px")
	}
	b.fits("at 320 px")
	b.look(zoomed.in(world))
	b.fits("at 200 %")
}

// TestTheGateForWhatIsCutOffFinds: it would be no gate otherwise.
func TestTheGateForWhatIsCutOffFinds(t *testing.T) {
	t.Parallel()
	b := chromium(t, newSite(t).url)
	b.look(narrow)
	b.open("/login")
	b.until(settled + `document.getElementById("username")`)
	for what, css := range map[string]string{
		"the page is": "main { width: 30rem }", "cuts “Sign in” off at its side": ".card h1 { width: 2rem; overflow: hidden; white-space: nowrap }",
		"cuts “User name” off below": "label { display: block; height: 0.5rem; overflow: clip }", "scrolls sideways": ".card { overflow-x: auto } .card h1 { white-space: nowrap; width: 60rem }",
		"stands outside": ".card h1 { position: relative; left: -20rem }",
	} {
		b.eval(fmt.Sprintf(`(() => { const s = new CSSStyleSheet(); s.replaceSync(%q); document.adoptedStyleSheets = [s]; return 0 })()`, css))
		if found := fmt.Sprint(b.eval(script(t, "fit.js"))); !strings.Contains(found, what) {
			t.Errorf("%s was not found: %s", what, found)
		}
	}
	b.eval(`document.adoptedStyleSheets = []; 0`)
	time.Sleep(sinceResized)
	moved, err := "", error(nil)
	for tries := 0; moved == "" && err == nil && tries < 20; tries++ { // a slow machine takes a while to paint it
		b.eval(`document.querySelector(".card").prepend(Object.assign(document.createElement("p"), { textContent: "late" })); 0`)
		moved, err = chromedp.Run(b.ctx, chromedp.Evaluate[string](shifts, chromedp.EvalAwaitPromise))
	}
	if err != nil || moved == "" {
		t.Errorf("a page that moved is taken for one that stands: %v", err)
	}
}

// wire adds up what goes over it: the bytes of the answers as they are sent, heads included.
type wire struct {
	mu    sync.Mutex
	bytes float64
	of    map[network.RequestID]string
	all   []string
}

func (b *tab) metered() *wire {
	b.t.Helper()
	w := &wire{of: map[network.RequestID]string{}}
	do(b, network.Enable, network.EnableParams{})
	err := chromedp.Listen(b.ctx, func(ev any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := ev.(type) {
		case *network.EventRequestWillBeSent:
			w.of[e.RequestID] = e.Request.Method + " " + strings.TrimPrefix(e.Request.URL, b.url)
		case *network.EventLoadingFinished:
			w.bytes += e.EncodedDataLength
			w.all = append(w.all, fmt.Sprintf("%.0f %.50s", e.EncodedDataLength, w.of[e.RequestID]))
		}
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// take is what came since the last time, in kilobytes.
func (w *wire) take() (kb float64, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kb, what = w.bytes/1000, strings.Join(w.all, ", ")
	w.bytes, w.all = 0, nil
	return kb, what
}

// TestPagesAreLight holds what a clinic on a slow line feels: a first load under 40 KB, a search under 5 KB, and nothing that moves.
func TestPagesAreLight(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	patient := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE mrn = 'QX-900'`)
	for _, page := range []string{"/login", "/patients", patient} {
		b := chromium(t, s.url)
		b.look(variant{})
		time.Sleep(sinceResized)
		w := b.metered()
		if page != "/login" {
			b.has(s, db.RoleClinician)
		}
		b.open(page)
		b.until(settled + `performance.getEntriesByType("navigation")[0].loadEventEnd > 0`)
		b.stands(page)
		kb, what := w.take()
		t.Logf("%s: %.1f KB: %s", page, kb, what)
		if kb > 40 || kb < 10 {
			t.Errorf("%s: the first load is %.1f KB: %s", page, kb, what)
		}
		if page != "/patients" {
			continue
		}
		for _, typed := range []string{"a", "quimbl", "mar"} {
			b.eval(fmt.Sprintf(`(() => { const q = document.getElementById("q"); q.value = %q; q.form.requestSubmit(); window.was = document.getElementById("list"); return 0 })()`, typed))
			b.until(`document.getElementById("list") !== window.was && !document.querySelector(".htmx-request")`)
			kb, what := w.take()
			t.Logf("a search: %.1f KB: %s", kb, what)
			if kb > 5 || kb < 0.3 {
				t.Errorf("a search is %.1f KB: %s", kb, what)
			}
		}
	}
}

// TestTheMainStatesAreInTheTable keeps a renamed state from being left out without a word.
func TestTheMainStatesAreInTheTable(t *testing.T) {
	for _, name := range mainStates {
		if !slices.ContainsFunc(states, func(st state) bool { return st.name == name }) {
			t.Errorf("there is no state %s", name)
		}
	}
}
