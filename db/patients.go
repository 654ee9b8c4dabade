package db

import (
	"context"
	"fmt"
	"time"

	"chartroom/db/fhir"
)

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
	Match       []string // in which ways the search found the patient, see the Match constants
	place       Cursor   // where the row stands in the list
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
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

// PatientPage is one patient with the FHIR resource behind it.
type PatientPage struct {
	Who
	Patient
	Detail    fhir.Detail
	Namesakes int // other patients with the same family and given names, either way round; MostNamesakes is that many or more
	Version   int
	History   []Version    // the newest, which is the current one, first
	More      bool         // there are older ones than History holds
	Conflict  *Conflict    // nil when there is none
	Seen      []AuditEvent // the latest events of the patient, for administrators alone
}

// MostNamesakes is how far patients of one name are counted.
const MostNamesakes = 10

// namesakesColumn counts along patients_name, which the names that one patient has lead into.
const namesakesColumn = `CASE WHEN p.family IS NULL AND p.given IS NULL THEN 0 ELSE (SELECT count(*) FROM (
		(SELECT 1 FROM patients o WHERE o.family_key = p.family_key AND o.given_key = p.given_key AND o.id <> p.id LIMIT 10)
		UNION ALL
		(SELECT 1 FROM patients o WHERE o.family_key = p.given_key AND o.given_key = p.family_key AND p.given_key <> p.family_key LIMIT 10)
		LIMIT 10
	) n) END AS namesakes`

// OpenPatient reads one patient and records that the patient was opened. An id that is not a UUID, or that no patient
// has, is ErrNotFound.
func (d *DB) OpenPatient(ctx context.Context, v Viewer, id string) (PatientPage, error) {
	type row struct {
		Who
		patientColumns
		Version   *int
		Namesakes *int
		author
		Resource         *string
		History          *string
		ConflictImport   *int
		ConflictReceived *time.Time
		ConflictResource *string
	}
	open, args := d.opening(v)
	args["id"], args["max_history"] = nil, maxHistory
	if isUUID(id) {
		args["id"] = id
	}
	rows, err := d.pool.Query(ctx, open.cte+`, opened AS MATERIALIZED (
		SELECT p.id, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status, p.updated_at,
		       p.version, p.updated_by, p.import_id, r.resource::text AS resource, `+historyColumn+`::text AS history, `+namesakesColumn+`,
		       c.import_id AS conflict_import, c.received_at AS conflict_received, c.resource::text AS conflict_resource
		FROM patients p JOIN patient_resources r ON r.patient_id = p.id LEFT JOIN patient_conflicts c ON c.patient_id = p.id
		WHERE p.id = @id::uuid AND (SELECT allowed FROM viewer)
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+open.event+`, 'patient-open', CASE WHEN EXISTS (SELECT 1 FROM opened) THEN 'success' ELSE 'refused' END,
		       ARRAY(SELECT id FROM opened), '{}'
		FROM viewer v WHERE v.allowed
	)
	SELECT `+whoColumns+`, p.id::text, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status, p.updated_at,
	       p.version, p.namesakes, p.updated_by, p.import_id, p.resource, p.history, p.conflict_import, p.conflict_received, p.conflict_resource
	FROM viewer v LEFT JOIN opened p ON true`, args)
	if err != nil {
		return PatientPage{}, fmt.Errorf("open the patient: %w", err)
	}
	r, err := one[row](v, rows)
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
	page.Patient, page.Version, page.Namesakes = r.patient(), *r.Version, *r.Namesakes
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
	if page.Role == RoleAdmin { // who opened the patient, as the event says that is written by now
		if page.Seen, err = d.seen(ctx, v, AuditQuery{Patient: page.ID}); err != nil {
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
