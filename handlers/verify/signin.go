package verify

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"chartroom/views"
)

var (
	formTag   = regexp.MustCompile(`<form[^>]* action="/login"`)
	nameField = regexp.MustCompile(`<input[^>]* name="username"`)
	wordField = regexp.MustCompile(`<input[^>]* name="password"`)
	alert     = regexp.MustCompile(`role="alert"[^>]*>[^<]*\S`)
	logout    = regexp.MustCompile(`<form[^>]* action="/logout"`)
	avatar    = regexp.MustCompile(`<button[^>]* popovertarget="account-menu"`)
	listTag   = regexp.MustCompile(`<div id="list"`)
)

func isForm(a answer) bool {
	return formTag.MatchString(a.body) && nameField.MatchString(a.body) && wordField.MatchString(a.body)
}

// signInPage looks at the page, and that it is ours: the password goes nowhere else.
func (v *visit) signInPage(ctx context.Context) {
	a, err := v.get(ctx, views.LoginPath(""))
	if err != nil {
		found, mend := v.why(err)
		v.fail("form", found, mend)
		v.stop("the sign-in page did not come")
		return
	}
	if a.status != http.StatusOK || !isForm(a) {
		v.fail("form", fmt.Sprintf("/login answers %d, and not with Chartroom's form", a.status), "look whether this address is Chartroom's, and whether a proxy puts pages of its own in front")
		v.stop("there is no sign-in form, and the password is sent nowhere else")
		return
	}
	v.form = a
	v.pass("form", "the form is there")
	v.judge(a, false)
	v.hsts(a)
	v.disclosure(a)
	v.caches(ctx, a)
}

// closed asks for the list without a session, as a page and as htmx does.
func (v *visit) closed(ctx context.Context) {
	page, err := v.get(ctx, views.PatientsPath(""))
	var part answer
	if err == nil {
		part, err = v.get(ctx, views.PatientsPath(""), "HX-Request", "true", "HX-Request-Type", "partial")
	}
	if err != nil {
		found, mend := v.why(err)
		v.fail("closed", found, mend)
		return
	}
	to, here := v.location(page)
	switch {
	case page.status == http.StatusOK || part.status == http.StatusOK:
		v.open()
	case page.status != http.StatusSeeOther || !here || to.Path != views.LoginPath("") || to.Query().Get("next") != views.PatientsPath(""):
		v.fail("closed", fmt.Sprintf("a page answers %d, and does not lead to sign-in and back", page.status), "let the proxy hand on redirects as they are")
	case part.status != http.StatusUnauthorized || !strings.HasPrefix(part.header.Get("HX-Redirect"), views.LoginPath("")):
		v.fail("closed", fmt.Sprintf("a part of a page answers %d, and does not say where to sign in", part.status), "let the proxy hand on 401 and the header HX-Redirect as they are")
	default:
		v.judge(page, false)
		v.pass("closed", "a page leads to sign-in and back, a part of one is refused")
	}
}

// open is the worst that can be found.
func (v *visit) open() {
	v.fail("closed", "the list is shown without sign-in",
		"take the site off the network until this is mended: look whether sign-in is switched off (SESSION_AUTH_ENABLED), and whether a cache keeps pages")
	v.stop("the list is open")
}

func (v *visit) signIn(ctx context.Context) {
	a, err := v.ask(ctx, http.MethodPost, views.LoginPath(""), url.Values{"username": {v.Username}, "password": {v.Password}})
	if err != nil {
		found, mend := v.why(err)
		v.fail("sign-in", found, mend)
		v.stop("the sign-in was not answered")
		return
	}
	to, here := v.location(a)
	switch {
	case a.status == http.StatusSeeOther && here && to.Path == views.PasswordPath(""):
		v.warn("sign-in", "the password opens the account and is weaker than a new one may be: the user is asked to change it", "change it there, or with `chartroom user set-password NAME`")
	case a.status == http.StatusSeeOther && here && to.Path == views.PatientsPath(""):
		v.pass("sign-in", "it leads to the list")
	default:
		v.notIn(a)
		v.stop("the sign-in did not succeed")
		return
	}
	v.judge(a, false)
	v.cookie(a)
}

// notIn says why a sign-in may have been refused. The server does not: it has one sentence for every reason.
func (v *visit) notIn(a answer) {
	const check = "`chartroom user check NAME`, with the server's DATABASE_URL, says why this user cannot sign in"
	switch a.status {
	case http.StatusUnprocessableEntity:
		v.fail("sign-in", "refused: the user name or the password is not right, the account is disabled, or its invitation was not used yet", check)
	case http.StatusTooManyRequests:
		v.fail("sign-in", "too many sign-ins have failed for this name or from this address", "try again "+seconds(a.header.Get("Retry-After"))+", or `chartroom user unlock NAME`")
	case http.StatusForbidden:
		v.fail("sign-in", "refused as if the form came from another site", "let the proxy hand on the name that was asked for (Host), and leave Origin alone")
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		v.fail("sign-in", fmt.Sprintf("it answers %d: the server is busy, or does not reach its database", a.status), "try again, and look in the server's log")
	default:
		v.fail("sign-in", fmt.Sprintf("it answers %d, and does not lead to the list", a.status), "look in the server's log")
	}
}

// seeList looks at the dashboard once, and at nothing in it but its frame.
func (v *visit) seeList(ctx context.Context) {
	a, err := v.get(ctx, views.PatientsPath(""), v.with(v.session, v.device)...)
	if err != nil {
		found, mend := v.why(err)
		v.fail("list", found, mend)
		return
	}
	if a.status != http.StatusOK || !listTag.MatchString(a.body) {
		v.fail("list", fmt.Sprintf("it answers %d, and not with the list", a.status), "look in the server's log")
		return
	}
	v.judge(a, false)
	if strings.Contains(a.body, "<table") {
		v.pass("list", "the table is there")
	} else {
		v.pass("list", "it is there, and empty")
	}
	if avatar.MatchString(a.body) && logout.MatchString(a.body) {
		v.pass("menu", "both are there")
	} else {
		v.fail("menu", "the page has no account menu with sign-out", "look whether a proxy changes the pages")
	}
}

// refusal tries a wrong password with the name that was just right, from the browser that was just let in. Guesses are
// counted for that browser then, and it is never seen again: neither the user nor this address has to wait for it.
func (v *visit) refusal(ctx context.Context) {
	if v.device == nil {
		v.skip("refusal", "the sign-in brought no cookie by which this browser is known, and a failed guess would be counted against the user")
		return
	}
	a, err := v.ask(ctx, http.MethodPost, views.LoginPath(""), url.Values{"username": {v.Username}, "password": {"not this one: " + rand.Text()}}, v.with(v.device)...)
	switch {
	case err != nil:
		found, mend := v.why(err)
		v.fail("refusal", found, mend)
	case leads(a.status) || a.status == http.StatusOK:
		v.fail("refusal", fmt.Sprintf("a wrong password is answered with %d", a.status), "take the site off the network, and look what answers at /login")
	case a.status != http.StatusUnprocessableEntity || !isForm(a) || !alert.MatchString(a.body):
		v.fail("refusal", fmt.Sprintf("a wrong password is answered with %d, and without the form that says so", a.status), "let the proxy hand on the page of a 422 as it is")
	default:
		v.judge(a, false)
		v.pass("refusal", "422, with the form")
	}
}

func (v *visit) signOut(ctx context.Context) {
	a, err := v.ask(ctx, http.MethodPost, views.LogoutPath, url.Values{}, v.with(v.session, v.device)...)
	if err != nil {
		found, mend := v.why(err)
		v.fail("sign-out", found, mend)
		v.stop("the sign-out was not answered")
		return
	}
	to, here := v.location(a)
	gone := false
	for _, c := range a.cookies {
		gone = gone || c.Name == v.session.Name && c.MaxAge < 0
	}
	switch {
	case a.status != http.StatusSeeOther || !here || to.Path != views.LoginPath(""):
		v.fail("sign-out", fmt.Sprintf("it answers %d, and does not lead to sign-in", a.status), "look in the server's log")
	case !gone || a.header.Get("Clear-Site-Data") == "":
		v.fail("sign-out", "the browser is not told to forget the session", "let the proxy hand on Set-Cookie and Clear-Site-Data as they are")
	default:
		v.pass("sign-out", "it leads to sign-in, and the browser forgets the session")
	}
}

// closedAgain comes back with the old cookie, as somebody who has copied it.
func (v *visit) closedAgain(ctx context.Context) {
	for range times / 2 {
		a, err := v.get(ctx, views.PatientsPath(""), v.with(v.session, v.device)...)
		if err != nil {
			found, mend := v.why(err)
			v.fail("closed-again", found, mend)
			return
		}
		if to, here := v.location(a); a.status != http.StatusSeeOther || !here || to.Path != views.LoginPath("") {
			v.fail("closed-again", fmt.Sprintf("with the old cookie the list answers %d after the sign-out", a.status),
				"look whether a cache keeps pages, and whether all servers have the same SESSION_SECRET_KEY and DATABASE_URL")
			return
		}
	}
	v.session = nil
	v.pass("closed-again", "the old cookie opens nothing")
}

// leave ends the session when the visit ended early, as often as it takes where servers do not know each other's.
func (v *visit) leave(ctx context.Context) {
	if v.session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.Each)
	defer cancel()
	for range times {
		if _, err := v.ask(ctx, http.MethodPost, views.LogoutPath, url.Values{}, v.with(v.session)...); err != nil || !v.unsure {
			return
		}
	}
}
