package verify

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"chartroom/views"
)

// Names of the session's cookie: served securely, and on this machine without.
const secureName, plainName = "__Host-chartroom", "chartroom"

// cookie judges the session's cookie as a browser does (RFC 6265bis), and keeps it.
func (v *visit) cookie(a answer) {
	for _, c := range a.cookies {
		switch c.Name {
		case secureName, plainName:
			v.session = c
		case secureName + "-device", plainName + "-device":
			v.device = c
		}
	}
	c := v.session
	if c == nil {
		v.fail("cookie", "the answer to the sign-in brings none", "let the proxy hand on Set-Cookie as it is")
		v.stop("there is no session without its cookie")
		return
	}
	found, mend := judgeCookie(c, v.at.Scheme == "https")
	if len(found) > 0 {
		v.fail("cookie", strings.Join(found, "; "), mend)
		return
	}
	v.pass("cookie", "%s", flags(v.at.Scheme == "https"))
}

func flags(secure bool) string {
	if secure {
		return "__Host-, Secure, HttpOnly, SameSite, no Domain, gone with the browser"
	}
	return "HttpOnly, SameSite, no Domain, gone with the browser; not Secure, on this machine"
}

func judgeCookie(c *http.Cookie, secure bool) (found []string, mend string) {
	mend = "let the proxy hand on Set-Cookie as it is"
	bad := func(is bool, what string) {
		if is {
			found = append(found, what)
		}
	}
	if secure && c.Name == plainName {
		return []string{"it is not Secure, and not bound to this host"}, "set SESSION_SECURE=true"
	}
	if !secure && (c.Secure || c.Name == secureName) {
		return []string{"it is Secure, and a browser drops it over plain HTTP: the sign-in would not last"}, "serve over HTTPS; or, to try things out, set SESSION_SECURE=false"
	}
	bad(secure && !c.Secure, "it is not Secure, so that browsers drop it: its name asks for that")
	bad(c.Domain != "", "it has a Domain, so that other hosts get it, and browsers drop it where its name forbids that")
	bad(c.Path != "/", "its Path is not /")
	bad(!c.HttpOnly, "it is not HttpOnly: scripts could read it")
	bad(c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode, "it is not SameSite=Lax: other sites could use it")
	bad(c.MaxAge != 0 || c.RawExpires != "", "it does not go with the browser: it has an end of its own")
	return found, mend
}

func (v *visit) with(cookies ...*http.Cookie) []string {
	var all []string
	for _, c := range cookies {
		if c != nil {
			all = append(all, c.Name+"="+c.Value)
		}
	}
	return []string{"Cookie", strings.Join(all, "; ")}
}

// times is how often the session is used, each time on a new connection: several servers take turns.
const times = 6

// stay uses the session again and again. HEAD, so that nobody is put on record as having seen patients six times.
func (v *visit) stay(ctx context.Context) {
	good, unknown := 0, 0
	for range times {
		a, err := v.ask(ctx, http.MethodHead, views.PatientsPath(""), nil, v.with(v.session, v.device)...)
		if err != nil {
			found, mend := v.why(err)
			v.fail("session", found, mend)
			return
		}
		to, _ := v.location(a)
		switch {
		case a.status == http.StatusOK:
			good++
		case to.Query().Get("reason") == views.ReasonEnded: // it had a cookie, and knew no such session
			unknown++
		}
	}
	switch {
	case good == times:
		v.pass("session", "%d of %d requests on new connections were signed in", good, times)
	case good > 0:
		v.unsure = true
		v.fail("session", fmt.Sprintf("only %d of %d requests on new connections were signed in: servers behind this address do not know each other's sessions", good, times),
			"give all of them the same SESSION_SECRET_KEY and the same DATABASE_URL; one container alone, restarted, needs SESSION_SECRET_KEY too")
		v.stop("the session holds on some servers only")
	case unknown > 0:
		v.fail("session", "the server gets the cookie and knows no such session: signed out again at once", "give all servers the same SESSION_SECRET_KEY and the same DATABASE_URL, and look at their clocks")
		v.stop("the session does not last")
	default:
		v.fail("session", "the next request is not signed in: the cookie does not reach the server", "let the proxy hand on the header Cookie as it is")
		v.stop("the session does not last")
	}
}
