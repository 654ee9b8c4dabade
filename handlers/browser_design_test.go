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

// TestWhatARowOffersCoversNothing: what is said where it stands is not seen meanwhile, it stands on the name's line, and on a telephone
// not on the name.
func TestWhatARowOffersCoversNothing(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.list(s, db.RoleClinician, 1280, 800)
	const row = `const row = document.querySelectorAll("tbody tr")[2], name = row.querySelector("th > a"); name.focus();`
	b.until(`document.querySelector("#row-actions")`)
	b.eval(`(() => {` + row + ` return 0 })()`)
	b.until(`document.querySelectorAll("tbody tr")[2].contains(document.getElementById("row-actions"))`)
	ground := `(e => getComputedStyle(e).backgroundColor)`
	b.want("its ground is the row's, which is that of a row pointed at", `(() => {`+row+` return `+ground+`(row) === `+ground+`(document.getElementById("row-actions")) && `+ground+`(row) !== `+ground+`(row.nextElementSibling) })()`, true)
	b.want("the date under it", `getComputedStyle(document.querySelectorAll("tbody tr")[2].querySelector(".updated > time")).visibility`, "hidden")
	b.want("the dates of other rows", `getComputedStyle(document.querySelectorAll("tbody tr")[3].querySelector(".updated > time")).visibility`, "visible")
	b.want("how far from the name's line", `(() => {`+row+` return Math.round(Math.abs(...[name, document.querySelector("#row-actions a")].map(e => {
		const at = document.createElement("span");
		at.style.display = "inline-block";
		e.append(at);
		const y = at.getBoundingClientRect().bottom;
		at.remove();
		return y;
	}).reduce((a, b) => [a - b]))) })()`, 0)
	b.want("the ring is within the row", `(() => {`+row+` const r = name.getBoundingClientRect(), at = row.getBoundingClientRect(), o = parseFloat(getComputedStyle(name).outlineOffset) + 2;
		return r.top - o >= at.top - 0.5 && r.bottom + o <= at.bottom + 0.5 })()`, true)
	b.run(chromedp.EmulateViewport(320, 568))
	b.want("names that it covers", `[...document.querySelectorAll("tbody th > a")].filter(a => { a.focus();
		const name = a.getBoundingClientRect(), over = document.getElementById("row-actions").getBoundingClientRect();
		return over.top < name.bottom - 1 && over.left < name.right }).length`, 0)
}

// TestFiltersFoldAway where there is little room, without JavaScript; elsewhere there is nothing to unfold.
func TestFiltersFoldAway(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.list(s, db.RoleAdmin, 1280, 800)
	seen := func(selector string) string { return `document.querySelector("` + selector + `").checkVisibility()` }
	b.want("wide", seen(".fold")+` + "," + `+seen("#status"), "false,true")
	b.run(chromedp.EmulateViewport(320, 568))
	b.want("narrow", seen(".fold")+` + "," + `+seen("#status"), "true,false")
	b.want("the first patient is seen", `document.querySelector("tbody th").getBoundingClientRect().bottom < innerHeight`, true)
	b.click(".fold summary")
	b.want("unfolded", seen("#status"), true)
	b.open("/admin/audit")
	b.until(settled + `document.querySelector("table.audit")`)
	b.want("the first event is seen", seen("#what")+` + "," + (document.querySelector("tbody th").getBoundingClientRect().bottom < innerHeight)`, "false,true")
	b.open("/admin/audit?what=sign-in")
	b.until(settled + `location.search`)
	b.want("what is set is not hidden", seen("#what"), true)
}

// TestAnErrorOfTheListMarksItsField while the form stays, and until there is none.
func TestAnErrorOfTheListMarksItsField(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := chromium(t, s.url)
	b.list(s, db.RoleClinician, 1280, 800)
	marked := `[...document.querySelectorAll("#search [aria-invalid]")].map(e => e.id + " " + e.getAttribute("aria-describedby")).join()`
	b.until(`typeof htmx === "object"`)
	b.fill("#q", "one two three four five six seven eight nine")
	b.until(`document.getElementById("list-error")`)
	b.want("marked", marked, "q list-error")
	b.fill("#q", "a")
	b.until(`!document.getElementById("list-error")`)
	b.want("and no longer", marked, "")
}

// TestTablesOfUsersHideNothing: in a wide window the page scrolls, not the table in it; in a narrow one each row has all of its cells.
func TestTablesOfUsersHideNothing(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	s.exec(`INSERT INTO users (username, email, password_hash) SELECT 'staff-' || n, 'a-rather-long-address-' || n || '@north-clinic.example', 'x' FROM generate_series(1, 99) n`)
	b := chromium(t, s.url)
	b.list(s, db.RoleAdmin, 1280, 800)
	within := `[...document.querySelectorAll(".scroll")].filter(e => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1).length`
	cut := `[...document.querySelectorAll("tbody tr > *, tbody button")].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth).length`
	for _, path := range []string{"/admin/users", "/account", s.at("admin", "")} {
		b.open(path)
		b.until(settled + `location.pathname === "` + path + `" && document.querySelector("tbody tr")`)
		for _, width := range []int64{1280, 700, 375, 320} {
			b.run(chromedp.EmulateViewport(width, 800))
			b.want(path+" has scrollers of its own", within, 0)
			b.want(path+" cuts", cut, 0)
		}
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
