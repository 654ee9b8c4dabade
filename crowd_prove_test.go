//go:build prove

package main

import (
	"context"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
)

const workersPassword = "seven brass kettles"

var workersHash = sync.OnceValues(func() (string, error) { return db.HashPassword(workersPassword) })

func addUser(t testing.TB, c *pgx.Conn, name string) {
	t.Helper()
	hash, err := workersHash()
	if err == nil {
		_, err = c.Exec(context.Background(), `INSERT INTO users (username, password_hash, role) VALUES ($1, $2, 'clinician')`, name, hash)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// crowd is people who work at once, each signed in once.
type crowd struct {
	t       testing.TB
	people  []*worker
	home    chan struct{}
	working sync.WaitGroup

	mu           sync.Mutex
	failures     []string
	lostWrites   int
	lostSessions int
}

// worker is somebody with a browser, and what the site has confirmed to them.
type worker struct {
	*crowd
	name, at string
	browser  *http.Client
	served   atomic.Int64
	family   map[string]string // of the patients made, by address
	given    map[string]string // the last that was confirmed
	version  map[string]int
}

func gather(t testing.TB, at string, n int) *crowd {
	t.Helper()
	all := &crowd{t: t, home: make(chan struct{})}
	for i := range n {
		jar, _ := cookiejar.New(nil)
		w := &worker{crowd: all, name: fmt.Sprintf("worker-%d", i), at: at, family: map[string]string{}, given: map[string]string{}, version: map[string]int{},
			browser: &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: &http.Transport{},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		t.Cleanup(w.browser.CloseIdleConnections)
		if _, ok := w.ask("POST /login", 303, "username", w.name, "password", workersPassword); !ok {
			t.Fatal(all.failures)
		}
		all.people = append(all.people, w)
	}
	return all
}

func (c *crowd) work() {
	for _, w := range c.people {
		c.working.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-c.home:
					return
				case <-time.After(time.Duration(5+rand.IntN(20)) * time.Millisecond):
					w.round()
				}
			}
		})
	}
	c.t.Cleanup(c.goHome)
}

func (c *crowd) goHome() {
	select {
	case <-c.home:
	default:
		close(c.home)
	}
	c.working.Wait()
}

func (c *crowd) served() (n int64) {
	for _, w := range c.people {
		n += w.served.Load()
	}
	return n
}

func (c *crowd) writes() (n int) {
	for _, w := range c.people {
		for _, version := range w.version {
			n += version
		}
	}
	return n
}

func (c *crowd) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// shown is an answer.
type shown struct{ body, location string }

// ask sends what "METHOD /path" says, with a form's fields in turn, and notes any other status as a failure.
func (w *worker) ask(what string, status int, fields ...string) (shown, bool) {
	method, path, _ := strings.Cut(what, " ")
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	req, err := http.NewRequest(method, w.at+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.fail("%v", err)
		return shown{}, false
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := w.browser.Do(req)
	if err != nil {
		w.fail("%s: %v", what, err)
		return shown{}, false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		w.fail("%s: %d (%v)\n%.300s", what, res.StatusCode, err, body)
		return shown{}, false
	}
	w.served.Add(1)
	return shown{string(body), res.Header.Get("Location")}, true
}

// round is what somebody does again and again: the list, a search, a new patient, their page, a change, their page.
func (w *worker) round() {
	list, ok := w.ask("GET /patients", 200)
	if !ok {
		return
	}
	if found, ok := w.ask("POST /patients/search", 303, "q", "zz", "csrf_token", formValue(list.body, "csrf_token")); ok {
		w.ask("GET "+found.location, 200)
	}
	form, ok := w.ask("GET /patients/new", 200)
	if !ok {
		return
	}
	family := randomName()
	made, ok := w.ask("POST /patients", 303, filled(form.body, "family", family, "given", "First", "birth_date",
		time.Date(1930+rand.IntN(80), time.January, 1+rand.IntN(365), 0, 0, 0, 0, time.UTC).Format(time.DateOnly))...)
	if !ok {
		return
	}
	at, _, _ := strings.Cut(made.location, "?")
	w.family[at], w.given[at], w.version[at] = family, "First", 1
	if seen, ok := w.ask("GET "+at, 200); ok && !strings.Contains(seen.body, family) {
		w.fail("%s is not the page of who was made", at)
	}
	if form, ok = w.ask("GET "+at+"/edit", 200); !ok {
		return
	}
	given := randomName()
	if _, ok = w.ask("POST "+at, 303, filled(form.body, "given", given)...); ok {
		w.given[at] = given
		w.version[at]++
	}
	if seen, ok := w.ask("GET "+at, 200); ok && !strings.Contains(seen.body, w.given[at]) {
		w.fail("%s does not show the change", at)
	}
}

// verify looks in the database for each write that was confirmed, and whether each session still works.
func (c *crowd) verify(conn *pgx.Conn) {
	c.t.Helper()
	ctx := context.Background()
	made := 0
	for _, w := range c.people {
		made += len(w.family)
		for at, family := range w.family {
			var given string
			var version, rows int
			err := conn.QueryRow(ctx, `SELECT min(given), min(version), count(*) FROM patients WHERE id::text = $1 OR family = $2`,
				strings.TrimPrefix(at, "/patients/"), family).Scan(&given, &version, &rows)
			if err != nil || given != w.given[at] || version != w.version[at] || rows != 1 {
				c.lostWrites++
				c.t.Errorf("a confirmed write: %d patients, version %d (confirmed %d), %v", rows, version, w.version[at], err)
			}
		}
		if seen, ok := w.ask("GET /account", 200); !ok || !strings.Contains(seen.body, w.name) {
			c.lostSessions++
		}
	}
	var all, signIns int
	if err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM sessions)`).Scan(&all, &signIns); err != nil {
		c.t.Error(err)
	}
	if all != made || signIns != len(c.people) {
		c.t.Errorf("%d patients where %d were confirmed, %d sessions for %d people", all, made, signIns, len(c.people))
	}
	if made == 0 {
		c.t.Error("nobody wrote anything")
	}
	for i, f := range c.failures {
		if i < 20 {
			c.t.Error(f)
		}
	}
	if len(c.failures) > 0 || c.lostSessions > 0 {
		c.t.Errorf("%d requests failed, %d sessions were lost", len(c.failures), c.lostSessions)
	}
}

var (
	formFields = regexp.MustCompile(`(?s)<form class="fields".*?</form>`)
	formInput  = regexp.MustCompile(`(?s)<input\b[^>]*>`)
	formSelect = regexp.MustCompile(`(?s)<select\b[^>]*\bname="([^"]+)".*?</select>`)
	formChosen = regexp.MustCompile(`<option value="([^"]*)" selected`)
	nameOf     = regexp.MustCompile(` name="([^"]*)"`)
	valueOf    = regexp.MustCompile(` value="([^"]*)"`)
)

func formValue(body, name string) string {
	if m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(body); m != nil {
		return html.UnescapeString(m[1])
	}
	return ""
}

// filled are a form's fields as the browser would send them, with what was typed.
func filled(body string, typed ...string) []string {
	form := formFields.FindString(body)
	all := url.Values{}
	for _, tag := range formInput.FindAllString(form, -1) {
		name := nameOf.FindStringSubmatch(tag)
		if name == nil {
			continue
		}
		all.Set(name[1], "")
		if v := valueOf.FindStringSubmatch(tag); v != nil {
			all.Set(name[1], html.UnescapeString(v[1]))
		}
	}
	for _, m := range formSelect.FindAllStringSubmatch(form, -1) {
		all.Set(m[1], "")
		if o := formChosen.FindStringSubmatch(m[0]); o != nil {
			all.Set(m[1], o[1])
		}
	}
	for i := 0; i < len(typed); i += 2 {
		all.Set(typed[i], typed[i+1])
	}
	var sent []string
	for name, value := range all {
		sent = append(sent, name, value[0])
	}
	return sent
}

// randomName is like no other, so that nobody is taken for somebody else.
func randomName() string {
	b := make([]byte, 14)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz"[rand.IntN(26)]
	}
	b[0] -= 'a' - 'A'
	return string(b)
}
