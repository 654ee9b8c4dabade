package db

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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

// where gives the condition on a row of patients, "true" for none, and adds its values to args. A birth date that is
// known by its year or month only counts when it may lie within the span.
func (f Filter) where(args pgx.NamedArgs) string {
	all := []string{"true"}
	if f.Status != "" {
		args["filter_status"] = f.Status
		all = append(all, "status = @filter_status::text")
	}
	switch f.Gender {
	case "":
	case "unknown":
		all = append(all, "(gender IS NULL OR gender = 'unknown')")
	default:
		args["filter_gender"] = f.Gender
		all = append(all, "gender = @filter_gender::text")
	}
	if f.BornFrom != "" {
		args["born_from"], args["born_from_year"] = f.BornFrom, f.BornFrom[:4]
		all = append(all, "birth_key >= @born_from_year::text AND (birth_key >= @born_from::text OR starts_with(@born_from::text, birth_key))")
	}
	if f.BornTo != "" {
		args["born_to"] = f.BornTo
		all = append(all, "birth_key <= @born_to::text")
	}
	if f.BornFrom != "" && f.BornTo == "" { // what is not known is in no span
		args["born_unknown"] = missing
		all = append(all, "birth_key < @born_unknown::text")
	}
	return "(" + strings.Join(all, " AND ") + ")"
}
