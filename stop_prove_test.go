//go:build prove

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
)

// TestProveStoppingTakesLessThanEightSecondsWhateverIsStuck stops a server, behind a proxy and not, that has all of these at once:
// a client that never ends its request, an export whose reader has fallen asleep, a page that waits for a lock in the
// database, and an idle connection. It ends with 0 in time, and an export that fits in is whole.
func TestProveStoppingTakesLessThanEightSecondsWhateverIsStuck(t *testing.T) {
	dbURL := dbtest.URL(t)
	c := dbtest.Conn(t, dbURL)
	addUser(t, c, "worker")
	d := dbtest.OpenURL(t, dbURL, time.Hour)
	var all bytes.Buffer
	for p := range sample.Patients(3, 20000) {
		all.Write(append(p, '\n'))
	}
	if _, err := d.ImportPatients(context.Background(), &all, db.ImportOptions{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, hops := range []string{"0", "1"} {
		p, at := serving(t, dbURL, "TRUSTED_PROXY_HOPS="+hops, "LOG_LEVEL=info")
		one := gatherNamed(t, at, "worker")
		host := strings.TrimPrefix(at, "http://")

		half, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer half.Close()
		fmt.Fprintf(half, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nusername=")
		asleep := one.stream("/patients/export?format=ndjson")
		defer asleep.Body.Close()
		if _, err := io.ReadFull(asleep.Body, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		read, quick := 0, one.stream("/patients/export?format=csv")
		defer quick.Body.Close()
		lines := bufio.NewScanner(quick.Body)
		for read < 14000 && lines.Scan() {
			read++
		}
		lock := dbtest.Conn(t, dbURL)
		if _, err := lock.Exec(context.Background(), `BEGIN; LOCK TABLE drafts IN ACCESS EXCLUSIVE MODE`); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = one.browser.Get(at + "/patients/new") }()
		for waits := false; !waits; time.Sleep(10 * time.Millisecond) {
			if err := lock.QueryRow(context.Background(), `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)`).Scan(&waits); err != nil {
				t.Fatal(err)
			}
		}

		start := time.Now()
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			read++
		}
		code := p.finish()
		took := time.Since(start)
		if code != 0 || took > 8*time.Second {
			t.Errorf("exit %d after %v\n%s", code, took, p.stderr)
		}
		if !strings.Contains(p.stderr.String(), "cut off") {
			t.Errorf("that requests were cut off is not in the log\n%s", p.stderr)
		}
		if read != 20001 {
			t.Errorf("the export that had time has %d lines, %v", read, lines.Err())
		}
		if _, err := lock.Exec(context.Background(), `ROLLBACK`); err != nil {
			t.Fatal(err)
		}
		t.Logf("behind %s proxies: ended %v after the signal", hops, took.Round(time.Millisecond))
	}
}

// gatherNamed is one person, signed in.
func gatherNamed(t testing.TB, at, name string) *worker {
	t.Helper()
	c, status, _ := signIn(t, at, name, workersPassword)
	if status != 200 {
		t.Fatalf("sign in: %d", status)
	}
	c.Timeout = 0
	return &worker{crowd: &crowd{t: t}, name: name, at: at, browser: c}
}

// stream asks without reading the answer.
func (w *worker) stream(path string) *http.Response {
	w.t.Helper()
	res, err := w.browser.Get(w.at + path)
	if err != nil || res.StatusCode != 200 {
		w.t.Fatal(res, err)
	}
	return res
}
