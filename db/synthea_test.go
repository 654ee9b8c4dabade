package db_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
)

// syntheaLike invents patient i as large and as shaped as Synthea's are: 3.3 KB, of which the list needs a tenth, with
// extensions, numbers of many digits, and escapes. Nobody of that name, number or place exists.
func syntheaLike(i int) []byte {
	d := rand.New(rand.NewPCG(20, uint64(i)))
	syllables := func(n int) string {
		var s strings.Builder
		for range n {
			s.WriteString([]string{"ba", "cor", "den", "fil", "gus", "ham", "jo", "kel", "lin", "mor", "nes", "pra", "qui", "ros", "sten", "tul", "ver", "wen", "yor", "zam"}[int(d.Float64()*d.Float64()*20)])
		}
		word := s.String()
		sum := 0
		for _, c := range word {
			sum = sum*31 + int(c)
		}
		return strings.ToUpper(word[:1]) + word[1:] + fmt.Sprint(100+sum%900)
	}
	family, given, second, city := syllables(2), syllables(2), syllables(2), strings.TrimRight(syllables(3), "0123456789")
	id := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", d.Uint32(), d.IntN(1<<16), d.IntN(1<<16), d.IntN(1<<16), d.Uint64()>>16)
	born := fmt.Sprintf("%04d-%02d-%02d", 1920+d.IntN(105), 1+d.IntN(12), 1+d.IntN(28))
	coded := func(system, code, display string) string {
		return fmt.Sprintf(`{"system":%q,"code":%q,"display":%q}`, system, code, display)
	}
	kind := func(code, display string) string {
		return `{"coding":[` + coded("http://terminology.hl7.org/CodeSystem/v2-0203", code, display) + `],"text":"` + display + `"}`
	}
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p(`{"resourceType":"Patient","id":%q,"meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},`, id)
	p(`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Invented for tests, no person.\n .   Number: %d\u00a0of many \u2014 seed: 20</div>"},`, i)
	p(`"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":%s},{"url":"text","valueString":"White"}]},`, coded("urn:oid:2.16.840.1.113883.6.238", "2106-3", "White"))
	p(`{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity","extension":[{"url":"ombCategory","valueCoding":%s},{"url":"text","valueString":"Not Hispanic or Latino"}]},`, coded("urn:oid:2.16.840.1.113883.6.238", "2186-5", "Not Hispanic or Latino"))
	p(`{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"%s %s"},`, second, family)
	p(`{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"},`)
	p(`{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":%q,"state":"Massachusetts","country":"US"}},`, city)
	p(`{"url":"http://example.org/fhir/disability-adjusted-life-years","valueDecimal":%.17g},`, d.Float64()*10)
	p(`{"url":"http://example.org/fhir/quality-adjusted-life-years","valueDecimal":%.1f0}],`, d.Float64()*90)
	p(`"identifier":[{"system":"https://example.org/generated","value":%q},`, id)
	p(`{"type":%s,"system":"http://hospital.example.org","value":"%d"},`, kind("MR", "Medical Record Number"), 1_000_000+i)
	p(`{"type":%s,"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-%02d-%04d"},`, kind("SS", "Social Security Number"), d.IntN(100), d.IntN(10000))
	p(`{"type":%s,"system":"urn:oid:2.16.840.1.113883.4.3.25","value":"S999%05d"},`, kind("DL", "Driver's license number"), d.IntN(100000))
	p(`{"type":%s,"system":"http://hl7.org/fhir/sid/passport-USA","value":"X%08dX"}],`, kind("PPN", "Passport Number"), d.IntN(100000000))
	p(`"name":[{"use":"official","family":%q,"given":[%q,%q],"prefix":["Mrs."]},{"use":"maiden","family":%q,"given":[%q,%q],"prefix":["Mrs."]}],`, family, given, second, second, given, second)
	p(`"telecom":[{"system":"phone","value":"555-%03d-%04d","use":"home"}],`, d.IntN(1000), d.IntN(10000))
	p(`"gender":%q,"birthDate":%q,`, []string{"female", "male"}[d.IntN(2)], born)
	p(`"address":[{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/geolocation","extension":[{"url":"latitude","valueDecimal":%.15f},{"url":"longitude","valueDecimal":-%.15f}]}],`, 20+d.Float64()*30, 70+d.Float64()*50)
	p(`"line":["%d %s Street"],"city":%q,"state":"MA","postalCode":"%05d","country":"US"}],`, 1+d.IntN(1999), syllables(2), city, d.IntN(100000))
	p(`"maritalStatus":{"coding":[%s],"text":"Married"},"multipleBirthBoolean":false,`, coded("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M", "Married"))
	p(`"communication":[{"language":{"coding":[%s],"text":"English (United States)"}}]}`, coded("urn:ietf:bcp:47", "en-US", "English (United States)"))
	return b.Bytes()
}
