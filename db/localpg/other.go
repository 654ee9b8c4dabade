//go:build !unix

package localpg

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// Server is a running private PostgreSQL; on this system there is none.
type Server struct{}

// Start fails: the private server needs Unix sockets, file locks and signals.
// The error wraps ErrNoPostgres.
func Start(context.Context, Options) (*Server, error) { return nil, notHere() }

// FindBin fails as Start does.
func FindBin(configured, major string) (string, error) { return "", notHere() }

func notHere() error {
	return fmt.Errorf("%w: the private server does not run on %s, so set DATABASE_URL to a PostgreSQL (14 or later) that you have, for example postgres://user:password@localhost:5432/chartroom",
		ErrNoPostgres, runtime.GOOS)
}

// URL is empty: there is no server.
func (*Server) URL(string) string { return "" }

// Stop does nothing.
func (*Server) Stop() error { return nil }

// Done is closed from the start.
func (*Server) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}

// TempDir makes a fresh directory below os.TempDir().
func TempDir() (string, error) { return os.MkdirTemp("", "chartroom-pg-") }

// CheckOwner has nothing to check where there is no server.
func CheckOwner(string) error { return nil }
