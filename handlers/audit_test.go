package handlers

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// filterAudit sends the filters' form, and follows to what it leads to.
func (b *browser) filterAudit(fields ...string) answer {
	b.t.Helper()
	a := b.post("/admin/audit/search", append([]string{"csrf_token", b.token()}, fields...)...)
	if a.status == http.StatusSeeOther {
		return b.get(a.header.Get("Location"))
	}
	return a
}

var auditLines = regexp.MustCompile(`(?s)<tr><th scope="row" class="when">(.*?)</tr>`)

// lines are the rows of a table of events.
func (a answer) lines() (all []string) {
	for _, m := range auditLines.FindAllStringSubmatch(a.body, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestTheAuditIsFilteredByWhoWhatWhomAndWhen(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	id := strings.TrimPrefix(path, "/patients/")
	s.exec(`INSERT INTO users (username, password_hash) VALUES ('vida', 'none')`)
	s.exec(`INSERT INTO audit_events (recorded, action, outcome, actor_id, actor) VALUES ('2020-03-01T23:30:00Z', 'sign-out', 'success', (SELECT id FROM users WHERE username = 'vida'), 'vida')`)
	viewer, clinician := s.as("viewer"), s.as("clinician")
	viewer.get("/patients")
	viewer.get(path)
	clinician.get(path)
	clinician.get("/patients/" + "00000000-0000-4000-8000-000000000000")
	viewer.get("/patients/new")
	b := s.as("admin")
	for _, c := range []struct {
		fields []string
		want   int
		says   string
	}{
		{[]string{"patient", id}, 4, "Imported patients"}, // the first, because to read about a patient is on record too
		{[]string{"who", "viewer"}, 4, "Saw in a list"},
		{[]string{"who", "VI"}, 5, "Signed out"}, // vida, and the viewer
		{[]string{"who", "test"}, 1, "Imported patients"},
		{[]string{"who", "viewer", "what", "patient-open"}, 1, "Opened a patient"},
		{[]string{"what", "seen"}, 4, "Opened a patient"},
		{[]string{"patient", "https://clinic.example/patients/" + id + "?notice=saved", "who", "clinician"}, 1, "Opened a patient"},
		{[]string{"outcome", "refused"}, 2, "Asked for what the role does not allow"},
		{[]string{"to", "2020-03-01"}, 1, "vida"},
		{[]string{"to", "2020-02-29"}, 0, "No event matches"},
		{[]string{"from", "2020-03-01", "to", "2020-03-01", "who", "vida"}, 1, "1 Mar 2020, 23:30:00"},
		{[]string{"from", "2020-03-02", "who", "vida"}, 0, "No event matches"},
	} {
		a := b.filterAudit(c.fields...)
		if got := len(a.lines()); a.status != 200 || got != c.want || !strings.Contains(a.body, c.says) {
			t.Errorf("%v: %d, %d events, want %d with %q\n%s", c.fields, a.status, got, c.want, c.says, strings.Join(a.lines(), "\n"))
		}
	}
	for _, c := range []struct {
		fields []string
		says   string
	}{
		{[]string{"from", "2020-03-02", "to", "2020-03-01"}, `id="to-problem">This is before the first day.`},
		{[]string{"from", "yesterday"}, `id="from-problem">Write the date as 2026-12-25.`},
		{[]string{"who", "Quimbleton"}, `id="who-problem">No user name begins like this.`},
		{[]string{"patient", "Quimbleton"}, `id="patient-problem">Paste the address`},
	} {
		a := b.post("/admin/audit/search", append([]string{"csrf_token", b.token()}, c.fields...)...)
		a.says(t, fmt.Sprint(c.fields), http.StatusUnprocessableEntity, c.says, `aria-invalid="true"`, "<title>Error: Audit")
	}
	for _, query := range []string{"user=x", "what=x", "outcome=x", "place=older.1", "place=older.99999999999999999999.1", "user=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21"} {
		b.get("/admin/audit?"+query).says(t, query, http.StatusBadRequest, "That audit address is not valid")
	}
	b.get("/admin/audit?from=2020-03-02&to=2020-03-01").says(t, "days the wrong way round", http.StatusUnprocessableEntity, "before the first day")
	b.get("/admin/audit/events/1x").says(t, "no event", http.StatusNotFound)
	b.get("/admin/audit/events/999999").says(t, "no event", http.StatusNotFound)
}

// TestDaysOfTheAuditAreTheClinics: half past eleven at night in UTC is the next day in Karachi.
func TestDaysOfTheAuditAreTheClinics(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *Config) { c.Zone = time.FixedZone("Karachi", 5*3600) })
	s.exec(`INSERT INTO audit_events (recorded, action, outcome) VALUES ('2020-03-01T23:30:00Z', 'sign-in', 'refused')`)
	b := s.as("admin")
	for day, want := range map[string]int{"2020-03-01": 0, "2020-03-02": 1} {
		a := b.filterAudit("from", day, "to", day)
		if len(a.lines()) != want || want == 1 && !strings.Contains(a.body, "2 Mar 2020, 04:30:00") {
			t.Errorf("%s: %s", day, a.lines())
		}
	}
}

func TestWhatIsTypedIntoTheAuditsFiltersIsInNoAddressAndNoLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("admin")
	for _, field := range []string{"who", "patient", "from", "to"} {
		a := b.post("/admin/audit/search", "csrf_token", b.token(), field, "Quimbleton")
		if a.status != http.StatusUnprocessableEntity || strings.Contains(fmt.Sprint(a.header), "Quimbleton") {
			t.Errorf("%s: %d %v", field, a.status, a.header)
		}
	}
	if strings.Contains(s.logs.String(), "Quimbleton") || scan[bool](s, `SELECT bool_or(e::text LIKE '%Quimbleton%') FROM audit_events e`) {
		t.Error("it is on record")
	}
}

func TestPagesOfTheAuditLeadToTheNextAndBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exec(`INSERT INTO audit_events (recorded, action, outcome, actor) SELECT '2020-01-01'::timestamptz + n / 5 * interval '1 second', 'sign-in', 'refused', 'n' || n FROM generate_series(1, 120) n`)
	b := s.as("admin")
	first := b.get("/admin/audit?what=sign-in&to=2020-12-31")
	second := b.get(strings.ReplaceAll(first.link(`rel="next"`), "&amp;", "&"))
	third := b.get(strings.ReplaceAll(second.link(`rel="next"`), "&amp;", "&"))
	if len(first.lines()) != 50 || len(second.lines()) != 50 || len(third.lines()) != 20 || third.link(`rel="next"`) != "" || first.link(`rel="prev"`) != "" {
		t.Fatalf("%d, %d, %d events", len(first.lines()), len(second.lines()), len(third.lines()))
	}
	if !strings.Contains(first.lines()[0], ">n120<") || !strings.Contains(third.lines()[19], ">n1<") {
		t.Error("they are not all, the newest first")
	}
	back := b.get(strings.ReplaceAll(third.link(`rel="prev"`), "&amp;", "&"))
	if !slices.Equal(back.lines(), second.lines()) {
		t.Error("back is another page")
	}
	if again := b.get(strings.ReplaceAll(back.link(`rel="prev"`), "&amp;", "&")); !slices.Equal(again.lines(), first.lines()) || again.link(`rel="prev"`) != "" {
		t.Errorf("back to the first page: %d events", len(again.lines()))
	}
	part := b.get(strings.ReplaceAll(first.link(`rel="next"`), "&amp;", "&"), htmx...)
	if part.status != 200 || strings.Contains(part.body, "<html") || !slices.Equal(part.lines(), second.lines()) || !strings.Contains(part.body, `id="found"`) {
		t.Errorf("the fragment: %d\n%.300s", part.status, part.body)
	}
}

// TestWhoIsNamedInTheAuditIsOnRecordAsSeen: a page of the audit shows names too.
func TestWhoIsNamedInTheAuditIsOnRecordAsSeen(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(300)
	one, gone := scan[string](s, `SELECT min(id::text) FROM patients`), "00000000-0000-4000-8000-000000000000"
	s.as("viewer").get("/patients/" + one)
	s.exec(`INSERT INTO audit_events (action, outcome, patients) VALUES ('patient-open', 'success', $1)`, []string{gone})
	name := scan[string](s, `SELECT display_name FROM patients WHERE id = $1`, one)
	b := s.as("admin")
	const last = `SELECT patients::text[] FROM audit_events WHERE actor = 'admin' AND action LIKE 'audit-%' ORDER BY id DESC LIMIT 1`
	a := b.get("/admin/audit")
	if !strings.Contains(a.body, `<a href="/patients/`+one+`"><bdi>`+name+`</bdi></a>`) || !strings.Contains(a.body, "300 patients") || strings.Contains(a.body, gone) {
		t.Errorf("%s", a.lines())
	}
	if got := scan[[]string](s, last); !slices.Equal(got, []string{one}) {
		t.Errorf("recorded as seen: %v, want %s", got, one)
	}
	b.get("/admin/audit?what=sign-in")
	if got := scan[[]string](s, last); len(got) != 0 {
		t.Errorf("nobody was named, and recorded are %v", got)
	}
	b.get("/admin/audit?what=sign-in&patient=" + one) // whose name stands by the filter
	if got := scan[[]string](s, last); !slices.Equal(got, []string{one}) {
		t.Errorf("recorded as seen: %v", got)
	}
	event := scan[int](s, `SELECT id FROM audit_events WHERE action = 'import'`)
	a = b.get(views.AuditEventPath(int64(event)))
	a.says(t, "the import's event", 200, "Imported patients", "300 created, import 1", "And 100 more patients", "test", "shell")
	if got := scan[[]string](s, last); len(got) != 200 || strings.Count(a.body, `<li><a href="/patients/`) != 200 {
		t.Errorf("recorded %d, named %d", len(got), strings.Count(a.body, `<li><a href="/patients/`))
	}
}

func TestWhoSawAPatientIsShownToAdministratorsAlone(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	for _, role := range []string{"viewer", "clinician"} {
		b := s.as(role)
		b.get("/patients")
		if a := b.get(path); a.status != 200 || strings.Contains(a.body, "Who saw") || strings.Contains(a.body, "/admin/") || len(a.lines()) > 0 {
			t.Errorf("a %s sees who saw the patient", role)
		}
	}
	s.as("clinician").get(path + "/edit")
	b := s.as("admin")
	a := b.get(path)
	a.says(t, "an administrator", 200, "Who saw this patient", `href="/admin/audit?patient=`+strings.TrimPrefix(path, "/patients/")+`"`)
	lines := a.lines()
	if len(lines) != 7 { // the import, two each of two, the form, and this very page
		t.Fatalf("%d events:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for i, want := range []string{"admin", "clinician", "clinician", "clinician", "viewer", "viewer", "test"} {
		if !strings.Contains(lines[i], "<bdi>"+want+"</bdi>") {
			t.Errorf("line %d is not by %s: %s", i, want, lines[i])
		}
	}
	page := b.get(views.UserPath(s.userID("clinician")))
	page.says(t, "the clinician's page", 200, "What this user saw and did", "Opened a patient", fmt.Sprintf(`href="/admin/audit?user=%d"`, s.userID("clinician")))
	if n := len(page.lines()); n < 4 || strings.Contains(page.body, path) {
		t.Errorf("%d events, or a patient is named who is not on record for it", n)
	}
}

func TestTheAuditIsAFileForWhoGaveThePasswordLately(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(30)
	s.exec(`INSERT INTO audit_events (action, outcome, actor, client, detail) VALUES ('sign-in', 'refused', '=cmd()', '192.0.2.9', '{"kind": "wrong password"}')`)
	s.as("viewer").get("/patients")
	b := s.as("admin")
	ask := func(fields ...string) answer {
		return b.post("/admin/audit/export", append([]string{"csrf_token", b.token()}, fields...)...)
	}
	a := ask("format", "csv")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, "\ufeff"))).ReadAll()
	if err != nil || a.status != 200 || a.header.Get("Content-Type") != "text/csv; charset=utf-8" || strings.Count(a.body, "\r\n") != len(rows) {
		t.Fatalf("%d %v %v\n%.300s", a.status, a.header, err, a.body)
	}
	if columns := scan[[]string](s, `SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'audit_events'::regclass AND attnum > 0`); !slices.Equal(slices.Sorted(slices.Values(rows[0])), slices.Sorted(slices.Values(columns))) {
		t.Errorf("columns %v, the table has %v", rows[0], columns)
	}
	if n := scan[int](s, `SELECT count(*) FROM audit_events WHERE id < (SELECT min(id) FROM audit_events WHERE action = 'audit-export')`); len(rows) != n+1 {
		t.Errorf("%d events, want %d", len(rows)-1, n)
	}
	if !strings.Contains(a.body, ",'=cmd(),") {
		t.Error("a formula went out")
	}
	if got := scan[[]string](s, `SELECT array_agg(detail::text ORDER BY id) FROM audit_events WHERE action = 'audit-export'`); !slices.Equal(got, []string{`{"format": "csv", "filters": []}`,
		fmt.Sprintf(`{"events": %d, "format": "csv", "filters": [], "complete": true}`, len(rows)-1)}) {
		t.Errorf("on record: %q", got)
	}
	a = ask("format", "ndjson", "what", "patient-list")
	var event db.ExportedEvent
	var raw map[string]any
	if err := json.Unmarshal([]byte(a.body), &raw); err != nil || strings.Count(a.body, "\n") != 1 {
		t.Fatalf("%v\n%s", err, a.body)
	}
	_ = json.Unmarshal([]byte(a.body), &event)
	if at := scan[string](s, `SELECT to_char(recorded AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM audit_events WHERE action = 'patient-list'`); raw["recorded"] != at || len(event.Patients) != 25 || event.Actor != "viewer" {
		t.Errorf("%s\nat %s", a.body, at)
	}
	ask("format", "xlsx").says(t, "no such format", http.StatusBadRequest)
	s.exec(`UPDATE sessions SET created_at = now() - interval '11 minutes'`)
	a = ask("format", "csv", "what", "patient-list")
	a.says(t, "an old sign-in", http.StatusForbidden, "Confirm it is you", "who saw which patient", `name="carried.what" value="patient-list"`)
	a = b.post("/confirm", "csrf_token", b.token(), "to", "/admin/audit/export", "carried.format", "csv", "carried.what", "patient-list", "password", password)
	if a.status != 200 || !strings.HasPrefix(a.body, "\ufeffid,recorded,") || strings.Count(a.body, "\r\n") != 2 {
		t.Errorf("after the password: %d %.200s", a.status, a.body)
	}
}

// TestEveryActionHasWords sets the words beside the list of actions, which the database's tests hold to what is written.
func TestEveryActionHasWords(t *testing.T) {
	t.Parallel()
	var said []string
	for _, g := range auditGroups {
		said = append(said, g.actions...)
		for _, l := range texts.Languages {
			if l.Audit.Groups[g.name] == "" {
				t.Errorf("%s: no name for %s", l.Tag, g.name)
			}
			for _, a := range g.actions {
				if auditWords(l, a) == a {
					t.Errorf("%s: no words for %s", l.Tag, a)
				}
			}
		}
	}
	slices.Sort(said)
	if known := slices.Sorted(slices.Values(db.AuditActions)); !slices.Equal(said, known) {
		t.Errorf("words are for %v\nactions are     %v", said, known)
	}
}
