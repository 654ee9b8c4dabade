package db

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	sealEvery   = 2 * time.Second // an event must be sealed 5 s after it was committed; each round with events is a block, kept for years
	anchorEvery = time.Minute     // the newest seal goes to the log
	roundLimit  = 30 * time.Second
	lastRounds  = 1500 * time.Millisecond // when the server ends
	// An id that has not turned up is waited for: its transaction may still be open. A day is longer than any of ours, and
	// so many are more than a day has, but in a flood of failures.
	gapHours = 24
	mostGaps = 1000
)

const (
	// After so many events that this process sealed, audit_patients is gone on with: what is not in it yet is looked through for
	// each question about a patient, and what is in it takes the less room the more comes at once.
	enterEvery = 2000
	enterLimit = 15 * time.Minute // of all that there is to do; each part may hold the millions of patients of imports
)

// sealPortion is how many events are sealed in one transaction; a variable for tests alone.
var sealPortion = 5000

// newestSeal is how far the seals reach. Whoever can add rows to them can write any id there, but only the owner can move the
// sequence that gives ids.
const newestSeal = `SELECT least(last_id, coalesce(pg_sequence_last_value('audit_events_id_seq'), 0)) AS last_id, sealed FROM audit_seals ORDER BY block DESC LIMIT 1`

// Sealer seals the audit's events in blocks. Any number of processes may run one: the database lets one at a time work.
// Only one goroutine may use a Sealer.
type Sealer struct {
	pool    conns
	keys    []auditKey
	lines   *lineWriter // nil: events are not written
	log     *slog.Logger
	newest  seal      // the last one that this process made
	told    int64     // up to which block the log has
	toldAt  time.Time // when
	events  int       // sealed since
	toEnter int       // how many more are sealed before audit_patients is gone on with
	said    string    // the last round's error
	busy    bool      // in the last round, another one was at it
	meter   *meter
}

type conns interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// NewSealer makes one. The first of keys seals, all are accepted under the block before; none makes a chain that is not
// keyed. Where lines is not nil, each event is written there as a line of JSON before its block is committed: at least
// once, a repeated id is the same event.
func (d *DB) NewSealer(keys []string, lines io.Writer, log *slog.Logger) *Sealer {
	s := &Sealer{pool: d.pool, keys: auditKeys(keys), log: log, meter: d.meter}
	if lines != nil {
		s.lines = &lineWriter{w: lines}
	}
	return s
}

// Run seals until ctx ends, and then what was written until then. What fails is logged once, and tried again.
func (s *Sealer) Run(ctx context.Context) {
	due := make(chan struct{}, 1)
	go s.enterWhen(ctx, due)
	for {
		full, err := s.round(ctx)
		if ctx.Err() == nil {
			s.note(err)
			s.tell()
			if s.toEnter <= 0 && len(due) == 0 {
				due <- struct{}{}
				s.toEnter = enterEvery
			}
			if full {
				continue
			}
		}
		select {
		case <-ctx.Done():
			bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastRounds)
			s.toEnter = enterEvery // the next start does that
			s.note(s.sealLast(bounded))
			cancel()
			s.toldAt = time.Time{}
			s.tell()
			return
		case <-time.After(sealEvery):
		}
	}
}

// enterWhen enters whom events concerned beside the sealing, which must not wait for it.
func (s *Sealer) enterWhen(ctx context.Context, due <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
			if err := s.enter(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("whom audit events concerned could not be entered, it is tried again; answers take longer meanwhile, and are whole", "error", err)
			}
		}
	}
}

// note logs an error that is not the last one's.
func (s *Sealer) note(err error) {
	if err != nil {
		s.meter.sealFailures.Inc()
	}
	switch {
	case err != nil && err.Error() != s.said:
		s.log.Error("audit events could not be sealed, it is tried again", "error", err)
		s.said = err.Error()
	case err == nil && s.said != "":
		s.log.Info("audit events are sealed again")
		s.said = ""
	}
}

// tell logs the newest seal, so that whoever collects the log has it outside of the database.
func (s *Sealer) tell() {
	if s.newest.Block > s.told && time.Since(s.toldAt) >= anchorEvery {
		s.log.Info("audit sealed", "block", s.newest.Block, "events", s.events, "seal", s.newest.anchor().String())
		s.told, s.toldAt, s.events = s.newest.Block, time.Now(), 0
	}
}

// Seal seals all events that are committed now, and enters whom they concerned if many are not. Where another process is at it, it
// does nothing.
func (s *Sealer) Seal(ctx context.Context) error {
	for full := true; full; {
		var err error
		if full, err = s.round(ctx); err != nil {
			return err
		}
	}
	if s.toEnter > 0 {
		return nil
	}
	s.toEnter = enterEvery
	return s.enter(ctx)
}

// sealLast is Seal when the server ends. The round that this cut off may still be held to be at it, until the database has seen that it is
// not; what it leaves would be without a seal until the next start.
func (s *Sealer) sealLast(ctx context.Context) error {
	for {
		if err := s.Seal(ctx); err != nil || !s.busy {
			return err
		}
		select {
		case <-ctx.Done():
			return nil // then it is another process, which goes on
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// round seals one portion, and says whether it was a full one.
func (s *Sealer) round(ctx context.Context) (full bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	var made []seal
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var mine bool
		defer func() { s.busy = !mine }()
		// Over all months' partitions a plan takes longer than what it is for, so that one for all values is made once a connection.
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtext('chartroom audit seal'))
			FROM set_config('plan_cache_mode', 'force_generic_plan', true)`).Scan(&mine); err != nil || !mine {
			return err
		}
		last, err := s.last(ctx, tx)
		if err != nil {
			return err
		}
		blocks, err := s.portion(ctx, tx, last)
		if err != nil {
			return err
		}
		count := 0
		for _, b := range blocks {
			count += b.Events
		}
		full = count == sealPortion
		if count == 0 && last.Block > 0 && last.KeyID == "" && len(s.keys) > 0 {
			// From the moment that there is a key the chain's end is keyed, or verify could not tell it from a forged one.
			blocks = []*building{{hash: sha256.New(), month: "now"}}
		}
		for i, b := range blocks {
			next, err := s.add(ctx, tx, last, b, i == len(blocks)-1 && !full)
			if err != nil {
				return err
			}
			made, last = append(made, next), next
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("seal audit events: %w", err)
	}
	for _, b := range made {
		s.newest, s.events, s.toEnter = b, s.events+b.Events, s.toEnter-b.Events
	}
	return full, nil
}

// enter goes on with audit_patients until it has what is sealed.
func (s *Sealer) enter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, enterLimit)
	defer cancel()
	for more := true; more; {
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT set_config('statement_timeout', @limit::bigint::text, true)`, pgx.NamedArgs{"limit": enterLimit.Milliseconds()}); err != nil {
				return err
			}
			return tx.QueryRow(ctx, `SELECT audit_patients_make()`).Scan(&more)
		})
		if err != nil {
			return fmt.Errorf("enter whom events concerned: %w", err)
		}
	}
	return nil
}

// last reads the block to go on from, and refuses to go on without its key: else whoever can take a setting away could
// have the chain go on under seals that anybody can make.
func (s *Sealer) last(ctx context.Context, tx pgx.Tx) (seal, error) {
	rows, err := tx.Query(ctx, `SELECT `+sealColumns+` FROM audit_seals WHERE block = @mine OR block = (SELECT max(block) FROM audit_seals) ORDER BY block`,
		pgx.NamedArgs{"mine": s.newest.Block})
	if err != nil {
		return seal{}, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[seal])
	if err != nil {
		return seal{}, err
	}
	if s.newest.Block > 0 && (len(found) == 0 || found[0].Block != s.newest.Block || !bytes.Equal(found[0].Seal, s.newest.Seal)) {
		// No reason to stop: a standby that has taken over may lack the last moments. But it must not go unseen.
		s.log.Error("a block that this process sealed is not there any more, or is another: the database was taken back to an earlier state, "+
			"or somebody has changed the audit; keep this seal", "seal", s.newest.anchor().String())
		s.newest, s.told = seal{}, 0
	}
	if len(found) == 0 {
		return seal{Gaps: "{}"}, nil
	}
	last := found[len(found)-1]
	if _, ok := keyNamed(s.keys, last.KeyID); !ok {
		return seal{}, fmt.Errorf("the audit is sealed with a key (its id is %s) that AUDIT_KEY does not hold: add that key to the list, "+
			"behind the new one where it was replaced; until then no event is sealed", last.KeyID)
	}
	// A block that somebody else has put there must not be gone on from: a high last_id in it would have nothing sealed any more.
	var before []byte
	var keyed bool
	if err := tx.QueryRow(ctx, `SELECT (SELECT seal FROM audit_seals WHERE block = @block::bigint - 1),
		@key_id::text = '' AND EXISTS (SELECT 1 FROM audit_seals WHERE block = @block::bigint - 1 AND key_id <> '')`,
		pgx.NamedArgs{"block": last.Block, "key_id": last.KeyID}).Scan(&before, &keyed); err != nil {
		return seal{}, err
	}
	if key, _ := keyNamed(s.keys, last.KeyID); keyed || !bytes.Equal(last.made(key, before), last.Seal) {
		return seal{}, fmt.Errorf("the newest block (%d) does not bear its seal: somebody has put it there or changed it; run `chartroom audit verify`; until then no event is sealed", last.Block)
	}
	return last, nil
}

// building is a block on its way.
type building struct {
	seal
	hash  hash.Hash
	month string // YYYY-MM-01, of the database
	ids   []int64
}

// portion reads events that are not sealed yet: those behind the last one, and those that have turned up in gaps. A block
// is of one month. The order of commits does not matter, nor do clocks. An id that the sequence has not given yet is left
// alone, or a single event with a huge one would make a gap of all that come.
func (s *Sealer) portion(ctx context.Context, tx pgx.Tx, last seal) ([]*building, error) {
	rows, err := tx.Query(ctx, `
		SELECT t.* FROM (
			(SELECT e.id AS by_id, to_char(e.recorded AT TIME ZONE 'UTC', 'YYYY-MM-01') AS in_month, `+eventTexts()+`
			 FROM unnest(@gaps::text::int8multirange) g, LATERAL (SELECT e.* FROM audit_events e WHERE e.id >= lower(g) AND e.id < upper(g) ORDER BY e.id OFFSET 0) e
			 ORDER BY e.id LIMIT @portion)
			UNION ALL
			(SELECT e.id, to_char(e.recorded AT TIME ZONE 'UTC', 'YYYY-MM-01'), `+eventTexts()+`
			 FROM audit_events e WHERE e.id > @last AND e.id <= coalesce(pg_sequence_last_value('audit_events_id_seq'), 0)
			 ORDER BY e.id LIMIT @portion)
		) t ORDER BY by_id LIMIT @portion`, pgx.NamedArgs{"gaps": last.Gaps, "last": last.LastID, "portion": sealPortion})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var blocks []*building
	byMonth := map[string]*building{}
	for rows.Next() {
		raw := rows.RawValues()
		month, event := string(raw[1]), raw[2:]
		b := byMonth[month]
		if b == nil {
			b = &building{hash: sha256.New(), month: month}
			byMonth[month] = b
			blocks = append(blocks, b)
		}
		id, err := strconv.ParseInt(string(event[eventID]), 10, 64)
		if err != nil {
			return nil, err
		}
		b.ids = append(b.ids, id)
		b.Events++
		digestParts(b.hash, event...)
		if s.lines != nil {
			if err := s.lines.event(ctx, event); err != nil {
				return nil, err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if s.lines != nil {
		return blocks, s.lines.flush(ctx)
	}
	return blocks, nil
}

// add seals a block and puts it behind the last one. Ids that were passed over are gaps from then on; where forget, which
// needs a portion that has looked into all of them, the old ones are given up.
func (s *Sealer) add(ctx context.Context, tx pgx.Tx, last seal, b *building, forget bool) (seal, error) {
	next := b.seal
	next.Block, next.IDs, next.Digest, next.LastID = last.Block+1, multirange(b.ids), b.hash.Sum(nil), last.LastID
	if len(b.ids) > 0 {
		next.LastID = max(last.LastID, b.ids[len(b.ids)-1])
	}
	var key []byte
	if len(s.keys) > 0 {
		next.KeyID, key = s.keys[0].id, s.keys[0].key
	}
	var sealed, month time.Time
	err := tx.QueryRow(ctx, fmt.Sprintf(`
		SELECT clock_timestamp(), CASE @month WHEN 'now' THEN date_trunc('month', now() AT TIME ZONE 'UTC')::date ELSE to_date(@month, 'YYYY-MM-DD') END,
			(SELECT coalesce(range_agg(r), '{}')::text FROM (
				SELECT r FROM unnest((@gaps::text::int8multirange + int8multirange(int8range(@from::bigint, @to::bigint)) - @ids::text::int8multirange)
					* int8multirange(int8range(CASE WHEN @forget THEN coalesce((SELECT last_id + 1 FROM audit_seals
						WHERE sealed < clock_timestamp() - interval '%d hours' ORDER BY sealed DESC LIMIT 1), 0) ELSE 0 END, NULL))) r
				ORDER BY r DESC LIMIT CASE WHEN @forget THEN %d END) newest)`, gapHours, mostGaps), pgx.NamedArgs{
		"month": b.month, "gaps": last.Gaps, "from": last.LastID + 1, "to": next.LastID + 1, "ids": next.IDs, "forget": forget}).Scan(&sealed, &month, &next.Gaps)
	if err != nil {
		return seal{}, err
	}
	next.Sealed, next.Month = sealed.UnixMicro(), int(month.Unix()/(24*60*60))
	next.Seal = next.made(key, last.Seal)
	_, err = tx.Exec(ctx, `
		INSERT INTO audit_seals (block, sealed, month, ids, events, digest, key_id, seal, last_id, gaps)
		VALUES (@block, @sealed, @month, @ids::text::int8multirange, @events, @digest, @key_id, @seal, @last_id, @gaps::text::int8multirange)`, pgx.NamedArgs{
		"block": next.Block, "sealed": sealed, "month": month, "ids": next.IDs, "events": next.Events, "digest": next.Digest,
		"key_id": next.KeyID, "seal": next.Seal, "last_id": next.LastID, "gaps": next.Gaps})
	return next, err
}
