package db_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// TestWhichSettingsPutValuesIntoPostgreSQLsLog sets one after the other, runs a statement that works and one that fails, looks into
// the server's log, and wants check to say the same.
func TestWhichSettingsPutValuesIntoPostgreSQLsLog(t *testing.T) {
	_, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	ctx := context.Background()
	name := c.Config().Database
	must(t, c, `CREATE TABLE held (birth_date date CHECK (birth_date < '1900-01-01'), family text)`)
	const errors = `log_min_messages = warning; log_min_error_statement = error`
	const detail = `; log_error_verbosity = 'default'; log_parameter_max_length = -1`
	for n, try := range []struct{ set, want string }{
		{``, db.CheckPass},
		{`log_statement = 'all'` + detail, db.CheckFail},
		{`log_statement = 'mod'; log_error_verbosity = verbose; log_parameter_max_length = 20`, db.CheckFail},
		{`log_statement = 'all'; log_parameter_max_length = -1; log_error_verbosity = terse`, db.CheckPass}, // they are told in DETAIL
		{`log_statement = 'all'; log_parameter_max_length = 0; log_error_verbosity = 'default'`, db.CheckPass},
		{`log_statement = 'ddl'` + detail, db.CheckPass},
		{`log_min_duration_statement = 0` + detail, db.CheckFail},
		{`log_min_duration_sample = 0; log_statement_sample_rate = 1` + detail, db.CheckFail},
		{`log_transaction_sample_rate = 1` + detail, db.CheckFail},
		{`log_duration = on` + detail, db.CheckPass},
		{`debug_print_plan = on` + detail, db.CheckFail},
		{`debug_print_plan = on; log_error_verbosity = terse`, db.CheckPass},
		{`session_preload_libraries = auto_explain; auto_explain.log_min_duration = 0; log_error_verbosity = terse`, db.CheckFail},
		{errors + `; log_statement = 'all'; log_error_verbosity = terse; log_parameter_max_length_on_error = -1`, db.CheckPass},
		{errors + `; log_error_verbosity = 'default'`, db.CheckWarn},
		{errors + `; log_error_verbosity = verbose`, db.CheckWarn},
		{`log_min_messages = log; log_error_verbosity = 'default'`, db.CheckPass},
	} {
		must(t, c, `ALTER DATABASE `+name+` RESET ALL`)
		for _, set := range strings.Split(try.set, "; ") {
			if set != "" {
				must(t, c, `ALTER DATABASE `+name+` SET `+set)
			}
		}
		before := len(dbtest.ServerLog(t))
		e := dbtest.Conn(t, url)
		for _, works := range []string{`INSERT INTO held (family) VALUES ($1)`, `SELECT 1 FROM held WHERE family = $1`} {
			if _, err := e.Exec(ctx, works, "Xyzzyworks"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := e.Exec(ctx, `INSERT INTO held (birth_date, family) VALUES ($1, $2)`, time.Date(1931, 2, 27, 0, 0, 0, 0, time.UTC), "Xyzzyfails"); err == nil {
			t.Fatal("it should fail")
		}
		_ = e.Close(ctx)
		log := dbtest.ServerLog(t)[before:]
		found := db.CheckPass
		switch {
		case strings.Contains(log, "Xyzzyworks"), strings.Contains(log, " 88 121 122 122 121 119 "): // a plan shows bytes
			found = db.CheckFail
		case strings.Contains(log, "Xyzzy"), strings.Contains(log, "1931"):
			found = db.CheckWarn
		}
		said := ""
		for _, l := range db.CheckDatabase(ctx, db.CheckOptions{Config: db.Config{URL: url}, Migrator: dbtest.Migrator(url), Production: true}) {
			if l.ID == "database-log" {
				said = l.Result
			}
		}
		if found != try.want || said != try.want {
			t.Errorf("%d, %s: the log says %s, check says %s, want %s\n%s", n, try.set, found, said, try.want, log)
		}
	}
}
