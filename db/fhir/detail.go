package fhir

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Detail is a FHIR R4 Patient for the page that shows one, in the order of the resource: what it says as it says it, and what it
// says in codes as codes, for which a reader's language has words. What the resource does not say is not there.
type Detail struct {
	Names        []Labelled
	Identifiers  []Labelled // a social security number shows its last four digits only
	Telecoms     []Labelled
	Addresses    []Labelled
	Contacts     []Labelled
	Demographics []Labelled
}

// Labelled is a thing to show. Lines holds at least one line, none of them empty.
type Labelled struct {
	Term  Term
	Lines []Value
}

// Kind is what a Term or a Value is.
type Kind string

// The kinds of Terms.
const (
	KindName         Kind = "name"
	KindIdentifier   Kind = "identifier"
	KindTelecom      Kind = "telecom"
	KindAddress      Kind = "address"
	KindContact      Kind = "contact"
	KindBirthTime    Kind = "birthTime"
	KindMultiple     Kind = "multipleBirth"
	KindDeceased     Kind = "deceased"
	KindMarital      Kind = "maritalStatus" // of a Value too
	KindLanguage     Kind = "language"
	KindPractitioner Kind = "generalPractitioner"
	KindOrganization Kind = "managingOrganization"
	KindSpecies      Kind = "species"
	KindBreed        Kind = "breed"

	// Those of a Difference alone.
	KindBirthDate Kind = "birthDate"
	KindSex       Kind = "gender" // of a Value too
	KindStatus    Kind = "active" // of a Value too
	KindOther     Kind = "other"  // what differs and is not shown; it has no lines
)

// The kinds of Values that no Term has. A Value of kind "" is its Text as it stands in the resource.
const (
	KindYesNo      Kind = "yesNo"      // Code is true or false
	KindBirthOrder Kind = "birthOrder" // Text is the number among those born together
	KindDate       Kind = "date"       // Text is a FHIR date or dateTime
	KindPreferred  Kind = "preferred"  // Text is a language that this patient prefers
)

// Term is what a thing is called.
type Term struct {
	Kind  Kind
	Words []Word // what it is more closely, in the resource's order; only a contact has several
	Use   string // of a telecom, one of TelecomUses
	Until string // FHIR date on which it ended
}

// Word is what a resource says of what something is: in its own words, by a code of Codes, or by both.
type Word struct{ Said, Code string }

// Value is one line of what is shown.
type Value struct {
	Kind Kind
	Text string // as it stands in the resource
	Code string // one of Codes, where the kind has some
	Use  string // of a telecom
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
		l.Term.Until = e.object("period").text("end")
		list = appendShown(list, l.Term, l.Lines...)
	}
	return list
}

// appendShown leaves out empty lines, and what has no others.
func appendShown(list []Labelled, term Term, lines ...Value) []Labelled {
	if lines = said(lines); len(lines) == 0 {
		return list
	}
	return append(list, Labelled{Term: term, Lines: lines})
}

func said(lines []Value) []Value {
	var list []Value
	for _, l := range lines {
		if l.Text != "" || l.Code != "" && l.Kind != KindTelecom {
			list = append(list, l)
		}
	}
	return list
}

// plain are lines as they stand in the resource.
func plain(texts ...string) []Value {
	var list []Value
	for _, s := range texts {
		list = append(list, Value{Text: s})
	}
	return list
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

// Codes are those for which a reader's language has words: FHIR's codes of use, and of kind.
var Codes = map[Kind][]string{
	KindName:    {"official", "usual", "maiden", "nickname", "old", "temp", "anonymous"},
	KindAddress: {"home", "work", "temp", "old", "billing"},
	KindTelecom: {"phone", "sms", "email", "fax", "pager", "url"},
	// HL7 table 0203, the kinds that a patient's list of identifiers usually has.
	KindIdentifier: {"MR", "SS", "DL", "PPN", "MB", "MC", "MA", "AN", "PI", "BCT", "NI", "NH", "JHN"},
	KindMarital:    {"A", "C", "D", "I", "L", "M", "P", "S", "T", "U", "W", "UNK"}, // HL7 v3 MaritalStatus
	KindContact:    {"C", "E", "F", "I", "N", "S", "U"},                            // HL7 table 0131
	KindSex:        genders,
	KindStatus:     {"true", "false"},
	KindYesNo:      {"true", "false"},
}

// TelecomUses are the uses of a phone and such.
var TelecomUses = []string{"home", "work", "mobile", "temp", "old"}

// known is the code, or "" when there are no words for it.
func known(list []string, code string) string {
	if slices.Contains(list, code) {
		return code
	}
	return ""
}

// coded is a term by a code of its kind's.
func coded(kind Kind, code string) Term {
	if code = known(Codes[kind], code); code == "" {
		return Term{Kind: kind}
	}
	return Term{Kind: kind, Words: []Word{{Code: code}}}
}

// nameShown goes by name.text where there is one, since only whoever wrote it knows in which order this name is said.
// Parts that the text does not hold get a line of their own.
func (o object) nameShown() Labelled {
	n := o.humanName()
	parts := join(" ", join(" ", o.texts("prefix")...), join(" ", n.given...), n.family, join(" ", o.texts("suffix")...))
	lines := []string{n.text}
	if !holdsWords(n.text, parts) {
		lines = append(lines, parts)
	}
	return Labelled{Term: coded(KindName, n.use), Lines: plain(lines...)}
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
	word := Word{Said: id.label}
	if id.social {
		word.Code = "SS"
		return Labelled{Term: Term{Kind: KindIdentifier, Words: []Word{word}}, Lines: plain(maskSSN(id.value))}
	}
	for _, code := range id.codes {
		word.Code = cmp.Or(word.Code, known(Codes[KindIdentifier], code))
	}
	if word.Code == "" {
		word.Said = cmp.Or(word.Said, systemLabel(id.system))
	}
	term := Term{Kind: KindIdentifier}
	if word != (Word{}) {
		term.Words = []Word{word}
	}
	return Labelled{Term: term, Lines: plain(id.value)}
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
	term := coded(KindTelecom, o.text("system"))
	term.Use = known(TelecomUses, o.text("use"))
	return Labelled{Term: term, Lines: plain(o.text("value"))}
}

func (o object) addressShown() Labelled {
	return Labelled{Term: coded(KindAddress, o.text("use")), Lines: plain(o.addressLines()...)}
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
	term := Term{Kind: KindContact}
	for _, r := range o.objects("relationship") {
		if w := r.concept(Codes[KindContact]); w != (Word{}) {
			term.Words = append(term.Words, w)
		}
	}
	lines := o.object("name").nameShown().Lines
	for _, t := range o.objects("telecom") {
		lines = append(lines, Value{Kind: KindTelecom, Code: known(Codes[KindTelecom], t.text("system")), Use: known(TelecomUses, t.text("use")), Text: t.text("value")})
	}
	lines = append(lines, plain(join(", ", o.object("address").addressLines()...), o.object("organization").text("display"))...)
	return Labelled{Term: term, Lines: lines}
}

// concept says a CodeableConcept: its text or a display, and a code that has words. A code that has none is said as it is.
func (o object) concept(codes []string) Word {
	w, code := Word{Said: o.text("text")}, ""
	codings := o.objects("coding")
	for _, c := range codings {
		w.Said = cmp.Or(w.Said, c.text("display"))
	}
	for _, c := range codings {
		w.Code, code = cmp.Or(w.Code, known(codes, c.text("code"))), cmp.Or(code, c.text("code"))
	}
	if w == (Word{}) {
		w.Said = code
	}
	return w
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
	show := func(kind Kind, lines ...Value) { list = appendShown(list, Term{Kind: kind}, lines...) }
	show(KindBirthTime, Value{Kind: KindDate, Text: o.object("_birthDate").extension(birthTimeURL).text("valueDateTime")})
	show(KindMultiple, o.multipleBirth())
	show(KindDeceased, o.deceasedShown())
	marital := o.object("maritalStatus").concept(Codes[KindMarital])
	show(KindMarital, Value{Kind: KindMarital, Text: marital.Said, Code: marital.Code})
	show(KindLanguage, o.languages()...)
	show(KindPractitioner, plain(o.displays("generalPractitioner")...)...)
	show(KindOrganization, plain(o.object("managingOrganization").text("display"))...)
	// R4 has animals as an extension; its forerunners had an element.
	animal, old := o.extension(animalURL), o.object("animal")
	for _, kind := range []Kind{KindSpecies, KindBreed} {
		said := animal.extension(string(kind)).object("valueCodeableConcept").concept(nil).Said
		show(kind, plain(cmp.Or(said, old.object(string(kind)).concept(nil).Said))...)
	}
	return list
}

func (o object) multipleBirth() Value {
	if n := o.number("multipleBirthInteger", 0); n >= 1 && n < 100 {
		return Value{Kind: KindBirthOrder, Text: strconv.Itoa(int(n))}
	}
	return Value{Kind: KindYesNo, Code: boolText(o.boolean("multipleBirthBoolean"))}
}

// deceasedShown says nothing of the living: a "No" among so much else is easily read as the other.
func (o object) deceasedShown() Value {
	if when := o.text("deceasedDateTime"); when != "" {
		return Value{Kind: KindDate, Text: when}
	}
	if o.deceased() {
		return Value{Kind: KindYesNo, Code: "true"}
	}
	return Value{}
}

func (o object) languages() []Value {
	var list []Value
	for _, c := range o.objects("communication") {
		line := Value{Text: c.object("language").concept(nil).Said}
		if preferred := c.boolean("preferred"); preferred != nil && *preferred {
			line.Kind = KindPreferred
		}
		list = append(list, line)
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
