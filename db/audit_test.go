package db_test

import (
	"context"
	"strings"
	"testing"

	"chartroom/db/dbtest"
)

func TestAuditEventsCannotBeChangedOrRemoved(t *testing.T) {
	t.Parallel()
	_, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	must(t, c, `INSERT INTO audit_events (action, outcome) VALUES ('sign-in', 'refused')`)
	partition := value[string](t, c, `SELECT tableoid::regclass::text FROM audit_events`)
	for _, sql := range []string{
		`UPDATE audit_events SET actor = 'x'`, `DELETE FROM audit_events`, `TRUNCATE audit_events`,
		`UPDATE ` + partition + ` SET actor = 'x'`, `DELETE FROM ` + partition, `TRUNCATE ` + partition,
	} {
		if _, err := c.Exec(context.Background(), sql); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestAuditEventsGoIntoTheirMonthAndNeverNowhere(t *testing.T) {
	t.Parallel()
	_, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	n := value[int](t, c, `SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`)
	if n != 26 { // this month, 24 ahead, and the default
		t.Errorf("%d partitions, want 26", n)
	}
	must(t, c, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('sign-in', 'refused', now()), ('sign-in', 'refused', now() + interval '10 years')`)
	month := value[string](t, c, `SELECT 'audit_events_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMM')`)
	if got := value[[]string](t, c, `SELECT array_agg(tableoid::regclass::text ORDER BY recorded) FROM audit_events`); got[0] != month || got[1] != "audit_events_other" {
		t.Errorf("the events are in %v", got)
	}
	if made := value[int](t, c, `SELECT audit_events_make_partitions(24)`); made != 0 {
		t.Errorf("made %d partitions again", made)
	}
	// A month whose events already stand in the default partition gets them.
	if made := value[int](t, c, `SELECT audit_events_make_partitions(130)`); made != 106 {
		t.Errorf("made %d partitions, want 106", made)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events_other`); n != 0 {
		t.Errorf("%d events are left in the default partition", n)
	}
}
