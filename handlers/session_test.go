package handlers

import (
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// closed are all routes that ask for a session, with a value for each wildcard.
func (s *site) closed() (all []route) {
	for _, rt := range s.routes() {
		if rt.access != public {
			rt.pattern = strings.NewReplacer("{id}", "00000000-0000-4000-8000-000000000000").Replace(rt.pattern)
			all = append(all, rt)
		}
	}
	return all
}

func TestWithoutASessionEveryClosedRouteAsksToSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	nobody, ended := s.browser(), s.as("viewer")
	token := ended.token()
	s.exec(`DELETE FROM sessions`)
	if len(s.closed()) < 4 {
		t.Fatal("which routes are closed?")
	}
	for _, rt := range s.closed() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		for who, b := range map[string]*browser{"nobody": nobody, "an ended session": ended} {
			body, kind := form("csrf_token", token), "application/x-www-form-urlencoded"
			page := b.do(method, path, body, "Content-Type", kind)
			if page.status != http.StatusSeeOther || !strings.HasPrefix(page.header.Get("Location"), "/login") {
				t.Errorf("%s, %s: %d to %q, want 303 to /login", rt.pattern, who, page.status, page.header.Get("Location"))
			}
			part := b.do(method, path, body, append(htmx, "Content-Type", kind)...)
			if part.status != http.StatusUnauthorized || !strings.HasPrefix(part.header.Get("HX-Redirect"), "/login") || part.body != "" {
				t.Errorf("%s as a fragment, %s: %d, HX-Redirect %q, body %q", rt.pattern, who, part.status, part.header.Get("HX-Redirect"), part.body)
			}
		}
	}
}

func TestSigningInLeadsWhereOneWasGoing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	to := b.get("/account").header.Get("Location")
	if to != "/login?next=%2Faccount" {
		t.Fatalf("sent to %q", to)
	}
	page := b.get(to)
	if !strings.Contains(page.body, `name="next" value="/account"`) {
		t.Error("the form does not carry where to go")
	}
	if a := b.post("/login", "username", "viewer", "password", password, "next", "/account"); a.status != 303 || a.header.Get("Location") != "/account" {
		t.Errorf("%d to %q", a.status, a.header.Get("Location"))
	}
	if a := b.get("/login"); a.status != 303 || a.header.Get("Location") != "/patients" {
		t.Errorf("signed in already: %d to %q", a.status, a.header.Get("Location"))
	}
}

func TestSigningInNeverLeadsToAnotherSite(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/patients?list=abc": "/patients?list=abc", "/account": "/account", "": "",
		"https://evil.example/": "", "//evil.example": "", `/\evil.example`: "", `\\evil.example`: "", "/\t/evil.example": "",
		"javascript:alert(1)": "", "/%2f/evil.example": "", "evil": "", "/login": "", "/logout": "", "/session": "", "/patients/search": "",
		"/x\r\nSet-Cookie: a=b": "", "/" + strings.Repeat("a", 3000): "", "/%zz": "", "http:/x": "",
	} {
		if got := nextPath(next); got != want {
			t.Errorf("%.40q leads to %q, want %q", next, got, want)
		}
	}
}

var changing = regexp.MustCompile(`nonce="[^"]*"|Request code: [\w-]+`)

// refusedUsers are accounts that a sign-in is refused for in all ways that there are; nobody is the user that is not there.
func refusedUsers(s *site) []string {
	s.exec(`INSERT INTO users (username, password_hash, is_active) VALUES ('off', $1, false), ('odd', 'not a hash', true),
		('weak', '$2b$10$4KVFrvj8Qle5UonzQicPKedUj0DKEMQgjE8ogiHQ5Q.a1/sdfzryO', true), ('broken', '$2b$12$................................_not_base64_________x', true), ('locked', $1, true)`, passwordHash)
	return []string{"viewer", "nobody", "off", "odd", "weak", "broken", "locked"}
}

// throttleStates are what may be known of a name; each is set before a try of each name.
var throttleStates = []struct {
	name     string
	failures int
	blocked  string
	status   int
}{
	{"never failed", 0, "-infinity", http.StatusUnprocessableEntity},
	{"failed before", 7, "-infinity", http.StatusUnprocessableEntity},
	{"must wait", 7, "infinite", http.StatusTooManyRequests},
	{"failed a hundred times", 100, "-infinity", http.StatusUnprocessableEntity},
	{"failed a hundred times, and must wait", 100, "infinite", http.StatusTooManyRequests},
}

// stranger is somebody without a device cookie who tries names.
type stranger struct {
	*browser
	counted map[string][]byte // what a name is counted under
}

// tries signs in with what a stranger may guess, in a state of the throttle. The locked user's password is right.
func (x stranger) tries(name string, failures int, blocked string) (answer, time.Duration) {
	x.t.Helper()
	if x.counted[name] == nil {
		x.exec(`TRUNCATE sign_in_throttle`)
		x.post("/login", "username", name, "password", "wrong")
		var subject []byte
		if err := x.conn.QueryRow(x.t.Context(), `SELECT subject FROM sign_in_throttle WHERE kind = 'name'`).Scan(&subject); err != nil {
			x.t.Fatal(err)
		}
		x.counted[name] = subject
	}
	x.exec(`TRUNCATE sign_in_throttle`)
	if failures > 0 {
		x.exec(`INSERT INTO sign_in_throttle (kind, subject, failures, last_at, noted, user_id, blocked_until) VALUES ('name', $1, $2, now(), true,
			(SELECT id FROM users WHERE username = $3), CASE WHEN $4 = 'infinite' THEN now() + interval '1 hour' ELSE '-infinity' END)`, x.counted[name], failures, name, blocked)
	}
	with := "wrong"
	if name == "locked" && failures >= 100 {
		with = password
	}
	start := time.Now()
	a := x.post("/login", "username", name, "password", with)
	return a, time.Since(start)
}

func TestEveryRefusalLooksTheSame(t *testing.T) {
	t.Parallel()
	refusalsLookTheSame(t, 0, 2) // with a name that never failed, and with one that must wait
}

func refusalsLookTheSame(t *testing.T, states ...int) {
	s := newSite(t)
	users := refusedUsers(s)
	x := stranger{s.browser(), map[string][]byte{}}
	for _, i := range states {
		state := throttleStates[i]
		var first, firstHeader string
		for _, name := range users {
			a, _ := x.tries(name, state.failures, state.blocked)
			a.header.Del("Date")
			body := strings.ReplaceAll(changing.ReplaceAllString(a.body, ""), `value="`+name+`"`, `value="NAME"`)
			header := changing.ReplaceAllString(fmt.Sprint(a.header), "")
			header = regexp.MustCompile(`nonce-[\w-]+|Content-Length:\[\d+\]`).ReplaceAllString(header, "")
			if first == "" {
				first, firstHeader = body, header
			}
			if a.status != state.status || body != first || header != firstHeader || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s, %q: %d, same text: %v, same headers: %v\n%s\n%s", state.name, name, a.status, body == first, header == firstHeader, header, firstHeader)
			}
			if after := a.header.Get("Retry-After"); (a.status == http.StatusTooManyRequests) != (after == "3600") {
				t.Errorf("%s, %q: Retry-After %q", state.name, name, after)
			}
		}
		if said := map[int]string{422: "not right", 429: "Try again in 60 minutes"}[state.status]; !strings.Contains(first, said) || !strings.Contains(first, "<title>Error: Sign in") {
			t.Errorf("%s: the refusal does not say so:\n%s", state.name, first)
		}
	}
	s.exec(`TRUNCATE sign_in_throttle`)
	for _, odd := range []string{strings.Repeat("x", 5000), "", "eight wrong words"} {
		if a := s.browser().post("/login", "username", "viewer", "password", odd); a.status != 422 || odd != "" && strings.Contains(a.body, odd) {
			t.Errorf("%.20q: %d, or the password is on the page", odd, a.status)
		}
	}
}

func TestASignInPageLeftOpenOvernightStillWorks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '10 hours'`)
	if err := s.DB.Housekeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The form holds nothing that grows old, and a session that has ended is no hindrance.
	page := b.get("/patients")
	if page.status != http.StatusSeeOther || page.header.Get("Location") != "/login?next=%2Fpatients&reason=ended" {
		t.Fatalf("%d to %q", page.status, page.header.Get("Location"))
	}
	a := b.post("/login", "username", "viewer", "password", password, "next", "/patients", "csrf_token", "of another day")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/patients" {
		t.Errorf("%d to %q", a.status, a.header.Get("Location"))
	}
	if a := b.get("/patients"); a.status != http.StatusOK {
		t.Errorf("afterwards: %d", a.status)
	}
}

func TestTheDeviceCookieOpensNothingAndIsSetAtSignInOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	for name, secure := range map[string]bool{"chartroom-device": false, "__Host-chartroom-device": true} {
		if got := deviceCookie(secure); got != name {
			t.Errorf("its name is %q", got)
		}
	}
	a := b.post("/login", "username", "viewer", "password", password)
	set := b.cookies["chartroom-device"]
	if a.status != http.StatusSeeOther || set == nil || !set.HttpOnly || set.SameSite != http.SameSiteLaxMode || set.Path != "/" || set.Domain != "" || set.MaxAge != 365*24*60*60 {
		t.Fatalf("%d, %+v", a.status, set)
	}
	alone := s.browser()
	alone.cookies["chartroom-device"] = set
	if a := alone.get("/patients"); a.status != http.StatusSeeOther {
		t.Errorf("it opened the list: %d", a.status)
	}
	if n := scan[int](s, `SELECT count(*) FROM known_devices WHERE position($1 IN known_devices::text) > 0`, set.Value[:20]); n != 0 {
		t.Error("its value stands in the database")
	}
	delete(b.cookies, "chartroom")
	if a := b.post("/login", "username", "viewer", "password", "wrong"); a.header.Get("Set-Cookie") != "" {
		t.Error("a refusal sets a cookie")
	}
}

func TestTheSessionCookieIsAsNarrowAsCanBe(t *testing.T) {
	t.Parallel()
	for secure, name := range map[bool]string{false: "chartroom", true: "__Host-chartroom"} {
		s := newSite(t, func(c *Config) { c.Secure = secure })
		c := s.enter("viewer").cookies[name]
		if c == nil {
			t.Fatalf("no cookie %q", name)
		}
		if !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() || len(c.Value) < 22 {
			t.Errorf("%+v", c)
		}
	}
}

func TestSigningInMakesANewTokenAndEndsTheOldOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	planted := s.browser()
	planted.cookies["chartroom"] = &http.Cookie{Name: "chartroom", Value: "a-token-that-somebody-planted-here-before"}
	if a := planted.post("/login", "username", "viewer", "password", password); a.status != 303 {
		t.Fatal(a.status)
	}
	if planted.cookies["chartroom"].Value == "a-token-that-somebody-planted-here-before" {
		t.Error("a planted token became a session")
	}
	b := s.as("viewer")
	old := *b.cookies["chartroom"]
	if a := b.post("/login", "username", "admin", "password", password); a.status != 303 {
		t.Fatal(a.status)
	}
	if b.cookies["chartroom"].Value == old.Value {
		t.Error("the token stayed the same")
	}
	if !strings.Contains(b.get("/account").body, "Administrator") {
		t.Error("signed in as somebody else")
	}
	b.cookies["chartroom"] = &old
	if a := b.get("/patients"); a.status != 303 {
		t.Errorf("the old token answers %d", a.status)
	}
}

func TestSigningOutEndsTheSessionForGood(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.enter("clinician")
	cookie := *b.cookies["chartroom"]
	if a := b.get("/logout"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
		t.Errorf("GET /logout: %d, Allow %q", a.status, a.header.Get("Allow"))
	}
	if a := b.get("/patients"); a.status != 200 {
		t.Fatalf("GET /logout signed out: %d", a.status)
	}
	a := b.post("/logout", "csrf_token", b.token())
	if a.status != 303 || a.header.Get("Location") != "/login" || a.header.Get("Clear-Site-Data") != `"cache", "storage"` {
		t.Errorf("%d to %q, Clear-Site-Data %q", a.status, a.header.Get("Location"), a.header.Get("Clear-Site-Data"))
	}
	if len(b.cookies) != 1 || b.cookies["chartroom-device"] == nil { // which opens nothing
		t.Errorf("cookies are left: %v", b.cookies)
	}
	b.cookies["chartroom"] = &cookie
	if a := b.get("/patients"); a.status != 303 {
		t.Errorf("the cookie still answers %d", a.status)
	}
	if a := b.post("/logout"); a.status != 303 {
		t.Errorf("signing out twice: %d", a.status)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'sign-out' AND actor = 'clinician' AND host(client) = '127.0.0.1'`); n != 1 {
		t.Errorf("%d sign-outs recorded", n)
	}
}

// TestSigningOutDuringARotationEndsTheSession signs out while pages of the same session move it to the new key.
func TestSigningOutDuringARotationEndsTheSession(t *testing.T) {
	t.Parallel()
	older := newSite(t)
	keys := []string{strings.Repeat("n", 40), dbtest.Keys[0]}
	d, err := db.Open(t.Context(), db.Config{URL: older.conn.Config().ConnString(), SessionKeys: keys, Idle: 15 * time.Minute, Program: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	newer := newSite(t, func(c *Config) { c.DB, c.SessionKeys = d, keys })
	for range 40 {
		b := older.session("viewer")
		mine := *b.cookies["chartroom"]
		at := func() *browser { return &browser{newer, map[string]*http.Cookie{"chartroom": &mine}} }
		var all sync.WaitGroup
		all.Go(func() { _, _ = at().try(http.MethodGet, "/account", "") })
		all.Go(func() { _, _ = at().try(http.MethodPost, "/logout", "") })
		all.Wait()
		if a := at().get("/account"); a.status != http.StatusSeeOther {
			t.Fatalf("afterwards: %d", a.status)
		}
	}
}

// TestASlowRequestDoesNotBringTheSessionBack has a request under way across the end of its session.
func TestASlowRequestDoesNotBringTheSessionBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*site, *browser){
		"sign-out": func(_ *site, b *browser) {
			if a := b.post("/logout"); a.status != 303 {
				b.t.Errorf("sign-out: %d", a.status)
			}
		},
		"a bare DELETE": func(s *site, _ *browser) { s.exec(`DELETE FROM sessions`) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.fill(30)
			b := s.as("viewer")
			s.exec(`UPDATE sessions SET last_seen_at = now() - interval '5 minutes'`) // so that the request writes to it
			slow := s.browser()
			slow.cookies["chartroom"] = b.cookies["chartroom"]
			lock, err := s.conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lock.Exec(t.Context(), `LOCK TABLE patients`); err != nil {
				t.Fatal(err)
			}
			done := make(chan answer, 1)
			go func() {
				a, _ := slow.try(http.MethodGet, "/patients", "")
				done <- a
			}()
			time.Sleep(300 * time.Millisecond) // it has asked by now, or asks after the end: both must hold
			if name == "sign-out" {
				end(s, b)
			}
			if err := lock.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if name != "sign-out" {
				end(s, b)
			}
			<-done
			for range 3 {
				if a := slow.get("/patients"); a.status != 303 {
					t.Errorf("after the end: %d", a.status)
				}
			}
			if n := scan[int](s, `SELECT count(*) FROM sessions`); n != 0 {
				t.Errorf("%d sessions stand", n)
			}
		})
	}
}

func TestAskingWhetherTheSessionLivesDoesNotKeepItAlive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '14 minutes'`)
	if a := b.get("/session", htmx...); a.status != http.StatusNoContent {
		t.Errorf("alive: %d", a.status)
	}
	s.exec(`UPDATE sessions SET last_seen_at = last_seen_at - interval '61 seconds'`)
	a := b.get("/session", append(htmx, "HX-Current-URL", s.url+"/account")...)
	if a.status != http.StatusUnauthorized || a.header.Get("HX-Redirect") != "/login?next=%2Faccount&reason=ended" {
		t.Errorf("idle for 15 minutes: %d, HX-Redirect %q", a.status, a.header.Get("HX-Redirect"))
	}
}

func TestFormsFromOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("clinician")
	token := b.token()
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		for _, path := range []string{"/login", "/logout", "/patients/search"} {
			a := b.do(http.MethodPost, path, form("csrf_token", token, "username", "admin", "password", password),
				append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
			if a.status != http.StatusForbidden {
				t.Errorf("%s with %v: %d", path, header, a.status)
			}
		}
	}
	if a := b.get("/account"); a.status != 200 || !strings.Contains(a.body, "Clinician") {
		t.Errorf("a foreign form had an effect: %d", a.status)
	}
}

func TestFormsNeedTheSessionsToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(5)
	b, other := s.as("clinician"), s.as("viewer")
	for name, token := range map[string]string{"none": "", "made up": "abc", "another session's": other.token()} {
		if a := b.post("/patients/search", "q", "x", "csrf_token", token); a.status != http.StatusForbidden || len(a.names()) > 0 {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if a := b.search(""); a.status != 200 {
		t.Errorf("its own: %d", a.status)
	}
}

func TestASessionThatCannotBeReadCountsAsNone(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*browser) answer{
		"signing out": func(b *browser) answer { return b.post("/logout") },
		"signing in":  func(b *browser) answer { return b.post("/login", "username", "viewer", "password", password) },
	} {
		s := newSite(t)
		b := s.as("viewer")
		s.exec(`UPDATE sessions SET data = convert_to(replace(convert_from(data, 'UTF8'), '["pwd"]', '"pwd"'), 'UTF8')`)
		old := *b.cookies["chartroom"]
		if a := leave(b); a.status != 303 {
			t.Errorf("%s: %d", name, a.status)
		}
		b.cookies["chartroom"] = &old
		if a := b.get("/patients"); a.status != 303 {
			t.Errorf("after %s the old cookie answers %d", name, a.status)
		}
	}
}
