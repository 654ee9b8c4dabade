package handlers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// walker sends to every route of the table what whoever may use it would send, forms filled in.
type walker struct {
	*site
	path string // the patient's page
	b    *browser
	edit map[string]string // the fields of the patient's form
	made map[string]string // and of the one for a new patient

	typed *regexp.Regexp // what these hold
}

func newWalker(t *testing.T) *walker {
	t.Helper()
	s, path := onePatient(t)
	w := &walker{site: s, path: path, b: s.as(db.RoleAdmin)}
	s.exec(`INSERT INTO users (username, password_hash, role) VALUES ('fourth', $1, 'viewer'), ('somebody', $1, 'viewer')`, passwordHash)
	s.exec(`UPDATE users SET id = 4 WHERE username = 'fourth' AND NOT EXISTS (SELECT 1 FROM users WHERE id = 4)`)
	s.exec(`INSERT INTO patient_conflicts (patient_id, import_id, last_id, resource, resource_sha)
		SELECT patient_id, 12, 12, replace(resource::text, '555-0100', '555-0199')::json, sha256(convert_to(replace(resource::text, '555-0100', '555-0199'), 'UTF8')) FROM patient_resources`)
	s.as(db.RoleAdmin) // another session, to be ended
	w.edit, w.made = w.b.get(path+"/edit").fields(), w.b.get("/patients/new").fields()
	w.edit["city"], w.made["family"] = "Netherby", "Wexcombe"
	w.typed = regexp.MustCompile("Netherby|Wexcombe|" + regexp.QuoteMeta(w.edit["family"]) + "|" + w.edit["given"] + "|" + w.edit["mrn"] + "|" + w.edit["phone"])
	return w
}

// fields are those of a form that is taken, where the matrix has none.
func (w *walker) fields(e rule) (all []string) {
	of := map[string]string{}
	switch e.pattern {
	case "POST /patients":
		of = w.made
	case "POST /patients/{id}", "POST /patients/{id}/draft":
		of = w.edit
	case "POST /patients/new/draft":
		of = w.made
	case "POST /patients/{id}/conflict":
		of = map[string]string{"version": scan[string](w.site, `SELECT version::text FROM patients WHERE id = $1`, strings.TrimPrefix(w.path, "/patients/")), "import": "12", "decision": "keep"}
	case "POST /account/password":
		of = map[string]string{"current_password": password, "new_password": "eleven copper lanterns"}
	}
	for name, value := range of {
		if name != "csrf_token" {
			all = append(all, name, value)
		}
	}
	if len(all) == 0 {
		all = e.fields
	}
	return all
}

func (w *walker) send(b *browser, e rule, token string, header ...string) answer {
	method, path := e.request(w.site, strings.TrimPrefix(w.path, "/patients/"))
	body := ""
	if method == http.MethodPost {
		body = form(append([]string{"csrf_token", token}, w.fields(e)...)...)
		header = append(header, "Content-Type", "application/x-www-form-urlencoded")
	}
	return b.do(method, path, body, header...)
}

// ofPatient is what no answer may hold that does not show the patient.
var ofPatient = regexp.MustCompile(`Quimbleton|QUIMBLETON|Zadok|QX-900|555-01|999-12-3456|Netherby|Wexcombe`)

// TestEveryRefusedRoleIsOneEventThatNamesTheRoute walks the table: whoever adds a route is in it.
func TestEveryRefusedRoleIsOneEventThatNamesTheRoute(t *testing.T) {
	t.Parallel()
	w := newWalker(t)
	browsers, tokens := map[string]*browser{}, map[string]string{}
	for _, role := range db.Roles {
		browsers[role] = w.as(role)
		tokens[role] = browsers[role].token()
	}
	refused := 0
	for _, rt := range w.routes() {
		i := slices.IndexFunc(matrix, func(e rule) bool { return e.pattern == rt.pattern })
		for _, role := range db.Roles {
			if i < 0 || matrix[i].allows(role) {
				continue
			}
			for _, header := range [][]string{nil, htmx} {
				before := scan[int](w.site, `SELECT coalesce(max(id), 0) FROM audit_events`)
				if a := w.send(browsers[role], matrix[i], tokens[role], header...); a.status != http.StatusForbidden || ofPatient.MatchString(a.body) {
					t.Errorf("%s as %s: %d", rt.pattern, role, a.status)
				}
				refused++
				if n, ours := scan[int](w.site, `SELECT count(*) FROM audit_events WHERE id > $1`, before), scan[int](w.site, `SELECT count(*) FROM audit_events
					WHERE id > $1 AND action = 'access' AND outcome = 'refused' AND actor = $2 AND actor_id IS NOT NULL AND session_id IS NOT NULL AND client IS NOT NULL
					AND request_id <> '' AND program = 'test' AND patients = '{}' AND detail = jsonb_build_object('route', $3::text)`, before, role, rt.pattern); n != 1 || ours != 1 {
					t.Errorf("%s as %s: %d events, %d of them say so", rt.pattern, role, n, ours)
				}
			}
		}
	}
	if refused < 60 {
		t.Errorf("only %d were refused", refused)
	}
}

// TestWhateverShowsOrChangesAPatientIsOnRecordWithThePatient looks at the answers and at the tables, not at a list of routes.
func TestWhateverShowsOrChangesAPatientIsOnRecordWithThePatient(t *testing.T) {
	t.Parallel()
	w := newWalker(t)
	const state = `SELECT md5((SELECT string_agg(p::text, '|' ORDER BY p.id) FROM patients p) || (SELECT coalesce(string_agg(v::text, '|' ORDER BY v.version), '') FROM patient_versions v)
		|| (SELECT count(*) FROM patient_conflicts))`
	shown, changed := 0, 0
	for _, e := range matrix {
		if e.pattern == "POST /logout" || e.pattern == "POST /account/password" {
			continue // the end of the walk's own session, and nothing of a patient
		}
		before, digest := scan[int](w.site, `SELECT coalesce(max(id), 0) FROM audit_events`), scan[string](w.site, state)
		a := w.send(w.b, e, w.b.token())
		shows, changes := ofPatient.MatchString(a.body), scan[string](w.site, state) != digest
		if shows {
			shown++
		}
		if changes {
			changed++
		}
		if !shows && !changes {
			continue
		}
		if n := scan[int](w.site, `SELECT count(*) FROM audit_events e WHERE id > $1 AND outcome = 'success' AND actor = 'admin' AND session_id IS NOT NULL
			AND patients && ARRAY(SELECT id FROM patients)`, before); n == 0 {
			t.Errorf("%s (%d) shows: %v, changes: %v, and no event says whom", e.pattern, a.status, shows, changes)
		}
	}
	if shown < 4 || changed != 3 {
		t.Errorf("the walk saw a patient %d times and changed %d", shown, changed)
	}
}

// writesNone are the routes that go on when the audit takes no event: they neither show a patient nor change what has an event. Whoever
// adds a route that is neither here nor refused without the audit breaks the test below.
var writesNone = map[string]string{
	"GET /{$}": "leads on", "GET /help": "nobody's data", "GET /login": "an empty form", "GET /session": "seconds", "POST /session": "the own session goes on",
	"POST /confirm": "not a form that goes anywhere", "GET /account": "the own account", "GET /account/password": "an empty form",
	"GET /account/display": "how pages look to oneself", "POST /account/display": "how pages look to oneself", "POST /account/display/columns": "how pages look to oneself",
	"POST /account/sessions/{id}/end": "not one's own session: 404", "GET /admin/users": "accounts", "POST /admin/users/search": "accounts",
	"POST /admin/audit/search": "leads on", "GET /admin/users/new": "an empty form", "GET /admin/users/{id}": "an account", "GET /patients/new": "an empty form",
	"POST /patients/new/draft": "what one types oneself", "POST /patients/{id}/draft": "what one types oneself",
	"POST /patients/new/draft/discard": "forgets it", "POST /patients/{id}/draft/discard": "forgets it",
	"GET /healthcheck": "", "GET /livez": "", "POST /csp-report": "", "GET /assets/{name...}": "",
}

// audits are ways in which the audit takes no event, and how it takes them again.
var audits = map[string][2]string{
	"a trigger that raises": {`CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
		CREATE TRIGGER no_audit BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION no_audit()`, `DROP FUNCTION no_audit() CASCADE`},
	"a full disk": {`CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
		CREATE TRIGGER no_audit BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION no_audit()`, `DROP FUNCTION no_audit() CASCADE`},
	"a broken sequence": {`ALTER SEQUENCE audit_events_id_seq RENAME TO mislaid; ALTER TABLE audit_events ALTER id SET DEFAULT NULL`,
		`ALTER SEQUENCE mislaid RENAME TO audit_events_id_seq; ALTER TABLE audit_events ALTER id SET DEFAULT nextval('audit_events_id_seq')`},
	"an insert that hangs": {`CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
		CREATE TRIGGER no_audit BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION no_audit()`, `DROP FUNCTION no_audit() CASCADE`},
}

// TestWithoutTheAuditNoRouteShowsOrChangesAnything is HIPAA 164.312(b) and ASVS 16.5.3, for each route and each way to fail. It asks
// for all routes at once, which nearly fills the queue of passwords that all tests share, and so runs beside none.
func TestWithoutTheAuditNoRouteShowsOrChangesAnything(t *testing.T) {
	for name, audit := range audits {
		t.Run(name, func(t *testing.T) {
			w := newWalker(t)
			if strings.Contains(name, "hangs") { // where nothing does, what is slow on a busy machine must not look like it
				w.impatient("1500")
			}
			token := w.b.token()
			w.exec(audit[0])
			before := w.contents()
			var all sync.WaitGroup
			for _, rt := range w.routes() {
				i := slices.IndexFunc(matrix, func(e rule) bool { return e.pattern == rt.pattern })
				if i < 0 || rt.pattern == "POST /logout" { // which is looked at last: it ends the session or says 503
					continue
				}
				if !strings.Contains(rt.pattern, "/patients") && name != "a trigger that raises" {
					continue // these fail in the same way, and their passwords take their time
				}
				e, b := matrix[i], &browser{w.site, map[string]*http.Cookie{"chartroom": w.b.cookies["chartroom"]}}
				if e.pattern == "POST /patients/{id}/conflict" { // asks the database which version there is
					w.refusedWithout(t, b, e, token)
					continue
				}
				if e.pattern == "GET /patients/export" && strings.Contains(name, "hangs") { // which takes as long as the browser waits
					all.Go(func() { w.nothingComes(t, b) })
					continue
				}
				all.Go(func() { w.refusedWithout(t, b, e, token) })
			}
			all.Wait()
			// Drafts and preferences are no record; a guess at a password counts, and a browser that knew it is known, whatever comes of it.
			ours := regexp.MustCompile(`(?m)^(drafts|user_preferences|sign_in_throttle|known_devices) .*$`)
			if after := w.contents(); ours.ReplaceAllString(after, "") != ours.ReplaceAllString(before, "") {
				t.Errorf("something was changed:\n%s\nbefore:\n%s", after, before)
			}
			w.exec(audit[1])
			w.worksAgain(t)
		})
	}
}

// impatient puts the same site on a pool whose statements end soon.
func (w *walker) impatient(milliseconds string) {
	w.t.Helper()
	c := w.Config
	c.DB = dbtest.OpenURL(w.t, w.conn.Config().ConnString()+"&statement_timeout="+milliseconds, 15*time.Minute)
	site, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	server := httptest.NewServer(site)
	w.t.Cleanup(server.Close)
	w.Server, w.url = site, server.URL
}

// nothingComes waits for an export for a while.
func (w *walker) nothingComes(t *testing.T, b *browser) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/patients/export", nil)
	if err != nil {
		t.Error(err)
		return
	}
	r.AddCookie(b.cookies["chartroom"])
	if a, err := http.DefaultTransport.RoundTrip(r); err == nil {
		t.Errorf("an export without its event: %d", a.StatusCode)
		_ = a.Body.Close()
	}
}

func (w *walker) refusedWithout(t *testing.T, b *browser, e rule, token string) {
	for _, header := range [][]string{nil, htmx} {
		a := w.send(b, e, token, header...)
		shows, calm := a.body, strings.Contains(a.body, "Nothing was lost")
		if e.pattern == "POST /patients" || e.pattern == "POST /patients/{id}" { // the form comes back as it was sent, and nothing else
			shows, calm = w.typed.ReplaceAllString(shows, ""), strings.Contains(a.body, "Nothing was lost") || strings.Contains(a.body, "nothing was saved")
		}
		if e.pattern == "GET /patients/new" { // what was typed into it is kept meanwhile, for who typed it
			shows = w.typed.ReplaceAllString(shows, "")
		}
		if ofPatient.MatchString(shows) {
			t.Errorf("%s (%d) shows the patient:\n%.300s", e.pattern, a.status, a.body)
		}
		if _, ok := writesNone[e.pattern]; ok {
			if a.status == http.StatusServiceUnavailable {
				t.Errorf("%s: %d, so it does write an event", e.pattern, a.status)
			}
			continue
		}
		if e.pattern == "POST /patients/search" && header == nil && a.status == http.StatusSeeOther { // leads on to the list
			continue
		}
		if a.status != http.StatusServiceUnavailable || !calm || a.header.Get("Set-Cookie") != "" || !regexp.MustCompile(`Request code: [\w-]{12}<|number [\w-]{12}\.`).MatchString(a.body) {
			t.Errorf("%s: %d\n%.400s", e.pattern, a.status, a.body)
		}
	}
}

// worksAgain goes the same ways in the same process.
func (w *walker) worksAgain(t *testing.T) {
	t.Helper()
	b := w.b
	wants(t, "list", b.get("/patients"), 200, "Quimbleton")
	wants(t, "page", b.get(w.path), 200, "Quimbleton")
	wants(t, "search", b.search("quimb"), 200, "Quimbleton")
	wants(t, "export", b.get("/patients/export?format=csv"), 200, "Quimbleton")
	wants(t, "change", b.send(w.path, b.get(w.path+"/edit"), "city", "Netherby"), 303)
	wants(t, "create", b.send("/patients", b.get("/patients/new"), "family", "Wexcombe"), 303)
	wants(t, "sign out", b.post("/logout"), 303)
	if !strings.HasSuffix(t.Name(), "a_trigger_that_raises") {
		return
	}
	wants(t, "sign in", w.browser().post("/login", "username", "viewer", "password", password), 303)
}

// TestFormsOfOtherSitesAndOldFormsAreOnRecord is ASVS 16.3.3.
func TestFormsOfOtherSitesAndOldFormsAreOnRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as(db.RoleViewer)
	urlencoded := []string{"Content-Type", "application/x-www-form-urlencoded"}
	if a := b.do("POST", "/patients/search", form("q", "x"), append(urlencoded, "Sec-Fetch-Site", "cross-site")...); a.status != 403 {
		t.Error(a.status)
	}
	if a := s.browser().do("POST", "/login", form("username", "x"), append(urlencoded, "Origin", "https://elsewhere.example")...); a.status != 403 {
		t.Error(a.status)
	}
	if a := b.post("/patients/search", "q", "x", "csrf_token", "wrong"); a.status != 403 {
		t.Error(a.status)
	}
	want := `viewer {"kind": "other site", "route": "POST /patients/search"},  {"kind": "other site", "route": "POST /login"}, viewer {"kind": "form token", "route": "POST /patients/search"}`
	if got := scan[string](s, `SELECT string_agg(actor || ' ' || detail::text, ', ' ORDER BY id) FROM audit_events WHERE action = 'csrf' AND outcome = 'refused' AND host(client) = '127.0.0.1'`); got != want {
		t.Errorf("recorded: %s\nwant: %s", got, want)
	}
	for i := range 40 { // and no stranger fills the disk with it
		b.post("/patients/search", "q", strconv.Itoa(i), "csrf_token", "wrong")
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'csrf'`); n != 32 {
		t.Errorf("%d events of 43", n)
	}
}

// TestALinkThatOpensNothingIsOnRecord says neither the link nor whose it might be.
func TestALinkThatOpensNothingIsOnRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.browser().get("/invite/made-up-by-a-stranger")
	s.browser().post("/invite/made-up-by-a-stranger", "password", "seven brass kettles")
	if got := fmt.Sprint(scan[[]string](s, `SELECT array_agg(detail::text || actor || host(client) ORDER BY id) FROM audit_events WHERE action = 'link' AND outcome = 'refused'`)); got !=
		`[{"kind": "unknown link", "route": "GET /invite/{token}"}127.0.0.1 {"kind": "unknown link", "route": "POST /invite/{token}"}127.0.0.1]` {
		t.Error(got)
	}
}

func TestHEADShowsNothingAndSaysThatNothingWasSeen(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as(db.RoleAdmin)
	before := scan[int](s, `SELECT count(*) FROM audit_events`)
	for _, p := range []string{path, "/patients", "/patients/export", path + "/edit", "/admin/audit", "/admin/audit/events/1"} {
		if a := b.do(http.MethodHead, p, ""); a.status != http.StatusOK || a.body != "" {
			t.Errorf("HEAD %s: %d, %d bytes", p, a.status, len(a.body))
		}
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events`); n != before {
		t.Errorf("%d events of what nobody saw", n-before)
	}
	if a := s.browser().do(http.MethodHead, path, ""); a.status != http.StatusSeeOther {
		t.Errorf("HEAD of nobody: %d", a.status)
	}
}
