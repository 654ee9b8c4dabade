package fhir

import (
	"reflect"
	"strings"
	"testing"
)

func one(label string, lines ...string) Labelled { return Labelled{Label: label, Lines: lines} }

func mustDetail(t *testing.T, raw []byte) Detail {
	t.Helper()
	d, err := ParseDetail(raw)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestThePageShowsAllOfAFullPatient(t *testing.T) {
	got := mustDetail(t, readPatient(t, "full"))
	want := Detail{
		Names: []Labelled{
			one("Maiden", "Ms. Philippa Wren Greenhalgh"),
			one("Official", "Mrs. Philippa Wren Ó Súilleabháin-Drake MPhil"),
		},
		Identifiers: []Labelled{
			one("Generator", "6f0b6d0e-1c9d-4b57-9a53-2f6f0c1e7a10"),
			one("Chart number", "C-204-771"),
			one("Social security", "•••-••-7654"),
			one("Driver's license", "W1234567"),
			one("Passport number", "XX99887766"),
			one("Policy, until 2020-12", "POL-5"),
		},
		Telecoms: []Labelled{
			one("Phone (old)", "555-0100"),
			one("Phone (home)", "555-0101"),
			one("Phone (mobile)", "555-0102"),
			one("E-mail (work)", "work@ward.invalid"),
			one("E-mail", "pip@ward.invalid"),
		},
		Addresses: []Labelled{
			one("Old", "1 Gone Lane", "Pastville"),
			one("Address", "Flat 3", "212 Kestrel Hill", "Upper Wend, WM 04112", "XX"),
		},
		Contacts: []Labelled{
			one("Emergency", "Tobias Drake", "Phone: 555-0104", "9 Other Street, Netherby"),
		},
		Demographics: []Labelled{
			one("Multiple birth", "No"),
			one("Marital status", "Divorced"),
			one("Language", "Irish (preferred)", "en-IE"),
			one("General practitioner", "Dr. Hazel Thorne"),
			one("Managing organization", "Netherby Health Centre"),
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestThePageOfANewborn(t *testing.T) {
	d := mustDetail(t, readPatient(t, "newborn"))
	want := []Labelled{one("Time of birth", "2025-11-02T04:17:00+01:00"), one("Multiple birth", "Yes, number 2 in order of birth")}
	if !reflect.DeepEqual(d.Demographics, want) {
		t.Errorf("got %+v", d.Demographics)
	}
	if want := []Labelled{one("Next of kin, mother", "Oona Tansy"), one("Contact", "Rolf Tansy")}; !reflect.DeepEqual(d.Contacts, want) {
		t.Errorf("got %+v", d.Contacts)
	}
}

func TestThePageOfAnAnimal(t *testing.T) {
	d := mustDetail(t, readPatient(t, "animal"))
	if want := []Labelled{one("Species", "Domestic cat"), one("Breed", "Norwegian forest cat")}; !reflect.DeepEqual(d.Demographics, want) {
		t.Errorf("got %+v", d.Demographics)
	}
	if want := []Labelled{one("Owner", "Bram Hollowell", "Phone (mobile): +00 555 0101", "E-mail: bram@vet.invalid", "4 Lantern Row, Mossford")}; !reflect.DeepEqual(d.Contacts, want) {
		t.Errorf("got %+v", d.Contacts)
	}
	d = mustDetail(t, patientWith(`"animal":{"species":{"text":"dog"},"breed":{"coding":[{"code":"B1"}]}}`))
	if want := []Labelled{one("Species", "dog"), one("Breed", "B1")}; !reflect.DeepEqual(d.Demographics, want) {
		t.Errorf("got %+v", d.Demographics)
	}
}

func TestNamesAreSaidAsTheirTextSays(t *testing.T) {
	for _, c := range []struct {
		promise, name string
		want          Labelled
	}{
		{"the text alone, where it holds the parts", `{"use":"official","text":"欧阳秋月","family":"欧阳","given":["秋月"]}`, one("Official", "欧阳秋月")},
		{"the parts too, where it does not", `{"text":"Dr. Smith","family":"Smith","given":["Ann"]}`, one("Name", "Dr. Smith", "Ann Smith")},
		{"the parts, where there is no text", `{"use":"usual","given":["A",null,"B"],"suffix":["Jr."]}`, one("Usual", "A B Jr.")},
		{"a use that FHIR does not have", `{"use":"stage","text":"X"}`, one("Name", "X")},
		{"when it ended", `{"use":"temp","text":"X","period":{"end":"2001-02"}}`, one("Temporary, until 2001-02", "X")},
	} {
		if got := mustDetail(t, patientWith(`"name":[`+c.name+`]`)).Names; !reflect.DeepEqual(got, []Labelled{c.want}) {
			t.Errorf("%s: got %+v", c.promise, got)
		}
	}
}

func TestOnlyTheEndOfASocialSecurityNumberIsShown(t *testing.T) {
	for id, want := range map[string]Labelled{
		`{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-12-3456"}`:                 one("Social security number", "•••-••-3456"),
		`{"system":"urn:oid:2.16.840.1.113883.4.1","value":"000123456"}`:                    one("Social security number", "•••-••-3456"),
		`{"type":{"coding":[{"code":"SS"}]},"value":"3456"}`:                                one("Social security number", "•••-••-3456"),
		`{"type":{"coding":[{"code":"SS","display":"SSN of old"}]},"value":"none, 12"}`:     one("SSN of old", "•••-••-••••"),
		`{"type":{"text":"Social Security Number"},"value":"000 12 34 56"}`:                 one("Social Security Number", "•••-••-3456"),
		`{"type":{"coding":[{"code":"MR"},{"code":"SS"}]},"use":"old","value":"000123456"}`: one("Social security number", "•••-••-3456"),
	} {
		if got := mustDetail(t, patientWith(`"identifier":[`+id+`]`)).Identifiers; !reflect.DeepEqual(got, []Labelled{want}) {
			t.Errorf("%s: got %+v", id, got)
		}
	}
}

func TestIdentifiersAreCalledWhatTheyAre(t *testing.T) {
	for id, want := range map[string]string{
		`"type":{"text":"ward no.","coding":[{"code":"MR","display":"d"}]}`: "Ward no.",
		`"type":{"coding":[{"code":"X"},{"code":"MR","display":"d"}]}`:      "D",
		`"type":{"coding":[{"code":"X"},{"code":"MR"}]},"system":"urn:x"`:   "Medical record number",
		`"type":{"coding":[{"code":"X"}]},"system":"https://a.invalid/b/c"`: "C",
		`"system":"https://a.invalid/"`:                                     "A.invalid",
		`"system":"urn:oid:1.2.3.4"`:                                        "Identifier",
		`"system":"urn:uuid:6f0b6d0e-1c9d-4b57-9a53-2f6f0c1e7a10"`:          "Identifier",
		`"system":"é/#"`: "É",
		`"use":"usual"`:  "Identifier",
	} {
		if got := mustDetail(t, patientWith(`"identifier":[{`+id+`,"value":"v"}]`)).Identifiers; !reflect.DeepEqual(got, []Labelled{one(want, "v")}) {
			t.Errorf("%s: got %+v, want %s", id, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]Labelled{
		`"use":"home","line":["1 A","2 B"],"city":"C","state":"S","postalCode":"P","country":"X"`: one("Home", "1 A", "2 B", "C, S P", "X"),
		`"use":"work","city":"C","postalCode":"P"`:                                                one("Work", "C, P"),
		`"state":"S"`: one("Address", "S"),
		`"use":"temp","text":"1 A\r\n\nC  S","line":[null]`:         one("Temporary", "1 A", "C S"),
		`"use":"billing","text":"t","country":"X"`:                  one("Billing", "X"),
		`"use":"old","text":"t","period":{"end":"2001"},"city":"C"`: one("Old, until 2001", "C"),
	} {
		if got := mustDetail(t, patientWith(`"address":[{`+address+`}]`)).Addresses; !reflect.DeepEqual(got, []Labelled{want}) {
			t.Errorf("%s: got %+v", address, got)
		}
	}
}

func TestTelecoms(t *testing.T) {
	got := mustDetail(t, patientWith(`"telecom":[{"system":"sms","value":"1"},{"system":"fax","use":"work","value":"2"},{"system":"pager","use":"temp","value":"3"},
		{"system":"url","value":"4"},{"system":"drum","use":"?","value":"5"},{"value":"6"},{"system":"phone"}]`)).Telecoms
	want := []Labelled{one("Text message", "1"), one("Fax (work)", "2"), one("Pager (temporary)", "3"), one("Web page", "4"), one("Other contact", "5"), one("Other contact", "6")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestDemographics(t *testing.T) {
	for members, want := range map[string][]Labelled{
		`"deceasedBoolean":true`:                                           {one("Deceased", "Yes")},
		`"deceasedBoolean":false`:                                          nil,
		`"deceasedDateTime":"2001-10","deceasedBoolean":false`:             {one("Deceased", "2001-10")},
		`"multipleBirthBoolean":true`:                                      {one("Multiple birth", "Yes")},
		`"multipleBirthInteger":1e300`:                                     nil,
		`"maritalStatus":{"text":"it is complicated"}`:                     {one("Marital status", "it is complicated")},
		`"maritalStatus":{"coding":[{"code":"S"}]}`:                        {one("Marital status", "Never married")},
		`"maritalStatus":{"coding":[{"code":"ZZ"}]}`:                       {one("Marital status", "ZZ")},
		`"communication":[{"preferred":true}]`:                             nil,
		`"managingOrganization":{"reference":"Organization/1"}`:            nil,
		`"_birthDate":{"extension":[{"url":"x","valueDateTime":"1974"}]}`:  nil,
		`"generalPractitioner":[{"display":"A"},{},{"display":"B\u0000"}]`: {one("General practitioner", "A", "B")},
	} {
		if got := mustDetail(t, patientWith(members)).Demographics; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v", members, got)
		}
	}
}

func TestOddShapesAreLeftOutOfThePage(t *testing.T) {
	raw := patientWith(`"name":[7,{"text":{}},{"given":["A",5,["x"]],"prefix":"Dr."}],"identifier":{"value":"x"},"telecom":[{"value":5}],"address":["x",{"line":"x"}],
		"contact":[{"relationship":"x","name":"y","telecom":{},"address":[]},"z"],"maritalStatus":[],"communication":[{"language":"en"}],"multipleBirthBoolean":"x",
		"multipleBirthInteger":"2","_birthDate":"x","extension":[null,"x",{"url":7},{"url":"http://hl7.org/fhir/StructureDefinition/patient-animal","extension":{}}],
		"generalPractitioner":"x","managingOrganization":"x","deceasedBoolean":"x","animal":true`)
	if got, want := mustDetail(t, raw), (Detail{Names: []Labelled{one("Name", "A")}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestThePageHoldsNoControlCharacters(t *testing.T) {
	d := mustDetail(t, patientWith(`"identifier":[{"type":{"text":"\u0000a\u202e"},"value":"1\u00002"}],"address":[{"text":"x\u0000\u2067y"}],"contact":[{"relationship":[{"text":"\u202e"}],"name":{"text":" \tn "}}]`))
	want := Detail{Identifiers: []Labelled{one("A", "1 2")}, Addresses: []Labelled{one("Address", "x y")}, Contacts: []Labelled{one("Contact", "n")}}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v", d)
	}
}

func TestThePageOfEveryKindOfPatientHasSomethingToShow(t *testing.T) {
	for _, file := range strings.Fields("nameless dateless text-only chinese extensions arabic hebrew emoji mrns control") {
		if reflect.DeepEqual(mustDetail(t, readPatient(t, file)), Detail{}) {
			t.Errorf("%s: empty", file)
		}
	}
}
