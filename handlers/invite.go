package handlers

import (
	"errors"
	"net/http"

	"chartroom/db"
	"chartroom/views"
)

// invite shows the form behind a link by which a user sets a password.
func (s *Server) invite(w http.ResponseWriter, r *http.Request) error {
	return s.showInvite(w, r, http.StatusOK, views.Invite{})
}

func (s *Server) showInvite(w http.ResponseWriter, r *http.Request, status int, i views.Invite) error {
	token := r.PathValue("token")
	l, err := s.DB.OpenLink(r.Context(), token, scopeOf(r).viewer)
	if errors.Is(err, db.ErrNotFound) {
		s.showInviteOver(w, r)
		return nil
	}
	if err != nil {
		return err
	}
	t := s.texts(r)
	i.Page, i.Action = s.page(r, errorTitle(t, t.Password.SetTitle, status >= 400), nil), views.InvitePath(token)
	i.Username, i.New, i.Ends, i.EndsISO = l.Username, l.Kind == db.LinkInvite, s.reader(r).moment(l.Expires), iso(l.Expires)
	s.render(w, r, status, views.InvitePage(i))
	return nil
}

func (s *Server) showInviteOver(w http.ResponseWriter, r *http.Request) {
	s.render(w, r, http.StatusNotFound, views.InviteOverPage(s.page(r, s.texts(r).Password.LinkOver, nil)))
}

// useInvite sets the password and leads to sign-in: a link alone never makes a session (ASVS 6.4.3).
func (s *Server) useInvite(w http.ResponseWriter, r *http.Request) error {
	words, asked, err := suggested(r)
	if asked {
		if err != nil {
			return err
		}
		return s.showInvite(w, r, http.StatusOK, views.Invite{Suggested: words})
	}
	err = s.DB.UseLink(r.Context(), r.PathValue("token"), r.PostForm.Get("password"), scopeOf(r).viewer, s.words()...)
	if problem := (db.PasswordProblem{}); errors.As(err, &problem) {
		return s.showInvite(w, r, http.StatusUnprocessableEntity, views.Invite{Problem: passwordProblem(s.texts(r), problem)})
	}
	if errors.Is(err, db.ErrNotFound) {
		s.showInviteOver(w, r)
		return nil
	}
	if status, said, ok := notGranted(w, s.texts(r), err, ""); ok {
		return s.showInvite(w, r, status, views.Invite{Failure: said})
	}
	return done(w, r, err, views.NoticePath(views.LoginPath(""), "password-set"))
}
