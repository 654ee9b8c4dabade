package handlers

import (
	"net/http"
	"strings"
	"testing"
)

// TestAnErrorPageIsStillOnesOwn: it has the menu and the way out where a statement has found the session, and the way back to where
// one was, which is never another site's, nor what no page is at.
func TestAnErrorPageIsStillOnesOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const menu, back = `id="account-menu"`, ">Go back to where you were</a>"
	viewer, admin := s.as("viewer"), s.as("admin")
	viewer.get("/admin/users").says(t, "not allowed", 403, menu, `action="/logout"`)
	viewer.get("/patients/00000000-0000-4000-8000-000000000000").says(t, "not there", 404, menu)
	admin.get("/admin/audit?what=made-up").says(t, "a made-up audit address", 400, menu, `Open <a href="/admin/audit">the audit</a>`)
	if a := viewer.get("/nowhere"); a.status != 404 || strings.Contains(a.body, menu) {
		t.Errorf("a statement was made for an address of nothing: %d", a.status)
	}
	if a := s.browser().get("/nowhere"); a.status != 404 || strings.Contains(a.body, menu) {
		t.Errorf("nobody's error: %d", a.status)
	}
	old := func(b *browser, referer string) answer {
		return b.do(http.MethodPost, "/account/email", form("email", "", "csrf_token", "old"), "Content-Type", "application/x-www-form-urlencoded", "Referer", referer)
	}
	old(viewer, s.url+"/account?notice=email").says(t, "an old form", 403, menu, `<a href="/account"`+back)
	for what, referer := range map[string]string{"nothing": "", "another site": "https://evil.example/account", "what is no page": s.url + "/account/email", "an asset of nothing": s.url + "/no/where",
		"the list, which every error leads to": s.url + "/patients", "no web address": "javascript:alert(1)", "a host with a path like one": s.url + "//evil.example/account", "signing out": s.url + "/logout"} {
		if a := old(viewer, referer); a.status != 403 || strings.Contains(a.body, back) || strings.Contains(a.body, "evil") {
			t.Errorf("from %s: %d\n%.400s", what, a.status, a.body)
		}
	}
	if a := old(s.browser(), s.url+"/account"); a.status != 303 {
		t.Errorf("without a session: %d", a.status)
	}
	other := admin.do(http.MethodPost, "/account/email", form("email", ""), "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site")
	if other.status != 403 || strings.Contains(other.body, menu) {
		t.Errorf("another site's form is answered with the menu of whoever's browser it is: %d", other.status)
	}
}
