package handlers

import (
	"errors"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

func (s *Server) account(w http.ResponseWriter, r *http.Request) error {
	return s.showAccount(w, r, http.StatusOK, views.FormField{})
}

// showAccount shows the page, with what was typed as an e-mail address where that was not taken.
func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, status int, typed views.FormField) error {
	v := scopeOf(r).viewer
	v.Fresh = false
	a, err := s.DB.Account(r.Context(), v)
	if err != nil {
		return err
	}
	f, t := s.reader(r), s.texts(r)
	email := views.FormField{ID: "email", Label: t.Account.Email, Value: deref(a.Email), Hint: t.Account.EmailHint}
	if typed.Problem != "" {
		email.Value, email.Problem, email.Focus = typed.Value, typed.Problem, true
	}
	page := views.Account{Page: s.page(r, errorTitle(t, t.Layout.Account, typed.Problem != ""), &a.Who), Ends: f.moment(a.SessionEnds), EndsISO: iso(a.SessionEnds),
		Email: email, Sessions: f.sessionRows(a.Sessions), SignIns: f.signInRows(a.SignIns), Notice: t.Account.Notices[r.URL.Query().Get("notice")]}
	for _, session := range a.Sessions {
		if !session.This {
			page.Others++
		}
	}
	if a.Failures > 0 {
		page.Warning, page.WarningDo = t.Account.Failures(a.Failures, f.number(a.Failures)), t.Account.FailuresDo(a.Failures)
	}
	s.render(w, r, status, views.AccountPage(page))
	return nil
}

func (f format) sessionRows(all []db.SessionInfo) (rows []views.SessionRow) {
	for _, i := range all {
		rows = append(rows, views.SessionRow{ID: i.ID, Device: device(f.t, i.UserAgent), Address: address(f.t, i.Client), This: i.This,
			Begun: f.moment(i.Begun), BegunISO: iso(i.Begun), LastSeen: f.moment(i.LastSeen), LastSeenISO: iso(i.LastSeen)})
	}
	return rows
}

func (f format) signInRows(all []db.SignInEvent) (rows []views.SignInRow) {
	for _, e := range all {
		row := views.SignInRow{At: f.moment(e.At), AtISO: iso(e.At), Result: f.t.Account.SignedIn, Address: address(f.t, e.Client), Refused: !e.Granted}
		if row.Refused {
			row.Result = f.t.Account.Refused
			if why := f.t.Account.Refusals[deref(e.Kind)]; why != "" {
				row.Result = why
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func address(t *texts.Texts, client *string) string {
	if client == nil {
		return t.Account.UnknownAddress
	}
	return *client
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (s *Server) changeEmail(w http.ResponseWriter, r *http.Request) error {
	email := strings.TrimSpace(r.PostForm.Get("email"))
	err := s.DB.ChangeEmail(r.Context(), scopeOf(r).viewer, email)
	if _, problem := userProblem(s.texts(r), err); problem != "" {
		return s.showAccount(w, r, http.StatusUnprocessableEntity, views.FormField{Value: email, Problem: problem})
	}
	return done(w, r, err, views.NoticePath(views.AccountPath, "email"))
}

// done leads on after a change that worked.
func done(w http.ResponseWriter, r *http.Request, err error, to string) error {
	if err == nil {
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
	return err
}

// endSession ends one of the own sessions. To end the one that asks is to sign out, for which no password is needed.
func (s *Server) endSession(w http.ResponseWriter, r *http.Request) error {
	v, id := scopeOf(r).viewer, r.PathValue("id")
	v.Fresh = false
	who, err := s.DB.Whoami(r.Context(), v)
	if err != nil {
		return err
	}
	if who.SessionID == id {
		return s.logout(w, r)
	}
	err = s.DB.EndOwnSession(r.Context(), scopeOf(r).viewer, id)
	return done(w, r, err, views.NoticePath(views.AccountPath, "session-ended"))
}

func (s *Server) endOtherSessions(w http.ResponseWriter, r *http.Request) error {
	_, err := s.DB.EndOtherSessions(r.Context(), scopeOf(r).viewer)
	return done(w, r, err, views.NoticePath(views.AccountPath, "others-ended"))
}

func (s *Server) passwordForm(w http.ResponseWriter, r *http.Request) error {
	next := nextPath(r.URL.Query().Get("next"))
	return s.showPassword(w, r, http.StatusOK, views.PasswordChange{Next: next})
}

// showPassword shows the form. Where one was on the way elsewhere, it was the sign-in that led here (login).
func (s *Server) showPassword(w http.ResponseWriter, r *http.Request, status int, c views.PasswordChange) error {
	who, err := s.DB.Whoami(r.Context(), scopeOf(r).viewer)
	if err != nil {
		return err
	}
	t := s.texts(r)
	if c.Page, c.Why = s.page(r, errorTitle(t, t.Password.Change, status >= 400), &who), c.Next != ""; c.Why {
		w.Header().Set(gzhttp.HeaderNoCompression, "") // which see: the page has a part of its address, and a form token
	}
	s.render(w, r, status, views.PasswordPage(c))
	return nil
}

// changePassword needs the current password in the same form, so that it asks for no other confirmation.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request) error {
	c := views.PasswordChange{Next: nextPath(r.PostForm.Get("next"))}
	words, asked, err := suggested(r)
	if asked {
		if c.Suggested = words; err != nil {
			return err
		}
		return s.showPassword(w, r, http.StatusOK, c)
	}
	in, err := s.DB.ChangePassword(r.Context(), scopeOf(r).viewer, db.PasswordChange{Current: r.PostForm.Get("current_password"),
		New: r.PostForm.Get("new_password"), Device: s.deviceOf(r), UserAgent: r.UserAgent(), Words: s.words()})
	t := s.texts(r)
	if problem := (db.PasswordProblem{}); errors.As(err, &problem) {
		c.NewProblem = passwordProblem(t, problem)
		return s.showPassword(w, r, http.StatusUnprocessableEntity, c)
	}
	if status, said, ok := notGranted(w, t, err, t.Password.NotYours); ok {
		if status == http.StatusUnprocessableEntity {
			c.CurrentProblem = said
		} else {
			c.Failure = said
		}
		return s.showPassword(w, r, status, c)
	}
	if err != nil {
		return wrap("change the password", err)
	}
	if _, err := s.beginSession(w, r, in); err != nil {
		return wrap("change the password", err)
	}
	to := c.Next
	if to == "" {
		to = views.NoticePath(views.AccountPath, "password-changed")
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// passwordProblem says why a new password is not taken.
func passwordProblem(t *texts.Texts, err db.PasswordProblem) string {
	if short := (db.PasswordTooShort{}); errors.As(err, &short) {
		return t.Password.TooShort(db.MinPasswordLength, short.Has)
	}
	switch {
	case errors.Is(err, db.ErrPasswordTooLong):
		return t.Password.TooLong(db.MaxPasswordBytes)
	case errors.Is(err, db.ErrPasswordText):
		return t.Password.NotText
	case errors.Is(err, db.ErrPasswordCommon):
		return t.Password.Common
	case errors.Is(err, db.ErrPasswordGuessable):
		return t.Password.Guessable
	case errors.Is(err, db.ErrPasswordOwnWords):
		return t.Password.OwnWords
	case errors.Is(err, db.ErrSamePassword):
		return t.Password.Same
	}
	return t.Password.Other
}

// suggested makes up a passphrase where the form's button asks for one.
func suggested(r *http.Request) (words string, asked bool, err error) {
	if r.PostForm.Get("suggest") != "1" {
		return "", false, nil
	}
	words, err = db.SuggestPassphrase()
	return words, true, wrap("suggest a passphrase", err)
}

// words are what a password here must not be made of, beside what package db knows.
func (s *Server) words() []string { return []string{s.Clinic} }
