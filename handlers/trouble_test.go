package handlers

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestTroublesAreToldOnceAMinuteAndNeverOfBrowsersThatAreWell has a clock of its own.
func TestTroublesAreToldOnceAMinuteAndNeverOfBrowsersThatAreWell(t *testing.T) {
	t.Parallel()
	var m troubles
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	after := func(d time.Duration) time.Time { return at.Add(d) }
	ada := visitor{netip.MustParseAddr("192.0.2.1"), "one"}
	bob := visitor{netip.MustParseAddr("192.0.2.1"), "another"}
	if m.lost(ada, at) {
		t.Error("nobody has signed in")
	}
	m.signedIn(ada, at)
	m.kept(ada)
	if m.lost(ada, after(time.Second)) {
		t.Error("the cookie came")
	}
	m.signedIn(ada, at)
	if m.lost(bob, after(time.Second)) {
		t.Error("another browser of the same address")
	}
	if !m.lost(ada, after(2*time.Second)) {
		t.Error("a lost cookie is not told")
	}
	m.signedIn(ada, after(3*time.Second))
	if m.lost(ada, after(4*time.Second)) {
		t.Error("told twice within a minute")
	}
	m.signedIn(ada, after(time.Hour))
	if m.lost(ada, after(time.Hour+cookieComesBack)) {
		t.Error("too late to say anything")
	}
	m.signedIn(ada, after(2*time.Hour))
	if !m.lost(ada, after(2*time.Hour+time.Second)) || m.waiting.Load() != 0 {
		t.Error("not told a second time")
	}

	told := 0
	for n := range 30 {
		if m.sentOn(ada, "GET /patients", after(time.Duration(n)*time.Second)) {
			t.Error("one redirect a second is a person or a probe")
		}
		if m.sentOn(bob, "GET /patients", after(time.Duration(n)*50*time.Millisecond)) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("a circle is told %d times", told)
	}
	for n := range 3 * visitorsKept { // strangers cannot fill the memory
		v := visitor{netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}), ""}
		m.signedIn(v, at)
		m.sentOn(v, "GET /", at)
	}
	if len(m.in) > visitorsKept || len(m.sent) > visitorsKept {
		t.Errorf("%d and %d are kept", len(m.in), len(m.sent))
	}
}

func TestTheSchemeIsThatOfTheTrustedProxiesAlone(t *testing.T) {
	t.Parallel()
	for _, try := range []struct {
		hops int
		said []string
		want string
	}{
		{0, nil, "http"}, {2, nil, "http"}, {0, []string{"https"}, "unknown"}, {1, []string{"https"}, "https"}, {1, []string{"HTTP"}, "http"},
		{1, []string{"https, http"}, "http"}, {2, []string{"https, http"}, "https"}, {2, []string{"https"}, "https"}, {2, []string{"http", "https", "http"}, "https"}, {1, []string{"gopher"}, "unknown"},
	} {
		r := &http.Request{Header: http.Header{"X-Forwarded-Proto": try.said}}
		if got := scheme(r, try.hops); got != try.want {
			t.Errorf("%d hops, %q: %s, want %s", try.hops, try.said, got, try.want)
		}
	}
}

func TestTheLogSaysWhyASignInWasRefusedAndNotWhatWasTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	b.post("/login", "username", "typed-by-mistake", "password", password)
	s.exec(`UPDATE users SET password_hash = '$2b$12$tooshort' WHERE username = 'viewer'`)
	b.post("/login", "username", "viewer", "password", password)
	for _, want := range []string{`msg="sign-in refused" kind="unknown user" mend="names match exactly`, `msg="sign-in refused" kind="unusable hash" mend=`} {
		if !strings.Contains(s.logs.String(), want) {
			t.Errorf("not in the log: %s\n%s", want, s.logs)
		}
	}
	if strings.Contains(s.logs.String(), "typed-by-mistake") || strings.Contains(s.logs.String(), password) {
		t.Error(s.logs)
	}
	for kind, mend := range refusedMend {
		if mend == "" || kind == "" {
			t.Error(kind)
		}
	}
}
