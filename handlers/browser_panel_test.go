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
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chartroom/db"
)

// inList opens the list in a window of a desktop computer.
func (s *site) inList(t *testing.T, role string) *tab {
	t.Helper()
	b := chromium(t, s.url)
	b.as(s, role, "/patients")
	b.until(settled + `location.pathname === "/patients" && document.querySelector("tbody tr")`)
	return b
}

func (b *tab) window(width, height int64) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1}); err != nil {
		b.t.Fatal(err)
	}
}

// inPanel says that a patient is in the panel, whole, under the address that is theirs.
func inPanel(name string) string {
	return fmt.Sprintf(`!document.getElementById("panel").hidden && document.querySelector("#panel h2 bdi")?.textContent === %q && document.activeElement.id === "panel-title"`, name)
}

const (
	noPanel = `document.getElementById("panel").hidden && !document.querySelector("#panel bdi")`
	nth     = `document.querySelectorAll("#list tbody th > a")[%d]`
)

func (b *tab) rowName(n int) string {
	b.t.Helper()
	return fmt.Sprint(b.eval(fmt.Sprintf(nth+`.innerText`, n)))
}
func (b *tab) clickRow(n int) {
	b.t.Helper()
	b.click(fmt.Sprintf(`#list tbody tr:nth-child(%d) th > a`, n+1))
}

func TestAPatientOpensBesideTheListAndIsAPageOfItsOwn(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)
	b.click("#sort-mrn")
	b.until(`location.search.startsWith("?list=")`)
	list := b.eval(`location.href`)
	title := b.eval(`document.title`)
	b.eval(`window.mark = 1; document.getElementById("list").mark = 1; 0`)

	first, second := b.rowName(0), b.rowName(1)
	b.clickRow(0)
	b.until(inPanel(first))
	b.want("the address is the patient's", `location.pathname === `+fmt.Sprintf(nth, 0)+`.pathname && location.search === ""`, true)
	b.want("the title", `document.title`, "Patient · Test Clinic")
	b.want("one head of the first order", `document.querySelectorAll("h1").length`, 1)
	b.want("no head is skipped", `[...document.querySelectorAll("#panel :is(h1,h2,h3,h4)")].map(h => h.tagName).join("").replace(/^H2(H3)+$/, "ok")`, "ok")
	b.want("the panel's name", `document.getElementById(document.getElementById("panel").getAttribute("aria-labelledby")).textContent`, first)
	b.want("the row is marked", `[...document.querySelectorAll("tr[aria-current=true]")].map(r => r.querySelector("a").innerText).join()`, first)
	b.want("what is on the page is in the panel", `["Names", "Identifiers", "History"].every(h => [...document.querySelectorAll("#panel h3")].some(e => e.textContent.trim() === h)) && document.querySelector('#panel a[href$="/edit"]') !== null`, true)
	b.want("the panel stands beside the list", `document.getElementById("panel").getBoundingClientRect().left >= document.getElementById("list").getBoundingClientRect().right`, true)

	// Another one: the same step of the history.
	steps := b.eval(`history.length`)
	b.clickRow(1)
	b.until(inPanel(second))
	b.want("no further step", `history.length`, steps)
	b.want("the row is marked", `[...document.querySelectorAll("tr[aria-current=true]")].map(r => r.querySelector("a").innerText).join()`, second)

	// Back closes it, and the list was never asked for again.
	b.back()
	b.until(noPanel)
	b.want("the list is the same", `window.mark && document.getElementById("list").mark && location.href`, list)
	b.want("its title", `document.title`, title)
	b.want("the focus is on the row", `document.activeElement.innerText`, second)
	b.want("no row is marked", `document.querySelectorAll("[aria-current]").length`, 0)
	time.Sleep(400 * time.Millisecond) // in which a page that is not the address's would be asked for
	b.want("it stays so", `window.mark && !document.documentElement.hidden && location.href`, list)
	b.want("and the focus", `document.activeElement.innerText`, second)

	// Forward is the page.
	b.eval(`history.forward(), 0`)
	b.until(settled + fmt.Sprintf(`document.querySelector("h1 bdi")?.textContent === %q && !document.getElementById("panel")`, second))
	b.back()
	b.until(settled + `location.search.startsWith("?list=") && document.querySelectorAll("tbody tr").length === 25`)
	b.want("the list's address", `location.href`, list)

	// Loaded again it is the page too.
	b.clickRow(0)
	b.until(inPanel(first))
	b.run(chromedp.Reload())
	b.until(settled + fmt.Sprintf(`document.querySelector("h1 bdi")?.textContent === %q && !document.getElementById("panel")`, first))
	b.back()
	b.until(settled + `location.search.startsWith("?list=") && document.querySelectorAll("tbody tr").length === 25`)

	// By keyboard: Enter opens, Escape and the button close.
	for _, by := range []string{"Escape", "the button"} {
		b.eval(fmt.Sprintf(nth+`.focus(), 0`, 2))
		name := b.rowName(2)
		b.press(kb.Enter)
		b.until(inPanel(name))
		if by == "Escape" {
			b.press(kb.Escape)
		} else {
			b.eval(`document.getElementById("panel-close").focus(), 0`)
			b.press(kb.Enter)
		}
		b.until(noPanel + fmt.Sprintf(` && location.href === %q && document.activeElement.innerText === %q`, list, name))
		time.Sleep(100 * time.Millisecond)
		b.want("the focus after "+by, `document.activeElement.innerText`, name)
	}

	// Each look at a patient is on record, as it is on the page.
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'patient-open' AND outcome = 'success'`); n != 7 {
		t.Errorf("%d patients opened on record, want 7", n)
	}
}

func TestWhatChangesTheListClosesThePanel(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)
	for what, do := range map[string]func(){
		"a search": func() { b.fill("#q", "quimbl") },
		"a sort":   func() { b.click("#sort-birth_date") },
		"a page":   func() { b.click("#page-next") },
	} {
		b.open("/patients")
		name := b.rowName(0)
		b.clickRow(0)
		b.until(inPanel(name))
		do()
		b.until(noPanel + ` && location.search.startsWith("?list=")`)
		b.want("the title after "+what, `/^Patients/.test(document.title)`, true)
		b.want("no row is marked after "+what, `document.querySelectorAll("[aria-current]").length`, 0)
		time.Sleep(100 * time.Millisecond)
		b.want("the list stays after "+what, `!document.documentElement.hidden && location.search.startsWith("?list=")`, true)
	}
}

func TestThePanelIsForPlainClicksInWideWindows(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)
	b.window(1000, 800)
	name := b.rowName(0)
	b.clickRow(0)
	b.until(settled + fmt.Sprintf(`document.querySelector("h1 bdi")?.textContent === %q && !document.getElementById("panel")`, name))
	b.window(1280, 900)
	b.open("/patients")
	for _, key := range []string{"ctrlKey", "shiftKey", "metaKey", "altKey"} {
		b.want("a click with "+key+" is the browser's", fmt.Sprintf(`(() => { let ours; const see = (e) => { ours = e.defaultPrevented; e.preventDefault(); };
			addEventListener("click", see, { once: true }); `+nth+`.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, %s: true })); return ours })()`, 0, key), false)
	}
	b.want("the panel stays shut", noPanel, true)
	// A window that becomes narrow while one is open shows the page.
	b.clickRow(0)
	b.until(inPanel(name))
	b.window(900, 800)
	b.until(settled + fmt.Sprintf(`document.querySelector("h1 bdi")?.textContent === %q && !document.getElementById("panel")`, name))
}

// TestThePanelNeverMixesPatients has answers come late, in the wrong order, refused, and not at all.
func TestThePanelNeverMixesPatients(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	var slow, refuse atomic.Value
	slow.Store("")
	refuse.Store("")
	hold := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := slow.Load().(string); path != "" && r.URL.Path == path {
			<-hold
		}
		if path := refuse.Load().(string); path != "" && r.URL.Path == path {
			s.exec(`DELETE FROM patients WHERE id = $1`, strings.TrimPrefix(path, "/patients/"))
		}
		s.Server.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.url = front.URL
	b := s.inList(t, db.RoleClinician)
	first, second, third := b.rowName(0), b.rowName(1), b.rowName(2)
	path := func(n int) string { return fmt.Sprint(b.eval(fmt.Sprintf(nth+`.pathname`, n))) }

	b.clickRow(0)
	b.until(inPanel(first))
	slow.Store(path(1))
	b.clickRow(1)
	b.until(fmt.Sprintf(`location.pathname === %q && !document.getElementById("panel").hidden`, path(1)))
	b.want("the old patient is gone at once", fmt.Sprintf(`document.getElementById("panel").textContent.includes(%q) || document.querySelector("#panel bdi, #panel dl") !== null || document.title.startsWith("Patient ·")`, first), false)
	b.clickRow(2) // before the second has come
	b.until(inPanel(third))
	close(hold)
	slow.Store("")
	time.Sleep(300 * time.Millisecond)
	b.want("what came late is not shown", inPanel(third)+fmt.Sprintf(` && !document.body.innerHTML.includes("panel-title\">%s") && location.pathname === %q`, second, path(2)), true)

	// Refused: the reason, and nothing of anybody.
	refuse.Store(path(3))
	b.clickRow(3)
	b.until(`document.querySelector("#panel .error h2")?.textContent === "There is nothing here"`)
	refuse.Store("")
	b.until(focused + ` === "panel-title"`) // which comes after what is read out
	b.want("nobody is in the panel", `document.querySelector("#panel bdi")`, nil)
	b.want("the list stays", `document.querySelectorAll("#list tbody tr").length`, 25)
	b.press(kb.Escape)
	b.until(noPanel + ` && location.pathname === "/patients"`)

	// Not there at all.
	b.clickRow(0)
	b.until(inPanel(first))
	front.CloseClientConnections()
	front.Listener.Close()
	b.offline.Store(true)
	b.clickRow(1)
	b.until(`document.getElementById("panel-title")?.textContent.includes("could not be reached")`)
	b.want("nobody is in the panel", `document.querySelector("#panel bdi")`, nil)
	b.click("#panel-close")
	b.until(noPanel + ` && location.pathname === "/patients"`)
	b.want("the list stays", `document.querySelectorAll("#list tbody tr").length`, 25)
}

func TestThePanelOfASessionThatEndedShowsNobody(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.inList(t, db.RoleClinician)
	first := b.rowName(0)
	b.clickRow(0)
	b.until(inPanel(first))
	at := fmt.Sprint(b.eval(fmt.Sprintf(nth+`.pathname`, 1)))
	s.exec(`DELETE FROM sessions`)
	b.clickRow(1)
	b.until(`location.pathname === "/login" && document.getElementById("username") && !document.querySelector("table, bdi")`)
	b.want("it leads back to whom was asked for", `new URLSearchParams(location.search).get("next")`, at)
	b.signIn(db.RoleClinician, password)
	b.until(settled + fmt.Sprintf(`location.pathname === %q && document.querySelector("h1 bdi")`, at))
}

func TestThePanelIsAFragmentOfThePatientsOwnAddress(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	b := s.as(db.RoleViewer)
	path := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE mrn = 'QX-900'`)
	panel := b.get(path, "HX-Request", "true", "HX-Request-Type", "partial", "HX-Target", "aside#panel")
	page := b.get(path)
	if panel.status != 200 || strings.Contains(panel.body, "<html") || strings.Contains(panel.body, "<h1") || !strings.Contains(panel.body, `<h2 id="panel-title"`) {
		t.Errorf("the panel: %d %.400s", panel.status, panel.body)
	}
	if !strings.Contains(panel.header.Get("Vary"), "HX-Request") || panel.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", panel.header)
	}
	if !strings.Contains(page.body, "<h1><bdi>") || strings.Contains(page.body, "panel-title") || strings.Contains(panel.body, "/edit") {
		t.Error("the page has the panel's heads, or a viewer is offered to edit")
	}
	for what, p := range map[string]string{"nobody": "/patients/00000000-0000-4000-8000-000000000000", "no id": "/patients/Xyzzy"} {
		a := b.get(p, "HX-Request", "true", "HX-Request-Type", "partial", "HX-Target", "aside#panel")
		if a.status != 404 || !strings.Contains(a.body, `id="panel-title"`) || strings.Contains(a.body, "Xyzzy") || strings.Contains(a.body, `id="list"`) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
}
