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

	"github.com/VictoriaMetrics/metrics"
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
type hashQueue struct {
	places, running chan struct{}
	waits           *metrics.PrometheusHistogram
	busy            *metrics.Counter
}

// waitingForEach is how many wait for each that runs: two seconds or so.
const waitingForEach = 8

var hashing = newHashQueue(max(1, runtime.GOMAXPROCS(0)-1)) // of the cores that the container may use

func newHashQueue(atOnce int) *hashQueue {
	return &hashQueue{places: make(chan struct{}, atOnce*(1+waitingForEach)), running: make(chan struct{}, atOnce),
		waits: hashMetrics.NewPrometheusHistogramExt("chartroom_password_hash_wait_seconds", []float64{.001, .01, .05, .1, .25, .5, 1, 2, 4, 8}),
		busy:  hashMetrics.NewCounter("chartroom_password_hash_refused_total")}
}

// enter takes a place in the queue, or ErrBusy at once. The function given back leaves it.
func (q *hashQueue) enter() (func(), error) {
	select {
	case q.places <- struct{}{}:
		return func() { <-q.places }, nil
	default:
		q.busy.Inc()
		return nil, ErrBusy
	}
}

// run waits for its turn.
func (q *hashQueue) run(ctx context.Context, hash func()) error {
	start := time.Now()
	select {
	case q.running <- struct{}{}:
		q.waits.UpdateDuration(start)
	case <-ctx.Done():
		return fmt.Errorf("wait to hash a password: %w", ctx.Err())
	}
	defer func() { <-q.running }()
	hash()
	return nil
}

// hash gives the hash to store for a new password that was judged, when its turn has come.
func (q *hashQueue) hash(ctx context.Context, password string) (hash string, err error) {
	leave, err := q.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	if busy := q.run(ctx, func() { hash, err = hashAt(bcryptCost, password) }); busy != nil {
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

// subjects are what a sign-in is counted under: a stranger's under the name and the address, that of a known browser under
// the browser with this name, and the browser with any.
type subjects struct{ name, client, device, browser []byte }

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
		all.browser = under("browser", string(deviceHash(device)))
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

// whoTriesCTE looks up the account and whether the browser is known for it. A browser that must wait, or was locked, is a
// stranger's until then: whoever has a copy of its cookie must not keep its user out. It does the same for every name.
const whoTriesCTE = `
WITH account AS MATERIALIZED (
	SELECT u.id, u.username, u.email, u.password_hash, u.is_active, u.session_epoch,
	       EXISTS (SELECT 1 FROM known_devices k WHERE k.user_id = u.id AND k.device = @device::bytea) AS known
	FROM users u WHERE u.username = @username
), who AS MATERIALIZED (
	SELECT (SELECT id FROM account) AS id, coalesce((SELECT known FROM account), false) AND NOT EXISTS (
		SELECT 1 FROM sign_in_throttle t WHERE (t.kind = 'device' AND t.subject = @device_subject OR t.kind = 'client' AND t.subject = @browser_subject)
			AND (t.blocked_until > now() OR t.kind = 'device' AND t.failures >= 100)) AS known
), counted AS MATERIALIZED (
	SELECT w.id, w.known, CASE WHEN w.known THEN ARRAY['device', 'client'] ELSE @kinds::text[] END AS kinds,
	       CASE WHEN w.known THEN ARRAY[@device_subject::bytea, @browser_subject::bytea] ELSE @subjects::bytea[] END AS subjects
	FROM who w
)`

func (s subjects) args(username string, device []byte) pgx.NamedArgs {
	kinds, values := s.strangers()
	args := pgx.NamedArgs{"username": nil, "device": nil, "device_subject": s.device, "browser_subject": s.browser, "kinds": kinds, "subjects": values}
	if typable(username) {
		args["username"] = username // else nobody is called so
	}
	if device != nil {
		args["device"] = deviceHash(device)
	}
	return args
}

// mustWait says how long, without counting anything or waiting for anybody, once somebody was refused for it: or those who
// must wait would take the places of those who need not.
func (d *DB) mustWait(ctx context.Context, args pgx.NamedArgs) (wait time.Duration, err error) {
	err = d.pool.QueryRow(ctx, whoTriesCTE+`
		SELECT coalesce(max(t.blocked_until - now()) FILTER (WHERE t.noted), interval '0')
		FROM counted c CROSS JOIN LATERAL unnest(c.kinds, c.subjects) n (k, s)
		JOIN sign_in_throttle t ON t.kind = n.k AND t.subject = n.s AND t.blocked_until > now()`, args).Scan(&wait)
	return wait, err
}

// try counts an attempt and gives what is known of the account, in one statement.
func (d *DB) try(ctx context.Context, args pgx.NamedArgs) (attempt, error) {
	rows, err := d.pool.Query(ctx, whoTriesCTE+`
		SELECT t.wait, t.noted, t.locked, c.known, a.id, a.username, a.email, a.password_hash, a.is_active, a.session_epoch
		FROM counted c CROSS JOIN LATERAL sign_in_attempt(c.kinds, c.subjects, c.id) t LEFT JOIN account a ON true`, args)
	if err != nil {
		return attempt{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[attempt])
}

// succeeded ends a sign-in whose password was right, unless the account was changed while it was verified: it makes the
// browser known, and takes back what was counted: all of the name's or the browser's, but of the address only this one, or
// whoever has an account could guess at those of others for ever. Rows are taken
// in the order in which sign_in_attempt takes them.
func (d *DB) succeeded(ctx context.Context, a attempt, s subjects, device []byte) (bool, error) {
	kind, all, one := "name", s.name, s.client
	if a.Known {
		kind, all, one = "device", s.device, s.browser
	}
	done, err := d.pool.Exec(ctx, `
		WITH same AS MATERIALIZED (
			SELECT id FROM users WHERE id = @id AND is_active AND session_epoch = @epoch
		), refunded AS (
			UPDATE sign_in_throttle SET failures = greatest(failures - 1, 0), blocked_until = '-infinity'
			WHERE kind = 'client' AND subject = @one AND EXISTS (SELECT 1 FROM same)
			RETURNING 1
		), forgiven AS (
			DELETE FROM sign_in_throttle WHERE kind = @kind AND subject = @all AND EXISTS (SELECT 1 FROM same)
				AND (SELECT count(*) FROM refunded) >= 0
		)
		INSERT INTO known_devices (device, user_id) SELECT @device, id FROM same
		ON CONFLICT (device, user_id) DO UPDATE SET last_at = now()`,
		pgx.NamedArgs{"id": a.ID, "epoch": a.SessionEpoch, "kind": kind, "all": all, "one": one, "device": deviceHash(device)})
	if err != nil {
		return false, fmt.Errorf("remember the browser: %w", err)
	}
	return done.RowsAffected() > 0, nil
}
