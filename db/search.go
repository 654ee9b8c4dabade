package db

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"chartroom/db/fhir"
)

// Limits of what the search box takes. They bound the work of one search.
const (
	maxSearchLength = 200 // characters
	maxSearchWords  = 8
)

// Search is what was typed into the search box, taken apart. All its words must match; each may match the start of any
// word of any name, of the MRN, or of the birth date.
type Search struct {
	words []searchWord
	mrn   string // the whole text as an MRN, for one that was typed with spaces
}

type searchWord struct {
	names []string // keys, more than one for a word such as O'Brien
	mrn   string
	birth string // a FHIR date or its beginning
}

// Errors of ParseSearch, as sentences for the person who typed.
var (
	ErrSearchTooLong = fmt.Errorf("that is too much to search for: use at most %d characters and %d words", maxSearchLength, maxSearchWords)
	ErrSearchText    = errors.New("that search holds characters that no name, number or date has")
)

// ParseSearch reads the search box. monthFirst says how a date with slashes is meant (12/25/1974).
func ParseSearch(text string, monthFirst bool) (Search, error) {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }):
		return Search{}, ErrSearchText
	case utf8.RuneCountInString(text) > maxSearchLength:
		return Search{}, ErrSearchTooLong
	}
	fields := strings.Fields(text)
	if len(fields) > maxSearchWords {
		return Search{}, ErrSearchTooLong
	}
	s := Search{}
	if len(fields) > 1 {
		s.mrn = fhir.MRNKey(text)
	}
	var signs int // words without a letter or a digit, such as the dash in "Smith - Jones"
	for _, f := range fields {
		w := searchWord{names: strings.Fields(fhir.Key(f)), mrn: fhir.MRNKey(f), birth: birthPrefix(f, monthFirst)}
		if len(w.names) == 0 && w.mrn == "" {
			signs++
			continue
		}
		s.words = append(s.words, w)
	}
	if len(s.words) == 0 && signs > 0 {
		s.words = []searchWord{{}} // finds nothing, and not everything
	}
	return s, nil
}

// Empty says that everything is searched for.
func (s Search) Empty() bool { return len(s.words) == 0 }

// where gives the condition on patients and adds its values to args. Values never stand in the SQL itself, and keys
// hold letters, digits and marks only, so that % and _ cannot get into a pattern.
func (s Search) where(args pgx.NamedArgs) string {
	if s.Empty() {
		return "true"
	}
	n := 0
	arg := func(value string) string {
		n++
		name := fmt.Sprintf("search_%d", n)
		args[name] = value
		return "@" + name + "::text"
	}
	startsWith := func(column, prefix string) string {
		// Bounds, not LIKE: a prepared statement's plan knows an index range only from these.
		return fmt.Sprintf("(%s >= %s AND %s < %s)", column, arg(prefix), column, arg(prefix+"\U0010FFFF"))
	}
	var all []string
	for _, w := range s.words {
		any := []string{"false"} // a word without letters or digits finds nothing
		if len(w.names) > 0 {
			var names []string
			for _, key := range w.names {
				names = append(names, "words LIKE "+arg("% "+key+"%"))
			}
			any = append(any, "("+strings.Join(names, " AND ")+")")
		}
		if w.mrn != "" {
			any = append(any, startsWith("mrn_key", w.mrn))
		}
		if w.birth != "" {
			any = append(any, startsWith("birth_key", w.birth))
		}
		all = append(all, "("+strings.Join(any, " OR ")+")")
	}
	condition := strings.Join(all, " AND ")
	if s.mrn != "" {
		condition = "(" + condition + " OR " + startsWith("mrn_key", s.mrn) + ")"
	}
	return "(" + condition + ")"
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
