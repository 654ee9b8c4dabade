package handlers

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	to := views.PatientsPath("")
	if scopeOf(r).viewer.Token == "" && !s.letsIn(r) {
		to = views.LoginPath("")
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// signedInAs asks who the cookie belongs to on a route that is open to all.
func (s *Server) signedInAs(r *http.Request) (db.Who, bool, error) {
	v := scopeOf(r).viewer
	if v.Token == "" {
		return db.Who{}, false, nil
	}
	v.Roles, v.Idle = db.Roles, true
	who, err := s.DB.Whoami(r.Context(), v)
	if errors.Is(err, db.ErrNoSession) {
		return db.Who{}, false, nil
	}
	return who, err == nil, err
}

func (s *Server) loginForm(w http.ResponseWriter, r *http.Request) error {
	next := nextPath(r.URL.Query().Get("next"))
	_, in, err := s.signedInAs(r)
	if err != nil {
		return err
	}
	if in {
		http.Redirect(w, r, orList(next), http.StatusSeeOther)
		return nil
	}
	q := r.URL.Query()
	t := s.texts(r)
	said, ok := t.SignIn.Notices[q.Get("notice")]
	if !ok {
		said = s.why(r, q.Get("reason"))
	}
	s.render(w, r, http.StatusOK, views.LoginPage(views.Login{Page: s.page(r, t.Layout.SignIn, nil), Next: next, Notice: said, Without: s.letsIn(r)}))
	return nil
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	username, next := r.PostForm.Get("username"), nextPath(r.PostForm.Get("next"))
	in, err := s.DB.SignIn(r.Context(), db.SignInForm{Username: username, Password: r.PostForm.Get("password"), Device: s.deviceOf(r),
		From: scopeOf(r).viewer, UserAgent: r.UserAgent()})
	s.noteRefusal(r, err)
	t := s.texts(r)
	if status, said, ok := notGranted(w, t, err, t.SignIn.Refused); ok {
		if len(username) > 255 {
			username = ""
		}
		s.render(w, r, status, views.LoginPage(views.Login{
			Page: s.page(r, t.Common.ErrorTitle(t.Layout.SignIn), nil), Username: username, Next: next, Error: said, Wrong: status == http.StatusUnprocessableEntity}))
		return nil
	}
	if err != nil {
		return wrap("sign in", err)
	}
	if _, err := s.beginSession(w, r, in); err != nil {
		return wrap("sign in", err)
	}
	scopeOf(r).who.UserID = in.UserID
	s.troubles.signedIn(visitorOf(r), s.now())
	to := orList(next)
	if in.Weak != nil && !scopeOf(r).off {
		to = views.PasswordPath(to) // asked to change it, not shut out
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// notGranted tells what became of a sign-in that was not granted, in words that are the same for every account and for
// none. ok says that it was such a case; an error that is none of these is the caller's.
func notGranted(w http.ResponseWriter, t *texts.Texts, err error, refusal string) (status int, said string, ok bool) {
	var wait db.Throttled
	switch {
	case errors.Is(err, db.ErrRefused):
		return http.StatusUnprocessableEntity, refusal, true
	case errors.As(err, &wait):
		seconds := int(math.Ceil(wait.After.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return http.StatusTooManyRequests, t.SignIn.TooMany(waiting(t.Dates, seconds)), true
	case errors.Is(err, db.ErrBusy):
		w.Header().Set("Retry-After", "3")
		return http.StatusServiceUnavailable, t.SignIn.Busy, true
	}
	return 0, "", false
}

// waiting is in whole minutes where nobody counts the seconds.
func waiting(t texts.Dates, seconds int) string {
	if seconds < 120 {
		return t.Seconds(seconds)
	}
	return t.Minutes((seconds + 59) / 60)
}

// deviceAge is how long a browser is remembered after its last sign-in.
const deviceAge = 365 * 24 * time.Hour

func (s *Server) deviceOf(r *http.Request) string {
	c, err := r.Cookie(deviceCookie(s.Secure))
	if err != nil {
		return ""
	}
	return c.Value
}

// beginSession stores the session under a new token before the first byte of the answer; a session that this browser
// had ends. The database records the sign-in in the same transaction. The token is given back for what the same request
// still does in the new session.
func (s *Server) beginSession(w http.ResponseWriter, r *http.Request, in db.SignedIn) (string, error) {
	ctx, cancel := durable(r.Context())
	defer cancel()
	if old := scopeOf(r).viewer.Token; old != "" {
		if err := s.DB.EndSession(ctx, old); err != nil {
			return "", err
		}
	}
	sm := s.sessions
	ctx, err := sm.Load(ctx, "")
	if err != nil {
		return "", err
	}
	db.PutSession(ctx, sm, in.Session)
	token, expiry, err := sm.Commit(ctx)
	if err != nil {
		return "", err
	}
	sm.WriteSessionCookie(ctx, w, token, expiry)
	http.SetCookie(w, &http.Cookie{Name: deviceCookie(s.Secure), Value: in.Device, Path: "/", MaxAge: int(deviceAge.Seconds()),
		HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode})
	return token, nil
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	sc := scopeOf(r)
	if sc.viewer.Token != "" {
		ctx, cancel := durable(db.WithSignOut(r.Context(), sc.viewer.Client, sc.id))
		defer cancel()
		if err := s.DB.EndSession(ctx, sc.viewer.Token); err != nil {
			return wrap("sign out", err)
		}
	}
	s.dropCookie(w, r)
	// Not "cookies": that would also take what a later sign-in from this browser is known by.
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	http.Redirect(w, r, views.LoginPath(""), http.StatusSeeOther)
	return nil
}

// dropCookie takes the session's cookie away.
func (s *Server) dropCookie(w http.ResponseWriter, r *http.Request) {
	s.sessions.WriteSessionCookie(r.Context(), w, "", time.Time{})
}

// asksToSignIn says that an answer would lead to the sign-in form.
func asksToSignIn(err error) bool { return errors.Is(err, db.ErrNoSession) }

// nextPath gives back a path within this site, or "" for anything else: a sign-in form that leads on to another site
// is a way to steal passwords (ASVS 3.7.2).
func nextPath(next string) string {
	if len(next) > 2000 || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\x00\r\n\t") {
		return ""
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || strings.HasPrefix(u.Path, "//") {
		return ""
	}
	switch u.Path {
	case "/", "/login", "/logout", views.SessionPath, views.SearchPath, views.ConfirmPath:
		return ""
	}
	return next
}

func orList(next string) string {
	if next == "" {
		return views.PatientsPath("")
	}
	return next
}
