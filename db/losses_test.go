package db_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestWhatTakingMigrationsBackLosesIsNamedBeforeItIsLost compares what is named with what is then gone from the catalog.
func TestWhatTakingMigrationsBackLosesIsNamedBeforeItIsLost(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.URL(t)
	c, m := dbtest.Conn(t, url), dbtest.Migrator(url)
	must(t, c, `INSERT INTO users (username, password_hash) VALUES ('ada', 'x'), ('bob', 'y')`)
	load(t, dbtest.OpenURL(t, url, time.Hour), resource("1", ``)+resource("2", ``)+resource("3", ``))
	newest, err := m.Newest()
	if err != nil {
		t.Fatal(err)
	}
	all, err := m.Losses(ctx, newest)
	if err != nil || len(all.Migrations) != newest || !all.Audit() || all.Connections == 0 {
		t.Fatal(err, all)
	}
	rows := map[string]int64{}
	for _, l := range all.Migrations {
		for _, t := range l.Tables {
			rows[t.Name] = t.Rows
		}
		for _, c := range l.Columns {
			rows[c.Table+"."+c.Name] = c.Rows
		}
	}
	for name, want := range map[string]int64{"patients": 3, "patient_resources": 3, "users.role": 2, "audit_seals": 0, "patients.import_id": 3, "patients.updated_by_id": 0,
		"audit_events": value[int64](t, c, `SELECT count(*) FROM audit_events`)} {
		if got, ok := rows[name]; !ok || got != want {
			t.Errorf("%s: %d rows, want %d", name, got, want)
		}
	}
	if l, err := m.Losses(ctx, 1); err != nil || l.Audit() {
		t.Error("the newest alone loses nothing of the audit", err)
	}
	for range newest {
		l, err := m.Losses(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		before := catalog(t, c)
		if err := m.Down(ctx, 1); err != nil {
			t.Fatal(err)
		}
		after := catalog(t, c)
		gone := []string{}
		for name := range before {
			table, _, column := strings.Cut(name, ".")
			if !after[name] && (!column || after[table]) {
				gone = append(gone, name)
			}
		}
		named := []string{}
		for _, t := range l.Migrations[0].Tables {
			named = append(named, t.Name)
		}
		for _, c := range l.Migrations[0].Columns {
			named = append(named, c.Table+"."+c.Name)
		}
		slices.Sort(gone)
		slices.Sort(named)
		if !slices.Equal(gone, named) {
			t.Errorf("%s takes %v, and %v is named", l.Migrations[0].Migration, gone, named)
		}
	}
	if left := catalog(t, c); left["patients"] || left["users.role"] || !left["users"] {
		t.Errorf("left: %v", slices.Collect(maps.Keys(left)))
	}
}

// catalog are all tables and their columns; partitions belong to their table.
func catalog(t *testing.T, c *pgx.Conn) map[string]bool {
	all := map[string]bool{}
	for _, name := range value[[]string](t, c, `
		SELECT array_agg(r.relname || CASE WHEN a.attname IS NULL THEN '' ELSE '.' || a.attname END)
		FROM pg_class r LEFT JOIN LATERAL (SELECT attname FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped UNION ALL SELECT NULL) a ON true
		WHERE r.relnamespace = 'public'::regnamespace AND r.relkind IN ('r', 'p') AND NOT r.relispartition`) {
		all[name] = true
	}
	return all
}

func TestMoreMigrationsThanStandAreRefusedAndNothingIsTakenBack(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.URL(t)
	m := dbtest.Migrator(url)
	names, err := fs.Glob(m.Files, "*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	n := len(names) + 1
	_, losses := m.Losses(ctx, n)
	for _, err := range []error{losses, m.Down(ctx, n)} {
		if too := (db.TooMany{}); !errors.As(err, &too) || too.Standing != n-1 || !strings.Contains(err.Error(), fmt.Sprintf("say %d", n-1)) {
			t.Errorf("got %v", err)
		}
	}
	if st, err := m.Status(ctx); err != nil || st.Version != st.Newest {
		t.Errorf("%+v %v", st, err)
	}
	empty := dbtest.Migrator(dbtest.EmptyURL(t))
	if err := empty.Down(ctx, 1); !errors.As(err, &db.TooMany{}) || !strings.Contains(err.Error(), "nothing to take back") {
		t.Errorf("on an empty database: %v", err)
	}
}
