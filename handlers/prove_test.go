//go:build prove

package handlers

import (
	"slices"
	"testing"
	"time"
)

// TestProveRefusalsCannotBeToldApartByTime tries each kind of account 50 times in each state of the throttle, in turn, over
// HTTP, and compares the medians (ASVS 6.3.8: within a tenth where a password is hashed; what is turned away before that
// takes a few milliseconds, of which a quarter is noise here).
func TestProveRefusalsCannotBeToldApartByTime(t *testing.T) {
	s := newSite(t)
	users := refusedUsers(s)
	x := stranger{s.browser(), map[string][]byte{}}
	for _, state := range throttleStates {
		times := map[string][]time.Duration{}
		for range 50 {
			for _, name := range users {
				a, took := x.tries(name, state.failures, state.blocked)
				if a.status != state.status {
					t.Fatalf("%s, %s: %d", state.name, name, a.status)
				}
				times[name] = append(times[name], took)
			}
		}
		median := func(name string) float64 { slices.Sort(times[name]); return times[name][len(times[name])/2].Seconds() }
		base, most := median("viewer"), 1.1
		if state.status == 429 {
			most = 1.25
		}
		for _, name := range users {
			ratio := median(name) / base
			t.Logf("%s: %s takes %.3f of a known user's %.1f ms", state.name, name, ratio, base*1000)
			if ratio > most || ratio < 1/most {
				t.Errorf("%s: %s can be told apart: %.2f", state.name, name, ratio)
			}
		}
	}
}
