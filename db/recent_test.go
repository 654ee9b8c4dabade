package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"chartroom/db"
)

func TestRecentPatientsAreOnesOwnTheLatestFirst(t *testing.T) {
	ctx := context.Background()
	var all strings.Builder
	for i := range 12 {
		all.WriteString(resource(fmt.Sprint(i), fmt.Sprintf(`,"name":[{"family":"P%02d"}]`, i)))
	}
	all.WriteString(resource("none", "")) // without a birth date, a number and a name
	d, c, v := withPatients(t, all.String())
	addUser(t, c, "bob", "clinician")
	bob := signedIn(t, d, c, "bob")
	id := func(name string) (id string) {
		t.Helper()
		if err := c.QueryRow(ctx, `SELECT id::text FROM patients WHERE display_name = $1`, name).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	recent := func(v db.Viewer) string {
		t.Helper()
		l, err := d.RecentPatients(ctx, v)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range l.Patients {
			names = append(names, p.DisplayName)
		}
		return strings.Join(names, " ")
	}
	if got := recent(v); got != "" {
		t.Errorf("before anybody was opened: %q", got)
	}
	open := func(v db.Viewer, names ...string) {
		t.Helper()
		for _, n := range names {
			if _, err := d.OpenPatient(ctx, v, id(n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(v, "P01", "Unnamed", "P02", "P01")
	open(bob, "P09")
	if _, err := d.OpenPatient(ctx, v, "00000000-0000-4000-8000-000000000000"); !errors.Is(err, db.ErrNotFound) {
		t.Fatal(err)
	}
	if got := recent(v); got != "P01 P02 Unnamed" {
		t.Errorf("%q", got)
	}
	if got := recent(bob); got != "P09" {
		t.Errorf("another user's: %q", got)
	}
	// What was shown is on record, in its order.
	var shown, want []string
	if err := c.QueryRow(ctx, `SELECT patients::text[], ARRAY[$1, $2, $3] FROM audit_events WHERE actor = 'ada' AND action = 'patient-list' AND detail = '{"recent": true}' AND outcome = 'success'
		ORDER BY id DESC LIMIT 1`, id("P01"), id("P02"), id("Unnamed")).Scan(&shown, &want); err != nil || fmt.Sprint(shown) != fmt.Sprint(want) {
		t.Errorf("on record: %v, want %v (%v)", shown, want, err)
	}
	open(v, "P03", "P04", "P05", "P06", "P07", "P08", "P10", "P11")
	if got := recent(v); got != "P11 P10 P08 P07 P06 P05 P04 P03" {
		t.Errorf("no more than eight: %q", got)
	}
	// Who is gone is left out, and who was opened before comes up.
	if _, err := c.Exec(ctx, `DELETE FROM patients WHERE display_name IN ('P11', 'P05')`); err != nil {
		t.Fatal(err)
	}
	if got := recent(v); got != "P10 P08 P07 P06 P04 P03 P01 P02" {
		t.Errorf("without who is gone: %q", got)
	}
	if _, err := c.Exec(ctx, `DELETE FROM sessions`); err != nil {
		t.Fatal(err)
	}
	if _, err := d.RecentPatients(ctx, v); !errors.Is(err, db.ErrNoSession) {
		t.Errorf("a session that was ended: %v", err)
	}
	if _, err := d.RecentPatients(ctx, db.Viewer{Roles: db.Roles, StandIn: true}); !errors.Is(err, db.ErrNoSession) {
		t.Errorf("a stand-in: %v", err)
	}
}
