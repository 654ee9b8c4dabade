package handlers

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// whileOff says what becomes of a route while sign-in is switched off. Its zero value is "shut", so that a route without a word
// on it changes nothing and gives nothing away.
type whileOff int

const (
	shut     whileOff = iota // for nobody: it changes something, is a form for that, or takes data out
	asEver                   // for those who may at other times
	readable                 // for these, and for the clients that are let in without signing in
)

// respond admits a request and handles it: with its session first. Where there is none that lives, a client that is let in while
// sign-in is off reads without one, and its dead cookie is taken away.
func (s *Server) respond(rt route, w http.ResponseWriter, r *http.Request) error {
	sc := scopeOf(r)
	if sc.off && rt.off == shut {
		return s.refuseWhileOff(r)
	}
	handle := rt.handle
	if r.Method == http.MethodHead && rt.access != public {
		handle = s.head
	}
	err := s.admit(rt, r)
	if err == nil {
		err = handle(w, r)
	}
	if !asksToSignIn(err) || rt.off != readable || !s.letsIn(r) {
		return err
	}
	had := sc.viewer.Token != ""
	sc.viewer.Token, sc.viewer.StandIn = "", true
	if had { // its form token was right
		s.dropCookie(w, r)
	} else if err := s.admit(rt, r); err != nil {
		return err
	}
	return handle(w, r)
}

// refuseWhileOff is the answer of what is shut while sign-in is off. It is on record.
func (s *Server) refuseWhileOff(r *http.Request) error {
	if err := s.DB.RefuseWhileOff(r.Context(), scopeOf(r).viewer); err != nil {
		return err
	}
	until := s.offUntil(s.reader(r))
	return httpError{status: http.StatusForbidden, says: func(t *texts.Texts) texts.Refusal {
		return texts.Refusal{Heading: t.Errors.ReadOnly, Message: t.Errors.ReadOnlyUntil(until)}
	}}
}

// letsIn says whether a client may read without signing in. The statement that reads judges the list and the time again.
func (s *Server) letsIn(r *http.Request) bool {
	sc := scopeOf(r)
	if !sc.off {
		return false
	}
	allowed := slices.ContainsFunc(s.DB.SignInOff().Allow, func(p netip.Prefix) bool { return p.Contains(sc.viewer.Client) })
	doubt := s.doubt(r)
	if allowed && doubt != "" && s.doubts.allow(s.now()) {
		s.Log.Warn("sign-in is off, but a client was not let in, because its address is not sure: "+doubt, "request", sc.id)
	}
	return allowed && doubt == ""
}

// forwards are headers that only a proxy sets.
var forwards = []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "X-Forwarded-Proto", "Via"}

// doubt says why a client's address must not open anything by itself; "" when it may. With a wrong TRUSTED_PROXY_HOPS that
// address is a proxy's, which is a private one for everybody, or the client's own claim. So the number of addresses must be
// exactly right, the proxies must stand on private addresses, and where pages go over HTTPS this request must have come so:
// a site that points its name at this server could otherwise read with the browser of somebody who is let in.
func (s *Server) doubt(r *http.Request) string {
	if s.ProxyHops == 0 {
		for _, h := range forwards {
			if r.Header.Values(h) != nil {
				return "it came through a proxy, and TRUSTED_PROXY_HOPS is 0"
			}
		}
		return ""
	}
	seen := listed(r, "X-Forwarded-For")
	if len(seen) != s.ProxyHops {
		return fmt.Sprintf("X-Forwarded-For has %d addresses, and TRUSTED_PROXY_HOPS is %d", len(seen), s.ProxyHops)
	}
	if !readAddr(seen[0]).IsValid() {
		return "X-Forwarded-For holds something that is no address"
	}
	for _, proxy := range append(seen[1:], r.RemoteAddr) {
		if a := readAddr(proxy); !a.IsValid() || !inside(a) {
			return "one of its proxies has no private address, so that TRUSTED_PROXY_HOPS may be too high"
		}
	}
	if proto := listed(r, "X-Forwarded-Proto"); s.Secure && (len(proto) == 0 || proto[max(0, len(proto)-s.ProxyHops)] != "https") {
		return "X-Forwarded-Proto does not say https"
	}
	return ""
}

// listed takes a header apart that is a list, however many lines it has.
func listed(r *http.Request, header string) (all []string) {
	for _, line := range r.Header.Values(header) {
		for _, one := range strings.Split(line, ",") {
			all = append(all, strings.TrimSpace(one))
		}
	}
	return all
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// inside is an address that no packet from the internet bears.
func inside(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || sharedSpace.Contains(a)
}

// offUntil is when sign-in comes back, in the clinic's time.
func (s *Server) offUntil(f format) string {
	until := s.DB.SignInOff().Until.In(s.Zone)
	return f.moment(until) + " " + until.Format("MST")
}

// notice is what every page says while sign-in is off; nil while it is on.
func (s *Server) notice(r *http.Request, who *db.Who) *views.SignInOff {
	if !scopeOf(r).off {
		return nil
	}
	until := s.DB.SignInOff().Until
	idle, _ := s.DB.IdleTimeout()
	return &views.SignInOff{Until: s.offUntil(s.reader(r)), UntilISO: iso(until), Left: int(max(0, until.Sub(s.now())).Seconds()), Idle: int(idle.Seconds()),
		StandIn: who != nil && who.StandIn()}
}
