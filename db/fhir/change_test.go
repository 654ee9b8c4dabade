package fhir

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// changed reads the fields, lets set change them, and gives what Change makes of the resource.
func changed(t testing.TB, raw string, set func(*Fields)) string {
	t.Helper()
	from, err := ReadFields([]byte(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	to := from
	set(&to)
	got, err := Change([]byte(raw), from, to)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return string(got)
}

// expectChange compares what stands behind the resourceType.
func expectChange(t *testing.T, promise, members, want string, set func(*Fields)) {
	t.Helper()
	if got := changed(t, string(patientWith(members)), set); got != string(patientWith(want)) {
		t.Errorf("%s:\n got  %s\n want %s", promise, got, patientWith(want))
	}
}

func TestChangeOfAPhone(t *testing.T) {
	phone := func(s string) func(*Fields) { return func(f *Fields) { f.Phone = s } }
	expectChange(t, "only the value of the one that is shown",
		`"x":1.0,"telecom":[{"system":"phone","value":"1","use":"work"}, {"value" : "2","rank":1,"system":"phone","_value":{"id":"v"}},{"system":"fax","value":"\u0033"}],"y":1e2`,
		`"x":1.0,"telecom":[{"system":"phone","value":"1","use":"work"}, {"value" : "9","rank":1,"system":"phone"},{"system":"fax","value":"\u0033"}],"y":1e2`, phone("9"))
	expectChange(t, "one for text messages where that is what is shown", `"telecom":[{"system":"sms","value":"1"}]`, `"telecom":[{"system":"sms","value":"9"}]`, phone("9"))
	expectChange(t, "a new one at the end", `"telecom":[{"system":"phone","use":"old","value":"1"}]`,
		`"telecom":[{"system":"phone","use":"old","value":"1"},{"system":"phone","value":"9"}]`, phone("9"))
	expectChange(t, "the first of all", `"id":"a"`, `"id":"a","telecom":[{"system":"phone","value":"9"}]`, phone("9"))
	expectChange(t, "null is none", `"telecom":null,"id":"a"`, `"telecom":[{"system":"phone","value":"9"}],"id":"a"`, phone("9"))
	expectChange(t, "a cleared one goes whole, and the next one is shown", `"telecom":[null,{"system":"phone","value":"1","use":"mobile"},{"system":"phone","value":"2"}]`,
		`"telecom":[null,{"system":"phone","value":"2"}]`, phone(""))
	expectChange(t, "no empty list stays", `"id":"a","telecom":[{"system":"phone","value":"1"}],"gender":"male"`, `"id":"a","gender":"male"`, phone(""))
	expectChange(t, "phone and e-mail at once", `"telecom":[{"system":"phone","value":"1"},{"system":"email","value":"a@b"}]`, `"telecom":[{"system":"email","value":"c@d"}]`,
		func(f *Fields) { f.Phone, f.Email = "", "c@d" })
	expectChange(t, "the other way round", `"telecom":[{"system":"email","value":"a@b"},{"system":"phone","value":"1"}]`, `"telecom":[{"system":"phone","value":"9"}]`,
		func(f *Fields) { f.Phone, f.Email = "9", "" })
	expectChange(t, "a string as people write it", `"id":"a"`, `"id":"a","telecom":[{"system":"email","value":"a&<\"é@b"}]`, func(f *Fields) { f.Email = `a&<"é@b` })
}

func TestChangeOfANameTakesWithItWhatNoLongerFits(t *testing.T) {
	family := func(s string) func(*Fields) { return func(f *Fields) { f.Family = s } }
	given := func(s string) func(*Fields) { return func(f *Fields) { f.Given = s } }
	expectChange(t, "the name that is shown", `"name":[{"use":"maiden","family":"M"},{"use":"official","family":"O","given":["A","B"],"prefix":["Mrs."]}]`,
		`"name":[{"use":"maiden","family":"M"},{"use":"official","family":"N","given":["A","B"],"prefix":["Mrs."]}]`, family("N"))
	expectChange(t, "given names are split at spaces", `"name":[{"given":["A",null,"B"],"_given":[null,{"id":"x"},null],"family":"F","_family":{"id":"f"}}]`,
		`"name":[{"given":["Ann","Bo","Cy"],"family":"F","_family":{"id":"f"}}]`, given("Ann Bo Cy"))
	expectChange(t, "an extension of the old family", `"name":[{"given":["A"],"_given":[{"id":"x"}],"family":"F","_family":{"id":"f"}}]`,
		`"name":[{"given":["A"],"_given":[{"id":"x"}],"family":"G"}]`, family("G"))
	expectChange(t, "a text with the old name", `"name":[{"text":"Ann Fox","_text":{"id":"t"},"family":"Fox","given":["Ann"]}]`, `"name":[{"family":"Dax","given":["Ann"]}]`, family("Dax"))
	expectChange(t, "a text that holds the new one in the old one", `"name":[{"text":"Anna","given":["Anna"]}]`, `"name":[{"given":["Ann"]}]`, given("Ann"))
	expectChange(t, "not a text that had it right", `"name":[{"text":"Ann Fox","given":["Ann"]}]`, `"name":[{"text":"Ann Fox","given":["Ann"],"family":"Fox"}]`, family("Fox"))
	expectChange(t, "a name that was text only becomes parts", `"name":[{"text":"Baby of Oona"}]`, `"name":[{"family":"Baby of Oona","given":["Fern"]}]`, given("Fern"))
	expectChange(t, "a cleared one goes whole", `"name":[{"use":"usual","text":"T","given":["A"],"family":"F","prefix":["Dr."]}],"id":"a"`, `"id":"a"`,
		func(f *Fields) { f.Family, f.Given = "", "" })
	expectChange(t, "the family alone", `"name":[{"family":"F","given":["A"]}]`, `"name":[{"given":["A"]}]`, family(""))
	expectChange(t, "the first name", `"name":[{"prefix":["Dr."]}]`, `"name":[{"prefix":["Dr."]},{"use":"official","family":"F","given":["A","B"]}]`,
		func(f *Fields) { f.Family, f.Given = "F", "A B" })
}

func TestChangeOfAnMRN(t *testing.T) {
	mrn := func(s string) func(*Fields) { return func(f *Fields) { f.MRN = s } }
	const (
		ssn  = `{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-12-3456"}`
		ssMR = `{"type":{"coding":[{"code":"MR"}]},"system":"urn:oid:2.16.840.1.113883.4.1","value":"1"}`
		typ  = `{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}`
	)
	expectChange(t, "the one that is shown", `"identifier":[`+ssn+`,{"value":"u"},{"type":{"coding":[{"code":"MR"}]},"value":"m","assigner":{"display":"W"}}]`,
		`"identifier":[`+ssn+`,{"value":"u"},{"type":{"coding":[{"code":"MR"}]},"value":"n","assigner":{"display":"W"}}]`, mrn("n"))
	expectChange(t, "never a social security number", `"identifier":[`+ssn+`,`+ssMR+`]`, `"identifier":[`+ssn+`,`+ssMR+`,{"type":`+typ+`,"value":"n"}]`, mrn("n"))
	expectChange(t, "the first", `"id":"a"`, `"id":"a","identifier":[{"type":`+typ+`,"value":"n"}]`, mrn("n"))
	expectChange(t, "cleared", `"identifier":[{"type":`+typ+`,"value":"n"},`+ssn+`]`, `"identifier":[`+ssn+`]`, mrn(""))
}

func TestChangeOfAnAddress(t *testing.T) {
	expectChange(t, "one part of the one that is shown", `"address":[{"use":"old","city":"O"},{"line":["Flat 3, rear","1 A"],"_line":[{"id":"l"},null],"city":"C","postalCode":"1"}]`,
		`"address":[{"use":"old","city":"O"},{"line":["Flat 3, rear","1 A"],"_line":[{"id":"l"},null],"city":"D","postalCode":"1"}]`, func(f *Fields) { f.City = "D" })
	expectChange(t, "lines are split, but for those that stay", `"address":[{"line":["Flat 3, rear","1 A"],"_line":[{"id":"l"},null]}]`,
		`"address":[{"line":["Flat 3, rear","2 B","X"]}]`, func(f *Fields) { f.Line = "Flat 3, rear, 2 B, X" })
	expectChange(t, "text and coordinates no longer fit", `"address":[{"text":"1 A, C","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/geolocation","extension":[]},{"url":"x"}],"city":"C"}]`,
		`"address":[{"extension":[{"url":"x"}],"city":"D"}]`, func(f *Fields) { f.City = "D" })
	expectChange(t, "an extension list that has nothing left", `"address":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/geolocation"}],"city":"C","district":"K"}]`,
		`"address":[{"city":"C","district":"K","state":"S"}]`, func(f *Fields) { f.State = "S" })
	expectChange(t, "one that was text only becomes parts", `"address":[{"use":"home","text":"4 Row\nMossford"}]`, `"address":[{"use":"home","line":["4 Row","Mossford"],"country":"X"}]`,
		func(f *Fields) { f.Country = "X" })
	expectChange(t, "cleared, the next one is shown", `"address":[{"use":"home","city":"C","text":"t"},{"city":"D"}]`, `"address":[{"city":"D"}]`, func(f *Fields) { f.City = "" })
	expectChange(t, "without a city another may show, and nothing is lost", `"address":[{"use":"home","city":"C","line":["1"]},{"city":"D"}]`,
		`"address":[{"use":"home","line":["1"]},{"city":"D"}]`, func(f *Fields) { f.City = "" })
	expectChange(t, "the first", `"address":[{"use":"old","city":"O"}]`, `"address":[{"use":"old","city":"O"},{"line":["1 A","2 B"],"city":"C","state":"S","postalCode":"P","country":"X"}]`,
		func(f *Fields) { f.Line, f.City, f.State, f.PostalCode, f.Country = "1 A, 2 B", "C", "S", "P", "X" })
}

func TestChangeOfTheRest(t *testing.T) {
	expectChange(t, "the birth date, with the time of birth", `"birthDate":"2025-11-02","_birthDate":{"extension":[{"url":"b","valueDateTime":"2025-11-02T04:17:00Z"}]},"id":"a"`,
		`"birthDate":"2025-11-01","id":"a"`, func(f *Fields) { f.BirthDate = "2025-11-01" })
	expectChange(t, "gender", `"id":"a","gender":null`, `"id":"a","gender":"other"`, func(f *Fields) { f.Gender = "other" })
	expectChange(t, "no gender", `"id":"a","gender":"male","_gender":{}`, `"id":"a"`, func(f *Fields) { f.Gender = "" })
	expectChange(t, "active", `"active":true,"id":"a"`, `"active":false,"id":"a"`, func(f *Fields) { f.Active = "false" })
	expectChange(t, "active not said", `"active":true,"id":"a"`, `"id":"a"`, func(f *Fields) { f.Active = "" })
	expectChange(t, "dead", `"deceasedBoolean":false,"id":"a"`, `"deceasedBoolean":true,"id":"a"`, func(f *Fields) { f.Deceased = "true" })
	expectChange(t, "dead since: one of the two ways", `"deceasedBoolean":true,"id":"a"`, `"id":"a","deceasedDateTime":"2001"`, func(f *Fields) { f.Deceased = "2001" })
	expectChange(t, "dead, nobody knows when", `"deceasedBoolean":false,"id":"a","deceasedDateTime":"2001"`, `"deceasedBoolean":true,"id":"a"`, func(f *Fields) { f.Deceased = "true" })
	expectChange(t, "alive after all", `"deceasedBoolean":true,"deceasedDateTime":"2001","_deceasedDateTime":{},"id":"a"`, `"id":"a"`, func(f *Fields) { f.Deceased = "" })
	for status, want := range map[string]string{"generated": `"id":"a"`, "extensions": `"id":"a"`, "additional": `"text":{"status":"additional","div":"<p>male</p>"},"id":"a"`} {
		expectChange(t, "a narrative that is "+status, `"text":{"status":"`+status+`","div":"<p>male</p>"},"id":"a","gender":"male"`, want, func(f *Fields) { f.Gender = "" })
	}
	expectChange(t, "an escaped name", `"g\u0065nder" : "male","id":"a"`, `"g\u0065nder" : "female","id":"a"`, func(f *Fields) { f.Gender = "female" })
	expectChange(t, "a name that is there twice, where Parse does not look", `"address":[{"state":"S","city":"C","state":"T"}]`, `"address":[{"city":"C","state":"U"}]`,
		func(f *Fields) { f.State = "U" })
}

func TestChangeKeepsTheLayout(t *testing.T) {
	raw := " {\r\n  \"resourceType\": \"Patient\",\r\n  \"gender\": \"male\",\r\n  \"active\": true\r\n}\n"
	got := changed(t, raw, func(f *Fields) { f.Active, f.BirthDate = "", "1974" })
	if want := " {\r\n  \"resourceType\": \"Patient\",\r\n  \"gender\": \"male\",\r\n  \"birthDate\": \"1974\"\r\n}\n"; got != want {
		t.Errorf("got %q", got)
	}
	full := string(readPatient(t, "chinese"))
	there := changed(t, full, func(f *Fields) { f.BirthDate, f.Gender = "1980", "unknown" })
	back := changed(t, there, func(f *Fields) { f.BirthDate, f.Gender = "1979-09-19", "female" })
	if back != full || there == full {
		t.Error("there and back is not where it was")
	}
}

func TestWithoutAChangeNothingChanges(t *testing.T) {
	for _, raw := range oddPatients(t) {
		f, err := ReadFields(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []Fields{f, f.Clean()} {
			if got, err := Change(raw, f, to); err != nil || string(got) != string(raw) {
				t.Errorf("%s became %s, %v", raw, got, err)
			}
		}
	}
}

func TestOnlyWhatThePersonChangedIsWritten(t *testing.T) {
	saw := Fields{Family: "Fox", Phone: "1", Gender: "male"}
	wants := saw
	wants.Phone = "9"
	meanwhile := patientWith(`"name":[{"family":"Dax"}],"telecom":[{"system":"phone","value":"2"}],"gender":"other"`)
	got, err := Change(meanwhile, saw, wants)
	if want := string(patientWith(`"name":[{"family":"Dax"}],"telecom":[{"system":"phone","value":"9"}],"gender":"other"`)); err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestChangeRefusesWhatWouldBeNoPatient(t *testing.T) {
	for want, to := range map[string]Fields{
		"birthDate is not a FHIR date": {BirthDate: "SECRET"}, "gender is not one of": {Gender: "SECRET"},
		"active must be": {Active: "SECRET"}, "deceased must be": {Deceased: "SECRET"},
	} {
		if _, err := Change(patientWith(`"id":"a"`), Fields{}, to); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%+v: %v", to, err)
		}
	}
	if _, err := Change([]byte(`{"resourceType":"Observation"}`), Fields{}, Fields{Family: "F"}); err == nil {
		t.Error("an observation got a name")
	}
}

func TestNew(t *testing.T) {
	f := Fields{
		Family: "Ó Súilleabháin", Given: "Pip Wren", BirthDate: "1958-10", Gender: "female", MRN: "C-1", Phone: "555 0100", Email: "pip@ward.invalid",
		Line: "Flat 3, 2 Hill", City: "Wend", State: "WM", PostalCode: "04112", Country: "XX", Active: "true", Deceased: "2001-10-05",
	}
	raw, err := New("a-1", f)
	if err != nil || !strings.HasPrefix(string(raw), `{"resourceType":"Patient","id":"a-1","active":true,`) {
		t.Fatalf("%s, %v", raw, err)
	}
	if got, err := ReadFields(raw); err != nil || got != f {
		t.Errorf("%s says %+v, %v", raw, got, err)
	}
	if line, err := Line(raw); err != nil || string(line) != string(raw) {
		t.Errorf("it is not compact: %s", raw)
	}
	if _, err := New("", f); err == nil {
		t.Error("a patient without an id")
	}
}

func TestOnlyWhatALineWouldNotChangeIsTight(t *testing.T) {
	for _, raw := range []string{`{"a":[1.0,"b  \\\" c\t",{}],"d \\\\":null}`, `{}`, `"a \\" `, `{"a": 1}`, "{\"a\":1,\n\"b\":2}", "{\"a\":[1\t]}", "{\r}", ` {}`, `{"\\\\" :1}`} {
		line, err := Line([]byte(raw))
		if err != nil || IsTight([]byte(raw)) != (string(line) == raw) {
			t.Errorf("%s: tight %t", raw, IsTight([]byte(raw)))
		}
	}
}

func TestLine(t *testing.T) {
	got, err := Line([]byte(" { \"a\" :\r\n [ 1.0 , \"b  \\u00e9 <&\u2028\" ] }\n"))
	if err != nil || string(got) != "{\"a\":[1.0,\"b  \\u00e9 <&\u2028\"]}" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Line([]byte(`{"SECRET`)); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("got %v", err)
	}
}

// oddPatients are all that Parse accepts of testdata, and some that no system should write.
func oddPatients(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/patient/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata")
	}
	var all [][]byte
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, raw)
	}
	for _, members := range []string{
		`"id":"a"`,
		`"name":null,"telecom":[],"address":[null],"identifier":[null,{}]`,
		`"name":[{"family":"","given":[null,""],"text":"  Only \u0000 text "}],"_name":[{"id":"odd"}]`,
		`"name":[null,{"use":"old","text":"A B","family":"B"},{"use":"temp","period":{"end":"2001"},"given":["Cy","Dee-Anne O'Neil"],"_given":[{"id":"1"},null]}]`,
		`"name":[{"family":"Mu\u0308ller","given":["\u0130"],"_family":7,"text":"Mu\u0308ller"}],"active":null,"n":[1.0,1e2,-0,12345678901234567890123]`,
		`"telecom":[{"system":"sms","value":"1"},{"system":"email","value":"a@b","rank":3},{"system":"email","value":"c@d","rank":1e-1},{"system":"phone","use":"old","value":"2"}]`,
		`"telecom":[{"system":"email","value":"a@b"},{"value":"x"},{"system":"phone","value":"2","_value":{}},{"system":"phone","use":"home","value":"3"}]`,
		`"address":[{"line":"odd","city":"C","state":7,"text":5},{"use":"home","city":"D","line":["a, b","c"],"_line":[],"text":"a, b\nc\nD","extension":"odd"}]`,
		`"address":[{"use":"work"},{"text":"1 Row\n\nTown"},{"line":["z"]}]`,
		`"address":[{"country":"X"},{"use":"home","line":[" a ",null," ,b, "]}],"deceasedBoolean":true,"_deceasedBoolean":{"id":"x"}`,
		`"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"1"},{"value":"u","_value":{}},{"use":"old","type":{"coding":[{"code":"MR"}]},"value":"o"}],"deceasedDateTime":"some time"`,
		`"text":{"status":"generated","div":"<div/>"},"text":null,"deceasedBoolean":false,"deceasedDateTime":"2001-10-05T10:00:00Z","extension":[{"url":"x","valueDecimal":1.50}]`,
		`"text":[],"gender":"other","g":"\ud800","birthDate":"0001","contact":[{"name":{"text":"x"}}],"active":false`,
	} {
		all = append(all, patientWith(members), []byte(pretty(string(patientWith(members)))))
	}
	return all
}

// oddValues are what a person may want a field to say.
var oddValues = map[string][]string{
	"BirthDate": {"", "1974", "1974-12", "1974-12-25"}, "Gender": {"", "male", "other"}, "Active": {"", "true", "false"},
	"Deceased": {"", "true", "2001", "2001-10-05", "2001-10-05T10:00:00+02:00"}, "Line": {"", "1 Row", "Flat 2, 3 Row", "a, b, c", "a, x", ",a,, b,"},
}

var oddTexts = []string{"", "", "Fox", "Dax Lee", "O'Neil", `q"\<&>`, "欧阳 秋月", "A B", "🌻", "Müller", "null", "Only text", "1 Row"}

// chooseFields changes one to five of the fields.
func chooseFields(chance *rand.Rand, f Fields) Fields {
	for range 1 + chance.IntN(5) {
		one := allFields[chance.IntN(len(allFields))]
		values := oddTexts
		if own := oddValues[one.name]; own != nil {
			values = own
		}
		*one.of(&f) = values[chance.IntN(len(values))]
	}
	return f
}

func TestWhatWasWrittenIsWhatIsRead(t *testing.T) {
	chance := rand.New(rand.NewPCG(7, 7))
	for _, start := range oddPatients(t) {
		for range 25 {
			raw := start
			for step := range 4 { // a change of a changed one too
				from, at, err := readFields(raw)
				if err != nil {
					t.Fatalf("%s: %v", raw, err)
				}
				to := chooseFields(chance, from).Clean()
				got, err := Change(raw, from, to)
				if err != nil {
					t.Fatalf("step %d, %s\n to %+v: %v", step, raw, to, err)
				}
				checkRead(t, raw, got, from, to)
				checkRest(t, raw, got, from.Clean().differs(to), at)
				raw = got
			}
		}
	}
}

// checkRead wants the fields to say what they should. Where one was cleared, another entry may show.
func checkRead(t *testing.T, before, after []byte, from, to Fields) {
	t.Helper()
	if _, err := Parse(after); err != nil {
		t.Fatalf("%s\n became %s: %v", before, after, err)
	}
	got, err := ReadFields(after)
	if err != nil {
		t.Fatal(err)
	}
	got = got.Clean()
	lostCity := to.City == "" && from.City != ""
	for _, one := range allFields {
		g, w := *one.of(&got), *one.of(&to)
		again := one.name == "Phone" || one.name == "Email" || one.name == "MRN" || slices.Contains(addressFields, one.name) ||
			(one.name == "Family" || one.name == "Given") && to.Family == "" && to.Given == ""
		cleared := w == "" && again || lostCity && slices.Contains(addressFields, one.name)
		if g != w && !cleared {
			t.Fatalf("%s\n became %s\n %s is %q, not %q", before, after, one.name, g, w)
		}
	}
}

// checkRest wants everything but what belongs to the changed fields to be the same JSON, and untouched entries to be
// the same bytes.
func checkRest(t *testing.T, before, after []byte, changed map[string]bool, at origin) {
	t.Helper()
	was, is := members(t, before), members(t, after)
	if len(changed) == 0 && string(before) != string(after) {
		t.Fatalf("%s\n became %s for nothing", before, after)
	}
	anything := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return changed[n] })
	}
	touched := map[string]bool{
		"text": true, "birthDate": anything("BirthDate"), "_birthDate": anything("BirthDate"), "gender": anything("Gender"), "_gender": anything("Gender"),
		"active": anything("Active"), "_active": anything("Active"),
	}
	for _, key := range []string{"deceasedBoolean", "deceasedDateTime", "_deceasedBoolean", "_deceasedDateTime"} {
		touched[key] = anything("Deceased")
	}
	lists := map[string][]int{"name": nil, "identifier": nil, "telecom": nil, "address": nil}
	mark := func(key string, nth int, fields ...string) {
		if anything(fields...) {
			lists[key] = append(lists[key], nth)
		}
	}
	mark("name", at.name, "Family", "Given")
	mark("identifier", at.mrn, "MRN")
	mark("telecom", at.phone, "Phone")
	mark("telecom", at.email, "Email")
	mark("address", at.address, addressFields...)
	for _, key := range slices.Concat(slices.Collect(keysOf(was)), slices.Collect(keysOf(is))) {
		entries, list := lists[key]
		switch {
		case list && entries != nil:
			checkEntries(t, was[key], is[key], entries, fmt.Sprintf("%s\n became %s\n in %s", before, after, key))
		case !touched[key] && string(was[key]) != string(is[key]):
			t.Fatalf("%s\n became %s\n %s changed", before, after, key)
		}
	}
}

func keysOf(m map[string]json.RawMessage) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func members(t *testing.T, raw []byte) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// ours are the members of an entry that a change may touch.
var ours = strings.Fields("use text _text family _family given _given type system value _value line _line city _city state _state postalCode _postalCode country _country extension")

// checkEntries wants those entries that were not touched in the same order and bytes, and of the others what is not ours.
func checkEntries(t *testing.T, was, is json.RawMessage, touched []int, where string) {
	t.Helper()
	var before, after []json.RawMessage
	_ = json.Unmarshal(was, &before)
	_ = json.Unmarshal(is, &after)
	i := 0
	for nth, entry := range before {
		if !slices.Contains(touched, nth) {
			if i >= len(after) || string(after[i]) != string(entry) {
				if string(entry) == "null" && is == nil {
					continue // a list of nothing else is no list
				}
				t.Fatalf("%s: entry %d changed", where, nth)
			}
			i++
			continue
		}
		if i < len(after) && reflect.DeepEqual(foreign(entry), foreign(after[i])) && !slices.ContainsFunc(before[nth+1:], func(other json.RawMessage) bool { return string(other) == string(after[i]) }) {
			i++
		}
	}
	fresh := 0 // those that were not there before
	for _, nth := range touched {
		fresh += max(0, -nth)
	}
	if len(after)-i > fresh {
		t.Fatalf("%s: %d entries are new", where, len(after)-i)
	}
}

func foreign(entry json.RawMessage) map[string]string {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(entry, &m)
	left := map[string]string{}
	for k, v := range m {
		if !slices.Contains(ours, k) {
			left[k] = string(v)
		}
	}
	return left
}

func FuzzChange(f *testing.F) {
	addSeeds(f)
	for _, raw := range oddPatients(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		from, err := ReadFields(raw)
		if err != nil {
			return
		}
		chance := rand.New(rand.NewPCG(uint64(len(raw)), 1))
		for range 5 {
			to := chooseFields(chance, from)
			got, err := Change(raw, from, to)
			if err != nil {
				t.Fatalf("%s\n to %+v: %v", raw, to, err)
			}
			if _, err := Diff(raw, got); err != nil {
				t.Fatal(err)
			}
		}
	})
}
