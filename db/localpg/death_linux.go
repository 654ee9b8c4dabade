package localpg

import (
	"fmt"
	"os"
	"syscall"
)

// dieWithUs has the kernel send signal to the process when we end, even by
// SIGKILL. It is set after the change of account, which would clear it.
func dieWithUs(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }

// runsOn reports whether process pid is a server on this data directory. A
// server's working directory is its data, which no process that merely has the
// number of a dead one can claim.
func runsOn(pid int, data string) bool {
	if !alive(pid) {
		return false
	}
	there, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	here, err := os.Stat(data)
	return err == nil && os.SameFile(there, here)
}
