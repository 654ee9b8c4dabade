package handlers

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var linkField = regexp.MustCompile(`id="link"[^>]* value="([^"]+)"`)

// link is the path of the link that a page shows.
func (a answer) shown(b *browser) string {
	b.t.Helper()
	m := linkField.FindStringSubmatch(a.body)
	if a.status != 200 || m == nil {
		b.t.Fatalf("no link: %d", a.status)
	}
	path, ok := strings.CutPrefix(m[1], b.url)
	if !ok {
		b.t.Fatalf("the link leads to %s", m[1])
	}
	return path
}

func TestOnlyAdministratorsManageUsers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	before := scan[string](s, `SELECT string_agg(users::text, ' ' ORDER BY id) FROM users`)
	for _, role := range []string{"viewer", "clinician"} {
		b := s.session(role)
		n := 0
		for _, rt := range s.routes() {
			method, path, _ := strings.Cut(rt.pattern, " ")
			if !strings.HasPrefix(path, "/admin/") {
				continue
			}
			n++
			path = strings.Replace(path, "{id}", fmt.Sprint(s.userID("viewer")), 1)
			a := b.get(path)
			if method == http.MethodPost {
				a = b.give(path, anything...)
			}
			a.says(t, role+": "+rt.pattern, http.StatusForbidden, "Your role does not allow this")
		}
		if n < 10 {
			t.Errorf("only %d routes", n)
		}
		if strings.Contains(b.get("/account").body, "/admin/users") {
			t.Errorf("the menu of a %s leads there", role)
		}
	}
	if scan[string](s, `SELECT string_agg(users::text, ' ' ORDER BY id) FROM users`) != before {
		t.Error("something was done")
	}
	s.session("admin").get("/account").says(t, "an administrator's menu", 200, `<a href="/admin/users">Users</a>`)
}

var userCell = regexp.MustCompile(`<th scope="row"><a href="/admin/users/\d+"><bdi>([^<]*)</bdi>`)

func (a answer) users() (all []string) {
	for _, m := range userCell.FindAllStringSubmatch(a.body, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestTheListOfUsersIsSearchedWithoutItsAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`INSERT INTO users (username, email, password_hash, is_active) SELECT 'staff-' || lpad(n::text, 3, '0'), 's' || n || '@clinic.example', 'x', n <> 7 FROM generate_series(1, 130) n`)
	s.exec(`INSERT INTO users (username, password_hash) VALUES ('100%', 'x'), ('"><img src=x>', 'x')`)
	b := s.session("admin")
	a := b.get("/admin/users")
	a.says(t, "the list", 200, "Administrator", "100 users on this page, and there are more", `<div id="list"><div class="scroll"`, `<table class="cards">`, `scope="col"`)
	if got := a.users(); len(got) != 100 || strings.Contains(a.body, "<img") {
		t.Errorf("%d users", len(got))
	}
	next := b.post("/admin/users/search", a.nextForm(t)...)
	if got := next.users(); len(got) != 35 || got[len(got)-1] != "viewer" {
		t.Errorf("the next page: %d %v", len(got), got)
	}
	next.says(t, "and back", 200, `<a href="/admin/users">First page</a>`)
	b.give("/admin/users/search", "q", "staff-00").says(t, "from what was found", 200, `<a href="/admin/users">All users</a>`)
	for q, want := range map[string]string{"staff-00": "staff-001 staff-002 staff-003 staff-004 staff-005 staff-006 staff-007 staff-008 staff-009", "STAFF-130": "staff-130",
		"s42@": "staff-042", "%": "100%", "_": "", "\\": "", "nobody": "", " admin ": "admin"} {
		a := b.give("/admin/users/search", "q", q)
		if got := strings.Join(a.users(), " "); got != want || a.status != 200 {
			t.Errorf("%q finds %q, %d", q, got, a.status)
		}
	}
	b.give("/admin/users/search", "q", "nobody").says(t, "nothing", 200, "No user found", `value="nobody"`)
	b.give("/admin/users/search", "q", "staff-007").says(t, "a disabled one", 200, ">Disabled<")
	b.give("/admin/users/search", "q", strings.Repeat("x", 5000)).says(t, "too much", 400)
	if strings.Contains(s.logs.String(), "staff-") {
		t.Error("the log holds the search")
	}
}

// nextForm are the fields of the form that leads to the next page.
func (a answer) nextForm(t *testing.T) []string {
	t.Helper()
	_, nav, ok := strings.Cut(a.body, `class="pager"`)
	if !ok {
		t.Fatal("no next page")
	}
	return answer{body: "<main" + nav}.filled()
}

func TestAnInvitedUserSetsThePasswordThatNobodyElseKnows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	form := b.get("/admin/users/new")
	form.says(t, "the form", 200, `name="username"`, `value="clinician" selected`)
	if strings.Contains(form.body, `type="password"`) {
		t.Error("an administrator can choose a password")
	}
	page := b.give("/admin/users", "username", "zoe", "email", "zoe@clinic.example", "role", "viewer", "password", "chosen by the boss!")
	page.says(t, "created", 200, "Invitation for", "shown this once", "readonly")
	link := page.shown(b)
	token := strings.TrimPrefix(link, "/invite/")
	if len(token) < 43 || strings.Contains(scan[string](s, `SELECT string_agg(account_links::text, ' ') FROM account_links`), token) {
		t.Error("the token is short, or stored")
	}
	if role := scan[string](s, `SELECT role FROM users WHERE username = 'zoe' AND email = 'zoe@clinic.example' AND is_active`); role != "viewer" {
		t.Error(role)
	}
	s.browser().post("/login", "username", "zoe", "password", "chosen by the boss!").says(t, "a password that was sent along", 422)
	b.get("/admin/users").says(t, "the list", 200, ">Invited<")
	b.get(s.at("zoe", "")).says(t, "the page", 200, "The invitation is open until")
	if strings.Contains(b.get(s.at("zoe", "")).body, token) {
		t.Error("the link is shown twice")
	}

	zoe := s.browser()
	zoe.get(link).says(t, "the link", 200, "Welcome", "<bdi>zoe</bdi>", `autocomplete="new-password"`)
	zoe.get(link).says(t, "opening it does not use it", 200)
	zoe.post(link, "password", "short").says(t, "a short password", 422, "at least 15 characters", "<title>Error: ")
	zoe.post(link, "password", "short", "suggest", "1").says(t, "a suggestion", 200, `name="password"`)
	zoe.post(link, "password", another).leads(t, "set", "/login?notice=password-set")
	if len(zoe.cookies) != 0 {
		t.Error("a link made a session")
	}
	zoe.get("/login?notice=password-set").says(t, "and told", 200, "Your password is set. Sign in with it.")
	if strings.Contains(zoe.get("/login?notice=evil").body, "evil") {
		t.Error("a notice that is none of ours")
	}
	for what, a := range map[string]answer{"used, opened": zoe.get(link), "used again": zoe.post(link, "password", "yet another good one")} {
		a.says(t, what, http.StatusNotFound, "This link does not work any more")
	}
	zoe.post("/login", "username", "zoe", "password", another).leads(t, "signed in", "/patients")
	for _, never := range []string{token, "zoe", another} {
		if strings.Contains(s.logs.String(), never) {
			t.Errorf("the log holds %q", never)
		}
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action IN ('user-create', 'password-by-link') AND (detail->>'user_id')::int = $1`, s.userID("zoe")); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestLinksThatWorkNoLongerAllLookTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	link := func() string { return b.give(s.at("viewer", "link")).shown(b) }
	superseded := link()
	expired := link()
	same := s.browser().get("/invite/nothing-at-all")
	plain := func(a answer) string { return changing.ReplaceAllString(a.body, "") }
	gone := func(what, path string) {
		t.Helper()
		for _, a := range []answer{s.browser().get(path), s.browser().post(path, "password", another)} {
			a.says(t, what, http.StatusNotFound, "ask an administrator for a new link", "extension 4711")
			if plain(a) != plain(same) {
				t.Errorf("%s looks different", what)
			}
		}
	}
	gone("superseded", superseded)
	s.browser().get(expired).says(t, "the newer one", 200, "Set a new password", "you are signed out")
	s.exec(`UPDATE account_links SET expires_at = now()`)
	gone("expired", expired)
	disabled := link()
	b.give(s.at("viewer", "disable")).leads(t, "disabled", s.at("viewer", "")+"?notice=disabled")
	gone("of a disabled user", disabled)
	b.give(s.at("viewer", "enable")).leads(t, "enabled", s.at("viewer", "")+"?notice=enabled")
	gone("of a user who was disabled", disabled)
	for _, made := range []string{"/invite/%00", "/invite/%ff", "/invite/" + strings.Repeat("a", 3000), "/invite/..%2f..%2flogin"} {
		gone(made[:11], made)
	}
	s.browser().post("/login", "username", "viewer", "password", password).leads(t, "the password is as it was", "/patients")
}

func TestAResetSignsOutEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, viewer, other := s.session("admin"), s.as("viewer"), s.session("clinician")
	link := b.give(s.at("viewer", "link"), "password", "chosen by the boss!").shown(b)
	if !viewer.alive() {
		t.Error("the link alone signed out")
	}
	b.get(s.at("viewer", "")).says(t, "the page", 200, "A link for a new password is open until")
	s.browser().post(link, "password", another).leads(t, "set", "/login?notice=password-set")
	if viewer.alive() || !other.alive() {
		t.Error("the old password's session lives, or somebody else's ended")
	}
	if n := scan[int](s, `SELECT count(*) FROM known_devices WHERE user_id = $1`, s.userID("viewer")); n != 0 {
		t.Error("browsers of the old password are known")
	}
}

func TestLinksAreCompleteAddresses(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Secure = true })
	b := s.session("admin")
	b.cookies["__Host-chartroom"] = &http.Cookie{Name: "__Host-chartroom", Value: b.cookies["chartroom"].Value}
	a := b.do(http.MethodPost, s.at("viewer", "link"), form("csrf_token", formToken(s.formKeys[0], b.cookies["chartroom"].Value)),
		"Content-Type", "application/x-www-form-urlencoded", "Host", "chartroom.clinic.example")
	a.says(t, "served over HTTPS", 200, `value="https://chartroom.clinic.example/invite/`)
}

func TestUsersThatCannotBeCreated(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`UPDATE users SET email = 'taken@clinic.example' WHERE username = 'viewer'`)
	b := s.session("admin")
	for what, try := range map[string][4]string{
		"taken":      {"viewer", "", "viewer", "There is already a user with this name"},
		"mail taken": {"zoe", "taken@clinic.example", "viewer", "There is already a user with this name or e-mail address"},
		"no name":    {"", "", "viewer", "The user name must have 1 to 255 bytes."},
		"a space":    {"zoe ", "", "viewer", "which nobody would see"},
		"a control":  {"zo\te", "", "viewer", "cannot be typed"},
		"long":       {strings.Repeat("z", 256), "", "viewer", "1 to 255"},
		"no mail":    {"zoe", "zoe", "viewer", "Write one e-mail address like name@example.org, without spaces."},
		"no role":    {"zoe", "", "owner", "The role must be one of"},
	} {
		a := b.give("/admin/users", "username", try[0], "email", try[1], "role", try[2])
		a.says(t, what, 422, try[3], `aria-invalid="true"`, "<title>Error: New user", `value="`+try[0]+`"`)
	}
	if scan[int](s, `SELECT count(*) FROM users`) != 3 || scan[int](s, `SELECT count(*) FROM account_links`) != 0 {
		t.Error("some were")
	}
}

func TestWhatAdministratorsDoCountsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, user := s.session("admin"), s.session("clinician")
	page := s.at("clinician", "")
	b.get(page).says(t, "the page", 200, "Clinician", "active", "Where they are signed in", "Unknown device", "Disable this user")

	b.give(page+"/role", "role", "viewer").leads(t, "role", page+"?notice=role")
	user.get("/patients/new").says(t, "the next request", http.StatusForbidden)
	b.get(page+"?notice=role").says(t, "told", 200, "The role is changed", `value="viewer" selected`)
	b.give(page+"/role", "role", "owner").says(t, "a role that is none", 422, "The role must be one of", `aria-invalid="true"`)

	b.give(page+"/end-sessions").leads(t, "sessions", page+"?notice=signed-out")
	if user.alive() {
		t.Error("the session lives")
	}
	b.get(page).says(t, "none", 200, "Nowhere.")

	user = s.session("clinician")
	b.give(page+"/disable").leads(t, "disable", page+"?notice=disabled")
	if user.alive() {
		t.Error("the session of a disabled user lives")
	}
	b.get(page).says(t, "disabled", 200, ">Disabled<", "Enable this user")
	b.give(page+"/link").says(t, "a link for a disabled user", http.StatusConflict, "This user is disabled: enable them first.")
	s.browser().post("/login", "username", "clinician", "password", password).says(t, "disabled", 422)
	b.give(page+"/enable").leads(t, "enable", page+"?notice=enabled")
	if user.alive() {
		t.Error("enabling brought a session back")
	}
	s.browser().post("/login", "username", "clinician", "password", password).leads(t, "enabled", "/patients")

	s.exec(`INSERT INTO sign_in_throttle (kind, subject, failures, last_at, blocked_until, user_id) VALUES ('name', '\x01', 100, now(), now() + interval '1 hour', $1)`, s.userID("clinician"))
	b.get(page).says(t, "locked", 200, ">Locked<", "Too many sign-ins have failed")
	b.give(page+"/unlock").leads(t, "unlock", page+"?notice=unlocked")
	if scan[int](s, `SELECT count(*) FROM sign_in_throttle WHERE user_id = $1`, s.userID("clinician")) != 0 {
		t.Error("still locked")
	}
	want := "user-disable user-enable user-set-role user-sign-out user-unlock"
	if got := scan[string](s, `SELECT string_agg(action, ' ' ORDER BY action) FROM audit_events WHERE actor = 'admin' AND actor_id IS NOT NULL AND session_id IS NOT NULL AND action LIKE 'user-%'`); got != want {
		t.Errorf("on record: %s", got)
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	page := s.at("admin", "")
	for what, a := range map[string]answer{"disable": b.give(page + "/disable"), "role": b.give(page+"/role", "role", "viewer")} {
		a.says(t, what, http.StatusConflict, "This is the last administrator: make another user one first.", "<title>Error: User", `role="alert"`)
		if what == "disable" && !regexp.MustCompile(`action="[^"]+/disable"><input [^>]+><p class="error" role="alert"[^>]*>This is the last`).MatchString(a.body) {
			t.Errorf("the refusal does not stand where the button is:\n%s", a.body)
		}
	}
	if !b.alive() || scan[string](s, `SELECT role || is_active FROM users WHERE username = 'admin'`) != "admintrue" {
		t.Error("they did not")
	}
	b.give(s.at("viewer", "role"), "role", "admin").leads(t, "another one", s.at("viewer", "")+"?notice=role")
	b.give(page+"/role", "role", "clinician").leads(t, "who steps down", "/account?notice=role")
	b.get("/account?notice=role").says(t, "is told", 200, "You are no administrator any more.")
	b.get("/admin/users").says(t, "and is none", http.StatusForbidden)
}

func TestAUserWhoIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	s.exec(`INSERT INTO users (id, username, password_hash) VALUES (0, '', 'x')`) // by hand: no page, and no other's
	before := scan[string](s, `SELECT string_agg(users::text, ' ' ORDER BY id) FROM users`)
	for _, id := range []string{"0", "-1", "999999", "abc", "007", "+1", "1.0", "2147483648", "99999999999999999999", "%20", "1%00", "00000000-0000-4000-8000-000000000000"} {
		b.get("/admin/users/"+id).says(t, id, http.StatusNotFound, "There is nothing here")
		for _, action := range []string{"role", "disable", "enable", "link", "end-sessions", "unlock"} {
			b.give("/admin/users/"+id+"/"+action, "role", "viewer").says(t, id+" "+action, http.StatusNotFound)
		}
	}
	b.give(s.at("viewer", "nonsense")).says(t, "an action that is none", http.StatusNotFound)
	if scan[string](s, `SELECT string_agg(users::text, ' ' ORDER BY id) FROM users`) != before {
		t.Error("something was done")
	}
}
