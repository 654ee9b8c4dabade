package db_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// auditPerson gives a patient of auditCrowd.
func auditPerson(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// auditCrowd puts events on record that look like a clinic's, three at each minute: patient 1 is in every list, 59 in the
// imports alone and 60 in nothing. User 6 is nobody any more.
func auditCrowd(t *testing.T, c *pgx.Conn, n int) {
	t.Helper()
	for _, u := range [][2]string{{"admin", "admin"}, {"ann", "viewer"}, {"anna", "viewer"}, {"Bob", "clinician"}, {"cleo", "viewer"}} {
		addUser(t, c, u[0], u[1])
	}
	must(t, c, `SELECT setseed(0.5)`)
	must(t, c, fmt.Sprintf(`
		INSERT INTO audit_events (recorded, action, outcome, actor_id, actor, patients)
		SELECT now() - interval '40 days' + (n / 3) * interval '1 minute', action, CASE WHEN random() < 0.05 THEN 'refused' ELSE 'success' END,
		       CASE WHEN NOT shell THEN u END, CASE WHEN NOT shell THEN 'user' || u WHEN action = 'import' THEN 'root' ELSE '' END,
		       ARRAY(SELECT ('00000000-0000-4000-8000-' || lpad(k::text, 12, '0'))::uuid FROM unnest(
				CASE action WHEN 'patient-list' THEN ARRAY[1, 2 + floor(57 * r * r)::int, 3 + floor(50 * r)::int]
				            WHEN 'sign-in' THEN '{}' WHEN 'import' THEN ARRAY[2, 3, 59] ELSE ARRAY[1 + floor(58 * r)::int] END) k)
		FROM (SELECT n, r, u, CASE WHEN n %% 97 = 0 THEN 'import' ELSE a END AS action, n %% 97 = 0 OR a = 'sign-in' AND n %% 2 = 0 AS shell
		      FROM (SELECT n, random() AS r, 2 + floor(5 * random())::int AS u,
		                   (ARRAY['patient-list','patient-list','patient-list','patient-list','patient-open','patient-open','patient-change','sign-in','export'])[1 + floor(9 * random())::int] AS a
		            FROM generate_series(1, %d) n) g) k`, n))
}

// TestEveryWayToEventsFindsThoseThatMatchAndNoOthers compares all filters, and pages in both directions, with what plain SQL
// says. How far ways are followed is shortened, so that each of them is taken.
func TestEveryWayToEventsFindsThoseThatMatchAndNoOthers(t *testing.T) { everyWay(t, 37) }

// everyWay asks one of so many of all questions.
func everyWay(t *testing.T, step int) {
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	db.SetAudit(t, 40, 100)
	auditCrowd(t, c, 1400)
	late := []pgx.Tx{moreEvents(t, url, c), moreEvents(t, url, c)}
	// Of the events some are where patients in lists are looked up, some are sealed only, some not even that; and of each two
	// turned up late.
	sealer := d.NewSealer(nil, nil, slog.New(slog.DiscardHandler))
	for range 2 {
		if err := sealer.Seal(context.Background()); err != nil {
			t.Fatal(err)
		}
		moreEvents(t, url, c)
		commit(t, late[0])
		late = late[1:]
	}
	if got := value[string](t, c, `SELECT concat_ws(' ', (SELECT count(*) > 100 FROM audit_patients), (SELECT max(s.block) - m.block FROM audit_seals s),
		(SELECT count(*) > 200 FROM audit_events e, audit_seals s WHERE s.block > m.block AND e.id <@ s.ids),
		(SELECT count(*) > 200 FROM audit_events e, audit_seals s WHERE s.block = m.block + 1 AND e.id > s.last_id)) FROM audit_patients_made m`); got != "t 1 t t" {
		t.Fatal(got)
	}
	v := signedIn(t, d, c, "admin")
	now := value[time.Time](t, c, `SELECT now() - interval '1 second'`)
	most := value[int64](t, c, `SELECT max(id) FROM audit_events`)
	asked, found := 0, map[int]int{}
	for _, who := range []struct {
		q   db.AuditQuery
		sql string
	}{
		{db.AuditQuery{}, `true`}, {db.AuditQuery{Users: []int{3}}, `actor_id = 3`}, {db.AuditQuery{Users: []int{6}}, `actor_id = 6`},
		{db.AuditQuery{Users: []int{2, 3}}, `actor_id IN (2, 3)`}, {db.AuditQuery{Shell: "root"}, `actor = 'root'`},
		{db.AuditQuery{Users: []int{2}, Shell: "root"}, `(actor_id = 2 OR actor = 'root')`},
	} {
		for _, actions := range [][]string{nil, {"patient-list"}, {"patient-open"}, {"export", "patient-change"}, {"import"}, {"patient-list", "import"}, {"nothing"}} {
			for _, patient := range []int{0, 1, 2, 40, 59, 60} {
				for _, outcome := range []string{"", "success", "refused"} {
					for _, days := range []int{0, 30} {
						q := who.q
						q.Actions, q.Outcome, q.Before = actions, outcome, now
						sql := `SELECT coalesce(array_agg(id ORDER BY recorded DESC, id DESC), '{}') FROM audit_events WHERE recorded < $1 AND id <= $2 AND ` + who.sql
						if len(actions) > 0 {
							sql += ` AND action IN ('` + strings.Join(actions, `', '`) + `')`
						}
						if patient > 0 {
							q.Patient = auditPerson(patient)
							sql += ` AND '` + q.Patient + `' = ANY (patients)`
						}
						if outcome != "" {
							sql += ` AND outcome = '` + outcome + `'`
						}
						if days > 0 {
							q.Before, q.From = now.AddDate(0, 0, -39), now.AddDate(0, 0, -40)
							sql += ` AND recorded >= $1::timestamptz - interval '40 days' AND recorded < $1::timestamptz - interval '39 days'`
						}
						want := value[[]int64](t, c, sql, now, most)
						if asked++; asked%step != 0 {
							continue
						}
						found[min(len(want), 41)]++
						if got := auditPages(t, d, v, q); !slices.Equal(got, want[:min(len(want), 160)]) {
							t.Fatalf("%+v: %d events, want %d\n%v\n%v", q, len(got), len(want), got, want)
						}
					}
				}
			}
		}
	}
	if asked < 1000 || found[41] < 200/step || found[0] < 200/step {
		t.Errorf("%d questions, %v", asked, found)
	}
}

// moreEvents puts 300 of the crowd's events on record again, and another 100 in a transaction that is left open.
func moreEvents(t *testing.T, url string, c *pgx.Conn) pgx.Tx {
	t.Helper()
	const again = `INSERT INTO audit_events (recorded, action, outcome, actor_id, actor, patients)
		SELECT recorded + interval '1 second', action, outcome, actor_id, actor, patients FROM audit_events WHERE patients <> '{}' ORDER BY md5(id::text) LIMIT `
	tx, err := dbtest.Conn(t, url).Begin(context.Background())
	if err == nil {
		_, err = tx.Exec(context.Background(), again+`100`)
	}
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, again+`300`)
	return tx
}

func commit(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if err := tx.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// auditPages gives the events of all pages, each of which must be found again on the way back.
func auditPages(t *testing.T, d *db.DB, v db.Viewer, q db.AuditQuery) (all []int64) {
	t.Helper()
	ids := func(l db.AuditList) (all []int64) {
		for _, e := range l.Events {
			all = append(all, e.ID)
		}
		return all
	}
	var before []int64
	for n := 0; ; n++ {
		l, err := d.ListAudit(context.Background(), v, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		all = append(all, ids(l)...)
		if n == 1 {
			back := q
			back.Cursor = l.Edge(true)
			if b, err := d.ListAudit(context.Background(), v, back); err != nil || !slices.Equal(ids(b), before) || b.HasPrev || !b.HasNext {
				t.Fatalf("back from %+v: %v %v, want %v", q, b, err, before)
			}
		}
		if before = ids(l); !l.HasNext || n == 3 { // two thousand events need no more than a few pages to prove it
			return all
		}
		q.Cursor = l.Edge(false)
	}
}
