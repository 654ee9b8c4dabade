package db_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/fhir"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ward is a database with two clinicians and a viewer, and what ndjson holds.
type ward struct {
	*db.DB
	t                *testing.T
	c                *pgx.Conn
	ada, bob, viewer db.Viewer
}

func newWard(t *testing.T, ndjson string) *ward {
	t.Helper()
	d, c, viewer := withPatients(t, ndjson)
	w := &ward{DB: d, t: t, c: c, viewer: viewer}
	for name, v := range map[string]*db.Viewer{"beth": &w.ada, "bob": &w.bob} {
		addUser(t, c, name, "clinician")
		*v = signedIn(t, d, c, name)
		v.Roles = db.Writers
	}
	w.viewer.Roles = db.Writers
	return w
}

const quimbleton = `,"meta":{"source":"urn:far"},"name":[{"use":"official","family":"Quimbleton","given":["Zadok"]},{"use":"maiden","family":"Thistlewood"}],` +
	`"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"QX-900"}],"gender":"male","birthDate":"1974-12-25","telecom":[{"system":"phone","value":"555-0100"}],"x-odd":1.0`

// id is the patient's that an import knows by this FHIR id.
func (w *ward) id(key string) string {
	w.t.Helper()
	return value[string](w.t, w.c, `SELECT id::text FROM patients WHERE import_key = 'id:' || $1`, key)
}

// form opens a patient's form and types into it.
func (w *ward) form(v db.Viewer, id string, edit func(*fhir.Fields)) db.Change {
	w.t.Helper()
	p, err := w.EditPatient(context.Background(), v, id)
	if err != nil {
		w.t.Fatal(err)
	}
	c := db.Change{ID: p.ID, Version: p.Version, Typed: p.Fields, Today: today}
	edit(&c.Typed)
	return c
}

func (w *ward) save(v db.Viewer, c db.Change) db.Outcome {
	w.t.Helper()
	out, err := w.ChangePatient(context.Background(), v, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *ward) saved(v db.Viewer, id string, edit func(*fhir.Fields)) {
	w.t.Helper()
	if out := w.save(v, w.form(v, id, edit)); !out.Saved {
		w.t.Fatalf("not saved: %+v", out)
	}
}

// everything is all that a change could touch, but the audit.
func (w *ward) everything() string {
	w.t.Helper()
	return value[string](w.t, w.c, `SELECT concat((SELECT json_agg(p ORDER BY id) FROM patients p), (SELECT json_agg(r ORDER BY patient_id) FROM patient_resources r),
		(SELECT json_agg(v ORDER BY patient_id, version) FROM patient_versions v), (SELECT json_agg(c ORDER BY patient_id) FROM patient_conflicts c),
		(SELECT json_agg(t ORDER BY term, patient_id) FROM patient_terms t))`)
}

func (w *ward) events(where string, args ...any) int {
	w.t.Helper()
	return value[int](w.t, w.c, `SELECT count(*) FROM audit_events WHERE `+where, args...)
}

func TestFieldsAreAllOfThem(t *testing.T) {
	t.Parallel()
	var f fhir.Fields
	all := reflect.ValueOf(&f).Elem()
	if len(db.Fields) != all.NumField() {
		t.Fatalf("%d, want %d", len(db.Fields), all.NumField())
	}
	for i, field := range db.Fields {
		if all.Type().Field(i).Name != field.Name || field.Of(&f) != all.Field(i).Addr().Interface() {
			t.Errorf("%d: %s", i, field.Name)
		}
	}
}

func TestAChangeIsWrittenEverywhereAndWhatWasStaysOnRecord(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton))
	id := w.id("p1")
	before := value[string](t, w.c, `SELECT resource::text FROM patient_resources`)
	w.saved(w.ada, id, func(f *fhir.Fields) { f.Family, f.Phone, f.BirthDate = "Ångström", "555 0199", "1974-12" })

	after := value[string](t, w.c, `SELECT resource::text FROM patient_resources`)
	if want := strings.NewReplacer("Quimbleton", "Ångström", "555-0100", "555 0199", "1974-12-25", "1974-12").Replace(before); after != want {
		t.Errorf("the resource is\n%s, want\n%s", after, want)
	}
	// The columns are those that an import of the same resource makes.
	twin, c, _ := withPatients(t, after+"\n")
	_ = twin
	const columns = `SELECT (to_jsonb(p) - '{id,version,created_at,updated_at,updated_by,updated_by_id,import_id,imported_sha}'::text[])::text FROM patients p`
	if got, want := value[string](t, w.c, columns), value[string](t, c, columns); got != want {
		t.Errorf("columns\n%s\nwant\n%s", got, want)
	}
	const terms = `SELECT array_agg(term ORDER BY term) FROM patient_terms`
	if got, want := value[[]string](t, w.c, terms), value[[]string](t, c, terms); !slices.Equal(got, want) {
		t.Errorf("terms %q, want %q", got, want)
	}
	if n := value[int](t, w.c, `SELECT count(*) FROM name_words WHERE word = 'angstrom'`); n != 1 {
		t.Error("the new name is not in the dictionary")
	}
	if n := value[int](t, w.c, `SELECT count(*) FROM patient_versions v JOIN patients p ON p.id = v.patient_id WHERE v.version = 1 AND p.version = 2
		AND v.resource::text = $1 AND v.resource_sha = sha256($1::bytea) AND v.updated_by_id IS NULL AND p.updated_by = 'beth' AND p.updated_by_id IS NOT NULL
		AND p.import_id IS NULL AND p.updated_at > v.recorded AND p.imported_sha IS NOT DISTINCT FROM v.imported_sha`, before); n != 1 {
		t.Error("the version before is not on record as it was")
	}
	if n := w.events(`action = 'patient-change' AND outcome = 'success' AND actor = 'beth' AND patients = ARRAY[$1::uuid]
		AND detail = '{"version": 2, "fields": ["family", "birth_date", "phone"]}'`, id); n != 1 {
		t.Errorf("%d events", n)
	}
	if n := w.events(`action = 'patient-open' AND outcome = 'success' AND actor = 'beth' AND patients = ARRAY[$1::uuid]`, id); n != 1 {
		t.Errorf("%d openings of the form", n)
	}

	w.saved(w.bob, id, func(f *fhir.Fields) { f.Active, f.Deceased = "false", "2020-02-03" })
	page, err := w.OpenPatient(context.Background(), db.Viewer{Token: w.viewer.Token, Roles: db.Roles}, id)
	if err != nil {
		t.Fatal(err)
	}
	if page.Version != 3 || page.Status != "deceased" || len(page.History) != 3 || page.More || page.Conflict != nil {
		t.Fatalf("%+v", page)
	}
	h := page.History
	if h[0].Number != 3 || h[0].By.Name != "bob" || h[1].By.Name != "beth" || h[2].By.Name != "" || !h[2].First || h[0].First || !h[0].At.After(h[1].At) {
		t.Errorf("history %+v", h)
	}
	var told []string
	for _, c := range append(h[0].Changes, h[1].Changes...) {
		told = append(told, string(c.Term.Kind))
	}
	for _, label := range []string{"active", "deceased", "birthDate", "telecom"} {
		if !slices.Contains(told, label) {
			t.Errorf("the history does not tell of %s: %q", label, told)
		}
	}
}

func TestASaveWithoutAChangeMakesNoVersion(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton))
	id := w.id("p1")
	before := w.everything()
	out := w.save(w.ada, w.form(w.ada, id, func(f *fhir.Fields) { f.Family = "  Quimbleton " }))
	if out.Saved || out.Newer != nil || out.Problems != nil || out.Likely != nil || out.ID != id || w.everything() != before {
		t.Errorf("%+v", out)
	}
}

func TestWhatCannotBeIsNotWritten(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", strings.Replace(quimbleton, "555-0100", "ask the neighbour", 1)))
	id := w.id("p1")
	before := w.everything()
	c := w.form(w.ada, id, func(f *fhir.Fields) { f.BirthDate, f.Gender = "2026-03-02", "yes" })
	c.Problems = []fhir.FieldError{{Field: "Deceased", Rule: fhir.RuleDeathWithout}}
	out := w.save(w.ada, c)
	var fields []string
	for _, p := range out.Problems {
		fields = append(fields, p.Field)
	}
	if slices.Sort(fields); !slices.Equal(fields, []string{"BirthDate", "Deceased", "Gender"}) || out.Saved || w.everything() != before {
		t.Errorf("problems with %v", fields)
	}
	w.saved(w.ada, id, func(f *fhir.Fields) { f.City = "Netherby" }) // the odd phone is not hers to mend
}

func TestOfTwoChangesAtOnceOneWinsAndTheOtherIsAsked(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton))
	id := w.id("p1")
	for round := range 5 {
		a := w.form(w.ada, id, func(f *fhir.Fields) { f.City = "A" + string(rune('a'+round)) })
		b := w.form(w.bob, id, func(f *fhir.Fields) { f.Country = "B" + string(rune('a'+round)) })
		outs := make([]db.Outcome, 2)
		var wg sync.WaitGroup
		for i, go_ := range []func() (db.Outcome, error){
			func() (db.Outcome, error) { return w.ChangePatient(context.Background(), w.ada, a) },
			func() (db.Outcome, error) { return w.ChangePatient(context.Background(), w.bob, b) },
		} {
			wg.Go(func() {
				var err error
				if outs[i], err = go_(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if outs[0].Saved == outs[1].Saved {
			t.Fatalf("round %d: saved %v and %v", round, outs[0].Saved, outs[1].Saved)
		}
		loser, mine, v, c := outs[0], "city", w.ada, a
		if outs[0].Saved {
			loser, mine, v, c = outs[1], "country", w.bob, b
		}
		n := loser.Newer
		if n == nil || !slices.Equal(n.Mine, []string{mine}) || len(n.Theirs) != 1 || len(n.Both) != 0 || n.Version != c.Version+1 {
			t.Fatalf("round %d: the other is told %+v", round, n)
		}
		c.Version, c.Typed = n.Version, n.Merged
		if out := w.save(v, c); !out.Saved {
			t.Fatalf("round %d: the merge is not saved", round)
		}
		now := w.form(w.ada, id, func(*fhir.Fields) {}).Typed
		if now.City != a.Typed.City || now.Country != b.Typed.Country {
			t.Fatalf("round %d: a change is lost: %+v", round, now)
		}
	}
	if got := value[[]int](t, w.c, `SELECT array_agg(version ORDER BY version) FROM patient_versions`); !slices.Equal(got, []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) {
		t.Errorf("versions %v", got)
	}
}

func TestWhatBothChangedIsAsked(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton))
	id := w.id("p1")
	a := w.form(w.ada, id, func(f *fhir.Fields) { f.Phone, f.Email, f.Gender = "555 0111", "a@ward.invalid", "other" })
	w.saved(w.bob, id, func(f *fhir.Fields) { f.Phone, f.Country, f.Gender = "555 0222", "XX", "other" })
	before := w.everything()
	n := w.save(w.ada, a).Newer
	if n == nil || w.everything() != before {
		t.Fatal("it was written")
	}
	if !slices.Equal(n.Both, []string{"phone"}) || !slices.Equal(n.Mine, []string{"email"}) || !slices.Equal(n.Theirs, []string{"country"}) || n.By.Name != "bob" ||
		n.Now.Phone != "555 0222" || n.Merged.Phone != "555 0111" || n.Merged.Email != "a@ward.invalid" || n.Merged.Country != "XX" || n.Merged.Gender != "other" {
		t.Errorf("%+v", n)
	}
	if k := w.events(`action = 'patient-open' AND outcome = 'success' AND actor = 'beth' AND patients = ARRAY[$1::uuid]`, id); k != 2 {
		t.Errorf("%d openings: the form and the newer version", k)
	}
	// A version that is on no record: then every difference is both sides'.
	a.Version = 77
	if n := w.save(w.ada, a).Newer; n == nil || !slices.Equal(n.Both, []string{"phone", "email", "country"}) {
		t.Errorf("without the version between: %+v", n)
	}
	// The same change again, by somebody who did not see that it is made.
	c := db.Change{ID: id, Version: 1, Typed: n.Now, Today: today}
	if out := w.save(w.ada, c); out.Newer != nil || out.Saved {
		t.Errorf("the same again: %+v", out)
	}
}

func TestANewPatientIsFoundAndCanBeExportedAndImportedAgain(t *testing.T) {
	t.Parallel()
	w := newWard(t, "")
	c := db.Change{ID: db.NewPatientID(), Today: today, Typed: fhir.Fields{Family: "Thistlewood", Given: "Hepzibah Ann", BirthDate: "1990", MRN: "T-1", Phone: "555 0123", Active: "true"}}
	out, err := w.CreatePatient(context.Background(), w.ada, c)
	if err != nil || !out.Saved || out.ID != c.ID {
		t.Fatal(out, err)
	}
	resource := value[string](t, w.c, `SELECT r.resource::text FROM patient_resources r JOIN patients p ON p.id = r.patient_id
		WHERE p.id = $1 AND p.import_key = 'id:' || $1::text AND p.version = 1 AND p.updated_by = 'beth' AND p.imported_sha IS NULL AND p.active`, c.ID)
	var parsed struct{ ResourceType, ID string }
	if err := json.Unmarshal([]byte(resource), &parsed); err != nil || parsed.ResourceType != "Patient" || parsed.ID != c.ID {
		t.Error(resource)
	}
	s, _ := db.ParseSearch("hepzibah thistle", false)
	l, err := w.ListPatients(context.Background(), db.Viewer{Token: w.ada.Token, Roles: db.Roles}, db.ListQuery{Search: s, Sort: db.SortName})
	if err != nil || len(l.Rows) != 1 || l.Rows[0].ID != c.ID {
		t.Error(l.Rows, err)
	}
	if n := w.events(`action = 'patient-create' AND outcome = 'success' AND actor = 'beth' AND patients = ARRAY[$1::uuid] AND detail = '{}'`, c.ID); n != 1 {
		t.Errorf("%d events", n)
	}

	// Twice the same form, as a double click sends it; then another patient under the same id, which is nobody's fault
	// but the browser's.
	if out, err := w.CreatePatient(context.Background(), w.ada, c); err != nil || !out.Saved || out.ID != c.ID {
		t.Error("again:", out, err)
	}
	c.Typed.Family, c.Typed.MRN = "Greenhalgh", ""
	out, err = w.CreatePatient(context.Background(), w.ada, c)
	if err != nil || !out.Saved || out.ID == c.ID {
		t.Error("another:", out, err)
	}
	if n := value[int](t, w.c, `SELECT count(*) FROM patients`); n != 2 {
		t.Errorf("%d patients", n)
	}
	c.Typed = fhir.Fields{}
	if out, err := w.CreatePatient(context.Background(), w.ada, c); err != nil || out.Saved || len(out.Problems) == 0 || out.Username != "beth" {
		t.Error("nothing typed:", out, err)
	}
}

func TestLikelyDuplicatesAreShownBeforeSaving(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton)+resource("p2", `,"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"zz 1"}],"name":[{"family":"Other"}]`))
	ctx, p1, p2 := context.Background(), w.id("p1"), w.id("p2")
	c := db.Change{ID: db.NewPatientID(), Today: today, Typed: fhir.Fields{Family: "QUIMBLETON", Given: "zadok", BirthDate: "1974-12-25", MRN: "ZZ-1"}}
	create := func() (ids []string) {
		t.Helper()
		out, err := w.CreatePatient(ctx, w.ada, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range out.Likely {
			ids = append(ids, p.ID)
		}
		if out.Saved == (len(ids) > 0) {
			t.Fatalf("saved %v and %d duplicates", out.Saved, len(ids))
		}
		return ids
	}
	if got := create(); !slices.Equal(got, []string{p2, p1}) { // the same MRN first
		t.Errorf("%v", got)
	}
	if n := w.events(`action = 'patient-list' AND outcome = 'success' AND actor = 'beth' AND patients = ARRAY[$1::uuid, $2::uuid]`, p2, p1); n != 1 {
		t.Errorf("%d events", n)
	}
	c.Seen = []string{p1}
	if got := create(); len(got) != 2 {
		t.Errorf("one was not seen, shown: %v", got)
	}
	c.Seen = []string{p1, p2, "no id"}
	if got := create(); got != nil {
		t.Errorf("all were seen, shown: %v", got)
	}

	// A change: only what it brings nearer to somebody else.
	if out := w.save(w.ada, w.form(w.ada, c.ID, func(f *fhir.Fields) { f.City = "Netherby" })); !out.Saved {
		t.Errorf("the city: %+v", out)
	}
	if out := w.save(w.ada, w.form(w.ada, p2, func(f *fhir.Fields) { f.MRN = "qx900" })); out.Saved || len(out.Likely) != 1 || out.Likely[0].ID != p1 {
		t.Errorf("the MRN: %+v", out)
	}
	// So many with one MRN that they cannot all be shown: they are shown once.
	must(t, w.c, `INSERT INTO patients (display_name, family_key, given_key, mrn_key, words, resource_sha) SELECT 'x', 'x', 'x', 'unknown', ' x', '' FROM generate_series(1, 30)`)
	many := w.form(w.ada, p2, func(f *fhir.Fields) { f.MRN = "unknown" })
	out := w.save(w.ada, many)
	if len(out.Likely) != 10 {
		t.Fatalf("%d shown", len(out.Likely))
	}
	for _, p := range out.Likely {
		many.Seen = append(many.Seen, p.ID)
	}
	if out := w.save(w.ada, many); !out.Saved {
		t.Errorf("%d shown again", len(out.Likely))
	}
}

// conflict puts one in place as an import does, and returns the imported resource.
func (w *ward) conflict(id string, batch int) string {
	imported := strings.TrimSpace(resource("p1", strings.NewReplacer("Zadok", "Zebulon", "555-0100", "555-0999").Replace(quimbleton)))
	must(w.t, w.c, `INSERT INTO patient_conflicts (patient_id, import_id, last_id, resource, resource_sha) VALUES ($1, $2, $2, $3, sha256($4::bytea))`, id, batch, imported, imported)
	return imported
}

func TestAConflictIsDecided(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, take := range map[string]bool{"keep": false, "take": true} {
		w := newWard(t, resource("p1", quimbleton))
		id := w.id("p1")
		w.saved(w.ada, id, func(f *fhir.Fields) { f.Phone = "555 0111" })
		imported := w.conflict(id, 12)
		page, err := w.OpenPatient(ctx, w.ada, id)
		if err != nil || page.Conflict == nil || page.Conflict.ImportID != 12 || len(page.Conflict.Changes) == 0 {
			t.Fatal(page.Conflict, err)
		}
		before := w.everything()
		for what, stale := range map[string]db.Decision{
			"another version": {ID: id, Version: 1, ImportID: 12, Take: take}, "another import": {ID: id, Version: 2, ImportID: 11, Take: take},
		} {
			if _, err := w.DecideConflict(ctx, w.bob, stale); !errors.Is(err, db.ErrStale) || w.everything() != before {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if _, err := w.DecideConflict(ctx, w.viewer, db.Decision{ID: id, Version: 2, ImportID: 12, Take: take}); !errors.Is(err, db.ErrForbidden) || w.everything() != before {
			t.Errorf("%s, a viewer: %v", name, err)
		}
		if _, err := w.DecideConflict(ctx, w.bob, db.Decision{ID: "x", Version: 2, ImportID: 12, Take: take}); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%s, nobody: %v", name, err)
		}
		if _, err := w.DecideConflict(ctx, w.bob, db.Decision{ID: id, Version: 2, ImportID: 12, Take: take}); err != nil {
			t.Fatal(name, err)
		}
		page, err = w.OpenPatient(ctx, w.ada, id)
		if err != nil || page.Conflict != nil {
			t.Fatal(name, page.Conflict, err)
		}
		want, version := "555 0111", 2
		if take {
			want, version = "555-0999", 3
			if got := value[string](t, w.c, `SELECT resource::text FROM patient_resources`); got != imported {
				t.Errorf("the resource is %s", got)
			}
			if by := page.History[0].By; by.Name != "bob" || by.ImportID != 12 {
				t.Errorf("by %+v", by)
			}
		}
		if page.Phone != want || page.Version != version || len(page.History) != version {
			t.Errorf("%s: phone %s, version %d", name, page.Phone, page.Version)
		}
		if n := value[int](t, w.c, `SELECT count(*) FROM patients WHERE imported_sha = sha256($1::bytea) AND (resource_sha = imported_sha) = $2`, imported, take); n != 1 {
			t.Errorf("%s: the next import would not know what was decided", name)
		}
		for outcome, want := range map[string]int{"success": 1, "refused": 3} {
			if n := w.events(`action = $1 AND outcome = $2`, "conflict-"+name, outcome); n != want {
				t.Errorf("%s: %d %s, want %d", name, n, outcome, want)
			}
		}
	}
}

func TestWhoMayNotChangesNothingAndItIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton))
	ctx, id := context.Background(), w.id("p1")
	w.conflict(id, 12)
	before := w.everything()
	c := w.form(w.ada, id, func(f *fhir.Fields) { f.City = "Netherby" })
	if out, err := w.ChangePatient(ctx, w.viewer, c); !errors.Is(err, db.ErrForbidden) || out.Newer != nil {
		t.Error("change:", err)
	}
	if p, err := w.EditPatient(ctx, w.viewer, id); !errors.Is(err, db.ErrForbidden) || p.Fields != (fhir.Fields{}) {
		t.Error("edit:", err)
	}
	like := db.Change{Today: today, Typed: fhir.Fields{Family: "Quimbleton", Given: "Zadok", BirthDate: "1974-12-25"}}
	if out, err := w.CreatePatient(ctx, w.viewer, like); !errors.Is(err, db.ErrForbidden) || len(out.Likely) > 0 {
		t.Error("create:", err)
	}
	if out, err := w.CreatePatient(ctx, w.viewer, db.Change{Today: today}); !errors.Is(err, db.ErrForbidden) {
		t.Error("create with nothing typed:", out, err)
	}
	if n := w.events(`action = 'access' AND outcome = 'refused' AND actor = 'ada' AND patients = '{}'`); n != 4 {
		t.Errorf("%d refusals, want 4", n)
	}
	for _, unknown := range []string{"00000000-0000-4000-8000-000000000000", "x", ""} {
		c.ID = unknown
		if _, err := w.ChangePatient(ctx, w.ada, c); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("%q: %v", unknown, err)
		}
	}
	if n := w.events(`action = 'patient-change' AND outcome = 'refused' AND actor = 'beth'`); n != 3 {
		t.Errorf("%d refusals for want of the patient", n)
	}
	nobody := db.Viewer{Token: "x", Roles: db.Writers}
	if _, err := w.ChangePatient(ctx, nobody, c); !errors.Is(err, db.ErrNoSession) {
		t.Error(err)
	}
	if _, err := w.CreatePatient(ctx, nobody, like); !errors.Is(err, db.ErrNoSession) {
		t.Error(err)
	}
	if w.everything() != before {
		t.Error("something was written")
	}
}

func TestWithoutTheAuditEventNothingIsChanged(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton))
	ctx, id := context.Background(), w.id("p1")
	w.conflict(id, 12)
	c := w.form(w.ada, id, func(f *fhir.Fields) { f.City = "Netherby" })
	before := w.everything()
	must(t, w.c, `ALTER TABLE audit_events ADD CONSTRAINT closed CHECK (false) NOT VALID`)
	if _, err := w.ChangePatient(ctx, w.ada, c); err == nil {
		t.Error("changed")
	}
	if _, err := w.CreatePatient(ctx, w.ada, db.Change{Today: today, Typed: fhir.Fields{Family: "A"}}); err == nil {
		t.Error("created")
	}
	if _, err := w.EditPatient(ctx, w.ada, id); err == nil {
		t.Error("opened")
	}
	for _, take := range []bool{true, false} {
		if _, err := w.DecideConflict(ctx, w.ada, db.Decision{ID: id, Version: 1, ImportID: 12, Take: take}); err == nil {
			t.Error("decided")
		}
	}
	if w.everything() != before {
		t.Error("something was written")
	}
}

func TestTheHistoryShowsTheNewest(t *testing.T) {
	t.Parallel()
	w := newWard(t, resource("p1", quimbleton))
	id := w.id("p1")
	must(t, w.c, `INSERT INTO patient_versions (patient_id, version, recorded, import_id, resource, resource_sha)
		SELECT $1, n, now() - interval '1 day', n, json_build_object('resourceType', 'Patient', 'gender', CASE n % 2 WHEN 0 THEN 'male' ELSE 'female' END), '' FROM generate_series(1, 60) n`, id)
	must(t, w.c, `UPDATE patients SET version = 61`)
	page, err := w.OpenPatient(context.Background(), w.ada, id)
	if err != nil {
		t.Fatal(err)
	}
	last := page.History[len(page.History)-1]
	if len(page.History) != 50 || !page.More || last.Number != 12 || last.By.ImportID != 12 || last.First || len(last.Changes) != 1 {
		t.Errorf("%d, more %v, last %+v", len(page.History), page.More, last)
	}
}
