//go:build prove

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"chartroom/db/dbtest"
)

// alone prepares the program as a container platform's strictest settings do: root is its whole file system and read-only, it is
// process 1 of its own, has the user 65532 without capabilities, and nothing in the environment but env. It needs to be root, and
// a kernel that lets root make namespaces.
func alone(t testing.TB, root, path string, env []string, args ...string) *process {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("run this proof as root: it makes namespaces and changes the root directory")
	}
	p := &process{Cmd: &exec.Cmd{Path: path, Args: append([]string{path}, args...), Dir: "/", Env: append([]string{"A=1"}, env...)},
		t: t, stdout: &dbtest.Buffer{}, stderr: &dbtest.Buffer{}, ended: make(chan struct{})}
	p.Stdout, p.Stderr = p.stdout, p.stderr
	p.SysProcAttr = &syscall.SysProcAttr{Chroot: readOnly(t, root), Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS}
	return p
}

// readOnly is dir once more, as a mount that cannot be written to.
func readOnly(t testing.TB, dir string) string {
	t.Helper()
	at := t.TempDir()
	if err := syscall.Mount(dir, at, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(at, syscall.MNT_DETACH) })
	if err := syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, ""); err != nil {
		t.Fatalf("mount read-only: %v", err)
	}
	if err := os.WriteFile(filepath.Join(at, "x"), nil, 0o600); err == nil {
		t.Fatal("the root can be written to")
	}
	return at
}

// TestProveTheProgramNeedsNothingButItself runs it as process 1 and user 65532 in a read-only root that holds the program and the
// database's socket. Time zones and certificate authorities come from the program itself.
func TestProveTheProgramNeedsNothingButItself(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(root, "chartroom"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	secret := "SESSION_SECRET_KEY=" + "kT7vQ2mX9pL4wR8nB3cY6hJ1dF5gZ0sA"
	env := []string{"DATABASE_URL=" + throughTCP(t, dbtest.URL(t)), "LISTEN_ADDR=127.0.0.1:0", "ENVIRONMENT=production", "SESSION_SECURE=true", secret,
		"CLINIC_TIMEZONE=Pacific/Auckland", "CLINIC_NAME=Harbour Clinic"}
	p := alone(t, root, "/chartroom", env, "serve").start()
	at := "http://" + p.output(p.stderr, `"msg":"serving","address":"([^"]+)"`)
	for path, wanted := range map[string]string{"/healthcheck": "ok", "/login": "Harbour Clinic"} {
		res, err := http.Get(at + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || !strings.Contains(string(body), wanted) {
			t.Errorf("%s: %d\n%s", path, res.StatusCode, body)
		}
	}
	asked := alone(t, root, "/chartroom", []string{"LISTEN_ADDR=" + strings.TrimPrefix(at, "http://")}, "healthcheck").start()
	if code := asked.finish(); code != 0 {
		t.Errorf("healthcheck: %d %s", code, asked.stderr)
	}
	start := time.Now()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.finish(); code != 0 || time.Since(start) > 8*time.Second {
		t.Errorf("SIGTERM: exit %d after %v\n%s", code, time.Since(start), p.stderr)
	}
	t.Logf("ended %v after SIGTERM", time.Since(start).Round(time.Millisecond))
}

// throughTCP passes connections at a loopback address on to a server that has a socket alone, and that in a directory of its own.
func throughTCP(t testing.TB, dbURL string) string {
	t.Helper()
	config, err := pgx.ParseConfig(dbURL)
	if err != nil {
		t.Fatal(err)
	}
	network, address := pgconn.NetworkAddress(config.Host, config.Port)
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", url.PathEscape(config.User), tunnel(t, network, address), config.Database)
}
