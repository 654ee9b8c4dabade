package handlers

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"chartroom/db"
	"chartroom/views"
)

func TestTheAuditByKeyboard(t *testing.T) {
	t.Parallel()
	withAndWithout(t, func(t *testing.T, open func(string) *tab) {
		s := clinic(t)
		zadok := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE mrn = 'QX-900'`)
		viewer := s.as("viewer")
		viewer.get(zadok)
		for range 60 {
			viewer.get("/patients")
		}
		rows := `document.querySelectorAll("table.audit tbody tr").length`
		b := open(s.url)
		b.open("/login")
		b.signIn("admin", password)
		b.until(settled + `location.pathname === "/patients"`)
		b.enter(".avatar")
		b.until(`document.querySelector("#account-menu:popover-open")`)
		b.enter("#account-menu a[href='/admin/audit']")
		b.until(settled + rows + ` === 50 && document.title.startsWith("Audit")`)
		last := `[...document.querySelectorAll("table.audit a")].at(-1).focus(); 0` // fifty rows of links are many to go through
		b.eval(last)
		b.enter("#page-next")
		b.until(settled + rows + ` < 50 && document.getElementById("page-prev")`)
		b.eval(last)
		b.enter("#page-prev")
		b.until(settled + rows + ` === 50`)

		// A patient's page, pasted; what is wrong is said beside its field.
		b.open("/admin/audit")
		b.tabTo("#patient")
		b.press("Quimbleton\r")
		b.until(settled + `document.getElementById("patient-problem") && document.querySelector("#list [role=alert]")`)
		b.want("the address", `location.search`, "")
		b.fill("#patient", s.url+zadok+"\r")
		b.until(settled + rows + ` > 0 && location.search.includes("patient=")`)
		b.want("by whom", `[...document.querySelectorAll("td.who")].some(e => e.innerText === "viewer")`, true)
		b.want("the page is not wider than the window", `document.documentElement.scrollWidth <= innerWidth`, true)
		b.enter("td.whom a")
		b.until(settled + `location.pathname === "` + zadok + `"`)
		b.want("who saw the patient", `document.getElementById("audit").textContent`, "Who saw this patient")
		b.enter("table.audit th a")
		b.until(settled + `location.pathname.startsWith("/admin/audit/events/")`)
		b.want("the event", `document.querySelector("h1").textContent`, "Opened a patient")
		b.want("the patient", `document.querySelector(".people a").getAttribute("href")`, zadok)
	})
}

func TestTheAuditOnAPhone(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	s.as("viewer").get("/patients")
	event := scan[int](s, `SELECT id FROM audit_events WHERE action = 'patient-list'`)
	b := chromium(t, s.url)
	b.as(s, db.RoleAdmin, "/patients")
	b.until(settled + `location.pathname === "/patients"`)
	b.run(chromedp.EmulateViewport(320, 640))
	for _, path := range []string{views.AuditPath, views.AuditPath + "?from=x", views.AuditEventPath(int64(event)), views.UserPath(s.userID("viewer"))} {
		b.open(path)
		b.until(settled + `location.href.endsWith("` + path + `")`)
		b.want(path+" fits", `document.documentElement.scrollWidth <= 320`, true)
		b.want(path+" has labels", `[...document.querySelectorAll("main :is(input:not([type=hidden]), select)")].every(e => e.labels.length === 1)`, true)
		if !strings.Contains(path, "?") {
			b.want(path+" has headings of rows", `document.querySelectorAll("table.audit tbody tr").length === document.querySelectorAll("table.audit tbody th[scope=row]").length`, true)
		}
	}
}
