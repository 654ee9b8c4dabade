package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// deferFrom is how many patients a first import brings before it leaves the indexes out; for fewer it would save nothing.
var deferFrom = 10_000

// deferIndexes leaves out what only lists and searches need, once, when an import into an empty database turns out to be a
// large one. Where somebody is in the way it goes on as before: that is slower, and not wrong.
func (w *batchWriter) deferIndexes(ctx context.Context) {
	im := w.im
	if im.total().Created < deferFrom || !im.empty.CompareAndSwap(true, false) {
		return
	}
	var done bool
	if err := w.conn.QueryRow(ctx, `SELECT patients_indexes_defer()`).Scan(&done); err == nil && done {
		im.deferred.Store(true)
	}
}

// makeIndexes ends the leaving out before its time: once somebody is known already, others may be too.
func (w *batchWriter) makeIndexes(ctx context.Context) error {
	w.im.empty.Store(false)
	if !w.im.deferred.Load() {
		return nil
	}
	if err := makeIndexes(ctx, w.conn); err != nil {
		return err
	}
	w.im.deferred.Store(false)
	return nil
}

// importsRun says whether any import runs, in SQL. @class is importLock.
const importsRun = `EXISTS (
		SELECT 1 FROM pg_locks l JOIN pg_database b ON b.oid = l.database
		WHERE b.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 2
		  AND l.classid = @class::integer::oid AND l.objid = 0 AND l.mode = 'ShareLock' AND l.granted)`

// MakeIndexes makes what a first import has left out, unless one runs: that one does it at its end. It takes seconds for a
// million patients, who can be read meanwhile, and not changed. Without anything to do it takes a moment.
func (d *DB) MakeIndexes(ctx context.Context) error {
	all, err := deferredIndexes(ctx, d.pool, "NOT "+importsRun)
	if err == nil {
		err = d.makeAtOnce(ctx, all.together, 2)
	}
	if err == nil {
		err = d.makeAtOnce(ctx, all.after, 1)
	}
	if err != nil {
		return fmt.Errorf("make the indexes that the first import left out: %w", err)
	}
	return nil
}

// makeAtOnce makes so many at a time, where there are connections for it.
func (d *DB) makeAtOnce(ctx context.Context, definitions []string, atOnce int) error {
	work := make(chan string, len(definitions))
	for _, definition := range definitions {
		work <- definition
	}
	close(work)
	errs := make([]error, min(len(definitions), atOnce))
	var makers sync.WaitGroup
	for i := range errs {
		makers.Go(func() {
			conn, err := d.pool.Acquire(ctx)
			if err == nil {
				defer conn.Release()
				err = patiently(ctx, conn, func() error { return makeEach(ctx, conn, work) })
			}
			errs[i] = err
		})
	}
	makers.Wait()
	return errors.Join(errs...)
}

func makeEach(ctx context.Context, conn *pgxpool.Conn, definitions <-chan string) error {
	for definition := range definitions {
		if err := makeIndex(ctx, conn, definition); err != nil {
			return err
		}
	}
	return nil
}

// makeIndexes makes them whoever imports, over one connection, which is a patient one.
func makeIndexes(ctx context.Context, conn *pgxpool.Conn) error {
	all, err := deferredIndexes(ctx, conn, "true")
	for _, definition := range append(all.together, all.after...) {
		if err := makeIndex(ctx, conn, definition); err != nil {
			return err
		}
	}
	return err
}

// deferred is what is left out, in the order in which it is to be made.
type deferred struct {
	together []string
	after    []string // one by one, when all those are made
}

func deferredIndexes(ctx context.Context, q querier, condition string) (all deferred, err error) {
	rows, err := q.Query(ctx, `SELECT alone, definition FROM patients_indexes_deferred WHERE `+condition+` ORDER BY nth`, pgx.NamedArgs{"class": importLock})
	if err != nil {
		return all, err
	}
	var alone bool
	var definition string
	_, err = pgx.ForEachRow(rows, []any{&alone, &definition}, func() error {
		if alone {
			all.after = append(all.after, definition)
		} else {
			all.together = append(all.together, definition)
		}
		return nil
	})
	return all, err
}

// makeIndex waits for those who are in the way.
func makeIndex(ctx context.Context, conn *pgxpool.Conn, definition string) error {
	for {
		_, err := conn.Exec(ctx, `SELECT patients_index_make(@definition)`, pgx.NamedArgs{"definition": definition})
		if !inTheWay(err) || refused(err) == uniqueViolation { // by what is there, not by somebody
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}
