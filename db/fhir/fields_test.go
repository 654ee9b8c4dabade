package fhir

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// today is an evening in New York that is tomorrow already in Greenwich.
func today(t *testing.T) time.Time {
	t.Helper()
	return time.Date(2025, 3, 9, 21, 0, 0, 0, time.FixedZone("clinic", -5*60*60))
}

func TestReadFields(t *testing.T) {
	for _, c := range []struct {
		promise, members string
		want             Fields
	}{
		{"nothing said", `"id":"a"`, Fields{}},
		{"what Parse shows", `"active":false,"gender":"male","birthDate":"1974-12","name":[{"use":"old","family":"O"},{"family":"F","given":["A",null,"B"]}],
			"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"m"}],"telecom":[{"system":"phone","value":"1"},{"system":"email","value":"E@x"}]`,
			Fields{Family: "F", Given: "A B", BirthDate: "1974-12", Gender: "male", MRN: "m", Phone: "1", Email: "E@x", Active: "false"}},
		{"a name that is text only is in Family", `"name":[{"text":"Baby of Oona"}]`, Fields{Family: "Baby of Oona"}},
		{"but not where there are parts", `"name":[{"text":"T","given":["A"]}]`, Fields{Given: "A"}},
		{"the whole address of the city that Parse shows", `"address":[{"line":["x"]},{"use":"home","line":["1 A","2 B"],"city":"C","state":"S","postalCode":"P","country":"X"}]`,
			Fields{Line: "1 A, 2 B", City: "C", State: "S", PostalCode: "P", Country: "X"}},
		{"without a city, the first address in use that says something", `"address":[{"use":"old","line":["o"]},{"use":"home"},{"state":"S"},{"state":"T"}]`, Fields{State: "S"}},
		{"an address that is text only is in Line", `"address":[{"text":"1 A\n\nC  S"}]`, Fields{Line: "1 A, C S"}},
		{"an old address is not shown", `"address":[{"use":"old","city":"C"}]`, Fields{}},
		{"odd shapes that Parse does not judge say nothing", `"address":[{"line":"x","state":5,"country":["y"],"city":"C"}]`, Fields{City: "C"}},
		{"not dead", `"deceasedBoolean":false`, Fields{}},
		{"dead", `"deceasedBoolean":true`, Fields{Deceased: "true"}},
		{"dead since", `"deceasedDateTime":"2001-10","deceasedBoolean":true`, Fields{Deceased: "2001-10"}},
	} {
		got, err := ReadFields(patientWith(c.members))
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v", c.promise, got, err)
		}
	}
	if _, err := ReadFields(patientWith(`"gender":"SECRET"`)); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("what Parse refuses gave %v", err)
	}
}

func TestClean(t *testing.T) {
	got := Fields{
		Family: " \u202eMu\u0308ller\u00a0\t- Lee\r\n", Given: "A\u0000B\xff", Email: " Ann@Example.ORG ", Line: "Flat 3 ,  Hill Road, , 4,5, ", Phone: "\u2067",
	}.Clean()
	want := Fields{Family: "Müller - Lee", Given: "A B\uFFFD", Email: "Ann@Example.ORG", Line: "Flat 3, Hill Road, 4,5,"}
	if got != want {
		t.Errorf("got %+q", got)
	}
	if again := got.Clean(); again != got {
		t.Errorf("a second time gives %+q", again)
	}
}

func TestCheckAccepts(t *testing.T) {
	base := Fields{Family: "Marrow"}
	accept := func(promise string, set func(*Fields)) {
		t.Helper()
		f := base
		set(&f)
		if got := f.Check(today(t)); got != nil {
			t.Errorf("%s: %+v", promise, got)
		}
	}
	accept("a family name alone", func(*Fields) {})
	accept("a given name alone", func(f *Fields) { f.Family, f.Given = "", "Thessaly" })
	accept("an MRN of somebody without a name", func(f *Fields) { f.Family, f.MRN = "", "N 0001" })
	for _, s := range []string{"1850", "1974", "1974-12", "2024-02-29", "2025-03-09", "2025-03", "2025"} {
		accept("born "+s, func(f *Fields) { f.BirthDate = s })
	}
	for _, s := range genders {
		accept(s, func(f *Fields) { f.Gender = s })
	}
	for _, s := range []string{"112", "+1 (555) 010-0199 ext. 12", "555.010.0199x3", "030/1234567", "+49 30 1234\u201356", "٠١٢٣", "555 0100 EXT 4"} {
		accept("phone "+s, func(f *Fields) { f.Phone = s })
	}
	for _, s := range []string{"a@b", "ann.o'hara+tag@mail.example.org", "мария@пример.рф", `"a@b"@example.org`, strings.Repeat("a", 242) + "@example.org"} {
		accept("e-mail "+s, func(f *Fields) { f.Email = s })
	}
	for _, s := range []string{"true", "2025-03-09", "1990-05", "1990", "2025-03-09T20:00:00-05:00", "2025-03-10T01:30:00.5Z"} {
		accept("deceased "+s, func(f *Fields) { f.Deceased, f.BirthDate = s, "1990-05-06" })
	}
	accept("died on the day of birth, in the clinic's zone the day before", func(f *Fields) { f.BirthDate, f.Deceased = "2020-05-06", "2020-05-06T01:00:00Z" })
	accept("200 characters", func(f *Fields) { f.City = strings.Repeat("Ä", 200) })
}

func TestCheckSaysWhichRule(t *testing.T) {
	base := Fields{Family: "Marrow"}
	refuse := func(field string, rule Rule, set func(*Fields)) {
		t.Helper()
		f := base
		set(&f)
		got := f.Check(today(t))
		if len(got) != 1 || got[0].Field != field || got[0].Rule != rule {
			t.Errorf("%s: %+v, want %q", field, got, rule)
		}
	}
	refuse("Family", RuleKnownBy, func(f *Fields) { *f = Fields{} })
	for _, s := range []string{"25.12.1974", "74", "1974-12-25T10:00:00Z", "1974-1-5"} {
		refuse("BirthDate", RuleBirthDate, func(f *Fields) { f.BirthDate = s })
	}
	for _, s := range []string{"1974-13", "1973-02-29", "0000"} {
		refuse("BirthDate", RuleBirthDay, func(f *Fields) { f.BirthDate = s })
		refuse("Deceased", RuleDeathDay, func(f *Fields) { f.Deceased = s })
	}
	for _, s := range []string{"2025-03-10", "2025-04", "2026"} {
		refuse("BirthDate", RuleBirthFuture, func(f *Fields) { f.BirthDate = s })
		refuse("Deceased", RuleDeathFuture, func(f *Fields) { f.Deceased = s })
	}
	for _, s := range []string{"1849-12-31", "1849", "0974-12-25"} {
		refuse("BirthDate", RuleBirthYear, func(f *Fields) { f.BirthDate = s })
	}
	refuse("Gender", RuleGender, func(f *Fields) { f.Gender = "M" })
	refuse("MRN", RuleMRNLength, func(f *Fields) { f.MRN = strings.Repeat("1", 101) })
	refuse("MRN", RuleControl, func(f *Fields) { f.MRN = "1\t2" })
	for _, s := range []string{"call mum", "555-0100 or 555-0101", "555 0100 x", "555 x 1 x 2", "555-0100; 5", "555 0100 tex 1"} {
		refuse("Phone", RulePhone, func(f *Fields) { f.Phone = s })
	}
	for _, s := range []string{"12", "+-()", strings.Repeat("5", 41)} {
		refuse("Phone", RulePhoneLength, func(f *Fields) { f.Phone = s })
	}
	for _, s := range []string{"ann", "@x", "ann@", "a b@x", "a@b@c", "a@b,c@d", "<a@b>", "a@.b", "a@b.", "a@b..c", `"@x`} {
		refuse("Email", RuleEmail, func(f *Fields) { f.Email = s })
	}
	refuse("Email", RuleEmailLength, func(f *Fields) { f.Email = strings.Repeat("a", 243) + "@example.org" })
	refuse("City", RuleLength, func(f *Fields) { f.City = strings.Repeat("Ä", 201) })
	refuse("Active", RuleActive, func(f *Fields) { f.Active = "yes" })
	for _, s := range []string{"yes", "false", "2024-03-09T10:00:00", "2024-03-09T1:00:00Z", "9999-12-31T23:30:00-12:00", "0001-01-01T01:00:00Z"} {
		refuse("Deceased", RuleDeath, func(f *Fields) { f.Deceased = s })
	}
	refuse("Deceased", RuleDeathFuture, func(f *Fields) { f.Deceased = "2025-03-10T05:00:00Z" })
	for _, s := range []string{"1989", "1990-04", "1990-05-05", "1990-05-05T23:00:00Z"} {
		refuse("Deceased", RuleDeathFirst, func(f *Fields) { f.Deceased, f.BirthDate = s, "1990-05-06" })
	}
}

func TestCheckGoesInTheOrderOfTheForm(t *testing.T) {
	var order []string
	for _, e := range (Fields{BirthDate: "x", Gender: "x", Phone: "x", Email: "x", Active: "x", Deceased: "x"}).Check(today(t)) {
		order = append(order, e.Field)
	}
	if want := strings.Fields("Family BirthDate Gender Phone Email Active Deceased"); !reflect.DeepEqual(order, want) {
		t.Errorf("got %v", order)
	}
	kind := reflect.TypeFor[Fields]()
	if kind.NumField() != len(allFields) {
		t.Fatal("a field is forgotten")
	}
	var f Fields
	for i, one := range allFields {
		if *one.of(&f) = one.name; kind.Field(i).Name != one.name || reflect.ValueOf(f).Field(i).String() != one.name {
			t.Errorf("%s is not in its place", one.name)
		}
	}
}

func TestWhatAnImportBroughtDoesNotKeepFromMendingSomethingElse(t *testing.T) {
	from := Fields{Phone: "call mum", Deceased: "some time", BirthDate: "1990"}
	for _, c := range []struct {
		promise string
		set     func(*Fields)
		want    string
	}{
		{"another field may change", func(f *Fields) { f.City = "Netherby" }, ""},
		{"what is changed must be right", func(f *Fields) { f.Phone = "call dad" }, "Phone"},
		{"it may be mended", func(f *Fields) { f.Phone = "555 0100" }, ""},
		{"a new contradiction is one", func(f *Fields) { f.Deceased = "1989" }, "Deceased"},
	} {
		to := from
		c.set(&to)
		var got []string
		for _, e := range to.CheckChange(from, today(t)) {
			got = append(got, e.Field)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v", c.promise, got)
		}
	}
	named := Fields{MRN: "1", Deceased: "1985"}
	if got := (Fields{Deceased: "1985", BirthDate: "1990"}).CheckChange(named, today(t)); len(got) != 2 {
		t.Errorf("without the MRN there is nothing to know the patient by, and the birth is after the death: %+v", got)
	}
}
