package main

import (
	"encoding/json"
	"strings"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestUserCheckSaysWhyAUserCannotSignInAndWhatMendsIt does what the command prints. All reasons are in package db's tests.
func TestUserCheckSaysWhyAUserCannotSignInAndWhatMendsIt(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	env := []string{"DATABASE_URL=" + dbURL}
	c := dbtest.Conn(t, dbURL)
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	hash := cheapHash(t, "seven brass kettles")
	exec(`INSERT INTO users (username, password_hash, is_active) VALUES ('ada', '` + hash + `', true), ('gone', '` + hash + `', false), ('older', '$2b` + hash[3:] + `', true), ('cut', '` + hash[:40] + `', true)`)
	exec(`INSERT INTO sign_in_throttle (kind, subject, failures, last_at, blocked_until, user_id)
		SELECT 'name', '\x01', 9, now(), now() + interval '5 minutes', id FROM users WHERE username = 'older'`)
	check := func(name string) db.UserCheck {
		t.Helper()
		code, out, errs := command(t, env, "user", "check", name, "--json")
		var u db.UserCheck
		if err := json.Unmarshal([]byte(out), &u); err != nil || (code == 0) != u.CanSignIn || code > exitFailed || u.CanSignIn != (len(u.Reasons) == 0) {
			t.Fatalf("%s: exit %d, %v, %s%s", name, code, err, out, errs)
		}
		if strings.Contains(out, "$2") && !strings.Contains(out, "$2x$, $2$") {
			t.Errorf("%s: a hash is printed: %s", name, out)
		}
		return u
	}
	// What it says mends it.
	for name, args := range map[string]string{"gone": "user enable gone", "older": "user unlock older"} {
		u := check(name)
		if len(u.Reasons) != 1 || !strings.Contains(u.Reasons[0].Mend, "`chartroom "+args+"`") {
			t.Errorf("%+v", u)
		}
		if code, _, errs := command(t, env, strings.Fields(args)...); code != 0 || !check(name).CanSignIn {
			t.Errorf("%s: %s", args, errs)
		}
	}
	code, out, errs := command(t, env, "user", "check", "cut")
	if code != exitFailed || !strings.Contains(out, "\n  -> `chartroom user set-password cut`") || errs != "chartroom: \"cut\" cannot sign in\n" {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if code, out, _ := command(t, env, "user", "check", "ada"); code != 0 || !strings.HasPrefix(out, `"ada" (clinician) can sign in with the right password`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	var events int
	if err := c.QueryRow(t.Context(), `SELECT count(*) FROM audit_events WHERE action NOT IN ('user-enable', 'user-unlock', 'user-create', 'user-reset-link', 'migration')`).Scan(&events); err != nil || events != 0 {
		t.Errorf("%d events of looking, %v", events, err)
	}
}
