package db

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Loss is what goes when a migration is taken back.
type Loss struct {
	Migration string // its file's name without the end, such as 000004_patients
	Tables    []LostTable
	Columns   []LostColumn
}

// LostTable is a table with all that is in it.
type LostTable struct {
	Name string
	Rows int64
}

// LostColumn is a column of a table that stays, or that goes with another of the migrations.
type LostColumn struct {
	Table, Name string
	Rows        int64 // those that hold a value in it
}

// Losses are all that go, the newest migration first.
type Losses struct {
	Migrations  []Loss
	Connections int // of servers and commands that work on the database right now
}

// Audit says whether the audit goes, or what proves it.
func (l Losses) Audit() bool {
	return slices.ContainsFunc(l.Migrations, func(m Loss) bool {
		return slices.ContainsFunc(m.Tables, func(t LostTable) bool { return t.Name == "audit_events" || t.Name == "audit_seals" })
	})
}

// TooMany is for more migrations to take back than stand.
type TooMany struct{ Asked, Standing int }

func (e TooMany) Error() string {
	if e.Standing == 0 {
		return "no migration stands: there is nothing to take back"
	}
	return fmt.Sprintf("%d migrations stand, so that %d cannot be taken back: nothing was changed; for all of them say %d", e.Standing, e.Asked, e.Standing)
}

// Losses looks what would go with the newest n migrations: in their files for names, and in the database for what is there. It
// changes nothing and locks nobody out.
func (m Migrator) Losses(ctx context.Context, n int) (Losses, error) {
	cfg, err := m.config()
	if err != nil {
		return Losses{}, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return Losses{}, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var all Losses
	err = m.retryLocks(ctx, func() error {
		all, err = m.losses(ctx, conn, n)
		return err
	})
	return all, err
}

func (m Migrator) losses(ctx context.Context, conn *pgx.Conn, n int) (Losses, error) {
	standing, err := m.standing(ctx, conn)
	if err != nil {
		return Losses{}, err
	}
	if n > len(standing) {
		return Losses{}, TooMany{n, len(standing)}
	}
	all := Losses{}
	for _, name := range standing[:n] {
		one, err := m.loss(ctx, conn, name)
		if err != nil {
			return Losses{}, fmt.Errorf("look what %s would take with it: %w", name, err)
		}
		all.Migrations = append(all.Migrations, one)
	}
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'chartroom'`).Scan(&all.Connections)
	return all, err
}

// standing are the names of the migrations that the database has, the newest first. A schema that is newer than this program is an
// error: only its own program knows the way back.
func (m Migrator) standing(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	st, err := m.status(ctx, conn)
	if err != nil {
		return nil, err
	}
	if st.Version > st.Newest {
		return nil, fmt.Errorf("the schema (version %d) is newer than this program (%d): take it back with the program that made it", st.Version, st.Newest)
	}
	applied, err := m.applied(ctx, conn, st)
	if err != nil {
		return nil, err
	}
	versions, err := m.versions()
	if err != nil {
		return nil, err
	}
	names, _ := fs.Glob(m.Files, "*.up.sql")
	var all []string
	for i, v := range versions {
		if v <= applied {
			all = append(all, strings.TrimSuffix(names[i], ".up.sql"))
		}
	}
	slices.Reverse(all)
	return all, nil
}

var (
	notStatements = regexp.MustCompile(`(?s)--[^\n]*|\$(\w*)\$.*?\$\w*\$`) // comments, and bodies of functions
	dropsTables   = regexp.MustCompile(`(?i)\bDROP TABLE (?:IF EXISTS )?(\w+(?:\s*,\s*\w+)*)`)
	altersTable   = regexp.MustCompile(`(?is)\bALTER TABLE (?:IF EXISTS )?(\w+)([^;]*);`)
	dropsColumn   = regexp.MustCompile(`(?i)\bDROP COLUMN (?:IF EXISTS )?(\w+)`)
)

func (m Migrator) loss(ctx context.Context, conn *pgx.Conn, migration string) (Loss, error) {
	text, err := fs.ReadFile(m.Files, migration+".down.sql")
	if err != nil {
		return Loss{}, err
	}
	sql, l := notStatements.ReplaceAllString(string(text), ""), Loss{Migration: migration}
	for _, match := range dropsTables.FindAllStringSubmatch(sql, -1) {
		for _, name := range strings.Split(match[1], ",") {
			name = strings.TrimSpace(name)
			rows, there, err := count(ctx, conn, name, "")
			if err != nil {
				return l, err
			}
			if there {
				l.Tables = append(l.Tables, LostTable{name, rows})
			}
		}
	}
	for _, match := range altersTable.FindAllStringSubmatch(sql, -1) {
		for _, column := range dropsColumn.FindAllStringSubmatch(match[2], -1) {
			rows, there, err := count(ctx, conn, match[1], column[1])
			if err != nil {
				return l, err
			}
			if there {
				l.Columns = append(l.Columns, LostColumn{match[1], column[1], rows})
			}
		}
	}
	return l, nil
}

// count gives the rows of a table, or those that hold a value in a column of it; it may not be there.
func count(ctx context.Context, conn *pgx.Conn, table, column string) (rows int64, there bool, err error) {
	err = conn.QueryRow(ctx, `SELECT count(*) > 0 FROM pg_attribute WHERE attrelid = to_regclass(quote_ident($1)) AND NOT attisdropped AND ($2 = '' OR attname = $2)`,
		table, column).Scan(&there)
	if err != nil || !there {
		return 0, false, err
	}
	what := "*"
	if column != "" {
		what = pgx.Identifier{column}.Sanitize()
	}
	err = conn.QueryRow(ctx, `SELECT count(`+what+`) FROM `+pgx.Identifier{table}.Sanitize()).Scan(&rows)
	return rows, true, err
}
