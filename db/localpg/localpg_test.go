//go:build unix

package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestFirstStartMakesAWorkingServer(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: newDir(t), Durable: true})
	for query, want := range map[string]string{
		"select current_user": "chartroom",
		"select usesuper::text from pg_user where usename = current_user":                          "true",
		"select pg_encoding_to_char(encoding) from pg_database where datname = current_database()": "UTF8",
		"select lower('ÄÖ')":                           "äö",
		"select current_setting('timezone')":           "UTC",
		"select current_setting('fsync')":              "on",
		"select current_setting('synchronous_commit')": "on",
		"select current_setting('full_page_writes')":   "on",
		"select current_setting('autovacuum')":         "on",
	} {
		if got := ask(t, s, query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
}

func TestAThrowAwayServerTradesSafetyForSpeed(t *testing.T) {
	t.Parallel()
	s := anyServer(t)
	for setting, want := range map[string]string{
		"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
		"wal_level": "minimal", "max_wal_senders": "0", "max_connections": "200",
	} {
		if got := ask(t, s, "select current_setting('"+setting+"')"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestTheServerIsReachableByItsSocketAlone(t *testing.T) {
	t.Parallel()
	s := anyServer(t)
	if got := ask(t, s, "select current_setting('listen_addresses')"); got != "" {
		t.Errorf("it listens on %q", got)
	}
	for path, want := range map[string]fs.FileMode{s.socketDir: 0o700, s.data: 0o700, socketFiles(s.socketDir)[0]: 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", path, got, want)
		}
	}
}

func TestTheSecondStartKeepsTheData(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	first := start(t, Options{Dir: dir, Durable: true})
	remember(t, first.URL("postgres"))
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	checkRemembered(t, start(t, Options{Dir: dir, Durable: true}))
}

func TestStopMayBeCalledAgainAndAtOnce(t *testing.T) {
	t.Parallel()
	for _, durable := range []bool{true, false} {
		s := start(t, Options{Dir: newDir(t), Durable: durable})
		connect(t, s.URL("postgres")) // stays open: a client must not hold up the end
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if err := s.Stop(); err != nil {
					t.Errorf("stop: %v", err)
				}
			})
		}
		all.Wait()
		<-s.Done()
		if err := s.Stop(); err != nil {
			t.Errorf("stop once more: %v", err)
		}
	}
}

func TestDoneTellsOfAServerThatEndedByItself(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{Dir: dir, Durable: true})
	remember(t, s.URL("postgres"))
	if err := syscall.Kill(s.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, s.Done())
	if err := s.Stop(); err == nil {
		t.Error("Stop has nothing to tell of a killed server")
	}
	checkRemembered(t, start(t, Options{Dir: dir, Durable: true}))
}

func TestADirectoryInUseIsRefusedWithTheProcess(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	owner := startOwner(t, dir, false)
	_, err := Start(t.Context(), Options{Dir: dir, Durable: true})
	wantError(t, err, fmt.Sprintf("is in use by process %d", owner.cmd.Process.Pid))

	mine := newDir(t)
	start(t, Options{Dir: mine})
	_, err = Start(t.Context(), Options{Dir: mine})
	wantError(t, err, fmt.Sprintf("is in use by process %d", os.Getpid()))
}

// On Linux the server follows its owner at once, see localpg_linux_test.go.
// Elsewhere, and where it is slow to follow, the next Start sees to it.
func TestTheOrphanOfADeadOwnerIsStopped(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	owner := startOwner(t, dir, true)
	owner.kill(t)
	if !runsOn(owner.server, filepath.Join(dir, "data")) {
		t.Fatal("the server did not outlive its owner, so this test tests nothing")
	}
	s := start(t, Options{Dir: dir, Durable: true})
	if runsOn(owner.server, s.data) {
		t.Error("the orphan still runs")
	}
	checkRemembered(t, s)
}

func TestStaleFilesDoNotMatter(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{Dir: dir, Durable: true})
	remember(t, s.URL("postgres"))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	// Every number is taken again by a living process, and one that PostgreSQL
	// could signal: it would take that for another server, and refuse.
	living := exec.Command("sleep", "600")
	living.SysProcAttr = &syscall.SysProcAttr{Credential: mustAccount(t).credential()}
	living.Dir = "/"
	if err := living.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = living.Process.Kill(); _ = living.Wait() })
	note := fmt.Sprintf("%d\n%s\n1700000000\n5432\n%s\n\n\nready   \n", living.Process.Pid, s.data, s.socketDir)
	for _, path := range append(socketFiles(s.socketDir), filepath.Join(s.data, "postmaster.pid"), filepath.Join(dir, "lock")) {
		if err := os.WriteFile(path, []byte(note), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkRemembered(t, start(t, Options{Dir: dir, Durable: true}))
}

func TestAServerStartedByHandIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{Dir: dir, Durable: true})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	byHand := exec.Command(s.cmd.Path, "-D", s.data, "-k", s.socketDir, "-p", "5433", "-c", "listen_addresses=")
	byHand.SysProcAttr = &syscall.SysProcAttr{Credential: mustAccount(t).credential()}
	byHand.Dir = "/"
	if err := byHand.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = byHand.Process.Signal(syscall.SIGQUIT); _ = byHand.Wait() })
	eventually(t, "the server started by hand is ready", func() bool {
		pid, status := readPidFile(s.data)
		return pid == byHand.Process.Pid && status == "ready"
	})
	_, err := Start(t.Context(), Options{Dir: dir, Durable: true})
	wantError(t, err, fmt.Sprintf("is in use by process %d", byHand.Process.Pid))
}

// An initdb dies with its owner on Linux; elsewhere it first runs to its end.
func TestAnInterruptedInitdbDoesNotMatter(t *testing.T) {
	for name, orphan := range map[string]bool{"ended": false, "still at work": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			cmd, _ := ownerCommand(t, dir, orphan)
			unfinished := filepath.Join(dir, "data.new")
			eventually(t, "initdb is at work", func() bool { return exists(filepath.Join(unfinished, "PG_VERSION")) })
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if exists(filepath.Join(dir, "data")) || !exists(unfinished) {
				t.Fatal("initdb had ended, so this test tests nothing")
			}
			remember(t, start(t, Options{Dir: dir, Durable: true}).URL("postgres"))
		})
	}
}

func TestACancelledStartLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !exists(filepath.Join(dir, "data.new", "PG_VERSION")) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := Start(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want a cancelled context", err)
	}
	if exists(filepath.Join(dir, "data.new")) || exists(filepath.Join(dir, "data")) {
		t.Error("a half-made cluster was left")
	}
	start(t, Options{Dir: dir})
}

func TestTheURLServesPgxAndTheClientTools(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: filepath.Join(newDir(t), "a b+c&d%20é")})
	remember(t, s.URL("postgres"))
	ask(t, s, `create database "50% né"`)
	ask(t, s, `select pg_reload_conf()::text`)
	if conn := connect(t, s.URL("50% né")); conn.Config().Database != "50% né" {
		t.Errorf("pgx is in %q", conn.Config().Database)
	}
	for tool, args := range map[string][]string{
		"psql":    {"-X", "-d", s.URL("50% né"), "-c", "select 1"},
		"pg_dump": {"-s", "-t", "kept", s.URL("postgres")},
	} {
		out, err := exec.Command(clientTool(t, s, tool), args...).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", tool, err, out)
		}
	}
}

func TestTheLogHoldsNoDataValues(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Dir: newDir(t), Durable: true})
	conn := connect(t, s.URL("postgres"))
	for setting, want := range map[string]string{ // what a lower log_min_messages would let through
		"log_statement": "none", "log_min_error_statement": "panic", "log_error_verbosity": "terse",
		"log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0", "log_min_duration_statement": "-1",
	} {
		if got := ask(t, s, "select setting from pg_settings where name = '"+setting+"'"); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	for _, failing := range []string{
		"select 'Lovelace'::date",
		"select Lovelace",
		"create temp table p (name text primary key); insert into p values ('Lovelace'), ('Lovelace')",
		"do $$ begin raise warning 'Lovelace'; raise exception 'Lovelace' using detail = 'Lovelace', hint = 'Lovelace'; end $$",
	} {
		if _, err := conn.Exec(t.Context(), failing); err == nil {
			t.Errorf("%s: want an error", failing)
		}
	}
	if _, err := conn.Exec(t.Context(), "select $1::text::date", "Lovelace"); err == nil {
		t.Error("want an error")
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(s.logPath)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(log), "Lovelace") || !strings.Contains(string(log), "LOG:") {
		t.Errorf("the log must have entries, and none with a value:\n%s", log)
	}
}

func TestAFailedStartQuotesTheLog(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	s := start(t, Options{Dir: dir})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(s.data, "postgresql.conf")
	if err := os.WriteFile(conf, []byte("no_such_setting = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	wantError(t, err, "no_such_setting", s.logPath)
}

func TestACtrlCDoesNotReachTheServer(t *testing.T) {
	t.Parallel()
	s := anyServer(t)
	group, err := syscall.Getpgid(s.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if group == syscall.Getpgrp() {
		t.Error("the server is in our process group, to which a terminal sends its signals")
	}
}
