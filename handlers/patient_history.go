package handlers

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"chartroom/db"
	"chartroom/db/fhir"
	"chartroom/views"
)

func authorName(a db.Author) string {
	batch := "import " + strconv.Itoa(a.ImportID)
	switch {
	case a.ImportID != 0 && a.Name != "":
		return a.Name + ", from " + batch
	case a.ImportID != 0:
		return "Import " + strconv.Itoa(a.ImportID)
	case a.Name != "":
		return a.Name
	}
	return "Not recorded"
}

// history fills the part of the patient's page that tells of its versions, and of an import that waits for a decision.
func (s *Server) history(v *views.Patient, p db.PatientPage) {
	mayWrite := slices.Contains(db.Writers, p.Role) && v.Page.Off == nil
	if mayWrite {
		v.Edit = views.EditPatientPath(p.ID)
	}
	v.MoreHistory = p.More
	for _, version := range p.History {
		e := views.HistoryEntry{Number: strconv.Itoa(version.Number), By: authorName(version.By), At: s.format.moment(version.At),
			AtISO: iso(version.At), Changes: s.changeLines(version.Changes), Said: "Nothing that this page shows was changed."}
		switch {
		case version.First && version.Number == 1:
			e.Said = "Put on record."
		case version.First:
			e.Said = "What was changed here, and before, is not on record."
		}
		v.History = append(v.History, e)
	}
	if c := p.Conflict; c != nil {
		batch := strconv.Itoa(c.ImportID)
		v.Conflict = &views.ImportConflict{Action: views.ConflictPath(p.ID), Import: batch,
			At: s.format.moment(c.ReceivedAt), AtISO: iso(c.ReceivedAt), Lines: s.changeLines(c.Changes), Decides: mayWrite,
			Hidden: []views.Hidden{{Name: "version", Value: strconv.Itoa(p.Version)}, {Name: "import", Value: batch}}}
		if mayWrite {
			v.Conflict.FormToken = v.Page.User.FormToken
		}
	}
}

func (s *Server) changeLines(all []fhir.Difference) (lines []views.ChangeLine) {
	for _, d := range all {
		l := views.ChangeLine{Label: d.Label, Before: d.Before, After: d.After}
		if d.Label == "Birth date" || d.Label == "Deceased" {
			l.Before, l.After = s.dates(d.Before), s.dates(d.After)
		}
		lines = append(lines, l)
	}
	return lines
}

func (s *Server) dates(lines []string) (all []string) {
	for _, l := range lines {
		all = append(all, s.date(l))
	}
	return all
}

// decideConflict takes what a person decides about data that an import brought.
func (s *Server) decideConflict(w http.ResponseWriter, r *http.Request) error {
	decision := r.PostForm.Get("decision")
	notice := map[string]string{"keep": "kept", "take": "taken"}[decision]
	c := db.Decision{ID: r.PathValue("id"), Version: number(r, "version"), ImportID: number(r, "import"), Take: decision == "take"}
	if notice == "" || c.Version == 0 || c.ImportID == 0 {
		return s.unreadable(r)
	}
	_, err := s.DB.DecideConflict(r.Context(), scopeOf(r).viewer, c)
	switch {
	case errors.Is(err, db.ErrStale):
		notice = "stale"
	case err != nil:
		return err
	}
	http.Redirect(w, r, views.PatientNoticePath(c.ID, notice), http.StatusSeeOther)
	return nil
}

// notices are what a patient's page can say of what has just been done.
var notices = map[string]string{
	"created":   "The new patient is on record.",
	"saved":     "The change is saved.",
	"unchanged": "Nothing was changed, so nothing was saved.",
	"kept":      "What is here was kept.",
	"taken":     "The imported data was taken over.",
	"stale":     "Nothing was done, because this record changed meanwhile. Look at it again and decide.",
}
