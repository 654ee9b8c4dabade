package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// eachGoFile parses the files of the repository, whatever they are built for.
func eachGoFile(t *testing.T, see func(path string, f *ast.File)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			see(path, f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryProofThatIsNamedIsThere: a document that names a test is worth what the test is worth.
func TestEveryProofThatIsNamedIsThere(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{}
	eachGoFile(t, func(path string, f *ast.File) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasSuffix(path, "_test.go") {
				tests[fn.Name.Name] = true
			}
		}
	})
	documents, err := filepath.Glob("docs/*.md")
	if err != nil || len(documents) < 3 {
		t.Fatal(documents, err)
	}
	named := 0
	for _, document := range append(documents, "README.md") {
		content, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Bench)[A-Z]\\w*)`").FindAllStringSubmatch(string(content), -1) {
			if named++; !tests[m[1]] {
				t.Errorf("%s names %s, which does not exist", document, m[1])
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d proofs are named", named)
	}
}

// TestEachRequirementStandsOnceWithItsProof reads the table of docs/security.md.
func TestEachRequirementStandsOnceWithItsProof(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+\.\d+\.\d+) \|([^|]+)\|([^|]+)\|$`).FindAllStringSubmatch(string(content), -1) {
		id, proof := row[1], strings.TrimSpace(row[3])
		if seen[id] {
			t.Errorf("%s stands twice", id)
		}
		seen[id] = true
		answered := false
		for _, answer := range []string{"`Test", "later issue", "does not apply", "open:"} {
			answered = answered || strings.Contains(proof, answer)
		}
		if !answered {
			t.Errorf("%s: %q is neither a test nor a reason", id, proof)
		}
	}
	if len(seen) < 63 {
		t.Errorf("%d requirements", len(seen))
	}
	for line := range strings.Lines(string(content)) {
		if m := regexp.MustCompile(`^\| (\d+\.\d+\.\d+) \|`).FindStringSubmatch(line); m != nil && !seen[m[1]] {
			t.Errorf("the row of %s is not of three columns", m[1])
		}
	}
}

// TestNothingIsSentByMail: a mailbox is not proof of who somebody is (ASVS 6.3.6, 6.4.6).
func TestNothingIsSentByMail(t *testing.T) {
	t.Parallel()
	eachGoFile(t, func(path string, f *ast.File) {
		for _, i := range f.Imports {
			if strings.Contains(i.Path.Value, "smtp") || strings.Contains(i.Path.Value, "gomail") {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
	})
}
