package texts

import (
	"reflect"
	"strings"
	"testing"
)

// TestEveryLanguageHasEveryText: none is empty, none is left in English by mistake in the language's name, and the lists are as long.
func TestEveryLanguageHasEveryText(t *testing.T) {
	for _, l := range Languages {
		walk(t, l.Tag, reflect.ValueOf(English), reflect.ValueOf(*l))
	}
}

func walk(t *testing.T, path string, english, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			walk(t, path+"."+v.Type().Field(i).Name, english.Field(i), v.Field(i))
		}
	case reflect.Array, reflect.Slice:
		if v.Len() != english.Len() {
			t.Errorf("%s has %d texts, English %d", path, v.Len(), english.Len())
			return
		}
		for i := range v.Len() {
			walk(t, path, english.Index(i), v.Index(i))
		}
	case reflect.Map:
		if v.Len() == 0 {
			t.Errorf("%s is empty", path)
		}
		for _, k := range english.MapKeys() {
			if !v.MapIndex(k).IsValid() {
				t.Errorf("%s lacks %v", path, k)
				continue
			}
			walk(t, path+"["+k.String()+"]", english.MapIndex(k), v.MapIndex(k))
		}
		if v.Len() > english.Len() {
			t.Errorf("%s has more texts than English", path)
		}
	case reflect.Func:
		if v.IsNil() {
			t.Errorf("%s is nil", path)
			return
		}
		said(t, path, call(english), call(v))
	case reflect.String:
		said(t, path, english.String(), v.String())
	}
}

// call gives a text's function values that can be found again in what it says.
func call(f reflect.Value) string {
	var args []reflect.Value
	for i := range f.Type().NumIn() {
		switch in := f.Type().In(i); in.Kind() {
		case reflect.Int:
			args = append(args, reflect.ValueOf(97+i))
		case reflect.String:
			args = append(args, reflect.ValueOf(strings.Repeat("ж", i+1)))
		default:
			args = append(args, reflect.Zero(in))
		}
	}
	return f.Call(args)[0].String()
}

// said holds a text to English's: the same links, the same values in it.
func said(t *testing.T, path, english, text string) {
	t.Helper()
	if text == "" && english != "" {
		t.Errorf("%s says nothing", path)
	}
	if text != strings.TrimSpace(text) && english == strings.TrimSpace(english) && !strings.HasSuffix(path, "Thousands") {
		t.Errorf("%s has space around it", path)
	}
	for _, mark := range []string{"[", "]", "{}", "97", "98", "99", "ж"} {
		if strings.Count(text, mark) != strings.Count(english, mark) {
			t.Errorf("%s: %q has not the %q of English: %q", path, text, mark, english)
		}
	}
}

func TestTheLanguageIsTheBrowsersOrTheClinics(t *testing.T) {
	for _, c := range [][3]string{
		{"", "en", "en"}, {"", "", "en"}, {"", "es-MX", "es"}, {"es", "en", "es"}, {"es-419,es;q=0.9,en;q=0.8", "en-US", "es"},
		{"en-GB", "es", "en"}, {"de-DE,de;q=0.9", "es", "es"}, {"de,en;q=0.5,es;q=0.4", "es", "en"}, {"de", "fr", "en"},
		{"*", "en", "en"}, {"no such thing;;", "es", "es"}, {strings.Repeat("es,", 100), "en", "en"},
	} {
		if got := Match(c[0], c[1]).Tag; got != c[2] {
			t.Errorf("Accept-Language %q in a clinic with %q: %s, want %s", c[0], c[1], got, c[2])
		}
	}
	if For("es") != &Spanish || For("") != nil || For("de") != nil {
		t.Error("languages are found by their tags alone")
	}
}
