package handlers

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

// scrape asks the second listener for the metrics: each series with its value.
func (s *site) scrape() map[string]float64 {
	s.t.Helper()
	return series(s.t, s.operations("/metrics").body)
}

func series(t testing.TB, text string) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, twice := all[line[:i]]; twice {
			t.Errorf("%s comes twice", line[:i])
		}
		all[line[:i]] = value
	}
	return all
}

func (s *site) operations(path string) answer {
	w := httptest.NewRecorder()
	s.Operations().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return answer{w.Code, w.Header(), w.Body.String()}
}

func requestsOf(method, route string, status any) string {
	return fmt.Sprintf("chartroom_http_requests_total{method=%q,route=%q,status=\"%v\"}", method, route, status)
}

func TestRequestsAreCountedByRouteWhateverSomebodySends(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(1)
	b := s.as("viewer")
	patient := nameCell.FindStringSubmatch(b.get("/patients").body)[1]
	for range 3 {
		b.get(patient)
	}
	b.get("/patients/00000000-0000-4000-8000-000000000000")
	before := s.scrape()
	for i := range 40 {
		b.get(fmt.Sprintf("/canary-%d", i))
		b.do(fmt.Sprintf("CANARY%d", i), "/patients", "")
		b.do("DELETE", "/patients/canary", "")
		b.get(fmt.Sprintf("/patients?canary%d", i))
	}
	b.get(`/canary"} 1`)
	after := s.scrape()
	added := 0
	for name := range after {
		if _, known := before[name]; !known {
			added++
		}
		if strings.Contains(strings.ToLower(name), "canary") || strings.Contains(name, strings.TrimPrefix(patient, "/patients/")) {
			t.Errorf("a series is named by what somebody sent: %s", name)
		}
	}
	if added > 2+len(buckets)+3 { // other 404 and 405, and one histogram for both
		t.Errorf("%d series more", added)
	}
	for name, want := range map[string]float64{
		requestsOf("GET", "/patients/{id}", 200): 3, requestsOf("GET", "/patients/{id}", 404): 1, requestsOf("GET", "/patients", 200): 41,
		requestsOf("other", "other", 404): 41, requestsOf("other", "other", 405): 80,
		`chartroom_http_request_duration_seconds_count{method="GET",route="/patients/{id}"}`: 4, "chartroom_http_requests_in_flight": 0,
	} {
		if got, there := after[name]; !there || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

func TestToCountARequestAllocatesNothing(t *testing.T) {
	m := newMeter().route("GET /patients")
	m.count(200, time.Millisecond)
	if n := testing.AllocsPerRun(1000, func() { m.count(200, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestThePublicSideHasNeitherMetricsNorProfiles is ASVS 13.4.2 and 13.4.5.
func TestThePublicSideHasNeitherMetricsNorProfiles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("admin")
	for _, path := range []string{"/metrics", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/pprof/profile?seconds=1"} {
		if a := b.get(path); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
		if a := s.operations(path); a.status != 200 || len(a.body) == 0 {
			t.Errorf("%s on the second listener: %d", path, a.status)
		}
	}
	for _, path := range []string{"/", "/patients", "/login", "/debug/pprof/cmdline", "/debug/pprof/canary", "/healthcheck"} {
		if a := s.operations(path); a.status != 404 {
			t.Errorf("%s on the second listener: %d", path, a.status)
		}
	}
}

func TestSignInsAreCountedByWhatCameOfThem(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.enter("viewer")
	s.exec(`UPDATE users SET is_active = false WHERE username = 'clinician'`)
	for _, try := range [][2]string{{"viewer", "wrong"}, {"nobody at all", "wrong"}, {"clinician", password}} {
		s.browser().post("/login", "username", try[0], "password", try[1])
	}
	for range 40 { // until one must wait
		if a := s.browser().post("/login", "username", "admin", "password", "wrong"); a.status == 429 {
			break
		}
	}
	all := s.scrape()
	for outcome, want := range map[string]float64{"granted": 1, "unknown user": 1, "disabled": 1, "throttled": 1, "busy": 0, "error": 0} {
		if name := fmt.Sprintf("chartroom_sign_ins_total{outcome=%q}", outcome); all[name] != want {
			t.Errorf("%s is %v, want %v", name, all[name], want)
		}
	}
	if all[`chartroom_sign_ins_total{outcome="wrong password"}`] < 2 || all["chartroom_sessions"] != 1 || all["chartroom_password_hash_wait_seconds_count"] < 5 {
		t.Errorf("%v", all)
	}
}

func TestAScrapeSaysWhetherTheDatabaseAnswers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.as("viewer").get("/patients")
	all := s.scrape()
	if all["chartroom_database_up"] != 1 || all["chartroom_sessions"] != 1 || all["chartroom_audit_unsealed_seconds"] <= 0 || all["chartroom_database_connections_max"] < 2 {
		t.Errorf("%v", all)
	}
	if _, there := all["chartroom_audit_last_seal_timestamp_seconds"]; there {
		t.Error("nothing is sealed, but there is a last seal")
	}

	gone := newSite(t)
	name := scan[string](gone, `SELECT current_database()`)
	gone.conn = dbtest.Admin(t)
	gone.exec(`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`)
	gone.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, name)
	all = gone.scrape()
	if up, there := all["chartroom_database_up"]; !there || up != 0 {
		t.Errorf("with the database gone: up is %v, %v", up, there)
	}
	if _, there := all["chartroom_sessions"]; there {
		t.Error("with the database gone sessions are counted all the same")
	}
}

func TestTheSealLagEndsWithTheSeal(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.as("viewer").get("/patients")
	if err := s.DB.NewSealer(nil, nil, s.Log).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	if all := s.scrape(); all["chartroom_audit_unsealed_seconds"] != 0 || all["chartroom_audit_last_seal_timestamp_seconds"] < float64(time.Now().Add(-time.Hour).Unix()) {
		t.Errorf("%v", all)
	}
}

func TestARefusalByTheAuditIsCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.as("viewer")
	s.exec(audits["a trigger that raises"][0])
	b.get("/patients")
	if all := s.scrape(); all["chartroom_audit_refused_total"] != 1 {
		t.Errorf("%v", all["chartroom_audit_refused_total"])
	}
}

var documented = regexp.MustCompile("(?m)^\\| `((?:chartroom|go|process)_\\w+)`[^|]*\\| (counter|gauge|histogram) \\| ([^|]*) \\| ([^|]*) \\|$")

// TestEachMetricStandsInTheDocument holds docs/metrics.md, the texts that a scrape gives and what is exposed to each other.
func TestEachMetricStandsInTheDocument(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.as("viewer").get("/patients")
	if err := s.DB.NewSealer(nil, nil, s.Log).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dbtest.Root(), "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	doc := map[string][3]string{}
	for _, row := range documented.FindAllStringSubmatch(string(text), -1) {
		doc[row[1]] = [3]string{row[2], row[3], row[4]}
	}
	body := s.operations("/metrics").body
	exposed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# HELP (\S+) (.+)\n# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(body, -1) {
		name, help, kind := m[1], m[2], m[4]
		exposed[name] = true
		if d := doc[name]; d[0] != kind || d[2] != help || name != m[3] {
			t.Errorf("%s is a %s (%s); the document says %q", name, kind, help, d)
		}
		labels := map[string]bool{}
		for _, line := range regexp.MustCompile(`(?m)^`+name+`(?:_bucket)?\{(.*)\} `).FindAllStringSubmatch(body, -1) {
			for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(line[1], -1) {
				labels[l[1]] = true
			}
		}
		delete(labels, "le")
		want := strings.NewReplacer("`", "", " ", "").Replace(doc[name][1])
		if got := strings.Join(slices.Sorted(maps.Keys(labels)), ","); got != want {
			t.Errorf("%s has the labels %q, the document says %q", name, got, want)
		}
	}
	for name := range helps {
		if doc[name][0] == "" {
			t.Errorf("%s is explained and not documented", name)
		}
	}
	for name := range doc {
		if !exposed[name] && !(strings.HasPrefix(name, "process_") && runtime.GOOS != "linux") { // other systems tell less
			t.Errorf("%s is documented and not exposed", name)
		}
	}
}
