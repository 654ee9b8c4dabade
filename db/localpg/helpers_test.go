//go:build unix

package localpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// secret stands in our environment during all tests, and PGPORT with it, which
// would mislead a server or a client that took notice.
const secret = "correct-horse-battery-staple"

// TestMain lets the test binary play the process that owns a server, so that a
// test can kill it: see startOwner.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCALPG_TEST_OWNER"); dir != "" {
		if os.Getenv("LOCALPG_TEST_ORPHAN") != "" {
			tieToOurLife = func(*syscall.SysProcAttr, syscall.Signal) {}
		}
		if err := own(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	for name, value := range map[string]string{"DATABASE_URL": secret, "SESSION_SECRET_KEY": secret, "PGPORT": "1", "PGDATA": "/" + secret} {
		os.Setenv(name, value)
	}
	code := m.Run()
	stopAnyServer()
	os.Exit(code)
}

// newDir is a fresh home in the fastest place, gone after the test.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := TempDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// anyServer is one throw-away server for all tests that only look at it.
func anyServer(t *testing.T) *Server {
	t.Helper()
	s, err := theServer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var theServer = sync.OnceValues(func() (*Server, error) {
	dir, err := TempDir()
	if err != nil {
		return nil, err
	}
	s, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	stopAnyServer = func() { _, _ = s.Stop(), os.RemoveAll(dir) }
	return s, nil
})

var stopAnyServer = func() {}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

// ask returns the one value of a query's last row, "" without rows.
func ask(t *testing.T, s *Server, query string) (value string) {
	t.Helper()
	rows, err := connect(t, s.URL("postgres")).Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	for rows.Next() {
		if err := rows.Scan(&value); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	if rows.Err() != nil {
		t.Fatalf("%s: %v", query, rows.Err())
	}
	return value
}

func remember(t *testing.T, url string) {
	t.Helper()
	if _, err := connect(t, url).Exec(t.Context(), rememberSQL); err != nil {
		t.Fatal(err)
	}
}

const rememberSQL = "create table kept (what text not null); insert into kept values ('kept')"

func checkRemembered(t *testing.T, s *Server) {
	t.Helper()
	if got := ask(t, s, "select what from kept"); got != "kept" {
		t.Errorf("the data say %q", got)
	}
}

// own is what the helper process does: it runs a durable server with one row,
// tells its number, and stops it when the test closes the pipe.
func own(dir string) error {
	ctx := context.Background()
	s, err := Start(ctx, Options{Dir: dir, Durable: true})
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	if _, err := conn.Exec(ctx, rememberSQL); err != nil {
		return errors.Join(err, s.Stop())
	}
	fmt.Println(s.cmd.Process.Pid)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Stop()
}

type ownerProcess struct {
	cmd    *exec.Cmd
	server int // its process
}

// ownerCommand starts another process that owns a server on dir; as an orphan
// that server will outlive it.
func ownerCommand(t *testing.T, dir string, orphan bool) (*exec.Cmd, io.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCALPG_TEST_OWNER="+dir)
	if orphan {
		cmd.Env = append(cmd.Env, "LOCALPG_TEST_ORPHAN=1")
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return cmd, out
}

func startOwner(t *testing.T, dir string, orphan bool) ownerProcess {
	t.Helper()
	cmd, out := ownerCommand(t, dir, orphan)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner said %q: %v", line, err)
	}
	server, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the owner said %q", line)
	}
	t.Cleanup(func() { // whatever became of the test, leave no server
		if runsOn(server, filepath.Join(dir, "data")) && !alive(readOwnerOf(dir)) {
			_ = syscall.Kill(server, syscall.SIGQUIT)
		}
	})
	return ownerProcess{cmd, server}
}

func (o ownerProcess) kill(t *testing.T) {
	t.Helper()
	if err := o.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = o.cmd.Wait() // that it was killed is no news
}

func readOwnerOf(dir string) int {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return 0
	}
	defer f.Close()
	return readOwner(f)
}

func mustAccount(t *testing.T) account {
	t.Helper()
	acct, err := serverAccount()
	if err != nil {
		t.Fatal(err)
	}
	return acct
}

// hidePostgres makes this a machine without PostgreSQL. Its PATH is one empty
// directory.
func hidePostgres(t *testing.T) {
	t.Helper()
	known := knownDirs
	knownDirs = nil
	t.Cleanup(func() { knownDirs = known })
	t.Setenv("PATH", t.TempDir())
}

// fake writes a program that says one line.
func fake(t *testing.T, dir, name, says string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho '"+says+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// clientTool is one beside the server, or else on PATH.
func clientTool(t *testing.T, s *Server, name string) string {
	t.Helper()
	if path := filepath.Join(filepath.Dir(s.cmd.Path), name); exists(path) {
		return path
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("the tests need PostgreSQL's client programs too: %v", err)
	}
	return path
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("want an error with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in: %v", part, err)
		}
	}
}

const patience = 15 * time.Second

func await(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
