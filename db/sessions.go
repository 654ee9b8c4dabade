package db

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Session is what a session knows: who signed in, how, and from where. It is stored as JSON, because triggers read it
// and because a program of another release must be able to. It holds nothing that changes while the session lives, so
// that two requests at once cannot overwrite each other's.
type Session struct {
	ID        string   `json:"id"` // UUID
	UserID    int      `json:"user_id"`
	Epoch     int      `json:"epoch"`   // users.session_epoch at sign-in; a later one ends the session
	Methods   []string `json:"methods"` // RFC 8176 names of the factors used
	Client    *string  `json:"client"`  // address
	UserAgent string   `json:"user_agent"`
	RequestID string   `json:"request_id"`
	Program   string   `json:"program"`
}

// sessionKey is where scs's map of values holds the Session; there is no other value.
const sessionKey = "session"

// SessionStore is scs's store: pgxstore, with tokens kept as HMACs so that a copy of the table opens no session.
type SessionStore struct {
	pg          *pgxstore.PostgresStore
	pool        *pgxpool.Pool
	keys        [][]byte
	deviceKeys  [][]byte
	throttleKey []byte // of the oldest secret, so that a new one does not forget who failed
	program     string
}

var _ scs.CtxStore = (*SessionStore)(nil)

func newSessionStore(pool *pgxpool.Pool, secrets []string, program string) *SessionStore {
	// No clean-up by pgxstore: its goroutine cannot be stopped safely, and Housekeep records what expired.
	s := &SessionStore{pg: pgxstore.NewWithCleanupInterval(pool, 0), pool: pool, program: program}
	for _, secret := range secrets {
		s.keys = append(s.keys, DeriveKey(secret, "session token"))
		s.deviceKeys = append(s.deviceKeys, DeriveKey(secret, "device"))
		s.throttleKey = DeriveKey(secret, "sign-in throttle")
	}
	return s
}

// DeriveKey makes a 32-byte key for one purpose from a setting, so that no key serves two purposes (RFC 5869).
func DeriveKey(secret, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "chartroom "+purpose, 32)
	if err != nil {
		panic(err) // only for lengths beyond 8 kB
	}
	return key
}

// stored gives the forms in which a token may stand in the table, the current key's first.
func (s *SessionStore) stored(token string) []string {
	var all []string
	for _, k := range s.keys {
		mac := hmac.New(sha256.New, k)
		mac.Write([]byte(token))
		all = append(all, base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	}
	return all
}

// FindCtx looks a token up under every accepted key.
func (s *SessionStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	// All keys at once: between two looks a page may move the session to the first key.
	rows, err := s.pool.Query(ctx, `SELECT data FROM sessions WHERE token = ANY (@tokens::text[]) AND expiry > now()`, pgx.NamedArgs{"tokens": s.stored(token)})
	if err != nil {
		return nil, false, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	return found[0], true, nil
}

// CommitCtx writes a session under the current key. The database refuses one that has ended, and records a new one as
// a sign-in in the same transaction.
func (s *SessionStore) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	return s.pg.CommitCtx(ctx, s.stored(token)[0], b, expiry)
}

// endNote names who and what ended a session, for the event that the table's trigger writes.
type endNote struct {
	action    string
	client    *string
	requestID string
}

type endNoteKey struct{}

// WithSignOut marks ctx, so that a session that is destroyed under it is recorded as a sign-out by that client.
func WithSignOut(ctx context.Context, client netip.Addr, requestID string) context.Context {
	return context.WithValue(ctx, endNoteKey{}, endNote{"sign-out", clientText(client), requestID})
}

// DeleteCtx ends a session for good. It is not left to pgxstore because the reason must be in the same transaction.
func (s *SessionStore) DeleteCtx(ctx context.Context, token string) error {
	note, ok := ctx.Value(endNoteKey{}).(endNote)
	if !ok {
		note.action = "session-renewed"
	}
	_, err := s.pool.Exec(ctx, endCTE+`
		DELETE FROM sessions USING note WHERE token = ANY (@tokens::text[])`,
		endArgs(note, s.program, pgx.NamedArgs{"tokens": s.stored(token)}))
	return err
}

// endCTE hands an endNote to the trigger behind DELETE, through settings that last as long as the transaction. Whoever
// uses it must join note, or it is not evaluated.
const endCTE = `WITH note AS MATERIALIZED (
	SELECT set_config('chartroom.end_action', @end_action, true), set_config('chartroom.client', @end_client, true),
	       set_config('chartroom.request_id', @end_request, true), set_config('chartroom.program', @end_program, true)
)`

func endArgs(n endNote, program string, args pgx.NamedArgs) pgx.NamedArgs {
	client := ""
	if n.client != nil {
		client = *n.client
	}
	args["end_action"], args["end_client"], args["end_request"], args["end_program"] = n.action, client, n.requestID, program
	return args
}

// Find, Commit and Delete exist because scs.Store asks for them; scs prefers the ones with a context.
func (s *SessionStore) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}
func (s *SessionStore) Commit(token string, b []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, b, expiry)
}
func (s *SessionStore) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// ErrUnreadableSession is a stored session that this program cannot read. It counts as none.
var ErrUnreadableSession = errors.New("the stored session is not readable")

// SessionCodec writes a Session as JSON, in place of scs's gob, which no trigger and no other language can read.
type SessionCodec struct{}

type sessionRecord struct {
	Deadline time.Time `json:"deadline"`
	Session
}

// Encode implements scs.Codec.
func (SessionCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	s, ok := values[sessionKey].(Session)
	if !ok {
		return nil, fmt.Errorf("a session without a user is not stored")
	}
	return json.Marshal(sessionRecord{deadline, s})
}

// Decode implements scs.Codec.
func (SessionCodec) Decode(b []byte) (time.Time, map[string]any, error) {
	var r sessionRecord
	if err := json.Unmarshal(b, &r); err != nil {
		// Not the cause: it may quote what stood there.
		return time.Time{}, nil, ErrUnreadableSession
	}
	return r.Deadline, map[string]any{sessionKey: r.Session}, nil
}

// Sessions gives scs what it needs: the manager with the store, the codec and the absolute lifetime. Idleness is not
// scs's: its IdleTimeout writes every session back after every request, which also brings back one that was ended.
func (d *DB) Sessions(lifetime time.Duration) *scs.SessionManager {
	m := scs.New()
	m.Store, m.Codec, m.Lifetime, m.IdleTimeout = d.sessions, SessionCodec{}, lifetime, 0
	return m
}

// EndSession ends a session by its token alone, whatever stands in it.
func (d *DB) EndSession(ctx context.Context, token string) error {
	return d.sessions.DeleteCtx(ctx, token)
}

// PutSession places the one value that a session holds into scs's map, with a fresh id.
func PutSession(ctx context.Context, m *scs.SessionManager, s Session) {
	s.ID = newUUID()
	m.Put(ctx, sessionKey, s)
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
