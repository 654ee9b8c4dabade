//go:build unix

package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// ownerGrace is what an owner gets between taking the lock and writing its
	// number into it.
	ownerGrace = 200 * time.Millisecond
	// A left-over server has open connections to cut and a checkpoint to write.
	orphanAsked   = 10 * time.Second // until it is told, not asked
	orphanGivenUp = 20 * time.Second
)

// takeLock makes us the only process that runs a server in dir. The file names
// us, and the server inherits the descriptor, so that the lock is free when
// both are gone and not before. Held, it tells by the file's number which:
// the owner lives, and is left in peace; or it was killed, and what it left is
// stopped.
func takeLock(ctx context.Context, dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's lock: %w", err)
	}
	if err := awaitLock(ctx, f, dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := writeOwner(f, strconv.Itoa(os.Getpid())); err != nil {
		return nil, errors.Join(fmt.Errorf("write the server's lock: %w", err), f.Close())
	}
	return f, nil
}

func awaitLock(ctx context.Context, f *os.File, dir string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if pid := readOwner(f); alive(pid) {
			return fmt.Errorf("%s is in use by process %d", dir, pid)
		}
		waited := time.Since(began)
		if waited > orphanGivenUp {
			return fmt.Errorf("%s is still in use by what a killed process left running, and that does not end", dir)
		}
		stopOrphan(filepath.Join(dir, "data"), waited)
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for a left-over server to end: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// stopOrphan signals the server that runs on data, if one does. What else holds
// the lock (an initdb whose owner was killed) soon ends by itself.
func stopOrphan(data string, waited time.Duration) {
	if waited < ownerGrace {
		return
	}
	signal := syscall.SIGINT
	if waited > orphanAsked {
		signal = syscall.SIGQUIT
	}
	// A server ignores a signal it has already got, so asking at each turn does
	// no harm, and it reaches a server that had only begun.
	if pid, _ := readPidFile(data); runsOn(pid, data) {
		_ = syscall.Kill(pid, signal)
	}
}

// releaseLock gives up our hold. Children of a server that was killed may keep
// theirs for a moment; the emptied file says that no owner speaks for them.
func releaseLock(f *os.File) {
	_ = f.Truncate(0)
	_ = f.Close()
}

func writeOwner(f *os.File, pid string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(pid+"\n"), 0)
	return err
}

func readOwner(f *os.File) int {
	text := make([]byte, 24)
	n, _ := f.ReadAt(text, 0) // io.EOF always, since the file is shorter
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// alive reports whether a process of that number exists. It may be another than
// the one that wrote the number down; nothing portable tells them apart.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
