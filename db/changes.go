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

// Writers are the roles that may create and change patients.
var Writers = []string{RoleClinician, RoleAdmin}

// Field is one of fhir.Fields: its name there, and the key that forms and the audit know it by.
type Field struct {
	Name, Key string
	Of        func(*fhir.Fields) *string
}

// Fields are all of them, in the order of the form.
var Fields = []Field{
	{"Family", "family", func(f *fhir.Fields) *string { return &f.Family }},
	{"Given", "given", func(f *fhir.Fields) *string { return &f.Given }},
	{"BirthDate", "birth_date", func(f *fhir.Fields) *string { return &f.BirthDate }},
	{"Gender", "gender", func(f *fhir.Fields) *string { return &f.Gender }},
	{"MRN", "mrn", func(f *fhir.Fields) *string { return &f.MRN }},
	{"Phone", "phone", func(f *fhir.Fields) *string { return &f.Phone }},
	{"Email", "email", func(f *fhir.Fields) *string { return &f.Email }},
	{"Line", "line", func(f *fhir.Fields) *string { return &f.Line }},
	{"City", "city", func(f *fhir.Fields) *string { return &f.City }},
	{"State", "state", func(f *fhir.Fields) *string { return &f.State }},
	{"PostalCode", "postal_code", func(f *fhir.Fields) *string { return &f.PostalCode }},
	{"Country", "country", func(f *fhir.Fields) *string { return &f.Country }},
	{"Active", "active", func(f *fhir.Fields) *string { return &f.Active }},
	{"Deceased", "deceased", func(f *fhir.Fields) *string { return &f.Deceased }},
}

// changed gives the keys of the fields in which two differ.
func changed(a, b fhir.Fields) []string {
	keys := []string{}
	for _, f := range Fields {
		if *f.Of(&a) != *f.Of(&b) {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

// PatientForm is what the form of a patient begins with.
type PatientForm struct {
	Who
	ID      string
	Version int
	Fields  fhir.Fields
	Subject Subject
}

// Subject is who a patient is, as it stands on record.
type Subject struct {
	DisplayName, MRN, BirthDate, Gender, Status string
}

// Change is what a person typed into the form of a patient.
type Change struct {
	ID       string // a UUID; of a new patient: the one that it is to have
	Version  int    // the version that the form was made from; a new patient has none
	Typed    fhir.Fields
	Problems []fhir.FieldError // what the form itself could not read
	Seen     []string          // ids of likely duplicates that the person has seen
	Today    time.Time         // in the clinic's zone
}

// Outcome is what became of a Change. Unless it was Saved nothing was written, and one of the others says why; when none
// does, there was nothing to write.
type Outcome struct {
	Who
	ID       string
	Saved    bool
	Problems []fhir.FieldError
	Newer    *Newer
	Likely   []Patient // at most maxLikely, those with the same MRN first
}

// Newer is a version that somebody else wrote while the form was open, and what both sides make together.
type Newer struct {
	Version    int
	Subject    Subject
	At         time.Time
	By         Author
	Now, Typed fhir.Fields
	Merged     fhir.Fields // what only one side changed, from that side; what both did, as it was typed
	Mine       []string    // keys of what only the typist changed
	Theirs     []string    // keys of what only the others changed
	Both       []string    // keys of what both changed, to different values
}

// merge brings two changes of one version together. Without that version every difference counts as both sides'.
func merge(base *fhir.Fields, now, typed fhir.Fields) *Newer {
	n := &Newer{Now: now, Typed: typed, Merged: now}
	for _, f := range Fields {
		theirs, mine := *f.Of(&now), *f.Of(&typed)
		was := func(value string) bool { return base != nil && *f.Of(base) == value }
		switch {
		case mine == theirs:
		case was(mine):
			n.Theirs = append(n.Theirs, f.Key)
		case was(theirs):
			n.Mine = append(n.Mine, f.Key)
			*f.Of(&n.Merged) = mine
		default:
			n.Both = append(n.Both, f.Key)
			*f.Of(&n.Merged) = mine
		}
	}
	return n
}

// settle gives a field back as it stood where what was typed differs only in what Clean changes, so that a form that was
// opened and saved changes nothing.
func settle(was, typed fhir.Fields) fhir.Fields {
	clean := was.Clean()
	typed = typed.Clean()
	for _, f := range Fields {
		if *f.Of(&typed) == *f.Of(&clean) {
			*f.Of(&typed) = *f.Of(&was)
		}
	}
	return typed
}

// EditPatient reads what the form of a patient begins with and records that the patient was opened. Errors are those of
// OpenPatient.
func (d *DB) EditPatient(ctx context.Context, v Viewer, id string) (PatientForm, error) {
	r, err := d.readForChange(ctx, v, id, nil)
	if err != nil {
		return PatientForm{Who: r.Who}, fmt.Errorf("open the patient's form: %w", err)
	}
	return PatientForm{Who: r.Who, ID: *r.ID, Version: *r.Version, Fields: r.now, Subject: r.subject()}, nil
}

// current is a patient as it stands, for a change.
type current struct {
	Who
	ID        *string
	Version   *int
	UpdatedAt *time.Time
	author
	DisplayName, MRN, BirthDate, Gender, Status *string

	Resource *string
	Base     *string // the resource of the version that the form was made from, when that is another one

	now  fhir.Fields
	base *fhir.Fields
}

// readForChange reads a patient for a form, or, with the version that a form was made from, for writing what came of it.
// The second shows nothing to anybody unless somebody else was quicker; so only then, and when it is refused, it is an
// event of its own.
func (d *DB) readForChange(ctx context.Context, v Viewer, id string, base *int) (current, error) {
	args := d.viewerArgs(v)
	args["id"], args["base"] = nil, base
	if isUUID(id) {
		args["id"] = id
	}
	rows, err := d.pool.Query(ctx, viewerCTE+`, opened AS MATERIALIZED (
		SELECT p.id, p.version, p.updated_at, p.updated_by, p.import_id, p.display_name, p.mrn, p.birth_date, p.gender, p.status, r.resource::text AS resource,
		       (SELECT b.resource::text FROM patient_versions b
		        WHERE b.patient_id = p.id AND b.version = @base::integer AND b.version <> p.version) AS base
		FROM patients p JOIN patient_resources r ON r.patient_id = p.id
		WHERE p.id = @id::uuid AND (SELECT allowed FROM viewer)
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, CASE WHEN o.id IS NULL AND @base::integer IS NOT NULL THEN 'patient-change' ELSE 'patient-open' END,
		       CASE WHEN o.id IS NULL THEN 'refused' ELSE 'success' END, array_remove(ARRAY[o.id], NULL), '{}'
		FROM viewer v LEFT JOIN opened o ON true
		WHERE v.allowed AND (o.id IS NULL OR o.version IS DISTINCT FROM @base::integer)
	)
	SELECT `+whoColumns+`, o.id::text, o.version, o.updated_at, o.updated_by, o.import_id, o.display_name, o.mrn, o.birth_date, o.gender, o.status, o.resource, o.base
	FROM viewer v LEFT JOIN opened o ON true`, args)
	if err != nil {
		return current{}, err
	}
	r, err := one[current](v, rows)
	if err != nil {
		return r, err
	}
	if err := r.check(); err != nil {
		return r, err
	}
	if r.ID == nil {
		return r, ErrNotFound
	}
	return r, r.parse()
}

func (r *current) subject() Subject {
	return Subject{DisplayName: orEmpty(r.DisplayName), MRN: orEmpty(r.MRN), BirthDate: orEmpty(r.BirthDate), Gender: orEmpty(r.Gender), Status: orEmpty(r.Status)}
}

func (r *current) parse() (err error) {
	if r.now, err = fhir.ReadFields([]byte(*r.Resource)); err != nil || r.Base == nil {
		return err
	}
	base, err := fhir.ReadFields([]byte(*r.Base))
	r.base = &base
	return err
}

// ChangePatient writes what a person typed as a new version, in the columns and in the FHIR resource alike; what stood
// there before stays on record. It is made in two trips, because the new resource is made from the one that stands; the
// second writes only if that still stands, so that two people at once never overwrite each other.
func (d *DB) ChangePatient(ctx context.Context, v Viewer, c Change) (Outcome, error) {
	for range 3 {
		r, err := d.readForChange(ctx, v, c.ID, &c.Version)
		if err != nil {
			return Outcome{Who: r.Who}, fmt.Errorf("change the patient: %w", err)
		}
		out := Outcome{Who: r.Who, ID: *r.ID}
		base := &r.now
		if c.Version != *r.Version {
			base = r.base
		}
		was := r.now
		if base != nil {
			was = *base
		}
		typed := settle(was, c.Typed)
		if out.Problems = problems(c, typed.CheckChange(was, c.Today)); len(out.Problems) > 0 {
			return out, nil
		}
		if c.Version != *r.Version {
			if n := merge(base, r.now, typed); n.Merged != r.now {
				n.Version, n.At, n.By, n.Subject = *r.Version, *r.UpdatedAt, r.author.author(), r.subject()
				out.Newer = n
			}
			return out, nil
		}
		if typed == r.now {
			return out, nil
		}
		w, err := newWriting(c, r.now, typed, []byte(*r.Resource))
		if err != nil {
			return out, fmt.Errorf("change the patient: %w", err)
		}
		if err := d.writeChange(ctx, v, w, &out); err != nil || out.Saved || len(out.Likely) > 0 {
			return out, err
		}
		// Somebody was quicker between the two trips. Read again, it is a newer version.
	}
	return Outcome{}, errors.New("change the patient: others kept changing it")
}

// problems are the form's own and, of other fields, those that fhir finds.
func problems(c Change, found []fhir.FieldError) []fhir.FieldError {
	all := slices.Clone(c.Problems)
	for _, e := range found {
		if !slices.ContainsFunc(all, func(p fhir.FieldError) bool { return p.Field == e.Field }) {
			all = append(all, e)
		}
	}
	return all
}

// CreatePatient puts a new patient on record. The same Change again, such as a double click sends, is Saved once.
func (d *DB) CreatePatient(ctx context.Context, v Viewer, c Change) (Outcome, error) {
	typed := c.Typed.Clean()
	if found := problems(c, typed.Check(c.Today)); len(found) > 0 {
		who, err := d.Whoami(ctx, v)
		return Outcome{Who: who, Problems: found}, err
	}
	for range 3 {
		if !isUUID(c.ID) {
			c.ID = NewPatientID()
		}
		w, err := newWriting(c, fhir.Fields{}, typed, nil)
		if err != nil {
			return Outcome{}, fmt.Errorf("create the patient: %w", err)
		}
		out := Outcome{ID: c.ID}
		again, err := d.writeNew(ctx, v, w, &out)
		if err != nil || !again {
			return out, err
		}
		c.ID = "" // this id is another patient's
	}
	return Outcome{}, errors.New("create the patient: no id was free")
}

// NewPatientID makes a random UUID (RFC 9562, version 4).
func NewPatientID() string { return newUUID() }

// writing is a resource on its way into the database.
type writing struct {
	id       string
	version  int      // that must stand; 0 for a new patient
	importID *int     // of the import that brought the resource, when it was taken over as it is
	imported []byte   // imported_sha from now on; nil leaves it
	fields   []string // keys of what changes
	row      indexed
	resource []byte
	seen     []string
	alike    fhir.Fields // by which likely duplicates are looked for; what is empty is not looked for
}

// newWriting makes the new resource: from the one that stands or, without one, a new one.
func newWriting(c Change, from, to fhir.Fields, resource []byte) (w writing, err error) {
	w = writing{id: c.ID, version: c.Version, fields: changed(from, to), seen: c.Seen}
	if resource == nil {
		w.resource, err = fhir.New(c.ID, to)
	} else {
		w.resource, err = fhir.Change(resource, from, to)
	}
	if err != nil {
		return w, err
	}
	p, err := fhir.Parse(w.resource)
	if err != nil {
		return w, err
	}
	w.row = index(p, w.resource)
	if from.Family != to.Family || from.Given != to.Given || from.BirthDate != to.BirthDate {
		w.alike.Family, w.alike.BirthDate = to.Family, to.BirthDate
	}
	if from.MRN != to.MRN {
		w.alike.MRN = to.MRN
	}
	return w, nil
}

// maxLikely is how many likely duplicates are shown.
const maxLikely = 10

// likelyCTE finds likely duplicates, and in asked whether there is one that the person has not seen. Both halves stop at
// the same ids each time, so that "save anyway" is asked once, however many have the MRN "unknown"; and that half asks
// for the beginning of a range, because a plan for an equality may read and sort all of those.
const likelyCTE = `, likely AS MATERIALIZED (
	SELECT p.id, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status, p.updated_at,
	       row_number() OVER (ORDER BY p.mrn_key = @like_mrn::text DESC NULLS LAST, p.id) AS n
	FROM patients p
	WHERE p.id IN (
		(SELECT id FROM patients
		 WHERE family_key = @like_family::text AND given_key = @like_given::text AND birth_key = @like_birth::text
		   AND id <> @id::uuid AND (SELECT allowed FROM viewer)
		 ORDER BY id LIMIT @max_likely::integer)
		UNION ALL
		SELECT id FROM (
			SELECT id, mrn_key FROM patients
			WHERE mrn_key >= @like_mrn::text AND (SELECT allowed FROM viewer)
			ORDER BY mrn_key, id LIMIT @max_likely::integer + 1) nearest
		WHERE mrn_key = @like_mrn::text AND id <> @id::uuid)
	ORDER BY n LIMIT @max_likely::integer
), asked AS MATERIALIZED (
	SELECT EXISTS (SELECT 1 FROM likely WHERE id <> ALL (@seen::uuid[])) AS yes
)`

// args adds what both statements below share, and gives the columns with their placeholders.
func (w writing) args(args pgx.NamedArgs) (names, values []string) {
	args["id"], args["resource"], args["max_likely"] = w.id, string(w.resource), maxLikely
	args["seen"] = slices.DeleteFunc(append([]string{}, w.seen...), func(id string) bool { return !isUUID(id) })
	args["like_family"], args["like_given"], args["like_birth"], args["like_mrn"] = nil, nil, nil, nil
	if w.alike.Family != "" && w.alike.BirthDate != "" {
		args["like_family"], args["like_given"], args["like_birth"] = w.row.FamilyKey, w.row.GivenKey, w.alike.BirthDate
	}
	if w.alike.MRN != "" && w.row.MRNKey != missing {
		args["like_mrn"] = w.row.MRNKey
	}
	for _, c := range w.row.columns() {
		args[c.name] = c.value
		names, values = append(names, c.name), append(values, "@"+c.name+"::"+c.kind)
	}
	return names, values
}

type column struct {
	name, kind string
	value      any
}

// columns are those of the patients table, for the statements that write one row.
func (r indexed) columns() []column {
	return []column{
		{"display_name", "text", r.DisplayName}, {"family", "text", r.Family}, {"given", "text", r.Given}, {"mrn", "text", r.MRN},
		{"birth_date", "text", r.BirthDate}, {"gender", "text", r.Gender}, {"phone", "text", r.Phone}, {"email", "text", r.Email},
		{"city", "text", r.City}, {"active", "boolean", r.Active}, {"deceased", "boolean", r.Deceased},
		{"family_key", "text", r.FamilyKey}, {"given_key", "text", r.GivenKey}, {"mrn_key", "text", r.MRNKey},
		{"words", "text", r.Words}, {"phone_keys", "text", r.PhoneKeys}, {"resource_sha", "bytea", r.ResourceSHA},
	}
}

// written is a row of both statements: the Viewer's part in each, and a likely duplicate where one stopped the writing.
type written struct {
	Who
	Saved  bool
	Exists bool // the same resource stands there already
	patientColumns
}

const writtenColumns = whoColumns + `, l.id::text, l.display_name, l.mrn, l.birth_date, l.gender, l.phone, l.city, l.status, l.updated_at`

// auditedWriting records the writing, or what was shown instead of it. It is wrapped around an action and a detail.
func auditedWriting(action, detail string) string {
	return `, audited AS (
		INSERT INTO audit_events (` + auditColumns + `)
		SELECT ` + auditValues + `, CASE WHEN a.yes THEN 'patient-list' ELSE '` + action + `' END,
		       CASE WHEN a.yes OR EXISTS (SELECT 1 FROM written) THEN 'success' ELSE 'refused' END,
		       CASE WHEN a.yes THEN ARRAY(SELECT id FROM likely ORDER BY n) ELSE ARRAY(SELECT id FROM written) END,
		       CASE WHEN a.yes THEN '{"duplicates": true}'::jsonb ELSE ` + detail + ` END
		FROM viewer v, asked a WHERE v.allowed
	)`
}

// writeChange is the compare-and-swap: it writes if the version still stands. Neither Saved nor Likely means that it did
// not.
func (d *DB) writeChange(ctx context.Context, v Viewer, w writing, out *Outcome) error {
	args := d.viewerArgs(v)
	names, values := w.args(args)
	args["version"], args["fields"], args["import_id"], args["imported_sha"] = w.version, w.fields, w.importID, w.imported
	action, detail := "patient-change", `jsonb_build_object('version', @version::integer + 1, 'fields', @fields::text[])`
	if w.importID != nil {
		action, detail = "conflict-take", `jsonb_build_object('version', @version::integer + 1, 'import', @import_id::integer)`
	}
	set := make([]string, len(names))
	for i := range names {
		set[i] = names[i] + " = " + values[i]
	}
	rows, err := d.pool.Query(ctx, viewerCTE+likelyCTE+`, was AS MATERIALIZED (
		SELECT p.id, p.version, p.updated_at, p.updated_by_id, p.updated_by, p.import_id, p.resource_sha, p.imported_sha, r.resource
		FROM patients p JOIN patient_resources r ON r.patient_id = p.id
		WHERE p.id = @id::uuid AND p.version = @version::integer AND (SELECT allowed FROM viewer) AND NOT (SELECT yes FROM asked)
		  AND (@import_id::integer IS NULL OR EXISTS (SELECT 1 FROM patient_conflicts c
		       WHERE c.patient_id = p.id AND c.import_id = @import_id::integer AND c.resource_sha = @resource_sha::bytea))
		FOR UPDATE OF p
	), written AS (
		UPDATE patients p SET `+strings.Join(set, ", ")+`, version = was.version + 1, updated_at = now(),
		       updated_by_id = v.user_id, updated_by = v.username, import_id = @import_id::integer,
		       imported_sha = coalesce(@imported_sha::bytea, p.imported_sha)
		FROM was, viewer v WHERE p.id = was.id AND p.version = was.version
		RETURNING p.id, p.version
	), filed AS (
		INSERT INTO patient_versions (patient_id, version, recorded, updated_by_id, updated_by, import_id, resource, resource_sha, imported_sha)
		SELECT id, version, updated_at, updated_by_id, updated_by, import_id, resource, resource_sha, imported_sha FROM was
		WHERE EXISTS (SELECT 1 FROM written)
	), kept AS (
		UPDATE patient_resources r SET resource = @resource::json FROM written w WHERE r.patient_id = w.id
	), settled AS (
		DELETE FROM patient_conflicts c USING written w WHERE c.patient_id = w.id AND c.import_id = @import_id::integer
	)`+auditedWriting(action, detail)+`
	SELECT `+writtenColumns+`, EXISTS (SELECT 1 FROM written) AS saved, false AS exists
	FROM viewer v CROSS JOIN asked a LEFT JOIN likely l ON a.yes
	ORDER BY l.n`, args)
	if err != nil {
		return fmt.Errorf("change the patient: %w", err)
	}
	_, err = out.take(v, rows)
	if err != nil {
		return fmt.Errorf("change the patient: %w", err)
	}
	return nil
}

// writeNew writes a new patient. again says that the id is taken by somebody else.
func (d *DB) writeNew(ctx context.Context, v Viewer, w writing, out *Outcome) (again bool, err error) {
	args := d.viewerArgs(v)
	names, values := w.args(args)
	rows, err := d.pool.Query(ctx, viewerCTE+likelyCTE+`, written AS (
		INSERT INTO patients (id, import_key, updated_by_id, updated_by, `+strings.Join(names, ", ")+`)
		SELECT @id::uuid, 'id:' || @id::text, v.user_id, v.username, `+strings.Join(values, ", ")+`
		FROM viewer v WHERE v.allowed AND NOT (SELECT yes FROM asked)
		ON CONFLICT DO NOTHING
		RETURNING id
	), kept AS (
		INSERT INTO patient_resources (patient_id, resource) SELECT id, @resource::json FROM written
	)`+auditedWriting("patient-create", `'{}'::jsonb`)+`
	SELECT `+writtenColumns+`, EXISTS (SELECT 1 FROM written) AS saved,
	       EXISTS (SELECT 1 FROM patients p WHERE p.id = @id::uuid AND p.resource_sha = @resource_sha::bytea AND v.allowed) AS exists
	FROM viewer v CROSS JOIN asked a LEFT JOIN likely l ON a.yes
	ORDER BY l.n`, args)
	if err != nil {
		return false, fmt.Errorf("create the patient: %w", err)
	}
	exists, err := out.take(v, rows)
	if err != nil {
		return false, fmt.Errorf("create the patient: %w", err)
	}
	if exists {
		out.Saved = true
	}
	return !out.Saved && len(out.Likely) == 0, nil
}

// take reads what a statement above answered.
func (out *Outcome) take(v Viewer, rows pgx.Rows) (exists bool, err error) {
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[written])
	if err == nil && len(all) == 0 {
		err = ErrNoSession
	}
	if err != nil {
		return false, err
	}
	out.Who, out.Saved = all[0].Who, all[0].Saved
	v.found(out.Who)
	for _, r := range all {
		if r.ID != nil {
			out.Likely = append(out.Likely, r.patient())
		}
	}
	return all[0].Exists, out.check()
}
