package handlers

import (
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"chartroom/db"
)

// media lets a page believe that it is on paper, or that the reader asked their computer for something.
func (b *tab) media(kind string, features ...*emulation.MediaFeature) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind, Features: features}); err != nil {
		b.t.Fatal(err)
	}
}

// list shows somebody the list in a window of that size.
func (b *tab) list(s *site, who string, width, height int64) {
	b.t.Helper()
	b.as(s, who, "/patients")
	b.until(settled + `location.pathname === "/patients" && document.querySelectorAll("tbody tr").length === 25`)
	b.run(chromedp.EmulateViewport(width, height))
}

func TestTheHeadStaysAndHidesNothing(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.list(s, db.RoleClinician, 1024, 768)
	head := `document.querySelector("thead").getBoundingClientRect()`
	b.want("it begins below", head+`.top > 100`, true)
	b.eval(`scrollTo(0, 500); 0`)
	b.want("it stays at the top of the window", `Math.round(`+head+`.top)`, 0)
	// Upwards, as with Shift+Tab: what has the focus is never under it.
	b.want("rows under the head", `[...document.querySelectorAll("tbody th a")].reverse().filter(a => { a.focus(); return a.querySelector("bdi").getBoundingClientRect().top < `+head+`.bottom }).length`, 0)
	for _, width := range []int64{1024, 1280} {
		b.run(chromedp.EmulateViewport(width, 768))
		b.want("no column is cut", `[...document.querySelectorAll("thead th")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth).length + document.querySelectorAll("thead th").length * 100`, 800)
		b.want("each patient is one line of the table", `new Set([...document.querySelectorAll("tbody tr:first-child > *")].map(e => e.getBoundingClientRect().top)).size`, 1)
	}
}

// small are targets under 24 px, but those within sentences and those that are seen only when they have the focus.
const small = `[...document.querySelectorAll("a, button, select, summary, input:not([type=hidden])")].filter(e => e.checkVisibility() && !e.closest(".skip, .unseen"))
	.filter(e => { const r = e.getBoundingClientRect(); return r.width && (r.width < 23.9 || r.height < 23.9) })
	.filter(e => !(e.tagName === "A" && e.parentElement.innerText.trim() !== e.innerText.trim() && getComputedStyle(e).display === "inline")).map(e => e.outerHTML).join("\n")`

func TestNoPageIsWiderThanItsWindow(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	patient := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE mrn = 'QX-900'`)
	b := chromium(t, s.url)
	b.open("/login")
	b.want("small targets at sign-in", small, "")
	b.list(s, db.RoleAdmin, 1280, 800)
	for _, path := range []string{"/patients", patient, patient + "/edit", "/account", "/account/display", "/account/password", "/admin/users", "/admin/users/new", "/admin/audit", "/nothing"} {
		b.open(path)
		b.until(settled + `location.pathname === "` + path + `" && document.querySelector("h1")`)
		for _, width := range []int64{1280, 1024, 768, 375, 320} {
			b.run(chromedp.EmulateViewport(width, 800))
			b.want(path+" is as wide as its window", `document.documentElement.scrollWidth - innerWidth <= 0`, true)
			b.want(path+" has targets of 24 px", small, "")
		}
		b.eval(spacedOut + "(true)")
		b.want(path+" with text spaced out", `document.documentElement.scrollWidth - innerWidth <= 0`, true)
	}
}

func TestNarrowRowsAreStillATable(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.list(s, db.RoleViewer, 375, 800)
	b.want("rows of two lines and more", `getComputedStyle(document.querySelector("tbody tr")).display`, "flex")
	b.want("the list does not scroll sideways", `(e => e.scrollWidth <= e.clientWidth)(document.querySelector(".scroll"))`, true)
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, n := range tree.Nodes {
		if !n.Ignored && n.Role != nil {
			count[strings.Trim(string(n.Role.Value), `"`)]++
		}
	}
	for role, want := range map[string]int{"table": 1, "caption": 1, "row": 26, "columnheader": 8, "rowheader": 25, "cell": 175} {
		if count[role] != want {
			t.Errorf("%d of role %s, want %d: %v", count[role], role, want, count)
		}
	}
}

func TestColoursDensityAndPaper(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	ground, height := `getComputedStyle(document.body).backgroundColor`, `document.querySelector("tbody tr").offsetHeight`
	b.list(s, db.RoleClinician, 1280, 800)
	b.media("", &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "light"})
	light, comfortable := b.eval(ground), b.eval(height).(float64)
	b.media("", &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "dark"})
	dark := b.eval(ground)
	if light == dark {
		t.Errorf("the computer's choice makes no difference: %v", dark)
	}
	choose := func(theme, density string) {
		if a := s.as("clinician").submits("/account/display", url.Values{"theme": {theme}, "density": {density}}); a.status != 303 {
			t.Fatal(a.status, a.body)
		}
		b.open("/patients")
		b.until(settled + `(document.documentElement.dataset.theme ?? "") === "` + theme + `" && document.querySelector("tbody tr")`)
	}
	choose("light", "compact")
	b.want("one's own light, on a dark computer", ground, light)
	if compact := b.eval(height).(float64); compact > comfortable-8 || compact < 24 {
		t.Errorf("a compact row has %v px, a comfortable one %v", compact, comfortable)
	}
	b.media("", &emulation.MediaFeature{Name: "prefers-color-scheme", Value: "light"})
	choose("dark", "")
	b.want("one's own dark, on a light computer", ground, dark)

	b.eval(`document.getElementById("printed").textContent = "earlier"; 0`)
	b.fill("#q", "a")
	b.until(`document.getElementById("printed").textContent.startsWith("Printed by clinician, as of ")`)
	b.open("/patients")
	b.until(settled + `document.querySelector("tbody tr")`)

	b.want("the head of sheets, on a screen", `document.querySelector(".sheet-head").checkVisibility()`, false)
	b.run(chromedp.EmulateViewport(400, 800))
	b.media("print")
	b.want("the head of sheets", `document.querySelector(".sheet-head").innerText.replace(/\s+/g, " ").replace(/\d+ \w+ \d+, [\d:]+/, "NOW")`, "Test Clinic · Patients Printed by clinician, as of NOW")
	b.want("what nobody can press on paper", `[...document.querySelectorAll("header, footer, form, button, .pager, .export")].filter(e => e.checkVisibility()).length`, 0)
	b.want("the table is whole, and its head repeats", `["thead", "tbody tr", "tbody td"].map(s => getComputedStyle(document.querySelector(s)).display).join()`, "table-header-group,table-row,table-cell")
	b.want("ink is dark", `getComputedStyle(document.querySelector("tbody td")).color.match(/[\d.]+/)[0] < 0.4`, true)
	b.click("tbody th a")
	b.until(settled + `location.pathname !== "/patients" && document.querySelector("h1 bdi")`)
	b.want("each sheet names the patient", `document.querySelector(".sheet-head p > bdi").innerText.startsWith(document.querySelector("h1").innerText + " · ")`, true)
}
