package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db/fhir"
)

// PageSize is how many patients a page of the list shows.
const PageSize = 25

// CountCap is where counting stops: the exact number of a large set costs more than the page that shows it.
const CountCap = 1000

// Patient is a row of the list.
type Patient struct {
	ID          string
	DisplayName string
	MRN         string
	BirthDate   string // FHIR date: YYYY, YYYY-MM or YYYY-MM-DD; "" when not known
	Gender      string // FHIR code; "" when not known
	Phone       string
	City        string
	Status      string // active, inactive, deceased
	UpdatedAt   time.Time

	keys []string // what the list's order compares, before the id
}

// Sort is a column that the list can be ordered by.
type Sort string

// The sorts. What is missing comes last in ascending order.
const (
	SortName    Sort = "name"
	SortBirth   Sort = "birth_date"
	SortMRN     Sort = "mrn"
	SortUpdated Sort = "updated"
)

// sorts maps to columns; each has an index that ends in id, the tie-breaker that makes every order total.
var sorts = map[Sort][]string{
	SortName:    {"family_key", "given_key"},
	SortBirth:   {"birth_key", "status"},
	SortMRN:     {"mrn_key"},
	SortUpdated: {"updated_at", "status"},
}

// Valid says whether s is one of the sorts.
func (s Sort) Valid() bool { return sorts[s] != nil }

// Cursor is a place in an ordered list: next to the row with these keys and this id.
type Cursor struct {
	Before bool     `json:"b,omitempty"` // the page that ends there, instead of the one that begins there
	Keys   []string `json:"k"`
	ID     string   `json:"i"`
}

// ListQuery is what the list shows.
type ListQuery struct {
	UserID int // the user that this state was made for; 0 when it was made now
	Search Search
	Filter Filter
	Sort   Sort
	Desc   bool
	Cursor *Cursor
}

// where gives the condition that a row of patients must meet to be in the list, and adds its values to args. How such
// rows are found quickly is another matter; this says which they are.
func (q ListQuery) where(args pgx.NamedArgs) string {
	return q.Search.where(args) + " AND " + q.Filter.where(args)
}

// PatientList is a page of patients, and where it stands in the whole.
type PatientList struct {
	Who
	Rows             []Patient
	Found            int // at most CountCap+1, which means more than CountCap
	HasPrev, HasNext bool
}

// Edge gives the cursor for the page after the last row, or before the first.
func (l PatientList) Edge(before bool) *Cursor {
	if len(l.Rows) == 0 {
		return nil
	}
	row := l.Rows[len(l.Rows)-1]
	if before {
		row = l.Rows[0]
	}
	return &Cursor{Before: before, Keys: row.keys, ID: row.ID}
}

// listRow is a row of the statement below: the Viewer's part in each, and nothing else when there are no patients.
type listRow struct {
	Who
	Found int
	patientColumns
	FamilyKey *string
	GivenKey  *string
	MRNKey    *string
	BirthKey  *string
}

// patientColumns are a Patient's, all NULL where a statement found none.
type patientColumns struct {
	ID          *string
	DisplayName *string
	MRN         *string
	BirthDate   *string
	Gender      *string
	Phone       *string
	City        *string
	Status      *string
	UpdatedAt   *time.Time
}

func (c patientColumns) patient() Patient {
	return Patient{ID: *c.ID, DisplayName: *c.DisplayName, MRN: orEmpty(c.MRN), BirthDate: orEmpty(c.BirthDate),
		Gender: orEmpty(c.Gender), Phone: orEmpty(c.Phone), City: orEmpty(c.City), Status: *c.Status, UpdatedAt: *c.UpdatedAt}
}

const listColumns = `id, display_name, mrn, birth_date, gender, phone, city, status, updated_at, family_key, given_key, mrn_key, birth_key`

// ListPatients gives one page of the list and records which patients were shown. A state made for another user is
// ErrForeignList, and shows none.
func (d *DB) ListPatients(ctx context.Context, v Viewer, q ListQuery) (PatientList, error) {
	columns := sorts[q.Sort]
	if columns == nil || q.Cursor != nil && len(q.Cursor.Keys) != len(columns) {
		return PatientList{}, errors.New("list patients: no such order")
	}
	args := d.viewerArgs(v)
	args["list_user"], args["page_size"], args["count_cap"] = q.UserID, PageSize, CountCap
	args["searched"], args["sort"] = !q.Search.Empty(), string(q.Sort)
	match := q.where(args)
	backwards := q.Cursor != nil && q.Cursor.Before
	direction, compare := "ASC", ">"
	if q.Desc != backwards {
		direction, compare = "DESC", "<"
	}
	from := "true"
	if q.Cursor != nil {
		from = fmt.Sprintf("(%s, id) %s (%s, @cursor_id::uuid)", strings.Join(columns, ", "), compare, cursorArgs(args, columns, q.Cursor))
	}
	order := strings.Join(append(slices.Clone(columns), "id"), " "+direction+", ") + " " + direction

	rows, err := d.pool.Query(ctx, viewerCTE+`, permitted AS MATERIALIZED (
		SELECT v.allowed AND @list_user::integer IN (0, v.user_id) AS yes FROM viewer v
	), page AS MATERIALIZED (
		SELECT row_number() OVER (ORDER BY `+order+`) AS n, `+listColumns+` FROM (
			SELECT `+listColumns+` FROM patients WHERE (SELECT yes FROM permitted) AND `+match+` AND `+from+`
			ORDER BY `+order+` LIMIT @page_size::integer + 1
		) nearest
	), found AS (
		SELECT count(*) AS n FROM (
			SELECT 1 FROM patients WHERE (SELECT yes FROM permitted) AND `+match+` LIMIT @count_cap::integer + 1
		) capped
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'patient-list', CASE WHEN yes THEN 'success' ELSE 'refused' END,
		       ARRAY(SELECT id FROM page WHERE n <= @page_size::integer ORDER BY n),
		       jsonb_build_object('searched', @searched::boolean, 'sort', @sort::text)
		FROM viewer v, permitted
	)
	SELECT `+whoColumns+`, f.n AS found, p.id::text, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status,
	       p.updated_at, p.family_key, p.given_key, p.mrn_key, p.birth_key
	FROM viewer v CROSS JOIN found f LEFT JOIN page p ON true
	ORDER BY p.n`, args)
	if err != nil {
		return PatientList{}, fmt.Errorf("list patients: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[listRow])
	if err != nil {
		return PatientList{}, fmt.Errorf("list patients: %w", err)
	}
	return listFrom(q, all, backwards)
}

// cursorArgs adds the cursor's values and returns their placeholders, cast where a column is no text.
func cursorArgs(args pgx.NamedArgs, columns []string, c *Cursor) string {
	var names []string
	for i, key := range c.Keys {
		name := fmt.Sprintf("cursor_%d", i)
		args[name] = key
		cast := "::text"
		if columns[i] == "updated_at" {
			cast = "::timestamptz"
		}
		names = append(names, "@"+name+cast)
	}
	args["cursor_id"] = c.ID
	return strings.Join(names, ", ")
}

func listFrom(q ListQuery, rows []listRow, backwards bool) (PatientList, error) {
	if len(rows) == 0 {
		return PatientList{}, ErrNoSession
	}
	l := PatientList{Who: rows[0].Who, Found: rows[0].Found}
	if err := l.check(); err != nil {
		return l, err
	}
	if q.UserID != 0 && q.UserID != l.UserID {
		return l, ErrForeignList
	}
	for _, r := range rows {
		if r.ID != nil {
			p := r.patient()
			p.keys = r.keys(q.Sort)
			l.Rows = append(l.Rows, p)
		}
	}
	more := len(l.Rows) > PageSize
	if more {
		l.Rows = l.Rows[:PageSize]
	}
	if backwards {
		slices.Reverse(l.Rows)
	}
	l.HasNext, l.HasPrev = more, q.Cursor != nil
	if backwards {
		l.HasNext, l.HasPrev = true, more
	}
	return l, nil
}

// keys are the row's values of the columns in sorts.
func (r listRow) keys(s Sort) []string {
	switch s {
	case SortBirth:
		return []string{*r.BirthKey, *r.Status}
	case SortMRN:
		return []string{*r.MRNKey}
	case SortUpdated:
		return []string{r.UpdatedAt.UTC().Format(time.RFC3339Nano), *r.Status}
	}
	return []string{*r.FamilyKey, *r.GivenKey}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// PatientPage is one patient with the FHIR resource behind it.
type PatientPage struct {
	Who
	Patient
	Detail   fhir.Detail
	Version  int
	History  []Version // the newest, which is the current one, first
	More     bool      // there are older ones than History holds
	Conflict *Conflict // nil when there is none
}

// OpenPatient reads one patient and records that the patient was opened. An id that is not a UUID, or that no patient
// has, is ErrNotFound.
func (d *DB) OpenPatient(ctx context.Context, v Viewer, id string) (PatientPage, error) {
	type row struct {
		Who
		patientColumns
		Version *int
		author
		Resource         *string
		History          *string
		ConflictImport   *int
		ConflictReceived *time.Time
		ConflictResource *string
	}
	args := d.viewerArgs(v)
	args["id"], args["max_history"] = nil, maxHistory
	if isUUID(id) {
		args["id"] = id
	}
	rows, err := d.pool.Query(ctx, viewerCTE+`, opened AS MATERIALIZED (
		SELECT p.id, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status, p.updated_at,
		       p.version, p.updated_by, p.import_id, r.resource::text AS resource, `+historyColumn+`::text AS history,
		       c.import_id AS conflict_import, c.received_at AS conflict_received, c.resource::text AS conflict_resource
		FROM patients p JOIN patient_resources r ON r.patient_id = p.id LEFT JOIN patient_conflicts c ON c.patient_id = p.id
		WHERE p.id = @id::uuid AND (SELECT allowed FROM viewer)
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'patient-open', CASE WHEN EXISTS (SELECT 1 FROM opened) THEN 'success' ELSE 'refused' END,
		       ARRAY(SELECT id FROM opened), '{}'
		FROM viewer v
	)
	SELECT `+whoColumns+`, p.id::text, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status, p.updated_at,
	       p.version, p.updated_by, p.import_id, p.resource, p.history, p.conflict_import, p.conflict_received, p.conflict_resource
	FROM viewer v LEFT JOIN opened p ON true`, args)
	if err != nil {
		return PatientPage{}, fmt.Errorf("open the patient: %w", err)
	}
	r, err := one[row](rows)
	if err != nil {
		return PatientPage{}, fmt.Errorf("open the patient: %w", err)
	}
	page := PatientPage{Who: r.Who}
	if err := r.check(); err != nil {
		return page, err
	}
	if r.ID == nil {
		return page, ErrNotFound
	}
	resource := []byte(*r.Resource)
	page.Patient, page.Version = r.patient(), *r.Version
	if page.Detail, err = fhir.ParseDetail(resource); err != nil {
		return page, fmt.Errorf("open the patient: %w", err)
	}
	newest := Version{Number: page.Version, At: page.UpdatedAt, By: r.author.author()}
	if page.History, page.More, err = history(newest, resource, []byte(orEmpty(r.History))); err != nil {
		return page, fmt.Errorf("open the patient: %w", err)
	}
	if r.ConflictImport != nil {
		page.Conflict = &Conflict{ImportID: *r.ConflictImport, ReceivedAt: *r.ConflictReceived}
		if page.Conflict.Changes, err = fhir.Diff(resource, []byte(*r.ConflictResource)); err != nil {
			return page, fmt.Errorf("open the patient: %w", err)
		}
	}
	return page, nil
}

// isUUID accepts the one form that addresses have: 8-4-4-4-12 lower-case hexadecimal digits.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return false
		}
	}
	return true
}
