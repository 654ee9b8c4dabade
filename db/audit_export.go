package db

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A page of an export of the audit has so many events, and so many patients in them: an import's event has thousands.
const (
	auditExportPage   = 1000
	auditExportPeople = 50_000
)

// ExportedEvent is a row of audit_events on the way out, with the names and the order of the table's columns.
type ExportedEvent struct {
	ID        int64           `json:"id"`
	Recorded  EventTime       `json:"recorded"`
	Action    string          `json:"action"`
	Outcome   string          `json:"outcome"`
	ActorID   *int            `json:"actor_id"`
	Actor     string          `json:"actor"`
	SessionID *string         `json:"session_id"`
	Client    *string         `json:"client"`
	RequestID string          `json:"request_id"`
	Program   string          `json:"program"`
	Patients  []string        `json:"patients"`
	Detail    json.RawMessage `json:"detail"`
}

// EventTime is written in UTC to the microsecond, as RFC 3339 has it.
type EventTime struct{ time.Time }

func (t EventTime) String() string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// MarshalJSON implements json.Marshaler.
func (t EventTime) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// ExportAudit gives all events that the query finds to page, some at a time, the oldest first, up to now; for
// administrators. Each page is a statement of its own, which judges the session and the role. The first records that the
// export began, and the last how many events there were: one without an end was broken off.
func (d *DB) ExportAudit(ctx context.Context, v Viewer, q AuditQuery, format string, page func([]ExportedEvent) error) error {
	if err := q.check(); err != nil {
		return err
	}
	type row struct {
		Who
		eventRow
	}
	open := func() (string, pgx.NamedArgs) { return viewerCTE, d.viewerArgs(v) }
	return d.exportAudit(ctx, q, format, open, auditColumns, auditValues, whoColumns, page, func(found pgx.Rows) ([]eventRow, error) {
		rows, err := pgx.CollectRows(found, pgx.RowToStructByName[row])
		switch {
		case err != nil:
			return nil, err
		case len(rows) == 0:
			return nil, ErrNoSession
		}
		v.found(rows[0].Who)
		if err := rows[0].check(); err != nil {
			return nil, err
		}
		v.Fresh = false // the password counted when the export began
		v.Idle = true   // the first page was a person's action, the others keep no session alive
		return each(rows, func(r row) eventRow { return r.eventRow }), nil
	})
}

// ExportAllAudit is ExportAudit for the command line: all events, recorded as taken out by the actor.
func (d *DB) ExportAllAudit(ctx context.Context, actor, format string, page func([]ExportedEvent) error) error {
	open := func() (string, pgx.NamedArgs) {
		return `WITH viewer AS (SELECT true AS allowed, false AS stale)`, pgx.NamedArgs{"actor": actor, "program": d.program}
	}
	type row struct {
		Allowed bool
		eventRow
	}
	return d.exportAudit(ctx, AuditQuery{}, format, open, `actor, program, action, outcome, patients, detail`, `@actor, @program`, `v.allowed`, page, func(found pgx.Rows) ([]eventRow, error) {
		rows, err := pgx.CollectRows(found, pgx.RowToStructByName[row])
		return each(rows, func(r row) eventRow { return r.eventRow }), err
	})
}

// eventRow is an event, all NULL where there is none.
type eventRow struct {
	Until        time.Time
	EventID      *int64
	Recorded     *time.Time
	Action       *string
	Outcome      *string
	ActorID      *int
	Actor        *string
	EventSession *string
	Client       *string
	RequestID    *string
	Program      *string
	Patients     []string
	Detail       *string
}

func (r eventRow) exported() ExportedEvent {
	return ExportedEvent{ID: *r.EventID, Recorded: EventTime{*r.Recorded}, Action: *r.Action, Outcome: *r.Outcome, ActorID: r.ActorID, Actor: *r.Actor,
		SessionID: r.EventSession, Client: r.Client, RequestID: *r.RequestID, Program: *r.Program, Patients: append([]string{}, r.Patients...), Detail: json.RawMessage(*r.Detail)}
}

// exportAudit asks for one page after the other. Events that are recorded meanwhile, its own first, are not in it.
func (d *DB) exportAudit(ctx context.Context, q AuditQuery, format string, open func() (string, pgx.NamedArgs), columns, values, who string,
	page func([]ExportedEvent) error, read func(pgx.Rows) ([]eventRow, error)) error {
	q.oldest, q.size, q.Cursor = true, auditExportPage-1, nil
	kinds, sent, first := q.kinds(), 0, true
	for {
		start, args := open()
		args["first"], args["format"], args["kinds"], args["sent"], args["people"] = first, format, kinds, sent, auditExportPeople
		b := &builder{args: args}
		w := auditWay{AuditQuery: q, b: b, gate: `(SELECT allowed FROM viewer)`}
		sql := start + `, page AS MATERIALIZED (
			SELECT * FROM (
				SELECT row_number() OVER o AS n, sum(cardinality(e.patients)) OVER o - cardinality(e.patients) AS people, e.*
				FROM (` + w.events() + `) e WINDOW o AS (ORDER BY ` + w.order("e.") + `)
			) e WHERE people < @people::integer
		), audited AS (
			INSERT INTO audit_events (` + columns + `)
			SELECT ` + values + `, 'audit-export', CASE WHEN v.allowed THEN 'success' ELSE 'refused' END, '{}',
			       jsonb_build_object('format', @format::text, 'filters', @kinds::text[]) ||
			       CASE WHEN EXISTS (SELECT 1 FROM page) THEN '{}' ELSE jsonb_build_object('events', @sent::integer, 'complete', v.allowed) END
			FROM viewer v WHERE CASE WHEN @first::boolean THEN v.allowed ELSE NOT v.stale AND NOT EXISTS (SELECT 1 FROM page) END
		)
		SELECT ` + who + `, now() AS until, e.id AS event_id, e.recorded, e.action, e.outcome, e.actor_id, e.actor, e.session_id::text AS event_session,
		       host(e.client) AS client, e.request_id, e.program, e.patients::text[] AS patients, e.detail::text AS detail
		FROM viewer v LEFT JOIN page e ON true ORDER BY e.n`
		rows, err := d.auditExportPage(ctx, sql, args, read)
		if err != nil {
			return fmt.Errorf("export the audit: %w", err)
		}
		empty := rows[0].EventID == nil
		if empty && !first {
			return nil
		}
		var events []ExportedEvent
		if !empty {
			events = each(rows, eventRow.exported)
		}
		if err := page(events); err != nil || empty {
			return err
		}
		if first && (q.Before.IsZero() || q.Before.After(rows[0].Until)) {
			q.Before = rows[0].Until
		}
		last := rows[len(rows)-1]
		q.Cursor = &AuditCursor{Recorded: *last.Recorded, ID: *last.EventID, Newer: true}
		sent, first = sent+len(rows), false
	}
}

// auditExportPage asks in a transaction, because settings that outlive one would reach strangers behind a transaction
// pooler. A rare event may be far away, and may take its time. What was refused is on record, and so is committed.
func (d *DB) auditExportPage(ctx context.Context, sql string, args pgx.NamedArgs, read func(pgx.Rows) ([]eventRow, error)) (rows []eventRow, err error) {
	var no error
	err = pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '10min'`); err != nil {
			return err
		}
		found, err := tx.Query(ctx, sql, args)
		if err != nil {
			return err
		}
		rows, err = read(found)
		if errors.Is(err, ErrNoSession) || errors.Is(err, ErrForbidden) || errors.Is(err, ErrConfirm) {
			no, err = err, nil
		}
		return err
	})
	return rows, errors.Join(err, no)
}

// EventExporter writes events in one of the formats of an export.
type EventExporter struct {
	w      io.Writer
	format string
	begun  bool
}

// NewEventExporter writes to w.
func NewEventExporter(w io.Writer, format string) (*EventExporter, error) {
	if format != FormatNDJSON && format != FormatCSV {
		return nil, ErrFormat
	}
	return &EventExporter{w: w, format: format}, nil
}

// Write writes a page; it is what ExportAudit wants to be given.
func (e *EventExporter) Write(events []ExportedEvent) error {
	var out bytes.Buffer
	if e.format == FormatCSV {
		e.csv(&out, events)
	} else {
		lines := json.NewEncoder(&out) // which ends each with a line feed
		lines.SetEscapeHTML(false)
		for _, event := range events {
			if err := lines.Encode(event); err != nil {
				return fmt.Errorf("export event %d: %w", event.ID, err)
			}
		}
	}
	_, err := e.w.Write(out.Bytes())
	return err
}

func (e *EventExporter) csv(out *bytes.Buffer, events []ExportedEvent) {
	w := csv.NewWriter(out)
	w.UseCRLF = true // RFC 4180
	if !e.begun {
		_ = w.Write([]string{"id", "recorded", "action", "outcome", "actor_id", "actor", "session_id", "client", "request_id", "program", "patients", "detail"})
		e.begun = true
	}
	for _, v := range events {
		actor := ""
		if v.ActorID != nil {
			actor = strconv.Itoa(*v.ActorID)
		}
		record := []string{strconv.FormatInt(v.ID, 10), v.Recorded.String(), v.Action, v.Outcome, actor, v.Actor, orEmpty(v.SessionID), orEmpty(v.Client),
			v.RequestID, v.Program, strings.Join(v.Patients, " "), string(v.Detail)}
		for i, field := range record {
			record[i] = noFormula(field)
		}
		_ = w.Write(record)
	}
	w.Flush() // to a buffer, which fails never
}
