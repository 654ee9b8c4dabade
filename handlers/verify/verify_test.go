package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chartroom/db/dbtest"
)

// compare wants the lines that the faults make bad, each with its word, and no other. What was skipped must come from a
// fault that stops the visit.
func compare(t *testing.T, got map[string]Line, planted ...fault) {
	t.Helper()
	want, stops := map[string][]string{}, false
	for _, f := range planted {
		stops = stops || f.alone
		for line, word := range f.lines {
			want[line] = append(want[line], word)
		}
	}
	for _, l := range got {
		line := l.Result + " " + l.ID
		words := want[line]
		switch {
		case words != nil:
			for _, word := range words {
				if !strings.Contains(l.Found, word) {
					t.Errorf("%s: %q does not say %q", line, l.Found, word)
				}
			}
			if l.Mend == "" {
				t.Errorf("%s: nothing that mends it", line)
			}
			delete(want, line)
		case l.Result == Warn || l.Result == Fail:
			t.Errorf("%s, though nothing of that was planted: %s", line, l.Found)
		case l.Result == Skip && !stops:
			t.Errorf("%s: %s", line, l.Found)
		case l.Result == Skip && (!strings.HasPrefix(l.Found, "not looked at, because ") || strings.HasSuffix(l.Found, "because ")):
			t.Errorf("%s: no reason: %q", line, l.Found)
		}
	}
	for line := range want {
		id := line[len("fail "):]
		t.Errorf("%s was not found: %s, %s", line, got[id].Result, got[id].Found)
	}
}

// tellsNothing wants no password, cookie or patient in what is told.
func tellsNothing(t *testing.T, got map[string]Line) {
	t.Helper()
	var out bytes.Buffer
	for _, asJSON := range []bool{true, false} {
		if err := Write(&out, slices.Collect(maps.Values(got)), asJSON); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range []string{password, "sesame", "chartroom=", "<", "\x1b"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is told: %s", secret, out.String())
		}
	}
}

func TestAGoodDeploymentPassesEveryLine(t *testing.T) {
	d := deploy(t, newBackend(t))
	got := d.visit()
	compare(t, got)
	for _, l := range got {
		if l.Result != Pass {
			t.Errorf("%s %s: %s", l.Result, l.ID, l.Found)
		}
	}
	if len(got) != len(lines) {
		t.Errorf("%d lines of %d", len(got), len(lines))
	}
	tellsNothing(t, got)
	// It leaves nothing behind that keeps somebody waiting or stays open.
	var waiting, open, seen int
	if err := d.conn.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM sign_in_throttle WHERE kind = 'name' OR kind = 'client' AND failures > 1),
		(SELECT count(*) FROM sessions), (SELECT count(*) FROM audit_events WHERE action = 'patient-list')`).Scan(&waiting, &open, &seen); err != nil || waiting+open != 0 || seen != 1 {
		t.Errorf("%d wait, %d sessions are open, the list was seen %d times, %v", waiting, open, seen, err)
	}
}

// TestFaultsArePointedOutAndNothingElse plants those that stop nothing all at once, and some that stop the visit; each alone is in
// the long proofs.
func TestFaultsArePointedOutAndNothingElse(t *testing.T) {
	b := newBackend(t)
	d, together := deploy(t, b), []fault{}
	for _, f := range faults {
		if !f.alone {
			f.plant(d)
			together = append(together, f)
		}
	}
	got := d.visit()
	compare(t, got, together...)
	tellsNothing(t, got)
	if len(together) < 15 {
		t.Errorf("only %d faults", len(together))
	}
	quick := 0
	for _, f := range faults {
		stopsEarly := slices.ContainsFunc([]string{"fail address", "fail tls", "fail redirect", "fail form", "fail cache", "fail closed"}, func(l string) bool { return f.lines[l] != "" })
		if !f.alone || !stopsEarly || strings.Contains(f.name, "nobody answers") || strings.Contains(f.name, "followed") {
			continue
		}
		quick++
		t.Run(f.name, func(t *testing.T) {
			d := deploy(t, b)
			f.plant(d)
			compare(t, d.visit(), f)
		})
	}
	if quick < 12 {
		t.Errorf("only %d faults that stop early", quick)
	}
}

func TestSessionsThatOnlySomeServersKnowAreToldAsThat(t *testing.T) {
	b := newBackend(t)
	for _, f := range faults {
		if f.name == "two servers with different secrets" {
			d := deploy(t, b)
			f.plant(d)
			compare(t, d.visit(), f)
		}
	}
	var open int
	if err := b.conn.QueryRow(context.Background(), `SELECT count(*) FROM sessions`).Scan(&open); err != nil || open != 0 {
		t.Errorf("%d sessions are left open, %v", open, err)
	}
}

// TestTheDocumentHasEveryLine holds the table of docs/verify.md: each line once, in order, and in its column whatever can be
// planted.
func TestTheDocumentHasEveryLine(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dbtest.Root(), "docs", "verify.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|([^|]+)\\|([^|]+)\\|([^|]+)\\|$").FindAllStringSubmatch(string(text), -1)
	if len(rows) != len(lines) {
		t.Fatalf("%d rows, %d lines", len(rows), len(lines))
	}
	for i, row := range rows {
		if row[1] != lines[i].ID {
			t.Errorf("%s stands where %s is told", row[1], lines[i].ID)
		}
		for _, f := range faults {
			if f.lines["warn "+row[1]] != "" && strings.TrimSpace(row[3]) == "" || f.lines["fail "+row[1]] != "" && strings.TrimSpace(row[4]) == "" {
				t.Errorf("%s: the document says nothing of %s", row[1], f.name)
			}
		}
	}
}

func TestOnlyWholeSitesAreVerifiedAndPlainHTTPOnlyHere(t *testing.T) {
	for at, good := range map[string]bool{
		"https://chartroom.example.org": true, "https://chartroom.example.org/": true, "https://chartroom.example.org:8443": true, "http://localhost:8080": true,
		"http://127.0.0.1:8080/": true, "http://[::1]:8080": true,
		"http://chartroom.example.org": false, "http://10.0.0.7": false, "http://127.0.0.1.example.org": false, "http://localhost.example.org": false, "chartroom.example.org": false,
		"ftp://chartroom.example.org": false, "https://": false, "https://ada:secret@chartroom.example.org": false, "https://chartroom.example.org/patients": false,
		"https://chartroom.example.org/?x=1": false, "": false,
	} {
		_, err := address(at)
		if (err == nil) != good {
			t.Errorf("%s: %v", at, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("what was typed is told: %v", err)
		}
	}
	if _, err := Run(context.Background(), Options{URL: "https://127.0.0.1:1", Username: "carla"}); err == nil {
		t.Error("no password is taken for one")
	}
}

func TestTheJSONHasEveryLineOnceWithAResult(t *testing.T) {
	all, err := Run(context.Background(), Options{URL: "https://127.0.0.1:1", Username: "carla", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Write(&out, all, true); err != nil {
		t.Fatal(err)
	}
	var read []map[string]string
	if err := json.Unmarshal(out.Bytes(), &read); err != nil || len(read) != len(lines) {
		t.Fatal(len(read), err)
	}
	for i, l := range read {
		if l["id"] != lines[i].ID || l["what"] == "" || l["found"] == "" || (l["result"] == Skip) != (i > 0) {
			t.Errorf("%v", l)
		}
	}
	if Failed(all) != 1 {
		t.Errorf("%d failed", Failed(all))
	}
}
