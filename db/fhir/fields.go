package fhir

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fields are what a person edits of a Patient on the form, each one line of text. "" means that the resource does not
// say, and on the way back that it shall not say. They are the same entries that Parse shows.
type Fields struct {
	// Family and Given are of the name that Parse shows, Given joined by spaces. A name that is text only is in Family,
	// so that a person sees it and can take it apart.
	Family, Given string
	BirthDate     string // FHIR date: YYYY, YYYY-MM or YYYY-MM-DD
	Gender        string // male, female, other or unknown
	MRN           string
	Phone, Email  string
	// These are of the address that Parse has the city from, or else of the first that is not old. Line is its lines
	// joined by ", ", or its text where it is text only.
	Line, City, State, PostalCode, Country string

	Active   string // "true", "false" or ""
	Deceased string // "" (no, or not said), "true", or the date or FHIR dateTime of death
}

// field gives code a way to go through all Fields, in the order of the form.
type field struct {
	name string
	of   func(*Fields) *string
}

var allFields = []field{
	{"Family", func(f *Fields) *string { return &f.Family }},
	{"Given", func(f *Fields) *string { return &f.Given }},
	{"BirthDate", func(f *Fields) *string { return &f.BirthDate }},
	{"Gender", func(f *Fields) *string { return &f.Gender }},
	{"MRN", func(f *Fields) *string { return &f.MRN }},
	{"Phone", func(f *Fields) *string { return &f.Phone }},
	{"Email", func(f *Fields) *string { return &f.Email }},
	{"Line", func(f *Fields) *string { return &f.Line }},
	{"City", func(f *Fields) *string { return &f.City }},
	{"State", func(f *Fields) *string { return &f.State }},
	{"PostalCode", func(f *Fields) *string { return &f.PostalCode }},
	{"Country", func(f *Fields) *string { return &f.Country }},
	{"Active", func(f *Fields) *string { return &f.Active }},
	{"Deceased", func(f *Fields) *string { return &f.Deceased }},
}

// ReadFields reads what the resource says now. It fails for what Parse fails for.
func ReadFields(raw []byte) (Fields, error) {
	f, _, err := readFields(raw)
	return f, err
}

// origin is where Fields come from, which is where Change writes them.
type origin struct {
	shown
	nameIsText, addressIsText bool // Family or Line holds the text of an entry that has no parts
}

func readFields(raw []byte) (Fields, origin, error) {
	p, at, err := parse(raw, nil)
	if err != nil {
		return Fields{}, origin{}, err
	}
	o, err := new(reading).open(raw) // leniently: what follows Parse does not judge
	if err != nil {
		return Fields{}, origin{}, err
	}
	from := origin{shown: at}
	f := Fields{
		Family: p.Family, Given: p.Given, BirthDate: p.BirthDate, Gender: p.Gender, MRN: p.MRN, Phone: p.Phone, Email: p.Email,
		Active: boolText(p.Active), Deceased: o.text("deceasedDateTime"),
	}
	if f.Deceased == "" && p.Deceased {
		f.Deceased = "true"
	}
	if f.Family == "" && f.Given == "" && p.NameText != "" {
		f.Family, from.nameIsText = p.NameText, true
	}
	f.readAddress(o.objects("address"), &from)
	return f, from, nil
}

func (f *Fields) readAddress(list []object, from *origin) {
	for _, o := range list {
		parts := o.addressParts()
		wanted := from.address < 0 && o.text("use") != "old" && (!parts.empty() || len(o.addressLines()) > 0)
		if !wanted && o.nth != from.address {
			continue
		}
		from.address = o.nth
		from.addressIsText = parts.empty()
		f.Line, f.City, f.State, f.PostalCode, f.Country = join(", ", parts.lines...), parts.city, parts.state, parts.postalCode, parts.country
		if from.addressIsText {
			f.Line = join(", ", o.addressLines()...)
		}
		return
	}
}

type addressParts struct {
	lines                            []string
	city, state, postalCode, country string
}

func (o object) addressParts() addressParts {
	return addressParts{o.texts("line"), o.text("city"), o.text("state"), o.text("postalCode"), o.text("country")}
}

func (a addressParts) empty() bool {
	return len(a.lines) == 0 && a.city == "" && a.state == "" && a.postalCode == "" && a.country == ""
}

func boolText(b *bool) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return "true"
	}
	return "false"
}

// Clean makes of what came from a form what Change can write: one line each, without white space around, doubled or
// exotic, without control characters and those that turn the order of text around, and in Unicode's NFC. Letters keep
// their case. Clean of Clean changes nothing.
func (f Fields) Clean() Fields {
	for _, one := range allFields {
		s := one.of(&f)
		*s = norm.NFC.String(clean(strings.ToValidUTF8(*s, "\uFFFD")))
	}
	f.Line = strings.Join(cutLines(f.Line), ", ")
	return f
}

// cutLines is how an address's Line becomes FHIR's list of lines.
func cutLines(line string) []string {
	var list []string
	for part := range strings.SplitSeq(line, ", ") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// FieldError is what a person has to mend before Fields can be saved.
type FieldError struct {
	Field string // the name of the field in Fields
	Rule  Rule
}

// Rule is what a field does not keep to.
type Rule string

// The rules. Which one it is stands in a person's own language beside the field.
const (
	RuleKnownBy      Rule = "known by"           // a patient has a name or an MRN
	RuleLength       Rule = "length"             // MaxField
	RuleControl      Rule = "control characters" // such as tabs
	RuleBirthDate    Rule = "birth date"
	RuleBirthDay     Rule = "birth day" // it is written as a date, and the calendar has no such day
	RuleBirthFuture  Rule = "birth in the future"
	RuleBirthYear    Rule = "birth year" // FirstYear
	RuleGender       Rule = "gender"
	RuleMRNLength    Rule = "mrn length"   // MaxMRN
	RulePhone        Rule = "phone"        // its characters
	RulePhoneLength  Rule = "phone length" // MinPhone digits, MaxPhone
	RuleEmail        Rule = "email"
	RuleEmailLength  Rule = "email length" // MaxEmail
	RuleActive       Rule = "active"
	RuleDeath        Rule = "death"
	RuleDeathDay     Rule = "death day" // as with the birth
	RuleDeathFuture  Rule = "death in the future"
	RuleDeathFirst   Rule = "death before birth"
	RuleDeathWithout Rule = "date of death without death" // which only a form can hold
)

// Rules are all of them.
var Rules = []Rule{RuleKnownBy, RuleLength, RuleControl, RuleBirthDate, RuleBirthDay, RuleBirthFuture, RuleBirthYear, RuleGender, RuleMRNLength, RulePhone,
	RulePhoneLength, RuleEmail, RuleEmailLength, RuleActive, RuleDeath, RuleDeathDay, RuleDeathFuture, RuleDeathFirst, RuleDeathWithout}

// Limits of Check, in characters.
const (
	MaxField  = 200
	MaxMRN    = 100
	MaxEmail  = 254 // RFC 5321, 4.5.3.1.3, without the angle brackets
	MinPhone  = 3
	MaxPhone  = 40
	FirstYear = "1850"
)

// Check gives what a person has to mend, in the order of the form, nil when all is well. Today is a time in the clinic's
// zone: what is no future there may be one elsewhere.
func (f Fields) Check(today time.Time) []FieldError {
	var all []FieldError
	say := func(field string, rule Rule) {
		if rule != "" {
			all = append(all, FieldError{field, rule})
		}
	}
	for _, one := range allFields {
		value := *one.of(&f)
		switch {
		case one.name == "Family" && f.Family == "" && f.Given == "" && f.MRN == "":
			say(one.name, RuleKnownBy)
		case value == "":
		case one.name == "Email" && utf8.RuneCountInString(value) > MaxEmail:
			say(one.name, RuleEmailLength)
		case one.name != "Email" && utf8.RuneCountInString(value) > MaxField:
			say(one.name, RuleLength)
		case strings.ContainsFunc(value, unicode.IsControl):
			say(one.name, RuleControl)
		default:
			say(one.name, f.rule(one.name, value, today))
		}
	}
	return all
}

// CheckChange is Check for a change of what a record said: what was wrong before and was not touched (an import takes
// what Check would not) does not keep anybody from mending something else.
func (f Fields) CheckChange(from Fields, today time.Time) []FieldError {
	old := from.Check(today)
	changed := from.Clean().differs(f.Clean())
	var all []FieldError
	for _, e := range f.Check(today) {
		if changed[e.Field] || !slices.Contains(old, e) {
			all = append(all, e)
		}
	}
	return all
}

func (f Fields) differs(other Fields) map[string]bool {
	names := map[string]bool{}
	for _, one := range allFields {
		if *one.of(&f) != *one.of(&other) {
			names[one.name] = true
		}
	}
	return names
}

// rule gives what is wrong with a value that is not empty, "" when it is good.
func (f Fields) rule(name, value string, today time.Time) Rule {
	switch name {
	case "BirthDate":
		return checkBirthDate(value, today)
	case "Gender":
		if !slices.Contains(genders, value) {
			return RuleGender
		}
	case "MRN":
		if utf8.RuneCountInString(value) > MaxMRN {
			return RuleMRNLength
		}
	case "Phone":
		return checkPhone(value)
	case "Email":
		if !isEmail(value) {
			return RuleEmail
		}
	case "Active":
		if value != "true" && value != "false" {
			return RuleActive
		}
	case "Deceased":
		return checkDeceased(value, f.BirthDate, today)
	}
	return ""
}

func checkBirthDate(date string, today time.Time) Rule {
	switch {
	case !isDate(date) && dateLike.MatchString(date):
		return RuleBirthDay
	case !isDate(date):
		return RuleBirthDate
	case isAfter(date, today):
		return RuleBirthFuture
	case date < FirstYear:
		return RuleBirthYear
	}
	return ""
}

// isAfter compares as precisely as the date is written.
func isAfter(date string, today time.Time) bool {
	return date > today.Format(time.DateOnly)[:len(date)]
}

func checkDeceased(when, birth string, today time.Time) Rule {
	if when == "true" {
		return ""
	}
	day, ok := dayOf(when, today.Location())
	switch {
	case !ok && dateLike.MatchString(when):
		return RuleDeathDay
	case !ok:
		return RuleDeath
	}
	if isAfter(day, today) {
		return RuleDeathFuture
	}
	written, _, _ := strings.Cut(when, "T") // the day where the person died is the one to compare
	if n := min(len(written), len(birth)); isDate(birth) && written[:n] < birth[:n] {
		return RuleDeathFirst
	}
	return ""
}

// dateLike is what is written like FHIR's date, whether the calendar has that day or not.
var dateLike = regexp.MustCompile(`^\d{4}(-\d\d(-\d\d)?)?$`)

// dateTime is FHIR's with a time; time.Parse lets a little more through.
var dateTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`)

// dayOf gives the date of a FHIR date or dateTime in a zone; false when it is neither.
func dayOf(when string, zone *time.Location) (string, bool) {
	if isDate(when) {
		return when, true
	}
	t, err := time.Parse(time.RFC3339, when)
	if err != nil || !dateTime.MatchString(when) {
		return "", false
	}
	day := t.In(zone).Format(time.DateOnly)
	return day, isDate(day) // the zone could make a year 0 or 10000 of it
}

// checkPhone knows no country's rules: numbers are dialled by people, who know what they mean.
func checkPhone(s string) Rule {
	digits := 0
	for _, r := range strings.ToLower(s) {
		switch {
		case unicode.Is(unicode.Nd, r):
			digits++
		case !strings.ContainsRune(" +()-./ext\u2010\u2011\u2012\u2013", r):
			return RulePhone
		}
	}
	switch n := utf8.RuneCountInString(s); {
	case n < MinPhone || n > MaxPhone || digits < MinPhone:
		return RulePhoneLength
	case !hasPlainLetters(strings.ToLower(s)):
		return RulePhone
	}
	return ""
}

// hasPlainLetters allows letters once, as the word before an extension.
func hasPlainLetters(phone string) bool {
	word := strings.TrimLeftFunc(phone, func(r rune) bool { return r != 'e' && r != 'x' && r != 't' })
	if word == "" {
		return true
	}
	rest, found := strings.CutPrefix(word, "ext")
	if !found {
		rest, found = strings.CutPrefix(word, "x")
	}
	return found && !strings.ContainsAny(rest, "ext") && strings.ContainsFunc(rest, unicode.IsDigit)
}

// isEmail asks for something@something and no more, because only sending tells whether an address is one. The @ that
// matters is the last; the others must stand in quotation marks (RFC 5321, 4.1.2).
func isEmail(s string) bool {
	i := strings.LastIndexByte(s, '@')
	if i < 1 || i == len(s)-1 || strings.ContainsFunc(s, unicode.IsSpace) {
		return false
	}
	local, domain := s[:i], s[i+1:]
	if quoted := len(local) > 2 && local[0] == '"' && local[len(local)-1] == '"'; quoted {
		local = ""
	}
	return !strings.ContainsAny(local, `@<>,;:"`) && !strings.ContainsAny(domain, `<>,;"`) &&
		!strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".") && !strings.Contains(domain, "..")
}
