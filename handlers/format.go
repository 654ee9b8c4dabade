package handlers

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"chartroom/views/texts"
)

// format writes values the clinic's way, in the reader's words.
type format struct {
	zone   *time.Location
	locale string
	t      *texts.Texts
}

// The order of a date's parts, and whether the day has twelve hours or twenty-four, are the clinic's (CLINIC_LOCALE), whatever
// language its people read: two orders in one house would be mixed up.
func (f format) monthFirst() bool {
	return strings.EqualFold(f.locale, "en-US") || strings.EqualFold(f.locale, "es-US")
}

// yearFirst are the places where ISO 8601 is what people write (CLDR's medium dates).
func (f format) yearFirst() bool {
	language, _, _ := strings.Cut(strings.ToLower(f.locale), "-")
	return slices.Contains([]string{"sv", "lt", "hu", "zh", "ja", "ko"}, language) || strings.EqualFold(f.locale, "en-CA") || strings.EqualFold(f.locale, "fr-CA")
}

// birth writes a FHIR date with the precision that it has. The month is a word, so that nobody takes it for the day; where the
// year stands first, nobody does.
func (f format) birth(date string) string {
	layouts := map[int]string{4: "2006", 7: "2006-01", 10: "2006-01-02"}
	t, err := time.Parse(layouts[len(date)], date)
	switch {
	case err != nil || len(date) < 4:
		return f.t.Dates.Unknown
	case f.yearFirst() || len(date) == 4:
		return date
	case len(date) == 7:
		return f.t.Dates.Months[t.Month()-1] + " " + strconv.Itoa(t.Year())
	}
	return f.day(t)
}

// day writes the date of a moment.
func (f format) day(t time.Time) string {
	year, month, day := t.Date()
	switch {
	case f.yearFirst():
		return t.Format(time.DateOnly)
	case f.monthFirst():
		return fmt.Sprintf("%s %d, %d", f.t.Dates.Months[month-1], day, year)
	}
	return fmt.Sprintf("%d %s %d", day, f.t.Dates.Months[month-1], year)
}

var (
	isoTyped     = regexp.MustCompile(`^(\d{4})-(\d{1,2})(?:-(\d{1,2}))?$`)
	dottedTyped  = regexp.MustCompile(`^(\d{1,2})\.(\d{1,2})\.(\d{4})$`)
	slashedTyped = regexp.MustCompile(`^(\d{1,2})/(\d{1,2})/(\d{4})$`)
)

// readDate makes a FHIR date of a whole date as people type it: 1974-12-25, also with less precision, 25.12.1974, or with
// slashes in the clinic's order. What is none of these comes back as it was typed, so that a person can be told.
func (f format) readDate(text string) string {
	text = strings.TrimSpace(text)
	year, month, day := "", "", ""
	if m := isoTyped.FindStringSubmatch(text); m != nil {
		year, month, day = m[1], m[2], m[3]
	} else if m := dottedTyped.FindStringSubmatch(text); m != nil {
		day, month, year = m[1], m[2], m[3]
	} else if m := slashedTyped.FindStringSubmatch(text); m != nil {
		day, month, year = m[1], m[2], m[3]
		if f.monthFirst() {
			day, month = month, day
		}
	} else {
		return text
	}
	if day == "" {
		return fmt.Sprintf("%s-%02s", year, month)
	}
	return fmt.Sprintf("%s-%02s-%02s", year, month, day)
}

// dateHint says what readDate takes.
func (f format) dateHint() string {
	switch {
	case f.monthFirst():
		return f.t.Dates.HintMonthFirst
	case f.yearFirst():
		return f.t.Dates.HintYearFirst
	}
	return f.t.Dates.HintDayFirst
}

// moment writes a point in time in the clinic's zone.
func (f format) moment(t time.Time) string { return f.day(t.In(f.zone)) + ", " + f.clock(t) }

// second is moment to the second, for a record.
func (f format) second(t time.Time) string { return f.day(t.In(f.zone)) + ", " + f.time(t, ":05") }

// clock is the time of day of a moment that is not long ago.
func (f format) clock(t time.Time) string { return f.time(t, "") }

func (f format) time(t time.Time, seconds string) string {
	t = t.In(f.zone)
	if !f.monthFirst() {
		return t.Format("15:04" + seconds)
	}
	half := f.t.Dates.MorningAfternoon[0]
	if t.Hour() >= 12 {
		half = f.t.Dates.MorningAfternoon[1]
	}
	return t.Format("3:04"+seconds) + " " + half
}

// age is in full years on the clinic's today, in months below two years and in days below one month; "about" where the
// birth date is not known to the day. "" when it cannot be said.
func (f format) age(date string, now time.Time) string {
	now = now.In(f.zone)
	switch len(date) {
	case 10:
		born, err := time.Parse("2006-01-02", date)
		if err != nil {
			return ""
		}
		today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
		if today.Before(born) {
			return ""
		}
		months := (today.Year()-born.Year())*12 + int(today.Month()) - int(born.Month())
		if today.Day() < born.Day() {
			months--
		}
		switch days := int(today.Sub(born).Hours() / 24); {
		case months < 1:
			return f.t.Dates.Days(days)
		case months < 24:
			return f.t.Dates.InMonths(months)
		}
		return f.t.Dates.Years(months / 12)
	case 4, 7:
		year, err := strconv.Atoi(date[:4])
		if err != nil || year > now.Year() {
			return ""
		}
		return f.t.Dates.AboutYears(now.Year() - year)
	}
	return ""
}

// number writes a count, its thousands apart.
func (f format) number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + f.t.Common.Thousands + s[i:]
	}
	return s
}

// initials are the first letters of a user name's first two parts.
func initials(name string) string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	out := ""
	for _, p := range parts[:min(len(parts), 2)] {
		r, _ := utf8.DecodeRuneInString(p)
		out += string(unicode.ToUpper(r))
	}
	if out == "" {
		return "?"
	}
	return out
}

// iso is a time as HTML's datetime has it.
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// errorTitle says first that something is wrong, as a screen reader reads it first (WCAG 2.4.2).
func errorTitle(t *texts.Texts, title string, wrong bool) string {
	if wrong {
		return t.Common.ErrorTitle(title)
	}
	return title
}
