package settings

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"chartroom/db"
)

func TestProductionRefusesWhatEndangersPatientsData(t *testing.T) {
	good := Raw{Environment: "production", DatabaseURL: "postgres://u:p@db.example/c?sslmode=verify-full", SessionSecure: "true",
		SessionSecretKey: "3f9ac1d27be84056a1c7f2e9d0b35a68c4e17d920fb6a83e"}
	if _, problems := Read(good); len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, spoil := range map[string]func(*Raw){
		"SESSION_SECRET_KEY is required": func(r *Raw) { r.SessionSecretKey = "" },
		"placeholder":                    func(r *Raw) { r.SessionSecretKey = "your-secret-key-change-in-production-min-32-chars" },
		"too regular":                    func(r *Raw) { r.SessionSecretKey = strings.Repeat("ab", 20) },
		"32 characters":                  func(r *Raw) { r.SessionSecretKey = "3f9ac1d27be84056a1c7f2e9d0b35a68c4e17d920fb6a83e,old" },
		"AUDIT_KEY looks like":           func(r *Raw) { r.AuditKey = strings.Repeat("ab", 20) },
		"AUDIT_KEY must have":            func(r *Raw) { r.AuditKey = "3f9ac1d27be84056a1c7f2e9d0b35a68c4e17d920fb6a83e,old" },
		"SESSION_SECURE":                 func(r *Raw) { r.SessionSecure = "false" },
		"unencrypted":                    func(r *Raw) { r.DatabaseURL = "postgres://u:p@db.example/c" },
		"DATABASE_URL would":             func(r *Raw) { r.DatabaseURL = "postgres://u:p@db.example/c?sslmode=prefer" },
		"DATABASE_URL would let":         func(r *Raw) { r.DatabaseURL = "postgres://u:p@db.example/c?sslmode=disable" },
		"DATABASE_MIGRATE_URL":           func(r *Raw) { r.DatabaseMigrateURL = "postgres://u:p@db.example/c" },
		"no certificate":                 func(r *Raw) { r.DatabaseCACert = "nonsense" },
		"cannot be read":                 func(r *Raw) { r.DatabaseURL = "postgres://u:p@db.example:port/c" },
	} {
		raw := good
		spoil(&raw)
		_, problems := Read(raw)
		if len(problems) != 1 || !strings.Contains(problems[0], name) || strings.Contains(problems[0], "u:p") {
			t.Errorf("%s: %q", name, problems)
		}
	}
}

func TestTheRetentionTakesDaysAndIsSixYearsAtLeastInProduction(t *testing.T) {
	production := Raw{Environment: "production", DatabaseURL: "host=/tmp", SessionSecure: "true", SessionSecretKey: "f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1"}
	for text, want := range map[string]time.Duration{"": db.KeepAudit, "2192d": db.KeepAudit, "3650d": 3650 * 24 * time.Hour, "52608h": db.KeepAudit} {
		raw := production
		raw.AuditRetention = text
		if s, problems := Read(raw); len(problems) > 0 || s.Retention != want {
			t.Errorf("%q: %s, %q", text, s.Retention, problems)
		}
	}
	for _, text := range []string{"2191d", "6y", "-1d", "0", "d", "2192", "52607h59m", "99999d", "1h"} {
		raw := production
		raw.AuditRetention = text
		if _, problems := Read(raw); len(problems) != 1 || !strings.Contains(problems[0], "AUDIT_RETENTION") {
			t.Errorf("%q in production: %q", text, problems)
		}
	}
	s, problems := Read(Raw{AuditRetention: "30d"})
	if len(problems) > 0 || s.Retention != 30*24*time.Hour || !strings.Contains(strings.Join(s.Warnings, "\n"), "AUDIT_RETENTION") {
		t.Errorf("elsewhere: %s, %q, %q", s.Retention, problems, s.Warnings)
	}
}

func TestTheMetricsAddressHasAPortOfItsOwnAndWarnsBeyondThisMachine(t *testing.T) {
	production := Raw{Environment: "production", DatabaseURL: "host=/tmp", SessionSecure: "true", SessionSecretKey: "f39a1c07be2d5548a6e0917c3bd4822fe6170d9b4ac358f1"}
	for text, warns := range map[string]bool{"": false, "127.0.0.1:9090": false, "[::1]:9090": false, "localhost:0": false, ":9090": true, "0.0.0.0:9090": true, "10.0.0.3:9090": true} {
		raw := production
		raw.MetricsAddr = text
		s, problems := Read(raw)
		if len(problems) > 0 || s.Metrics != text || strings.Contains(strings.Join(s.Warnings, "\n"), "METRICS_ADDR listens beyond") != warns {
			t.Errorf("%q: %q, %q, %q", text, s.Metrics, problems, s.Warnings)
		}
	}
	for _, text := range []string{"9090", "127.0.0.1", "127.0.0.1:http", ":70000", ":8080"} {
		raw := production
		raw.MetricsAddr = text
		if _, problems := Read(raw); len(problems) != 1 || !strings.Contains(problems[0], "METRICS_ADDR must") {
			t.Errorf("%q: %q", text, problems)
		}
	}
}

func TestTheLogsTimesAreUTCWhateverTheMachines(t *testing.T) {
	before := time.Local
	t.Cleanup(func() { time.Local = before })
	time.Local = time.FixedZone("", 5*60*60)
	for _, format := range []string{"text", "json"} {
		var out strings.Builder
		Settings{LogFormat: format}.Logger(&out).Info("x")
		if !regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z`).MatchString(out.String()) {
			t.Errorf("%s: %s", format, &out)
		}
	}
}
