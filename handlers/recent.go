package handlers

import (
	"net/http"

	"chartroom/views"
)

// recent shows whom its reader opened last: a page, or what is in the account menu.
func (s *Server) recent(w http.ResponseWriter, r *http.Request) error {
	list, err := s.DB.RecentPatients(r.Context(), scopeOf(r).viewer)
	if err != nil {
		return err
	}
	f := s.reader(r)
	v := views.Recent{Page: s.page(r, f.t.Layout.Recent, &list.Who)}
	for _, p := range list.Patients {
		v.Patients = append(v.Patients, views.RecentPatient{URL: views.PatientPath(p.ID), Name: p.DisplayName, Birth: f.birth(p.BirthDate), MRN: p.MRN})
	}
	content := views.RecentPage(v)
	if isFragment(r) {
		content = views.RecentMenu(v)
	}
	s.render(w, r, http.StatusOK, content)
	return nil
}
