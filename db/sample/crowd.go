package sample

import (
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Crowd yields n invented FHIR R4 Patient resources for load runs, each on one line without its end and the caller's to
// keep. They are cheap to make, plainer than those of Patients, and skewed as a country's are: a few names are very
// common, most are rare. The same seed gives the same patients, and a larger n only adds to them. Phones have the area
// code 555, which nobody has.
func Crowd(seed uint64, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := crowds()
		var source rand.PCG
		m := member{crowd: c, Rand: rand.New(&source)}
		for i := range n {
			if cap(m.b)-len(m.b) < 4<<10 { // room for any of them
				m.b = make([]byte, 0, 256<<10)
			}
			source.Seed(seed, uint64(i))
			start := len(m.b)
			m.add(i)
			if !yield(m.b[start:len(m.b):len(m.b)]) {
				return
			}
		}
	}
}

// crowd is what its members are drawn from.
type crowd struct {
	family, women, men, cities lottery
	days                       []string // from the oldest to the youngest
}

var crowds = sync.OnceValue(func() *crowd {
	c := &crowd{
		family: zipf(12, 0.93, names(commonFamilies, familySyllables, 26_000)),
		women:  zipf(10, 1, names(commonWomen, givenSyllables("a ia ina elle ette isa anne een ith ýna", "iana elda ora ula ys ë"), 4_000)),
		men:    zipf(10, 1, names(commonMen, givenSyllables("o ian en ard us in ert ek ás ón", "mund rik win bert mir slav"), 4_000)),
		cities: zipf(3, 0.8, strings.Split(crowdCities, ",")),
	}
	for day := time.Date(1925, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2025; day = day.AddDate(0, 0, 1) {
		c.days = append(c.days, day.Format(time.DateOnly))
	}
	return c
})

// The commonest come first.
const (
	commonFamilies = "Smith Johnson Williams Brown Jones Garcia Miller Davis Rodriguez Martinez Hernandez Lopez Gonzalez Wilson Anderson Thomas " +
		"Taylor Moore Jackson Martin Lee Perez Thompson White Harris Sanchez Clark Ramirez Lewis Robinson Walker Young Allen King Wright Scott " +
		"Torres Nguyen Hill Flores Green Adams Nelson Baker Hall Rivera Campbell Mitchell Carter Roberts Müller Schmidt Rossi Dubois Silva Santos " +
		"Kowalski Novák Hansen Andersson Patel Singh Kim Khan Ali Chen Wang Yılmaz Nagy Popescu Papadopoulos Ó_Murchú O'Brien O'Connor D'Angelo " +
		"García Muñoz Núñez Lefèvre Côté Gonçalves Araújo Dvořák Wójcik Şahin Sørensen Öberg Þórsson Trần Phạm Adébáyọ̀ van_Dijk de_Vries von_Berg"
	commonWomen = "Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Karen Sarah Lisa Nancy Sandra Ashley Emily Kimberly Betty Margaret " +
		"Donna Michelle Carol Amanda María Ana Anna Maria Marie Fatima Sofía Zoë Chloé Léa Käthe Jana Małgorzata Ayşe Thảo Aoife Ingrid Priya Mei"
	commonMen = "James Michael Robert John David William Richard Joseph Thomas Christopher Charles Daniel Matthew Anthony Mark Steven Andrew Paul " +
		"Joshua Kenneth Kevin Brian José Juan Luis Peter Jean Mohammed Wei Nguyên André François Jürgen Łukasz Jiří Mehmet Søren Seán Raj Ömer"
	crowdCities = "Springfield,Riverton,Franklin,Greenville,Bristol,Clinton,Fairview,Salem,Madison,Georgetown,Arlington,Ashland,Burlington,Dover," +
		"Hudson,Kingston,Milton,Newport,Oxford,Saint Paul,Winchester,Coeur d'Alene,Española,Orléans,Zürich,Łódź,Plzeň,Malmö"
)

// syllables are what rare names of a language are put together from, each first part with each of the others.
type syllables struct{ first, middle, last string }

var familySyllables = []syllables{
	{"Ash Black Brad Brook Carl Clay Crom Dal East Fair Ful Gran Hal Ham Hart Haw Hol Hunt Kings Lang Lin Mel Mid Nor Oak Pem Ray Red Roth Shel Stan Sut Thorn War West Whit Win Wood",
		"_ er ing en le", "bridge brook burn bury combe cote croft dale den field ford gate ham hill hurst land ley low mere ridge shaw stead stone ton ville well wick worth"},
	{"Alb Are Bar Ben Cal Can Cas Cer Cor Dom Esc Est Fer Gal Gut Iba Jim Lar Led Mal Men Mor Nav Oli Ort Pal Qui Ram Riv Sal Sol Val Vel Zam", "_ and ar el er",
		"ada ado alba ales ante era ero ez illa illo ina ines ino iz ón oso uela uez ura ías"},
	{"Acker Alt Bach Berg Birk Brand Braun Buch Dorn Eich Engel Esch Falk Feld Finken Fröh Gold Grün Hag Hoch Holz Kalt König Kupfer Lind Löw Mühl Nuss Ober Rosen Schwarz Sonn Stein Tann Weiß Wein",
		"_ en el", "bach bauer baum beck berg bruck burg dorf eck felder gruber haus heimer hofer huber mann maier meister müller reuter stätter thaler wanger"},
	{"Bar Bor Brzoz Chmiel Czar Dąb Dob Gaj Gór Grab Jabł Jar Jas Kal Kam Kos Koz Kraw Lip Mal Olsz Ost Pawł Rut Sad Sik Sob Szym Tom Urb Wis Wol Zaj Ziel Żur", "_ al an ok",
		"owski iński ecki icki ak czyk owicz ewicz anek arz uła"},
	{"Bar Bell Ber Bon Cal Can Car Cast Cav Col Cor Dam Fab Fer Fior Gal Gar Giord Lom Mar Mont Mor Pal Pell Piv Ricc Sal Sant Sart Tarant Tod Vit Zan", "_ an ell er ett in",
		"i o a one ini oli ucci aro esi azzo"},
	{"Al Berg Björk Blom Dal Ek El Fors Grön Gran Hag Hed Hell Holm Kjell Lager Lind Lund Löf Mal Nor Ny Ros Sand Sjö Skog Stor Strand Söder Thor Väst Åker Öst", "_ a e",
		"berg blad borg dal dahl fors gren gård holm kvist lund man mark qvist sson stedt ström vall vik"},
	{"Ade Ayo Fola Ife Ola Olu Oye Ogun Akin Baba Chi Eme Nwa Oko Obi Uzo Kwa Ama Mbe Ndi", "_ bi da fe ka la mi", "ola yemi bayo tunde wale sola kunle chukwu nna rah eze mba gwe"},
	{"Aga Bana Bhat Chak Chau Das Desh Gan Gup Iyen Jay Kap Kul Mal Meh Muk Nai Pan Raj Ran Sax Sen Shar Sub Tri Var Ven", "_ a i ra sh va", "bhai dey dhan ekar gar hari jee kar man nath pande pathy rao sena shan wal"},
	{"Ab Ay Bal Bay Cel Dem Doğ El Er Gök Gül Kap Kar Koç Kur Öz Pol Sar Şen Taş Tek Uz Ya Yeş Yıl", "_ a ı", "baş can çı dağ demir er han kan kaya lar maz oğlu soy taş türk"},
	{"McA MacA McB McC McD MacD McG McK MacL McL McM McN McQ O'B O'C O'D O'F O'H O'K O'L O'M O'R O'S", "_ a e i", "ddy gan ggin hane lly loney llan neill nnor rdle rran rtin voy"},
}

// givenSyllables are rare given names, with endings that tell a woman's from a man's.
func givenSyllables(some, more string) []syllables {
	return []syllables{
		{"Al An Ar Bel Ber Cal Cor Dan Del El Em Fel Flor Gab Ger Hel Is Jan Jor Kal Kat Lar Leon Lor Mar Mel Mir Nat Nor Or Pal Ram Ros Sal Ser Sil Tam Ter Val Vir Wil Yas Zel", "_ an el er il on", some},
		{"Ad Ald Bo Brun Ed Ermen Fri Gis Gud Hil Ing Jaro Kon Lud Mil Os Rad Rein Sig Svet Theo Vla Wal Wolf Zde", "_ a e", more},
	}
}

// names are the common ones and, in an order of chance, as many rare ones as make n; all different.
func names(common string, rare []syllables, n int) []string {
	var all, tail []string
	seen := map[string]bool{}
	for _, name := range words(common) {
		name = strings.ReplaceAll(name, "_", " ")
		seen[name] = true
		all = append(all, name)
	}
	for _, s := range rare {
		for _, first := range words(s.first) {
			for _, middle := range words(s.middle) {
				for _, last := range words(s.last) {
					name := first + strings.Trim(middle, "_") + last
					if !seen[name] {
						seen[name] = true
						tail = append(tail, name)
					}
				}
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2)) // the names are the same whatever the seed of the crowd
	r.Shuffle(len(tail), func(i, j int) { tail[i], tail[j] = tail[j], tail[i] })
	return append(all, tail[:min(len(tail), n-len(all))]...)
}

// lottery draws names by their weight in constant time (the alias method of Walker and Vose).
type lottery struct {
	names []string
	stay  []float64 // that a drawn place is kept
	other []int     // what is taken where it is not
}

// zipf weighs names by their rank as Zipf and Mandelbrot found them: 1 / (rank + shift) ^ exponent.
func zipf(shift, exponent float64, names []string) lottery {
	n := len(names)
	l := lottery{names, make([]float64, n), make([]int, n)}
	sum := 0.0
	for i := range names {
		l.stay[i] = math.Pow(float64(i+1)+shift, -exponent)
		sum += l.stay[i]
	}
	var small, large []int
	for i := range names {
		l.stay[i] *= float64(n) / sum
		if l.stay[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, g := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		l.other[s] = g
		if l.stay[g] -= 1 - l.stay[s]; l.stay[g] < 1 {
			large = large[:len(large)-1]
			small = append(small, g)
		}
	}
	for _, i := range slices.Concat(small, large) { // 1, but for rounding
		l.stay[i] = 1
	}
	return l
}

func (l lottery) draw(r *rand.Rand) string {
	i := r.IntN(len(l.names))
	if r.Float64() < l.stay[i] {
		return l.names[i]
	}
	return l.names[l.other[i]]
}

var (
	hanFamilies    = []string{"王", "李", "張", "刘", "陈", "杨", "黄", "赵", "吴", "周", "欧阳", "司马"}
	hanGiven       = []string{"伟", "芳", "秀英", "敏", "静", "强", "磊", "军", "洋", "勇", "小红", "志明"}
	arabicFamilies = []string{"محمد", "أحمد", "حسن", "الخطيب", "الحداد", "المصري", "النجار", "عبد الله", "بن يوسف"}
	arabicGiven    = []string{"فاطمة", "عائشة", "مريم", "نور", "علي", "عمر", "يوسف", "خالد"}
	particles      = []string{"de la ", "del ", "van der ", "von ", "di ", "al-", "bin ", "dos ", "ter ", "St. "}
)

// member writes one of the crowd at the end of b.
type member struct {
	*crowd
	*rand.Rand
	b []byte
}

func (m *member) percent(p float64) bool { return m.Float64()*100 < p }

func (m *member) text(parts ...string) {
	for _, p := range parts {
		m.b = append(m.b, p...)
	}
}

func (m *member) add(i int) {
	age := math.Pow(m.Float64(), 1.4) // 0 to 1, of a hundred years; the young are more
	born := m.days[min(int((1-age)*float64(len(m.days))), len(m.days)-1)]
	gender, given := m.sex()
	m.text(`{"resourceType":"Patient","id":"`)
	m.uuid(i)
	m.text(`","identifier":[{"type":{"coding":[{"system":"`, typeSystem, `","code":"MR"}]},"system":"`, mrnSystem, `","value":"`)
	m.digits(uint64(i)*7919%100_000_000, 8)
	m.text(`"}],"active":`)
	if m.percent(5) {
		m.text("false")
	} else {
		m.text("true")
	}
	m.name(gender, given)
	m.text(`,"telecom":[`)
	m.phone()
	if m.percent(30) {
		m.text(",")
		m.phone()
	}
	m.text(`],"gender":"`, gender, `","birthDate":"`, born, `"`)
	if m.Float64() < 0.528*age*age*age*age { // eight in a hundred on the whole, half of the oldest
		m.text(`,"deceasedBoolean":true`)
	}
	m.text(`,"address":[{"city":"`, m.cities.draw(m.Rand), `","country":"US"}]}`)
}

func (m *member) sex() (string, *lottery) {
	switch u := m.Float64(); {
	case u < 0.495:
		return "female", &m.women
	case u < 0.99:
		return "male", &m.men
	case u < 0.995:
		return "other", &m.women
	}
	return "unknown", &m.men
}

func (m *member) name(gender string, given *lottery) {
	m.text(`,"name":[{"use":"official","family":"`)
	switch u := m.Float64() * 100; {
	case u < 1.5:
		m.text(pick(dice{m.Rand}, hanFamilies), `","given":["`, pick(dice{m.Rand}, hanGiven), `"]}]`)
		return
	case u < 2.5:
		m.text(pick(dice{m.Rand}, arabicFamilies), `","given":["`, pick(dice{m.Rand}, arabicGiven), `"]}]`)
		return
	case u < 5:
		m.text(pick(dice{m.Rand}, particles), m.family.draw(m.Rand))
	case u < 10:
		m.text(m.family.draw(m.Rand), "-", m.family.draw(m.Rand))
	default:
		m.text(m.family.draw(m.Rand))
	}
	m.text(`","given":["`, given.draw(m.Rand), `"`)
	switch u := m.Float64() * 100; {
	case u < 15:
		m.text(`,"`)
		m.b = append(m.b, byte('A'+m.IntN(26)))
		m.text(`."`)
	case u < 30:
		m.text(`,"`, given.draw(m.Rand), `"`)
	}
	m.text(`]}`)
	if gender != "male" && m.percent(16) { // eight in a hundred of all
		m.text(`,{"use":"maiden","family":"`, m.family.draw(m.Rand), `"}`)
	}
	m.text(`]`)
}

func (m *member) phone() {
	n := m.Uint64()
	m.text(`{"system":"phone","value":"+1 555-`)
	m.digits(n%800+200, 3)
	m.text("-")
	m.digits(n>>32%10_000, 4)
	m.text(`"}`)
}

func (m *member) digits(n uint64, width int) {
	at := len(m.b) + width
	m.b = append(m.b, "00000000"[:width]...)
	for ; n > 0; n /= 10 {
		at--
		m.b[at] = byte('0' + n%10)
	}
}

// uuid is a version 8 one, as in the other sample. Its end is the number of the patient, so that no two are the same.
func (m *member) uuid(i int) {
	var raw [16]byte
	high, low := m.Uint64(), uint64(i)
	for k := range 8 {
		raw[k], raw[8+k] = byte(high>>(8*k)), byte(low>>(56-8*k))
	}
	raw[6], raw[8] = raw[6]&0x0f|0x80, raw[8]&0x3f|0x80
	const hex = "0123456789abcdef"
	for k, c := range raw {
		if k == 4 || k == 6 || k == 8 || k == 10 {
			m.b = append(m.b, '-')
		}
		m.b = append(m.b, hex[c>>4], hex[c&15])
	}
}
