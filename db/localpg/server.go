//go:build unix

package localpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	superuser = "chartroom"
	// port only names the socket's file. It is spelled out to the server and in
	// every URL, since otherwise PGPORT would decide.
	port = "5432"
)

// Server is a running private PostgreSQL.
type Server struct {
	cmd       *exec.Cmd
	data      string
	socketDir string
	logPath   string
	durable   bool
	stopping  atomic.Bool
	done      chan struct{}
	err       error // how the server ended; written before done is closed
}

// Start makes o.Dir a PostgreSQL cluster unless it is one, starts a server on
// it, and returns once that accepts connections. The context bounds starting
// only; the server runs until Stop, or until this process ends.
//
// Errors: ErrNoPostgres (wrapped) where no server fits; "… is in use by process
// N" when a living process runs this directory already; a directory that the
// server's account cannot use; and otherwise what PostgreSQL said, by the last
// lines of its log.
func Start(ctx context.Context, o Options) (*Server, error) {
	acct, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := makeHome(o.Dir, acct)
	if err != nil {
		return nil, err
	}
	lock, err := takeLock(ctx, dir)
	if err != nil {
		return nil, err
	}
	c := cluster{dir: dir, acct: acct, lock: lock, durable: o.Durable, settings: o.Settings}
	s, err := c.start(ctx, o.BinDir)
	if err != nil {
		releaseLock(lock)
		return nil, err
	}
	if err := s.awaitReady(ctx); err != nil { // the server has ended, and with it its lock
		return nil, err
	}
	return s, nil
}

// start launches a server, to which it leaves the lock; with an error the lock
// is still the caller's.
func (c cluster) start(ctx context.Context, binDir string) (*Server, error) {
	if err := c.checkOwner(); err != nil {
		return nil, err
	}
	bin, err := c.findBin(binDir)
	if err != nil {
		return nil, err
	}
	// A file and no pipe: with a pipe the server would lose its standard error,
	// and might block or die, when we do.
	log, err := os.OpenFile(c.log(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close() // the server has its own copy
	if err := c.initialise(ctx, bin, log); err != nil {
		return nil, err
	}
	socketDir, err := c.clearLeftovers()
	if err != nil {
		return nil, err
	}
	return c.launchServer(bin, socketDir, log)
}

func (c cluster) launchServer(bin, socketDir string, log *os.File) (*Server, error) {
	s := &Server{
		data: c.data(), socketDir: socketDir, logPath: c.log(), durable: c.durable,
		done: make(chan struct{}),
	}
	s.cmd = c.command(stopSignal(c.durable), log, filepath.Join(bin, "postgres"), serverArgs(c.data(), socketDir, c.durable, c.settings)...)
	ended, err := launch(s.cmd)
	if err != nil {
		return nil, fmt.Errorf("run postgres: %w", err)
	}
	go func() {
		if err := <-ended; err != nil && (s.durable || !s.stopping.Load()) {
			s.err = fmt.Errorf("PostgreSQL ended: %w%s", err, lastLines(s.logPath))
		}
		removeSocketDir(socketDir, c.dir)
		releaseLock(c.lock)
		close(s.done)
	}()
	return s, nil
}

// serverArgs are the settings. They stand on the command line, not in a file,
// so that they hold whatever the cluster's own configuration says.
func serverArgs(data, socketDir string, durable bool, further []string) []string {
	args := []string{"-D", data, "-k", socketDir, "-p", port}
	settings := []string{
		"listen_addresses=", "unix_socket_permissions=0700",
		"logging_collector=off", "log_destination=stderr",
		// The log must hold no patient's data. Statements, parameters and DETAIL
		// lines are the known carriers, but the message of a client's error
		// quotes values too (invalid input syntax for type date: "…"). The client
		// gets that message; the log takes only what ranks as LOG or above.
		"log_min_messages=log", "log_min_error_statement=panic",
		"log_statement=none", "log_min_duration_statement=-1",
		"log_parameter_max_length=0", "log_parameter_max_length_on_error=0",
		"log_error_verbosity=terse",
	}
	if durable {
		// A quarter of a small machine's memory is PostgreSQL's own advice; what is not touched is not taken. The more
		// WAL fits between two checkpoints, the fewer pages an import writes twice.
		settings = append(settings, "shared_buffers=1GB", "max_wal_size=4GB", "checkpoint_timeout=15min")
	} else {
		settings = append(settings,
			"fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off",
			"wal_level=minimal", "max_wal_senders=0", "max_connections=200",
			// Small databases never repay the compiling of a query, which costs half a second where the planner misjudges them.
			"jit=off")
	}
	for _, setting := range append(settings, further...) {
		args = append(args, "-c", setting)
	}
	return args
}

// stopSignal asks for a fast shutdown, which leaves clean data and so a quick
// next start. A throw-away server may as well drop everything at once.
func stopSignal(durable bool) syscall.Signal {
	if durable {
		return syscall.SIGINT
	}
	return syscall.SIGQUIT
}

// awaitReady watches the server's pid file, as pg_ctl does: its status line
// says "ready" once recovery is over and connections are welcome. No connection
// is made, so no PG* variable of our environment can spoil the wait.
func (s *Server) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid, status := readPidFile(s.data); pid == s.cmd.Process.Pid && status == "ready" {
			return nil
		}
		select {
		case <-s.done:
			if s.err != nil {
				return fmt.Errorf("while starting: %w", s.err)
			}
			return errors.New("PostgreSQL was stopped while starting")
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start PostgreSQL: %w", ctx.Err()), s.Stop())
		case <-tick.C:
		}
	}
}

// URL names a database of this server, for libpq (psql, pg_dump) and pgx alike:
// through the Unix socket, as the superuser chartroom.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres:///%s?host=%s&port=%s&user=%s&sslmode=disable",
		escape(database), escape(s.socketDir), port, superuser)
}

// escape knows that libpq, unlike a web form, takes a plus sign for itself.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Done is closed when the server has ended, by Stop or by itself. The directory
// is then free for another Start.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop shuts the server down, waits until it has ended, and may be called any
// number of times. Open connections are cut. The error is the server's: that it
// ended in another way than asked, or ended earlier by itself.
func (s *Server) Stop() error {
	s.stopping.Store(true)
	steps := []struct {
		signal   syscall.Signal
		patience time.Duration
	}{
		{stopSignal(s.durable), 30 * time.Second},
		{syscall.SIGQUIT, 10 * time.Second}, // safe for the data: the next start recovers it from the log
		{syscall.SIGKILL, 10 * time.Second},
	}
	for _, step := range steps {
		_ = s.cmd.Process.Signal(step.signal) // fails only for a server that has ended, which done will tell
		select {
		case <-s.done:
			return s.err
		case <-time.After(step.patience):
		}
	}
	return fmt.Errorf("PostgreSQL (process %d) does not end", s.cmd.Process.Pid)
}

// command prepares a program of PostgreSQL's: as the server's account, with a
// process group of its own (a terminal's Ctrl-C is for us, who then stop the
// server in order), with the lock inherited, and with the signal it gets when
// we die.
func (c cluster) command(onDeath syscall.Signal, output *os.File, path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...)
	cmd.Dir = "/" // the account may be unable to enter our own directory
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{c.lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.acct.credential()}
	tieToOurLife(cmd.SysProcAttr, onDeath)
	return cmd
}

// tieToOurLife is a variable so that a test can have an orphan.
var tieToOurLife = dieWithUs

// environment holds nothing of ours: a server has no use for our secrets, and
// PG* variables would change what it does.
func environment() []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/bin:/bin" // initdb needs a shell's commands
	}
	return []string{"PATH=" + path, "LC_ALL=" + locale(), "TZ=UTC"}
}

// locale is one that every system of the kind has. macOS knows no C.UTF-8, and
// refuses to start a server under a locale it does not know.
func locale() string {
	if runtime.GOOS == "darwin" {
		return "en_US.UTF-8"
	}
	return "C.UTF-8"
}

// launch starts cmd; the channel gets its end. The goroutine keeps its thread
// until then, because Linux sends the death signal when the thread that forked
// ends, not when the process does.
func launch(cmd *exec.Cmd) (<-chan error, error) {
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return ended, <-started
}

// lastLines quotes the end of a log for an error, on lines of its own.
func lastLines(path string) string {
	const most, lines = 4 << 10, 12
	log, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if len(log) > most {
		log = log[len(log)-most:]
	}
	all := strings.Split(strings.TrimSpace(string(log)), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	if len(all) == 1 && all[0] == "" {
		return ""
	}
	return "\n" + path + " ends:\n  " + strings.Join(all, "\n  ")
}
