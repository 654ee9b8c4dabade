package handlers

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"chartroom/db"
	"chartroom/views/texts"
)

const another = "four green bicycles in a lake"

func TestDevicesAreSaidInWords(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                        "Firefox 128 on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                                   "Safari 18 on a Mac",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1":                 "Safari 18 on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0":                           "Edge 141 on Windows",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36":                                         "Chrome 141 on Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36":                                          "Chrome 141 on ChromeOS",
		"Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/21.0 Chrome/110.0.5481.154 Mobile Safari/537.36": "Samsung Internet 21 on Android",
		"curl/8.5.0":                          "Unknown device",
		"":                                    "Unknown device",
		"<script>alert(1)</script>/1.0":       "Unknown device",
		"You are hacked, call 555-0100/1 (X)": "Unknown device",
		"Mozilla/5.0 (X11; Linux x86_64) You-are-hacked/1.0": "Another browser on Linux",
		strings.Repeat("(", 500):                             "Unknown device",
	} {
		if got := device(&texts.English, agent); got != want {
			t.Errorf("%.60q is %q, want %q", agent, got, want)
		}
	}
}

func TestTheAccountPageShowsWhereOneIsSignedInAndWhoTried(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE users SET email = 'c@clinic.example' WHERE username = 'clinician'`)
	in := func(agent string) *browser {
		b := s.browser()
		b.do(http.MethodPost, "/login", form("username", "clinician", "password", password), "Content-Type", "application/x-www-form-urlencoded", "User-Agent", agent)
		return b
	}
	in("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0")
	s.exec(`UPDATE sessions SET created_at = '2026-11-20 10:00Z', last_seen_at = now() - interval '1 minute'`)
	b := in(`Evil"><img src=x>/1 (X11; Linux)`)
	other := s.session("admin")
	page := b.get("/account")
	page.says(t, "the account", 200, "Clinician", `value="c@clinic.example"`, "Firefox 128 on Windows", "20 Nov 2026, 10:00", "this one", "127.0.0.1",
		"Another browser on Linux", "/account/sessions/"+scan[string](s, `SELECT id::text FROM sessions WHERE created_at < '2026-11-21'`)+"/end", "End all other sessions")
	for _, never := range []string{"Gecko", "Evil", "failed attempt", other.sessionID(), "/account/sessions/" + b.sessionID()} {
		if strings.Contains(page.body, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	for range 2 {
		s.browser().post("/login", "username", "clinician", "password", "a guess")
	}
	b.get("/account").says(t, "guesses since", 200, "2 failed attempts to sign in with your name since you last signed in", "Refused: wrong password")
	b = s.session("clinician")
	b.get("/account").says(t, "told after the next sign-in", 200, "2 failed attempts")
	if strings.Contains(s.session("clinician").get("/account").body, "failed attempt") {
		t.Error("told for ever")
	}
	if strings.Contains(other.get("/account").body, "Refused") {
		t.Error("somebody else's sign-ins are shown")
	}
	if strings.Contains(b.get("/account?notice=%3Cb%3E").main(), `role="status"`) {
		t.Error("a notice that is none of ours")
	}
}

func TestSessionsAreEndedByTheirUserAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	mine, second, third, other := s.session("clinician"), s.session("clinician"), s.session("clinician"), s.session("viewer")
	path := func(b *browser) string { return "/account/sessions/" + b.sessionID() + "/end" }
	theirs := path(other)
	for what, at := range map[string]string{"another user's session": theirs, "none": "/account/sessions/00000000-0000-4000-8000-000000000000/end", "no id": "/account/sessions/x/end"} {
		mine.give(at).says(t, what, http.StatusNotFound, "There is nothing here")
	}
	if !other.alive() {
		t.Error("another user's session was ended")
	}
	ended := path(second)
	mine.give(ended).leads(t, "one of one's own", "/account?notice=session-ended")
	mine.get("/account?notice=session-ended").says(t, "done", 200, `role="status">The session is ended.`)
	mine.give(ended).says(t, "twice", http.StatusNotFound)
	if second.alive() || !third.alive() || !mine.alive() {
		t.Error("the wrong one was ended")
	}
	mine.give("/account/sessions/end-others").leads(t, "all others", "/account?notice=others-ended")
	if third.alive() || !mine.alive() || !other.alive() {
		t.Error("the wrong ones were ended")
	}
	if strings.Contains(mine.get("/account").body, "End all other") {
		t.Error("there are no others")
	}
	s.stale()
	mine.give(path(mine)).leads(t, "this one, which needs no password", "/login")
	if n := scan[int](s, `SELECT count(*) FROM sessions WHERE user_id = $1`, s.userID("clinician")); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestTheOwnEmailAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE users SET email = 'taken@clinic.example' WHERE username = 'admin'`)
	b := s.session("viewer")
	email := func() string {
		return scan[string](s, `SELECT coalesce(email, '') FROM users WHERE username = 'viewer'`)
	}
	b.give("/account/email", "email", " v@clinic.example ").leads(t, "a new one", "/account?notice=email")
	if email() != "v@clinic.example" {
		t.Errorf("it is %q", email())
	}
	for typed, said := range map[string]string{"nonsense": "Write one e-mail address like name@example.org, without spaces.", "a@b@c": "Write one e-mail address like name@example.org, without spaces.", "taken@clinic.example": "There is already a user"} {
		a := b.give("/account/email", "email", typed)
		a.says(t, typed, 422, "<title>Error: Account", said, `value="`+typed+`"`, `aria-invalid="true"`)
	}
	if email() != "v@clinic.example" {
		t.Errorf("it is %q", email())
	}
	b.give("/account/email", "email", "").leads(t, "none", "/account?notice=email")
	if email() != "" {
		t.Errorf("it is %q", email())
	}
}

func TestChangingThePasswordEndsEverythingElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.enter("clinician")
	other, stranger := s.enter("clinician"), s.session("viewer")
	before, device := b.cookies["chartroom"].Value, b.cookies["chartroom-device"].Value
	b.get("/account/password").says(t, "the form", 200, `name="current_password"`, `name="new_password"`, `autocomplete="new-password"`, `autocomplete="current-password"`)

	a := b.give("/account/password", "current_password", password, "new_password", another)
	a.leads(t, "changed", "/account?notice=password-changed")
	b.get("/account?notice=password-changed").says(t, "and told", 200, "Your password was changed; all other sessions were ended.")
	if b.cookies["chartroom"].Value == before || other.alive() || !stranger.alive() {
		t.Error("this session has its old token, another one lives, or somebody else's ended")
	}
	if b.cookies["chartroom-device"].Value != device {
		t.Error("this browser is taken for another one")
	}
	if n := scan[int](s, `SELECT count(*) FROM known_devices WHERE user_id = $1`, s.userID("clinician")); n != 1 {
		t.Errorf("%d browsers are known", n)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'password-change' AND actor = 'clinician' AND outcome = 'success'`); n != 1 {
		t.Errorf("%d changes on record", n)
	}
	s.browser().post("/login", "username", "clinician", "password", password).says(t, "the old one", 422)
	s.browser().post("/login", "username", "clinician", "password", another).leads(t, "the new one", "/patients")
	if strings.Contains(s.logs.String(), another) || strings.Contains(s.logs.String(), password) {
		t.Error("the log holds a password")
	}
}

func TestPasswordsThatAreNotTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, other := s.session("clinician"), s.session("clinician")
	hash := scan[string](s, `SELECT password_hash FROM users WHERE username = 'clinician'`)
	for what, try := range map[string][3]string{
		"the current one is wrong": {"not it, whatever", another, "That is not your password."},
		"the new one is short":     {password, "short", "at least 15 characters"},
		"no new one":               {password, "", "at least 15 characters"},
		"the same again":           {password, password, "The new password is the one you have"},
	} {
		a := b.give("/account/password", "current_password", try[0], "new_password", try[1])
		a.says(t, what, 422, try[2], "<title>Error: Change your password", `aria-invalid="true"`)
		for _, typed := range try[:2] {
			if typed != "" && strings.Contains(a.body, `"`+typed+`"`) {
				t.Errorf("%s: a password is on the page", what)
			}
		}
	}
	b.give("/account/password", "current_password", "", "new_password", another).says(t, "without the current one", 422, "That is not your password.")
	if scan[string](s, `SELECT password_hash FROM users WHERE username = 'clinician'`) != hash || !other.alive() || !b.alive() {
		t.Error("something changed")
	}
	suggested := b.give("/account/password", "suggest", "1", "current_password", password, "new_password", another)
	suggested.says(t, "a suggestion", 200, `name="new_password"`)
	words, err := db.SuggestPassphrase()
	if err != nil || len(words) < db.MinPasswordLength || strings.Contains(suggested.body, password) || strings.Contains(suggested.body, another) {
		t.Errorf("suggested %q, %v", words, err)
	}
}

func TestAPasswordFromBeforeTheRulesIsAskedToBeChangedNotRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("short"), 4)
	if err != nil {
		t.Fatal(err)
	}
	s.exec(`UPDATE users SET password_hash = $1 WHERE username = 'viewer'`, string(hash))
	b := s.browser()
	a := b.post("/login", "username", "viewer", "password", "short", "next", "/account")
	a.leads(t, "signed in", "/account/password?next=%2Faccount")
	page := b.get(a.header.Get("Location"))
	page.says(t, "the page says why", 200, "before the rules of today", `<a href="/account">Not now</a>`, `name="next" value="/account"`)
	if n := b.get("/patients").status; n != 200 {
		t.Errorf("without a new one: %d", n)
	}
	b.give("/account/password", "current_password", "short", "new_password", another, "next", "/account").leads(t, "changed", "/account")

	for _, next := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "javascript:alert(1)"} {
		if strings.Contains(b.get("/account/password?"+form("next", next)).body, "evil") {
			t.Errorf("Not now leads to %s", next)
		}
	}
	b.give("/account/password", "current_password", another, "new_password", password, "next", "//evil.example").leads(t, "never to another site", "/account?notice=password-changed")
}
