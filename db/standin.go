package db

import (
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
)

// SignInOff lets some clients read patients without signing in, for a limited time. It is for the hours in which sign-in is
// broken and a clinic must go on.
type SignInOff struct {
	Until time.Time      // from here on nobody is let in any more
	Allow []netip.Prefix // the clients who are
}

// Now says whether sign-in is off at that moment; never where it was not switched off.
func (o *SignInOff) Now(now time.Time) bool { return o != nil && now.Before(o.Until) }

// SignInOff is nil while sign-in is on.
func (d *DB) SignInOff() *SignInOff { return d.signInOff }

// StandInName is the actor of what a client did who had not signed in because that was switched off. No user has actor_id NULL,
// so that nobody can bear the name.
const StandInName = "nobody: sign-in is off"

// standInUser are the numbers that stand for users where a stand-in needs one: no user's id is negative.
const standInUser = -1 << 31

// StandIn says that nobody has signed in: the client was let in because sign-in is off.
func (w Who) StandIn() bool { return w.UserID < 0 }

// opening is how a statement for a Viewer begins: what makes viewer, and the values that its event has for auditColumns.
type opening struct{ cte, event string }

var signedInOpening = opening{viewerCTE, auditValues}

// standInOpening takes the place of viewerCTE where nobody has signed in. It finds a viewer only while sign-in is off, and only
// for a client of the list; both are this process's settings, of which a request says nothing. The time is the database's, so
// that all servers close at once. Only the methods that ask for opening know it: to all others, a stand-in has no session.
var standInOpening = opening{`
WITH viewer AS MATERIALIZED (
	SELECT '00000000-0000-0000-0000-000000000000'::uuid AS session_id, @stand_in::integer AS user_id, now() AS signed_in_at,
	       @off_until::timestamptz AS session_ends, @stand_in_name::text AS username, NULL::text AS email, 'viewer' AS role,
	       'viewer' = ANY (@roles::text[]) AS allowed, false AS stale, NULL::jsonb AS preferences
	WHERE now() < @off_until::timestamptz AND @client::inet <<= ANY (@off_allow::inet[])
)`, `NULL::integer, v.username, NULL::uuid, @client::inet, @request_id, @program`}

// opening is for the methods that a stand-in may use: they read the list and patients.
func (d *DB) opening(v Viewer) (opening, pgx.NamedArgs) {
	args := d.viewerArgs(v)
	if !v.StandIn {
		return signedInOpening, args
	}
	args["off_until"], args["off_allow"], args["stand_in_name"], args["stand_in"] = nil, []string{}, StandInName, standInUser
	if off := d.signInOff; off != nil {
		allow := make([]string, len(off.Allow))
		for i, p := range off.Allow {
			allow[i] = p.String()
		}
		args["off_until"], args["off_allow"], args["stand_in"] = off.Until, allow, off.number(v.Client)
	}
	return standInOpening, args
}

// number is what a sealed list state is bound to in place of a user: the client and the time for which sign-in is off. So an
// address from another computer's history shows nothing of what was searched for there.
func (o *SignInOff) number(client netip.Addr) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(o.Until.UTC().Format(time.RFC3339) + " " + client.Unmap().WithZone("").String())) // never fails
	return standInUser + int(h.Sum32()>>1)
}
