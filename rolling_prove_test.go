//go:build prove

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

// previousRelease builds the program as it stands.
func previousRelease(t testing.TB) string {
	return releaseWith(t, "v0.0.1", map[string]string{})
}

// nextRelease builds the program with one more migration, as a next release may have it: a column, a table and an index.
func nextRelease(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dbtest.Root(), "db", "migrations", "*.up.sql"))
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(dbtest.Root(), "db", "migrations", fmt.Sprintf("%06d_next", len(files)+1))
	return releaseWith(t, "v0.0.2", map[string]string{
		next + ".up.sql": `ALTER TABLE patients ADD COLUMN next_remark text NOT NULL DEFAULT 'none';
			CREATE TABLE next_things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, patient_id uuid NOT NULL REFERENCES patients (id));
			CREATE INDEX next_patients_city ON patients (city);`,
		next + ".down.sql": `DROP INDEX next_patients_city; DROP TABLE next_things; ALTER TABLE patients DROP COLUMN next_remark;`,
	})
}

// releaseWith builds the program with files added to the tree, which stays as it is (go build -overlay).
func releaseWith(t testing.TB, version string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, content := range files {
		overlay.Replace[path] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(overlay.Replace[path], []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "chartroom")
	outputOf(t, dbtest.Root(), "go", "build", "-buildvcs=false", "-overlay", filepath.Join(dir, "overlay.json"), "-ldflags", "-X main.version="+version, "-o", program, ".")
	return program
}

// fleet is the containers of a site, each a process with a place behind the proxy.
type fleet struct {
	t       testing.TB
	balance *balancer
	env     []string
	at      map[*process]int
	next    int
}

// add starts a release and gives it requests once it is healthy.
func (f *fleet) add(program string) *process {
	f.t.Helper()
	slot := f.next
	f.next++
	p := programAt(f.t, program, append([]string{"LISTEN_ADDR=" + f.balance.servers[slot]}, f.env...), "serve").start()
	p.output(p.stderr, `msg=(serving)`)
	f.balance.tell("set server site/s%d state ready", slot)
	f.balance.waitFor(slot, "UP")
	f.at[p] = slot
	return p
}

// stop sends the signal and wants an end without force before the platform would use it.
func (f *fleet) stop(p *process) {
	f.t.Helper()
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid)); err == nil {
		f.t.Logf("a server's memory, at most:%s", regexp.MustCompile(`VmHWM:(.*)`).FindSubmatch(status)[1])
	}
	start := time.Now()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		f.t.Fatal(err)
	}
	if code := p.finish(); code != 0 || time.Since(start) > 8*time.Second {
		f.t.Errorf("a server ended with %d after %v\n%s", code, time.Since(start), p.stderr)
	}
	f.balance.tell("set server site/s%d state maint", f.at[p])
}

// retire takes a server out as Aptible does: no new requests, time for those in flight, the signal.
func (f *fleet) retire(p *process) {
	f.t.Helper()
	f.balance.tell("set server site/s%d state drain", f.at[p])
	for deadline := time.Now().Add(15 * time.Second); f.balance.sessions(f.at[p]) > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	f.stop(p)
}

// TestProveAReleaseAndItsRollbackLoseNothing replaces two servers of a release one by one by those of the next one, whose migration
// runs meanwhile, and then goes back on the newer schema, while people work through a proxy. The first way is Aptible's: the old server
// gets no more requests, then the signal. The way back is that of platforms which send the signal at once: the proxy
// learns from the health check alone.
func TestProveAReleaseAndItsRollbackLoseNothing(t *testing.T) {
	previous, next := previousRelease(t), nextRelease(t)
	dbURL := dbtest.URL(t)
	c := dbtest.Conn(t, dbURL)
	const people = 6
	for i := range people {
		addUser(t, c, fmt.Sprintf("worker-%d", i))
	}
	balance := newBalancer(t, 8)
	f := &fleet{t: t, balance: balance, at: map[*process]int{}, env: []string{"DATABASE_URL=" + dbURL, "TRUSTED_PROXY_HOPS=1",
		"SESSION_SECRET_KEY=a made-up key for this proof that is quite long enough"}}
	a, b := f.add(previous), f.add(previous)

	crowd := gather(t, balance.address, people)
	crowd.work()
	time.Sleep(time.Second)
	schema := func() (v int) {
		if err := c.QueryRow(context.Background(), `SELECT version FROM schema_migrations WHERE NOT dirty`).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := schema()
	x := f.add(next)
	f.retire(a)
	y := f.add(next)
	f.retire(b)
	forward := crowd.served()
	if now := schema(); now != before+1 {
		t.Fatalf("the schema went from %d to %d", before, now)
	}
	time.Sleep(time.Second)
	if !strings.Contains(x.stderr.String(), "version=v0.0.2") {
		t.Errorf("the next release does not say what it is\n%s", x.stderr)
	}
	back := f.add(previous)
	f.stop(x)
	f.add(previous)
	f.stop(y)
	if !strings.Contains(back.stderr.String(), "newer") {
		t.Errorf("the previous release does not say that the schema is newer\n%s", back.stderr)
	}
	time.Sleep(time.Second)
	crowd.goHome()
	crowd.verify(c)
	t.Logf("requests served %d (%d forward, %d on the way back), failed %d; writes confirmed %d, lost or doubled %d; sessions %d, lost %d",
		crowd.served(), forward, crowd.served()-forward, len(crowd.failures), crowd.writes(), crowd.lostWrites, people, crowd.lostSessions)
}

// programAt prepares a built program.
func programAt(t testing.TB, path string, env []string, args ...string) *process {
	t.Helper()
	p := program(t, env, args...)
	p.Path, p.Args[0] = path, path
	return p
}

// freeAddresses are n addresses of this machine that nobody listens on.
func freeAddresses(t testing.TB, n int) (all []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}
