package sample

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"chartroom/db/fhir"
)

func many(t *testing.T, seed uint64, n int) []patient {
	t.Helper()
	var all []patient
	for text := range Patients(seed, n) {
		var p patient
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) != n {
		t.Fatalf("%d patients instead of %d", len(all), n)
	}
	return all
}

func TestTheSameSeedGivesTheSamePatients(t *testing.T) {
	once, again := slices.Collect(Patients(7, 300)), slices.Collect(Patients(7, 500))
	for i := range once {
		if !bytes.Equal(once[i], again[i]) {
			t.Fatalf("patient %d differs", i)
		}
	}
	other := slices.Collect(Patients(8, 300))
	if bytes.Equal(once[200], other[200]) {
		t.Error("another seed gives the same patient")
	}
}

// A changed sample changes what everybody's demo and load runs show. That may be meant; it must not slip in.
func TestTheSamplesStayWhatTheyWere(t *testing.T) {
	p := many(t, 1, 41)[40]
	if got, want := p.ID, "b2b72647-c4c7-8a0f-bc37-31a2f868afe3"; got != want {
		t.Errorf("id %s, want %s", got, want)
	}
	if got, want := p.Name[0].Family+", "+strings.Join(p.Name[0].Given, " ")+" "+p.BirthDate, "Ricci, Giuseppe 2023-10-16"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestOneIsEnough(t *testing.T) {
	for range Patients(1, 1<<40) {
		break
	}
	for range Patients(1, 0) {
		t.Error("a patient that nobody asked for")
	}
}

func TestIDsAndNumbersAreDistinctAndWellFormed(t *testing.T) {
	id := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	number := regexp.MustCompile(`^MRN-\d{7}$`)
	seen := map[string]bool{}
	for _, p := range append(many(t, 1, 2000), many(t, 2, 100)...) {
		if !id.MatchString(p.ID) || seen[p.ID] {
			t.Fatalf("id %q is malformed or comes twice", p.ID)
		}
		seen[p.ID] = true
		for _, i := range p.Identifier {
			if !number.MatchString(i.Value) || i.System != mrnSystem || i.Type.Coding[0].Code != "MR" {
				t.Fatalf("identifier %+v", i)
			}
		}
	}
}

func TestEachIsAPatientToTheImport(t *testing.T) {
	for text := range Patients(3, 2000) {
		if _, err := fhir.Parse(text); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if bytes.ContainsAny(text, "\n\r") {
			t.Fatalf("more than a line: %s", text)
		}
	}
}

func TestTheAwkwardOnesAreAlwaysThere(t *testing.T) {
	named := func(p patient) humanName {
		if len(p.Name) == 0 {
			return humanName{}
		}
		return p.Name[0]
	}
	cases := map[string]func(p patient) bool{
		"no name":         func(p patient) bool { return len(p.Name) == 0 },
		"text only":       func(p patient) bool { n := named(p); return n.Text != "" && n.Family == "" && n.Given == nil },
		"mononym":         func(p patient) bool { n := named(p); return n.Family != "" && n.Given == nil },
		"long":            func(p patient) bool { return len(named(p).Family)+len(strings.Join(named(p).Given, " ")) > 120 },
		"apostrophe":      func(p patient) bool { return strings.HasPrefix(named(p).Family, "O'") },
		"hyphen":          func(p patient) bool { return strings.Contains(named(p).Family, "-") },
		"particle":        func(p patient) bool { return strings.HasPrefix(named(p).Family, "de la ") },
		"no birth date":   func(p patient) bool { return p.BirthDate == "" },
		"year":            func(p patient) bool { return len(p.BirthDate) == 4 },
		"year and month":  func(p patient) bool { return len(p.BirthDate) == 7 },
		"no identifier":   func(p patient) bool { return p.Identifier == nil },
		"inactive":        func(p patient) bool { return p.Active != nil && !*p.Active },
		"active not said": func(p patient) bool { return p.Active == nil },
		"deceased":        func(p patient) bool { return p.DeceasedBoolean != nil && *p.DeceasedBoolean },
		"deceased on":     func(p patient) bool { return p.DeceasedDateTime != "" },
		"newborn":         func(p patient) bool { n := named(p); return n.Given != nil && n.Given[0] == "Baby Boy" },
		"other":           func(p patient) bool { return p.Gender == "other" },
		"unknown":         func(p patient) bool { return p.Gender == "unknown" },
		"twin":            func(p patient) bool { return p.MultipleBirth == 2 },
		"over a hundred":  func(p patient) bool { return p.BirthDate != "" && p.BirthDate < "1925" },
		"unreachable":     func(p patient) bool { return p.Telecom == nil },
	}
	for _, seed := range []uint64{0, 1, 99} {
		first := many(t, seed, len(awkward))
		for name, is := range cases {
			if !slices.ContainsFunc(first, is) {
				t.Errorf("seed %d: %s is missing", seed, name)
			}
		}
		pairs := func(same func(a, b patient) bool) (n int) {
			for i, a := range first {
				for _, b := range first[:i] {
					if len(a.Name) > 0 && len(b.Name) > 0 && same(a, b) {
						n++
					}
				}
			}
			return n
		}
		if n := pairs(func(a, b patient) bool {
			return a.Name[0].Family == b.Name[0].Family && a.BirthDate == b.BirthDate && a.Name[0].Given[0] != b.Name[0].Given[0]
		}); n != 1 {
			t.Errorf("seed %d: %d pairs of twins", seed, n)
		}
		if n := pairs(func(a, b patient) bool {
			return a.Name[0].Family == b.Name[0].Family && slices.Equal(a.Name[0].Given, b.Name[0].Given) && a.BirthDate != b.BirthDate
		}); n != 1 {
			t.Errorf("seed %d: %d pairs of one name and two birth dates", seed, n)
		}
	}
}

// 555-0100 to 555-0199 are set aside in every North American area code; 01632 960000-960999 and 07700 900000-900999 by
// Ofcom; example.org, example.com and .example by RFC 2606.
func TestNobodysPhoneRingsAndNobodyGetsMail(t *testing.T) {
	phone := regexp.MustCompile(`^(\+1 \d{3}-555-01\d\d|01632 960\d{3}|\+44 7700 900\d{3})$`)
	email := regexp.MustCompile(`^p\d+@(example\.org|example\.com|post\.example)$`)
	phones, emails := 0, 0
	for _, p := range many(t, 4, 2000) {
		all := p.Telecom
		for _, c := range p.Contact {
			all = append(all, c.Telecom...)
		}
		for _, c := range all {
			switch {
			case c.System == "phone" && phone.MatchString(c.Value):
				phones++
			case c.System == "email" && email.MatchString(c.Value):
				emails++
			default:
				t.Fatalf("%+v could be somebody's", c)
			}
		}
	}
	if phones < 1600 || emails < 800 {
		t.Errorf("%d phones and %d mail addresses are few", phones, emails)
	}
}

func TestTheMixIsPlausible(t *testing.T) {
	weight := 0
	for _, c := range cultures {
		weight += c.weight
	}
	if weight != 1000 {
		t.Errorf("the cultures add up to %d", weight)
	}
	all := many(t, 5, 6000)[len(awkward):]
	latin, inactive, same := 0, 0, map[string]map[string]bool{}
	ages := map[int]int{}
	scripts := map[string]bool{}
	for _, p := range all {
		letters := p.Name[0].Family
		for name, table := range unicode.Scripts {
			if first, _ := utf8.DecodeRuneInString(letters); unicode.Is(table, first) {
				scripts[name] = true
			}
		}
		if strings.IndexFunc(letters, func(r rune) bool { return unicode.Is(unicode.Latin, r) }) >= 0 {
			latin++
		}
		if !*p.Active {
			inactive++
		}
		full := letters + "|" + strings.Join(p.Name[0].Given, " ")
		if same[full] == nil {
			same[full] = map[string]bool{}
		}
		same[full][p.BirthDate] = true
		if born, err := time.Parse(time.DateOnly, p.BirthDate); err == nil {
			if born.After(today) {
				t.Fatalf("born %s, after today", p.BirthDate)
			}
			ages[age(born)/10]++
		}
	}
	if share := float64(latin) / float64(len(all)); share < 0.73 || share > 0.77 {
		t.Errorf("%.2f have a name in Latin script", share)
	}
	if share := float64(inactive) / float64(len(all)); share < 0.01 || share > 0.04 {
		t.Errorf("%.3f are not active", share)
	}
	if len(scripts) < 10 {
		t.Errorf("only the scripts %v", scripts)
	}
	for decade := range 10 {
		if ages[decade] < 30 {
			t.Errorf("%d aged %d0 to %d9", ages[decade], decade, decade)
		}
	}
	mixable := 0
	for _, births := range same {
		if len(births) > 1 {
			mixable++
		}
	}
	if mixable < 200 {
		t.Errorf("only %d names are borne by several", mixable)
	}
}

func BenchmarkPatients(b *testing.B) {
	b.ReportAllocs()
	for range Patients(1, b.N) {
	}
}
