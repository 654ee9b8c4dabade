package handlers

import (
	"context"
	"html"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"chartroom/db"
)

func (s *site) userID(name string) int {
	s.t.Helper()
	return scan[int](s, `SELECT id FROM users WHERE username = $1`, name)
}

// at is the address of an account's page, or of what is done to it.
func (s *site) at(name, action string) string {
	s.t.Helper()
	return strings.TrimSuffix("/admin/users/"+strconv.Itoa(s.userID(name))+"/"+action, "/")
}

// give posts a form of a page that this session has open.
func (b *browser) give(path string, fields ...string) answer {
	b.t.Helper()
	return b.post(path, append(fields, "csrf_token", formToken(b.formKeys[0], b.cookies["chartroom"].Value))...)
}

// sessionID is the public one, as it stands in lists.
func (b *browser) sessionID() string {
	b.t.Helper()
	v := db.Viewer{Token: b.cookies["chartroom"].Value, Roles: db.Roles}
	who, err := b.DB.Whoami(context.Background(), v)
	if err != nil {
		b.t.Fatal(err)
	}
	return who.SessionID
}

// alive says whether the session is.
func (b *browser) alive() bool { b.t.Helper(); return b.get("/session").status == http.StatusNoContent }

// stale makes all sessions too old for what asks for the password again, by a second.
func (s *site) stale() {
	s.t.Helper()
	s.exec(`UPDATE sessions SET created_at = now() - interval '10 minutes 1 second'`)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// filled are the hidden fields of a page's form, as a browser sends them, but for the account menu's.
func (a answer) filled() (fields []string) {
	for _, m := range hidden.FindAllStringSubmatch(a.main(), -1) {
		fields = append(fields, html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return fields
}

// main is what the page is about, without what every page has around it.
func (a answer) main() string {
	_, main, _ := strings.Cut(a.body, `<main`)
	main, _, _ = strings.Cut(main, `</main>`)
	return main
}

func (a answer) says(t *testing.T, what string, status int, texts ...string) {
	t.Helper()
	wants(t, what, a, status, texts...)
}

func (a answer) leads(t *testing.T, what, to string) {
	t.Helper()
	if a.status != http.StatusSeeOther || a.header.Get("Location") != to {
		t.Errorf("%s: %d to %q, want 303 to %q", what, a.status, a.header.Get("Location"), to)
	}
}
