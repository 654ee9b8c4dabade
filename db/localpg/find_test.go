//go:build unix

package localpg

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithoutPostgresTheErrorNamesThreeWaysOut(t *testing.T) {
	hidePostgres(t)
	_, err := Start(t.Context(), Options{Dir: newDir(t)})
	if !errors.Is(err, ErrNoPostgres) {
		t.Errorf("got %v, want ErrNoPostgres", err)
	}
	wantError(t, err, "install", "postgresql", "DATABASE_URL", "CHARTROOM_POSTGRES_BIN")
}

func TestTheInstallCommandIsThisSystems(t *testing.T) {
	for _, c := range []struct{ tool, major, want string }{
		{"apt-get", "", "apt-get install postgresql"},
		{"dnf", "", "dnf install postgresql-server"},
		{"brew", "16", "brew install postgresql@16"},
		{"none-of-these", "", "postgresql"},
	} {
		hidePostgres(t)
		fake(t, os.Getenv("PATH"), c.tool, "")
		if got := installCommand(c.major); !strings.Contains(got, c.want) {
			t.Errorf("with %s: %q", c.tool, got)
		}
	}
}

func TestAConfiguredDirectoryWithoutAServerIsRefusedByName(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	_, err := Start(t.Context(), Options{Dir: newDir(t), BinDir: empty})
	wantError(t, err, "CHARTROOM_POSTGRES_BIN", empty, "initdb")

	half := t.TempDir()
	fake(t, half, "initdb", "")
	_, err = FindBin(half, "")
	wantError(t, err, "CHARTROOM_POSTGRES_BIN", half, "no program postgres")
}

func TestTheConfiguredDirectoryIsTheOneTaken(t *testing.T) {
	t.Parallel()
	fakeServer := t.TempDir()
	fake(t, fakeServer, "initdb", "")
	fake(t, fakeServer, "postgres", "postgres (PostgreSQL) 18beta1")
	if got, err := FindBin(fakeServer, ""); err != nil || got != fakeServer {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := FindBin(fakeServer, "15")
	wantError(t, err, "CHARTROOM_POSTGRES_BIN", "18", "15")
}

func TestTheSearchTakesPathFirstThenTheNewest(t *testing.T) {
	hidePostgres(t)
	root := t.TempDir()
	for _, major := range []string{"9", "13", "16", "17"} {
		dir := filepath.Join(root, major)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		fake(t, dir, "initdb", "")
		fake(t, dir, "postgres", "postgres (PostgreSQL) "+major+".4 (Debian)")
	}
	wantBin := func(major, want string) {
		t.Helper()
		if got, err := FindBin("", major); err != nil || got != filepath.Join(root, want) {
			t.Errorf("for %q got %q, %v; want that of %s", major, got, err, want)
		}
	}
	knownDirs = []string{filepath.Join(root, "*")}
	wantBin("", "17")
	wantBin("16", "16")

	bin := t.TempDir() // a directory of links, as /usr/local/bin may be
	if err := os.Symlink(filepath.Join(root, "16", "initdb"), filepath.Join(bin, "initdb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	wantBin("", "16")
	wantBin("17", "17")

	fake(t, bin, "pg_config", filepath.Join(root, "17"))
	os.Remove(filepath.Join(bin, "initdb"))
	knownDirs = nil
	wantBin("", "17")

	knownDirs = []string{filepath.Join(root, "13")}
	os.Remove(filepath.Join(bin, "pg_config"))
	_, err := FindBin("", "")
	wantError(t, err, "PostgreSQL 13 is too old", knownDirs[0], "DATABASE_URL")
}

func TestDataOfAnotherVersionAsksForIt(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	acct := mustAccount(t)
	data := filepath.Join(dir, "data")
	if err := errors.Join(makePrivate(data, acct), os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("99\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrNoPostgres) {
		t.Errorf("got %v, want ErrNoPostgres", err)
	}
	wantError(t, err, data, "99", "DATABASE_URL")
}
