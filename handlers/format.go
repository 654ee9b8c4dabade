package handlers

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// format writes values the clinic's way.
type format struct {
	zone   *time.Location
	locale string
}

// monthFirst says how 12/25/1974 is meant: the United States' order is the exception.
func (f format) monthFirst() bool { return strings.EqualFold(f.locale, "en-US") }

// birth writes a FHIR date with the precision that it has. The month is a word, so that nobody takes it for the day.
func (f format) birth(date string) string {
	layouts := map[int][2]string{4: {"2006", "2006"}, 7: {"2006-01", "Jan 2006"}, 10: {"2006-01-02", "2 Jan 2006"}}
	l, ok := layouts[len(date)]
	if ok && len(date) == 10 && f.monthFirst() {
		l[1] = "Jan 2, 2006"
	}
	t, err := time.Parse(l[0], date)
	if !ok || err != nil {
		return "Unknown"
	}
	return t.Format(l[1])
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
	example := "25.12.1974, 25/12/1974"
	if f.monthFirst() {
		example = "12/25/1974"
	}
	return example + " or 1974-12-25; 1974-12 or 1974 if no more is known."
}

// moment writes a point in time in the clinic's zone.
func (f format) moment(t time.Time) string {
	layout := "2 Jan 2006, 15:04"
	if f.monthFirst() {
		layout = "Jan 2, 2006, 3:04 PM"
	}
	return t.In(f.zone).Format(layout)
}

// second is moment to the second, for a record.
func (f format) second(t time.Time) string {
	layout := "2 Jan 2006, 15:04:05"
	if f.monthFirst() {
		layout = "Jan 2, 2006, 3:04:05 PM"
	}
	return t.In(f.zone).Format(layout)
}

// clock is the time of day of a moment that is not long ago.
func (f format) clock(t time.Time) string {
	layout := "15:04"
	if f.monthFirst() {
		layout = "3:04 PM"
	}
	return t.In(f.zone).Format(layout)
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
			return fmt.Sprintf("%d d", days)
		case months < 24:
			return fmt.Sprintf("%d mo", months)
		}
		return fmt.Sprintf("%d y", months/12)
	case 4, 7:
		year, err := strconv.Atoi(date[:4])
		if err != nil || year > now.Year() {
			return ""
		}
		return fmt.Sprintf("about %d y", now.Year()-year)
	}
	return ""
}

// thousands writes a count with separators, as English does.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
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

// sentence makes an error's text one: errors are written in lower case and without a full stop.
func sentence(err error) string {
	return capital(err.Error()) + "."
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// iso is a time as HTML's datetime has it.
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// errorTitle says first that something is wrong, as a screen reader reads it first (WCAG 2.4.2).
func errorTitle(title string, wrong bool) string {
	if wrong {
		return "Error: " + title
	}
	return title
}
