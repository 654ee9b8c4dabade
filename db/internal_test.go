package db

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tests run side by side, each on its database, but for those that change what all of the package reads, as the functions here
// do, those that fill the queue of passwords, and those that look at what the server does for all: they come before, one after
// the other.

// SetReach shortens how far ways to matches are followed, for the rest of a test.
func SetReach(t *testing.T, some, long, share int) {
	before := reach
	t.Cleanup(func() { reach = before })
	reach.some, reach.long, reach.share = some, long, share
}

// TodaysCost makes hashes cost what they cost in the program, for the rest of a test. All other tests have them cheap: see
// dbtest.CheapPasswords.
func TodaysCost(t *testing.T) {
	before := bcryptCost
	t.Cleanup(func() { bcryptCost = before })
	bcryptCost = todaysCost
}

// SetSealPortion makes blocks smaller for the rest of a test.
func SetSealPortion(t *testing.T, n int) {
	before := sealPortion
	t.Cleanup(func() { sealPortion = before })
	sealPortion = n
}

// Reseal makes one block's seal anew, as whoever has the key could, so that a test can move its time.
func Reseal(ctx context.Context, url string, block int64, secret string) error {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	rows, err := c.Query(ctx, `SELECT `+sealColumns+` FROM audit_seals WHERE block = $1::bigint OR block = $1::bigint - 1 ORDER BY block DESC`, block)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[seal])
	if err != nil {
		return err
	}
	before := seal{}
	if len(found) > 1 {
		before = found[1]
	}
	var key []byte
	if secret != "" {
		key = DeriveKey(secret, "audit seal")
	}
	if _, err = c.Exec(ctx, `SET session_replication_role = replica`); err == nil {
		_, err = c.Exec(ctx, `UPDATE audit_seals SET seal = $2 WHERE block = $1`, block, found[0].made(key, before.Seal))
	}
	return err
}

// SetAudit makes pages of the audit short, and how many of the newest events are looked at for a patient few, for the rest of
// a test.
func SetAudit(t *testing.T, page, reach int) {
	beforePage, beforeReach := auditPage, auditReach
	t.Cleanup(func() { auditPage, auditReach = beforePage, beforeReach })
	auditPage, auditReach = page, reach
}

// HoldConnections takes every connection of the pool, until what is given back is called.
func (d *DB) HoldConnections(ctx context.Context) (release func(), err error) {
	var all []*pgxpool.Conn
	release = func() {
		for _, c := range all {
			c.Release()
		}
	}
	for range d.pool.Config().MaxConns {
		c, err := d.pool.Acquire(ctx)
		if err != nil {
			release()
			return nil, err
		}
		all = append(all, c)
	}
	return release, nil
}

// VersionLine and HashProblem are what check says of a server's number and of a stored hash.
var (
	VersionLine = versionLine
	HashProblem = hashProblem
)

func TestIDsOfABatchAreRandomBehindWhatTheyShare(t *testing.T) {
	const n = 2000
	ids, others := newIDs(n), newIDs(2)
	seen := map[[12]byte]bool{}
	for i, id := range ids {
		if id[6]>>4 != 4 || id[8]>>6 != 2 {
			t.Fatalf("%x is no random UUID (RFC 9562, version 4)", id)
		}
		if [4]byte(id[:4]) != [4]byte(ids[0][:4]) || i > 0 && bytes.Compare(ids[i-1][:], id[:]) >= 0 {
			t.Fatalf("%x does not follow its neighbour in the index", id)
		}
		seen[[12]byte(id[4:])] = true
	}
	if len(seen) != n || [4]byte(others[0][:4]) == [4]byte(ids[0][:4]) {
		t.Errorf("%d of %d differ behind their beginning; the next batch begins with %x, this one with %x", len(seen), n, others[0][:4], ids[0][:4])
	}
}

func TestARowOfTheListTakesItsColumnsAndNoOthers(t *testing.T) {
	type head struct{ N int }
	type row struct {
		head
		A, B *string
		C    *int
	}
	column := func(name string) pgconn.FieldDescription {
		return pgconn.FieldDescription{Name: name, DataTypeOID: pgtype.TextOID}
	}
	for _, c := range []struct {
		columns string
		fits    bool
	}{{"n a b c", true}, {"c b a n", true}, {"n a b", false}, {"n a b c d", false}, {"n a b b", false}, {"n a b d", false}} {
		var columns []pgconn.FieldDescription
		for name := range strings.FieldsSeq(c.columns) {
			columns = append(columns, column(name))
		}
		var r row
		if f := fieldsOf(reflect.ValueOf(&r).Elem(), columns); (f != nil) != c.fits {
			t.Errorf("%s: %v", c.columns, f)
		}
	}

	var r row
	f := fieldsOf(reflect.ValueOf(&r).Elem(), []pgconn.FieldDescription{column("n"), column("a"), column("b"), column("c")})
	var all []row
	var texts []string
	for _, values := range [][][]byte{{nil, []byte("Ann"), nil, nil}, {nil, []byte(""), []byte("Bo"), nil}, {nil, nil, []byte("Cy"), nil}} {
		texts = f.takeTexts(values, texts)
		all = append(all, r)
	}
	if *all[0].A != "Ann" || all[0].B != nil || *all[1].A != "" || *all[1].B != "Bo" || all[2].A != nil || *all[2].B != "Cy" {
		t.Errorf("%v", texts)
	}
}

// SetDeferFrom has first imports leave the indexes out from so many patients on, which is so many batches, for the rest of a test.
func SetDeferFrom(t *testing.T, n, batches int) {
	from, batch := deferFrom, importBatch
	t.Cleanup(func() { deferFrom, importBatch = from, batch })
	deferFrom, importBatch = n, n/batches
}

func TestRowsOfTheListThatAreNotInOrderAreNoticed(t *testing.T) {
	row := func(k1, k2, status, updated, id string) *listColumns {
		at, err := time.Parse(time.DateOnly, updated)
		if err != nil {
			t.Fatal(err)
		}
		return &listColumns{patientColumns{ID: &id, Status: &status, UpdatedAt: &at}, &k1, &k2}
	}
	first := row("b", "b", "b", "2026-02-02", "b")
	for _, c := range []struct {
		other *listColumns
		later []Sort // of the orders in which it stands after the first
	}{
		{row("c", "a", "a", "2026-02-01", "a"), []Sort{SortName, SortBirth, SortMRN}},
		{row("b", "c", "a", "2026-02-01", "a"), []Sort{SortName}},
		{row("b", "b", "c", "2026-02-01", "a"), []Sort{SortBirth}},
		{row("a", "a", "a", "2026-02-03", "a"), []Sort{SortUpdated}},
		{row("a", "a", "c", "2026-02-02", "a"), []Sort{SortUpdated}},
		{row("b", "b", "b", "2026-02-02", "c"), []Sort{SortName, SortBirth, SortMRN, SortUpdated}},
	} {
		for _, by := range []Sort{SortName, SortBirth, SortMRN, SortUpdated} {
			other := *c.other
			if by == SortBirth || by == SortMRN || by == SortUpdated {
				other.K2 = first.K2 // which only names have
			}
			q, later := ListQuery{Sort: by}, slices.Contains(c.later, by)
			if q.follows(first, &other) != later {
				t.Errorf("by %s, %s %s %s %s %s: after the first is %t", by, *other.K1, *other.K2, *other.Status, other.UpdatedAt, *other.ID, !later)
			}
			q.Desc = true
			if q.follows(&other, first) != later {
				t.Errorf("by %s, backwards, the first comes after it: %t", by, !later)
			}
			if q.follows(first, first) {
				t.Errorf("by %s: a row comes after itself", by)
			}
		}
	}
}
