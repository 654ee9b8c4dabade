package db_test

import (
	"testing"

	"chartroom/db/dbtest"
)

// TestAPasswordNeverGrowsTooOld: none is asked to be changed because of its age (ASVS 6.2.10).
func TestAPasswordNeverGrowsTooOld(t *testing.T) {
	t.Parallel()
	o := openDoor(t)
	must(t, o.conn, `UPDATE users SET created_at = now() - interval '20 years', updated_at = now() - interval '20 years'`)
	if in := o.want("in", "ada", goodPassword, elsewhere, ""); in.Weak != nil {
		t.Error(in.Weak)
	}
}

// TestAFreshDatabaseLetsNobodyIn: there is no account that everybody knows (ASVS 6.3.2).
func TestAFreshDatabaseLetsNobodyIn(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	o := door{t, d, dbtest.Conn(t, url)}
	for _, name := range []string{"admin", "administrator", "root", "chartroom", "postgres", "demo"} {
		if got, _ := o.try(name, name, elsewhere, ""); got == "in" {
			t.Errorf("%s is let in", name)
		}
	}
	if n := value[int](t, o.conn, `SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM account_links)`); n != 0 {
		t.Errorf("%d users, sessions and links", n)
	}
}
