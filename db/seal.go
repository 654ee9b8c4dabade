package db

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
)

// The labels that open what a seal is made over. Another version of the encoding gets another label, and the two kinds
// differ, so that a seal of one kind is never one of the other.
const (
	keyedSeal   = "chartroom audit seal 1, keyed"
	unkeyedSeal = "chartroom audit seal 1, not keyed"
)

// eventColumns are audit_events' columns as they are digested, in this order, and as AUDIT_LOG names them. All come as
// text that no setting of a connection changes (DateStyle, TimeZone, binary or text protocol): recorded in microseconds
// since 1970, the rest as PostgreSQL writes the type.
var eventColumns = []struct{ name, text string }{
	{"id", "e.id::text"},
	{"recorded", "(extract(epoch FROM e.recorded) * 1000000)::bigint::text"},
	{"action", "e.action"},
	{"outcome", "e.outcome"},
	{"actor_id", "e.actor_id::text"},
	{"actor", "e.actor"},
	{"session_id", "e.session_id::text"},
	{"client", "e.client::text"},
	{"request_id", "e.request_id"},
	{"program", "e.program"},
	{"patients", "e.patients::text"},
	{"detail", "e.detail::text"},
}

// Where some of them stand.
const (
	eventID      = 0
	eventTime    = 1
	eventAction  = 2
	eventOutcome = 3
	eventDetail  = 11
)

// eventTexts is the list for a SELECT FROM audit_events e.
func eventTexts() string {
	var all []string
	for _, c := range eventColumns {
		all = append(all, c.text+" AS "+c.name)
	}
	return strings.Join(all, ", ")
}

// digestParts feeds a hash so that other parts never feed it the same: NULL differs from empty, and no part can take a
// byte of its neighbour's.
func digestParts(h hash.Hash, parts ...[]byte) {
	var head [9]byte
	for _, p := range parts {
		if p == nil {
			h.Write([]byte{0})
			continue
		}
		head[0] = 1
		binary.BigEndian.PutUint64(head[1:], uint64(len(p)))
		h.Write(head[:])
		h.Write(p)
	}
}

// seal is a row of audit_seals.
type seal struct {
	Block  int64
	Sealed int64 // microseconds since 1970
	Month  int   // its first day, in days since 1970
	IDs    string
	Events int
	Digest []byte
	KeyID  string
	Seal   []byte
	LastID int64
	Gaps   string
}

// sealColumns are read so that no value that somebody may have put there is an error.
const sealColumns = `block, CASE WHEN isfinite(sealed) THEN (extract(epoch FROM sealed) * 1000000)::bigint ELSE 0 END AS sealed,
	CASE WHEN isfinite(month) THEN month - date '1970-01-01' ELSE 0 END AS month, ids::text, events, digest, key_id, seal, last_id, gaps::text`

// made computes the seal over a block and the seal before it: HMAC-SHA256 under the key, or SHA-256 where there is none.
func (s seal) made(key, before []byte) []byte {
	h, label := sha256.New(), unkeyedSeal
	if key != nil {
		h, label = hmac.New(sha256.New, key), keyedSeal
	}
	number := func(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
	digestParts(h, []byte(label), number(s.Block), append([]byte{}, before...), number(s.Sealed), number(int64(s.Month)), []byte(s.IDs),
		number(int64(s.Events)), append([]byte{}, s.Digest...), []byte(s.KeyID), number(s.LastID), []byte(s.Gaps))
	return h.Sum(nil)
}

// auditKey is one of AUDIT_KEY's. The id says which it is, and nothing about it.
type auditKey struct {
	id  string
	key []byte
}

func auditKeys(secrets []string) []auditKey {
	var all []auditKey
	for _, s := range secrets {
		all = append(all, auditKey{hex.EncodeToString(DeriveKey(s, "audit key id")[:8]), DeriveKey(s, "audit seal")})
	}
	return all
}

// keyNamed finds the key of a block; ok is false where it is not among those given. A block that is not keyed has none.
func keyNamed(keys []auditKey, id string) (key []byte, ok bool) {
	if id == "" {
		return nil, true
	}
	for _, k := range keys {
		if k.id == id {
			return k.key, true
		}
	}
	return nil, false
}

// Anchor is a block's seal as it is kept outside of the database. Whoever cuts off or remakes the end of the chain cannot
// change what stands there.
type Anchor struct {
	Block int64
	Seal  []byte // 32 bytes
}

// String is the form that the log has and ParseAnchor reads: BLOCK:HEX.
func (a Anchor) String() string {
	return strconv.FormatInt(a.Block, 10) + ":" + hex.EncodeToString(a.Seal)
}

// ErrAnchor is for a text that is no anchor.
var ErrAnchor = errors.New(`a seal is written as BLOCK:HEX, as the log has it behind "audit sealed"`)

// ParseAnchor reads BLOCK:HEX.
func ParseAnchor(text string) (Anchor, error) {
	number, sum, _ := strings.Cut(strings.TrimSpace(text), ":")
	block, err := strconv.ParseInt(number, 10, 64)
	if err != nil || block < 1 {
		return Anchor{}, ErrAnchor
	}
	b, err := hex.DecodeString(sum)
	if err != nil || len(b) != sha256.Size {
		return Anchor{}, ErrAnchor
	}
	return Anchor{block, b}, nil
}

func (s seal) anchor() Anchor { return Anchor{s.Block, s.Seal} }

// multirange writes ids, which ascend, as PostgreSQL does.
func multirange(ids []int64) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i < len(ids); {
		end := i + 1
		for end < len(ids) && ids[end] <= ids[end-1]+1 { // the same one twice is one
			end++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		_, _ = io.WriteString(&b, "["+strconv.FormatInt(ids[i], 10)+","+strconv.FormatInt(ids[end-1]+1, 10)+")")
		i = end
	}
	b.WriteByte('}')
	return b.String()
}
