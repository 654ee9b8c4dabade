package db

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lookLog reads those settings of PostgreSQL that decide whether its own log holds values of statements, which are patients' names.
// Values travel apart from the statements' text, so that the text may be logged. What each setting does was tried:
// TestWhichSettingsPutValuesIntoPostgreSQLsLog. pg_stat_statements and pg_stat_activity hold texts alone.
func lookLog(ctx context.Context, i *inspection) (Check, error) {
	rows, err := i.conn.Query(ctx, `SELECT name, setting FROM pg_settings WHERE name = ANY (@names)`, pgx.NamedArgs{"names": logSettings})
	if err != nil {
		return Check{}, err
	}
	set := map[string]string{}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { set[name] = value; return nil }); err != nil {
		return Check{}, err
	}
	always, errors := logsValues(set)
	if len(always)+len(errors) == 0 {
		return passed("it holds no values")
	}
	var mend []string
	for _, s := range append(slices.Clone(always), errors...) {
		mend = append(mend, "ALTER SYSTEM SET "+s)
	}
	c := Check{Result: i.grave(), Found: "PostgreSQL writes the values of statements, and so patients' names, into its log",
		Mend: "as a superuser: " + strings.Join(mend, "; ") + "; SELECT pg_reload_conf()"}
	if len(always) == 0 {
		c.Result, c.Found = CheckWarn, "PostgreSQL writes a patient's values into its log when a statement fails"
	}
	return c, nil
}

var logSettings = []string{"log_statement", "log_min_duration_statement", "log_min_duration_sample", "log_statement_sample_rate", "log_transaction_sample_rate",
	"log_parameter_max_length", "log_error_verbosity", "log_min_messages",
	"debug_print_parse", "debug_print_rewritten", "debug_print_plan", "auto_explain.log_min_duration", "pgaudit.log", "pgaudit.log_parameter"}

// logsValues gives the settings to change: those by which statements are logged with their values, and those by which only failing ones
// are.
func logsValues(set map[string]string) (always, errors []string) {
	on := func(name string) bool { v, ok := set[name]; return ok && v != "-1" && v != "0" && v != "off" }
	timed := func(name string) bool { v, ok := set[name]; return ok && v != "-1" } // 0 is "all"
	statements := slices.Contains([]string{"mod", "all"}, set["log_statement"]) || timed("log_min_duration_statement") ||
		timed("log_min_duration_sample") && on("log_statement_sample_rate") || on("log_transaction_sample_rate")
	// Parameters, plans and rows are told in DETAIL, which a terse log leaves out; auto_explain's plans are not.
	detail := set["log_error_verbosity"] != "terse"
	if detail && statements && set["log_parameter_max_length"] != "0" {
		always = append(always, "log_parameter_max_length = 0")
	}
	for _, name := range []string{"debug_print_parse", "debug_print_rewritten", "debug_print_plan"} {
		if detail && on(name) {
			always = append(always, name+" = off")
		}
	}
	if timed("auto_explain.log_min_duration") { // plans that were made for certain values show them
		always = append(always, "auto_explain.log_min_duration = -1")
	}
	if on("pgaudit.log_parameter") && set["pgaudit.log"] != "none" { // its lines are no DETAIL
		always = append(always, "pgaudit.log_parameter = off")
	}
	if detail && !slices.Contains([]string{"log", "fatal", "panic"}, set["log_min_messages"]) { // else errors are not logged
		errors = append(errors, "log_error_verbosity = terse")
	}
	return always, errors
}
