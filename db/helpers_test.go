package db_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
)

// predecessor fills a database as the web app that Chartroom replaces leaves it.
func predecessor(t *testing.T, c *pgx.Conn) {
	t.Helper()
	sql, err := os.ReadFile(filepath.Join(dbtest.Root(), "testdata", "predecessor.sql"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, c, string(sql))
}

var quietLog = slog.New(slog.DiscardHandler)

const goodPassword = "seven brass kettles"

// addUser makes a user cheaply: a cost of 4 instead of 12, where the password's hash is not what is tested.
func addUser(t *testing.T, c *pgx.Conn, name, role string) {
	t.Helper()
	must(t, c, `INSERT INTO users (username, password_hash, role) VALUES ($1, $2, $3)`, name,
		"$2b$04$abcdefghijklmnopqrstuuK.fkJ9jX1H0dKnuCHkGJ6tqP3gGJY6O", role)
}

var from = netip.MustParseAddr("192.0.2.7")

// signedIn stores a session for a user, the way a sign-in ends, and gives the credential.
func signedIn(t *testing.T, d *db.DB, c *pgx.Conn, name string) db.Viewer {
	t.Helper()
	v, err := begin(d, value[int](t, c, `SELECT id FROM users WHERE username = $1`, name), value[int](t, c, `SELECT session_epoch FROM users WHERE username = $1`, name))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func begin(d *db.DB, user, epoch int) (db.Viewer, error) {
	sm := d.Sessions(time.Hour)
	ctx, err := sm.Load(context.Background(), "")
	if err != nil {
		return db.Viewer{}, err
	}
	db.PutSession(ctx, sm, db.Session{UserID: user, Epoch: epoch, Methods: []string{"pwd"}, Program: "test"})
	token, _, err := sm.Commit(ctx)
	return db.Viewer{Token: token, Roles: db.Roles, Client: from, RequestID: "r1"}, err
}
