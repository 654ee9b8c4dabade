package db_test

import (
	"context"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

func TestW5RTwoRoles(t *testing.T) {
	d, c, app := twoRoles(t)
	mine := dbtest.Conn(t, app)
	for _, p := range []string{"UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"} {
		if value[bool](t, mine, `SELECT has_table_privilege('audit_seals', $1)`, p) {
			t.Errorf("the program's role may %s on audit_seals", p)
		}
	}
	for _, l := range d.CheckAudit(context.Background()) {
		t.Logf("%+v", l)
	}
	must(t, c, `ALTER TABLE audit_seals DISABLE TRIGGER ALL`)
	for _, l := range d.CheckAudit(context.Background()) {
		if l.Result != "pass" {
			t.Logf("off: %+v", l)
		}
	}
	must(t, c, `ALTER TABLE audit_seals ENABLE TRIGGER ALL`)
	start := time.Now()
	_, err := mine.Exec(context.Background(), `SELECT audit_events_make_partitions(1500)`)
	t.Logf("1500 months: %v %v, partitions %d", err, time.Since(start), value[int](t, c, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`))
	start = time.Now()
	_, err = mine.Exec(context.Background(), `SELECT * FROM audit_events WHERE id = 5`)
	t.Logf("an event by id: %v %v", err, time.Since(start))
}

func TestW5ROperatorInPublic(t *testing.T) {
	_, c, app := twoRoles(t)
	must(t, c, `INSERT INTO audit_events (action, outcome, actor) VALUES ('start', 'success', 'eve')`)
	must(t, c, `GRANT CREATE ON SCHEMA public TO PUBLIC`) // PostgreSQL 14 and what was upgraded from it
	m := dbtest.Migrator(c.Config().ConnString())
	m.AppURL = app
	if err := m.Up(context.Background()); err != nil { // a start takes back what is beyond
		t.Fatal(err)
	}
	mine := dbtest.Conn(t, app)
	if _, err := mine.Exec(context.Background(), `CREATE FUNCTION public.x() RETURNS int LANGUAGE sql AS 'SELECT 1'`); err != nil {
		return // taken back
	}
	must(t, mine, `CREATE FUNCTION public.evil(integer, interval) RETURNS interval LANGUAGE plpgsql AS $$ BEGIN
		IF current_user <> session_user THEN
			EXECUTE 'ALTER TABLE audit_events DISABLE TRIGGER ALL';
			EXECUTE 'DELETE FROM audit_events WHERE actor = ''eve''';
		END IF;
		RETURN $1::double precision OPERATOR(pg_catalog.*) $2; END $$`)
	must(t, mine, `CREATE OPERATOR public.* (LEFTARG = integer, RIGHTARG = interval, FUNCTION = public.evil)`)
	if _, err := mine.Exec(context.Background(), `SELECT audit_events_make_partitions(24)`); err != nil {
		t.Log(err)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE actor = 'eve'`); n != 1 {
		t.Errorf("the program's role deleted an event as the owner")
	}
	must(t, c, `DROP FUNCTION public.evil CASCADE`)
}
