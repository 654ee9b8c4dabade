//go:build unix

package dbtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db/localpg"
)

// TLSServer is a PostgreSQL as a platform gives one: over TCP, TLS alone, passwords, a certificate of its own authority.
type TLSServer struct {
	Port     int
	CA       string // PEM text of the authority
	Stranger string // of an authority that has signed nothing here
	Password string // of every role, the superuser "chartroom" too

	key *ecdsa.PrivateKey // of the authority
	pg  *localpg.Server
	dir string
}

var tlsServer struct {
	once sync.Once
	*TLSServer
	err error
}

// TLS gives the package's server with TLS, which it starts at the first call. There is one for all tests, which run one after another.
func TLS(t testing.TB) *TLSServer {
	t.Helper()
	tlsServer.once.Do(func() { tlsServer.TLSServer, tlsServer.err = startTLS() })
	if tlsServer.err != nil {
		t.Fatalf("no PostgreSQL with TLS to test on: %v", tlsServer.err)
	}
	return tlsServer.TLSServer
}

func stopTLS() {
	if s := tlsServer.TLSServer; s != nil {
		_ = s.pg.Stop()
		_ = os.RemoveAll(s.dir)
	}
}

// URL is an address on it; host is a name of this machine, and further parameters go behind.
func (s *TLSServer) URL(user, host, database, parameters string) string {
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?%s", user, s.Password, host, s.Port, database, parameters)
}

// Admin is a connection of the superuser's to a database.
func (s *TLSServer) Admin(t testing.TB, database string) *pgx.Conn {
	t.Helper()
	return Conn(t, s.URL("chartroom", "127.0.0.1", database, "sslmode=require"))
}

// CAUntil is the same authority with another end of its life.
func (s *TLSServer) CAUntil(t testing.TB, end time.Time) string {
	t.Helper()
	text, err := authority(s.key, "Chartroom test authority", end)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func startTLS() (_ *TLSServer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := &TLSServer{Password: "made-up-for-tests"}
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	end := time.Now().AddDate(5, 0, 0)
	if s.CA, err = authority(s.key, "Chartroom test authority", end); err != nil {
		return nil, err
	}
	if s.Stranger, err = authority(stranger, "Another authority", end); err != nil {
		return nil, err
	}
	if s.dir, err = localpg.TempDir(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	s.pg, err = localpg.Start(ctx, localpg.Options{Dir: filepath.Join(s.dir, "pg"), BinDir: os.Getenv("CHARTROOM_POSTGRES_BIN"),
		Settings: []string{"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(s.Port)}})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	if err := s.closeUp(ctx); err != nil {
		return nil, errors.Join(err, s.pg.Stop(), os.RemoveAll(s.dir))
	}
	return s, nil
}

// closeUp switches TLS and passwords on.
func (s *TLSServer) closeUp(ctx context.Context) error {
	certificate, key, err := s.serverCertificate()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "pg", "data")
	info, err := os.Stat(data)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	for name, text := range map[string]string{"server.crt": certificate, "server.key": key, "pg_hba.conf": "hostssl all all 127.0.0.1/32 scram-sha-256\n"} {
		file := filepath.Join(data, name)
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, 0o600), os.Lchown(file, int(owner.Uid), int(owner.Gid))); err != nil {
			return err
		}
	}
	c, err := pgx.Connect(ctx, fmt.Sprintf("postgres://chartroom@127.0.0.1:%d/postgres?sslmode=disable", s.Port))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, sql := range []string{`ALTER ROLE chartroom PASSWORD '` + s.Password + `'`, `ALTER SYSTEM SET ssl = on`, `SELECT pg_reload_conf()`} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return err
		}
	}
	for {
		c, err := pgx.Connect(ctx, s.URL("chartroom", "127.0.0.1", "postgres", "sslmode=require"))
		if err == nil {
			return c.Close(ctx)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// authority is a self-signed certificate as PEM text. With the same key and name it is the same authority.
func authority(key *ecdsa.PrivateKey, name string, end time.Time) (string, error) {
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), err
}

func (s *TLSServer) serverCertificate() (certificate, key string, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	block, _ := pem.Decode([]byte(s.CA))
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", "", err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().AddDate(0, 0, -1), NotAfter: time.Now().AddDate(1, 0, 0),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &own.PublicKey, s.key)
	if err != nil {
		return "", "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(own)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), err
}
