package fhir

import (
	"reflect"
	"strings"
	"testing"
)

// onPaper is a Labelled on paper: kind, what is said and =code, @use and until; a value's kind and a colon, text, =code and @use.
type onPaper struct {
	Label string
	Lines []string
}

func one(label string, lines ...string) onPaper { return onPaper{label, lines} }

func tellTerm(t Term) string {
	s := string(t.Kind)
	for _, w := range t.Words {
		s += "/" + w.Said
		if w.Code != "" {
			s += "=" + w.Code
		}
	}
	if t.Use != "" {
		s += "@" + t.Use
	}
	if t.Until != "" {
		s += " until " + t.Until
	}
	return s
}

func tellValues(values []Value) (all []string) {
	for _, v := range values {
		s := v.Text
		if v.Kind != "" {
			s = string(v.Kind) + ":" + s
		}
		if v.Code != "" {
			s += "=" + v.Code
		}
		if v.Use != "" {
			s += "@" + v.Use
		}
		all = append(all, s)
	}
	return all
}

func tell(list []Labelled) (all []onPaper) {
	for _, l := range list {
		all = append(all, onPaper{tellTerm(l.Term), tellValues(l.Lines)})
	}
	return all
}

// page is a Detail on paper.
type page struct{ Names, Identifiers, Telecoms, Addresses, Contacts, Demographics []onPaper }

func mustDetail(t *testing.T, raw []byte) page {
	t.Helper()
	d, err := ParseDetail(raw)
	if err != nil {
		t.Fatal(err)
	}
	return page{tell(d.Names), tell(d.Identifiers), tell(d.Telecoms), tell(d.Addresses), tell(d.Contacts), tell(d.Demographics)}
}

func TestThePageShowsAllOfAFullPatient(t *testing.T) {
	got := mustDetail(t, readPatient(t, "full"))
	want := page{
		Names: []onPaper{
			one("name/=maiden", "Ms. Philippa Wren Greenhalgh"),
			one("name/=official", "Mrs. Philippa Wren Ó Súilleabháin-Drake MPhil"),
		},
		Identifiers: []onPaper{
			one("identifier/generator", "6f0b6d0e-1c9d-4b57-9a53-2f6f0c1e7a10"),
			one("identifier/chart number=MR", "C-204-771"),
			one("identifier/Social security=SS", "•••-••-7654"),
			one("identifier/=DL", "W1234567"),
			one("identifier/=PPN", "XX99887766"),
			one("identifier/policy until 2020-12", "POL-5"),
		},
		Telecoms: []onPaper{
			one("telecom/=phone@old", "555-0100"),
			one("telecom/=phone@home", "555-0101"),
			one("telecom/=phone@mobile", "555-0102"),
			one("telecom/=email@work", "work@ward.invalid"),
			one("telecom/=email", "pip@ward.invalid"),
		},
		Addresses: []onPaper{
			one("address/=old", "1 Gone Lane", "Pastville"),
			one("address", "Flat 3", "212 Kestrel Hill", "Upper Wend, WM 04112", "XX"),
		},
		Contacts: []onPaper{
			one("contact/Emergency=C", "Tobias Drake", "telecom:555-0104=phone", "9 Other Street, Netherby"),
		},
		Demographics: []onPaper{
			one("multipleBirth", "yesNo:=false"),
			one("maritalStatus", "maritalStatus:=D"),
			one("language", "preferred:Irish", "en-IE"),
			one("generalPractitioner", "Dr. Hazel Thorne"),
			one("managingOrganization", "Netherby Health Centre"),
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestThePageOfANewborn(t *testing.T) {
	d := mustDetail(t, readPatient(t, "newborn"))
	want := []onPaper{one("birthTime", "date:2025-11-02T04:17:00+01:00"), one("multipleBirth", "birthOrder:2")}
	if !reflect.DeepEqual(d.Demographics, want) {
		t.Errorf("got %+v", d.Demographics)
	}
	if want := []onPaper{one("contact/=N/mother", "Oona Tansy"), one("contact", "Rolf Tansy")}; !reflect.DeepEqual(d.Contacts, want) {
		t.Errorf("got %+v", d.Contacts)
	}
}

func TestThePageOfAnAnimal(t *testing.T) {
	d := mustDetail(t, readPatient(t, "animal"))
	if want := []onPaper{one("species", "Domestic cat"), one("breed", "Norwegian forest cat")}; !reflect.DeepEqual(d.Demographics, want) {
		t.Errorf("got %+v", d.Demographics)
	}
	if want := []onPaper{one("contact/owner", "Bram Hollowell", "telecom:+00 555 0101=phone@mobile", "telecom:bram@vet.invalid=email", "4 Lantern Row, Mossford")}; !reflect.DeepEqual(d.Contacts, want) {
		t.Errorf("got %+v", d.Contacts)
	}
	d = mustDetail(t, patientWith(`"animal":{"species":{"text":"dog"},"breed":{"coding":[{"code":"B1"}]}}`))
	if want := []onPaper{one("species", "dog"), one("breed", "B1")}; !reflect.DeepEqual(d.Demographics, want) {
		t.Errorf("got %+v", d.Demographics)
	}
}

func TestNamesAreSaidAsTheirTextSays(t *testing.T) {
	for _, c := range []struct {
		promise, name string
		want          onPaper
	}{
		{"the text alone, where it holds the parts", `{"use":"official","text":"欧阳秋月","family":"欧阳","given":["秋月"]}`, one("name/=official", "欧阳秋月")},
		{"the parts too, where it does not", `{"text":"Dr. Smith","family":"Smith","given":["Ann"]}`, one("name", "Dr. Smith", "Ann Smith")},
		{"the parts, where there is no text", `{"use":"usual","given":["A",null,"B"],"suffix":["Jr."]}`, one("name/=usual", "A B Jr.")},
		{"a use that FHIR does not have", `{"use":"stage","text":"X"}`, one("name", "X")},
		{"when it ended", `{"use":"temp","text":"X","period":{"end":"2001-02"}}`, one("name/=temp until 2001-02", "X")},
	} {
		if got := mustDetail(t, patientWith(`"name":[`+c.name+`]`)).Names; !reflect.DeepEqual(got, []onPaper{c.want}) {
			t.Errorf("%s: got %+v", c.promise, got)
		}
	}
}

func TestOnlyTheEndOfASocialSecurityNumberIsShown(t *testing.T) {
	for id, want := range map[string]onPaper{
		`{"system":"http://hl7.org/fhir/sid/us-ssn","value":"000-12-3456"}`:                 one("identifier/=SS", "•••-••-3456"),
		`{"system":"urn:oid:2.16.840.1.113883.4.1","value":"000123456"}`:                    one("identifier/=SS", "•••-••-3456"),
		`{"type":{"coding":[{"code":"SS"}]},"value":"3456"}`:                                one("identifier/=SS", "•••-••-3456"),
		`{"type":{"coding":[{"code":"SS","display":"SSN of old"}]},"value":"none, 12"}`:     one("identifier/SSN of old=SS", "•••-••-••••"),
		`{"type":{"text":"Social Security Number"},"value":"000 12 34 56"}`:                 one("identifier/Social Security Number=SS", "•••-••-3456"),
		`{"type":{"coding":[{"code":"MR"},{"code":"SS"}]},"use":"old","value":"000123456"}`: one("identifier/=SS", "•••-••-3456"),
	} {
		if got := mustDetail(t, patientWith(`"identifier":[`+id+`]`)).Identifiers; !reflect.DeepEqual(got, []onPaper{want}) {
			t.Errorf("%s: got %+v", id, got)
		}
	}
}

func TestIdentifiersAreCalledWhatTheyAre(t *testing.T) {
	for id, want := range map[string]string{
		`"type":{"text":"ward no.","coding":[{"code":"MR","display":"d"}]}`: "identifier/ward no.=MR",
		`"type":{"coding":[{"code":"X"},{"code":"MR","display":"d"}]}`:      "identifier/d=MR",
		`"type":{"coding":[{"code":"X"},{"code":"MR"}]},"system":"urn:x"`:   "identifier/=MR",
		`"type":{"coding":[{"code":"X"}]},"system":"https://a.invalid/b/c"`: "identifier/c",
		`"system":"https://a.invalid/"`:                                     "identifier/a.invalid",
		`"system":"urn:oid:1.2.3.4"`:                                        "identifier",
		`"system":"urn:uuid:6f0b6d0e-1c9d-4b57-9a53-2f6f0c1e7a10"`:          "identifier",
		`"system":"é/#"`: "identifier/é",
		`"use":"usual"`:  "identifier",
	} {
		if got := mustDetail(t, patientWith(`"identifier":[{`+id+`,"value":"v"}]`)).Identifiers; !reflect.DeepEqual(got, []onPaper{one(want, "v")}) {
			t.Errorf("%s: got %+v, want %s", id, got, want)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]onPaper{
		`"use":"home","line":["1 A","2 B"],"city":"C","state":"S","postalCode":"P","country":"X"`: one("address/=home", "1 A", "2 B", "C, S P", "X"),
		`"use":"work","city":"C","postalCode":"P"`:                                                one("address/=work", "C, P"),
		`"state":"S"`: one("address", "S"),
		`"use":"temp","text":"1 A\r\n\nC  S","line":[null]`:         one("address/=temp", "1 A", "C S"),
		`"use":"billing","text":"t","country":"X"`:                  one("address/=billing", "X"),
		`"use":"old","text":"t","period":{"end":"2001"},"city":"C"`: one("address/=old until 2001", "C"),
	} {
		if got := mustDetail(t, patientWith(`"address":[{`+address+`}]`)).Addresses; !reflect.DeepEqual(got, []onPaper{want}) {
			t.Errorf("%s: got %+v", address, got)
		}
	}
}

func TestTelecoms(t *testing.T) {
	got := mustDetail(t, patientWith(`"telecom":[{"system":"sms","value":"1"},{"system":"fax","use":"work","value":"2"},{"system":"pager","use":"temp","value":"3"},
		{"system":"url","value":"4"},{"system":"drum","use":"?","value":"5"},{"value":"6"},{"system":"phone"}]`)).Telecoms
	want := []onPaper{one("telecom/=sms", "1"), one("telecom/=fax@work", "2"), one("telecom/=pager@temp", "3"), one("telecom/=url", "4"), one("telecom", "5"), one("telecom", "6")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestDemographics(t *testing.T) {
	for members, want := range map[string][]onPaper{
		`"deceasedBoolean":true`:                                           {one("deceased", "yesNo:=true")},
		`"deceasedBoolean":false`:                                          nil,
		`"deceasedDateTime":"2001-10","deceasedBoolean":false`:             {one("deceased", "date:2001-10")},
		`"multipleBirthBoolean":true`:                                      {one("multipleBirth", "yesNo:=true")},
		`"multipleBirthInteger":1e300`:                                     nil,
		`"maritalStatus":{"text":"it is complicated"}`:                     {one("maritalStatus", "maritalStatus:it is complicated")},
		`"maritalStatus":{"coding":[{"code":"S"}]}`:                        {one("maritalStatus", "maritalStatus:=S")},
		`"maritalStatus":{"coding":[{"code":"ZZ"}]}`:                       {one("maritalStatus", "maritalStatus:ZZ")},
		`"communication":[{"preferred":true}]`:                             nil,
		`"managingOrganization":{"reference":"Organization/1"}`:            nil,
		`"_birthDate":{"extension":[{"url":"x","valueDateTime":"1974"}]}`:  nil,
		`"generalPractitioner":[{"display":"A"},{},{"display":"B\u0000"}]`: {one("generalPractitioner", "A", "B")},
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
	if got, want := mustDetail(t, raw), (page{Names: []onPaper{one("name", "A")}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestThePageHoldsNoControlCharacters(t *testing.T) {
	d := mustDetail(t, patientWith(`"identifier":[{"type":{"text":"\u0000a\u202e"},"value":"1\u00002"}],"address":[{"text":"x\u0000\u2067y"}],"contact":[{"relationship":[{"text":"\u202e"}],"name":{"text":" \tn "}}]`))
	want := page{Identifiers: []onPaper{one("identifier/a", "1 2")}, Addresses: []onPaper{one("address", "x y")}, Contacts: []onPaper{one("contact", "n")}}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got %+v", d)
	}
}

func TestThePageOfEveryKindOfPatientHasSomethingToShow(t *testing.T) {
	for _, file := range strings.Fields("nameless dateless text-only chinese extensions arabic hebrew emoji mrns control") {
		if reflect.DeepEqual(mustDetail(t, readPatient(t, file)), page{}) {
			t.Errorf("%s: empty", file)
		}
	}
}
