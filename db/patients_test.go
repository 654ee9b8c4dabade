package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
)

// withPatients is a database with a user in it and what ndjson holds.
func withPatients(t *testing.T, ndjson string) (*db.DB, *pgx.Conn, db.Viewer) {
	t.Helper()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "viewer")
	r, err := d.ImportPatients(context.Background(), strings.NewReader(ndjson), db.ImportOptions{Actor: "test",
		Rejected: func(where, why string) { t.Errorf("%s: %s", where, why) }})
	if err != nil || r.Rejected > 0 {
		t.Fatal(r, err)
	}
	return d, c, signedIn(t, d, c, "ada")
}

func resource(id, rest string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q%s}`+"\n", id, rest)
}

func TestSearchFindsAnyWordOfANameFromItsStart(t *testing.T) {
	t.Parallel()
	d, _, v := withPatients(t, ""+
		resource("1", `,"name":[{"family":"O'Brien-Smythe","given":["Mary","Ann"]}],"birthDate":"1974-12-25"`)+
		resource("2", `,"name":[{"family":"de la Cruz","given":["José"]},{"use":"maiden","family":"Ångström"}],"birthDate":"1974-12"`)+
		resource("3", `,"name":[{"text":"王小明"}],"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"MRN-00 42"}],"birthDate":"1974"`)+
		resource("4", `,"name":[{"family":"Søndergård","given":["Łukasz"]}],"birthDate":"2001-02-03"`)+
		resource("5", `,"name":[{"text":"100% _Wild_"}],"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"01332066-fca8-cce4"}]`)+
		resource("6", `,"name":[{"given":["Мария"],"family":"Иванова"}],"birthDate":"2001-03-02"`)+
		resource("7", ``))
	for search, want := range map[string]string{
		"": "1 2 3 4 5 6 7", "o'brien": "1", "obrien": "1", "brien": "1", "O’BRIEN": "1", "smy": "1", "obriens": "1", "ann": "1", "mary smy": "1",
		"ann brien": "1", "nn": "", "ien": "1", "gst": "2", "小明": "3", "m": "1 3", "cruz": "2", "de la cruz": "2", "jose": "2", "JOSÉ CRUZ": "2", "angstrom": "2", "ångs": "2", "cruz jo": "2",
		"王": "3", "王小明": "3", "小": "", "sondergard": "4", "lukasz": "4", "ива": "6", "МАРИЯ": "6",
		"1974": "1 2 3", "1974-12": "1 2", "1974-12-25": "1", "1974-1": "1 2", "2001-2-3": "4", "2001-2-": "4", "2001-02-0": "4", "2001-3-2": "6", "mary - ann": "1", "- &": "", "25.12.1974": "1", "3.2.2001": "4", "2/3/2001": "6", "3/2/2001": "4", "197": "",
		"mrn-0042": "3", "MRN 00": "3", "mrn-00 42": "3", "0042": "", "01332066-fca8": "5", "01332066fca8cce4": "5", "0133 2066": "5",
		"100%": "5", "wild": "5", "%": "", "_": "", `\`: "", "%wild": "5", "xyzzy": "", "mary cruz": "", "mary 1974": "1", "-- ' ; DROP": "",
	} {
		s, err := db.ParseSearch(search, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, sort := range []db.Sort{db.SortBest, db.SortName, db.SortUpdated} {
			l, err := d.ListPatients(context.Background(), v, db.ListQuery{Search: s, Sort: sort, Count: true})
			if err != nil {
				t.Fatalf("%q, %s: %v", search, sort, err)
			}
			var got []string
			for _, p := range l.Rows {
				got = append(got, nameToID[p.DisplayName])
			}
			slices.Sort(got)
			if strings.Join(got, " ") != want || l.Found != len(got) || l.FoundMore {
				t.Errorf("%q, %s finds %v (says %d), want %s", search, sort, got, l.Found, want)
			}
		}
	}
	if s, _ := db.ParseSearch("2/3/2001", true); func() int {
		l, err := d.ListPatients(context.Background(), v, db.ListQuery{Search: s, Sort: db.SortName})
		if err != nil || len(l.Rows) != 1 || nameToID[l.Rows[0].DisplayName] != "4" {
			return 0
		}
		return 1
	}() != 1 {
		t.Error("2/3/2001 with the month first is not 3 February")
	}
}

var nameToID = map[string]string{"O'Brien-Smythe, Mary Ann": "1", "de la Cruz, José": "2", "王小明": "3", "Søndergård, Łukasz": "4", "100% _Wild_": "5", "Иванова, Мария": "6", "Unnamed": "7"}

func TestWhatIsMissingComesLast(t *testing.T) {
	t.Parallel()
	d, _, v := withPatients(t, ""+
		resource("none", ``)+resource("name-only", `,"name":[{"family":"Zyzzyva"}]`)+
		resource("chinese", `,"name":[{"text":"王小明"}],"birthDate":"1990","identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"9"}]`)+
		resource("full", `,"name":[{"family":"Abel"}],"birthDate":"2000-01-01","identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"10"}]`))
	for sort, want := range map[db.Sort]string{
		db.SortName: "Abel, Zyzzyva, 王小明, Unnamed", db.SortBirth: "王小明, Abel", db.SortMRN: "Abel, 王小明",
	} {
		l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: sort})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range l.Rows {
			got = append(got, p.DisplayName)
		}
		if !strings.HasPrefix(strings.Join(got, ", "), want) || len(got) != 4 {
			t.Errorf("by %s: %v, want first %s", sort, got, want)
		}
	}
}

func TestAListIsRecordedWithThePatientsItShows(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	for p := range sample.Patients(3, 60) {
		all.Write(append(p, '\n'))
	}
	d, c, v := withPatients(t, all.String())
	q := db.ListQuery{Sort: db.SortName}
	var shown []string
	for page := 0; ; page++ {
		l, err := d.ListPatients(context.Background(), v, q)
		if err != nil {
			t.Fatal(err)
		}
		shown = nil
		for _, p := range l.Rows {
			shown = append(shown, p.ID)
		}
		got := value[[]string](t, c, `SELECT patients::text[] FROM audit_events WHERE action = 'patient-list' ORDER BY id DESC LIMIT 1`)
		if !slices.Equal(got, shown) {
			t.Errorf("page %d: recorded %d, shown %d, or in another order", page, len(got), len(shown))
		}
		if !l.HasNext {
			break
		}
		q.Cursor = l.Edge(false)
	}
	if len(shown) != 10 {
		t.Errorf("the last page has %d rows", len(shown))
	}
}

func TestCountingStopsAtTheCap(t *testing.T) {
	t.Parallel()
	d, c, v := withPatients(t, resource("1", ``))
	must(t, c, `INSERT INTO patients (display_name, family_key, given_key, mrn_key, words, resource_sha)
		SELECT 'x', 'x', 'x', 'x', ' x', '' FROM generate_series(1, 1500)`)
	count := func(more bool, want int) {
		t.Helper()
		l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName, Count: true})
		if err != nil || l.Found != want || l.FoundMore != more {
			t.Errorf("%d, more: %v, %v", l.Found, l.FoundMore, err)
		}
	}
	count(true, db.CountCap)
	count(true, db.CountCap) // which is remembered, but not
	must(t, c, `DELETE FROM patients WHERE ctid IN (SELECT ctid FROM patients OFFSET 3)`)
	count(false, 3) // where the page itself says otherwise
}

func TestAStateMadeForAnotherUserShowsNothing(t *testing.T) {
	t.Parallel()
	d, _, v := withPatients(t, resource("1", ``))
	who, err := d.Whoami(context.Background(), v)
	if err != nil {
		t.Fatal(err)
	}
	if l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName, UserID: who.UserID}); err != nil || len(l.Rows) != 1 {
		t.Errorf("one's own: %v", err)
	}
	l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName, UserID: who.UserID + 1})
	if !errors.Is(err, db.ErrForeignList) || len(l.Rows) != 0 || l.Found != 0 {
		t.Errorf("another's: %d rows, %v", len(l.Rows), err)
	}
}

func TestOthersOfTheSameNameAreCountedAlongAnIndex(t *testing.T) {
	named := func(id, family, given string) string {
		return resource(id, fmt.Sprintf(`,"name":[{"family":%q,"given":[%q]}],"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":%q}]`, family, given, id))
	}
	all := named("1", "García", "José") + named("2", "garcia", "JOSE") + named("3", "Jose", "Garcia") + named("4", "Garcia", "Josefa") + resource("5", `,"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"5"}]`) + resource("6", "") +
		resource("7", `,"name":[{"family":"Garcia"}],"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"7"}]`)
	d, c, v := withPatients(t, all)
	count := func(key string) int {
		t.Helper()
		var id string
		if err := c.QueryRow(context.Background(), `SELECT id::text FROM patients WHERE mrn = $1`, key).Scan(&id); err != nil {
			t.Fatal(err)
		}
		p, err := d.OpenPatient(context.Background(), v, id)
		if err != nil {
			t.Fatal(err)
		}
		return p.Namesakes
	}
	for key, want := range map[string]int{"1": 2, "2": 2, "3": 2, "4": 0, "5": 0, "7": 0} {
		if got := count(key); got != want {
			t.Errorf("patient %s: %d others, want %d", key, got, want)
		}
	}
	for i := range 12 {
		if _, err := d.ImportPatients(context.Background(), strings.NewReader(named(fmt.Sprint("more", i), "García", "José")), db.ImportOptions{Actor: "test", Rejected: func(string, string) {}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := count("1"); got != db.MostNamesakes {
		t.Errorf("of many: %d", got)
	}
}
