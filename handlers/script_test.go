package handlers

import (
	"html"
	"strconv"
	"strings"
	"testing"
)

// isolated says where a value stands so that its direction changes that of its neighbours: everywhere but in a bdi of its own, and in a
// field that takes the direction of what is in it (WCAG 1.3.2; HTML, "bidirectional text").
func isolated(page, value string) (where []string, times int) {
	page = html.UnescapeString(page)
	for at := 0; ; times++ {
		i := strings.Index(page[at:], value)
		if i < 0 {
			return where, times
		}
		at += i
		before := page[:at]
		tag, inTag := before[strings.LastIndexByte(before, '<'):], strings.LastIndexByte(before, '<') > strings.LastIndexByte(before, '>')
		switch {
		case inTag:
			end := at + strings.IndexByte(page[at:], '>')
			if whole := tag + page[at:end]; !strings.HasPrefix(whole, "<input") || !strings.Contains(whole, ` dir="auto"`) {
				where = append(where, whole)
			}
		case strings.LastIndex(before, "<bdi>") <= strings.LastIndex(before, "</bdi>"):
			where = append(where, before[max(0, len(before)-120):]+value)
		}
		at += len(value)
	}
}

func TestNamesInAnyScriptKeepTheirPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// A user's name is typed as well, and the words that a resource has for what it holds.
	s.exec(`INSERT INTO users (username, password_hash, role) VALUES ('مريم', $1, 'clinician'), ('דליה', $1, 'admin')`, passwordHash)
	resource := func(id, family, given, mrn, street, kind, contact string) string {
		return `{"resourceType":"Patient","id":"` + id + `","name":[{"use":"official","family":"` + family + `","given":["` + given + `"]},{"use":"nickname","text":"` + given + `"}],"birthDate":"1974-12-25",` +
			`"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"` + mrn + `"},{"type":{"text":"` + kind + `"},"value":"` + kind + ` 7"}],` +
			`"address":[{"use":"home","line":["` + street + `"],"city":"` + street + `"}],"telecom":[{"system":"phone","value":"555-0100"}],` +
			`"contact":[{"relationship":[{"text":"` + kind + `"}],"name":{"text":"` + contact + `"},"telecom":[{"system":"phone","value":"555-0101"}]}]}` + "\n"
	}
	arabic := []string{"الحسن", "ليلى", "م-١٢", "شارع", "بطاقة", "أمينة", "مريم"}
	hebrew := []string{"כהן", "שרה", "מ-12", "רחוב", "תעודה", "רבקה", "דליה"}
	s.load(resource("a", arabic[0], arabic[1], arabic[2], arabic[3], arabic[4], arabic[5]) + resource("h", hebrew[0], hebrew[1], hebrew[2], hebrew[3], hebrew[4], hebrew[5]))
	for i, names := range [][]string{arabic, hebrew} {
		path := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE family = $1`, names[0])
		b, other, admin := s.as(names[6]), s.as("clinician"), s.as("admin")
		look := func(what string, a answer, status int, wanted ...string) answer {
			t.Helper()
			if a.status != status {
				t.Fatalf("%s: %d\n%.300s", what, a.status, a.main())
			}
			for _, value := range names {
				if where, _ := isolated(a.main(), value); len(where) > 0 {
					t.Errorf("%s: %q stands open, %d times: %s", what, value, len(where), where[0])
				}
			}
			for _, value := range wanted {
				if _, times := isolated(a.main(), value); times == 0 {
					t.Errorf("%s: %q is not there", what, value)
				}
			}
			return a
		}
		look("the list", b.get("/patients"), 200, names[0], names[2], names[3])
		token := b.token()
		found := b.post("/patients/search", "csrf_token", token, "q", names[1]+" "+names[0])
		look("a search", b.get(found.header.Get("Location")), 200, names[0], names[1])
		look("the page", b.get(path), 200, names[:6]...)
		form := look("the form", b.get(path+"/edit"), 200, names[:4]...)
		stale := other.get(path + "/edit")
		look("a problem", b.send(path, form, "birth_date", "x"), 422, names[:4]...)
		look("a patient who is there already", b.send("/patients", b.get("/patients/new"), "family", names[0], "given", names[1], "birth_date", "1974-12-25"), 409, names[:4]...)
		if a := b.send(path, form, "city", names[0]+" "+names[3], "line", names[5]); a.status != 303 {
			t.Fatal(a.status)
		}
		look("somebody else's change", other.send(path, stale, "city", names[1]), 409, names[0], names[1], names[3], names[5], names[6])
		s.exec(`INSERT INTO patient_conflicts (patient_id, import_id, last_id, resource, resource_sha)
			SELECT patient_id, 12, 12, replace(resource::text, $2, $3)::json, sha256($2::bytea) FROM patient_resources WHERE patient_id = $1`,
			strings.TrimPrefix(path, "/patients/"), names[1], names[5])
		look("the history and a conflict", admin.get(path), 200, names...)
		look("the audit", admin.get("/admin/audit"), 200, names[0], names[6])
		look("the audit of a patient", admin.filterAudit("patient", path), 200, names[0], names[6])
		look("the audit of a user", admin.filterAudit("who", names[6]), 200, names[6])
		look("a name typed into the audit", admin.post("/admin/audit/search", "csrf_token", admin.token(), "who", names[0]), 422, names[0])
		event := scan[int](s, `SELECT max(id)::int FROM audit_events WHERE action = 'patient-change'`)
		look("an event", admin.get("/admin/audit/events/"+strconv.Itoa(event)), 200, names[0], names[6])
		if i == 0 {
			continue
		}
		for what, page := range map[string]string{"text": "<p>" + names[0] + "</p>", "behind": "<bdi>x</bdi>" + names[0], "an input": `<input value="` + names[0] + `">`} {
			if where, times := isolated(page, names[0]); len(where) != 1 || times != 1 {
				t.Errorf("%s would not be found", what)
			}
		}
	}
}
