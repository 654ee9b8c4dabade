//go:build prove

package db_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/fhir"
	"chartroom/db/sample"
)

// TestProveImportMemoryStaysFlat imports 100,000 patients and looks at the heap while it goes on.
func TestProveImportMemoryStaysFlat(t *testing.T) {
	const n = 100_000
	d, _ := dbtest.Open(t)
	r, w := io.Pipe()
	go func() {
		for p := range sample.Patients(11, n) {
			if _, err := w.Write(append(p, '\n')); err != nil {
				return
			}
		}
		w.Close()
	}()
	var most atomic.Uint64
	var early uint64
	start := time.Now()
	report, err := d.ImportPatients(context.Background(), r, db.ImportOptions{Actor: "test", Progress: func(soFar db.ImportReport) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if soFar.Created <= n/10 {
			early = max(early, m.HeapInuse)
		}
		most.Store(max(most.Load(), m.HeapInuse))
	}})
	if err != nil || report.Created != n {
		t.Fatalf("%+v, %v", report, err)
	}
	t.Logf("%d patients in %v; heap in use at most %d MiB, in the first tenth %d MiB", n, time.Since(start).Round(time.Millisecond), most.Load()>>20, early>>20)
	if most.Load() > early+(32<<20) {
		t.Errorf("the heap grew from %d to %d MiB", early>>20, most.Load()>>20)
	}
}

// person is what the brute-force scan knows of a patient.
type person struct {
	fhir.Patient
	words  []string
	mrn    string
	phones []string
}

// crowd imports n invented patients, and knows each by the id that it has in the database.
func crowd(t *testing.T, d *db.DB, c *pgx.Conn, seed uint64, n int) map[string]person {
	t.Helper()
	byKey := map[string]person{}
	r, w := io.Pipe()
	go func() {
		for p := range sample.Crowd(seed, n) {
			f, err := fhir.Parse(p)
			if err != nil {
				w.CloseWithError(err)
				return
			}
			one := person{Patient: f, words: strings.Fields(fhir.Words(f.Names)), mrn: fhir.MRNKey(f.MRN)}
			for _, phone := range f.Phones {
				one.phones = append(one.phones, fhir.PhoneKey(phone))
			}
			byKey["id:"+f.ID] = one
			if _, err := w.Write(append(p, '\n')); err != nil {
				return
			}
		}
		w.Close()
	}()
	if _, err := d.ImportPatients(context.Background(), r, db.ImportOptions{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(context.Background(), `SELECT id::text, import_key FROM patients`)
	if err != nil {
		t.Fatal(err)
	}
	people := map[string]person{}
	var id, key string
	if _, err := pgx.ForEachRow(rows, []any{&id, &key}, func() error { people[id] = byKey[key]; return nil }); err != nil {
		t.Fatal(err)
	}
	must(t, c, `ANALYZE`)
	return people
}

// wanted is the search's promise, said once more in Go and without an index.
type wanted struct {
	fields []wantedField
	mrn    string // the whole text, where it has several fields
	phone  string
}

type wantedField struct {
	parts            []string
	joined           string
	mrn, date, phone string
}

func want(text string) wanted {
	var w wanted
	all := strings.Fields(text)
	if len(all) > 1 && strings.ContainsFunc(text, unicode.IsDigit) {
		w.mrn, w.phone = fhir.MRNKey(text), phoneOf(text)
	}
	for _, f := range all {
		one := wantedField{parts: strings.Fields(fhir.Key(f)), mrn: fhir.MRNKey(f), phone: phoneOf(f)}
		if len(one.parts) == 0 && one.mrn == "" {
			continue // a sign
		}
		if len(one.parts) > 1 {
			one.joined = strings.Join(one.parts, "")
		}
		if len(f) >= 4 && strings.Trim(f, "0123456789-") == "" {
			one.date = f
		}
		for _, layout := range []string{"2.1.2006", "2/1/2006"} {
			if day, err := time.Parse(layout, f); err == nil {
				one.date = day.Format(time.DateOnly)
			}
		}
		w.fields = append(w.fields, one)
	}
	return w
}

func phoneOf(text string) string {
	if strings.Trim(text, "+()./- 0123456789") != "" {
		return ""
	}
	return fhir.PhoneKey(text)
}

func (w wanted) is(p person) bool {
	all := len(w.fields) > 0
	for _, f := range w.fields {
		all = all && f.is(p)
	}
	return all || w.mrn != "" && strings.HasPrefix(p.mrn, w.mrn) || p.phoneEnds(w.phone)
}

func (f wantedField) is(p person) bool {
	named := len(f.parts) > 0
	for _, part := range f.parts {
		named = named && p.nameMatches(part)
	}
	return named || f.joined != "" && p.nameMatches(f.joined) || f.mrn != "" && strings.HasPrefix(p.mrn, f.mrn) ||
		f.date != "" && strings.HasPrefix(p.BirthDate, f.date) || p.phoneEnds(f.phone)
}

func (p person) nameMatches(part string) bool {
	least := 3
	for _, r := range part {
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
			least = 2
		}
	}
	inside := len([]rune(part)) >= least
	return slices.ContainsFunc(p.words, func(w string) bool { return strings.HasPrefix(w, part) || inside && strings.Contains(w, part) })
}

func (p person) phoneEnds(last string) bool {
	return last != "" && slices.ContainsFunc(p.phones, func(k string) bool { return strings.HasPrefix(k, last) })
}

// drawTerm makes up what somebody might type about a person.
func drawTerm(rnd *rand.Rand, p person) string {
	cut := func(s string) string {
		r := []rune(s)
		if len(r) == 0 {
			return ""
		}
		return string(r[:min(len(r), 2+rnd.IntN(len(r)))])
	}
	inside := func(s string) string {
		r := []rune(s)
		if len(r) < 3 {
			return s
		}
		from := rnd.IntN(len(r) - 2)
		return string(r[from : from+min(len(r)-from, 3+rnd.IntN(3))])
	}
	word := func() string {
		if all := strings.Fields(p.Family + " " + p.Given); len(all) > 0 {
			return all[rnd.IntN(len(all))]
		}
		return "x"
	}
	phone := ""
	if len(p.Phones) > 0 {
		phone = p.Phones[rnd.IntN(len(p.Phones))]
	}
	tail := phone[max(0, len(phone)-4-rnd.IntN(4)):]
	switch rnd.IntN(16) {
	case 0:
		return cut(p.Family)
	case 1:
		return cut(p.Given)
	case 2:
		return inside(word())
	case 3:
		return cut(p.Given) + " " + cut(p.Family)
	case 4:
		return cut(p.Family) + " " + cut(p.Given)
	case 5:
		return p.Family
	case 6:
		return p.Family + ", " + p.Given
	case 7:
		return strings.ToUpper(fhir.Key(word()))
	case 8:
		return cut(p.MRN)
	case 9:
		return p.BirthDate[:min(len(p.BirthDate), 4+3*rnd.IntN(3))]
	case 10:
		if day, err := time.Parse("2006-01-02", p.BirthDate); err == nil {
			return day.Format([]string{"2.1.2006", "02/01/2006"}[rnd.IntN(2)])
		}
		return p.BirthDate
	case 11:
		return tail
	case 12: // a single letter finds thousands; three of them are enough of these
		r := []rune(word())
		return string(r[:min(len(r), 1+min(1, rnd.IntN(12)))])
	case 13:
		return word() + " " + p.BirthDate
	case 14:
		return inside(word()) + " " + inside(word())
	default:
		r := []rune(word())
		r[rnd.IntN(len(r))] = []rune("%_\\'")[rnd.IntN(4)]
		return string(r)
	}
}

// drawFilter sets a filter for some of the searches, at times one that hardly anybody passes.
func drawFilter(rnd *rand.Rand, p person) (f db.Filter) {
	kind := rnd.IntN(16)
	if kind <= 3 {
		f.Gender = db.Genders[rnd.IntN(len(db.Genders))]
	}
	if kind >= 3 && kind <= 6 {
		f.Status = db.Statuses[rnd.IntN(len(db.Statuses))]
	}
	if day, err := time.Parse(time.DateOnly, p.BirthDate); err == nil && (kind == 0 || kind >= 6 && kind <= 8) {
		f.BornFrom = day.AddDate(-rnd.IntN(3), 0, -9).Format(time.DateOnly)
		f.BornTo = day.AddDate(rnd.IntN(12), 0, 0).Format(time.DateOnly)
		switch rnd.IntN(3) {
		case 0:
			f.BornFrom = ""
		case 1:
			f.BornTo = ""
		}
	}
	return f
}

func (p person) passes(f db.Filter) bool {
	status := "active"
	if p.Deceased {
		status = "deceased"
	} else if p.Active != nil && !*p.Active {
		status = "inactive"
	}
	gender := p.Gender
	if gender == "" {
		gender = "unknown"
	}
	first, last := p.BirthDate, p.BirthDate // the days between which the patient may have been born
	if len(first) == 4 {
		first, last = first+"-01", last+"-12"
	}
	if len(first) == 7 {
		first, last = first+"-01", last+"-31"
	}
	return (f.Status == "" || f.Status == status) && (f.Gender == "" || f.Gender == gender) &&
		(f.BornFrom == "" || last >= f.BornFrom) && (f.BornTo == "" || first <= f.BornTo && first != "")
}

// TestProveSearchIsRight compares what 500 searches find, over all pages and both ways, with a brute-force scan in Go
// that shares no code with the SQL; every third while patients are being added.
func TestProveSearchIsRight(t *testing.T) {
	const n = 100_000
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "viewer")
	v := signedIn(t, d, c, "ada")
	people := crowd(t, d, c, 13, n)
	ids := slices.Sorted(maps.Keys(people))
	stop := make(chan struct{})
	var adding sync.WaitGroup
	var hold sync.RWMutex // the ones being added wait while somebody looks at a still list
	adding.Go(func() {
		for p := range sample.Crowd(14, 1_000_000) {
			hold.RLock()
			_, err := d.ImportPatients(context.Background(), bytes.NewReader(p), db.ImportOptions{Actor: "test"})
			hold.RUnlock()
			if err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	defer func() { close(stop); adding.Wait() }()
	rnd := rand.New(rand.NewPCG(1, 2))
	sorts := []db.Sort{db.SortName, db.SortBirth, db.SortMRN, db.SortUpdated}
	found := 0
	for i := range 500 {
		if i == 250 { // from here on as with very many patients
			must(t, c, `ANALYZE patients`)
			db.SetReach(t, 300, 5000, 50)
		}
		text := drawTerm(rnd, people[ids[rnd.IntN(len(ids))]])
		s, err := db.ParseSearch(text, false)
		if err != nil || s.Empty() {
			continue
		}
		var right []string
		w := want(text)
		f := drawFilter(rnd, people[ids[rnd.IntN(len(ids))]])
		for _, id := range ids {
			if w.is(people[id]) && people[id].passes(f) {
				right = append(right, id)
			}
		}
		found += len(right)
		q := db.ListQuery{Sort: db.SortBest}
		if rnd.IntN(3) == 0 {
			q = db.ListQuery{Sort: sorts[rnd.IntN(len(sorts))], Desc: rnd.IntN(2) == 0}
		}
		q.Search, q.Filter, q.Size = s, f, 100
		still := i%3 != 0
		if still {
			hold.Lock()
		}
		forwards := walkPages(t, d, v, q, false)
		back := walkPages(t, d, v, q, true)
		if still {
			hold.Unlock()
		}
		slices.Reverse(back)
		for way, got := range map[string][]string{"forwards": forwards, "backwards": back} {
			known := slices.DeleteFunc(slices.Clone(got), func(id string) bool { _, ok := people[id]; return !ok })
			sorted := slices.Sorted(slices.Values(known))
			if !slices.Equal(sorted, right) {
				t.Errorf("%q by %s, %+v, %s: %d found, %d different ones, the scan has %d", text, q.Sort, f, way, len(known), len(slices.Compact(sorted)), len(right))
			}
			all := slices.Sorted(slices.Values(got))
			if len(slices.Compact(all)) != len(got) {
				t.Errorf("%q by %s, %s: a row came twice", text, q.Sort, way)
			}
		}
		if still && !slices.Equal(forwards, back) {
			t.Errorf("%q by %s: another order backwards", text, q.Sort)
		}
	}
	t.Logf("500 searches found %d patients each way", found)
}

// TestProveMisspeltNamesAreFound types the names of patients with one error and with two, and looks for the patient
// among the first ten of what comes back. The figures go into docs/performance.md.
func TestProveMisspeltNamesAreFound(t *testing.T) {
	const n, names = 100_000, 1000
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "viewer")
	v := signedIn(t, d, c, "ada")
	people := crowd(t, d, c, 17, n)
	ids := slices.Sorted(maps.Keys(people))
	rnd := rand.New(rand.NewPCG(3, 4))
	table := "| typing errors | the patient is among the first ten | target |\n| --: | --: | --: |\n"
	for errors, least := range []float64{1: 0.95, 2: 0.80} {
		if errors == 0 {
			continue
		}
		hits, tried := 0, 0
		for tried < names {
			id := ids[rnd.IntN(len(ids))]
			p := people[id]
			given := strings.Fields(p.Given)
			if p.Family == "" || len(given) == 0 || !latin(p.Family+given[0]) {
				continue
			}
			text := given[0] + " " + p.Family
			for range errors {
				text = mistype(rnd, text)
			}
			tried++
			s, err := db.ParseSearch(text, false)
			if err != nil {
				t.Fatal(err)
			}
			l, err := d.ListPatients(context.Background(), v, db.ListQuery{Search: s, Sort: db.SortBest, Count: true})
			if err != nil {
				t.Fatal(err)
			}
			first := append(l.Rows, l.Similar...)
			if slices.ContainsFunc(first[:min(len(first), 10)], func(f db.Patient) bool { return f.ID == id }) {
				hits++
			} else if testing.Verbose() {
				t.Logf("%d: %q for %q: %d exact, %d similar", errors, text, given[0]+" "+p.Family, len(l.Rows), len(l.Similar))
			}
		}
		rate := float64(hits) / names
		t.Logf("%d typing errors: %.1f %% of %d among the first ten", errors, 100*rate, names)
		table += fmt.Sprintf("| %d | %.1f %% | %.0f %% |\n", errors, 100*rate, 100*least)
		if rate < least {
			t.Errorf("with %d errors %.1f %% are found, want %.0f %%", errors, 100*rate, 100*least)
		}
	}
	if dir := os.Getenv("CHARTROOM_BENCH_DIR"); dir != "" { // for docs/performance.md
		text := fmt.Sprintf("%d names of %d patients, given and family name typed with a letter swapped, dropped, doubled or mistaken "+
			"for its neighbour on the keyboard (`task prove`, %s):\n\n%s", names, n, time.Now().UTC().Format(time.DateOnly), table)
		if err := os.WriteFile(filepath.Join(dir, "misspelt.md"), []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func latin(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) })
}

// neighbours are the keys beside each letter of a keyboard.
var neighbours = map[rune]string{'q': "wa", 'w': "qes", 'e': "wrd", 'r': "etf", 't': "ryg", 'y': "tuh", 'u': "yij", 'i': "uok", 'o': "ipl", 'p': "o",
	'a': "qsz", 's': "awdx", 'd': "sefc", 'f': "drgv", 'g': "fthb", 'h': "gyjn", 'j': "hukm", 'k': "jil", 'l': "ko",
	'z': "ax", 'x': "zsc", 'c': "xdv", 'v': "cfb", 'b': "vgn", 'n': "bhm", 'm': "nj"}

// mistype makes one of the usual slips: two letters swapped, one dropped, doubled, or the key beside it.
func mistype(rnd *rand.Rand, text string) string {
	for {
		r := []rune(text)
		i := rnd.IntN(len(r) - 1)
		if !unicode.IsLetter(r[i]) || !unicode.IsLetter(r[i+1]) {
			continue
		}
		switch rnd.IntN(4) {
		case 0:
			if r[i] == r[i+1] {
				continue
			}
			r[i], r[i+1] = r[i+1], r[i]
		case 1:
			r = slices.Delete(r, i, i+1)
		case 2:
			r = slices.Insert(r, i, r[i])
		default:
			near := []rune(neighbours[unicode.ToLower(r[i])])
			if len(near) == 0 {
				continue
			}
			r[i] = near[rnd.IntN(len(near))]
		}
		return string(r)
	}
}
