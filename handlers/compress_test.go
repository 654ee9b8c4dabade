package handlers

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// decoder reads a body as its header says it is written.
func decoder(t *testing.T, coding string, body io.Reader) io.Reader {
	t.Helper()
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	case "zstd":
		r, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	case "":
		return body
	}
	t.Fatalf("coding %q", coding)
	return nil
}

func decoded(t *testing.T, coding, body string) string {
	t.Helper()
	text, err := io.ReadAll(decoder(t, coding, strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPagesAreCompressedAsTheBrowserAsks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(30)
	b := s.as("viewer")
	for _, c := range []struct{ accepts, want string }{
		{"", ""}, {"identity", ""}, {"br", ""}, {"gzip;q=0, zstd;q=0", ""},
		{"gzip", "gzip"}, {"gzip, deflate, br, zstd", "zstd"}, {"zstd;q=0, gzip", "gzip"}, {"zstd;q=0.1, gzip;q=0.9", "gzip"},
	} {
		header := append([]string{"Accept-Encoding", c.accepts}, htmx...)
		for name, a := range map[string]answer{"page": b.get("/patients", header[:2]...), "fragment": b.get("/patients", header...), "404": b.get("/nothing", header[:2]...)} {
			if got := a.header.Get("Content-Encoding"); got != c.want {
				t.Errorf("%s for %q: Content-Encoding %q", name, c.accepts, got)
			}
			if got := a.header.Values("Vary"); len(got) != 1 || got[0] != "Accept-Encoding, HX-Request" {
				t.Errorf("%s for %q: Vary %q", name, c.accepts, got)
			}
			text := decoded(t, c.want, a.body)
			if name != "404" && strings.Count(text, `<th scope="row">`) != 25 || !strings.Contains(text, "Test Clinic") {
				t.Errorf("%s for %q does not come out whole", name, c.accepts)
			}
			if c.want != "" && len(a.body) >= len(text) {
				t.Errorf("%s for %q: %d of %d bytes", name, c.accepts, len(a.body), len(text))
			}
		}
	}
}

func TestWhatHasNoBodyOrIsSmallStaysAsItIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(30)
	b := s.as("viewer")
	both := []string{"Accept-Encoding", "gzip, zstd"}
	for name, a := range map[string]answer{
		"HEAD": b.do("HEAD", "/patients", "", both...), "204": b.get("/session", append(both, htmx...)...), "303": s.browser().get("/patients", both...),
		"401": s.browser().get("/patients", append(both, htmx...)...), "healthcheck": b.get("/healthcheck", both...), "livez": b.get("/livez", both...),
	} {
		if a.header.Get("Content-Encoding") != "" || name == "HEAD" && (a.status != 200 || a.body != "" || a.header.Get("Content-Length") != "" || a.header.Get("Vary") != "Accept-Encoding, HX-Request") {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
	}
	if a := b.get("/healthcheck", both...); a.body != "ok\n" || a.header.Get("Vary") != "" {
		t.Errorf("healthcheck: %q, %v", a.body, a.header)
	}
}

func TestAssetsComeCompressedAndWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser()
	for _, path := range []string{s.assets.paths.CSS, s.assets.paths.JS, s.assets.paths.Htmx, s.assets.paths.HtmxCSP} {
		plain := b.get(path, "Accept-Encoding", "identity")
		for _, c := range []struct{ accepts, want string }{
			{"gzip", "gzip"}, {"br, GZIP;q=0.5", "gzip"}, {"gzip, deflate, br, zstd", "gzip"}, {"gzip;q=0", ""}, {"gzip;q=0.000, identity", ""}, {"br", ""},
		} {
			a := b.get(path, "Accept-Encoding", c.accepts)
			if a.status != 200 || a.header.Get("Content-Encoding") != c.want || decoded(t, c.want, a.body) != plain.body || len(plain.body) == 0 {
				t.Errorf("%s for %q: %d, %v", path, c.accepts, a.status, a.header)
			}
			if a.header.Get("Content-Length") != strconv.Itoa(len(a.body)) || strings.Join(a.header.Values("Vary"), "|") != "Accept-Encoding" {
				t.Errorf("%s for %q: %v", path, c.accepts, a.header)
			}
			if h := b.do("HEAD", path, "", "Accept-Encoding", c.accepts); h.body != "" || h.header.Get("Content-Length") != a.header.Get("Content-Length") || h.header.Get("Content-Encoding") != c.want {
				t.Errorf("HEAD %s for %q: %v", path, c.accepts, h.header)
			}
		}
		if a := b.get(path, "Accept-Encoding", "gzip", "Range", "bytes=5-14"); a.status != 206 || a.header.Get("Content-Encoding") != "" || a.body != plain.body[5:15] {
			t.Errorf("a range of %s: %d %q", path, a.status, a.body)
		}
	}
}

// streaming is a site with one more route, as exports will be.
func streaming(t *testing.T, handle func(w http.ResponseWriter, r *http.Request) error) *httptest.Server {
	s := newSite(t)
	mux := http.NewServeMux()
	mux.Handle("GET /stream", s.serve(route{pattern: "GET /stream", access: public, handle: handle}))
	server := httptest.NewUnstartedServer(s.middleware(mux))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return server
}

func TestAStreamArrivesAsItIsFlushedAndItsDeadlineCanBeMoved(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	server := streaming(t, func(w http.ResponseWriter, r *http.Request) error {
		c := http.NewResponseController(w)
		if err := c.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("the deadline does not reach the connection: %v", err)
		}
		w.Header().Set("Content-Type", "application/fhir+ndjson")
		for i := range 3 {
			fmt.Fprintf(w, "line %d\n", i)
			if err := c.Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			<-read // the reader has this line before the next is written
		}
		return nil
	})
	for _, coding := range []string{"gzip", "zstd", ""} {
		body := bufio.NewReader(decoder(t, coding, open(t, server.URL, coding)))
		for i := range 3 {
			if line, err := body.ReadString('\n'); err != nil || line != fmt.Sprintf("line %d\n", i) {
				t.Fatalf("%q: %q, %v", coding, line, err)
			}
			read <- struct{}{}
		}
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Errorf("%q: %q, %v", coding, rest, err)
		}
	}
}

func open(t *testing.T, url, coding string) io.Reader {
	t.Helper()
	req, err := http.NewRequest("GET", url+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", coding)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.Header.Get("Content-Encoding") != coding {
		t.Fatalf("%q: %v", coding, res.Header)
	}
	return res.Body
}

func TestAStreamThatIsGivenUpDoesNotLookFinished(t *testing.T) {
	t.Parallel()
	server := streaming(t, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		_, _ = io.WriteString(w, strings.Repeat("a line\n", 100_000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, coding := range []string{"gzip", "zstd", ""} {
		if _, err := io.ReadAll(decoder(t, coding, open(t, server.URL, coding))); err == nil {
			t.Errorf("%q: it reads as if it were whole", coding)
		}
	}
}

// TestNoPageShowsItsAddress holds what compress rests on: nobody can make the site compress text of their choice
// together with a form token or a patient by an address that they have a victim open.
func TestNoPageShowsItsAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	b := s.as("admin")
	patient := nameCell.FindStringSubmatch(b.get("/patients").body)[1]
	const canary = "canarytext"
	query := "?" + form("q", canary, "list", canary, "next", "/"+canary, "sort", canary, "page", canary, canary, canary)
	for _, rt := range s.routes() {
		method, path, _ := strings.Cut(rt.pattern, " ")
		if method != "GET" {
			continue
		}
		path = strings.ReplaceAll(strings.TrimSuffix(path, "{$}"), "{id}", strings.TrimPrefix(patient, "/patients/"))
		for _, header := range [][]string{nil, htmx} {
			to := strings.ReplaceAll(path, "{name...}", canary) + query
			a := b.get(to, append(header, "Referer", b.url+"/"+canary, "HX-Current-URL", b.url+"/"+canary)...)
			if path == "/account/password" && len(a.body) > 1<<10 && b.get(to, "Accept-Encoding", "zstd, gzip").header.Get("Content-Encoding") == "" &&
				b.get(path, "Accept-Encoding", "zstd, gzip").header.Get("Content-Encoding") == "zstd" {
				continue // it shows where it leads, and is not compressed for it
			}
			if a.status != http.StatusSeeOther && strings.Contains(a.body, canary) { // a redirect holds where it leads, and nothing else
				t.Errorf("%s shows what its address says", rt.pattern)
			}
		}
	}
	if a := s.browser().get("/login" + query); strings.Contains(a.body, "csrf_token") || strings.Contains(a.body, "<table") {
		t.Error("the sign-in page, which shows where it leads to, holds a secret")
	}
	if a := b.get("/patients/" + canary); strings.Contains(a.body, canary) {
		t.Error("the page that nothing is at shows its address")
	}
	req := append(htmx, "Content-Type", "application/x-www-form-urlencoded")
	if a := b.do("POST", "/patients/search", form("q", canary), req...); a.status != 403 || strings.Contains(a.body, canary) {
		t.Errorf("a search without the form token: %d", a.status)
	}
}

// TestOurOwnFilesGoOutWithoutWhatIsForTheirReaders: and with everything else, in lines that mean the same.
func TestOurOwnFilesGoOutWithoutWhatIsForTheirReaders(t *testing.T) {
	for in, want := range map[string]string{
		"/* why\n so */\na { b: c }\n\n  d { e: f; } /* here */\n":        "a { b: c }\nd { e: f; } ",
		"// why\nconst a = \"//b\"; // kept\n  // more\n\n  c(`/x/y`);\n": "const a = \"//b\"; // kept\nc(`/x/y`);",
		"<svg><path d=\"M0 0\"/></svg>\n":                                 "<svg><path d=\"M0 0\"/></svg>",
	} {
		if got := string(terse([]byte(in))); got != strings.TrimSpace(want) {
			t.Errorf("%q is served as %q", in, got)
		}
	}
	s := newSite(t)
	for path := range s.assets.files {
		a := s.browser().get("/assets/" + path)
		if ours := !strings.Contains(path, "htmx") && !strings.Contains(path, "hx-csp"); ours && regexp.MustCompile(`(?m)/\*|^\s*//|^\s`).MatchString(a.body) {
			t.Errorf("%s holds a comment or an indented line", path)
		}
		if csp := a.header.Get("Content-Security-Policy"); a.status != 200 || csp != "default-src 'none'; frame-ancestors 'none'" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
}
