package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"chartroom/db/dbtest"
	"chartroom/views/texts"
)

// idle gives a site another idle time than the usual one.
func (s *site) idle(d time.Duration) {
	s.DB = dbtest.OpenURL(s.t, s.conn.Config().ConnString(), d)
	s.limits = limits(s.Config)
}

// idleFor is how long ago the only session's last action was, in seconds.
func (s *site) idleFor() float64 {
	s.t.Helper()
	return scan[float64](s, `SELECT extract(epoch FROM now() - last_seen_at)::float8 FROM sessions`)
}

// left reads what a page is told of its session's time.
func (a answer) left(t *testing.T) (idle, ends int) {
	t.Helper()
	if n, err := fmt.Sscanf(a.header.Get("Chartroom-Session"), "idle=%d; ends=%d", &idle, &ends); n != 2 || a.status != http.StatusNoContent || a.body != "" {
		t.Fatalf("%d, Chartroom-Session %q (%v), body %q", a.status, a.header.Get("Chartroom-Session"), err, a.body)
	}
	return idle, ends
}

func TestAPageIsToldHowLongItsSessionLastsAndAskingDoesNotMakeItLonger(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '14 minutes', expiry = now() + interval '1 hour'`)
	for range 3 {
		if idle, ends := b.get("/session", htmx...).left(t); idle < 40 || idle > 60 || ends < 3580 || ends > 3600 {
			t.Errorf("%d s and %d s are left", idle, ends)
		}
	}
	if s.idleFor() < 840 {
		t.Errorf("asking counted as an action: idle for %v s", s.idleFor())
	}
}

func TestOneStepKeepsASessionAliveAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	token := b.token()
	for _, ago := range []string{"14 minutes", "2 seconds"} { // the second is sooner than other actions are written down
		s.exec(`UPDATE sessions SET last_seen_at = now() - $1::text::interval`, ago)
		a := b.do("POST", "/session", form("csrf_token", token), append(htmx, "Content-Type", "application/x-www-form-urlencoded")...)
		if idle, ends := a.left(t); idle < 895 || ends < 12*3600-60 {
			t.Errorf("after %s: %d s and %d s are left", ago, idle, ends)
		}
		if s.idleFor() > 1.5 {
			t.Errorf("after %s: idle for %v s", ago, s.idleFor())
		}
	}
	for next, to := range map[string]string{"/account": "/account", "": "/patients", "//evil.example": "/patients", "/session": "/patients"} {
		if a := b.post("/session", "csrf_token", token, "next", next); a.status != 303 || a.header.Get("Location") != to {
			t.Errorf("as a plain form, next %q: %d to %q", next, a.status, a.header.Get("Location"))
		}
	}
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '14 minutes'`)
	if a := b.post("/session", "csrf_token", "made up"); a.status != http.StatusForbidden || s.idleFor() < 840 {
		t.Errorf("without the form's token: %d, idle for %v s", a.status, s.idleFor())
	}
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '15 minutes'`)
	if a := b.post("/session", "csrf_token", token); a.status != 303 || !strings.HasPrefix(a.header.Get("Location"), "/login") || s.idleFor() < 900 {
		t.Errorf("after its end: %d to %q", a.status, a.header.Get("Location"))
	}
}

func TestNothingLastsLongerThanTheLifetime(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	token := b.token()
	s.exec(`UPDATE sessions SET expiry = now() + interval '30 seconds'`)
	if _, ends := b.do("POST", "/session", form("csrf_token", token), append(htmx, "Content-Type", "application/x-www-form-urlencoded")...).left(t); ends > 30 {
		t.Errorf("%d s are left", ends)
	}
}

func TestWhoHadASessionIsToldWhyItIsGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '20 minutes'`)
	to := b.get("/account").header.Get("Location")
	if to != "/login?next=%2Faccount&reason=ended" {
		t.Fatalf("led to %q", to)
	}
	wants(t, "the sign-in page", b.get(to), 200, "Your session has ended: after 15 minutes without a step, 12 hours after you signed in", `name="next" value="/account"`)
	wants(t, "after a countdown", b.get("/login?reason=timeout"), 200, "because nothing was done for 15 minutes")
	wants(t, "at the end", b.get("/login?reason=end"), 200, "because 12 hours have passed")
	for _, path := range []string{"/login", "/login?reason=%3Cb%3Ex", s.browser().get("/account").header.Get("Location")} {
		if a := b.get(path); a.status != 200 || strings.Contains(a.body, `class="note"`) || strings.Contains(a.body, "<b>") {
			t.Errorf("%s: a note for nothing", path)
		}
	}
}

func TestEveryPageSaysInWordsWhenOneIsSignedOut(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	for _, p := range []string{"/patients", "/account", path, path + "/edit", "/patients/new"} {
		wants(t, p, b.get(p), 200, "You are signed out after 15 minutes without a step, and 12 hours after you signed in.", `role="alertdialog"`,
			"<noscript>Without JavaScript no countdown warns you")
	}
	if strings.Contains(s.browser().get("/login").body, "signed out after") {
		t.Error("nobody is signed in there")
	}
	for d, want := range map[time.Duration]string{15 * time.Minute: "15 minutes", time.Minute: "1 minute", 12 * time.Hour: "12 hours", time.Hour: "1 hour",
		90 * time.Minute: "90 minutes", 90 * time.Second: "90 seconds", time.Second: "1 second", 1500 * time.Millisecond: "1.5s"} {
		if got := spell(texts.English.Dates, d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
