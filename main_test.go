package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chartroom/db/dbtest"
	"chartroom/db/localpg"
	"chartroom/db/sample"
)

// TestMain lets this test binary stand in for the program, so that tests can start, stop and kill real processes of it.
func TestMain(m *testing.M) {
	if os.Getenv("CHARTROOM_TEST_PROGRAM") != "" {
		main()
		return
	}
	os.Exit(dbtest.Main(m))
}

// process is a running program.
type process struct {
	*exec.Cmd
	t              testing.TB
	stdout, stderr *dbtest.Buffer
	ended          chan struct{}
}

// program prepares the program with arguments and an environment that holds nothing but env and what it needs to run.
func program(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(self, args...), t: t, stdout: &dbtest.Buffer{}, stderr: &dbtest.Buffer{}, ended: make(chan struct{})}
	p.Stdout, p.Stderr = p.stdout, p.stderr
	p.Env = append([]string{"CHARTROOM_TEST_PROGRAM=1", "PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	return p
}

func (p *process) start() *process {
	p.t.Helper()
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { _ = p.Wait(); close(p.ended) }()
	p.t.Cleanup(func() { _ = p.Process.Kill(); <-p.ended })
	return p
}

// finish waits for the end and returns the exit code.
func (p *process) finish() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(60 * time.Second):
		p.t.Fatalf("it does not end\n%s%s", p.stdout, p.stderr)
	}
	return p.ProcessState.ExitCode()
}

// command runs the program to its end.
func command(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := program(t, env, args...).start()
	code = p.finish()
	return code, p.stdout.String(), p.stderr.String()
}

// output waits for a pattern in what the program prints and returns its first group.
func (p *process) output(o *dbtest.Buffer, pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if m := re.FindStringSubmatch(o.String()); m != nil {
			return m[1]
		}
		select {
		case <-p.ended:
			p.t.Fatalf("it ended without printing %s\n%s%s", pattern, p.stdout, p.stderr)
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("it does not print %s\n%s%s", pattern, p.stdout, p.stderr)
		}
	}
}

// serving starts `serve` on a database and returns its address.
func serving(t testing.TB, dbURL string, env ...string) (*process, string) {
	t.Helper()
	p := program(t, append([]string{"DATABASE_URL=" + dbURL, "LISTEN_ADDR=127.0.0.1:0"}, env...)).start()
	return p, "http://" + p.output(p.stderr, `msg=serving address=(\S+)`)
}

// signIn signs in and returns the client and what /patients says.
func signIn(t testing.TB, at, username, password string) (*http.Client, int, string) {
	t.Helper()
	jar, _ := cookiejar.New(nil)
	c := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	res, err := c.PostForm(at+"/login", url.Values{"username": {username}, "password": {password}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return c, res.StatusCode, string(body)
}

func demoAddress(p *process) string { return p.output(p.stdout, `(http://localhost:\d+)/`) }

// home is a fresh place for a demo's data that PostgreSQL's account can enter, also when this test runs as root.
func home(t testing.TB) string {
	t.Helper()
	dir, err := localpg.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestDemoServesAndComesBackWithItsDataAfterCtrlCAndAfterAKill(t *testing.T) {
	t.Parallel()
	env := []string{"CHARTROOM_DATA_DIR=" + home(t)}
	var first string
	for round, end := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL, syscall.SIGTERM} {
		p := program(t, env, "demo", "--patients", "40").start()
		at := demoAddress(p)
		password := p.output(p.stdout, `casey\.clinician\s+(\S+)`)
		if first == "" {
			first = password
		}
		_, status, page := signIn(t, at, "casey.clinician", first)
		if status != 200 || !strings.Contains(page, "40 patients") || password != first {
			t.Fatalf("round %d: %d, password kept: %v", round, status, password == first)
		}
		if round == 0 { // what is done in one run is there in the next
			code, _, stderr := command(t, env, "demo")
			if code != 1 || !strings.Contains(stderr, "in use") {
				t.Errorf("a second demo on the same data: %d %s", code, stderr)
			}
		}
		if err := p.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		if code := p.finish(); end != syscall.SIGKILL && code != 0 {
			t.Errorf("%v ends it with %d\n%s", end, code, p.stderr)
		}
	}
	p := program(t, env, "demo", "--fresh", "--patients", "7").start()
	_, _, page := signIn(t, demoAddress(p), "vic.viewer", p.output(p.stdout, `vic\.viewer\s+(\S+)`))
	if !strings.Contains(page, "7 patients") {
		t.Error("--fresh does not start over")
	}
}

func TestDemoTakesFilesAndOnlyListensOnThisMachine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "own.ndjson")
	var lines []byte
	for p := range sample.Patients(99, 3) {
		lines = append(append(lines, p...), '\n')
	}
	if err := os.WriteFile(file, lines, 0o644); err != nil {
		t.Fatal(err)
	}
	p := program(t, []string{"CHARTROOM_DATA_DIR=" + home(t)}, "demo", file).start()
	at := demoAddress(p)
	_, _, page := signIn(t, at, "alex.admin", p.output(p.stdout, `alex\.admin\s+(\S+)`))
	if !strings.Contains(page, "3 patients") {
		t.Error("the file's patients are not there")
	}
	port := at[strings.LastIndex(at, ":"):]
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			if c, err := net.DialTimeout("tcp", ip.IP.String()+port, time.Second); err == nil {
				c.Close()
				t.Errorf("it answers on %s too", ip.IP)
			}
		}
	}
}

func TestWithoutPostgreSQLThereIsOneHelpfulError(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	code, stdout, stderr := command(t, []string{"CHARTROOM_DATA_DIR=" + home(t), "CHARTROOM_POSTGRES_BIN=" + empty}, "demo")
	if code != 1 || stdout != "" || strings.Count(strings.TrimSpace(stderr), "\n") > 6 || !strings.Contains(stderr, "PostgreSQL") || !strings.Contains(stderr, empty) {
		t.Errorf("%d\n%s\n%s", code, stdout, stderr)
	}
}

func TestEightProcessesStartAtOnceOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.EmptyURL(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, at := serving(t, dbURL)
			res, err := http.Get(at + "/healthcheck")
			if err != nil || res.StatusCode != 200 {
				t.Errorf("%v %v", res, err)
			}
		})
	}
	wg.Wait()
}

func TestAKillDuringAMigrationIsRepairedByTheNextStart(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.EmptyURL(t)
	c := dbtest.Conn(t, dbURL)
	sql, err := os.ReadFile("testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := c.Exec(ctx, string(sql)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(ctx, `BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE`); err != nil { // migration 1 has to wait for it
		t.Fatal(err)
	}
	p := program(t, []string{"DATABASE_URL=" + dbURL, "LISTEN_ADDR=127.0.0.1:0"}).start()
	watch := dbtest.Conn(t, dbURL)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var waits bool
		if err := watch.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
		if waits {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never came to the migration\n%s", p.stderr)
		}
	}
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.finish()
	var dirty bool
	if err := watch.QueryRow(ctx, `SELECT dirty FROM schema_migrations`).Scan(&dirty); err != nil || !dirty {
		t.Fatalf("it was not killed inside a migration: dirty is %v, %v", dirty, err)
	}
	if _, err := c.Exec(ctx, `COMMIT`); err != nil {
		t.Fatal(err)
	}
	next, at := serving(t, dbURL)
	if _, status, _ := signIn(t, at, "ada.predecessor", "correct horse battery"); status != 200 {
		t.Errorf("%d", status)
	}
	if !strings.Contains(next.stderr.String(), "interrupted") {
		t.Error("it does not say what it repaired")
	}
}

// TestThePredecessorsDatabaseIsTakenOver compares what pg_dump says of the table before and after.
func TestThePredecessorsDatabaseIsTakenOver(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.EmptyURL(t)
	sql, err := os.ReadFile("testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	c := dbtest.Conn(t, dbURL)
	if _, err := c.Exec(context.Background(), string(sql)); err != nil {
		t.Fatal(err)
	}
	before := dump(t, dbURL)
	if !strings.Contains(before, "ada.predecessor") {
		t.Fatal(before)
	}
	p, at := serving(t, dbURL)
	_, status, page := signIn(t, at, "ada.predecessor", "correct horse battery")
	if status != 200 || !strings.Contains(page, "no patients yet") || !strings.Contains(page, "Clinician") {
		t.Errorf("%d\n%.500s", status, page)
	}
	if _, status, _ := signIn(t, at, "gone", "correct horse battery"); status != 422 {
		t.Errorf("a disabled user: %d", status)
	}
	if after := dump(t, dbURL); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if !strings.Contains(p.stderr.String(), "no administrator") {
		t.Error("it does not say how to make an administrator")
	}
}

// dump is pg_dump's view of the predecessor's columns: the rows of the table without our two columns.
func dump(t *testing.T, dbURL string) string {
	t.Helper()
	bin, err := localpg.FindBin(os.Getenv("CHARTROOM_POSTGRES_BIN"), "")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(bin, "pg_dump")
	if _, err := os.Stat(program); err != nil {
		program = "pg_dump"
	}
	out, err := exec.Command(program, "--data-only", "--column-inserts", "--table=users", dbURL).Output()
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "INSERT") {
			line = strings.Replace(line, ", role, session_epoch)", ")", 1)
			rows = append(rows, regexp.MustCompile(`, 'clinician', 0\);`).ReplaceAllString(line, ");"))
		}
	}
	return strings.Join(rows, "")
}

func TestADatabaseThatStartsLaterIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(home(t), "pg")
	start := func() *localpg.Server {
		s, err := localpg.Start(context.Background(), localpg.Options{Dir: dir, BinDir: os.Getenv("CHARTROOM_POSTGRES_BIN")})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := start()
	dbURL := first.URL("postgres")
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	p := program(t, []string{"DATABASE_URL=" + dbURL, "LISTEN_ADDR=127.0.0.1:0"}).start()
	p.output(p.stderr, `(does not answer yet)`)
	later := start()
	defer later.Stop()
	p.output(p.stderr, `msg=(serving)`)
	if !strings.Contains(p.stderr.String(), "SESSION_SECRET_KEY is not set") {
		t.Error("it does not warn that it made a key up")
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	p.finish()
}

func TestServeStopsWithinItsTimeAndFinishesWhatItBegan(t *testing.T) {
	dbURL := dbtest.URL(t)
	p, at := serving(t, dbURL)
	lock := dbtest.Conn(t, dbURL)
	ctx := context.Background()
	if _, err := lock.Exec(ctx, `BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	answer := make(chan int, 1)
	go func() {
		_, status, _ := signIn(t, at, "nobody", "nothing")
		answer <- status
	}()
	for waits := false; !waits; time.Sleep(10 * time.Millisecond) {
		if err := lock.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)`).Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.output(p.stderr, `msg=(stopping)`)
	if _, err := lock.Exec(ctx, `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if status := <-answer; status != 422 {
		t.Errorf("the request under way: %d", status)
	}
	start := time.Now()
	if code := p.finish(); code != 0 || time.Since(start) > 8*time.Second {
		t.Errorf("exit %d after %v", code, time.Since(start))
	}
}

func TestAllThatIsWrongWithTheSettingsIsToldAtOnce(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, []string{"ENVIRONMENT=staging", "SESSION_SECRET_KEY=short", "SESSION_SECURE=maybe", "SESSION_IDLE_TIMEOUT=soon",
		"SESSION_LIFETIME=-1h", "CLINIC_TIMEZONE=Mars/Olympus", "PORT=99999999", "TRUSTED_PROXY_HOPS=many", "LOG_LEVEL=loud", "LOG_FORMAT=xml", "AUDIT_KEY=short", "AUDIT_LOG=stderr", "SESSION_AUTH_ENABLED=perhaps"}, "serve")
	if code != exitUsage || stdout != "" {
		t.Errorf("exit %d, %s", code, stdout)
	}
	for _, name := range []string{"ENVIRONMENT", "SESSION_SECRET_KEY", "SESSION_SECURE", "SESSION_IDLE_TIMEOUT", "SESSION_LIFETIME", "CLINIC_TIMEZONE", "PORT",
		"TRUSTED_PROXY_HOPS", "LOG_LEVEL", "LOG_FORMAT", "AUDIT_KEY", "AUDIT_LOG", "SESSION_AUTH_ENABLED", "DATABASE_URL"} {
		if !strings.Contains(stderr, name) {
			t.Errorf("%s is not named:\n%s", name, stderr)
		}
	}
	if strings.Contains(stderr, "short") {
		t.Error("a key is printed")
	}
}

func TestCommandsForUsers(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=" + dbtest.EmptyURL(t)}
	with := func(stdin string, args ...string) (int, string, string) {
		p := program(t, env, args...)
		p.Stdin = strings.NewReader(stdin)
		p.start()
		code := p.finish()
		return code, p.stdout.String(), p.stderr.String()
	}
	if code, out, errs := with("seven brass kettles\r\n", "user", "create", "--username", "ada", "--email", "ada@clinic.example", "--password-stdin"); code != 0 || out != "created ada (admin)\n" {
		t.Fatal(code, out, errs)
	}
	code, out, _ := with("", "user", "create", "--username", "bob", "--role", "viewer", "--generate")
	generated := regexp.MustCompile(`password: (\S{15,})\n`).FindStringSubmatch(out)
	if code != 0 || generated == nil || !strings.Contains(out, "created bob (viewer)") {
		t.Fatal(code, out)
	}
	for _, wrong := range [][]string{
		{"user", "create", "--username", "eve"}, {"user", "create"}, {"user", "create", "--username", "eve", "--role", "owner", "--generate"}, {"user", "create", "--username", "eve", "--password", "x", "--generate"},
		{"nonsense"}, {"serve", "--nonsense"}, {"migrate", "down", "0"}, {"migrate", "down", "1"},
	} {
		if code, _, errs := with("", wrong...); code != exitUsage || !strings.HasPrefix(errs, "chartroom: ") {
			t.Errorf("%v: exit %d, %s", wrong, code, errs)
		}
	}
	for _, failing := range [][]string{{"user", "create", "--username", "ada", "--password", "seven brass kettles"}, {"user", "create", "--username", "eve", "--password", "short"}, {"user", "disable", "nobody"}} {
		if code, _, errs := with("", failing...); code != exitFailed || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit %d, %s", failing, code, errs)
		}
	}
	if code, out, _ := with("", "user", "disable", "bob"); code != 0 || out != "disabled bob\n" {
		t.Error(code, out)
	}
	_, out, _ = with("", "user", "list", "--json")
	var users []struct {
		Username, Role string
		Active         bool
	}
	if err := json.Unmarshal([]byte(out), &users); err != nil || len(users) != 2 || users[1].Username != "bob" || users[1].Active || strings.Contains(out, "$2") {
		t.Errorf("%v %s", err, out)
	}
	if code, out, _ = with("", "user", "enable", "bob"); code != 0 {
		t.Error(code, out)
	}
	if code, out, _ = with("another nine tin whistles", "user", "set-password", "bob", "--password-stdin"); code != 0 {
		t.Error(code, out)
	}
	env = append(env, "CHARTROOM_TEST_WHOLE_PRICE=1") // what everybody's hash costs
	code, hash, _ := with("typed into psql by hand\n", "user", "hash-password")
	if code != 0 || !regexp.MustCompile(`^\$2a\$12\$\S{53}\n$`).MatchString(hash) {
		t.Error(code, hash)
	}
	c := dbtest.Conn(t, strings.TrimPrefix(env[0], "DATABASE_URL="))
	if _, err := c.Exec(context.Background(), `INSERT INTO users (username, password_hash) VALUES ('byhand', $1)`, strings.TrimSpace(hash)); err != nil {
		t.Fatal(err)
	}
	_, at := serving(t, strings.TrimPrefix(env[0], "DATABASE_URL="))
	for name, password := range map[string]string{"ada": "seven brass kettles", "bob": "another nine tin whistles", "byhand": "typed into psql by hand"} {
		if _, status, _ := signIn(t, at, name, password); status != 200 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if _, status, _ := signIn(t, at, "bob", generated[1]); status != 422 {
		t.Errorf("bob's earlier password: %d", status)
	}
}

// TestAccountsAreCaredForAtTheShell is what the administrators' pages do, without them.
func TestAccountsAreCaredForAtTheShell(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.EmptyURL(t)
	env := []string{"DATABASE_URL=" + dbURL}
	invite := func(args ...string) (link, said string) {
		t.Helper()
		code, out, errs := command(t, env, append([]string{"user", "invite"}, args...)...)
		token := regexp.MustCompile(`^(.*/invite/[\w-]{43})\n$`).FindStringSubmatch(out)
		if code != 0 || token == nil || strings.Contains(errs, "/invite/") || !strings.Contains(errs, "It works once, until ") {
			t.Fatal(code, out, errs)
		}
		return token[1], errs
	}
	link, said := invite("ada")
	if !strings.HasPrefix(link, "/invite/") || !strings.Contains(said, "added ada (admin)") {
		t.Error(link, said)
	}
	again, said := invite("ada", "--site", "https://chartroom.example.org/")
	if !strings.HasPrefix(again, "https://chartroom.example.org/invite/") || strings.Contains(said, "added") {
		t.Error(again, said)
	}
	bobs, _ := invite("bob", "--role", "viewer", "--email", "bob@clinic.example")

	_, at := serving(t, dbURL)
	use := func(link string) int {
		res, err := http.DefaultTransport.RoundTrip(post(t, at+link[strings.Index(link, "/invite/"):], url.Values{"password": {"seven brass kettles"}}))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	for what, try := range map[string]struct{ got, want int }{"superseded": {use(link), 404}, "good": {use(again), 303}, "used": {use(again), 404}, "bob's": {use(bobs), 303}} {
		if try.got != try.want {
			t.Errorf("a link that is %s: %d", what, try.got)
		}
	}
	ada, status, _ := signIn(t, at, "ada", "seven brass kettles")
	if status != 200 {
		t.Errorf("ada: %d", status)
	}

	for _, step := range []struct {
		code       int
		out, wrong string
		args       []string
	}{
		{exitFailed, "", "last administrator", []string{"set-role", "ada", "clinician"}},
		{exitFailed, "", "last administrator", []string{"disable", "ada"}},
		{exitFailed, "", "exists: --email and --role are for new users", []string{"invite", "ada", "--role", "viewer"}},
		{exitUsage, "", "must be one of", []string{"set-role", "bob", "owner"}},
		{exitFailed, "", "user list", []string{"set-role", "nobody", "admin"}},
		{exitFailed, "", "user list", []string{"unlock", "nobody"}},
		{exitFailed, "", "user list", []string{"sign-out", "nobody"}},
		{0, "bob is admin from the next request on\n", "", []string{"set-role", "bob", "admin"}},
		{0, "ada is clinician from the next request on\n", "", []string{"set-role", "ada", "clinician"}},
		{0, "unlocked ada\n", "", []string{"unlock", "ada"}},
		{0, "signed out ada\n", "", []string{"sign-out", "ada"}},
	} {
		code, out, errs := command(t, env, append([]string{"user"}, step.args...)...)
		if code != step.code || out != step.out || !strings.Contains(errs, step.wrong) || step.code != 0 && strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: exit %d, %s%s", step.args, code, out, errs)
		}
	}
	res, err := ada.Get(at + "/patients")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.Request.URL.Path != "/login" {
		t.Errorf("ada is still signed in, at %s", res.Request.URL.Path)
	}
	_, out, _ := command(t, nil, "user", "--help")
	for _, name := range []string{"create", "list", "disable", "enable", "set-role", "set-password", "invite", "unlock", "sign-out", "hash-password"} {
		if !strings.Contains(out, "user "+name) {
			t.Errorf("the help says nothing of %s", name)
		}
	}
}

func post(t testing.TB, to string, fields url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(fields.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestImportOnTheCommandLine(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	env := []string{"DATABASE_URL=" + dbURL}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var good []byte
	for p := range sample.Patients(4, 30) {
		good = append(append(good, p...), '\n')
	}
	a := write("a.ndjson", string(good))
	b := write("b.json", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"in-a-bundle"}},{"resource":{"resourceType":"Encounter"}}]}`)
	code, out, errs := command(t, env, "import", a, b)
	if code != 0 || !strings.Contains(out, "a.ndjson: 30 created, 0 updated, 0 unchanged, 0 rejected, 0 of other types left out") ||
		!strings.Contains(out, "b.json: 1 created, 0 updated, 0 unchanged, 0 rejected, 1 of other types left out") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	bad := write("bad.ndjson", "{\"resourceType\":\"Patient\",\"id\":\"fine\"}\nnonsense\n")
	code, out, errs = command(t, env, "import", bad, filepath.Join(dir, "missing.ndjson"), a)
	if code != exitFailed || !strings.Contains(out, "bad.ndjson: 1 created, 0 updated, 0 unchanged, 1 rejected") || !strings.Contains(errs, "bad.ndjson, line 2: rejected") ||
		!strings.Contains(errs, "missing.ndjson") || !strings.Contains(out, "a.ndjson: 0 created, 0 updated, 30 unchanged") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	p := program(t, env, "import", "-")
	p.Stdin = bufio.NewReader(bytes.NewReader(good))
	if p.start(); p.finish() != 0 || !strings.Contains(p.stdout.String(), "-: 0 created, 0 updated, 30 unchanged") {
		t.Errorf("%s%s", p.stdout, p.stderr)
	}
}

func TestImportsAreTriedListedTakenBackAndExported(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=" + dbtest.URL(t)}
	dir := t.TempDir()
	file, rejects := filepath.Join(dir, "a.ndjson"), filepath.Join(dir, "rejects.ndjson")
	good := `{"resourceType":"Patient","id":"1","name":[{"family":"Abel"}]}` + "\n"
	if err := os.WriteFile(file, []byte(good+`{"resourceType":"Patient","id":"2","birthDate":"1974-02-31"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(code int, args []string, want ...string) string {
		t.Helper()
		got, out, errs := command(t, env, args...)
		for _, w := range want {
			if !strings.Contains(out+errs, w) {
				t.Errorf("%v says nothing of %q:\n%s%s", args, w, out, errs)
			}
		}
		if got != code {
			t.Errorf("%v: exit %d\n%s%s", args, got, out, errs)
		}
		return out
	}
	run(exitFailed, []string{"import", "--dry-run", file}, "1 created", "nothing was written", "1 rejected, everything else would go in")
	if out := run(0, []string{"import", "list", "--json"}); strings.TrimSpace(out) != "[]" {
		t.Errorf("after a dry run: %s", out)
	}
	run(exitFailed, []string{"import", "--rejects", rejects, file}, "1 created", "import undo 1", rejects)
	info, err := os.Stat(rejects)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info, err)
	}
	run(exitFailed, []string{"import", "--rejects", rejects, file}, "is there already")
	text, err := os.ReadFile(rejects)
	if err != nil || !strings.HasPrefix(string(text), "# line 2: ") {
		t.Fatal(string(text), err)
	}
	if err := os.WriteFile(rejects, bytes.ReplaceAll(text, []byte("-02-31"), []byte("-02-28")), 0o600); err != nil {
		t.Fatal(err)
	}
	run(0, []string{"import", "--rejects", filepath.Join(dir, "none"), rejects}, "1 created")
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("an empty file of rejects is left")
	}
	run(0, []string{"import", "list"}, "NUMBER", "complete", "command line")
	if out := run(0, []string{"export"}); out != `{"resourceType":"Patient","id":"2","birthDate":"1974-02-28"}`+"\n"+good && out != good+`{"resourceType":"Patient","id":"2","birthDate":"1974-02-28"}`+"\n" {
		t.Errorf("exported %s", out)
	}
	run(0, []string{"export", "--format", "csv"}, "id,mrn,family", ",Abel,")
	run(exitUsage, []string{"export", "--format", "xml"})
	events := run(0, []string{"audit", "export"}, `"action":"import"`, `"action":"export"`)
	if strings.Contains(events, "audit-export") || !strings.HasPrefix(events, `{"id":1,"recorded":"20`) {
		t.Errorf("exported %s", events)
	}
	run(0, []string{"audit", "export", "--format", "csv"}, "id,recorded,action", `"complete"": true`)
	run(exitUsage, []string{"audit", "export", "--format", "xml"})
	run(0, []string{"import", "undo", "2"}, "patients deleted that it had created: 1;")
	run(exitFailed, []string{"import", "undo", "2"}, "has been taken back already")
	run(exitFailed, []string{"import", "undo", "7"}, "no such import")
	run(0, []string{"import", "list"}, "taken back")
	run(exitUsage, []string{"import"})
	if out := run(0, []string{"export"}); out != good {
		t.Errorf("exported %s", out)
	}
}

func TestAnExportThatNobodyReadsSaysSo(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=" + dbtest.URL(t)}
	var many bytes.Buffer
	for p := range sample.Patients(4, 500) {
		many.Write(append(p, '\n'))
	}
	load := program(t, env, "import", "-")
	load.Stdin = &many
	if load.start().finish() != 0 {
		t.Fatal(load.stderr)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := program(t, env, "export")
	p.Stdout = w
	r.Close()
	p.start()
	w.Close()
	if code := p.finish(); code != exitFailed || strings.TrimSpace(p.stderr.String()) != "chartroom: the export is not complete: whoever read it has stopped reading" {
		t.Errorf("%d %s", code, p.stderr)
	}
}

func TestVersionStatusHelpAndHealth(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.EmptyURL(t)
	code, out, _ := command(t, nil, "version", "--json")
	var v struct {
		Version, Commit, Go string
		Schema              int
	}
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil || v.Go == "" || v.Version == "" || v.Schema < 4 {
		t.Errorf("%d %s %v", code, out, err)
	}
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"user", "create", "--help"}, {"import", "--help"}} {
		if code, out, _ := command(t, nil, args...); code != 0 || !strings.Contains(out, "Usage: chartroom") {
			t.Errorf("%v: %d %s", args, code, out)
		}
	}
	_, out, _ = command(t, nil, "import", "--help") // the help of import alone, where people look for its flags
	for _, wanted := range []string{"--dry-run", "--rejects FILE", "import list", "import undo"} {
		if !strings.Contains(out, wanted) {
			t.Errorf("import --help says nothing of %s", wanted)
		}
	}
	env := []string{"DATABASE_URL=" + dbURL}
	if code, out, _ := command(t, env, "migrate", "status"); code != 0 || !strings.Contains(out, fmt.Sprintf("version 0 of %d", v.Schema)) {
		t.Errorf("%d %s", code, out)
	}
	if code, out, errs := command(t, env, "migrate"); code != 0 || !strings.Contains(out, "up to date") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, errs := command(t, env, "migrate", "down", "1", "--yes-lose-data"); code != 0 || !strings.Contains(out, fmt.Sprintf("version %d of", v.Schema-1)) {
		t.Errorf("%d %s%s", code, out, errs)
	}
	_, at := serving(t, dbURL)
	listen := "LISTEN_ADDR=" + strings.TrimPrefix(at, "http://")
	if code, out, _ := command(t, []string{listen}, "healthcheck"); code != 0 || out != "healthy\n" {
		t.Errorf("%d %s", code, out)
	}
	if code, _, errs := command(t, []string{"LISTEN_ADDR=127.0.0.1:1"}, "healthcheck"); code != exitFailed || !strings.Contains(errs, "does not answer") {
		t.Errorf("%d %s", code, errs)
	}
}

func TestVerifyTakesNoAddressToWhichAPasswordMustNotGo(t *testing.T) {
	t.Parallel()
	for _, wrong := range [][]string{{"http://chartroom.example.org", "--username", "ada", "--password-stdin"}, {"https://chartroom.example.org"},
		{"https://chartroom.example.org", "--username", "ada"}, {"https://chartroom.example.org/login", "--username", "ada", "--password-stdin"}} {
		p := program(t, nil, append([]string{"verify"}, wrong...)...)
		p.Stdin = strings.NewReader("seven brass kettles\n")
		if code := p.start().finish(); code != exitUsage || !strings.HasPrefix(p.stderr.String(), "chartroom: ") || strings.Contains(p.stderr.String(), "kettles") || p.stdout.String() != "" {
			t.Errorf("%v: exit %d, %s%s", wrong, code, p.stdout, p.stderr)
		}
	}
}

func TestADatabaseThatIsNotThereIsOneSentence(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{"a wrong database": strings.Replace(dbtest.URL(t), "/test_", "/no_such_", 1), "no address": "postgres://user:hunter2@:bad:/"} {
		code, _, stderr := command(t, []string{"DATABASE_URL=" + env}, "serve")
		if code == 0 || strings.Contains(stderr, "hunter2") || strings.Contains(stderr, "goroutine") {
			t.Errorf("%s: %d\n%s", name, code, stderr)
		}
	}
}
