//go:build bench

package db_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// mostReading is what a page of the audit may take, at a million events.
const mostReading = 25.0

// auditYear fills a database with a clinic's events: 65 of 100 are lists of 25 patients, half of these the first page of all,
// by forty users; 27 are patients opened. They are spread over a year up to now, in partitions by month.
func auditYear(t *testing.T, n int) func(url string) {
	return func(url string) {
		c := dbtest.Conn(t, url)
		addUser(t, c, "admin", "admin")
		for i := 2; i <= 42; i++ {
			addUser(t, c, fmt.Sprintf("user%d", i), "viewer")
		}
		must(t, c, `SELECT setseed(0.5)`)
		must(t, c, `DO $$ DECLARE d timestamp; BEGIN FOR n IN 1..13 LOOP
				d := date_trunc('month', now() AT TIME ZONE 'UTC') - n * interval '1 month';
				EXECUTE format('CREATE TABLE audit_events_%s PARTITION OF audit_events FOR VALUES FROM (%L) TO (%L)', to_char(d, 'YYYYMM'),
					d AT TIME ZONE 'UTC', (d + interval '1 month') AT TIME ZONE 'UTC');
			END LOOP; END $$`)
		must(t, c, `CREATE TABLE pool AS SELECT n, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid AS id FROM generate_series(0, 199999) n`)
		must(t, c, `CREATE TABLE lists AS SELECT n / 25 AS b, array_agg(id ORDER BY n) AS ids FROM pool GROUP BY 1`)
		must(t, c, `CREATE UNIQUE INDEX ON pool (n); CREATE UNIQUE INDEX ON lists (b)`)
		must(t, c, fmt.Sprintf(`
			INSERT INTO audit_events (recorded, action, outcome, actor_id, actor, session_id, client, request_id, program, patients, detail)
			SELECT now() - interval '1 hour' - (%[1]d - n) * (interval '1 year' / %[1]d), action, CASE WHEN n %% 211 = 0 THEN 'refused' ELSE 'success' END, u, 'user' || u,
			       md5((n / 200)::text)::uuid, '192.0.2.7', substr(md5(n::text), 1, 12), 'v1.0.0',
			       CASE WHEN action = 'patient-list' THEN (SELECT ids FROM lists WHERE b = CASE WHEN r2 < 0.5 THEN 0 ELSE floor(7900 * r3 * r3 * r3)::int END)
			            WHEN action IN ('patient-open', 'patient-change') THEN ARRAY[(SELECT id FROM pool WHERE pool.n = floor(197000 * r2 * r3)::int)]
			            WHEN action = 'export' THEN (SELECT ids FROM lists WHERE b = floor(7900 * r2)::int) ELSE '{}' END,
			       '{"sort": "name", "searched": false, "filtered": false}'
			FROM (SELECT n, random() AS r, random() AS r2, random() AS r3, CASE WHEN n %% 50000 = 7 THEN 42 ELSE 2 + floor(40 * random())::int END AS u
			      FROM generate_series(1, %[1]d) n OFFSET 0) g
			CROSS JOIN LATERAL (SELECT CASE WHEN r < 0.65 THEN 'patient-list' WHEN r < 0.92 THEN 'patient-open' WHEN r < 0.95 THEN 'patient-change'
				WHEN r < 0.999 THEN 'sign-in' WHEN r < 0.9999 THEN 'export' ELSE 'user-set-role' END AS action) a`, n))
		must(t, c, `INSERT INTO audit_events (action, outcome, actor_id, actor, patients, recorded)
			SELECT 'patient-list', 'success', 3, 'user3', ARRAY[(SELECT id FROM pool WHERE n = 199000)], now() - x * interval '100 days' FROM generate_series(1, 3) x`)
		must(t, c, `VACUUM ANALYZE`)
	}
}

// TestBenchReadingTheAudit measures with CHARTROOM_BENCH_EVENTS events (1,000,000).
func TestBenchReadingTheAudit(t *testing.T) {
	n := 1_000_000
	if text := os.Getenv("CHARTROOM_BENCH_EVENTS"); text != "" {
		n, _ = strconv.Atoi(text)
	}
	b := dbtest.OpenBench(t)
	url := b.Filled(t, fmt.Sprintf("events_%d", n), auditYear(t, n))
	c := dbtest.Conn(t, url)
	d := openBench(t, url)
	sealing := auditSealed(t, d, c)
	v := signedIn(t, d, c, "admin")
	v.Roles = []string{db.RoleAdmin}
	middle := value[string](t, c, `SELECT id::text FROM pool WHERE n = 25 * 500`)
	past := time.Now().AddDate(0, -7, 0)
	cursor := &db.AuditCursor{Recorded: past, ID: 1}
	kinds := []struct {
		name string
		q    db.AuditQuery
	}{
		{"the newest", db.AuditQuery{}}, {"a page seven months ago, by its place", db.AuditQuery{Cursor: cursor}},
		{"the page of newer ones before that", db.AuditQuery{Cursor: &db.AuditCursor{Recorded: past, ID: 1, Newer: true}}},
		{"a user", db.AuditQuery{Users: []int{7}}}, {"a user of few events", db.AuditQuery{Users: []int{42}}}, {"ten users", db.AuditQuery{Users: []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}},
		{"an action: patients changed", db.AuditQuery{Actions: []string{"patient-change"}}}, {"a rare action: roles changed", db.AuditQuery{Actions: []string{"user-set-role"}}},
		{"a frequent one: patients opened", db.AuditQuery{Actions: []string{"patient-open"}}}, {"refused", db.AuditQuery{Outcome: "refused"}},
		{"a day in the past", db.AuditQuery{From: past, Before: past.AddDate(0, 0, 1)}},
		{"a user and an action: exports", db.AuditQuery{Users: []int{7}, Actions: []string{"export"}}}, {"a user and refused", db.AuditQuery{Users: []int{7}, Outcome: "refused"}},
		{"a patient in most lists", db.AuditQuery{Patient: auditPerson(0)}}, {"a patient in one list of some hundred", db.AuditQuery{Patient: auditPerson(25 * 10)}},
		{"a patient in some lists", db.AuditQuery{Patient: middle}}, {"a patient in three events", db.AuditQuery{Patient: auditPerson(199_000)}},
		{"a patient in none", db.AuditQuery{Patient: auditPerson(999_999)}},
		{"a patient in most lists, opened", db.AuditQuery{Patient: auditPerson(0), Actions: []string{"patient-open"}}},
		{"a patient in most lists, and a user", db.AuditQuery{Patient: auditPerson(0), Users: []int{7}}}, {"a patient in some lists, and a user", db.AuditQuery{Patient: middle, Users: []int{7}}},
		{"a patient in most lists, a day in the past", db.AuditQuery{Patient: auditPerson(0), From: past, Before: past.AddDate(0, 0, 1)}},
		{"a patient in some lists, a page seven months ago", db.AuditQuery{Patient: middle, Cursor: cursor}},
	}
	var rows [][]string
	section := dbtest.Section{Title: "Reading the audit at " + dbtest.Thousands(n) + " events"}
	for _, k := range kinds {
		var all []float64
		var l db.AuditList
		for i := range 12 {
			start := time.Now()
			var err error
			if l, err = d.ListAudit(context.Background(), v, k.q); err != nil {
				t.Fatalf("%s: %v", k.name, err)
			}
			if i >= 2 { // the first ones make the plan, and read from disk
				all = append(all, float64(time.Since(start).Microseconds())/1000)
			}
		}
		median, most := dbtest.Median(all), dbtest.Quantile(all, 1)
		rows = append(rows, []string{k.name, strconv.Itoa(len(l.Events)), ms(median), ms(most)})
		if median > mostReading {
			section.Short = append(section.Short, fmt.Sprintf("%s takes %.0f ms, where %.0f are the target.", k.name, median, mostReading))
		}
		t.Logf("%-55s %3d events %8.2f ms, at most %8.2f", k.name, len(l.Events), median, most)
	}
	section.Text = "Pages of `db.ListAudit`, each with its own event, as an administrator, on one connection over a Unix socket; ten of each after two to warm up. " +
		"The events are spread over a year; half of the lists are the first page of all. On disk: " + auditDisk(t, c) + ". " + sealing + "\n\n" +
		dbtest.Table([]string{"asked for", "events", "ms, median", "at most"}, rows) + "\n" + auditPrice(t, c)
	b.Add(t, fmt.Sprintf("60-audit-reading-%010d", n), section)
}

// auditSealed seals all events and enters the lists, which a running server has done within seconds, and says what that took.
func auditSealed(t *testing.T, d *db.DB, c *pgx.Conn) string {
	made := value[int](t, c, `SELECT count(*) FROM audit_events e, audit_patients_made m WHERE e.id > m.last_id`)
	start := time.Now()
	if err := d.NewSealer(nil, nil, slog.New(slog.DiscardHandler)).Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	must(t, c, `VACUUM ANALYZE audit_patients, audit_seals`)
	if made < 100_000 {
		return "" // an earlier run has done it
	}
	return fmt.Sprintf("Sealing all of them and entering the lists took %.0f µs an event. ", float64(took.Microseconds())/float64(made))
}

// auditDisk says what the events and their indexes take.
func auditDisk(t *testing.T, c *pgx.Conn) string {
	size := func(sql string) int64 { return value[int64](t, c, sql) }
	return fmt.Sprintf("%s of events, %s of their indexes, %s of patients and when", dbtest.Bytes(size(`SELECT sum(pg_table_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`)),
		dbtest.Bytes(size(`SELECT sum(pg_indexes_size(inhrelid))::bigint FROM pg_inherits WHERE inhparent = 'audit_events'::regclass`)), dbtest.Bytes(size(`SELECT pg_total_relation_size('audit_patients')`)))
}

// auditPrice measures what the indexes add to a list's event: the same insert of many events into copies of the newest
// month that have more and more of them, in turn, so that noise meets all.
func auditPrice(t *testing.T, c *pgx.Conn) string {
	steps := []struct {
		name    string
		indexes []string
	}{
		{"the primary key alone", nil},
		{"by user", []string{`(actor_id, recorded, id)`}},
		{"those that a list's event is not in", []string{`(actor_id, action, recorded, id) WHERE action <> 'patient-list'`, `(action, recorded, id) WHERE action NOT IN ('patient-list', 'patient-open')`,
			`(recorded, id) WHERE outcome = 'refused'`, `(actor, recorded, id) WHERE actor_id IS NULL`}},
		{"by id, for the seals", []string{`(id)`}},
	}
	var made []string
	for i, s := range steps {
		table := fmt.Sprintf("price%d", i)
		must(t, c, `DROP TABLE IF EXISTS `+table)
		must(t, c, `CREATE TABLE `+table+` (LIKE audit_events INCLUDING DEFAULTS, PRIMARY KEY (recorded, id))`)
		for _, also := range steps[:i+1] {
			for _, index := range also.indexes {
				must(t, c, `CREATE INDEX ON `+table+` `+index)
			}
		}
		must(t, c, `INSERT INTO `+table+` SELECT * FROM audit_events WHERE recorded > now() - interval '30 days'`)
		made = append(made, table)
		_ = s
	}
	must(t, c, `SET synchronous_commit = off`)
	must(t, c, `VACUUM ANALYZE`)
	times := make([][]float64, len(steps))
	for round := range 12 {
		for i, table := range made {
			start := time.Now()
			must(t, c, fmt.Sprintf(`INSERT INTO %s (action, outcome, actor_id, actor, session_id, client, request_id, program, patients, detail)
				SELECT 'patient-list', 'success', 2 + n %% 40, 'user7', '00000000-0000-4000-8000-000000000001', '192.0.2.7', 'abcdefghijkl', 'v1.0.0', l.ids, '{"sort": "name"}'
				FROM generate_series(1, 2000) n JOIN lists l ON l.b = CASE WHEN n %% 2 = 0 THEN 0 ELSE (n * 37 + %d) %% 8000 END`, table, round*977))
			times[i] = append(times[i], float64(time.Since(start).Microseconds())/2000)
		}
	}
	var rows [][]string
	for i, s := range steps {
		rows = append(rows, []string{strings.Repeat("+ ", min(i, 1)) + s.name, fmt.Sprintf("%.0f", dbtest.Median(times[i]))})
		t.Logf("%-45s %5.0f µs an event", s.name, dbtest.Median(times[i]))
		must(t, c, `DROP TABLE `+made[i])
	}
	return "What the indexes add to the event of a list of 25 patients, in PostgreSQL alone: 2,000 events a statement, 12 times each, in turn, into a month's events. " +
		"The price of a page with its event is under *The page beside its floor*.\n\n" + dbtest.Table([]string{"indexes", "µs an event, median"}, rows)
}
