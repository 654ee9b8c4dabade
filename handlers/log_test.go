package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chartroom/db"
)

// logged is a line of the log in JSON.
type logged map[string]any

// asJSON has the site log as production does.
func asJSON(s *site) {
	s.logs.Reset()
	s.Log = slog.New(slog.NewJSONHandler(s.logs, nil))
}

func (s *site) lines() (all []logged) {
	s.t.Helper()
	for line := range strings.Lines(s.logs.String()) {
		var l logged
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatalf("not a line of JSON: %q", line)
		}
		all = append(all, l)
	}
	return all
}

// after waits for more lines of requests than before: a large answer has arrived before its line is written.
func (s *site) after(before int) []logged {
	s.t.Helper()
	for end := time.Now().Add(5 * time.Second); len(s.requests()) <= before && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	return s.requests()[before:]
}

func (s *site) requests() (all []logged) {
	for _, l := range s.lines() {
		if l["msg"] == "request" {
			all = append(all, l)
		}
	}
	return all
}

var timeOfLine = regexp.MustCompile(`(?m)^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",`)

// TestEachRequestIsOneLineOfOneShape walks the table of routes with a patient whose values are looked for in the log.
func TestEachRequestIsOneLineOfOneShape(t *testing.T) {
	t.Parallel()
	w := newWalker(t)
	asJSON(w.site)
	admin := scan[float64](w.site, `SELECT id::float8 FROM users WHERE username = 'admin'`)
	id := regexp.MustCompile(`^[\w-]{12}$`)
	sent := 0
	for _, rt := range w.routes() {
		i := slices.IndexFunc(matrix, func(e rule) bool { return e.pattern == rt.pattern })
		if i < 0 || slices.Contains([]string{"POST /login", "POST /logout", "POST /account/password"}, rt.pattern) || strings.HasSuffix(rt.pattern, "z}") || quiet[strings.TrimPrefix(rt.pattern, "GET ")] {
			continue // another session, and the end of the walk's own; and what is asked by whatever watches the containers
		}
		token := w.b.token()
		before := len(w.requests())
		a := w.send(w.b, matrix[i], token)
		sent++
		lines := w.after(before)
		if len(lines) != 1 {
			t.Errorf("%s: %d lines", rt.pattern, len(lines))
			continue
		}
		l := lines[0]
		want := []string{"level", "method", "ms", "msg", "request", "route", "status", "time"}
		if rt.access != public || rt.pattern == "GET /login" || rt.pattern == "GET /help" {
			want = append(want, "user")
			if l["user"] != admin {
				t.Errorf("%s (%d): user %v", rt.pattern, a.status, l["user"])
			}
		}
		delete(l, "slow") // on a busy machine
		if keys := slices.Sorted(maps.Keys(l)); !slices.Equal(keys, want) {
			t.Errorf("%s has %q", rt.pattern, keys)
		}
		if l["route"] != rt.pattern || l["status"] != float64(a.status) || l["method"] != strings.Fields(rt.pattern)[0] || !id.MatchString(fmt.Sprint(l["request"])) {
			t.Errorf("%s (%d): %v", rt.pattern, a.status, l)
		}
	}
	if sent < 40 {
		t.Errorf("only %d routes were asked", sent)
	}
	log := timeOfLine.ReplaceAllString(w.logs.String(), "") // nine digits after the second, in which some line has any four
	for _, secret := range append([]string{strings.TrimPrefix(w.path, "/patients/"), w.b.cookies["chartroom"].Value, "1974", "csrf_token", "127.0.0.1"}, ofPatient.FindAllString(log, -1)...) {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

// TestARequestsIdLeadsFromTheErrorPageToTheLogAndTheAudit is how docs/operations.md has a fault looked for.
func TestARequestsIdLeadsFromTheErrorPageToTheLogAndTheAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	asJSON(s)
	b := s.as("viewer")
	a := b.get("/admin/users")
	shown := regexp.MustCompile(`[\w-]{12}`)
	var line logged
	for end := time.Now().Add(5 * time.Second); line == nil && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, l := range s.requests() {
			if id := fmt.Sprint(l["request"]); l["status"] == 403.0 && strings.Contains(a.body, id) && shown.MatchString(id) {
				line = l
			}
		}
	}
	if a.status != 403 || line == nil {
		t.Fatalf("%d: the page's number is on no line\n%s", a.status, s.logs)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE request_id = $1 AND action = 'access' AND outcome = 'refused' AND actor_id = $2 AND detail->>'route' = $3`,
		line["request"], int(line["user"].(float64)), line["route"]); n != 1 {
		t.Errorf("%d events have the number %v", n, line["request"])
	}
}

// broken is a site with a route that does what a test wants.
func broken(t *testing.T, do func(http.ResponseWriter, *http.Request) error) (*site, http.Handler) {
	s := newSite(t)
	asJSON(s)
	mux := http.NewServeMux()
	mux.Handle("GET /x", s.serve(route{pattern: "GET /x", access: public, handle: do}))
	return s, s.middleware(mux)
}

func TestWhoHangsUpIsNoErrorOfTheSite(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(context.Background())
	s, h := broken(t, func(_ http.ResponseWriter, r *http.Request) error {
		leave()
		return fmt.Errorf("list patients: %w", context.Canceled)
	})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/x", nil))
	if l := s.lines(); len(l) != 1 || l[0]["status"] != 499.0 || l[0]["aborted"] != true || l[0]["level"] != "INFO" {
		t.Errorf("%v", l)
	}
}

func TestADownloadThatBreaksOffIsMarkedOnItsLine(t *testing.T) {
	t.Parallel()
	s, h := broken(t, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(200)
		panic(http.ErrAbortHandler)
	})
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("the connection is not broken off: %v", p)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))
	}()
	if l := s.lines(); len(l) != 1 || l[0]["aborted"] != true || l[0]["status"] != 200.0 {
		t.Errorf("%v", l)
	}
}

func TestAPanicIsOneErrorWithItsPlaceAndOneLine(t *testing.T) {
	t.Parallel()
	s, h := broken(t, func(http.ResponseWriter, *http.Request) error { panic(errors.New("Quimbleton")) })
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	l := s.lines()
	if len(l) != 3 || l[0]["msg"] != "panic" || l[2]["msg"] != "request" || l[2]["status"] != 500.0 || l[0]["request"] != l[2]["request"] ||
		!strings.Contains(fmt.Sprint(l[0]["stack"]), "log_test.go") || strings.Contains(s.logs.String(), "Quimbleton") {
		t.Errorf("%v", l)
	}
	if !strings.Contains(w.Body.String(), fmt.Sprint(l[2]["request"])) {
		t.Error("the page does not show the number")
	}
}

func TestASlowRequestIsAWarning(t *testing.T) {
	t.Parallel()
	s, _ := broken(t, nil)
	for took, want := range map[time.Duration]string{slowRequest - time.Millisecond: "INFO", slowRequest: "WARN"} {
		s.logs.Reset()
		sc := &scope{conn: context.Background(), meter: s.meter.unknown}
		s.note(&recorder{status: 200}, httptest.NewRequest("GET", "/x", nil).WithContext(context.WithValue(context.Background(), scopeKey{}, sc)), took, nil)
		if l := s.lines(); len(l) != 1 || l[0]["level"] != want || (l[0]["slow"] == true) != (want == "WARN") {
			t.Errorf("%s: %v", took, l)
		}
	}
}

func TestAReadWhoseConnectionIsLostIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	asJSON(s)
	s.fill(3)
	b := s.as(db.RoleClinician)
	token := b.token()
	cut := func() {
		b.get("/account")
		s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	cut()
	if a := b.get("/patients"); a.status != 200 || len(a.names()) != 3 {
		t.Errorf("the list: %d", a.status)
	}
	cut()
	a := b.post("/patients/search", "csrf_token", token, "q", "a")
	if a.status != 303 {
		t.Errorf("a search: %d", a.status)
	}
	retried := 0
	for _, l := range s.requests() {
		if l["retried"] == true {
			retried++
		}
	}
	if retried != 2 {
		t.Errorf("%d were tried once more\n%s", retried, s.logs)
	}
	cut()
	if a := b.post("/account/email", "csrf_token", token, "email", "a@example.org"); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("what changes something is not repeated, but it was %d", a.status)
	}
	if a := b.post("/account/email", "csrf_token", token, "email", "a@example.org"); a.status != 303 {
		t.Errorf("the next one: %d", a.status)
	}
}

// TestAServerThatIsNoPrimaryAnyMoreIsLetGo has every connection refuse to write, as a demoted primary does, and the next ones not.
func TestAServerThatIsNoPrimaryAnyMoreIsLetGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(1)
	b := s.as("viewer")
	name := scan[string](s, `SELECT current_database()`)
	s.exec(`ALTER DATABASE ` + name + ` SET default_transaction_read_only = on`)
	s.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if a := b.get("/patients"); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Fatalf("with a server that does not write: %d", a.status)
	}
	s.exec(`ALTER DATABASE ` + name + ` RESET default_transaction_read_only`)
	for range 5 {
		if a := b.get("/patients"); a.status != 200 {
			t.Errorf("with one that does: %d", a.status)
		}
	}
}
