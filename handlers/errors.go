package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"chartroom/db"
	"chartroom/views"
)

// httpError is an answer that is decided where the problem is found.
type httpError struct {
	status           int
	heading, message string
}

func (e httpError) Error() string { return e.heading }

func asError[T any](err error, target *T) bool { return errors.As(err, target) }

// answers is how errors of package db are told to a person. What is not here is ours to mend, and says so.
var answers = []struct {
	is               error
	status           int
	heading, message string
}{
	{db.ErrForbidden, http.StatusForbidden, "Your role does not allow this", "Ask an administrator if you need it for your work."},
	{db.ErrNotFound, http.StatusNotFound, "There is nothing here", "The address may be mistyped, or what it showed is not available to you."},
}

// fail turns an error into an answer: a page, or the fragment that htmx asked for. The cause goes to the log, with the
// number that the person sees.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, db.ErrNoSession) {
		s.askToSignIn(w, r)
		return
	}
	if errors.Is(err, db.ErrConfirm) {
		s.askToConfirm(w, r)
		return
	}
	e := s.describe(err)
	sc := scopeOf(r)
	if db.AuditRefused(err) {
		s.meter.auditRefused.Inc()
	}
	if sc.conn.Err() != nil { // the browser has left, and with it what was being done: nothing is wrong, and nobody reads this
		sc.gone = true
	} else if e.status >= 500 {
		fields := []any{"request", sc.id, "route", sc.pattern, "status", e.status, "error", db.Loggable(err)}
		if t, ok := db.Diagnose(err); ok {
			fields = append(fields, "kind", t.Kind, "mend", t.Mend)
		}
		s.Log.Error("request failed", fields...)
	}
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	v := views.Error{Page: s.page(r, e.heading, nil), Heading: e.heading, Message: e.message, RequestID: sc.id}
	content := views.ErrorPage(v)
	if isFragment(r) {
		content = views.ErrorFragment(v)
	}
	s.render(w, r, e.status, content)
}

func (s *Server) describe(err error) httpError {
	if e := (httpError{}); errors.As(err, &e) {
		return e
	}
	for _, a := range answers {
		if errors.Is(err, a.is) {
			return httpError{a.status, a.heading, a.message}
		}
	}
	if db.Unavailable(err) || errors.Is(err, context.Canceled) {
		return httpError{http.StatusServiceUnavailable, "Chartroom cannot reach its data right now", "Nothing was lost. Try again in a few seconds."}
	}
	return httpError{http.StatusInternalServerError, "Something went wrong", "It was not your doing and has been noted. Try again, or ask for help with the number below."}
}

// askToSignIn sends a page to the sign-in form and back afterwards. A fragment gets 401 and the address to go to:
// following a redirect, it would put the sign-in form inside the table.
func (s *Server) askToSignIn(w http.ResponseWriter, r *http.Request) {
	s.noteLostCookie(r)
	next := ""
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		next = nextPath(r.URL.RequestURI())
	}
	if isHtmx(r) && r.URL.Path == views.SessionPath { // asked by the page that is open, so that is where to come back to
		next = nextPath(currentPath(r))
	}
	to := views.LoginPath(next)
	if scopeOf(r).viewer.Token != "" { // there was a session, so that somebody wonders where it is
		to = views.LoginReasonPath(next, views.ReasonEnded)
	}
	if isHtmx(r) {
		w.Header().Set("HX-Redirect", to)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func currentPath(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("HX-Current-URL"))
	if err != nil || u.Host != r.Host {
		return ""
	}
	return u.RequestURI()
}
