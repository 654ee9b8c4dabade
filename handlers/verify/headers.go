package verify

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chartroom/views"
)

// headerFault is what is wrong with the headers of an answer.
type headerFault struct{ what, path string }

// exact are the headers that every answer has, with the only value that they may have.
var exact = []struct{ name, want string }{
	{"X-Content-Type-Options", "nosniff"},
	{"X-Frame-Options", "DENY"},
	{"X-XSS-Protection", "0"},
	{"Referrer-Policy", "same-origin"},
	{"Cross-Origin-Opener-Policy", "same-origin"},
	{"Cross-Origin-Resource-Policy", "same-origin"},
}

// policy are the directives of the Content-Security-Policy that have one right value.
var policy = map[string]string{
	"default-src": "'none'", "style-src": "'self'", "img-src": "'self'", "connect-src": "'self'", "form-action": "'self'", "base-uri": "'none'",
	"frame-ancestors": "'none'", "object-src": "'none'", "require-trusted-types-for": "'script'",
}

// filePolicy is that of the styles, scripts and the icon.
const filePolicy = "default-src 'none'; frame-ancestors 'none'"

// denied are features of the browser that no page here needs.
var denied = []string{"camera", "geolocation", "microphone"}

var nonce = regexp.MustCompile(`^'nonce-[A-Za-z0-9_+/=-]{16,}'$`)

// judge notes what is wrong with an answer's headers. What holds nobody's data may be kept by caches.
func (v *visit) judge(a answer, kept bool) {
	bad := func(format string, args ...any) {
		what := fmt.Sprintf(format, args...)
		if !slices.ContainsFunc(v.headers, func(f headerFault) bool { return f.what == what }) {
			v.headers = append(v.headers, headerFault{what, bare(a.path)})
		}
	}
	for _, h := range exact {
		switch got := a.header.Values(h.name); {
		case len(got) == 0:
			bad("%s is missing", h.name)
		case len(got) > 1:
			bad("%s stands there %d times", h.name, len(got))
		case !strings.EqualFold(got[0], h.want):
			bad("%s is not %s", h.name, h.want)
		}
	}
	if strings.HasPrefix(a.path, "/assets/") { // no document: nothing is allowed to it, and nothing needs to be
		if p := a.header.Values("Content-Security-Policy"); len(p) != 1 || p[0] != filePolicy {
			bad("Content-Security-Policy is not %s", filePolicy)
		}
		return
	}
	features := strings.ReplaceAll(strings.Join(a.header.Values("Permissions-Policy"), ","), " ", "")
	for _, f := range denied {
		if !slices.Contains(strings.Split(features, ","), f+"=()") {
			bad("Permissions-Policy does not switch off %s", f)
		}
	}
	if !kept && !slices.Contains(directives(a.header, "Cache-Control"), "no-store") {
		bad("Cache-Control is not no-store")
	}
	judgePolicy(a.header.Values("Content-Security-Policy"), bad)
}

func judgePolicy(all []string, bad func(string, ...any)) {
	if len(all) != 1 {
		if len(all) == 0 {
			bad("Content-Security-Policy is missing")
		} else {
			bad("Content-Security-Policy stands there %d times", len(all))
		}
		return
	}
	got := map[string]string{}
	for one := range strings.SplitSeq(all[0], ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(one), " ")
		got[strings.ToLower(name)] = strings.TrimSpace(value)
	}
	for _, name := range slices.Sorted(maps.Keys(policy)) {
		if got[name] != policy[name] {
			bad("Content-Security-Policy has not %s %s", name, policy[name])
		}
	}
	if !nonce.MatchString(got["script-src"]) {
		bad("Content-Security-Policy lets more scripts run than those with the page's nonce")
	}
	if strings.Contains(all[0], "'unsafe-") {
		bad("Content-Security-Policy has an unsafe- keyword")
	}
}

func directives(h http.Header, name string) (all []string) {
	for one := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
		all = append(all, strings.ToLower(strings.TrimSpace(one)))
	}
	return all
}

func (v *visit) tellHeaders() {
	if len(v.headers) == 0 {
		if v.form.status != 0 {
			v.pass("headers", "all there, on pages, redirects and files")
		}
		return
	}
	var said []string
	for _, f := range v.headers[:min(len(v.headers), 5)] {
		said = append(said, f.what+" on "+f.path)
	}
	if more := len(v.headers) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	v.fail("headers", strings.Join(said, "; "), "let the proxies hand on the server's headers as they are, and neither take one away nor add one")
}

// year is how long a browser keeps to HTTPS, at least (ASVS 3.4.1).
const year = 365 * 24 * time.Hour

// hsts looks at the first such header: browsers take no other (RFC 6797, 8.1).
func (v *visit) hsts(a answer) {
	if v.at.Scheme == "http" {
		return
	}
	const mend = "set SESSION_SECURE=true, and let the proxy not put a header of its own in front"
	if a.header.Get("Strict-Transport-Security") == "" {
		v.fail("hsts", "there is no Strict-Transport-Security: a browser would try plain HTTP again", mend)
		return
	}
	var age time.Duration
	below := false
	for one := range strings.SplitSeq(a.header.Get("Strict-Transport-Security"), ";") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(one)), "=")
		if n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32); name == "max-age" && err == nil {
			age = time.Duration(n) * time.Second
		}
		below = below || name == "includesubdomains"
	}
	switch {
	case age < year:
		v.warn("hsts", fmt.Sprintf("it holds for %d days only", int(age.Hours()/24)), mend)
	case !below:
		v.warn("hsts", "it does not hold for names below this one", mend)
	default:
		v.pass("hsts", "for %d days, with names below this one", int(age.Hours()/24))
	}
}

var version = regexp.MustCompile(`\d`)

func (v *visit) disclosure(a answer) {
	for _, name := range []string{"Server", "X-Powered-By", "X-AspNet-Version", "Via"} {
		said := a.header.Get(name)
		if name == "Via" { // begins with the protocol's version (RFC 9110, 7.6.3)
			_, said, _ = strings.Cut(said, " ")
		}
		if version.MatchString(said) {
			v.warn("disclosure", "the header "+name+" tells which version of a program answers", "switch that off at the proxy; Chartroom itself sends none")
			return
		}
	}
	v.pass("disclosure", "no header names a program's version")
}

// caches asks for the page again: each answer has a nonce of its own, unless it is an old one.
func (v *visit) caches(ctx context.Context, first answer) {
	again, err := v.get(ctx, views.LoginPath(""))
	if err != nil {
		found, mend := v.why(err)
		v.fail("cache", found, mend)
		return
	}
	age, _ := strconv.Atoi(again.header.Get("Age"))
	one, two := nonceOf(first), nonceOf(again)
	if age > 0 || one != "" && one == two {
		v.fail("cache", "the same sign-in page came twice: something in front keeps pages, and would show one person's to another",
			"switch the cache off for everything but /assets/, or let it obey Cache-Control: no-store")
		v.stop("a cache keeps pages, and the password is not sent to one")
		return
	}
	v.pass("cache", "each answer is new")
}

func nonceOf(a answer) string {
	return regexp.MustCompile(`'nonce-([^']+)'`).FindString(a.header.Get("Content-Security-Policy"))
}

var assetPath = regexp.MustCompile(`(?:src|href)="(/assets/[\w.-]+)"`)

// assets are the files that the sign-in page names.
func (v *visit) assets(ctx context.Context) {
	found := assetPath.FindAllStringSubmatch(v.form.body, -1)
	if len(found) == 0 {
		v.fail("assets", "the sign-in page names no styles and scripts", "look whether a proxy changes the pages")
		return
	}
	for _, m := range found {
		a, err := v.get(ctx, m[1], "Accept-Encoding", "gzip")
		if err != nil {
			what, mend := v.why(err)
			v.fail("assets", what, mend)
			return
		}
		if a.status != http.StatusOK || a.body == "" {
			v.fail("assets", fmt.Sprintf("%s answers %d", show(m[1]), a.status), "let the proxy hand /assets/ on to the server; during a release servers of two versions may answer, then try again")
			return
		}
		v.judge(a, true)
		if !keptForAYear(a.header) {
			v.warn("assets", "browsers are not told to keep "+show(m[1])+", so that every page takes longer", "let the proxy hand on the Cache-Control of /assets/ as it is")
			return
		}
	}
	v.pass("assets", "%d files, each kept by browsers for a year", len(found))
}

func keptForAYear(h http.Header) bool {
	for _, d := range directives(h, "Cache-Control") {
		if n, err := strconv.Atoi(strings.TrimPrefix(d, "max-age=")); err == nil && time.Duration(n)*time.Second >= year {
			return true
		}
	}
	return false
}

func (v *visit) compression(ctx context.Context) {
	a, err := v.get(ctx, views.LoginPath(""), "Accept-Encoding", "gzip, zstd")
	switch packed := a.header.Get("Content-Encoding"); {
	case err != nil:
		found, mend := v.why(err)
		v.fail("compression", found, mend)
	case packed == "gzip" || packed == "zstd" || packed == "br":
		v.pass("compression", "pages come as %s", packed)
	default:
		v.warn("compression", "pages come uncompressed, and take longer", "let the proxy hand on Accept-Encoding and Content-Encoding as they are")
	}
}
