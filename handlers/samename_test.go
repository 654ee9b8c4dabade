package handlers

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"chartroom/db"
)

var sameBadge = regexp.MustCompile(`<bdi>([^<]*)</bdi></a>\s*(?:<span class="match">[^<]*</span>)?\s*<span class="same">([^<]*)</span>`)

func (a answer) sameNames() (all []string) {
	for _, m := range sameBadge.FindAllStringSubmatch(a.body, -1) {
		all = append(all, html.UnescapeString(m[1]+" – "+m[2]))
	}
	return all
}

func TestRowsThatCouldBeMixedUpSaySoWithTheBirthDate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("1", "García", "José", "A1", "1974-12-25") + patientJSON("2", "GARCIA", "jose", "A2", "1975") + `{"resourceType":"Patient","id":"3","name":[{"family":"José","given":["García"]}]}` + "\n" +
		patientJSON("4", "Garcia", "Josef", "A4", "1974-12-25") + patientJSON("5", "Smith", "James", "A5", "2001-02-03"))
	b := s.as(db.RoleClinician)
	want := []string{"García, José – born 25 Dec 1974 · same name", "GARCIA, jose – born 1975 · same name", "José, García – birth date not known · same name",
		"Garcia, Josef – born 25 Dec 1974 · similar name"}
	if got := b.get("/patients").sameNames(); !sameSet(got, want) {
		t.Errorf("%q", got)
	}
	// Between what was found and what is similar, too: "Jose Garcia" is searched for misspelt.
	if got := b.search("A5").sameNames(); len(got) != 0 {
		t.Errorf("one row alone: %q", got)
	}
	if got := b.search("jose garcia 1974").sameNames(); len(got) != 2 || !strings.HasSuffix(got[0], "similar name") || !strings.HasSuffix(got[1], "similar name") {
		t.Errorf("two born on one day: %q", got)
	}
	s.exec(`INSERT INTO user_preferences (user_id, preferences) SELECT id, '{"language": "es", "columns": ["birth_date"]}' FROM users WHERE username = 'clinician'`)
	if got := b.get("/patients").sameNames(); len(got) != 4 || !strings.HasSuffix(got[0], "mismo nombre") || !strings.HasSuffix(got[3], "nombre parecido") && !strings.HasSuffix(got[2], "nombre parecido") {
		t.Errorf("in Spanish: %q", got)
	}
}

func TestWhoWasBornOnOneDayIsMarkedWhenTheNamesAreNearlyTheSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		near bool
	}{
		{"Thimblewood, Kiran", "Thimblewood, Karan", true},      // one letter
		{"Quillfeather, Marisol", "Quilfeather, Marisol", true}, // one that is missing
		{"Smith, James", "Smtih, James", true},                  // two swapped
		{"Müller, Zoë", "MULLER, Lea", true},                    // twins
		{"Smith, James", "Smyth, Jamie", false},                 // two letters, and another family name
		{"Smith, James", "Jones, James", false},                 // only the given name
		{"Smith", "Smith, James", true},                         // the given name is not on record
		{"Abc, De", "Abd, Ec", false},                           // two apart that are not neighbours
		{"王, 伟", "王, 芳", true}, {"王, 伟", "李, 芳", false},
	} {
		if nearlySame(c.a, c.b) != c.near || nearlySame(c.b, c.a) != c.near {
			t.Errorf("%s and %s: %t", c.a, c.b, !c.near)
		}
	}
}

func sameSet(a, b []string) bool {
	for _, x := range a {
		if !strings.Contains(strings.Join(b, "\n"), x) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestAPatientsPageSaysThatOthersHaveTheName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("1", "García", "José", "A1", "1974-12-25") + patientJSON("2", "GARCIA", "jose", "A2", "1975") + patientJSON("3", "Smith", "James", "A3", "2001-02-03"))
	b := s.as(db.RoleClinician)
	open := func(mrn string, header ...string) answer {
		return b.get("/patients/"+scan[string](s, `SELECT id::text FROM patients WHERE mrn = $1`, mrn), header...)
	}
	if page := open("A3").body; strings.Contains(page, "namesakes") {
		t.Error("nobody else has that name")
	}
	for what, a := range map[string]answer{"page": open("A1"), "panel": open("A1", append(htmx, "HX-Target", "aside#panel")...)} {
		m := regexp.MustCompile(`Another patient has this name\. Check the birth date, or <a href="(/patients\?list=[^"]+)">show both</a>\.`).FindStringSubmatch(a.body)
		if m == nil {
			t.Fatalf("%s: %.2000s", what, a.body)
		}
		if !regexp.MustCompile(`(?s)<p class="facts">.*?</p>\s*<p class="note look namesakes">`).MatchString(a.body) || what == "page" && strings.Index(a.body, "namesakes") > strings.Index(a.body, "/edit") {
			t.Errorf("%s: it does not stand under who the patient is, before what can be done", what)
		}
		if to := b.get(html.UnescapeString(m[1])); len(to.names()) != 2 || strings.Contains(strings.ToLower(m[1]), "garc") {
			t.Errorf("%s: %s leads to %q", what, m[1], to.names())
		}
		if other := s.as(db.RoleAdmin).get(html.UnescapeString(m[1])); len(other.names()) != 3 || other.status != 400 {
			t.Errorf("another user's address shows what it searches for: %d %q", other.status, other.names())
		}
	}
	for i := range 12 {
		s.load(patientJSON("x"+string(rune('a'+i)), "Garcia", "José", "", "1980"))
	}
	if page := open("A1").body; !strings.Contains(page, "Ten or more other patients have this name") {
		t.Error("many are not counted")
	}
}
