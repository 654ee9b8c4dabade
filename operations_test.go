package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// headings are the places in a document that a link can lead to.
func headings(document string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(document, -1) {
		all[strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

func TestEachAlertLeadsToWhatToDoAndHasATestOfItsOwn(t *testing.T) {
	t.Parallel()
	rules, tests, there := contents(t, "docs/alerts.yml"), contents(t, "docs/alerts_test.yml"), headings(contents(t, "docs/operations.md"))
	metrics := contents(t, "docs/metrics.md")
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(rules, -1)
	runbooks := regexp.MustCompile(`(?m)^ +runbook: docs/operations\.md#(\S+)$`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 10 || len(runbooks) != len(alerts) {
		t.Fatalf("%d alerts, %d of them say what to do", len(alerts), len(runbooks))
	}
	for _, r := range runbooks {
		if !there[r[1]] {
			t.Errorf("docs/operations.md has no section %q", r[1])
		}
	}
	for _, a := range alerts {
		if !strings.Contains(tests, "alertname: "+a[1]+"\n        exp_alerts:") || !strings.Contains(tests, "alertname: "+a[1]+"}") && a[1] != "ChartroomDatabaseDown" {
			t.Errorf("%s has no test in which it fires, or none in which it does not", a[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?:chartroom|process)_\w+`).FindAllString(regexp.MustCompile(`(?m)^ +runbook:.*$`).ReplaceAllString(rules, ""), -1) {
		if !strings.Contains(metrics, "`"+strings.TrimSuffix(m, "_bucket")+"`") {
			t.Errorf("%s is asked for, and there is no such metric", m)
		}
	}
}

func TestLinksWithinTheOperationsGuideLeadSomewhere(t *testing.T) {
	t.Parallel()
	text := contents(t, "docs/operations.md")
	there := headings(text)
	for _, m := range regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		if anchor, ok := strings.CutPrefix(m[1], "#"); ok && !there[anchor] {
			t.Errorf("there is no %s", m[1])
		} else if _, err := os.Stat(filepath.Join("docs", m[1])); !ok && err != nil {
			t.Error(err)
		}
	}
}

// TestEachLineThatTheGuideExplainsIsWrittenByTheProgram keeps the table from explaining what is no more.
func TestEachLineThatTheGuideExplainsIsWrittenByTheProgram(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for _, pattern := range []string{"*.go", "db/*.go", "handlers/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if !strings.HasSuffix(f, "_test.go") {
				source.WriteString(contents(t, f))
			}
		}
	}
	_, table, _ := strings.Cut(contents(t, "docs/operations.md"), "| line | level | what to do |")
	table, _, _ = strings.Cut(table, "\n\n")
	explained := 0
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+`) \\|").FindAllStringSubmatch(table, -1) {
		for _, line := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			explained++
			if !strings.Contains(source.String(), `("`+line[1]) {
				t.Errorf("nothing writes %q", line[1])
			}
		}
	}
	if explained < 15 {
		t.Errorf("only %d lines are explained", explained)
	}
}
