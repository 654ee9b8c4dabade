package handlers

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chartroom/db/fhir"
	"chartroom/views"
	"chartroom/views/texts"
)

// What a resource says is told in the reader's words where it says it by a code. What it says in words of its own stays as it
// is, except where these are but the English name of the code: most programs write that beside each code.

// alsoCalled are names of codes in HL7's own tables, where ours in English is another one.
var alsoCalled = map[fhir.Kind]map[string]string{
	fhir.KindIdentifier: {"DL": "Driver's license number", "MC": "Patient's Medicare number", "MA": "Patient Medicaid number",
		"NI": "National unique individual identifier", "JHN": "Jurisdictional health number (Canada)"},
	fhir.KindContact: {"N": "Next-of-Kin", "U": "Unknown"},
}

// word says a code, or what the resource says beside it.
func (f format) word(kind fhir.Kind, said, code string) string {
	name := f.t.Patient.Words[string(kind)][code]
	switch {
	case said == "":
		return cmp.Or(name, code)
	case name == "" || f.t == &texts.English: // whose readers see the record to the letter
		return said
	case strings.EqualFold(said, texts.English.Patient.Words[string(kind)][code]), strings.EqualFold(said, alsoCalled[kind][code]):
		return name
	}
	return said
}

// term is what a thing is called below a heading that says what kind of thing it is.
func (f format) term(t fhir.Term) string {
	var words []string
	for _, w := range t.Words {
		words = append(words, f.word(t.Kind, w.Said, w.Code))
	}
	label := capital(cmp.Or(strings.Join(words, ", "), f.t.Patient.Terms[string(t.Kind)]))
	if t.Use != "" {
		label += " " + f.t.Patient.Uses[t.Use]
	}
	if t.Until != "" {
		label = f.t.Patient.Until(label, f.date(t.Until))
	}
	return label
}

// termAlone is what a thing is called where no heading stands above it.
func (f format) termAlone(t fhir.Term) string {
	label, kind := f.term(t), f.t.Patient.Terms[string(t.Kind)]
	if !slices.Contains([]fhir.Kind{fhir.KindName, fhir.KindAddress, fhir.KindContact}, t.Kind) || strings.HasPrefix(label, kind) {
		return label
	}
	return kind + " (" + lower(label) + ")"
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

func lower(s string) string {
	r := []rune(s)
	if len(r) < 2 || !unicode.IsUpper(r[1]) { // not SSN
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}

func (f format) value(v fhir.Value) string {
	t := &f.t.Patient
	switch v.Kind {
	case fhir.KindDate:
		return f.date(v.Text)
	case fhir.KindBirthOrder:
		return t.BirthOrder(v.Text)
	case fhir.KindPreferred:
		return t.Preferred(v.Text)
	case fhir.KindTelecom:
		what := fhir.Term{Kind: v.Kind, Use: v.Use}
		if v.Code != "" {
			what.Words = []fhir.Word{{Code: v.Code}}
		}
		return f.term(what) + ": " + v.Text
	case fhir.KindSex:
		return f.t.Common.Sexes[v.Code]
	case fhir.KindStatus:
		return f.t.Common.Statuses[map[string]string{"true": "active", "false": "inactive"}[v.Code]]
	}
	return f.word(v.Kind, v.Text, v.Code)
}

func (f format) values(all []fhir.Value) (lines []string) {
	for _, v := range all {
		lines = append(lines, f.value(v))
	}
	return lines
}

// date writes a FHIR date or dateTime the clinic's way, and what is none as it is. The time is that of the place where it was
// written down, with its difference from UTC: a birth at a quarter past midnight must not move to the day before.
func (f format) date(value string) string {
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		there := f
		there.zone = at.Location()
		if at.Second() == 0 {
			return there.moment(at) + " (" + at.Format("-07:00") + ")"
		}
		return there.second(at) + " (" + at.Format("-07:00") + ")"
	}
	if shown := f.birth(value); shown != f.t.Dates.Unknown {
		return shown
	}
	return value
}

func (f format) section(heading, empty string, list []fhir.Labelled) views.Section {
	v := views.Section{Heading: heading, Empty: empty}
	for _, l := range list {
		v.Items = append(v.Items, views.Item{Term: f.term(l.Term), Lines: f.values(l.Lines)})
	}
	return v
}

func (f format) sections(d fhir.Detail) []views.Section {
	t := &f.t.Patient
	return []views.Section{
		f.section(t.Names, t.NoName, d.Names),
		f.section(t.Identifiers, t.NoIdentifier, d.Identifiers),
		f.section(t.Telecoms, t.NoTelecom, d.Telecoms),
		f.section(t.Addresses, t.NoAddress, d.Addresses),
		f.section(t.Contacts, t.NoContact, d.Contacts),
		f.section(t.Details, t.NoDetails, d.Demographics),
	}
}

func (f format) changeLines(all []fhir.Difference) (lines []views.ChangeLine) {
	for _, d := range all {
		lines = append(lines, views.ChangeLine{Label: f.termAlone(d.Term), Before: f.values(d.Before), After: f.values(d.After), Elements: strings.Join(d.Elements, ", ")})
	}
	return lines
}
