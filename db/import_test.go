package db_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
)

func load(t *testing.T, d *db.DB, text string) (db.ImportReport, []string) {
	t.Helper()
	var rejects []string
	r, err := d.ImportPatients(context.Background(), strings.NewReader(text), db.ImportOptions{Actor: "test",
		Rejected: func(where, why string) { rejects = append(rejects, where+": "+why) }})
	if err != nil {
		t.Fatal(err)
	}
	return r, rejects
}

func TestImportingAgainUpdates(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	one, two := resource("1", `,"name":[{"family":"Abel"}]`), resource("2", `,"name":[{"family":"Baker"}]`)
	r, _ := load(t, d, one+two)
	if r != (db.ImportReport{Created: 2}) {
		t.Fatalf("%+v", r)
	}
	ids := value[string](t, c, `SELECT string_agg(id::text, ',' ORDER BY import_key) FROM patients`)
	before := value[string](t, c, `SELECT updated_at::text FROM patients WHERE import_key = 'id:1'`)
	r, _ = load(t, d, one+resource("2", `,"name":[{"family":"Cooper"}],"gender":"female"`)+resource("3", ``))
	if r != (db.ImportReport{Created: 1, Updated: 1, Unchanged: 1}) {
		t.Errorf("%+v", r)
	}
	if got := value[string](t, c, `SELECT string_agg(id::text, ',' ORDER BY import_key) FROM patients WHERE import_key <> 'id:3'`); got != ids {
		t.Error("a patient got another id")
	}
	if got := value[string](t, c, `SELECT updated_at::text FROM patients WHERE import_key = 'id:1'`); got != before {
		t.Error("an unchanged patient counts as updated")
	}
	if got := value[string](t, c, `SELECT family || ' ' || gender || ' ' || version || ' ' || words || resource::text FROM patients JOIN patient_resources ON patient_id = id WHERE import_key = 'id:2'`); got !=
		"Cooper female 2  cooper"+strings.TrimSpace(resource("2", `,"name":[{"family":"Cooper"}],"gender":"female"`)) {
		t.Errorf("updated to %q", got)
	}
	if got := value[[]int](t, c, `SELECT array_agg(cardinality(patients) ORDER BY id) FROM audit_events WHERE action = 'import'`); fmt.Sprint(got) != "[2 2]" {
		t.Errorf("recorded %v patients", got)
	}
}

func TestABadLineIsRejectedWithItsNumberAndTheRestGoesIn(t *testing.T) {
	t.Parallel()
	d, _ := dbtest.Open(t)
	text := resource("1", ``) + "{\"resourceType\":\"Patient\",\n" + "\n" + `{"resourceType":"Observation"}` + "\r\n" +
		`{"resourceType":"Patient","birthDate":"1974-02-31"}` + "\n" + `{"name":"nothing"}` + "\n" + `[1]` + "\n" +
		`{"resourceType":"Patient","id":"2","name":[{"family":"` + "\xff" + `"}]}` + "\n" + resource("3", `,"gender":"F"`) + resource("4", ``)
	r, rejects := load(t, d, text)
	if r.Created != 2 || r.Rejected != 6 || r.Other != 1 {
		t.Errorf("%+v", r)
	}
	for i, where := range []string{"line 2", "line 5", "line 6", "line 7", "line 8", "line 9"} {
		if i >= len(rejects) || !strings.HasPrefix(rejects[i], where) || len(rejects[i]) < len(where)+10 {
			t.Errorf("rejects: %q, want one for %s", rejects, where)
			break
		}
	}
	if strings.Contains(strings.Join(rejects, ""), "1974") {
		t.Error("a reason holds a value")
	}
}

func TestNoPatientIsLostHoweverOdd(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "viewer")
	v := signedIn(t, d, c, "ada")
	files, err := filepath.Glob(filepath.Join(dbtest.Root(), "db", "fhir", "testdata", "patient", "*.json"))
	if err != nil || len(files) < 8 {
		t.Fatal("where are the odd patients?", files, err)
	}
	want := map[string]bool{}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		r, rejects := load(t, d, string(content))
		if r.Created != 1 {
			t.Errorf("%s: %+v %v", filepath.Base(f), r, rejects)
		}
		want[strings.TrimSpace(string(content))] = true
	}
	l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName, Count: true})
	if err != nil || l.Found != len(files) {
		t.Errorf("%d of %d listed, %v", l.Found, len(files), err)
	}
	for _, p := range l.Rows {
		if _, err := d.OpenPatient(context.Background(), v, p.ID); err != nil {
			t.Errorf("%s: %v", p.DisplayName, err)
		}
	}
	rows, err := c.Query(context.Background(), `SELECT resource::text FROM patient_resources`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		if !want[strings.TrimSpace(text)] {
			t.Errorf("a resource is not as it came:\n%s", text)
		}
	}
}

func TestResourcesWithoutAnIDAreEachAPatient(t *testing.T) {
	t.Parallel()
	d, _ := dbtest.Open(t)
	same := `{"resourceType":"Patient","name":[{"text":"Baby"}]}` + "\n"
	text := same + same + `{"resourceType":"Patient"}` + "\n"
	if r, _ := load(t, d, text); r != (db.ImportReport{Created: 3}) {
		t.Errorf("%+v", r)
	}
	if r, _ := load(t, d, text); r != (db.ImportReport{Unchanged: 3}) {
		t.Errorf("again: %+v", r)
	}
	if r, _ := load(t, d, text+same); r != (db.ImportReport{Unchanged: 3, Created: 1}) {
		t.Errorf("with one more: %+v", r)
	}
}

func TestTheSamePatientTwiceInAFileIsTheLaterOne(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	r, _ := load(t, d, resource("1", `,"name":[{"family":"First"}]`)+resource("2", ``)+resource("1", `,"name":[{"family":"Second"}]`))
	if r != (db.ImportReport{Created: 2, Updated: 1}) {
		t.Errorf("%+v", r)
	}
	if got := value[string](t, dbtest.Conn(t, url), `SELECT family FROM patients WHERE import_key = 'id:1'`); got != "Second" {
		t.Error(got)
	}
}

func TestBundlesOfEachKindAndPackedFiles(t *testing.T) {
	t.Parallel()
	bundle := func(kind string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[
			{"fullUrl":"urn:uuid:aaaaaaaa-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","name":[{"family":"Abel"}]},"request":{"method":"POST","url":"Patient"}},
			{"request":{"method":"DELETE","url":"Patient/9"}},
			{"resource":{"resourceType":"Observation","id":"o"}},
			{"resource":{"resourceType":"Patient","id":"b2","birthDate":"nonsense"}},
			{"resource":{"resourceType":"Patient","id":"b3"}}]}`
	}
	var gz, zs bytes.Buffer
	w := gzip.NewWriter(&gz)
	w.Write([]byte(bundle("searchset")))
	w.Close()
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	z.Write([]byte(bundle("transaction")))
	z.Close()
	for name, text := range map[string]string{"collection": bundle("collection"), "one line": strings.Join(strings.Fields(bundle("searchset")), " "),
		"gzip": gz.String(), "zstd": zs.String()} {
		t.Run(name, func(t *testing.T) {
			d, _ := dbtest.Open(t)
			want := db.ImportReport{Created: 2, Rejected: 1, Other: 1}
			if r, rejects := load(t, d, text); r != want || len(rejects) != 1 || !strings.Contains(rejects[0], "entry 4") {
				t.Errorf("%+v, %q", r, rejects)
			}
			if r, _ := load(t, d, text); r != (db.ImportReport{Unchanged: 2, Rejected: 1, Other: 1}) {
				t.Errorf("again: %+v", r)
			}
		})
	}
}

func TestTwoImportsAtOnceDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	var all [][]byte
	for p := range sample.Patients(5, 3000) {
		all = append(all, p)
	}
	d, url := dbtest.Open(t)
	var wg sync.WaitGroup
	for _, backwards := range []bool{false, true} {
		wg.Go(func() {
			var text bytes.Buffer
			for i := range all {
				if backwards {
					i = len(all) - 1 - i
				}
				text.Write(append(bytes.Clone(all[i]), '\n'))
			}
			if _, err := d.ImportPatients(context.Background(), &text, db.ImportOptions{Actor: "test"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := value[int](t, dbtest.Conn(t, url), `SELECT count(*) FROM patients`); n != 3000 {
		t.Errorf("%d patients", n)
	}
}

func TestAFileThatBreaksOffKeepsWhatCameBefore(t *testing.T) {
	t.Parallel()
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	for p := range sample.Patients(5, 2000) {
		w.Write(append(p, '\n'))
	}
	w.Close()
	d, _ := dbtest.Open(t)
	r, err := d.ImportPatients(context.Background(), bytes.NewReader(gz.Bytes()[:gz.Len()/2]), db.ImportOptions{Actor: "test"})
	if err == nil || r.Created < 500 {
		t.Errorf("%+v, %v", r, err)
	}
	r, err = d.ImportPatients(context.Background(), &gz, db.ImportOptions{Actor: "test"})
	if err != nil || r.Patients() != 2000 || r.Unchanged < 500 {
		t.Errorf("run again: %+v, %v", r, err)
	}
}

func TestWhatMakesABundlesEntryTheSamePatient(t *testing.T) {
	t.Parallel()
	bundle := func(entries ...string) string {
		var all []string
		for i := 0; i < len(entries); i += 2 {
			all = append(all, fmt.Sprintf(`{"fullUrl":%q,"resource":{"resourceType":"Patient","name":[{"family":%q}]}}`, entries[i], entries[i+1]))
		}
		return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(all, ",") + `]}`
	}
	for name, c := range map[string]struct {
		first, second string
		want          int
	}{
		"the same UUID":                          {bundle("urn:uuid:6f960000-0000-4000-8000-00000000000a", "Smith"), bundle("urn:uuid:6f960000-0000-4000-8000-00000000000a", "Jones"), 1},
		"the same UUID in capitals":              {bundle("urn:uuid:6f960000-0000-4000-8000-00000000000a", "Smith"), bundle("urn:uuid:6F960000-0000-4000-8000-00000000000A", "Jones"), 1},
		"the same place on a server":             {bundle("https://s.example/fhir/Patient/17", "Smith"), bundle("https://s.example/fhir/Patient/17", "Jones"), 1},
		"a name that is local to a Bundle":       {bundle("urn:uuid:patient", "Smith"), bundle("urn:uuid:patient", "Jones"), 2},
		"names that differ in what is no text":   {bundle("urn:uuid:\\ud800", "Smith", "urn:uuid:\\ud801", "Jones"), bundle("urn:uuid:\\ud800", "Smith"), 2},
		"no name at all, and different contents": {bundle("", "Smith"), bundle("", "Jones"), 2},
	} {
		d, url := dbtest.Open(t)
		load(t, d, c.first)
		load(t, d, c.second)
		if n := value[int](t, dbtest.Conn(t, url), `SELECT count(*) FROM patients`); n != c.want {
			t.Errorf("%s: %d patients, want %d", name, n, c.want)
		}
	}
}

func TestImportingInEveryModeThatAnAddressMayAskFor(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	for i, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		d := dbtest.OpenURL(t, url+"&default_query_exec_mode="+mode, time.Hour)
		r, _ := load(t, d, resource("same", fmt.Sprintf(`,"name":[{"family":"Round %d"}]`, i))+resource(fmt.Sprint(i), ``)+`{"resourceType":"Patient"}`)
		if r.Patients() != 3 || r.Rejected != 0 {
			t.Errorf("%s: %+v", mode, r)
		}
	}
}

func TestAVeryLongNameIsKeptWholeAndShownShort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Ä", 100_000)
	d, c, v := withPatients(t, resource("1", `,"name":[{"family":"`+long+`"}]`))
	l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName})
	if err != nil || len(l.Rows[0].DisplayName) > 500 {
		t.Errorf("%d bytes, %v", len(l.Rows[0].DisplayName), err)
	}
	if !value[bool](t, c, `SELECT resource->'name'->0->>'family' = $1 FROM patient_resources`, long) {
		t.Error("the resource lost a part of the name")
	}
}
