// Package sample invents patients for the demo, the tests and the load runs. None of them is a person: names are drawn
// from lists of common parts, streets do not exist, telephone numbers and mail addresses are from the ranges that are
// set aside for fiction (555-0100 to 0199; Ofcom's drama numbers; RFC 2606's example names). They are chosen to be
// awkward where real ones are: scripts, lengths, missing parts, and people who are easily taken for each other.
package sample

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"
)

// today is the day on which ages are reckoned. It stands still, so that the same seed is the same patients for ever.
var today = time.Date(2025, time.December, 31, 0, 0, 0, 0, time.UTC)

// Patients yields n invented FHIR R4 Patient resources, each one JSON object on one line without its end, and each the
// caller's to keep. The same seed gives the same patients, and a larger n only adds to them. The first ones are the
// awkward cases, one of each, whatever the seed.
func Patients(seed uint64, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			text, err := json.Marshal(invent(seed, i))
			if err != nil {
				panic("sample: " + err.Error()) // structs of strings and booleans always have a JSON form
			}
			if !yield(text) {
				return
			}
		}
	}
}

// The parts of FHIR R4's Patient that the samples use, in the order in which FHIR documents them.
type (
	patient struct {
		ResourceType        string          `json:"resourceType"`
		ID                  string          `json:"id"`
		Identifier          []identifier    `json:"identifier,omitempty"`
		Active              *bool           `json:"active,omitempty"`
		Name                []humanName     `json:"name,omitempty"`
		Telecom             []contactPoint  `json:"telecom,omitempty"`
		Gender              string          `json:"gender,omitempty"`
		BirthDate           string          `json:"birthDate,omitempty"`
		DeceasedBoolean     *bool           `json:"deceasedBoolean,omitempty"`
		DeceasedDateTime    string          `json:"deceasedDateTime,omitempty"`
		Address             []address       `json:"address,omitempty"`
		MaritalStatus       *concept        `json:"maritalStatus,omitempty"`
		MultipleBirth       int             `json:"multipleBirthInteger,omitempty"`
		Contact             []contact       `json:"contact,omitempty"`
		Communication       []communication `json:"communication,omitempty"`
		GeneralPractitioner []reference     `json:"generalPractitioner,omitempty"`
	}
	identifier struct {
		Use    string   `json:"use,omitempty"`
		Type   *concept `json:"type,omitempty"`
		System string   `json:"system,omitempty"`
		Value  string   `json:"value"`
	}
	concept struct {
		Coding []coding `json:"coding,omitempty"`
		Text   string   `json:"text,omitempty"`
	}
	coding struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	humanName struct {
		Use    string   `json:"use,omitempty"`
		Text   string   `json:"text,omitempty"`
		Family string   `json:"family,omitempty"`
		Given  []string `json:"given,omitempty"`
		Prefix []string `json:"prefix,omitempty"`
		Suffix []string `json:"suffix,omitempty"`
	}
	contactPoint struct {
		System string `json:"system"`
		Value  string `json:"value"`
		Use    string `json:"use,omitempty"`
	}
	address struct {
		Use     string   `json:"use,omitempty"`
		Line    []string `json:"line,omitempty"`
		City    string   `json:"city,omitempty"`
		State   string   `json:"state,omitempty"`
		Country string   `json:"country,omitempty"`
	}
	contact struct {
		Relationship []concept      `json:"relationship"`
		Name         *humanName     `json:"name,omitempty"`
		Telecom      []contactPoint `json:"telecom,omitempty"`
	}
	communication struct {
		Language  concept `json:"language"`
		Preferred bool    `json:"preferred,omitempty"`
	}
	reference struct {
		Display string `json:"display"`
	}
)

const (
	mrnSystem  = "https://chartroom.example/mrn"
	typeSystem = "http://terminology.hl7.org/CodeSystem/v2-0203"
	langSystem = "urn:ietf:bcp:47"
	wedSystem  = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
)

// dice is one patient's chance, the same whenever that patient is made.
type dice struct{ *rand.Rand }

func (d dice) percent(p float64) bool { return d.Float64()*100 < p }

func pick[T any](d dice, list []T) T { return list[d.IntN(len(list))] }

// common picks from a list that has the commonest first: the first of 50 comes as often as the last 13 together.
func common[T any](d dice, list []T) T {
	u := d.Float64()
	return list[int(u*u*float64(len(list)))]
}

// invent makes patient i of a seed, the first of which are the awkward ones.
func invent(seed uint64, i int) *patient {
	sum := sha256.Sum256(fmt.Appendf(nil, "chartroom sample %d %d", seed, i))
	d := dice{rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[16:]), binary.BigEndian.Uint64(sum[24:])))}
	p := ordinary(d, i)
	p.ID = uuid(sum[:16])
	if i < len(awkward) {
		awkward[i].make(p)
	}
	return p
}

// uuid gives 16 bytes the form of RFC 9562's version 8, which is free for one's own use.
func uuid(b []byte) string {
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func ordinary(d dice, i int) *patient {
	c := anyCulture(d)
	gender := anyGender(d)
	family, given := c.name(d, gender)
	born := birth(d)
	lives := home(d, c)
	p := &patient{
		ResourceType: "Patient",
		Identifier:   []identifier{mrn(i)},
		Active:       ptr(!d.percent(2)),
		Name:         []humanName{{Use: "official", Text: c.text(family, given), Family: family, Given: given}},
		Gender:       gender,
		BirthDate:    written(d, born),
		Address:      []address{{Use: "home", Line: []string{street(d)}, City: lives.city, State: lives.state, Country: lives.country}},
		Communication: []communication{{
			Language: concept{Coding: []coding{{System: langSystem, Code: c.language}}}, Preferred: true,
		}},
	}
	p.Telecom = reach(d, i, lives)
	adult := age(born) >= 18
	if adult && gender == "female" && d.percent(12) {
		p.Name = append(p.Name, humanName{Use: "maiden", Family: c.familyName(d, gender)})
	}
	if d.percent(4) {
		p.Name = append(p.Name, humanName{Use: "nickname", Given: []string{given[0]}})
	}
	if adult && d.percent(60) {
		p.MaritalStatus = &concept{Coding: []coding{pick(d, wed)}}
	}
	if !adult || d.percent(30) {
		p.Contact = []contact{c.contact(d, family, adult, lives)}
	}
	if d.percent(50) {
		p.GeneralPractitioner = []reference{{Display: "Dr. " + common(d, cultures[0].family)}}
	}
	if d.percent(100 * float64(age(born)) / 1500) { // the old more often
		died(d, p, born)
	}
	return p
}

func mrn(i int) identifier {
	return identifier{
		Use:    "usual",
		Type:   &concept{Coding: []coding{{System: typeSystem, Code: "MR", Display: "Medical record number"}}},
		System: mrnSystem,
		Value:  fmt.Sprintf("MRN-%07d", i+1),
	}
}

func anyGender(d dice) string {
	switch n := d.IntN(1000); {
	case n < 503:
		return "female"
	case n < 988:
		return "male"
	case n < 995:
		return "other"
	}
	return "unknown"
}

func anyCulture(d dice) *culture {
	n := d.IntN(1000)
	for i := range cultures {
		if n -= cultures[i].weight; n < 0 {
			return &cultures[i]
		}
	}
	return &cultures[0]
}

// familyName chooses the form that fits the gender and opens the lists' underscores.
func (c *culture) familyName(d dice, gender string) string {
	his, hers, two := strings.Cut(common(d, c.family), "|")
	if two && gender == "female" {
		his = hers
	}
	return strings.ReplaceAll(his, "_", " ")
}

func (c *culture) name(d dice, gender string) (family string, given []string) {
	family = c.familyName(d, gender)
	switch {
	case c.double != "" && d.percent(70):
		family += c.double + c.familyName(d, gender)
	case c.language == "en" && d.percent(3):
		family += "-" + c.familyName(d, gender)
	}
	list := c.women
	if gender == "male" || gender != "female" && d.percent(50) {
		list = c.men
	}
	given = []string{common(d, list)}
	if !c.joined && d.percent(35) {
		if second := pick(d, list); second != given[0] {
			given = append(given, second)
		}
	}
	return family, given
}

// text is how the name is written where that is not given names, a space, family name.
func (c *culture) text(family string, given []string) string {
	switch {
	case c.joined:
		return family + strings.Join(given, "")
	case c.language == "vi" || c.language == "hu":
		return family + " " + strings.Join(given, " ")
	}
	return ""
}

// birth is a day up to a hundred years ago, with the ages of a general practice: all, but fewer from sixty on.
func birth(d dice) time.Time {
	years := d.Float64() * 75
	if d.percent(28) {
		years = 60 + 40*d.Float64()*d.Float64()
	}
	return today.AddDate(0, 0, -int(years*365.24))
}

func age(born time.Time) int { return int(today.Sub(born).Hours() / 24 / 365.25) }

// written is the birth date as a register has it: nearly always the day.
func written(d dice, born time.Time) string {
	switch n := d.IntN(1000); {
	case n < 2:
		return ""
	case n < 8:
		return born.Format("2006")
	case n < 11:
		return born.Format("2006-01")
	}
	return born.Format(time.DateOnly)
}

func died(d dice, p *patient, born time.Time) {
	if d.percent(25) {
		p.DeceasedBoolean = ptr(true)
		return
	}
	lived := int(today.Sub(born).Hours() / 24)
	p.DeceasedDateTime = today.AddDate(0, 0, -d.IntN(1+min(lived, 3650))).Format(time.DateOnly)
}

func home(d dice, c *culture) place {
	if d.percent(35) {
		return pick(d, c.home)
	}
	return pick(d, here)
}

var (
	streets = words("Marigold Lanternfish Thimble Quillwort Candlewick Pebbleback Sorrelmane Windlass Copperkettle Mossgather Plumfield Teasel Larkwhistle Saltmarsh Umber Hazelnut Driftwood Papermill")
	kinds   = words("Street Avenue Lane Crescent Way Court Terrace Close")
	areas   = words("212 215 217 303 312 404 415 505 512 602 617 651 713 808 916 971")
	wed     = []coding{
		{wedSystem, "M", "Married"}, {wedSystem, "M", "Married"}, {wedSystem, "S", "Never Married"},
		{wedSystem, "D", "Divorced"}, {wedSystem, "W", "Widowed"},
	}
)

func street(d dice) string {
	s := fmt.Sprintf("%d %s %s", 1+d.IntN(1999), pick(d, streets), pick(d, kinds))
	if d.percent(20) {
		s += fmt.Sprintf(", Apt %d", 1+d.IntN(60))
	}
	return s
}

// phone gives a number that is nobody's: 555-0100 to 0199 in North America, Ofcom's drama numbers in Britain.
func phone(d dice, country string) string {
	if country != "GB" {
		return fmt.Sprintf("+1 %s-555-01%02d", pick(d, areas), d.IntN(100))
	}
	if d.percent(40) {
		return fmt.Sprintf("+44 7700 900%03d", d.IntN(1000))
	}
	return fmt.Sprintf("01632 960%03d", d.IntN(1000))
}

// reach is how the patient is reached; one in twenty is not.
func reach(d dice, i int, lives place) []contactPoint {
	var all []contactPoint
	if d.percent(90) {
		all = append(all, contactPoint{System: "phone", Value: phone(d, lives.country), Use: pick(d, words("home mobile mobile"))})
	}
	if d.percent(10) {
		all = append(all, contactPoint{System: "phone", Value: phone(d, lives.country), Use: "work"})
	}
	if d.percent(55) {
		host := pick(d, words("example.org example.org post.example example.com"))
		all = append(all, contactPoint{System: "email", Value: fmt.Sprintf("p%d@%s", i+1, host)})
	}
	return all
}

func (c *culture) contact(d dice, family string, adult bool, lives place) contact {
	relation, gender := pick(d, words("Mother Mother Father")), "female"
	if adult {
		relation = pick(d, words("Spouse Sister Brother Daughter Son Friend Neighbour"))
	}
	switch relation {
	case "Father", "Brother", "Son":
		gender = "male"
	}
	other, given := c.name(d, gender)
	if !strings.Contains(family, " ") && d.percent(50) {
		other = family
	}
	return contact{
		Relationship: []concept{{Text: relation}},
		Name:         &humanName{Family: other, Given: given},
		Telecom:      []contactPoint{{System: "phone", Value: phone(d, lives.country)}},
	}
}

func ptr[T any](v T) *T { return &v }
