package handlers

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"chartroom/db"
	"chartroom/views"
)

// The table of everything that there is to be seen: each page in each of its states. What is true of all of them (nothing is cut off,
// no violation, valid HTML) is tested by going through it, and the screenshots are taken so. docs/pages.md says how to add one.

// state is a page as somebody finds it.
type state struct {
	name  string              // of its pictures, too
	as    string              // the role of who is signed in; "" for nobody
	place string              // which of the places it is in; "" is a clinic with patients
	at    func(*stage) string // the address that is opened; nil is the list
	do    func(*stage, *tab)  // what is done there to get to it; nil for nothing
	see   string              // the selector of what is seen in this state and not in the one before it
	only  bool                // scripts make it: without them there is no such state
	upset bool                // the browser's console says on the way that something could not be loaded
}

// Places are sites that differ in more than their data can say.
const (
	placeEmpty = "empty"          // not a single patient
	placeOff   = "sign-in is off" // and whoever comes may read
)

// stage is a site with what the states need, made when the first one asks for it.
type stage struct {
	*site
	made map[string]string
	held chan struct{} // searches wait for its end; nil when they need not
	hold atomic.Bool
}

func newStage(t *testing.T, place string) *stage {
	t.Helper()
	var off *db.SignInOff
	if place == placeOff {
		off = offFor(here)
	}
	g := &stage{site: newSiteOn(t, off), made: map[string]string{}, held: make(chan struct{})}
	mux := g.mux()
	mux.Handle("GET /provoked", g.serve(route{pattern: "GET /provoked", access: public, off: asEver, handle: func(http.ResponseWriter, *http.Request) error { panic("provoked") }}))
	site := g.middleware(mux)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.hold.Load() && r.URL.Path == views.SearchPath {
			select {
			case <-g.held:
			case <-r.Context().Done():
			}
		}
		site.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(g.held) }) // before the server waits for what it still answers
	g.url = server.URL
	if place != placeEmpty {
		g.fill(80)
	}
	return g
}

// once makes something when it is first asked for.
func (g *stage) once(name string, make func() string) string {
	if _, ok := g.made[name]; !ok {
		g.made[name] = make()
	}
	return g.made[name]
}

func (g *stage) patientOf(mrn string) string {
	return views.PatientPath(scan[string](g.site, `SELECT id::text FROM patients WHERE mrn = $1`, mrn))
}

// rich is the page of a patient with something in every section.
func (g *stage) rich() string {
	return g.once("rich", func() string {
		g.load(`{"resourceType":"Patient","id":"rich","active":true,"name":[{"use":"official","family":"Quimbleton-Featherstonehaugh","given":["Zadok","Bartholomäus"],"prefix":["Dr."]},` +
			`{"use":"maiden","family":"Quibble"},{"use":"nickname","given":["Zad"]},{"use":"official","text":"زادوك القمبلتوني"}],"gender":"male","birthDate":"1974-12-25",` +
			`"identifier":[{"type":{"coding":[{"code":"MR"}],"text":"Medical record number"},"value":"QX-900"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-12-3456"},` +
			`{"system":"urn:oid:2.16.840.1.113883.2.4.6.3.1234567890.0987654321","value":"a-very-long-identifier-without-a-place-to-break-0123456789-0123456789"}],` +
			`"telecom":[{"system":"phone","value":"555-0100","use":"home"},{"system":"email","value":"zadok.bartholomaeus.quimbleton-featherstonehaugh@ward-seven.example"}],` +
			`"address":[{"use":"home","line":["17 Thistledown Crescent","Flat 4"],"city":"Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch","postalCode":"LL61 5UJ","country":"Wales"}],` +
			`"contact":[{"relationship":[{"text":"Mother"}],"name":{"family":"Quimbleton","given":["Anjali"]},"telecom":[{"system":"phone","value":"555-0101"}]}],` +
			`"maritalStatus":{"text":"Married"},"communication":[{"language":{"text":"Welsh"},"preferred":true}],"generalPractitioner":[{"display":"Dr. Pennyfeather"}]}`)
		return g.patientOf("QX-900")
	})
}

// bare is one of whom next to nothing is known.
func (g *stage) bare() string {
	return g.once("bare", func() string {
		g.load(`{"resourceType":"Patient","id":"bare"}`)
		return views.PatientPath(scan[string](g.site, `SELECT id::text FROM patients WHERE import_key LIKE '%bare'`))
	})
}

// disputed is one of whom an import brought other data than were typed here.
func (g *stage) disputed() string {
	return g.once("disputed", func() string {
		const resource = `{"resourceType":"Patient","id":"disputed","name":[{"family":"Larkmoor","given":[%q]}],"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"DX-1"}],"birthDate":"1961-02-03","telecom":[{"system":"phone","value":%q},{"system":"phone","value":"555-0113"}]}`
		g.load(fmt.Sprintf(resource, "Odile", "555-0110"))
		path := g.patientOf("DX-1")
		g.change(path, "phone", "555-0111", "city", "Netherby")
		g.load(fmt.Sprintf(resource, "Odile Marie", "555-0112"))
		return path
	})
}

// unseen is one of whom an import changed, and another brought, what the page does not show.
func (g *stage) unseen() string {
	return g.once("unseen", func() string {
		const resource = `{"resourceType":"Patient","id":"unseen","name":[{"family":"Larkmoor","given":["Ottilie"]}],"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"UX-1"}],"photo":[{"title":%q}]}`
		g.load(fmt.Sprintf(resource, "one"))
		g.load(fmt.Sprintf(resource, "two"))
		path := g.patientOf("UX-1")
		g.exec(`INSERT INTO patient_conflicts (patient_id, import_id, last_id, resource, resource_sha) SELECT patient_id, 12, 12, replace(resource::text, 'two', 'three')::json, '' FROM patient_resources WHERE patient_id = $1`,
			strings.TrimPrefix(path, "/patients/"))
		return path
	})
}

// ancient is one with more versions than the page has.
func (g *stage) ancient() string {
	return g.once("ancient", func() string {
		g.load(patientJSON("ancient", "Wexcombe", "Ignatia", "CX-2", "1930-05-05"))
		path := g.patientOf("CX-2")
		g.exec(`INSERT INTO patient_versions (patient_id, version, recorded, resource, resource_sha)
			SELECT patient_id, 1 - i, now() - i * interval '1 day', resource, '' FROM patient_resources, generate_series(1, 60) i WHERE patient_id = $1`,
			strings.TrimPrefix(path, "/patients/"))
		return path
	})
}

// changed is one with more versions than are shown at once.
func (g *stage) changed() string {
	return g.once("changed", func() string {
		g.load(patientJSON("changed", "Wexcombe", "Perpetua", "CX-1", "1950-05-05"))
		path := g.patientOf("CX-1")
		for i := range 7 {
			g.change(path, "phone", fmt.Sprintf("555-01%02d", i), "city", fmt.Sprintf("Netherby Ward %d", i))
		}
		return path
	})
}

// twins are two whose names are the same, and a third whose name is written much alike.
func (g *stage) twins() string {
	return g.once("twins", func() string {
		g.load(patientJSON("t1", "Quillfeather", "Marisol", "TX-1", "1954-03-06") + patientJSON("t2", "Quillfeather", "Marisol", "TX-2", "1964-03-06") +
			patientJSON("t3", "Quilfeather", "Marisol", "TX-3", "1954-03-06") +
			patientJSON("t4", "Quillfeather", "Ottoline", "A-NUMBER-THAT-IS-LONG-0123456789-0123456789", "1954-03-06"))
		return ""
	})
}

// opened has the clinician open two patients; it answers the list's address.
func (g *stage) opened() string {
	g.once("opened", func() string {
		b := g.as(db.RoleClinician)
		b.get(g.rich())
		b.get(g.bare())
		return ""
	})
	return views.PatientsPath("")
}

// opensPanel opens the second patient of the list; where there is no room beside it, that is their page.
func opensPanel(_ *stage, b *tab) {
	b.until(settled + `typeof htmx === "object" && document.querySelectorAll("#list tbody th > a").length > 1`)
	b.eval(`document.querySelectorAll("#list tbody th > a")[1].click(); 0`)
}

// change is a change that somebody else makes: an administrator.
func (g *stage) change(path string, typed ...string) {
	g.t.Helper()
	b := g.as(db.RoleAdmin)
	if a := b.send(path, b.get(path+"/edit"), typed...); a.status != http.StatusSeeOther {
		g.t.Fatalf("%d\n%.500s", a.status, a.body)
	}
}

// account makes a user, and what else the statement says of them, whose name is $1; it answers the address of their page.
func (g *stage) account(name, sql string) string {
	return g.once("user "+name, func() string {
		g.exec(`INSERT INTO users (username, password_hash, role, email) VALUES ($1, $2, 'clinician', $3)`, name, passwordHash, name+"@ward.example")
		if sql != "" {
			g.exec(sql, name)
		}
		return views.UserPath(g.userID(name))
	})
}

// link is an invitation, or with reset a link for a new password.
func (g *stage) link(name, as string) string {
	return g.once("link "+name, func() string {
		by, ctx := db.By{Shell: "test"}, context.Background()
		var l db.Link
		var err error
		if as == db.LinkReset {
			g.account(name, "")
			l, err = g.DB.MakeLink(ctx, by, db.UserRef{Name: name})
		} else {
			_, l, err = g.DB.InviteUser(ctx, by, db.NewUser{Username: name, Role: db.RoleViewer})
		}
		if err != nil {
			g.t.Fatal(err)
		}
		return views.InvitePath(l.Token)
	})
}

// events makes the audit long enough for pages, with all that there is in it.
func (g *stage) events() string {
	return g.once("events", func() string {
		b := g.as(db.RoleViewer)
		for range 55 {
			b.get(views.AuditPath) // refused
			b.get(views.PatientsPath(""))
		}
		b.get(g.rich())
		g.browser().post("/login", "username", "nobody", "password", "not the password")
		g.exec(`INSERT INTO audit_events (action, outcome, actor_id, actor, patients) SELECT 'patient-list', 'success', id, username,
			ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 300)) FROM users WHERE username = $1`, db.RoleViewer) // patients who are gone
		return ""
	})
}

func (g *stage) event(where string) string {
	g.events()
	return views.AuditEventPath(scan[int64](g.site, `SELECT max(id) FROM audit_events WHERE `+where))
}

func fixed(path string) func(*stage) string { return func(*stage) string { return path } }

// submit fills a form in the page and sends it; names and values in turn.
func (b *tab) submit(form string, fields ...string) {
	b.t.Helper()
	b.until(settled + fmt.Sprintf(`document.querySelector(%q)`, form))
	js := fmt.Sprintf(`const f = document.querySelector(%q);`, form)
	for i := 0; i < len(fields); i += 2 {
		js += fmt.Sprintf(`f.elements[%q].value = %q;`, fields[i], fields[i+1])
	}
	b.eval(`(() => {` + js + ` f.requestSubmit(); return 0 })()`)
}

func submits(form string, fields ...string) func(*stage, *tab) {
	return func(_ *stage, b *tab) { b.submit(form, fields...) }
}

func clicks(selector string) func(*stage, *tab) {
	return func(_ *stage, b *tab) {
		b.until(settled + fmt.Sprintf(`document.querySelector(%q)`, selector))
		b.click(selector)
	}
}

// searches types into the list's search and waits for what is found.
func searches(text string) func(*stage, *tab) {
	return func(g *stage, b *tab) {
		g.twins()
		g.rich()
		b.until(settled + `document.getElementById("q")`)
		b.submit("#search", "q", text)
		b.until(`location.search.includes("list=")`)
	}
}

// presses has the submit button of a form with a name and value of its own pressed.
func presses(selector string) func(*stage, *tab) {
	return func(_ *stage, b *tab) {
		b.until(settled + fmt.Sprintf(`document.querySelector(%q)`, selector))
		b.eval(fmt.Sprintf(`document.querySelector(%q).click(); 0`, selector))
	}
}

func then(all ...func(*stage, *tab)) func(*stage, *tab) {
	return func(g *stage, b *tab) {
		for _, f := range all {
			f(g, b)
		}
	}
}

// idles has all sessions end soon, and the page notice it.
func idles(sql string) func(*stage, *tab) {
	return func(g *stage, b *tab) {
		b.until(settled + `document.getElementById("idle")`)
		g.exec(sql)
		b.wake()
	}
}

const (
	idleSoon = `UPDATE sessions SET last_seen_at = now() - interval '15 minutes' + interval '50 seconds'`
	endsSoon = `UPDATE sessions SET expiry = now() + interval '50 seconds'`
)

// aged makes the password be asked for again.
func aged(next func(*stage, *tab)) func(*stage, *tab) {
	return func(g *stage, b *tab) {
		b.until(settled + `document.querySelector("main")`)
		g.stale()
		next(g, b)
	}
}

// blocked has sign-ins from here wait.
func blocked(next func(*stage, *tab)) func(*stage, *tab) {
	return func(g *stage, b *tab) {
		b.until(settled + `document.querySelector("main")`)
		for range 6 { // the throttle's own way: attempts that are counted before the password is looked at
			g.exec(`UPDATE sign_in_throttle SET failures = 30, blocked_until = now() + interval '1 hour'`)
			if scan[int](g.site, `SELECT count(*) FROM sign_in_throttle`) > 0 {
				break
			}
			next(g, b)
			b.until(settled + `document.querySelector("main [role=alert]")`)
		}
		next(g, b)
	}
}

// states is the table. A name is said once, with words between hyphens.
var states = []state{
	// Before somebody is signed in.
	{name: "sign-in", at: fixed("/login"), see: "#username"},
	{name: "sign-in-after-idling", at: fixed("/login?reason=timeout&next=%2Fpatients"), see: ".note"},
	{name: "sign-in-refused", at: fixed("/login"), do: submits("main form", "username", "nobody", "password", "not the password"), see: "#login-error"},
	{name: "sign-in-too-often", at: fixed("/login"), do: blocked(submits("main form", "username", "nobody", "password", "not the password")), see: "#login-error"},
	{name: "sign-in-password-shown", at: fixed("/login"), do: func(_ *stage, b *tab) {
		b.until(settled + `document.querySelector("[data-shows]:not([hidden])")`)
		b.fill("#password", password)
		b.click("[data-shows]")
	}, see: `[data-shows][aria-pressed="true"]`, only: true},
	{name: "invitation", at: func(g *stage) string { return g.link("zoe", db.LinkInvite) }, see: "#password"},
	{name: "invitation-suggested", at: func(g *stage) string { return g.link("zoe", db.LinkInvite) }, do: presses(`button[name="suggest"]`), see: "#password-suggested"},
	{name: "invitation-error", at: func(g *stage) string { return g.link("zoe", db.LinkInvite) }, do: submits("main form", "password", "short"), see: "#password-problem"},
	{name: "invitation-reset", at: func(g *stage) string { return g.link("ada", db.LinkReset) }, see: "#password"},
	{name: "invitation-over", at: fixed("/invite/none"), see: "main h1"},
	{name: "error-404-nobody", at: fixed("/nowhere"), see: ".request"},
	{name: "error-500", at: fixed("/provoked"), see: ".request", upset: true},

	// The list.
	{name: "list", as: db.RoleClinician, see: "#page-next"},
	{name: "list-viewer", as: db.RoleViewer, see: "#page-next"},
	{name: "list-empty", as: db.RoleClinician, place: placeEmpty, see: ".empty"},
	{name: "list-middle", as: db.RoleClinician, do: clicks("#page-next"), see: "#page-prev"},
	{name: "list-last", as: db.RoleClinician, do: clicks("#page-last"), see: "#page-prev"},
	{name: "list-sorted", as: db.RoleClinician, do: then(clicks("#sort-birth_date"), func(_ *stage, b *tab) {
		b.until(`document.querySelector("th[aria-sort] a").id === "sort-birth_date"`)
		b.click("#sort-birth_date")
	}), see: `th[aria-sort="descending"] #sort-birth_date`},
	{name: "list-found", as: db.RoleClinician, do: searches("mar"), see: "tbody .match"},
	{name: "list-found-sorted", as: db.RoleClinician, do: then(searches("mar"), clicks("#sort-mrn")), see: "#sort-best"},
	{name: "list-similar", as: db.RoleClinician, do: searches("quillfeather"), see: ".similar"},
	{name: "list-similar-only", as: db.RoleClinician, do: searches("quillfethr"), see: ".meant ~ .similar"},
	{name: "list-none", as: db.RoleClinician, do: searches("xyzzy"), see: ".empty"},
	{name: "list-filtered", as: db.RoleClinician, do: submits("#search", "status", "active", "gender", "female", "born_from", "1930-01-01", "born_to", "1999-12-31"), see: `body:has(#status option:checked:not([value=""])) #list table`},
	{name: "list-error", as: db.RoleClinician, do: submits("#search", "q", "one two three four five six seven eight nine ten"), see: "#list [role=alert]"},
	{name: "list-address-error", as: db.RoleClinician, at: fixed("/patients?list=made-up"), see: "#list [role=alert]"},
	{name: "list-fragment-error", as: db.RoleClinician, do: submits("#search", "q", "mar", "csrf_token", "old"), see: "#list .request", only: true},
	{name: "list-loading", as: db.RoleClinician, do: func(g *stage, b *tab) {
		b.until(settled + `typeof htmx === "object"`)
		g.hold.Store(true)
		b.submit("#search", "q", "mar")
		time.Sleep(700 * time.Millisecond) // what shows that it takes long is seen after 300 ms, and fades in
	}, see: `#list[aria-busy="true"]`, only: true},
	{name: "list-offline", as: db.RoleClinician, do: func(_ *stage, b *tab) {
		b.until(settled + `typeof htmx === "object"`)
		b.network(false)
		b.click("#sort-mrn")
	}, see: "#notice:not(:empty)", only: true, upset: true},
	{name: "list-skip-link", as: db.RoleClinician, do: func(_ *stage, b *tab) {
		b.until(settled + `document.querySelector(".skip")`)
		b.press(kb.Tab)
	}, see: ".skip:focus"},
	{name: "menu", as: db.RoleClinician, do: clicks(".avatar"), see: "#account-menu:popover-open"},
	{name: "menu-recent", as: db.RoleClinician, at: (*stage).opened, do: clicks(".avatar"), see: "#account-menu:popover-open #recent a", only: true},
	{name: "list-row-actions", as: db.RoleClinician, do: func(_ *stage, b *tab) {
		b.until(settled + `document.querySelector("#row-actions")`)
		b.eval(`document.querySelector("#list tbody th > a").focus(); 0`)
	}, see: "#list tbody tr:focus-within #row-actions:not([hidden])", only: true},
	{name: "panel", as: db.RoleClinician, do: opensPanel, see: "#panel:not([hidden]) h2 bdi, .person h1", only: true},
	{name: "panel-admin", as: db.RoleAdmin, do: opensPanel, see: "#panel:not([hidden]) h2 bdi, .person h1", only: true},
	{name: "panel-error", as: db.RoleClinician, do: func(g *stage, b *tab) {
		b.until(settled + `document.querySelector("#list tbody th > a")`)
		b.eval(`document.querySelector("#list tbody th > a").href = "/patients/00000000-0000-4000-8000-000000000000"; 0`)
		b.eval(`document.querySelector("#list tbody th > a").click(); 0`)
	}, see: "#panel .error, main .request, main h1:not(:only-child)", only: true},
	{name: "help-dialog", as: db.RoleClinician, do: func(_ *stage, b *tab) {
		b.until(settled + `typeof htmx === "object" && document.getElementById("help")`)
		b.key("?")
	}, see: "#help[open] #help-title", only: true},
	{name: "help", as: db.RoleClinician, at: fixed("/help"), see: ".keys"},
	{name: "help-nobody", at: fixed("/help"), see: ".keys"},
	{name: "recent", as: db.RoleClinician, at: func(g *stage) string { g.opened(); return views.RecentPath }, see: ".recent a"},
	{name: "recent-none", as: db.RoleAdmin, place: placeEmpty, at: fixed(views.RecentPath), see: "main h1"},
	{name: "menu-admin", as: db.RoleAdmin, do: clicks(".avatar"), see: "#account-menu:popover-open"},
	{name: "idle", as: db.RoleClinician, do: idles(idleSoon), see: "#idle[open]", only: true},
	{name: "idle-final", as: db.RoleClinician, do: idles(endsSoon), see: "#idle[open] #idle-until:not([hidden])", only: true},
	{name: "idle-offline", as: db.RoleClinician, do: then(idles(idleSoon), func(_ *stage, b *tab) {
		b.until(asking)
		b.network(false)
		b.press(kb.Enter)
	}), see: "#idle-problem:not(:empty)", only: true, upset: true},
	{name: "idle-over-offline", as: db.RoleClinician, do: func(g *stage, b *tab) {
		b.until(settled + `document.getElementById("idle")`)
		g.exec(`UPDATE sessions SET last_seen_at = now() - interval '15 minutes' + interval '4 seconds'`)
		b.wake()
		b.until(asking)
		b.network(false)
	}, see: "main .card.narrow", only: true, upset: true},

	// A patient.
	{name: "patient", as: db.RoleClinician, at: (*stage).rich, see: "h1 bdi"},
	{name: "patient-viewer", as: db.RoleViewer, at: (*stage).rich, see: "h1 bdi"},
	{name: "patient-admin", as: db.RoleAdmin, at: (*stage).rich, see: "#audit"},
	{name: "patient-namesakes", as: db.RoleClinician, at: func(g *stage) string { g.twins(); return g.patientOf("TX-1") }, see: ".namesakes a"},
	{name: "patient-bare", as: db.RoleClinician, at: (*stage).bare, see: "h1 bdi"},
	{name: "patient-saved", as: db.RoleClinician, at: func(g *stage) string { return g.rich() + "?notice=saved" }, see: ".note.done"},
	{name: "patient-conflict", as: db.RoleClinician, at: (*stage).disputed, see: `.ask button[value="take"]`},
	{name: "patient-conflict-viewer", as: db.RoleViewer, at: (*stage).disputed, see: ".ask"},
	{name: "patient-conflict-unseen", as: db.RoleClinician, at: (*stage).unseen, see: ".ask .not-shown"},
	{name: "patient-history-cut", as: db.RoleClinician, at: (*stage).ancient, do: clicks(".history summary"), see: ".history details[open]"},
	{name: "patient-history", as: db.RoleClinician, at: (*stage).changed, do: clicks(".history summary"), see: ".history details[open]"},

	// A patient's form.
	{name: "new-patient", as: db.RoleClinician, at: fixed("/patients/new"), see: "#family"},
	{name: "new-patient-error", as: db.RoleClinician, at: fixed("/patients/new"), do: submits("form.fields", "birth_date", "31.02.1999", "email", "nope", "deceased_on", "1.2.1999"), see: ".summary"},
	{name: "new-patient-duplicates", as: db.RoleClinician, at: func(g *stage) string {
		g.exec(`DELETE FROM drafts`) // one that was kept here says that these were seen, and would be saved
		return "/patients/new"
	}, do: func(g *stage, b *tab) {
		g.twins()
		b.submit("form.fields", "family", "Quillfeather", "given", "Marisol", "birth_date", "1954-03-06", "mrn", "TX-2")
	}, see: ".ask table"},
	{name: "edit", as: db.RoleClinician, at: func(g *stage) string { return g.rich() + "/edit" }, see: "#family"},
	{name: "edit-error", as: db.RoleClinician, at: func(g *stage) string { return g.rich() + "/edit" }, do: submits("form.fields", "birth_date", "31.02.1999"), see: "#birth_date-problem"},
	{name: "edit-two-versions", as: db.RoleClinician, at: func(g *stage) string { return g.changed() + "/edit" }, do: func(g *stage, b *tab) {
		b.until(settled + `document.getElementById("family")`)
		g.change(g.changed(), "phone", fmt.Sprintf("555-01%02d", scan[int](g.site, `SELECT max(version) FROM patients`)%100), "state", fmt.Sprintf("Ward %d", scan[int](g.site, `SELECT max(version) FROM patients`)))
		b.submit("form.fields", "phone", "555 0199", "email", "perpetua@ward.example")
	}, see: ".ask tr.both"},
	{name: "edit-cannot-be-saved", as: db.RoleClinician, at: func(g *stage) string { return g.changed() + "/edit" }, do: func(g *stage, b *tab) {
		g.once("deadlock", func() string {
			g.exec(`CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END$$`)
			g.exec(`CREATE TRIGGER deadlock BEFORE INSERT ON name_words FOR EACH ROW WHEN (NEW.word = 'unheardof') EXECUTE FUNCTION deadlock()`)
			return ""
		})
		b.submit("form.fields", "family", "Unheardof")
	}, see: "main .error[role=alert]", upset: true},
	{name: "edit-draft", as: db.RoleClinician, at: func(g *stage) string { return g.changed() + "/edit" }, do: func(g *stage, b *tab) {
		b.until(settled + `document.getElementById("family")`)
		clinician, path := g.as(db.RoleClinician), g.changed()
		clinician.post(path+"/draft", pairs(clinician.get(path+"/edit").fields(), "city", "Overby")...)
		g.change(path, "country", fmt.Sprintf("Country %d", scan[int](g.site, `SELECT max(version) FROM patients`)))
		b.run(chromedp.Reload())
	}, see: "#typed-before"},
	{name: "edit-draft-not-kept", as: db.RoleClinician, at: func(g *stage) string { return g.rich() + "/edit" }, do: func(_ *stage, b *tab) {
		b.until(settled + `document.getElementById("city")`)
		b.eval(`document.querySelector("form.fields [name=csrf_token]").value = "old"; 0`)
		b.retype("city", "Overby")
	}, see: "#draft:not(:empty)", only: true},

	// The own account.
	{name: "account", as: db.RoleViewer, at: fixed("/account"), see: "#sessions"},
	{name: "account-sessions", as: db.RoleClinician, at: func(g *stage) string {
		g.once("elsewhere", func() string {
			g.session(db.RoleClinician)
			g.enter(db.RoleClinician)
			return ""
		})
		g.browser().post("/login", "username", db.RoleClinician, "password", "not the password") // since the last sign-in, which each session is
		return "/account"
	}, see: ".warning"},
	{name: "display", as: db.RoleClinician, at: fixed("/account/display"), see: "#density"},
	{name: "display-saved", as: db.RoleClinician, at: fixed("/account/display?notice=saved"), see: ".note.done"},
	{name: "account-notice", as: db.RoleViewer, at: fixed("/account?notice=email"), see: ".note.done"},
	{name: "account-error", as: db.RoleViewer, at: fixed("/account"), do: submits(`form[action="/account/email"]`, "email", "no address"), see: "#email-problem"},
	{name: "password", as: db.RoleViewer, at: fixed("/account/password"), see: "#new"},
	{name: "password-weak", as: db.RoleViewer, at: fixed("/account/password?next=%2Fpatients"), see: ".note"},
	{name: "password-suggested", as: db.RoleViewer, at: fixed("/account/password"), do: presses(`button[name="suggest"]`), see: "#new-suggested"},
	{name: "password-error", as: db.RoleViewer, at: fixed("/account/password"), do: submits("main form", "current_password", password, "new_password", "short"), see: "#new-problem"},
	{name: "password-wrong", as: db.RoleViewer, at: fixed("/account/password"), do: submits("main form", "current_password", "not the password", "new_password", "eleven copper lanterns"), see: "#current-problem"},
	{name: "password-too-often", as: db.RoleViewer, at: fixed("/account/password"), do: blocked(submits("main form", "current_password", "not the password", "new_password", "eleven copper lanterns")), see: "main p.error"},
	{name: "confirm", as: db.RoleViewer, at: fixed("/account"), do: aged(submits(`form[action="/account/email"]`, "email", "a@ward.example")), see: `form[action="/confirm"]`},
	{name: "confirm-error", as: db.RoleViewer, at: fixed("/account"), do: then(aged(submits(`form[action="/account/email"]`, "email", "a@ward.example")),
		submits(`form[action="/confirm"]`, "password", "not the password")), see: "#password-problem"},
	{name: "confirm-export", as: db.RoleAdmin, at: fixed("/admin/audit"), do: aged(presses(`button[value="csv"]`)), see: `form[action="/confirm"]`},

	// Users.
	{name: "users", as: db.RoleAdmin, at: func(g *stage) string {
		g.account("disabled", `UPDATE users SET is_active = false WHERE username = $1`)
		g.link("zoe", db.LinkInvite)
		g.link("ada", db.LinkReset)
		g.locked()
		return "/admin/users"
	}, see: ".status.waiting"},
	{name: "users-many", as: db.RoleAdmin, at: func(g *stage) string {
		g.once("many", func() string {
			g.exec(`INSERT INTO users (username, password_hash, role) SELECT 'user-' || i, 'x', 'viewer' FROM generate_series(100, 320) i`)
			return ""
		})
		return "/admin/users"
	}, see: ".pager form"},
	{name: "users-next", as: db.RoleAdmin, at: fixed("/admin/users"), do: submits(".pager form"), see: ".pager a"},
	{name: "users-found", as: db.RoleAdmin, at: fixed("/admin/users"), do: submits("#search", "q", "clin"), see: ".pager a"},
	{name: "users-none", as: db.RoleAdmin, at: fixed("/admin/users"), do: submits("#search", "q", "xyzzy"), see: ".empty"},
	{name: "new-user", as: db.RoleAdmin, at: fixed("/admin/users/new"), see: "#username"},
	{name: "new-user-error", as: db.RoleAdmin, at: fixed("/admin/users/new"), do: submits("main form", "username", "viewer", "email", "v@ward.example"), see: "#username-problem"},
	{name: "new-user-email-error", as: db.RoleAdmin, at: fixed("/admin/users/new"), do: submits("main form", "username", "bob", "email", "no address"), see: "#email-problem"},
	{name: "new-user-link", as: db.RoleAdmin, at: fixed("/admin/users/new"), do: func(g *stage, b *tab) {
		b.submit("main form", "username", fmt.Sprintf("newcomer-%d", scan[int](g.site, `SELECT max(id) FROM users`)))
	}, see: "#link"},
	{name: "user", as: db.RoleAdmin, at: func(g *stage) string { g.events(); g.session(db.RoleViewer); return g.at(db.RoleViewer, "") }, see: `form[action$="/end-sessions"]`},
	{name: "user-own", as: db.RoleAdmin, at: func(g *stage) string { return g.at(db.RoleAdmin, "") }, see: ".person .facts"},
	{name: "user-disabled", as: db.RoleAdmin, at: func(g *stage) string {
		return g.account("disabled", `UPDATE users SET is_active = false WHERE username = $1`)
	}, see: `form[action$="/enable"]`},
	{name: "user-locked", as: db.RoleAdmin, at: (*stage).locked, see: ".status.locked"},
	{name: "user-invited", as: db.RoleAdmin, at: func(g *stage) string { g.link("zoe", db.LinkInvite); return g.at("zoe", "") }, see: ".status.waiting"},
	{name: "user-notice", as: db.RoleAdmin, at: func(g *stage) string { return g.at(db.RoleViewer, "") + "?notice=unlocked" }, see: ".note.done"},
	{name: "user-error", as: db.RoleAdmin, at: func(g *stage) string { return g.at(db.RoleAdmin, "") }, do: submits(`form[action$="/disable"]`), see: ".card .error[role=alert]"},
	{name: "user-role-error", as: db.RoleAdmin, at: func(g *stage) string { return g.at(db.RoleAdmin, "") }, do: submits(`form[action$="/role"]`, "role", "viewer"), see: "#role-problem"},
	{name: "user-new-link", as: db.RoleAdmin, at: func(g *stage) string { return g.account("bob", "") }, do: submits(`form[action$="/link"]`), see: "#link"},

	// The audit.
	{name: "audit", as: db.RoleAdmin, at: func(g *stage) string { g.events(); return "/admin/audit" }, see: "#page-next"},
	{name: "audit-older", as: db.RoleAdmin, at: func(g *stage) string { g.events(); return "/admin/audit" }, do: clicks("#page-next"), see: "#page-prev"},
	{name: "audit-filtered", as: db.RoleAdmin, at: func(g *stage) string {
		g.events()
		return views.AuditPath + "?patient=" + strings.TrimPrefix(g.rich(), "/patients/") + "&user=" + strconv.Itoa(g.userID(db.RoleViewer))
	}, see: "#who-only"},
	{name: "audit-by-action", as: db.RoleAdmin, at: func(g *stage) string { g.events(); return "/admin/audit?what=sign-in" }, see: `#what option:checked:not([value=""])`},
	{name: "audit-empty", as: db.RoleAdmin, at: fixed("/admin/audit?from=2001-01-01&to=2001-01-02"), see: ".empty"},
	{name: "audit-error", as: db.RoleAdmin, at: fixed("/admin/audit"), do: func(_ *stage, b *tab) {
		b.submit("#search", "who", "xyzzy", "patient", "no address", "from", "2030-01-02", "to", "2030-01-01")
	}, see: "#patient-problem"},
	{name: "audit-address-error", as: db.RoleAdmin, at: fixed("/admin/audit?what=made-up"), see: ".request"},
	{name: "event", as: db.RoleAdmin, at: func(g *stage) string {
		return g.event(`action = 'patient-list' AND cardinality(patients) BETWEEN 20 AND 100`)
	}, see: ".people"},
	{name: "event-patients-gone", as: db.RoleAdmin, at: func(g *stage) string { return g.event(`cardinality(patients) = 300`) }, see: ".people .none"},
	{name: "event-refused", as: db.RoleAdmin, at: func(g *stage) string { return g.event(`outcome = 'refused'`) }, see: ".status.locked"},

	// What cannot be.
	{name: "error-403", as: db.RoleViewer, at: fixed("/admin/users"), see: ".request"},
	{name: "error-404", as: db.RoleClinician, at: fixed("/nowhere"), see: "main h1"},
	{name: "error-old-form", as: db.RoleViewer, at: fixed("/account"), do: submits(`form[action="/account/email"]`, "csrf_token", "old"), see: ".request"},

	// While sign-in is switched off.
	{name: "off-sign-in", at: fixed("/login"), place: placeOff, see: ".switched"},
	{name: "off-list", place: placeOff, see: ".switched"},
	{name: "off-patient", place: placeOff, at: (*stage).rich, see: ".switched"},
	{name: "off-list-admin", as: db.RoleAdmin, place: placeOff, do: clicks(".avatar"), see: ".switched"},
	{name: "off-audit", as: db.RoleAdmin, place: placeOff, at: func(g *stage) string { g.browser().get("/patients"); return "/admin/audit" }, see: "table.audit"},
	{name: "off-refused", as: db.RoleAdmin, place: placeOff, at: fixed("/account"), see: ".switched"},
}

// locked is a user whom nobody lets in from a browser that is not known, until somebody unlocks them.
func (g *stage) locked() string {
	return g.account("locked", `INSERT INTO sign_in_throttle (kind, subject, failures, last_at, blocked_until, user_id)
		SELECT 'name', sha256(username::bytea), 120, now(), now() + interval '1 hour', id FROM users WHERE username = $1`)
}

// variant is how somebody looks at the site: with which browser, or with which preferences of their own. The zero one is a desk's
// screen by day.
type variant struct {
	name          string
	width, height int64   // CSS pixels; 0 is 1280 × 900
	scale         float64 // of the screen: with half the width, 2 is a zoom of 200 %
	mobile        bool
	media         map[string]string // what the browser is said to prefer, such as prefers-color-scheme: dark
	language      string            // Accept-Language
	noScripts     bool
	prefers       func(g *stage, role string) // a user's own choices, written where the site keeps them; nil where there are none
}

var (
	byDay   = variant{name: "light"}
	byNight = variant{name: "dark", media: map[string]string{"prefers-color-scheme": "dark"}}
	onPhone = variant{name: "phone", width: 375, height: 812, scale: 2, mobile: true}
	narrow  = variant{name: "320 px", width: 320, height: 568, scale: 2, mobile: true}
	zoomed  = variant{name: "200 %", width: 640, height: 450, scale: 2}
)

// in is the variant for those who are served other pages.
func (v variant) in(world variant) variant {
	v.language, v.prefers = world.language, world.prefers
	return v
}

// look applies a variant to a tab.
func (b *tab) look(v variant) {
	b.t.Helper()
	if v.width == 0 {
		v.width, v.height, v.scale = 1280, 900, 1
	}
	do(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: v.width, Height: v.height, DeviceScaleFactor: v.scale, Mobile: v.mobile})
	do(b, emulation.SetScrollbarsHidden, emulation.SetScrollbarsHiddenParams{Hidden: v.mobile}) // which fade away, sooner or later
	media := []*emulation.MediaFeature{{Name: "prefers-reduced-motion", Value: "reduce"}}       // pictures of what stands still
	for name, value := range v.media {
		media = append(media, &emulation.MediaFeature{Name: name, Value: value})
	}
	do(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: media})
	do(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: v.noScripts})
	do(b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": cmp.Or(v.language, "en")}})
}

// do gives the browser a command of the DevTools protocol.
func do[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	r, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// reach brings a tab into a state, as somebody who looks at it so.
func (g *stage) reach(b *tab, st state, v variant) {
	b.t.Helper()
	b.run(chromedp.Navigate("about:blank")) // and what the state before had under way ends
	do(b, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1}}})
	do(b, network.ClearBrowserCookies, cdp.Empty{})
	b.offline.Store(st.upset)
	g.hold.Store(false)
	g.exec(`DELETE FROM drafts`)
	if st.name != "user-locked" && st.name != "users" {
		g.exec(`DELETE FROM sign_in_throttle WHERE user_id IS NULL OR failures < 100`)
	}
	g.exec(`UPDATE sessions SET last_seen_at = now(), expiry = now() + interval '12 hours'`)
	b.look(v)
	g.exec(`DELETE FROM user_preferences`)
	if v.prefers != nil {
		v.prefers(g, st.as)
	}
	if st.as != "" {
		b.has(g.site, st.as)
	}
	path := views.PatientsPath("")
	if st.at != nil {
		path = st.at(g)
	}
	b.open(path)
	if st.do != nil {
		st.do(g, b)
	}
	b.until(settled + fmt.Sprintf(`document.querySelector(%q)`, st.see))
}

// everyState goes through the table, or those of it that are named: the states of one person in one place after each other, in one tab.
func everyState(t *testing.T, f func(t *testing.T, g *stage, b *tab, st state), names ...string) {
	type group struct{ as, place string }
	var groups []group
	all := slices.Clone(states)
	if len(names) > 0 {
		all = slices.DeleteFunc(all, func(st state) bool { return !slices.Contains(names, st.name) })
	}
	for _, st := range all {
		if n := (group{st.as, st.place}); !slices.Contains(groups, n) {
			groups = append(groups, n)
		}
	}
	for _, n := range groups {
		t.Run(strings.Join(strings.Fields(n.place+" "+cmp.Or(n.as, "nobody")), "-"), func(t *testing.T) {
			t.Parallel()
			g := newStage(t, n.place)
			shared := chromium(t, g.url)
			for _, st := range all {
				if st.as == n.as && st.place == n.place {
					t.Run(st.name, func(t *testing.T) { f(t, g, shared.lent(t), st) })
				}
			}
		})
	}
}

// TestEveryPageIsInTheTableOfStates asks every route that takes GET what it gives: what is HTML is a page.
func TestEveryPageIsInTheTableOfStates(t *testing.T) {
	t.Parallel()
	g := newStage(t, "")
	covered := map[string]bool{}
	names := map[string]bool{}
	for _, st := range states {
		if names[st.name] || !regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`).MatchString(st.name) || st.see == "" {
			t.Errorf("the state %q: its name is there twice or is no name of a file, or nothing says what is to be seen", st.name)
		}
		names[st.name] = true
		path := views.PatientsPath("")
		if st.at != nil {
			path = st.at(g)
		}
		_, pattern := g.routed.Handler(httptest.NewRequest(http.MethodGet, path, nil))
		covered[pattern] = true
	}
	admin := g.as(db.RoleAdmin)
	pages := 0
	for _, e := range matrix {
		if !strings.HasPrefix(e.pattern, "GET ") {
			continue
		}
		if e.pattern == "GET /login" { // leads on whoever is signed in
			e.path = "/login"
			admin := g.browser()
			pages += countPage(t, e.pattern, admin.get(e.path), covered)
			continue
		}
		_, path := e.request(g.site, strings.TrimPrefix(g.rich(), "/patients/"))
		pages += countPage(t, e.pattern, admin.get(path), covered)
	}
	if pages < 10 {
		t.Errorf("only %d routes gave a page", pages)
	}
}

// countPage counts an answer that is one, and says where no state has it.
func countPage(t *testing.T, pattern string, a answer, covered map[string]bool) int {
	t.Helper()
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, "<html") {
		return 0
	}
	if !covered[pattern] {
		t.Errorf("%s gives a page, and no state in handlers/states_test.go shows it: add one, docs/pages.md says how", pattern)
	}
	return 1
}
