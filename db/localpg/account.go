//go:build unix

package localpg

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is who the server runs as: ourselves, or another when we are root,
// as which PostgreSQL refuses to run.
type account struct {
	uid, gid int
	name     string
	other    bool // not ourselves
}

func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.Atoi(u.Uid)
		gid, gerr := strconv.Atoi(u.Gid)
		if uerr == nil && gerr == nil && uid > 0 {
			return account{uid: uid, gid: gid, name: name, other: true}, nil
		}
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is no account postgres or nobody to run it as: run chartroom as an ordinary user")
}

// credential also sheds root's supplementary groups, by naming none.
func (a account) credential() *syscall.Credential {
	if !a.other {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
}

// canEnter looks at each directory on the way to path, an absolute one, and
// names the first that would shut the server's account out. PostgreSQL's own
// words would be "permission denied", with no word of the account.
func (a account) canEnter(path string) error {
	if !a.other {
		return nil
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for at := 1; at <= len(path); at++ {
		if at < len(path) && path[at] != '/' {
			continue
		}
		info, err := os.Stat(path[:at])
		if err != nil {
			return err
		}
		if !a.maySearch(info) {
			return fmt.Errorf("as root we run PostgreSQL as %s (uid %d), which cannot enter %s (mode %04o, owner uid %d), on the way to %s: choose a place outside it, such as /var/tmp/chartroom, or run chartroom as an ordinary user",
				a.name, a.uid, path[:at], info.Mode().Perm(), owner(info), path)
		}
	}
	return nil
}

func (a account) maySearch(dir fs.FileInfo) bool {
	mode := dir.Mode().Perm()
	switch {
	case owner(dir) == a.uid:
		return mode&0o100 != 0
	case int(dir.Sys().(*syscall.Stat_t).Gid) == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// CheckOwner refuses a directory that another account made: whoever owns it can replace what is kept there. One that is
// not there yet is fine.
func CheckOwner(dir string) error {
	info, err := os.Lstat(dir) // of a link itself, not of what it points to
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() || owner(info) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that this account (uid %d) alone may write to: remove it, or choose another one with CHARTROOM_DATA_DIR", dir, os.Geteuid())
	}
	return nil
}
