package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db/fhir"
)

// ErrStale says that the record is no longer as the person who decides had seen it. Nothing was written.
var ErrStale = errors.New("the record has changed meanwhile")

// Conflict is what an import brought for a patient who had been changed here since the import before.
type Conflict struct {
	ImportID   int
	ReceivedAt time.Time
	Changes    []fhir.Difference // from what is here to what was imported
}

// Decision is what a person decides about a Conflict.
type Decision struct {
	ID       string
	Version  int  // as it was on the page on which was decided
	ImportID int  // likewise
	Take     bool // the imported data becomes a new version; else what is here stays
}

// DecideConflict ends a conflict. If the patient or the conflict is another one than the person saw, or is gone, it is
// ErrStale.
func (d *DB) DecideConflict(ctx context.Context, v Viewer, c Decision) (Who, error) {
	who, err := Who{}, error(nil)
	if c.Take {
		who, err = d.takeImported(ctx, v, c)
	} else {
		who, err = d.keepHere(ctx, v, c)
	}
	if err != nil {
		return who, fmt.Errorf("decide about the import: %w", err)
	}
	return who, nil
}

// takeImported makes the imported resource the newest version. Two trips, because its columns are computed in Go.
func (d *DB) takeImported(ctx context.Context, v Viewer, c Decision) (Who, error) {
	type row struct {
		Who
		Found       bool
		Resource    *string
		ResourceSHA []byte
	}
	args := d.decisionArgs(v, c)
	rows, err := d.pool.Query(ctx, viewerCTE+`, found AS MATERIALIZED (
		SELECT p.id, c.resource::text AS resource, c.resource_sha
		FROM patients p LEFT JOIN patient_conflicts c ON c.patient_id = p.id AND c.import_id = @import_id::integer
		WHERE p.id = @id::uuid AND (SELECT allowed FROM viewer)
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'conflict-take', 'refused', ARRAY(SELECT id FROM found), '{}' FROM viewer v
		WHERE v.allowed AND NOT EXISTS (SELECT 1 FROM found WHERE resource IS NOT NULL)
	)
	SELECT `+whoColumns+`, f.id IS NOT NULL AS found, f.resource, f.resource_sha FROM viewer v LEFT JOIN found f ON true`, args)
	if err != nil {
		return Who{}, err
	}
	r, err := one[row](v, rows)
	switch {
	case err != nil:
		return r.Who, err
	case !r.Allowed:
		return r.Who, ErrForbidden
	case !r.Found:
		return r.Who, ErrNotFound
	case r.Resource == nil:
		return r.Who, ErrStale
	}
	p, err := fhir.Parse([]byte(*r.Resource))
	if err != nil {
		return r.Who, err
	}
	w := writing{id: c.ID, version: c.Version, importID: &c.ImportID, imported: r.ResourceSHA, fields: []string{},
		row: index(p, []byte(*r.Resource)), resource: []byte(*r.Resource)}
	out := Outcome{}
	if err := d.writeChange(ctx, v, w, &out); err != nil {
		return out.Who, err
	}
	if !out.Saved {
		return out.Who, ErrStale
	}
	return out.Who, nil
}

// keepHere notes that the imported resource was seen, so that the same one is no conflict again.
func (d *DB) keepHere(ctx context.Context, v Viewer, c Decision) (Who, error) {
	type row struct {
		Who
		Found, Kept bool
	}
	rows, err := d.pool.Query(ctx, viewerCTE+`, found AS MATERIALIZED (
		SELECT p.id FROM patients p WHERE p.id = @id::uuid AND (SELECT allowed FROM viewer)
	), kept AS (
		UPDATE patients p SET imported_sha = c.resource_sha FROM patient_conflicts c, found f
		WHERE p.id = f.id AND p.version = @version::integer AND c.patient_id = p.id AND c.import_id = @import_id::integer
		RETURNING p.id
	), settled AS (
		DELETE FROM patient_conflicts c USING kept k WHERE c.patient_id = k.id AND c.import_id = @import_id::integer
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'conflict-keep', CASE WHEN EXISTS (SELECT 1 FROM kept) THEN 'success' ELSE 'refused' END,
		       ARRAY(SELECT id FROM found), jsonb_build_object('import', @import_id::integer)
		FROM viewer v WHERE v.allowed
	)
	SELECT `+whoColumns+`, EXISTS (SELECT 1 FROM found) AS found, EXISTS (SELECT 1 FROM kept) AS kept FROM viewer v`,
		d.decisionArgs(v, c))
	if err != nil {
		return Who{}, err
	}
	r, err := one[row](v, rows)
	switch {
	case err != nil:
		return r.Who, err
	case !r.Allowed:
		return r.Who, ErrForbidden
	case !r.Found:
		return r.Who, ErrNotFound
	case !r.Kept:
		return r.Who, ErrStale
	}
	return r.Who, nil
}

func (d *DB) decisionArgs(v Viewer, c Decision) pgx.NamedArgs {
	args := d.viewerArgs(v)
	args["id"], args["version"], args["import_id"] = nil, c.Version, c.ImportID
	if isUUID(c.ID) {
		args["id"] = c.ID
	}
	return args
}
