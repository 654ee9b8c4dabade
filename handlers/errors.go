package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/klauspost/compress/gzhttp"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// httpError is an answer that is decided where the problem is found.
type httpError struct {
	status int
	says   func(*texts.Texts) texts.Refusal
	to     string // where the link in what it says leads; "" where there is none
}

// Error is for the log, which is English.
func (e httpError) Error() string { return e.says(&texts.English).Heading }

func asError[T any](err error, target *T) bool { return errors.As(err, target) }

// answers is how errors of package db are told to a person. What is not here is ours to mend, and says so.
var answers = []struct {
	is error
	httpError
}{
	{db.ErrForbidden, httpError{status: http.StatusForbidden, says: func(t *texts.Texts) texts.Refusal { return t.Errors.Forbidden }}},
	{db.ErrNotFound, httpError{status: http.StatusNotFound, says: func(t *texts.Texts) texts.Refusal { return t.Errors.NotFound }}},
}

// What needs no error of its own.
var (
	errNoData = httpError{status: http.StatusServiceUnavailable, says: func(t *texts.Texts) texts.Refusal { return t.Errors.NoData }}
	errFailed = httpError{status: http.StatusInternalServerError, says: func(t *texts.Texts) texts.Refusal { return t.Errors.Failed }}
)

// fail turns an error into an answer: a page, or the fragment that htmx asked for. The cause goes to the log, with the
// request code that the person sees.
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
	said := e.says(s.texts(r))
	v := views.Error{Page: s.page(r, said.Heading, sc.foundOut()), Heading: said.Heading, Message: said.Message, To: e.to, RequestID: sc.id}
	v.Paper = nil
	if r.Method == http.MethodPost || e.status >= http.StatusInternalServerError {
		if v.Back = s.cameFrom(r); v.Back != "" {
			w.Header().Set(gzhttp.HeaderNoCompression, "") // which see: the page has a part of an address, and a form token
		}
	}
	content := views.ErrorPage(v)
	switch {
	case isFragment(r) && target(r) == "panel":
		content = views.ErrorPanel(v)
	case isFragment(r) && (target(r) == "recent" || target(r) == "help"):
		content = views.ErrorPart(v)
	case isFragment(r):
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
			return a.httpError
		}
	}
	if db.Unavailable(err) || errors.Is(err, context.Canceled) {
		return errNoData
	}
	return errFailed
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

// foundOut is who is signed in, where a statement of this request has found that out; none is asked for it.
func (sc *scope) foundOut() *db.Who {
	if sc.who.Username == "" && !sc.who.StandIn() { // a sign-in leaves the id alone
		return nil
	}
	return &sc.who
}

// cameFrom is the page that somebody was on, or "": one of this site that can be opened, and is not the list, which every error leads to.
// What its address was asked with is left out: it may hold more than its place.
func (s *Server) cameFrom(r *http.Request) string {
	at := r.Referer()
	if isHtmx(r) {
		at = r.Header.Get("HX-Current-URL")
	}
	u, err := url.Parse(at)
	if err != nil || u.Host != r.Host || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	back := nextPath(u.EscapedPath())
	if back == "" || back == views.PatientsPath("") {
		return ""
	}
	if _, pattern := s.routed.Handler(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: u.Path}, Host: r.Host}); !strings.HasPrefix(pattern, "GET ") {
		return ""
	}
	return back
}

func currentPath(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("HX-Current-URL"))
	if err != nil || u.Host != r.Host {
		return ""
	}
	return u.RequestURI()
}
