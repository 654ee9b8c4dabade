package verify

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"chartroom/views"
)

// soon is when a certificate should have been renewed: automatic renewal is a month before the end, as a rule.
const soon = 21 * 24 * time.Hour

// reach connects, over TLS where the address says so, and looks at the certificate.
func (v *visit) reach(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, v.Each)
	defer cancel()
	port := map[string]string{"https": "443", "http": "80"}[v.at.Scheme]
	conn, err := v.dial(ctx, "tcp", net.JoinHostPort(v.at.Hostname(), cmp.Or(v.at.Port(), port)))
	if err != nil {
		found, mend := v.why(err)
		v.fail("address", found, mend)
		v.stop("the address does not answer")
		return
	}
	defer conn.Close()
	v.pass("address", "a connection can be made")
	if v.at.Scheme == "http" {
		v.skip("tls", "the address is http:// on this machine")
		v.skip("https", "the address is http:// on this machine")
		v.skip("hsts", "the address is http:// on this machine")
		return
	}
	secured := tls.Client(conn, v.tlsConfig())
	if err := secured.HandshakeContext(ctx); err != nil {
		found, mend := v.whyTLS(err)
		v.fail("tls", found, mend)
		v.stop("nothing can be sent there safely")
		return
	}
	state := secured.ConnectionState()
	ends := state.PeerCertificates[0].NotAfter
	left := time.Until(ends)
	said := fmt.Sprintf("%s; the certificate is valid for this name until %s, %d days", tls.VersionName(state.Version), ends.UTC().Format("2 January 2006"), int(left.Hours()/24))
	if left < soon {
		v.warn("tls", said, "renew the certificate, and see why that did not happen by itself")
		return
	}
	v.pass("tls", "%s", said)
}

// plainHTTP asks what a browser asks when somebody types the name alone.
func (v *visit) plainHTTP(ctx context.Context) {
	if v.at.Scheme == "http" {
		return
	}
	if v.at.Port() != "" && v.at.Port() != "443" {
		v.skip("https", "the address has a port of its own")
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+bracketed(v.at.Hostname())+"/", nil)
	if err != nil {
		v.skip("https", "the address cannot be asked over plain HTTP")
		return
	}
	const mend = "redirect plain HTTP to https://, permanently (on Aptible: FORCE_SSL=true)"
	a, err := v.read(req, "/")
	if err != nil {
		v.warn("https", "over plain HTTP nothing answers: who types the name alone may get no page", mend)
		return
	}
	to, err := url.Parse(a.header.Get("Location"))
	switch {
	case !leads(a.status):
		v.fail("https", fmt.Sprintf("plain HTTP is answered with %d and not redirected: passwords could travel unencrypted", a.status), mend)
	case err != nil || to.Scheme != "https":
		v.fail("https", "plain HTTP is redirected, but not to https://", mend)
	case to.Hostname() != v.at.Hostname():
		v.fail("https", "plain HTTP is redirected to another host, "+show(to.Hostname()), "let it lead to the same host over https://")
	default:
		v.pass("https", "redirected")
	}
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// most is as many redirects as are followed: the way to sign-in has one.
const most = 10

// home follows / by hand to the sign-in page.
func (v *visit) home(ctx context.Context) {
	path, way, seen := views.HomePath, []string{}, map[string]bool{}
	for {
		a, err := v.get(ctx, path)
		if err != nil {
			found, mend := v.why(err)
			v.fail("address", found, mend)
			v.stop("the address does not answer")
			return
		}
		way, seen[path] = append(way, bare(path)), true
		if !leads(a.status) {
			v.arrived(a, way)
			return
		}
		to, here := v.location(a)
		if !here {
			v.elsewhere(to)
			return
		}
		path = to.RequestURI()
		if seen[path] || len(way) > most {
			v.fail("redirect", "it goes round in circles: "+strings.Join(append(way, bare(path)), " → "),
				"let one place alone redirect to HTTPS (on Aptible FORCE_SSL=true), and tell the server of the proxies: TRUSTED_PROXY_HOPS (2 on Aptible) and SESSION_SECURE=true")
			v.stop("the way to sign-in goes round in circles")
			return
		}
	}
}

func bare(path string) string {
	path, _, _ = strings.Cut(path, "?") // what stands behind it is nobody's business
	return show(path)
}

func (v *visit) arrived(a answer, way []string) {
	switch {
	case a.status >= 500:
		found := fmt.Sprintf("it answers %d: ", a.status)
		if a.status == http.StatusInternalServerError {
			v.fail("address", found+"the server has a fault", "look for the error in the server's log")
		} else {
			v.fail("address", found+"the proxy does not reach the server, or the server not its database", "look whether the server runs, in its log, and at the port that the proxy speaks to (PORT)")
		}
		v.stop("the server does not answer")
	case bare(a.path) == views.LoginPath("") && a.status == http.StatusOK:
		v.pass("redirect", "%s", strings.Join(way, " → "))
	case bare(a.path) == views.PatientsPath("") && a.status == http.StatusOK:
		v.open()
	default:
		v.fail("redirect", fmt.Sprintf("it ends at %s with %d, and not at sign-in", bare(a.path), a.status),
			"look whether this address is Chartroom's and reaches it without a path of its own in front")
		v.stop("the way does not lead to sign-in")
	}
}

// elsewhere is a redirect away from here, which is never followed.
func (v *visit) elsewhere(to *url.URL) {
	found, mend := "it leads to another host, "+show(to.Host)+", and was not followed", "verify the address that people use, or let the proxy hand on the name that was asked for (Host)"
	if to.Hostname() == v.at.Hostname() {
		found, mend = "it leads from "+v.at.Scheme+":// to "+show(to.Scheme)+"://", "let the proxy hand on scheme and port as they were asked for, or redirect to HTTPS in one place alone"
	}
	v.fail("redirect", found, mend)
	v.stop("the way leads elsewhere")
}

// health is what platforms ask.
func (v *visit) health(ctx context.Context) {
	switch a, err := v.get(ctx, "/healthcheck"); {
	case err != nil:
		found, mend := v.why(err)
		v.fail("health", found, mend)
	case a.status == http.StatusOK:
		v.pass("health", "/healthcheck answers 200: the database answers")
	case a.status == http.StatusServiceUnavailable:
		v.fail("health", "/healthcheck answers 503: the server does not reach its database", "look in the server's log; `chartroom check` says what is wrong with the database's address")
	default:
		v.fail("health", fmt.Sprintf("/healthcheck answers %d, and platforms take only 200", a.status), "let the proxy hand /healthcheck on as it is, without a redirect")
	}
}

// inside: figures and profiles are for a listener of their own.
func (v *visit) inside(ctx context.Context) {
	for _, path := range []string{"/metrics", "/debug/pprof/"} {
		a, err := v.get(ctx, path)
		if err != nil {
			found, mend := v.why(err)
			v.fail("inside", found, mend)
			return
		}
		if a.status == http.StatusOK {
			v.fail("inside", path+" is open to everybody", "let no endpoint lead to METRICS_ADDR")
			return
		}
	}
	v.pass("inside", "/metrics and /debug/pprof/ are not open to the outside")
}

func seconds(text string) string {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		return fmt.Sprintf("in %d seconds", n)
	}
	return "later"
}
