package dbtest

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// recordVar names a folder in which each test binary leaves what the program has asked the database for, as a list of
// statements in JSON; see db/testdata/README.md.
const recordVar = "CHARTROOM_RECORD"

// startRecording makes the server log every statement, without values.
func startRecording(ctx context.Context, url string) error {
	if os.Getenv(recordVar) == "" {
		return nil
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	// The server's own arguments say that nothing is logged, and weigh more than its file.
	for _, sql := range []string{`ALTER ROLE ALL SET log_statement = 'all'`, `ALTER SYSTEM SET log_line_prefix = '%a|'`, `SELECT pg_reload_conf()`} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// logged is the program's own statement in the log: prepared, and so with placeholders.
var logged = regexp.MustCompile(`(?m)^chartroom\|LOG:  execute [^:\n]+: ((?:.*)(?:\n\t.*)*)`)

// record writes down what was logged.
func record() error {
	dir := os.Getenv(recordVar)
	if dir == "" || server.pg == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(server.dir, "pg", "postgres.log"))
	if err != nil {
		return err
	}
	all := map[string]bool{}
	for _, m := range logged.FindAllSubmatch(text, -1) {
		all[strings.ReplaceAll(string(m[1]), "\n\t", "\n")] = true
	}
	out, err := json.Marshal(slices.Sorted(maps.Keys(all)))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, filepath.Base(os.Args[0])+".json"), out, 0o644)
}
