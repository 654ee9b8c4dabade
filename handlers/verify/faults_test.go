package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A fault is planted into a good deployment. lines are those that it makes bad, with a word that each must hold; when one stops
// the visit, what comes after is skipped.
type fault struct {
	name  string
	plant func(*deployment)
	lines map[string]string // "fail sign-in": "disabled"
	alone bool              // cannot be planted together with others, since it stops the visit or takes the same place
}

func drop(header string) func(*deployment) {
	return func(d *deployment) { d.change(func(res *http.Response) { res.Header.Del(header) }) }
}

func set(header, value string) func(*deployment) {
	return func(d *deployment) { d.change(func(res *http.Response) { res.Header.Set(header, value) }) }
}

// change adds to what is changed in answers.
func (d *deployment) change(f func(*http.Response)) {
	before := d.answer
	d.answer = func(res *http.Response) {
		if before != nil {
			before(res)
		}
		f(res)
	}
}

// reply answers the requests for a path without asking the server.
func (d *deployment) reply(path string, f http.HandlerFunc) {
	handled, instead := d.handled, d.instead
	d.handled = func(r *http.Request) bool { return r.URL.Path == path || handled != nil && handled(r) }
	d.instead = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			f(w, r)
			return
		}
		instead(w, r)
	}
}

func (d *deployment) handedOn(f func(*http.Request)) {
	before := d.ask
	d.ask = func(r *http.Request) {
		if before != nil {
			before(r)
		}
		f(r)
	}
}

// cookies changes the text of the session's cookie.
func cookies(old, new string) func(*deployment) {
	return func(d *deployment) {
		d.change(func(res *http.Response) {
			for i, c := range res.Header["Set-Cookie"] {
				res.Header["Set-Cookie"][i] = strings.ReplaceAll(c, old, new)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// body changes the text of pages.
func body(old, new string) func(*deployment) {
	return func(d *deployment) {
		d.handedOn(func(r *http.Request) {
			if r.Header.Get("Accept-Encoding") == "" {
				r.Header.Set("Accept-Encoding", "identity")
			}
		})
		d.change(func(res *http.Response) {
			if res.Header.Get("Content-Encoding") != "" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
				return
			}
			text, _ := io.ReadAll(res.Body)
			text = bytes.ReplaceAll(text, []byte(old), []byte(new))
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			res.Header.Set("Content-Length", fmt.Sprint(len(text)))
		})
	}
}

// cache keeps answers to GET by their address alone, as a badly set up proxy does: keep says which.
func cache(keep func(*http.Response) bool) func(*deployment) {
	return func(d *deployment) {
		var mu sync.Mutex
		kept := map[string]*httptest.ResponseRecorder{}
		key := func(r *http.Request) string {
			return r.Method + r.URL.RequestURI() + r.Header.Get("HX-Request") + r.Header.Get("Accept-Encoding")
		}
		d.handled = func(r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			return kept[key(r)] != nil
		}
		d.instead = func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			old := kept[key(r)]
			for name, all := range old.Header() {
				w.Header()[name] = all
			}
			w.WriteHeader(old.Code)
			_, _ = w.Write(old.Body.Bytes())
		}
		d.change(func(res *http.Response) {
			if res.Request.Method != http.MethodGet || !keep(res) {
				return
			}
			text, _ := io.ReadAll(res.Body)
			res.Body = io.NopCloser(bytes.NewReader(text))
			old := httptest.NewRecorder()
			for name, all := range res.Header {
				old.Header()[name] = all
			}
			old.WriteHeader(res.StatusCode)
			_, _ = old.Write(text)
			mu.Lock()
			defer mu.Unlock()
			kept[key(res.Request)] = old
		})
	}
}

func onlyPath(path string, plant func(*deployment)) func(*deployment) {
	return func(d *deployment) {
		part := &deployment{}
		plant(part)
		d.change(func(res *http.Response) {
			if strings.HasPrefix(res.Request.URL.Path, path) {
				part.answer(res)
			}
		})
	}
}

func fails(id, word string) map[string]string { return map[string]string{"fail " + id: word} }
func warns(id, word string) map[string]string { return map[string]string{"warn " + id: word} }

// faults are all that are planted.
var faults = []fault{
	{"nothing listens", func(d *deployment) { d.nothing = true }, fails("address", "refused"), true},
	{"the proxy does not reach the server", func(d *deployment) {
		d.to = func(*http.Request) *url.URL { return &url.URL{Scheme: "http", Host: "127.0.0.1:1"} }
	},
		fails("address", "502"), true},
	{"the server has a fault", func(d *deployment) { d.reply("/", status(500)) }, fails("address", "500"), true},
	{"nobody answers", func(d *deployment) {
		d.options.Each = 300 * time.Millisecond
		d.reply("/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}, fails("address", "no answer within 300ms"), true},

	{"a certificate for another name", func(d *deployment) { d.cert.name = "www.example.org" }, fails("tls", "another name"), true},
	{"a certificate that has expired", func(d *deployment) { d.cert.ends = time.Now().Add(-time.Hour) }, fails("tls", "expired"), true},
	{"a certificate of an unknown authority", func(d *deployment) { d.cert.ca = newCA() }, fails("tls", "nobody whom this machine knows"), true},
	{"a certificate that ends in ten days", func(d *deployment) { d.cert.ends = time.Now().Add(10 * 24 * time.Hour) }, warns("tls", ", 9 days"), false},
	{"HTTP on the port of HTTPS", func(d *deployment) { d.noTLS = true }, fails("tls", "plain HTTP"), true},

	{"plain HTTP is answered", func(d *deployment) { d.plain = status(200) }, fails("https", "answered with 200"), false},
	{"plain HTTP leads to plain HTTP", func(d *deployment) {
		d.plain = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+host+"/login", http.StatusFound)
		}
	}, fails("https", "not to https"), true},
	{"plain HTTP leads to another host", func(d *deployment) {
		d.plain = func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://www.example.net/", http.StatusFound)
		}
	}, fails("https", "www.example.net"), true},
	{"nothing listens for plain HTTP", func(d *deployment) { d.plain = nil }, warns("https", "nothing answers"), true},

	{"HSTS is taken away", drop("Strict-Transport-Security"), fails("hsts", "no Strict-Transport-Security"), false},
	{"HSTS is short", set("Strict-Transport-Security", "max-age=86400; includeSubDomains"), warns("hsts", "1 days"), true},
	{"HSTS of the proxy stands in front", set("Strict-Transport-Security", "max-age=31536000"), warns("hsts", "below"), true},
	{"the server's clock is ahead", func(d *deployment) { d.shift(2 * time.Minute) }, warns("clock", "ahead"), false},
	{"the server's clock is behind", func(d *deployment) { d.shift(-2 * time.Minute) }, warns("clock", "behind"), true},

	{"a redirect to itself", func(d *deployment) {
		d.reply("/login", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+host+"/login", http.StatusMovedPermanently)
		})
	}, fails("redirect", "/ → /login → /login"), true},
	{"a redirect in a circle", func(d *deployment) {
		d.reply("/login", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	}, fails("redirect", "in circles: / → /login → /"), true},
	{"a redirect without end", func(d *deployment) {
		var n atomic.Int64
		d.reply("/login", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, fmt.Sprintf("/login?n=%d", n.Add(1)), http.StatusFound)
		})
	}, fails("redirect", "in circles"), true},
	{"a redirect to another host", func(d *deployment) {
		d.reply("/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://backend.example.net/login", http.StatusFound)
		})
	}, fails("redirect", "backend.example.net"), true},
	{"a redirect back to plain HTTP", func(d *deployment) {
		d.reply("/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+host+"/login", http.StatusFound)
		})
	}, fails("redirect", "from https:// to http://"), true},
	{"/ is another site", func(d *deployment) { d.reply("/", status(404)) }, fails("redirect", "ends at / with 404"), true},
	{"another program's sign-in page", func(d *deployment) {
		d.reply("/login", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `<form action="/login"><input name="password"></form>`)
		})
	}, fails("form", "not with Chartroom's form"), true},

	{"nosniff is taken away", drop("X-Content-Type-Options"), fails("headers", "X-Content-Type-Options is missing"), false},
	{"framing is allowed", set("X-Frame-Options", "SAMEORIGIN"), fails("headers", "X-Frame-Options is not DENY"), false},
	{"the policy is taken away", drop("Content-Security-Policy"), fails("headers", "Content-Security-Policy is missing"), true},
	{"the policy is loosened", func(d *deployment) {
		d.change(func(res *http.Response) {
			res.Header.Set("Content-Security-Policy", strings.Replace(res.Header.Get("Content-Security-Policy"), "script-src ", "script-src 'unsafe-inline' ", 1))
		})
	}, fails("headers", "more scripts"), true},
	{"the policy lets others frame", func(d *deployment) {
		d.change(func(res *http.Response) {
			res.Header.Set("Content-Security-Policy", strings.Replace(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", "frame-ancestors *", 1))
		})
	}, fails("headers", "has not frame-ancestors 'none'"), true},
	{"a second policy", func(d *deployment) {
		d.change(func(res *http.Response) { res.Header.Add("Content-Security-Policy", "default-src 'self'") })
	}, fails("headers", "stands there 2 times"), true},
	{"the referrer goes out", set("Referrer-Policy", "unsafe-url"), fails("headers", "Referrer-Policy is not same-origin"), true},
	{"the opener is not kept apart", drop("Cross-Origin-Opener-Policy"), fails("headers", "Cross-Origin-Opener-Policy is missing"), true},
	{"others may embed", set("Cross-Origin-Resource-Policy", "cross-origin"), fails("headers", "Cross-Origin-Resource-Policy is not same-origin"), true},
	{"the camera is allowed", set("Permissions-Policy", "camera=*"), fails("headers", "does not switch off camera"), true},
	{"the list may be kept by caches", onlyPath("/patients", set("Cache-Control", "private, max-age=60")), fails("headers", "Cache-Control is not no-store on /patients"), true},
	{"a version is told", set("Server", "nginx/1.18.0"), warns("disclosure", "Server"), false},
	{"a cache keeps all pages", cache(func(res *http.Response) bool { return res.StatusCode == 200 }), fails("cache", "came twice"), true},

	{"Set-Cookie is taken away", drop("Set-Cookie"), fails("cookie", "brings none"), true},
	{"Secure is taken off the cookie", cookies("; Secure", ""), fails("cookie", "not Secure"), false},
	{"a Domain is put on the cookie", cookies("; Path=/", "; Path=/; Domain=example.org"), fails("cookie", "has a Domain"), true},
	{"HttpOnly is taken off the cookie", cookies("; HttpOnly", ""), fails("cookie", "not HttpOnly"), true},
	{"SameSite is taken off the cookie", cookies("; SameSite=Lax", ""), fails("cookie", "not SameSite"), true},
	{"the cookie is for a part of the site", cookies("; Path=/", "; Path=/app"), fails("cookie", "Path is not /"), true},
	{"the cookie outlives the browser", cookies("; Path=/;", "; Path=/; Max-Age=86400;"), fails("cookie", "end of its own"), true},
	{"SESSION_SECURE is not set", func(d *deployment) { d.to = func(*http.Request) *url.URL { return d.loose } },
		map[string]string{"fail cookie": "not Secure", "fail hsts": "no Strict-Transport-Security"}, true},

	{"a secure cookie over plain HTTP", func(d *deployment) {
		d.options.URL, d.options.dial = d.secure.String(), (&net.Dialer{}).DialContext
	}, fails("cookie", "drops it over plain HTTP"), true},

	{"sign-in is switched off", func(d *deployment) {
		d.reply("/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/patients", http.StatusSeeOther) })
		d.reply("/patients", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<div id="list"></div>`) })
	}, fails("closed", "without sign-in"), true},
	{"the list is open", func(d *deployment) {
		d.reply("/patients", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `<div id="list"></div>`) })
	}, fails("closed", "without sign-in"), true},
	{"redirects are followed by the proxy", func(d *deployment) {
		d.change(func(res *http.Response) {
			if res.StatusCode == http.StatusSeeOther && res.Request.Method == http.MethodGet && res.Request.Header.Get("Cookie") == "" && res.Request.URL.Path == "/patients" {
				res.StatusCode = http.StatusFound
			}
		})
	}, fails("closed", "302"), true},
	{"HX-Redirect is taken away", drop("HX-Redirect"), fails("closed", "does not say where to sign in"), false},

	{"a wrong password is let in", func(d *deployment) {
		d.change(func(res *http.Response) {
			if res.StatusCode == http.StatusUnprocessableEntity {
				res.StatusCode = http.StatusSeeOther
			}
		})
	}, fails("refusal", "answered with 303"), true},
	{"pages of errors are replaced", func(d *deployment) {
		d.change(func(res *http.Response) {
			if res.StatusCode == http.StatusUnprocessableEntity {
				res.Body, res.ContentLength = io.NopCloser(strings.NewReader("<h1>Error</h1>")), 14
				res.Header.Set("Content-Length", "14")
			}
		})
	}, fails("refusal", "without the form"), true},
	{"a wrong password is given", func(d *deployment) { d.options.Password = "not " + password }, fails("sign-in", "not right"), true},
	{"an account that was disabled", func(d *deployment) {
		d.sql(`UPDATE users SET is_active = false WHERE username = 'carla'`, `UPDATE users SET is_active = true WHERE username = 'carla'`)
	}, fails("sign-in", "disabled"), true},
	{"too many sign-ins have failed", func(d *deployment) {
		d.sql(`UPDATE sign_in_throttle SET failures = 9, blocked_until = now() + interval '40 seconds', noted = true WHERE kind = 'client'`,
			`UPDATE sign_in_throttle SET failures = 0, blocked_until = '-infinity'`)
	}, fails("sign-in", "too many"), true},
	{"the host is written anew", func(d *deployment) { d.handedOn(func(r *http.Request) { r.Host = "10.0.0.7:8080" }) }, fails("sign-in", "another site"), true},
	{"a password that is too weak", func(d *deployment) { d.options.Username, d.options.Password = "walter", "sesame" }, warns("sign-in", "weaker"), true},

	{"the proxy drops cookies", func(d *deployment) { d.handedOn(func(r *http.Request) { r.Header.Del("Cookie") }) }, fails("session", "does not reach the server"), true},
	{"two servers with different secrets", func(d *deployment) {
		var n atomic.Int64
		d.to = func(r *http.Request) *url.URL {
			if n.Add(1)%2 == 0 && r.Method != http.MethodPost {
				return d.other
			}
			return d.secure
		}
	}, fails("session", "only 3 of 6"), true},
	{"another secret after the sign-in", func(d *deployment) {
		d.to = func(r *http.Request) *url.URL {
			if r.Method != http.MethodPost {
				return d.other
			}
			return d.secure
		}
	}, fails("session", "knows no such session"), true},

	{"the menu is cut out", body(`action="/logout"`, `action="/elsewhere"`), fails("menu", "no account menu"), false},
	{"files may not be kept", onlyPath("/assets/", set("Cache-Control", "no-cache")), warns("assets", "not told to keep"), false},
	{"files are not there", func(d *deployment) {
		d.change(func(res *http.Response) {
			if strings.HasPrefix(res.Request.URL.Path, "/assets/app.") {
				res.StatusCode = http.StatusNotFound
			}
		})
	}, fails("assets", "answers 404"), true},
	{"nothing is compressed", func(d *deployment) { d.handedOn(func(r *http.Request) { r.Header.Set("Accept-Encoding", "identity") }) }, warns("compression", "uncompressed"), false},
	{"the browser keeps what it had", drop("Clear-Site-Data"), fails("sign-out", "forget"), false},
	{"a cache keeps the list", cache(func(res *http.Response) bool {
		return res.StatusCode == 200 && res.Request.URL.Path == "/patients" && res.Request.Header.Get("Cookie") != ""
	}), fails("closed-again", "answers 200"), true},
	{"the database is away from the health address", func(d *deployment) { d.reply("/healthcheck", status(503)) }, fails("health", "503"), false},
	{"the health address is redirected", func(d *deployment) { d.reply("/healthcheck", status(301)) }, fails("health", "301"), true},
	{"the figures are open", func(d *deployment) { d.reply("/metrics", status(200)) }, fails("inside", "/metrics"), false},
}

func (d *deployment) shift(by time.Duration) {
	d.change(func(res *http.Response) { res.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat)) })
}

// sql does something to the database, and undoes it after the visit.
func (d *deployment) sql(do, undo string) {
	d.t.Helper()
	run := func(sql string) {
		if _, err := d.conn.Exec(context.Background(), sql); err != nil {
			d.t.Errorf("%s: %v", sql, err)
		}
	}
	run(do)
	d.deferred = append(d.deferred, func() { run(undo) })
}
