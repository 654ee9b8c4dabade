package handlers

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
)

func TestMain(m *testing.M) {
	// Tests in a browser mostly wait, so that more of them at once than there are processors take less time.
	if flag.Parse(); flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	passwordHash = hashOf(password)
	code := dbtest.Main(m)
	everybodys.end()
	everybodysWhole.end()
	os.Exit(code)
}

// site is the real thing on a real database, with what a test needs to look behind it.
type site struct {
	*Server
	t    testing.TB
	url  string // of the server
	conn *pgx.Conn
	logs *dbtest.Buffer
}

const password = "seven brass kettles"

// passwordHash is made once, at the price that cost_test.go sets.
var passwordHash string

func hashOf(password string) string {
	h, err := db.HashPassword(password)
	if err != nil {
		panic(err)
	}
	return h
}

func newSite(t testing.TB, change ...func(*Config)) *site {
	t.Helper()
	return newSiteOn(t, nil, change...)
}

// newSiteOn is newSite with sign-in switched off, unless off is nil.
func newSiteOn(t testing.TB, off *db.SignInOff, change ...func(*Config)) *site {
	t.Helper()
	dbURL := dbtest.URL(t)
	d := dbtest.OpenWith(t, dbURL, func(c *db.Config) { c.SignInOff = off })
	s := &site{t: t, conn: dbtest.Conn(t, dbURL), logs: &dbtest.Buffer{}}
	c := Config{DB: d, Assets: os.DirFS(filepath.Join(dbtest.Root(), "assets")), SessionKeys: dbtest.Keys, Lifetime: 12 * time.Hour,
		Log:    slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Clinic: "Test Clinic", Help: "extension 4711", Zone: time.UTC, Locale: "en"}
	for _, f := range change {
		f(&c)
	}
	var err error
	if s.Server, err = New(c); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Server)
	t.Cleanup(server.Close)
	s.url = server.URL
	for _, role := range db.Roles {
		s.exec(`INSERT INTO users (username, password_hash, role) VALUES ($1, $2, $3)`, role, passwordHash, role)
	}
	return s
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.conn.Exec(context.Background(), sql, args...); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
}

func scan[T any](s *site, sql string, args ...any) (v T) {
	s.t.Helper()
	if err := s.conn.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// fill imports made-up patients, and returns how many went in.
func (s *site) fill(n int) {
	s.t.Helper()
	var all bytes.Buffer
	for p := range sample.Patients(7, n) {
		all.Write(append(p, '\n'))
	}
	s.load(all.String())
}

func (s *site) load(ndjson string) {
	s.t.Helper()
	r, err := s.DB.ImportPatients(context.Background(), strings.NewReader(ndjson), db.ImportOptions{Actor: "test",
		Rejected: func(where, why string) { s.t.Errorf("%s: %s", where, why) }})
	if err != nil || r.Rejected > 0 {
		s.t.Fatal(r, err)
	}
}

// browser keeps cookies and follows nothing, so that a test sees every answer.
type browser struct {
	*site
	cookies map[string]*http.Cookie
}

func (s *site) browser() *browser { return &browser{s, map[string]*http.Cookie{}} }

// enter is a browser in which somebody has signed in by the form.
func (s *site) enter(role string) *browser {
	s.t.Helper()
	b := s.browser()
	if a := b.post("/login", "username", role, "password", password); a.status != http.StatusSeeOther {
		s.t.Fatalf("sign in as %s: %d\n%s", role, a.status, a.body)
	}
	return b
}

// as is a browser in which somebody is signed in; how does not matter.
func (s *site) as(role string) *browser { return s.session(role) }

// session is a browser with a session that was stored as a sign-in ends, without the time that a password takes.
func (s *site) session(name string) *browser {
	s.t.Helper()
	ctx, err := s.sessions.Load(context.Background(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	db.PutSession(ctx, s.sessions, db.Session{UserID: scan[int](s, `SELECT id FROM users WHERE username = $1`, name),
		Epoch: scan[int](s, `SELECT session_epoch FROM users WHERE username = $1`, name), Methods: []string{"pwd"}, Program: "test"})
	token, _, err := s.sessions.Commit(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	b := s.browser()
	b.cookies["chartroom"] = &http.Cookie{Name: "chartroom", Value: token}
	return b
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (b *browser) get(path string, header ...string) answer {
	return b.do(http.MethodGet, path, "", header...)
}

// post sends a form; fields are names and values in turn.
func (b *browser) post(path string, fields ...string) answer {
	return b.do(http.MethodPost, path, form(fields...), "Content-Type", "application/x-www-form-urlencoded")
}

func form(fields ...string) string {
	v := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	return v.Encode()
}

var htmx = []string{"HX-Request", "true", "HX-Request-Type", "partial"}

// search sends the search form as htmx does.
func (b *browser) search(q string, fields ...string) answer {
	b.t.Helper()
	fields = append([]string{"q", q, "csrf_token", b.token()}, fields...)
	return b.do(http.MethodPost, "/patients/search", form(fields...), append(htmx, "Content-Type", "application/x-www-form-urlencoded")...)
}

var tokenField = regexp.MustCompile(`name="csrf_token" value="([^"]+)"`)

func (b *browser) token() string {
	b.t.Helper()
	m := tokenField.FindStringSubmatch(b.get("/account").body)
	if m == nil {
		b.t.Fatal("no form token on the page")
	}
	return m[1]
}

func (b *browser) do(method, path, body string, header ...string) answer {
	b.t.Helper()
	a, err := b.try(method, path, body, header...)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *browser) try(method, path, body string, header ...string) (answer, error) {
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Add(header[i], header[i+1])
	}
	for _, c := range b.cookies {
		req.AddCookie(c)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, err
}

var nameCell = regexp.MustCompile(`<th scope="row"><a href="([^"]+)"><bdi>([^<]*)</bdi>`)

// names are those in the table, in its order.
func (a answer) names() (all []string) {
	for _, m := range nameCell.FindAllStringSubmatch(a.body, -1) {
		all = append(all, m[2])
	}
	return all
}

// link finds an address by a part of its tag, such as its id.
func (a answer) link(tag string) string {
	m := regexp.MustCompile(`<a [^>]*` + regexp.QuoteMeta(tag) + `[^>]*>`).FindString(a.body)
	if m = regexp.MustCompile(` href="([^"]+)"`).FindString(m); m == "" {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(m, ` href="`), `"`)
}

// patientJSON is a small resource.
func patientJSON(id, family, given, mrn, birth string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":%q,"given":[%q]}],"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":%q}],"birthDate":%q}`+"\n",
		id, family, given, mrn, birth)
}
