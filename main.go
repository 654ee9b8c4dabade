// Command chartroom is a clinic's front door to its patient list: sign in, find the patient, open their page, sign out.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
	_ "time/tzdata" // an image without a zone database must still know the clinic's

	"github.com/alecthomas/kong"
	"github.com/schollz/progressbar/v3"
	_ "golang.org/x/crypto/x509roots/fallback" // nor need it have certificate authorities
	"golang.org/x/term"

	"chartroom/db"
	"chartroom/db/localpg"
	"chartroom/db/sample"
	"chartroom/handlers"
	"chartroom/handlers/settings"
	"chartroom/handlers/verify"
)

// Set by the linker for a release (.ci/release): the tag, the commit's full name, and the commit's date in RFC 3339 and UTC. A
// build by hand knows the last two from its checkout.
var (
	version      = "dev"
	revision     = ""
	revisionDate = ""
)

// The exit codes that scripts rely on.
const (
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks what the caller can mend by calling differently.
type errUsage struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands is the command line. The settings are flags of every command, each with its environment variable.
type commands struct {
	settings.Raw

	Serve   serveCmd `cmd:"" default:"1" help:"Migrate the database, then serve. This is also what no command means."`
	Demo    demoCmd  `cmd:"" help:"Try everything on this machine: a private PostgreSQL, sample patients, a user of each role."`
	Migrate struct {
		Up     migrateUpCmd     `cmd:"" default:"1" help:"Bring the schema up to this program."`
		Down   migrateDownCmd   `cmd:"" help:"Take the newest migrations back. The users table stays."`
		Status migrateStatusCmd `cmd:"" help:"Say where the schema stands."`
	} `cmd:"" help:"Run the embedded migrations by hand; serve does it by itself."`
	User struct {
		Create       userCreateCmd      `cmd:"" help:"Add a user. The first one of an empty table is an administrator."`
		List         userListCmd        `cmd:"" help:"List all users."`
		Disable      userDisableCmd     `cmd:"" help:"Shut an account and end its sessions at once."`
		Enable       userEnableCmd      `cmd:"" help:"Open an account again."`
		SetRole      userSetRoleCmd     `cmd:"" help:"Change what a user may do: viewer, clinician or admin."`
		SetPassword  userSetPasswordCmd `cmd:"" help:"Give a user a new password and end their sessions."`
		Invite       userInviteCmd      `cmd:"" help:"Make a link by which a user sets a password, once; adds the user where there is none."`
		Unlock       userUnlockCmd      `cmd:"" help:"Forget a user's failed sign-ins, so that they need not wait."`
		SignOut      userSignOutCmd     `cmd:"" help:"End all sessions of a user."`
		Check        userCheckCmd       `cmd:"" help:"Say why a user cannot sign in, and what mends it; no password is asked for."`
		HashPassword hashPasswordCmd    `cmd:"" help:"Read a password from standard input and print its hash, for a direct SQL INSERT."`
	} `cmd:"" help:"Manage users."`
	Import importCommands `cmd:"" help:"Import FHIR R4 Patients (NDJSON, one resource, or a Bundle) or Synthea's patients.csv; .gz and .zst too."`
	Export exportCmd      `cmd:"" help:"Write all patients to standard output, as FHIR or CSV."`
	Audit  struct {
		Verify auditVerifyCmd `cmd:"" help:"Say whether the audit is as it was sealed."`
		Export auditExportCmd `cmd:"" help:"Write all events to standard output, the oldest first."`
	} `cmd:"" help:"The record of who did what, and its proof."`
	Check       checkCmd       `cmd:"" help:"Look whether everything is as production needs it; each line says what would mend it."`
	Verify      verifyCmd      `cmd:"" help:"Look at a deployment from outside, over HTTP, as a user: sign-in, list, sign-out, headers, TLS."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask the local server whether it is healthy, for a container's HEALTHCHECK."`
	Version     versionCmd     `cmd:"" help:"Say which program this is."`
}

// app is what every command works with.
type app struct {
	ctx            context.Context
	settings       settings.Settings
	problems       []string // with the settings; only check runs in spite of them
	stdin          io.Reader
	stdout, stderr io.Writer
	log            *slog.Logger
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var cmd commands
	exited := -1
	parser, err := kong.New(&cmd, kong.Name("chartroom"), kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.Description("A clinic's front door to its patient list."), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		panic(err) // a mistake in the struct above
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help was asked for
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "chartroom: %v; `chartroom --help` shows what there is\n", err)
		return exitUsage
	}
	a := &app{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr}
	var problems []string
	a.settings, problems = settings.Read(cmd.Raw)
	if needs, ok := parsed.Selected().Target.Addr().Interface().(interface {
		needs(*settings.Settings) []string
	}); ok {
		problems = append(problems, needs.needs(&a.settings)...)
	}
	a.log = a.settings.Logger(stderr)
	if _, ok := parsed.Selected().Target.Addr().Interface().(*checkCmd); ok { // which tells them in its own way
		a.problems, problems = problems, nil
		a.log = slog.New(slog.DiscardHandler)
	}
	if len(problems) > 0 {
		for _, p := range problems {
			fmt.Fprintln(stderr, "chartroom: "+p)
		}
		return exitUsage
	}
	for _, w := range a.settings.Warnings {
		a.log.Warn(w)
	}
	if err := parsed.Run(a); err != nil {
		fmt.Fprintln(stderr, "chartroom: "+err.Error())
		if errors.As(err, &errUsage{}) {
			return exitUsage
		}
		return exitFailed
	}
	return 0
}

// needsDatabase is embedded by commands that work on a database.
type needsDatabase struct{}

func (needsDatabase) needs(s *settings.Settings) []string {
	if noDatabase(s) {
		return []string{"there is no database to work on: set DATABASE_URL, or try everything out with `chartroom demo`"}
	}
	return nil
}

// noDatabase says that nothing tells where the database is.
func noDatabase(s *settings.Settings) bool {
	return s.DatabaseURL == "" && os.Getenv("PGHOST") == "" && os.Getenv("PGDATABASE") == "" && os.Getenv("PGSERVICE") == ""
}

// openDB connects over the program's own address.
func (a *app) openDB() (*db.DB, error) { return a.openAt(a.settings.DatabaseURL) }

func (a *app) openAt(url string) (*db.DB, error) { return db.Open(a.ctx, a.dbConfig(url), a.log) }

func (a *app) dbConfig(url string) db.Config {
	return db.Config{URL: url, CACert: a.settings.DatabaseCA,
		SessionKeys: a.settings.SessionKeys, Idle: a.settings.Idle, Program: programVersion(), Retention: a.settings.Retention, SignInOff: a.settings.SignInOff}
}

// openMigrated is for commands that may be the first ones on a database.
func (a *app) openMigrated(url string) (*db.DB, error) {
	d, err := a.openAt(url)
	if err != nil {
		return nil, err
	}
	if err := a.migrator().Up(a.ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (a *app) migrator() db.Migrator {
	return db.Migrator{URL: a.settings.MigrateURL, AppURL: a.settings.DatabaseURL, CACert: a.settings.DatabaseCA, Files: migrations, Log: a.log,
		Actor: actor(), Program: programVersion()}
}

// actor is who types a command, for the audit.
func actor() string {
	if u, err := user.Current(); err == nil {
		return "command line: " + u.Username
	}
	return "command line"
}

type serveCmd struct{ needsDatabase }

func (serveCmd) Run(a *app) error {
	d, err := a.openMigrated(a.settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer leave(d)
	if err := a.refuseDanger(d); err != nil {
		return err
	}
	if a.settings.KeyMadeUp {
		a.log.Warn("SESSION_SECRET_KEY is not set, so a key was made up: everybody is signed out when this process ends")
	}
	if has, err := d.HasAdmin(a.ctx); err != nil {
		return err
	} else if !has {
		a.log.Warn("there is no administrator yet: run `chartroom user create --username NAME --role admin`, with the same DATABASE_URL")
	}
	listener, err := net.Listen("tcp", a.settings.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", a.settings.Listen, err)
	}
	return a.serve(d, listener)
}

// refuseDanger stops a start in production while patients' data are exposed or not watched (docs/check.md names the lines); elsewhere it
// warns.
func (a *app) refuseDanger(d *db.DB) error {
	dangers, err := d.Endangered(a.ctx, a.checkOptions())
	if err != nil {
		return err
	}
	var all []string
	for _, c := range dangers {
		if !a.settings.Production() {
			a.log.Warn(c.What+": "+c.Found, "mend", c.Mend)
			continue
		}
		all = append(all, fmt.Sprintf("%s: %s; this does not start in production before it is mended: %s", c.What, c.Found, c.Mend))
	}
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "\nchartroom: "))
}

// How long stopping may take, in all less than 8 s: platforms kill after 10.
const (
	drainTime  = 3 * time.Second // behind proxies: from the signal until no new connection is taken; see stop
	finishTime = 6 * time.Second // from the signal until requests under way are cut off
	sealTime   = time.Second     // for the audit's last seals after that
	leaveTime  = 500 * time.Millisecond
)

// leave gives the connections back. A request that was cut off may hold one for a while longer, which is not waited for: the
// process is about to end, and PostgreSQL takes back what was not committed.
func leave(d *db.DB) {
	closed := make(chan struct{})
	go func() { d.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(leaveTime):
	}
}

// serve answers requests until ctx ends, and then stops as stop says.
func (a *app) serve(d *db.DB, listener net.Listener) error {
	s := a.settings
	if err := d.RecordStart(a.ctx, actor(), s.Weakened()); err != nil {
		return err
	}
	a.log.Info("serving", "address", listener.Addr().String(), "version", programVersion(), "environment", a.settings.Environment)
	site, err := handlers.New(handlers.Config{DB: d, Assets: assets, Log: a.log, SessionKeys: s.SessionKeys, Lifetime: s.Lifetime,
		Secure: s.Secure, ProxyHops: s.Hops, Clinic: s.Clinic, Help: s.Help, Zone: s.Zone, Locale: s.Locale, Build: a.build()})
	if err != nil {
		return err
	}
	endMetrics, err := a.serveMetrics(site)
	if err != nil {
		return err
	}
	defer endMetrics()
	collectAt(150) // less CPU for a page than at 100, and 40 MiB are kept to (measured with task bench)
	server := &http.Server{Handler: site, DisableGeneralOptionsHandler: true, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	go housekeep(ctx, d, a.log)
	go a.warnWhileSignInIsOff(ctx)
	seal, sealed := context.WithCancel(context.WithoutCancel(ctx)) // requests that finish write events
	defer sealed()
	sealing := a.startSealer(seal, d)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err = a.stop(server, site)
	sealed()
	select {
	case <-sealing:
	case <-time.After(sealTime): // standard output may be stuck; what is not sealed is sealed by the next start
	}
	return err
}

// stop lets the requests under way finish. Behind proxies it first goes on serving for a moment: they learn from the health
// check, or from whoever sent the signal, that this process is leaving, and until they have, they send it requests. A listener
// that is closed at once turns those into errors, and so does an idle connection that ends just when a proxy uses it again
// (measured: docs/deploy-container.md).
func (a *app) stop(server *http.Server, site *handlers.Server) error {
	a.log.Info("stopping")
	bye, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), finishTime)
	defer cancel()
	if a.settings.Hops > 0 {
		site.Drain()
		time.Sleep(drainTime)
	}
	if err := server.Shutdown(bye); err != nil {
		a.log.Warn("requests that did not end in time were cut off")
		return server.Close()
	}
	return nil
}

// serveMetrics answers on METRICS_ADDR, if that is set, until end is called.
func (a *app) serveMetrics(site *handlers.Server) (end func(), err error) {
	if a.settings.Metrics == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", a.settings.Metrics)
	if err != nil {
		return nil, fmt.Errorf("METRICS_ADDR cannot be used, choose another address: %w", err)
	}
	server := &http.Server{Handler: site.Operations(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 90 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10, // a profile takes up to a minute
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("metrics are not served any more", "error", err)
		}
	}()
	a.log.Info("metrics", "address", listener.Addr().String())
	return func() { _ = server.Close() }, nil
}

// build says which program this is, for the metrics.
func (a *app) build() handlers.Build {
	newest, _ := a.migrator().Newest() // serve has read the migrations already
	return handlers.Build{Version: programVersion(), Commit: commit(), Schema: newest}
}

// warnWhileSignInIsOff says so at the start and each hour, and when it is over.
func (a *app) warnWhileSignInIsOff(ctx context.Context) {
	for a.settings.SignInOff != nil {
		left := time.Until(a.settings.SignInOff.Until)
		if left <= 0 {
			a.log.Warn("sign-in is on again: remove SESSION_AUTH_ENABLED, SESSION_AUTH_DISABLED_UNTIL and SESSION_AUTH_DISABLED_ALLOW")
			return
		}
		a.log.Warn(a.settings.SignInNote())
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(time.Hour, left)):
		}
	}
}

// collectAt sets how much the memory in use grows before garbage is collected, where the environment does not say (GOGC).
func collectAt(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

func housekeep(ctx context.Context, d *db.DB, log *slog.Logger) {
	for {
		bounded, cancel := context.WithTimeout(ctx, time.Minute)
		if err := d.Housekeep(bounded); err != nil && ctx.Err() == nil {
			log.Warn("housekeeping failed, it will be tried again", "error", db.Loggable(err))
		}
		cancel()
		if err := d.MakeIndexes(ctx); err != nil && ctx.Err() == nil { // takes the time that it takes
			log.Warn("lists are slow, it will be tried again", "error", db.Loggable(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Minute):
		}
	}
}

// startSealer seals audit events until ctx ends, and then what is left; the channel is closed when that is done.
func (a *app) startSealer(ctx context.Context, d *db.DB) <-chan struct{} {
	var lines io.Writer
	if a.settings.AuditLog {
		lines = a.stdout
		signal.Ignore(syscall.SIGPIPE) // a drain that leaves is an error to log, and not our sudden end
	}
	sealer, done := d.NewSealer(a.settings.AuditKeys, lines, a.log), make(chan struct{})
	go func() {
		defer close(done)
		sealer.Run(ctx)
	}()
	return done
}

type migrateUpCmd struct{ needsDatabase }

func (c migrateUpCmd) Run(a *app) error {
	if err := a.migrator().Up(a.ctx); err != nil {
		return err
	}
	return migrateStatusCmd{}.Run(a)
}

type migrateDownCmd struct {
	needsDatabase
	N           int  `arg:"" help:"How many migrations to take back."`
	YesLoseData bool `help:"Do it without asking: what these migrations made is lost, with all that is in it."`
}

func (c migrateDownCmd) Run(a *app) error {
	if c.N < 1 {
		return errUsage{errors.New("the number of migrations to take back must be 1 or more")}
	}
	losses, err := a.migrator().Losses(a.ctx, c.N)
	if errors.As(err, &db.TooMany{}) {
		return errUsage{err}
	}
	if err != nil {
		return err
	}
	a.nameLosses(losses)
	if !c.YesLoseData {
		if err := a.askToLoseData(); err != nil {
			return err
		}
	}
	if err := a.migrator().Down(a.ctx, c.N); err != nil {
		return err
	}
	return migrateStatusCmd{}.Run(a)
}

// Help says what the one line does not.
func (migrateDownCmd) Help() string {
	return `What would be lost is named first, from the database: tables with their rows, and columns. On a terminal the word LOSE must be
typed then; elsewhere, and always in production, --yes-lose-data must be given. To go back to an earlier release is no reason
for this: it runs on the newer schema.`
}

// nameLosses says what goes, before anybody is asked.
func (a *app) nameLosses(l db.Losses) {
	for _, m := range l.Migrations {
		fmt.Fprintf(a.stdout, "taking back %s", m.Migration)
		if len(m.Tables)+len(m.Columns) == 0 {
			fmt.Fprint(a.stdout, " loses no data")
		}
		fmt.Fprintln(a.stdout)
		for _, t := range m.Tables {
			fmt.Fprintf(a.stdout, "  loses the table %s: rows %d\n", t.Name, t.Rows)
		}
		for _, c := range m.Columns {
			fmt.Fprintf(a.stdout, "  loses the column %s.%s: rows with a value %d\n", c.Table, c.Name, c.Rows)
		}
	}
	if l.Audit() {
		fmt.Fprintln(a.stdout, "THE AUDIT GOES TOO, OR WHAT PROVES IT. It must be kept for six years (45 CFR 164.316): run `chartroom audit export >FILE` and `chartroom audit verify` first.")
	}
	if l.Connections > 0 {
		fmt.Fprintf(a.stdout, "Chartroom works on this database right now, over %d connections: stop it first, else its pages fail and its next start migrates up again.\n", l.Connections)
	}
}

// askToLoseData wants a word on a terminal. Production wants the flag, so that nobody does it by answering.
func (a *app) askToLoseData() error {
	tty, ok := a.stdin.(*os.File)
	switch {
	case a.settings.Production():
		return errUsage{errors.New("nothing was changed: in production this needs --yes-lose-data, once you have read what is lost")}
	case !ok || !term.IsTerminal(int(tty.Fd())):
		return errUsage{errors.New("nothing was changed: this needs --yes-lose-data, once you have read what is lost")}
	}
	fmt.Fprint(a.stderr, "Type LOSE to lose all of this: ")
	answer, err := bufio.NewReader(tty).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "LOSE" {
		return errors.New("nothing was changed: the word was not LOSE")
	}
	return nil
}

type migrateStatusCmd struct{ needsDatabase }

func (migrateStatusCmd) Run(a *app) error {
	st, err := a.migrator().Status(a.ctx)
	if err != nil {
		return err
	}
	note := "up to date"
	switch {
	case st.Dirty:
		note = "a migration was interrupted; `chartroom migrate` repairs it"
	case st.Version < st.Newest:
		note = "`chartroom migrate` brings it up"
	case st.Version > st.Newest:
		note = "newer than this program, which works on it"
	}
	fmt.Fprintf(a.stdout, "schema version %d of %d: %s\n", max(st.Version, 0), st.Newest, note)
	return nil
}

// passwordFlags are the ways to give a password.
type passwordFlags struct {
	Password      string `xor:"password" help:"The password. It shows in the list of processes; better use one of the next."`
	PasswordStdin bool   `xor:"password" help:"Read the password from standard input."`
	Generate      bool   `xor:"password" help:"Make up a password and print it."`
}

// read also refuses what is made of the clinic's name, which package db does not know.
func (p passwordFlags) read(a *app) (string, error) {
	password, err := p.ask(a)
	if err != nil {
		return "", err
	}
	return password, db.CheckPassword(password, a.settings.Clinic)
}

func (p passwordFlags) ask(a *app) (string, error) {
	switch {
	case p.Password != "":
		return p.Password, nil
	case p.PasswordStdin:
		return readSecret(a.stdin)
	case p.Generate:
		b := make([]byte, 12)
		_, _ = rand.Read(b) // never fails (crypto/rand)
		password := pronounceable(b)
		fmt.Fprintln(a.stdout, "password: "+password)
		return password, nil
	}
	tty, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return "", errUsage{errors.New("no password: use --password-stdin or --generate, or run this on a terminal")}
	}
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		var err error
		if typed[i], err = a.prompt(tty, prompt); err != nil {
			return "", err
		}
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords are not the same, nothing was changed")
	}
	return typed[0], nil
}

// prompt asks on a terminal for what must not be shown there.
func (a *app) prompt(tty *os.File, text string) (string, error) {
	fmt.Fprint(a.stderr, text)
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(a.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(b), nil
}

// readSecret takes all of standard input but one line ending.
func readSecret(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, 64<<10))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	s := strings.TrimSuffix(string(b), "\n")
	return strings.TrimSuffix(s, "\r"), nil
}

// pronounceable writes random bytes as syllables, 6 bits each (the two top bits of a byte are not used): 12 bytes give
// 72 bits in words that can be read to somebody.
func pronounceable(b []byte) string {
	const consonants, vowels = "bdfghjklmnprstvz", "aeio"
	var out strings.Builder
	for i, c := range b {
		if i > 0 && i%3 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(consonants[c>>2&15])
		out.WriteByte(vowels[c&3])
	}
	return out.String()
}

type userCreateCmd struct {
	needsDatabase
	Username string `required:"" help:"User name; it is matched exactly."`
	Email    string `help:"E-mail address."`
	Role     string `help:"viewer, clinician or admin." enum:",viewer,clinician,admin" default:""`
	passwordFlags
}

func (c userCreateCmd) Run(a *app) error {
	d, err := a.openMigrated(a.settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer d.Close()
	password, err := c.read(a)
	if err != nil {
		return err
	}
	u, err := d.CreateUser(a.ctx, byShell(), db.NewUser{Username: c.Username, Email: c.Email, Role: c.Role, Password: password})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "created %s (%s)\n", u.Username, u.Role)
	return nil
}

type userListCmd struct {
	needsDatabase
	JSON bool `help:"As JSON."`
}

func (c userListCmd) Run(a *app) error {
	return a.withUsers(func(d *db.DB) error {
		users, err := d.ListUsers(a.ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return json.NewEncoder(a.stdout).Encode(users)
		}
		table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "USERNAME\tROLE\tSTATE\tE-MAIL")
		for _, u := range users {
			state, email := "active", ""
			if !u.Active {
				state = "disabled"
			}
			if u.Email != nil {
				email = *u.Email
			}
			fmt.Fprintf(table, "%q\t%s\t%s\t%s\n", u.Username, u.Role, state, email)
		}
		return table.Flush()
	})
}

func (a *app) withUsers(f func(*db.DB) error) error {
	d, err := a.openDB()
	if err != nil {
		return err
	}
	defer d.Close()
	return f(d)
}

type userArg struct {
	needsDatabase
	Username string `arg:"" help:"User name."`
}

type userDisableCmd struct{ userArg }

func (c userDisableCmd) Run(a *app) error {
	return a.change(c.Username, "disabled", (*db.DB).DisableUser)
}

type userEnableCmd struct{ userArg }

func (c userEnableCmd) Run(a *app) error {
	return a.change(c.Username, "enabled", (*db.DB).EnableUser)
}

type userUnlockCmd struct{ userArg }

func (c userUnlockCmd) Run(a *app) error {
	return a.change(c.Username, "unlocked", (*db.DB).UnlockUser)
}

type userSignOutCmd struct{ userArg }

func (c userSignOutCmd) Run(a *app) error {
	return a.change(c.Username, "signed out", (*db.DB).SignOutUser)
}

type userCheckCmd struct {
	userArg
	JSON bool `help:"As JSON."`
}

// Help says what the one line does not.
func (userCheckCmd) Help() string {
	return `Exit 0 when the user can sign in with the right password, else 1. Whether a password is right is not asked: only its user
knows it. Nothing is changed.`
}

func (c userCheckCmd) Run(a *app) error {
	return a.withUsers(func(d *db.DB) error {
		u, err := d.CheckUser(a.ctx, c.Username)
		if err != nil {
			return err
		}
		if c.JSON {
			err = json.NewEncoder(a.stdout).Encode(u)
		} else {
			writeUserCheck(a.stdout, u)
		}
		if err == nil && !u.CanSignIn {
			err = fmt.Errorf("%q cannot sign in", u.Username)
		}
		return err
	})
}

func writeUserCheck(w io.Writer, u db.UserCheck) {
	if u.CanSignIn {
		fmt.Fprintf(w, "%q (%s) can sign in with the right password\n", u.Username, u.Role)
	}
	for _, r := range append(u.Reasons, u.Notes...) {
		fmt.Fprintln(w, r.Says)
		if r.Mend != "" {
			fmt.Fprintln(w, "  -> "+r.Mend)
		}
	}
}

type userSetRoleCmd struct {
	userArg
	Role string `arg:"" enum:"viewer,clinician,admin" help:"viewer, clinician or admin."`
}

func (c userSetRoleCmd) Run(a *app) error {
	return a.withUsers(func(d *db.DB) error {
		if err := d.SetRole(a.ctx, byShell(), db.UserRef{Name: c.Username}, c.Role); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s is %s from the next request on\n", c.Username, c.Role)
		return nil
	})
}

type userInviteCmd struct {
	userArg
	Email string `help:"E-mail address, of a new user."`
	Role  string `help:"viewer, clinician or admin, of a new user." enum:",viewer,clinician,admin" default:""`
	Site  string `help:"Where the site is, to print the whole address: https://chartroom.example.org"`
}

func (c userInviteCmd) Run(a *app) error {
	d, err := a.openMigrated(a.settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer d.Close()
	users, err := d.ListUsers(a.ctx)
	if err != nil {
		return err
	}
	var link db.Link
	if slices.ContainsFunc(users, func(u db.User) bool { return u.Username == c.Username }) {
		if c.Email != "" || c.Role != "" {
			return fmt.Errorf("%s exists: --email and --role are for new users", c.Username)
		}
		link, err = d.MakeLink(a.ctx, byShell(), db.UserRef{Name: c.Username})
	} else {
		var u db.User
		if u, link, err = d.InviteUser(a.ctx, byShell(), db.NewUser{Username: c.Username, Email: c.Email, Role: c.Role}); err == nil {
			fmt.Fprintf(a.stderr, "added %s (%s)\n", u.Username, u.Role)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "Give this address to %s and nobody else. It works once, until %s:\n", c.Username, link.Expires.UTC().Format("2 January 2006 15:04 UTC"))
	fmt.Fprintln(a.stdout, strings.TrimSuffix(c.Site, "/")+"/invite/"+link.Token)
	return nil
}

func byShell() db.By { return db.By{Shell: actor()} }

func (a *app) change(username, done string, f func(*db.DB, context.Context, db.By, db.UserRef) error) error {
	return a.withUsers(func(d *db.DB) error {
		if err := f(d, a.ctx, byShell(), db.UserRef{Name: username}); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s %s\n", done, username)
		return nil
	})
}

type userSetPasswordCmd struct {
	userArg
	passwordFlags
}

func (c userSetPasswordCmd) Run(a *app) error {
	return a.withUsers(func(d *db.DB) error {
		password, err := c.read(a)
		if err != nil {
			return err
		}
		if err := d.SetPassword(a.ctx, byShell(), db.UserRef{Name: c.Username}, password); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "set the password of %s and ended their sessions\n", c.Username)
		return nil
	})
}

type hashPasswordCmd struct{}

func (hashPasswordCmd) Run(a *app) error {
	password, err := readSecret(a.stdin)
	if err != nil {
		return err
	}
	hash, err := db.HashPassword(password, a.settings.Clinic)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, hash)
	return nil
}

// importCommands are import and what belongs to it. The name of the first is for --help alone: import FILE is how it is
// called, and no file should need another name because of it.
type importCommands struct {
	Files importCmd     `cmd:"" name:"FILE..." default:"withargs" help:"Import files; - is standard input. A file that is named list or undo is ./list."`
	List  importListCmd `cmd:"" help:"List all imports, the newest first."`
	Undo  importUndoCmd `cmd:"" help:"Take an import back."`
}

// Help stands in the help of import alone, which would not show the flags otherwise.
func (importCommands) Help() string {
	return `How to call it:

	chartroom import [--dry-run] [--rejects FILE] FILE...
	chartroom import list [--json]
	chartroom import undo BATCH

	--dry-run       read and compare everything, tell the counts, write nothing to the database
	--rejects FILE  a new file for what is rejected, with the reasons, to be mended and imported
	FILE...         files to import; - is standard input

A patient is the same one by the FHIR id, so that an import can be repeated. One who was changed here since the last
import is not overwritten: what came waits on the patient's page. All files of one call are one import with one number,
which list shows and undo takes back. Exit 1: something was rejected, and the rest is in; or the import broke off, and can
be run again.`
}

type importCmd struct {
	needsDatabase
	DryRun  bool     `help:"Read and compare everything, tell the counts, and write nothing to the database."`
	Rejects string   `placeholder:"FILE" help:"A new file for what is rejected, with the reasons, to be mended and imported."`
	Files   []string `arg:"" name:"file" help:"Files to import; - is standard input."`
}

func (c importCmd) Run(a *app) error {
	// Direct: it keeps a lock and notes in temporary tables for its connection, which a pooler would scatter.
	d, err := a.openAt(a.settings.MigrateURL)
	if err != nil {
		return err
	}
	defer d.Close()
	if c.DryRun {
		st, err := a.migrator().Status(a.ctx)
		if err != nil {
			return err
		}
		if st.Dirty || st.Version < st.Newest {
			return errors.New("a dry run changes nothing, and the database needs a migration first: run `chartroom migrate`")
		}
	} else if err := a.migrator().Up(a.ctx); err != nil {
		return err
	}
	rejects, err := openRejects(c.Rejects)
	if err != nil {
		return err
	}
	return errors.Join(a.importFiles(d, c.Files, c.DryRun, rejects), rejects.close(a))
}

// rejectsFile is what --rejects names. It holds health data, so nobody else may read it, and it never takes the place of
// another file, which may be what somebody has mended for an hour.
type rejectsFile struct {
	*os.File
	from  string // the file that is being imported
	noted bool   // and that its name stands in this one
	bytes int
}

func openRejects(name string) (*rejectsFile, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s is there already and was left alone, and nothing was imported: name another file with --rejects", name)
	}
	if err != nil {
		return nil, fmt.Errorf("make the file of rejects: %w", err)
	}
	return &rejectsFile{File: f}, nil
}

// Write notes before the first reject of a file which one it came from.
func (r *rejectsFile) Write(b []byte) (int, error) {
	r.bytes += len(b)
	n, err := r.File.Write(b)
	if err == nil && !r.noted { // after it, because the first line of CSV is its header
		r.noted = true
		_, err = fmt.Fprintf(r.File, "# (from %q)\n", r.from)
	}
	return n, err
}

// close removes the file when nothing was rejected.
func (r *rejectsFile) close(a *app) error {
	if r == nil {
		return nil
	}
	err := r.Close()
	if r.bytes == 0 {
		return errors.Join(err, os.Remove(r.Name()))
	}
	fmt.Fprintf(a.stdout, "the rejects are in %s: mend them there and import it\n", r.Name())
	return err
}

// importFiles imports one file after the other, as one import. One that cannot be read does not keep the others out.
func (a *app) importFiles(d *db.DB, files []string, dryRun bool, rejects *rejectsFile) error {
	name := ""
	o := db.ImportOptions{Actor: actor(), DryRun: dryRun, Rejected: func(where, reason string) {
		fmt.Fprintf(a.stderr, "%s, %s: rejected: %s\n", name, where, reason)
	}}
	o.Conflict = func(id string) {
		fmt.Fprintf(a.stderr, "%s: in conflict with what was changed here: /patients/%s\n", name, id)
	}
	if rejects != nil {
		o.Rejects = rejects
	}
	o.Indexing = func() {
		fmt.Fprintln(a.stderr, "the indexes of lists are being made, which takes some seconds for each million patients")
	}
	last := time.Now()
	if !a.onTerminal() {
		o.Progress = func(r db.ImportReport) {
			if time.Since(last) > 10*time.Second {
				last = time.Now()
				fmt.Fprintf(a.stderr, "%s: %d patients so far\n", name, r.Patients())
			}
		}
	}
	collectAt(200) // a tenth less CPU of this process than at 100, for 30 MiB more (measured at a million)
	im, err := d.BeginImport(a.ctx, o)
	if err != nil {
		return err
	}
	var total db.ImportReport
	var failed error
	for _, name = range files {
		if rejects != nil {
			rejects.from, rejects.noted = name, false
		}
		report, err := a.importFile(im, name)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
		fmt.Fprintf(a.stdout, "%s: %s\n", name, counts(report))
		total = total.Plus(report)
		if a.ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed, im.End(a.ctx), a.summary(total, im.Number(), dryRun))
}

// summary says what to do next, and is an error when something was rejected.
func (a *app) summary(total db.ImportReport, number int, dryRun bool) error {
	in, waits := "everything else is in", "waits"
	if dryRun {
		in, waits = "everything else would go in", "would wait"
	}
	if total.Conflicts > 0 {
		fmt.Fprintf(a.stdout, "patients changed here since the last import: %d; they stay as they are, and what came %s on their pages\n", total.Conflicts, waits)
	}
	if dryRun {
		fmt.Fprintln(a.stdout, "this was a dry run: nothing was written")
	} else if total.Created+total.Updated+total.Conflicts > 0 {
		fmt.Fprintf(a.stdout, "this is import %d: `chartroom import undo %d` takes it back\n", number, number)
	}
	if total.Rejected > 0 {
		return fmt.Errorf("%d rejected, %s; mend those and import the file again", total.Rejected, in)
	}
	return nil
}

func counts(r db.ImportReport) string {
	conflicts := ""
	if r.Conflicts > 0 {
		conflicts = fmt.Sprintf("%d in conflict, ", r.Conflicts)
	}
	return fmt.Sprintf("%d created, %d updated, %d unchanged, %s%d rejected, %d of other types left out",
		r.Created, r.Updated, r.Unchanged, conflicts, r.Rejected, r.Other)
}

func (a *app) onTerminal() bool {
	tty, ok := a.stderr.(*os.File)
	return ok && term.IsTerminal(int(tty.Fd()))
}

func (a *app) importFile(im *db.Import, name string) (db.ImportReport, error) {
	in, size := a.stdin, int64(-1)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return db.ImportReport{}, err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = f
	}
	if a.onTerminal() {
		bar := progressbar.NewOptions64(size, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetDescription(filepath.Base(name)),
			progressbar.OptionShowBytes(true), progressbar.OptionShowTotalBytes(true), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
		defer bar.Finish()
		in = io.TeeReader(in, bar)
	}
	return im.Read(a.ctx, in)
}

type importListCmd struct {
	needsDatabase
	JSON bool `help:"As JSON."`
}

func (c importListCmd) Run(a *app) error {
	d, err := a.openMigrated(a.settings.MigrateURL)
	if err != nil {
		return err
	}
	defer d.Close()
	imports, err := d.ListImports(a.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(append([]db.ImportRun{}, imports...)) // [] and not null
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NUMBER\tBEGUN\tBY\tCREATED\tUPDATED\tUNCHANGED\tCONFLICTS\tREJECTED\tOTHER\tSTATE")
	for _, i := range imports {
		fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", i.ID, a.moment(i.StartedAt), i.Actor,
			i.Created, i.Updated, i.Unchanged, i.Conflicts, i.Rejected, i.Other, a.importState(i))
	}
	return table.Flush()
}

func (a *app) importState(i db.ImportRun) string {
	switch {
	case i.UndoneAt != nil:
		return fmt.Sprintf("taken back %s by %s", a.moment(*i.UndoneAt), *i.UndoneBy)
	case i.Running:
		return "running"
	case i.FinishedAt == nil:
		return "cut off"
	}
	return "complete"
}

// moment is the clinic's time, for people at a shell.
func (a *app) moment(t time.Time) string { return t.In(a.settings.Zone).Format("2006-01-02 15:04") }

// Help says what the one line does not.
func (importListCmd) Help() string {
	return `The state is complete, running, cut off (run the same import again: it does the rest), or taken back, with when and by
whom. Times are in CLINIC_TIMEZONE.`
}

type importUndoCmd struct {
	needsDatabase
	Number int `arg:"" name:"batch" help:"The import's number, from import list."`
}

// Help says what the one line does not.
func (importUndoCmd) Help() string {
	return `Patients whose present version came with this import are again as they were before it; those that it created are deleted,
with their history. Who was changed since stays, and so does who was brought again by a later import that is not taken back;
both are named by id. Conflicts that it alone found and that still wait go. If this is cut off, run it again.`
}

func (c importUndoCmd) Run(a *app) error {
	d, err := a.openMigrated(a.settings.MigrateURL)
	if err != nil {
		return err
	}
	defer d.Close()
	newest := 0
	r, err := d.UndoImport(a.ctx, actor(), c.Number, func(id string, confirmedBy int) {
		if confirmedBy == 0 {
			fmt.Fprintf(a.stdout, "stays: %s (changed since)\n", id)
			return
		}
		newest = max(newest, confirmedBy)
		fmt.Fprintf(a.stdout, "stays: %s (import %d brought it again)\n", id, confirmedBy)
	})
	if r.Deleted+r.Restored+r.Conflicts > 0 || err == nil {
		fmt.Fprintf(a.stdout, "import %d is taken back: patients deleted that it had created: %d; as they were before it: %d; conflicts of its that waited: %d\n",
			c.Number, r.Deleted, r.Restored, r.Conflicts)
	}
	if r.Left > 0 {
		fmt.Fprintf(a.stdout, "stay, because they were changed since: %d, named above\n", r.Left)
	}
	if r.Confirmed > 0 {
		fmt.Fprintf(a.stdout, "stay, because a later import brought them again: %d, named above; if they are to go too, take back import %d, then this one again\n",
			r.Confirmed, newest)
	}
	return err
}

type exportCmd struct {
	needsDatabase
	Format string `enum:"ndjson,csv" default:"ndjson" help:"ndjson, which is FHIR and loses nothing, or csv, the list's columns."`
}

// Help says what the one line does not.
func (exportCmd) Help() string {
	return `Patients come by name. Each thousand are recorded in the audit before they are written. Exit 1 means that the export is not
complete. The output is health data: keep it where nobody else can read it.`
}

func (c exportCmd) Run(a *app) error {
	d, err := a.openMigrated(a.settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer d.Close()
	out, err := db.NewExporter(a.stdout, c.Format)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // so that a reader who leaves is an error to tell, and not our sudden end
	err = d.ExportAll(a.ctx, actor(), c.Format, out.Write)
	if errors.Is(err, syscall.EPIPE) {
		return errors.New("the export is not complete: whoever read it has stopped reading")
	}
	return err
}

type auditExportCmd struct {
	needsDatabase
	Format string `enum:"ndjson,csv" default:"ndjson" help:"ndjson, an object a line, or csv."`
}

// Help says what the one line does not.
func (auditExportCmd) Help() string {
	return `Every event up to now, with the names of the table's columns; times are UTC. The export is an event too: one when it begins, one
with the count when it is complete. Exit 1 means that it is not. Events name users and addresses, and patients by id.`
}

func (c auditExportCmd) Run(a *app) error {
	d, err := a.openMigrated(a.settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer d.Close()
	out, err := db.NewEventExporter(a.stdout, c.Format)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // so that a reader who leaves is an error to tell, and not our sudden end
	err = d.ExportAllAudit(a.ctx, actor(), c.Format, out.Write)
	if errors.Is(err, syscall.EPIPE) {
		return errors.New("the export is not complete: whoever read it has stopped reading")
	}
	return err
}

type demoCmd struct {
	Patients int      `default:"250" help:"How many sample patients to make up, when there are none yet."`
	Port     int      `default:"0" help:"Port on this machine; without it 8080, or another when that is taken."`
	Fresh    bool     `help:"Start over: throw the demo's data away."`
	Files    []string `arg:"" optional:"" name:"file" help:"FHIR files to load instead of made-up patients."`
}

func (demoCmd) needs(s *settings.Settings) []string {
	if s.Production() {
		return []string{"demo is for trying Chartroom out, not for ENVIRONMENT=production: use `chartroom serve`"}
	}
	return nil
}

// demoDir is the same for every start, so that data stay; root's lies outside its home, which PostgreSQL's account
// cannot enter.
func demoDir(configured string) (string, error) {
	if configured != "" {
		return filepath.Abs(configured)
	}
	if os.Getuid() == 0 {
		return "/var/tmp/chartroom-demo", nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" && runtime.GOOS != "darwin" {
		return filepath.Join(dir, "chartroom"), nil
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		dir, err := os.UserConfigDir()
		return filepath.Join(dir, "Chartroom"), err
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "share", "chartroom"), err
}

func (c demoCmd) Run(a *app) error {
	dir, err := demoDir(a.settings.DataDir)
	if err != nil {
		return err
	}
	ours := func() error {
		if a.settings.DataDir != "" { // chosen by whoever starts this
			return nil
		}
		return localpg.CheckOwner(dir)
	}
	if err := ours(); err != nil {
		return err
	}
	server, err := localpg.Start(a.ctx, localpg.Options{Dir: filepath.Join(dir, "postgres"), Durable: true, BinDir: a.settings.PostgresBin})
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := ours(); err != nil { // somebody may have been quicker to make it
		return err
	}
	if err := db.EnsureDatabase(a.ctx, server.URL("postgres"), "chartroom", c.Fresh); err != nil {
		return err
	}
	secret, err := demoSecret(filepath.Join(dir, "secret"))
	if err != nil {
		return err
	}
	a.settings.DatabaseURL = server.URL("chartroom")
	a.settings.MigrateURL, a.settings.DatabaseCA = a.settings.DatabaseURL, ""
	a.settings.SessionKeys, a.settings.KeyMadeUp = []string{hex.EncodeToString(db.DeriveKey(secret, "demo session key"))}, false
	d, err := a.openMigrated(a.settings.DatabaseURL)
	if err != nil {
		return err
	}
	defer d.Close()
	signIns, err := a.demoUsers(d, secret)
	if err != nil {
		return err
	}
	if err := c.load(a, d); err != nil {
		return err
	}
	listener, err := c.listen()
	if err != nil {
		return err
	}
	count, err := d.CountPatients(a.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\nChartroom is ready with %d patients:\n\n    http://localhost:%d/\n\n%s\nData: %s (stays; --fresh starts over). Ctrl-C ends it.\n"+
		"For other commands on it meanwhile: export DATABASE_URL='%s'\n\n",
		count, listener.Addr().(*net.TCPAddr).Port, signIns, dir, a.settings.DatabaseURL)
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	gone := false
	go func() {
		select {
		case <-server.Done():
			gone = true
			stop()
		case <-ctx.Done():
		}
	}()
	b := *a
	b.ctx = ctx
	if err := b.serve(d, listener); err != nil {
		return err
	}
	if gone {
		return fmt.Errorf("the demo's PostgreSQL ended: %s tells why", filepath.Join(dir, "postgres", "postgres.log"))
	}
	return nil
}

// demoSecret is made once and kept readable by this account alone; passwords and session key follow from it.
func demoSecret(path string) (string, error) {
	if b, err := os.ReadFile(path); err == nil && len(bytes.TrimSpace(b)) >= 32 {
		return string(bytes.TrimSpace(b)), nil
	}
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	secret := hex.EncodeToString(b)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the demo's secret: %w", err)
	}
	return secret, nil
}

// demoUsers makes a user of each role, once, and returns the table of sign-ins.
func (a *app) demoUsers(d *db.DB, secret string) (string, error) {
	users, err := d.ListUsers(a.ctx)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 3, ' ', 0)
	for _, u := range []struct{ name, role string }{{"alex.admin", db.RoleAdmin}, {"casey.clinician", db.RoleClinician}, {"vic.viewer", db.RoleViewer}} {
		password := pronounceable(db.DeriveKey(secret, "demo password of "+u.name)[:12])
		if !slices.ContainsFunc(users, func(have db.User) bool { return have.Username == u.name }) {
			if _, err := d.CreateUser(a.ctx, db.By{Shell: "demo"}, db.NewUser{Username: u.name, Role: u.role, Password: password}); err != nil {
				return "", err
			}
		}
		fmt.Fprintf(table, "    %s\t%s\t(%s)\n", u.name, password, u.role)
	}
	if err := table.Flush(); err != nil {
		return "", err
	}
	return out.String(), nil
}

func (c demoCmd) load(a *app, d *db.DB) error {
	if len(c.Files) > 0 {
		return a.importFiles(d, c.Files, false, nil)
	}
	have, err := d.CountPatients(a.ctx)
	if err != nil || have > 0 {
		return err
	}
	r, w := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(w, 64<<10)
		for p := range sample.Patients(1, c.Patients) {
			out.Write(p)
			if err := out.WriteByte('\n'); err != nil {
				return // the reader has left and says why
			}
		}
		w.CloseWithError(out.Flush())
	}()
	defer r.Close()
	_, err = d.ImportPatients(a.ctx, r, db.ImportOptions{Actor: "demo"})
	return err
}

// listen is on this machine only: the demo's data may be made up, its sign-ins stand on the screen.
func (c demoCmd) listen() (net.Listener, error) {
	if c.Port != 0 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.Port))
		if err != nil {
			return nil, fmt.Errorf("port %d cannot be used, choose another with --port: %w", c.Port, err)
		}
		return l, nil
	}
	if l, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil {
		return l, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

type auditVerifyCmd struct {
	needsDatabase
	Anchor string `placeholder:"SEAL" help:"A seal that was kept outside, BLOCK:HEX: the audit must still have it."`
	JSON   bool   `help:"As JSON."`
}

// Help says what the one line does not.
func (auditVerifyCmd) Help() string {
	return `Every sealed event and every seal is compared with what it was when it was sealed. An event that was changed, removed, moved or
inserted is found, and the first block that is not right is named. That the newest blocks were cut off is only found with a
seal that was kept outside of the database: the server logs one each minute in which there was something to seal, and this
command prints the newest. AUDIT_KEY must be the server's, with the keys that it had before. Exit 1: something is wrong.`
}

func (c auditVerifyCmd) Run(a *app) error {
	o := db.VerifyOptions{Keys: a.settings.AuditKeys, Retention: a.settings.Retention}
	if c.Anchor != "" {
		anchor, err := db.ParseAnchor(c.Anchor)
		if err != nil {
			return errUsage{err}
		}
		o.Anchor = &anchor
	}
	d, err := a.openDB()
	if err != nil {
		return err
	}
	defer d.Close()
	r, err := d.VerifyAudit(a.ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(r)
	} else if r.Bad == nil {
		_, err = io.WriteString(a.stdout, r.Summary())
	}
	if err == nil && r.Bad != nil {
		err = fmt.Errorf("the audit is not as it was sealed: block %d %s", r.Bad.Block, r.Bad.Reason)
	}
	return err
}

type checkCmd struct {
	JSON bool `help:"As JSON."`
}

// Help says what the one line does not.
func (checkCmd) Help() string {
	return `Each line is pass, warn or fail, and says what mends it; docs/check.md has all of them. Exit 1 when one fails. Nothing is changed.
It works with wrong settings and without a database too: then that is what fails. Looking for the passwords of guides takes up
to some ten seconds of two processors.`
}

func (c checkCmd) Run(a *app) error {
	lines := a.settings.Check(a.problems)
	lines = append(lines, a.settings.CheckEnvFiles("."))
	lines = append(lines, db.CheckDatabase(a.ctx, a.checkOptions())...)
	var err error
	if c.JSON {
		err = json.NewEncoder(a.stdout).Encode(lines)
	} else {
		err = writeCheck(a.stdout, lines)
	}
	failed := 0
	for _, l := range lines {
		if l.Result == db.CheckFail {
			failed++
		}
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("failed: %d of %d; each says above what mends it", failed, len(lines))
	}
	return err
}

type verifyCmd struct {
	URL           string `arg:"" name:"url" help:"The site, as people open it: https://chartroom.example.org"`
	Username      string `required:"" help:"A user who can sign in."`
	PasswordStdin bool   `help:"Read the password from standard input."`
	JSON          bool   `help:"As JSON."`
}

// Help says what the one line does not.
func (verifyCmd) Help() string {
	return `It signs in, looks at the list once (which is on record as a look at those patients), and signs out. Each line is pass, warn,
fail or skip (not looked at, because …), and says what mends it. Exit 1 when one fails, 2 for an address that is none or a
password that is missing. No redirect to another host is followed, no proxy of the environment is used, and http:// is only
taken for this machine. An authority of your own for certificates is named by SSL_CERT_FILE.`
}

func (c verifyCmd) Run(a *app) error {
	password, err := c.password(a)
	if err != nil {
		return err
	}
	lines, err := verify.Run(a.ctx, verify.Options{URL: c.URL, Username: c.Username, Password: password})
	if err != nil {
		return errUsage{err}
	}
	if err := verify.Write(a.stdout, lines, c.JSON); err != nil {
		return err
	}
	if failed := verify.Failed(lines); failed > 0 {
		return fmt.Errorf("failed: %d of %d; each says above what mends it", failed, len(lines))
	}
	return nil
}

func (c verifyCmd) password(a *app) (string, error) {
	if c.PasswordStdin {
		return readSecret(a.stdin)
	}
	tty, ok := a.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return "", errUsage{errors.New("no password: use --password-stdin, or run this on a terminal")}
	}
	return a.prompt(tty, "Password: ")
}

// writeCheck gathers what could not be looked at, or one thing that is wrong would be lost among its consequences.
func writeCheck(w io.Writer, lines []db.Check) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var unseen []string
	for _, l := range lines {
		if l.Unseen() {
			unseen = append(unseen, l.What)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.Result, l.What, l.Found)
		if l.Mend != "" {
			fmt.Fprintf(table, "\t\t-> %s\n", l.Mend)
		}
	}
	if err := table.Flush(); err != nil || len(unseen) == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "fail  could not be looked at before the rest is mended: %s\n", strings.Join(unseen, ", "))
	return err
}

func (a *app) checkOptions() db.CheckOptions {
	return db.CheckOptions{Config: a.dbConfig(a.settings.DatabaseURL), Migrator: a.migrator(), Production: a.settings.Production(), NoAddress: noDatabase(&a.settings)}
}

type healthcheckCmd struct{}

func (healthcheckCmd) Run(a *app) error {
	host, port, err := net.SplitHostPort(a.settings.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(a.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthcheck", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server answers %s: its log says why", answer.Status)
	}
	fmt.Fprintln(a.stdout, "healthy")
	return nil
}

type versionCmd struct {
	JSON bool `help:"As JSON."`
}

func (c versionCmd) Run(a *app) error {
	newest, err := a.migrator().Newest()
	if err != nil {
		return err
	}
	v := struct {
		Version string `json:"version"`
		Commit  string `json:"commit"`
		Date    string `json:"date"` // the commit's, RFC 3339; a build's own would make each build another program
		Go      string `json:"go"`
		Schema  int    `json:"schema"`
	}{programVersion(), commit(), cmp.Or(revisionDate, vcs("vcs.time")), runtime.Version(), newest}
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(v)
	}
	fmt.Fprintf(a.stdout, "chartroom %s, commit %s of %s, %s, schema %d\n", v.Version, cmp.Or(v.Commit, "unknown"),
		cmp.Or(v.Date, "an unknown date"), v.Go, v.Schema)
	return nil
}

func programVersion() string {
	if version == "dev" || version == "" {
		if c := commit(); len(c) >= 12 {
			return "dev-" + c[:12]
		}
	}
	return cmp.Or(version, "dev")
}

func commit() string { return cmp.Or(revision, vcs("vcs.revision")) }

// vcs is what the go command noted of the checkout that it built in.
func vcs(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
