package handlers

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"chartroom/db"
	"chartroom/views"
)

func (f format) author(a db.Author) string {
	t, number := &f.t.History, strconv.Itoa(a.ImportID)
	switch {
	case a.ImportID != 0 && a.Name != "":
		return a.Name + t.FromImport(number)
	case a.ImportID != 0:
		return t.Import(number)
	case a.Name != "":
		return a.Name
	}
	return t.NoAuthor
}

// history fills the part of the patient's page that tells of its versions, and of an import that waits for a decision.
func (f format) history(v *views.Patient, p db.PatientPage) {
	mayWrite := slices.Contains(db.Writers, p.Role) && v.Page.Off == nil
	if mayWrite {
		v.Edit = views.EditPatientPath(p.ID)
	}
	v.MoreHistory = p.More
	for _, version := range p.History {
		e := views.HistoryEntry{Number: strconv.Itoa(version.Number), By: f.author(version.By), At: f.moment(version.At),
			AtISO: iso(version.At), Changes: f.changeLines(version.Changes), Said: f.t.History.Nothing}
		switch {
		case version.First && version.Number == 1:
			e.Said = f.t.History.First
		case version.First:
			e.Said = f.t.History.Unknown
		}
		v.History = append(v.History, e)
	}
	if c := p.Conflict; c != nil {
		batch := strconv.Itoa(c.ImportID)
		v.Conflict = &views.ImportConflict{Action: views.ConflictPath(p.ID), Import: batch,
			At: f.moment(c.ReceivedAt), AtISO: iso(c.ReceivedAt), Lines: f.changeLines(c.Changes), Decides: mayWrite,
			Hidden: []views.Hidden{{Name: "version", Value: strconv.Itoa(p.Version)}, {Name: "import", Value: batch}}}
		if mayWrite {
			v.Conflict.FormToken = v.Page.User.FormToken
		}
	}
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
