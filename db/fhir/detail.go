package fhir

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Detail is a FHIR R4 Patient for the page that shows one, in plain English and in the order of the resource. What the
// resource does not say is not there.
type Detail struct {
	Names        []Labelled
	Identifiers  []Labelled // a social security number shows its last four digits only
	Telecoms     []Labelled
	Addresses    []Labelled
	Contacts     []Labelled
	Demographics []Labelled
}

// Labelled is a thing to show. Label begins with a capital letter; Lines holds at least one line, none of them empty.
type Labelled struct {
	Label string
	Lines []string
}

// ParseDetail reads a Patient for its page. It is lenient: what is oddly shaped is left out, so that a page can be shown
// for every resource that Parse accepts. The errors are those of text that is no Patient at all.
func ParseDetail(raw []byte) (Detail, error) {
	o, err := new(reading).open(raw)
	if err != nil {
		return Detail{}, err
	}
	return Detail{
		Names:        o.show("name", object.nameShown),
		Identifiers:  o.show("identifier", object.identifierShown),
		Telecoms:     o.show("telecom", object.telecomShown),
		Addresses:    o.show("address", object.addressShown),
		Contacts:     o.show("contact", object.contactShown),
		Demographics: o.demographics(),
	}, nil
}

// show collects what is left of a list after odd elements are out, and says of what has ended when it did.
func (o object) show(key string, one func(object) Labelled) []Labelled {
	var list []Labelled
	for _, e := range o.objects(key) {
		l := one(e)
		if end := e.object("period").text("end"); end != "" {
			l.Label += ", until " + end
		}
		list = appendShown(list, l.Label, l.Lines...)
	}
	return list
}

// appendShown leaves out empty lines, and what has no others.
func appendShown(list []Labelled, label string, lines ...string) []Labelled {
	if lines = filled(lines); len(lines) == 0 {
		return list
	}
	return append(list, Labelled{Label: capital(label), Lines: lines})
}

func filled(lines []string) []string {
	var list []string
	for _, s := range lines {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}

// join is strings.Join without the empty ones.
func join(sep string, parts ...string) string { return strings.Join(filled(parts), sep) }

// capital takes a label, which is never empty.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// Plain English for FHIR's codes of use and kind.
var (
	nameLabels = map[string]string{
		"official": "Official", "usual": "Usual", "maiden": "Maiden", "nickname": "Nickname", "old": "Old", "temp": "Temporary", "anonymous": "Anonymous",
	}
	addressLabels = map[string]string{
		"home": "Home", "work": "Work", "temp": "Temporary", "old": "Old", "billing": "Billing",
	}
	telecomLabels = map[string]string{
		"phone": "Phone", "sms": "Text message", "email": "E-mail", "fax": "Fax", "pager": "Pager", "url": "Web page",
	}
	telecomUseLabels = map[string]string{
		"home": " (home)", "work": " (work)", "mobile": " (mobile)", "temp": " (temporary)", "old": " (old)",
	}
	// HL7 table 0203, the kinds that a patient's list of identifiers usually has.
	identifierLabels = map[string]string{
		"MR": "Medical record number", "SS": "Social security number", "DL": "Driver's license", "PPN": "Passport number",
		"MB": "Member number", "MC": "Medicare number", "MA": "Medicaid number", "AN": "Account number", "PI": "Patient internal identifier",
		"BCT": "Birth certificate", "NI": "National identifier", "NH": "National health plan identifier", "JHN": "Jurisdictional health number",
	}
	// HL7 v3 MaritalStatus.
	maritalLabels = map[string]string{
		"A": "Annulled", "C": "Common law", "D": "Divorced", "I": "Interlocutory", "L": "Legally separated", "M": "Married",
		"P": "Polygamous", "S": "Never married", "T": "Domestic partner", "U": "Unmarried", "W": "Widowed", "UNK": "Unknown",
	}
	// HL7 table 0131.
	contactLabels = map[string]string{
		"C": "Emergency contact", "E": "Employer", "F": "Federal agency", "I": "Insurance company", "N": "Next of kin",
		"S": "State agency", "U": "Unknown relationship",
	}
)

// nameShown goes by name.text where there is one, since only whoever wrote it knows in which order this name is said.
// Parts that the text does not hold get a line of their own.
func (o object) nameShown() Labelled {
	n := o.humanName()
	parts := join(" ", join(" ", o.texts("prefix")...), join(" ", n.given...), n.family, join(" ", o.texts("suffix")...))
	lines := []string{n.text}
	if !holdsWords(n.text, parts) {
		lines = append(lines, parts)
	}
	return Labelled{Label: cmp.Or(nameLabels[n.use], "Name"), Lines: lines}
}

// holdsWords compares without the spaces, which a name written in ideographs does not have.
func holdsWords(text, parts string) bool {
	text = MRNKey(text)
	for _, word := range strings.Fields(parts) {
		if key := MRNKey(word); key == "" || !strings.Contains(text, key) {
			return false
		}
	}
	return true
}

func (o object) identifierShown() Labelled {
	id := o.identifier()
	label := id.label
	if id.social {
		return Labelled{Label: cmp.Or(label, identifierLabels["SS"]), Lines: []string{maskSSN(id.value)}}
	}
	for _, code := range id.codes {
		label = cmp.Or(label, identifierLabels[code])
	}
	return Labelled{Label: cmp.Or(label, systemLabel(id.system), "Identifier"), Lines: []string{id.value}}
}

// maskSSN keeps the last four digits, which is what people are asked for (minimum necessary, 45 CFR 164.502(b)).
func maskSSN(value string) string {
	if value == "" {
		return ""
	}
	var digits []rune
	for _, r := range value {
		if unicode.IsDigit(r) {
			digits = append(digits, r)
		}
	}
	last := "••••"
	if n := len(digits); n >= 4 {
		last = string(digits[n-4:])
	}
	return "•••-••-" + last
}

// meaningless matches the ends of systems that tell a person nothing: OIDs, UUIDs and other numbers.
var meaningless = regexp.MustCompile(`^[0-9.]*$|^[0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27}$`)

func systemLabel(system string) string {
	system = strings.TrimRight(system, "/#:|")
	last := system[strings.LastIndexAny(system, "/#:|")+1:]
	if meaningless.MatchString(last) {
		return ""
	}
	return last
}

func (o object) telecomShown() Labelled {
	label := cmp.Or(telecomLabels[o.text("system")], "Other contact") + telecomUseLabels[o.text("use")]
	return Labelled{Label: label, Lines: []string{o.text("value")}}
}

func (o object) addressShown() Labelled {
	return Labelled{Label: cmp.Or(addressLabels[o.text("use")], "Address"), Lines: o.addressLines()}
}

func (o object) addressLines() []string {
	a := o.addressParts()
	town := join(", ", a.city, join(" ", a.state, a.postalCode))
	if lines := filled(append(a.lines, town, a.country)); len(lines) > 0 {
		return lines
	}
	text, _ := o.str("text")
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, clean(line))
	}
	return lines
}

func (o object) contactShown() Labelled {
	var kinds, lines []string
	for _, r := range o.objects("relationship") {
		kinds = append(kinds, r.concept(contactLabels))
	}
	lines = append(lines, o.object("name").nameShown().Lines...)
	for _, t := range o.objects("telecom") {
		if l := t.telecomShown(); l.Lines[0] != "" {
			lines = append(lines, l.Label+": "+l.Lines[0])
		}
	}
	lines = append(lines, join(", ", o.object("address").addressLines()...), o.object("organization").text("display"))
	return Labelled{Label: cmp.Or(join(", ", kinds...), "Contact"), Lines: lines}
}

// concept says a CodeableConcept: its text, a display, a code that labels know, or at last a code as it is.
func (o object) concept(labels map[string]string) string {
	said, code := o.text("text"), ""
	codings := o.objects("coding")
	for _, c := range codings {
		said = cmp.Or(said, c.text("display"))
	}
	for _, c := range codings {
		said, code = cmp.Or(said, labels[c.text("code")]), cmp.Or(code, c.text("code"))
	}
	return cmp.Or(said, code)
}

// URLs of the extensions that the page knows, all below hl7.org.
const (
	birthTimeURL = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
	animalURL    = "http://hl7.org/fhir/StructureDefinition/patient-animal"
)

// extension gives the first with this URL.
func (o object) extension(url string) object {
	for _, e := range o.objects("extension") {
		if u, _ := e.str("url"); u == url {
			return e
		}
	}
	return object{in: o.in}
}

func (o object) demographics() []Labelled {
	var list []Labelled
	list = appendShown(list, "Time of birth", o.object("_birthDate").extension(birthTimeURL).text("valueDateTime"))
	list = appendShown(list, "Multiple birth", o.multipleBirth())
	list = appendShown(list, "Deceased", o.deceasedShown())
	list = appendShown(list, "Marital status", o.object("maritalStatus").concept(maritalLabels))
	list = appendShown(list, "Language", o.languages()...)
	list = appendShown(list, "General practitioner", o.displays("generalPractitioner")...)
	list = appendShown(list, "Managing organization", o.object("managingOrganization").text("display"))
	// R4 has animals as an extension; its forerunners had an element.
	animal, old := o.extension(animalURL), o.object("animal")
	for _, key := range []string{"species", "breed"} {
		said := animal.extension(key).object("valueCodeableConcept").concept(nil)
		list = appendShown(list, key, cmp.Or(said, old.object(key).concept(nil)))
	}
	return list
}

func (o object) multipleBirth() string {
	if n := o.number("multipleBirthInteger", 0); n >= 1 && n < 100 {
		return fmt.Sprintf("Yes, number %d in order of birth", int(n))
	}
	return yesNo(o.boolean("multipleBirthBoolean"))
}

func yesNo(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "Yes"
	}
	return "No"
}

// deceasedShown says nothing of the living: a "No" among so much else is easily read as the other.
func (o object) deceasedShown() string {
	if when := o.text("deceasedDateTime"); when != "" {
		return when
	}
	if o.deceased() {
		return "Yes"
	}
	return ""
}

func (o object) languages() []string {
	var list []string
	for _, c := range o.objects("communication") {
		said := c.object("language").concept(nil)
		if preferred := c.boolean("preferred"); said != "" && preferred != nil && *preferred {
			said += " (preferred)"
		}
		list = append(list, said)
	}
	return list
}

func (o object) displays(key string) []string {
	var list []string
	for _, e := range o.objects(key) {
		list = append(list, e.text("display"))
	}
	return list
}
