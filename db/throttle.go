package db

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Throttled is a sign-in that was refused before its password was looked at, because too many have failed. It says the
// same for a right password as for a wrong one, and for a name that nobody has.
type Throttled struct{ After time.Duration }

func (t Throttled) Error() string {
	return fmt.Sprintf("too many failed sign-ins, try again in %s", t.After)
}

// ErrBusy says that more passwords wait to be verified than makes sense. No guess was counted.
var ErrBusy = errors.New("too many sign-ins at once")

// hashQueue bounds how many bcrypts run at once: without a bound a flood of sign-ins takes every core, and the pages of
// those who work stand still (measured). A few more wait; whoever comes then is told to come back.
type hashQueue struct{ places, running chan struct{} }

// waitingForEach is how many wait for each that runs: two seconds or so.
const waitingForEach = 8

var hashing = newHashQueue(max(1, runtime.NumCPU()-1))

func newHashQueue(atOnce int) *hashQueue {
	return &hashQueue{places: make(chan struct{}, atOnce*(1+waitingForEach)), running: make(chan struct{}, atOnce)}
}

// enter takes a place in the queue, or ErrBusy at once. The function given back leaves it.
func (q *hashQueue) enter() (func(), error) {
	select {
	case q.places <- struct{}{}:
		return func() { <-q.places }, nil
	default:
		return nil, ErrBusy
	}
}

// run waits for its turn.
func (q *hashQueue) run(ctx context.Context, hash func()) error {
	select {
	case q.running <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
	defer func() { <-q.running }()
	hash()
	return nil
}

// hash gives the hash to store for a new password, when its turn has come.
func (q *hashQueue) hash(ctx context.Context, password string, words ...string) (hash string, err error) {
	if err := CheckPassword(password, words...); err != nil {
		return "", err
	}
	leave, err := q.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	if busy := q.run(ctx, func() { hash, err = HashPassword(password, words...) }); busy != nil {
		return "", busy
	}
	return hash, err
}

// A device cookie says that this browser was signed in from before; by whom stands in known_devices. Its value is a random
// part and a signature over it, so that made-up ones cost no look at the database.
const deviceBytes = 24

func (s *SessionStore) newDevice() string {
	b := make([]byte, deviceBytes)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return s.signDevice(b)
}

func (s *SessionStore) signDevice(random []byte) string {
	mac := hmac.New(sha256.New, s.deviceKeys[0])
	mac.Write(random)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(append([]byte(nil), random...)))
}

// device reads a cookie; nil for one that is not ours.
func (s *SessionStore) device(cookie string) []byte {
	b, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(b) != deviceBytes+sha256.Size {
		return nil
	}
	for _, key := range s.deviceKeys {
		mac := hmac.New(sha256.New, key)
		mac.Write(b[:deviceBytes])
		if hmac.Equal(mac.Sum(nil), b[deviceBytes:]) {
			return b[:deviceBytes]
		}
	}
	return nil
}

func deviceHash(random []byte) []byte {
	sum := sha256.Sum256(random)
	return sum[:]
}

// subjects are what a sign-in is counted under. A browser that is known counts for itself alone.
type subjects struct{ name, client, device []byte }

func (s *SessionStore) subjects(username string, client netip.Addr, device []byte) (all subjects) {
	under := func(parts ...string) []byte {
		mac := hmac.New(sha256.New, s.throttleKey)
		mac.Write([]byte(strings.Join(parts, "\x00")))
		return mac.Sum(nil)
	}
	all.name = under("name", username)
	if client = client.Unmap().WithZone(""); client.IsValid() {
		bits := 32
		if client.Is6() {
			bits = 64 // what one customer gets
		}
		net, _ := client.Prefix(bits) // of a valid address, with a length that it has
		all.client = under("client", net.String())
	}
	if device != nil {
		all.device = under("device", string(deviceHash(device)), username)
	}
	return all
}

// strangers gives the kinds and subjects for sign_in_attempt, of a browser that nobody knows.
func (s subjects) strangers() (kinds []string, values [][]byte) {
	kinds, values = []string{"name"}, [][]byte{s.name}
	if s.client != nil {
		kinds, values = append(kinds, "client"), append(values, s.client)
	}
	return kinds, values
}

// attempt is a sign-in that was counted, with what is known of the account.
type attempt struct {
	Wait         time.Duration
	Noted        bool
	Locked       bool
	Known        bool // the browser
	ID           *int
	Username     *string
	Email        *string
	PasswordHash *string
	IsActive     *bool
	SessionEpoch *int
}

// try counts an attempt and looks up the account, in one statement that does the same for every name.
func (d *DB) try(ctx context.Context, username string, s subjects, device []byte) (attempt, error) {
	kinds, values := s.strangers()
	known := username
	if !typable(username) {
		known = "" // which nobody is called
	}
	var hash []byte
	if device != nil {
		hash = deviceHash(device)
	}
	rows, err := d.pool.Query(ctx, `
		WITH account AS MATERIALIZED (
			SELECT u.id, u.username, u.email, u.password_hash, u.is_active, u.session_epoch,
			       EXISTS (SELECT 1 FROM known_devices k WHERE k.user_id = u.id AND k.device = @device::bytea) AS known
			FROM users u WHERE u.username = @username
		), who AS MATERIALIZED (
			SELECT (SELECT id FROM account) AS id, coalesce((SELECT known FROM account), false) AS known
		)
		SELECT t.wait, t.noted, t.locked, w.known, a.id, a.username, a.email, a.password_hash, a.is_active, a.session_epoch
		FROM who w CROSS JOIN LATERAL sign_in_attempt(
			CASE WHEN w.known THEN ARRAY['device'] ELSE @kinds::text[] END,
			CASE WHEN w.known THEN ARRAY[@device_subject::bytea] ELSE @subjects::bytea[] END, w.id) t
		LEFT JOIN account a ON true`,
		pgx.NamedArgs{"username": known, "device": hash, "device_subject": s.device, "kinds": kinds, "subjects": values})
	if err != nil {
		return attempt{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[attempt])
}

// forgiveCTE takes back what a sign-in that succeeded was counted under: all of the name's or the browser's, but of the address
// only this one, or whoever has an account could guess at those of others for ever.
const forgiveCTE = `
WITH forgiven AS (
	DELETE FROM sign_in_throttle WHERE CASE WHEN @known THEN kind = 'device' AND subject = @device_subject ELSE kind = 'name' AND subject = @name_subject END
), refunded AS (
	UPDATE sign_in_throttle SET failures = greatest(failures - 1, 0), blocked_until = '-infinity'
	WHERE kind = 'client' AND subject = @client_subject AND NOT @known
)`
