package handlers

import (
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/views/texts"
)

var (
	inputTag  = regexp.MustCompile(`(?s)<input\b[^>]*>`)
	selectTag = regexp.MustCompile(`(?s)<select\b[^>]*\bname="([^"]+)".*?</select>`)
	chosen    = regexp.MustCompile(`<option value="([^"]*)" selected`)
	attribute = regexp.MustCompile(`\b(name|value)="([^"]*)"`)
	formPart  = regexp.MustCompile(`(?s)<form class="fields".*?</form>`)
)

// fields are what the browser would send of the form on the page.
func (a answer) fields() map[string]string {
	all := map[string]string{}
	part := formPart.FindString(a.body)
	for _, tag := range inputTag.FindAllString(part, -1) {
		of := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			of[m[1]] = html.UnescapeString(m[2])
		}
		all[of["name"]] = of["value"]
	}
	for _, m := range selectTag.FindAllStringSubmatch(part, -1) {
		all[m[1]] = ""
		if o := chosen.FindStringSubmatch(m[0]); o != nil {
			all[m[1]] = o[1]
		}
	}
	return all
}

// send types into the form that is on the page and sends it.
func (b *browser) send(path string, page answer, typed ...string) answer {
	b.t.Helper()
	all := page.fields()
	for i := 0; i < len(typed); i += 2 {
		if _, there := all[typed[i]]; !there {
			b.t.Fatalf("the form has no %s", typed[i])
		}
		all[typed[i]] = typed[i+1]
	}
	var sent []string
	for name, value := range all {
		sent = append(sent, name, value)
	}
	return b.post(path, sent...)
}

// onePatient is a site with one, and the address of their page.
func onePatient(t *testing.T) (*site, string) {
	t.Helper()
	s := newSite(t)
	s.load(`{"resourceType":"Patient","id":"p1","name":[{"use":"official","family":"Quimbleton","given":["Zadok"]}],"gender":"male","birthDate":"1974-12-25",` +
		`"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"QX-900"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-12-3456"}],"telecom":[{"system":"phone","value":"555-0100"}]}`)
	return s, "/patients/" + scan[string](s, `SELECT id::text FROM patients`)
}

func wants(t *testing.T, what string, a answer, status int, texts ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: %d, want %d\n%.400s", what, a.status, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(html.UnescapeString(a.body), text) {
			t.Errorf("%s: %q is not on the page", what, text)
		}
	}
}

func TestAPatientIsEditedByAPlainForm(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	wants(t, "the page", b.get(path), 200, path+"/edit", "History", "Put on record.")
	page := b.get(path + "/edit")
	wants(t, "the form", page, 200, `<title>Edit patient`, `autocomplete="off"`, `value="1974-12-25"`, `25.12.1974`)
	for _, tag := range inputTag.FindAllString(formPart.FindString(page.body), -1) {
		if !strings.Contains(tag, `type="hidden"`) && !strings.Contains(tag, `autocomplete="off"`) {
			t.Errorf("the browser would remember %s", tag)
		}
	}
	a := b.send(path, page, "family", "Quimbleton-Drake", "birth_date", "24.12.1974", "active", "false", "deceased", "true", "deceased_on", "3/4/2020")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != path+"?notice=saved" {
		t.Fatalf("%d to %s\n%.500s", a.status, a.header.Get("Location"), a.body)
	}
	wants(t, "saved", b.get(path+"?notice=saved"), 200, `role="status">The change is saved.`, "Quimbleton-Drake, Zadok", "24 Dec 1974", "deceased",
		"25 Dec 1974", "3 Apr 2020", "clinician", "version 2", "version 1")
	if strings.Contains(b.get(path).body, "999-12") || strings.Contains(b.get(path+"/edit").body, "3456") {
		t.Error("a social security number")
	}
	page = b.get(path + "/edit")
	if f := page.fields(); f["deceased"] != "true" || f["deceased_on"] != "2020-04-03" || f["active"] != "false" || f["version"] != "2" {
		t.Errorf("%v", f)
	}
	a = b.send(path, page)
	if to := a.header.Get("Location"); a.status != 303 || to != path+"?notice=unchanged" {
		t.Errorf("unchanged: %d to %s", a.status, to)
	}
	wants(t, "unchanged", b.get(path+"?notice=unchanged"), 200, "Nothing was changed, so nothing was saved.")
	if n := scan[int](s, `SELECT version FROM patients`); n != 2 {
		t.Errorf("version %d", n)
	}
	if a := b.get(path + "?notice=%3Cb%3Ex"); a.status != 200 || strings.Contains(a.body, `class="note done"`) {
		t.Error("a notice that is none of ours")
	}
}

func TestErrorsStandBesideTheirFieldsAndWhatWasTypedIsKept(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	for what, to := range map[string][2]string{"new": {"/patients/new", "/patients"}, "edit": {path + "/edit", path}} {
		page := b.get(to[0])
		before := scan[string](s, `SELECT json_agg(p)::text FROM patients p`)
		wants(t, what, page, 200, `aria-describedby="birth_date-hint"`)
		a := b.send(to[1], page, "family", `Dr. "Ångström" <b>`, "birth_date", "31.02.1999", "email", "nope", "gender", "", "deceased_on", "1.2.1999")
		wants(t, what, a, 422, "<title>Error: ", `role="alert"`, `href="#birth_date"`, `href="#email"`, `href="#deceased_on"`, `Choose "Yes" for deceased`,
			`aria-describedby="birth_date-problem" aria-invalid="true"`, `aria-describedby="deceased_on-problem deceased_on-hint" aria-invalid="true"`)
		// The examples are the hint's, and stand there once.
		const day, none, deathDay, noDeath = "The calendar has no such day. Write the birth date as ", "That is not a date. Write the birth date as ",
			"The calendar has no such day. Write the date of death as ", "That is not a date. Write the date of death as "
		for typed, says := range map[string][2]string{"31.02.1999": {day, deathDay}, "1999-13": {day, deathDay}, "in spring": {none, noDeath}} {
			again := b.send(to[1], a, "birth_date", typed, "deceased", "true", "deceased_on", typed)
			for i, id := range []string{"birth_date", "deceased_on"} {
				if got := again.textOf(id + "-problem"); got != says[i]+texts.English.Dates.HintDayFirst {
					t.Errorf("%s, %s: %q", what, typed, got)
				}
			}
		}
		f := a.fields()
		if f["family"] != `Dr. "Ångström" <b>` || f["birth_date"] != "31.02.1999" || f["email"] != "nope" || f["deceased_on"] != "1.2.1999" || f["version"] != page.fields()["version"] || f["id"] != page.fields()["id"] {
			t.Errorf("%s: what was typed is not kept: %v", what, f)
		}
		if n := strings.Count(a.body, `aria-invalid="true"`); n != 3 || strings.Contains(a.body, "<b>") {
			t.Errorf("%s: %d fields are marked", what, n)
		}
		if scan[string](s, `SELECT json_agg(p)::text FROM patients p`) != before {
			t.Errorf("%s: it was written", what)
		}
		a = b.send(to[1], a, "birth_date", "28.02.1999", "email", "a@b.example", "deceased_on", "")
		if a.status != 303 {
			t.Errorf("%s: mended, but %d\n%.500s", what, a.status, a.body)
		}
	}
}

var tags = regexp.MustCompile(`<[^>]*>`)

// textOf is what a paragraph with an id says.
func (a answer) textOf(id string) string {
	m := regexp.MustCompile(`(?s)<p class="[a-z]*" id="` + id + `">(.*?)</p>`).FindStringSubmatch(a.body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(tags.ReplaceAllString(m[1], ""))
}

var factsPart = regexp.MustCompile(`(?s)<p class="facts">(.*?)</p>`)

// facts is the line that says who a patient is.
func (a answer) facts() string {
	m := factsPart.FindStringSubmatch(a.body)
	if m == nil {
		return ""
	}
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(m[1], " "))), " ")
}

// TestTheFormSaysWhoseItIs holds that it is the patient as on record, whatever is typed, in each state of the form, and that nothing
// of the record is told to whoever sends a form that was never opened: of that the audit would know nothing.
func TestTheFormSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	s, _ := onePatient(t)
	s.load(patientJSON("p2", "Wexcombe", "Perpetua", "CX-1", "1950-05-05"))
	path := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE mrn = 'QX-900'`)
	other := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE mrn = 'CX-1'`)
	a, b := s.as("clinician"), s.as("admin")
	const who = "Quimbleton, Zadok MRN QX-900 Born 25 Dec 1974 "
	says := func(what string, page answer, status int, want string) {
		t.Helper()
		if got := page.facts(); page.status != status || !strings.HasPrefix(got, want) || want == "" && got != "" || want != "" && !strings.Contains(got, "Male Active") {
			t.Errorf("%s: %d, %q", what, page.status, got)
		}
	}
	page := a.get(path + "/edit")
	says("the form", page, 200, who)
	wrong := a.send(path, page, "family", "Larkmoor", "gender", "other", "birth_date", "1.1.1900", "email", "nope")
	says("with an error", wrong, 422, who)
	says("with another error", a.send(path, wrong, "email", "nope again"), 422, who)
	says("with an MRN that is another's", a.send(path, page, "mrn", "CX-1"), 409, who)
	a.draft(path+"/draft", page, "family", "Larkmoor")
	says("with a draft", a.get(path+"/edit"), 200, who)
	if got := b.send(path, b.get(path+"/edit"), "given", "Zebulon", "phone", "555 0222"); got.status != 303 {
		t.Fatal(got.status)
	}
	says("two versions", a.send(path, page, "family", "Larkmoor", "phone", "555 0111"), 409, "Quimbleton, Zebulon MRN QX-900 Born 25 Dec 1974 ")
	says("a new patient", a.get("/patients/new"), 200, "")

	events := scan[int](s, `SELECT count(*) FROM audit_events`)
	for what, sealed := range map[string]string{"nothing": "", "made up": "Zadok", "another patient's": a.get(other + "/edit").fields()[subjectField]} {
		never := a.send(path, page, "version", "2", "email", "nope", subjectField, sealed, "family", "X", "given", "Y", "birth_date", "", "mrn", "")
		says(what, never, 422, "")
		if strings.Contains(never.body, "Quimbleton") {
			t.Errorf("%s: the record is told", what)
		}
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action <> 'patient-open'`) - events; n > 0 {
		t.Errorf("%d events", n)
	}
}

func TestADraftMarksWhereItDiffersFromTheRecord(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	b.draft(path+"/draft", b.get(path+"/edit"), "birth_date", "25.12.1974", "phone", "555 0111", "city", "Overby", "deceased", "true")
	page := b.get(path + "/edit")
	for id, want := range map[string]string{"birth_date": "", "family": "", "phone": "On record now: 555-0100", "city": "On record now: none", "deceased": "On record now: No, or not known"} {
		if got := strings.Join(strings.Fields(page.textOf(id+"-note")), " "); got != want {
			t.Errorf("%s: %q", id, got)
		}
	}
}

func TestWhatIsNotOnRecordIsSaidInWords(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(`{"resourceType":"Patient","id":"1"}` + "\n" + `{"resourceType":"Patient","id":"2","name":[{"family":"Wexcombe"}],"gender":"unknown","birthDate":"1950"}`)
	bare := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE family IS NULL`)
	named := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE family IS NOT NULL`)
	b := s.as("clinician")
	for path, want := range map[string]string{bare: "No MRN Birth date unknown Sex not recorded Active", named: "No MRN Born 1950 about"} {
		if got := b.get(path).facts(); !strings.HasPrefix(got, want) {
			t.Errorf("the page: %q", got)
		}
	}
	wants(t, "one whose sex is said to be unknown", b.get(named), 200, "Sex unknown")
	recent := strings.Join(strings.Fields(tags.ReplaceAllString(b.get("/patients/recent").main(), " ")), " ")
	if !strings.Contains(recent, "No MRN Birth date unknown") || !strings.Contains(recent, "No MRN Born 1950") || strings.Contains(recent, "about") { // no age, which the dead do not have
		t.Errorf("the recent ones: %q", recent)
	}
	// One word for what is not there, in the list and in the form; unknown is something else.
	wants(t, "the list", b.get("/patients"), 200, "<td>Not recorded</td>", "<td>Unknown</td>")
	wants(t, "the form", b.get(bare+"/edit"), 200, `<option value="" selected>Not recorded</option>`, `<option value="unknown">Unknown</option>`, `<option value="" selected>Active (not recorded)</option>`)
}

func TestOnlyWhatWentIsStruckOutAndWhatIsNotShownIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(`{"resourceType":"Patient","id":"1","name":[{"family":"Wexcombe"}],"telecom":[{"system":"phone","value":"555-0110"},{"system":"phone","value":"555-0113"}],"photo":[{"title":"Xyzzy"}]}`)
	path := "/patients/" + scan[string](s, `SELECT id::text FROM patients`)
	b := s.as("clinician")
	if a := b.send(path, b.get(path+"/edit"), "phone", "555-0111"); a.status != 303 {
		t.Fatal(a.status)
	}
	marked := func(a answer, tag string) (all []string) {
		for _, m := range regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(a.body, -1) {
			all = append(all, strings.TrimSpace(tags.ReplaceAllString(m[1], "")))
		}
		return all
	}
	if page := b.get(path); !slices.Equal(marked(page, "del"), []string{"555-0110"}) || !slices.Equal(marked(page, "ins"), []string{"555-0111"}) {
		t.Errorf("went: %q, came: %q", marked(page, "del"), marked(page, "ins"))
	}
	s.exec(`INSERT INTO patient_conflicts (patient_id, import_id, last_id, resource, resource_sha) SELECT patient_id, 12, 12, replace(resource::text, 'Xyzzy', 'Plugh')::json, '' FROM patient_resources`)
	page := b.get(path)
	wants(t, "the conflict", page, 200, "In FHIR it is called: photo.", "Keep what is here")
	if strings.Contains(page.main(), "<table") || strings.Contains(page.body, "Xyzzy") || strings.Contains(page.body, "Plugh") {
		t.Error("a table of nothing, or a value that is not shown")
	}
}

func TestSomeoneElsesChangeIsShownAndBothAreKept(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	a, b := s.as("clinician"), s.as("admin")
	mine := a.get(path + "/edit")
	if got := b.send(path, b.get(path+"/edit"), "phone", "555 0222", "city", "Netherby"); got.status != 303 {
		t.Fatal(got.status)
	}
	got := a.send(path, mine, "phone", "555 0111", "email", "z@ward.invalid")
	wants(t, "the page", got, 409, "<title>Changed meanwhile", "Someone else changed this patient", "admin", "555 0222", "555 0111", "Netherby",
		"Changed by both. On record now:", "555 0222</span></bdi>", "Changed on record meanwhile", `aria-describedby="phone-note"`)
	f := got.fields()
	if f["phone"] != "555 0111" || f["email"] != "z@ward.invalid" || f["city"] != "Netherby" || f["version"] != "2" {
		t.Errorf("the form holds %v", f)
	}
	// Errors on the way lose nothing either.
	got = a.send(path, got, "email", "nope")
	wants(t, "an error", got, 422, "555 0111", "Netherby")
	if got = a.send(path, got, "email", "z@ward.invalid"); got.status != 303 {
		t.Fatal(got.status)
	}
	wants(t, "in the end", a.get(path), 200, "555 0111", "555 0222", "Netherby", "z@ward.invalid", "version 3")
}

func TestANewPatientAndTheOneWhoIsThereAlready(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	page := b.get("/patients/new")
	wants(t, "the form", page, 200, "<title>New patient", `autofocus`)
	if f := page.fields(); f["active"] != "true" || f["family"] != "" {
		t.Errorf("%v", f)
	}
	a := b.send("/patients", page, "family", "quimbleton", "given", "Zadok", "birth_date", "25/12/1974", "phone", "555 0199")
	wants(t, "a likely duplicate", a, 409, "may be on record already", "Quimbleton, Zadok", "QX-900", "25 Dec 1974", `href="`+path+`" target="_blank"`, "Save anyway", "same name", "same birth date")
	if strings.Contains(a.body, ">same MRN<") || strings.Contains(a.body, texts.English.Form.LikelyMRN) {
		t.Error("what was not typed agrees")
	}
	wants(t, "an MRN", b.send("/patients", page, "family", "Other", "birth_date", "1974", "mrn", "qx 900"), 409, texts.English.Form.LikelyMRN, `<span class="same">same MRN</span>`)
	if a.fields()["phone"] != "555 0199" || scan[int](s, `SELECT count(*) FROM patients`) != 1 {
		t.Error("what was typed is not kept, or was saved")
	}
	done := b.send("/patients", a)
	again := b.send("/patients", a)
	to := done.header.Get("Location")
	if done.status != 303 || again.header.Get("Location") != to || !strings.HasSuffix(to, "?notice=created") || scan[int](s, `SELECT count(*) FROM patients`) != 2 {
		t.Fatalf("%d to %s, then %d to %s", done.status, to, again.status, again.header.Get("Location"))
	}
	wants(t, "the new page", b.get(to), 200, "The new patient is on record.", "quimbleton, Zadok", "555 0199", `class="status active"`)
}

func TestOnlyWritersWrite(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	writer, viewer := s.as("clinician"), s.as("viewer")
	s.exec(`INSERT INTO patient_conflicts (patient_id, import_id, last_id, resource, resource_sha) SELECT patient_id, 12, 12, resource, '' FROM patient_resources`)
	form := writer.get(path + "/edit").fields()
	var sent []string
	for name, value := range form {
		if name != "csrf_token" {
			sent = append(sent, name, value)
		}
	}
	sent = append(sent, "id", db.NewPatientID(), "csrf_token", viewer.token(), "import", "12", "decision", "take")
	before := scan[string](s, `SELECT json_agg(p)::text FROM patients p`)
	for what, a := range map[string]answer{
		"new": viewer.get("/patients/new"), "create": viewer.post("/patients", sent...), "edit": viewer.get(path + "/edit"),
		"change": viewer.post(path, sent...), "decide": viewer.post(path+"/conflict", sent...),
	} {
		if a.status != http.StatusForbidden || strings.Contains(a.body, "Quimbleton") {
			t.Errorf("%s: %d", what, a.status)
		}
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE outcome = 'refused' AND actor = 'viewer'`); n != 5 {
		t.Errorf("%d refusals recorded", n)
	}
	if a := viewer.get(path); a.status != 200 || strings.Contains(a.body, "/edit") || strings.Contains(a.body, `value="take"`) || !strings.Contains(a.body, "brought other data") {
		t.Error("a viewer's page offers what a viewer may not do, or hides the conflict")
	}
	if scan[string](s, `SELECT json_agg(p)::text FROM patients p`) != before {
		t.Error("something was written")
	}
	nobody := s.browser()
	for _, p := range []string{"/patients/new", path + "/edit"} {
		if a := nobody.get(p); a.status != 303 || !strings.HasPrefix(a.header.Get("Location"), "/login?next=") {
			t.Errorf("%s without a session: %d", p, a.status)
		}
	}
}

func TestWhatWasTypedOutlivesADatabaseThatIsGone(t *testing.T) {
	s, path := onePatient(t)
	b := s.as("clinician")
	edit, create := b.get(path+"/edit"), b.get("/patients/new")
	name, admin := scan[string](s, `SELECT current_database()`), dbtest.Admin(t)
	for _, sql := range []string{`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	for to, page := range map[string]answer{path: edit, "/patients": create} {
		a := b.send(to, page, "city", "Netherby")
		wants(t, to, a, 503, "What you typed stands below")
		if f := a.fields(); f["city"] != "Netherby" || f["version"] != page.fields()["version"] || f["csrf_token"] != page.fields()["csrf_token"] {
			t.Errorf("%s: %v", to, f)
		}
	}
}

// TestWhatWasTypedOutlivesADeadlock is about an import that writes a name for the first time and waits for this patient,
// while this patient's change waits for that name.
func TestWhatWasTypedOutlivesADeadlock(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	page := b.get(path + "/edit")
	s.exec(`CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END$$`)
	s.exec(`CREATE TRIGGER deadlock BEFORE INSERT ON name_words FOR EACH ROW EXECUTE FUNCTION deadlock()`)
	a := b.send(path, page, "family", "Unheardof")
	wants(t, "the form", a, 503, "What you typed stands below")
	if a.fields()["family"] != "Unheardof" {
		t.Error("what was typed is gone")
	}
}

func TestFormsThatNobodyTypes(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	page := b.get(path + "/edit")
	nobody := "/patients/00000000-0000-4000-8000-000000000000"
	for what, c := range map[string]struct {
		to     string
		typed  []string
		status int
	}{
		"a patient that is none": {nobody, []string{"city", "X"}, 404}, "no id": {"/patients/x", []string{"city", "X"}, 404},
		"NUL": {path, []string{"city", "a\x00b"}, 400}, "bytes that are no text": {path, []string{"city", "a\xff"}, 400},
		"a long name": {path, []string{"family", strings.Repeat("a", 5000)}, 422}, "far too much": {path, []string{"line", strings.Repeat("a", 70_000)}, 413},
		"no version": {path, []string{"version", ""}, 400}, "a version below all": {path, []string{"version", "-1"}, 400},
		"a version beyond all": {path, []string{"version", "99999999999"}, 400}, "a version that is on no record": {path, []string{"version", "77", "city", "X"}, 409},
		"a sex that is none": {path, []string{"gender", "'; DROP TABLE patients"}, 422}, "a status that is none": {path, []string{"active", "maybe"}, 422},
		"a death that is none": {path, []string{"deceased", "maybe"}, 422},
	} {
		if a := b.send(c.to, page, c.typed...); a.status != c.status {
			t.Errorf("%s: %d, want %d\n%.300s", what, a.status, c.status, a.body)
		}
	}
	token := b.token()
	if a := b.post(path, "csrf_token", token, "version", "1", "family", "Only"); a.status != 400 {
		t.Errorf("a form that was cut: %d", a.status)
	}
	for _, decision := range []string{"", "both"} {
		if a := b.post(path+"/conflict", "csrf_token", token, "version", "1", "import", "1", "decision", decision); a.status != 400 {
			t.Errorf("decision %q: %d", decision, a.status)
		}
	}
	if a := b.get(nobody + "/edit"); a.status != 404 {
		t.Error(a.status)
	}
	if a := b.send("/patients", b.get("/patients/new"), "id", "'; --", "family", "Bobby"); a.status != 303 {
		t.Errorf("an id that is none: %d", a.status)
	}
	if n := scan[int](s, `SELECT max(version) FROM patients`); n != 1 {
		t.Errorf("version %d", n)
	}
	if strings.Contains(s.logs.String(), "level=ERROR") {
		t.Errorf("the log holds an error:\n%s", s.logs)
	}
}

func TestAnImportsConflictIsDecidedOnThePage(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	b := s.as("clinician")
	brought := `{"resourceType":"Patient","id":"p1","name":[{"use":"official","family":"Quimbleton","given":["Zebulon"]}],"birthDate":"1974-12-26"}`
	for _, decision := range []string{"keep", "take"} {
		s.exec(`INSERT INTO patient_conflicts (patient_id, import_id, last_id, received_at, resource, resource_sha)
			SELECT id, 12, 12, '2026-02-03 10:00Z', $1::text::json, sha256($1::text::bytea) FROM patients`, brought)
		page := b.get(path)
		wants(t, "the page", page, 200, "An import brought other data", "import 12", "3 Feb 2026", "26 Dec 1974", "Zebulon", "Keep what is here", "Take the imported data")
		token := b.token()
		stale := b.post(path+"/conflict", "csrf_token", token, "version", "1", "import", "11", "decision", decision)
		wants(t, "stale", b.get(stale.header.Get("Location")), 200, "Nothing was done", "An import brought")
		a := b.post(path+"/conflict", "csrf_token", token, "version", "1", "import", "12", "decision", decision)
		notice := map[string]string{"keep": "What is here was kept.", "take": "The imported data was taken over."}[decision]
		if a.status != 303 {
			t.Fatal(a.status)
		}
		done := b.get(a.header.Get("Location"))
		wants(t, decision, done, 200, notice, map[string]string{"keep": "Quimbleton, Zadok", "take": "Quimbleton, Zebulon"}[decision])
		if strings.Contains(done.body, "An import brought") {
			t.Errorf("%s: the conflict is still there", decision)
		}
	}
	wants(t, "the history", b.get(path), 200, "clinician, from import 12", "25 Dec 1974")
}

func TestDatesAreReadTheClinicsWay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"1974-12-25": {"1974-12-25", "1974-12-25"}, " 1974-1-5 ": {"1974-01-05", "1974-01-05"}, "1974-12": {"1974-12", "1974-12"}, "1974": {"1974", "1974"},
		"25.12.1974": {"1974-12-25", "1974-12-25"}, "3/4/2001": {"2001-04-03", "2001-03-04"}, "12/25/1974": {"1974-25-12", "1974-12-25"},
		"": {"", ""}, "tomorrow": {"tomorrow", "tomorrow"}, "1.2.74": {"1.2.74", "1.2.74"}, "2020-01-02T03:04:05Z": {"2020-01-02T03:04:05Z", "2020-01-02T03:04:05Z"},
	} {
		if got := [2]string{format{locale: "en"}.readDate(text), format{locale: "en-US"}.readDate(text)}; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTheFormHasEveryField(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, g := range formGroups {
		for _, f := range g.fields {
			keys = append(keys, f.key)
		}
	}
	for _, f := range db.Fields {
		if !slices.Contains(keys, f.Key) {
			t.Errorf("no %s", f.Key)
		}
	}
}
