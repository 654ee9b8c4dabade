package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Invented, in the columns of Synthea's patients.csv as it was and as it is.
const (
	oldHeader = "Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,PREFIX,FIRST,LAST,SUFFIX,MAIDEN,MARITAL,RACE,ETHNICITY,GENDER,BIRTHPLACE,ADDRESS,CITY,STATE,COUNTY,ZIP,LAT,LON,HEALTHCARE_EXPENSES,HEALTHCARE_COVERAGE"
	newHeader = "Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,PREFIX,FIRST,MIDDLE,LAST,SUFFIX,MAIDEN,MARITAL,RACE,ETHNICITY,GENDER,BIRTHPLACE,ADDRESS,CITY,STATE,COUNTY,FIPS,ZIP,LAT,LON,HEALTHCARE_EXPENSES,HEALTHCARE_COVERAGE,INCOME"
	fernRow   = "p-1,1961-04-30,2020-01-02,999-10-0001,S99900001,X1X,Mrs.,Fern12,Ada3,Tansy4,PhD,Lark5,M,white,nonhispanic,F,Wend  Kestrel  US,1 Hill Road Unit 4,Upper Wend,Kestrel,Drake County,25001,02101,42.5,-71.1,1.00,2.00,30"
	fernJSON  = `{"resourceType":"Patient","id":"p-1","extension":[` +
		`{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"text","valueString":"white"}]},` +
		`{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity","extension":[{"url":"text","valueString":"nonhispanic"}]},` +
		`{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"Wend","state":"Kestrel","country":"US"}}],` +
		`"identifier":[{"system":"https://github.com/synthetichealth/synthea","value":"p-1"},` +
		`{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}]},"system":"http://hospital.smarthealthit.org","value":"p-1"},` +
		`{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"SS","display":"Social security number"}]},"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-10-0001"},` +
		`{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"DL","display":"Driver's license"}]},"value":"S99900001"},` +
		`{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"PPN","display":"Passport number"}]},"value":"X1X"}],` +
		`"name":[{"use":"official","family":"Tansy4","given":["Fern12","Ada3"],"prefix":["Mrs."],"suffix":["PhD"]},{"use":"maiden","family":"Lark5","given":["Fern12","Ada3"],"prefix":["Mrs."],"suffix":["PhD"]}],` +
		`"gender":"female","birthDate":"1961-04-30","deceasedDateTime":"2020-01-02",` +
		`"address":[{"line":["1 Hill Road Unit 4"],"city":"Upper Wend","district":"Drake County","state":"Kestrel","postalCode":"02101","country":"US"}],` +
		`"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M","display":"Married"}]}}`
)

// small is a header in another order, and what a row of it becomes.
const small = "LAST,FIRST,BIRTHDATE,Id,GENDER"

func smallJSON(id, last, first string) string {
	return `{"resourceType":"Patient","id":"` + id + `","identifier":[{"system":"https://github.com/synthetichealth/synthea","value":"` + id + `"},` +
		`{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR","display":"Medical record number"}]},"system":"http://hospital.smarthealthit.org","value":"` + id + `"}],` +
		`"name":[{"use":"official","family":"` + last + `","given":["` + first + `"]}]}`
}

func TestReaderMakesPatientsOfSyntheasCSV(t *testing.T) {
	expect(t, newHeader+"\n"+fernRow+"\n", "line 2: "+fernJSON)
	expect(t, bom+newHeader+"\r\n\r\n"+fernRow, "line 3: "+fernJSON)
	p, err := Parse([]byte(fernJSON))
	if err != nil || p.MRN != "p-1" || p.DisplayName() != "Tansy4, Fern12 Ada3" || !p.Deceased || p.City != "Upper Wend" {
		t.Errorf("Parse makes of it %+v, %v", p, err)
	}
	old := strings.Replace(strings.Replace(strings.TrimSuffix(fernRow, ",30"), ",Ada3", "", 1), ",25001", "", 1)
	expect(t, oldHeader+"\n"+old, "line 2: "+strings.ReplaceAll(fernJSON, `,"Ada3"`, ""))
	expect(t, small+"\nFox,Ann,,a,\n\"Dax \"\"D\"\", Jr.\",\"Bo\nCy\",,b,\nLee,Di,,c,\n", "line 2: "+smallJSON("a", "Fox", "Ann"),
		"line 3: "+smallJSON("b", `Dax \"D\", Jr.`, `Bo\nCy`), "line 5: "+smallJSON("c", "Lee", "Di"))
	expect(t, `"LAST","FIRST","BIRTHDATE","Id","GENDER","NEW"`+"\r\n"+`"Fox","Ann","","a","",7`, "line 2: "+smallJSON("a", "Fox", "Ann"))
	expect(t, small)
	expect(t, string(gzipped(t, []byte(small+"\nFox,Ann,,a,\n"))), "line 2: "+smallJSON("a", "Fox", "Ann"))
}

func TestReaderSaysOfARowWhatItSays(t *testing.T) {
	fields := "Id,BIRTHDATE,FIRST,LAST,GENDER,MARITAL,BIRTHPLACE,CITY,DEATHDATE"
	for _, c := range []struct{ promise, row, has string }{
		{"male", "a,,A,B,M,,,,", `"gender":"male"`},
		{"unknown", "a,,A,B,U,,,,", `"gender":"unknown"`},
		{"another", "a,,A,B,X,,,,", `"gender":"other"`},
		{"never married", "a,,A,B,,S,,,", `"code":"S","display":"Never married"`},
		{"a status without a code", "a,,A,B,,it is complicated,,,", `"maritalStatus":{"text":"it is complicated"}`},
		{"a place of birth in words", "a,,A,B,,,At sea,,", `"valueAddress":{"text":"At sea"}`},
		{"a place of birth with its commas", `a,,A,B,,,"Wend, Kestrel, US",,`, `"valueAddress":{"city":"Wend","state":"Kestrel","country":"US"}`},
		{"the country", "a,,A,B,,,,Wend,", `"address":[{"city":"Wend","country":"US"}]`},
		{"a time of death", "a,,A,B,,,,,2020-01-02T03:04:05Z", `"deceasedDateTime":"2020-01-02T03:04:05Z"`},
		{"signs that HTML minds", "a,,A,<&B,,,,,", `"family":"<&B"`},
	} {
		got := told(t, strings.NewReader(fields+"\n"+c.row))
		if len(got) != 1 || !strings.Contains(got[0], c.has) {
			t.Errorf("%s: got %s", c.promise, got)
		}
	}
	expect(t, fields+"\na,,,,,,,,", "line 2: "+strings.Replace(smallJSON("a", "", ""), `,"name":[{"use":"official","family":"","given":[""]}]`, "", 1))
}

func TestReaderABadRowCostsOnlyItself(t *testing.T) {
	long := strings.Repeat("x", maxSource)
	for bad, reason := range map[string]string{
		"Fox,Ann,,a":             "this row has more or fewer fields than the header",
		"Fox,Ann,,a,,":           "this row has more or fewer fields than the header",
		"Fox,Ann,,,":             "this row has no Id",
		"Fox,Ann,30.4.1961,a,":   "BIRTHDATE is not a date like 1974-12-25",
		"Fox,\"Ann,,a,":          "this row is not valid CSV (RFC 4180): look at its quotation marks",
		"Fox,5\" Ann,,a,":        "this row is not valid CSV (RFC 4180): look at its quotation marks",
		"Fox,\"Ann\" Lee,,a,":    "this row is not valid CSV (RFC 4180): look at its quotation marks",
		"Fox,\xe4,,a,":           "the resource is not valid UTF-8",
		"Fox," + long + ",,a,":   "this row is longer than 1 MiB",
		"Fox,\"" + long + ",,a,": "this row is longer than 1 MiB",
	} {
		one, two := "Lee,Di,,c,", "Dax,Cy,,d,"
		expectQuick(t, small+"\n"+one+"\n"+bad+"\n"+two+"\n", "line 2: "+smallJSON("c", "Lee", "Di"), "line 3! "+reason, "line 4: "+smallJSON("d", "Dax", "Cy"))
		expectQuick(t, small+"\n"+bad+"\r\n"+two, "line 2! "+reason, "line 3: "+smallJSON("d", "Dax", "Cy"))
		expectQuick(t, small+"\n"+one+"\n"+bad, "line 2: "+smallJSON("c", "Lee", "Di"), "line 3! "+reason)
	}
	expect(t, small+",DEATHDATE\nFox,Ann,,a,,long ago", "line 2! DEATHDATE is not a date like 2024-03-09")
	expect(t, small+"\nFox,\"Ann\n# a comment\n\",,a,\n", "line 2! this row is not valid CSV (RFC 4180): look at its quotation marks",
		"line 4! this row is not valid CSV (RFC 4180): look at its quotation marks")
	expect(t, small+"\nFox,\"Ann,,a,\nLee,\"Di\",,c,\n", "line 2! this row is not valid CSV (RFC 4180): look at its quotation marks", "line 3: "+smallJSON("c", "Lee", "Di"))
}

// expectQuick reads in one piece only where the input is long.
func expectQuick(t *testing.T, input string, want ...string) {
	t.Helper()
	if len(input) < chunk {
		expect(t, input, want...)
	} else if got := told(t, strings.NewReader(input)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%.100q gave\n%.500s", input, strings.Join(got, "\n"))
	}
}

func TestReaderCSVFromABrokenSource(t *testing.T) {
	got := told(t, io.MultiReader(strings.NewReader(small+"\nFox,Ann,,a,\nLee,Di,,"), broken{}))
	if want := []string{"line 2: " + smallJSON("a", "Fox", "Ann"), "ended! the disk is gone"}; strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("gave\n%s", strings.Join(got, "\n"))
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

func TestReaderSkipsComments(t *testing.T) {
	expect(t, "# why\n"+ann+"\n#\n \t# more, {\"a\":\n"+bob+"\n#", "line 2: "+ann, "line 5: "+bob)
	expect(t, bom+"#\r\n"+small+"\r\n# line 7: why\r\nFox,Ann,,a,\r\n#end", "line 4: "+smallJSON("a", "Fox", "Ann"))
	expect(t, "# only\n# comments")
	expect(t, "#"+strings.Repeat("#", 3*chunk)+"\n"+ann, "line 2: "+ann)
	expect(t, "# line 1: why\n{\"id\":\n# line 2: why\neve\n# line 3: why\n"+ann, "line 2"+badLine, "line 4"+badLine, "line 6: "+ann)
	expect(t, "eve\n# why\n"+ann, "line 1"+badLine, "line 3: "+ann)
	expect(t, "# a resource\n"+pretty(ann), "resource: "+pretty(ann))
	expect(t, "# why\n<x>", "line 2! this is not JSON: it looks like XML or HTML")
}

// sources gives the Source of each reject, and wants none where Raw does as well.
func sources(t *testing.T, input string) []string {
	t.Helper()
	r, err := NewReader(strings.NewReader(input))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []string
	for {
		e, err := r.Next()
		switch {
		case err != nil:
			return all
		case e.Err != nil || r.Header() != nil:
			all = append(all, string(e.Source))
		case e.Source != nil:
			t.Errorf("%s has a resource and a source", e.Where())
		}
	}
}

func TestReaderGivesWhatWasRejectedToBeMended(t *testing.T) {
	big := `{"a":"` + strings.Repeat("x", maxSource) + `"`
	for _, c := range []struct {
		promise, input string
		want           []string
	}{
		{"a line as it came", ann + "\n  {\"id\" : \"eve} \r\n7\n{\"id\":\"\xe9\"}", []string{`{"id" : "eve} `, "7", "{\"id\":\"\xe9\"}"}},
		{"all of a line that is a wrong Bundle", ann + "\n" + `{"resourceType":"Bundle", "entry":{}}` + "\n", []string{`{"resourceType":"Bundle", "entry":{}}`}},
		{"not what is too long to mend", ann + "\n" + big + "\n" + bob, []string{""}},
		{"what is wrong of a Bundle, on one line", pretty(bundle(`[7]`, ann, `{"resourceType":"A","resourceType":"B"}`)), []string{"[7]", `{"resourceType":"A","resourceType":"B"}`}},
		{"also in a line", ann + "\n" + bundle(`"x"`, ann) + "\n", []string{`"x"`}},
		{"an entry that is a resource, to be imported as one", `{"resourceType":"Bundle","entry":[ ` + ann + `, 7 , {"resource":1,"resource":2}]}`, []string{ann, "7", `{"resource":1,"resource":2}`}},
		{"Bundles too deep, as one that is not", bundle(bundle(bundle(bundle(bundle(ann))))), []string{`{"resourceType":"Bundle","entry":[{"resource":` + ann + `}]}`}},
		{"of a list", "[\n" + ann + ",\n[ 1 ]\n]", []string{"[1]"}},
		{"not what is no JSON", pretty(bundle(ann, bob))[:100], []string{""}},
		{"each row, whether rejected or not", small + "\r\nFox,Ann,,a,\r\n# x\n\"Dax\n\"\"D\",Bo,,b,\n\"Lee,Di,,c,", []string{"Fox,Ann,,a,", "\"Dax\n\"\"D\",Bo,,b,", "\"Lee,Di,,c,"}},
	} {
		if got := sources(t, c.input); strings.Join(got, "\x00") != strings.Join(c.want, "\x00") {
			t.Errorf("%s: got %.300q", c.promise, got)
		}
	}
}

func TestReaderGivesTheHeaderOfCSV(t *testing.T) {
	for input, want := range map[string]string{bom + "# x\n" + small + "\r\nFox,Ann,,a,\n": small, ann: "", "Id,LAST\n": ""} {
		r, _ := NewReader(strings.NewReader(input))
		_, _ = r.Next()
		if got := r.Header(); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("%q has the header %q", input, got)
		}
		r.Close()
	}
}

// What went into a rejects file comes out of it again.
func TestReaderRejectsFileGoesRound(t *testing.T) {
	input := small + "\nFox,Ann,nonsense,a,\n\"Dax\nD\",Bo,,,\nLee,Di,,c,\n"
	for range 2 {
		var file bytes.Buffer
		r, _ := NewReader(strings.NewReader(input))
		for e, err := r.Next(); err == nil; e, err = r.Next() {
			if file.Len() == 0 {
				fmt.Fprintf(&file, "%s\n", r.Header())
			}
			if e.Err != nil {
				fmt.Fprintf(&file, "# %s: %v\n%s\n", e.Where(), e.Err, e.Source)
			}
		}
		r.Close()
		input = file.String()
	}
	mended := strings.Replace(strings.Replace(input, "nonsense", "", 1), "Bo,,,", "Bo,,b,", 1)
	expect(t, mended, "line 3: "+smallJSON("a", "Fox", "Ann"), "line 5: "+smallJSON("b", `Dax\nD`, "Bo"))
}

func TestReaderCSVMemoryStaysFlat(t *testing.T) {
	n := 4 << 20 / len(fernRow)
	entries, rise := heapOf(t, repeated(newHeader+"\n", fernRow, "\n", "\n", n))
	if entries != n || rise > 16<<20 {
		t.Errorf("%d of %d entries took %d MiB", entries, n, rise>>20)
	}
}

func BenchmarkReaderCSV(b *testing.B) {
	b.ReportAllocs()
	r, err := NewReader(repeated(newHeader+"\n", fernRow, "\n", "\n", b.N))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	for range b.N {
		if e, err := r.Next(); err != nil || e.Err != nil {
			b.Fatal(err, e.Err)
		}
	}
}
