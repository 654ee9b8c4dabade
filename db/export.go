package db

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db/fhir"
)

// The formats of an export.
const (
	FormatNDJSON = "ndjson" // FHIR R4 Patients, a line each, as they came (FHIR Bulk Data)
	FormatCSV    = "csv"    // the list's columns
)

// ExportedPatient is a patient on the way out.
type ExportedPatient struct {
	Patient
	Family, Given, Email string
	Resource             []byte // FHIR, as it came or as it was changed here
}

// A page of an export shares a statement, and memory. One patient is a page by itself where they are very large.
const (
	exportPage  = 1000
	exportBytes = 8 << 20
)

// ExportPatients gives all patients that the query finds to page, some at a time, by name. Each page is a statement of
// its own, which judges the session and the role and records the page's patients before page sees them: an export ends
// in the middle when its user is disabled. A patient who gets another name meanwhile may be missed or come twice. What
// page returns as an error ends the export, and is returned as it is.
func (d *DB) ExportPatients(ctx context.Context, v Viewer, q ListQuery, format string, page func([]ExportedPatient) error) error {
	args := d.viewerArgs(v)
	args["list_user"], args["format"], args["searched"] = q.UserID, format, !q.Search.Empty()
	args["filtered"] = !q.Filter.Empty()
	e := export{d: d, args: args, match: q.where(&builder{args: args})}
	sql := e.statement(viewerCTE+`, permitted AS MATERIALIZED (
		SELECT v.allowed AND @list_user::integer IN (0, v.user_id) AS yes FROM viewer v
	)`, `(SELECT yes FROM permitted)`, `INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'export', CASE WHEN yes THEN 'success' ELSE 'refused' END, ARRAY(SELECT id FROM page ORDER BY n),
		       jsonb_build_object('format', @format::text, 'searched', @searched::boolean, 'filtered', @filtered::boolean)
		FROM viewer v, permitted WHERE v.allowed AND (@first::boolean OR EXISTS (SELECT 1 FROM page))`) + `
		SELECT ` + whoColumns + `, ` + exportColumns + ` FROM viewer v LEFT JOIN page p ON true ORDER BY p.n`
	type row struct {
		Who
		exportRow
	}
	return e.pages(ctx, page, func(conn querier) ([]exportRow, error) {
		found, err := conn.Query(ctx, sql, args)
		if err != nil {
			return nil, err
		}
		rows, err := pgx.CollectRows(found, pgx.RowToStructByName[row])
		switch {
		case err != nil:
			return nil, err
		case len(rows) == 0:
			return nil, ErrNoSession
		}
		v.found(rows[0].Who)
		switch {
		case !rows[0].Allowed:
			return nil, ErrForbidden
		case q.UserID != 0 && q.UserID != rows[0].UserID:
			return nil, ErrForeignList
		}
		args["background"] = true // the first page was a person's action, the others keep no session alive
		if rows[0].ID == nil {
			return nil, nil
		}
		return each(rows, func(r row) exportRow { return r.exportRow }), nil
	})
}

// ExportAll is ExportPatients for the command line: all patients, recorded as taken out by the actor.
func (d *DB) ExportAll(ctx context.Context, actor, format string, page func([]ExportedPatient) error) error {
	args := pgx.NamedArgs{"actor": actor, "program": d.program, "format": format}
	e := export{d: d, args: args, match: "true"}
	sql := e.statement(`WITH `, "true", `INSERT INTO audit_events (action, outcome, actor, program, patients, detail)
		SELECT 'export', 'success', @actor, @program, ARRAY(SELECT id FROM page ORDER BY n), jsonb_build_object('format', @format::text)
		WHERE @first::boolean OR EXISTS (SELECT 1 FROM page)`) + `
		SELECT ` + exportColumns + ` FROM page p ORDER BY p.n`
	return e.pages(ctx, page, func(conn querier) ([]exportRow, error) {
		found, err := conn.Query(ctx, sql, args)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(found, pgx.RowToStructByName[exportRow])
	})
}

type export struct {
	d     *DB
	args  pgx.NamedArgs
	match string
}

const exportColumns = `p.id::text, p.display_name, p.family, p.given, p.mrn, p.birth_date, p.gender, p.phone, p.email AS patient_email, p.city, p.status, p.updated_at,
	p.family_key, p.given_key, p.resource`

type exportRow struct {
	patientColumns
	Family       *string
	Given        *string
	PatientEmail *string // a Who has an email too
	FamilyKey    *string
	GivenKey     *string
	Resource     *string
}

// statement puts a page together: what opens it, its patients, and the event.
func (e export) statement(open, permitted, audit string) string {
	if !strings.HasSuffix(open, "WITH ") {
		open += ", "
	}
	return open + `page AS MATERIALIZED (
		SELECT * FROM (
			SELECT p.*, r.resource::text AS resource, row_number() OVER w AS n,
			       sum(octet_length(r.resource::text)) OVER w - octet_length(r.resource::text) AS bytes_before
			FROM (
				SELECT id, display_name, family, given, mrn, birth_date, gender, phone, email, city, status, updated_at, family_key, given_key
				FROM patients p
				WHERE ` + permitted + ` AND ` + e.match + `
				  AND (family_key, given_key, id) > (@after_family::text, @after_given::text, @after_id::uuid)
				ORDER BY family_key, given_key, id LIMIT @page_size::integer
			) p JOIN patient_resources r ON r.patient_id = p.id
			WINDOW w AS (ORDER BY p.family_key, p.given_key, p.id)
		) counted
		WHERE bytes_before < @page_bytes::bigint
	), audited AS (
		` + audit + `
	)`
}

// pages asks for one page after the other. Each has a connection only as long as it takes to read it, because the
// receiver may be slow.
func (e export) pages(ctx context.Context, page func([]ExportedPatient) error, ask func(querier) ([]exportRow, error)) error {
	e.args["page_size"], e.args["page_bytes"], e.args["first"] = exportPage, exportBytes, true
	e.args["after_family"], e.args["after_given"], e.args["after_id"] = "", "", "00000000-0000-0000-0000-000000000000"
	for {
		rows, err := e.page(ctx, ask)
		if err != nil {
			return fmt.Errorf("export patients: %w", err)
		}
		first := e.args["first"] == true
		if len(rows) == 0 && !first {
			return nil
		}
		if err := page(each(rows, exportRow.exported)); err != nil {
			return err
		}
		if len(rows) == 0 {
			return nil
		}
		last := rows[len(rows)-1]
		e.args["first"], e.args["after_family"], e.args["after_given"], e.args["after_id"] = false, *last.FamilyKey, *last.GivenKey, *last.ID
	}
}

// page asks in a transaction, because settings that outlive one would reach strangers behind a transaction pooler. A
// search that finds few walks far for a page of them, and may take its time.
func (e export) page(ctx context.Context, ask func(querier) ([]exportRow, error)) (rows []exportRow, err error) {
	var no error // which is on record, and so must be committed
	err = pgx.BeginFunc(ctx, e.d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '1h'; SET LOCAL plan_cache_mode = force_custom_plan`); err != nil {
			return err
		}
		rows, err = ask(tx)
		if errors.Is(err, ErrNoSession) || errors.Is(err, ErrForbidden) || errors.Is(err, ErrForeignList) {
			no, err = err, nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return rows, no
}

func (r exportRow) exported() ExportedPatient {
	return ExportedPatient{Patient: r.patient(), Family: orEmpty(r.Family), Given: orEmpty(r.Given), Email: orEmpty(r.PatientEmail), Resource: []byte(orEmpty(r.Resource))}
}

// Exporter writes patients in one of the formats.
type Exporter struct {
	w      io.Writer
	format string
	begun  bool
}

// ErrFormat is for a format that there is not.
var ErrFormat = errors.New("an export is either ndjson or csv")

// NewExporter writes to w.
func NewExporter(w io.Writer, format string) (*Exporter, error) {
	if format != FormatNDJSON && format != FormatCSV {
		return nil, ErrFormat
	}
	return &Exporter{w: w, format: format}, nil
}

// Write writes a page; it is what ExportPatients wants to be given.
func (e *Exporter) Write(patients []ExportedPatient) error {
	var out bytes.Buffer
	var err error
	if e.format == FormatCSV {
		err = e.csv(&out, patients)
	} else {
		err = ndjson(&out, patients)
	}
	if err != nil {
		return err
	}
	_, err = e.w.Write(out.Bytes())
	return err
}

func ndjson(out *bytes.Buffer, patients []ExportedPatient) error {
	for _, p := range patients {
		line, err := fhir.Line(p.Resource)
		if err != nil {
			return fmt.Errorf("export patient %s: %w", p.ID, err)
		}
		out.Write(line)
		out.WriteByte('\n')
	}
	return nil
}

func (e *Exporter) csv(out *bytes.Buffer, patients []ExportedPatient) error {
	w := csv.NewWriter(out)
	if !e.begun {
		_ = w.Write([]string{"id", "mrn", "family", "given", "birth_date", "gender", "phone", "email", "city", "status", "updated"})
		e.begun = true
	}
	for _, p := range patients {
		record := []string{p.ID, p.MRN, p.Family, p.Given, p.BirthDate, p.Gender, p.Phone, p.Email, p.City, p.Status, p.UpdatedAt.UTC().Format(time.RFC3339)}
		for i, field := range record {
			record[i] = noFormula(field)
		}
		_ = w.Write(record)
	}
	w.Flush()
	return w.Error()
}

// formula is where a spreadsheet would begin to read one: at the beginning of a field, and behind what some take for a
// separator (where a comma is the decimal sign, programs split CSV at semicolons, and inside of quotes too).
var formula = regexp.MustCompile(`(^|[;\t\r\n]["\s]*)([=+\-@\t\r\n\x00])`)

// noFormula keeps a spreadsheet from taking a field for a formula, which could send the sheet's other cells elsewhere
// (ASVS 1.2.10).
func noFormula(field string) string { return formula.ReplaceAllString(field, "$1'$2") }
