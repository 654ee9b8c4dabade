package db

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// KeepAudit is how long audit events are kept unless a setting says otherwise, and the least that is allowed in production: six
// years (45 CFR 164.316(b)(2)(i)), with the leap days that they may have.
const KeepAudit = 2192 * 24 * time.Hour

// monthsAhead is for how many months the audit's partitions are made: a process that runs for two years needs none of this.
const monthsAhead = 24

// Housekeep does what has to be done every few minutes: it removes what has expired, makes the audit's partitions for the coming
// months, drops those that are older than Config.Retention, and writes down how many refusals were left out of the audit. One
// failure does not keep the others from being tried; none of them is a reason to stop.
func (d *DB) Housekeep(ctx context.Context) error {
	err := errors.Join(d.recordLeftOut(ctx), d.sweep(ctx), d.makePartitions(ctx), d.dropPartitions(ctx))
	if err != nil {
		d.meter.housekeepingFailures.Inc()
	}
	return err
}

// alone runs do in a transaction, unless another process keeps house at this moment.
func (d *DB) alone(ctx context.Context, do func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtext('chartroom housekeeping'))`).Scan(&mine); err != nil || !mine {
			return err
		}
		return do(tx)
	})
}

func (d *DB) makePartitions(ctx context.Context) error {
	err := d.alone(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT audit_events_make_partitions(@months)`, pgx.NamedArgs{"months": monthsAhead})
		return err
	})
	if err != nil {
		return fmt.Errorf("make the audit's partitions for the coming months: %w", err)
	}
	return nil
}

// dropPartitions may take longer than a page: it looks whether each event of a month is sealed before the month goes.
func (d *DB) dropPartitions(ctx context.Context) error {
	err := d.alone(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', '1min', true), set_config('chartroom.program', @program, true)`,
			pgx.NamedArgs{"program": d.program})
		if err == nil {
			_, err = tx.Exec(ctx, `SELECT audit_events_drop(@keep::interval)`, pgx.NamedArgs{"keep": d.retention})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("drop what the audit need not keep any longer: %w", err)
	}
	return nil
}

// sweep removes what has expired: sessions beyond their lifetime, idle for too long, or of users who may not have one;
// tombstones that no longer guard anything; what was counted of sign-ins; browsers not seen for a year; links; drafts.
func (d *DB) sweep(ctx context.Context) error {
	return d.alone(ctx, func(tx pgx.Tx) error {
		// A user disabled by hand may be enabled by hand before the sessions are idle: they are not to come back.
		_, err := tx.Exec(ctx, endCTE+`
			DELETE FROM sessions s USING note, users u
			WHERE u.id = s.user_id AND (s.expiry <= now() OR s.last_seen_at <= now() - @idle::interval
				OR u.is_active IS NOT TRUE OR u.session_epoch <> s.epoch)`,
			endArgs(endNote{action: "session-expired"}, d.program, pgx.NamedArgs{"idle": d.idle}))
		if err != nil {
			return fmt.Errorf("remove expired sessions: %w", err)
		}
		for _, old := range []string{
			// A day more than needed: the clocks of this program and of the database may differ.
			`DELETE FROM ended_sessions WHERE expiry < now() - interval '1 day'`,
			`DELETE FROM sign_in_throttle t USING (SELECT kind, subject FROM sign_in_throttle
				WHERE last_at < now() - interval '1 day' AND (kind = 'client' OR failures < 100) ORDER BY kind, subject FOR UPDATE SKIP LOCKED) old
			 WHERE t.kind = old.kind AND t.subject = old.subject`,
			`DELETE FROM known_devices WHERE last_at < now() - interval '1 year'`,
			`DELETE FROM account_links WHERE expires_at < now() AND kind = 'reset'`, // an invitation says that nobody has the password yet
			`DELETE FROM drafts WHERE saved_at < now() - interval '1 hour'`,
		} {
			if _, err := tx.Exec(ctx, old); err != nil {
				return fmt.Errorf("remove what is over: %w", err)
			}
		}
		return nil
	})
}
