package handlers

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/views/texts"
)

const kept = "and not saved."

// draft types into the form that is on the page, and has it kept as the page does.
func (b *browser) draft(path string, page answer, typed ...string) {
	b.t.Helper()
	if a := b.send(path, page, typed...); a.status != http.StatusNoContent || a.body != "" {
		b.t.Fatalf("%s: %d %.300s", path, a.status, a.body)
	}
}

func TestWhatWasTypedComesBackAfterTheSessionEnded(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	edit, create := b.get(path+"/edit"), b.get("/patients/new")
	b.draft(path+"/draft", edit, "city", "Nether", "birth_date", "31.02.19")
	b.draft(path+"/draft", edit, "city", "Netherby", "birth_date", "31.02.1999")
	b.draft("/patients/new/draft", create, "family", "Halfway", "gender", "female", "deceased_on", "1.2.2020")
	s.exec(`DELETE FROM sessions`)

	b = s.as("clinician")
	page := b.get(path + "/edit")
	wants(t, "the form", page, 200, "<title>Not saved yet: Edit patient", "This is what you had typed at", kept, "Discard it", path+"/draft/discard")
	if strings.Contains(page.body, "Somebody has changed") {
		t.Error("nobody has changed the patient")
	}
	if f := page.fields(); f["city"] != "Netherby" || f["birth_date"] != "31.02.1999" || f["family"] != "Quimbleton" || f["version"] != "1" || f["csrf_token"] == edit.fields()["csrf_token"] {
		t.Errorf("%v", f)
	}
	if a := b.send(path, page, "birth_date", ""); a.status != 303 {
		t.Errorf("saving: %d", a.status)
	}
	page = b.get("/patients/new")
	wants(t, "the new form", page, 200, "<title>Not saved yet: New patient", kept, "/patients/new/draft/discard")
	if f := page.fields(); f["family"] != "Halfway" || f["gender"] != "female" || f["deceased_on"] != "1.2.2020" || f["id"] != create.fields()["id"] || f["active"] != "true" {
		t.Errorf("%v", f)
	}
	if a := b.send("/patients", page, "deceased_on", ""); a.status != 303 || a.header.Get("Location") != "/patients/"+create.fields()["id"]+"?notice=created" {
		t.Errorf("saving: %d to %s", a.status, a.header.Get("Location"))
	}
	for _, p := range []string{path + "/edit", "/patients/new"} {
		if a := b.get(p); a.status != 200 || strings.Contains(a.body, kept) || a.fields()["family"] == "Halfway" {
			t.Errorf("%s: the draft outlived its save", p)
		}
	}
	if n := scan[int](s, `SELECT count(*) FROM drafts`); n != 0 {
		t.Errorf("%d drafts", n)
	}
}

func TestNobodyGetsAnotherUsersDraft(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	ada, bob := s.as("clinician"), s.as("admin")
	edit, create := ada.get(path+"/edit"), ada.get("/patients/new")
	ada.draft(path+"/draft", edit, "city", "Netherby")
	ada.draft("/patients/new/draft", create, "family", "Halfway")
	free := func(who string) {
		t.Helper()
		for _, p := range []string{path + "/edit", "/patients/new"} {
			if a := bob.get(p); a.status != 200 || strings.Contains(a.body, kept) || strings.Contains(a.body, "Netherby") || strings.Contains(a.body, "Halfway") {
				t.Errorf("%s: %s sees the draft", p, who)
			}
		}
	}
	free("another user")
	// Neither by moving the row, nor by moving a patient's draft to another form.
	s.exec(`UPDATE drafts SET user_id = (SELECT id FROM users WHERE username = 'admin')`)
	free("whoever was given the row")
	s.exec(`UPDATE drafts SET user_id = (SELECT id FROM users WHERE username = 'clinician')`)
	s.exec(`DELETE FROM drafts WHERE form = 'patients/new'`)
	s.exec(`UPDATE drafts SET form = 'patients/new'`)
	if a := ada.get("/patients/new"); a.status != 200 || strings.Contains(a.body, kept) || strings.Contains(a.body, "Netherby") {
		t.Error("the draft of one form opens in another")
	}
	// A page of the user before, in the same browser: what is typed there must not be kept for the user after.
	if a := bob.send(path+"/draft", edit, "city", "Elsewhere"); a.status != http.StatusForbidden || scan[int](s, `SELECT count(*) FROM drafts`) != 1 {
		t.Errorf("a form of another session: %d", a.status)
	}
	if a := bob.post(path+"/draft/discard", "csrf_token", bob.token()); a.status != 303 || scan[int](s, `SELECT count(*) FROM drafts`) != 1 {
		t.Errorf("somebody else's draft can be discarded: %d", a.status)
	}
}

func TestADraftIsDiscardedAndIsGoneAfterAnHour(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	edit := b.get(path + "/edit")
	b.draft(path+"/draft", edit, "city", "Netherby")
	wants(t, "the form", b.get(path+"/edit"), 200, kept)
	if a := b.post(path+"/draft/discard", "csrf_token", b.token()); a.status != 303 || a.header.Get("Location") != path+"/edit" {
		t.Fatalf("%d to %s", a.status, a.header.Get("Location"))
	}
	if a := b.get(path + "/edit"); strings.Contains(a.body, kept) || a.fields()["city"] != "" {
		t.Error("it is still there")
	}
	b.draft(path+"/draft", edit, "city", "Netherby")
	s.exec(`UPDATE drafts SET saved_at = now() - interval '59 minutes'`)
	wants(t, "within the hour", b.get(path+"/edit"), 200, kept)
	if err := s.DB.Housekeep(t.Context()); err != nil || scan[int](s, `SELECT count(*) FROM drafts`) != 1 {
		t.Errorf("housekeeping took it too early (%v)", err)
	}
	s.exec(`UPDATE drafts SET saved_at = now() - interval '1 hour'`)
	if a := b.get(path + "/edit"); a.status != 200 || strings.Contains(a.body, kept) {
		t.Error("it is there after an hour")
	}
	if err := s.DB.Housekeep(t.Context()); err != nil || scan[int](s, `SELECT count(*) FROM drafts`) != 0 {
		t.Errorf("housekeeping left it (%v)", err)
	}
}

func TestADraftOfAPatientWhoWasChangedMeanwhileMeetsTheOtherChange(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	ada, bob := s.as("clinician"), s.as("admin")
	ada.draft(path+"/draft", ada.get(path+"/edit"), "phone", "555 0111", "email", "z@ward.invalid")
	if a := bob.send(path, bob.get(path+"/edit"), "phone", "555 0222"); a.status != 303 {
		t.Fatal(a.status)
	}
	page := ada.get(path + "/edit")
	wants(t, "the form", page, 200, kept, "Somebody has changed this patient since")
	if f := page.fields(); f["version"] != "1" || f["phone"] != "555 0111" {
		t.Errorf("%v", f)
	}
	a := ada.send(path, page)
	wants(t, "saving", a, 409, "Someone else changed this patient", "Changed by both. On record now:", "555 0222</span></bdi>")
	if a = ada.send(path, a); a.status != 303 || scan[int](s, `SELECT count(*) FROM drafts`) != 0 {
		t.Errorf("saving what both make together: %d", a.status)
	}
}

func TestADraftThatSaysWhatIsOnRecordIsNone(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	edit, create := b.get(path+"/edit"), b.get("/patients/new")
	if a := b.send(path, edit, "birth_date", "24.12.1974"); a.status != 303 {
		t.Fatal(a.status)
	}
	b.draft(path+"/draft", edit, "birth_date", " 24/12/1974 ") // it was on its way when the form was saved
	if a := b.get(path + "/edit"); a.status != 200 || strings.Contains(a.body, kept) || a.fields()["version"] != "2" {
		t.Error("what was saved is said not to be")
	}
	if a := b.send("/patients", create, "family", "Halfway"); a.status != 303 {
		t.Fatal(a.status)
	}
	b.draft("/patients/new/draft", create, "family", "Halfway")
	if a := b.get("/patients/new"); a.status != 200 || strings.Contains(a.body, kept) {
		t.Error("a patient who was put on record is said not to be")
	}
}

func TestTheTableAndTheLogHoldNothingOfADraft(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	b.draft(path+"/draft", b.get(path+"/edit"), "city", "Canarytown", "line", "Canary Lane")
	box := scan[[]byte](s, `SELECT sealed FROM drafts`)
	for _, secret := range []string{"Canary", "Quimbleton", "QX-900", "city"} {
		if bytes.Contains(box, []byte(secret)) || strings.Contains(scan[string](s, `SELECT d::text || encode(sealed, 'escape') FROM drafts d`), secret) {
			t.Errorf("%q stands in the table", secret)
		}
		if strings.Contains(s.logs.String(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
	if strings.Contains(s.logs.String(), strings.TrimPrefix(path, "/patients/")) {
		t.Error("the log names the patient")
	}
	n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action <> 'sign-in'`)
	b.draft(path+"/draft", b.get(path+"/edit"), "city", "Canaryville")
	if m := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'patient-open'`); scan[int](s, `SELECT count(*) FROM audit_events WHERE action <> 'sign-in'`) != n+1 || m != 2 {
		t.Errorf("opening a form with a draft is one event as ever; there are %d", m)
	}
}

func TestADraftThatCannotBeOpenedIsNone(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	b.draft(path+"/draft", b.get(path+"/edit"), "city", "Netherby")
	box := scan[[]byte](s, `SELECT sealed FROM drafts`)
	for what, bad := range map[string][]byte{"tampered": append(append([]byte{}, box[:len(box)-1]...), box[len(box)-1]^1), "cut": box[:20], "empty": {}} {
		s.exec(`UPDATE drafts SET sealed = $1`, bad)
		if a := b.get(path + "/edit"); a.status != 200 || strings.Contains(a.body, kept) || a.fields()["family"] != "Quimbleton" || a.fields()["city"] != "" {
			t.Errorf("%s: %d", what, a.status)
		}
	}
	s.exec(`UPDATE drafts SET sealed = $1`, box)
	wants(t, "as it was", b.get(path+"/edit"), 200, kept)
	drafts := s.drafts
	s.drafts = sealer{}
	if err := s.drafts.add(db.DeriveKey("another key, and also forty characters long", "draft")); err != nil {
		t.Fatal(err)
	}
	if a := b.get(path + "/edit"); a.status != 200 || strings.Contains(a.body, kept) {
		t.Errorf("under another key: %d", a.status)
	}
	s.drafts.keys = append(s.drafts.keys, drafts.keys...) // a rotation: the old key opens what it sealed
	wants(t, "after a rotation", b.get(path+"/edit"), 200, kept, "Netherby")
	// Nor is one taken for the kind of form that it is not.
	if _, ok := s.drafts.openDraft(s.drafts.sealDraft(draft{Text: map[string]string{}}, 1, "patients/new"), 2, "patients/new"); ok {
		t.Error("it opens for another user")
	}
}

func TestDraftsThatNobodyTypes(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b, viewer := s.as("clinician"), s.as("viewer")
	edit, create := b.get(path+"/edit"), b.get("/patients/new")
	nobody := "/patients/00000000-0000-4000-8000-000000000000"
	for what, c := range map[string]struct {
		to     string
		page   answer
		typed  []string
		status int
	}{
		"a patient that is none": {nobody + "/draft", edit, nil, 404}, "no id": {"/patients/x/draft", edit, nil, 404},
		"no version": {path + "/draft", edit, []string{"version", ""}, 400}, "a new patient as one on record": {path + "/draft", create, nil, 400},
		"one on record as a new patient": {"/patients/new/draft", edit, nil, 400}, "bytes that are no text": {path + "/draft", edit, []string{"city", "a\xff"}, 400},
		"far too much": {path + "/draft", edit, []string{"line", strings.Repeat("a", 70_000)}, 413},
	} {
		if a := b.send(c.to, c.page, c.typed...); a.status != c.status {
			t.Errorf("%s: %d, want %d", what, a.status, c.status)
		}
	}
	if a := b.post(path+"/draft", "csrf_token", b.token(), "version", "1", "family", "Only"); a.status != 400 {
		t.Errorf("a form that was cut: %d", a.status)
	}
	if a := b.post("/patients/x/draft/discard", "csrf_token", b.token()); a.status != 404 {
		t.Errorf("discarding nothing: %d", a.status)
	}
	fields := []string{"csrf_token", viewer.token()}
	for name, value := range edit.fields() {
		if name != "csrf_token" {
			fields = append(fields, name, value)
		}
	}
	for _, to := range []string{path + "/draft", path + "/draft/discard", "/patients/new/draft/discard"} {
		if a := viewer.post(to, fields...); a.status != http.StatusForbidden {
			t.Errorf("%s by a viewer: %d", to, a.status)
		}
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE outcome = 'refused' AND actor = 'viewer'`); n != 3 {
		t.Errorf("%d refusals recorded", n)
	}
	if n := scan[int](s, `SELECT count(*) FROM drafts`); n != 0 {
		t.Errorf("%d drafts", n)
	}
	if strings.Contains(s.logs.String(), "level=ERROR") {
		t.Errorf("the log holds an error:\n%s", s.logs)
	}
}

func TestAUserHasTwentyDraftsAtMostAndTheOldestGo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(25)
	b := s.as("clinician")
	s.exec(`INSERT INTO drafts (user_id, form, sealed) SELECT id, 'patients/new', '' FROM users WHERE username = 'admin'`)
	for _, row := range nameCell.FindAllStringSubmatch(b.get("/patients").body, 22) {
		b.draft(row[1]+"/draft", b.get(row[1]+"/edit"), "city", "Netherby")
		s.exec(`UPDATE drafts SET saved_at = saved_at - interval '1 minute'`)
	}
	b.draft("/patients/new/draft", b.get("/patients/new"), "city", "Netherby")
	if n := scan[int](s, `SELECT count(*) FROM drafts d JOIN users u ON u.id = user_id WHERE username = 'clinician' AND saved_at > now() - interval '19.5 minutes'`); n != 20 {
		t.Errorf("%d of the last twenty", n)
	}
	if n := scan[int](s, `SELECT count(*) FROM drafts`); n != 21 {
		t.Errorf("%d drafts of both users", n)
	}
}

func TestTypingKeepsTheSessionAliveAndAPageBehindItsBackDoesNot(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	edit := b.get(path + "/edit")
	var fields []string
	for name, value := range edit.fields() {
		fields = append(fields, name, value)
	}
	s.exec(`UPDATE sessions SET last_seen_at = now() - interval '10 minutes'`)
	a := b.do("POST", path+"/draft", form(fields...), "Content-Type", "application/x-www-form-urlencoded", backgroundHeader, "true")
	if a.status != http.StatusNoContent || s.idleFor() < 590 {
		t.Errorf("by itself: %d, idle for %v s", a.status, s.idleFor())
	}
	if b.draft(path+"/draft", edit, "city", "Netherby"); s.idleFor() > 60 {
		t.Errorf("typing: idle for %v s", s.idleFor())
	}
}

func TestAFormIsSavedWhateverBecomesOfItsDraft(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	page := b.get(path + "/edit")
	s.exec(`ALTER TABLE drafts RENAME TO gone`)
	if a := b.send(path, page, "city", "Netherby"); a.status != 303 || !strings.HasSuffix(a.header.Get("Location"), "notice=saved") {
		t.Errorf("what was saved is saved, whatever became of its draft: %d", a.status)
	}
	if !strings.Contains(s.logs.String(), "drop the draft of a saved form") {
		t.Error("the log does not say so")
	}
}

func TestTheTimeOfADraftIsTheClinics(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 22, 42, 0, 0, time.UTC)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	if got := [2]string{format{zone: zone, locale: "en", t: &texts.English}.clock(at), format{zone: zone, locale: "en-US", t: &texts.English}.clock(at)}; got != [2]string{"17:42", "5:42 PM"} {
		t.Error(got)
	}
}
