package handlers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Secure = true })
	s.fill(3)
	b := s.as("viewer")
	nonces := map[string]bool{}
	for name, a := range map[string]answer{
		"200": b.get("/patients"), "fragment": b.get("/patients", htmx...), "303": s.browser().get("/patients"), "401": s.browser().get("/patients", htmx...),
		"403": b.do("POST", "/logout", "", "Origin", "https://evil.example"), "404": b.get("/nothing"), "405": b.do("DELETE", "/patients", ""),
		"422": s.browser().post("/login", "username", "x", "password", "y"), "health": s.browser().get("/healthcheck"), "asset": b.get(s.assets.paths.CSS),
		"204": b.get("/session", htmx...),
	} {
		for header, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "X-Xss-Protection": "0",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			"Strict-Transport-Security": "max-age=63072000; includeSubDomains",
		} {
			if got := strings.Join(a.header.Values(header), "|"); got != want {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		csp := a.header.Get("Content-Security-Policy")
		if name == "asset" { // a file, which nothing is allowed to
			if csp != "default-src 'none'; frame-ancestors 'none'" {
				t.Errorf("%s: %s", name, csp)
			}
			continue
		}
		for _, part := range []string{"default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "object-src 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy lacks %s", name, part)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: %s", name, csp)
		}
		nonce := regexp.MustCompile(`'nonce-([\w-]{22})'`).FindString(csp)
		if nonce == "" || nonces[nonce] {
			t.Errorf("%s: nonce %q", name, nonce)
		}
		nonces[nonce] = true
		cache := "no-store"
		if got := strings.Join(a.header.Values("Cache-Control"), "|"); got != cache {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		if kind := a.header.Get("Content-Type"); a.body != "" && !strings.HasSuffix(kind, "; charset=utf-8") {
			t.Errorf("%s: Content-Type %q", name, kind)
		}
		for _, banned := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Origin"} {
			if a.header.Get(banned) != "" {
				t.Errorf("%s: has %s", name, banned)
			}
		}
	}
	if a := newSite(t).browser().get("/login"); a.header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS over plain HTTP")
	}
}

// TestTheLogHoldsNobodysData plants marked values in every place a request has and looks for them in the log.
func TestTheLogHoldsNobodysData(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("canary-id", "Canaryfamily", "Canarygiven", "CANARYMRN", "1974-12-25"))
	b := s.as("viewer")
	path := nameCell.FindStringSubmatch(b.get("/patients").body)[1]
	b.get(path)
	b.get(path+"?canaryquery=1", "HX-Current-URL", "http://x/canaryurl", "Referer", "http://x/canaryreferer", "User-Agent", "canaryagent")
	b.search("canaryfamily")
	b.search(strings.Repeat("canary", 100))
	b.get("/canarypath")
	b.do("CANARYMETHOD", "/patients", "")
	s.browser().post("/login", "username", "canaryuser", "password", "canarypassword")
	b.do("POST", "/csp-report", `{"csp-report":{"effective-directive":"script-src","blocked-uri":"inline","document-uri":"http://x/canarydocument","script-sample":"canarysample"}}`, "Content-Type", "application/csp-report")
	s.exec(`ALTER TABLE patients RENAME TO gone`)
	b.search("canaryfamily")
	b.get(path)
	s.exec(`ALTER TABLE gone RENAME TO patients`)
	log := strings.ToLower(s.logs.String())
	if strings.Count(log, "\n") < 10 || !strings.Contains(log, "script-src") {
		t.Fatalf("this is not the log:\n%s", log)
	}
	for _, secret := range []string{"canary", strings.TrimPrefix(path, "/patients/"), b.cookies["chartroom"].Value, "1974"} {
		if strings.Contains(log, strings.ToLower(secret)) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestWhenTheDatabaseIsGoneNothingLeaksAndAllComesBack(t *testing.T) {
	s := newSite(t)
	s.fill(3)
	b := s.as("viewer")
	name := scan[string](s, `SELECT current_database()`)
	s.conn = dbtest.Admin(t)
	s.exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`)
	s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, name)
	for _, path := range []string{"/patients", "/account", "/login"} {
		a := b.get(path)
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || len(a.names()) > 0 {
			t.Errorf("%s: %d, Retry-After %q", path, a.status, a.header.Get("Retry-After"))
		}
		if strings.Contains(a.body, "SQLSTATE") || strings.Contains(a.body, name) {
			t.Errorf("%s: the cause is on the page", path)
		}
	}
	if a := b.get("/healthcheck"); a.status != http.StatusServiceUnavailable {
		t.Errorf("healthcheck: %d", a.status)
	}
	if a := b.get("/livez"); a.status != 200 {
		t.Errorf("livez: %d", a.status)
	}
	s.exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS true`)
	if a := b.get("/patients"); a.status != 200 || len(a.names()) != 3 {
		t.Errorf("with it back: %d", a.status)
	}
}

func TestTheHealthcheckTakesAnyHostAndStaysOutOfTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if a := s.browser().get("/healthcheck", "Host", "containers"); a.status != 200 || a.body != "ok\n" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if s.logs.String() != "" {
		t.Errorf("the log: %s", s.logs)
	}
}

func TestAPanicIsAnErrorPageAndTheServerLives(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := s.serve(route{pattern: "GET /x", access: public, handle: func(http.ResponseWriter, *http.Request) error { panic("secret value") }})
	mux := http.NewServeMux()
	mux.Handle("GET /x", h)
	w := httptest.NewRecorder()
	s.middleware(mux).ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != 500 || !strings.Contains(w.Body.String(), "Something went wrong") || strings.Contains(w.Body.String()+s.logs.String(), "secret value") {
		t.Errorf("%d\n%s", w.Code, s.logs)
	}
}

func TestTheClientsAddress(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		hops      int
		want      string
	}{
		"direct":                         {"192.0.2.1:999", nil, 0, "192.0.2.1"},
		"a claim without a proxy":        {"192.0.2.1:999", []string{"203.0.113.9"}, 0, "192.0.2.1"},
		"one proxy":                      {"10.0.0.1:999", []string{"203.0.113.9"}, 1, "203.0.113.9"},
		"two proxies, as on Aptible":     {"10.0.0.1:999", []string{"203.0.113.9, 10.0.0.7"}, 2, "203.0.113.9"},
		"a claim further left":           {"10.0.0.1:999", []string{"198.51.100.66, 203.0.113.9, 10.0.0.7"}, 2, "203.0.113.9"},
		"a claim in a header of its own": {"10.0.0.1:999", []string{"198.51.100.66", "203.0.113.9, 10.0.0.7"}, 2, "203.0.113.9"},
		"fewer than there are proxies":   {"10.0.0.1:999", []string{"203.0.113.9"}, 2, "10.0.0.1"},
		"nothing that is an address":     {"10.0.0.1:999", []string{"unknown"}, 1, "10.0.0.1"},
		"with a port":                    {"10.0.0.1:999", []string{"203.0.113.9:4711"}, 1, "203.0.113.9"},
		"IPv6 with a port":               {"10.0.0.1:999", []string{"[2001:db8::1]:4711"}, 1, "2001:db8::1"},
		"IPv6 in brackets":               {"10.0.0.1:999", []string{"[2001:db8::1]"}, 1, "2001:db8::1"},
		"IPv6":                           {"[2001:db8::1]:999", nil, 0, "2001:db8::1"},
		"IPv4 in IPv6":                   {"[::ffff:192.0.2.1]:999", nil, 0, "192.0.2.1"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		if got := client(r, c.hops).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestADisabledUserAndAChangedRoleCountAtTheNextRequest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("admin")
	s.exec(`UPDATE users SET role = 'viewer' WHERE username = 'admin'`)
	if a := b.get("/account"); !strings.Contains(a.body, "<bdi>Viewer</bdi>") {
		t.Error("the role is still the old one")
	}
	if err := s.DB.DisableUser(t.Context(), db.By{Shell: "test"}, db.UserRef{Name: "admin"}); err != nil {
		t.Fatal(err)
	}
	if a := b.get("/patients"); a.status != 303 {
		t.Errorf("disabled: %d", a.status)
	}
}

func TestARoleThatMayNotIsRefusedAndRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	v := db.Viewer{Token: b.cookies["chartroom"].Value, Roles: []string{db.RoleAdmin}}
	if _, err := s.DB.Whoami(t.Context(), v); s.describe(err).status != 403 {
		t.Errorf("whoami: %v", err)
	}
	if l, err := s.DB.ListPatients(t.Context(), v, db.ListQuery{Sort: db.SortName}); s.describe(err).status != 403 || len(l.Rows) > 0 {
		t.Errorf("list: %v", err)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE outcome = 'refused' AND actor = 'viewer'`); n != 2 {
		t.Errorf("%d refusals recorded", n)
	}
}

func TestAHealthcheckThatIsCutOffDoesNotSpoilTheNext(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.healthyAt = time.Time{}
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/healthcheck", nil))
		if a := s.browser().get("/healthcheck"); a.status != 200 {
			t.Fatalf("%d", a.status)
		}
	}
}

func TestARequestThatTakesTooLongGetsAPageThatSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", "/patients", nil)
	r.AddCookie(&http.Cookie{Name: "chartroom", Value: "some token"})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "cannot reach its data") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestAServerThatIsAboutToStopSaysSoAndServesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	if a := b.get("/healthcheck"); a.status != 200 {
		t.Errorf("before: %d", a.status)
	}
	s.Drain()
	if a := b.get("/healthcheck"); a.status != http.StatusServiceUnavailable || a.body != "stopping\n" {
		t.Errorf("healthcheck: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/livez", "/patients"} {
		rec, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
		r.AddCookie(b.cookies["chartroom"])
		s.ServeHTTP(rec, r) // not through a client, which keeps this header to itself
		if rec.Code != 200 || rec.Header().Get("Connection") != "close" {
			t.Errorf("%s: %d, Connection: %q", path, rec.Code, rec.Header().Get("Connection"))
		}
	}
}
