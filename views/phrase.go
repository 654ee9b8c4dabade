package views

import (
	"context"
	"io"
	"strings"

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
