// Package localpg runs a private PostgreSQL server from the binaries found on
// this machine: the database behind `chartroom demo` and behind the tests.
//
// It listens on a Unix socket in a directory that only its own account may
// enter, so it needs no port and no password, and it cannot clash with another
// server. It lives no longer than the process that started it, and whatever
// way that process ended, the next Start on the same directory finds the data.
package localpg

import "errors"

// ErrNoPostgres says that no usable PostgreSQL was found here. The error that
// wraps it tells what was passed over, and names the ways out.
var ErrNoPostgres = errors.New("no PostgreSQL server found on this machine")

// Options says how and where a server runs.
type Options struct {
	// Dir is the server's home: its data, lock, socket and log lie below it.
	// It is made when missing. When we are root, the server's unprivileged
	// account must be able to enter it.
	Dir string

	// Durable keeps PostgreSQL's promises about crashes, for data somebody
	// wants to see again. Without it the server is a throw-away: as fast as it
	// can be, and gone after a power cut.
	Durable bool

	// BinDir is the directory of initdb and postgres, the setting
	// CHARTROOM_POSTGRES_BIN. Empty means to search, see FindBin.
	BinDir string

	// Settings are further ones of the server, as name=value; they win over
	// ours. For tests that need a server over TCP.
	Settings []string
}
