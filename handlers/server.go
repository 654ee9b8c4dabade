// Package handlers turns requests into calls of package db and what they answer into views. It holds no SQL and no
// HTML. The whole surface is the table in routes.go.
package handlers

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// Config is what a server needs; main fills it from the settings.
type Config struct {
	DB          *db.DB
	Assets      fs.FS
	Log         *slog.Logger
	SessionKeys []string      // the first signs, all are accepted
	Lifetime    time.Duration // of a session, whatever happens
	Secure      bool          // served over HTTPS
	ProxyHops   int           // proxies in front that append to X-Forwarded-For
	Clinic      string        // shown name
	Help        string        // whom to ask; may be empty
	Zone        *time.Location
	Locale      string // BCP 47; decides how dates are written and read
	Build       Build  // which program this is, for the metrics
}

// Server is the site. It is an http.Handler.
type Server struct {
	Config
	sessions *scs.SessionManager
	formKeys [][]byte
	sealer   sealer
	drafts   sealer
	limits   views.SessionLimits
	assets   assets
	format   format
	routed   *http.ServeMux
	handler  http.Handler
	now      func() time.Time

	draining  atomic.Bool
	health    sync.Mutex
	healthy   bool
	healthyAt time.Time
	reports   limiter
	troubles  troubles
	doubts    limiter
	exports   chan struct{} // holds one for each that runs
	meter     *meter
}

// New wires the site.
func New(c Config) (*Server, error) {
	files, err := loadAssets(c.Assets)
	if err != nil {
		return nil, err
	}
	s := &Server{Config: c, sessions: c.DB.Sessions(c.Lifetime), assets: files, now: time.Now,
		format: format{zone: c.Zone, locale: c.Locale, t: texts.Match("", c.Locale)}, reports: limiter{perMinute: 30}, doubts: limiter{perMinute: 1}, exports: make(chan struct{}, exportsAtOnce), meter: newMeter()}
	s.limits = limits(c)
	s.sessions.Cookie.Name = cookieName(c.Secure)
	s.sessions.Cookie.Secure = c.Secure
	s.sessions.Cookie.Persist = false // gone when the browser closes (SP 800-63B-4, 5.1)
	for _, k := range c.SessionKeys {
		s.formKeys = append(s.formKeys, db.DeriveKey(k, "form token"))
		if err := s.sealer.add(db.DeriveKey(k, "list state")); err != nil {
			return nil, err
		}
		if err := s.drafts.add(db.DeriveKey(k, "draft")); err != nil {
			return nil, err
		}
	}
	s.routed = s.mux()
	s.handler = s.middleware(s.routed)
	return s, nil
}

// cookieName: a browser takes a __Host- cookie only over HTTPS, for the whole host and from no other (RFC 6265bis).
func cookieName(secure bool) string {
	if secure {
		return "__Host-chartroom"
	}
	return "chartroom"
}

// deviceCookie is how a browser is known again that somebody has signed in from. It opens nothing.
func deviceCookie(secure bool) string { return cookieName(secure) + "-device" }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	s.handler.ServeHTTP(w, r)
}

// Drain is for a server that is about to stop: everything is served as before, but the health check says 503, so that proxies
// send their requests elsewhere, and each answer is the last one on its connection (RFC 9112, 9.6), so that none of
// them is in use again when it ends.
func (s *Server) Drain() { s.draining.Store(true) }

// formToken binds a form to the session that it was made for (SP 800-63B-4, 5.1). It is derived, so that it needs no
// place to be stored in.
func formToken(key []byte, sessionToken string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(sessionToken))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// formFor is what a request's forms are bound to: its session, or the client where nobody has signed in.
func (s *Server) formFor(sc *scope) string {
	if sc.viewer.StandIn {
		return "sign-in is off: " + sc.viewer.Client.String()
	}
	return sc.viewer.Token
}

func (s *Server) formTokenFits(got, sessionToken string) bool {
	for _, k := range s.formKeys {
		if hmac.Equal([]byte(got), []byte(formToken(k, sessionToken))) {
			return true
		}
	}
	return false
}

// page fills what every page shows around its content.
func (s *Server) page(r *http.Request, title string, who *db.Who) views.Page {
	p := views.Page{Title: title, Clinic: s.Clinic, Help: s.Help, Assets: s.assets.paths, Off: s.notice(r, who), Look: look(r)}
	if who != nil {
		p.Paper = s.paper(r, who)
	}
	if who != nil && !who.StandIn() {
		p.User = &views.User{Name: who.Username, Initials: initials(who.Username), Role: s.texts(r).Common.Roles[who.Role], Admin: who.Role == db.RoleAdmin,
			FormToken: formToken(s.formKeys[0], scopeOf(r).viewer.Token), Session: s.sessionLimits(r), ReadOnly: p.Off != nil}
	}
	return p
}

// paper says for a printed page what a screen need not: whose eyes it was made for, and when.
func (s *Server) paper(r *http.Request, who *db.Who) *views.Paper {
	at, t := s.reader(r).moment(s.now()), s.texts(r).Layout
	if who.StandIn() {
		return &views.Paper{Printed: t.PrintedAsOf(at)}
	}
	return &views.Paper{Printed: t.Printed(who.Username, at)}
}

// durable outlives the browser's request: a session that is being begun or ended must not be left half-way because
// somebody closed the tab.
func durable(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
