package fhir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Difference is one thing that two versions of a resource say differently. Before and After are what to show, a line
// each, nil where a version says nothing.
type Difference struct {
	Label         string // "Birth date", "Phone (home)"
	Before, After []string
}

// otherDetails stands for what differs and is not shown; it has no lines.
const otherDetails = "Other details"

// Diff tells a person what differs between two versions of a Patient, in the order of the page. Of a social security
// number it shows what the page shows. What has no words here is one last Difference, "Other details", without lines. It
// passes over what is about the copy and not about the patient: meta.versionId, meta.lastUpdated, and a narrative that a
// program wrote. How the JSON is written makes no difference. It takes whatever Parse accepts.
func Diff(before, after []byte) ([]Difference, error) {
	old, err := versionOf(before)
	if err != nil {
		return nil, fmt.Errorf("the version before: %w", err)
	}
	now, err := versionOf(after)
	if err != nil {
		return nil, fmt.Errorf("the version after: %w", err)
	}
	var all []Difference
	hidden := false
	known := map[string]bool{}
	for _, s := range sections {
		told := compare(s.read(old.object), s.read(now.object))
		all = append(all, told...)
		for _, key := range s.keys {
			known[key] = true
		}
		hidden = hidden || s.hides(old, now, len(told) > 0)
	}
	rest := func(key string, _ any) bool { return known[key] }
	maps.DeleteFunc(old.tree, rest)
	maps.DeleteFunc(now.tree, rest)
	if hidden || !reflect.DeepEqual(old.tree, now.tree) {
		all = append(all, Difference{Label: otherDetails})
	}
	return all, nil
}

// version is a resource as the page reads it and as JSON.
type version struct {
	object object
	tree   map[string]any
}

func versionOf(raw []byte) (version, error) {
	o, err := new(reading).open(raw)
	if err != nil {
		return version{}, err
	}
	v := version{object: o}
	from := json.NewDecoder(bytes.NewReader(raw))
	from.UseNumber() // 1.0 is not 1
	if err := from.Decode(&v.tree); err != nil {
		return version{}, errNotJSON // its own error may quote a value
	}
	if meta, ok := v.tree["meta"].(map[string]any); ok {
		delete(meta, "versionId")
		delete(meta, "lastUpdated")
		if len(meta) == 0 {
			delete(v.tree, "meta")
		}
	}
	if isGenerated(o.object("text").text("status")) {
		delete(v.tree, "text")
	}
	return v, nil
}

// isGenerated tells the status of a narrative that a program wrote from the data.
func isGenerated(status string) bool { return status == "generated" || status == "extensions" }

// section is a part of the page.
type section struct {
	keys   []string // of the resource
	read   func(object) []Labelled
	spoken []string // members below keys that read shows
}

var sections = []section{
	{[]string{"name"}, named("Name", "name", object.nameShown), []string{"use", "text", "family", "given", "prefix", "suffix", "end"}},
	{[]string{"birthDate"}, single("Birth date", func(o object) string { return o.text("birthDate") }), nil},
	{[]string{"gender"}, single("Sex", func(o object) string { return capitalOr(o.text("gender")) }), nil},
	{[]string{"active"}, single("Status", object.statusShown), nil},
	{[]string{"identifier"}, func(o object) []Labelled { return o.show("identifier", object.identifierShown) }, []string{"type", "system", "value", "end"}},
	{[]string{"telecom"}, func(o object) []Labelled { return o.show("telecom", object.telecomShown) }, []string{"system", "value", "use", "end"}},
	{[]string{"address"}, named("Address", "address", object.addressShown), []string{"use", "text", "line", "city", "state", "postalCode", "country", "end"}},
	{[]string{"contact"}, named("Contact", "contact", object.contactShown), []string{"relationship", "name", "telecom", "address", "organization", "end"}},
	demographic([]string{"extension"}, "_birthDate"),
	demographic(nil, "multipleBirthInteger", "multipleBirthBoolean"),
	demographic(nil, "deceasedBoolean", "deceasedDateTime"),
	demographic([]string{"coding", "text"}, "maritalStatus"),
	demographic([]string{"coding", "text", "preferred"}, "communication"),
	demographic([]string{"display"}, "generalPractitioner"),
	demographic([]string{"display"}, "managingOrganization"),
	demographic(nil, "extension"),
	demographic([]string{"species", "breed"}, "animal"),
}

// named says of each thing what it is, since a difference has no heading above it.
func named(what, key string, one func(object) Labelled) func(object) []Labelled {
	return func(o object) []Labelled {
		list := o.show(key, one)
		for i, l := range list {
			if rest, plain := strings.CutPrefix(l.Label, what); plain {
				list[i].Label = what + rest
			} else {
				list[i].Label = what + " (" + lower(l.Label) + ")"
			}
		}
		return list
	}
}

func lower(s string) string {
	r := []rune(s)
	if len(r) < 2 || !unicode.IsUpper(r[1]) { // not SSN
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}

// demographic reads one line of the page's demographics, so that it is known what each differs in.
func demographic(spoken []string, keys ...string) section {
	return section{keys, func(o object) []Labelled { return o.only(keys).demographics() }, spoken}
}

func (o object) only(keys []string) object {
	o.members = slices.DeleteFunc(slices.Clone(o.members), func(m member) bool { return !slices.Contains(keys, string(m.key)) })
	return o
}

func single(label string, value func(object) string) func(object) []Labelled {
	return func(o object) []Labelled { return appendShown(nil, label, value(o)) }
}

func capitalOr(s string) string {
	if s == "" {
		return ""
	}
	return capital(s)
}

func (o object) statusShown() string {
	return map[string]string{"": "", "true": "Active", "false": "Inactive"}[boolText(o.boolean("active"))]
}

// compare puts things of the same label together and gives those that differ, in the order in which they come.
func compare(before, after []Labelled) []Difference {
	var all []Difference
	put := func(label string) *Difference {
		i := slices.IndexFunc(all, func(d Difference) bool { return d.Label == label })
		if i < 0 {
			i = len(all)
			all = append(all, Difference{Label: label})
		}
		return &all[i]
	}
	for _, l := range before {
		d := put(l.Label)
		d.Before = append(d.Before, l.Lines...)
	}
	for _, l := range after {
		d := put(l.Label)
		d.After = append(d.After, l.Lines...)
	}
	return slices.DeleteFunc(all, func(d Difference) bool { return slices.Equal(d.Before, d.After) })
}

// hides says whether the section differs in more than is told. When nothing is told, any difference is more; else those
// in members that are never shown.
func (s section) hides(before, after version, told bool) bool {
	for _, key := range s.keys {
		a, b := before.tree[key], after.tree[key]
		if told {
			a, b = s.unspoken(plural(a)), s.unspoken(plural(b))
		}
		if !reflect.DeepEqual(a, b) {
			return true
		}
	}
	return slices.Contains(s.keys, "identifier") && behindMask(before.object.socials(), after.object.socials())
}

// plural leaves out what has nothing below it: when something is told of that, all is.
func plural(v any) any {
	switch v.(type) {
	case map[string]any, []any:
		return v
	}
	return nil
}

// unspoken is what is left of a value without the members that are shown and without what is empty then.
func (s section) unspoken(v any) any {
	switch v := v.(type) {
	case map[string]any:
		left := map[string]any{}
		for key, inner := range v {
			if inner = s.unspoken(inner); inner != nil && !slices.Contains(s.spoken, key) {
				left[key] = inner
			}
		}
		if len(left) > 0 {
			return left
		}
		return nil
	case []any:
		var left []any
		for _, inner := range v {
			if inner = s.unspoken(inner); inner != nil {
				left = append(left, inner)
			}
		}
		if left != nil {
			return left
		}
		return nil
	}
	return v
}

// behindMask says whether social security numbers differ where what is shown of them does not.
func behindMask(before, after []string) bool {
	for i := range min(len(before), len(after)) {
		if before[i] != after[i] && maskSSN(before[i]) == maskSSN(after[i]) {
			return true
		}
	}
	return false
}

func (o object) socials() []string {
	var list []string
	for _, e := range o.objects("identifier") {
		if id := e.identifier(); id.social {
			list = append(list, id.value)
		}
	}
	return list
}

// Line is the resource on one line, as NDJSON needs it; nothing else changes.
func Line(raw []byte) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(raw))
	if err := json.Compact(&b, raw); err != nil {
		return nil, errNotJSON
	}
	return b.Bytes(), nil
}
