package db_test

import (
	"context"
	"testing"

	"chartroom/db/dbtest"
)

// entered says how many events have patients, and how often audit_patients has one: both counts, and those that it has right.
const entered = `SELECT (SELECT count(*) FROM audit_events WHERE patients <> '{}') || ' '
	|| (SELECT coalesce(sum(cardinality(ids)), 0) FROM audit_patients) || ' '
	|| (SELECT count(DISTINCT e.id) FROM audit_patients l CROSS JOIN LATERAL unnest(l.times, l.ids) at (recorded, id)
	    JOIN audit_events e ON e.id = at.id AND e.recorded = at.recorded AND e.patients = l.patients AND (e.action = 'patient-list') = l.listed AND e.actor_id IS NOT DISTINCT FROM l.actor_id AND l.newest >= e.recorded)`

func TestEachEventIsEnteredOnceAndAgainWhenTheChainIsAnother(t *testing.T) {
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
		for value[int](t, x.c, `SELECT audit_patients_make()`) > 0 {
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
	x := newTrail(t)
	must(t, x.c, `INSERT INTO audit_events (action, outcome, actor_id, patients)
		SELECT 'patient-list', 'success', 1 + n % 2, ARRAY['00000000-0000-4000-8000-000000000001'::uuid] FROM generate_series(1, 50) n`)
	x.seal()
	if got := value[string](t, x.c, `SELECT string_agg(actor_id || ':' || cardinality(ids), ' ' ORDER BY actor_id) FROM audit_patients`); got != "1:25 2:25" {
		t.Error(got)
	}
}

func TestPatientsOfMonthsThatWereDroppedAreNotKept(t *testing.T) {
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
	_, _, app := twoRoles(t)
	mine := dbtest.Conn(t, app)
	for _, q := range []string{`DELETE FROM audit_patients`, `INSERT INTO audit_patients VALUES (true, 1, now(), '{}', '{}', '{}')`, `UPDATE audit_patients SET patients = '{}'`,
		`TRUNCATE audit_patients`, `UPDATE audit_patients_made SET last_id = 1000000`, `DELETE FROM audit_patients_made`, `DROP TABLE audit_patients`} {
		if _, err := mine.Exec(context.Background(), q); code(err) != "42501" {
			t.Errorf("%s: %v", q, err)
		}
	}
	if n := value[int](t, mine, `SELECT audit_patients_make() + (SELECT count(*) FROM audit_patients)`); n != 0 {
		t.Errorf("made of nothing: %d", n)
	}
}
