package views

import (
	"context"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"
)

// linked writes a text whose [words in brackets] lead somewhere, to one address each.
func linked(text string, to ...string) templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		var out strings.Builder
		for _, address := range to {
			before, rest, _ := strings.Cut(text, "[")
			words, after, _ := strings.Cut(rest, "]")
			out.WriteString(templ.EscapeString(before) + `<a href="` + templ.EscapeString(string(templ.URL(address))) + `">` + templ.EscapeString(words) + `</a>`)
			text = after
		}
		_, err := io.WriteString(w, out.String()+templ.EscapeString(text))
		return err
	})
}

// whole is text in which what is read as one stays in one line: a date, a number with its hyphens or spaces, a short word with a
// hyphen. What is longer may break, as there is no room for it everywhere.
type whole string

const wholeMost = 16

func (text whole) Render(_ context.Context, w io.Writer) error {
	var out strings.Builder
	words := strings.Split(string(text), " ")
	for i := 0; i < len(words); {
		n := 1 // words that belong together: 555 0100, LL61 5UJ
		for i+n < len(words) && hasDigit(words[i+n-1]) && hasDigit(words[i+n]) && !strings.ContainsAny(words[i+n-1][len(words[i+n-1])-1:], ",;:.") {
			n++
		}
		piece := strings.Join(words[i:i+n], " ")
		if utf8.RuneCountInString(piece) > wholeMost {
			piece, n = words[i], 1
		}
		if i > 0 {
			out.WriteByte(' ')
		}
		if strings.ContainsAny(piece, " -/") && utf8.RuneCountInString(piece) <= wholeMost {
			out.WriteString(`<span class="whole">` + templ.EscapeString(piece) + `</span>`)
		} else {
			out.WriteString(templ.EscapeString(piece))
		}
		i += n
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func hasDigit(s string) bool { return strings.ContainsFunc(s, unicode.IsDigit) }

// filled writes a text with a part in the place of each {}.
func filled(text string, parts ...templ.Component) templ.Component {
	return templ.ComponentFunc(func(ctx context.Context, w io.Writer) error {
		for _, part := range parts {
			before, after, _ := strings.Cut(text, "{}")
			if _, err := io.WriteString(w, templ.EscapeString(before)); err != nil {
				return err
			}
			if err := part.Render(ctx, w); err != nil {
				return err
			}
			text = after
		}
		_, err := io.WriteString(w, templ.EscapeString(text))
		return err
	})
}
