package db_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

var shell = db.By{Shell: "test"}

func TestALinkWorksOnceHoweverManyUseItAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	_, l, err := d.InviteUser(ctx, shell, db.NewUser{Username: "zoe", Role: "viewer"})
	if err != nil || l.Kind != db.LinkInvite || l.Username != "zoe" || time.Until(l.Expires) > db.InviteLasts || time.Until(l.Expires) < db.InviteLasts-time.Minute {
		t.Fatalf("%+v, %v", l, err)
	}
	passwords := []string{"seven brass kettles", "four green bicycles in a lake", "nine old doors made of tin"}
	errs := make([]error, len(passwords))
	together(len(passwords), func(i int) { errs[i] = d.UseLink(ctx, l.Token, passwords[i], db.Viewer{Client: from, RequestID: "r1"}) })
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won < 0:
			won = i
		case !errors.Is(err, db.ErrNotFound):
			t.Errorf("use %d: %v", i, err)
		}
	}
	if won < 0 {
		t.Fatal("nobody's use counts")
	}
	for i, p := range passwords {
		if _, err := d.SignIn(ctx, db.SignInForm{Username: "zoe", Password: p}); (err == nil) != (i == won) {
			t.Errorf("password %d, where %d won: %v", i, won, err)
		}
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'password-by-link' AND actor = 'zoe' AND actor_id IS NULL AND session_id IS NULL AND host(client) = '192.0.2.7'`); n != 1 {
		t.Errorf("%d uses on record", n)
	}
}

// TestALinkIsUsedWhileAnotherIsMade has both at once, which hold the same rows: one of them comes first, and none fails.
func TestALinkIsUsedWhileAnotherIsMade(t *testing.T) {
	db.TodaysCost(t) // using a link must take a while
	ctx := context.Background()
	d, url := dbtest.Open(t)
	addUser(t, dbtest.Conn(t, url), "ada", "clinician")
	l, err := d.MakeLink(ctx, shell, db.UserRef{Name: "ada"})
	if err != nil || l.Kind != db.LinkReset || time.Until(l.Expires) > db.ResetLasts {
		t.Fatalf("%+v, %v", l, err)
	}
	for range 3 {
		var used error
		var next db.Link
		ended := make(chan struct{})
		go func() { used = d.UseLink(ctx, l.Token, goodPassword, db.Viewer{}); close(ended) }()
		for busy := true; busy; { // until the link is used, which takes a hash's time
			select {
			case <-ended:
				busy = false
			default:
			}
			if next, err = d.MakeLink(ctx, shell, db.UserRef{Name: "ada"}); err != nil {
				t.Fatal(err)
			}
		}
		if used != nil && !errors.Is(used, db.ErrNotFound) {
			t.Errorf("using it: %v", used)
		}
		l = next
	}
}

func TestLinksOfUsersWhoMayNotGetIn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	ada := db.UserRef{Name: "ada"}
	l, err := d.MakeLink(ctx, shell, ada)
	if err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]string{"expired": `UPDATE account_links SET expires_at = now()`, "disabled by hand": `UPDATE users SET is_active = NULL`} {
		must(t, c, do)
		if _, err := d.OpenLink(ctx, l.Token, db.Viewer{Client: from}); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
		if err := d.UseLink(ctx, l.Token, goodPassword, db.Viewer{}); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
		must(t, c, `UPDATE account_links SET expires_at = now() + interval '1 hour'`)
		must(t, c, `UPDATE users SET is_active = true`)
	}
	if _, err := d.OpenLink(ctx, l.Token, db.Viewer{Client: from}); err != nil {
		t.Error(err)
	}
	if err := d.DisableUser(ctx, shell, ada); err != nil {
		t.Fatal(err)
	}
	if _, err := d.MakeLink(ctx, shell, ada); !errors.Is(err, db.ErrUserOff) {
		t.Errorf("a link for a disabled user: %v", err)
	}
	if err := d.EnableUser(ctx, shell, ada); err != nil {
		t.Fatal(err)
	}
	if _, err := d.OpenLink(ctx, l.Token, db.Viewer{Client: from}); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a link from before the user was disabled: %v", err)
	}
	if problem := (db.PasswordProblem{}); !errors.As(d.UseLink(ctx, makeLink(t, d, ada), "short", db.Viewer{}), &problem) {
		t.Error("a short password is none of the user's problems")
	}
}

func makeLink(t *testing.T, d *db.DB, ref db.UserRef) string {
	t.Helper()
	l, err := d.MakeLink(context.Background(), shell, ref)
	if err != nil {
		t.Fatal(err)
	}
	return l.Token
}

// together runs do n times at once.
func together(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() { <-start; do(i) })
	}
	close(start)
	all.Wait()
}
