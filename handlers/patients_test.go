package handlers

import (
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/views/texts"
)

func TestTheListComesAsAPageOrAsAFragmentFromTheSameAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(60)
	b := s.as("viewer")
	page, part := b.get("/patients"), b.get("/patients", htmx...)
	if page.status != 200 || !strings.Contains(page.body, "<html") || len(page.names()) != 25 {
		t.Errorf("page: %d, %d rows", page.status, len(page.names()))
	}
	if part.status != 200 || strings.Contains(part.body, "<html") || strings.Contains(part.body, "<form") || !slices.Equal(part.names(), page.names()) {
		t.Errorf("fragment: %d, %d rows", part.status, len(part.names()))
	}
	if !strings.Contains(part.body, "<title>Patients · Test Clinic</title>") || !strings.Contains(part.body, "60 patients") {
		t.Error("the fragment lacks the title or the number found")
	}
	if !strings.Contains(page.header.Get("Vary"), "HX-Request") || !strings.Contains(part.header.Get("Vary"), "HX-Request") {
		t.Error("Vary does not name HX-Request")
	}
	for _, full := range [][]string{{"HX-Request", "true", "HX-Request-Type", "full"}, {"HX-Request", "true", "HX-History-Restore-Request", "true"}} {
		if a := b.get("/patients", full...); !strings.Contains(a.body, "<html") {
			t.Errorf("with %v it is no page", full)
		}
	}
	for _, column := range []string{"Name", "MRN", "Born", "Sex", "Phone", "City", "Status", "Last updated"} {
		if !strings.Contains(page.body, column) {
			t.Errorf("no column %s", column)
		}
	}
}

// walk goes through all pages by one link and returns every name.
func walk(t *testing.T, b *browser, a answer, tag string) (all []string) {
	t.Helper()
	for range 50 {
		all = append(all, a.names()...)
		to := a.link(tag)
		if to == "" {
			return all
		}
		if a = b.get(to, htmx...); a.status != 200 {
			t.Fatalf("%d", a.status)
		}
	}
	t.Fatal("the pages never end")
	return nil
}

func TestEverySortShowsEveryPatientOnceForwardsAndBackwards(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(110)
	b := s.as("viewer")
	order := map[string]string{"name": "family_key, given_key", "birth_date": "birth_key", "mrn": "mrn_key", "updated": "updated_at"}
	s.exec(`UPDATE patients SET updated_at = now() - random() * interval '1 year'`)
	for _, sort := range []string{"name", "birth_date", "mrn", "updated"} {
		for _, desc := range []string{"", " DESC"} {
			want := scan[[]string](s, `SELECT array_agg(display_name ORDER BY `+strings.ReplaceAll(order[sort]+", id", ",", desc+",")+desc+`) FROM patients`)
			by := sort
			if desc != "" {
				by = "-" + sort
			}
			first := b.search("", "sort", by)
			got := walk(t, b, first, `rel="next"`)
			for i := range got {
				got[i] = strings.NewReplacer("&#39;", "'", "&amp;", "&", "&#34;", `"`).Replace(got[i])
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: forwards %d names in another order than the %d in the database", by, len(got), len(want))
			}
			last := first
			for to := last.link(`rel="next"`); to != ""; to = last.link(`rel="next"`) {
				last = b.get(to, htmx...)
			}
			var back []string
			for a := last; ; {
				back = append(a.names(), back...)
				to := a.link(`rel="prev"`)
				if to == "" {
					break
				}
				a = b.get(to, htmx...)
			}
			if !slices.Equal(back, walk(t, b, first, `rel="next"`)) {
				t.Errorf("%s: backwards is not forwards reversed (%d names)", by, len(back))
			}
		}
	}
}

func TestAriaSortIsOnTheColumnThatSorts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	b := s.as("viewer")
	a := b.get("/patients")
	if strings.Count(a.body, "aria-sort") != 1 || !strings.Contains(a.body, `aria-sort="ascending"><a id="sort-name"`) {
		t.Error("by name, ascending")
	}
	a = b.get(a.link(`id="sort-name"`))
	if strings.Count(a.body, "aria-sort") != 1 || !strings.Contains(a.body, `aria-sort="descending"><a id="sort-name"`) {
		t.Error("by name, descending")
	}
	a = b.get(a.link(`id="sort-updated"`))
	if strings.Count(a.body, "aria-sort") != 1 || !strings.Contains(a.body, `aria-sort="descending"><a id="sort-updated"`) {
		t.Error("by last update, newest first")
	}
}

func TestSearchGoesInTheBodyAndItsStateIsSealed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(40)
	s.load(patientJSON("x1", "Quimbleton", "Zadok", "QX-900", "1974-12-25"))
	b := s.as("viewer")
	a := b.search("quimbl")
	to := a.header.Get("HX-Replace-Url")
	if a.status != 200 || !slices.Equal(a.names(), []string{"Quimbleton, Zadok"}) || !strings.HasPrefix(to, "/patients?list=") {
		t.Fatalf("%d, %q, %q", a.status, a.names(), to)
	}
	if strings.Contains(a.body, "<html") || !strings.Contains(a.body, "1 patient") {
		t.Error("not the fragment with its number")
	}
	for _, path := range []string{to, a.link(`id="sort-mrn"`)} { // reload, another sort
		page := b.get(path)
		if page.status != 200 || !slices.Equal(page.names(), []string{"Quimbleton, Zadok"}) || !strings.Contains(page.body, `value="quimbl"`) {
			t.Errorf("reloaded: %d, %q", page.status, page.names())
		}
	}
	if strings.Contains(strings.ToLower(to), "quimbl") {
		t.Error("the search text is in the address")
	}
	plain := b.post("/patients/search", "q", "quimbl", "csrf_token", b.token())
	if plain.status != 303 || !strings.HasPrefix(plain.header.Get("Location"), "/patients?list=") {
		t.Errorf("without JavaScript: %d to %q", plain.status, plain.header.Get("Location"))
	}
	if a := b.search(""); a.header.Get("HX-Replace-Url") != "/patients" || len(a.names()) != 25 {
		t.Errorf("an empty search: %q, %d rows", a.header.Get("HX-Replace-Url"), len(a.names()))
	}
	again := s.as("viewer").get(to)
	if again.status != 200 || len(again.names()) != 1 {
		t.Errorf("the bookmark in the same user's next session: %d", again.status)
	}
}

func TestAListAddressThatIsNotOursShowsTheWholeList(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(40)
	s.load(patientJSON("x1", "Quimbleton", "Zadok", "QX-900", "1974-12-25"))
	b := s.as("viewer")
	good := b.search("quimbl").header.Get("HX-Replace-Url")
	flipped := []byte(good)
	flipped[len(flipped)-5] ^= 1
	for name, path := range map[string]string{"altered": string(flipped), "cut": good[:40], "no text of ours": "/patients?list=hello", "NUL": "/patients?list=%00", "huge": "/patients?list=" + strings.Repeat("A", 8000)} {
		a := b.get(path)
		if a.status != http.StatusBadRequest || len(a.names()) != 25 || !strings.Contains(a.body, "not valid") {
			t.Errorf("%s: %d with %d rows", name, a.status, len(a.names()))
		}
	}
	foreign := s.as("clinician").get(good)
	if foreign.status != http.StatusBadRequest || len(foreign.names()) != 25 || strings.Contains(strings.ToLower(foreign.body), "quimbl") && !slices.Contains(foreign.names(), "Quimbleton, Zadok") {
		t.Errorf("another user's: %d with %d rows", foreign.status, len(foreign.names()))
	}
	if strings.Contains(foreign.body, `value="quimbl"`) {
		t.Error("another user sees what was searched for")
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'patient-list' AND outcome = 'refused' AND actor = 'clinician' AND patients = '{}'`); n != 1 {
		t.Errorf("%d refusals recorded", n)
	}
}

// TestAListAddressOfAnotherProgram is one that opens and holds what this program would not have put into it.
func TestAListAddressOfAnotherProgram(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("x1", "Quimbleton", "Zadok", "QX-900", "1974-12-25"))
	b := s.as("viewer")
	user := scan[int](s, `SELECT id FROM users WHERE username = 'viewer'`)
	at := func(keys ...string) *db.Cursor { return &db.Cursor{Keys: keys, ID: db.NewPatientID()} }
	far := at("", "", "")
	far.Group = math.MaxInt32 + 1
	for name, state := range map[string]listState{
		"a longer search":    {Sort: db.SortName, Query: strings.Repeat("x", 300)},
		"a stranger search":  {Sort: db.SortName, Query: "a\x00b"},
		"no moment":          {Sort: db.SortUpdated, Cursor: at("Quimbleton", "active")},
		"NUL":                {Sort: db.SortName, Cursor: at("a\x00", "b")},
		"a cursor too short": {Sort: db.SortName, Cursor: at("a")},
		"a group too far":    {Sort: db.SortBest, Query: "quim", Filter: db.Filter{BornFrom: "1974-01-01", BornTo: "1974-12-31"}, Cursor: far},
	} {
		state.User = user
		a := b.get("/patients?list=" + s.sealer.seal(state))
		if a.status != http.StatusBadRequest || len(a.names()) != 1 || !strings.Contains(a.body, "not valid") {
			t.Errorf("%s: %d with %d rows", name, a.status, len(a.names()))
		}
	}
	if strings.Contains(s.logs.String(), "Quimbleton") {
		t.Error("a name is in the log")
	}
}

func TestListAddressesOutliveARotationOfTheKey(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	b := s.as("viewer")
	sealed := b.search("a").header.Get("HX-Replace-Url")
	var next sealer
	for _, key := range []string{"another key, also forty characters long..", dbtest.Keys[0]} {
		if err := next.add(db.DeriveKey(key, "list state")); err != nil {
			t.Fatal(err)
		}
	}
	s.sealer = next
	if a := b.get(sealed); a.status != 200 {
		t.Errorf("%d", a.status)
	}
}

func TestInputThatNobodyTypesGetsAClearAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(30)
	b := s.as("clinician")
	token := b.token()
	for name, c := range map[string]struct {
		method, path, body string
		status             int
	}{
		"ten kilobytes of search":    {"POST", "/patients/search", form("csrf_token", token, "q", strings.Repeat("a", 10_000)), 422},
		"a thousand words":           {"POST", "/patients/search", form("csrf_token", token, "q", strings.Repeat("a ", 50)), 422},
		"NUL in the search":          {"POST", "/patients/search", form("csrf_token", token, "q", "a\x00b"), 400},
		"a control in the search":    {"POST", "/patients/search", form("csrf_token", token, "q", "a\x07b"), 422},
		"bytes that are no text":     {"POST", "/patients/search", "csrf_token=" + token + "&q=%ff%fe", 422},
		"the same field twice":       {"POST", "/patients/search", form("csrf_token", token, "q", "a", "q", "b"), 400},
		"a form that is broken":      {"POST", "/patients/search", "csrf_token=" + token + "&q=%zz", 400},
		"a megabyte":                 {"POST", "/patients/search", form("csrf_token", token, "q", strings.Repeat("a", 1<<20)), 413},
		"an unknown sort":            {"POST", "/patients/search", form("csrf_token", token, "sort", "password_hash"), 400},
		"SQL as a sort":              {"POST", "/patients/search", form("csrf_token", token, "sort", "name; DROP TABLE patients"), 400},
		"a malformed id":             {"GET", "/patients/1", "", 404},
		"an id in capitals":          {"GET", "/patients/AAAAAAAA-0000-4000-8000-000000000000", "", 404},
		"an id that nobody has":      {"GET", "/patients/00000000-0000-4000-8000-000000000000", "", 404},
		"NUL as an id":               {"GET", "/patients/%00", "", 404},
		"SQL as an id":               {"GET", "/patients/'%20OR%20true--", "", 404},
		"the search by GET":          {"GET", "/patients/search", "", 404},
		"a path that does not exist": {"GET", "/.git/HEAD", "", 404},
		"a folder":                   {"GET", "/assets/", "", 404},
		"a source file":              {"GET", "/assets/app.js", "", 404},
		"a file beside":              {"GET", "/assets/..%2fmain.go", "", 404},
		"a patient as a stylesheet":  {"GET", "/patients/x.css", "", 404},
		"a method nobody has":        {"PROPFIND", "/patients", "", 405},
		"TRACE":                      {"TRACE", "/patients", "", 405},
		"PUT":                        {"PUT", "/patients", "", 405},
		"NUL in a user name":         {"POST", "/login", form("username", "a\x00", "password", "b"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			for _, header := range [][]string{nil, htmx} {
				a := b.do(c.method, c.path, c.body, append(header, "Content-Type", "application/x-www-form-urlencoded")...)
				if a.status != c.status {
					t.Errorf("%v: %d, want %d\n%.300s", header, a.status, c.status, a.body)
				}
				if a.status != 422 && a.status != 400 && len(a.names()) > 0 {
					t.Error("patients are on it")
				}
			}
		})
	}
	if strings.Contains(s.logs.String(), "level=ERROR") {
		t.Errorf("the log holds an error:\n%s", s.logs)
	}
	if a := b.get("/patients"); a.status != 200 || len(a.names()) != 25 {
		t.Error("something broke on the way")
	}
}

func TestAPatientsPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(`{"resourceType":"Patient","id":"p1","active":false,"name":[{"use":"official","family":"Quimbleton","given":["Zadok"]},{"use":"maiden","family":"Thistlewood"}],` +
		`"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},"value":"QX-900"}],"birthDate":"1974-12","gender":"other",` +
		`"telecom":[{"system":"phone","value":"555-0100","use":"home"}],"address":[{"line":["1 Invented Lane"],"city":"Nowhere"}],` +
		`"contact":[{"name":{"text":"Aunt Hepzibah"},"telecom":[{"system":"phone","value":"555-0101"}]}]}`)
	b := s.as("viewer")
	list := b.get("/patients")
	path := nameCell.FindStringSubmatch(list.body)[1]
	a := b.get(path)
	if a.status != 200 {
		t.Fatal(a.status)
	}
	for _, want := range []string{"Quimbleton, Zadok", "Thistlewood", "QX-900", "Dec 1974", "Other", "inactive", "555-0100", "1 Invented Lane", "Nowhere", "Aunt Hepzibah", "555-0101"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	if strings.Contains(a.body, "<title>Quimb") {
		t.Error("the name is in the title, which browsers keep")
	}
	id := strings.TrimPrefix(path, "/patients/")
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'patient-open' AND outcome = 'success' AND patients = ARRAY[$1::uuid] AND actor = 'viewer'`, id); n != 1 {
		t.Errorf("%d openings recorded", n)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action = 'patient-list' AND patients = ARRAY[$1::uuid]`, id); n != 1 {
		t.Errorf("%d lists recorded", n)
	}
}

func TestHostileNamesAreShownAsText(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const evil = `"><img src=x onerror=alert(1)>`
	s.load(`{"resourceType":"Patient","id":"p1","name":[{"family":"\"><img src=x onerror=alert(1)>"}],"identifier":[{"value":"\"><img src=x onerror=alert(1)>"}],"address":[{"city":"\"><img src=x onerror=alert(1)>"}]}`)
	s.exec(`INSERT INTO users (username, password_hash) VALUES ($1, $2)`, evil, passwordHash)
	b := s.browser()
	if a := b.post("/login", "username", evil, "password", "wrong"); strings.Contains(a.body, "<img") {
		t.Error("on the sign-in page")
	}
	if a := b.post("/login", "username", evil, "password", password); a.status != 303 {
		t.Fatal(a.status)
	}
	list := b.get("/patients")
	for name, a := range map[string]answer{"the list": list, "the patient's page": b.get(nameCell.FindStringSubmatch(list.body)[1]), "a search": b.search(evil), "the account": b.get("/account")} {
		if a.status != 200 || strings.Contains(a.body, "<img") {
			t.Errorf("%s: %d", name, a.status)
		}
	}
}

func TestWithoutTheAuditEventThereIsNoPatient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("x1", "Quimbleton", "Zadok", "QX-900", "1974-12-25"))
	b := s.as("viewer")
	path := nameCell.FindStringSubmatch(b.get("/patients").body)[1]
	s.exec(`ALTER TABLE audit_events ADD CONSTRAINT closed CHECK (false) NOT VALID`)
	for _, p := range []string{"/patients", path} {
		if a := b.get(p); a.status < 500 || strings.Contains(a.body, "Quimbleton") {
			t.Errorf("%s: %d", p, a.status)
		}
	}
	if a := s.browser().post("/login", "username", "viewer", "password", password); a.status < 500 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("signing in: %d", a.status)
	}
	s.exec(`ALTER TABLE audit_events DROP CONSTRAINT closed`)
	if a := b.get(path); a.status != 200 || !strings.Contains(a.body, "Quimbleton") {
		t.Errorf("with it back: %d", a.status)
	}
}

func TestBirthDatesAndAges(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for date, want := range map[string][3]string{
		"1974-12-25": {"25 Dec 1974", "Dec 25, 1974", "51 y"}, "1974-03-01": {"1 Mar 1974", "Mar 1, 1974", "52 y"},
		"1974-03-02": {"2 Mar 1974", "Mar 2, 1974", "51 y"}, "2024-02-29": {"29 Feb 2024", "Feb 29, 2024", "2 y"},
		"2024-03-02": {"2 Mar 2024", "Mar 2, 2024", "23 mo"}, "2026-02-27": {"27 Feb 2026", "Feb 27, 2026", "2 d"},
		"2026-02-01": {"1 Feb 2026", "Feb 1, 2026", "1 mo"}, "2026-03-02": {"2 Mar 2026", "Mar 2, 2026", ""},
		"1974-12": {"Dec 1974", "Dec 1974", "about 52 y"}, "1974": {"1974", "1974", "about 52 y"}, "": {"Unknown", "Unknown", ""},
	} {
		en, us := format{time.UTC, "en", &texts.English}, format{time.UTC, "en-US", &texts.English}
		if got := [3]string{en.birth(date), us.birth(date), en.age(date, now)}; got != want {
			t.Errorf("%q: %q, want %q", date, got, want)
		}
	}
}

func TestInitials(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"maria.lopez": "ML", "Ana María Ruiz": "AM", "o'brien": "OB", "張偉": "張", "x": "X", "---": "?", "élise": "É", "r2.d2": "RD"} {
		if got := initials(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestFiltersAndPageSizesStayInTheSealedState(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(140)
	s.exec(`UPDATE patients SET active = false, deceased = false WHERE id IN (SELECT id FROM patients ORDER BY id LIMIT 60)`)
	s.exec(`UPDATE patients SET active = true, deceased = false WHERE id NOT IN (SELECT id FROM patients ORDER BY id LIMIT 60)`)
	b := s.as("viewer")
	a := b.search("", "status", "inactive", "size", "50")
	if a.status != 200 || len(a.names()) != 50 || !strings.Contains(a.body, "60 patients") || strings.Contains(a.body, `status active`) {
		t.Fatalf("%d with %d rows", a.status, len(a.names()))
	}
	reload := b.get(a.header.Get("HX-Replace-Url"))
	if !strings.Contains(reload.body, `<option value="inactive" selected>`) || !strings.Contains(reload.body, `<option value="50" selected>`) || len(reload.names()) != 50 {
		t.Error("a reload forgets the choice")
	}
	next := b.get(reload.link(`rel="next"`), htmx...)
	if len(next.names()) != 10 || !strings.Contains(next.body, "Patients 51 to 60") || !strings.Contains(next.body, "60 patients") {
		t.Errorf("the second page has %d rows", len(next.names()))
	}
	sorted := b.get(next.link(`id="sort-birth_date"`), htmx...)
	if len(sorted.names()) != 50 || !strings.Contains(sorted.body, "sorted by birth date") {
		t.Errorf("sorted it has %d rows", len(sorted.names()))
	}
	for name, fields := range map[string][]string{"born on a day": {"born_from", "2100-01-01"}, "both": {"born_from", "1900-01-01", "born_to", "1900-01-01"}} {
		if a := b.search("", fields...); a.status != 200 || len(a.names()) != 0 || !strings.Contains(a.body, "No patient passes these filters") {
			t.Errorf("%s: %d with %d rows", name, a.status, len(a.names()))
		}
	}
}

func TestAFilterThatCannotBe(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(30)
	b := s.as("viewer")
	for name, c := range map[string]struct {
		fields []string
		status int
	}{
		"no such status": {[]string{"status", "dead"}, 400}, "no such sex": {[]string{"gender", "x"}, 400}, "no such size": {[]string{"size", "26"}, 400},
		"all at once": {[]string{"size", "1000000"}, 400}, "best, backwards": {[]string{"sort", "-best"}, 400},
		"no date": {[]string{"born_from", "yesterday"}, 422}, "no such day": {[]string{"born_to", "1974-02-30"}, 422}, "a year": {[]string{"born_to", "1974"}, 422},
		"the wrong way round": {[]string{"born_from", "1975-01-01", "born_to", "1974-01-01"}, 422},
	} {
		a := b.search("mar", c.fields...)
		if a.status != c.status || len(a.names()) != 0 {
			t.Errorf("%s: %d with %d rows", name, a.status, len(a.names()))
		}
		plain := b.post("/patients/search", append([]string{"q", "mar", "csrf_token", b.token()}, c.fields...)...)
		if plain.status != c.status || c.status == 422 && !strings.Contains(plain.body, `value="mar"`) {
			t.Errorf("%s, without JavaScript: %d, or what was typed is lost", name, plain.status)
		}
	}
}

func TestTheFirstAndTheLastPageAreOneStepAway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(110)
	b := s.as("viewer")
	first := b.get("/patients")
	all := walk(t, b, first, `rel="next"`)
	last := b.get(first.link(`id="page-last"`), htmx...)
	if !slices.Equal(last.names(), all[len(all)-25:]) || !strings.Contains(last.body, "The last 25 patients") || last.link(`rel="next"`) != "" {
		t.Errorf("the last page has %d rows", len(last.names()))
	}
	before := b.get(last.link(`rel="prev"`), htmx...)
	if !slices.Equal(before.names(), all[len(all)-50:len(all)-25]) {
		t.Error("the page before the last is another one")
	}
	if again := b.get(before.link(`id="page-first"`), htmx...); !slices.Equal(again.names(), all[:25]) {
		t.Error("the first page is another one")
	}
}

func TestASearchComesBestMatchFirstAndCanBeSorted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("1", "Abel", "Mary", "1", "1980-01-01") + patientJSON("2", "Marsh", "Zoe", "2", "1990-01-01") + patientJSON("3", "Cole", "Dagmar", "3", "1970-01-01"))
	b := s.as("viewer")
	best := b.search("mar")
	if !slices.Equal(best.names(), []string{"Marsh, Zoe", "Abel, Mary", "Cole, Dagmar"}) || strings.Contains(best.body, "aria-sort") || !strings.Contains(best.body, "best match first") {
		t.Errorf("%q", best.names())
	}
	for _, kind := range []string{"family name", "given name", "part of a name"} {
		if !strings.Contains(best.body, `<span class="match">`+kind+`</span>`) {
			t.Errorf("no row is marked as found by %s", kind)
		}
	}
	sorted := b.get(best.link(`id="sort-birth_date"`), htmx...)
	if !slices.Equal(sorted.names(), []string{"Cole, Dagmar", "Abel, Mary", "Marsh, Zoe"}) || strings.Count(sorted.body, "aria-sort") != 1 {
		t.Errorf("by birth date %q", sorted.names())
	}
	if back := b.get(sorted.link(`id="sort-best"`), htmx...); !slices.Equal(back.names(), best.names()) {
		t.Errorf("best match first again: %q", back.names())
	}
	if a := b.search("mar", "sort", "birth_date"); !slices.Equal(a.names(), sorted.names()) {
		t.Error("the order does not outlive the next letter")
	}
}

// TestAListThatIsFilteredSaysSo and leads back, without JavaScript; and which end a list begins at is said in words.
func TestAListThatIsFilteredSaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("1", "Abel", "Mary", "1", "1980-01-01") + patientJSON("2", "Marsh", "Zoe", "", "1990-01-01"))
	b := s.as("viewer")
	const back = `<a href="/patients">Show all patients</a>`
	list := b.get("/patients")
	if list.status != 200 || strings.Contains(list.body, back) || !strings.Contains(list.body, `<details class="fold"><summary>Filters`) {
		t.Errorf("the whole list: %d\n%s", list.status, list.body)
	}
	a := b.submits("/patients/search", url.Values{"born_from": {"1985-01-01"}})
	filtered := b.get(a.header.Get("Location"))
	filtered.says(t, "filtered", 200, `role="status">1 patient, filtered</p>`, back, `<details class="fold" open>`, `<td class="mrn none">no MRN</td>`)
	b.search("", "born_from", "1985-01-01").says(t, "in place", 200, "1 patient, filtered", `<p id="clear" data-hx-swap-oob="innerHTML">`+back)
	b.search("abel").says(t, "found", 200, "1 patient</p>", back)
	b.search("", "sort", "-birth_date").says(t, "sorted", 200, "sorted by birth date, youngest first")
	b.search("", "sort", "birth_date").says(t, "sorted", 200, "sorted by birth date, oldest first")
	b.search("", "sort", "-updated").says(t, "sorted", 200, "sorted by last update, newest first")
}

// TestAListErrorIsTiedToItsField, as the form without JavaScript has it; app.js does the same from data-wrong.
func TestAListErrorIsTiedToItsField(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	for wrong, form := range map[string]url.Values{
		"q": {"q": {"one two three four five six seven eight nine"}}, "born_from": {"born_from": {"1980"}}, "born_to": {"born_from": {"1980-01-01"}, "born_to": {"1"}},
		"born_from born_to": {"born_from": {"1990-01-01"}, "born_to": {"1980-01-01"}},
	} {
		a := b.submits("/patients/search", form)
		var marked []string
		for _, m := range regexp.MustCompile(`<input id="(\w+)"[^>]* aria-describedby="list-error"[^>]* aria-invalid="true"|<input id="(\w+)"[^>]* aria-invalid="true"[^>]* aria-describedby="list-error"`).FindAllStringSubmatch(a.body, -1) {
			marked = append(marked, m[1]+m[2])
		}
		if a.status != 422 || strings.Join(marked, " ") != wrong || !strings.Contains(a.body, `id="list-error" data-wrong="`+wrong+`"`) {
			t.Errorf("%v: %d marks %q", form, a.status, marked)
		}
	}
}

func TestSimilarNamesStandApart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("1", "Quimbleton", "Zadok", "QX-900", "1974-12-25"))
	a := s.as("viewer").search("quimbelton")
	found, similar, ok := strings.Cut(a.body, "Similar names")
	if !ok || strings.Contains(found, "Zadok") || !strings.Contains(similar, "Quimbleton, Zadok") || !strings.Contains(a.body, "No patient found, but 1 with a similar name") ||
		!strings.Contains(a.body, "No patient matches exactly. Did you mean one of these?") || strings.Contains(a.body, `class="empty"`) {
		t.Errorf("%d\n%s", a.status, a.body)
	}
	s.load(patientJSON("2", "Quimbelton", "Ada", "QX-901", "1974-12-25"))
	if a := s.as("viewer").search("quimbelton"); !strings.Contains(a.body, "1 patient, and 1 more with a similar name") {
		t.Errorf("%d\n%s", a.status, a.body)
	}
}

func TestOnlyWritersAreOfferedChangesAndExports(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	for role, offered := range map[string]bool{"viewer": false, "clinician": true, "admin": true} {
		a := s.as(role).get("/patients")
		if strings.Contains(a.body, "New patient") != offered || strings.Contains(a.body, "/patients/export") != offered {
			t.Errorf("%s: offered %v", role, !offered)
		}
	}
}
