package handlers

import (
	"net/http"
	"testing"
)

func TestW5RHead(t *testing.T) {
	t.Skip("not mended here")
	s, path := onePatient(t)
	b := s.as("viewer")
	n := scan[int](s, `SELECT count(*) FROM audit_events WHERE action IN ('patient-open', 'patient-list') AND patients <> '{}'`)
	for _, p := range []string{path, "/patients"} {
		a := b.do(http.MethodHead, p, "")
		t.Logf("%s %d %d bytes", p, a.status, len(a.body))
	}
	if m := scan[int](s, `SELECT count(*) FROM audit_events WHERE action IN ('patient-open', 'patient-list') AND patients <> '{}'`); m != n {
		t.Errorf("%d events say that a patient was seen, and nothing was sent", m-n)
	}
}
