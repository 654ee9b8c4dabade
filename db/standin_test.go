package db_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestNobodyReadsWithoutASessionButAClientOfTheListWhileSignInIsOff: the statements judge it themselves, whatever a caller says.
func TestNobodyReadsWithoutASessionButAClientOfTheListWhileSignInIsOff(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), dbtest.URL(t)
	c := dbtest.Conn(t, url)
	load(t, dbtest.OpenURL(t, url, time.Hour), resource("1", `,"name":[{"family":"Abel"}]`))
	patient := value[string](t, c, `SELECT id::text FROM patients`)
	inside, outside := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("198.51.100.7")
	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/48")}
	hour := time.Now().Add(time.Hour)
	for _, x := range []struct {
		what   string
		off    *db.SignInOff
		viewer db.Viewer
		in     bool
	}{
		{"a client of the list", &db.SignInOff{Until: hour, Allow: allow}, db.Viewer{StandIn: true, Client: inside, Roles: db.Roles}, true},
		{"as IPv6", &db.SignInOff{Until: hour, Allow: allow}, db.Viewer{StandIn: true, Client: netip.MustParseAddr("2001:db8::7"), Roles: db.Roles}, true},
		{"IPv4 in IPv6", &db.SignInOff{Until: hour, Allow: allow}, db.Viewer{StandIn: true, Client: netip.MustParseAddr("::ffff:10.1.2.3"), Roles: db.Roles}, true},
		{"another client", &db.SignInOff{Until: hour, Allow: allow}, db.Viewer{StandIn: true, Client: outside, Roles: db.Roles}, false},
		{"nobody's address", &db.SignInOff{Until: hour, Allow: allow}, db.Viewer{StandIn: true, Roles: db.Roles}, false},
		{"an empty list", &db.SignInOff{Until: hour}, db.Viewer{StandIn: true, Client: inside, Roles: db.Roles}, false},
		{"sign-in is on", nil, db.Viewer{StandIn: true, Client: inside, Roles: db.Roles}, false},
		{"the time is over", &db.SignInOff{Until: time.Now().Add(-time.Second), Allow: allow}, db.Viewer{StandIn: true, Client: inside, Roles: db.Roles}, false},
		{"without saying so", &db.SignInOff{Until: hour, Allow: allow}, db.Viewer{Client: inside, Roles: db.Roles}, false},
	} {
		d := dbtest.OpenWith(t, url, func(c *db.Config) { c.SignInOff = x.off })
		l, listed := d.ListPatients(ctx, x.viewer, db.ListQuery{Sort: db.SortName})
		p, opened := d.OpenPatient(ctx, x.viewer, patient)
		_, who := d.Whoami(ctx, x.viewer)
		if x.in && (listed != nil || opened != nil || who != nil || len(l.Rows) != 1 || p.ID != patient || !l.StandIn() || l.Role != db.RoleViewer) {
			t.Errorf("%s: %v, %v, %v", x.what, listed, opened, who)
		}
		if !x.in && (!errors.Is(listed, db.ErrNoSession) || !errors.Is(opened, db.ErrNoSession) || !errors.Is(who, db.ErrNoSession) || len(l.Rows) > 0 || p.ID != "") {
			t.Errorf("%s: %v, %v, %v", x.what, listed, opened, who)
		}
		writer := x.viewer
		writer.Roles = db.Writers
		if _, err := d.ListPatients(ctx, writer, db.ListQuery{Sort: db.SortName}); err == nil {
			t.Errorf("%s: it has the role of those who write", x.what)
		}
		for what, err := range map[string]error{
			"the audit":   second(d.ListAudit(ctx, x.viewer, db.AuditQuery{})),
			"the account": second(d.Account(ctx, x.viewer)),
			"a new form":  second(d.EditPatient(ctx, x.viewer, patient)),
			"a session":   second(d.SessionLeft(ctx, x.viewer)),
		} {
			if !errors.Is(err, db.ErrNoSession) {
				t.Errorf("%s: %s gives %v", x.what, what, err)
			}
		}
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action IN ('patient-list', 'patient-open') AND actor_id IS NULL AND actor = $1
		AND client IN ('10.1.2.3', '2001:db8::7')`, db.StandInName); n != 6 {
		t.Errorf("%d looks are on record, want 6", n)
	}
	if n := value[int](t, c, `SELECT count(*) FROM audit_events WHERE action <> 'import'`); n != 6 {
		t.Errorf("%d events, want 6", n)
	}
}

func second[T any](_ T, err error) error { return err }
