//go:build prove

package db_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

// TestProveSearchIsRight compares what search finds with a brute-force scan in Go that shares no code with the SQL.
func TestProveSearchIsRight(t *testing.T) {
	var all bytes.Buffer
	type person struct {
		words []string
		mrn   string
		birth string
	}
	people := map[string][]person{}
	var names []string
	for p := range sample.Patients(13, 3000) {
		all.Write(append(p, '\n'))
		f, err := fhir.Parse(p)
		if err != nil {
			t.Fatal(err)
		}
		people[f.ID] = append(people[f.ID], person{strings.Fields(fhir.Words(f.Names)), fhir.MRNKey(f.MRN), f.BirthDate})
		names = append(names, f.Names...)
		names = append(names, f.MRN, f.BirthDate)
	}
	d, c, v := withPatients(t, all.String())
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 400 {
		term := []rune(names[rnd.IntN(len(names))])
		if len(term) == 0 {
			continue
		}
		text := string(term[:1+rnd.IntN(len(term))])
		if n%3 == 0 {
			if other := strings.Fields(names[rnd.IntN(len(names))]); len(other) > 0 {
				text += " " + other[0]
			}
		}
		s, err := db.ParseSearch(text, false)
		if err != nil {
			continue
		}
		var want []string
		for id, ps := range people {
			for _, p := range ps {
				if matches(text, p.words, p.mrn, p.birth) {
					want = append(want, "id:"+id)
				}
			}
		}
		q := db.ListQuery{Search: s, Sort: db.SortName}
		var got []string
		for {
			l, err := d.ListPatients(context.Background(), v, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range l.Rows {
				got = append(got, value[string](t, c, `SELECT import_key FROM patients WHERE id = $1`, p.ID))
			}
			if !l.HasNext {
				break
			}
			q.Cursor = l.Edge(false)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %d, the scan %d", text, len(got), len(want))
		}
	}
}

func matches(text string, words []string, mrn, birth string) bool {
	all := true
	for _, f := range strings.Fields(text) {
		name := fhir.Key(f) != ""
		for _, k := range strings.Fields(fhir.Key(f)) {
			name = name && slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, k) })
		}
		k := fhir.MRNKey(f)
		date := len(f) >= 4 && strings.HasPrefix(birth, f)
		if !name && !(k != "" && strings.HasPrefix(mrn, k)) && !date {
			all = false
		}
	}
	whole := fhir.MRNKey(text)
	return all || whole != "" && strings.Contains(strings.TrimSpace(text), " ") && strings.HasPrefix(mrn, whole)
}

// TestProveSignInTakesTheSameTimeForEveryRefusal compares medians of the whole sign-in, in turn, so that whatever else
// the machine does meets all kinds alike.
func TestProveSignInTakesTheSameTimeForEveryRefusal(t *testing.T) {
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	strong, err := db.HashPassword(goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, `INSERT INTO users (username, password_hash, is_active) VALUES ('known', $1, true), ('off', $1, false),
		('weak', '$2b$10$4KVFrvj8Qle5UonzQicPKedUj0DKEMQgjE8ogiHQ5Q.a1/sdfzryO', true), ('odd', 'x', true),
		('broken', '$2b$12$................................_not_base64_________x', true)`, strong)
	times := map[string][]time.Duration{}
	for range 15 {
		for _, name := range []string{"known", "unknown", "off", "weak", "odd", "broken"} {
			start := time.Now()
			if _, err := d.SignIn(context.Background(), name, "a wrong password", db.Viewer{}, ""); err == nil {
				t.Fatal(name)
			}
			times[name] = append(times[name], time.Since(start))
		}
	}
	var all []string
	median := func(name string) time.Duration { slices.Sort(times[name]); return times[name][len(times[name])/2] }
	base := median("known")
	for name := range times {
		ratio := float64(median(name)) / float64(base)
		all = append(all, fmt.Sprintf("%s %.2f", name, ratio))
		if ratio < 0.9 || ratio > 1.1 {
			t.Errorf("%s takes %.2f of a known user's time", name, ratio)
		}
	}
	t.Log("medians against a known user's:", strings.Join(all, ", "))
}
