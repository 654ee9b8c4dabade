package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzhttp"

	"chartroom/db"
	"chartroom/views"
)

// accountNotices are what the account page can say of what has just been done.
var accountNotices = map[string]string{
	"password-changed": "Your password was changed; all other sessions were ended.",
	"email":            "Your e-mail address is saved.",
	"session-ended":    "The session is ended.",
	"others-ended":     "All other sessions are ended.",
	"role":             "Your role is changed. You are no administrator any more.",
}

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
	email := views.FormField{ID: "email", Label: "E-mail address", Value: deref(a.Email), Hint: "Leave it empty for none."}
	if typed.Problem != "" {
		email.Value, email.Problem, email.Focus = typed.Value, typed.Problem, true
	}
	page := views.Account{Page: s.page(r, errorTitle("Account", typed.Problem != ""), &a.Who), Ends: s.format.moment(a.SessionEnds), EndsISO: iso(a.SessionEnds),
		Email: email, Sessions: s.sessionRows(a.Sessions), SignIns: s.signInRows(a.SignIns), Notice: accountNotices[r.URL.Query().Get("notice")]}
	for _, session := range a.Sessions {
		if !session.This {
			page.Others++
		}
	}
	if a.Failures > 0 {
		page.Warning = plural(a.Failures, "failed attempt") + " to sign in with your name since you last signed in."
	}
	s.render(w, r, status, views.AccountPage(page))
	return nil
}

func (s *Server) sessionRows(all []db.SessionInfo) (rows []views.SessionRow) {
	for _, i := range all {
		rows = append(rows, views.SessionRow{ID: i.ID, Device: device(i.UserAgent), Address: address(i.Client), This: i.This,
			Begun: s.format.moment(i.Begun), BegunISO: iso(i.Begun), LastSeen: s.format.moment(i.LastSeen), LastSeenISO: iso(i.LastSeen)})
	}
	return rows
}

// refusals are why a sign-in was not granted, to those whose account it is.
var refusals = map[string]string{
	"wrong password": "Refused: wrong password",
	"throttled":      "Refused: too many attempts in a row",
	"locked":         "Refused: locked after too many attempts",
	"disabled":       "Refused: the user was disabled",
	"unusable hash":  "Refused: the password could not be verified, it has to be set anew",
}

func (s *Server) signInRows(all []db.SignInEvent) (rows []views.SignInRow) {
	for _, e := range all {
		row := views.SignInRow{At: s.format.moment(e.At), AtISO: iso(e.At), Result: "Signed in", Address: address(e.Client), Refused: !e.Granted}
		if row.Refused {
			row.Result = "Refused"
			if why := refusals[deref(e.Kind)]; why != "" {
				row.Result = why
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func address(client *string) string {
	if client == nil {
		return "unknown"
	}
	return *client
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", thousands(n), what)
}

func (s *Server) changeEmail(w http.ResponseWriter, r *http.Request) error {
	email := strings.TrimSpace(r.PostForm.Get("email"))
	err := s.DB.ChangeEmail(r.Context(), scopeOf(r).viewer, email)
	if errors.Is(err, db.ErrUserEmail) || errors.Is(err, db.ErrUserTaken) {
		return s.showAccount(w, r, http.StatusUnprocessableEntity, views.FormField{Value: email, Problem: sentence(err)})
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
	if c.Page, c.Why = s.page(r, errorTitle("Change your password", status >= 400), &who), c.Next != ""; c.Why {
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
	if problem := (db.PasswordProblem{}); errors.As(err, &problem) {
		c.NewProblem = sentence(problem)
		return s.showPassword(w, r, http.StatusUnprocessableEntity, c)
	}
	if status, said, ok := notGranted(w, err, notYours); ok {
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

// suggested makes up a passphrase where the form's button asks for one.
func suggested(r *http.Request) (words string, asked bool, err error) {
	if r.PostForm.Get("suggest") != "1" {
		return "", false, nil
	}
	words, err = db.SuggestPassphrase()
	return words, true, wrap("suggest a passphrase", err)
}

// notYours is said of a password that was asked for again.
const notYours = "That is not your password."

// words are what a password here must not be made of, beside what package db knows.
func (s *Server) words() []string { return []string{s.Clinic} }
