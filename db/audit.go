package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrAuditQuery is for a filter or a place in the audit that there cannot be.
var ErrAuditQuery = errors.New("there is no such list of events")

// AuditEvent is a row of audit_events. Its names are the table's.
type AuditEvent struct {
	ID          int64
	Recorded    time.Time // to the microsecond
	Action      string
	Outcome     string // one of Outcomes
	ActorID     *int   // users.id; nil for the shell, and where nobody is known
	Actor       string // the name at that time
	SessionID   *string
	Client      *string // address without a network's length
	RequestID   string
	Program     string
	Patients    int             // how many were shown or changed
	Patient     *string         // patients.id, where it was one
	PatientName *string         // nil where it is gone, or names were not asked for
	Detail      json.RawMessage // an object
}

// AuditList is a page of events, the newest first.
type AuditList struct {
	Who
	Events           []AuditEvent
	HasPrev, HasNext bool     // there are newer ones, and older ones
	Users            []string // the names of those who were asked for
	Patient          *string  // the name of who was asked for; nil where nobody has that id
}

// Edge gives the cursor for the older events after the last of the page, or for the newer ones before the first.
func (l AuditList) Edge(newer bool) *AuditCursor {
	if len(l.Events) == 0 {
		return nil
	}
	e := l.Events[len(l.Events)-1]
	if newer {
		e = l.Events[0]
	}
	return &AuditCursor{Recorded: e.Recorded, ID: e.ID, Newer: newer}
}

// auditEventColumns are AuditEvent's but for the names, over e.
const auditEventColumns = `e.id, e.recorded, e.action, e.outcome, e.actor_id, e.actor, e.session_id::text AS session_id, host(e.client) AS client,
	e.request_id, e.program, e.detail`

// ListAudit gives a page of the audit; for administrators. Who is named on it has been seen, so that the page's own event
// has these patients: those of events with one patient, and the one who was asked for.
func (d *DB) ListAudit(ctx context.Context, v Viewer, q AuditQuery) (AuditList, error) {
	if err := q.check(); err != nil {
		return AuditList{}, err
	}
	q.size = auditPage
	b := &builder{args: d.viewerArgs(v)}
	w := auditWay{AuditQuery: q, b: b, gate: `(SELECT allowed FROM viewer)`}
	b.args["kinds"], b.args["patient"], b.args["users"], b.args["size"] = q.kinds(), nil, append([]int{}, q.Users...), q.size
	if q.Patient != "" {
		b.args["patient"] = q.Patient
	}
	rows, err := d.pool.Query(ctx, viewerCTE+`, page AS MATERIALIZED (
		SELECT row_number() OVER (ORDER BY `+w.order("e.")+`) AS n, e.*, CASE WHEN cardinality(e.patients) = 1 THEN e.patients[1] END AS patient
		FROM (`+w.events()+`) e
	), named AS MATERIALIZED (
		SELECT p.id, p.display_name FROM patients p
		WHERE (SELECT allowed FROM viewer) AND p.id = ANY (ARRAY(SELECT patient FROM page WHERE n <= @size::integer UNION SELECT @patient::uuid))
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'audit-list', 'success', ARRAY(SELECT id FROM named ORDER BY id), jsonb_build_object('filters', @kinds::text[])
		FROM viewer v WHERE v.allowed
	)
	SELECT `+whoColumns+`, ARRAY(SELECT username::text FROM users WHERE id = ANY (@users::integer[]) AND v.allowed ORDER BY username) AS named_users,
	       (SELECT display_name FROM named WHERE id = @patient::uuid) AS named_patient, e.events
	FROM viewer v CROSS JOIN (`+auditJSON(`page e LEFT JOIN named p ON p.id = e.patient`, `p.display_name`)+`) e`, named(b.args))
	if err != nil {
		return AuditList{}, fmt.Errorf("list the audit: %w", err)
	}
	r, err := one[auditRow](v, rows)
	if err != nil {
		return AuditList{}, fmt.Errorf("list the audit: %w", err)
	}
	l := AuditList{Who: r.Who, Users: r.NamedUsers, Patient: r.NamedPatient}
	if err := l.check(); err != nil {
		return l, err
	}
	l.Events = r.list()
	more := len(l.Events) > q.size
	if more {
		l.Events = l.Events[:q.size]
	}
	l.HasNext, l.HasPrev = more, q.Cursor != nil
	if q.upwards() {
		slices.Reverse(l.Events)
		l.HasNext, l.HasPrev = true, more
	}
	return l, nil
}

// auditRow is the one row of a statement that gives events.
type auditRow struct {
	Who
	NamedUsers   []string
	NamedPatient *string
	Events       []auditJSONRow
}

// auditJSONRow is an event as auditJSON makes it.
type auditJSONRow struct {
	ID          int64           `json:"id"`
	Recorded    time.Time       `json:"recorded"`
	Action      string          `json:"action"`
	Outcome     string          `json:"outcome"`
	ActorID     *int            `json:"actor_id"`
	Actor       string          `json:"actor"`
	SessionID   *string         `json:"session_id"`
	Client      *string         `json:"client"`
	RequestID   string          `json:"request_id"`
	Program     string          `json:"program"`
	Patients    int             `json:"patients"`
	Patient     *string         `json:"patient"`
	PatientName *string         `json:"patient_name"`
	Detail      json.RawMessage `json:"detail"`
}

func (r auditRow) list() []AuditEvent {
	return each(r.Events, func(e auditJSONRow) AuditEvent { return AuditEvent(e) })
}

// auditJSON gives events in the order n as one list.
func auditJSON(from, name string) string {
	return `SELECT coalesce(jsonb_agg(to_jsonb(x) - 'n' ORDER BY x.n), '[]') AS events FROM (
		SELECT e.n, ` + auditEventColumns + `, cardinality(e.patients) AS patients, e.patient, ` + name + ` AS patient_name FROM ` + from + `
	) x`
}

// seen gives the latest events of a patient, or of a user, to administrators. They name no patient, and the page that they
// are on has an event of its own. It is a statement by itself, so that it costs those nothing who may not see it.
func (d *DB) seen(ctx context.Context, v Viewer, q AuditQuery) ([]AuditEvent, error) {
	v.Roles, v.Idle, v.Fresh = []string{RoleAdmin}, true, false
	q.size = auditPanel - 1
	b := &builder{args: d.viewerArgs(v)}
	w := auditWay{AuditQuery: q, b: b, gate: `(SELECT allowed FROM viewer)`}
	rows, err := d.pool.Query(ctx, viewerCTE+`, page AS MATERIALIZED (
		SELECT row_number() OVER (ORDER BY `+w.order("e.")+`) AS n, e.*, CASE WHEN cardinality(e.patients) = 1 THEN e.patients[1] END AS patient
		FROM (`+w.events()+`) e
	)
	SELECT `+whoColumns+`, '{}'::text[] AS named_users, NULL::text AS named_patient, e.events FROM viewer v CROSS JOIN (`+auditJSON(`page e`, `NULL::text`)+`) e`, named(b.args))
	if err != nil {
		return nil, err
	}
	r, err := one[auditRow](v, rows)
	if err != nil {
		return nil, err
	}
	return r.list(), r.check()
}

// Actors are those whose events somebody asks for by a name.
type Actors struct {
	Who
	Users []int // at most MostActors and one more
	Shell bool  // somebody of this name was at the server's shell
}

// MostActors is how many users a beginning of names may stand for.
const MostActors = 20

// FindActors gives the user of a name or else those whose names begin with it, whatever the case; for administrators. So no
// name needs to be in an address. "" finds nobody.
func (d *DB) FindActors(ctx context.Context, v Viewer, name string) (Actors, error) {
	if !typable(name) {
		return Actors{}, ErrAuditQuery
	}
	args := d.viewerArgs(v)
	args["name"], args["most"] = name, MostActors+1
	rows, err := d.pool.Query(ctx, viewerCTE+`
		SELECT `+whoColumns+`, ARRAY(
			SELECT u.id FROM users u WHERE v.allowed AND @name::text <> '' AND CASE WHEN EXISTS (SELECT 1 FROM users x WHERE x.username = @name::text)
				THEN u.username = @name::text ELSE starts_with(lower(u.username), lower(@name::text)) END
			ORDER BY u.username LIMIT @most::integer) AS users,
		       v.allowed AND @name::text <> '' AND EXISTS (SELECT 1 FROM audit_events e WHERE e.actor_id IS NULL AND e.actor = @name::text) AS shell
		FROM viewer v`, args)
	if err != nil {
		return Actors{}, fmt.Errorf("look for users: %w", err)
	}
	a, err := one[Actors](v, rows)
	if err != nil {
		return Actors{}, fmt.Errorf("look for users: %w", err)
	}
	return a, a.check()
}

// AuditPage is one event with all that it has.
type AuditPage struct {
	Who
	Event  AuditEvent
	People []AuditPatient // at most auditPeople, in the order in which they were shown
}

// AuditPatient is a patient of an event. Name is nil where the patient is gone, by an import that was taken back.
type AuditPatient struct {
	ID   string  `json:"id"`
	Name *string `json:"name"`
}

// auditPeople is how many patients of an event are named.
const auditPeople = 200

// OpenAudit gives one event; for administrators. Its own event has the patients who are named. An id that no event has is
// ErrNotFound.
func (d *DB) OpenAudit(ctx context.Context, v Viewer, id int64) (AuditPage, error) {
	type row struct {
		auditRow
		People []AuditPatient
	}
	args := d.viewerArgs(v)
	args["id"], args["most"] = id, auditPeople
	rows, err := d.pool.Query(ctx, viewerCTE+`, page AS MATERIALIZED (
		SELECT 1 AS n, e.*, CASE WHEN cardinality(e.patients) = 1 THEN e.patients[1] END AS patient
		FROM audit_events e WHERE e.id = @id::bigint AND (SELECT allowed FROM viewer)
	), people AS MATERIALIZED (
		SELECT i.n, i.id, p.display_name FROM page CROSS JOIN LATERAL unnest(page.patients) WITH ORDINALITY i (id, n) LEFT JOIN patients p ON p.id = i.id
		WHERE i.n <= @most::integer
	), audited AS (
		INSERT INTO audit_events (`+auditColumns+`)
		SELECT `+auditValues+`, 'audit-open', CASE WHEN EXISTS (SELECT 1 FROM page) THEN 'success' ELSE 'refused' END,
		       ARRAY(SELECT DISTINCT id FROM people WHERE display_name IS NOT NULL ORDER BY id),
		       CASE WHEN EXISTS (SELECT 1 FROM page) THEN jsonb_build_object('event', @id::bigint) ELSE '{}' END
		FROM viewer v WHERE v.allowed
	)
	SELECT `+whoColumns+`, '{}'::text[] AS named_users, NULL::text AS named_patient, e.events,
	       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', display_name) ORDER BY n), '[]') FROM people) AS people
	FROM viewer v CROSS JOIN (`+auditJSON(`page e`, `NULL::text`)+`) e`, args)
	if err != nil {
		return AuditPage{}, fmt.Errorf("open an event: %w", err)
	}
	r, err := one[row](v, rows)
	if err != nil {
		return AuditPage{}, fmt.Errorf("open an event: %w", err)
	}
	p := AuditPage{Who: r.Who, People: r.People}
	if err := p.check(); err != nil {
		return p, err
	}
	events := r.list()
	if len(events) == 0 {
		return p, ErrNotFound
	}
	p.Event = events[0]
	return p, nil
}
