package db

import (
	"encoding/json"
	"errors"
	"time"

	"chartroom/db/fhir"
)

// Author says who made a version of a patient. An import has no Name; a person who took over what an import brought has
// both; neither is known of versions that are older than their history.
type Author struct {
	Name     string
	ImportID int // 0 when it was no import's data
}

// author is an Author's columns.
type author struct {
	UpdatedBy *string
	ImportID  *int
}

func (a author) author() Author {
	made := Author{Name: orEmpty(a.UpdatedBy)}
	if a.ImportID != nil {
		made.ImportID = *a.ImportID
	}
	return made
}

// Version is one of a patient's versions.
type Version struct {
	Number  int
	At      time.Time
	By      Author
	Changes []fhir.Difference // from the version before it; nil for First
	First   bool              // no older one is on record
}

// maxHistory is how many versions a patient's page shows.
const maxHistory = 50

// historyColumn is a scalar subquery on a patient p: the older versions, the newest first, one more than the page shows
// so that the last shown one has something to differ from.
const historyColumn = `(SELECT json_agg(h) FROM (
		SELECT version, recorded, updated_by, import_id, resource FROM patient_versions
		WHERE patient_id = p.id ORDER BY version DESC LIMIT @max_history::integer
	) h)`

// history compares each version with the one before it. older is what historyColumn gave.
func history(newest Version, resource []byte, older []byte) (list []Version, more bool, err error) {
	var rows []struct {
		Version   int             `json:"version"`
		Recorded  time.Time       `json:"recorded"`
		UpdatedBy string          `json:"updated_by"`
		ImportID  *int            `json:"import_id"`
		Resource  json.RawMessage `json:"resource"`
	}
	if len(older) > 0 {
		if err := json.Unmarshal(older, &rows); err != nil {
			return nil, false, errors.New("the patient's history cannot be read") // the cause may quote it
		}
	}
	next := newest
	for _, r := range rows {
		if next.Changes, err = fhir.Diff(r.Resource, resource); err != nil {
			return nil, false, err
		}
		list = append(list, next)
		by := author{UpdatedBy: &r.UpdatedBy, ImportID: r.ImportID}
		next, resource = Version{Number: r.Version, At: r.Recorded, By: by.author()}, r.Resource
	}
	if len(rows) == maxHistory {
		return list, true, nil
	}
	next.First = true
	return append(list, next), false, nil
}
