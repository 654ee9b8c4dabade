package fhir

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Errors of a row. Those of encoding/csv count lines from where they began to read, which here is the row.
var (
	errRow        = errors.New("this row is not valid CSV (RFC 4180): look at its quotation marks")
	errRowFields  = errors.New("this row has more or fewer fields than the header")
	errRowID      = errors.New("this row has no Id")
	errRowBirth   = errors.New("BIRTHDATE is not a date like 1974-12-25")
	errRowDeath   = errors.New("DEATHDATE is not a date like 2024-03-09")
	errRowTooLong = errors.New("this row is longer than 1 MiB")
)

// mustHave are the columns by which the header of Synthea's patients.csv is known. The others differ by its version.
var mustHave = []string{"ID", "BIRTHDATE", "FIRST", "LAST"}

// csvColumns gives the place of each column, and how many fields a row has; nil when the line is not the header of a
// patients.csv.
func csvColumns(line []byte) (columns map[string]int, fields int) {
	names, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return nil, 0
	}
	columns = map[string]int{}
	for i, name := range slices.Backward(names) { // the first of two counts
		columns[strings.ToUpper(strings.TrimSpace(name))] = i
	}
	for _, name := range mustHave {
		if _, ok := columns[name]; !ok {
			return nil, 0
		}
	}
	return columns, len(names)
}

// rows reads what follows the header. The records are cut here, and each is given to encoding/csv on its own: for that
// package a quotation mark too many may swallow the rest of the file, here it costs one line.
type rows struct {
	r       *Reader
	columns map[string]int
	fields  int
	feed    bytes.Reader // one record
	csv     *csv.Reader  // of feed
}

func (r *Reader) csvRows(header []byte, columns map[string]int, fields int) error {
	r.header = bytes.Clone(trimEnd(header))
	r.in.pos += len(header)
	rows := &rows{r: r, columns: columns, fields: fields}
	rows.begin()
	for {
		if more, err := r.skipComments(); err != nil || !more {
			return err
		}
		if err := rows.next(); err != nil {
			return err
		}
	}
}

func (s *rows) begin() {
	s.csv = csv.NewReader(&s.feed)
	s.csv.FieldsPerRecord = s.fields
	s.csv.ReuseRecord = true
}

func (s *rows) next() error {
	in := s.r.in
	at := spot{line: in.lineNumber()}
	line, whole := in.peekLine(maxSource)
	if !whole {
		if err := in.skipLine(); err != nil {
			return err
		}
		return s.r.reject(at, errRowTooLong, nil)
	}
	record := in.peekRecord(len(line))
	if in.failure() != nil && !bytes.HasSuffix(record, []byte("\n")) {
		return in.failure() // who knows what else the row held
	}
	raw, err := s.patient(record)
	if errors.Is(err, errRow) || errors.Is(err, errRowFields) {
		record = in.rest()[:len(line)] // a mark too many paired with another row's; the next line may be a good row
	}
	e := Entry{Line: at.line, Raw: raw, Err: err, Source: bytes.Clone(trimEnd(record))}
	in.pos += len(record)
	return s.r.give(e)
}

// peekRecord goes on from the line that is ahead until each quotation mark has its partner, or gives that line alone
// when they have none within reason. A comment ends the search: it is no part of anybody's name.
func (in *input) peekRecord(line int) []byte {
	end, open := line, hasOddQuote(in.rest()[:line])
	for open {
		next := in.lineAfter(end)
		if next == 0 || in.rest()[end] == '#' {
			return in.rest()[:line]
		}
		open = open != hasOddQuote(in.rest()[end:next])
		end = next
	}
	return in.rest()[:end]
}

func hasOddQuote(part []byte) bool { return bytes.Count(part, []byte(`"`))%2 == 1 }

// lineAfter gives where the line ends that begins n bytes ahead; 0 when there is none or it goes too far.
func (in *input) lineAfter(n int) int {
	for seen := n; ; {
		if i := bytes.IndexByte(in.rest()[seen:], '\n'); i >= 0 && seen+i < maxSource {
			return seen + i + 1
		}
		seen = len(in.rest())
		switch {
		case seen > maxSource:
			return 0
		case in.more():
		case seen == n:
			return 0
		default:
			return seen
		}
	}
}

// patient makes a resource of one record.
func (s *rows) patient(record []byte) ([]byte, error) {
	if !utf8.Valid(record) {
		return nil, errNotUTF8
	}
	s.feed.Reset(record)
	values, err := s.csv.Read()
	if err != nil {
		s.begin() // some of the record may be left in it
		if errors.Is(err, csv.ErrFieldCount) {
			return nil, errRowFields
		}
		return nil, errRow
	}
	p, err := row{s.columns, values}.patient()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	to := json.NewEncoder(&b)
	to.SetEscapeHTML(false)
	if err := to.Encode(p); err != nil {
		return nil, errRow
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// row is a record of patients.csv.
type row struct {
	columns map[string]int
	values  []string
}

// of gives "" where the file has no such column.
func (r row) of(column string) string {
	i, ok := r.columns[column]
	if !ok {
		return ""
	}
	return strings.TrimSpace(r.values[i])
}

// The resource that a row becomes: what FHIR's Patient has of it, in the order in which Synthea writes one.
type csvPatient struct {
	ResourceType     string          `json:"resourceType"`
	ID               string          `json:"id"`
	Extension        []csvExtension  `json:"extension,omitempty"`
	Identifier       []csvIdentifier `json:"identifier"`
	Name             []csvName       `json:"name,omitempty"`
	Gender           string          `json:"gender,omitempty"`
	BirthDate        string          `json:"birthDate,omitempty"`
	DeceasedDateTime string          `json:"deceasedDateTime,omitempty"`
	Address          []csvAddress    `json:"address,omitempty"`
	MaritalStatus    *csvConcept     `json:"maritalStatus,omitempty"`
}

type csvExtension struct {
	URL          string         `json:"url"`
	Extension    []csvExtension `json:"extension,omitempty"`
	ValueString  string         `json:"valueString,omitempty"`
	ValueAddress *csvAddress    `json:"valueAddress,omitempty"`
}

type csvIdentifier struct {
	Type   *csvConcept `json:"type,omitempty"`
	System string      `json:"system,omitempty"`
	Value  string      `json:"value"`
}

type csvConcept struct {
	Coding []csvCoding `json:"coding,omitempty"`
	Text   string      `json:"text,omitempty"`
}

type csvCoding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type csvName struct {
	Use    string   `json:"use"`
	Family string   `json:"family,omitempty"`
	Given  []string `json:"given,omitempty"`
	Prefix []string `json:"prefix,omitempty"`
	Suffix []string `json:"suffix,omitempty"`
}

type csvAddress struct {
	Text       string   `json:"text,omitempty"`
	Line       []string `json:"line,omitempty"`
	City       string   `json:"city,omitempty"`
	District   string   `json:"district,omitempty"`
	State      string   `json:"state,omitempty"`
	PostalCode string   `json:"postalCode,omitempty"`
	Country    string   `json:"country,omitempty"`
}

func (r row) patient() (csvPatient, error) {
	p := csvPatient{
		ResourceType: "Patient", ID: r.of("ID"), Extension: r.extensions(), Identifier: r.identifiers(), Name: r.names(),
		Gender: r.gender(), BirthDate: r.of("BIRTHDATE"), DeceasedDateTime: r.of("DEATHDATE"), Address: r.addresses(), MaritalStatus: r.marital(),
	}
	_, dead := dayOf(p.DeceasedDateTime, time.UTC)
	switch {
	case p.ID == "":
		return p, errRowID
	case p.BirthDate != "" && !isDate(p.BirthDate):
		return p, errRowBirth
	case p.DeceasedDateTime != "" && !dead:
		return p, errRowDeath
	}
	return p, nil
}

func (r row) extensions() []csvExtension {
	var all []csvExtension
	for _, e := range [][2]string{{"RACE", "us-core-race"}, {"ETHNICITY", "us-core-ethnicity"}} {
		if text := r.of(e[0]); text != "" {
			all = append(all, csvExtension{URL: "http://hl7.org/fhir/us/core/StructureDefinition/" + e[1], Extension: []csvExtension{{URL: "text", ValueString: text}}})
		}
	}
	if place := r.of("BIRTHPLACE"); place != "" {
		address := &csvAddress{Text: place}
		if parts := gaps.Split(place, -1); len(parts) == 3 {
			address = &csvAddress{City: parts[0], State: parts[1], Country: parts[2]}
		}
		all = append(all, csvExtension{URL: "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", ValueAddress: address})
	}
	return all
}

// gaps are what Synthea leaves of the commas in a value.
var gaps = regexp.MustCompile(`\s*,\s*|\s{2,}`)

// identifiers has the Id twice, as Synthea's own FHIR has it: as its own and as the medical record number.
func (r row) identifiers() []csvIdentifier {
	id := r.of("ID")
	all := []csvIdentifier{
		{System: "https://github.com/synthetichealth/synthea", Value: id},
		{Type: identifierType("MR"), System: "http://hospital.smarthealthit.org", Value: id},
	}
	for _, i := range [][3]string{{"SSN", "SS", "http://hl7.org/fhir/sid/us-ssn"}, {"DRIVERS", "DL", ""}, {"PASSPORT", "PPN", ""}} {
		if value := r.of(i[0]); value != "" {
			all = append(all, csvIdentifier{Type: identifierType(i[1]), System: i[2], Value: value})
		}
	}
	return all
}

// What a code is called in the resource that is made: FHIR wants a display beside a code, for those who do not know the code.
var (
	identifierDisplays = map[string]string{"MR": "Medical record number", "SS": "Social security number", "DL": "Driver's license", "PPN": "Passport number"}
	maritalDisplays    = map[string]string{
		"A": "Annulled", "C": "Common law", "D": "Divorced", "I": "Interlocutory", "L": "Legally separated", "M": "Married",
		"P": "Polygamous", "S": "Never married", "T": "Domestic partner", "U": "Unmarried", "W": "Widowed", "UNK": "Unknown",
	}
)

func identifierType(code string) *csvConcept {
	return &csvConcept{Coding: []csvCoding{{System: "http://terminology.hl7.org/CodeSystem/v2-0203", Code: code, Display: identifierDisplays[code]}}}
}

func (r row) names() []csvName {
	n := csvName{
		Use: "official", Family: r.of("LAST"), Given: filled([]string{r.of("FIRST"), r.of("MIDDLE")}),
		Prefix: filled([]string{r.of("PREFIX")}), Suffix: filled([]string{r.of("SUFFIX")}),
	}
	if n.Family == "" && len(n.Given) == 0 {
		return nil
	}
	if r.of("MAIDEN") == "" {
		return []csvName{n}
	}
	maiden := n
	maiden.Use, maiden.Family = "maiden", r.of("MAIDEN")
	return []csvName{n, maiden}
}

func (r row) gender() string {
	switch strings.ToUpper(r.of("GENDER")) {
	case "":
		return ""
	case "M", "MALE":
		return "male"
	case "F", "FEMALE":
		return "female"
	case "U", "UNK", "UNKNOWN":
		return "unknown"
	}
	return "other"
}

func (r row) addresses() []csvAddress {
	a := csvAddress{
		Line: filled([]string{r.of("ADDRESS")}), City: r.of("CITY"), District: r.of("COUNTY"), State: r.of("STATE"), PostalCode: r.of("ZIP"), Country: "US",
	}
	if len(a.Line) == 0 && cmp.Or(a.City, a.District, a.State, a.PostalCode) == "" {
		return nil
	}
	return []csvAddress{a}
}

func (r row) marital() *csvConcept {
	code := r.of("MARITAL")
	switch {
	case code == "":
		return nil
	case maritalDisplays[code] == "":
		return &csvConcept{Text: code}
	}
	return &csvConcept{Coding: []csvCoding{{System: "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", Code: code, Display: maritalDisplays[code]}}}
}

// skipLine passes over a line of any length.
func (in *input) skipLine() error {
	_, err := io.Copy(io.Discard, &lineRest{in: in})
	return err
}

// trimEnd cuts the end off a line.
func trimEnd(line []byte) []byte { return bytes.TrimRight(line, "\r\n") }
