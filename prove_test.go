//go:build prove

package main

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"chartroom/db/dbtest"
)

// TestProveKillsAtAnyMomentOfMigratingAreRepaired migrates up and down in processes that are killed at random moments,
// on the predecessor's database, and wants one undisturbed start to end well each time, with all users.
func TestProveKillsAtAnyMomentOfMigratingAreRepaired(t *testing.T) {
	sql, err := os.ReadFile("testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	killed := 0
	for round := range 25 {
		dbURL := dbtest.EmptyURL(t)
		c := dbtest.Conn(t, dbURL)
		if _, err := c.Exec(context.Background(), string(sql)); err != nil {
			t.Fatal(err)
		}
		env := []string{"DATABASE_URL=" + dbURL}
		for _, args := range []string{"up", "up", "down 3 --yes-lose-data", "up", "down 4 --yes-lose-data", "down 2 --yes-lose-data"} {
			p := program(t, env, append([]string{"migrate"}, strings.Fields(args)...)...).start()
			select {
			case <-p.ended:
			case <-time.After(time.Duration(20+rnd.IntN(130)) * time.Millisecond):
				_ = p.Process.Kill()
				killed++
			}
			p.finish()
		}
		code, out, errs := command(t, env, "migrate", "up")
		if code != 0 || !strings.Contains(out, "up to date") {
			t.Fatalf("round %d: %d\n%s%s", round, code, out, errs)
		}
		var users, tables int
		if err := c.QueryRow(context.Background(), `SELECT (SELECT count(*) FROM users),
			(SELECT count(*) FROM unnest(ARRAY['users','sessions','ended_sessions','patients','patient_resources','audit_events']) n WHERE to_regclass(n) IS NOT NULL)`).Scan(&users, &tables); err != nil || users != 5 || tables != 6 {
			t.Fatalf("round %d: %d users, %d tables, %v", round, users, tables, err)
		}
	}
	t.Logf("%d processes killed in 25 rounds", killed)
}
