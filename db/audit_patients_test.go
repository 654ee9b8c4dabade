package db_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// entered says how many events have patients, and how often audit_patients has one: both counts, and those that it has right.
const entered = `SELECT (SELECT count(*) FROM audit_events WHERE patients <> '{}') || ' '
	|| (SELECT coalesce(sum(cardinality(ids)), 0) FROM audit_patients) || ' '
	|| (SELECT count(DISTINCT e.id) FROM audit_patients l CROSS JOIN LATERAL unnest(l.times, l.ids) at (recorded, id)
	    JOIN audit_events e ON e.id = at.id AND e.recorded = at.recorded AND e.patients = l.patients AND (e.action = 'patient-list') = l.listed AND e.actor_id IS NOT DISTINCT FROM l.actor_id AND l.newest >= e.recorded)`

func TestEachEventIsEnteredOnceAndAgainWhenTheChainIsAnother(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	x.grow(1, 120)
	if got := value[string](t, x.c, entered); got != "60 60 60" {
		t.Error("after sealing: ", got)
	}
	x.grow(1, 40) // not enough to go on with it
	if got := value[string](t, x.c, entered); got != "80 60 60" {
		t.Error("after sealing a little more: ", got)
	}
	enter := func() {
		for value[bool](t, x.c, `SELECT audit_patients_make()`) {
		}
	}
	enter()
	if got := value[string](t, x.c, entered); got != "80 80 80" {
		t.Error("when asked for: ", got)
	}
	x.tamper(`UPDATE audit_seals SET seal = sha256(seal) WHERE block = 2`)
	enter()
	if got := value[string](t, x.c, entered); got != "80 80 80" {
		t.Error("with another newest block: ", got)
	}
	x.tamper(`DELETE FROM audit_seals`)
	enter()
	if got := value[string](t, x.c, entered); got != "80 0 0" {
		t.Error("without any: ", got)
	}
	if err := x.d.NewSealer(nil, nil, quietLog).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, x.c, entered); got != "80 80 80" {
		t.Error("with a new chain: ", got)
	}
}

func TestEqualListsOfAUserTakeOneRow(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, actor_id, patients)
		SELECT 'patient-list', 'success', 1 + n % 2, ARRAY['00000000-0000-4000-8000-000000000001'::uuid] FROM generate_series(1, 50) n`)
	x.seal()
	if got := value[string](t, x.c, `SELECT string_agg(actor_id || ':' || cardinality(ids), ' ' ORDER BY actor_id) FROM audit_patients`); got != "1:25 2:25" {
		t.Error(got)
	}
}

func TestPatientsOfMonthsThatWereDroppedAreNotKept(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	months(t, x.c, 80, 75)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, recorded, patients) SELECT 'patient-list', 'success', recorded, ARRAY[gen_random_uuid()] FROM audit_events WHERE recorded < now() - interval '1 year'`)
	x.grow(1, 2)
	before := value[int](t, x.c, `SELECT count(*) FROM audit_patients WHERE newest < now() - interval '1 year'`)
	if err := x.d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	x.grow(1, 2)
	must(t, x.c, `SELECT audit_patients_make()`)
	if after := value[int](t, x.c, `SELECT count(*) FROM audit_patients WHERE newest < now() - interval '1 year'`); before == 0 || after != 0 {
		t.Errorf("%d rows, then %d", before, after)
	}
}

func TestTheProgramsRoleCannotChangeWherePatientsAreLookedUp(t *testing.T) {
	t.Parallel()
	_, _, app := twoRoles(t)
	mine := dbtest.Conn(t, app)
	for _, q := range []string{`DELETE FROM audit_patients`, `INSERT INTO audit_patients VALUES (true, 1, now(), '{}', '{}', '{}')`, `UPDATE audit_patients SET patients = '{}'`,
		`TRUNCATE audit_patients`, `UPDATE audit_patients_made SET last_id = 1000000`, `DELETE FROM audit_patients_made`, `DROP TABLE audit_patients`} {
		if _, err := mine.Exec(context.Background(), q); code(err) != "42501" {
			t.Errorf("%s: %v", q, err)
		}
	}
	if value[bool](t, mine, `SELECT audit_patients_make() OR EXISTS (SELECT 1 FROM audit_patients)`) {
		t.Error("made of nothing")
	}
}

const lookedFor = "00000000-0000-4000-8000-0000000000aa"

// sightings are the events that an export of the audit has of lookedFor, from the oldest on.
func sightings(t *testing.T, d *db.DB, v db.Viewer) (n int) {
	t.Helper()
	err := d.ExportAudit(context.Background(), v, db.AuditQuery{Patient: lookedFor}, db.FormatCSV, func(e []db.ExportedEvent) error { n += len(e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// seenTimes puts lists with lookedFor on record.
func seenTimes(t *testing.T, c *pgx.Conn, n int, recorded string) {
	t.Helper()
	must(t, c, `INSERT INTO audit_events (action, outcome, actor_id, recorded, patients)
		SELECT 'patient-list', 'success', 1, `+recorded+`, ARRAY['`+lookedFor+`'::uuid] FROM generate_series(1, $1::integer) i`, n)
}

func auditor(t *testing.T, d *db.DB, c *pgx.Conn) db.Viewer {
	t.Helper()
	addUser(t, c, "auditor", db.RoleAdmin)
	v := signedIn(t, d, c, "auditor")
	v.Roles = []string{db.RoleAdmin}
	return v
}

// With the program's role somebody can put blocks behind the chain. No sighting may be hidden by that, and check must not say that
// all is sealed.
func TestABlockThatTheProgramsRoleMadeUpHidesNobody(t *testing.T) {
	t.Parallel()
	d, c, app := twoRoles(t)
	mine, v, sealer := dbtest.Conn(t, app), auditor(t, d, c), d.NewSealer([]string{newAuditKey}, nil, quietLog)
	made := func(ids, last string) {
		t.Helper()
		must(t, mine, `INSERT INTO audit_seals (block, month, ids, events, digest, key_id, seal, last_id, gaps)
			SELECT block + 1, month, $1::text::int8multirange, 1, digest, key_id, 'x', $2::text::bigint, '{}' FROM audit_seals ORDER BY block DESC LIMIT 1`, ids, last)
		must(t, mine, `SELECT audit_patients_make()`)
	}
	seenTimes(t, mine, 7, "clock_timestamp()")
	if err := sealer.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	must(t, mine, `INSERT INTO audit_events (id, action, outcome) VALUES (9000000000000000000, 'start', 'success')`)
	made(`{[9000000000000000000,9000000000000000001)}`, "9000000000000000000")
	seenTimes(t, mine, 100, "clock_timestamp() - interval '6 minutes'")
	newest := value[string](t, mine, `SELECT pg_sequence_last_value('audit_events_id_seq')::text`)
	made(`{[`+newest+`,`+newest+`]}`, newest) // leaves out all but the newest
	seenTimes(t, mine, 10, "clock_timestamp() - interval '6 minutes'")
	if err := sealer.Seal(context.Background()); err == nil {
		t.Error("sealed behind a made-up block")
	}
	if n := sightings(t, d, v); n != 117 {
		t.Errorf("%d sightings of 117", n)
	}
	for _, l := range d.CheckAudit(context.Background()) {
		if l.ID == "audit-seals" && l.Result == db.CheckPass {
			t.Error("check says: ", l.Found)
		}
	}
}

func TestSightingsAfterADroppedMonthAreExportedWhole(t *testing.T) {
	t.Parallel()
	x := newTrail(t)
	months(t, x.c, 80)
	seenTimes(t, x.c, 1200, "(SELECT min(recorded) FROM audit_events) + i * interval '1 second'")
	v := auditor(t, x.d, x.c)
	seenTimes(t, x.c, 7, "clock_timestamp()")
	x.seal()
	if n := sightings(t, x.d, v); n != 1207 {
		t.Errorf("%d sightings of 1207", n)
	}
	if err := x.d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := sightings(t, x.d, v); n != 7 {
		t.Errorf("%d sightings of the 7 that are left", n)
	}
}

func TestALongHistoryIsEnteredAtOnceAlsoWhereMonthsWereDropped(t *testing.T) {
	x := newTrail(t)
	db.SetSealPortion(t, 5000)
	months(t, x.c, 80)
	seenTimes(t, x.c, 11_000, "(SELECT min(recorded) FROM audit_events) + i * interval '1 second'")
	seenTimes(t, x.c, 11_000, "clock_timestamp()")
	x.seal()
	if err := x.d.Housekeep(context.Background()); err != nil {
		t.Fatal(err)
	}
	x.tamper(`DELETE FROM audit_patients; UPDATE audit_patients_made SET block = 0, seal = '', last_id = 0`) // as a migration leaves it
	if err := x.d.NewSealer(nil, nil, quietLog).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, x.c, `SELECT (SELECT max(block) FROM audit_seals) - m.block || ' ' || (SELECT sum(cardinality(ids)) FROM audit_patients) FROM audit_patients_made m`); got != "0 11000" {
		t.Error("blocks not entered yet, and events that are:", got)
	}
}
