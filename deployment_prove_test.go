//go:build prove

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db/dbtest"
	"chartroom/db/localpg"
)

// TestProveADeploymentByTheDocument goes from `go build` to a verified deployment in production mode by typing the blocks of
// docs/deploy-aptible.md: with a PostgreSQL that takes nothing but TLS, two roles, and two proxies in front of which the first
// ends TLS. The platform's command line is testdata/aptible.
func TestProveADeploymentByTheDocument(t *testing.T) {
	p := newPlatform(t)
	out := p.typed(section(t, "From nothing"), "seven brass kettles\n")
	t.Log("\n" + out)
	for _, want := range []string{"created ada (admin)", "a page leads to sign-in and back", "the old cookie opens nothing"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if regexp.MustCompile(`(?m)^fail\s`).MatchString(out) || strings.Contains(out, "seven brass kettles") {
		t.Error("a line fails, or the password is printed")
	}
	var role, ssl, client string
	if err := p.admin(t).QueryRow(context.Background(), `SELECT a.usename, s.ssl::text,
		(SELECT host(client) FROM audit_events WHERE action = 'sign-in' AND outcome = 'success' ORDER BY id DESC LIMIT 1)
		FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) WHERE a.application_name = 'chartroom' LIMIT 1`).Scan(&role, &ssl, &client); err != nil || role != "chartroom" || ssl != "true" {
		t.Errorf("the server is connected as %q, with TLS: %s, %v", role, ssl, err)
	}
	if client != "127.0.0.1" { // and not one of the proxies'
		t.Errorf("the audit has %s for the client's address", client)
	}
}

// TestProveTheTakeOverByTheDocument does the same on the predecessor's database, and loses nobody.
func TestProveTheTakeOverByTheDocument(t *testing.T) {
	p := newPlatform(t)
	sql, err := os.ReadFile("testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	c := p.admin(t)
	if _, err := c.Exec(context.Background(), `SET ROLE aptible; `+string(sql)); err != nil {
		t.Fatal(err)
	}
	// The time of the last change is that user's whose role is set, by the predecessor's own trigger.
	const rows = `SELECT string_agg(concat_ws('|', id, username, email, password_hash, is_active, created_at, CASE WHEN username <> 'ada.predecessor' THEN updated_at END), chr(10) ORDER BY id) FROM users`
	var before, after string
	if err := c.QueryRow(context.Background(), rows).Scan(&before); err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, b := range section(t, "From nothing") {
		if strings.Contains(b, "ADMIN_PASSWORD") || strings.Contains(b, "kill ") {
			continue // no first administrator: users are there; and the tunnel is still needed
		}
		blocks = append(blocks, regexp.MustCompile(`(?m)^aptible db:create.*$`).ReplaceAllString(b, ""))
	}
	out := p.typed(append(blocks, section(t, "From the predecessor")...), "correct horse battery\n")
	t.Log("\n" + out)
	if !strings.Contains(out, "ada.predecessor is admin") || !strings.Contains(out, "the old cookie opens nothing") || regexp.MustCompile(`(?m)^fail\s`).MatchString(out) {
		t.Error("it does not end as it should")
	}
	if err := c.QueryRow(context.Background(), rows).Scan(&after); err != nil || after != before {
		t.Errorf("users before:\n%s\nafter:\n%s\n%v", before, after, err)
	}
}

// section gives the blocks marked sh of a part of the document.
func section(t *testing.T, heading string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile("docs/deploy-aptible.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	part, _, _ = strings.Cut(part, "\n## ")
	for _, m := range regexp.MustCompile("(?ms)^(?:   )?```sh\n(.*?)^(?:   )?```$").FindAllStringSubmatch(part, -1) {
		blocks = append(blocks, regexp.MustCompile(`(?m)^   `).ReplaceAllString(m[1], "")) // a list's blocks are indented
	}
	if !ok || len(blocks) == 0 {
		t.Fatalf("the document has no commands under %q", heading)
	}
	return blocks
}

// platform is what the real one would give: a database, proxies, and a place for what is deployed.
type platform struct {
	t        *testing.T
	dir      string
	site     string
	certFile string
	socket   string // the database's, for its superuser
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	for _, tool := range []string{"bash", "psql", "pg_isready", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is needed to type the document: apt install bash postgresql-client openssl", tool)
		}
	}
	ca := newAuthority(t)
	p := &platform{t: t, dir: t.TempDir(), certFile: ca.file(t)}
	database := p.startPostgres(ca)
	port := strconv.Itoa(freePort(t))
	p.site = strings.TrimPrefix(ca.site(t, "http://127.0.0.1:"+port, nil), "https://")
	for name, text := range map[string]string{"port": port, "database": database, "ca.pem": string(ca.pem),
		"url": "postgresql://aptible:" + ownerPassword + "@" + strings.Replace(database, "127.0.0.1", "localhost", 1) + "/db"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(p.dir, "bin", "aptible"), "./testdata/aptible").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(p.stopRelease)
	return p
}

const ownerPassword = "of-the-tests-alone"

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// stopRelease ends the server that the platform has started.
func (p *platform) stopRelease() {
	text, err := os.ReadFile(filepath.Join(p.dir, "pid"))
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(string(text)); err == nil {
		_ = syscall.Kill(pid, syscall.SIGTERM)
		for range 100 {
			if syscall.Kill(pid, 0) != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// typed types blocks into a shell, with the names of this platform in place of the document's, and wants all to succeed.
func (p *platform) typed(blocks []string, stdin string) string {
	p.t.Helper()
	script := strings.Join(blocks, "\n")
	for name, value := range map[string]string{"SITE": p.site, "OLD_USER": "ada.predecessor"} {
		script = regexp.MustCompile(`(?m)^(export )?`+name+`=.*$`).ReplaceAllString(script, "${1}"+name+"="+value)
	}
	home := filepath.Join(p.dir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		p.t.Fatal(err)
	}
	c := exec.Command("bash", "-euo", "pipefail", "-c", script)
	c.Env = []string{"PATH=" + filepath.Join(p.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + home, "PLATFORM=" + p.dir, "SSL_CERT_FILE=" + p.certFile, "GOPROXY=off"}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS"} {
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			p.t.Fatal(err)
		}
		c.Env = append(c.Env, name+"="+strings.TrimSpace(string(value)))
	}
	out := &dbtest.Buffer{}
	c.Stdin, c.Stdout, c.Stderr, c.SysProcAttr = strings.NewReader(stdin), out, out, &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = 5 * time.Second // the tunnel has the output open, too
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	defer syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // the shell's own group: a tunnel that is left
	err := c.Wait()
	if err != nil && c.ProcessState.ExitCode() != 0 {
		p.t.Fatalf("%v\n%s", err, out)
	}
	return out.String()
}

func (p *platform) admin(t *testing.T) *pgx.Conn {
	return dbtest.Conn(t, fmt.Sprintf("host=%s user=postgres dbname=db", p.socket))
}

// startPostgres starts a PostgreSQL that takes connections from this machine with TLS and a password only, and gives its
// address.
func (p *platform) startPostgres(ca *authority) string {
	t := p.t
	t.Helper()
	bin, err := localpg.FindBin(os.Getenv("CHARTROOM_POSTGRES_BIN"), "")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := localpg.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p.socket = dir
	cert, key := ca.issue(t)
	for name, text := range map[string]string{"server.crt": string(cert), "server.key": string(key),
		"hba": "local all postgres trust\nhostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	as := postgresAccount(t, dir)
	file := func(name string) string { return filepath.Join(dir, name) }
	initdb := exec.Command(filepath.Join(bin, "initdb"), "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", file("data"))
	initdb.SysProcAttr, initdb.Dir = as, "/"
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	port := strconv.Itoa(freePort(t))
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", file("data"), "-k", dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
		"-c", "ssl=on", "-c", "ssl_cert_file="+file("server.crt"), "-c", "ssl_key_file="+file("server.key"), "-c", "hba_file="+file("hba"))
	log := &dbtest.Buffer{}
	server.SysProcAttr, server.Dir, server.Stdout, server.Stderr = as, "/", log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Signal(syscall.SIGQUIT); _ = server.Wait() })
	p.socket = dir + " port=" + port
	setup := p.await(t, log)
	defer setup.Close(context.Background())
	for _, sql := range []string{`CREATE ROLE aptible LOGIN CREATEROLE PASSWORD '` + ownerPassword + `'`, `CREATE DATABASE db OWNER aptible`} {
		if _, err := setup.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	plain := &url.URL{Scheme: "postgres", User: url.UserPassword("aptible", ownerPassword), Host: "127.0.0.1:" + port, Path: "/db", RawQuery: "sslmode=disable"}
	if c, err := pgx.Connect(context.Background(), plain.String()); err == nil {
		c.Close(context.Background())
		t.Fatal("the database takes a connection without TLS")
	}
	return "127.0.0.1:" + port
}

func (p *platform) await(t *testing.T, log *dbtest.Buffer) *pgx.Conn {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		c, err := pgx.Connect(context.Background(), fmt.Sprintf("host=%s user=postgres dbname=postgres", p.socket))
		if err == nil {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, log)
		}
	}
}

// postgresAccount gives the files to the account that PostgreSQL runs as when this is root, which it refuses.
func postgresAccount(t *testing.T, dir string) *syscall.SysProcAttr {
	t.Helper()
	if os.Getuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range append(files, dir) {
			if err := os.Chown(f, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	t.Fatal("PostgreSQL does not run as root, and there is neither an account postgres nor nobody")
	return nil
}
