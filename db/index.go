package db

import (
	"crypto/sha256"
	"strings"

	"chartroom/db/fhir"
)

// indexed is what the patients table holds of a resource, as its columns are named. Whoever writes a patient, by import
// or by hand, writes these, so that both are found alike.
type indexed struct {
	DisplayName string
	Family      *string
	Given       *string
	MRN         *string
	BirthDate   *string
	Gender      *string
	Phone       *string
	Email       *string
	City        *string
	Active      *bool
	Deceased    bool
	FamilyKey   string
	GivenKey    string
	MRNKey      string
	Words       string
	PhoneKeys   string
	ResourceSHA []byte
}

// maxShown is how many bytes of a value the list keeps. The resource keeps all of it; a page of rows must stay a page.
const maxShown = 500

// missing sorts after every letter of every script; see the patients migration.
const missing = "\U0010FFFD"

func index(p fhir.Patient, resource []byte) indexed {
	room := new(struct { // in one piece: as many small ones take longer than what goes into them
		texts [8]string
		sha   [sha256.Size]byte
	})
	used := 0
	orNull := func(s string) *string {
		if s == "" {
			return nil
		}
		used++
		room.texts[used-1] = s
		return &room.texts[used-1]
	}
	shown := func(s string) *string { return orNull(clip(s, maxShown)) }
	// The same resource written with other white space is the same: an export has none, and may come back.
	written := resource
	if !fhir.IsTight(resource) {
		if line, err := fhir.Line(resource); err == nil {
			written = line
		}
	}
	room.sha = sha256.Sum256(written)
	return indexed{
		DisplayName: clip(p.DisplayName(), maxShown), Family: shown(p.Family), Given: shown(p.Given), MRN: shown(p.MRN),
		BirthDate: orNull(p.BirthDate), Gender: orNull(p.Gender), Phone: shown(p.Phone), Email: shown(p.Email), City: shown(p.City),
		Active: p.Active, Deceased: p.Deceased,
		FamilyKey: familyKey(p), GivenKey: fhir.Key(p.Given), MRNKey: orMissing(fhir.MRNKey(p.MRN)),
		Words: " " + fhir.Words(p.Names), PhoneKeys: phoneKeys(p.Phones), ResourceSHA: room.sha[:],
	}
}

// familyKey is what the list is sorted by first: the family name, or what is shown where there is none.
func familyKey(p fhir.Patient) string {
	switch {
	case p.Family != "":
		return orMissing(fhir.Key(p.Family))
	case p.Given != "", p.NameText != "", p.MRN != "":
		return orMissing(fhir.Key(p.DisplayName()))
	}
	return missing
}

// maxPhones bounds what a strange resource can do to the index.
const maxPhones = 20

// phoneKeys gives each distinct phone's digits backwards, each with a space before it.
func phoneKeys(phones []string) string {
	var all strings.Builder
	for _, p := range phones[:min(len(phones), maxPhones)] {
		if k := fhir.PhoneKey(p); k != "" && !strings.Contains(all.String()+" ", " "+k+" ") {
			all.WriteString(" " + k)
		}
	}
	return all.String()
}

func orMissing(key string) string {
	if key == "" {
		return missing
	}
	return key
}
