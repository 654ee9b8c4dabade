//go:build unix

package localpg

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestALongPathWorks(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDir(t), strings.Repeat("long, longer/", 10))
	s := start(t, Options{Dir: dir})
	remember(t, s.URL("postgres"))
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if exists(s.socketDir) {
		t.Errorf("%s was left", s.socketDir)
	}
}

func TestTheSocketLiesBesideTheDataWhereAPathMay(t *testing.T) {
	t.Parallel()
	acct := mustAccount(t)
	for name, beside := range map[string]bool{
		"plain": true, "a b+é": true, "a,b": false, `a"b`: false, `a\b`: false, strings.Repeat("x", 86): false,
	} {
		home, err := makeHome(filepath.Join(newDir(t), name), acct)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := cluster{dir: home, acct: acct}.makeSocketDir()
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Dir(dir) == home; got != beside || len(dir) > 85 {
			t.Errorf("for %q the socket is in %s", name, dir)
		}
		removeSocketDir(dir, home)
	}
}

func TestAPlantedSocketDirectoryIsNotTrusted(t *testing.T) {
	t.Parallel()
	acct := mustAccount(t)
	dir := filepath.Join(newDir(t), strings.Repeat("long/", 20))
	home, err := makeHome(dir, acct)
	if err != nil {
		t.Fatal(err)
	}
	planted := shortSocketDir(home, acct)
	t.Cleanup(func() { os.Remove(planted) })
	c := cluster{dir: home, acct: acct}

	if err := os.Symlink(newDir(t), planted); err != nil {
		t.Fatal(err)
	}
	_, err = c.makeSocketDir()
	wantError(t, err, planted)

	os.Remove(planted)
	if err := errors.Join(os.Mkdir(planted, 0o700), os.Chmod(planted, 0o777)); err != nil {
		t.Fatal(err)
	}
	_, err = c.makeSocketDir()
	wantError(t, err, planted)

	if err := os.Chmod(planted, 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(planted)
	if err != nil {
		t.Fatal(err)
	}
	if !privateTo(info, owner(info)) || privateTo(info, owner(info)+1) {
		t.Error("a directory is trusted when it belongs to the account, and else not")
	}
}

func TestADirectoryTheAccountCannotEnterIsNamed(t *testing.T) {
	t.Parallel()
	parent := newDir(t)
	closed := filepath.Join(parent, "closed")
	if err := errors.Join(os.Chmod(parent, 0o711), os.Mkdir(closed, 0o700)); err != nil {
		t.Fatal(err)
	}
	stranger := account{uid: 54321, gid: 54321, name: "stranger", other: true}
	_, err := makeHome(filepath.Join(closed, "x", "y"), stranger)
	wantError(t, err, "stranger", "cannot enter "+closed+" (mode 0700", "/var/tmp")
	if exists(filepath.Join(closed, "x")) {
		t.Error("a refused directory was begun")
	}

	if err := os.Chmod(closed, 0o711); err != nil {
		t.Fatal(err)
	}
	if _, err := makeHome(filepath.Join(closed, "x", "z"), stranger); err != nil {
		t.Error(err)
	}
}

func TestATempDirServesTheServersAccount(t *testing.T) {
	t.Parallel()
	acct := mustAccount(t)
	dir := newDir(t)
	if err := acct.canEnter(dir); err != nil {
		t.Error(err)
	}
	if other := newDir(t); other == dir {
		t.Error("not a fresh one")
	}
}

func TestWhatKilledRunsLeftIsRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	old := time.Now().Add(-2 * abandonedAfter)
	leave := func(name, lock string, touched time.Time) string {
		dir := filepath.Join(parent, tempPrefix+name)
		lock = filepath.Join(dir, lock)
		if err := errors.Join(os.MkdirAll(filepath.Dir(lock), 0o700), os.WriteFile(lock, nil, 0o600),
			os.Chtimes(lock, touched, touched), os.Chtimes(dir, old, old)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	want := map[string]bool{
		leave("abandoned", "lock", old):     false,
		leave("below", "pg/lock", old):      false,
		leave("recent", "lock", time.Now()): true,
		newDirIn(t, parent):                 true,
	}
	for _, lock := range []string{"lock", "pg/lock"} {
		held := leave("held-"+filepath.Dir(lock), lock, old)
		f, err := os.Open(filepath.Join(held, lock))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		want[held] = true
	}
	removeAbandoned(parent)
	for dir, stays := range want {
		if exists(dir) != stays {
			t.Errorf("%s: there %v, want %v", dir, !stays, stays)
		}
	}
}

func newDirIn(t *testing.T, parent string) string {
	t.Helper()
	dir, err := tempDirIn(parent, account{})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
