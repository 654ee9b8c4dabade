package db_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestAnExportOfTheAuditHasEachEventOnceTheOldestFirst, over several pages, with filters, and with events of so many
// patients that few share a page.
func TestAnExportOfTheAuditHasEachEventOnceTheOldestFirst(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	auditCrowd(t, c, 2600)
	must(t, c, `INSERT INTO audit_events (recorded, action, outcome, actor, patients)
		SELECT now() - interval '1 day', 'import', 'success', 'root', ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 30000)) FROM generate_series(1, 3)`)
	v := signedIn(t, d, c, "admin")
	for sql, q := range map[string]db.AuditQuery{
		`true`: {}, `actor_id = 3`: {Users: []int{3}}, `action = 'import'`: {Actions: []string{"import"}},
		`'` + auditPerson(1) + `' = ANY (patients)`: {Patient: auditPerson(1)}, `'` + auditPerson(60) + `' = ANY (patients)`: {Patient: auditPerson(60)},
	} {
		want := value[[]int64](t, c, `SELECT coalesce(array_agg(id ORDER BY recorded, id), '{}') FROM audit_events WHERE `+sql)
		var got []int64
		pages := 0
		err := d.ExportAudit(context.Background(), v, q, db.FormatCSV, func(events []db.ExportedEvent) error {
			pages++
			people := 0
			for _, e := range events {
				got = append(got, e.ID)
				people += len(e.Patients)
			}
			if people > 80_000 || len(events) > 1000 {
				t.Errorf("%s: a page of %d events and %d patients", sql, len(events), people)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, want) || len(want) > 1000 && pages < 2 {
			t.Errorf("%s: %d events on %d pages, want %d; %v", sql, len(got), pages, len(want), err)
		}
		if n := value[int](t, c, `SELECT (detail->>'events')::int FROM audit_events WHERE action = 'audit-export' AND detail ? 'complete' ORDER BY id DESC LIMIT 1`); n != len(want) {
			t.Errorf("%s: %d events are on record, want %d", sql, n, len(want))
		}
	}
	var all int
	if err := d.ExportAllAudit(context.Background(), "root", db.FormatNDJSON, func(events []db.ExportedEvent) error { all += len(events); return nil }); err != nil || all < 2600 {
		t.Errorf("%d events, %v", all, err)
	}
	if who := value[string](t, c, `SELECT actor || ' ' || (actor_id IS NULL) || ' ' || (detail->>'events') FROM audit_events WHERE action = 'audit-export' ORDER BY id DESC LIMIT 1`); who == "" {
		t.Error("the command's export is not on record")
	}
}

// TestAnExportOfTheAuditEndsWithTheRightToIt: who is disabled meanwhile gets no further page, and the end is not on record.
func TestAnExportOfTheAuditEndsWithTheRightToIt(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	auditCrowd(t, c, 2600)
	v := signedIn(t, d, c, "admin")
	pages := 0
	err := d.ExportAudit(context.Background(), v, db.AuditQuery{}, db.FormatCSV, func([]db.ExportedEvent) error {
		pages++
		_, err := c.Exec(context.Background(), `UPDATE users SET role = 'viewer' WHERE username = 'admin'`)
		return err
	})
	v.Roles = []string{db.RoleAdmin}
	if pages != 3 || err != nil { // the credential said that any role may: it is the handler that says which
		t.Fatalf("%d pages, %v", pages, err)
	}
	must(t, c, `UPDATE users SET role = 'admin' WHERE username = 'admin'`)
	pages = 0
	err = d.ExportAudit(context.Background(), v, db.AuditQuery{}, db.FormatCSV, func([]db.ExportedEvent) error {
		pages++
		_, err := c.Exec(context.Background(), `UPDATE users SET role = 'viewer' WHERE username = 'admin'`)
		return err
	})
	if pages != 1 || !errors.Is(err, db.ErrForbidden) {
		t.Errorf("%d pages, %v", pages, err)
	}
	if got := value[string](t, c, `SELECT string_agg(outcome || coalesce(' ' || (detail->>'complete'), ''), ', ' ORDER BY id) FROM (SELECT * FROM audit_events WHERE action = 'audit-export' ORDER BY id DESC LIMIT 2) e`); got != "success, refused false" {
		t.Errorf("on record: %s", got)
	}
	for name, err := range map[string]error{
		"a list": func() error { _, err := d.ListAudit(context.Background(), v, db.AuditQuery{}); return err }(),
		"event":  func() error { _, err := d.OpenAudit(context.Background(), v, 1); return err }(),
		"names":  func() error { _, err := d.FindActors(context.Background(), v, "a"); return err }(),
	} {
		if !errors.Is(err, db.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
