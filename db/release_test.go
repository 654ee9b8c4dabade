package db_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"chartroom/db/dbtest"
)

var update = flag.Bool("update", false, "write the statements that were recorded into testdata/release-statements.json")

const releaseFile = "testdata/release-statements.json"

// release is what a release asks the database for.
type release struct {
	Release    string      `json:"release"` // a tag, or the commit where there is none
	Schema     int         `json:"schema"`  // that it was made with
	Statements []statement `json:"statements"`
}

type statement struct {
	Parameters []string `json:"parameters,omitempty"` // types
	Columns    []string `json:"columns,omitempty"`    // of the result, each a name and a type
	SQL        []string `json:"sql"`                  // lines, so that a change can be read
}

// describe asks the database what a statement takes and gives, without running it.
func describe(ctx context.Context, c *pgx.Conn, sql string) (statement, error) {
	s := statement{SQL: strings.Split(sql, "\n")}
	d, err := c.Prepare(ctx, "", sql)
	if err != nil {
		return s, err
	}
	name := func(oid uint32) string {
		if t, ok := c.TypeMap().TypeForOID(oid); ok {
			return t.Name
		}
		return "another"
	}
	for _, p := range d.ParamOIDs {
		s.Parameters = append(s.Parameters, name(p))
	}
	for _, f := range d.Fields {
		s.Columns = append(s.Columns, f.Name+" "+name(f.DataTypeOID))
	}
	return s, nil
}

// TestThePreviousReleaseRunsOnThisSchema prepares all that the previous release asks for on the newest schema, and compares what it
// takes and gives: so the earlier program can be put back without touching the database, and both can run beside each other.
func TestThePreviousReleaseRunsOnThisSchema(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.URL(t)
	c := dbtest.Conn(t, url)
	if *update {
		writeRelease(t, c)
	}
	text, err := os.ReadFile(releaseFile)
	if err != nil {
		t.Fatal(err)
	}
	var r release
	if err := json.Unmarshal(text, &r); err != nil || len(r.Statements) < 100 || r.Release == "" {
		t.Fatalf("%s holds %d statements of %q: %v", releaseFile, len(r.Statements), r.Release, err)
	}
	for _, was := range r.Statements {
		sql := strings.Join(was.SQL, "\n")
		is, err := describe(ctx, c, sql)
		if err != nil {
			t.Errorf("%s (schema %d) asks for this, and would fail: %v\n%.300s", r.Release, r.Schema, err, sql)
		} else if !slices.Equal(is.Parameters, was.Parameters) || !slices.Equal(is.Columns, was.Columns) {
			t.Errorf("%s (schema %d) would take and get something else:\n%v %v\n%v %v\n%.300s", r.Release, r.Schema, was.Parameters, was.Columns, is.Parameters, is.Columns, sql)
		}
	}
}

// TestAStatementThatNoLongerFitsIsFound: the test above would notice a column that is gone, or has another type.
func TestAStatementThatNoLongerFitsIsFound(t *testing.T) {
	t.Parallel()
	ctx, c := context.Background(), dbtest.Conn(t, dbtest.URL(t))
	const sql = `SELECT username, session_epoch FROM users WHERE id = $1`
	was, err := describe(ctx, c, sql)
	if err != nil || !slices.Equal(was.Parameters, []string{"int4"}) || !slices.Equal(was.Columns, []string{"username varchar", "session_epoch int4"}) {
		t.Fatal(err, was)
	}
	must(t, c, `ALTER TABLE users ALTER COLUMN session_epoch TYPE bigint`)
	if is, err := describe(ctx, c, sql); err != nil || slices.Equal(is.Columns, was.Columns) {
		t.Error("another type is not seen", err)
	}
	must(t, c, `ALTER TABLE users DROP COLUMN session_epoch`)
	if _, err := describe(ctx, c, sql); err == nil {
		t.Error("a column that is gone is not seen")
	}
}

// writeRelease makes the file of what the test binaries have recorded.
func writeRelease(t *testing.T, c *pgx.Conn) {
	t.Helper()
	dir, name := os.Getenv("CHARTROOM_RECORD"), os.Getenv("CHARTROOM_RELEASE")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 2 || name == "" {
		t.Fatalf("there are %d records and the name %q: see testdata/README.md", len(files), name)
	}
	r := release{Release: name, Schema: value[int](t, c, `SELECT version FROM schema_migrations`)}
	var all []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var some []string
		if err := json.Unmarshal(text, &some); err != nil {
			t.Fatal(err)
		}
		all = append(all, some...)
	}
	slices.Sort(all)
	for _, sql := range slices.Compact(all) {
		s, err := describe(context.Background(), c, sql)
		if err != nil {
			if !strings.Contains(err.Error(), "42P01") { // a temporary table of an import
				t.Errorf("%v\n%.300s", err, sql)
			}
			t.Logf("left out: %v\n%.200s", err, sql)
			continue
		}
		r.Statements = append(r.Statements, s)
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(releaseFile, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
