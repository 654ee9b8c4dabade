package fhir

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Difference is one thing that two versions of a resource say differently. Before and After are what to show, nil where a
// version says nothing.
type Difference struct {
	Term          Term
	Before, After []Value
	Elements      []string // of KindOther: which of the resource's elements differ, by FHIR's names
}

// Diff tells a person what differs between two versions of a Patient, in the order of the page. Of a social security
// number it shows what the page shows. What is not shown is one last Difference of KindOther, without lines: it names elements. It
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
	var hidden []string
	known := map[string]bool{}
	for _, s := range sections {
		told := compare(s.read(old.object), s.read(now.object))
		all = append(all, told...)
		for _, key := range s.keys {
			known[key] = true
		}
		hidden = append(hidden, s.hides(old, now, len(told) > 0)...)
	}
	rest := func(key string, _ any) bool { return known[key] }
	maps.DeleteFunc(old.tree, rest)
	maps.DeleteFunc(now.tree, rest)
	for key, value := range old.tree {
		if other, there := now.tree[key]; !there || !reflect.DeepEqual(value, other) {
			hidden = append(hidden, key)
		}
	}
	for key := range now.tree {
		if _, there := old.tree[key]; !there {
			hidden = append(hidden, key)
		}
	}
	if len(hidden) > 0 {
		all = append(all, Difference{Term: Term{Kind: KindOther}, Elements: elements(hidden)})
	}
	return all, nil
}

// elementName is how FHIR's names are written. A key that is none is not said: it could be anything.
var elementName = regexp.MustCompile(`^[a-z][A-Za-z]{1,40}$`)

// elements are the names behind keys, in the order of the alphabet; beside a value's key stands one with _ for its extensions.
func elements(keys []string) (names []string) {
	for _, key := range keys {
		if key = strings.TrimPrefix(key, "_"); elementName.MatchString(key) {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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
	{[]string{"name"}, shownAs("name", object.nameShown), []string{"use", "text", "family", "given", "prefix", "suffix", "end"}},
	{[]string{"birthDate"}, single(KindBirthDate, func(o object) Value { return Value{Kind: KindDate, Text: o.text("birthDate")} }), nil},
	{[]string{"gender"}, single(KindSex, object.sexShown), nil},
	{[]string{"active"}, single(KindStatus, func(o object) Value { return Value{Kind: KindStatus, Code: boolText(o.boolean("active"))} }), nil},
	{[]string{"identifier"}, shownAs("identifier", object.identifierShown), []string{"type", "system", "value", "end"}},
	{[]string{"telecom"}, shownAs("telecom", object.telecomShown), []string{"system", "value", "use", "end"}},
	{[]string{"address"}, shownAs("address", object.addressShown), []string{"use", "text", "line", "city", "state", "postalCode", "country", "end"}},
	{[]string{"contact"}, shownAs("contact", object.contactShown), []string{"relationship", "name", "telecom", "address", "organization", "end"}},
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

func shownAs(key string, one func(object) Labelled) func(object) []Labelled {
	return func(o object) []Labelled { return o.show(key, one) }
}

// demographic reads one line of the page's demographics, so that it is known what each differs in.
func demographic(spoken []string, keys ...string) section {
	return section{keys, func(o object) []Labelled { return o.only(keys).demographics() }, spoken}
}

func (o object) only(keys []string) object {
	o.members = slices.DeleteFunc(slices.Clone(o.members), func(m member) bool { return !slices.Contains(keys, string(m.key)) })
	return o
}

func single(kind Kind, value func(object) Value) func(object) []Labelled {
	return func(o object) []Labelled { return appendShown(nil, Term{Kind: kind}, value(o)) }
}

func (o object) sexShown() Value {
	if code := known(genders, o.text("gender")); code != "" {
		return Value{Kind: KindSex, Code: code}
	}
	return Value{Text: o.text("gender")}
}

// told is what a person is told of a line or a word: not the code, where the resource has words of its own.
func (l Value) told() Value {
	if l.Kind != KindTelecom && l.Text != "" {
		l.Code = ""
	}
	return l
}

func (t Term) told() string {
	all := []string{string(t.Kind), t.Use, t.Until}
	for _, w := range t.Words {
		all = append(all, cmp.Or(strings.ToLower(w.Said), "\x00"+w.Code))
	}
	return strings.Join(all, "\x00\x00")
}

// compare puts things of the same term together and gives those that differ, in the order in which they come.
func compare(before, after []Labelled) []Difference {
	var all []Difference
	put := func(term Term) *Difference {
		i := slices.IndexFunc(all, func(d Difference) bool { return d.Term.told() == term.told() })
		if i < 0 {
			i = len(all)
			all = append(all, Difference{Term: term})
		}
		return &all[i]
	}
	for _, l := range before {
		d := put(l.Term)
		d.Before = append(d.Before, l.Lines...)
	}
	for _, l := range after {
		d := put(l.Term)
		d.After = append(d.After, l.Lines...)
	}
	return slices.DeleteFunc(all, func(d Difference) bool {
		return slices.EqualFunc(d.Before, d.After, func(a, b Value) bool { return a.told() == b.told() })
	})
}

// hides gives the keys in which the section differs in more than is told. When nothing is told, any difference is more; else
// those in members that are never shown.
func (s section) hides(before, after version, told bool) (keys []string) {
	for _, key := range s.keys {
		a, b := before.tree[key], after.tree[key]
		if told {
			a, b = s.unspoken(plural(a)), s.unspoken(plural(b))
		}
		if !reflect.DeepEqual(a, b) {
			keys = append(keys, key)
		}
	}
	if slices.Contains(s.keys, "identifier") && behindMask(before.object.socials(), after.object.socials()) {
		keys = append(keys, "identifier")
	}
	return keys
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

// IsTight says that valid JSON has no white space between its tokens, so that Line would give the same. Most files are so,
// and to look costs a tenth of writing it anew.
func IsTight(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case ' ', '\t', '\n', '\r':
			return false
		case '"':
			i = skipString(raw, i) - 1
		}
	}
	return true
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
