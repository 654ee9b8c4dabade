package handlers

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/views/texts"
)

// offFor is a setting that lets in the clients of some networks for an hour.
func offFor(networks ...string) *db.SignInOff {
	off := &db.SignInOff{Until: time.Now().Add(time.Hour).Truncate(time.Second)}
	for _, n := range networks {
		off.Allow = append(off.Allow, netip.MustParsePrefix(n))
	}
	return off
}

const here, elsewhere = "127.0.0.0/8", "203.0.113.0/29"

// readWhileOff are the routes that a client reads without signing in, and stayWhileOff those that are as ever; said here by hand,
// apart from routes.go. All others are shut.
var (
	readWhileOff = []string{"GET /patients", "POST /patients/search", "GET /patients/{id}"}
	stayWhileOff = []string{"GET /{$}", "GET /help", "GET /patients/recent", "GET /login", "POST /login", "POST /logout", "GET /session", "POST /session", "GET /admin/audit",
		"POST /admin/audit/search", "GET /admin/audit/events/{id}", "GET /healthcheck", "GET /livez", "POST /csp-report", "GET /assets/{name...}"}
)

// TestWhileSignInIsOffNothingChangesAndOnlyPatientsAreReadWithoutIt walks the table of routes.
func TestWhileSignInIsOffNothingChangesAndOnlyPatientsAreReadWithoutIt(t *testing.T) {
	t.Parallel()
	for _, rt := range (&Server{}).routes() {
		want := shut
		switch {
		case slices.Contains(readWhileOff, rt.pattern):
			want = readable
		case slices.Contains(stayWhileOff, rt.pattern):
			want = asEver
		}
		if rt.off != want {
			t.Errorf("%s is %d while sign-in is off, want %d", rt.pattern, rt.off, want)
		}
	}
	for _, networks := range []string{here, elsewhere} {
		s := newSiteOn(t, offFor(networks))
		s.fill(3)
		patient := scan[string](s, `SELECT min(id::text) FROM patients`)
		letIn := s.browser()
		if networks == here { // the page's own token
			if m := tokenField.FindStringSubmatch(letIn.get("/patients").body); m != nil {
				s.walkWhileOff(t, "let in", letIn, m[1], patient)
			} else {
				t.Error("no search form without signing in")
			}
		} else {
			s.walkWhileOff(t, "anonymous", letIn, "none", patient)
		}
		roles := db.Roles
		if networks == elsewhere {
			roles = db.Writers[:1]
		}
		for _, role := range roles {
			b := s.as(role)
			s.walkWhileOff(t, role, b, formToken(s.formKeys[0], b.cookies["chartroom"].Value), patient)
		}
	}
}

func (s *site) walkWhileOff(t *testing.T, caller string, b *browser, token, patient string) {
	t.Helper()
	before := s.contents()
	for _, e := range matrix {
		if e.pattern == "POST /login" || e.pattern == "POST /logout" {
			continue // begin and end a session, as ever
		}
		method, path := e.request(s, patient)
		a := b.do(method, path, form(append([]string{"csrf_token", token}, e.fields...)...), "Content-Type", "application/x-www-form-urlencoded")
		reads, stays := slices.Contains(readWhileOff, e.pattern), slices.Contains(stayWhileOff, e.pattern)
		toLogin := a.status == http.StatusSeeOther && strings.HasPrefix(a.header.Get("Location"), "/login")
		good := false
		switch {
		case !reads && !stays:
			good = a.status == http.StatusForbidden && strings.Contains(a.body, texts.English.Errors.ReadOnly)
		case caller == "let in" && reads, e.access == public, slices.Contains(e.access.roles(), caller):
			good = slices.Contains(e.status, a.status) && (!toLogin || path == "/")
		case slices.Contains(db.Roles, caller): // a route for administrators
			good = a.status == http.StatusForbidden
		default:
			good = toLogin
		}
		if !good {
			t.Errorf("%s, %s: %d %s", e.pattern, caller, a.status, a.header.Get("Location"))
		}
		if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && strings.Contains(a.body, "<main") && !strings.Contains(a.body, "Sign-in is switched off until") {
			t.Errorf("%s, %s: the page does not say that sign-in is off", e.pattern, caller)
		}
		if caller != "let in" && caller != "anonymous" {
			continue
		}
		for _, m := range []string{http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions} {
			if a := b.do(m, path, ""); m != http.MethodOptions && strings.Contains(a.body, "<table") || a.status >= 500 {
				t.Errorf("%s %s, %s: %d", m, path, caller, a.status)
			}
		}
	}
	if after := s.contents(); after != before {
		t.Errorf("%s has changed something\n%s\n%s", caller, before, after)
	}
}

func TestEachLookWithoutSignInIsOnRecordWithTheClientAndThatSignInWasOff(t *testing.T) {
	t.Parallel()
	s := newSiteOn(t, offFor("10.20.0.0/16"), func(c *Config) { c.ProxyHops = 1 })
	s.fill(3)
	patient := scan[string](s, `SELECT min(id::text) FROM patients`)
	b := s.browser()
	from := []string{"X-Forwarded-For", "10.20.3.4"}
	page := b.get("/patients", from...)
	token := tokenField.FindStringSubmatch(page.body)
	if page.status != 200 || token == nil || strings.Contains(page.body, `class="avatar"`) || strings.Contains(page.body, "/export") || !strings.Contains(page.body, "You have not signed in") {
		t.Fatalf("%d\n%s", page.status, page.body)
	}
	found := b.do(http.MethodPost, "/patients/search", form("q", "a", "csrf_token", token[1]), append(append(from, htmx...), "Content-Type", "application/x-www-form-urlencoded")...)
	to := found.header.Get("Hx-Replace-Url")
	if found.status != 200 || to == "" {
		t.Fatal(found.status, found.body)
	}
	if a := b.get("/patients/"+patient, from...); a.status != 200 || strings.Contains(a.body, "/edit") {
		t.Error(a.status, a.body)
	}
	if a := b.get(to, from...); a.status != 200 {
		t.Errorf("its own list address: %d", a.status)
	}
	if a := b.get(to, "X-Forwarded-For", "10.20.3.5"); a.status != http.StatusBadRequest {
		t.Errorf("another computer's list address: %d", a.status)
	}
	if a := b.get("/patients/new", from...); a.status != http.StatusForbidden {
		t.Error(a.status)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action LIKE 'patient-%' AND outcome = 'success' AND actor = $1 AND actor_id IS NULL AND session_id IS NULL
		AND client = '10.20.3.4'`, db.StandInName); n != 4 {
		t.Errorf("%d looks are on record, want 4", n)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'patient-open' AND patients = ARRAY[$1::uuid]`, patient); n != 1 {
		t.Errorf("the patient was opened %d times", n)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'access' AND outcome = 'refused' AND client = '10.20.3.4' AND detail->>'kind' = 'sign-in off' AND detail->>'route' = 'GET /patients/new'`); n != 1 {
		t.Errorf("%d refusals are on record, want 1", n)
	}
	if a := s.as("admin").get("/admin/audit"); !strings.Contains(a.body, db.StandInName) || strings.Count(a.body, "shell</span>") != 1 { // the import

		t.Error("the audit's page does not say who it was")
	}
}

// TestOnlyASureAddressLetsAClientIn: what a client or a misplaced proxy can make of an address opens nothing.
func TestOnlyASureAddressLetsAClientIn(t *testing.T) {
	t.Parallel()
	s, looks := newSiteOn(t, offFor("203.0.113.0/29", "10.0.0.0/8", "127.0.0.0/8")), 0
	for _, c := range []struct {
		what   string
		hops   int
		secure bool
		header []string
		in     bool
	}{
		{"no proxy", 0, false, nil, true},
		{"a proxy that was not told of", 0, false, []string{"X-Forwarded-For", "203.0.113.1"}, false},
		{"a proxy that says it otherwise", 0, false, []string{"Forwarded", "for=203.0.113.1"}, false},
		{"a proxy that says only its name", 0, false, []string{"Via", "1.1 proxy"}, false},
		{"a proxy that says only how", 0, false, []string{"X-Forwarded-Proto", "https"}, false},
		{"one proxy", 1, false, []string{"X-Forwarded-For", "203.0.113.1"}, true},
		{"IPv4 as IPv6", 1, false, []string{"X-Forwarded-For", "::ffff:203.0.113.1"}, true},
		{"a client from elsewhere", 1, false, []string{"X-Forwarded-For", "203.0.113.8"}, false},
		{"past the proxy", 1, false, nil, false},
		{"an empty header", 1, false, []string{"X-Forwarded-For", ""}, false},
		{"a made-up address before the true one", 1, false, []string{"X-Forwarded-For", "203.0.113.1, 198.51.100.7"}, false},
		{"another proxy that was not counted", 1, false, []string{"X-Forwarded-For", "198.51.100.7, 10.0.0.9"}, false},
		{"two proxies", 2, false, []string{"X-Forwarded-For", "203.0.113.1, 10.0.0.9"}, true},
		{"two proxies, on two lines", 2, false, []string{"X-Forwarded-For", "203.0.113.1", "X-Forwarded-For", "10.0.0.9"}, true},
		{"one proxy, counted twice, and a made-up address", 2, false, []string{"X-Forwarded-For", "203.0.113.1, 198.51.100.7"}, false},
		{"one proxy, counted twice", 2, false, []string{"X-Forwarded-For", "203.0.113.1"}, false},
		{"no address", 1, false, []string{"X-Forwarded-For", "localhost"}, false},
		{"over HTTPS", 1, true, []string{"X-Forwarded-For", "203.0.113.1", "X-Forwarded-Proto", "https"}, true},
		{"over HTTPS to the first of two", 2, true, []string{"X-Forwarded-For", "203.0.113.1, 10.0.0.9", "X-Forwarded-Proto", "https, http"}, true},
		{"not over HTTPS", 1, true, []string{"X-Forwarded-For", "203.0.113.1", "X-Forwarded-Proto", "http"}, false},
		{"not known how", 1, true, []string{"X-Forwarded-For", "203.0.113.1"}, false},
		{"made up to be over HTTPS", 1, true, []string{"X-Forwarded-For", "203.0.113.1", "X-Forwarded-Proto", "https, http"}, false},
	} {
		config := s.Config
		config.ProxyHops, config.Secure = c.hops, c.secure
		server, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		r, a := httptest.NewRequest(http.MethodGet, "/patients", nil), httptest.NewRecorder()
		r.RemoteAddr = "127.0.0.1:4711"
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Add(c.header[i], c.header[i+1])
		}
		server.ServeHTTP(a, r)
		if in := a.Code == http.StatusOK; in != c.in || !in && (a.Code != http.StatusSeeOther || strings.Contains(a.Body.String(), "<table")) {
			t.Errorf("%s: %d, let in: %v", c.what, a.Code, in)
		}
		if c.in {
			looks++
		}
		if n := scan[int](s, `SELECT count(*) FROM audit_events`); n != looks {
			t.Errorf("%s: %d events, want %d", c.what, n, looks)
		}
	}
}

func TestSignInComesBackByItselfAlsoForOpenPages(t *testing.T) {
	t.Parallel()
	off := offFor(here)
	s := newSiteOn(t, off)
	s.fill(3)
	var ahead atomic.Int64
	s.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	b, clinician := s.browser(), s.as("clinician")
	page := b.get("/patients")
	token := tokenField.FindStringSubmatch(page.body)
	if page.status != 200 || token == nil {
		t.Fatal(page.status)
	}
	if a := clinician.get("/patients"); a.status != 200 || strings.Contains(a.body, "/patients/new") || strings.Contains(a.body, "/account\"") {
		t.Errorf("somebody signed in: %d, or a way to change something", a.status)
	}
	if a := b.get("/"); a.header.Get("Location") != "/patients" {
		t.Errorf("/ leads to %s", a.header.Get("Location"))
	}
	ahead.Store(int64(time.Until(off.Until) - time.Second))
	if a := b.get("/patients"); a.status != 200 {
		t.Errorf("a second before the end: %d", a.status)
	}
	ahead.Store(int64(time.Until(off.Until)))
	if a := b.get("/patients"); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/login") {
		t.Errorf("at the end: %d", a.status)
	}
	a := b.do(http.MethodPost, "/patients/search", form("q", "a", "csrf_token", token[1]), append(htmx, "Content-Type", "application/x-www-form-urlencoded")...)
	if a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("Hx-Redirect"), "/login") {
		t.Errorf("a search on the open page: %d", a.status)
	}
	if a := b.get("/login"); a.status != 200 || strings.Contains(a.body, "switched off") || strings.Contains(a.body, "without signing in") {
		t.Errorf("the sign-in page still says that sign-in is off")
	}
	if a := clinician.get("/patients/new"); a.status != 200 {
		t.Errorf("somebody signed in may write again: %d", a.status)
	}
}

func TestWhoseSessionHasEndedReadsOnWhileSignInIsOffAndMaySignIn(t *testing.T) {
	t.Parallel()
	s := newSiteOn(t, offFor(here))
	s.fill(3)
	b := s.as("clinician")
	form1 := tokenField.FindStringSubmatch(b.get("/patients").body)
	s.exec(`DELETE FROM sessions`)
	if a := b.post("/patients/search", "q", "a", "csrf_token", form1[1]); a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/patients?list=") {
		t.Errorf("the open page's search: %d %s", a.status, a.header.Get("Location"))
	}
	if b.cookies["chartroom"] != nil {
		t.Error("the dead cookie stays")
	}
	if a := b.get("/patients"); a.status != 200 || !strings.Contains(a.body, "You have not signed in") {
		t.Error(a.status)
	}
	if a := b.get("/login"); !strings.Contains(a.body, "without signing in") {
		t.Error("the sign-in form has no way back to the list")
	}
	b = s.enter("clinician")
	a := b.get("/patients")
	if a.status != 200 || strings.Contains(a.body, "You have not signed in") || !strings.Contains(a.body, `class="avatar"`) {
		t.Error(a.status)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'patient-list' AND actor = 'clinician' AND session_id IS NOT NULL`); n == 0 {
		t.Error("who has signed in is not on record by name")
	}
}
