package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// answer is what came back, read to its end.
type answer struct {
	path    string // that was asked
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    string
}

// maxBody is more than any page has.
const maxBody = 2 << 20

// newClient asks on a new connection each time, so that every server behind the address gets its turn; takes no proxy from
// the environment, which would see the password; and follows nothing by itself.
func (v *visit) newClient() *http.Client {
	return &http.Client{
		Timeout: v.Each,
		Transport: &http.Transport{DialContext: v.dial, DisableKeepAlives: true, DisableCompression: true,
			TLSClientConfig: v.tlsConfig(), TLSHandshakeTimeout: v.Each, MaxResponseHeaderBytes: 256 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (v *visit) tlsConfig() *tls.Config {
	return &tls.Config{RootCAs: v.roots, ServerName: v.at.Hostname(), MinVersion: tls.VersionTLS12}
}

// get asks for a path with the given headers, names and values in turn.
func (v *visit) get(ctx context.Context, path string, header ...string) (answer, error) {
	return v.ask(ctx, http.MethodGet, path, nil, header...)
}

// ask sends a form when there is one, as a browser does from this site.
func (v *visit) ask(ctx context.Context, method, path string, form url.Values, header ...string) (answer, error) {
	to, err := v.at.Parse(path)
	if err != nil {
		return answer{}, errors.New("the address cannot be asked")
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return answer{}, errors.New("the address cannot be asked")
	}
	req.Header.Set("User-Agent", "chartroom-verify")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		// Origin and no Sec-Fetch-Site, as from a browser that knows only the first: it is only right when the proxies
		// hand on the name that was asked for.
		req.Header.Set("Origin", v.at.String())
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return v.read(req, path)
}

func (v *visit) read(req *http.Request, path string) (answer, error) {
	sent := time.Now()
	res, err := v.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	got := time.Now()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return answer{}, err
	}
	if res.Header.Get("Age") == "" { // what a cache has kept tells the time when it was made
		v.clocks.note(res.Header.Get("Date"), sent, got)
	}
	return answer{path: path, status: res.StatusCode, header: res.Header, cookies: res.Cookies(), body: string(body)}, nil
}

// location is the path that an answer leads to, and whether that is on this site.
func (v *visit) location(a answer) (to *url.URL, here bool) {
	base, err := v.at.Parse(a.path)
	if err == nil {
		to, err = base.Parse(a.header.Get("Location"))
	}
	if err != nil || a.header.Get("Location") == "" {
		return &url.URL{}, false
	}
	return to, to.Scheme == v.at.Scheme && to.Host == v.at.Host
}

func leads(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// why says in words what kept a request from being answered, and what to look at. Nothing of the request is in it.
func (v *visit) why(err error) (found, mend string) {
	var (
		dns     *net.DNSError
		timeout net.Error
	)
	switch {
	case errors.As(err, &dns):
		return "the name is not known to the DNS", "make the DNS record that the platform names for this address, or look for a slip in it"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: the connection is refused", "look whether the endpoint exists, and the port"
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no answer within %s", v.Each), "look whether a firewall or a list of allowed addresses keeps this machine out, and whether the server runs"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the connection was cut off without an answer", "look in the logs of the proxy and of the server"
	}
	return "what came back is no answer over HTTP", "look whether this is the right address and port"
}

// whyTLS says what is wrong with a handshake.
func (v *visit) whyTLS(err error) (found, mend string) {
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case errors.As(err, &record):
		return "what listens there does not speak TLS: the site is served over plain HTTP", "let the platform's endpoint end TLS on this port"
	case errors.As(err, &name):
		return "the certificate is for another name than " + show(v.at.Hostname()), "get a certificate for this name, and let the endpoint use it"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired, or is not valid yet by this machine's clock", "renew the certificate, and look at both clocks"
	case errors.As(err, &unknown):
		return "the certificate was issued by nobody whom this machine knows", "use one of a public authority with its whole chain; an authority of your own is named by SSL_CERT_FILE"
	case errors.As(err, &invalid):
		return "the certificate is not one for a server, or its chain is not right", "get another certificate, with its whole chain"
	case errors.As(err, &alert):
		return "the two sides agree on no version or cipher: TLS 1.2 is the least", "switch TLS 1.2 and 1.3 on at the endpoint"
	}
	found, mend = v.why(err)
	return "the handshake failed: " + found, mend
}

// show keeps what a server says from doing anything to a terminal, and short.
func show(text string) string {
	var out strings.Builder
	for i, c := range text {
		if i > 80 {
			return out.String() + "…"
		}
		if c < ' ' || c > '~' {
			c = '?'
		}
		out.WriteRune(c)
	}
	return out.String()
}

// clocks holds how far the server's clock is from this machine's.
type clocks struct {
	known bool
	worst time.Duration // positive where the server is ahead
}

// note compares a Date header, which has whole seconds, with the time between which it was written.
func (c *clocks) note(date string, sent, got time.Time) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	off := time.Duration(0)
	if late := at.Add(time.Second); late.Before(sent) {
		off = late.Sub(sent)
	} else if at.After(got) {
		off = at.Sub(got)
	}
	if !c.known || off.Abs() > c.worst.Abs() {
		c.worst = off
	}
	c.known = true
}

// mostOff is what the clocks may be apart: sessions, certificates and the audit's times depend on them.
const mostOff = 30 * time.Second

func (v *visit) tellClock() {
	off := v.clocks.worst.Abs().Round(time.Second)
	switch {
	case !v.clocks.known:
		if v.shut == "" {
			v.skip("clock", "no answer has a Date header")
		}
	case off > mostOff && v.clocks.worst > 0:
		v.warn("clock", fmt.Sprintf("it is %s ahead of this machine's: sessions end at the wrong time, and the audit's times are wrong", off), "let both keep time by NTP")
	case off > mostOff:
		v.warn("clock", fmt.Sprintf("it is %s behind this machine's: sessions end at the wrong time, and the audit's times are wrong", off), "let both keep time by NTP")
	default:
		v.pass("clock", "it is within %s of this machine's", mostOff)
	}
}
