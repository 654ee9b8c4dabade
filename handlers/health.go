package handlers

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// healthcheck answers 200 when the database answered within 2 s. The answer is remembered for a second, so that asking
// often costs nothing. A server that is about to stop answers 503.
func (s *Server) healthcheck(w http.ResponseWriter, r *http.Request) error {
	if s.draining.Load() {
		return plain(w, http.StatusServiceUnavailable, "stopping\n")
	}
	s.health.Lock()
	defer s.health.Unlock()
	if time.Since(s.healthyAt) > time.Second {
		// Not ended by the one who asks: the answer is for everybody.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
		defer cancel()
		s.healthy = s.DB.Ping(ctx) == nil
		s.healthyAt = time.Now()
	}
	if !s.healthy {
		return plain(w, http.StatusServiceUnavailable, "the database does not answer\n")
	}
	return plain(w, http.StatusOK, "ok\n")
}

// livez answers as long as the process serves, whatever the database does.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request) error {
	return plain(w, http.StatusOK, "ok\n")
}

func plain(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
	return nil
}

// cspReport notes what a browser's policy has stopped: which rule, and the scheme and host of what it stopped. Addresses
// of pages and samples of scripts stay out, they could hold somebody's data.
func (s *Server) cspReport(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<10))
	if err != nil || !s.reports.allow(time.Now()) {
		w.WriteHeader(http.StatusTooManyRequests)
		return nil
	}
	type report struct {
		Directive  string `json:"effective-directive"`
		Directive2 string `json:"effectiveDirective"`
		Blocked    string `json:"blocked-uri"`
		Blocked2   string `json:"blockedURL"`
	}
	var classic struct {
		Report report `json:"csp-report"`
	}
	var modern []struct {
		Body report `json:"body"`
	}
	var all []report
	if json.Unmarshal(body, &classic) == nil {
		all = append(all, classic.Report)
	} else if json.Unmarshal(body, &modern) == nil {
		for _, m := range modern {
			all = append(all, m.Body)
		}
	}
	for _, c := range all[:min(len(all), 5)] {
		s.Log.Warn("a browser reports that the content security policy stopped something",
			"directive", word(c.Directive+c.Directive2), "source", origin(c.Blocked+c.Blocked2))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// word keeps a directive's name and nothing that a stranger could smuggle into the log.
func word(s string) string {
	for i, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c == '-') || i > 40 {
			return s[:i]
		}
	}
	return s
}

func origin(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || len(u.Host) > 100 {
		return word(s)
	}
	return word(u.Scheme) + "://" + u.Host
}

// limiter lets so many through in each minute.
type limiter struct {
	perMinute int

	mu    sync.Mutex
	since time.Time
	n     int
}

func (l *limiter) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) > time.Minute {
		l.since, l.n = now, 0
	}
	l.n++
	return l.n <= l.perMinute
}
