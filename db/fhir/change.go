package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// New makes a Patient resource of Fields, in compact JSON.
func New(id string, f Fields) ([]byte, error) {
	raw, err := Change(slices.Concat([]byte(`{"resourceType":"Patient","id":`), quote(id), []byte(`}`)), Fields{}, f)
	if err != nil {
		return nil, fmt.Errorf("make a patient: %w", err)
	}
	return raw, nil
}

// Change writes into the resource what differs between from, which the person saw, and to, which the person wants, both
// made Clean: what differs in white space or Unicode form only is no change. The rest stays byte for byte, also the
// order of members, how numbers and strings are written, and what we do not know. Without a change raw comes back as it
// is. The resource may say something else than from meanwhile; then only what the person changed is written.
//
// A value is written where ReadFields has it from, or appended where there is none. Clearing a phone, an e-mail address,
// an MRN, all of a name or all of an address takes out its whole entry; when there is another (the phone at work), that
// one shows next. An identifier that is a social security number is never touched.
//
// What would contradict the new value goes with the old one: the text of a name or an address that does not hold the new
// parts, extensions of a changed value ("_birthDate" with the time of birth), coordinates of a changed address, and the
// resource's narrative where a program wrote it (text.status generated or extensions), since FHIR wants a narrative to
// say the same as the data (R4, 2.4.0.1).
//
// Change does not Check. It fails when the result would be no Patient that Parse takes, or would not say what to says.
func Change(raw []byte, from, to Fields) ([]byte, error) {
	now, at, err := readFields(raw)
	if err != nil {
		return nil, err
	}
	from, to = from.Clean(), to.Clean()
	want := now
	for _, f := range allFields {
		if *f.of(&from) != *f.of(&to) {
			*f.of(&want) = *f.of(&to)
		}
	}
	if want == now {
		return raw, nil
	}
	c := change{now: now, want: want, at: at, changed: now.differs(want)}
	if err := c.allowed(); err != nil {
		return nil, err
	}
	start := skipSpace(raw, 0)
	end := skipValue(raw, start)
	o := takeApart(raw[start:end])
	c.resource(o)
	changed := slices.Concat(raw[:start], o.bytes(), raw[end:])
	if err := c.verify(changed); err != nil {
		return nil, err
	}
	return changed, nil
}

type change struct {
	now, want Fields
	at        origin
	changed   map[string]bool // by the name of the field
}

// allowed refuses what Parse would let through and other readers of FHIR would not.
func (c change) allowed() error {
	switch w := c.want; {
	case c.changed["Active"] && w.Active != "" && w.Active != "true" && w.Active != "false":
		return errors.New("active must be true, false or nothing")
	case c.changed["Deceased"] && w.Deceased != "" && w.Deceased != "true":
		if _, ok := dayOf(w.Deceased, time.UTC); !ok {
			return errors.New("deceased must be true, a FHIR date or dateTime, or nothing")
		}
	}
	return nil
}

// verify makes sure of the promise that what was written is what will be read.
func (c change) verify(raw []byte) error {
	got, err := ReadFields(raw)
	if err != nil {
		return fmt.Errorf("the changed resource: %w", err)
	}
	for _, f := range allFields {
		if g, w := *f.of(&got), *f.of(&c.want); g != w && w != "" && !c.moved(f.name) {
			return fmt.Errorf("the changed resource does not say what it should in %s", f.name)
		}
	}
	return nil
}

// moved says that another address may show now: one that has a city, where this one has lost its own.
func (c change) moved(name string) bool {
	return slices.Contains(addressFields, name) && c.changed["City"] && c.want.City == ""
}

var addressFields = []string{"Line", "City", "State", "PostalCode", "Country"}

func (c change) resource(o *parts) {
	if isGenerated(o.object("text").string("status")) {
		o.remove("text")
	}
	if c.changed["Active"] {
		o.set("active", []byte(c.want.Active))
	}
	c.identifier(o)
	c.name(o)
	c.telecom(o, "phone", c.at.phone, c.changed["Phone"], c.want.Phone)
	c.telecom(o, "email", c.at.email, c.changed["Email"], c.want.Email)
	if c.changed["Gender"] {
		o.setText("gender", c.want.Gender)
	}
	if c.changed["BirthDate"] {
		o.setText("birthDate", c.want.BirthDate)
	}
	if c.changed["Deceased"] {
		c.deceased(o)
	}
	c.address(o)
}

// mrType is how FHIR says that an identifier is a medical record number.
const mrType = `{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}`

func (c change) identifier(o *parts) {
	if !c.changed["MRN"] {
		return
	}
	o.entry("identifier", c.at.mrn, func(e *parts) {
		switch {
		case c.want.MRN == "":
			e.clear()
			return
		case c.at.mrn < 0:
			e.put("type", []byte(mrType))
		}
		e.setText("value", c.want.MRN)
	})
}

func (c change) telecom(o *parts, system string, nth int, changed bool, value string) {
	if !changed {
		return
	}
	// The entry for a phone before may have been taken out, which moves the one for e-mail.
	if system == "email" && c.changed["Phone"] && c.want.Phone == "" && nth > c.at.phone && c.at.phone >= 0 {
		nth--
	}
	o.entry("telecom", nth, func(e *parts) {
		switch {
		case value == "":
			e.clear()
			return
		case nth < 0:
			e.setText("system", system)
		}
		e.setText("value", value)
	})
}

func (c change) name(o *parts) {
	family, given := c.changed["Family"], c.changed["Given"]
	if !family && !given {
		return
	}
	o.entry("name", c.at.name, func(e *parts) {
		if c.want.Family == "" && c.want.Given == "" {
			e.clear()
			return
		}
		if c.at.name < 0 {
			e.setText("use", "official")
		}
		if c.at.nameIsText {
			e.remove("text")
		}
		if family || c.at.nameIsText {
			e.setText("family", c.want.Family)
		}
		if given {
			e.setTexts("given", strings.Fields(c.want.Given))
		}
		c.dropText(e, "Family", "Given")
	})
}

func (c change) address(o *parts) {
	if !slices.ContainsFunc(addressFields, func(name string) bool { return c.changed[name] }) {
		return
	}
	w := c.want
	o.entry("address", c.at.address, func(e *parts) {
		if w.Line == "" && w.City == "" && w.State == "" && w.PostalCode == "" && w.Country == "" {
			e.clear()
			return
		}
		if c.at.addressIsText {
			e.remove("text")
		}
		if c.changed["Line"] || c.at.addressIsText {
			e.setTexts("line", keepLines(e.texts("line"), w.Line))
		}
		for _, part := range [][3]string{
			{"City", "city", w.City}, {"State", "state", w.State}, {"PostalCode", "postalCode", w.PostalCode}, {"Country", "country", w.Country},
		} {
			if c.changed[part[0]] {
				e.setText(part[1], part[2])
			}
		}
		c.dropText(e, addressFields...)
		e.dropCoordinates()
	})
}

// keepLines splits at ", " but leaves whole the lines at the beginning that were there before, which may hold one.
func keepLines(before []string, line string) []string {
	var list []string
	for _, old := range before {
		rest, found := strings.CutPrefix(line+", ", old+", ")
		if !found {
			break
		}
		list, line = append(list, old), strings.TrimSuffix(rest, ", ")
	}
	return append(list, cutLines(line)...)
}

// dropText takes out a text that does not hold what the fields say now, or still holds what they said.
func (c change) dropText(e *parts, fields ...string) {
	text := e.string("text")
	for _, f := range allFields {
		old, value := *f.of(&c.now), *f.of(&c.want)
		if !c.changed[f.name] || !slices.Contains(fields, f.name) {
			continue
		}
		if !holdsWords(text, value) || old != "" && holdsWords(text, old) {
			e.remove("text")
			return
		}
	}
}

const geolocationURL = "http://hl7.org/fhir/StructureDefinition/geolocation"

func (p *parts) dropCoordinates() {
	i := p.find("extension")
	if i < 0 || p.list[i].value[0] != '[' {
		return
	}
	all := takeApart(p.list[i].value)
	for n := len(all.list) - 1; n >= 0; n-- {
		if v := all.list[n].value; v[0] == '{' && takeApart(v).string("url") == geolocationURL {
			all.cut(n)
		}
	}
	if p.list[i].value = all.bytes(); len(all.list) == 0 {
		p.without("extension")
	}
}

// deceased leaves one of the two ways to say so, as FHIR wants of a choice of types.
func (c change) deceased(o *parts) {
	switch c.want.Deceased {
	case "":
		o.remove("deceasedBoolean")
		o.remove("deceasedDateTime")
	case "true":
		o.remove("deceasedDateTime")
		o.set("deceasedBoolean", []byte("true"))
	default:
		o.remove("deceasedBoolean")
		o.setText("deceasedDateTime", c.want.Deceased)
	}
}

// parts is a JSON object or list, taken apart so that what is not touched is written as it was read. It takes valid JSON
// for granted, which Parse has checked.
type parts struct {
	open  byte
	list  []part
	blank []byte // what stands inside where the list is empty
}

// part is a member or an element with all that stands between its commas.
type part struct {
	before []byte // white space
	name   []byte // of a member, in its quotation marks
	colon  []byte // with the white space around it
	value  []byte
	after  []byte // white space
}

func takeApart(raw []byte) *parts {
	p := &parts{open: raw[0]}
	closing := raw[0] + 2
	begin := 1
	i := skipSpace(raw, begin)
	if raw[i] == closing {
		p.blank = raw[begin:i]
		return p
	}
	for {
		one := part{before: raw[begin:i]}
		if p.open == '{' {
			end := skipString(raw, i)
			value := skipSpace(raw, skipSpace(raw, end)+1)
			one.name, one.colon = raw[i:end], raw[end:value]
			i = value
		}
		end := skipValue(raw, i)
		one.value = raw[i:end]
		i = skipSpace(raw, end)
		one.after = raw[end:i]
		p.list = append(p.list, one)
		if raw[i] == closing {
			return p
		}
		begin = i + 1
		i = skipSpace(raw, begin)
	}
}

func (p *parts) bytes() []byte {
	var b bytes.Buffer
	b.WriteByte(p.open)
	if len(p.list) == 0 {
		b.Write(p.blank)
	}
	for i, one := range p.list {
		if i > 0 {
			b.WriteByte(',')
		}
		for _, piece := range [][]byte{one.before, one.name, one.colon, one.value, one.after} {
			b.Write(piece)
		}
	}
	b.WriteByte(p.open + 2)
	return b.Bytes()
}

func (one part) is(key string) bool { return decodeString(one.name) == key }

// find gives the place of the last member of this name, which is the one that get reads; -1 for none.
func (p *parts) find(key string) int {
	for i := len(p.list) - 1; i >= 0; i-- {
		if p.list[i].is(key) {
			return i
		}
	}
	return -1
}

// value is nil where there is none, or null.
func (p *parts) value(key string) []byte {
	if i := p.find(key); i >= 0 {
		return present(p.list[i].value)
	}
	return nil
}

// object gives an empty one where there is none.
func (p *parts) object(key string) *parts {
	if v := p.value(key); v != nil && v[0] == '{' {
		return takeApart(v)
	}
	return &parts{open: '{'}
}

func (p *parts) string(key string) string {
	if v := p.value(key); v != nil && v[0] == '"' {
		return clean(decodeString(v))
	}
	return ""
}

func (p *parts) texts(key string) []string {
	v := p.value(key)
	if v == nil || v[0] != '[' {
		return nil
	}
	var list []string
	for _, one := range takeApart(v).list {
		if one.value[0] == '"' {
			list = append(list, clean(decodeString(one.value)))
		}
	}
	return filled(list)
}

// add appends, in the manner of what is there already.
func (p *parts) add(name, value []byte) {
	one := part{name: name, value: value}
	if name != nil {
		one.colon = []byte(":")
	}
	if n := len(p.list); n > 0 {
		last := &p.list[n-1]
		one.before, one.after = last.before, last.after
		last.after = nil
		if name != nil {
			one.colon = last.colon
		}
	}
	p.list = append(p.list, one)
}

func (p *parts) cut(i int) {
	if last := len(p.list) - 1; i == last && i > 0 {
		p.list[i-1].after = p.list[i].after // the white space before the end
	}
	p.list = slices.Delete(p.list, i, i+1)
}

func (p *parts) clear() { p.list = nil }

// remove takes out the member, and the companion in which FHIR keeps the extensions of a primitive value (R4, 2.6.2.3).
func (p *parts) remove(key string) {
	p.without(key)
	p.without("_" + key)
}

func (p *parts) without(key string) {
	for i := len(p.list) - 1; i >= 0; i-- {
		if p.list[i].is(key) {
			p.cut(i)
		}
	}
}

// set puts a primitive value, or a list of them, where the member is, or at the end; without one the member goes. The
// companion spoke of the old value.
func (p *parts) set(key string, value []byte) {
	if len(value) == 0 {
		p.remove(key)
		return
	}
	p.put(key, value)
	p.without("_" + key)
}

func (p *parts) put(key string, value []byte) {
	switch i := p.find(key); {
	case i >= 0:
		p.list[i].value = value
		for i--; i >= 0; i-- { // a name that is there twice says two things
			if p.list[i].is(key) {
				p.cut(i)
			}
		}
	default:
		p.add(quote(key), value)
	}
}

func (p *parts) setText(key, value string) {
	if value == "" {
		p.remove(key)
		return
	}
	p.set(key, quote(value))
}

// setTexts writes no empty list, which FHIR does not have.
func (p *parts) setTexts(key string, values []string) {
	var list [][]byte
	for _, v := range values {
		list = append(list, quote(v))
	}
	if len(list) == 0 {
		p.remove(key)
		return
	}
	p.set(key, slices.Concat([]byte("["), bytes.Join(list, []byte(",")), []byte("]")))
}

// entry edits the nth object of a list, or a new one at its end when nth is -1. What edit leaves empty goes: the entry,
// and the list without it.
func (p *parts) entry(key string, nth int, edit func(*parts)) {
	all := &parts{open: '['}
	if v := p.value(key); v != nil {
		all = takeApart(v)
	}
	if nth < 0 {
		nth = len(all.list)
		all.add(nil, []byte("{}"))
	}
	e := takeApart(all.list[nth].value)
	if edit(e); len(e.list) > 0 {
		all.list[nth].value = e.bytes()
	} else {
		all.cut(nth)
	}
	if slices.ContainsFunc(all.list, func(one part) bool { return present(one.value) != nil }) {
		p.put(key, all.bytes())
	} else {
		p.without(key)
	}
}

// quote writes a JSON string as people write it: < and & stay what they are.
func quote(s string) []byte {
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	_ = to.Encode(s) // a string can always be written
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
