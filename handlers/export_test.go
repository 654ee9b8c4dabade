package handlers

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"chartroom/views"
)

func TestTheListAsFilteredIsAFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(patientJSON("1", "Abel", "Ann", "=1", "1974-12-25") + patientJSON("2", "Baker", "Bob", "2", "1980-01-01"))
	b := s.as("clinician")
	all := b.get("/patients/export")
	if all.status != 200 || all.header.Get("Content-Type") != "application/fhir+ndjson" || all.body != patientJSON("1", "Abel", "Ann", "=1", "1974-12-25")+patientJSON("2", "Baker", "Bob", "2", "1980-01-01") {
		t.Errorf("%d %v %s", all.status, all.header, all.body)
	}
	if got := all.header.Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="patients-20`) || !strings.HasSuffix(got, `.ndjson"`) {
		t.Error(got)
	}
	list := strings.TrimPrefix(b.search("baker").header.Get("HX-Replace-Url"), "/patients?list=")
	some := b.get(views.ExportPath(list, "csv"))
	if some.status != 200 || !strings.HasPrefix(some.body, "\ufeffid,mrn,") || strings.Count(some.body, "\n") != 2 || !strings.Contains(some.body, ",Baker,Bob,1980-01-01,") {
		t.Errorf("%d %s", some.status, some.body)
	}
	if guarded := b.get("/patients/export?format=csv"); !strings.Contains(guarded.body, ",'=1,Abel,") {
		t.Errorf("a formula went out: %s", guarded.body)
	}
	if n := scan[int](s, `SELECT cardinality(patients) FROM audit_events WHERE action = 'export' AND actor = 'clinician' AND detail->>'format' = 'csv' ORDER BY id LIMIT 1`); n != 1 {
		t.Errorf("%d patients were recorded", n)
	}
	if head := b.do(http.MethodHead, "/patients/export", ""); head.status != 200 || head.body != "" {
		t.Errorf("HEAD: %d", head.status)
	}
	for _, path := range []string{"/patients/export?format=xlsx", views.ExportPath("x"+list, "csv")} {
		if a := b.get(path); a.status != http.StatusBadRequest || strings.Contains(a.body, "Abel") {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := s.as("admin").get(views.ExportPath(list, "csv")); a.status != http.StatusBadRequest {
		t.Errorf("somebody else's list: %d", a.status)
	}
	if a := b.get("/patients/export", "Sec-Fetch-Site", "cross-site"); a.status != http.StatusForbidden {
		t.Errorf("from another site: %d", a.status)
	}
	if a := s.as("viewer").get("/patients/export"); a.status != http.StatusForbidden || strings.Contains(a.body, "Abel") {
		t.Errorf("a viewer: %d", a.status)
	}
	if a := s.browser().get("/patients/export"); a.status != http.StatusSeeOther {
		t.Errorf("nobody: %d", a.status)
	}
}

// TestAnExportThatCannotGoOnIsNoShorterFile ends the session while the file is under way.
func TestAnExportThatCannotGoOnIsNoShorterFile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3000)
	b := s.as("clinician")
	s.exec(`CREATE FUNCTION one_page() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF (SELECT count(*) FROM audit_events WHERE action = 'export') >= 2 THEN RAISE EXCEPTION 'no more'; END IF; RETURN NEW; END $$;
		CREATE TRIGGER one_page BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION one_page()`)
	a, err := b.try(http.MethodGet, "/patients/export", "")
	if err == nil || a.status != 200 || strings.Count(a.body, "\n") != 2000 {
		t.Errorf("%d, %d lines, %v", a.status, strings.Count(a.body, "\n"), err)
	}
	if !strings.Contains(s.logs.String(), "export broke off") {
		t.Error("the log does not say so")
	}
}

// slowly is a connection on which time passes between pages.
type slowly struct {
	http.ResponseWriter
	deadlines []time.Time
}

func (w *slowly) SetWriteDeadline(at time.Time) error {
	w.deadlines = append(w.deadlines, at)
	return nil
}

func (w *slowly) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestALongExportHasTimeForEachPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(2500)
	b := s.as("clinician")
	w := &slowly{ResponseWriter: discard{header: http.Header{}}}
	r, err := http.NewRequest(http.MethodGet, "/patients/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	s.ServeHTTP(w, r)
	if len(w.deadlines) != 3 || !w.deadlines[2].After(w.deadlines[0]) {
		t.Errorf("%v", w.deadlines)
	}
}

func TestAnExportEndsWhenTheBrowserLeavesAndFewRunAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3000)
	b := s.as("clinician")
	req, err := http.NewRequest(http.MethodGet, s.url+"/patients/export", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.cookies {
		req.AddCookie(c)
	}
	s.exec(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(CASE WHEN NEW.action = 'export' AND EXISTS (SELECT 1 FROM audit_events WHERE action = 'export') THEN 30 ELSE 0 END); RETURN NEW; END $$;
		CREATE TRIGGER slow BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION slow()`)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	s.exports <- struct{}{} // another one
	if a := b.get("/patients/export"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a third one at once: %d", a.status)
	}
	if a := b.get("/patients"); a.status != http.StatusOK {
		t.Errorf("the list beside exports: %d", a.status)
	}
	<-s.exports
	res.Body.Close()
	noted := regexp.MustCompile(`level=INFO msg=request .*route="GET /patients/export" .*aborted=true`)
	for deadline := time.Now().Add(20 * time.Second); !noted.MatchString(s.logs.String()) || len(s.exports) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it goes on without anybody to read it")
		}
	}
}
