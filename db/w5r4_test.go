package db_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

func TestW5RTheProgramsRoleStopsTheSealing(t *testing.T) {
	d, c, app := twoRoles(t)
	mine := dbtest.Conn(t, app)
	var log bytes.Buffer
	s := d.NewSealer([]string{newAuditKey}, nil, slog.New(slog.NewTextHandler(&log, nil)))
	if err := s.Seal(context.Background()); err != nil {
		t.Fatal(err)
	}
	must(t, mine, `INSERT INTO audit_seals SELECT block + 1, now(), month, '{}', 0, sha256(''), '', sha256(''), 9223372036854775807, '{}' FROM audit_seals ORDER BY block DESC LIMIT 1`)
	must(t, mine, `INSERT INTO audit_events (action, outcome, recorded) VALUES ('start', 'success', now() - interval '1 hour')`)
	for range 3 {
		err := s.Seal(context.Background())
		if err == nil {
			t.Error("sealing went on over a block that is nobody's, without a word")
		}
	}
	r, err := d.VerifyAudit(context.Background(), db.VerifyOptions{Keys: []string{newAuditKey}, Retention: 2192 * 24 * time.Hour})
	t.Logf("log %q; blocks %d; verify %v %+v", log.String(), value[int](t, c, `SELECT count(*) FROM audit_seals`), err, r.Bad)
	for _, l := range d.CheckAudit(context.Background()) {
		if l.What == "audit seals" {
			t.Logf("%+v", l)
		}
	}
}
