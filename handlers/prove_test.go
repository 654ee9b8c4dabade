//go:build prove

package handlers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
)

func TestProveEveryRefusalLooksTheSameInEveryState(t *testing.T) {
	refusalsLookTheSame(t, 0, 1, 2, 3, 4)
}

// TestProveRefusalsCannotBeToldApartByTime tries each kind of account 50 times in each state of the throttle, in an order
// of chance, over HTTP. A kind can be told from a known user when its median is off by more than a tenth (ASVS 6.3.8; a
// quarter for what is turned away in a millisecond) and the machine's noise does not explain that (Mann–Whitney, p < 0.001).
func TestProveRefusalsCannotBeToldApartByTime(t *testing.T) {
	s := newSite(t)
	users := refusedUsers(s)
	x := stranger{s.browser(), map[string][]byte{}}
	rnd := rand.New(rand.NewPCG(5, 5))
	for _, state := range throttleStates {
		times := map[string][]float64{}
		for range 50 {
			rnd.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
			for _, name := range users {
				a, took := x.tries(name, state.failures, state.blocked)
				if a.status != state.status {
					t.Fatalf("%s, %s: %d", state.name, name, a.status)
				}
				times[name] = append(times[name], took.Seconds()*1000)
			}
		}
		for _, all := range times {
			slices.Sort(all)
		}
		median := func(name string) float64 { return times[name][len(times[name])/2] }
		most := 1.1
		if state.status == http.StatusTooManyRequests {
			most = 1.25
		}
		for _, name := range users {
			ratio, p := median(name)/median("viewer"), sameChance(times[name], times["viewer"])
			t.Logf("%s: %s takes %.3f of a known user's %.1f ms, p = %.3f", state.name, name, ratio, median("viewer"), p)
			if (ratio > most || ratio < 1/most) && p < 0.001 {
				t.Errorf("%s: %s can be told apart", state.name, name)
			}
		}
	}
	// The comparison itself can tell.
	slow, quick := make([]float64, 50), make([]float64, 50)
	for i := range slow {
		quick[i] = 250 + 20*rnd.NormFloat64()
		slow[i] = quick[i] * 1.15
	}
	if p := sameChance(slow, quick); p > 0.001 {
		t.Errorf("a difference of 15 %% is not seen: p = %v", p)
	}
}

// sameChance is the chance that two samples of one distribution differ at least as much (Mann–Whitney's U, two-sided, by
// the normal distribution).
func sameChance(a, b []float64) float64 {
	u := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	z := math.Abs(u-n*m/2) / math.Sqrt(n*m*(n+m+1)/12)
	return math.Erfc(z / math.Sqrt2)
}

// TestProveNoSessionComesBack ends sessions in all ways that there are, several at once and in 200 random orders, while
// requests of theirs are under way: some that have sent half of their form, some that hold the session loaded and store
// it again at the end. What starts after an end is not served, and what was held does not bring the session back.
func TestProveNoSessionComesBack(t *testing.T) {
	s := newSite(t)
	s.fill(30)
	ctx := context.Background()
	const name = "clinician"
	user, by := db.UserRef{Name: name}, db.By{Shell: "test"}
	another, err := db.HashPassword("eleven copper ladles")
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(4, 4))
	served, refused := 0, 0
	for round := range 200 {
		mine := s.session(name).cookies["chartroom"]
		again := func() *browser { return &browser{s, map[string]*http.Cookie{"chartroom": mine}} }
		held, err := s.sessions.Load(ctx, mine.Value)
		if err != nil {
			t.Fatal(err)
		}
		id := scan[string](s, `SELECT id::text FROM sessions WHERE user_id = (SELECT id FROM users WHERE username = $1)`, name)
		other := s.session(name)
		ends := map[string]func() error{
			"sign-out": func() error {
				if a, err := again().try(http.MethodPost, "/logout", ""); err != nil || a.status != 303 {
					return fmt.Errorf("%d, %w", a.status, err)
				}
				return nil
			},
			"end-session": func() error {
				err := s.DB.EndOwnSession(ctx, db.Viewer{Token: other.cookies["chartroom"].Value, Roles: db.Roles}, id)
				if errors.Is(err, db.ErrNotFound) || errors.Is(err, db.ErrNoSession) {
					return nil // something else has ended it, or both
				}
				return err
			},
			"disable": func() error { return s.DB.DisableUser(ctx, by, user) },
			"password change": func() error {
				return s.apart(ctx, `UPDATE users SET password_hash = $1, session_epoch = session_epoch + 1 WHERE username = $2`, another, name)
			},
			"sign out everywhere": func() error { return s.DB.SignOutUser(ctx, by, user) },
			"a bare DELETE": func() error {
				return s.apart(ctx, `DELETE FROM sessions WHERE id = $1::uuid`, id)
			},
		}
		var names []string
		for n := range ends {
			names = append(names, n)
		}
		slices.Sort(names)
		rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = names[:1+rnd.IntN(3)]

		var mu sync.Mutex
		var ended time.Time // when the first of them had been answered
		roleGone := time.Time{}
		var all sync.WaitGroup
		halfway := make(chan struct{})
		type seen struct {
			start  time.Time
			status int
			write  bool
		}
		var asked []seen
		ask := func(method, path, body string, write bool) {
			start := time.Now()
			a, err := again().try(method, path, body)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, seen{start, a.status, write})
		}
		for range 3 {
			pause := time.Duration(rnd.IntN(4)) * time.Millisecond
			all.Go(func() {
				for range 6 {
					ask(http.MethodGet, "/patients", "", false)
					ask(http.MethodGet, "/patients/new", "", true)
					time.Sleep(pause)
				}
			})
		}
		// A request of which the server has half when the session ends.
		all.Go(func() {
			to, err := again().halves("/patients/search", form("q", "a", "csrf_token", formToken(s.formKeys[0], mine.Value)), halfway)
			if err != nil || !strings.HasPrefix(to, "/login") {
				t.Errorf("round %d: a form whose second half came after %v led to %q, %v", round, names, to, err)
			}
		})
		demote := rnd.IntN(3) == 0
		if demote {
			if err := s.DB.SetRole(ctx, by, user, db.RoleViewer); err != nil {
				t.Fatal(err)
			}
			roleGone = time.Now()
		}
		var ending sync.WaitGroup
		for _, n := range names {
			wait := time.Duration(rnd.IntN(6)) * time.Millisecond
			ending.Go(func() {
				time.Sleep(wait)
				if err := ends[n](); err != nil {
					t.Errorf("round %d, %s: %v", round, n, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ended.IsZero() {
					ended = time.Now()
				}
			})
		}
		ending.Wait()
		close(halfway)
		all.Wait()
		ask(http.MethodGet, "/patients", "", false)
		s.sessions.Put(held, "session", s.sessions.Get(held, "session"))
		_, _, _ = s.sessions.Commit(held) // refused where the row is gone
		ask(http.MethodGet, "/patients", "", false)
		for _, a := range asked {
			switch good := a.status == http.StatusOK; {
			case good && a.start.After(ended):
				t.Errorf("round %d, %v: served after the end", round, names)
			case good && a.write && demote && a.start.After(roleGone):
				t.Errorf("round %d: a viewer was given the form of a new patient", round)
			case good:
				served++
			default:
				refused++
			}
		}
		s.exec(`DELETE FROM sessions`)
		s.exec(`UPDATE users SET is_active = true, role = 'clinician' WHERE username = $1`, name)
	}
	t.Logf("%d requests were served, %d refused", served, refused)
	if served == 0 || refused == 0 {
		t.Error("nothing was compared")
	}
}

// halves sends a form in two halves, the second when it is told to, and gives the address that the answer leads to.
func (b *browser) halves(path, body string, second <-chan struct{}) (string, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nCookie: chartroom=%s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		path, strings.TrimPrefix(b.url, "http://"), b.cookies["chartroom"].Value, len(body), body[:len(body)/2])
	if err != nil {
		return "", err
	}
	<-second
	if _, err := conn.Write([]byte(body[len(body)/2:])); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	return res.Header.Get("Location"), nil
}

// apart runs SQL on a connection of its own, as somebody at a psql does.
func (s *site) apart(ctx context.Context, sql string, args ...any) error {
	c, err := pgx.ConnectConfig(ctx, s.conn.Config())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	_, err = c.Exec(ctx, sql, args...)
	return err
}
