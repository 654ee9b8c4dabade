package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"chartroom/db/dbtest"
)

// terminal gives both ends of a new pseudo-terminal.
func terminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	var number, unlocked int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &unlocked, syscall.TIOCGPTN: &number} {
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, near.Fd(), request, uintptr(unsafe.Pointer(value))); e != 0 {
			t.Fatal(e)
		}
	}
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

func TestOnATerminalMigrateDownAsksForAWord(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	production := []string{"ENVIRONMENT=production", "SESSION_SECURE=true", "SESSION_SECRET_KEY=f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1"}
	for _, c := range []struct {
		what, typed string
		env, flags  []string
		code        int
		said        string
	}{
		{"another word", "yes\n", nil, nil, exitFailed, "nothing was changed: the word was not LOSE"},
		{"the word, in production", "LOSE\n", production, nil, exitUsage, "in production this needs --yes-lose-data"},
		{"the word", "LOSE\n", nil, nil, 0, "Type LOSE"},
		{"the flag, in production", "", production, []string{"--yes-lose-data"}, 0, ""},
	} {
		near, far := terminal(t)
		before := schemaVersion(t, dbURL)
		p := program(t, append(c.env, "DATABASE_URL="+dbURL), append([]string{"migrate", "down", "1"}, c.flags...)...)
		p.Stdin = far
		p.start()
		if c.typed != "" && c.env == nil {
			p.output(p.stderr, `(Type LOSE)`)
		}
		if _, err := near.WriteString(c.typed); err != nil {
			t.Fatal(err)
		}
		want := before
		if code := p.finish(); code != c.code || !strings.Contains(p.stderr.String(), c.said) {
			t.Errorf("%s: exit %d\n%s", c.what, code, p.stderr)
		}
		if c.code == 0 {
			want--
		}
		if now := schemaVersion(t, dbURL); now != want {
			t.Errorf("%s: version %d, want %d", c.what, now, want)
		}
	}
}
