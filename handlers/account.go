package handlers

import (
	"net/http"

	"chartroom/views"
)

func (s *Server) account(w http.ResponseWriter, r *http.Request) error {
	who, err := s.DB.Whoami(r.Context(), scopeOf(r).viewer)
	if err != nil {
		return err
	}
	email := "none on record"
	if who.Email != nil {
		email = *who.Email
	}
	s.render(w, r, http.StatusOK, views.AccountPage(views.Account{Page: s.page(r, "Account", &who), Sections: []views.Section{
		{Heading: "Profile", Items: []views.Item{
			{Term: "User name", Lines: []string{who.Username}},
			{Term: "E-mail", Lines: []string{email}},
			{Term: "Role", Lines: []string{roleNames[who.Role]}},
		}},
		{Heading: "This session", Items: []views.Item{
			{Term: "Signed in", Lines: []string{s.format.moment(who.SignedInAt)}},
			{Term: "Ends at the latest", Lines: []string{s.format.moment(who.SessionEnds)}},
		}},
	}}))
	return nil
}
