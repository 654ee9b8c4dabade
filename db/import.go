package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"chartroom/db/fhir"
)

// ImportReport counts what became of the resources of an import.
type ImportReport struct {
	Created, Updated, Unchanged int
	Rejected                    int
	Other                       int // resources of other types, left out
}

// Patients is how many went in or were there already.
func (r ImportReport) Patients() int { return r.Created + r.Updated + r.Unchanged }

// ImportOptions says who imports and who wants to hear of it. The functions may be nil.
type ImportOptions struct {
	Actor    string                     // for the audit
	Rejected func(where, reason string) // where is "line 12"; reason holds no value of the resource
	Progress func(soFar ImportReport)   // after each batch
}

// A batch shares a transaction: enough patients to be quick, few enough, in number and in bytes, to keep memory flat.
const (
	importBatch      = 500
	importBatchBytes = 8 << 20
)

type importRow struct {
	where    string
	key      string
	patient  fhir.Patient
	resource string
	sha      []byte
}

// ImportPatients reads FHIR R4 Patients and writes each, whole: new ones are created, known ones (by FHIR id) updated
// when they differ. A bad one is rejected and the rest goes in. Each batch and its audit event are one transaction, so
// that an import that is cut off can simply be run again. The error is for what ends the reading, not for rejects.
func (d *DB) ImportPatients(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	in, err := fhir.NewReader(r)
	if err != nil {
		return ImportReport{}, fmt.Errorf("read the file: %w", err)
	}
	defer in.Close()
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return ImportReport{}, fmt.Errorf("import patients: %w", err)
	}
	defer conn.Release()
	im := &importer{d: d, conn: conn, options: o}
	if err := im.begin(ctx); err != nil {
		return im.report, err
	}
	defer im.end(ctx)
	for {
		e, err := in.Next()
		if errors.Is(err, io.EOF) {
			return im.report, im.flush(ctx)
		}
		if err != nil {
			return im.report, errors.Join(im.flush(ctx), fmt.Errorf("read the file: %w", err))
		}
		if err := im.add(ctx, e); err != nil {
			return im.report, err
		}
	}
}

type importer struct {
	d       *DB
	conn    *pgxpool.Conn
	options ImportOptions
	report  ImportReport
	batch   []importRow
	bytes   int             // of the batch's resources
	seen    map[string]bool // keys in the batch
}

// begin makes the place where resources without an id are counted, on disk, so that memory does not grow with them.
func (im *importer) begin(ctx context.Context) error {
	_, err := im.conn.Exec(ctx, `CREATE TEMPORARY TABLE import_without_id (sha bytea PRIMARY KEY, times integer NOT NULL)`)
	if err != nil {
		return fmt.Errorf("import patients: %w", err)
	}
	return nil
}

func (im *importer) end(ctx context.Context) {
	_, _ = im.conn.Exec(context.WithoutCancel(ctx), `DROP TABLE IF EXISTS import_without_id`) // else the pool keeps it
}

func (im *importer) add(ctx context.Context, e fhir.Entry) error {
	if e.Err != nil {
		im.reject(e.Where(), e.Err)
		return nil
	}
	p, err := fhir.Parse(e.Raw)
	switch {
	case errors.Is(err, fhir.ErrNotPatient):
		im.report.Other++
		return nil
	case err != nil:
		im.reject(e.Where(), err)
		return nil
	}
	sha := sha256.Sum256(e.Raw)
	row := importRow{where: e.Where(), patient: p, resource: string(e.Raw), sha: sha[:]}
	if row.key, err = im.key(ctx, e, row); err != nil {
		return err
	}
	if im.seen[row.key] { // one statement cannot write a row twice
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	im.batch = append(im.batch, row)
	if im.seen == nil {
		im.seen = map[string]bool{}
	}
	im.seen[row.key] = true
	im.bytes += len(row.resource)
	if len(im.batch) == importBatch || im.bytes > importBatchBytes {
		return im.flush(ctx)
	}
	return nil
}

// key is what makes a resource the same one in the next import: its FHIR id; else the UUID that a Bundle gives it;
// else its content, with a number when the same content comes several times: those may be different patients.
func (im *importer) key(ctx context.Context, e fhir.Entry, row importRow) (string, error) {
	if row.patient.ID != "" {
		return "id:" + row.patient.ID, nil
	}
	// A Bundle's entry that has no id of its own. Only what is unique in the world counts: names that are local to one
	// Bundle ("urn:uuid:patient") would make two people one.
	if uuid, ok := strings.CutPrefix(strings.ToLower(e.FullURL), "urn:uuid:"); ok && isUUID(uuid) {
		return "id:" + uuid, nil
	}
	if m := patientURL.FindStringSubmatch(e.FullURL); m != nil {
		return "id:" + m[1], nil
	}
	var times int
	err := im.conn.QueryRow(ctx, `
		INSERT INTO import_without_id (sha, times) VALUES (@sha, 1)
		ON CONFLICT (sha) DO UPDATE SET times = import_without_id.times + 1 RETURNING times`,
		pgx.NamedArgs{"sha": row.sha}).Scan(&times)
	if err != nil {
		return "", fmt.Errorf("import patients: %w", err)
	}
	return fmt.Sprintf("sha:%s:%d", hex.EncodeToString(row.sha), times), nil
}

// patientURL is where a FHIR server keeps a Patient; its last part is the id (R4, 2.21.0.2).
var patientURL = regexp.MustCompile(`^https?://[^?#]+/Patient/([A-Za-z0-9.-]{1,64})$`)

func (im *importer) reject(where string, reason error) {
	im.report.Rejected++
	if im.options.Rejected != nil {
		im.options.Rejected(where, reason.Error())
	}
}

func (im *importer) flush(ctx context.Context) error {
	// In one order everywhere, so that two imports at once wait for each other instead of blocking each other.
	slices.SortFunc(im.batch, func(a, b importRow) int { return strings.Compare(a.key, b.key) })
	if err := im.write(ctx, im.batch); err != nil {
		return err
	}
	im.batch, im.bytes, im.seen = nil, 0, nil
	if im.options.Progress != nil {
		im.options.Progress(im.report)
	}
	return nil
}

// write halves what the database refuses until the one refused row is alone, so that it costs nobody else.
func (im *importer) write(ctx context.Context, rows []importRow) error {
	if len(rows) == 0 {
		return nil
	}
	err := im.upsert(ctx, rows)
	for try := 0; try < 5 && inTheWay(err); try++ {
		err = im.upsert(ctx, rows)
	}
	code := refused(err)
	switch {
	case err == nil:
		return nil
	case !strings.HasPrefix(code, "22") && !strings.HasPrefix(code, "23") && !strings.HasPrefix(code, "54"):
		return fmt.Errorf("import patients: %w", err)
	case len(rows) == 1:
		im.reject(rows[0].where, fmt.Errorf("the database refused it (SQLSTATE %s)", code)) // its message quotes values
		return nil
	}
	half := len(rows) / 2
	if err := im.write(ctx, rows[:half]); err != nil {
		return err
	}
	return im.write(ctx, rows[half:])
}

// inTheWay says that somebody else held a row: lock_not_available, deadlock_detected, serialization_failure.
func inTheWay(err error) bool {
	code := refused(err)
	return code == "55P03" || code == "40P01" || code == "40001"
}

func (im *importer) upsert(ctx context.Context, rows []importRow) error {
	args := pgx.NamedArgs{"actor": im.options.Actor, "program": im.d.program}
	var names, unnest, set []string
	column := func(name, kind string, values any) {
		args[name] = values
		names = append(names, name)
		unnest = append(unnest, "@"+name+"::"+kind+"[]")
		set = append(set, name+" = EXCLUDED."+name)
	}
	rowsOf := make([]indexed, len(rows))
	for i, r := range rows {
		rowsOf[i] = index(r.patient, []byte(r.resource))
	}
	column("import_key", "text", each(rows, func(r importRow) string { return r.key }))
	column("display_name", "text", each(rowsOf, func(r indexed) string { return r.DisplayName }))
	column("family", "text", each(rowsOf, func(r indexed) *string { return r.Family }))
	column("given", "text", each(rowsOf, func(r indexed) *string { return r.Given }))
	column("mrn", "text", each(rowsOf, func(r indexed) *string { return r.MRN }))
	column("birth_date", "text", each(rowsOf, func(r indexed) *string { return r.BirthDate }))
	column("gender", "text", each(rowsOf, func(r indexed) *string { return r.Gender }))
	column("phone", "text", each(rowsOf, func(r indexed) *string { return r.Phone }))
	column("email", "text", each(rowsOf, func(r indexed) *string { return r.Email }))
	column("city", "text", each(rowsOf, func(r indexed) *string { return r.City }))
	column("active", "boolean", each(rowsOf, func(r indexed) *bool { return r.Active }))
	column("deceased", "boolean", each(rowsOf, func(r indexed) bool { return r.Deceased }))
	column("family_key", "text", each(rowsOf, func(r indexed) string { return r.FamilyKey }))
	column("given_key", "text", each(rowsOf, func(r indexed) string { return r.GivenKey }))
	column("mrn_key", "text", each(rowsOf, func(r indexed) string { return r.MRNKey }))
	column("words", "text", each(rowsOf, func(r indexed) string { return r.Words }))
	column("phone_keys", "text", each(rowsOf, func(r indexed) string { return r.PhoneKeys }))
	column("resource_sha", "bytea", each(rows, func(r importRow) []byte { return r.sha }))
	args["resource"] = each(rows, func(r importRow) string { return r.resource })
	list := strings.Join(names, ", ")
	var created, updated int
	err := im.conn.QueryRow(ctx, `
		WITH incoming AS (
			SELECT * FROM unnest(`+strings.Join(unnest, ", ")+`, @resource::text[]) AS t (`+list+`, resource)
		), written AS (
			INSERT INTO patients (`+list+`) SELECT `+list+` FROM incoming
			ON CONFLICT (import_key) DO UPDATE SET `+strings.Join(set, ", ")+`, version = patients.version + 1, updated_at = now()
			WHERE patients.resource_sha <> EXCLUDED.resource_sha
			RETURNING id, import_key, xmax = 0 AS created
		), kept AS (
			INSERT INTO patient_resources (patient_id, resource)
			SELECT w.id, i.resource::json FROM written w JOIN incoming i USING (import_key)
			ON CONFLICT (patient_id) DO UPDATE SET resource = EXCLUDED.resource
		), audited AS (
			INSERT INTO audit_events (action, outcome, actor, program, patients, detail)
			SELECT 'import', 'success', @actor, @program, array_agg(id),
			       jsonb_build_object('created', count(*) FILTER (WHERE created), 'updated', count(*) FILTER (WHERE NOT created))
			FROM written HAVING count(*) > 0
		)
		SELECT count(*) FILTER (WHERE created), count(*) FILTER (WHERE NOT created) FROM written`, args).Scan(&created, &updated)
	if err != nil {
		return err
	}
	im.report.Created += created
	im.report.Updated += updated
	im.report.Unchanged += len(rows) - created - updated
	return nil
}

func each[R, T any](rows []R, of func(R) T) []T {
	all := make([]T, len(rows))
	for i, r := range rows {
		all[i] = of(r)
	}
	return all
}

// CountPatients says how many patients there are, for the command line.
func (d *DB) CountPatients(ctx context.Context) (n int, err error) {
	err = d.pool.QueryRow(ctx, `SELECT count(*) FROM patients`).Scan(&n)
	return n, err
}
