package handlers

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"chartroom/db"
)

// fields that no fresh route refuses before it has judged who asks.
var anything = []string{"username", "zoe", "role", "viewer", "email", "zoe@clinic.example"}

func TestWhatChangesWhoGetsInAsksForAnOldPasswordAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	s.stale()
	n := 0
	for _, rt := range s.closed() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if !rt.fresh {
			if method == http.MethodPost && strings.HasPrefix(path, "/admin/") && path != "/admin/users/search" && path != "/admin/audit/search" {
				t.Errorf("%s changes accounts without asking", rt.pattern)
			}
			continue
		}
		n++
		if method != http.MethodPost {
			t.Errorf("%s: what was asked for can only go on as a POST", rt.pattern)
		}
		a := b.give(path, anything...)
		a.says(t, rt.pattern, http.StatusForbidden, "Confirm it is you", `name="to" value="`+path+`"`)
	}
	if n < 9 {
		t.Errorf("only %d routes ask", n)
	}
	if scan[int](s, `SELECT count(*) FROM users WHERE username = 'zoe' OR email = 'zoe@clinic.example'`) != 0 {
		t.Error("something was done before the password was asked for")
	}
	s.exec(`UPDATE sessions SET created_at = now() - interval '9 minutes 50 seconds'`)
	b.give("/account/email", "email", "admin@clinic.example").leads(t, "a password of ten minutes ago", "/account?notice=email")
	if db.ConfirmedFor != 10*time.Minute {
		t.Error("this test is about ten minutes")
	}
}

func TestAfterThePasswordItGoesOnWithWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	s.stale()
	old := *b.cookies["chartroom"]
	asked := b.give("/admin/users", "username", `zoe "<b>&`, "role", "viewer", "email", "")
	asked.says(t, "asked", http.StatusForbidden, `<a href="/admin/users/new">Cancel</a>`)
	if strings.Contains(asked.body, `zoe "<b>`) {
		t.Error("what was typed is markup")
	}
	wrong := b.post("/confirm", append(asked.filled(), "password", "not it")...)
	wrong.says(t, "a wrong password", http.StatusUnprocessableEntity, "<title>Error: Confirm it is you", "That is not your password.")
	if strings.Contains(wrong.body, "not it") || b.cookies["chartroom"].Value != old.Value {
		t.Error("a wrong password is on the page, or began a session")
	}
	done := b.post("/confirm", append(wrong.filled(), "password", password)...)
	done.says(t, "confirmed", http.StatusOK, `Invitation for <bdi>zoe "<b>&`, "/invite/")
	if scan[string](s, `SELECT role FROM users WHERE username = 'zoe "<b>&'`) != "viewer" {
		t.Error("not what was asked for")
	}
	// It was a sign-in: another session, and the one before is over.
	if now := b.cookies["chartroom"]; now.Value == old.Value || !b.alive() {
		t.Error("no new session")
	}
	b.give("/account/email", "email", "").leads(t, "and counts for the next ten minutes", "/account?notice=email")
	before := s.browser()
	before.cookies["chartroom"] = &old
	if before.alive() {
		t.Error("the session before lives")
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'sign-in' AND actor = 'admin'`); n != 3 {
		t.Errorf("%d sign-ins and refusals on record", n) // in, the refusal, the confirmation
	}
	for _, never := range []string{"zoe", password, "not it", "/admin/users "} {
		if strings.Contains(s.logs.String(), never) {
			t.Errorf("the log holds %q", never)
		}
	}
}

func TestConfirmingReachesNothingButWhatAsksForIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	before := b.cookies["chartroom"].Value
	for _, to := range []string{"", "/", "/patients", "/logout", "/login", "/confirm", "/account/password", "/admin/users/search", "/csp-report",
		"//admin/users", "/admin//users", "/admin/users/", "/admin/users/../users", "/account/./email", "admin/users", "https://evil.example/admin/users",
		"/admin/users?x=1", "/admin/users#x", `/admin\users`, "/invite/abc", "/nothing"} {
		a := b.give("/confirm", "to", to, "password", password, "carried.username", "zoe", "carried.role", "viewer")
		if a.status != http.StatusBadRequest || b.cookies["chartroom"].Value != before {
			t.Errorf("%q: %d", to, a.status)
		}
	}
	if n := scan[int](s, `SELECT count(*) FROM users WHERE username = 'zoe'`); n != 0 {
		t.Error("something was done")
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'sign-in'`); n != 1 {
		t.Error("the password was looked at")
	}
}

func TestConfirmingGivesNobodyARole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("clinician")
	a := b.give("/confirm", "to", s.at("clinician", "role"), "password", password, "carried.role", "admin")
	a.says(t, "a clinician", http.StatusForbidden, "Your role does not allow this")
	if scan[string](s, `SELECT role FROM users WHERE username = 'clinician'`) != "clinician" {
		t.Error("a clinician became something else")
	}
	s.stale()
	b.give(s.at("clinician", "role"), "role", "admin").says(t, "not asked for what they may not do anyway", http.StatusForbidden, "Your role does not allow this")
}

func TestPasswordsAreNeverCarried(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	s.stale()
	a := b.give("/admin/users", "username", "zoe", "role", "viewer", "password", "chosen by somebody else", "New_Password", "chosen by somebody else")
	a.says(t, "asked", http.StatusForbidden, `name="carried.username" value="zoe"`)
	if strings.Contains(a.body, "chosen by") || strings.Contains(strings.ToLower(a.body), "carried.password") {
		t.Error("a password waits on the page")
	}
	b.post("/confirm", append(a.filled(), "password", password, "carried.password", "chosen by somebody else")...).says(t, "confirmed", 200, "Invitation for")
	s.browser().post("/login", "username", "zoe", "password", "chosen by somebody else").says(t, "the password of the form", 422)
}

func TestAnotherSessionsFormsAreNotConfirmed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, other := s.session("admin"), s.session("admin")
	s.stale()
	theirs := other.give("/account/email", "email", "evil@clinic.example").filled()
	b.post("/confirm", append(theirs, "password", password)...).says(t, "another session's form", http.StatusForbidden, "This page is out of date")
	b.post("/confirm", "to", "/account/email", "carried.email", "evil@clinic.example", "carried.csrf_token", "x", "password", password).says(t, "none", http.StatusForbidden)
	if scan[int](s, `SELECT count(*) FROM users WHERE email IS NOT NULL`) != 0 {
		t.Error("done")
	}
}

func TestGuessingThePasswordOfAnOpenSessionIsThrottled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	s.stale()
	asked := b.give("/account/email", "email", "evil@clinic.example").filled()
	for guess := range 20 {
		a := b.post("/confirm", append(asked, "password", "guess")...)
		if a.status == http.StatusTooManyRequests {
			a.says(t, "throttled", 429, "Too many sign-ins have failed")
			if guess != 5 || a.header.Get("Retry-After") == "" {
				t.Errorf("after %d guesses, Retry-After %q", guess, a.header.Get("Retry-After"))
			}
			b.post("/confirm", append(asked, "password", password)...).says(t, "and so is the right one", 429)
			// The two forms that ask for it count together.
			b.give("/account/password", "current_password", "guess", "new_password", "four green bicycles in a lake").says(t, "changing it", 429, "Too many sign-ins have failed")
			return
		}
	}
	t.Error("never")
}
