package main

import (
	"crypto/sha256"
	"encoding/hex"
	"go/build"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestImportDirections holds the floors of the house: main → handlers → views, and db beneath main and handlers.
func TestImportDirections(t *testing.T) {
	t.Parallel()
	forbidden := map[string][]string{
		".":        {"chartroom/views", "github.com/jackc/pgx"},
		"handlers": {"github.com/jackc/pgx", "database/sql"},
		// It knows what protects patients' data, and nothing of pages.
		"handlers/settings": {"chartroom/handlers", "chartroom/views", "github.com/jackc/pgx", "net/http"},
		// It stands outside, as a browser does: what it knows of the server are addresses.
		"handlers/verify": {"chartroom/handlers", "chartroom/db", "github.com/jackc/pgx"},
		"views":           {"chartroom/db", "chartroom/handlers", "net/http", "github.com/jackc/pgx"},
		// Each language's texts are understood alone, by whoever translates them.
		"views/texts": {"chartroom/", "net/http", "github.com/a-h/templ"},
		"db":          {"chartroom/handlers", "chartroom/views", "net/http", "github.com/a-h/templ"},
		"db/fhir":     {"chartroom/", "net/http", "github.com/jackc/pgx"},
		// Its passwords, sockets and processes are its own business; it must be possible to take it out.
		"db/localpg": {"chartroom/", "net/http"},
		"db/sample":  {"chartroom/", "net/http", "github.com/jackc/pgx"},
	}
	for dir, banned := range forbidden {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range pkg.Imports {
			for _, b := range banned {
				if strings.HasPrefix(imported, b) {
					t.Errorf("%s imports %s", dir, imported)
				}
			}
			if imported == "os/exec" && dir != "db/localpg" {
				t.Errorf("%s starts programs; only db/localpg may", dir)
			}
		}
	}
}

// TestVendoredFilesAreAsPublished holds each third-party file to the checksum beside it.
func TestVendoredFilesAreAsPublished(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("assets/vendor/README.md")
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` .*`([0-9a-f]{64})` \\|$").FindAllStringSubmatch(string(table), -1) {
		sums[row[1]] = row[2]
	}
	files, err := filepath.Glob("assets/vendor/*.js")
	if err != nil || len(files) < 2 {
		t.Fatalf("expected htmx and its extension, found %v (%v)", files, err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); sums[filepath.Base(f)] != got {
			t.Errorf("%s has SHA-256 %s, the table says %q", f, got, sums[filepath.Base(f)])
		}
	}
}

// TestMigrationFilesCanBeRolledBack holds what the migration runner relies on: each file is one implicit transaction,
// has a way back, and no way back drops the users.
func TestMigrationFilesCanBeRolledBack(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("db/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations", err)
	}
	ends := regexp.MustCompile(`(?im)^\s*(BEGIN\s*;|COMMIT|ROLLBACK|START TRANSACTION|SAVEPOINT|VACUUM)|CONCURRENTLY`)
	dropsUsers := regexp.MustCompile(`(?i)(DROP TABLE|TRUNCATE|DELETE FROM)[^;]*\busers\b`)
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if found := ends.FindString(string(content)); found != "" {
			t.Errorf("%s holds %q, which ends or leaves the transaction", f, found)
		}
		if dropsUsers.Match(content) {
			t.Errorf("%s removes users", f)
		}
		twin := strings.Replace(f, ".up.", ".down.", 1)
		if strings.HasSuffix(f, ".up.sql") && !slices.Contains(files, twin) {
			t.Errorf("%s has no %s", f, twin)
		}
	}
}
