package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// RecentMost is how many patients RecentPatients gives.
const RecentMost = 8

// How far back they are looked for, so that nobody's habits make the menu slow.
const (
	recentEvents = "400"     // of the user's latest openings
	recentSince  = "90 days" // which leaves older months of the audit alone
)

// RecentPatients are those whom a user opened last, the latest first.
type RecentPatients struct {
	Who
	Patients []Patient // of whom only ID, DisplayName, MRN and BirthDate are filled in
}

// RecentPatients gives the patients that the caller opened last, as the audit has it, and records them as shown like those of a
// list. Patients who are gone are left out. A stand-in has no session, and so none of them.
func (d *DB) RecentPatients(ctx context.Context, v Viewer) (RecentPatients, error) {
	type row struct {
		Who
		ID, DisplayName, MRN, BirthDate *string
	}
	args := d.viewerArgs(v)
	rows, err := d.pool.Query(ctx, viewerCTE+`, opened AS MATERIALIZED (
		SELECT e.patients[1] AS id, e.recorded FROM audit_events e
		WHERE e.actor_id = (SELECT user_id FROM viewer WHERE allowed) AND e.action = 'patient-open' AND e.recorded > now() - interval '`+recentSince+`'
		  AND e.recorded < now() + interval '1 minute' -- the months to come need no look
		  AND e.outcome = 'success' AND cardinality(e.patients) = 1
		ORDER BY e.recorded DESC, e.id DESC LIMIT `+recentEvents+`
	), page AS MATERIALIZED (
		SELECT row_number() OVER (ORDER BY l.recorded DESC, p.id) AS n, p.id, p.display_name, p.mrn, p.birth_date
		FROM (SELECT id, max(recorded) AS recorded FROM opened GROUP BY id) l JOIN patients p ON p.id = l.id
		ORDER BY 1 LIMIT `+fmt.Sprint(RecentMost)+`
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'patient-list', 'success', ARRAY(SELECT id FROM page ORDER BY n), '{"recent": true}'
		FROM viewer v WHERE v.allowed
	)
	SELECT `+whoColumns+`, p.id::text, p.display_name, p.mrn, p.birth_date FROM viewer v LEFT JOIN page p ON true ORDER BY p.n`, args)
	if err != nil {
		return RecentPatients{}, fmt.Errorf("look up recent patients: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err == nil && len(all) == 0 {
		err = ErrNoSession
	}
	if err != nil {
		return RecentPatients{}, fmt.Errorf("look up recent patients: %w", err)
	}
	l := RecentPatients{Who: all[0].Who}
	v.found(l.Who)
	if err := l.check(); err != nil {
		return l, err
	}
	for _, r := range all {
		if r.ID != nil {
			l.Patients = append(l.Patients, Patient{ID: *r.ID, DisplayName: *r.DisplayName, MRN: orEmpty(r.MRN), BirthDate: orEmpty(r.BirthDate)})
		}
	}
	return l, nil
}
