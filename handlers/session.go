package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"chartroom/db"
	"chartroom/views"
)

func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	to := views.PatientsPath("")
	if scopeOf(r).viewer.Token == "" {
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
	s.render(w, r, http.StatusOK, views.LoginPage(views.Login{Page: s.page(r, "Sign in", nil), Next: next, Notice: s.why(r.URL.Query().Get("reason"))}))
	return nil
}

// refusal is the one sentence for every reason, so that nobody learns which user names exist.
const refusal = "The user name or the password is not right. Both are case-sensitive."

func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	username, password, next := r.PostForm.Get("username"), r.PostForm.Get("password"), nextPath(r.PostForm.Get("next"))
	sc := scopeOf(r)
	session, err := s.DB.SignIn(r.Context(), username, password, sc.viewer, r.UserAgent())
	if errors.Is(err, db.ErrRefused) {
		if len(username) > 255 {
			username = ""
		}
		s.render(w, r, http.StatusUnprocessableEntity, views.LoginPage(views.Login{
			Page: s.page(r, "Error: Sign in", nil), Username: username, Next: next, Error: refusal}))
		return nil
	}
	if err != nil {
		return wrap("sign in", err)
	}
	if err := s.beginSession(w, r, session); err != nil {
		return wrap("sign in", err)
	}
	http.Redirect(w, r, orList(next), http.StatusSeeOther)
	return nil
}

// beginSession stores the session under a new token before the first byte of the answer; a session that this browser
// had ends. The database records the sign-in in the same transaction.
func (s *Server) beginSession(w http.ResponseWriter, r *http.Request, session db.Session) error {
	ctx, cancel := durable(r.Context())
	defer cancel()
	sm := s.sessions
	ctx, err := s.loadSession(ctx, scopeOf(r).viewer.Token)
	if err != nil {
		return err
	}
	if err := sm.RenewToken(ctx); err != nil {
		return err
	}
	db.PutSession(ctx, sm, session)
	token, expiry, err := sm.Commit(ctx)
	if err != nil {
		return err
	}
	sm.WriteSessionCookie(ctx, w, token, expiry)
	return nil
}

// loadSession gives scs's session for a token. One that cannot be read is ended, and counts as none (ASVS 1.5.2).
func (s *Server) loadSession(ctx context.Context, token string) (context.Context, error) {
	loaded, err := s.sessions.Load(ctx, token)
	if !errors.Is(err, db.ErrUnreadableSession) {
		return loaded, err
	}
	if err := s.DB.EndSession(ctx, token); err != nil {
		return nil, err
	}
	return s.sessions.Load(ctx, "")
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	sc := scopeOf(r)
	if sc.viewer.Token != "" {
		ctx, cancel := durable(db.WithSignOut(r.Context(), sc.viewer.Client, sc.id))
		defer cancel()
		ctx, err := s.loadSession(ctx, sc.viewer.Token)
		if err != nil {
			return wrap("sign out", err)
		}
		if err := s.sessions.Destroy(ctx); err != nil {
			return wrap("sign out", err)
		}
	}
	s.sessions.WriteSessionCookie(r.Context(), w, "", time.Time{})
	// Not "cookies": that would also take what a later sign-in from this browser is known by.
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	http.Redirect(w, r, views.LoginPath(""), http.StatusSeeOther)
	return nil
}

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
	case "/", "/login", "/logout", views.SessionPath, views.SearchPath:
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
