package handlers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// Build is which program this is.
type Build struct {
	Version, Commit string
	Schema          int // its newest migration
}

// meter counts requests by the table of routes, never by what was asked for: whatever a stranger sends, there are no more series
// than routes, statuses and buckets. Each is made when it is first needed; after that a request allocates nothing for it.
type meter struct {
	set                           *metrics.Set
	inFlight                      atomic.Int64
	unknown                       *routeMeter // no route, or no method of one
	auditRefused, retried, panics *metrics.Counter
}

// routeMeter is what is counted of one route.
type routeMeter struct {
	set      *metrics.Set
	labels   string
	requests [len(statuses) + 1]atomic.Pointer[metrics.Counter]
	took     atomic.Pointer[metrics.PrometheusHistogram]
}

// statuses are those that this site answers with; any other is counted as "other".
var statuses = [...]int{200, 204, 303, 304, 400, 401, 403, 404, 405, 413, 422, 429, statusGone, 500, 503}

// buckets are seconds. A page takes some milliseconds, a password a quarter of a second, and a request ends after 15.
var buckets = []float64{.0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15}

func newMeter() *meter {
	m := &meter{set: metrics.NewSet()}
	m.unknown = &routeMeter{set: m.set, labels: `method="other",route="other"`}
	m.auditRefused = m.set.NewCounter("chartroom_audit_refused_total")
	m.retried = m.set.NewCounter("chartroom_reads_retried_total")
	m.panics = m.set.NewCounter("chartroom_panics_total")
	m.set.NewGauge("chartroom_http_requests_in_flight", func() float64 { return float64(m.inFlight.Load()) })
	return m
}

// route is the meter of a pattern, such as "GET /patients".
func (m *meter) route(pattern string) *routeMeter {
	method, path, _ := strings.Cut(pattern, " ")
	return &routeMeter{set: m.set, labels: fmt.Sprintf("method=%q,route=%q", method, path)}
}

func (m *routeMeter) count(status int, took time.Duration) {
	i, name := slices.Index(statuses[:], status), "other"
	if i < 0 {
		i = len(statuses)
	}
	requests := m.requests[i].Load()
	if requests == nil {
		if i < len(statuses) {
			name = fmt.Sprint(status)
		}
		requests = m.set.GetOrCreateCounter(fmt.Sprintf("chartroom_http_requests_total{%s,status=%q}", m.labels, name))
		m.requests[i].Store(requests)
	}
	requests.Inc()
	seconds := m.took.Load()
	if seconds == nil {
		seconds = m.set.GetOrCreatePrometheusHistogramExt("chartroom_http_request_duration_seconds{"+m.labels+"}", buckets)
		m.took.Store(seconds)
	}
	seconds.Update(took.Seconds())
}

// Operations is what METRICS_ADDR serves, which must not be open to the public: /metrics and Go's profiles. They name nobody, but tell
// how much goes on and how the program works.
func (s *Server) Operations() http.Handler {
	metrics.ExposeMetadata(true)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.writeMetrics)
	mux.HandleFunc("GET /debug/pprof/{profile}", profile)
	return mux
}

func (s *Server) writeMetrics(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	metrics.WriteMetadataIfNeeded(&b, "chartroom_build_info", "gauge")
	fmt.Fprintf(&b, "chartroom_build_info{version=%q,commit=%q,go_version=%q,schema=\"%d\"} 1\n",
		s.Build.Version, s.Build.Commit, runtime.Version(), s.Build.Schema)
	s.meter.set.WritePrometheus(&b)
	metrics.WriteGaugeUint64(&b, "chartroom_exports_running", uint64(len(s.exports)))
	s.DB.WriteMetrics(r.Context(), &b)
	metrics.WriteProcessMetrics(&b)
	metrics.WriteFDMetrics(&b)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(explained(&b)) // a reader who left is no error of ours
}

// explained adds to each metric what it means, which the library leaves out. What is not in our table is left out itself: it is
// the library's, and neither documented here nor ours to keep.
func explained(r io.Reader) []byte {
	var out bytes.Buffer
	lines, known := bufio.NewScanner(r), false
	for lines.Scan() {
		line := lines.Bytes()
		if name, ok := bytes.CutPrefix(line, []byte("# HELP ")); ok {
			var help string
			if help, known = helps[string(bytes.TrimSpace(name))]; known {
				fmt.Fprintf(&out, "# HELP %s %s\n", bytes.TrimSpace(name), help)
			}
			continue
		}
		if known {
			out.Write(line)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}
