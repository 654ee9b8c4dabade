package db_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func TestASessionIsFoundUntilItEnds(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, end := range map[string]string{
		"by its absolute time":      `UPDATE sessions SET expiry = now()`,
		"by idleness":               `UPDATE sessions SET last_seen_at = now() - interval '15 minutes'`,
		"by a bare DELETE":          `DELETE FROM sessions`,
		"by TRUNCATE":               `TRUNCATE sessions`,
		"by disabling the user":     `UPDATE users SET is_active = false`,
		"by a NULL in is_active":    `UPDATE users SET is_active = NULL`,
		"by a new epoch":            `UPDATE users SET session_epoch = session_epoch + 1`,
		"by the removal of a user":  `DELETE FROM users`,
		"by somebody else's secret": `UPDATE sessions SET token = 'x' || token`,
	} {
		t.Run(name, func(t *testing.T) {
			d, url := dbtest.Open(t)
			c := dbtest.Conn(t, url)
			addUser(t, c, "ada", "clinician")
			v := signedIn(t, d, c, "ada")
			who, err := d.Whoami(ctx, v)
			if err != nil || who.Username != "ada" || who.Role != "clinician" || who.Email != nil {
				t.Fatalf("before: %+v, %v", who, err)
			}
			must(t, c, end)
			if _, err := d.Whoami(ctx, v); !errors.Is(err, db.ErrNoSession) {
				t.Errorf("after: %v, want ErrNoSession", err)
			}
			if _, err := d.ListPatients(ctx, v, db.ListQuery{Sort: db.SortName}); !errors.Is(err, db.ErrNoSession) {
				t.Errorf("list after: %v, want ErrNoSession", err)
			}
		})
	}
}

func TestASessionThatEndedNeverComesBack(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"by a bare DELETE": `DELETE FROM sessions`, "by TRUNCATE": `TRUNCATE sessions`} {
		t.Run(name, func(t *testing.T) {
			d, url := dbtest.Open(t)
			c := dbtest.Conn(t, url)
			addUser(t, c, "ada", "clinician")
			v := signedIn(t, d, c, "ada")
			sm := d.Sessions(time.Hour)
			// A request under way: it has loaded the session and will save it when it is done.
			slow, err := sm.Load(context.Background(), v.Token)
			if err != nil {
				t.Fatal(err)
			}
			must(t, c, end)
			sm.Put(slow, "session", sm.Get(slow, "session"))
			if _, _, err := sm.Commit(slow); err == nil {
				t.Error("the database took the ended session back")
			}
			if n := value[int](t, c, `SELECT count(*) FROM sessions`); n != 0 {
				t.Errorf("%d sessions stand", n)
			}
		})
	}
}

func TestASessionDoesNotComeBackThroughADeleteThatIsNotCommittedYet(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	v := signedIn(t, d, c, "ada")
	sm := d.Sessions(time.Hour)
	slow, err := sm.Load(context.Background(), v.Token)
	if err != nil {
		t.Fatal(err)
	}
	sm.Put(slow, "session", sm.Get(slow, "session"))
	must(t, c, `BEGIN; DELETE FROM sessions`)
	saved := make(chan error, 1)
	go func() { _, _, err := sm.Commit(slow); saved <- err }()
	watch := dbtest.Conn(t, url)
	deadline := time.Now().Add(4 * time.Second)
	for value[int](t, watch, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the save never waited for the delete")
		}
		time.Sleep(5 * time.Millisecond)
	}
	must(t, c, `COMMIT`)
	if err := <-saved; err == nil {
		t.Error("the database took the ended session back")
	}
	if n := value[int](t, c, `SELECT count(*) FROM sessions`); n != 0 {
		t.Errorf("%d sessions stand", n)
	}
}

// withKeys opens the database as a process does that has these SESSION_SECRET_KEYs.
func withKeys(t *testing.T, url string, keys ...string) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), db.Config{URL: url, SessionKeys: keys, Idle: time.Hour, Program: "test"}, quietLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestASessionMovesToTheNewKeyWhenItIsUsed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	_, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	older, newer := strings.Repeat("a", 40), strings.Repeat("b", 40)
	before := withKeys(t, url, older)
	used, polled, unused, ended := signedIn(t, before, c, "ada"), signedIn(t, before, c, "ada"), signedIn(t, before, c, "ada"), signedIn(t, before, c, "ada")
	both := withKeys(t, url, newer, older)
	polled.Idle = true
	for _, v := range []db.Viewer{used, used, polled, ended} {
		if _, err := both.Whoami(ctx, v); err != nil {
			t.Fatalf("the rotation signed somebody out: %v", err)
		}
	}
	if err := both.EndSession(ctx, ended.Token); err != nil {
		t.Fatal(err)
	}
	after := withKeys(t, url, newer)
	for _, v := range []db.Viewer{used, polled} {
		if _, err := after.Whoami(ctx, v); err != nil {
			t.Errorf("without the old key: %v", err)
		}
	}
	for _, v := range []db.Viewer{unused, ended} {
		if _, err := after.Whoami(ctx, v); !errors.Is(err, db.ErrNoSession) {
			t.Errorf("one that was not used, or has ended: %v", err)
		}
	}
}

func TestASessionThatEndedStaysEndedUnderARotatedKey(t *testing.T) {
	t.Parallel()
	_, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	before, after := withKeys(t, url, strings.Repeat("a", 40)), withKeys(t, url, strings.Repeat("b", 40), strings.Repeat("a", 40))
	v := signedIn(t, before, c, "ada")
	if _, err := after.Whoami(context.Background(), v); err != nil {
		t.Fatalf("the rotation signed somebody out: %v", err)
	}
	sm := after.Sessions(time.Hour)
	slow, err := sm.Load(context.Background(), v.Token)
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, `DELETE FROM sessions`) // under the old key's token; the save comes under the new one's
	sm.Put(slow, "session", sm.Get(slow, "session"))
	if _, _, err := sm.Commit(slow); err == nil {
		t.Error("the session came back under the other key")
	}
}

func TestTokensAreNotInTheDatabase(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	v := signedIn(t, d, c, "ada")
	row := value[string](t, c, `SELECT s::text || convert_from(data, 'UTF8') FROM sessions s`)
	if strings.Contains(row, v.Token) || bytes.Contains([]byte(row), []byte(v.Token[:20])) {
		t.Error("the token stands in the sessions table")
	}
	if _, err := d.Whoami(context.Background(), db.Viewer{Token: value[string](t, c, `SELECT token FROM sessions`), Roles: db.Roles}); !errors.Is(err, db.ErrNoSession) {
		t.Errorf("what stands in the table opens a session: %v", err)
	}
}

func TestOnlyAPersonsActionKeepsASessionAlive(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	v := signedIn(t, d, c, "ada")
	must(t, c, `UPDATE sessions SET last_seen_at = now() - interval '10 minutes'`)
	idle := func() float64 {
		return value[float64](t, c, `SELECT extract(epoch FROM now() - last_seen_at)::float8 FROM sessions`)
	}
	poll := v
	poll.Idle = true
	if _, err := d.Whoami(ctx, poll); err != nil || idle() < 590 {
		t.Errorf("a poll: %v, idle for %v s", err, idle())
	}
	if _, err := d.Whoami(ctx, v); err != nil || idle() > 60 {
		t.Errorf("an action: %v, idle for %v s", err, idle())
	}
	must(t, c, `UPDATE sessions SET last_seen_at = now() - interval '30 seconds'`)
	if _, err := d.Whoami(ctx, v); err != nil || idle() < 29 {
		t.Errorf("an action soon after another wrote again: %v, idle for %v s", err, idle())
	}
}

func TestASessionIsRecordedFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	v := signedIn(t, d, c, "ada")
	sm := d.Sessions(time.Hour)
	out, err := sm.Load(db.WithSignOut(ctx, from, "r2"), v.Token)
	if err != nil {
		t.Fatal(err)
	}
	if err := sm.Destroy(out); err != nil {
		t.Fatal(err)
	}
	signedIn(t, d, c, "ada")
	must(t, c, `UPDATE sessions SET last_seen_at = now() - interval '1 hour'`)
	if err := d.Housekeep(ctx); err != nil {
		t.Fatal(err)
	}
	got := value[[]string](t, c, `SELECT array_agg(action || ' ' || actor || ' ' || coalesce(host(client), '-') || ' ' || request_id ORDER BY id) FROM audit_events`)
	want := []string{"sign-in ada - ", "sign-out ada 192.0.2.7 r2", "sign-in ada - ", "session-expired ada - "}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := value[int](t, c, `SELECT count(DISTINCT session_id) FROM audit_events`); n != 2 {
		t.Errorf("%d sessions in the audit, want 2", n)
	}
}

func TestHousekeepingKeepsWhatLivesAndTombstonesThatGuard(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	v := signedIn(t, d, c, "ada")
	signedIn(t, d, c, "ada")
	must(t, c, `DELETE FROM sessions WHERE id = (SELECT id FROM sessions ORDER BY created_at DESC LIMIT 1)`)
	must(t, c, `INSERT INTO ended_sessions VALUES ('long ago', gen_random_uuid(), now() - interval '2 days')`)
	if err := d.Housekeep(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Whoami(ctx, v); err != nil {
		t.Errorf("housekeeping ended a living session: %v", err)
	}
	if n := value[int](t, c, `SELECT count(*) FROM ended_sessions`); n != 1 {
		t.Errorf("%d tombstones stand, want the one that still guards", n)
	}
}

func TestASessionCannotChangeItsUser(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "clinician")
	addUser(t, c, "bob", "admin")
	v := signedIn(t, d, c, "ada")
	sm := d.Sessions(time.Hour)
	ctx, err := sm.Load(context.Background(), v.Token)
	if err != nil {
		t.Fatal(err)
	}
	db.PutSession(ctx, sm, db.Session{UserID: value[int](t, c, `SELECT id FROM users WHERE username = 'bob'`)})
	if _, _, err := sm.Commit(ctx); err == nil {
		t.Error("a session became somebody else's")
	}
}
