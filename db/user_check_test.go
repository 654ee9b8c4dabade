package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestEveryReasonForWhichAUserCannotSignInIsNamedWithWhatMendsIt compares what is said with what a sign-in does.
func TestEveryReasonForWhichAUserCannotSignInIsNamedWithWhatMendsIt(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	ctx := context.Background()
	h, err := bcrypt.GenerateFromPassword([]byte("seven brass kettles"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	hash := string(h)
	exec := func(sql string) { t.Helper(); must(t, c, sql) }
	exec(`INSERT INTO users (username, email, password_hash, is_active) VALUES
		('ada', 'ada@clinic.example', '` + hash + `', true), ('gone', NULL, '` + hash + `', false), ('null', NULL, '` + hash + `', NULL),
		('cut', NULL, '` + hash[:40] + `', true), ('empty', NULL, '', true), ('md5', NULL, '5f4dcc3b5aa765d61d8327deb882cf99', true), ('faulty', NULL, '$2x` + hash[3:] + `', true),
		('costly', NULL, '$2a$31` + hash[6:] + `', true), ('older', NULL, '$2b` + hash[3:] + `', true), ('y', NULL, '$2y` + hash[3:] + `', true), ('it''s her', NULL, '` + hash + `', false)`)
	exec(`INSERT INTO sign_in_throttle (kind, subject, failures, last_at, blocked_until, user_id)
		SELECT 'name', convert_to(username, 'UTF8'), CASE username WHEN 'y' THEN 100 ELSE 9 END, now(), now() + interval '5 minutes', id FROM users WHERE username IN ('older', 'y')`)
	if _, _, err := d.InviteUser(ctx, db.By{Shell: "test"}, db.NewUser{Username: "guest"}); err != nil {
		t.Fatal(err)
	}
	check := func(name string) db.UserCheck {
		t.Helper()
		u, err := d.CheckUser(ctx, name)
		if err != nil || u.CanSignIn != (len(u.Reasons) == 0) {
			t.Fatalf("%s: %v %+v", name, err, u)
		}
		return u
	}
	for name, want := range map[string]string{
		"ada": "[]", "gone": "[{disabled the account is disabled `chartroom user enable gone`}]", "null": "is NULL",
		"cut": "this one has 40", "empty": "there is no password", "md5": "not bcrypt's", "faulty": "faulty", "costly": "cost 31", "guest": "invitation was not used yet",
		"older": "must wait until 20", "y": "a hundred sign-ins", "it's her": `enable 'it'\''s her'`,
		"Ada": `there is "ada"`, " ada": `there is "ada"`, "ada@clinic.example": `there is "ada"`, "nobody": "user create --username nobody", "a\x01b": "no user of this name",
	} {
		u := check(name)
		if got := fmt.Sprint(u.Reasons); !strings.Contains(got, want) || strings.Contains(got, hash[7:]) {
			t.Errorf("%s: %s", name, got)
		}
		_, err := d.SignIn(ctx, db.SignInForm{Username: name, Password: "seven brass kettles"})
		if (err == nil) != u.CanSignIn && name != "older" && name != "y" { // whose failures were made up under another key
			t.Errorf("%s: signing in says %v, the check %v", name, err, u.Reasons)
		}
	}
	if u := check("older"); u.Until == nil || len(u.Notes) != 1 || u.Notes[0].Kind != "older password" {
		t.Errorf("%+v", u)
	}
}
