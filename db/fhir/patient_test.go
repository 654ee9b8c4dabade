package fhir

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// readPatient reads an invented resource of testdata.
func readPatient(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "patient", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// patientWith puts members behind the resourceType.
func patientWith(members string) []byte {
	return []byte(`{"resourceType":"Patient",` + members + `}`)
}

func mustParse(t *testing.T, members string) Patient {
	t.Helper()
	p, err := Parse(patientWith(members))
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	return p
}

func TestPatientsOfAllKinds(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		file, display string
		want          Patient
	}{
		{"nameless", "N 0001", Patient{ID: "p-01", MRN: "N 0001", Identifier: "N 0001", BirthDate: "1961-04-30", Gender: "unknown"}},
		{"dateless", "Quillfeather, Odette", Patient{ID: "p-02", Family: "Quillfeather", Given: "Odette", Names: []string{"Quillfeather", "Odette"}, Gender: "female"}},
		{"text-only", "Baby of Oona Tansy", Patient{ID: "p-03", NameText: "Baby of Oona Tansy", Names: []string{"Baby of Oona Tansy"}, BirthDate: "2025-11-02"}},
		{"chinese", "欧阳, 秋月", Patient{
			ID: "p-04", Family: "欧阳", Given: "秋月", NameText: "欧阳秋月", BirthDate: "1979-09-19", Gender: "female",
			Names: []string{"欧阳", "秋月", "欧阳秋月", "Ōuyáng", "Qiūyuè", "Ōuyáng Qiūyuè", "Ouyang", "Luna", "Luna Ouyang"},
		}},
		{"animal", "Marmalade", Patient{ID: "p-05", Given: "Marmalade", Names: []string{"Marmalade"}, MRN: "TAG-77", Identifier: "TAG-77", BirthDate: "2019"}},
		{"newborn", "Tansy, Fern", Patient{
			ID: "p-06", Family: "Tansy", Given: "Fern", Names: []string{"Tansy", "Fern"},
			MRN: "NB-2", Identifier: "NB-2", BirthDate: "2025-11-02", Gender: "female",
		}},
		{"no-identifier", "Ashgrove, Ines Maud", Patient{
			ID: "p-07", Family: "Ashgrove", Given: "Ines Maud", Names: []string{"Ashgrove", "Ines", "Maud"}, BirthDate: "1948-02-29", Gender: "female",
		}},
		{"no-gender", "Pell, Rowan", Patient{
			ID: "p-08", Family: "Pell", Given: "Rowan", Names: []string{"Pell", "Rowan"}, MRN: "88-08", Identifier: "88-08", BirthDate: "1990-12-31",
		}},
		{"year", "Vance", Patient{ID: "p-09", Family: "Vance", Names: []string{"Vance"}, BirthDate: "1933", Gender: "male"}},
		{"month", "Thessaly", Patient{ID: "p-10", Given: "Thessaly", Names: []string{"Thessaly"}, BirthDate: "1933-07", Gender: "other"}},
		{"deceased-boolean", "Marrow, Edwin", Patient{
			ID: "p-11", Family: "Marrow", Given: "Edwin", Names: []string{"Marrow", "Edwin"},
			BirthDate: "1920-01-01", Gender: "male", Active: &no, Deceased: true,
		}},
		{"deceased-date", "Marrow, Edith", Patient{
			ID: "p-12", Family: "Marrow", Given: "Edith", Names: []string{"Marrow", "Edith"}, BirthDate: "1922-03-04", Gender: "female", Deceased: true,
		}},
		{"extensions", "van Oosterwijk, Saskia J.", Patient{
			ID: "p-13", Family: "van Oosterwijk", Given: "Saskia J.", Names: []string{"van Oosterwijk", "Saskia", "J."}, BirthDate: "1971-05-06", Gender: "female",
		}},
		{"arabic", "الحدّاد, سَلمى", Patient{
			ID: "p-14", Family: "الحدّاد", Given: "سَلمى", NameText: "د. سَلمى الحدّاد", Names: []string{"الحدّاد", "سَلمى", "د. سَلمى الحدّاد"},
			MRN: "AR-5", Identifier: "AR-5", BirthDate: "1984-08-08", Gender: "female",
		}},
		{"hebrew", "ז׳בוטינסקי־לוי, נֹעָה", Patient{
			ID: "p-15", Family: "ז׳בוטינסקי־לוי", Given: "נֹעָה", Names: []string{"ז׳בוטינסקי־לוי", "נֹעָה"}, BirthDate: "1995-06-15", Gender: "female",
		}},
		{"emoji", "Sunny 🌻, 👩🏽‍⚕️ Bea", Patient{ID: "p-16", Family: "Sunny 🌻", Given: "👩🏽‍⚕️ Bea", Names: []string{"Sunny 🌻", "👩🏽‍⚕️ Bea"}, Gender: "female"}},
		{"mrns", "Many", Patient{ID: "p-17", Family: "Many", Names: []string{"Many"}, MRN: "OFF-3", Identifier: "DL-1"}},
		{"control", "Nul Drop tab, Al an", Patient{
			ID: "p-18", Family: "Nul Drop tab", Given: "Al an", Names: []string{"Nul Drop tab", "Al an"}, City: "Low er End",
		}},
		{"full", "Ó Súilleabháin-Drake, Philippa Wren", Patient{
			ID: "6f0b6d0e-1c9d-4b57-9a53-2f6f0c1e7a10", Family: "Ó Súilleabháin-Drake", Given: "Philippa Wren",
			Names: []string{"Greenhalgh", "Philippa", "Wren", "Ó Súilleabháin-Drake", "Philippa", "Wren"},
			MRN:   "C-204-771", Identifier: "6f0b6d0e-1c9d-4b57-9a53-2f6f0c1e7a10", BirthDate: "1958-10-07", Gender: "female",
			Phone: "555-0102", Phones: []string{"555-0101", "555-0102"}, Email: "pip@ward.invalid", City: "Upper Wend", Active: &yes,
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			got, err := Parse(readPatient(t, c.file))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if got.DisplayName() != c.display {
				t.Errorf("DisplayName is %q, want %q", got.DisplayName(), c.display)
			}
		})
	}
}

func TestNobodyIsWithoutADisplayName(t *testing.T) {
	for want, p := range map[string]Patient{
		"Fam, Giv": {Family: "Fam", Given: "Giv", NameText: "Text", MRN: "1", Identifier: "2"},
		"Fam":      {Family: "Fam", NameText: "Text"},
		"Giv":      {Given: "Giv", NameText: "Text"},
		"Text":     {NameText: "Text", MRN: "1"},
		"1":        {MRN: "1", Identifier: "2"},
		"2":        {Identifier: "2"},
		"Unnamed":  {},
	} {
		if got := p.DisplayName(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := mustParse(t, `"name":[{"family":"\u0000 ","given":[null,"\u202e"],"text":""}],"identifier":[{}]`); got.DisplayName() != "Unnamed" || got.Names != nil {
		t.Errorf("a name without content counts: %+v", got)
	}
}

func TestNameToDisplay(t *testing.T) {
	const (
		official = `{"use":"official","family":"official"}`
		usual    = `{"use":"usual","family":"usual"}`
		none     = `{"family":"none"}`
		nickname = `{"use":"nickname","family":"nickname"}`
		old      = `{"use":"old","family":"old"}`
		maiden   = `{"use":"maiden","family":"maiden"}`
		ended    = `{"use":"official","family":"ended","period":{"end":"2001"}}`
		empty    = `{"use":"official","prefix":["Dr."]}`
	)
	for _, c := range []struct {
		promise, want string
		names         []string
	}{
		{"official comes first", "official", []string{maiden, old, nickname, none, usual, official}},
		{"then usual", "usual", []string{maiden, nickname, none, usual}},
		{"then one without a use", "none", []string{old, nickname, none}},
		{"then any other", "nickname", []string{old, maiden, nickname}},
		{"old and maiden names at last, in their order", "maiden", []string{maiden, old}},
		{"an ended name comes after those in use", "nickname", []string{ended, nickname}},
		{"but before old ones", "ended", []string{old, ended}},
		{"the first of several of a kind", "official", []string{official, `{"use":"official","family":"second"}`}},
		{"one with content", "second", []string{empty, `null`, `{"use":"official","family":"second"}`}},
		{"any, before none", "old", []string{empty, old}},
	} {
		if got := mustParse(t, `"name":[`+strings.Join(c.names, ",")+`]`).Family; got != c.want {
			t.Errorf("%s: got %s, want %s", c.promise, got, c.want)
		}
	}
}

func TestMRN(t *testing.T) {
	id := func(use, code, system, value string) string {
		return fmt.Sprintf(`{"use":%q,"type":{"coding":[{"code":%q}]},"system":%q,"value":%q}`, use, code, system, value)
	}
	plain := func(system, value string) string { return fmt.Sprintf(`{"system":%q,"value":%q}`, system, value) }
	for _, c := range []struct {
		promise, want string
		ids           []string
	}{
		{"the one typed MR, wherever it stands", "m", []string{plain("urn:x", "p"), id("", "DL", "", "d"), id("", "MR", "", "m")}},
		{"MR may be any of the codings", "m", []string{`{"type":{"coding":[null,{"code":"LOCAL"},{"code":"MR"}]},"value":"m"}`}},
		{"official or usual before others", "u", []string{id("secondary", "MR", "", "s"), id("usual", "MR", "", "u"), id("official", "MR", "", "o")}},
		{"an old one not before another", "s", []string{id("old", "MR", "", "x"), id("secondary", "MR", "", "s")}},
		{"an old one before none", "x", []string{id("old", "MR", "", "x"), id("", "DL", "", "d")}},
		{"one without a value is passed over", "m", []string{id("official", "MR", "", " "), id("", "MR", "", "m")}},
		{"without MR, the first of no told kind", "p", []string{id("", "DL", "", "d"), id("", "PPN", "", "x"), plain("urn:x", "p"), plain("urn:y", "q")}},
		{"a kind in words only is no told kind", "h", []string{`{"type":{"text":"Hospital number"},"value":"h"}`}},
		{"an old one of no told kind not before another", "q", []string{`{"use":"old","value":"p"}`, plain("urn:y", "q")}},
		{"never one of another kind", "", []string{id("", "SS", "", "1"), id("", "DL", "", "2"), id("", "PPN", "", "3")}},
		{"never a social security number, known by its system", "", []string{plain("http://hl7.org/fhir/sid/us-ssn", "1"), plain("urn:oid:2.16.840.1.113883.4.1", "2")}},
		{"nor by its words", "", []string{`{"type":{"text":"Social Security Number"},"value":"1"}`, `{"type":{"text":"SSN"},"value":"2"}`, `{"type":{"coding":[{"display":"Social security no."}]},"value":"3"}`}},
		{"nor when it is typed MR too", "", []string{id("official", "MR", "http://hl7.org/fhir/sid/us-ssn", "1")}},
		{"a longer OID is another thing", "p", []string{plain("urn:oid:2.16.840.1.113883.4.19", "p")}},
	} {
		if got := mustParse(t, `"identifier":[`+strings.Join(c.ids, ",")+`]`).MRN; got != c.want {
			t.Errorf("%s: got %q, want %q", c.promise, got, c.want)
		}
	}
}

func TestTheIdentifierIsNeverASocialSecurityNumber(t *testing.T) {
	p := mustParse(t, `"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"1"},{"type":{"coding":[{"code":"SS"}]},"value":"2"},{},{"type":{"coding":[{"code":"DL"}]},"value":"3"}]`)
	if p.Identifier != "3" || p.DisplayName() != "3" {
		t.Errorf("got %q", p.Identifier)
	}
	if p = mustParse(t, `"identifier":[{"type":{"coding":[{"code":"SS"}]},"value":"2"}]`); p.Identifier != "" || p.DisplayName() != "Unnamed" {
		t.Errorf("a social security number is shown: %+v", p)
	}
}

func TestPhoneEmailAndCity(t *testing.T) {
	for _, c := range []struct{ promise, members, phone, email, city string }{
		{"mobile, home, work, none", `"telecom":[{"system":"phone","value":"n"},{"system":"phone","use":"work","value":"w"},{"system":"phone","use":"home","value":"h"},{"system":"phone","use":"mobile","value":"m"}]`, "m", "", ""},
		{"rank before use", `"telecom":[{"system":"email","use":"mobile","value":"m"},{"system":"email","use":"work","rank":2,"value":"w"},{"system":"email","rank":1,"value":"n"}]`, "", "n", ""},
		{"use among equal ranks", `"telecom":[{"system":"phone","rank":1,"value":"n"},{"system":"phone","rank":1,"use":"home","value":"h"}]`, "h", "", ""},
		{"a text number where there is no phone", `"telecom":[{"system":"sms","rank":1,"value":"s"},{"system":"phone","value":"p"}]`, "p", "", ""},
		{"only a text number", `"telecom":[{"system":"sms","value":"s"},{"system":"fax","value":"f"},{"value":"v"}]`, "s", "", ""},
		{"never an old one", `"telecom":[{"system":"phone","use":"old","value":"p"},{"system":"email","use":"old","rank":1,"value":"e"}],"address":[{"use":"old","city":"c"}]`, "", "", ""},
		{"one without a value is passed over", `"telecom":[{"system":"phone","use":"mobile"},{"system":"phone","value":"p"}]`, "p", "", ""},
		{"home first", `"address":[{"use":"work","city":"w"},{"city":"n"},{"use":"home","city":"h"}]`, "", "", "h"},
		{"then none", `"address":[{"use":"work","city":"w"},{"city":"n"},{"use":"home"}]`, "", "", "n"},
		{"then any", `"address":[{"use":"old","city":"o"},{"use":"temp","city":"t"},{"use":"work","city":"w"}]`, "", "", "t"},
	} {
		p := mustParse(t, c.members)
		if p.Phone != c.phone || p.Email != c.email || p.City != c.city {
			t.Errorf("%s: got %q %q %q", c.promise, p.Phone, p.Email, p.City)
		}
	}
}

func TestBirthDatesAreRealDates(t *testing.T) {
	for _, s := range []string{"0001", "9999", "1974", "1974-12", "1974-12-25", "2000-02-29", "9999-12-31"} {
		if got := mustParse(t, `"birthDate":"`+s+`"`).BirthDate; got != s {
			t.Errorf("%s became %q", s, got)
		}
	}
	for _, s := range []string{
		"", " ", "0000", "0000-01-01", "74", "19740", "1974-13", "1974-00", "1974-1", "1974-12-32", "1974-12-00", "1974-2-003", "1900-02-29",
		"2023-02-29", "1974/12/25", "25.12.1974", "1974-12-25T10:00:00Z", " 1974", "1974-12-25 ", "+974", "-974", "１９７４", "unknown",
	} {
		wantError(t, patientWith(`"birthDate":"`+s+`"`), "birthDate is not a FHIR date (YYYY, YYYY-MM or YYYY-MM-DD)")
	}
}

func wantError(t *testing.T, raw []byte, want string) {
	t.Helper()
	p, err := Parse(raw)
	if err == nil || err.Error() != want {
		t.Errorf("%.200s: got error %v, want %s", raw, err, want)
	}
	if !reflect.DeepEqual(p, Patient{}) {
		t.Errorf("%.200s: an error and half a patient", raw)
	}
}

func TestWhatIsNeededMustHaveTheRightShape(t *testing.T) {
	const badID = "id must be 1 to 200 bytes without white space and control or replacement characters"
	for members, want := range map[string]string{
		`"name":"SECRET"`:                                               "name must be a list",
		`"name":{"family":"SECRET"}`:                                    "name must be a list",
		`"name":["SECRET"]`:                                             "name[0] must be an object",
		`"name":[{},{"family":["SECRET"]}]`:                             "name[1].family must be a string",
		`"name":[{"given":"SECRET"}]`:                                   "name[0].given must be a list",
		`"name":[{"given":["SECRET",null,7]}]`:                          "name[0].given[2] must be a string",
		`"name":[{"text":{"SECRET":1}}]`:                                "name[0].text must be a string",
		`"name":[{"use":1}]`:                                            "name[0].use must be a string",
		`"name":[{"period":"SECRET"}]`:                                  "name[0].period must be an object",
		`"name":[{"period":{"end":2001}}]`:                              "name[0].period.end must be a string",
		`"birthDate":19741225`:                                          "birthDate must be a string",
		`"gender":"SECRET"`:                                             "gender is not one of FHIR's codes (male, female, other, unknown)",
		`"gender":"Male"`:                                               "gender is not one of FHIR's codes (male, female, other, unknown)",
		`"gender":true`:                                                 "gender must be a string",
		`"active":"true"`:                                               "active must be true or false",
		`"deceasedBoolean":"SECRET"`:                                    "deceasedBoolean must be true or false",
		`"deceasedDateTime":true`:                                       "deceasedDateTime must be a string",
		`"identifier":{"value":"SECRET"}`:                               "identifier must be a list",
		`"identifier":[{"value":12345}]`:                                "identifier[0].value must be a string",
		`"identifier":[{"type":"SECRET"}]`:                              "identifier[0].type must be an object",
		`"identifier":[{"type":{"coding":{}}}]`:                         "identifier[0].type.coding must be a list",
		`"identifier":[{"type":{"coding":[{},{"code":5}]}}]`:            "identifier[0].type.coding[1].code must be a string",
		`"telecom":[{"value":5550100}]`:                                 "telecom[0].value must be a string",
		`"telecom":[{"rank":"SECRET"}]`:                                 "telecom[0].rank must be a number",
		`"address":[{"city":["SECRET"]}]`:                               "address[0].city must be a string",
		`"id":12`:                                                       "id must be a string",
		`"id":""`:                                                       badID,
		`"id":"SECRET id"`:                                              badID,
		`"id":"SECRET\u0000"`:                                           badID,
		`"id":"SECRET\u202e"`:                                           badID,
		`"id":"SECRET\ud800"`:                                           badID, // would be the same as \ud801
		`"id":"` + strings.Repeat("a", 201) + `"`:                       badID,
		`"id":"SECRET","id":"SECRET"`:                                   "id must not be there twice",
		`"name":[{"family":"SECRET","family":null}]`:                    "name[0].family must not be there twice",
		`"n\u0061me":"SECRET"`:                                          "name must be a list",
		`"birthDate":"SECRET","gender":"SECRET","id":"SECRET SECRET"`:   badID,
		`"resourceType":"Patient","note":"a type twice is no type yet"`: "resourceType must not be there twice",
	} {
		wantError(t, patientWith(members), want)
	}
}

func TestWhatIsNotNeededIsNotJudged(t *testing.T) {
	p := mustParse(t, `"meta":7,"photo":"x","photo":"y","text":[],"contact":"none","communication":{},"maritalStatus":[[]],"multipleBirthBoolean":"perhaps",
		"name":[{"family":"A","prefix":"Dr.","suffix":3}],"address":[{"line":"one","postalCode":5}],"extension":true,"_birthDate":[]`)
	if p.Family != "A" {
		t.Errorf("got %+v", p)
	}
}

func TestNullCountsAsMissing(t *testing.T) {
	p := mustParse(t, `"id":null,"name":[null,{"family":null,"given":null,"text":"T","period":null}],"identifier":null,"telecom":[null],"address":null,"gender":null,
		"birthDate":null,"active":null,"deceasedBoolean":null,"deceasedDateTime":null`)
	if want := (Patient{NameText: "T", Names: []string{"T"}}); !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v", p)
	}
}

func TestKeysAreCaseSensitive(t *testing.T) {
	p := mustParse(t, `"ID":"x","Name":"x","NAME":[{"family":"x"}],"name":[{"Family":"x","family":"right","GIVEN":7}],"BirthDate":1,"gendeR":"x"`)
	if want := (Patient{Family: "right", Names: []string{"right"}}); !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v", p)
	}
	if _, err := Parse([]byte(`{"ResourceType":"Patient"}`)); !errors.Is(err, ErrNoResourceType) {
		t.Errorf("got %v", err)
	}
}

func TestEscapedKeysAndValuesAreRead(t *testing.T) {
	p := mustParse(t, "\"i\\u0064\" : \"a\\/b\" ,\n\t\"name\":[ { \"family\" : \"\\u00c9 \\\"q\\\" \\\\\" , \"text\":\"\\ud83d\\ude00\" } ]\r")
	if p.ID != "a/b" || p.Family != `É "q" \` || p.NameText != "😀" {
		t.Errorf("got %+v", p)
	}
}

func TestDeceased(t *testing.T) {
	for _, members := range []string{`"id":"a"`, `"deceasedBoolean":false`, `"deceasedDateTime":""`} {
		if p := mustParse(t, members); p.Deceased {
			t.Errorf("%s: is dead", members)
		}
	}
	for _, members := range []string{`"deceasedBoolean":true`, `"deceasedDateTime":"2001"`, `"deceasedBoolean":false,"deceasedDateTime":"2001-01-01T10:00:00Z"`} {
		if p := mustParse(t, members); !p.Deceased {
			t.Errorf("%s: is alive", members)
		}
	}
}

func TestOtherResourcesAreToldApart(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want error
	}{
		{`{}`, ErrNoResourceType},
		{`{"id":5}`, ErrNoResourceType},
		{`{"resourceType":null}`, ErrNoResourceType},
		{`{"resourceType":7}`, ErrNoResourceType},
		{`{"resourceType":""}`, ErrNotPatient},
		{`{"resourceType":"patient"}`, ErrNotPatient},
		{`{"resourceType":"Observation","name":"not judged"}`, ErrNotPatient},
		{" \n{\"id\":\"a\",\"resourceType\":\"Patient\"}\r\n\t", nil},
	} {
		if _, err := Parse([]byte(c.raw)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.raw, err, c.want)
		}
		if _, err := ParseDetail([]byte(c.raw)); !errors.Is(err, c.want) {
			t.Errorf("%s: the detail gives %v, want %v", c.raw, err, c.want)
		}
	}
}

func TestWhatIsNotOneJSONObjectIsRefused(t *testing.T) {
	const notJSON = "the resource is not valid JSON"
	for raw, want := range map[string]string{
		"":       notJSON,
		" ":      notJSON,
		"SECRET": notJSON,
		"\xef\xbb\xbf{\"resourceType\":\"Patient\"}":                      notJSON,
		`{"resourceType":"Patient"`:                                       notJSON,
		`{"resourceType":"Patient"}}`:                                     notJSON,
		`{"resourceType":"Patient"} {}`:                                   notJSON,
		`{"resourceType":"Patient"}SECRET`:                                notJSON,
		`{"resourceType":"Patient",}`:                                     notJSON,
		`{"resourceType":"Patient","a":01}`:                               notJSON,
		"{\"resourceType\":\"Patient\",\"a\":\"\n\"}":                     notJSON,
		`{"resourceType":"Patient","a":tru}`:                              notJSON,
		`{"resourceType":"Patient","a":"\u12g4"}`:                         notJSON,
		`{"resourceType":"Patient","a" 1}`:                                notJSON,
		`{"resourceType":"Patient","a":-}`:                                notJSON,
		`{"resourceType":"Patient","a":1.e5}`:                             notJSON,
		`{"resourceType":"Patient","a":"\x"}`:                             notJSON,
		`null`:                                                            "the resource must be a JSON object",
		`[{"resourceType":"Patient"}]`:                                    "the resource must be a JSON object",
		`"Patient"`:                                                       "the resource must be a JSON object",
		"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\xff\"}]}": "the resource is not valid UTF-8",
	} {
		wantError(t, []byte(raw), want)
	}
}

func TestNestingEndsAt200(t *testing.T) {
	deep := func(n int) []byte { // the resource itself is the first level
		return patientWith(`"x":"[[[\"","y":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1))
	}
	if _, err := Parse(deep(200)); err != nil {
		t.Error(err)
	}
	wantError(t, deep(201), "the resource is nested more than 200 deep")
	wantError(t, []byte(strings.Repeat("[", 1_000_000)), "the resource is nested more than 200 deep")
}

func TestLongIDsAndNamesStayWhole(t *testing.T) {
	id, name := strings.Repeat("i_", 100), strings.Repeat("Ä", 5000)
	p := mustParse(t, `"id":"`+id+`","name":[{"family":"`+name+`"}]`)
	if p.ID != id || p.Family != name {
		t.Error("they do not")
	}
}

func TestAParsedPatientDoesNotHoldOnToTheInput(t *testing.T) {
	raw := readPatient(t, "full")
	p, _ := Parse(raw)
	clear(raw)
	if p.Family != "Ó Súilleabháin-Drake" || p.MRN != "C-204-771" {
		t.Error("it changed with the input")
	}
}

// Readings are used again, by many at once.
func TestNothingOfOnePatientGetsIntoAnother(t *testing.T) {
	want, err := Parse(readPatient(t, "full"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			small := patientWith(fmt.Sprintf(`"name":[{"family":"F%d"}]`, n))
			for range 300 {
				_, _ = Parse(patientWith(`"name":[{"family":"SECRET","given":7}]`)) // one that fails half-way
				if p, err := Parse(small); err != nil || !reflect.DeepEqual(p, Patient{Family: fmt.Sprintf("F%d", n), Names: []string{fmt.Sprintf("F%d", n)}}) {
					t.Errorf("got %+v, %v", p, err)
				}
				if p, err := Parse(readPatient(t, "full")); err != nil || !reflect.DeepEqual(p, want) {
					t.Errorf("got %+v, %v", p, err)
				}
			}
		})
	}
	all.Wait()
}

// addSeeds gives a fuzz test all of testdata and some odd ones.
func addSeeds(f *testing.F) {
	files, err := filepath.Glob("testdata/patient/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no testdata")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, s := range []string{
		`{"resourceType":"Patient","name":[{"family":"\\\\\"","given":["\ud800"]}]}`, `{"":{},"a":[[],[1e5,-0.5E+3,true,false,null]]}`, `[`, `"\`, `-`, `1.`, `{"a"`, `{"a":}`, `[1,]`,
	} {
		f.Add([]byte(s))
	}
}

func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := string(raw)
		p, err := Parse(raw)
		d, detailErr := ParseDetail(raw)
		if string(raw) != before {
			t.Fatal("the input changed")
		}
		if err != nil {
			return
		}
		if detailErr != nil {
			t.Fatalf("Parse accepts it, ParseDetail does not: %v", detailErr)
		}
		shown := append([]string{p.ID, p.Family, p.Given, p.NameText, p.MRN, p.Identifier, p.BirthDate, p.Gender, p.Phone, p.Email, p.City, p.DisplayName()}, p.Names...)
		for _, list := range [][]Labelled{d.Names, d.Identifiers, d.Telecoms, d.Addresses, d.Contacts, d.Demographics} {
			for _, l := range list {
				if l.Term.Kind == "" || len(l.Lines) == 0 {
					t.Fatalf("nothing to show: %+v", l)
				}
				shown = append(shown, l.Term.Until)
				for _, w := range l.Term.Words {
					shown = append(shown, w.Said)
				}
				for _, v := range l.Lines {
					shown = append(shown, v.Text)
				}
			}
		}
		for _, s := range shown {
			if !utf8.ValidString(s) || s != clean(s) {
				t.Fatalf("not fit to show: %q", s)
			}
		}
	})
}

func FuzzCheckJSON(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		err := new(reading).checkJSON(raw)
		if errors.Is(err, errTooDeep) {
			return
		}
		if (err == nil) != json.Valid(raw) {
			t.Fatalf("the standard library thinks otherwise than: %v", err)
		}
	})
}

// Import must keep up with the disk: 30,000 patients of this size in a second on one core.
func BenchmarkParse(b *testing.B) {
	raw := readPatient(b, "full")
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "patients/s")
}
