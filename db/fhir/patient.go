// Package fhir reads FHIR R4 Patients: from a file one resource at a time (Reader), and from a resource what the list,
// the search (Parse, Key, Words), the page (ParseDetail) and the form (ReadFields) need. It writes what a person changed
// on the form into the resource and leaves the rest of it as it was (Change). It keeps nothing and knows neither SQL nor
// HTTP. Its errors name paths and rules and never hold a value of a resource.
package fhir

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Patient is what the list and search need of a FHIR R4 Patient. Its strings are valid UTF-8 on one line, without
// control characters, and "" means that the resource does not say.
type Patient struct {
	ID         string   // resource.id, 1 to 200 bytes when there is one
	Family     string   // of the name to display
	Given      string   // of the name to display, joined by spaces
	NameText   string   // name.text of the name to display
	Names      []string // family, each given and text of every name, old ones too; what search takes its words from
	MRN        string   // medical record number
	Identifier string   // the first identifier of whatever kind, but never a social security number
	BirthDate  string   // FHIR date as it came: YYYY, YYYY-MM or YYYY-MM-DD
	Gender     string   // male, female, other or unknown
	Phone      string
	Phones     []string // every phone in use, also those for text messages; what search takes their last digits from
	Email      string
	City       string
	Active     *bool // nil is FHIR's "not said"
	Deceased   bool
}

// Errors of Parse and ParseDetail that a caller may tell apart with errors.Is. All errors here may be shown and logged,
// since they hold nothing of the resource but its paths.
var (
	ErrNotPatient     = errors.New("resourceType is not Patient")
	ErrNoResourceType = errors.New("resourceType is missing or not a string")
)

var (
	errNotJSON = errors.New("the resource is not valid JSON")
	errTooDeep = fmt.Errorf("the resource is nested more than %d deep", maxDepth)
)

// maxDepth bounds how deep a resource may nest. FHIR's own deepest examples stay below 20.
const maxDepth = 200

// Parse reads one FHIR R4 Patient. What it needs must have the right JSON type, and birthDate and gender must be what
// FHIR allows; what it does not need is not judged. A null counts as missing, everywhere.
func Parse(raw []byte) (Patient, error) {
	p, _, err := parse(raw, nil)
	return p, err
}

// Patient is Parse of the resource, the first time for less: what the Reader has seen to be valid JSON is not checked again.
func (e *Entry) Patient() (Patient, error) {
	p, _, err := parse(e.Raw, e.members)
	e.members = nil
	return p, err
}

// shown says which entries of its lists a Patient is taken from: places that count from 0, -1 for none.
type shown struct{ name, mrn, phone, email, address int }

// parse takes the members of the resource where they are known; then it is valid JSON.
func parse(raw []byte, members []member) (Patient, shown, error) {
	in := readings.Get().(*reading)
	defer in.giveBack()
	in.known = members
	p, err := in.patient(raw)
	if in.odd { // once more to say where, since keeping paths takes time that hardly any resource needs
		in.reset()
		in.paths = true
		_, err = in.patient(raw)
	}
	if err != nil {
		return Patient{}, shown{}, err
	}
	return p, in.shown, nil
}

func (in *reading) patient(raw []byte) (Patient, error) {
	o, err := in.open(raw)
	if err != nil {
		return Patient{}, err
	}
	p := Patient{
		ID:        o.id(),
		BirthDate: o.birthDate(),
		Gender:    o.gender(),
		Active:    o.boolean("active"),
		Deceased:  o.deceased(),
	}
	in.shown.name = p.setNames(o.objects("name"))
	in.shown.mrn = p.setIdentifiers(o.objects("identifier"))
	in.shown.phone, in.shown.email = p.setTelecoms(o.objects("telecom"))
	in.shown.address = p.setCity(o.objects("address"))
	return p, in.err
}

// DisplayName is what stands for the patient in a list: never empty.
func (p Patient) DisplayName() string {
	if p.Family != "" && p.Given != "" {
		return p.Family + ", " + p.Given
	}
	return cmp.Or(p.Family, p.Given, p.NameText, p.MRN, p.Identifier, "Unnamed")
}

// id is lenient on purpose: FHIR's limit of 64 letters, digits, "-" and "." is often broken by real exports, and a
// patient lost for a long id is worse. What cannot be told apart safely stays out: U+FFFD is what a broken escape
// decodes to, so that two different ids could become one, and one patient the other.
func (o object) id() string {
	s, ok := o.str("id")
	if !ok {
		return ""
	}
	odd := func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r) || isBidi(r) || r == utf8.RuneError
	}
	if len(s) < 1 || len(s) > 200 || strings.ContainsFunc(s, odd) {
		o.fail("id", "must be 1 to 200 bytes without white space and control or replacement characters")
		return ""
	}
	return s
}

func (o object) birthDate() string {
	s, ok := o.str("birthDate")
	if ok && !isDate(s) {
		o.fail("birthDate", "is not a FHIR date (YYYY, YYYY-MM or YYYY-MM-DD)")
		return ""
	}
	return s
}

// isDate follows FHIR's date: a year from 0001, and a day that the calendar has.
func isDate(s string) bool {
	layout := "2006-01-02"
	if len(s) != 4 && len(s) != 7 && len(s) != len(layout) {
		return false
	}
	t, err := time.Parse(layout[:len(s)], s)
	return err == nil && t.Year() > 0
}

// genders are the codes of FHIR's AdministrativeGender.
var genders = []string{"male", "female", "other", "unknown"}

func (o object) gender() string {
	s, ok := o.str("gender")
	if ok && !slices.Contains(genders, s) {
		o.fail("gender", "is not one of FHIR's codes (male, female, other, unknown)")
		return ""
	}
	return s
}

// deceased takes both of FHIR's ways to say so; one of them is enough.
func (o object) deceased() bool {
	yes := o.boolean("deceasedBoolean")
	when := o.text("deceasedDateTime")
	return yes != nil && *yes || when != ""
}

// Classes of use in the order in which they are preferred. Lower comes first.
var (
	nameUses    = map[string]int{"official": 0, "usual": 1, "": 2, "old": 5, "maiden": 5}
	telecomUses = map[string]int{"mobile": 0, "home": 1, "work": 2, "": 3}
	addressUses = map[string]int{"home": 0, "": 1}
	mrnUses     = map[string]int{"usual": 0, "official": 0, "old": 2}
)

// class looks a use up; one that the map does not hold gets other.
func class(uses map[string]int, use string, other int) int {
	if c, ok := uses[use]; ok {
		return c
	}
	return other
}

// best holds the value with the lowest rank and then class, the first among equals.
type best[T any] struct {
	value T
	nth   int     // its place in the list
	rank  float64 // the resource's own
	class int
	found bool
}

func (b *best[T]) offer(value T, nth int, rank float64, class int) {
	if !b.found || cmp.Or(cmp.Compare(rank, b.rank), cmp.Compare(class, b.class)) < 0 {
		*b = best[T]{value: value, nth: nth, rank: rank, class: class, found: true}
	}
}

// or gives what the other holds where b holds nothing.
func (b best[T]) or(other best[T]) best[T] {
	if b.found {
		return b
	}
	return other
}

// place is -1 where nothing was found.
func (b best[T]) place() int {
	if b.found {
		return b.nth
	}
	return -1
}

type humanName struct {
	use, family, text, end string
	given                  []string
}

func (o object) humanName() humanName {
	return humanName{
		use: o.text("use"), family: o.text("family"), given: o.texts("given"), text: o.text("text"),
		end: o.object("period").text("end"),
	}
}

func (n humanName) empty() bool { return n.family == "" && len(n.given) == 0 && n.text == "" }

// class puts names that have ended after those in use, and old and maiden names last whether ended or not.
func (n humanName) class() int {
	c := class(nameUses, n.use, 3)
	switch {
	case c == nameUses["old"]:
		return 20
	case n.end != "":
		return c + 10
	}
	return c
}

func (p *Patient) setNames(list []object) (place int) {
	var show best[humanName]
	for _, o := range list {
		n := o.humanName()
		if n.empty() {
			continue
		}
		show.offer(n, o.nth, 0, n.class())
		p.Names = append(p.Names, filled([]string{n.family})...)
		p.Names = append(p.Names, n.given...)
		p.Names = append(p.Names, filled([]string{n.text})...)
	}
	p.Family, p.Given, p.NameText = show.value.family, strings.Join(show.value.given, " "), show.value.text
	return show.place()
}

type identifier struct {
	use, system, value string
	label              string   // what the resource calls it: type.text, else a display of type.coding
	codes              []string // of type.coding
	social             bool     // a social security number
}

func (o object) identifier() identifier {
	kind := o.object("type")
	id := identifier{use: o.text("use"), system: o.text("system"), value: o.text("value"), label: kind.text("text")}
	id.social = isSocialSystem(id.system) || saysSocial(id.label)
	for _, c := range kind.objects("coding") {
		code, display := c.text("code"), c.text("display")
		if code != "" {
			id.codes = append(id.codes, code)
		}
		id.label = cmp.Or(id.label, display)
		id.social = id.social || code == "SS" || saysSocial(display)
	}
	return id
}

// ssnOID is HL7's identifier for the social security numbers of the USA.
const ssnOID = "2.16.840.1.113883.4.1"

// isSocialSystem and saysSocial tell a social security number by its system and by what it is called. In doubt it is one:
// the list and the page then show less, which is the safe side (minimum necessary, 45 CFR 164.502(b)).
func isSocialSystem(system string) bool {
	// A longer OID with the same beginning is another thing.
	_, rest, found := strings.Cut(system, ssnOID)
	return found && (rest == "" || rest[0] != '.' && !isDigit(rest[0])) || strings.Contains(strings.ToLower(system), "us-ssn")
}

func saysSocial(label string) bool {
	if isASCII(label) && !holdsFold(label, "ssn") && !holdsFold(label, "social") {
		return false // the quick answer for nearly all
	}
	words := " " + Key(label) + " "
	return strings.Contains(words, " ssn ") || strings.Contains(words, " social security ")
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// holdsFold looks in ASCII for a word in lower case.
func holdsFold(s, word string) bool {
	for i := range len(s) - len(word) + 1 {
		if s[i]|0x20 == word[0] && strings.EqualFold(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}

// setIdentifiers finds the MRN among those typed as such (code MR of HL7's table 0203), else among those of no told
// kind, which is how many small systems export theirs.
func (p *Patient) setIdentifiers(list []object) (mrn int) {
	var typed, untold best[string]
	for _, o := range list {
		id := o.identifier()
		if id.value == "" || id.social {
			continue
		}
		p.Identifier = cmp.Or(p.Identifier, id.value)
		c := class(mrnUses, id.use, 1)
		switch {
		case slices.Contains(id.codes, "MR"):
			typed.offer(id.value, o.nth, 0, c)
		case len(id.codes) == 0:
			untold.offer(id.value, o.nth, 0, max(c, 1)) // the first, whatever its use, unless that is old
		}
	}
	found := typed.or(untold)
	p.MRN = found.value
	return found.place()
}

func (p *Patient) setTelecoms(list []object) (phonePlace, emailPlace int) {
	var phone, text, email best[string]
	for _, o := range list {
		system, value, use := o.text("system"), o.text("value"), o.text("use")
		rank, c := o.number("rank", math.Inf(1)), class(telecomUses, use, 4)
		switch {
		case value == "" || use == "old":
		case system == "phone":
			phone.offer(value, o.nth, rank, c)
			p.Phones = append(p.Phones, value)
		case system == "sms":
			text.offer(value, o.nth, rank, c)
			p.Phones = append(p.Phones, value)
		case system == "email":
			email.offer(value, o.nth, rank, c)
		}
	}
	phone = phone.or(text)
	p.Phone, p.Email = phone.value, email.value
	return phone.place(), email.place()
}

func (p *Patient) setCity(list []object) (place int) {
	var city best[string]
	for _, o := range list {
		if name, use := o.text("city"), o.text("use"); name != "" && use != "old" {
			city.offer(name, o.nth, 0, class(addressUses, use, 2))
		}
	}
	p.City = city.value
	return city.place()
}

// What follows reads JSON. It is not left to encoding/json because that takes "Name" for name where FHIR is
// case-sensitive, may quote a value in its errors, and decodes all of a resource of which the list needs a tenth. First
// comes one pass that checks the text; after it the functions that walk take valid JSON for granted.

// reading is what the objects of one resource share.
type reading struct {
	known []member // of the resource, which is valid JSON then
	odd   bool     // something had not the shape that it should, and was left out
	paths bool     // keep paths, so that err can name one
	err   error    // what was odd first
	shown shown    // where what is shown was found
	room  []member // of all objects, because many small slices take longer than the reading
	lists []object // of all lists of objects, for the same reason
}

// readings are used again: making room for each resource takes longer than reading it.
var readings = sync.Pool{New: func() any { return new(reading) }}

// maxRoom is how many members a reading that is kept has room for; a strange resource may have taken far more.
const maxRoom = 1024

// reset forgets the resource, so that nothing of it stays in memory.
func (in *reading) reset() {
	clear(in.room)
	clear(in.lists)
	*in = reading{room: in.room[:0], lists: in.lists[:0]}
}

func (in *reading) giveBack() {
	if cap(in.room) <= maxRoom && cap(in.lists) <= maxRoom {
		in.reset()
		readings.Put(in)
	}
}

// object is a JSON object.
type object struct {
	path    string // where it stands, with a point at the end: "name[0]."; "" if paths are not kept
	nth     int    // its place in its list, counted from 0
	members []member
	in      *reading
}

type member struct{ key, value []byte }

// open checks that raw is one JSON object that is a Patient.
func (in *reading) open(raw []byte) (object, error) {
	if in.room == nil {
		in.room, in.lists = make([]member, 0, 128), make([]object, 0, 32)
	}
	switch {
	case in.known != nil:
		in.room = append(in.room, in.known...)
	case !utf8.Valid(raw): // first, because encoding/json would replace what is not
		return object{}, errors.New("the resource is not valid UTF-8")
	default:
		if err := in.checkJSON(raw); err != nil {
			return object{}, err
		}
		if raw[skipSpace(raw, 0)] != '{' {
			return object{}, errors.New("the resource must be a JSON object")
		}
	}
	o := object{members: in.room, in: in}
	v := o.get("resourceType")
	switch {
	case in.err != nil:
		return object{}, in.err
	case v == nil || v[0] != '"':
		return object{}, ErrNoResourceType
	case decodeString(v) != "Patient":
		return object{}, ErrNotPatient
	}
	return o, nil
}

func (o object) fail(key, rule string) {
	o.in.odd = true
	if o.in.paths && o.in.err == nil {
		o.in.err = errors.New(o.path + key + " " + rule)
	}
}

// get gives the member's JSON text; nil where it is missing or null. FHIR wants names to be unique. One that is not
// leaves open which value is meant, and a guess at somebody's id or name is a guess too many.
func (o object) get(key string) []byte {
	var v []byte
	seen := false
	for _, m := range o.members {
		if string(m.key) != key {
			continue
		}
		if seen {
			o.fail(key, "must not be there twice")
		}
		seen, v = true, m.value
	}
	return present(v)
}

func present(v []byte) []byte {
	if len(v) == 0 || v[0] == 'n' {
		return nil
	}
	return v
}

// str gives a string as it is, and whether there is one.
func (o object) str(key string) (string, bool) {
	v := o.get(key)
	if v != nil && v[0] != '"' {
		o.fail(key, "must be a string")
		return "", false
	}
	return decodeString(v), v != nil
}

// text gives a string fit to show.
func (o object) text(key string) string {
	s, _ := o.str(key)
	return clean(s)
}

// texts gives a list of strings fit to show, without those that are empty. FHIR puts null where a primitive has
// extensions but no value.
func (o object) texts(key string) []string {
	var list []string
	o.each(key, func(n int, v []byte, i int) int {
		end := skipValue(v, i)
		if v[i] != '"' {
			o.fail(element(key, n), "must be a string")
		} else if s := clean(decodeString(v[i:end])); s != "" {
			list = append(list, s)
		}
		return end
	})
	return list
}

func (o object) boolean(key string) *bool {
	v := o.get(key)
	if v == nil {
		return nil
	}
	if v[0] != 't' && v[0] != 'f' {
		o.fail(key, "must be true or false")
		return nil
	}
	yes := v[0] == 't'
	return &yes
}

// number gives missing where there is none.
func (o object) number(key string, missing float64) float64 {
	v := o.get(key)
	if v == nil {
		return missing
	}
	if v[0] != '-' && !isDigit(v[0]) {
		o.fail(key, "must be a number")
		return missing
	}
	f, _ := strconv.ParseFloat(string(v), 64) // out of range is infinite, which compares as it should
	return f
}

func (o object) object(key string) object {
	v := o.get(key)
	if v == nil || v[0] != '{' {
		if v != nil {
			o.fail(key, "must be an object")
		}
		return object{in: o.in}
	}
	e := object{in: o.in}
	if o.in.paths {
		e.path = o.path + key + "."
	}
	e.members, _ = o.in.members(v, 0)
	return e
}

func (o object) objects(key string) []object {
	from := len(o.in.lists)
	o.each(key, func(n int, v []byte, i int) int {
		if v[i] != '{' {
			o.fail(element(key, n), "must be an object")
			return skipValue(v, i)
		}
		e := object{nth: n, in: o.in}
		if o.in.paths {
			e.path = o.path + element(key, n) + "."
		}
		e.members, i = o.in.members(v, i)
		o.in.lists = append(o.in.lists, e)
		return i
	})
	return o.in.lists[from:]
}

func element(key string, n int) string { return key + "[" + strconv.Itoa(n) + "]" }

// each visits the elements of a list that are not null: the nth begins at v[i], and visit gives the place after it.
func (o object) each(key string, visit func(n int, v []byte, i int) int) {
	v := o.get(key)
	if v == nil {
		return
	}
	if v[0] != '[' {
		o.fail(key, "must be a list")
		return
	}
	n := 0
	for i := skipSpace(v, 1); v[i] != ']'; n++ {
		if v[i] == 'n' {
			i = skipValue(v, i)
		} else {
			i = visit(n, v, i)
		}
		i = skipComma(v, i)
	}
}

// members takes the object apart that begins at i, and gives the place after it too.
func (in *reading) members(raw []byte, i int) ([]member, int) {
	from := len(in.room)
	for i = skipSpace(raw, i+1); raw[i] != '}'; {
		key := i
		i = skipString(raw, i)
		value := skipSpace(raw, skipSpace(raw, i)+1) // over the colon
		name := raw[key:i]
		i = skipValue(raw, value)
		in.keep(name, raw[value:i])
		i = skipComma(raw, i)
	}
	return in.room[from:], i + 1
}

// keep takes the name in its quotation marks.
func (in *reading) keep(name, value []byte) {
	key := name[1 : len(name)-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		key = []byte(decodeString(name))
	}
	in.room = append(in.room, member{key: key, value: value})
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\r' || raw[i] == '\t') {
		i++
	}
	return i
}

func skipComma(raw []byte, i int) int {
	i = skipSpace(raw, i)
	if raw[i] == ',' {
		i = skipSpace(raw, i+1)
	}
	return i
}

// skipString gives the place after the string that begins at i.
func skipString(raw []byte, i int) int {
	for {
		i += 1 + bytes.IndexByte(raw[i+1:], '"')
		before := i
		for raw[before-1] == '\\' {
			before--
		}
		if (i-before)%2 == 0 { // an even number of backslashes escape each other
			return i + 1
		}
	}
}

func skipValue(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		for depth := 0; ; {
			switch raw[i] {
			case '"':
				i = skipString(raw, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
	}
	for { // a number, true, false or null
		switch raw[i] {
		case ',', ']', '}', ' ', '\n', '\r', '\t':
			return i
		}
		i++
	}
}

// checkJSON says whether raw is one JSON value by RFC 8259, nested maxDepth deep at most. It stands here because json.Valid
// takes as long as all the rest together; a fuzz test holds the two to the same answers. On its way it keeps the members
// of the outermost object.
func (in *reading) checkJSON(raw []byte) error {
	i, err := in.checkValue(raw, skipSpace(raw, 0), 0)
	if err == nil && skipSpace(raw, i) < len(raw) {
		err = errNotJSON
	}
	return err
}

// at gives 0 beyond the end, which JSON allows nowhere.
func at(raw []byte, i int) byte {
	if i < len(raw) {
		return raw[i]
	}
	return 0
}

// checkValue gives the place after the value that begins at i, as the functions after it do for what they check.
func (in *reading) checkValue(raw []byte, i, depth int) (int, error) {
	switch c := at(raw, i); c {
	case '"':
		return checkString(raw, i)
	case '{', '[':
		if depth == maxDepth {
			return i, errTooDeep
		}
		return in.checkList(raw, i, depth+1, c+2) // in ASCII } and ] stand two after their partners
	case 't':
		return checkWord(raw, i, "true")
	case 'f':
		return checkWord(raw, i, "false")
	case 'n':
		return checkWord(raw, i, "null")
	}
	return checkNumber(raw, i)
}

func (in *reading) checkList(raw []byte, i, depth int, end byte) (int, error) {
	i = skipSpace(raw, i+1)
	if at(raw, i) == end {
		return i + 1, nil
	}
	for {
		var err error
		var name []byte
		if end == '}' {
			if name, i, err = checkKey(raw, i); err != nil {
				return i, err
			}
		}
		value := i
		if i, err = in.checkValue(raw, i, depth); err != nil {
			return i, err
		}
		if depth == 1 && name != nil {
			in.keep(name, raw[value:i])
		}
		i = skipSpace(raw, i)
		switch at(raw, i) {
		case end:
			return i + 1, nil
		case ',':
			i = skipSpace(raw, i+1)
		default:
			return i, errNotJSON
		}
	}
}

// checkKey goes to the value after the colon.
func checkKey(raw []byte, i int) (name []byte, value int, err error) {
	end, err := checkString(raw, i)
	if err != nil {
		return nil, end, err
	}
	colon := skipSpace(raw, end)
	if at(raw, colon) != ':' {
		return nil, colon, errNotJSON
	}
	return raw[i:end], skipSpace(raw, colon+1), nil
}

func checkWord(raw []byte, i int, word string) (int, error) {
	if !bytes.HasPrefix(raw[i:], []byte(word)) {
		return i, errNotJSON
	}
	return i + len(word), nil
}

func checkString(raw []byte, i int) (int, error) {
	if at(raw, i) != '"' {
		return i, errNotJSON
	}
	for i++; i < len(raw) && raw[i] >= ' '; i++ {
		switch raw[i] {
		case '"':
			return i + 1, nil
		case '\\':
			i++
			switch at(raw, i) {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; !isHex(at(raw, i)) {
						return i, errNotJSON
					}
				}
			default:
				return i, errNotJSON
			}
		}
	}
	return i, errNotJSON
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func checkNumber(raw []byte, i int) (int, error) {
	if at(raw, i) == '-' {
		i++
	}
	if at(raw, i) == '0' && isDigit(at(raw, i+1)) {
		return i, errNotJSON
	}
	i, err := checkDigits(raw, i)
	if err == nil && at(raw, i) == '.' {
		i, err = checkDigits(raw, i+1)
	}
	if err == nil && at(raw, i)|0x20 == 'e' {
		if i++; at(raw, i) == '+' || at(raw, i) == '-' {
			i++
		}
		i, err = checkDigits(raw, i)
	}
	return i, err
}

// checkDigits wants one or more.
func checkDigits(raw []byte, i int) (int, error) {
	if !isDigit(at(raw, i)) {
		return i, errNotJSON
	}
	for isDigit(at(raw, i)) {
		i++
	}
	return i, nil
}

// common are strings that nearly every resource holds, so that they need not be made anew.
var common = func() map[string]string {
	all := map[string]string{}
	for _, s := range append(strings.Fields("Patient official usual maiden old home work mobile phone email MR SS DL PPN"), genders...) {
		all[s] = s
	}
	return all
}()

// decodeString decodes a JSON string; "" for none.
func decodeString(v []byte) string {
	if len(v) < 2 {
		return ""
	}
	if bytes.IndexByte(v, '\\') < 0 {
		if s, ok := common[string(v[1:len(v)-1])]; ok {
			return s
		}
		return string(v[1 : len(v)-1])
	}
	var s string
	_ = json.Unmarshal(v, &s) // cannot fail: v is part of valid JSON
	return s
}

// clean makes a string fit for one line of a page and for PostgreSQL, whose text cannot hold NUL: control characters
// become spaces, white space collapses, and what could turn the order of the text around it is left out.
func clean(s string) string {
	if isClean(s) {
		return s
	}
	b := strings.Builder{}
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch {
		case isBidi(r):
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = b.Len() > 0
		default:
			if space {
				b.WriteByte(' ')
				space = false
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isClean is the quick answer for plain ASCII; false means only that clean must look closer.
func isClean(s string) bool {
	last := byte(' ') // so that a space in front counts as one too many
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c > '~' || c == ' ' && last == ' ' {
			return false
		}
		last = c
	}
	return s == "" || last != ' '
}

// isBidi tells the embedding, override and isolate controls of Unicode's bidirectional algorithm.
func isBidi(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}
