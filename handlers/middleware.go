package handlers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// Limits on what a request may cost.
const (
	requestTime = 15 * time.Second
	maxForm     = 64 << 10
)

// scope is what the middleware has found out about a request.
type scope struct {
	id      string // shown on error pages and in the log
	nonce   string // of the scripts and htmx attributes that are ours
	viewer  db.Viewer
	pattern string          // of the route, once known: the log never holds a path, which may name a patient
	off     bool            // sign-in is switched off
	conn    context.Context // of the connection, without the deadline, for what may take as long as the browser listens
	who     db.Who          // whose session it is, once a statement has found it
	texts   *texts.Texts    // in the language that the browser asks for, once looked up
	meter   *routeMeter     // of the route, or of all that is none
	gone    bool            // the browser left before there was an answer
	streams bool            // the answer takes as long as the browser listens
	retried bool            // a read whose connection was lost was tried once more
}

type scopeKey struct{}

func scopeOf(r *http.Request) *scope { return r.Context().Value(scopeKey{}).(*scope) }

// middleware is what every answer goes through, in this order: headers, limits, compression, the log, refusal of other
// sites' requests, and the route.
func (s *Server) middleware(mux *http.ServeMux) http.Handler {
	routed := compress(s.logged(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc := &scope{id: randomText(9), nonce: randomText(16), conn: r.Context(), meter: s.meter.unknown, off: s.DB.SignInOff().Now(s.now())}
		sc.viewer = db.Viewer{Client: client(r, s.ProxyHops), RequestID: sc.id, Found: &sc.who}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), scopeKey{}, sc), requestTime)
		defer cancel()
		r = r.WithContext(ctx)
		s.headers(w.Header(), sc.nonce)
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)

		if quiet[r.URL.Path] { // asked every few seconds by whatever watches the containers
			mux.ServeHTTP(w, r)
			return
		}
		routed.ServeHTTP(w, r)
	})
}

// logged notes each request in the log and counts it, and gives it to its route unless it comes from another site.
func (s *Server) logged(mux *http.ServeMux) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		start := time.Now()
		s.meter.inFlight.Add(1)
		defer func() {
			s.meter.inFlight.Add(-1)
			if rec.status == http.StatusSeeOther && r.Method == http.MethodGet {
				s.noteRedirect(r)
			}
			s.note(rec, r, time.Since(start), recover())
		}()
		if err := crossOrigin.Check(r); err != nil {
			s.fail(rec, r, s.refuseForm(mux, r, db.RefusedSite, errOtherSite))
			return
		}
		s.dispatch(mux, rec, r)
	})
}

// slowRequest is when the line of a request is a warning. A page takes some milliseconds, a password a quarter of a second.
const slowRequest = time.Second

// statusGone is what the log and the metrics call a request whose browser left before there was an answer (nginx's number:
// HTTP has none, because nobody is there to read it).
const statusGone = 499

// note writes the one line of a request and counts it: which route and never the path, whose session, how it ended and how
// long it took. p is a panic that no route has caught, which goes on as one that nothing more is said about.
func (s *Server) note(rec *recorder, r *http.Request, took time.Duration, p any) {
	sc := scopeOf(r)
	if p != nil && p != http.ErrAbortHandler {
		s.notePanic(sc, p)
		p = http.ErrAbortHandler
	}
	status, level := rec.status, slog.LevelInfo
	if sc.gone {
		status = statusGone
	} else if status == 0 { // nothing was written, which net/http sends as 200; after a panic it sends nothing
		status = http.StatusOK
		if p != nil {
			status = http.StatusInternalServerError
		}
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs, slog.String("method", method(r)), slog.String("route", sc.pattern), slog.Int("status", status),
		slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("request", sc.id))
	if sc.who.UserID != 0 {
		attrs = append(attrs, slog.Int("user", sc.who.UserID))
	}
	if p != nil || sc.gone || sc.conn.Err() != nil {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	if took >= slowRequest && !sc.streams {
		attrs, level = append(attrs, slog.Bool("slow", true)), slog.LevelWarn
	}
	if sc.retried {
		attrs = append(attrs, slog.Bool("retried", true))
	}
	s.Log.LogAttrs(context.Background(), level, "request", attrs...)
	sc.meter.count(status, took)
	if p != nil {
		panic(p)
	}
}

// notePanic says where it was. The value of a panic may quote data; its place is enough to find it.
func (s *Server) notePanic(sc *scope, p any) {
	s.meter.panics.Inc()
	s.Log.Error("panic", "request", sc.id, "route", sc.pattern, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

var quiet = map[string]bool{"/healthcheck": true, "/livez": true}

// method keeps what a client made up out of the log.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// dispatch gives the mux's own refusals (404, 405) our pages; everything else goes to its route.
func (s *Server) dispatch(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	if _, pattern := mux.Handler(r); pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	refusal := &recorder{ResponseWriter: discard{header: http.Header{}}}
	mux.ServeHTTP(refusal, r)
	if refusal.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", refusal.Header().Get("Allow"))
		s.fail(w, r, errMethod)
		return
	}
	s.fail(w, r, db.ErrNotFound)
}

// serve is the way from the mux to a handler: the credential, the form token, and what becomes of an error or a panic.
func (s *Server) serve(rt route) http.Handler {
	meter := s.meter.route(rt.pattern)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sc := scopeOf(r)
		sc.pattern, sc.meter = rt.pattern, meter
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { // a stream that cannot be finished must not look like one that is
					panic(p)
				}
				s.notePanic(sc, p)
				s.fail(w, r, fmt.Errorf("panic"))
			}
		}()
		if sc.viewer.Token = s.sessionToken(r); sc.viewer.Token != "" {
			s.troubles.kept(visitorOf(r))
		}
		sc.viewer.Roles, sc.viewer.Fresh, sc.viewer.Route = rt.access.roles(), rt.fresh, rt.pattern
		start := time.Now()
		err := s.respond(rt, w, r)
		if err != nil && s.DB.Lost(err) && rt.reads() && time.Since(start) < retryWithin && s.again(w, r) {
			err = s.respond(rt, w, r)
		}
		if err != nil {
			s.fail(w, r, err)
		}
	})
}

// A read whose connection was lost is tried once more, on another connection: when a database is restarted or another takes over,
// those who read see a pause and no error. Once is enough, and only where the loss came at once: a database that answers
// nobody must not be asked twice as often. What changes something is not repeated, it may have happened.
const (
	retryWithin = time.Second
	retryAfter  = 250 * time.Millisecond // a restart takes about as long
)

// again waits before a second try, and says whether there may be one.
func (s *Server) again(w http.ResponseWriter, r *http.Request) bool {
	if rec, ok := w.(*recorder); ok && rec.status != 0 {
		return false
	}
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(retryAfter):
	}
	scopeOf(r).retried = true
	s.meter.retried.Inc()
	return true
}

// head answers for all closed routes whether one may ask. It sends nothing, and so nothing is on record as seen.
func (s *Server) head(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.DB.Whoami(r.Context(), scopeOf(r).viewer); err != nil {
		return err
	}
	vary(w.Header(), "HX-Request")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	return nil
}

// admit refuses what needs no look at the database: a closed route without a cookie, an unreadable form, and a form
// that was not made for this session. Whether the session lives is judged by the statement that uses it.
func (s *Server) admit(rt route, r *http.Request) error {
	sc := scopeOf(r)
	if rt.access != public && sc.viewer.Token == "" && !sc.viewer.StandIn {
		return db.ErrNoSession
	}
	if r.Method != http.MethodPost || rt.pattern == "POST /csp-report" {
		return nil
	}
	if err := parseForm(r); err != nil {
		return err
	}
	if rt.access != public && !s.formTokenFits(r.PostForm.Get("csrf_token"), s.formFor(sc)) {
		return s.refuseForm(nil, r, db.RefusedFormToken, errOldPage)
	}
	return nil
}

// refuseForm puts the refusal of a form on record (ASVS 16.3.3) and gives the answer. It is refused in any case: that it could
// not be recorded only changes what is said. Before a route has the request, mux says which one it asks for.
func (s *Server) refuseForm(mux *http.ServeMux, r *http.Request, kind string, answer httpError) error {
	v := scopeOf(r).viewer
	if mux != nil {
		_, v.Route = mux.Handler(r)
		scopeOf(r).pattern = v.Route
		v.Token, v.Found = s.sessionToken(r), nil // whoever it was did not ask for the answer
	}
	if err := s.DB.RefuseForm(r.Context(), v, kind); err != nil {
		return err
	}
	return answer
}

func (s *Server) sessionToken(r *http.Request) string {
	c, err := r.Cookie(s.sessions.Cookie.Name)
	if err != nil {
		return ""
	}
	return c.Value
}

// parseForm reads a form strictly: each field once, as text that PostgreSQL can hold.
func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		if tooLarge := new(http.MaxBytesError); asError(err, &tooLarge) {
			return errTooMuch
		}
		return errBadForm
	}
	for name, values := range r.PostForm {
		if len(values) != 1 || strings.ContainsRune(name, 0) || strings.ContainsRune(values[0], 0) {
			return errBadForm
		}
	}
	return nil
}

// What the middleware refuses.
var (
	errOtherSite = httpError{status: http.StatusForbidden, says: func(t *texts.Texts) texts.Refusal { return t.Errors.OtherSite }}
	errMethod    = httpError{status: http.StatusMethodNotAllowed, says: func(t *texts.Texts) texts.Refusal { return t.Errors.Method }}
	errOldPage   = httpError{status: http.StatusForbidden, says: func(t *texts.Texts) texts.Refusal { return t.Errors.OldPage }}
	errTooMuch   = httpError{status: http.StatusRequestEntityTooLarge, says: func(t *texts.Texts) texts.Refusal { return t.Errors.TooMuch }}
	errBadForm   = httpError{status: http.StatusBadRequest, says: func(t *texts.Texts) texts.Refusal { return t.Errors.BadForm }}
)

// headers are on every answer, whatever it is; SECURITY: ASVS 3.4. A handler may set Cache-Control for what holds
// nobody's data.
func (s *Server) headers(h http.Header, nonce string) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+nonce+"'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; "+
		"require-trusted-types-for 'script'; trusted-types htmx; report-uri "+views.CSPReportPath+"; report-to csp")
	h.Set("Reporting-Endpoints", `csp="`+views.CSPReportPath+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-XSS-Protection", "0")
	// Not no-referrer: with that, browsers send "Origin: null" with forms, which the cross-origin check refuses.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "+
		"magnetometer=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
	if s.Secure {
		h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
	}
}

// client is the address that a request came from. Each trusted proxy appends the address it saw to X-Forwarded-For, so
// the client is that many from the right; what stands further left is the client's own claim. Where there is no
// such address, it is that of whoever has connected, so that nobody goes uncounted.
func client(r *http.Request, hops int) netip.Addr {
	if hops > 0 {
		seen := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if len(seen) >= hops {
			if a := readAddr(strings.TrimSpace(seen[len(seen)-hops])); a.IsValid() {
				return a
			}
		}
	}
	return readAddr(r.RemoteAddr)
}

// readAddr takes an address with a port or without. Zero is for what is none.
func readAddr(text string) netip.Addr {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		a, _ := netip.ParseAddr(strings.Trim(text, "[]"))
		return a.Unmap().WithZone("")
	}
	return at.Addr().Unmap().WithZone("")
}

func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}

// recorder notes the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
