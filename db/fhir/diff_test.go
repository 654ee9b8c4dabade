package fhir

import (
	"reflect"
	"testing"
)

// toldDifference is a Difference on paper.
type toldDifference struct {
	Label         string
	Before, After []string
	Elements      []string
}

func tellDiff(list []Difference) (all []toldDifference) {
	for _, d := range list {
		all = append(all, toldDifference{tellTerm(d.Term), tellValues(d.Before), tellValues(d.After), d.Elements})
	}
	return all
}

func mustDiff(t *testing.T, before, after string) []toldDifference {
	t.Helper()
	got, err := Diff(patientWith(before), patientWith(after))
	if err != nil {
		t.Fatal(err)
	}
	return tellDiff(got)
}

func differs(label string, before, after []string) toldDifference {
	return toldDifference{Label: label, Before: before, After: after}
}

func TestDiff(t *testing.T) {
	s := func(lines ...string) []string { return lines }
	other := func(elements ...string) toldDifference { return toldDifference{Label: "other", Elements: elements} }
	for _, c := range []struct {
		promise, before, after string
		want                   []toldDifference
	}{
		{"what says the same", `"name":[{"family":"F"}],"active":true`, "\n\"active\" : true,\"name\":[ {\"f\\u0061mily\":\"\\u0046\"} ]", nil},
		{"birth date, sex and status", `"birthDate":"1974","active":true`, `"birthDate":"1974-12","gender":"female","active":false`,
			[]toldDifference{differs("birthDate", s("date:1974"), s("date:1974-12")), differs("gender", nil, s("gender:=female")), differs("active", s("active:=true"), s("active:=false"))}},
		{"names say what they are", `"name":[{"use":"official","family":"F","given":["A"]},{"family":"G"}]`, `"name":[{"use":"official","family":"F","given":["B"]}]`,
			[]toldDifference{differs("name/=official", s("A F"), s("B F")), differs("name", s("G"), nil)}},
		{"those of one label together", `"telecom":[{"system":"phone","use":"home","value":"1"},{"system":"phone","use":"home","value":"2"}]`,
			`"telecom":[{"system":"phone","use":"home","value":"1"},{"system":"phone","use":"home","value":"3"},{"system":"email","value":"a@b"}]`,
			[]toldDifference{differs("telecom/=phone@home", s("1", "2"), s("1", "3")), differs("telecom/=email", nil, s("a@b"))}},
		{"addresses and contacts", `"address":[{"use":"home","city":"C"}],"contact":[{"relationship":[{"text":"Mother"}],"name":{"text":"M"}}]`, `"address":[{"use":"home","city":"D"}]`,
			[]toldDifference{differs("address/=home", s("C"), s("D")), differs("contact/Mother", s("M"), nil)}},
		{"demographics", `"deceasedBoolean":true,"maritalStatus":{"coding":[{"code":"S"}]},"multipleBirthBoolean":true`, `"deceasedDateTime":"2001","maritalStatus":{"text":"Married"},"multipleBirthBoolean":true`,
			[]toldDifference{differs("deceased", s("yesNo:=true"), s("date:2001")), differs("maritalStatus", s("maritalStatus:=S"), s("maritalStatus:Married"))}},
		{"the time of birth", `"_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"2025-11-02T04:17:00Z"}]}`, `"_birthDate":null`,
			[]toldDifference{differs("birthTime", s("date:2025-11-02T04:17:00Z"), nil)}},
		{"a code beside the same words is not told", `"maritalStatus":{"text":"Married"},"identifier":[{"type":{"text":"Chart"},"value":"1"}]`,
			`"maritalStatus":{"text":"Married","coding":[{"code":"M"}]},"identifier":[{"type":{"text":"chart","coding":[{"code":"MR"}]},"value":"1"}]`, []toldDifference{other("identifier", "maritalStatus")}},
		{"what has no words", `"photo":[{"url":"x"}]`, `"photo":[{"url":"y"}]`, []toldDifference{other("photo")}},
		{"several of them", `"photo":[{"url":"x"}],"link":[],"birthDate":"1974","_birthDate":{"id":"1"}`, `"contained":[],"birthDate":"1974","_birthDate":{"id":"2"},"An entry, 1974":1`,
			[]toldDifference{other("birthDate", "contained", "link", "photo")}},
		{"a key that is none of FHIR's names is not said", `"An entry, 1974":1`, `"An entry, 1974":2`, []toldDifference{other()}},
		{"what is never shown of what is shown", `"address":[{"city":"C","district":"K"}]`, `"address":[{"city":"D"}]`, []toldDifference{differs("address", s("C"), s("D")), other("address")}},
		{"an order", `"name":[{"family":"A","use":"usual"},{"family":"B","use":"old"}]`, `"name":[{"family":"B","use":"old"},{"family":"A","use":"usual"}]`, []toldDifference{other("name")}},
		{"a number as it is written", `"extension":[{"url":"x","valueDecimal":1.0}]`, `"extension":[{"url":"x","valueDecimal":1.00}]`, []toldDifference{other("extension")}},
		{"a social security number shows its end", `"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-12-3456"}]`, `"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-12-3457"}]`,
			[]toldDifference{differs("identifier/=SS", s("•••-••-3456"), s("•••-••-3457"))}},
		{"or that there is more", `"identifier":[{"value":"1"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-12-3456"}]`, `"identifier":[{"value":"2"},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-12-3456"}]`,
			[]toldDifference{differs("identifier", s("1"), s("2")), other("identifier")}},
		{"what is about the copy", `"meta":{"versionId":"1","lastUpdated":"x"},"text":{"status":"generated","div":"<p>1</p>"}`, `"meta":{"versionId":"2"}`, nil},
		{"but not a narrative by a person", `"text":{"status":"additional","div":"<p>1</p>"},"meta":{"tag":[]}`, `"meta":{"tag":[]}`, []toldDifference{other("text")}},
	} {
		got := mustDiff(t, c.before, c.after)
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v", c.promise, got)
		}
	}
}

func TestDiffOfWhatParseAccepts(t *testing.T) {
	all := oddPatients(t)
	for i, before := range all {
		after := all[(i+7)%len(all)]
		if got, err := Diff(before, before); err != nil || got != nil {
			t.Errorf("%s differs from itself: %+v, %v", before, got, err)
		}
		got, err := Diff(before, after)
		if err != nil || len(got) == 0 {
			t.Errorf("%s\n and\n%s do not differ: %v", before, after, err)
		}
		for _, d := range got {
			if d.Term.Kind == "" || d.Term.Kind != KindOther && d.Before == nil && d.After == nil {
				t.Errorf("nothing to show: %+v", d)
			}
		}
	}
	if _, err := Diff([]byte(`{}`), all[0]); err == nil {
		t.Error("something else than a patient was compared")
	}
}

func TestDiffShowsWhatAPersonChanged(t *testing.T) {
	before := readPatient(t, "full")
	after := []byte(changed(t, string(before), func(f *Fields) {
		f.Family, f.Phone, f.Line, f.BirthDate = "Drake", "555 0199", "1 Other Hill", "1958-10-08"
	}))
	got, err := Diff(before, after)
	want := []toldDifference{
		differs("name/=official", []string{"Mrs. Philippa Wren Ó Súilleabháin-Drake MPhil"}, []string{"Mrs. Philippa Wren Drake MPhil"}),
		differs("birthDate", []string{"date:1958-10-07"}, []string{"date:1958-10-08"}),
		differs("telecom/=phone@mobile", []string{"555-0102"}, []string{"555 0199"}),
		differs("address", []string{"Flat 3", "212 Kestrel Hill", "Upper Wend, WM 04112", "XX"}, []string{"1 Other Hill", "Upper Wend, WM 04112", "XX"}),
	}
	if err != nil || !reflect.DeepEqual(tellDiff(got), want) {
		t.Errorf("got %+v, %v", got, err)
	}
}
