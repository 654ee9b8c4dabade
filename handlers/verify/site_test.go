package verify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/crypto/bcrypt"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
	"chartroom/handlers"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

const (
	host     = "chartroom.example.org"
	password = "correct horse battery"
)

// hashes of the two passwords. The first is that of the predecessor's users in testdata; the second is from a lower cost, which
// a sign-in makes up for.
var hashes = sync.OnceValue(func() map[string]string {
	weak, err := bcrypt.GenerateFromPassword([]byte("sesame"), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return map[string]string{"carla": "$2b$12$YeYPWvM5t8/w1ThnoDA1.OIVAPV4LUQ2zjKy7U8h.l9hxc6UtXp8C", "walter": string(weak)}
})

// backend is the real program's site on a real database, thrice: as it should be, with another secret, and not secure.
type backend struct {
	url                  string
	conn                 *pgx.Conn
	secure, other, loose *url.URL
}

func newBackend(t testing.TB) *backend {
	t.Helper()
	b := &backend{url: dbtest.URL(t)}
	b.conn = dbtest.Conn(t, b.url)
	b.secure, b.other, b.loose = b.serve(t, true, "a key for one server, forty characters long"), b.serve(t, true, "a key for another server, also rather long"), b.serve(t, false, "a key for one server, forty characters long")
	for name, hash := range hashes() {
		if _, err := b.conn.Exec(context.Background(), `INSERT INTO users (username, password_hash, role) VALUES ($1, $2, 'clinician')`, name, hash); err != nil {
			t.Fatal(err)
		}
	}
	var all bytes.Buffer
	for p := range sample.Patients(5, 3) {
		all.Write(append(p, '\n'))
	}
	d := dbtest.OpenURL(t, b.url, time.Minute)
	if _, err := d.ImportPatients(context.Background(), &all, db.ImportOptions{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *backend) serve(t testing.TB, secure bool, key string) *url.URL {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	d, err := db.Open(context.Background(), db.Config{URL: b.url, SessionKeys: []string{key}, Idle: 15 * time.Minute, Program: "test"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	site, err := handlers.New(handlers.Config{DB: d, Assets: os.DirFS(filepath.Join(dbtest.Root(), "assets")), Log: quiet, SessionKeys: []string{key},
		Lifetime: time.Hour, Secure: secure, ProxyHops: 1, Clinic: "Test Clinic", Zone: time.UTC, Locale: "en"})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(site)
	t.Cleanup(s.Close)
	at, _ := url.Parse(s.URL)
	return at
}

// deployment is a proxy that ends TLS in front of a backend, with what a test changes about it.
type deployment struct {
	*backend
	t       testing.TB
	options Options
	// Each may be changed before the visit.
	to       func(*http.Request) *url.URL // which server a request goes to
	ask      func(*http.Request)          // changes what is handed on
	answer   func(*http.Response)         // changes what comes back
	instead  http.HandlerFunc             // answers itself, when set and it says so
	handled  func(*http.Request) bool
	plain    http.HandlerFunc // on port 80; nil: nothing listens there
	cert     *certificate
	noTLS    bool
	nothing  bool
	deferred []func()
}

func deploy(t testing.TB, b *backend) *deployment {
	d := &deployment{backend: b, t: t, options: Options{URL: "https://" + host, Username: "carla", Password: password}}
	d.to = func(*http.Request) *url.URL { return b.secure }
	d.plain = func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+r.URL.RequestURI(), http.StatusMovedPermanently)
	}
	d.cert = &certificate{ca: authority(), name: host, ends: time.Now().Add(90 * 24 * time.Hour)}
	return d
}

// visit verifies the deployment and gives its lines by id.
func (d *deployment) visit() map[string]Line {
	d.t.Helper()
	for _, stop := range d.deferred {
		defer stop()
	}
	front := httptest.NewUnstartedServer(d.proxy())
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	if d.noTLS {
		front.Start()
	} else {
		front.TLS = &tls.Config{Certificates: []tls.Certificate{d.cert.make(d.t)}}
		front.StartTLS()
	}
	defer front.Close()
	at := map[string]string{host + ":443": front.Listener.Addr().String()}
	if d.plain != nil {
		plain := httptest.NewServer(d.plain)
		defer plain.Close()
		at[host+":80"] = plain.Listener.Addr().String()
	}
	if d.nothing {
		at = nil
	}
	d.options.roots = x509.NewCertPool()
	d.options.roots.AddCert(authority().cert)
	if d.options.dial == nil {
		d.options.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			to, ok := at[address]
			if !ok {
				to = "127.0.0.1:1" // where nobody listens
			}
			return (&net.Dialer{}).DialContext(ctx, network, to)
		}
	}
	all, err := Run(context.Background(), d.options)
	if err != nil {
		d.t.Fatal(err)
	}
	found := map[string]Line{}
	for _, l := range all {
		found[l.ID] = l
	}
	return found
}

func (d *deployment) proxy() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(d.to(r.In))
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			if d.ask != nil {
				d.ask(r.Out)
			}
		},
		ModifyResponse: func(res *http.Response) error {
			if d.answer != nil {
				d.answer(res)
			}
			return nil
		},
		Transport: &http.Transport{DisableCompression: true}, ErrorLog: log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.handled != nil && d.handled(r) {
			d.instead(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

// certificate is one that an authority of the tests issues.
type certificate struct {
	ca   *ca
	name string
	ends time.Time
}

type ca struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var authority = sync.OnceValue(newCA)

func newCA() *ca {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour * 24 * 400),
		NotAfter: time.Now().Add(time.Hour * 24 * 400), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &ca{key, cert}
}

func (c *certificate) make(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{c.name}, NotBefore: time.Now().Add(-time.Hour * 24 * 300),
		NotAfter: c.ends, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, c.ca.cert, key.Public(), c.ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
