//go:build prove

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/localpg"
	"chartroom/db/sample"
)

// shell is somebody who types commands, and goes on when each has ended well.
type shell struct {
	t    *testing.T
	in   io.Writer
	out  *bufio.Reader
	done int
}

// newShell has this program and PostgreSQL's on its path.
func newShell(t *testing.T, env ...string) *shell {
	t.Helper()
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\nCHARTROOM_TEST_PROGRAM=1 exec %q \"$@\"\n", self)
	if err := os.WriteFile(filepath.Join(bin, "chartroom"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-e", "-o", "pipefail")
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + bin + ":" + filepath.Dir(postgresProgram(t, "pg_dump")) + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = r.Close()
	})
	return &shell{t: t, in: in, out: bufio.NewReader(r)}
}

// types sends a block and returns what it prints.
func (s *shell) types(block string) string {
	s.t.Helper()
	s.done++
	end := fmt.Sprintf("block %d has ended", s.done)
	if _, err := fmt.Fprintf(s.in, "%s\necho %s\n", block, end); err != nil {
		s.t.Fatal(err)
	}
	var all strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if strings.TrimSpace(line) == end {
			return all.String()
		}
		all.WriteString(line)
		if err != nil {
			s.t.Fatalf("it ended in\n%s\nwith\n%s", block, &all)
		}
	}
}

// drill are the blocks of docs/operations.md that are marked so.
func drill(t *testing.T) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```sh drill\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) != 6 {
		t.Fatalf("the drill has %d blocks", len(blocks))
	}
	return blocks
}

// patientsFile holds twenty made-up patients.
func patientsFile(t *testing.T) string {
	t.Helper()
	var all bytes.Buffer
	for p := range sample.Patients(1, 20) {
		all.Write(append(p, '\n'))
	}
	path := filepath.Join(t.TempDir(), "patients.ndjson")
	if err := os.WriteFile(path, all.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestProveTheBackupAndRestoreDrillAsItIsWritten types the blocks of docs/operations.md while a server runs on the database.
func TestProveTheBackupAndRestoreDrillAsItIsWritten(t *testing.T) {
	start := time.Now()
	dbURL := dbtest.URL(t)
	const key = "SESSION_SECRET_KEY=f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1"
	_, site := serving(t, dbURL, auditKey, key)
	for _, args := range [][]string{{"user", "create", "--username", "ann", "--password", "seven brass kettles"}, {"import", patientsFile(t)}} {
		if code, out, errs := command(t, []string{"DATABASE_URL=" + dbURL, auditKey}, args...); code != 0 {
			t.Fatalf("%v: %d %s%s", args, code, out, errs)
		}
	}
	before, status, _ := signIn(t, site, "ann", "seven brass kettles")
	if status != 200 {
		t.Fatal(status)
	}
	sealed := func(url string) string { // everything so far
		for range 100 {
			_, out, _ := command(t, []string{"DATABASE_URL=" + url, auditKey}, "audit", "verify")
			if strings.Contains(out, "All events are sealed") {
				return out
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatal("nothing seals")
		return ""
	}
	sealed(dbURL)

	u, err := url.Parse(dbURL)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/") + "_restored"
	u.Path = "/" + name
	at := "127.0.0.1:" + strconv.Itoa(freePort(t))
	sh := newShell(t, "DATABASE_URL="+dbURL, "RESTORED="+name, "RESTORED_URL="+u.String(), "LISTEN_ADDR="+at, auditKey,
		"SESSION_SECRET_KEY=0b7d52e9c46f18a37e90d5b2f8613ca4417e9d06c5a2fb83")
	blocks := drill(t)
	sh.types(blocks[0])
	sh.types(blocks[1])
	looked := sh.types(blocks[2])
	for _, want := range []string{"up to date", "are as they were sealed", "ann"} {
		if !strings.Contains(looked, want) {
			t.Errorf("the look at the restored database does not say %q\n%s", want, looked)
		}
	}
	if out := sh.types(blocks[3]); !strings.Contains(out, "healthy") {
		t.Errorf("%s", out)
	}
	res, err := before.Get("http://" + at + "/patients") // cookies know no port
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.Request.URL.Path != "/login" {
		t.Errorf("a session of the dump is alive: %s", res.Request.URL)
	}
	_, status, list := signIn(t, "http://"+at, "ann", "seven brass kettles")
	had := strings.Count(list, `<th scope="row">`)
	if status != 200 || had == 0 {
		t.Errorf("signed in on the restored database: %d, %d patients", status, had)
	}
	goesOn := sealed(u.String())
	if out := sh.types(blocks[4]); !strings.Contains(out, "are as they were sealed") {
		t.Errorf("%s", out)
	}
	sh.types(blocks[5])
	var left int
	if err := dbtest.Admin(t).QueryRow(context.Background(), `SELECT count(*) FROM pg_database WHERE datname = $1`, name).Scan(&left); err != nil || left != 0 {
		t.Errorf("the drill leaves %d databases: %v", left, err)
	}
	t.Logf("the drill took %s; %d patients on the first page; at its end: %s", time.Since(start).Round(10*time.Millisecond), had, strings.SplitN(goesOn, "\n", 2)[0])
}

// TestProveSecretsAreRotatedAndNobodyIsSignedOut gives the servers new,old and then new, for the sessions and the audit.
func TestProveSecretsAreRotatedAndNobodyIsSignedOut(t *testing.T) {
	dbURL := dbtest.URL(t)
	const older, newer = "f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1", "0b7d52e9c46f18a37e90d5b2f8613ca4417e9d06c5a2fb83"
	if code, _, errs := command(t, []string{"DATABASE_URL=" + dbURL}, "user", "create", "--username", "ann", "--password", "seven brass kettles"); code != 0 {
		t.Fatal(errs)
	}
	at := "127.0.0.1:" + strconv.Itoa(freePort(t))
	var ann *http.Client
	for _, keys := range []string{older, newer + "," + older, newer} {
		audit := keys
		if keys == newer {
			audit = newer + "," + older // which stays
		}
		p := program(t, []string{"DATABASE_URL=" + dbURL, "LISTEN_ADDR=" + at, "SESSION_SECRET_KEY=" + keys, "AUDIT_KEY=" + audit}, "serve").start()
		p.output(p.stderr, `msg=serving address=(\S+)`)
		if ann == nil {
			ann, _, _ = signIn(t, "http://"+at, "ann", "seven brass kettles")
		}
		for range 2 {
			res, err := ann.Get("http://" + at + "/patients")
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != 200 || res.Request.URL.Path != "/patients" {
				t.Errorf("with the keys of step %q: %d %s", keys[:4], res.StatusCode, res.Request.URL.Path)
			}
		}
		_ = p.Process.Signal(os.Interrupt)
		if code := p.finish(); code != 0 || strings.Contains(p.stderr.String(), "could not be sealed") {
			t.Errorf("%d %s", code, p.stderr)
		}
	}
	if code, out, errs := command(t, []string{"DATABASE_URL=" + dbURL, "AUDIT_KEY=" + newer + "," + older}, "audit", "verify"); code != 0 {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, _, errs := command(t, []string{"DATABASE_URL=" + dbURL, "AUDIT_KEY=" + newer}, "audit", "verify"); code == 0 || !strings.Contains(errs, "is sealed with a key") {
		t.Errorf("without the old key: %d %s", code, errs)
	}
}

// TestProveARestartOfTheDatabaseIsAPauseAndNoFault restarts PostgreSQL while people read and write.
func TestProveARestartOfTheDatabaseIsAPauseAndNoFault(t *testing.T) {
	ctx := context.Background()
	dir, err := localpg.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	start := func() *localpg.Server {
		pg, err := localpg.Start(ctx, localpg.Options{Dir: filepath.Join(dir, "pg"), BinDir: os.Getenv("CHARTROOM_POSTGRES_BIN")})
		if err != nil {
			t.Fatal(err)
		}
		return pg
	}
	pg := start()
	t.Cleanup(func() { _ = pg.Stop() })
	if err := db.EnsureDatabase(ctx, pg.URL("postgres"), "chartroom", false); err != nil {
		t.Fatal(err)
	}
	p, site, metrics := observed(t, pg.URL("chartroom"))
	for _, args := range [][]string{{"user", "create", "--username", "ann", "--role", "clinician", "--password", "seven brass kettles"}, {"import", patientsFile(t)}} {
		if code, out, errs := command(t, []string{"DATABASE_URL=" + pg.URL("chartroom")}, args...); code != 0 {
			t.Fatalf("%v: %d %s%s", args, code, out, errs)
		}
	}
	ann, status, page := signIn(t, site, "ann", "seven brass kettles")
	token := regexp.MustCompile(`name="csrf_token" value="([^"]+)"`).FindStringSubmatch(page)
	if status != 200 || token == nil {
		t.Fatal(status)
	}
	ann.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var mu sync.Mutex
	answers, slowest := map[string]int{}, time.Duration(0)
	ended := make(chan struct{})
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ended:
					return
				case <-time.After(5 * time.Millisecond):
				}
				what, began := "read", time.Now()
				var res *http.Response
				var err error
				if (n+i)%4 == 0 {
					what = "write"
					res, err = ann.PostForm(site+"/session", url.Values{"csrf_token": {token[1]}})
				} else {
					res, err = ann.Get(site + "/patients")
				}
				if err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode == 503 && res.Header.Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
				mu.Lock()
				answers[fmt.Sprint(what, " ", res.StatusCode)]++
				slowest = max(slowest, time.Since(began))
				mu.Unlock()
			}
		})
	}
	for range 4 {
		time.Sleep(1500 * time.Millisecond)
		if err := pg.Stop(); err != nil {
			t.Error(err)
		}
		pg = start()
	}
	time.Sleep(1500 * time.Millisecond)
	close(ended)
	all.Wait()
	for answer, n := range answers {
		if !strings.HasSuffix(answer, " 200") && !strings.HasSuffix(answer, " 303") && !strings.HasSuffix(answer, " 503") && !strings.HasSuffix(answer, " 204") {
			t.Errorf("%d × %s", n, answer)
		}
	}
	if answers["read 200"] < 100 {
		t.Errorf("hardly anything was served: %v", answers)
	}
	for range 20 { // it has healed by itself
		res, err := ann.Get(site + "/patients")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("afterwards: %d", res.StatusCode)
		}
	}
	if strings.Contains(p.stderr.String(), "msg=panic") {
		t.Error(p.stderr)
	}
	_, body := fetch(t, metrics+"/metrics")
	t.Logf("4 restarts: %v, the slowest took %s; %s", answers, slowest.Round(time.Millisecond),
		regexp.MustCompile(`chartroom_reads_retried_total \d+`).FindString(body))
}

// TestProvePrometheusTakesTheMetricsAndTheAlertRules runs promtool over a real scrape, the rules and what fires them.
func TestProvePrometheusTakesTheMetricsAndTheAlertRules(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Fatal("promtool is not there: install Debian's package prometheus (apt-get install --no-install-recommends prometheus)")
	}
	dbURL := dbtest.URL(t)
	_, site, metrics := observed(t, dbURL, auditKey)
	if code, _, errs := command(t, []string{"DATABASE_URL=" + dbURL}, "user", "create", "--username", "ann", "--password", "seven brass kettles"); code != 0 {
		t.Fatal(errs)
	}
	signIn(t, site, "ann", "seven brass kettles")
	fetch(t, site+"/nothing")
	_, body := fetch(t, metrics+"/metrics")
	for _, c := range []struct {
		args  []string
		input string
	}{{[]string{"check", "metrics"}, body}, {[]string{"check", "rules", "docs/alerts.yml"}, ""}, {[]string{"test", "rules", "docs/alerts_test.yml"}, ""}} {
		cmd := exec.Command("promtool", c.args...)
		cmd.Stdin = strings.NewReader(c.input)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "FAILED") {
			t.Errorf("promtool %v: %v\n%s", c.args, err, out)
		}
	}
	t.Logf("%d series", len(regexp.MustCompile(`(?m)^[^#]`).FindAllString(body, -1)))
}
