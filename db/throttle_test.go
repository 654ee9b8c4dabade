package db_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// door is a database with the user ada, at whose door sign-ins are tried.
type door struct {
	*testing.T
	*db.DB
	conn *pgx.Conn
}

var adasHash = sync.OnceValue(func() string { // at a test's cost
	h, err := db.HashPassword(goodPassword)
	if err != nil {
		panic(err)
	}
	return h
})

func openDoor(t *testing.T) door {
	t.Helper()
	d, url := dbtest.Open(t)
	o := door{t, d, dbtest.Conn(t, url)}
	must(t, o.conn, `INSERT INTO users (username, password_hash) VALUES ('ada', $1)`, adasHash())
	return o
}

// try gives what a sign-in came to: in, refused, busy, or wait.
func (o door) try(name, password, address, device string) (string, db.SignedIn) {
	o.Helper()
	in, err := o.SignIn(context.Background(), db.SignInForm{Username: name, Password: password, Device: device,
		From: db.Viewer{Client: netip.MustParseAddr(address), RequestID: "r1"}})
	var wait db.Throttled
	switch {
	case err == nil:
		return "in", in
	case errors.Is(err, db.ErrRefused):
		return "refused", in
	case errors.Is(err, db.ErrBusy):
		return "busy", in
	case errors.As(err, &wait) && wait.After > 0 && wait.After <= time.Hour:
		return "wait", in
	}
	o.Fatal(err)
	return "", in
}

func (o door) want(want, name, password, address, device string) db.SignedIn {
	o.Helper()
	got, in := o.try(name, password, address, device)
	if got != want {
		o.Fatalf("%s from %s: %s, want %s", name, address, got, want)
	}
	return in
}

// waits says how long a delay was made, and makes it an hour: what follows must not depend on how fast this machine is.
func (o door) waits(kind string, seconds int) {
	o.Helper()
	if got := value[int](o.T, o.conn, `SELECT extract(epoch FROM max(blocked_until - last_at))::integer FROM sign_in_throttle WHERE kind = $1 AND blocked_until > '-infinity'`, kind); got != seconds {
		o.Errorf("the %s waits %d s, want %d", kind, got, seconds)
	}
	must(o.T, o.conn, `UPDATE sign_in_throttle SET blocked_until = now() + interval '59 minutes' WHERE kind = $1 AND blocked_until > last_at`, kind)
}

// counted sets how often the name, or the browser or address, has failed, without a delay that runs.
func (o door) counted(kind string, failures int) {
	o.Helper()
	must(o.T, o.conn, `UPDATE sign_in_throttle SET failures = $2, blocked_until = '-infinity' WHERE kind = $1`, kind, failures)
}

const elsewhere, far = "192.0.2.1", "203.0.113.9"

func TestFiveFailuresAreFreeAndThenEachWaitsLonger(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ada", "nobody"} { // alike, whether anybody is called so or not
		o := openDoor(t)
		for i := range 5 {
			o.want("refused", name, "wrong", fmt.Sprintf("198.51.100.%d", i), "")
		}
		o.waits("name", 2)
		o.want("wait", name, "wrong", far, "")
		o.want("wait", name, goodPassword, far, "") // the right password is told the same
		for _, n := range []struct{ failures, wait int }{{5, 4}, {7, 16}, {12, 512}, {13, 900}, {98, 900}} {
			o.counted("name", n.failures)
			o.counted("client", 0)
			o.want("refused", name, "wrong", elsewhere, "")
			o.waits("name", n.wait)
			o.want("wait", name, goodPassword, far, "")
		}
		must(t, o.conn, `INSERT INTO users (username, password_hash) VALUES ('bob', $1)`, adasHash())
		o.want("in", "bob", goodPassword, far, "") // whom nobody has guessed at
	}
}

func TestAnAddressThatFailsWaitsWhateverNamesItTries(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	for i := range 5 {
		o.want("refused", fmt.Sprint("name", i), "wrong", "2001:db8:1:2:"+fmt.Sprint(i+1)+"::1", "") // one network of one customer
	}
	o.waits("client", 2)
	o.want("wait", "ada", goodPassword, "2001:db8:1:2::ffff", "")
	o.want("in", "ada", goodPassword, "2001:db8:1:3::1", "")
	must(t, o.conn, `DELETE FROM sign_in_throttle WHERE failures < 5`)
	o.counted("client", 40)
	o.want("refused", "name9", "wrong", "2001:db8:1:2::9", "")
	o.waits("client", 60) // a whole clinic may stand behind one address
	o.want("wait", "ada", goodPassword, "2001:db8:1:2::9", "")
}

func TestASuccessForgetsTheNamesFailuresAndOneOfTheAddress(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	for range 4 {
		o.want("refused", "ada", "wrong", elsewhere, "")
	}
	o.want("in", "ada", goodPassword, elsewhere, "")
	if n := value[int](t, o.conn, `SELECT count(*) FROM sign_in_throttle WHERE kind = 'name'`); n != 0 {
		t.Error("the name's failures still count")
	}
	// Or whoever has an account could guess at others' for ever, with one sign-in of their own in between.
	if n := value[int](t, o.conn, `SELECT failures FROM sign_in_throttle WHERE kind = 'client'`); n != 4 {
		t.Errorf("the address has %d failures, want 4", n)
	}
	must(t, o.conn, `UPDATE sign_in_throttle SET failures = 50, last_at = now() - interval '25 hours'`)
	o.want("refused", "bob", "wrong", elsewhere, "")
	if n := value[int](t, o.conn, `SELECT failures FROM sign_in_throttle WHERE kind = 'client'`); n != 1 {
		t.Errorf("a day later the address has %d failures, want 1", n)
	}
}

func TestManyGuessesAtOnceAreNotAllTheFirst(t *testing.T) { // which fills the queue that all share
	o := openDoor(t)
	var mu sync.Mutex
	said := map[string]int{}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			got, _ := o.try("ada", "wrong", fmt.Sprintf("198.51.100.%d", i), "")
			mu.Lock()
			defer mu.Unlock()
			said[strings.Fields(got)[0]]++
		})
	}
	all.Wait()
	if said["refused"] > 5 || said["refused"] == 0 || said["in"] > 0 {
		t.Errorf("%v: at most five may have been looked at", said)
	}
}

func TestABrowserTheUserSignedInFromIsNotKeptOutByStrangers(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	known := o.want("in", "ada", goodPassword, elsewhere, "").Device
	for i := range 5 {
		o.want("refused", "ada", "wrong", fmt.Sprintf("198.51.100.%d", i), "")
	}
	o.waits("name", 2)
	must(t, o.conn, `UPDATE sign_in_throttle SET blocked_until = now() + interval '1 hour' WHERE kind = 'name'`) // two seconds pass quickly on a busy machine
	forged := "A" + known[1:]
	if forged == known { // as one in 64 begins
		forged = "B" + known[1:]
	}
	for _, device := range []string{"", forged, known[:20], strings.Repeat("A", len(known))} { // none, forged, cut, made up
		o.want("wait", "ada", goodPassword, elsewhere, device)
	}
	o.want("in", "ada", goodPassword, far, known)
	o.want("wait", "ada", goodPassword, far, "") // which tells strangers nothing
	for range 5 {
		o.want("refused", "ada", "wrong", far, known) // it has a count of its own
	}
	o.waits("device", 2)
	o.want("wait", "ada", goodPassword, far, known)
	// Whoever has a copy of the cookie does not keep ada out of her own browser: it is a stranger's until then.
	must(t, o.conn, `DELETE FROM sign_in_throttle WHERE kind = 'name'`)
	o.want("in", "ada", goodPassword, far, known)
	// And it is known for ada alone.
	o.want("refused", "bob", "wrong", far, known)
	if n := value[int](t, o.conn, `SELECT count(*) FROM sign_in_throttle WHERE kind = 'device'`); n != 1 {
		t.Errorf("%d browsers are counted for", n)
	}
}

func TestABrowserKnownForManyUsersDoesNotGuessAtAllOfThem(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	known := ""
	for i := range 8 {
		name := fmt.Sprint("user", i)
		must(t, o.conn, `INSERT INTO users (username, password_hash) VALUES ($1, $2)`, name, adasHash())
		known = o.want("in", name, goodPassword, elsewhere, known).Device
	}
	looked := 0
	for i := range 8 {
		for range 3 {
			if got, _ := o.try(fmt.Sprint("user", i), "wrong", far, known); got == "refused" {
				looked++
			}
		}
	}
	if looked > 10 { // five as a known browser, and five as a stranger at one address
		t.Errorf("%d passwords were looked at from one browser at one address", looked)
	}
}

func TestWhoMustWaitLeavesNoTraceAndTakesNobodysPlace(t *testing.T) { // which fills the queue that all share
	o := openDoor(t)
	for i := range 5 {
		o.want("refused", fmt.Sprint("name", i), "wrong", far, "")
	}
	must(t, o.conn, `UPDATE sign_in_throttle SET blocked_until = now() + interval '1 hour' WHERE kind = 'client'`)
	before := value[int](t, o.conn, `SELECT count(*) FROM sign_in_throttle`)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if got, _ := o.try(fmt.Sprint("made up ", i), "wrong", far, ""); got != "wait" && got != "busy" {
				t.Errorf("got %s", got)
			}
		})
	}
	all.Wait()
	if after := value[int](t, o.conn, `SELECT count(*) FROM sign_in_throttle`); after != before {
		t.Errorf("%d rows became %d", before, after)
	}
	stop := make(chan struct{})
	for range 20 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = o.try("ada", "wrong", far, "")
				}
			}
		})
	}
	for range 5 {
		o.want("in", "ada", goodPassword, elsewhere, "")
	}
	close(stop)
	all.Wait()
}

func TestASignInDuringWhichThePasswordChangedIsRefused(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	must(t, o.conn, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE users SET session_epoch = session_epoch + 1; RETURN NULL; END $$;
		CREATE TRIGGER slow AFTER UPDATE ON sign_in_throttle FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION slow()`)
	o.want("refused", "ada", goodPassword, elsewhere, "") // the epoch moved after the account was looked up
	if n := value[int](t, o.conn, `SELECT count(*) FROM known_devices`); n != 0 {
		t.Error("the browser is known now")
	}
	if kind := value[string](t, o.conn, `SELECT detail->>'kind' FROM audit_events ORDER BY id DESC LIMIT 1`); kind != "changed meanwhile" {
		t.Errorf("the audit says %q", kind)
	}
}

func TestWhoGivesUpInTheQueueIsCountedAndRecorded(t *testing.T) {
	o := openDoor(t)
	db.TodaysCost(t)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { _, _ = o.try(fmt.Sprint("name", i), "wrong", fmt.Sprintf("198.51.100.%d", i), "") })
	}
	ctx, hangUp := context.WithCancel(context.Background())
	all.Go(func() {
		_, err := o.SignIn(ctx, db.SignInForm{Username: "ada", Password: "wrong", From: db.Viewer{Client: netip.MustParseAddr(far)}})
		if err == nil {
			t.Error("it was granted")
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for value[int](t, o.conn, `SELECT count(*) FROM sign_in_throttle WHERE user_id IS NOT NULL`) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	hangUp()
	all.Wait()
	if n := value[int](t, o.conn, `SELECT count(*) FROM audit_events WHERE actor = 'ada' AND outcome = 'refused'`); n != 1 {
		t.Errorf("%d events for a guess that was counted", n)
	}
}

func TestAHundredFailuresLockStrangersOutUntilUnlocked(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	ctx := context.Background()
	known := o.want("in", "ada", goodPassword, elsewhere, "").Device
	o.want("refused", "ada", "wrong", far, "")
	o.want("refused", "nobody", "wrong", far, "")
	o.counted("name", 100)
	must(t, o.conn, `UPDATE sign_in_throttle SET last_at = now() - interval '3 days'`)
	if err := o.Housekeep(ctx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ada", "nobody"} {
		o.want("refused", name, goodPassword, far, "") // told like a wrong one
		o.want("wait", name, goodPassword, far, "")
		o.counted("client", 0)
	}
	if kind := value[string](t, o.conn, `SELECT detail->>'kind' FROM audit_events WHERE actor = 'ada' AND detail->>'kind' <> 'throttled' AND action = 'sign-in' ORDER BY id DESC LIMIT 1`); kind != "locked" {
		t.Errorf("the audit says %q", kind)
	}
	o.want("in", "ada", goodPassword, far, known)
	if err := o.UnlockUser(ctx, db.By{Shell: "test"}, db.UserRef{Name: "ada"}); err != nil {
		t.Fatal(err)
	}
	o.want("in", "ada", goodPassword, far, "")
}

func TestWhatIsCountedSaysNothingOfWhatWasTyped(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	o.want("refused", "my secret password", "wrong", elsewhere, "")
	o.want("refused", "ada", "wrong", far, "")
	o.counted("name", 5)
	must(t, o.conn, `UPDATE sign_in_throttle SET blocked_until = now() + interval '1 hour' WHERE kind = 'name'`)
	for range 7 {
		_, _ = o.try("ada", "wrong", elsewhere, "")
	}
	for _, table := range []string{"sign_in_throttle", "audit_events", "known_devices"} {
		if n := value[int](t, o.conn, `SELECT count(*) FROM `+table+` x WHERE x::text LIKE '%secret%' OR x::text LIKE '%'||encode('my secret password', 'hex')||'%'`); n != 0 {
			t.Errorf("%s holds what was typed", table)
		}
	}
	if n := value[int](t, o.conn, `SELECT count(*) FROM audit_events WHERE detail->>'kind' = 'throttled'`); n != 1 {
		t.Errorf("%d events for one delay: a flood of refusals must not flood the audit", n)
	}
}

func TestAFloodOfSignInsIsTurnedAwayAtOnce(t *testing.T) {
	o := openDoor(t)
	db.TodaysCost(t) // or the queue is never full
	var mu sync.Mutex
	said := map[string]int{}
	slowest := time.Duration(0)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			start := time.Now()
			got, _ := o.try(fmt.Sprint("name", i), "wrong", fmt.Sprintf("198.51.100.%d", i), "")
			mu.Lock()
			defer mu.Unlock()
			if said[got]++; got == "busy" {
				slowest = max(slowest, time.Since(start))
			}
		})
	}
	all.Wait()
	if said["busy"] == 0 || said["refused"] == 0 || said["busy"]+said["refused"] != 64 {
		t.Errorf("%v", said)
	}
	// No guess was counted of those that were turned away.
	if n := value[int](t, o.conn, `SELECT count(*) FROM sign_in_throttle WHERE kind = 'name'`); n != said["refused"] {
		t.Errorf("%d counted, %d looked at", n, said["refused"])
	}
	t.Logf("%v, turned away within %s", said, slowest)
}

func TestANewPasswordForgetsOtherBrowsersAndFailures(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	ctx := context.Background()
	known := o.want("in", "ada", goodPassword, elsewhere, "").Device
	o.want("refused", "ada", "wrong", elsewhere, known)
	if err := o.SetPassword(ctx, db.By{Shell: "test"}, db.UserRef{Name: "ada"}, "eleven copper ladles"); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"known_devices", "sign_in_throttle WHERE kind <> 'client'", "sessions"} {
		if n := value[int](t, o.conn, `SELECT count(*) FROM `+table); n != 0 {
			t.Errorf("%d left in %s", n, table)
		}
	}
	o.want("refused", "ada", goodPassword, elsewhere, known)
	o.want("in", "ada", "eleven copper ladles", elsewhere, known)
}

func TestAPasswordFromBeforeTheRulesIsAskedToBeChanged(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	if in := o.want("in", "ada", goodPassword, elsewhere, ""); in.Weak != nil {
		t.Errorf("a good one: %v", in.Weak)
	}
	must(t, o.conn, `INSERT INTO users (username, password_hash) VALUES ('grace', '$2b$10$4KVFrvj8Qle5UonzQicPKedUj0DKEMQgjE8ogiHQ5Q.a1/sdfzryO')`)
	if in := o.want("in", "grace", "short", elsewhere, ""); in.Weak == nil {
		t.Error("a short one is not noticed")
	}
}
