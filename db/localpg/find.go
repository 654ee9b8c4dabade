//go:build unix

package localpg

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldest is the least major version we run on: the application sets
// client_connection_check_interval, which came with it.
const oldest = 14

// knownDirs are where packages put the server's programs, outside PATH. A
// variable for the tests.
var knownDirs = []string{
	"/usr/lib/postgresql/*/bin",   // Debian, Ubuntu
	"/usr/pgsql-*/bin",            // PostgreSQL's own packages for Red Hat
	"/usr/bin",                    // Fedora, Arch
	"/usr/libexec/postgresql*",    // Alpine
	"/usr/lib/postgresql*/bin",    // SUSE
	"/usr/lib64/postgresql-*/bin", // Gentoo
	"/usr/local/bin",              // FreeBSD
	"/usr/local/pgsql/bin",        // built from source
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin", // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/Library/PostgreSQL/*/bin",
	"/opt/local/lib/postgresql*/bin", // MacPorts
}

// binDir is a directory with initdb and postgres in it.
type binDir struct {
	path  string
	major int
}

// FindBin returns the directory of the PostgreSQL programs initdb and postgres,
// absolute. A configured one (CHARTROOM_POSTGRES_BIN) is taken or refused, never
// passed over. Otherwise the first that fits wins: on PATH, where pg_config
// says, then where packages put them, newest first. major, such as "15", asks
// for that version alone, "" for any from 14.
//
// When nothing fits the error wraps ErrNoPostgres and names three ways out.
func FindBin(configured, major string) (string, error) {
	if configured != "" {
		return configuredBin(configured, major)
	}
	var unfit []binDir
	for b := range search {
		if b.fits(major) == nil {
			return b.path, nil
		}
		if !slices.Contains(unfit, b) {
			unfit = append(unfit, b)
		}
	}
	return "", notFound(major, unfit)
}

// configuredBin does not search on: whoever names a directory wants that one.
func configuredBin(configured, major string) (string, error) {
	dir, err := filepath.Abs(configured)
	if err != nil {
		return "", err
	}
	b, err := inspect(dir)
	if err == nil {
		err = b.fits(major)
	}
	if err != nil {
		return "", fmt.Errorf("CHARTROOM_POSTGRES_BIN is %s: %w", configured, err)
	}
	return b.path, nil
}

func (b binDir) fits(major string) error {
	switch {
	case b.major < oldest:
		return fmt.Errorf("PostgreSQL %d is too old, %d is the oldest that works", b.major, oldest)
	case major != "" && major != strconv.Itoa(b.major):
		return fmt.Errorf("it holds PostgreSQL %d, not the %s that is needed", b.major, major)
	}
	return nil
}

// search goes through every server found, best first, and no further than it
// must: to ask each for its version takes longer than to start one.
func search(yield func(binDir) bool) {
	for _, dirs := range []func() []string{pathDirs, pgConfigDirs} {
		for _, dir := range dirs() {
			if b, err := inspect(dir); err == nil && !yield(b) {
				return
			}
		}
	}
	for _, b := range knownBins() {
		if !yield(b) {
			return
		}
	}
}

// pathDirs are PATH's directories that have an initdb: the place it links to,
// since the other programs are there, and the directory itself.
func pathDirs() []string {
	var dirs []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // what runs must not depend on where we stand
		}
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb")); err == nil {
			dirs = append(dirs, filepath.Dir(real), dir)
		}
	}
	return dirs
}

func pgConfigDirs() []string {
	out, err := output("pg_config", "--bindir")
	if err != nil {
		return nil
	}
	return []string{strings.TrimSpace(out)}
}

func knownBins() []binDir {
	var found []binDir
	for _, pattern := range knownDirs {
		dirs, _ := filepath.Glob(pattern) // fails for a malformed pattern only
		for _, dir := range dirs {
			if b, err := inspect(dir); err == nil {
				found = append(found, b)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b binDir) int { return b.major - a.major })
	return found
}

// inspect looks for both programs, and asks postgres for its version.
func inspect(dir string) (binDir, error) {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return binDir{}, fmt.Errorf("it holds no PostgreSQL server: there is no program %s", name)
		}
	}
	out, err := output(filepath.Join(dir, "postgres"), "--version")
	if err != nil {
		return binDir{}, fmt.Errorf("its postgres does not run: %w", err)
	}
	_, version, _ := strings.Cut(out, "(PostgreSQL) ") // postgres (PostgreSQL) 15.18 (Debian …), or 18beta1
	digits := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	major, err := strconv.Atoi(version[:max(digits, 0)])
	if err != nil {
		return binDir{}, fmt.Errorf("its postgres tells no version: %q", strings.TrimSpace(out))
	}
	return binDir{path: dir, major: major}, nil
}

func output(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = environment()
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return string(out), err
}

// notFound is the one error a newcomer may meet before anything works, so it
// says what to do.
func notFound(major string, unfit []binDir) error {
	var b strings.Builder
	if major == "" {
		fmt.Fprintf(&b, " (its programs initdb and postgres, version %d or later)", oldest)
	} else {
		fmt.Fprintf(&b, " of version %s", major)
	}
	for _, u := range unfit {
		fmt.Fprintf(&b, "\npassed over %s: %v", u.path, u.fits(major))
	}
	fmt.Fprintf(&b, "\nThere are three ways out:\n"+
		"  1. install one:            %s\n"+
		"  2. use one that runs:      set DATABASE_URL=postgres://user:password@host:5432/database\n"+
		"  3. use programs elsewhere: set CHARTROOM_POSTGRES_BIN to the directory of initdb and postgres",
		installCommand(major))
	return fmt.Errorf("%w%s", ErrNoPostgres, b.String())
}

// installers: the command's name, what to type, and what when the data ask for
// a version.
var installers = []struct{ tool, any, one string }{
	{"apt-get", "sudo apt-get install postgresql", "sudo apt-get install postgresql-%s"},
	{"dnf", "sudo dnf install postgresql-server", "sudo dnf install postgresql%s-server"},
	{"zypper", "sudo zypper install postgresql-server", "sudo zypper install postgresql%s-server"},
	{"apk", "sudo apk add postgresql", "sudo apk add postgresql%s"},
	{"pacman", "sudo pacman -S postgresql", "sudo pacman -S postgresql"},
	{"pkg", "sudo pkg install postgresql17-server", "sudo pkg install postgresql%s-server"},
	{"brew", "brew install postgresql@17", "brew install postgresql@%s"},
}

func installCommand(major string) string {
	for _, i := range installers {
		if _, err := exec.LookPath(i.tool); err != nil {
			continue
		}
		command := i.any
		if major != "" {
			command = strings.Replace(i.one, "%s", major, 1)
		}
		if os.Geteuid() == 0 {
			command = strings.TrimPrefix(command, "sudo ")
		}
		return command
	}
	if runtime.GOOS == "darwin" {
		return "brew install postgresql@" + cmp.Or(major, "17") + " (Homebrew: https://brew.sh)"
	}
	return "the package postgresql or postgresql-server, with this system's package manager"
}
