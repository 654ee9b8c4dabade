package handlers

import (
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"chartroom/db"
	"chartroom/views"
)

// carried marks a field that waits on the page that asks for the password, until what it belongs to can go on.
const carried = "carried."

// waits says whether a field may be kept on that page. A password never is: no form that needs this has one.
func waits(name string) bool {
	return name != "csrf_token" && !strings.Contains(strings.ToLower(name), "password")
}

// askToConfirm asks for the password where one is, and keeps what was sent, so that it can go on afterwards (ASVS 7.5).
func (s *Server) askToConfirm(w http.ResponseWriter, r *http.Request) {
	waiting := url.Values{}
	for name, values := range r.PostForm {
		if waits(name) {
			waiting[name] = values
		}
	}
	s.showConfirm(w, r, http.StatusForbidden, r.URL.Path, waiting, "")
}

func (s *Server) showConfirm(w http.ResponseWriter, r *http.Request, status int, to string, waiting url.Values, problem string) {
	who, err := s.anybody(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	t := s.texts(r)
	c := views.Confirm{Page: s.page(r, errorTitle(t, t.Password.Confirm, problem != ""), &who), To: to, Cancel: cameFrom(to), TakesOut: to == views.AuditExportPath,
		FormToken: formToken(s.formKeys[0], scopeOf(r).viewer.Token)}
	if c.Error = problem; status != http.StatusUnprocessableEntity {
		c.Error, c.Failure = "", problem
	}
	for _, name := range slices.Sorted(maps.Keys(waiting)) {
		c.Waiting = append(c.Waiting, views.Hidden{Name: carried + name, Value: waiting.Get(name)})
	}
	s.render(w, r, status, views.ConfirmPage(c))
}

// anybody is who asks, whatever their role and however long ago they gave their password.
func (s *Server) anybody(r *http.Request) (db.Who, error) {
	v := scopeOf(r).viewer
	v.Roles, v.Fresh = db.Roles, false
	return s.DB.Whoami(r.Context(), v)
}

// cameFrom is the page that has the form which is sent to an address.
func cameFrom(to string) string {
	if user, ok := strings.CutPrefix(to, views.UsersPath+"/"); ok {
		id, _, _ := strings.Cut(user, "/")
		return views.UsersPath + "/" + url.PathEscape(id)
	}
	if to == views.AuditExportPath {
		return views.AuditPath
	}
	if to == views.UsersPath {
		return views.NewUserPath
	}
	return views.AccountPath
}

// confirm takes the password, begins a new session in place of this one, and goes on with what was asked for.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request) error {
	waiting := url.Values{}
	for name, values := range r.PostForm {
		if name, ok := strings.CutPrefix(name, carried); ok && waits(name) {
			waiting[name] = values
		}
	}
	next := r.Clone(r.Context())
	next.URL = &url.URL{Path: r.PostForm.Get("to")}
	if !s.isFresh(next) {
		return s.unreadable(r)
	}
	in, err := s.DB.Confirm(r.Context(), scopeOf(r).viewer, r.PostForm.Get("password"), s.deviceOf(r), r.UserAgent())
	t := s.texts(r)
	if status, said, ok := notGranted(w, t, err, t.Password.NotYours); ok {
		s.showConfirm(w, r, status, next.URL.Path, waiting, said)
		return nil
	}
	if err != nil {
		return wrap("confirm", err)
	}
	token, err := s.beginSession(w, r, in)
	if err != nil {
		return wrap("confirm", err)
	}
	next.Header.Del("Cookie")
	next.AddCookie(&http.Cookie{Name: s.sessions.Cookie.Name, Value: token})
	waiting.Set("csrf_token", formToken(s.formKeys[0], token))
	next.PostForm, next.Form = waiting, waiting
	s.routed.ServeHTTP(w, next)
	return nil
}

// isFresh says whether a request goes to a route that may have asked for the password. For a path that is not clean the mux
// would answer with a way to the clean one, which a browser takes with the form as it is, the password too.
func (s *Server) isFresh(r *http.Request) bool {
	if path.Clean("/"+r.URL.Path) != r.URL.Path {
		return false
	}
	_, pattern := s.routed.Handler(r)
	return slices.ContainsFunc(s.routes(), func(rt route) bool { return rt.pattern == pattern && rt.fresh })
}
