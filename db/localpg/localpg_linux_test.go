package localpg

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAKilledOwnerTakesTheServerDown(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	owner := startOwner(t, dir, false)
	if !runsOn(owner.server, filepath.Join(dir, "data")) {
		t.Fatal("no server to see going down")
	}
	owner.kill(t)
	eventually(t, "the server has followed its owner", func() bool {
		return !runsOn(owner.server, filepath.Join(dir, "data"))
	})
	checkRemembered(t, start(t, Options{Dir: dir, Durable: true}))
}

func TestTheNextStartNeedNotWaitForAKilledOwnersServer(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	startOwner(t, dir, false).kill(t)
	checkRemembered(t, start(t, Options{Dir: dir, Durable: true}))
}

func TestTheEnvironmentIsNotLeaked(t *testing.T) {
	t.Parallel()
	s := anyServer(t)
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(environ, []byte(secret)) {
		t.Error("a secret of ours is in the server's environment")
	}
	for variable := range strings.SplitSeq(strings.Trim(string(environ), "\x00"), "\x00") {
		switch name, _, _ := strings.Cut(variable, "="); name {
		case "PATH", "LC_ALL", "TZ":
		default:
			t.Errorf("the server got %s", variable)
		}
	}
}

func TestTheServerNeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	s := anyServer(t)
	info, err := os.Stat(fmt.Sprintf("/proc/%d", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if uid := owner(info); uid == 0 || uid != mustAccount(t).uid {
		t.Errorf("it runs as uid %d", uid)
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 && !strings.Contains(string(groups), "\nGroups:\t \n") {
		t.Error("it kept groups of root's")
	}
}
