package db

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"chartroom/db/fhir"
)

// Limits of what the search box takes. They bound the work of one search.
const (
	MaxSearchLength = 200 // characters
	MaxSearchWords  = 8
)

// Search is what was typed into the search box, taken apart at its spaces. A patient matches when every field does; a
// field may be the start of any word of any name, a part of one (from three letters, from two in scripts without an
// alphabet), the start of the MRN or of the birth date, or the last four or more digits of a phone. Text that was typed
// with spaces may also be, as a whole, the start of an MRN or the end of a phone.
type Search struct {
	fields []field
	phrase string // the whole text as a key
	comma  bool   // the first field ends in a comma: it is a family name
	mrn    string // the whole text, where it has several fields
	phone  string
}

type field struct {
	parts  []string // keys; more than one for a word such as O'Brien, all of which must match …
	joined string   // … or this one, which is all of them together; "" for a single part
	mrn    string
	birth  string // a FHIR date or its beginning
	phone  string // digits backwards
}

// Errors of ParseSearch, as sentences for the person who typed.
var (
	ErrSearchTooLong = fmt.Errorf("that is too much to search for: use at most %d characters and %d words", MaxSearchLength, MaxSearchWords)
	ErrSearchText    = errors.New("that search holds characters that no name, number or date has")
)

// ParseSearch reads the search box. monthFirst says how a date with slashes is meant (12/25/1974).
func ParseSearch(text string, monthFirst bool) (Search, error) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }):
		return Search{}, ErrSearchText
	case utf8.RuneCountInString(text) > MaxSearchLength:
		return Search{}, ErrSearchTooLong
	}
	typed := strings.Fields(text)
	if len(typed) > MaxSearchWords {
		return Search{}, ErrSearchTooLong
	}
	s := Search{phrase: fhir.Key(text)}
	s.comma = len(typed) > 1 && strings.HasSuffix(typed[0], ",")
	if len(typed) > 1 && strings.ContainsFunc(text, unicode.IsDigit) {
		s.mrn, s.phone = fhir.MRNKey(text), phoneSearch(text)
	}
	var signs int // fields without a letter or a digit, such as the dash in "Smith - Jones"
	for _, t := range typed {
		f := field{parts: strings.Fields(fhir.Key(t)), mrn: fhir.MRNKey(t), birth: birthPrefix(t, monthFirst), phone: phoneSearch(t)}
		if len(f.parts) > MaxSearchWords {
			return Search{}, ErrSearchTooLong
		}
		if len(f.parts) == 0 && f.mrn == "" {
			signs++
			continue
		}
		if len(f.parts) > 1 {
			f.joined = strings.Join(f.parts, "")
		}
		s.fields = append(s.fields, f)
	}
	if len(s.fields) == 0 && signs > 0 {
		s.fields = []field{{}} // finds nothing, and not everything
	}
	return s, nil
}

// Empty says that everything is searched for.
func (s Search) Empty() bool { return len(s.fields) == 0 }

// parts are all that may be names.
func (s Search) parts() (all []string) {
	for _, f := range s.fields {
		all = append(all, f.parts...)
	}
	return all
}

// infixable says whether a part is long enough to be looked for inside words.
func infixable(part string) bool {
	least := 3
	if strings.ContainsFunc(part, func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
	}) {
		least = 2
	}
	return utf8.RuneCountInString(part) >= least
}

var phoneText = regexp.MustCompile(`^[+()./\-\d\s]+$`)

// phoneSearch gives a phone's last digits backwards, "" for text that no phone is written like.
func phoneSearch(text string) string {
	if !phoneText.MatchString(text) {
		return ""
	}
	return fhir.PhoneKey(text)
}

var (
	isoBeginning = regexp.MustCompile(`^\d{4}(-(\d{2}(-\d{0,2})?|\d?))?$`)
	isoUnpadded  = regexp.MustCompile(`^(\d{4})-(\d)-(\d{0,2})$`)
	dotted       = regexp.MustCompile(`^(\d{1,2})\.(\d{1,2})\.(\d{4})$`)
	slashed      = regexp.MustCompile(`^(\d{1,2})/(\d{1,2})/(\d{4})$`)
)

// birthPrefix reads a birth date as people type it, also while they type: a FHIR date from its year on, 25.12.1974, or
// with slashes in the clinic's order. "" means that it is none.
func birthPrefix(word string, monthFirst bool) string {
	if isoBeginning.MatchString(word) {
		return word
	}
	if m := isoUnpadded.FindStringSubmatch(word); m != nil { // 1974-1-5: who leaves the zero out once does so twice
		if m[3] == "" {
			return fmt.Sprintf("%s-0%s-", m[1], m[2])
		}
		return fmt.Sprintf("%s-0%s-%02s", m[1], m[2], m[3])
	}
	day, month, year := "", "", ""
	if m := dotted.FindStringSubmatch(word); m != nil {
		day, month, year = m[1], m[2], m[3]
	} else if m := slashed.FindStringSubmatch(word); m != nil {
		day, month, year = m[1], m[2], m[3]
		if monthFirst {
			day, month = month, day
		}
	} else {
		return ""
	}
	return fmt.Sprintf("%s-%02s-%02s", year, month, day)
}

// where gives the condition that a row of patients (as p) must meet. It says which patients are found; how they are
// found quickly is the business of the groups. Values never stand in the SQL itself, and keys hold letters, digits and
// marks only, so that % and _ cannot get into a pattern.
func (s Search) where(b *builder) string {
	if s.Empty() {
		return "true"
	}
	var all []string
	for _, f := range s.fields {
		all = append(all, f.where(b))
	}
	any := []string{"(" + strings.Join(all, " AND ") + ")"}
	if s.mrn != "" {
		any = append(any, inRange("p.mrn_key", b.prefix(s.mrn)))
	}
	if s.phone != "" {
		any = append(any, "p.phone_keys LIKE "+b.text("% "+s.phone+"%"))
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

func (f field) where(b *builder) string {
	any := []string{"false"} // without letters or digits nothing is found
	if len(f.parts) > 0 {
		var names []string
		for _, part := range f.parts {
			names = append(names, hasName(b, part))
		}
		any = append(any, "("+strings.Join(names, " AND ")+")")
	}
	if f.joined != "" {
		any = append(any, hasName(b, f.joined))
	}
	if f.mrn != "" {
		any = append(any, inRange("p.mrn_key", b.prefix(f.mrn)))
	}
	if f.birth != "" {
		any = append(any, inRange("p.birth_key", b.prefix(f.birth)))
	}
	if f.phone != "" {
		any = append(any, "p.phone_keys LIKE "+b.text("% "+f.phone+"%"))
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

func hasName(b *builder, part string) string {
	if infixable(part) {
		return "p.words LIKE " + b.text("%"+part+"%")
	}
	return "p.words LIKE " + b.text("% "+part+"%")
}

// route is where rows of a group come from, in an order that an index has.
type route int

const (
	byFamily route = iota // patients_name
	byGiven               // patients_given
	byMRN                 // patients_mrn
	byBirth               // patients_birth
	byTerm                // patient_terms
)

// group is a part of what a search finds that one index gives in order. Groups come one after the other, the best match
// first; a patient is in the first group that holds.
type group struct {
	from   route
	within bounds // of the index's first column
	part   string // where set, one index range for each word of the dictionary that holds this part but does not begin with it
	given  bounds // of the given key too, where set
	holds  string // condition on a row of patients (as p)
	word   string // for byTerm: the one of a patient's words by which the patient is in the group
	lead   int    // the field that it is for; shared when it is for all
	inside bool   // what it finds is also in groups that follow
}

const shared = -1

// groups takes a search apart. Where it has several fields, one of them leads to the rows and the others only judge
// them; there are groups for each field that may lead.
func (s Search) groups(b *builder) (all []group) {
	add := func(lead int, groups ...group) {
		for _, g := range groups {
			g.lead = lead
			all = append(all, g)
		}
	}
	f := s.fields[0]
	digits := strings.ContainsFunc(s.phrase, unicode.IsDigit)
	if len(s.fields) == 1 && digits {
		add(shared, numbers(b, f)...)
	}
	add(shared, numbers(b, field{mrn: s.mrn, phone: s.phone})...)
	add(shared, s.phrases(b)...)
	for _, lead := range s.leads() {
		f := s.fields[lead]
		if len(s.fields) > 1 && digits {
			add(lead, numbers(b, f)...)
		}
		if len(f.parts) > 0 {
			add(lead, names(b, longest(f.parts))...)
		}
		if f.joined != "" {
			add(lead, names(b, f.joined)...)
		}
		if !digits {
			add(lead, numbers(b, f)...)
		}
	}
	return all
}

// leads are the fields that may lead, at most two: those that are likely to lead to the fewest rows.
func (s Search) leads() []int {
	weight := func(i int) int {
		f := s.fields[i]
		switch {
		case len(f.birth) == len("1974-12-25"):
			return 100
		case len(f.parts) == 0:
			return 0
		}
		return utf8.RuneCountInString(longest(f.parts))
	}
	var all []int
	for i := range s.fields {
		all = append(all, i)
	}
	slices.SortStableFunc(all, func(i, j int) int { return weight(j) - weight(i) })
	return all[:min(len(all), 2)]
}

// phrases are names of several words: one that begins with all of them (de la Cruz), or two that begin with one each.
func (s Search) phrases(b *builder) (all []group) {
	parts := s.parts()
	if len(parts) < 2 {
		return nil
	}
	phrase := b.prefix(s.phrase)
	all = append(all,
		group{from: byFamily, within: phrase, holds: inRange("p.family_key", phrase), inside: true},
		group{from: byGiven, within: phrase, holds: inRange("p.given_key", phrase), inside: true})
	if len(parts) > 2 {
		return all
	}
	pairs := [][2]string{{parts[1], parts[0]}, {parts[0], parts[1]}}
	if s.comma {
		slices.Reverse(pairs)
	}
	for _, pair := range pairs {
		family, given := b.prefix(pair[0]), b.prefix(pair[1])
		all = append(all, group{from: byFamily, within: family, given: given, inside: true,
			holds: "(" + inRange("p.family_key", family) + " AND " + inRange("p.given_key", given) + ")"})
	}
	return all
}

// numbers are what is no name: they come first when digits were typed, and last when none were.
func numbers(b *builder, f field) (all []group) {
	if f.mrn != "" {
		within := b.prefix(f.mrn)
		all = append(all, group{from: byMRN, within: within, holds: inRange("p.mrn_key", within)})
	}
	if f.birth != "" {
		within := b.prefix(f.birth)
		all = append(all, group{from: byBirth, within: within, holds: inRange("p.birth_key", within)})
	}
	if f.phone != "" {
		all = append(all, group{from: byTerm, within: b.prefix("#" + f.phone), holds: "p.phone_keys LIKE " + b.text("% "+f.phone+"%"),
			word: "(SELECT '#' || min(x) FROM unnest(string_to_array(p.phone_keys, ' ')) x WHERE starts_with(x, " + b.text(f.phone) + "))"})
	}
	return all
}

// names are the ways in which a part may be in a name, the best first.
func names(b *builder, part string) []group {
	starts := b.prefix(part)
	all := []group{
		{from: byFamily, within: starts, holds: inRange("p.family_key", starts)},
		{from: byGiven, within: starts, holds: inRange("p.given_key", starts)},
		{from: byTerm, within: starts, holds: "p.words LIKE " + b.text("% "+part+"%"),
			word: "(SELECT min(x) FROM unnest(string_to_array(p.words, ' ')) x WHERE starts_with(x, " + b.text(part) + "))"},
	}
	if infixable(part) {
		pattern := b.text("%" + part + "%")
		all = append(all,
			group{from: byFamily, part: part, holds: "split_part(p.family_key, ' ', 1) LIKE " + pattern},
			group{from: byGiven, part: part, holds: "split_part(p.given_key, ' ', 1) LIKE " + pattern},
			group{from: byTerm, part: part, holds: "p.words LIKE " + pattern,
				word: "(SELECT min(x) FROM unnest(string_to_array(p.words, ' ')) x WHERE x LIKE " + pattern + ")"})
	}
	return all
}

// longest is the part that fewest names are likely to have.
func longest(parts []string) string {
	return slices.MaxFunc(parts, func(a, b string) int { return utf8.RuneCountInString(a) - utf8.RuneCountInString(b) })
}

func different(values ...string) (all []string) {
	for _, v := range values {
		if v != "" && !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// Kinds of match, in which a row can be found.
const (
	MatchFamily = "family name"
	MatchGiven  = "given name"
	MatchOther  = "other name" // a former name, a nickname
	MatchPart   = "part of a name"
	MatchMRN    = "MRN"
	MatchBirth  = "birth date"
	MatchPhone  = "phone"
)

// rowKeys are a row's columns that a search compares.
type rowKeys struct {
	FamilyKey, GivenKey, MRNKey, BirthKey, Words, PhoneKeys string
}

// kinds says in which ways a row that was found matches, in the order of what was typed.
func (s Search) kinds(r rowKeys) []string {
	if s.mrn != "" && strings.HasPrefix(r.MRNKey, s.mrn) {
		return []string{MatchMRN}
	}
	if s.phone != "" && strings.Contains(r.PhoneKeys, " "+s.phone) {
		return []string{MatchPhone}
	}
	var all []string
	for _, f := range s.fields {
		all = append(all, f.kinds(r)...)
	}
	return different(all...)
}

func (f field) kinds(r rowKeys) []string {
	switch {
	case f.birth != "" && strings.HasPrefix(r.BirthKey, f.birth):
		return []string{MatchBirth}
	case f.mrn != "" && strings.ContainsFunc(f.mrn, unicode.IsDigit) && strings.HasPrefix(r.MRNKey, f.mrn):
		return []string{MatchMRN}
	case f.phone != "" && strings.Contains(r.PhoneKeys, " "+f.phone):
		return []string{MatchPhone}
	}
	var all []string
	parts := f.parts
	if f.joined != "" && strings.Contains(r.Words, f.joined) {
		parts = []string{f.joined}
	}
	for _, part := range parts {
		switch {
		case strings.Contains(" "+r.FamilyKey, " "+part):
			all = append(all, MatchFamily)
		case strings.Contains(" "+r.GivenKey, " "+part):
			all = append(all, MatchGiven)
		case strings.Contains(r.Words, " "+part):
			all = append(all, MatchOther)
		case infixable(part) && strings.Contains(r.Words, part):
			all = append(all, MatchPart)
		}
	}
	if len(all) == 0 && f.mrn != "" && strings.HasPrefix(r.MRNKey, f.mrn) {
		return []string{MatchMRN}
	}
	return all
}
