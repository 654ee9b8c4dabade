//go:build bench

package db_test

import (
	"context"
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

const (
	mostVerify      = 60.0 // seconds, for a million events
	benchBlock      = 100  // events in a block: a busy minute of a large clinic
	mostAuditEvents = 1_000_000
)

// TestBenchAuditVerify seals invented events and measures `chartroom audit verify`, the released program.
func TestBenchAuditVerify(t *testing.T) {
	b := dbtest.OpenBench(t)
	var rows [][]string
	var short []string
	for _, n := range dbtest.BenchSizes(t) {
		if n > mostAuditEvents {
			continue
		}
		url := b.Fresh(t, fmt.Sprintf("audit_%d", n))
		sealing := sealedEvents(t, url, n)
		all := value[int64](t, dbtest.Conn(t, url), `SELECT count(*) FROM audit_events`) // those of the migrations, too
		start := time.Now()
		c := b.Command([]string{"DATABASE_URL=" + url, "AUDIT_KEY=" + newAuditKey[:20] + oldAuditKey[:20]}, "audit", "verify", "--json")
		out, err := c.Output()
		took := time.Since(start).Seconds()
		var r db.AuditReport
		if err != nil || json.Unmarshal(out, &r) != nil || r.Events != all || r.Bad != nil {
			t.Fatalf("%v %s", err, out)
		}
		if n == mostAuditEvents && took > mostVerify {
			short = append(short, fmt.Sprintf("%.0f s for %s events, where %.0f s is the target.", took, dbtest.Thousands(n), mostVerify))
		}
		rows = append(rows, []string{dbtest.Thousands(n), dbtest.Thousands(int(r.Blocks)), fmt.Sprintf("%.1f", took),
			dbtest.Bytes(c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10), fmt.Sprintf("%.1f", sealing.Seconds()), dbtest.Bytes(value[int64](t, dbtest.Conn(t, url), `SELECT pg_database_size(current_database())`))})
	}
	b.Add(t, "4-audit-verify", dbtest.Section{Title: "Proving the audit", Short: short, Text: fmt.Sprintf("`chartroom audit verify --json`, the released program, on a keyed chain (`TestBenchAuditVerify`), with blocks of %d events, "+
		"each sealed in a transaction of its own, in 25 months' partitions: two lists of 25 patients for each patient that is opened. Memory is the program's, at its highest. Sealing is the sealer's time for "+
		"all of them, one block after the other.\n\n", benchBlock) +
		dbtest.Table([]string{"events", "blocks", "seconds", "memory", "sealing them, s", "database on disk"}, rows)})
}

func sealedEvents(t *testing.T, url string, n int) time.Duration {
	t.Helper()
	c := dbtest.Conn(t, url)
	must(t, c, `INSERT INTO audit_events (action, outcome, actor_id, actor, session_id, client, request_id, program, patients, detail, recorded)
		SELECT CASE WHEN i % 3 = 0 THEN 'patient-open' ELSE 'patient-list' END, 'success', i % 40, 'user ' || i % 40, md5((i % 997)::text)::uuid, '192.0.2.7',
			md5(i::text), 'v0.5.0', CASE WHEN i % 3 = 0 THEN ARRAY[md5(i::text)::uuid] ELSE (SELECT array_agg(md5((i * 31 + p)::text)::uuid) FROM generate_series(1, 25) p) END,
			'{"searched": true, "filtered": false, "found": 1000}', date_trunc('month', now()) + i * interval '2 years' / $1::integer
		FROM generate_series(1, $1::integer) i`, n)
	must(t, c, `ANALYZE audit_events`)
	db.SetSealPortion(t, benchBlock)
	d := dbtest.OpenURL(t, url, time.Hour)
	start := time.Now()
	if err := d.NewSealer([]string{newAuditKey[:20] + oldAuditKey[:20]}, nil, quietLog).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}
