package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestUserCheckSaysWhyAUserCannotSignInAndWhatMendsIt walks through all reasons at the shell, and mends some by the command that it
// prints.
func TestUserCheckSaysWhyAUserCannotSignInAndWhatMendsIt(t *testing.T) {
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
	exec(`INSERT INTO users (username, email, password_hash, is_active) VALUES
		('ada', 'ada@clinic.example', '` + hash + `', true), ('gone', NULL, '` + hash + `', false), ('null', NULL, '` + hash + `', NULL),
		('cut', NULL, '` + hash[:40] + `', true), ('empty', NULL, '', true), ('md5', NULL, '5f4dcc3b5aa765d61d8327deb882cf99', true), ('faulty', NULL, '$2x` + hash[3:] + `', true),
		('costly', NULL, '$2a$31` + hash[6:] + `', true), ('older', NULL, '$2b` + hash[3:] + `', true), ('y', NULL, '$2y` + hash[3:] + `', true), ('it''s her', NULL, '` + hash + `', false)`)
	exec(`INSERT INTO sign_in_throttle (kind, subject, failures, last_at, blocked_until, user_id)
		SELECT 'name', convert_to(username, 'UTF8'), CASE username WHEN 'y' THEN 100 ELSE 9 END, now(), now() + interval '5 minutes', id FROM users WHERE username IN ('older', 'y')`)
	if code, _, errs := command(t, env, "user", "invite", "guest"); code != 0 {
		t.Fatal(errs)
	}
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
	for name, want := range map[string]string{
		"ada": "[]", "gone": "[{disabled the account is disabled `chartroom user enable gone`}]", "null": "is NULL",
		"cut": "this one has 40", "empty": "there is no password", "md5": "not bcrypt's", "faulty": "faulty", "costly": "cost 31", "guest": "invitation was not used yet",
		"older": "must wait until 20", "y": "a hundred sign-ins", "it's her": `enable 'it'\''s her'`,
		"Ada": `there is "ada"`, " ada": `there is "ada"`, "ada@clinic.example": `there is "ada"`, "nobody": "user create --username nobody", "a\x01b": "no user of this name",
	} {
		if got := fmt.Sprint(check(name).Reasons); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if u := check("older"); u.Until == nil || len(u.Notes) != 1 || u.Notes[0].Kind != "older password" {
		t.Errorf("%+v", u)
	}
	// What it says mends it.
	for name, args := range map[string]string{"gone": "user enable gone", "null": "user enable null", "older": "user unlock older", "y": "user unlock y"} {
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
