package db

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Filter narrows the list. The zero value lets everybody through.
type Filter struct {
	Status   string `json:"t,omitempty"` // active, inactive or deceased
	Gender   string `json:"g,omitempty"` // FHIR code; unknown also finds those of whom nothing is said
	BornFrom string `json:"f,omitempty"` // YYYY-MM-DD, the first day that counts
	BornTo   string `json:"o,omitempty"` // YYYY-MM-DD, the last day that counts
}

// Statuses and Genders are what a Filter takes.
var (
	Statuses = []string{"active", "inactive", "deceased"}
	Genders  = []string{"female", "male", "other", "unknown"}
)

// Errors of Filter.Check, as sentences for the person who chose.
var (
	ErrFilter     = errors.New("the list cannot be filtered like that")
	ErrFilterDate = errors.New("a birth date to filter by must be a full date, such as 1974-12-25")
	ErrFilterSpan = errors.New("the first birth date to filter by must not be after the last")
)

var fullDate = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// Check says whether the filter can be applied.
func (f Filter) Check() error {
	if f.Status != "" && !slices.Contains(Statuses, f.Status) || f.Gender != "" && !slices.Contains(Genders, f.Gender) {
		return ErrFilter
	}
	for _, d := range []string{f.BornFrom, f.BornTo} {
		if _, err := time.Parse("2006-01-02", d); d != "" && (err != nil || !fullDate.MatchString(d)) {
			return ErrFilterDate
		}
	}
	if f.BornFrom != "" && f.BornTo != "" && f.BornFrom > f.BornTo {
		return ErrFilterSpan
	}
	return nil
}

// Empty says that everybody is let through.
func (f Filter) Empty() bool { return f == Filter{} }

// where gives the condition on a row of patients (as p), "true" for none. A birth date that is known by its year or month
// only counts when it may lie within the span. Status and gender come from fixed lists and stand in the text itself: the
// partial indexes are for some of their values only.
func (f Filter) where(b *builder) string {
	all := []string{"true" + f.status()}
	switch {
	case f.Gender == "unknown":
		all = append(all, "(p.gender IS NULL OR p.gender = 'unknown')")
	case slices.Contains(Genders, f.Gender):
		all = append(all, "p.gender = '"+f.Gender+"'")
	}
	if f.hasSpan() {
		all = append(all, inRange("p.birth_key", f.span(b)))
		if f.BornFrom != "" {
			from := b.text(f.BornFrom)
			all = append(all, "(p.birth_key >= "+from+" OR starts_with("+from+", p.birth_key))")
		}
	}
	return "(" + strings.Join(all, " AND ") + ")"
}

func (f Filter) hasSpan() bool { return f.BornFrom != "" || f.BornTo != "" }

// span bounds the birth keys that may lie between the two days. What is not known is in no span.
func (f Filter) span(b *builder) bounds {
	from := ""
	if f.BornFrom != "" {
		from = f.BornFrom[:4]
	}
	return bounds{low: b.text(from), high: f.spanEnd(b)}
}

func (f Filter) spanEnd(b *builder) string {
	if f.BornTo == "" {
		return b.text(missing)
	}
	return b.text(f.BornTo + "\x01") // just after that day
}

// status is that part of where, as a further condition: some indexes have it.
func (f Filter) status() string {
	if slices.Contains(Statuses, f.Status) {
		return " AND p.status = '" + f.Status + "'"
	}
	return ""
}

// gone says that the status is one that few have, and odd that the sex is: an index has those alone.
func (f Filter) gone() bool { return f.Status == "inactive" || f.Status == "deceased" }
func (f Filter) odd() bool  { return f.Gender == "other" || f.Gender == "unknown" }

// ids gives the ids of those whom the filter may let through, from one index alone. whole says that it lets them all
// through.
func (f Filter) ids(b *builder, limit string) (sql string, whole bool) {
	span := "true"
	if f.hasSpan() {
		span = inRange("p.birth_key", f.span(b))
	}
	read := func(where, order string) string {
		return "(SELECT p.id FROM patients p WHERE " + allowed + " AND " + span + f.status() + " AND " + where + " ORDER BY " + order + " LIMIT " + limit + ")"
	}
	switch {
	case f.odd():
		const order = "p.gender, p.status, p.birth_key, p.id"
		sql = read("p.gender = '"+f.Gender+"'", order)
		if f.Gender == "unknown" {
			sql += " UNION ALL " + read("p.gender IS NULL", order)
		}
		return sql, f.BornFrom == ""
	case f.gone():
		return read("true", "p.status, p.birth_key, p.id"), f.BornFrom == "" && f.Gender == ""
	}
	return f.spanIDs(b, limit), f.Gender == "" && f.Status == ""
}

// spanIDs gives the ids of those who may have been born between the two days, from the index alone: the days themselves,
// and the year and the month in which they begin, for those of whom no more is known.
func (f Filter) spanIDs(b *builder, limit string) string {
	days := bounds{low: b.text(f.BornFrom), high: f.spanEnd(b)}
	read := func(where string) string {
		return "(SELECT p.id FROM patients p WHERE " + allowed + " AND " + where + " ORDER BY p.birth_key, p.status, p.id LIMIT " + limit + ")"
	}
	all := read(inRange("p.birth_key", days))
	if f.BornFrom != "" {
		all += " UNION ALL " + read("p.birth_key = "+b.text(f.BornFrom[:4])) + " UNION ALL " + read("p.birth_key = "+b.text(f.BornFrom[:7]))
	}
	return all
}

// narrow says that the span is short enough to be worth trying as the way to all that match.
func (f Filter) narrow() bool {
	from, err := time.Parse(time.DateOnly, f.BornFrom)
	to, err2 := time.Parse(time.DateOnly, f.BornTo)
	return err == nil && err2 == nil && to.Sub(from) <= 2*366*24*time.Hour
}
