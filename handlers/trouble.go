package handlers

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chartroom/db"
)

// What operators are told of troubles that only the browser would see. docs/troubleshooting.md explains each line.

// refusedMend is the way out for each kind of refused sign-in. Names are never logged: people type passwords into that field.
var refusedMend = map[string]string{
	"unknown user":      "names match exactly, with capitals: `chartroom user check NAME`, `chartroom user list`",
	"wrong password":    "`chartroom user check NAME` says whether it can be anything else; `chartroom user invite NAME` makes a link for a new one",
	"unusable hash":     "the stored hash is not bcrypt's or is damaged: `chartroom user check NAME`, then `chartroom user invite NAME`",
	"disabled":          "`chartroom user enable NAME`",
	"locked":            "`chartroom user unlock NAME`, once it is known who tried",
	"throttled":         "it ends by itself within 15 minutes; `chartroom user unlock NAME`",
	"busy":              "many sign in at once: it passes; more processors help",
	"changed meanwhile": "the account was changed while its password was looked at: sign in again",
}

// noteRefusal tells the log why a sign-in was not granted, which the page must not say.
func (s *Server) noteRefusal(r *http.Request, err error) {
	var refused db.Refused
	var wait db.Throttled
	switch {
	case errors.As(err, &refused):
	case errors.As(err, &wait):
		refused.Kind = "throttled"
	case errors.Is(err, db.ErrBusy):
		refused.Kind = "busy"
	default:
		return
	}
	fields := []any{"kind", refused.Kind, "mend", refusedMend[refused.Kind], "request", scopeOf(r).id}
	if refused.UserID > 0 {
		fields = append(fields, "user", refused.UserID)
	}
	s.Log.Info("sign-in refused", fields...)
}

// visitor is a browser, as well as one can be known without a cookie.
type visitor struct {
	client netip.Addr
	agent  string
}

func visitorOf(r *http.Request) visitor {
	agent := r.UserAgent()
	return visitor{scopeOf(r).viewer.Client, agent[:min(len(agent), 200)]}
}

// Limits of what is remembered, and for how long.
const (
	cookieComesBack = 15 * time.Second // within which a browser follows the redirect after signing in
	visitorsKept    = 256
	loopAfter       = 10 // redirects from one address; browsers give up at twenty, over all addresses
	loopWithin      = 5 * time.Second
	tellAgainAfter  = time.Minute
)

// troubles remembers for a moment who has signed in and who is sent around. Its zero value is ready.
type troubles struct {
	waiting atomic.Int32 // how many sign-ins wait for their cookie: none, as a rule

	mu     sync.Mutex
	in     map[visitor]time.Time
	sent   map[loopAt]*loopCount
	toldAt map[string]time.Time
}

type loopAt struct {
	visitor
	pattern string
}

type loopCount struct {
	since time.Time
	n     int
}

// signedIn remembers that the next request should bring a cookie.
func (t *troubles) signedIn(v visitor, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.in == nil || len(t.in) >= visitorsKept {
		t.in = map[visitor]time.Time{}
	}
	t.in[v] = now
	t.waiting.Store(int32(len(t.in)))
}

// kept forgets it: the cookie came.
func (t *troubles) kept(v visitor) {
	if t.waiting.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.in, v)
	t.waiting.Store(int32(len(t.in)))
}

// lost says that this browser has just signed in, brings no cookie, and that it is time to say so.
func (t *troubles) lost(v visitor, now time.Time) bool {
	if t.waiting.Load() == 0 {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.in[v]
	delete(t.in, v)
	t.waiting.Store(int32(len(t.in)))
	return ok && now.Sub(at) < cookieComesBack && t.tell("lost", now)
}

// sentOn counts a redirect, and says when it is time to call it a loop.
func (t *troubles) sentOn(v visitor, pattern string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent == nil || len(t.sent) >= visitorsKept {
		t.sent = map[loopAt]*loopCount{}
	}
	c := t.sent[loopAt{v, pattern}]
	if c == nil || now.Sub(c.since) > loopWithin {
		c = &loopCount{since: now}
		t.sent[loopAt{v, pattern}] = c
	}
	c.n++
	return c.n >= loopAfter && t.tell("loop", now)
}

// tell is once a minute for each kind.
func (t *troubles) tell(kind string, now time.Time) bool {
	if now.Sub(t.toldAt[kind]) < tellAgainAfter {
		return false
	}
	if t.toldAt == nil {
		t.toldAt = map[string]time.Time{}
	}
	t.toldAt[kind] = now
	return true
}

// noteLostCookie is called for a request without a session.
func (s *Server) noteLostCookie(r *http.Request) {
	if !s.troubles.lost(visitorOf(r), s.now()) {
		return
	}
	kind, mend := "cookie dropped", "look for what drops Set-Cookie or Cookie on the way: a proxy that caches or rewrites, another host name, a browser that takes no cookies"
	if s.Secure && scheme(r, s.ProxyHops) != "https" {
		kind = "plain HTTP"
		mend = "SESSION_SECURE is true, and this request came over plain HTTP: open the site as https:// (FORCE_SSL=true on Aptible), let the proxy set X-Forwarded-Proto, " +
			"and set TRUSTED_PROXY_HOPS to how many there are; for a trial without HTTPS only, SESSION_SECURE=false"
	}
	s.Log.Warn("somebody has signed in, and the browser does not bring the session's cookie back", "kind", kind, "mend", mend, "request", scopeOf(r).id)
}

// noteRedirect is called for each redirect of a page.
func (s *Server) noteRedirect(r *http.Request) {
	sc := scopeOf(r)
	if !s.troubles.sentOn(visitorOf(r), sc.pattern, s.now()) {
		return
	}
	s.Log.Warn("a browser is sent around in a circle", "route", sc.pattern, "scheme", scheme(r, s.ProxyHops), "request", sc.id,
		"mend", "the proxy in front redirects too, or gives another path than the browser asked for: let it pass paths as they are, end HTTPS in one place, "+
			"and look at FORCE_SSL, SESSION_SECURE and TRUSTED_PROXY_HOPS")
}

// scheme is how the browser asked, by the header that the trusted proxies set; "http" where there is none and nobody in between, and
// "unknown" where somebody claims something whom nobody trusts.
func scheme(r *http.Request, hops int) string {
	claimed := strings.Join(r.Header.Values("X-Forwarded-Proto"), ",")
	switch {
	case r.TLS != nil:
		return "https"
	case claimed == "":
		return "http"
	case hops == 0:
		return "unknown"
	}
	all := strings.Split(claimed, ",")
	switch said := strings.ToLower(strings.TrimSpace(all[max(0, len(all)-hops)])); said {
	case "http", "https":
		return said
	}
	return "unknown"
}
