//go:build unix

package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	tempPrefix = "chartroom-pg-"
	// abandonedAfter is longer than any test keeps a stopped server's data.
	abandonedAfter = time.Hour
)

// TempDir makes a fresh directory for a throw-away server, to be passed as
// Options.Dir and removed by the caller after Stop. It lies in memory where
// that is to be had (/dev/shm with 1 GiB free), else below os.TempDir(), and
// as root at a place that the server's account can enter. Directories that
// killed runs left at the same place are removed on the way.
func TempDir() (string, error) {
	acct, err := serverAccount()
	if err != nil {
		return "", err
	}
	var failures error
	for _, parent := range append(memoryDirs(1<<30), os.TempDir(), "/tmp", "/var/tmp") {
		dir, err := tempDirIn(parent, acct)
		if err == nil {
			return dir, nil
		}
		failures = errors.Join(failures, err)
	}
	return "", fmt.Errorf("make a directory for a throw-away server: %w", failures)
}

func tempDirIn(parent string, acct account) (string, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if err := acct.canEnter(parent); err != nil {
		return "", err
	}
	removeAbandoned(parent)
	dir, err := os.MkdirTemp(parent, tempPrefix)
	if err != nil || !acct.other {
		return dir, err
	}
	return dir, os.Chmod(dir, 0o711)
}

// removeAbandoned frees the memory that runs before us were killed too early to
// free: directories of ours whose locks nobody has held or touched for long.
func removeAbandoned(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, tempPrefix+"*"))
	for _, dir := range dirs {
		info, err := os.Lstat(dir)
		if err == nil && info.IsDir() && owner(info) == os.Geteuid() && abandoned(dir, info) {
			_ = os.RemoveAll(dir) // what is left is left for the next time
		}
	}
}

// abandoned looks for a server's lock in dir, and one level below it, for
// callers who make the server's home there.
func abandoned(dir string, info fs.FileInfo) bool {
	if !longAgo(info) {
		return false
	}
	here, _ := filepath.Glob(filepath.Join(dir, "lock"))
	below, _ := filepath.Glob(filepath.Join(dir, "*", "lock"))
	for _, path := range append(here, below...) {
		if !longFree(path) {
			return false
		}
	}
	return true
}

func longFree(lock string) bool {
	f, err := os.OpenFile(lock, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close() // and with it the lock
	info, err := f.Stat()
	return err == nil && longAgo(info) && syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

func longAgo(info fs.FileInfo) bool { return time.Since(info.ModTime()) > abandonedAfter }
