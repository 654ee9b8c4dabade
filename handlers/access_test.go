package handlers

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
)

var update = flag.Bool("update", false, "write the table of routes into docs/access.md")

// rule is a line of the matrix. path is for a pattern whose wildcards are not patients: {user} is a user of whom nothing
// else is tested, {nothing} leads to nothing.
type rule struct {
	pattern, path, does string
	access              access
	fresh               bool
	status              []int
	fields              []string
}

// matrix says who may use each route, apart from the table in routes.go: whoever adds a route says it here too, by hand.
// status are the answers to who may, with the fields given; a form's own token is added. Those that end or replace the
// caller's session come last.
var matrix = []rule{
	{pattern: "GET /{$}", does: "leads to the list, or to sign-in", access: public, status: []int{303}},
	{pattern: "GET /help", does: "how to search, and which keys there are", access: public, status: []int{200}},
	{pattern: "GET /login", does: "the sign-in form", access: public, status: []int{200, 303}},
	{pattern: "GET /session", does: "how long one's session lasts", status: []int{204}},
	{pattern: "POST /session", does: "stay signed in", status: []int{303}},
	{pattern: "POST /confirm", does: "give the password again, then go on", status: []int{400}},
	{pattern: "GET /account", does: "one's own account", status: []int{200}},
	{pattern: "POST /account/email", does: "change one's own e-mail address", fresh: true, status: []int{303}},
	{pattern: "GET /account/display", does: "the form for how pages look to oneself", status: []int{200}},
	{pattern: "POST /account/display", does: "change how pages look to oneself", status: []int{303}},
	{pattern: "POST /account/display/columns", does: "change which columns one's list has", status: []int{303}},
	{pattern: "GET /account/password", does: "the form for a new password of one's own", status: []int{200}},
	{pattern: "POST /account/sessions/{id}/end", does: "end one of one's own sessions", fresh: true, status: []int{404}},
	{pattern: "POST /account/sessions/end-others", does: "end all of one's own sessions but this one", fresh: true, status: []int{303}},
	{pattern: "GET /invite/{token}", path: "/invite/none", does: "the form to set a password by a link", access: public, status: []int{404}},
	{pattern: "POST /invite/{token}", path: "/invite/none", does: "set a password by a link, once", access: public, status: []int{404}},
	{pattern: "GET /admin/users", does: "list users", access: admins, status: []int{200}},
	{pattern: "POST /admin/users/search", does: "search users", access: admins, status: []int{200}},
	{pattern: "GET /admin/users/new", does: "the form for a new user", access: admins, status: []int{200}},
	{pattern: "POST /admin/users", does: "create a user and a link to set the password", access: admins, fresh: true, status: []int{200},
		fields: []string{"username", "zoe", "role", db.RoleViewer}},
	{pattern: "GET /admin/users/{id}", path: "/admin/users/1", does: "open a user", access: admins, status: []int{200}},
	// The fourth user is the one that everybody makes.
	{pattern: "POST /admin/users/{id}/role", path: "/admin/users/4/role", does: "change a user's role", access: admins, fresh: true, status: []int{303},
		fields: []string{"role", db.RoleViewer}},
	{pattern: "POST /admin/users/{id}/enable", path: "/admin/users/4/enable", does: "enable a user", access: admins, fresh: true, status: []int{303}},
	{pattern: "POST /admin/users/{id}/link", path: "/admin/users/4/link", does: "make a link for a new password", access: admins, fresh: true, status: []int{200}},
	{pattern: "POST /admin/users/{id}/end-sessions", path: "/admin/users/4/end-sessions", does: "end a user's sessions", access: admins, fresh: true, status: []int{303}},
	{pattern: "POST /admin/users/{id}/unlock", path: "/admin/users/4/unlock", does: "forget a user's failed sign-ins", access: admins, fresh: true, status: []int{303}},
	{pattern: "POST /admin/users/{id}/disable", path: "/admin/users/4/disable", does: "disable a user", access: admins, fresh: true, status: []int{303}},
	{pattern: "GET /admin/audit", does: "read the audit", access: admins, status: []int{200}},
	{pattern: "POST /admin/audit/search", does: "filter the audit", access: admins, status: []int{303}},
	{pattern: "GET /admin/audit/events/{id}", path: "/admin/audit/events/1", does: "open an event", access: admins, status: []int{200}},
	{pattern: "POST /admin/audit/export", does: "export the audit as a file", access: admins, fresh: true, status: []int{200}, fields: []string{"format", "csv"}},
	{pattern: "GET /patients", does: "list patients", status: []int{200}},
	{pattern: "POST /patients/search", does: "search patients", status: []int{303}, fields: []string{"q", "a"}},
	{pattern: "GET /patients/recent", does: "whom one opened last", status: []int{200}},
	{pattern: "GET /patients/{id}", does: "open a patient, with the history", status: []int{200}},
	{pattern: "GET /patients/new", does: "the form for a new patient", access: writers, status: []int{200}},
	{pattern: "POST /patients", does: "create a patient", access: writers, status: []int{400}},
	{pattern: "GET /patients/{id}/edit", does: "the form of a patient", access: writers, status: []int{200}},
	{pattern: "POST /patients/{id}", does: "change a patient", access: writers, status: []int{400}},
	{pattern: "POST /patients/{id}/conflict", does: "decide about what an import brought", access: writers, status: []int{400, 404, 422}},
	{pattern: "POST /patients/new/draft", does: "keep what one types into the form for a new patient", access: writers, status: []int{400}},
	{pattern: "POST /patients/{id}/draft", does: "keep what one types into the form of a patient", access: writers, status: []int{400}},
	{pattern: "POST /patients/new/draft/discard", does: "forget it", access: writers, status: []int{303}},
	{pattern: "POST /patients/{id}/draft/discard", does: "forget it", access: writers, status: []int{303}},
	{pattern: "GET /patients/export", does: "export the list as a file", access: writers, status: []int{200}},
	{pattern: "GET /healthcheck", does: "whether program and database answer", access: public, status: []int{200}},
	{pattern: "GET /livez", does: "whether the program answers", access: public, status: []int{200}},
	{pattern: "POST /csp-report", does: "take a browser's report", access: public, status: []int{204, 415}},
	{pattern: "GET /assets/{name...}", does: "styles, scripts and icon", access: public, status: []int{200}},
	{pattern: "POST /account/password", does: "change one's own password", status: []int{422}},
	{pattern: "POST /login", does: "sign in", access: public, status: []int{303}, fields: []string{"username", db.RoleViewer, "password", password}},
	{pattern: "POST /logout", does: "sign out", access: public, status: []int{303}},
}

func TestEveryRouteStandsInTheMatrix(t *testing.T) {
	t.Parallel()
	routes := newSite(t).routes()
	for _, rt := range routes {
		i := slices.IndexFunc(matrix, func(e rule) bool { return e.pattern == rt.pattern })
		if i < 0 {
			t.Errorf("%s is not in the matrix: say there who may use it, then `go test ./handlers -run Matrix -update` writes docs/access.md", rt.pattern)
		} else if matrix[i].access != rt.access || matrix[i].fresh != rt.fresh {
			t.Errorf("%s: the matrix and routes.go differ", rt.pattern)
		}
	}
	if len(matrix) != len(routes) {
		t.Errorf("%d in the matrix, %d routes", len(matrix), len(routes))
	}
}

// callers are the columns of the matrix.
var callers = []string{"anonymous", db.RoleViewer, db.RoleClinician, db.RoleAdmin, "disabled"}

func (e rule) allows(caller string) bool {
	return e.access == public || slices.Contains(e.access.roles(), caller)
}

// request is what the test sends: its path leads to a patient and a file that are there.
func (e rule) request(s *site, patient string) (method, path string) {
	method, path, _ = strings.Cut(e.pattern, " ")
	if e.path != "" {
		path = e.path
	}
	user := ""
	if strings.Contains(path, "{user}") {
		user = scan[string](s, `SELECT id::text FROM users WHERE username = 'somebody'`)
	}
	return method, strings.NewReplacer("{$}", "", "{id}", patient, "{user}", user, "{nothing}", "00000000-0000-4000-8000-000000000000",
		"/assets/{name...}", s.assets.paths.CSS).Replace(path)
}

// everybody are browsers of the callers: of an administrator who was disabled since, by hand and so with the session
// still there, too; and the form tokens of their sessions.
func (s *site) everybody() (who map[string]*browser, tokens map[string]string) {
	s.exec(`INSERT INTO users (username, password_hash, role) VALUES ('disabled', $1, 'admin'), ('somebody', $1, 'viewer')`, passwordHash)
	who, tokens = map[string]*browser{"anonymous": s.browser()}, map[string]string{"anonymous": "none"}
	for _, caller := range callers[1:] {
		who[caller] = s.as(caller)
		tokens[caller] = who[caller].token()
	}
	s.exec(`UPDATE users SET is_active = false WHERE username = 'disabled'`)
	return who, tokens
}

// contents is a digest of all tables, without what notes that somebody asked.
func (s *site) contents() string {
	s.t.Helper()
	tables := scan[[]string](s, `SELECT array_agg(tablename::text ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'audit_events%'`)
	digest := ""
	for _, name := range tables {
		row := "t::text"
		if name == "sessions" {
			row = "t.id::text"
		}
		digest += name + " " + scan[string](s, `SELECT md5(coalesce(string_agg(`+row+`, '|' ORDER BY `+row+`), '')) FROM `+name+` t`) + "\n"
	}
	return digest
}

// TestEveryRouteForEveryRole walks the matrix: who may gets the answer, who may not gets nothing and changes nothing.
func TestEveryRouteForEveryRole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	patient := scan[string](s, `SELECT min(id::text) FROM patients`)
	who, tokens := s.everybody()
	ask := func(e rule, caller string, header ...string) answer {
		method, path := e.request(s, patient)
		fields := e.fields
		if method == http.MethodPost && e.access != public {
			fields = append([]string{"csrf_token", tokens[caller]}, fields...)
		}
		return who[caller].do(method, path, form(fields...), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	before := s.contents()
	for _, e := range matrix {
		for _, caller := range callers {
			if e.allows(caller) {
				continue
			}
			a, part := ask(e, caller), ask(e, caller, htmx...)
			if slices.Contains(db.Roles, caller) {
				if a.status != http.StatusForbidden || part.status != http.StatusForbidden {
					t.Errorf("%s, %s: %d and %d as a fragment, want 403", e.pattern, caller, a.status, part.status)
				}
				continue
			}
			if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/login") {
				t.Errorf("%s, %s: %d to %q, want 303 to /login", e.pattern, caller, a.status, a.header.Get("Location"))
			}
			if part.status != http.StatusUnauthorized || !strings.HasPrefix(part.header.Get("HX-Redirect"), "/login") || part.body != "" {
				t.Errorf("%s as a fragment, %s: %d", e.pattern, caller, part.status)
			}
		}
	}
	if after := s.contents(); after != before {
		t.Errorf("what was refused changed something:\n%s\nbefore:\n%s", after, before)
	}
	for _, e := range matrix {
		for _, caller := range callers {
			if !e.allows(caller) {
				continue
			}
			a := ask(e, caller)
			toSignIn := e.access != public && strings.HasPrefix(a.header.Get("Location"), "/login")
			if !slices.Contains(e.status, a.status) || toSignIn {
				t.Errorf("%s, %s: %d to %q, want %v", e.pattern, caller, a.status, a.header.Get("Location"), e.status)
			}
		}
	}
}

// TestWhatAsksForThePasswordAgainDoesNothingBefore: ten minutes after sign-in, whoever may is asked first (ASVS 7.5.1, 7.5.3,
// 8.4.2).
func TestWhatAsksForThePasswordAgainDoesNothingBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(1)
	patient := scan[string](s, `SELECT min(id::text) FROM patients`)
	who, tokens := s.everybody()
	s.exec(`UPDATE sessions SET created_at = now() - interval '10 minutes'`)
	before := s.contents()
	for _, e := range matrix {
		for _, role := range db.Roles {
			if method, path := e.request(s, patient); e.fresh && e.allows(role) {
				a := who[role].do(method, path, form(append([]string{"csrf_token", tokens[role]}, e.fields...)...), "Content-Type", "application/x-www-form-urlencoded")
				if a.status != http.StatusForbidden || !strings.Contains(a.body, "Confirm it is you") {
					t.Errorf("%s, %s: %d\n%.300s", e.pattern, role, a.status, a.body)
				}
			}
		}
	}
	if after := s.contents(); after != before {
		t.Errorf("it was done:\n%s\nbefore:\n%s", after, before)
	}
}

// TestNothingIsChangedByGET: where there is only a form to send, GET and HEAD are refused (ASVS 3.5.3).
func TestNothingIsChangedByGET(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	s.exec(`INSERT INTO users (username, password_hash) VALUES ('somebody', 'none')`)
	patient := scan[string](s, `SELECT min(id::text) FROM patients`)
	b := s.as(db.RoleAdmin)
	before := s.contents()
	asked := 0
	for _, e := range matrix {
		method, path := e.request(s, patient)
		if method != http.MethodPost {
			continue
		}
		shared := slices.ContainsFunc(matrix, func(o rule) bool { return o.pattern == strings.Replace(e.pattern, "POST", "GET", 1) })
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := b.do(method, path+"?"+form(e.fields...), "")
			probe, _ := http.NewRequest(method, path, nil)
			if _, other := s.mux().Handler(probe); shared || other != "" {
				continue // it is another route's, and has its own line
			}
			asked++
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != http.MethodPost {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
		}
	}
	if after := s.contents(); after != before || asked < 6 {
		t.Errorf("%d asked; now:\n%s\nbefore:\n%s", asked, after, before)
	}
}

func TestAChangedRoleCountsAtTheNextRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(1)
	b := s.as(db.RoleClinician)
	for _, change := range []struct {
		role   string
		status int
	}{{db.RoleClinician, 200}, {db.RoleViewer, 403}, {db.RoleAdmin, 200}, {db.RoleViewer, 403}} {
		s.exec(`UPDATE users SET role = $1 WHERE username = 'clinician'`, change.role)
		if a := b.get("/patients/new"); a.status != change.status {
			t.Errorf("as %s: %d, want %d", change.role, a.status, change.status)
		}
	}
}

// TestTheMatrixIsDocumented holds docs/access.md to the matrix.
func TestTheMatrixIsDocumented(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- routes, by go test ./handlers -run Matrix -update -->\n", "<!-- end of routes -->\n"
	file := filepath.Join(dbtest.Root(), "docs", "access.md")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		t.Fatal("docs/access.md has no place for the routes")
	}
	var table strings.Builder
	table.WriteString("\n| route | what it does | anonymous | viewer | clinician | administrator | disabled |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, e := range matrix {
		fmt.Fprintf(&table, "| `%s` | %s |", e.pattern, e.does)
		for _, caller := range callers {
			switch {
			case e.allows(caller) && e.fresh:
				table.WriteString(" password again |")
			case e.allows(caller):
				table.WriteString(" yes |")
			default:
				table.WriteString(" no |")
			}
		}
		table.WriteString("\n")
	}
	want := before + begin + table.String() + "\n" + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(content) != want {
		t.Error("docs/access.md is not what the matrix says: `go test ./handlers -run Matrix -update` writes it")
	}
}

// TestFieldsThatAreNotTheFormsAreIgnored: what a form does not show cannot be written by it (ASVS 8.2.3, 15.3.3).
func TestFieldsThatAreNotTheFormsAreIgnored(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as(db.RoleClinician)
	const stored = `SELECT resource::text FROM patient_resources`
	before := scan[string](s, stored)
	var sent []string
	for name, value := range b.get(path + "/edit").fields() {
		if name == "city" {
			value = "Quimby"
		}
		sent = append(sent, name, value)
	}
	sent = append(sent, "id", "planted", "resource", `{"planted":true}`, "ssn", "planted", "maritalStatus", "planted", "author", "planted",
		"user_id", "1", "role", db.RoleAdmin, "is_active", "false", "created_at", "1999-01-01")
	if a := b.post(path, sent...); a.status != http.StatusSeeOther {
		t.Fatalf("%d\n%.400s", a.status, a.body)
	}
	after := scan[string](s, stored)
	if after == before || strings.Contains(after, "planted") || !strings.Contains(after, "Quimby") {
		t.Errorf("%s\nbefore: %s", after, before)
	}
	if n := scan[int](s, `SELECT count(*) FROM users WHERE username <> role OR NOT is_active`); n != 0 {
		t.Error("a patient's form changed a user")
	}
}

// TestEveryPageOfASessionOffersToSignOut asks for the pages, not for files and fragments (ASVS 7.4.4).
func TestEveryPageOfASessionOffersToSignOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(1)
	s.exec(`INSERT INTO users (username, password_hash) VALUES ('somebody', 'none')`)
	patient := scan[string](s, `SELECT min(id::text) FROM patients`)
	b := s.as(db.RoleAdmin)
	pages := 0
	for _, e := range matrix {
		method, path := e.request(s, patient)
		if method != http.MethodGet || e.access == public {
			continue
		}
		a := b.get(path)
		if a.status == http.StatusOK && strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			if pages++; !strings.Contains(a.body, `action="/logout"`) {
				t.Errorf("%s has no way to sign out", path)
			}
		}
	}
	if pages < 5 {
		t.Errorf("only %d pages", pages)
	}
}
