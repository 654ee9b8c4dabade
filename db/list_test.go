package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
)

// find gives the names on the first page of a search, in order.
func find(t *testing.T, d *db.DB, v db.Viewer, text string, f db.Filter) (names []string, l db.PatientList) {
	t.Helper()
	s, err := db.ParseSearch(text, false)
	if err != nil {
		t.Fatal(err)
	}
	l, err = d.ListPatients(context.Background(), v, db.ListQuery{Search: s, Filter: f, Sort: db.SortBest, Size: 100, Count: true})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, p := range l.Rows {
		names = append(names, p.DisplayName)
	}
	return names, l
}

func called(id, family, given, rest string) string {
	return resource(id, fmt.Sprintf(`,"name":[{"family":%q,"given":[%q]}]%s`, family, given, rest))
}

func mrn(value string) string {
	return fmt.Sprintf(`,"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":%q}]`, value)
}

func TestTheBestMatchComesFirstAndIsMarked(t *testing.T) {
	t.Parallel()
	d, _, v := withPatients(t, ""+
		called("1", "Marsh", "Zoe", "")+called("2", "Abel", "Mary", "")+
		resource("3", `,"name":[{"family":"Babel","given":["Zed","Marius"]}]`)+
		resource("4", `,"name":[{"family":"Cole","given":["Ann"]},{"use":"maiden","family":"Marlow"}]`)+
		called("5", "Delamare", "Bob", "")+called("6", "Eck", "Ingmar", "")+called("7", "Foe", "Ben", mrn("MAR-1"))+called("8", "Gull", "Sue", ""))
	names, l := find(t, d, v, "mar", db.Filter{})
	want := []string{"Marsh, Zoe", "Abel, Mary", "Babel, Zed Marius", "Cole, Ann", "Delamare, Bob", "Eck, Ingmar", "Foe, Ben"}
	if !slices.Equal(names, want) {
		t.Errorf("in the order %q", names)
	}
	var kinds []string
	for _, p := range l.Rows {
		kinds = append(kinds, strings.Join(p.Match, "+"))
	}
	if got := strings.Join(kinds, ", "); got != "family name, given name, given name, other name, part of a name, part of a name, MRN" {
		t.Errorf("marked %s", got)
	}
}

func TestTwoWordsFindEachOtherInEitherOrder(t *testing.T) {
	t.Parallel()
	d, _, v := withPatients(t, ""+
		called("1", "de la Cruz", "Juan", "")+called("2", "Cruz", "Juan", "")+called("3", "Juanes", "Cruzita", "")+called("4", "Santacruz", "San Juan", "")+
		called("5", "Cruz", "Maria", "")+called("6", "Smith", "Juan", ""))
	for text, want := range map[string]string{
		"juan cruz":    "Cruz, Juan; Juanes, Cruzita; de la Cruz, Juan; Santacruz, San Juan",
		"cruz juan":    "Cruz, Juan; Juanes, Cruzita; de la Cruz, Juan; Santacruz, San Juan",
		"Cruz, Juan":   "Cruz, Juan; Juanes, Cruzita; de la Cruz, Juan; Santacruz, San Juan",
		"de la cr":     "de la Cruz, Juan",
		"juan de la c": "de la Cruz, Juan",
		"cruz xavier":  "",
	} {
		names, _ := find(t, d, v, text, db.Filter{})
		a, b := slices.Sorted(slices.Values(names)), strings.Split(want, "; ")
		slices.Sort(b)
		if want == "" {
			b = nil
		}
		if !slices.Equal(a, b) {
			t.Errorf("%q finds %q", text, names)
		}
		if first := strings.Fields(text)[0]; len(names) > 1 && first != "cruz" && names[0] != "Cruz, Juan" {
			t.Errorf("%q has %q first", text, names[0])
		}
	}
}

func TestThePhonesLastDigitsFindAPatientByAnyPhone(t *testing.T) {
	t.Parallel()
	d, _, v := withPatients(t, ""+
		called("1", "One", "A", `,"telecom":[{"system":"phone","value":"+1 (555) 010-4477"},{"system":"sms","value":"555-0199"}]`)+
		called("2", "Two", "B", `,"telecom":[{"system":"phone","value":"5550104478"},{"system":"phone","use":"old","value":"555-0100"}]`))
	for text, want := range map[string]string{"4477": "One, A", "0199": "One, A", "010-4477": "One, A", "010 4477": "One, A", "+1 555 010 4477": "One, A",
		"4478": "Two, B", "0100": "", "477": "", "(555) 010-4478": "Two, B"} {
		names, l := find(t, d, v, text, db.Filter{})
		if strings.Join(names, "; ") != want || want != "" && !slices.Equal(l.Rows[0].Match, []string{db.MatchPhone}) {
			t.Errorf("%q finds %q", text, names)
		}
	}
}

func TestFiltersLetThroughWhatTheySay(t *testing.T) {
	t.Parallel()
	d, _, v := withPatients(t, ""+
		called("1", "Aa", "Full", `,"birthDate":"1974-12-25","gender":"female"`)+called("2", "Ab", "Month", `,"birthDate":"1974-12","gender":"male","active":false`)+
		called("3", "Ac", "Year", `,"birthDate":"1974","gender":"other","deceasedBoolean":true`)+called("4", "Ad", "None", `,"gender":"unknown"`)+
		called("5", "Ae", "Young", `,"birthDate":"2001-01-01"`)+called("6", "Bf", "Else", `,"birthDate":"1974-12-26","gender":"female"`))
	for name, c := range map[string]struct {
		filter db.Filter
		want   string
	}{
		"nothing":               {db.Filter{}, "Full Month Year None Young"},
		"active":                {db.Filter{Status: "active"}, "Full None Young"},
		"inactive":              {db.Filter{Status: "inactive"}, "Month"},
		"deceased":              {db.Filter{Status: "deceased"}, "Year"},
		"female":                {db.Filter{Gender: "female"}, "Full"},
		"unknown, or not said":  {db.Filter{Gender: "unknown"}, "None Young"},
		"a day":                 {db.Filter{BornFrom: "1974-12-25", BornTo: "1974-12-25"}, "Full Month Year"},
		"another month":         {db.Filter{BornFrom: "1974-11-01", BornTo: "1974-11-30"}, "Year"},
		"from a day on":         {db.Filter{BornFrom: "1974-12-26"}, "Month Year Young"},
		"up to a day":           {db.Filter{BornTo: "1974-12-24"}, "Month Year"},
		"a day and a sex":       {db.Filter{BornFrom: "1974-12-25", BornTo: "1974-12-25", Gender: "other"}, "Year"},
		"what nobody is":        {db.Filter{Status: "deceased", Gender: "female"}, ""},
		"a status and the span": {db.Filter{Status: "active", BornFrom: "1970-01-01", BornTo: "1979-12-31"}, "Full"},
	} {
		for _, text := range []string{"a", ""} { // with a search, and without
			s, err := db.ParseSearch(text, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, sort := range []db.Sort{db.SortBest, db.SortName, db.SortBirth, db.SortMRN, db.SortUpdated} {
				l, err := d.ListPatients(context.Background(), v, db.ListQuery{Search: s, Filter: c.filter, Sort: sort, Count: true})
				if err != nil {
					t.Fatalf("%s, %q by %s: %v", name, text, sort, err)
				}
				var got []string
				for _, p := range l.Rows {
					if given := strings.Fields(p.DisplayName)[1]; given != "Else" {
						got = append(got, given)
					}
				}
				want := strings.Fields(c.want)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("%s, %q by %s: %q, want %q", name, text, sort, got, want)
				}
			}
		}
	}
	for _, f := range []db.Filter{{Status: "dead"}, {Gender: "f"}, {BornFrom: "1974"}, {BornTo: "1974-02-30"}, {BornFrom: "1975-01-01", BornTo: "1974-01-01"}} {
		if _, err := d.ListPatients(context.Background(), v, db.ListQuery{Filter: f, Sort: db.SortName}); !errors.Is(err, db.ErrListQuery) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

// TestAnySearchHasEveryMatchOnceOnItsPages goes through the pages of searches whose matches come by many ways, both ways,
// in every order.
func TestAnySearchHasEveryMatchOnceOnItsPages(t *testing.T) {
	var all strings.Builder
	for i := range 80 {
		family := []string{"Marsh", "Mars", "Delamare", "Smith-Marlow", "Cole", "Omar Mar"}[i%6]
		given := []string{"Mary Ann", "Ingmar", "Zoe Marie", "Bob"}[i%4]
		all.WriteString(called(fmt.Sprint(i), family, given, fmt.Sprintf(`,"gender":%q,"birthDate":"194%d-01-%02d"%s`, []string{"other", "male", "female"}[i%3], i%2, i%28+1, mrn(fmt.Sprintf("MAR%04d", i*7)))))
	}
	d, c, v := withPatients(t, all.String())
	must(t, c, `ANALYZE patients`)
	t.Run("few", func(t *testing.T) {
		everyMatchOnce(t, d, v, "mar", "mar mar", "m", "mary marsh", "cole zoe", "mar000", "1940", "smith-marlow")
	})
	for name, r := range map[string][3]int{"many, and on two ways": {10, 1000, 1}, "many on one way": {10, 1000, 4}, "too many": {10, 30, 2}} {
		t.Run(name, func(t *testing.T) {
			db.SetReach(t, r[0], r[1], r[2])
			everyMatchOnce(t, d, v, "mar mar", "mary marsh")
		})
	}
}

func everyMatchOnce(t *testing.T, d *db.DB, v db.Viewer, texts ...string) {
	t.Helper()
	for _, text := range texts {
		s, err := db.ParseSearch(text, false)
		if err != nil {
			t.Fatal(err)
		}
		sets := map[string][]string{}
		for _, q := range []db.ListQuery{{Sort: db.SortBest}, {Sort: db.SortName}, {Sort: db.SortName, Desc: true}, {Sort: db.SortBirth}, {Sort: db.SortMRN, Desc: true}, {Sort: db.SortUpdated},
			{Sort: db.SortBest, Filter: db.Filter{BornFrom: "1900-01-01", BornTo: "1999-12-31"}},
			// A short span leads to the patients itself, and the matches are ranked afterwards.
			{Sort: db.SortBest, Filter: db.Filter{BornFrom: "1940-01-01", BornTo: "1941-12-31"}}, {Sort: db.SortMRN, Filter: db.Filter{BornFrom: "1940-01-01", BornTo: "1941-12-31"}},
			{Sort: db.SortBirth, Filter: db.Filter{BornFrom: "1940-01-01", BornTo: "1941-12-31", Status: "active"}},
			{Sort: db.SortBest, Filter: db.Filter{Gender: "other"}}, {Sort: db.SortName, Filter: db.Filter{Gender: "other"}}, {Sort: db.SortUpdated, Filter: db.Filter{Gender: "other"}}} {
			q.Search = s
			forwards := walkPages(t, d, v, q, false)
			back := walkPages(t, d, v, q, true)
			slices.Reverse(back)
			if !slices.Equal(forwards, back) {
				t.Errorf("%q by %s: %d forwards, %d backwards, or in another order", text, q.Sort, len(forwards), len(back))
			}
			slices.Sort(forwards)
			if len(slices.Compact(slices.Clone(forwards))) != len(forwards) {
				t.Errorf("%q by %s: a row came twice", text, q.Sort)
			}
			sets[q.Filter.Gender] = append(sets[q.Filter.Gender], strings.Join(forwards, " "))
		}
		for gender, all := range sets {
			slices.Sort(all)
			if all = slices.Compact(all); len(all) != 1 || all[0] == "" && gender == "" {
				var counts []int
				for _, s := range all {
					counts = append(counts, len(strings.Fields(s)))
				}
				t.Errorf("%q, %q finds other patients in another order: %d", text, gender, counts)
			}
		}
	}
}

// walkPages gives the ids on all pages of a query, by its next or its previous ones.
func walkPages(t *testing.T, d *db.DB, v db.Viewer, q db.ListQuery, backwards bool) (ids []string) {
	t.Helper()
	q.Last = backwards
	for {
		l, err := d.ListPatients(context.Background(), v, q)
		if err != nil {
			t.Fatal(err)
		}
		var page []string
		for _, p := range l.Rows {
			page = append(page, p.ID)
		}
		if backwards {
			slices.Reverse(page)
		}
		ids = append(ids, page...)
		if backwards && !l.HasPrev || !backwards && !l.HasNext {
			return ids
		}
		q.Cursor, q.Last = l.Edge(backwards), false
	}
}

func TestAMisspeltNameFindsSimilarOnes(t *testing.T) {
	t.Parallel()
	d, c, v := withPatients(t, ""+
		called("1", "Smith", "John", `,"birthDate":"1974-12-25"`)+called("2", "Jónsdóttir", "Guðrún", "")+resource("3", `,"name":[{"family":"García López","given":["María","José"]}]`)+
		called("4", "Ek", "Bo", ""))
	for text, want := range map[string]string{
		"jhon smith": "Smith, John", "smiht": "Smith, John", "smmith john": "Smith, John", "john snith": "Smith, John", "jon smth": "Smith, John",
		"smiht 1974-12-25": "Smith, John", "smiht 1975": "", "gudrum jonsdotir": "Jónsdóttir, Guðrún", "garcia lopes": "García López, María José",
		"maria lopze": "García López, María José", "xk": "", "qqqqqq": "",
	} {
		names, l := find(t, d, v, text, db.Filter{})
		var similar []string
		for _, p := range l.Similar {
			similar = append(similar, p.DisplayName)
		}
		if len(names) > 0 || strings.Join(similar, "; ") != want {
			t.Errorf("%q finds %q, similar %q", text, names, similar)
		}
	}
	if _, l := find(t, d, v, "smith", db.Filter{}); len(l.Similar) > 0 {
		t.Error("what was found comes again as similar")
	}
	if _, l := find(t, d, v, "smiht", db.Filter{Status: "deceased"}); len(l.Similar) > 0 {
		t.Error("similar names pass by the filter")
	}
	shown := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action = 'patient-list' AND detail ? 'similar' AND cardinality(patients) = 1`)
	if shown != 9 {
		t.Errorf("%d lists of similar names are on record", shown)
	}
}

// TestTheDatabaseKeepsSearchRight writes patients past the program: what finds them follows by itself.
func TestTheDatabaseKeepsSearchRight(t *testing.T) {
	t.Parallel()
	d, c, v := withPatients(t, called("1", "Marsh", "Zoe Ann", `,"telecom":[{"system":"phone","value":"555-0147"}]`))
	finds := func(what, text string, want int) {
		t.Helper()
		if names, _ := find(t, d, v, text, db.Filter{}); len(names) != want {
			t.Errorf("%s: %q finds %q", what, text, names)
		}
	}
	finds("as imported", "ann", 1)
	must(t, c, `UPDATE patients SET words = ' marsh zoe bella', given_key = 'zoe bella', phone_keys = ' 8410555'`)
	finds("changed", "ann", 0)
	finds("changed", "bella", 1)
	finds("changed", "0147", 0)
	finds("changed", "0148", 1)
	must(t, c, `UPDATE patients SET family_key = 'lemarsh', words = ' lemarsh zoe bella'`)
	finds("another family name", "arsh", 1)
	finds("another family name", "bella", 1)
	must(t, c, `DELETE FROM patients`)
	finds("deleted", "bella", 0)
	for _, table := range []string{"patient_terms", "patient_resources"} {
		if n := value[int](t, c, `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()); n != 0 {
			t.Errorf("%s keeps %d rows of a patient who is gone", table, n)
		}
	}
}
