package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func TestServeRefusesAShortRetentionInProduction(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=host=/tmp", "ENVIRONMENT=production", "SESSION_SECURE=true", "SESSION_SECRET_KEY=f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1", "AUDIT_RETENTION=365d"}
	if code, _, errs := command(t, env, "serve"); code != exitUsage || strings.Count(errs, "\n") != 1 {
		t.Errorf("exit %d, %s", code, errs)
	}
}

func TestEachStartIsOnRecordWithTheNamesOfWhatWeakensIt(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	c := dbtest.Conn(t, dbURL)
	secret := "f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1"
	for _, start := range []struct {
		env  []string
		want string
	}{
		{nil, `["ENVIRONMENT", "SESSION_SECRET_KEY", "SESSION_SECURE", "DATABASE_MIGRATE_URL", "AUDIT_KEY"]`},
		{[]string{"ENVIRONMENT=production", "SESSION_SECURE=true", "LOG_FORMAT=text", "SESSION_SECRET_KEY=" + secret, "AUDIT_KEY=" + secret}, `["DATABASE_MIGRATE_URL"]`},
	} {
		p, _ := serving(t, dbURL, start.env...)
		p.Process.Kill()
		<-p.ended
		var got string
		if err := c.QueryRow(context.Background(), `SELECT detail->>'weakened' FROM audit_events WHERE action = 'start' AND actor LIKE 'command line%' AND program <> '' ORDER BY id DESC LIMIT 1`).Scan(&got); err != nil || got != start.want {
			t.Errorf("%v: %s, want %s", err, got, start.want)
		}
	}
	var n int
	if err := c.QueryRow(context.Background(), `SELECT count(*) FROM audit_events e WHERE e::text LIKE '%' || $1 || '%'`, secret).Scan(&n); err != nil || n != 0 {
		t.Error("a setting's value is in the audit", err)
	}
}

// checked runs `check --json` in an empty directory and gives the audit's lines by name. The other lines are planted_test.go's.
func checked(t *testing.T, env ...string) (code int, lines map[string]db.Check) {
	t.Helper()
	code, all := checkedIn(t, t.TempDir(), env...)
	lines = map[string]db.Check{}
	for _, l := range all {
		if strings.HasPrefix(l.ID, "audit-") || l.ID == "roles" {
			lines[l.What] = l
		}
	}
	return code, lines
}

// checkedIn gives all lines in their order.
func checkedIn(t *testing.T, dir string, env ...string) (int, []db.Check) {
	t.Helper()
	p := program(t, env, "check", "--json")
	p.Dir = dir
	p.start()
	code, out, errs := p.finish(), p.stdout.String(), p.stderr.String()
	var all []db.Check
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) == 0 {
		t.Fatal(code, out, errs, err)
	}
	for _, l := range all {
		if (l.Mend == "") != (l.Result == db.CheckPass) || l.Found == "" {
			t.Errorf("%+v", l)
		}
	}
	return code, all
}

func TestCheckSaysWhatIsWrongWithTheAuditAndWhatMendsIt(t *testing.T) {
	t.Parallel()
	dbURL := dbtest.URL(t)
	c := dbtest.Conn(t, dbURL)
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"DATABASE_URL=" + dbURL}
	expect := func(code int, lines map[string]db.Check, want ...string) {
		t.Helper()
		wrong := map[string]string{}
		for i := 0; i < len(want); i += 2 {
			wrong[want[i]] = want[i+1]
		}
		fails := 0
		for what, l := range lines {
			result := wrong[what]
			if result == "" {
				result = db.CheckPass
			}
			if l.Result != result {
				t.Errorf("%s is %s (%s), want %s", what, l.Result, l.Found, result)
			}
			if l.Result == db.CheckFail {
				fails++
			}
		}
		if (code == exitFailed) != (fails > 0) || code > exitFailed {
			t.Errorf("exit %d with %d failures", code, fails)
		}
	}
	code, lines := checked(t, append(env, "AUDIT_KEY=f39a1c07be2d5548a6e0917c3bd4822f")...)
	expect(code, lines, "database roles", "warn")
	code, lines = checked(t, append(env, "AUDIT_RETENTION=100d")...)
	expect(code, lines, "database roles", "warn", "audit key", "warn", "audit retention", "warn")

	exec(`ALTER TABLE audit_events_other DISABLE TRIGGER audit_events_append_only`)
	code, lines = checked(t, env...)
	expect(code, lines, "database roles", "warn", "audit key", "warn", "audit triggers", "fail")
	if !strings.Contains(lines["audit triggers"].Found, "audit_events_other") {
		t.Error(lines["audit triggers"].Found)
	}
	exec(`ALTER TABLE audit_events_other ENABLE TRIGGER ALL`)
	var month string
	if err := c.QueryRow(context.Background(), `SELECT 'audit_events_' || to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYYMM')`).Scan(&month); err != nil {
		t.Fatal(err)
	}
	exec(`DROP TRIGGER audit_events_no_truncate ON ` + month)
	exec(`INSERT INTO audit_events (action, outcome, recorded) VALUES ('sign-in', 'refused', now() + interval '9 years'), ('sign-in', 'refused', now() - interval '6 minutes')`)
	code, lines = checked(t, env...)
	expect(code, lines, "database roles", "warn", "audit key", "warn", "audit triggers", "fail", "audit default partition", "warn", "audit seals", "warn")
	exec(`DROP TABLE ` + month)
	code, lines = checked(t, env...)
	expect(code, lines, "database roles", "warn", "audit key", "warn", "audit partitions", "warn", "audit default partition", "warn", "audit seals", "warn")

	code, out, errs := command(t, env, "check")
	if code != 0 || !strings.Contains(out, "warn  audit partitions") || !strings.Contains(out, "-> ") || strings.Contains(errs, "chartroom:") {
		t.Error(code, out, errs)
	}
	exec(`ALTER TABLE audit_events RENAME TO gone`)
	if code, lines = checked(t, env...); code != exitFailed || lines["audit can be written"].Result != db.CheckFail {
		t.Errorf("without an audit: exit %d, %+v", code, lines)
	}
}

func TestCheckWithTwoRolesLooksAtWhatTheProgramsRoleMayDo(t *testing.T) {
	dbURL := dbtest.EmptyURL(t)
	c := dbtest.Conn(t, dbURL)
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE ROLE app_of_check LOGIN`)
	t.Cleanup(func() { exec(`DROP OWNED BY app_of_check`); exec(`DROP ROLE app_of_check`) })
	app := strings.Replace(dbURL, "user="+c.Config().User, "user=app_of_check", 1)
	env := []string{"DATABASE_URL=" + app, "DATABASE_MIGRATE_URL=" + dbURL, "AUDIT_KEY=f39a1c07be2d5548a6e0917c3bd4822f"}
	if code, _, errs := command(t, env, "migrate"); code != 0 {
		t.Fatal(errs)
	}
	if code, lines := checked(t, env...); code != 0 || fmt.Sprint(results(lines)) != "map[pass:11]" {
		t.Errorf("exit %d, %+v", code, lines)
	}
	exec(`GRANT UPDATE ON audit_events TO app_of_check`)
	if code, lines := checked(t, env...); code != 0 || lines["audit privileges"].Result != db.CheckWarn || !strings.Contains(lines["audit privileges"].Found, "UPDATE on audit_events") {
		t.Errorf("exit %d, %+v", code, lines)
	}
	if code, _, errs := command(t, env, "migrate"); code != 0 { // takes back what is too much
		t.Fatal(errs)
	}
	exec(`REVOKE INSERT ON audit_events FROM app_of_check`)
	if code, lines := checked(t, env...); code != exitFailed || lines["audit can be written"].Result != db.CheckFail || lines["audit privileges"].Result != db.CheckPass {
		t.Errorf("exit %d, %+v", code, lines)
	}
}

func results(lines map[string]db.Check) map[string]int {
	n := map[string]int{}
	for _, l := range lines {
		n[l.Result]++
	}
	return n
}

// TestEveryLineOfTheLogIsOneObject sends what could end a line and begin another one (ASVS 16.2.4, 16.4.1), in production's format.
func TestEveryLineOfTheLogIsOneObject(t *testing.T) {
	t.Parallel()
	p := program(t, []string{"DATABASE_URL=" + dbtest.URL(t), "LISTEN_ADDR=127.0.0.1:0", "LOG_FORMAT=json", "LOG_LEVEL=debug"}, "serve").start()
	at := "http://" + p.output(p.stderr, `"msg":"serving","address":"([^"]+)"`)
	const smuggled = "x\r\n{\"level\":\"ERROR\",\"msg\":\"smuggled\"}\r\n"
	c := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(r *http.Request, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	body := url.Values{"username": {smuggled}, "password": {smuggled}, "next": {smuggled}}.Encode()
	r, err := http.NewRequest("POST", at+"/login", strings.NewReader(body))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("User-Agent", `{"level":"ERROR","msg":"smuggled"}`)
		r.Header.Set("X-Forwarded-For", `{"level":"ERROR","msg":"smuggled"}`)
	}
	send(r, err)
	send(http.NewRequest("GET", at+"/"+url.PathEscape(smuggled)+"?q="+url.QueryEscape(smuggled), nil))
	send(http.NewRequest("SMUGGLED", at+"/patients", nil))
	report := `{"csp-report":{"effective-directive":"` + strings.ReplaceAll(strings.ReplaceAll(smuggled, `"`, `\"`), "\r\n", `\r\n`) + `","blocked-uri":"https://x/"}}`
	send(http.NewRequest("POST", at+"/csp-report", strings.NewReader(report)))
	_ = p.Process.Signal(os.Interrupt)
	<-p.ended
	lines := strings.Split(strings.TrimSuffix(p.stderr.String(), "\n"), "\n")
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || object["time"] == nil || object["level"] == nil || object["msg"] == nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	if len(lines) < 6 || strings.Contains(strings.ToLower(p.stderr.String()), "smuggled") {
		t.Errorf("the log:\n%s", p.stderr)
	}
}

// TestCommandsSayNothingOfPatientsButWhatTheyAreAskedFor walks through the commands at log level debug.
func TestCommandsSayNothingOfPatientsButWhatTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	env := []string{"DATABASE_URL=" + dbtest.URL(t), "LOG_LEVEL=debug"}
	file := filepath.Join(t.TempDir(), "patients.ndjson")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := `{"resourceType":"Patient","id":"c1","name":[{"family":"Xyzzyfamilius","given":["Plughgivenus"]}],"birthDate":"1931-02-27"}` + "\n"
	var said bytes.Buffer
	run := func(args ...string) {
		t.Helper()
		code, out, errs := command(t, env, args...)
		fmt.Fprintln(&said, args[0], code, out, errs)
	}
	write(good + `{"resourceType":"Patient","id":"c2","name":[{"family":"Xyzzyfamilius"}],"birthDate":"27 Xyzzyfeb"}` + "\n" + `{"resourceType":"Patient","Xyzzyfamilius` + "\n" + `Xyzzyfamilius` + "\n")
	run("import", file)
	c := dbtest.Conn(t, strings.TrimPrefix(env[0], "DATABASE_URL="))
	if _, err := c.Exec(context.Background(), `UPDATE patients SET version = version + 1, resource_sha = ''; ALTER TABLE patients ADD CONSTRAINT provoked CHECK (birth_date <> '1931-02-28') NOT VALID`); err != nil {
		t.Fatal(err)
	}
	write(strings.ReplaceAll(good, "1931-02-27", "1931-03-01") + strings.ReplaceAll(strings.ReplaceAll(good, "1931-02-27", "1931-02-28"), "c1", "c3"))
	run("import", file)
	run("import", "list")
	run("import", "undo", "1")
	run("import", "Xyzzyfamilius.ndjson.missing")
	run("check")
	run("migrate", "status")
	run("user", "create", "--username", "ada", "--password", "short Xyzzypass")
	text := strings.ReplaceAll(said.String(), "Xyzzyfamilius.ndjson.missing", "") // whoever gives a file that name has typed it
	for _, mark := range []string{"Xyzzy", "Plugh", "1931-0"} {
		if strings.Contains(text, mark) {
			t.Errorf("%s is in\n%s", mark, text)
		}
	}
	if !strings.Contains(text, "rejected") {
		t.Error(text)
	}
}
