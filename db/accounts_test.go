package db_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func TestSigningInWithAPredecessorsAccounts(t *testing.T) {
	db.TodaysCost(t) // which is the predecessor's: no hash is made anew
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	predecessor(t, c)
	const old = `SELECT string_agg(format('%s|%s|%s|%s|%s|%s|%s', id, username, email, password_hash, is_active, created_at, updated_at), E'\n' ORDER BY id) FROM users`
	before := value[string](t, c, old)
	if err := dbtest.Migrator(url).Up(ctx); err != nil {
		t.Fatal(err)
	}
	if after := value[string](t, c, old); after != before {
		t.Fatalf("adopting the table changed it:\n%s\n%s", before, after)
	}
	d := dbtest.OpenURL(t, url, 1e12)
	s, err := d.SignIn(ctx, db.SignInForm{Username: "ada.predecessor", Password: "correct horse battery", From: db.Viewer{Client: from, RequestID: "r1"}, UserAgent: "Browser/1"})
	if err != nil || s.UserID != 1 || strings.Join(s.Methods, " ") != "pwd" {
		t.Fatalf("%+v, %v", s, err)
	}
	if after := value[string](t, c, old); after != before {
		t.Errorf("signing in changed the table:\n%s\n%s", before, after)
	}
	for name, try := range map[string]struct{ user, password string }{
		"wrong password":          {"ada.predecessor", "correct horse batterz"},
		"unknown user":            {"nobody", "correct horse battery"},
		"another case":            {"ADA.predecessor", "correct horse battery"},
		"disabled":                {"gone", "correct horse battery"},
		"neither active nor not":  {"null.state", "correct horse battery"},
		"nothing at all":          {"", ""},
		"NUL in the name":         {"ada\x00", "correct horse battery"},
		"a name that is no text":  {"ada\xff", "correct horse battery"},
		"SQL in the name":         {"' OR true --", "correct horse battery"},
		"a name of ten kilobytes": {strings.Repeat("n", 10_000), "correct horse battery"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := d.SignIn(ctx, db.SignInForm{Username: try.user, Password: try.password, From: db.Viewer{}, UserAgent: ""}); !errors.Is(err, db.ErrRefused) {
				t.Errorf("got %v, want ErrRefused", err)
			}
		})
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'sign-in' AND outcome = 'refused'`); n != 10 {
		t.Errorf("%d refusals recorded, want 10", n)
	}
	kinds := value[string](t, c, `SELECT string_agg(DISTINCT detail->>'kind', ', ') FROM audit_events`)
	if kinds != "disabled, unknown user, wrong password" {
		t.Errorf("kinds: %s", kinds)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE audit_events::text LIKE '%nobody%' OR audit_events::text LIKE '%ADA%'`); n != 0 {
		t.Error("a name that nobody has stands in the audit; it may be a password")
	}
	// A cheaper hash becomes today's, if the password may; this one is too short to be hashed anew and keeps working.
	if _, err := d.SignIn(ctx, db.SignInForm{Username: "Grace", Password: "short", From: db.Viewer{}, UserAgent: ""}); err != nil {
		t.Errorf("a short password from before the rule: %v", err)
	}
	// More than 72 bytes count from now on.
	if _, err := d.SignIn(ctx, db.SignInForm{Username: "long", Password: strings.Repeat("x", 80), From: db.Viewer{}, UserAgent: ""}); err != nil {
		t.Errorf("more than the predecessor read: %v", err)
	}
	if _, err := d.SignIn(ctx, db.SignInForm{Username: "long", Password: strings.Repeat("x", 81), From: db.Viewer{}, UserAgent: ""}); !errors.Is(err, db.ErrRefused) {
		t.Errorf("another long password: %v", err)
	}
}

func TestTheUsersTableIsThePredecessors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	describe := func(url string) string {
		c := dbtest.Conn(t, url)
		return value[string](t, c, `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
			SELECT format('column %s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)) AS line
			FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			WHERE a.attrelid = 'users'::regclass AND a.attnum > 0 AND a.attname NOT IN ('role', 'session_epoch')
			UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE tablename = 'users'
			UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'users'::regclass AND NOT tgisinternal
			UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'users'::regclass AND conname <> 'users_role_check'
		) l`)
	}
	theirs, adopted, ours := dbtest.EmptyURL(t), dbtest.EmptyURL(t), dbtest.EmptyURL(t)
	predecessor(t, dbtest.Conn(t, theirs))
	predecessor(t, dbtest.Conn(t, adopted))
	for _, url := range []string{adopted, ours} {
		if err := dbtest.Migrator(url).Up(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want := describe(theirs)
	if got := describe(ours); got != want {
		t.Errorf("on an empty database:\n%s\nwant\n%s", got, want)
	}
	if got := describe(adopted); got != want {
		t.Errorf("on the predecessor's:\n%s\nwant\n%s", got, want)
	}
}

func TestThePredecessorCanGoOnWritingBesideUs(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	predecessor(t, c)
	if err := dbtest.Migrator(url).Up(ctx); err != nil {
		t.Fatal(err)
	}
	must(t, c, `INSERT INTO users (username, email, password_hash) VALUES ('new', 'new@clinic.example', '$2b$12$YeYPWvM5t8/w1ThnoDA1.OIVAPV4LUQ2zjKy7U8h.l9hxc6UtXp8C')`)
	if _, err := dbtest.OpenURL(t, url, 1e12).SignIn(ctx, db.SignInForm{Username: "new", Password: "correct horse battery", From: db.Viewer{}, UserAgent: ""}); err != nil {
		t.Error(err)
	}
	must(t, c, `UPDATE users SET email = 'newer@clinic.example' WHERE username = 'new'`)
	if !value[bool](t, c, `SELECT updated_at > created_at FROM users WHERE username = 'new'`) {
		t.Error("the predecessor's trigger no longer works")
	}
	must(t, c, `DELETE FROM users WHERE username = 'new'`)
}

func TestTheFirstUserIsAnAdministrator(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := dbtest.New(t)
	for _, want := range []struct{ name, asked, role string }{{"one", "", "admin"}, {"two", "", "clinician"}, {"three", "viewer", "viewer"}} {
		u, err := d.CreateUser(ctx, db.By{Shell: "test"}, db.NewUser{Username: want.name, Role: want.asked, Password: goodPassword})
		if err != nil || u.Role != want.role || !u.Active {
			t.Errorf("%+v, %v; want %s", u, err, want.role)
		}
	}
	if has, err := d.HasAdmin(ctx); !has || err != nil {
		t.Error("no administrator", err)
	}
}

func TestUsersThatCannotBeMade(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	if _, err := d.CreateUser(ctx, db.By{Shell: "test"}, db.NewUser{Username: "ada", Email: "a@b.example", Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]db.NewUser{
		"no name":        {Password: goodPassword},
		"the same name":  {Username: "ada", Password: goodPassword},
		"the same mail":  {Username: "bob", Email: "a@b.example", Password: goodPassword},
		"short password": {Username: "bob", Password: "14 characters."},
		"space at end":   {Username: "bob ", Password: goodPassword},
		"control":        {Username: "bo\nb", Password: goodPassword},
		"role":           {Username: "bob", Role: "owner", Password: goodPassword},
		"mail":           {Username: "bob", Email: "bob", Password: goodPassword},
	} {
		if _, err := d.CreateUser(ctx, db.By{Shell: "test"}, n); err == nil {
			t.Errorf("%s: was made", name)
		} else if strings.Contains(err.Error(), "SQLSTATE") {
			t.Errorf("%s: %v is no sentence", name, err)
		}
	}
	if n := value[int](t, dbtest.Conn(t, url), `SELECT count(*) FROM users`); n != 1 {
		t.Errorf("%d users", n)
	}
}

func TestChangesThatEndSessions(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, change := range map[string]func(*db.DB) error{
		"disable": func(d *db.DB) error { return d.DisableUser(ctx, db.By{Shell: "test"}, db.UserRef{Name: "ada"}) },
		"set password": func(d *db.DB) error {
			return d.SetPassword(ctx, db.By{Shell: "test"}, db.UserRef{Name: "ada"}, goodPassword)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, url := dbtest.Open(t)
			c := dbtest.Conn(t, url)
			addUser(t, c, "ada", "clinician")
			addUser(t, c, "bob", "clinician")
			ada, bob := signedIn(t, d, c, "ada"), signedIn(t, d, c, "bob")
			epoch := value[int](t, c, `SELECT session_epoch FROM users WHERE username = 'ada'`)
			if err := change(d); err != nil {
				t.Fatal(err)
			}
			if err := d.EnableUser(ctx, db.By{Shell: "test"}, db.UserRef{Name: "ada"}); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Whoami(ctx, ada); !errors.Is(err, db.ErrNoSession) {
				t.Errorf("the session lives: %v", err)
			}
			if _, err := d.Whoami(ctx, bob); err != nil {
				t.Errorf("somebody else's session ended: %v", err)
			}
			// A sign-in that verified the old password and stores its session only now.
			late, err := begin(d, value[int](t, c, `SELECT id FROM users WHERE username = 'ada'`), epoch)
			if err == nil {
				_, err = d.Whoami(ctx, late)
			}
			if !errors.Is(err, db.ErrNoSession) {
				t.Errorf("a sign-in from before the change opens a session: %v", err)
			}
		})
	}
	d := dbtest.New(t)
	if err := d.DisableUser(ctx, db.By{Shell: "test"}, db.UserRef{Name: "nobody"}); err == nil || !strings.Contains(err.Error(), "user list") {
		t.Errorf("an unknown user: %v", err)
	}
}

// TestARefusalIsRecordedAlsoForWhoHangsUp guards the count of guesses: who ends the connection while the password is
// being verified must not guess for nothing.
func TestARefusalIsRecordedAlsoForWhoHangsUp(t *testing.T) {
	db.TodaysCost(t) // or nobody would hang up in the middle
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	for try := range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Duration(60+20*try)*time.Millisecond, cancel) // verifying takes 200 and more
		_, err := d.SignIn(ctx, db.SignInForm{Username: "ada", Password: "a wrong password", From: db.Viewer{}, UserAgent: ""})
		n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE outcome = 'refused'`)
		if errors.Is(err, db.ErrRefused) {
			if n != 1 {
				t.Errorf("%d refusals recorded", n)
			}
			return
		}
		if n != 0 {
			t.Fatalf("try %d: %v, and %d recorded", try, err, n)
		}
	}
	t.Error("it was always cut off before the password was looked at")
}
