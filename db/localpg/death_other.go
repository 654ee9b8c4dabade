//go:build unix && !linux

package localpg

import (
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs can do nothing here: a server whose owner was killed runs on, until
// the next Start on its directory stops it.
func dieWithUs(*syscall.SysProcAttr, syscall.Signal) {}

// runsOn reports whether process pid may be a server on this data directory: a
// living one that is called postgres. Without /proc that is what can be known.
func runsOn(pid int, _ string) bool {
	if !alive(pid) {
		return false
	}
	out, err := exec.Command("/bin/ps", "-p", strconv.Itoa(pid), "-o", "comm=").Output()
	return err == nil && strings.HasPrefix(path.Base(strings.TrimSpace(string(out))), "postgres")
}
