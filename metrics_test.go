package main

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"chartroom/db/dbtest"
)

func fetch(t testing.TB, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// observed is a server with its second listener, and that one's address.
func observed(t testing.TB, dbURL string, env ...string) (p *process, site, metrics string) {
	t.Helper()
	p, site = serving(t, dbURL, append([]string{"METRICS_ADDR=127.0.0.1:0"}, env...)...)
	return p, site, "http://" + p.output(p.stderr, `msg=metrics address=(\S+)`)
}

func TestTheSecondListenerServesMetricsAndEndsWithTheServer(t *testing.T) {
	t.Parallel()
	p, site, metrics := observed(t, dbtest.URL(t))
	fetch(t, site+"/login")
	status, body := fetch(t, metrics+"/metrics")
	for _, want := range []string{`chartroom_http_requests_total{method="GET",route="/login",status="200"} 1`, `chartroom_build_info{version="`, "chartroom_database_up 1", "process_cpu_seconds_total"} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, without %s", status, want)
		}
	}
	for _, path := range []string{"/metrics", "/debug/pprof/heap"} {
		if status, _ := fetch(t, site+path); status != 404 {
			t.Errorf("%s on the public side: %d", path, status)
		}
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	if code := p.finish(); code != 0 {
		t.Errorf("exit %d\n%s", code, p.stderr)
	}
	if _, err := http.Get(metrics + "/metrics"); err == nil {
		t.Error("the second listener answers still")
	}
	if strings.Contains(p.stderr.String(), "not served any more") {
		t.Errorf("its end is told as a fault\n%s", p.stderr)
	}
}

func TestAMetricsAddressThatIsTakenIsOneSentence(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	_, _, metrics := observed(t, dbURL)
	code, _, errs := command(t, []string{"DATABASE_URL=" + dbURL, "LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=" + strings.TrimPrefix(metrics, "http://")}, "serve")
	if code != exitFailed || !strings.Contains(errs, "chartroom: METRICS_ADDR cannot be used, choose another address") {
		t.Errorf("%d %s", code, errs)
	}
}
