//go:build prove

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestProveSystemdAcceptsTheUnitAndFindsItHardened asks systemd's own judge, which needs no running systemd. 10 is the worst.
func TestProveSystemdAcceptsTheUnitAndFindsItHardened(t *testing.T) {
	analyze := installed(t, "systemd-analyze", "systemd")
	unit, err := os.ReadFile("docs/chartroom.service")
	if err != nil {
		t.Fatal(err)
	}
	// The judge wants the program to be where the unit says.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "chartroom.service")
	if err := os.WriteFile(path, []byte(strings.Replace(string(unit), "/usr/local/bin/chartroom", self, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := outputOf(t, "/", analyze, "verify", path); said != "" {
		t.Errorf("systemd has something to say:\n%s", said)
	}
	m := regexp.MustCompile(`Overall exposure level for chartroom\.service: ([0-9.]+)`).FindStringSubmatch(
		outputOf(t, "/", analyze, "security", "--offline=true", "--no-pager", path))
	if m == nil {
		t.Fatal("systemd-analyze gives no level")
	}
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > 1.5 {
		t.Errorf("exposure level %s, %v", m[1], err)
	}
	t.Logf("exposure level %s of 10", m[1])
}
