package db_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
)

func exported(t *testing.T, d *db.DB, format string) string {
	t.Helper()
	var out bytes.Buffer
	e, err := db.NewExporter(&out, format)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.ExportAll(context.Background(), "test", format, e.Write); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func sortedLines(text string) map[string]int {
	lines := map[string]int{}
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		lines[l]++
	}
	return lines
}

func TestWhatCameInGoesOutFieldForField(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for i := range 120 {
		in.Write(syntheaLike(i))
		in.WriteByte('\n')
	}
	// Numbers, escapes and an order of keys that a reading by way of Go's types would change.
	in.WriteString(`{"id":"odd","resourceType":"Patient","extension":[{"valueDecimal":1.10,"url":"u"},{"url":"e","valueDecimal":1E-3},` +
		`{"url":"big","valueInteger64":12345678901234567890}],"name":[{"family":"\u00c5\/ngstr\u00f6m \ud83d\ude00 <&>"}],"birthDate":"1974"}` + "\n")
	d, _, _ := withPatients(t, in.String())
	if got, want := sortedLines(exported(t, d, db.FormatNDJSON)), sortedLines(in.String()); !reflect.DeepEqual(got, want) {
		t.Errorf("%d lines came out, %d went in, and they are not the same", len(got), len(want))
	}
	var one, two any
	for line := range sortedLines(exported(t, d, db.FormatNDJSON)) { // and it is JSON
		if err := json.Unmarshal([]byte(line), &one); err != nil || reflect.DeepEqual(one, two) {
			t.Fatal(err)
		}
	}
}

func TestAnExportOfSeveralPagesHasEachPatientOnceAndRecordsEach(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for p := range sample.Patients(9, 1100) {
		in.Write(p)
		in.WriteByte('\n')
	}
	big := `{"resourceType":"Patient","id":"big`
	for _, id := range []string{"1", "2", "3"} { // more than a page's bytes together
		in.WriteString(big + id + `","name":[{"family":"Big"}],"photo":[{"data":"` + strings.Repeat("A", 5<<20) + `"}]}` + "\n")
	}
	d, c, _ := withPatients(t, in.String())
	addUser(t, c, "cleo", "clinician")
	v := signedIn(t, d, c, "cleo")
	v.Roles = db.Writers
	var out bytes.Buffer
	e, _ := db.NewExporter(&out, db.FormatNDJSON)
	pages, most := 0, 0
	err := d.ExportPatients(context.Background(), v, db.ListQuery{}, db.FormatNDJSON, func(p []db.ExportedPatient) error {
		pages++
		size := 0
		for _, one := range p {
			size += len(one.Resource)
		}
		most = max(most, size)
		return e.Write(p)
	})
	if got := sortedLines(out.String()); err != nil || pages < 2 || most > 14<<20 || !reflect.DeepEqual(got, sortedLines(in.String())) {
		t.Errorf("%d pages of up to %d bytes, %d lines, %v", pages, most, len(got), err)
	}
	if n := value[int](t, c, `SELECT count(DISTINCT p) FROM audit_events, unnest(patients) p WHERE action = 'export' AND actor = 'cleo' AND outcome = 'success'`); n != 1103 {
		t.Errorf("%d patients were recorded", n)
	}
}

func TestAnExportIsTheListAsFilteredAndForThoseAllowed(t *testing.T) {
	t.Parallel()
	d, c, viewer := withPatients(t, resource("1", `,"name":[{"family":"Abel"}],"gender":"male"`)+resource("2", `,"name":[{"family":"Abel"}],"gender":"female"`)+named("3", "Baker"))
	addUser(t, c, "cleo", "clinician")
	cleo := signedIn(t, d, c, "cleo")
	search, err := db.ParseSearch("abel", false)
	if err != nil {
		t.Fatal(err)
	}
	q := db.ListQuery{Search: search, Filter: db.Filter{Gender: "female"}}
	count := func(v db.Viewer, q db.ListQuery) (n int, err error) {
		v.Roles = db.Writers
		err = d.ExportPatients(context.Background(), v, q, db.FormatCSV, func(p []db.ExportedPatient) error { n += len(p); return nil })
		return n, err
	}
	if n, err := count(cleo, q); n != 1 || err != nil {
		t.Errorf("filtered: %d, %v", n, err)
	}
	if n, err := count(viewer, q); n != 0 || !errors.Is(err, db.ErrForbidden) {
		t.Errorf("a viewer: %d, %v", n, err)
	}
	if value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'access' AND outcome = 'refused' AND actor = 'ada'`) != 1 {
		t.Error("the refusal was not recorded")
	}
	q.UserID = 99
	if n, err := count(cleo, q); n != 0 || !errors.Is(err, db.ErrForeignList) {
		t.Errorf("somebody else's list: %d, %v", n, err)
	}
	if n, err := count(db.Viewer{Token: "x"}, db.ListQuery{}); n != 0 || !errors.Is(err, db.ErrNoSession) {
		t.Errorf("nobody: %d, %v", n, err)
	}
	must(t, c, `ALTER TABLE audit_events ADD CONSTRAINT none CHECK (action <> 'export') NOT VALID`)
	if n, err := count(cleo, db.ListQuery{}); n != 0 || err == nil {
		t.Errorf("without an event there were %d patients, %v", n, err)
	}
}

func TestAUserWhoIsDisabledDuringAnExportGetsNoMore(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for p := range sample.Patients(9, 1050) {
		in.Write(p)
		in.WriteByte('\n')
	}
	d, c, _ := withPatients(t, in.String())
	addUser(t, c, "cleo", "clinician")
	v := signedIn(t, d, c, "cleo")
	v.Roles = db.Writers
	n := 0
	err := d.ExportPatients(context.Background(), v, db.ListQuery{}, db.FormatCSV, func(p []db.ExportedPatient) error {
		n += len(p)
		must(t, c, `UPDATE users SET is_active = false WHERE username = 'cleo'`)
		return nil
	})
	if n != 1000 || !errors.Is(err, db.ErrNoSession) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestCSVIsGuardedAgainstFormulas(t *testing.T) {
	t.Parallel()
	d, _, _ := withPatients(t, resource("1", `,"name":[{"family":"=HYPERLINK(\"x\")","given":["@SUM","b\"c, d"]}],"telecom":[{"system":"phone","value":"+1 555-0100"},{"system":"email","value":"-x@example.org"}],"address":[{"city":"Two, Towns"}]`)+resource("2", ""))
	rows, err := csv.NewReader(strings.NewReader(exported(t, d, db.FormatCSV))).ReadAll()
	if err != nil || len(rows) != 3 || strings.Join(rows[0], ",") != "id,mrn,family,given,birth_date,gender,phone,email,city,status,updated" {
		t.Fatalf("%q, %v", rows, err)
	}
	if got := strings.Join(rows[1][2:10], "|"); got != `'=HYPERLINK("x")|'@SUM b"c, d|||'+1 555-0100|'-x@example.org|Two, Towns|active` {
		t.Error(got)
	}
	// A comma is the decimal sign in half of Europe, and the separator a semicolon.
	d, _, _ = withPatients(t, resource("1", `,"name":[{"family":"Ames;=cmd|x!A1","given":["Bo; \"+1","C;D"]}]`))
	rows, err = csv.NewReader(strings.NewReader(exported(t, d, db.FormatCSV))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%q, %v", rows, err)
	}
	if got := strings.Join(rows[1][2:], "|"); !strings.HasPrefix(got, `Ames;'=cmd|x!A1|Bo; "'+1 C;D|`) {
		t.Errorf("%q", got)
	}
	if empty := exported(t, dbtest.New(t), db.FormatCSV); strings.Count(empty, "\n") != 1 {
		t.Errorf("nobody: %q", empty)
	}
}
