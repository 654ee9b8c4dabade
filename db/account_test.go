package db_test

import (
	"context"
	"errors"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestTwoRequestsAtOnceCannotRemoveTheLastAdministrator lets administrators remove each other, and the shell all of them, at
// the same moment, again and again: one always stays.
func TestTwoRequestsAtOnceCannotRemoveTheLastAdministrator(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	names := []string{"ada", "bob", "eve"}
	for _, name := range names {
		addUser(t, c, name, "admin")
	}
	disable := func(by db.By, ref db.UserRef) error { return d.DisableUser(ctx, by, ref) }
	demote := func(by db.By, ref db.UserRef) error { return d.SetRole(ctx, by, ref, db.RoleClinician) }
	for round := range 40 {
		n := 2 + round%2
		must(t, c, `UPDATE users SET role = 'admin', is_active = true`)
		must(t, c, `UPDATE users SET role = 'viewer' WHERE username = 'eve' AND $1 = 2`, n)
		by := make([]db.By, n)
		for i := range by {
			by[i] = shell
			if round%4 < 2 {
				by[i] = db.By{Viewer: signedIn(t, d, c, names[i])}
				by[i].Viewer.Roles = []string{db.RoleAdmin}
			}
		}
		errs := make([]error, n)
		together(n, func(i int) { // each removes the next one
			errs[i] = []func(db.By, db.UserRef) error{disable, demote}[(round+i)%2](by[i], db.UserRef{Name: names[(i+1)%n]})
		})
		for i, err := range errs {
			// Who was removed first may not remove anybody any more.
			if err != nil && !errors.Is(err, db.ErrLastAdmin) && !errors.Is(err, db.ErrForbidden) && !errors.Is(err, db.ErrNoSession) {
				t.Errorf("round %d, %s: %v", round, names[i], err)
			}
		}
		left := value[int](t, c, `SELECT count(*) FROM users WHERE role = 'admin' AND is_active`)
		if left < 1 || (round%4 >= 2 && left != 1) || (n == 2 && left != 1) {
			t.Fatalf("round %d: %d administrators are left, %v", round, left, errs)
		}
	}
}

func TestAChangedPasswordEndsSignInsUnderWayWithTheOldOne(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	hash, err := db.HashPassword(goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, `INSERT INTO users (username, password_hash) VALUES ('ada', $1)`, hash)
	signIn := func(device string) db.SignedIn {
		t.Helper()
		in, err := d.SignIn(ctx, db.SignInForm{Username: "ada", Password: goodPassword, Device: device, From: db.Viewer{Client: from}})
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	mine, underWay := signIn(""), signIn("") // two browsers; the second one's session is not stored yet
	v, err := begin(d, mine.UserID, mine.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, `INSERT INTO account_links (user_id, token, kind, made_by, expires_at) VALUES ($1, '\x01', 'reset', 'x', now() + interval '1 day')`, mine.UserID)

	in, err := d.ChangePassword(ctx, v, db.PasswordChange{Current: goodPassword, New: "four green bicycles in a lake", Device: mine.Device})
	if err != nil || in.Epoch != mine.Epoch+1 {
		t.Fatalf("%+v, %v", in.Session, err)
	}
	late, err := begin(d, underWay.UserID, underWay.Epoch)
	if err == nil {
		_, err = d.Whoami(ctx, late)
	}
	if !errors.Is(err, db.ErrNoSession) {
		t.Errorf("a sign-in with the old password opens a session: %v", err)
	}
	if _, err := d.Whoami(ctx, v); !errors.Is(err, db.ErrNoSession) {
		t.Errorf("the session of before lives: %v", err)
	}
	v, err = begin(d, in.UserID, in.Epoch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Whoami(ctx, v); err != nil {
		t.Errorf("the new session: %v", err)
	}
	if n := value[int](t, c, `SELECT count(*) FROM known_devices`); n != 1 {
		t.Errorf("%d browsers are known, want the one that changed it", n)
	}
	if n := value[int](t, c, `SELECT count(*) FROM account_links`); n != 0 {
		t.Error("an open link outlives the change")
	}
	// Two changes at once: the second one's current password is none any more.
	errs := make([]error, 2)
	together(2, func(i int) {
		_, errs[i] = d.ChangePassword(ctx, v, db.PasswordChange{Current: "four green bicycles in a lake", New: []string{"nine old doors made of tin", goodPassword}[i], Device: mine.Device})
	})
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("two changes at once: %v", errs)
	}
}

func TestAUserIsNamedByOneThingOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "", "clinician") // the predecessor would have taken that name
	addUser(t, c, "ada", "clinician")
	addUser(t, c, "bob", "admin")
	boss := signedIn(t, d, c, "bob")
	boss.Roles = []string{db.RoleAdmin}
	if err := d.DisableUser(ctx, db.By{Viewer: boss}, db.UserRef{ID: value[int](t, c, `SELECT id FROM users WHERE username = 'ada'`)}); err != nil {
		t.Error(err)
	}
	if err := d.DisableUser(ctx, db.By{Viewer: boss}, db.UserRef{}); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	if off := value[string](t, c, `SELECT string_agg(username, ',') FROM users WHERE NOT is_active`); off != "ada" {
		t.Errorf("disabled: %q", off)
	}
}

func TestAnInvitedAdministratorWithoutAPasswordIsNotTheOtherOne(t *testing.T) {
	t.Parallel()
	ctx, by := context.Background(), db.By{Shell: "test"}
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "admin")
	if _, _, err := d.InviteUser(ctx, by, db.NewUser{Username: "bob", Role: db.RoleAdmin}); err != nil {
		t.Fatal(err)
	}
	must(t, c, `UPDATE account_links SET expires_at = now() - interval '1 minute'`)
	if err := d.Housekeep(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.DisableUser(ctx, by, db.UserRef{Name: "ada"}); !errors.Is(err, db.ErrLastAdmin) {
		t.Errorf("disabling: %v", err)
	}
	l, err := d.MakeLink(ctx, by, db.UserRef{Name: "bob"}) // a later link is an invitation still
	if err != nil || l.Kind != db.LinkInvite {
		t.Fatalf("%+v, %v", l, err)
	}
	if err := d.UseLink(ctx, l.Token, "eleven copper ladles", db.Viewer{}); err != nil {
		t.Fatal(err)
	}
	if err := d.DisableUser(ctx, by, db.UserRef{Name: "ada"}); err != nil {
		t.Errorf("once bob has a password: %v", err)
	}
}
