package views

import (
	"regexp"
	"strings"
	"testing"

	"github.com/a-h/templ"
)

func rendered(t *testing.T, c templ.Component) string {
	t.Helper()
	var out strings.Builder
	if err := c.Render(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheFieldOfANewPassword(t *testing.T) {
	for name, c := range map[string]struct {
		value, problem string
		has, hasNot    []string
	}{
		"empty": {"", "",
			[]string{`<label for="new">New password</label>`, `type="password"`, `autocomplete="new-password"`, `aria-describedby="new-hint"`, `id="new-hint"`, `At least 15 characters`,
				`aria-pressed="false"`, `<button type="button" hidden`, `data-shows="new"`},
			[]string{`value=""`, `type="text"`, "aria-invalid", "minlength", "maxlength", "pattern", "onpaste", "required"}},
		"refused": {"", "Too <short>.",
			[]string{`aria-invalid="true"`, `aria-describedby="new-problem new-hint"`, `id="new-problem">Too &lt;short&gt;.`, `type="password"`}, nil},
		"suggested": {"one two three", "",
			[]string{`type="text"`, `value="one two three"`, `aria-pressed="true"`, `aria-describedby="new-suggested new-hint"`, "password manager"}, []string{`type="password"`, "aria-invalid"}},
	} {
		html := rendered(t, newPassword("new", "password", "New password", c.value, c.problem))
		for _, want := range c.has {
			if !strings.Contains(html, want) {
				t.Errorf("%s: no %s in\n%s", name, want, html)
			}
		}
		for _, bad := range c.hasNot {
			if strings.Contains(html, bad) {
				t.Errorf("%s: %s in\n%s", name, bad, html)
			}
		}
	}
}

// TestEnterDoesNotAskForASuggestion: a browser presses the first submit button of a form.
func TestEnterDoesNotAskForASuggestion(t *testing.T) {
	html := rendered(t, newPassword("new", "password", "New password", "", ""))
	buttons := regexp.MustCompile(`<button type="submit"[^>]*>`).FindAllString(html, -1)
	if len(buttons) != 2 || strings.Contains(buttons[0], "name=") || !strings.Contains(buttons[0], `tabindex="-1"`) ||
		!strings.Contains(buttons[1], `name="suggest" value="1" formnovalidate`) {
		t.Errorf("%q", buttons)
	}
}

func TestTheFieldOfTheCurrentPassword(t *testing.T) {
	html := rendered(t, currentPassword("old", "current", "Current password", ""))
	for _, want := range []string{`<label for="old">Current password</label>`, `name="current"`, `type="password"`, `autocomplete="current-password"`, `data-shows="old"`} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in\n%s", want, html)
		}
	}
	if strings.Contains(html, "value=") || strings.Contains(html, "aria-invalid") {
		t.Error(html)
	}
	if html = rendered(t, currentPassword("old", "current", "Current password", "Not right.")); !strings.Contains(html, `aria-describedby="old-problem"`) || !strings.Contains(html, `id="old-problem">Not right.`) {
		t.Error(html)
	}
}
