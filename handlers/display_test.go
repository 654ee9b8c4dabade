package handlers

import (
	"net/url"
	"strings"
	"testing"
)

// submits sends a form with its token.
func (b *browser) submits(path string, fields url.Values) answer {
	b.t.Helper()
	sent := url.Values{"csrf_token": {b.token()}}
	for name, values := range fields {
		sent[name] = values
	}
	return b.do("POST", path, sent.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func TestALanguageIsChosenPerUserOrByTheBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	wants(t, "a browser that asks for nothing", s.browser().get("/login"), 200, `<html lang="en"`)
	wants(t, "a browser that asks for Spanish", s.browser().get("/login", "Accept-Language", "es-MX,es;q=0.9,en;q=0.5"), 200, `<html lang="es"`)
	b := s.as("clinician")
	wants(t, "as the browser says", b.get("/patients"), 200, `<html lang="en"`, "3 patients")
	wants(t, "as the browser says", b.get("/patients", "Accept-Language", "es"), 200, `<html lang="es"`, "3 pacientes", "Cerrar sesión")
	if a := b.submits("/account/display", url.Values{"language": {"es"}, "theme": {"dark"}, "density": {"compact"}, "keys": {"off"}}); a.status != 303 {
		t.Fatal(a.status, a.body)
	}
	wants(t, "the user's own choice", b.get("/patients"), 200, `<html lang="es" data-theme="dark" data-density="compact" data-keys="off">`, "3 pacientes")
	wants(t, "it is kept on the server", s.as("clinician").get("/account/display"), 200, `<html lang="es" data-theme="dark"`, `<option value="es" selected>Español`)
	wants(t, "and is nobody else's", s.as("viewer").get("/patients"), 200, `<html lang="en">`)
	for _, wrong := range []url.Values{{"language": {"xx"}}, {"theme": {"pink"}}, {"density": {"tiny"}}, {"keys": {"maybe"}}} {
		if a := b.submits("/account/display", wrong); a.status != 400 {
			t.Errorf("%v: %d", wrong, a.status)
		}
	}
	wants(t, "what was refused changed nothing", b.get("/patients"), 200, `<html lang="es" data-theme="dark" data-density="compact" data-keys="off">`)
}

func TestColumnsAreShownAsTheUserWants(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(3)
	b := s.as("clinician")
	heads := func() string {
		var all []string
		for _, part := range strings.Split(b.get("/patients").body, `<th scope="col"`)[1:] {
			_, label, _ := strings.Cut(strings.TrimSpace(part[strings.Index(part, ">")+1:]), ">")
			if !strings.Contains(part[:strings.Index(part, "</th>")], "<a ") {
				label = part[strings.Index(part, ">")+1:]
			}
			all = append(all, strings.TrimSpace(label[:strings.Index(label, "<")]))
		}
		return strings.Join(all, "|")
	}
	if got := heads(); got != "Name|MRN|Born|Sex|Phone|City|Status|Last updated" {
		t.Fatal(got)
	}
	usual := "mrn,birth_date,sex,phone,city,status,updated"
	for _, c := range []struct {
		what string
		form url.Values
		want string
	}{
		{"some of them", url.Values{"order": {usual}, "show_mrn": {"1"}, "show_phone": {"1"}}, "Name|MRN|Born|Phone"},
		{"one moved up", url.Values{"order": {"mrn,birth_date,phone"}, "show_mrn": {"1"}, "show_phone": {"1"}, "move": {"up:birth_date"}}, "Name|Born|MRN|Phone"},
		{"one moved down", url.Values{"order": {"birth_date,mrn,phone"}, "show_mrn": {"1"}, "show_phone": {"1"}, "move": {"down:mrn"}}, "Name|Born|Phone|MRN"},
		{"none but the one that nobody can do without", url.Values{"order": {usual}}, "Name|Born"},
		{"all again", url.Values{"order": {usual}, "show_mrn": {"1"}, "show_sex": {"1"}, "show_phone": {"1"}, "show_city": {"1"}, "show_status": {"1"}, "show_updated": {"1"}},
			"Name|MRN|Born|Sex|Phone|City|Status|Last updated"},
	} {
		if a := b.submits("/account/display/columns", c.form); a.status != 303 {
			t.Fatalf("%s: %d %s", c.what, a.status, a.body)
		}
		if got := heads(); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	for _, wrong := range []url.Values{{"order": {"mrn,password_hash,birth_date"}, "show_password_hash": {"1"}}, {"order": {usual}, "move": {"up:mrn"}},
		{"order": {usual}, "move": {"up:nothing"}}, {"order": {"birth_date,mrn,mrn"}, "show_mrn": {"1"}}, {"order": {"mrn"}, "show_mrn": {"1"}}} {
		if a := b.submits("/account/display/columns", wrong); a.status != 400 {
			t.Errorf("%v: %d", wrong, a.status)
		}
	}
}
