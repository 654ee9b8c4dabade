package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/localpg"
)

const auditKey = "AUDIT_KEY=an audit key for tests of 40 characters"

// sealedBy runs a server until it has recorded a sign-in, and stops it; its standard output and log are returned.
func sealedBy(t *testing.T, dbURL string, env ...string) (stdout, log string) {
	t.Helper()
	if code, _, errs := command(t, []string{"DATABASE_URL=" + dbURL}, "user", "create", "--username", "ada", "--password", "seven brass kettles"); code != 0 && !strings.Contains(errs, "already a user") {
		t.Fatal(errs)
	}
	p, at := serving(t, dbURL, env...)
	if _, status, _ := signIn(t, at, "ada", "seven brass kettles"); status != 303 && status != 200 {
		t.Fatal(status)
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	if code := p.finish(); code != 0 {
		t.Fatalf("exit %d\n%s", code, p.stderr)
	}
	return p.stdout.String(), p.stderr.String()
}

func TestWhatHappensIsSealedWhileServingAndProvenAtTheShell(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.EmptyURL(t)
	stdout, log := sealedBy(t, dbURL, auditKey, "AUDIT_LOG=stdout")
	var actions []string
	for line := range strings.Lines(stdout) {
		var e struct {
			ID     int
			Action string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.ID == 0 {
			t.Fatalf("%v: %s", err, line)
		}
		actions = append(actions, e.Action)
	}
	if got := strings.Join(actions, " "); !strings.Contains(got, "user-create") || !strings.Contains(got, "sign-in") {
		t.Error(got)
	}
	all := regexp.MustCompile(`seal=(\d+:[0-9a-f]{64})`).FindAllStringSubmatch(log, -1)
	if len(all) == 0 {
		t.Fatal(log)
	}
	seal := all[len(all)-1][1]
	env := []string{"DATABASE_URL=" + dbURL, auditKey}
	if code, out, errs := command(t, env, "audit", "verify"); code != 0 || !strings.Contains(out, "--anchor: "+seal) || !strings.Contains(out, "All events are sealed") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	var r db.AuditReport
	if code, out, errs := command(t, env, "audit", "verify", "--anchor", seal, "--json"); code != 0 || json.Unmarshal([]byte(out), &r) != nil || r.Newest != seal || int(r.Events) != len(actions) {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, _, errs := command(t, env, "audit", "verify", "--anchor", "12"); code != exitUsage || !strings.Contains(errs, "BLOCK:HEX") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := command(t, env[:1], "audit", "verify"); code != exitFailed || !strings.Contains(errs, "block 1 is sealed with a key") {
		t.Errorf("%d %s", code, errs)
	}
	cutOff := "9" + seal
	if code, _, errs := command(t, env, "audit", "verify", "--anchor", cutOff); code != exitFailed || !strings.Contains(errs, "cut off") {
		t.Errorf("%d %s", code, errs)
	}
	c := dbtest.Conn(t, dbURL)
	for _, sql := range []string{`SET session_replication_role = replica`, `UPDATE audit_events SET actor = 'nobody' WHERE id = 1`} {
		if _, err := c.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if code, out, errs := command(t, env, "audit", "verify"); code != exitFailed || out != "" || !strings.HasPrefix(errs, "chartroom: the audit is not as it was sealed: block 1 ") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	if code, out, _ := command(t, env, "audit", "verify", "--json"); code != exitFailed || json.Unmarshal([]byte(out), &r) != nil || r.Bad == nil || r.Bad.Block != 1 {
		t.Errorf("%d %s", code, out)
	}
}

func TestARestoredDatabaseGoesOnWithItsChain(t *testing.T) {
	t.Parallel()
	dbURL, restored := dbtest.EmptyURL(t), dbtest.EmptyURL(t)
	_, log := sealedBy(t, dbURL, auditKey)
	seals := regexp.MustCompile(`seal=(\d+:[0-9a-f]{64})`).FindAllStringSubmatch(log, -1)
	out, err := exec.Command(postgresProgram(t, "pg_dump"), dbURL).Output()
	if err != nil {
		t.Fatal(err)
	}

	restore(t, restored, string(out))
	if code, out, errs := command(t, []string{"DATABASE_URL=" + restored, auditKey}, "audit", "verify", "--anchor", seals[len(seals)-1][1]); code != 0 {
		t.Errorf("%d %s%s", code, out, errs)
	}
	sealedBy(t, restored, auditKey)
	code, stdout, errs := command(t, []string{"DATABASE_URL=" + restored, auditKey}, "audit", "verify", "--anchor", seals[len(seals)-1][1], "--json")
	var r db.AuditReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != 0 || r.Unsealed != 0 || r.Blocks < 2 {
		t.Errorf("%d %s%s", code, stdout, errs)
	}
}

// restore runs what pg_dump wrote, as psql does.
func restore(t *testing.T, dbURL, dump string) {
	t.Helper()
	p := exec.Command(postgresProgram(t, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dbURL)
	p.Stdin = strings.NewReader(dump)
	if out, err := p.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func postgresProgram(t *testing.T, name string) string {
	t.Helper()
	bin, err := localpg.FindBin(os.Getenv("CHARTROOM_POSTGRES_BIN"), "")
	if err != nil {
		t.Fatal(err)
	}
	if path := filepath.Join(bin, name); exists(path) {
		return path
	}
	return name
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestWhenNobodyReadsTheEventsTheyAreNotSealedAndTheSiteGoesOn(t *testing.T) {
	dbURL := dbtest.EmptyURL(t)
	if code, _, errs := command(t, []string{"DATABASE_URL=" + dbURL}, "user", "create", "--username", "ada", "--password", "seven brass kettles"); code != 0 {
		t.Fatal(errs)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := program(t, []string{"DATABASE_URL=" + dbURL, "LISTEN_ADDR=127.0.0.1:0", "AUDIT_LOG=stdout"}, "serve")
	p.Stdout = w
	_ = r.Close()
	p.start()
	_ = w.Close()
	at := "http://" + p.output(p.stderr, `msg=serving address=(\S+)`)
	p.output(p.stderr, `(could not be sealed.*AUDIT_LOG)`)
	if _, status, _ := signIn(t, at, "ada", "seven brass kettles"); status != 303 && status != 200 {
		t.Error(status)
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	start := time.Now()
	if code := p.finish(); code != 0 || time.Since(start) > 10*time.Second {
		t.Errorf("exit %d after %s\n%s", code, time.Since(start), p.stderr)
	}
	if code, out, errs := command(t, []string{"DATABASE_URL=" + dbURL}, "audit", "verify"); code != 0 || !strings.Contains(out, "0 blocks with 0 events") || !strings.Contains(out, "are not sealed") {
		t.Errorf("%d %s%s", code, out, errs)
	}
}
