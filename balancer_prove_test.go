//go:build prove

package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

// balancer is HAProxy in front of servers s0, s1, …, none of which gets requests at first.
type balancer struct {
	t       testing.TB
	address string // http://…
	servers []string
	control string
}

// The proxy forgives nothing: it tries no second time, not even where no connection came about, as a careful one would. And it keeps
// connections to servers and uses them again (http-reuse always), which is where stopping servers hurt most.
const haproxyConfig = `
global
  stats socket %s mode 600 level admin
  log stdout format raw local0 err
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 30s
frontend in
  bind %s
  option forwardfor
  default_backend site
backend site
  balance roundrobin
  http-reuse always
  retries 0
  option httpchk GET /healthcheck
  default-server check inter 250ms fall 1 rise 1 disabled
`

func newBalancer(t testing.TB, servers int) *balancer {
	t.Helper()
	addresses := freeAddresses(t, servers+1)
	dir := t.TempDir()
	b := &balancer{t: t, address: "http://" + addresses[0], servers: addresses[1:], control: filepath.Join(dir, "c")}
	config := fmt.Sprintf(haproxyConfig, b.control, addresses[0])
	for i, at := range b.servers {
		config += fmt.Sprintf("  server s%d %s\n", i, at)
	}
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(installed(t, "haproxy", "haproxy"), "-db", "-f", path), t: t,
		stdout: &dbtest.Buffer{}, stderr: &dbtest.Buffer{}, ended: make(chan struct{})}
	p.Stdout, p.Stderr = p.stdout, p.stderr
	p.start()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(b.address); err == nil {
			res.Body.Close()
			return b
		}
		if time.Now().After(deadline) {
			t.Fatalf("HAProxy does not start\n%s%s", p.stdout, p.stderr)
		}
	}
}

// tell gives HAProxy a command and returns its answer.
func (b *balancer) tell(format string, args ...any) string {
	b.t.Helper()
	c, err := net.Dial("unix", b.control)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, format+"\n", args...)
	answer, err := io.ReadAll(c)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(answer)
}

// stats are HAProxy's figures: each row of each name.
func (b *balancer) stats() (rows []map[string]string) {
	b.t.Helper()
	table, err := csv.NewReader(strings.NewReader(strings.TrimSpace(b.tell("show stat")))).ReadAll()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, row := range table[1:] {
		of := map[string]string{}
		for i, name := range table[0] {
			of[strings.TrimPrefix(name, "# ")] = row[i]
		}
		rows = append(rows, of)
	}
	return rows
}

func (b *balancer) of(name string) map[string]string {
	b.t.Helper()
	for _, row := range b.stats() {
		if row["pxname"] == "site" && row["svname"] == name {
			return row
		}
	}
	b.t.Fatalf("HAProxy knows no %s", name)
	return nil
}

// sessions are the requests that a server has now.
func (b *balancer) sessions(slot int) int {
	n, _ := strconv.Atoi(b.of(fmt.Sprintf("s%d", slot))["scur"])
	return n
}

func (b *balancer) waitFor(slot int, status string) {
	b.t.Helper()
	for deadline := time.Now().Add(15 * time.Second); b.of(fmt.Sprintf("s%d", slot))["status"] != status; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("server %d does not come %s: %v", slot, status, b.of(fmt.Sprintf("s%d", slot)))
		}
	}
}
