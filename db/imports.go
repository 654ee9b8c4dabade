package db

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"chartroom/db/fhir"
)

// What taking back an import may be refused for.
var (
	ErrNoImport      = errors.New("there is no such import: `chartroom import list` shows them")
	ErrImportUndone  = errors.New("this import has been taken back already")
	ErrImportRunning = errors.New("an import runs: end it first, or wait for its end")
	ErrUndoRunning   = errors.New("an import is being taken back: wait for its end")
)

// ImportRun is a line of the list of imports.
type ImportRun struct {
	ID         int        `json:"number"`
	Actor      string     `json:"actor"`
	Program    string     `json:"program"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"` // nil while it runs, and when it was cut off
	Running    bool       `json:"running"`
	Created    int64      `json:"created"`
	Updated    int64      `json:"updated"`
	Unchanged  int64      `json:"unchanged"`
	Conflicts  int64      `json:"conflicts"`
	Rejected   int64      `json:"rejected"`
	Other      int64      `json:"other"`
	UndoneAt   *time.Time `json:"undone_at"`
	UndoneBy   *string    `json:"undone_by"`
}

// ListImports gives all imports, the newest first. It shows no patient, so that nothing is recorded.
func (d *DB) ListImports(ctx context.Context) ([]ImportRun, error) {
	rows, err := d.pool.Query(ctx, `
		SELECT i.id, i.actor, i.program, i.started_at, i.finished_at, i.finished_at IS NULL AND EXISTS (
		           SELECT 1 FROM pg_locks l JOIN pg_database b ON b.oid = l.database
		           WHERE b.datname = current_database() AND l.locktype = 'advisory' AND l.objsubid = 2
		             AND l.classid = @class::integer::oid AND l.objid = i.id::oid AND l.granted) AS running,
		       i.created, i.updated, i.unchanged, i.conflicts, i.rejected, i.other, i.undone_at, i.undone_by
		FROM imports i ORDER BY i.id DESC`, pgx.NamedArgs{"class": importLock})
	if err != nil {
		return nil, fmt.Errorf("list the imports: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[ImportRun])
	if err != nil {
		return nil, fmt.Errorf("list the imports: %w", err)
	}
	return all, nil
}

// UndoReport counts what taking back an import did.
type UndoReport struct {
	Deleted   int // patients that it had created
	Restored  int // patients who are again as they were before it
	Left      int // patients who were changed since
	Confirmed int // patients whom a later import, not taken back, brought again as they are
	Conflicts int // of those that it had found and that still waited
}

// undoBatch is how many patients share a transaction.
const undoBatch = 1000

// UndoImport takes an import back. Patients whose present version it wrote get the last version of somebody else's as a
// new one, or go when there is none. Those who were changed since stay as they are, and so do those whom a later import
// brought again; left is told their ids, and the number of that import or 0. When it is cut off it can be run again and
// does the rest.
func (d *DB) UndoImport(ctx context.Context, actor string, number int, left func(id string, confirmedBy int)) (UndoReport, error) {
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return UndoReport{}, fmt.Errorf("take back the import: %w", err)
	}
	defer conn.Release() // once more does nothing
	u := &undo{d: d, conn: conn, actor: actor, number: number}
	err = patiently(ctx, conn, func() error { return u.run(ctx, left) })
	conn.Release() // tidying takes one too, and there may be no other
	switch {
	case err == nil:
		d.tidy(ctx, u.report.Deleted+u.report.Restored)
	case !errors.Is(err, ErrNoImport) && !errors.Is(err, ErrImportUndone) && !errors.Is(err, ErrImportRunning) && !errors.Is(err, ErrUndoRunning):
		err = fmt.Errorf("take back the import: %w", err)
	}
	return u.report, err
}

type undo struct {
	d      *DB
	conn   *pgxpool.Conn
	actor  string
	number int
	report UndoReport

	deleted int // of the batch
}

func (u *undo) run(ctx context.Context, left func(id string, confirmedBy int)) error {
	args := pgx.NamedArgs{"class": importLock, "import": u.number}
	if err := u.lock(ctx, args); err != nil {
		return err
	}
	defer func() {
		_, _ = u.conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(@class::integer, 0)`, args)
	}()
	var undone bool
	err := u.conn.QueryRow(ctx, `SELECT undone_at IS NOT NULL FROM imports WHERE id = @import`, args).Scan(&undone)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNoImport
	case err != nil:
		return err
	}
	if err := makeIndexes(ctx, u.conn); err != nil { // the terms of those who go are looked up
		return err
	}
	if err := u.patients(ctx); err != nil {
		return err
	}
	// Those for whom another import stood may be taken back once that one is.
	if undone && u.report == (UndoReport{}) {
		return ErrImportUndone
	}
	if err := u.changedSince(ctx, left); err != nil {
		return err
	}
	if err := u.confirmed(ctx, left); err != nil {
		return err
	}
	return u.finish(ctx)
}

// lock keeps imports away, and others who take one back.
func (u *undo) lock(ctx context.Context, args pgx.NamedArgs) error {
	var locked, importing bool
	err := u.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(@class::integer, 0)`, args).Scan(&locked)
	if err != nil || locked {
		return err
	}
	err = u.conn.QueryRow(ctx, `SELECT `+importsRun, args).Scan(&importing)
	if err == nil && importing {
		return ErrImportRunning
	}
	return cmp.Or(err, ErrUndoRunning)
}

// confirmedBy gives, for patients p, the last import that brought again what this one brought and was not taken back.
// What is between the first and the last one may not have brought this patient; that one stays is the lesser evil.
const confirmedBy = `(
	SELECT max(i.id) FROM patient_confirmations c JOIN imports i ON i.id BETWEEN c.first_id AND c.last_id
	WHERE c.patient_id = p.id AND c.import_id = p.import_id AND i.id <> p.import_id AND i.undone_at IS NULL
	  AND (i.id IN (c.first_id, c.last_id) OR i.unchanged > 0))`

// patients walks those whose present version is the import's, a batch a transaction.
func (u *undo) patients(ctx context.Context) error {
	last := "00000000-0000-0000-0000-000000000000"
	for tries := 0; ; {
		var found []earlier
		err := pgx.BeginFunc(ctx, u.conn, func(tx pgx.Tx) (err error) {
			if found, err = u.next(ctx, tx, last); err != nil || len(found) == 0 {
				return err
			}
			return u.batch(ctx, tx, found)
		})
		switch {
		case inTheWay(err) && tries < 5:
			tries++
		case err != nil || len(found) == 0:
			return err
		default:
			u.report.Deleted += u.deleted
			u.report.Restored += len(found) - u.deleted
			last, tries = found[len(found)-1].ID, 0
		}
	}
}

// earlier is a patient of the import, and the version to go back to, if any.
type earlier struct {
	ID          string
	Version     int
	Resource    *string
	ImportedSHA []byte
	ImportID    *int32
}

// next locks the next patients. A version that came with an import which has been taken back too is none to go back to.
func (u *undo) next(ctx context.Context, tx pgx.Tx, last string) ([]earlier, error) {
	found, err := tx.Query(ctx, `
		WITH mine AS MATERIALIZED (
			SELECT id, version FROM patients p WHERE id > @last::uuid AND import_id = @import AND `+confirmedBy+` IS NULL
			ORDER BY id LIMIT @batch FOR UPDATE
		)
		SELECT m.id::text, m.version, v.resource::text, v.imported_sha, v.import_id
		FROM mine m LEFT JOIN LATERAL (
			SELECT v.resource, v.imported_sha, v.import_id FROM patient_versions v
			WHERE v.patient_id = m.id AND v.import_id IS DISTINCT FROM @import
			  AND NOT EXISTS (SELECT 1 FROM imports i WHERE i.id = v.import_id AND i.undone_at IS NOT NULL)
			ORDER BY v.version DESC LIMIT 1
		) v ON true
		ORDER BY m.id`, pgx.NamedArgs{"last": last, "import": u.number, "batch": undoBatch})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowToStructByName[earlier])
}

func (u *undo) batch(ctx context.Context, tx pgx.Tx, found []earlier) error {
	var gone []string
	var back []newVersion
	for _, e := range found {
		if e.Resource == nil {
			gone = append(gone, e.ID)
			continue
		}
		p, err := fhir.Parse([]byte(*e.Resource))
		if err != nil {
			return fmt.Errorf("an earlier version cannot be read: %w", err)
		}
		back = append(back, newVersion{ID: e.ID, Seen: e.Version, Values: index(p, []byte(*e.Resource)), Resource: *e.Resource,
			ImportedSHA: e.ImportedSHA, ImportID: e.ImportID})
	}
	if _, err := rewrite(ctx, tx, u.mark(), back); err != nil {
		return err
	}
	if len(gone) > 0 {
		if _, err := tx.Exec(ctx, `DELETE FROM patients WHERE id = ANY (@ids::uuid[])`, pgx.NamedArgs{"ids": gone}); err != nil {
			return err
		}
	}
	u.deleted = len(gone)
	return u.record(ctx, tx, slices.Concat(gone, each(back, func(v newVersion) string { return v.ID })),
		map[string]int{"import": u.number, "deleted": len(gone), "restored": len(back)})
}

// mark is who a version that was put back is by.
func (u *undo) mark() string { return fmt.Sprintf("undo of import %d", u.number) }

func (u *undo) record(ctx context.Context, tx pgx.Tx, ids []string, detail map[string]int) error {
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO audit_events (action, outcome, actor, program, patients, detail)
		VALUES ('import-undo', 'success', @actor, @program, @ids::uuid[], @detail::jsonb)`,
		pgx.NamedArgs{"actor": u.actor, "program": u.d.program, "ids": ids, "detail": string(text)})
	return err
}

// changedSince names the patients that have a version of the import's which was not taken back: somebody else's came
// after it.
func (u *undo) changedSince(ctx context.Context, left func(id string, confirmedBy int)) error {
	rows, err := u.conn.Query(ctx, `
		SELECT v.patient_id::text FROM patient_versions v JOIN patients p ON p.id = v.patient_id
		WHERE v.import_id = @import AND p.import_id IS DISTINCT FROM @import AND NOT (p.updated_by_id IS NULL AND p.updated_by = @mark)
		  AND NOT EXISTS (
			SELECT 1 FROM patient_versions later WHERE later.patient_id = v.patient_id AND later.version > v.version
			  AND later.updated_by_id IS NULL AND later.updated_by = @mark)
		GROUP BY v.patient_id ORDER BY v.patient_id`, pgx.NamedArgs{"import": u.number, "mark": u.mark()})
	if err != nil {
		return err
	}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		u.report.Left++
		if left != nil {
			left(id, 0)
		}
		return nil
	})
	return err
}

// confirmed names the patients who stay because another import brought them again.
func (u *undo) confirmed(ctx context.Context, left func(id string, confirmedBy int)) error {
	rows, err := u.conn.Query(ctx, `
		SELECT * FROM (SELECT p.id::text, `+confirmedBy+` AS by FROM patients p WHERE p.import_id = @import) p WHERE by IS NOT NULL ORDER BY id`,
		pgx.NamedArgs{"import": u.number})
	if err != nil {
		return err
	}
	var id string
	var by int
	_, err = pgx.ForEachRow(rows, []any{&id, &by}, func() error {
		u.report.Confirmed++
		if left != nil {
			left(id, by)
		}
		return nil
	})
	return err
}

// finish removes the conflicts that the import found and no other one did, and marks it as taken back.
func (u *undo) finish(ctx context.Context) error {
	return pgx.BeginFunc(ctx, u.conn, func(tx pgx.Tx) error {
		found, err := tx.Query(ctx, `
			DELETE FROM patient_conflicts c WHERE @import IN (c.import_id, c.last_id) AND NOT EXISTS (
				SELECT 1 FROM imports i WHERE i.id IN (c.import_id, c.last_id) AND i.id <> @import AND i.undone_at IS NULL)
			RETURNING patient_id::text`,
			pgx.NamedArgs{"import": u.number})
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return err
		}
		u.report.Conflicts = len(ids)
		if _, err := tx.Exec(ctx, `UPDATE imports SET undone_at = now(), undone_by = @actor WHERE id = @import AND undone_at IS NULL`,
			pgx.NamedArgs{"actor": u.actor, "import": u.number}); err != nil {
			return err
		}
		return u.record(ctx, tx, append([]string{}, ids...), map[string]int{"import": u.number, "conflicts": len(ids), "left": u.report.Left, "confirmed": u.report.Confirmed})
	})
}
