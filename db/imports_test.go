package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func named(id, family string) string { return resource(id, `,"name":[{"family":"`+family+`"}]`) }

// editedByHand changes a patient as a person's edit does.
func editedByHand(t *testing.T, c *pgx.Conn, id, family string) {
	t.Helper()
	text := strings.TrimSpace(named(id, family))
	must(t, c, `WITH old AS (
			SELECT p.id, p.version, p.updated_at, p.updated_by, p.import_id, r.resource, p.resource_sha, p.imported_sha
			FROM patients p JOIN patient_resources r ON r.patient_id = p.id WHERE import_key = 'id:' || $1
			FOR UPDATE OF p, r -- as an import does, or each could wait for the other
		), kept AS (
			INSERT INTO patient_versions (patient_id, version, recorded, updated_by, import_id, resource, resource_sha, imported_sha) SELECT * FROM (
				SELECT id, version, updated_at, updated_by, import_id, resource, resource_sha, imported_sha FROM old) o
		), replaced AS (
			UPDATE patient_resources r SET resource = $2::text::json FROM old WHERE patient_id = old.id
		)
		UPDATE patients p SET version = p.version + 1, family = $3, family_key = lower($3), words = ' ' || lower($3),
			resource_sha = sha256(convert_to($2, 'UTF8')), import_id = NULL, updated_by_id = 1, updated_by = 'ada' FROM old WHERE p.id = old.id`,
		id, text, family)
}

// state is what a test compares: the present version of a patient and all before it.
func state(t *testing.T, c *pgx.Conn, id string) string {
	t.Helper()
	return value[string](t, c, `
		SELECT p.version || ' ' || p.family || ' ' || coalesce(p.import_id::text, '-') || ' ' || p.updated_by
		       || coalesce((SELECT string_agg(' < ' || v.version || ' ' || (v.resource->'name'->0->>'family') || ' ' || coalesce(v.import_id::text, '-'), '' ORDER BY v.version DESC)
		                    FROM patient_versions v WHERE v.patient_id = p.id), '')
		       || coalesce((SELECT ' ? ' || (c.resource->'name'->0->>'family') || ' ' || c.import_id FROM patient_conflicts c WHERE c.patient_id = p.id), '')
		FROM patients p JOIN patient_resources r ON r.patient_id = p.id
		WHERE import_key = 'id:' || $1 AND r.resource->'name'->0->>'family' = p.family
		  AND p.resource_sha = sha256(convert_to(r.resource::text, 'UTF8'))`, id)
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestWhatWasChangedHereIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	imports := func(families ...string) db.ImportReport {
		t.Helper()
		var text string
		for i, f := range families {
			text += named(fmt.Sprint(i+1), f)
		}
		r, _ := load(t, d, text)
		return r
	}
	imports("Abel", "Baker", "Cooper")
	editedByHand(t, c, "1", "Adler")
	editedByHand(t, c, "2", "Bauer")
	if r := imports("Abel", "Baker", "Cooper"); r != (db.ImportReport{Unchanged: 3}) {
		t.Errorf("the same again: %+v", r)
	}
	expect(t, "the same again", state(t, c, "1"), "2 Adler - ada < 1 Abel 1")
	if r := imports("Arnold", "Bauer", "Cox"); r != (db.ImportReport{Conflicts: 1, Unchanged: 1, Updated: 1}) {
		t.Errorf("something else: %+v", r)
	}
	expect(t, "conflict", state(t, c, "1"), "2 Adler - ada < 1 Abel 1 ? Arnold 3")
	expect(t, "converged", state(t, c, "2"), "2 Bauer - ada < 1 Baker 1")
	expect(t, "updated", state(t, c, "3"), "2 Cox 3  < 1 Cooper 1")
	events := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'import'`)
	if r := imports("Arnold", "Bauer", "Cox"); r != (db.ImportReport{Conflicts: 1, Unchanged: 2}) {
		t.Errorf("the conflict again: %+v", r)
	}
	expect(t, "the conflict again", state(t, c, "1"), "2 Adler - ada < 1 Abel 1 ? Arnold 3")
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'import'`); n != events {
		t.Error("a conflict that waits already was written again")
	}
	if r := imports("Archer", "Becker", "Cox"); r != (db.ImportReport{Conflicts: 1, Updated: 1, Unchanged: 1}) {
		t.Errorf("after all: %+v", r)
	}
	expect(t, "a newer conflict", state(t, c, "1"), "2 Adler - ada < 1 Abel 1 ? Archer 5")
	expect(t, "converged, then updated", state(t, c, "2"), "3 Becker 5  < 2 Bauer - < 1 Baker 1")
	if r := imports("Adler"); r != (db.ImportReport{Unchanged: 1}) {
		t.Errorf("what is here comes: %+v", r)
	}
	expect(t, "a conflict that is settled", state(t, c, "1"), "2 Adler - ada < 1 Abel 1")
}

func TestAPatientMadeHereCountsAsChangedHere(t *testing.T) {
	t.Parallel()
	d, c, _ := withPatients(t, named("1", "Abel")+named("2", "Baker"))
	must(t, c, `UPDATE patients SET imported_sha = NULL, import_id = NULL`)
	if r, _ := load(t, d, named("1", "Abel")+named("2", "Bauer")); r != (db.ImportReport{Unchanged: 1, Conflicts: 1}) {
		t.Errorf("%+v", r)
	}
	if r, _ := load(t, d, named("1", "Adler")); r != (db.ImportReport{Updated: 1}) {
		t.Errorf("it had come from outside once: %+v", r)
	}
}

// TestAnEditDuringAnImportIsNeverLost lets one patient be edited over and over while imports go on.
func TestAnEditDuringAnImportIsNeverLost(t *testing.T) {
	t.Parallel()
	d, c, _ := withPatients(t, named("1", "Start"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 40 {
			load(t, d, named("1", fmt.Sprintf("Import%d", i))+named(fmt.Sprint("other", i), "Other"))
		}
	}()
	edits := 0
	for running := true; running; edits++ {
		select {
		case <-done:
			running = false
		default:
			editedByHand(t, c, "1", fmt.Sprintf("Edit%d", edits))
		}
	}
	// Every edit is a version of its own, and none is missing between.
	got := value[int](t, c, `SELECT count(DISTINCT version) FROM (SELECT version FROM patient_versions UNION ALL SELECT version FROM patients WHERE import_key = 'id:1') v`)
	if want := value[int](t, c, `SELECT version FROM patients WHERE import_key = 'id:1'`); got != want || want < edits {
		t.Errorf("%d versions of %d, %d edits", got, want, edits)
	}
	if n := value[int](t, c, `SELECT count(*) FROM patient_versions v WHERE import_id IS NOT NULL AND EXISTS (
		SELECT 1 FROM patient_versions before WHERE before.version = v.version - 1 AND before.import_id IS NULL AND before.resource_sha <> v.imported_sha AND before.updated_by = 'ada')`); n > 0 {
		t.Errorf("%d edits were overwritten by an import", n)
	}
}

func TestADryRunTellsAllAndWritesNothing(t *testing.T) {
	t.Parallel()
	d, c, _ := withPatients(t, named("1", "Abel")+named("2", "Baker"))
	editedByHand(t, c, "2", "Bauer")
	everything := func() string {
		return value[string](t, c, `SELECT (SELECT json_agg(p ORDER BY id)::text FROM patients p) || (SELECT json_agg(r ORDER BY patient_id)::text FROM patient_resources r)
			|| (SELECT count(*) FROM patient_versions) || ' ' || (SELECT count(*) FROM patient_conflicts) || ' ' || (SELECT count(*) FROM audit_events)
			|| (SELECT json_agg(i)::text FROM imports i) || (SELECT count(*) FROM name_words)`)
	}
	text := named("1", "Adler") + named("2", "Becker") + named("3", "Cooper") + named("3", "Cox") + named("3", "Cox") + "nonsense\n" +
		resource("", "") + `{"resourceType":"Patient"}` + "\n" + `{"resourceType":"Patient"}` + "\n" + `{"resourceType":"Encounter"}` + "\n"
	before := everything()
	r, err := d.ImportPatients(context.Background(), strings.NewReader(text), db.ImportOptions{Actor: "test", DryRun: true})
	if err != nil || everything() != before {
		t.Errorf("it wrote something, or failed: %v", err)
	}
	if real, _ := load(t, d, text); real != r || r.Created != 3 || r.Conflicts != 1 || r.Updated != 2 || r.Unchanged != 1 || r.Rejected != 2 || r.Other != 1 {
		t.Errorf("said %+v, became %+v", r, real)
	}
}

func TestManyOfOnePatientInAFileEndWithTheLast(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	var text strings.Builder
	for i := range 6000 { // more than a batch, so that several are under way at once
		text.WriteString(named(fmt.Sprint(i%1500), fmt.Sprintf("Round%d", i/1500)))
	}
	if r, _ := load(t, d, text.String()); r != (db.ImportReport{Created: 1500, Updated: 4500}) {
		t.Errorf("%+v", r)
	}
	if n := value[int](t, dbtest.Conn(t, url), `SELECT count(*) FROM patients WHERE family = 'Round3' AND version = 4`); n != 1500 {
		t.Errorf("%d are the last", n)
	}
}

func TestImportsAreListedWithWhatTheyDid(t *testing.T) {
	t.Parallel()
	d, _, _ := withPatients(t, named("1", "Abel")+named("2", "Baker"))
	im, err := d.BeginImport(context.Background(), db.ImportOptions{Actor: "command line: ada"})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{named("1", "Adler") + "nonsense\n", named("3", "Cooper") + `{"resourceType":"Encounter"}`} {
		if _, err := im.Read(context.Background(), strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := d.ListImports(context.Background())
	if err != nil || len(list) != 2 || !list[0].Running || list[0].FinishedAt != nil || list[1].Running || list[1].FinishedAt == nil {
		t.Fatalf("while it runs: %+v, %v", list, err)
	}
	if _, err := d.UndoImport(context.Background(), "test", im.Number(), nil); !errors.Is(err, db.ErrImportRunning) {
		t.Errorf("taken back while it runs: %v", err)
	}
	if err := im.End(context.Background()); err != nil {
		t.Fatal(err)
	}
	list, err = d.ListImports(context.Background())
	if l := list[0]; err != nil || l.ID != im.Number() || l.Running || l.FinishedAt == nil || l.Actor != "command line: ada" || l.Created != 1 || l.Updated != 1 || l.Rejected != 1 || l.Other != 1 || l.UndoneAt != nil {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestAnImportCanBeTakenBack(t *testing.T) {
	t.Parallel()
	d, c, _ := withPatients(t, named("kept", "Abel")+named("updated", "Baker")+named("edited", "Cooper"))
	editedByHand(t, c, "edited", "Cox")
	load(t, d, named("kept", "Abel")+named("updated", "Bauer")+named("edited", "Conflict")+named("new", "Dorn")+named("mine", "Frank")+
		named("twice", "One")+named("twice", "Two"))
	editedByHand(t, c, "mine", "Franke")
	var left []string
	undo := func(n int) (db.UndoReport, error) {
		left = nil
		return d.UndoImport(context.Background(), "ada", n, func(id string, _ int) { left = append(left, id) })
	}
	mine := value[string](t, c, `SELECT id::text FROM patients WHERE import_key = 'id:mine'`)
	r, err := undo(2)
	if err != nil || r != (db.UndoReport{Deleted: 2, Restored: 1, Left: 1, Conflicts: 1}) || !reflect.DeepEqual(left, []string{mine}) {
		t.Errorf("%+v, %v, %v", r, left, err)
	}
	expect(t, "kept", state(t, c, "kept"), "1 Abel 1 ")
	expect(t, "updated", state(t, c, "updated"), "3 Baker 1 undo of import 2 < 2 Bauer 2 < 1 Baker 1")
	expect(t, "edited", state(t, c, "edited"), "2 Cox - ada < 1 Cooper 1")
	expect(t, "who is there", value[string](t, c, `SELECT string_agg(import_key, ' ' ORDER BY import_key) FROM patients`), "id:edited id:kept id:mine id:updated")
	expect(t, "leftovers", value[string](t, c, `SELECT concat_ws(' ', (SELECT count(*) FROM patient_resources r WHERE NOT EXISTS (SELECT 1 FROM patients p WHERE p.id = patient_id)),
		(SELECT count(*) FROM patient_versions WHERE NOT EXISTS (SELECT 1 FROM patients p WHERE p.id = patient_id)), (SELECT count(*) FROM patient_conflicts))`), "0 0 0")
	expect(t, "audited", value[string](t, c, `SELECT string_agg(cardinality(patients) || ' ' || detail::text, ', ' ORDER BY id) FROM audit_events WHERE action = 'import-undo' AND actor = 'ada' AND (detail->>'import')::int = 2`),
		`3 {"import": 2, "deleted": 2, "restored": 1}, 1 {"left": 1, "import": 2, "confirmed": 0, "conflicts": 1}`)
	if _, err := undo(2); !errors.Is(err, db.ErrImportUndone) {
		t.Errorf("twice: %v", err)
	}
	if _, err := undo(99); !errors.Is(err, db.ErrNoImport) {
		t.Errorf("none: %v", err)
	}
	if r, _ := load(t, d, named("updated", "Baker")); r != (db.ImportReport{Unchanged: 1}) {
		t.Errorf("what was put back counts as imported: %+v", r)
	}
	// What an import that was taken back had written is no version to go back to; the third stands for one patient.
	if r, err := undo(1); err != nil || r != (db.UndoReport{Deleted: 1, Left: 1, Confirmed: 1}) {
		t.Errorf("the first: %+v, %v", r, err)
	}
}

func TestWhatALaterImportBroughtAgainIsNotTakenBack(t *testing.T) {
	t.Parallel()
	d, c, _ := withPatients(t, named("both", "Abel")+named("one", "Baker"))
	load(t, d, named("both", "Abel")+named("two", "Cooper"))
	for range 2 {
		load(t, d, named("both", "Abel"))
	}
	both := value[string](t, c, `SELECT id::text FROM patients WHERE import_key = 'id:both'`)
	var by map[string]int
	undo := func(n int, want db.UndoReport, there string) {
		t.Helper()
		by = map[string]int{}
		r, err := d.UndoImport(context.Background(), "ada", n, func(id string, confirmedBy int) { by[id] = confirmedBy })
		if err != nil || r != want {
			t.Errorf("undo %d: %+v, %v", n, r, err)
		}
		expect(t, fmt.Sprintf("after undo %d", n), value[string](t, c, `SELECT coalesce(string_agg(import_key, ' ' ORDER BY import_key), '') FROM patients`), there)
	}
	undo(1, db.UndoReport{Deleted: 1, Confirmed: 1}, "id:both id:two")
	if by[both] != 4 {
		t.Errorf("named: %v", by)
	}
	undo(4, db.UndoReport{}, "id:both id:two") // 2 and 3 stand for it
	undo(2, db.UndoReport{Deleted: 1}, "id:both")
	if r, err := d.UndoImport(context.Background(), "ada", 1, nil); !errors.Is(err, db.ErrImportUndone) {
		t.Errorf("%+v, %v: an import between still stands", r, err)
	}
	undo(3, db.UndoReport{}, "id:both")
	undo(1, db.UndoReport{Deleted: 1}, "")
	expect(t, "leftovers", value[string](t, c, `SELECT count(*)::text FROM patient_confirmations`), "0")
}

func TestAConflictGoesOnlyWithTheLastImportThatBroughtIt(t *testing.T) {
	t.Parallel()
	d, c, _ := withPatients(t, named("1", "Abel"))
	editedByHand(t, c, "1", "Adler")
	var told []string
	for range 2 {
		_, err := d.ImportPatients(context.Background(), strings.NewReader(named("1", "Arnold")),
			db.ImportOptions{Actor: "test", Conflict: func(id string) { told = append(told, id) }})
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{value[string](t, c, `SELECT id::text FROM patients`)}; !reflect.DeepEqual(told, want) {
		t.Errorf("told of %v, want %v", told, want)
	}
	expect(t, "brought twice", state(t, c, "1"), "2 Adler - ada < 1 Abel 1 ? Arnold 2")
	for _, step := range []struct {
		undo int
		want db.UndoReport
		left string
	}{
		{2, db.UndoReport{}, " ? Arnold 2"},
		{3, db.UndoReport{Conflicts: 1}, ""},
	} {
		r, err := d.UndoImport(context.Background(), "ada", step.undo, nil)
		if err != nil || r != step.want {
			t.Errorf("undo %d: %+v, %v", step.undo, r, err)
		}
		expect(t, fmt.Sprintf("after undo %d", step.undo), state(t, c, "1"), "2 Adler - ada < 1 Abel 1"+step.left)
	}
	load(t, d, named("1", "Arnold"))
	load(t, d, named("1", "Abel"))
	expect(t, "what had been comes again", state(t, c, "1"), "2 Adler - ada < 1 Abel 1")
}

func TestImportsAndUndoesKeepOutOfEachOthersWay(t *testing.T) {
	t.Parallel()
	d, c, _ := withPatients(t, named("1", "Abel"))
	load(t, d, named("2", "Baker"))
	im, err := d.BeginImport(context.Background(), db.ImportOptions{Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.UndoImport(context.Background(), "ada", 1, nil); !errors.Is(err, db.ErrImportRunning) {
		t.Errorf("while an import runs: %v", err)
	}
	if err := im.End(context.Background()); err != nil {
		t.Fatal(err)
	}
	must(t, c, `SELECT pg_advisory_lock(x'696d70'::int, 0)`) // as an undo does
	if _, err := d.UndoImport(context.Background(), "ada", 1, nil); !errors.Is(err, db.ErrUndoRunning) {
		t.Errorf("two undoes at once: %v", err)
	}
	if _, err := d.BeginImport(context.Background(), db.ImportOptions{Actor: "test"}); !errors.Is(err, db.ErrUndoRunning) {
		t.Errorf("an import during an undo: %v", err)
	}
	must(t, c, `SELECT pg_advisory_unlock_all()`)
	if r, err := d.UndoImport(context.Background(), "ada", 1, nil); err != nil || r.Deleted != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTakingBackGoesOnWhereItWasCutOff(t *testing.T) {
	t.Parallel()
	var first, second strings.Builder
	for i := range 2500 {
		first.WriteString(named(fmt.Sprint(i), "Before"))
		second.WriteString(named(fmt.Sprint(i), "After"))
	}
	d, c, _ := withPatients(t, first.String())
	load(t, d, second.String())
	// The second batch of the undoing meets a row that it may not change.
	must(t, c, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF (SELECT count(*) FROM patients WHERE updated_by <> '') >= 1000 THEN RAISE EXCEPTION 'cut off'; END IF; RETURN NEW; END $$`)
	must(t, c, `CREATE TRIGGER refuse BEFORE UPDATE ON patients FOR EACH STATEMENT EXECUTE FUNCTION refuse()`)
	if r, err := d.UndoImport(context.Background(), "ada", 2, nil); err == nil || r.Restored != 1000 {
		t.Fatalf("%+v, %v", r, err)
	}
	must(t, c, `DROP TRIGGER refuse ON patients`)
	if r, err := d.UndoImport(context.Background(), "ada", 2, nil); err != nil || r != (db.UndoReport{Restored: 1500}) {
		t.Errorf("%+v, %v", r, err)
	}
	if n := value[int](t, c, `SELECT count(*) FROM patients WHERE family = 'Before' AND version = 3`); n != 2500 {
		t.Errorf("%d are as before", n)
	}
}

func TestAnImportThatCrashedCanBeTakenBack(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	written := make(chan struct{}, 100)
	wg.Go(func() {
		_, err := d.ImportPatients(ctx, r, db.ImportOptions{Actor: "test", Progress: func(db.ImportReport) { written <- struct{}{} }})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
	for i := range 4001 {
		fmt.Fprint(w, named(fmt.Sprint(i), "Abel"))
	}
	<-written
	cancel() // while it waits for more, which never comes
	wg.Wait()
	list, err := d.ListImports(context.Background())
	// The server may have the batch in hand for a moment that was being written.
	for until := time.Now().Add(10 * time.Second); err == nil && len(list) == 1 && list[0].Running && time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		list, err = d.ListImports(context.Background())
	}
	if err != nil || len(list) != 1 || list[0].FinishedAt != nil || list[0].Running || list[0].Created < 2000 {
		t.Fatalf("%+v, %v", list, err)
	}
	if r, err := d.UndoImport(context.Background(), "ada", list[0].ID, nil); err != nil || int64(r.Deleted) != list[0].Created {
		t.Errorf("%+v, %v", r, err)
	}
	if n := value[int](t, dbtest.Conn(t, url), `SELECT count(*) FROM patients`); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestRejectsCanBeMendedAndImported(t *testing.T) {
	t.Parallel()
	d, _ := dbtest.Open(t)
	var rejects bytes.Buffer
	text := named("1", "Abel") + `{"resourceType":"Patient","id":"2","birthDate":"1974-02-31"}` + "\nnonsense\n" + named("3", "Cooper")
	if _, err := d.ImportPatients(context.Background(), strings.NewReader(text), db.ImportOptions{Actor: "test", Rejects: &rejects}); err != nil {
		t.Fatal(err)
	}
	mended := strings.Replace(rejects.String(), "1974-02-31", "1974-02-28", 1)
	if !strings.Contains(mended, "# line 2: ") || !strings.Contains(mended, "# line 3: ") {
		t.Errorf("%q", mended)
	}
	if r, again := load(t, d, mended); r != (db.ImportReport{Created: 1, Rejected: 1}) {
		t.Errorf("%+v %q", r, again)
	}
}

// TestNothingOfAPatientStaysBehind is for whoever empties the table by hand: no foreign key does it any more.
func TestNothingOfAPatientStaysBehind(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{`DELETE FROM patients`, `TRUNCATE patients`, `TRUNCATE patient_resources, patients`} {
		url := dbtest.URL(t)
		d, c := dbtest.OpenURL(t, url, time.Hour), dbtest.Conn(t, url)
		for _, given := range []string{"Ann Bo", "Ann Cy"} {
			if _, err := d.ImportPatients(context.Background(), strings.NewReader(resource("1", `,"name":[{"family":"Ames","given":["`+given+`"]}]`)), db.ImportOptions{Actor: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		must(t, c, sql)
		if n := value[int](t, c, `SELECT (SELECT count(*) FROM patient_resources) + (SELECT count(*) FROM patient_versions) + (SELECT count(*) FROM patient_terms)`); n != 0 {
			t.Errorf("%s leaves %d rows", sql, n)
		}
		if err := dbtest.Migrator(url).Down(context.Background(), 2); err != nil {
			t.Errorf("after %s: %v", sql, err)
		}
	}
}

func TestAnImportIsTakenBackOverOneConnection(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	var all strings.Builder
	for i := range 5000 { // after so many the tables are tidied
		all.WriteString(resource(fmt.Sprint(i), ""))
	}
	if _, err := d.ImportPatients(context.Background(), strings.NewReader(all.String()), db.ImportOptions{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := dbtest.OpenURL(t, url+"&pool_max_conns=1", time.Hour).UndoImport(ctx, "test", 1, nil)
	if err != nil || r.Deleted != 5000 || ctx.Err() != nil {
		t.Error(r, err, ctx.Err())
	}
}
