// Package settings reads the settings, checks all of them at once, and says how they protect patients' data.
package settings

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chartroom/db"
)

// Raw are the settings as text, so that everything that is wrong with them can be told at once.
type Raw struct {
	Environment         string `group:"Settings" env:"ENVIRONMENT" placeholder:"NAME" help:"development, test or production."`
	DatabaseURL         string `name:"database-url" group:"Settings" env:"DATABASE_URL" placeholder:"URL" help:"PostgreSQL address; without it the PG* variables serve."`
	DatabaseCACert      string `name:"database-ca-cert" group:"Settings" env:"DATABASE_CA_CERT" placeholder:"PEM" help:"Certificate authority of the database; turns on verify-full."`
	DatabaseMigrateURL  string `name:"database-migrate-url" group:"Settings" env:"DATABASE_MIGRATE_URL" placeholder:"URL" help:"Direct address for migrations, when the other is a pooler."`
	SessionSecretKey    string `group:"Settings" env:"SESSION_SECRET_KEY" placeholder:"KEY" help:"At least 32 characters; a comma-separated list rotates. Better given in the environment."`
	SessionSecure       string `group:"Settings" env:"SESSION_SECURE" placeholder:"BOOL" help:"true when served over HTTPS."`
	SessionIdleTimeout  string `group:"Settings" env:"SESSION_IDLE_TIMEOUT" placeholder:"DURATION" help:"Signed out after this long without an action (15m)."`
	SessionLifetime     string `group:"Settings" env:"SESSION_LIFETIME" placeholder:"DURATION" help:"Signed out after this long in any case (12h)."`
	SessionAuthEnabled  string `group:"Settings" env:"SESSION_AUTH_ENABLED" placeholder:"BOOL" help:"false switches sign-in off for a limited time, for the clients of the list; the site is read-only then (true)."`
	ClinicName          string `group:"Settings" env:"CLINIC_NAME" placeholder:"TEXT" help:"Shown name (Chartroom)."`
	ClinicTimezone      string `group:"Settings" env:"CLINIC_TIMEZONE" placeholder:"ZONE" help:"IANA time zone (UTC)."`
	ClinicLocale        string `group:"Settings" env:"CLINIC_LOCALE" placeholder:"TAG" help:"How dates are written and read, and the language for those who ask for none; en-US and es-US are month first (en)."`
	ClinicHelp          string `group:"Settings" env:"CLINIC_HELP" placeholder:"TEXT" help:"Whom to ask for help, shown on every page."`
	Port                string `name:"listen-port" group:"Settings" env:"PORT" placeholder:"PORT" help:"Where to listen (8080)."`
	ListenAddr          string `group:"Settings" env:"LISTEN_ADDR" placeholder:"ADDR" help:"Where to listen; wins over the port."`
	TrustedProxyHops    string `group:"Settings" env:"TRUSTED_PROXY_HOPS" placeholder:"N" help:"Proxies in front that append to X-Forwarded-For (0)."`
	ChartroomDataDir    string `name:"data-dir" group:"Settings" env:"CHARTROOM_DATA_DIR" placeholder:"DIR" help:"Where demo keeps its database."`
	ChartroomPostgres   string `name:"postgres-bin" group:"Settings" env:"CHARTROOM_POSTGRES_BIN" placeholder:"DIR" help:"Where PostgreSQL's programs are."`
	LogLevel            string `group:"Settings" env:"LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error (info)."`
	LogFormat           string `group:"Settings" env:"LOG_FORMAT" placeholder:"FORMAT" help:"text or json (text; in production json)."`
	MetricsAddr         string `group:"Settings" env:"METRICS_ADDR" placeholder:"ADDR" help:"A second address, for /metrics and /debug/pprof; never the public one (off)."`
	AuditKey            string `group:"Settings" env:"AUDIT_KEY" placeholder:"KEY" help:"Seals the audit: at least 32 characters, kept as long as the audit; a comma-separated list rotates. Better given in the environment."`
	AuditLog            string `group:"Settings" env:"AUDIT_LOG" placeholder:"stdout" help:"stdout writes each audit event as a line of JSON too."`
	AuditRetention      string `group:"Settings" env:"AUDIT_RETENTION" placeholder:"DURATION" help:"How long audit events are kept (2192d, six years; less is refused in production)."`
	SessionAuthUntil    string `name:"session-auth-disabled-until" group:"Settings" env:"SESSION_AUTH_DISABLED_UNTIL" placeholder:"TIME" help:"When sign-in comes back by itself, at most 24 h ahead (2030-01-31T18:00:00Z)."`
	SessionAuthAllowing string `name:"session-auth-disabled-allow" group:"Settings" env:"SESSION_AUTH_DISABLED_ALLOW" placeholder:"CIDRS" help:"Who may read meanwhile without signing in: the clinic's networks, with commas between them."`
}

type Settings struct {
	Environment, DatabaseURL, DatabaseCA, MigrateURL string
	SessionKeys                                      []string
	KeyMadeUp                                        bool // sessions end with the process
	AuditKeys                                        []string
	AuditLog                                         bool // to standard output
	Secure                                           bool
	SignInOff                                        *db.SignInOff // nil while sign-in is on
	Idle, Lifetime                                   time.Duration
	Clinic, Locale, Help                             string
	Zone                                             *time.Location
	Listen                                           string
	Metrics                                          string // address of the second listener, "" for none
	Hops                                             int
	DataDir, PostgresBin                             string
	LogLevel                                         slog.Level
	LogFormat                                        string
	Retention                                        time.Duration // of the audit
	Warnings                                         []string
}

func (s Settings) Production() bool { return s.Environment == "production" }

// Weakened names the settings with which this server is protected less than one with patients' data should be, for the audit. The
// names alone: values are nobody's business there.
func (s Settings) Weakened() (names []string) {
	t, err := db.CheckAddress(s.DatabaseURL, s.DatabaseCA)
	one, errRoles := db.OneRole(s.DatabaseURL, s.MigrateURL)
	for _, w := range []struct {
		name string
		weak bool
	}{
		{"ENVIRONMENT", !s.Production()},
		{"SESSION_SECRET_KEY", s.KeyMadeUp},
		{"SESSION_SECURE", !s.Secure},
		{"SESSION_AUTH_ENABLED", s.SignInOff != nil},
		{"DATABASE_CA_CERT", err != nil || t.Exposed || t.Unverified},
		{"DATABASE_MIGRATE_URL", errRoles != nil || one},
		{"AUDIT_KEY", len(s.AuditKeys) == 0},
		{"AUDIT_RETENTION", s.Retention < db.KeepAudit},
	} {
		if w.weak {
			names = append(names, w.name)
		}
	}
	return names
}

// Read checks everything and returns all that is wrong, each a sentence that names its setting.
func Read(raw Raw) (Settings, []string) {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	oneOf := func(name, value, preset string, allowed ...string) string {
		if value == "" {
			return preset
		}
		if !slices.Contains(allowed, value) {
			bad("%s must be one of %s", name, strings.Join(allowed, ", "))
		}
		return value
	}
	duration := func(name, value string, preset, least, most time.Duration) time.Duration {
		if value == "" {
			return preset
		}
		d, err := time.ParseDuration(value)
		if err != nil || d < least || d > most {
			bad("%s must be a time between %s and %s, such as %s", name, least, most, preset)
		}
		return d
	}
	s := Settings{
		Environment: oneOf("ENVIRONMENT", raw.Environment, "development", "development", "test", "production"),
		DatabaseURL: strings.TrimSpace(raw.DatabaseURL), DatabaseCA: raw.DatabaseCACert,
		MigrateURL: strings.TrimSpace(cmp.Or(raw.DatabaseMigrateURL, raw.DatabaseURL)),
		Secure:     oneOf("SESSION_SECURE", strings.ToLower(raw.SessionSecure), "false", "true", "false") == "true",
		Idle:       duration("SESSION_IDLE_TIMEOUT", raw.SessionIdleTimeout, 15*time.Minute, time.Second, 24*time.Hour),
		Lifetime:   duration("SESSION_LIFETIME", raw.SessionLifetime, 12*time.Hour, time.Second, 24*time.Hour),
		Clinic:     cmp.Or(raw.ClinicName, "Chartroom"), Locale: cmp.Or(raw.ClinicLocale, "en"), Help: raw.ClinicHelp,
		DataDir: raw.ChartroomDataDir, PostgresBin: raw.ChartroomPostgres,
	}
	var err error
	if s.Zone, err = time.LoadLocation(cmp.Or(raw.ClinicTimezone, "UTC")); err != nil || raw.ClinicTimezone == "Local" {
		bad("CLINIC_TIMEZONE must be an IANA time zone, such as America/New_York")
	}
	if s.Hops, err = strconv.Atoi(cmp.Or(raw.TrustedProxyHops, "0")); err != nil || s.Hops < 0 || s.Hops > 10 {
		bad("TRUSTED_PROXY_HOPS must be a number from 0 to 10 (2 on Aptible)")
	}
	readSignIn(&s, raw, oneOf("SESSION_AUTH_ENABLED", strings.ToLower(raw.SessionAuthEnabled), "true", "true", "false") == "true", time.Now(), bad)
	if port, err := strconv.ParseUint(cmp.Or(raw.Port, "8080"), 10, 16); err != nil || port == 0 {
		bad("PORT must be a number from 1 to 65535")
	}
	s.Listen = cmp.Or(raw.ListenAddr, ":"+cmp.Or(raw.Port, "8080"))
	if _, _, err := net.SplitHostPort(s.Listen); err != nil {
		bad("LISTEN_ADDR must be an address with a port, such as 127.0.0.1:8080 or :8080")
	}
	if err := s.LogLevel.UnmarshalText([]byte(cmp.Or(raw.LogLevel, "info"))); err != nil {
		bad("LOG_LEVEL must be one of debug, info, warn, error")
	}
	preset := "text"
	if s.Production() {
		preset = "json"
	}
	s.LogFormat = oneOf("LOG_FORMAT", raw.LogFormat, preset, "text", "json")
	s.SessionKeys = readKeys(&s, raw.SessionSecretKey, bad)
	s.AuditKeys = checkKeys("AUDIT_KEY", raw.AuditKey, s.Production(), bad)
	s.AuditLog = oneOf("AUDIT_LOG", raw.AuditLog, "", "stdout") != ""
	if s.Production() {
		if !s.Secure {
			bad("SESSION_SECURE must be true in production: serve over HTTPS")
		}
	}
	for _, a := range []struct{ name, url string }{{"DATABASE_URL", s.DatabaseURL}, {"DATABASE_MIGRATE_URL", raw.DatabaseMigrateURL}} {
		if a.url == "" && a.name != "DATABASE_URL" {
			continue
		}
		const remedy = ": set DATABASE_CA_CERT, or sslmode=verify-full in the address"
		switch t, err := db.CheckAddress(a.url, s.DatabaseCA); {
		case err != nil:
			bad("%s %v", a.name, err)
		case s.Production() && t.Exposed:
			bad("%s would let health data travel unencrypted%s", a.name, remedy)
		case s.Production() && t.Unverified:
			s.Warnings = append(s.Warnings, a.name+" does not verify the database's certificate"+remedy)
		}
	}
	if !regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`).MatchString(s.Locale) {
		bad("CLINIC_LOCALE must be a language tag, such as en or en-US")
	}
	s.Retention = readRetention(&s, raw.AuditRetention, bad)
	s.Metrics = readMetricsAddr(&s, raw.MetricsAddr, bad)
	return s, problems
}

// readMetricsAddr takes an address with a port. Port 0 is any that is free, for tests and for a look.
func readMetricsAddr(s *Settings, text string, bad func(string, ...any)) string {
	if text == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if _, errPort := strconv.ParseUint(port, 10, 16); err != nil || errPort != nil {
		bad("METRICS_ADDR must be an address with a port, such as 127.0.0.1:9090 or :9090")
		return ""
	}
	if _, public, _ := net.SplitHostPort(s.Listen); port != "0" && port == public {
		bad("METRICS_ADDR must have another port than the site, which is open to the public")
		return ""
	}
	if ip := net.ParseIP(host); s.Production() && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		s.Warnings = append(s.Warnings, "METRICS_ADDR listens beyond this machine, without a password: let nothing but the monitoring reach that port")
	}
	return text
}

// readRetention takes days, such as 2192d, besides what time.ParseDuration takes.
func readRetention(s *Settings, text string, bad func(string, ...any)) time.Duration {
	if text == "" {
		return db.KeepAudit
	}
	keep, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		keep = time.Duration(n) * 24 * time.Hour
	}
	switch {
	case err != nil || keep < 24*time.Hour:
		bad("AUDIT_RETENTION must be a time of at least a day, such as 2192d")
	case keep < db.KeepAudit && s.Production():
		bad("AUDIT_RETENTION must be 2192d (six years) or more in production: HIPAA asks for it (45 CFR 164.316)")
	case keep < db.KeepAudit:
		s.Warnings = append(s.Warnings, "AUDIT_RETENTION is less than six years (2192d), which production refuses")
	}
	return keep
}

func readKeys(s *Settings, text string, bad func(string, ...any)) []string {
	if text == "" {
		if s.Production() {
			bad("SESSION_SECRET_KEY is required in production: `openssl rand -hex 32` makes one")
			return nil
		}
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails (crypto/rand)
		s.KeyMadeUp = true
		return []string{hex.EncodeToString(key)}
	}
	return checkKeys("SESSION_SECRET_KEY", text, s.Production(), bad)
}

// checkKeys takes a comma-separated list apart; none gives none.
func checkKeys(name, text string, production bool, bad func(string, ...any)) []string {
	if text == "" {
		return nil
	}
	keys := strings.Split(text, ",")
	for i, k := range keys {
		keys[i] = strings.TrimSpace(k)
		switch {
		case len(keys[i]) < 32:
			bad("%s must have at least 32 characters: `openssl rand -hex 32` makes one", name)
		case production && guessable(keys[i]):
			bad("%s looks like a placeholder or is too regular: `openssl rand -hex 32` makes a good one", name)
		}
	}
	return keys
}

// guessable finds keys that were copied from a guide or typed by hand. It is a net against accidents, no proof.
func guessable(key string) bool { return placeholder(key) || entropy(key) < leastEntropy }

// placeholder finds the words that stand in keys of guides and templates, and templates that nobody filled in.
func placeholder(key string) bool {
	lower := strings.ToLower(key)
	for _, word := range []string{"secret", "change", "your-", "your_", "example", "placeholder", "password", "replace", "insert",
		"generate", "random", "session", "chartroom", "minimum", "production", "insecure", "dummy", "default", "openssl", "-here", "_here", "min-32",
		"xxxx", "${", "{{", "<", "12345678", "abcdefgh", "qwerty", "deadbeef", "01234567", "76543210", "fedcba98", "00112233"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// leastEntropy is in bits: 32 random hexadecimal digits have about 118 by this measure.
const leastEntropy = 96

// entropy is what the key's own signs say of it, in bits.
func entropy(key string) (bits float64) {
	counts := map[byte]float64{}
	for _, c := range []byte(key) {
		counts[c]++
	}
	for _, n := range counts {
		bits -= n * math.Log2(n/float64(len(key)))
	}
	return bits
}

// Logger writes lines with times in UTC, whatever the machine's zone, so that they can be put beside the audit's (ASVS 16.2.2).
func (s Settings) Logger(w io.Writer) *slog.Logger {
	utc := func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(a.Value.Time().UTC())
		}
		return a
	}
	o := &slog.HandlerOptions{Level: s.LogLevel, ReplaceAttr: utc}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
