package views

import (
	"regexp"
	"strings"
	"testing"
)

func TestWhatIsReadAsOneStaysInOneLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"25.12.1974, 25/12/1974 or 1974-12-25; 1974-12 or 1974 if no more is known.": {"25/12/1974", "1974-12-25;", "1974-12"},
		"Upper Wend, LL61 5UJ": {"LL61 5UJ"}, "555-0108": {"555-0108"}, "+44 20 7946 0958": {"+44 20 7946 0958"}, "one e-mail address": {"e-mail"},
		"17 Thistledown Crescent": nil, "0123456789-0123456789": nil, "a <b> & 1-2": {"1-2"}, "": nil, " ": nil, "1  2": nil,
	} {
		var out strings.Builder
		if err := whole(text).Render(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range regexp.MustCompile(`<span class="whole">([^<]*)</span>`).FindAllStringSubmatch(out.String(), -1) {
			got = append(got, m[1])
		}
		said := regexp.MustCompile(`</?span[^>]*>`).ReplaceAllString(out.String(), "")
		if strings.Join(got, "|") != strings.Join(want, "|") || said != strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", "+", "&#43;").Replace(text) && said != strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;").Replace(text) {
			t.Errorf("%q: %q, in all %q", text, got, said)
		}
	}
}
