//go:build unix

package localpg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// cluster is a server's home while we hold its lock.
//
//	data/          the cluster, complete by construction
//	data.new/      one that initdb works on
//	socket/        the socket, unless the path is too long for one
//	lock           see takeLock
//	postgres.log   what the server said since its last start
type cluster struct {
	dir     string // absolute, links resolved
	acct    account
	lock    *os.File
	durable bool

	settings []string
}

func (c cluster) data() string { return filepath.Join(c.dir, "data") }
func (c cluster) log() string  { return filepath.Join(c.dir, "postgres.log") }

// makeHome makes dir where it is missing, and returns it absolute and without
// links. As root it stays root's: then nobody but root can replace the files
// in it that root writes, and its account only passes through.
func makeHome(dir string, acct account) (string, error) {
	if dir == "" {
		return "", errors.New("no directory given for the PostgreSQL server")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	mode := fs.FileMode(0o700)
	if acct.other {
		mode = 0o711
	}
	there := dir
	for there != "/" && !exists(there) {
		there = filepath.Dir(there)
	}
	if err := acct.canEnter(there); err != nil { // before there is anything to clear away
		return "", err
	}
	if err := makeDirs(dir, mode); err != nil {
		return "", fmt.Errorf("make the server's directory: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	return dir, acct.canEnter(dir)
}

// makeDirs is os.MkdirAll, except that the umask cannot take what mode gives.
func makeDirs(dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDirs(filepath.Dir(dir), mode); err != nil {
			return err
		}
		err = os.Mkdir(dir, mode)
	}
	if err == nil {
		return os.Chmod(dir, mode)
	}
	if info, serr := os.Stat(dir); serr == nil && info.IsDir() {
		return nil
	}
	return err
}

// makePrivate makes a directory that only acct may enter, or makes sure that
// what is there is one. Below /tmp anybody may have put something else there.
func makePrivate(dir string, acct account) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir) // of a link itself, not of what it points to
	if err != nil {
		return err
	}
	if !privateTo(info, acct.uid, os.Geteuid()) {
		return fmt.Errorf("%s is not a directory of mode 0700 that belongs to uid %d: remove it", dir, acct.uid)
	}
	if owner(info) != acct.uid { // just made, or we were killed at this very line the last time
		return os.Lchown(dir, acct.uid, acct.gid)
	}
	return nil
}

func privateTo(info fs.FileInfo, uids ...int) bool {
	return info.IsDir() && info.Mode().Perm() == 0o700 && slices.Contains(uids, owner(info))
}

// checkOwner refuses a cluster made under another account, which PostgreSQL
// would also refuse, in words that do not say what to do.
func (c cluster) checkOwner() error {
	info, err := os.Stat(c.data())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if uid := owner(info); uid != c.acct.uid {
		return fmt.Errorf("%s belongs to uid %d, and the server would run as uid %d: run as the user who made it, or choose another directory",
			c.data(), uid, c.acct.uid)
	}
	return nil
}

// findBin looks for the binaries that fit: those of the major version that made
// the data, or any when there is none yet.
func (c cluster) findBin(configured string) (string, error) {
	major := c.major()
	bin, err := FindBin(configured, major)
	if err != nil && major != "" {
		return "", fmt.Errorf("%s was made by PostgreSQL %s: %w", c.data(), major, err)
	}
	if err != nil {
		return "", err
	}
	return bin, c.acct.canEnter(bin)
}

// major is the version of the existing data, "" when there is none.
func (c cluster) major() string {
	version, err := os.ReadFile(filepath.Join(c.data(), "PG_VERSION"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(version))
}

// initialise runs initdb unless the cluster exists. It works under another name
// and renames at the end, so that being killed leaves nothing that looks like
// data.
func (c cluster) initialise(ctx context.Context, bin string, log *os.File) error {
	if c.major() != "" {
		return nil
	}
	if err := os.Remove(c.data()); err != nil && !errors.Is(err, fs.ErrNotExist) { // an empty directory is no loss
		return fmt.Errorf("%s is in the way, it holds no PostgreSQL data: %w", c.data(), err)
	}
	unfinished := c.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	if err := makePrivate(unfinished, c.acct); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if err := c.initdb(ctx, bin, unfinished, log); err != nil {
		return errors.Join(err, os.RemoveAll(unfinished))
	}
	if err := os.Rename(unfinished, c.data()); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	if !c.durable {
		return nil
	}
	return syncDir(c.dir)
}

func (c cluster) initdb(ctx context.Context, bin, target string, log *os.File) error {
	args := []string{"-D", target, "-U", superuser, "--auth=trust", "-E", "UTF8", "--locale=" + locale(), "--no-instructions"}
	if locale() != "C.UTF-8" {
		args = append(args, "--lc-collate=C") // the same order as C.UTF-8
	}
	if !c.durable {
		args = append(args, "--no-sync")
	}
	cmd := c.command(syscall.SIGKILL, log, filepath.Join(bin, "initdb"), args...)
	ended, err := launch(cmd)
	if err != nil {
		return fmt.Errorf("run initdb: %w", err)
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group: initdb has children of its own
		<-ended
		return fmt.Errorf("initdb: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("initdb: %w%s", err, lastLines(c.log()))
	}
	return nil
}

// syncDir makes a rename in dir outlast a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// clearLeftovers removes what a killed server left: we hold the lock that every
// server of ours keeps as long as it or a child of it lives. Left in place,
// these files would stop a start whenever their process number is taken again.
// It returns the directory for the socket.
func (c cluster) clearLeftovers() (string, error) {
	// A server which somebody started by hand knows nothing of our lock, and two
	// servers on one cluster destroy it.
	if pid, _ := readPidFile(c.data()); runsOn(pid, c.data()) {
		return "", fmt.Errorf("%s is in use by process %d, a PostgreSQL server that chartroom did not start", c.data(), pid)
	}
	socketDir, err := c.makeSocketDir()
	if err != nil {
		return "", fmt.Errorf("make the socket's directory: %w", err)
	}
	for _, path := range append(socketFiles(socketDir), filepath.Join(c.data(), "postmaster.pid")) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("remove a leftover: %w", err)
		}
	}
	return socketDir, nil
}

// makeSocketDir finds the socket's place: beside the data, or below /tmp when
// that path is too long (the system's room for one is 103 bytes on macOS), or
// holds what a list of socket directories takes for its own syntax. The short
// name follows from the long one, so that a killed run leaves one directory at
// most.
func (c cluster) makeSocketDir() (string, error) {
	dir := filepath.Join(c.dir, "socket")
	if len(dir) > 85 || strings.ContainsAny(dir, ",\"\\\r\n\t") {
		dir = shortSocketDir(c.dir, c.acct)
	}
	return dir, makePrivate(dir, c.acct)
}

func shortSocketDir(home string, acct account) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(acct.uid) + home))
	return fmt.Sprintf("/tmp/chartroom-%x", sum[:8])
}

func removeSocketDir(socketDir, home string) {
	for _, path := range socketFiles(socketDir) {
		_ = os.Remove(path) // the server has removed them, unless it was killed
	}
	if filepath.Dir(socketDir) != home {
		_ = os.Remove(socketDir) // litter at worst, and used again by the next start
	}
}

func socketFiles(dir string) []string {
	socket := filepath.Join(dir, ".s.PGSQL."+port)
	return []string{socket, socket + ".lock"}
}

// readPidFile reads the server's own note: its process and its status, which is
// "ready" for one that takes connections. Zero where there is no note.
func readPidFile(data string) (pid int, status string) {
	note, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(note), "\n")
	if pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil {
		return 0, ""
	}
	pid = max(pid, -pid) // negative is a server in single-user mode, which is as much a server
	if len(lines) > 7 {
		status = strings.TrimSpace(lines[7])
	}
	return pid, status
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
