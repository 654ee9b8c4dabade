package db

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// VerifyOptions are what is known outside of the database.
type VerifyOptions struct {
	Keys      []string      // AUDIT_KEY's, the present one and those before
	Anchor    *Anchor       // a seal that the chain must still have; nil for none
	Retention time.Duration // months that lie wholly before may have been dropped
}

// AuditReport is what VerifyAudit found.
type AuditReport struct {
	Blocks         int64      `json:"blocks"`
	Events         int64      `json:"events"`          // sealed and there
	Dropped        int64      `json:"dropped"`         // sealed, and dropped with their month
	Unsealed       int64      `json:"unsealed"`        // not sealed yet
	OldestUnsealed *time.Time `json:"oldest_unsealed"` // of those
	Late           int64      `json:"late"`            // sealed more than an hour after they were recorded
	LateFrom       int64      `json:"late_from"`       // the first block with such events; 0 where there is none
	KeyedFrom      int64      `json:"keyed_from"`      // the first block that is keyed; 0 where none is
	Newest         string     `json:"newest"`          // the newest seal, to be kept outside: BLOCK:HEX; empty where there is none
	Bad            *BadBlock  `json:"bad"`             // nil when all is as it was sealed
}

// BadBlock is the first block at which the audit is not what was sealed.
type BadBlock struct {
	Block  int64  `json:"block"`
	Reason string `json:"reason"` // what is wrong with it, half a sentence
}

// verifyPortion bounds what is kept in memory: so many rows of audit_seals. Events pass one by one.
const verifyPortion = 500

// VerifyAudit compares all sealed events and all seals with what they were when they were sealed, in one snapshot. An
// error means that it could not be done; what is wrong with the audit stands in the report.
func (d *DB) VerifyAudit(ctx context.Context, o VerifyOptions) (AuditReport, error) {
	v := &verifier{keys: auditKeys(o.Keys), anchor: o.Anchor, keep: time.Now().Add(-o.Retention), gone: map[int]int64{}, goneEvents: map[int]int64{}}
	err := pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		// In the transaction alone: settings that outlive it would reach strangers behind a transaction pooler. The planner
		// knows nothing of what a multirange holds, and would rather read everything, and sort it, for each portion.
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '16MB'; SET LOCAL jit = off;
			SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_memoize = off`); err != nil {
			return err
		}
		return v.verify(ctx, tx)
	})
	if refused(err) == "42P01" { // undefined_table
		err = errors.New("the database has no seals yet: run `chartroom migrate`, and the server seals what there is")
	}
	if err != nil {
		return AuditReport{}, fmt.Errorf("verify the audit: %w", err)
	}
	return v.report, nil
}

type verifier struct {
	keys   []auditKey
	anchor *Anchor
	keep   time.Time // months that reach beyond must be there
	report AuditReport

	last       seal          // the block before
	gone       map[int]int64 // by month, the first block whose events are all missing
	goneEvents map[int]int64
	dropped    string // the newest month that a sealed event says was dropped: YYYY-MM
}

// checkedSeal is a row, and what the database finds about its place behind the one before.
type checkedSeal struct {
	seal
	Fits bool // none of its ids was sealed before, or given up, and there are as many as it says
}

// fail notes what is wrong, if nothing before is.
func (v *verifier) fail(block int64, reason string, args ...any) {
	if v.report.Bad == nil || block < v.report.Bad.Block {
		v.report.Bad = &BadBlock{block, fmt.Sprintf(reason, args...)}
	}
}

func (v *verifier) verify(ctx context.Context, tx pgx.Tx) error {
	for after := int64(math.MinInt64); ; after = v.last.Block {
		seals, err := v.seals(ctx, tx, after)
		if err != nil {
			return err
		}
		if len(seals) == 0 {
			break
		}
		if err := v.events(ctx, tx, seals, v.chain(seals)); err != nil {
			return err
		}
	}
	// A drop's event waits for its seal a few seconds, as all do.
	var waiting string
	if err := tx.QueryRow(ctx, `
		SELECT coalesce(max(detail ->> 'month'), '') FROM audit_events
		WHERE action = 'audit-drop' AND outcome = 'success' AND (id > @last::bigint OR id <@ @gaps::text::int8multirange)`,
		pgx.NamedArgs{"last": v.last.LastID, "gaps": orText(v.last.Gaps, "{}")}).Scan(&waiting); err != nil {
		return err
	}
	v.dropped = max(v.dropped, waiting)
	v.end()
	return v.others(ctx, tx)
}

func (v *verifier) seals(ctx context.Context, tx pgx.Tx, after int64) ([]checkedSeal, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+sealColumns+`, coalesce(ids <@ (lag(gaps, 1, @gaps::text::int8multirange) OVER w + int8multirange(int8range(least(lag(last_id, 1, @last_id) OVER w, 9223372036854775806) + 1, NULL))), false) AS fits
		FROM (SELECT * FROM audit_seals WHERE block > @after ORDER BY block LIMIT @portion) s
		WINDOW w AS (ORDER BY block)
		ORDER BY block`, pgx.NamedArgs{"after": after, "portion": verifyPortion, "last_id": v.last.LastID, "gaps": orText(v.last.Gaps, "{}")})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[checkedSeal])
}

func orText(s, preset string) string {
	if s == "" {
		return preset
	}
	return s
}

// chain checks the seals of a portion, each over the one before, and says which are right.
func (v *verifier) chain(seals []checkedSeal) []bool {
	right := make([]bool, len(seals))
	for i, s := range seals {
		next := v.last.Block + 1
		key, known := keyNamed(v.keys, s.KeyID)
		switch {
		case s.Block < next:
			v.fail(s.Block, "was never sealed: the first block is 1")
		case s.Block > next:
			v.fail(next, "is missing")
		case !known:
			v.fail(s.Block, "is sealed with a key (its id is %s) that AUDIT_KEY does not hold, so that nobody can say whether it is right: add that key to the list", strconv.Quote(s.KeyID))
		case key == nil && v.report.KeyedFrom > 0:
			v.fail(s.Block, "is not keyed, while block %d before it is: it was put there by somebody who has no key", v.report.KeyedFrom)
		case !bytes.Equal(s.made(key, v.last.Seal), s.seal.Seal):
			v.fail(s.Block, "does not bear its seal: what audit_seals says of it, or of the block before, was changed")
		case !s.Fits:
			v.fail(s.Block, "says of events that were sealed before it, or that had been given up, that they are its own")
		default:
			right[i] = true
		}
		if s.KeyID != "" && v.report.KeyedFrom == 0 {
			v.report.KeyedFrom = s.Block
		}
		if v.anchor != nil && v.anchor.Block == s.Block && !bytes.Equal(v.anchor.Seal, s.seal.Seal) {
			v.fail(s.Block, "bears another seal than the anchor: the chain was made anew from this block, or from one before it")
		}
		v.last = s.seal
		v.report.Blocks++
	}
	return right
}

// walked is one block's events on their way past.
type walked struct {
	hash    hash.Hash
	events  int
	dropped string // the newest month that an event of it says was dropped
}

// events digests what is there of the blocks of a portion whose seals are right; of the others nothing is believed, not
// even which events they have. Each event is looked for by its id in all months, so that one that was moved is seen to
// have been changed.
func (v *verifier) events(ctx context.Context, tx pgx.Tx, seals []checkedSeal, right []bool) error {
	var wrong []int64
	for i, s := range seals {
		if !right[i] {
			wrong = append(wrong, s.Block)
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT s.block::text AS block, e.*
		FROM (SELECT block, ids FROM audit_seals WHERE block BETWEEN @first AND @last AND NOT block = ANY (coalesce(@wrong::bigint[], '{}'))) s
		CROSS JOIN LATERAL unnest(s.ids) r
		CROSS JOIN LATERAL (SELECT `+eventTexts()+`, e.id AS by_id, e.recorded AS by_time FROM audit_events e WHERE e.id >= lower(r) AND e.id < upper(r) OFFSET 0) e
		ORDER BY s.block, by_id, by_time`, pgx.NamedArgs{"first": seals[0].Block, "last": seals[len(seals)-1].Block, "wrong": wrong})
	if err != nil {
		return err
	}
	defer rows.Close()
	at, w := 0, walked{hash: sha256.New()}
	for rows.Next() {
		raw := rows.RawValues()
		block, err := strconv.ParseInt(string(raw[0]), 10, 64)
		if err != nil {
			return err
		}
		for ; seals[at].Block != block; at++ {
			if right[at] {
				v.compare(seals[at].seal, w)
				w = walked{hash: sha256.New()}
			}
		}
		event := raw[1 : 1+len(eventColumns)]
		digestParts(w.hash, event...)
		w.events++
		if micros, err := strconv.ParseInt(string(event[eventTime]), 10, 64); err == nil && seals[at].Sealed-micros > time.Hour.Microseconds() {
			if v.report.Late++; v.report.LateFrom == 0 {
				v.report.LateFrom = block
			}
		}
		if string(event[eventAction]) == "audit-drop" && string(event[eventOutcome]) == "success" {
			var detail struct{ Month string }
			if json.Unmarshal(event[eventDetail], &detail) == nil {
				w.dropped = max(w.dropped, detail.Month)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for ; at < len(seals); at++ {
		if right[at] {
			v.compare(seals[at].seal, w)
			w = walked{hash: sha256.New()}
		}
	}
	return nil
}

// compare judges what is there of a block.
func (v *verifier) compare(s seal, w walked) {
	v.report.Events += int64(w.events)
	switch {
	case bytes.Equal(w.hash.Sum(nil), s.Digest) && w.events == s.Events:
		v.dropped = max(v.dropped, w.dropped)
	case w.events == 0 && s.Events > 0:
		if first, ok := v.gone[s.Month]; !ok || s.Block < first {
			v.gone[s.Month] = s.Block
		}
		v.goneEvents[s.Month] += int64(s.Events)
	case w.events < s.Events:
		v.fail(s.Block, "lacks %d of its %d events: removed, or moved elsewhere", s.Events-w.events, s.Events)
	case w.events > s.Events:
		v.fail(s.Block, "has %d events and was sealed with %d: something was inserted", w.events, s.Events)
	default:
		v.fail(s.Block, "has the number of events that it was sealed with (%d), but they were changed", s.Events)
	}
}

// end judges what only the whole chain shows.
func (v *verifier) end() {
	for month, block := range v.gone {
		first := time.Unix(int64(month)*24*60*60, 0).UTC()
		switch name := first.Format("2006-01"); {
		case name > v.dropped:
			v.fail(block, "lacks all its events, and no sealed event says that its month (%s) was dropped", name)
		case first.AddDate(0, 1, 0).After(v.keep):
			v.fail(block, "lacks all its events: its month (%s) was dropped before its time", name)
		default:
			v.report.Dropped += v.goneEvents[month]
		}
	}
	if v.anchor != nil && v.anchor.Block > v.last.Block {
		v.fail(v.last.Block+1, "is missing, and so is all up to block %d, which the anchor knows: the end was cut off", v.anchor.Block)
	}
	if v.last.Block > 0 && v.last.KeyID == "" && len(v.keys) > 0 {
		v.fail(v.last.Block, "is the newest and is not keyed, though there is a key: where the server runs with AUDIT_KEY, the chain was made anew without it")
	}
	if v.last.Block > 0 {
		v.report.Newest = v.last.anchor().String()
	}
}

// others looks at the events beside the sealed ones: those that wait, and those that were put where the seals had passed.
// It looks for the latter among what is known to be right, which ends at the first bad block.
func (v *verifier) others(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on`); err != nil { // this does read everything
		return err
	}
	var passed int64
	args := pgx.NamedArgs{"last": v.last.LastID, "gaps": orText(v.last.Gaps, "{}")}
	err := tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE NOT open), count(*) FILTER (WHERE open), min(recorded) FILTER (WHERE open AND isfinite(recorded))
		FROM (SELECT recorded, id > @last::bigint OR id <@ @gaps::text::int8multirange AS open FROM audit_events) e`, args).
		Scan(&passed, &v.report.Unsealed, &v.report.OldestUnsealed)
	if err != nil {
		return err
	}
	upTo := v.last
	if v.report.Bad != nil {
		rows, err := tx.Query(ctx, `SELECT `+sealColumns+` FROM audit_seals WHERE block < @bad AND block > 0 ORDER BY block DESC LIMIT 1`, pgx.NamedArgs{"bad": v.report.Bad.Block})
		if err != nil {
			return err
		}
		upTo, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[seal])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
	} else if passed == v.report.Events {
		return nil
	}
	return v.inserted(ctx, tx, upTo)
}

// inserted names the first block that sealed that there is no such event: it has passed the id, and neither has it nor
// leaves it open.
func (v *verifier) inserted(ctx context.Context, tx pgx.Tx, upTo seal) error {
	var id, block int64
	err := tx.QueryRow(ctx, `
		WITH sealed AS (
			SELECT s.month, i AS id FROM audit_seals s, unnest(s.ids) r, generate_series(lower(r), upper(r) - 1) i WHERE s.block BETWEEN 1 AND @block
		)
		SELECT e.id, (SELECT min(block) FROM audit_seals s WHERE s.last_id >= e.id AND NOT s.gaps @> e.id AND s.block BETWEEN 1 AND @block) AS block
		FROM audit_events e LEFT JOIN sealed s ON s.id = e.id AND s.month = date_trunc('month', e.recorded AT TIME ZONE 'UTC')
		WHERE s.id IS NULL AND e.id <= @last::bigint AND NOT e.id <@ @gaps::text::int8multirange
		ORDER BY block LIMIT 1`, pgx.NamedArgs{"block": upTo.Block, "last": upTo.LastID, "gaps": upTo.Gaps}).Scan(&id, &block)
	if errors.Is(err, pgx.ErrNoRows) {
		if v.report.Bad == nil {
			v.fail(v.last.Block, "and those before it have %d events, and the table has another number of them", v.report.Events)
		}
		return nil
	}
	if err == nil {
		v.fail(block, "had no event %d when it was sealed, and now there is one: it was inserted", id)
	}
	return err
}

// Summary says it in sentences, for people.
func (r AuditReport) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d blocks with %d events are as they were sealed.\n", r.Blocks, r.Events)
	if r.Dropped > 0 {
		fmt.Fprintf(&b, "%d events more were sealed and dropped, with their months, after the time that they are kept.\n", r.Dropped)
	}
	switch {
	case r.Unsealed == 0:
		b.WriteString("All events are sealed.\n")
	case r.OldestUnsealed == nil: // none that has a time
		fmt.Fprintf(&b, "%d events are not sealed.\n", r.Unsealed)
	case time.Since(*r.OldestUnsealed) > time.Minute:
		fmt.Fprintf(&b, "%d events are not sealed, the oldest since %s: no server runs or its log says why it cannot; or the end of the chain was cut off, which --anchor finds.\n",
			r.Unsealed, r.OldestUnsealed.UTC().Format(time.RFC3339))
	default:
		fmt.Fprintf(&b, "%d events are not sealed yet, the oldest for %s.\n", r.Unsealed, max(0, time.Since(*r.OldestUnsealed)).Round(time.Millisecond))
	}
	if r.Late > 0 {
		fmt.Fprintf(&b, "%d events were sealed more than an hour after they were recorded, the first in block %d: no server ran then, or the audit is older than its seals; "+
			"or the chain was cut off and the server went on over other events, which only --anchor finds.\n", r.Late, r.LateFrom)
	}
	switch {
	case r.Blocks == 0:
		return b.String()
	case r.KeyedFrom == 0:
		b.WriteString("The chain is not keyed (AUDIT_KEY): who may write to the database could make it anew, which only a seal that is kept outside shows.\n")
	case r.KeyedFrom == 1:
		b.WriteString("The chain is keyed.\n")
	default:
		fmt.Fprintf(&b, "The chain is keyed from block %d on; what is before it could have been made anew by who may write to the database.\n", r.KeyedFrom)
	}
	fmt.Fprintf(&b, "The newest seal, to be kept outside for --anchor: %s\n", r.Newest)
	return b.String()
}
