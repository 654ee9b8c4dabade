package db_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// months makes the partitions of past months, each with an event a day for three days, and gives their names, oldest first.
func months(t *testing.T, c *pgx.Conn, ago ...int) (names []string) {
	t.Helper()
	for _, n := range ago {
		must(t, c, fmt.Sprintf(`SELECT audit_events_make_partition(date_trunc('month', now() AT TIME ZONE 'UTC' - interval '%d months') AT TIME ZONE 'UTC')`, n))
		must(t, c, fmt.Sprintf(`INSERT INTO audit_events (action, outcome, recorded)
			SELECT 'patient-open', 'success', date_trunc('month', now() AT TIME ZONE 'UTC' - interval '%d months') AT TIME ZONE 'UTC' + d * interval '1 day'
			FROM generate_series(1, 3) d`, n))
		names = append(names, value[string](t, c, fmt.Sprintf(`SELECT to_char(now() AT TIME ZONE 'UTC' - interval '%d months', 'YYYY-MM')`, n)))
	}
	return names
}

// seal puts all events of some months under seals, as far as the function that drops them looks at it.
func seal(t *testing.T, c *pgx.Conn, months ...string) {
	t.Helper()
	for _, m := range months {
		must(t, c, `INSERT INTO audit_seals (block, month, ids, events, digest, key_id, seal, last_id, gaps)
			SELECT coalesce((SELECT max(block) FROM audit_seals), 0) + 1, $1::date, range_agg(int8range(id, id, '[]')), count(*), sha256(''), '', sha256(''), max(id), '{}'
			FROM audit_events WHERE to_char(recorded AT TIME ZONE 'UTC', 'YYYY-MM') = $2`, m+"-01", m)
	}
}

func present(t *testing.T, c *pgx.Conn, month string) bool {
	t.Helper()
	return value[bool](t, c, `SELECT to_regclass($1) IS NOT NULL`, "audit_events_"+strings.ReplaceAll(month, "-", ""))
}

func TestMonthsBeyondTheRetentionGoTheOldestFirstAndEachIsRecorded(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	at := months(t, c, 80, 75, 74, 70) // 2192 days are 72 months and a little
	seal(t, c, at...)
	if err := d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if present(t, c, at[0]) || present(t, c, at[1]) || present(t, c, at[2]) || !present(t, c, at[3]) {
		t.Error("not the months that are older than six years")
	}
	want := fmt.Sprintf(`{"month": "%s", "events": 3} {"month": "%s", "events": 3} {"month": "%s", "events": 3}`, at[0], at[1], at[2])
	if got := value[string](t, c, `SELECT string_agg(detail::text, ' ' ORDER BY id) FROM audit_events WHERE action = 'audit-drop' AND outcome = 'success' AND program = 'test'`); got != want {
		t.Errorf("recorded: %s\nwant %s", got, want)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_seals`); n != 4 {
		t.Errorf("%d seals are left of 4", n)
	}
	if err := d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'audit-drop'`); n != 3 {
		t.Errorf("%d events after doing it again", n)
	}
}

func TestAMonthWithAnEventThatIsNotSealedStaysAndSoDoTheLaterOnes(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	at := months(t, c, 80, 79, 78)
	seal(t, c, at...)
	must(t, c, `INSERT INTO audit_events (action, outcome, recorded) SELECT 'patient-open', 'success', min(recorded) FROM audit_events WHERE to_char(recorded AT TIME ZONE 'UTC', 'YYYY-MM') = $1`, at[1])
	if err := d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if present(t, c, at[0]) || !present(t, c, at[1]) || !present(t, c, at[2]) {
		t.Error("not stopped at the month that is not sealed")
	}
}

func TestThePartitionsAreMadeAheadWithoutARestart(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	last := value[string](t, c, `SELECT to_char(now() AT TIME ZONE 'UTC' + interval '24 months', 'YYYYMM')`)
	must(t, c, `DROP TABLE audit_events_`+last)
	if err := d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !value[bool](t, c, `SELECT to_regclass($1) IS NOT NULL`, "audit_events_"+last) {
		t.Error("the month two years ahead has no partition")
	}
	refusedChanges(t, c, "audit_events_"+last, "append-only", `UPDATE %s SET actor = 'x'`, `DELETE FROM %s`, `TRUNCATE %s`)
}

// refusedChanges puts an event into a table and tries to change it there; each statement must fail with this in its error.
func refusedChanges(t *testing.T, c *pgx.Conn, table, with string, statements ...string) {
	t.Helper()
	_, _ = c.Exec(context.Background(), fmt.Sprintf(`INSERT INTO audit_events (action, outcome, recorded)
		SELECT 'sign-in', 'refused', to_timestamp(substring(%[1]s FROM '\d{6}$'), 'YYYYMM') + interval '2 days' WHERE %[1]s ~ '\d{6}$'`, "'"+table+"'"))
	for _, sql := range statements {
		sql = fmt.Sprintf(sql, table)
		if _, err := c.Exec(context.Background(), sql); err == nil || !strings.Contains(err.Error(), with) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestEventsWithoutAMonthsPartitionAreKeptAndPutInPlaceLater(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	must(t, c, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass AND c.relname ~ '\d{6}$' LOOP
			EXECUTE 'DROP TABLE ' || name;
		END LOOP; END $$`)
	addUser(t, c, "ada", "viewer")
	load(t, d, resource("1", `,"name":[{"family":"Abel"}]`))
	v := signedIn(t, d, c, "ada")
	if l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName}); err != nil || len(l.Rows) != 1 {
		t.Fatal("without partitions:", err)
	}
	must(t, c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('sign-in', 'refused', now() + interval '10 years'), ('sign-in', 'refused', now() - interval '3 months')`)
	const all = `SELECT string_agg(e::text, '|' ORDER BY id) FROM audit_events e`
	before := value[string](t, c, all)
	if n := value[int](t, c, `SELECT count(*) FROM audit_events_other`); n != 5 {
		t.Fatalf("%d events in the default partition", n)
	}
	for range 2 {
		if err := d.Housekeep(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if after := value[string](t, c, all); after != before {
		t.Errorf("moving changed the events:\n%s\nbefore:\n%s", after, before)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events_other`); n != 1 { // that of ten years ahead has no month yet
		t.Errorf("%d events in the default partition", n)
	}
	if n := value[int](t, c, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`); n != 27 { // and the month in the past
		t.Errorf("%d partitions", n)
	}
	refusedChanges(t, c, "audit_events_other", "append-only", `UPDATE %s SET actor = 'x'`, `DELETE FROM %s`, `TRUNCATE %s`)
	if _, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName}); err != nil {
		t.Error("afterwards:", err)
	}
}

func TestAFailureInHousekeepingKeepsTheRestFromNothing(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	must(t, c, `ALTER FUNCTION audit_events_make_partitions(integer) RENAME TO gone`)
	at := months(t, c, 80)
	seal(t, c, at...)
	must(t, c, `INSERT INTO ended_sessions (token, id, expiry) VALUES ('x', gen_random_uuid(), now() - interval '2 days')`)
	if err := d.Housekeep(context.Background()); err == nil || !strings.Contains(err.Error(), "make the audit's partitions") {
		t.Errorf("got %v", err)
	}
	if present(t, c, at[0]) || value[int](t, c, `SELECT count(*) FROM ended_sessions`) != 0 {
		t.Error("the rest was not done")
	}
}

func TestNobodyButTheOwnerKeepsEventsForLessThanSixYears(t *testing.T) {
	t.Parallel()
	d, c, app := twoRoles(t)
	// The migrations' own events are from before those that the test gives another age.
	must(t, c, `SET session_replication_role = replica`)
	must(t, c, `DELETE FROM audit_events`)
	must(t, c, `RESET session_replication_role`)
	at := months(t, c, 80, 71)
	mine := dbtest.Conn(t, app)
	for _, keep := range []string{"2191 days", "1 day", "0", "-1 day", "6 years"} {
		if _, err := mine.Exec(context.Background(), `SELECT audit_events_drop($1::interval)`, keep); err == nil || !strings.Contains(err.Error(), "six years") {
			t.Errorf("%s: %v", keep, err)
		}
	}
	seal(t, c, at...)
	if err := d.Housekeep(context.Background()); err != nil {
		t.Error(err)
	}
	if present(t, c, at[0]) || !present(t, c, at[1]) {
		t.Error("the program's role did not drop what is due, or dropped more")
	}
	if dropped := value[int](t, c, `SELECT audit_events_drop('1000 days')`); dropped != 1 {
		t.Errorf("the owner dropped %d months", dropped)
	}
}

// twoRoles is a database that another role than the program's owns.
func twoRoles(t *testing.T) (d *db.DB, owner *pgx.Conn, app string) {
	t.Helper()
	url := dbtest.EmptyURL(t)
	c := dbtest.Conn(t, url)
	role := "app_" + strings.ToLower(strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
	role = role[:min(len(role), 60)]
	must(t, c, `CREATE ROLE `+role+` LOGIN`)
	must(t, c, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)            // PostgreSQL 14 grants it
	must(t, c, `ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO `+role) // as well-meaning guides advise
	t.Cleanup(func() {
		must(t, c, `DROP OWNED BY `+role)
		must(t, c, `DROP ROLE `+role)
	})
	app = strings.Replace(url, "user="+c.Config().User, "user="+role, 1)
	m := dbtest.Migrator(url)
	m.AppURL = app
	if err := m.Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	return dbtest.OpenURL(t, app, time.Hour), c, app
}

func TestWithARoleOfItsOwnTheProgramCanOnlyAddEvents(t *testing.T) {
	t.Parallel()
	d, c, app := twoRoles(t)
	if err := d.Housekeep(context.Background()); err != nil { // which may make partitions, and must not open them
		t.Fatal(err)
	}
	must(t, c, `DROP TABLE audit_events_`+value[string](t, c, `SELECT to_char(now() AT TIME ZONE 'UTC' + interval '24 months', 'YYYYMM')`))
	if err := d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	mine := dbtest.Conn(t, app)
	must(t, mine, `INSERT INTO audit_events (action, outcome) VALUES ('sign-in', 'refused')`)
	refusedChanges(t, mine, "audit_events", "42501", `UPDATE %s SET actor = 'x'`, `DELETE FROM %s`, `TRUNCATE %s`, `DROP TABLE %s`,
		`ALTER TABLE %s DISABLE TRIGGER ALL`, `ALTER TABLE %s DISABLE TRIGGER audit_events_append_only`, `ALTER TABLE %s DETACH PARTITION audit_events_other`,
		`DROP TRIGGER audit_events_append_only ON %s`, `SELECT setval('audit_events_id_seq', 1) FROM %s`, `SET session_replication_role = replica`+` -- %s`,
		`SELECT audit_events_guard('%s')`, `SELECT audit_events_make_partition(now()) -- %s`, `CREATE OR REPLACE FUNCTION audit_events_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END' -- %s`)
	for _, table := range value[[]string](t, c, `SELECT array_agg(c.relname::text) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass`) {
		refusedChanges(t, mine, table, "42501", `UPDATE %s SET actor = 'x'`, `DELETE FROM %s`, `TRUNCATE %s`, `DROP TABLE %s`, `ALTER TABLE %s DISABLE TRIGGER ALL`,
			`INSERT INTO %s (action, outcome) VALUES ('sign-in', 'success')`)
	}
}

func TestWithOneRoleTheTriggersRefuseOnEveryPartition(t *testing.T) {
	t.Parallel()
	_, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	changes := []string{`UPDATE %s SET actor = 'x'`, `DELETE FROM %s`, `TRUNCATE %s`}
	for _, table := range value[[]string](t, c, `SELECT array_agg(c.relname::text) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_events'::regclass`) {
		if table == "audit_events_other" {
			must(t, c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('sign-in', 'refused', now() + interval '9 years')`)
		}
		refusedChanges(t, c, table, "append-only", changes...)
	}
	refusedChanges(t, c, "audit_events", "append-only", changes...)
	if n := value[int](t, c, `SELECT count(*) FROM audit_events`); n != 26 {
		t.Errorf("%d events", n)
	}
}
