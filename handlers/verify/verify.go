// Package verify looks at a deployment from outside, over HTTP, as a browser would: does the address lead to sign-in, does
// the password open the list, does the session last, and does signing out close it again. It knows nothing of the server
// but its addresses, and puts neither the password, nor a cookie, nor anything of a patient into what it says.
package verify

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// What a line can come to.
const (
	Pass = "pass"
	Warn = "warn" // it works, and should not stay so
	Fail = "fail" // not with patients' data
	Skip = "skip" // not looked at; Found says why
)

// Line is one thing that was looked at.
type Line struct {
	ID     string `json:"id"`             // stable, for scripts; docs/verify.md lists them
	What   string `json:"what"`           // the same for people
	Result string `json:"result"`         // Pass, Warn, Fail or Skip
	Found  string `json:"found"`          // a sentence's part
	Mend   string `json:"mend,omitempty"` // what to do, for a warning and a failure
}

// Options say what to verify, and as whom.
type Options struct {
	URL                string // https://host[:port]; http:// only on this machine
	Username, Password string
	Total, Each        time.Duration // how long it may take in all, and a request; 0 is two minutes, and ten seconds

	dial  func(ctx context.Context, network, address string) (net.Conn, error)
	roots *x509.CertPool
}

// lines are all that can be looked at, in the order in which they are told. What a line needs may come later: the cookie's
// flags are only seen after a sign-in.
var lines = []Line{
	{ID: "address", What: "the address answers"},
	{ID: "tls", What: "TLS and certificate"},
	{ID: "https", What: "plain HTTP leads to HTTPS"},
	{ID: "hsts", What: "HSTS"},
	{ID: "clock", What: "the server's clock"},
	{ID: "redirect", What: "/ leads to sign-in"},
	{ID: "form", What: "sign-in page"},
	{ID: "headers", What: "security headers"},
	{ID: "disclosure", What: "no version is told"},
	{ID: "cache", What: "no cache keeps pages"},
	{ID: "cookie", What: "the session's cookie"},
	{ID: "closed", What: "the list is closed without a session"},
	{ID: "refusal", What: "a wrong password is refused"},
	{ID: "sign-in", What: "sign-in"},
	{ID: "session", What: "the session lasts"},
	{ID: "list", What: "the patient list"},
	{ID: "menu", What: "account menu with sign-out"},
	{ID: "assets", What: "styles and scripts"},
	{ID: "compression", What: "compression"},
	{ID: "sign-out", What: "sign-out"},
	{ID: "closed-again", What: "the list is closed again"},
	{ID: "health", What: "health"},
	{ID: "inside", What: "what is inside stays inside"},
}

// visit is one run.
type visit struct {
	Options
	at     *url.URL
	client *http.Client
	found  map[string]Line
	shut   string // why nothing more is looked at; "" while there is more
	clocks clocks

	form answer // the sign-in page
	// What a browser would hold after the sign-in.
	session, device *http.Cookie
	headers         []headerFault
	unsure          bool // the session holds on some servers only
}

// Run looks at everything that can be looked at and returns a line for each. The error is for an address that is not one
// to verify; what is wrong with the deployment stands in the lines.
func Run(ctx context.Context, o Options) ([]Line, error) {
	at, err := address(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Username == "" || o.Password == "" {
		return nil, errors.New("a user name and a password are needed to sign in with")
	}
	if o.Total == 0 {
		o.Total = 2 * time.Minute
	}
	if o.Each == 0 {
		o.Each = 10 * time.Second
	}
	if o.dial == nil {
		o.dial = (&net.Dialer{}).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, o.Total)
	defer cancel()
	v := &visit{Options: o, at: at, found: map[string]Line{}}
	v.client = v.newClient()
	defer v.client.CloseIdleConnections()
	for _, step := range []func(context.Context){
		v.reach, v.plainHTTP, v.home, v.signInPage, v.health, v.inside, v.assets, v.compression, v.closed, v.signIn, v.stay, v.seeList,
		v.refusal, v.signOut, v.closedAgain,
	} {
		if v.shut == "" && ctx.Err() != nil {
			v.shut = fmt.Sprintf("it took more than %s in all, or was stopped", o.Total)
		}
		if v.shut == "" {
			step(ctx)
		}
	}
	v.leave(ctx)
	v.tellHeaders()
	v.tellClock()
	return v.told(), nil
}

// address takes what may be verified: a whole site, and over plain HTTP only on this machine, because a password is going
// to be sent there.
func address(text string) (*url.URL, error) {
	at, err := url.Parse(text)
	if err != nil || at.Hostname() == "" || at.Scheme != "https" && at.Scheme != "http" {
		return nil, errors.New("the address must be a site's, such as https://chartroom.example.org")
	}
	if at.User != nil || at.RawQuery != "" || at.Fragment != "" || strings.Trim(at.Path, "/") != "" {
		return nil, errors.New("the address must be the site's alone, with nothing behind the host, such as https://chartroom.example.org")
	}
	if ip := net.ParseIP(at.Hostname()); at.Scheme == "http" && at.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("the password would travel unencrypted: use https://, or http:// on this machine alone")
	}
	return &url.URL{Scheme: at.Scheme, Host: at.Host}, nil
}

// Failed counts the lines that failed.
func Failed(all []Line) (n int) {
	for _, l := range all {
		if l.Result == Fail {
			n++
		}
	}
	return n
}

// Write prints the lines, for people or as a JSON list.
func Write(w io.Writer, all []Line, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(all)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\n", l.Result, l.What, l.Found)
		if l.Mend != "" {
			fmt.Fprintf(table, "\t\t-> %s\n", l.Mend)
		}
	}
	return table.Flush()
}

func (v *visit) pass(id, format string, args ...any) {
	v.tell(id, Pass, fmt.Sprintf(format, args...), "")
}

func (v *visit) warn(id, found, mend string) { v.tell(id, Warn, found, mend) }

func (v *visit) fail(id, found, mend string) { v.tell(id, Fail, found, mend) }

func (v *visit) skip(id, because string) { v.tell(id, Skip, "not looked at, because "+because, "") }

func (v *visit) tell(id, result, found, mend string) {
	v.found[id] = Line{ID: id, Result: result, Found: found, Mend: mend}
}

// stop ends the visit: what was not looked at says so.
func (v *visit) stop(because string) { v.shut = because }

func (v *visit) told() []Line {
	all := make([]Line, 0, len(lines))
	for _, l := range lines {
		if _, ok := v.found[l.ID]; !ok {
			v.skip(l.ID, cmp.Or(v.shut, "what it needs did not come"))
		}
		f := v.found[l.ID]
		f.What = l.What
		all = append(all, f)
	}
	return all
}
