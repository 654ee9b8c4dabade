package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// authority issues the certificates of one test: the site's and the database's.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, template := newKey(t), &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of the tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue gives a certificate for this machine and its key, in PEM form.
func (a *authority) issue(t testing.TB) (cert, key []byte) {
	t.Helper()
	k := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 3, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text})
}

// file keeps the authority's certificate where SSL_CERT_FILE can name it.
func (a *authority) file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(path, a.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// site is what stands in front of a server on a platform such as Aptible: TLS ends at the first proxy, the second speaks to
// the server, and both append the address that they saw to X-Forwarded-For and say X-Forwarded-Proto.
func (a *authority) site(t testing.TB, to string, change func(http.Handler) http.Handler) (address string) {
	t.Helper()
	hop := func(to, from string) http.Handler {
		transport := &http.Transport{DisableCompression: true}
		if runtime.GOOS == "linux" { // where each proxy can have an address of its own
			transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
		}
		u, err := url.Parse(to)
		if err != nil {
			t.Fatal(err)
		}
		return &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
			r.Out.Header.Set("X-Forwarded-Proto", "https")
		}}
	}
	inner := httptest.NewServer(hop(to, "127.0.0.8"))
	t.Cleanup(inner.Close)
	front := hop(inner.URL, "127.0.0.9")
	if change != nil {
		front = change(front)
	}
	cert, key := a.issue(t)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	outer := httptest.NewUnstartedServer(front)
	outer.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	outer.Config.ErrorLog = log.New(io.Discard, "", 0)
	outer.StartTLS()
	t.Cleanup(outer.Close)
	return outer.URL
}

// client trusts the authority and follows nothing.
func (a *authority) client() *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// verified runs `verify` as a process and gives its exit code and its lines by id.
func verified(t testing.TB, certFile, at, username, password string) (int, map[string]verifyLine) {
	t.Helper()
	p := program(t, []string{"SSL_CERT_FILE=" + certFile}, "verify", at, "--username", username, "--password-stdin", "--json")
	p.Stdin = strings.NewReader(password + "\n")
	code := p.start().finish()
	var all []verifyLine
	if err := json.Unmarshal([]byte(p.stdout.String()), &all); err != nil {
		t.Fatalf("%d %v\n%s%s", code, err, p.stdout, p.stderr)
	}
	if strings.Contains(p.stdout.String()+p.stderr.String(), password) {
		t.Error("the password is printed")
	}
	lines := map[string]verifyLine{}
	for _, l := range all {
		lines[l.ID] = l
	}
	return code, lines
}

type verifyLine struct{ ID, Result, Found, Mend string }

// tunnel listens on this machine and hands each connection on, as a platform's tunnel to its database does.
func tunnel(t testing.TB, network, address string) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				to, err := (&net.Dialer{}).DialContext(context.Background(), network, address)
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, c); to.Close() }()
				_, _ = io.Copy(c, to)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
