package sample

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"chartroom/db/fhir"
)

func TestTheSameSeedGivesTheSameCrowd(t *testing.T) {
	once, again := slices.Collect(Crowd(7, 2000)), slices.Collect(Crowd(7, 3000))
	for i := range once {
		if !bytes.Equal(once[i], again[i]) {
			t.Fatalf("patient %d differs", i)
		}
	}
	if other := slices.Collect(Crowd(8, 2000)); bytes.Equal(once[1000], other[1000]) {
		t.Error("another seed gives the same patient")
	}
	for range Crowd(1, 1<<40) {
		break
	}
}

func TestACrowdIsSkewedAndMixedAsItSays(t *testing.T) {
	const n = 40_000
	share := map[string]float64{}
	count := func(what string, is bool) {
		if is {
			share[what] += 100.0 / n
		}
	}
	ids, mrns, families := map[string]bool{}, map[string]bool{}, map[string]int{}
	for text := range Crowd(3, n) {
		read, err := fhir.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var p patient
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		ids[p.ID], mrns[read.MRN] = true, true
		name := p.Name[0]
		families[name.Family]++
		count("female", p.Gender == "female")
		count("male", p.Gender == "male")
		count("other", p.Gender == "other")
		count("unknown", p.Gender == "unknown")
		count("inactive", !*p.Active)
		count("deceased", p.DeceasedBoolean != nil)
		count("deceased and young", p.DeceasedBoolean != nil && p.BirthDate > "1990")
		count("middle name", len(name.Given) > 1)
		count("maiden name", len(p.Name) > 1)
		count("double name", strings.Contains(name.Family, "-") && !strings.HasPrefix(name.Family, "al-"))
		count("two phones", len(p.Telecom) == 2)
		count("han", name.Family >= "一" && name.Family < "\U00020000")
		count("smith", name.Family == "Smith")
		if p.BirthDate < "1925-01-01" || p.BirthDate > "2024-12-31" || p.Address[0].City == "" {
			t.Fatalf("%s", text)
		}
	}
	if len(ids) != n || len(mrns) != n || len(families) < 10_000 {
		t.Errorf("%d ids, %d MRNs, %d family names", len(ids), len(mrns), len(families))
	}
	for what, want := range map[string]float64{"female": 49.5, "male": 49.5, "other": 0.5, "unknown": 0.5, "inactive": 5, "deceased": 8,
		"deceased and young": 0.1, "middle name": 29, "maiden name": 8, "double name": 5, "two phones": 30, "han": 1.5, "smith": 0.8} {
		if got := share[what]; math.Abs(got-want) > 0.25+want/10 {
			t.Errorf("%s: %.2f %%, want about %.1f", what, got, want)
		}
	}
	if got := len(crowds().family.names); got < 20_000 {
		t.Errorf("%d family names to draw from", got)
	}
}

func BenchmarkCrowd(b *testing.B) {
	next := 0
	for range Crowd(1, b.N) {
		next++
	}
	b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "patients/s")
}
