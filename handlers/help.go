package handlers

import (
	"net/http"

	"chartroom/db"
	"chartroom/views"
)

// help is for everybody, and needs the database only to know its reader's language and menu: where that does not answer, help is
// wanted most.
func (s *Server) help(w http.ResponseWriter, r *http.Request) error {
	var who *db.Who
	if v := scopeOf(r).viewer; v.Token != "" {
		v.Roles = db.Roles
		if found, err := s.DB.Whoami(r.Context(), v); err == nil {
			who = &found
		}
	}
	f := s.reader(r)
	v := s.helpFor(f, s.page(r, f.t.Help.Title, who))
	content := views.HelpPage(v)
	if isFragment(r) {
		content = views.HelpDialog(v)
	}
	s.render(w, r, http.StatusOK, content)
	return nil
}

func (s *Server) helpFor(f format, page views.Page) views.Help {
	h := views.Help{Page: page, BirthDates: f.dateHint()}
	switch {
	case f.monthFirst():
		h.BirthDate = "12/25/1974"
	case f.yearFirst():
		h.BirthDate = "1974-12-25"
	default:
		h.BirthDate = "25.12.1974"
	}
	return h
}
