package handlers

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"chartroom/db"
	"chartroom/views/texts"
)

// canaries are marked values, and where each was found: they must stay nowhere.
type canaries map[string]string // what it is → its text

// patientCanaries are of a patient, in the forms in which pages write them.
func patientCanaries() canaries {
	return canaries{"family name": "Xyzzyfamilius", "given name": "Plughgivenus", "MRN": "MRNCANARY77123", "birth date": "1931-02-27", "birth date on a page": "27 Feb 1931",
		"birth date typed": "27.02.1931", "phone": "5550177331", "phone as typed": "555-017-7331", "street": "Canarystreet", "name that was typed": "Frobozzia",
		"word searched for": "Searchcanary", "word of a prefix search": "xyzzyfam", "key": "XYZZYFAMILIUS"}
}

func secretCanaries() canaries {
	return canaries{"password": password, "wrong password": "Wrongcanary horse battery", "name that nobody has": "Typedbymistakecanary", "new password": "Newcanary copper lanterns",
		"panic": "Panickedcanary"}
}

// found gives what stands in text, as it is, in hexadecimal, in base64, or as addresses write it.
func (c canaries) found(text string) (all []string) {
	lower := strings.ToLower(text)
	for what, mark := range c {
		if mark == "" {
			all = append(all, what+" was not planted")
			continue
		}
		for _, form := range []string{strings.ToLower(mark), hex.EncodeToString([]byte(mark)), strings.ToLower(url.QueryEscape(mark)), strings.ToLower(url.PathEscape(mark))} {
			if strings.Contains(lower, form) {
				all = append(all, what)
				break
			}
		}
		for shift := range 3 { // whatever comes before it
			b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + mark))
			middle := b[4 : len(b)-4]
			if len(middle) >= 12 && (strings.Contains(text, middle) || strings.Contains(text, strings.NewReplacer("+", "-", "/", "_").Replace(middle))) {
				all = append(all, what+" in base64")
				break
			}
		}
	}
	slices.Sort(all)
	return all
}

// exchange is a request with its answer.
type exchange struct {
	line, sent, answered string
	status               int
	header               http.Header
}

// tape records everything that goes over the wire.
type tape struct {
	mu  sync.Mutex
	all []exchange
}

func (p *tape) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
		r.Header.Del("Accept-Encoding") // so that it can be read
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		p.mu.Lock() // before the answer goes out, so that whoever has it finds it here
		p.all = append(p.all, exchange{r.Method + " " + r.URL.String(), string(sent), rec.Body.String(), rec.Code, rec.Header().Clone()})
		p.mu.Unlock()
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

// exchanges are those so far.
func (p *tape) exchanges() []exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// taped puts the site behind a tape, with a route that panics.
func (s *site) taped() *tape {
	s.t.Helper()
	mux := s.mux()
	mux.Handle("GET /provoked", s.serve(route{pattern: "GET /provoked", access: public, handle: func(http.ResponseWriter, *http.Request) error { panic(secretCanaries()["panic"]) }}))
	p := &tape{}
	server := httptest.NewServer(p.record(s.middleware(mux)))
	s.t.Cleanup(server.Close)
	s.url = server.URL
	return p
}

const canaryPatient = `{"resourceType":"Patient","id":"c1","name":[{"use":"official","family":"Xyzzyfamilius","given":["Plughgivenus"]}],"gender":"male","birthDate":"1931-02-27",` +
	`"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"MRNCANARY77123"}],"telecom":[{"system":"phone","value":"555-017-7331"}],"address":[{"line":["Canarystreet 7"],"city":"Ely"}]}`

// walk goes everywhere, and into every error that there is. It returns the secrets that came up on the way.
func (s *site) walk() canaries {
	t, secrets := s.t, secretCanaries()
	expect := func(what string, a answer, status ...int) answer {
		t.Helper()
		if !slices.Contains(status, a.status) {
			t.Errorf("%s: %d, want %v\n%.300s", what, a.status, status, a.body)
		}
		return a
	}
	s.load(canaryPatient)
	path := "/patients/" + scan[string](s, `SELECT id::text FROM patients`)
	stranger := s.browser()
	for range 6 {
		expect("a wrong password", stranger.post("/login", "username", "clinician", "password", secrets["wrong password"]), 422, 429)
	}
	expect("a name that nobody has", stranger.post("/login", "username", secrets["name that nobody has"], "password", secrets["wrong password"]), 422, 429)
	s.exec(`DELETE FROM sign_in_throttle`)
	b := s.enter(db.RoleAdmin)
	secrets["session token"], secrets["device cookie"], secrets["form token"] = b.cookies["chartroom"].Value, b.cookies["chartroom-device"].Value, b.token()
	token := secrets["form token"]

	expect("list", b.get("/patients"), 200)
	expect("search", b.search("xyzzyfam"), 200)
	a := expect("search without JavaScript", b.post("/patients/search", "q", "Xyzzyfamilius 27.02.1931", "csrf_token", token), 303)
	expect("the list that was searched", b.get(a.header.Get("Location")), 200)
	expect("export of it", b.get(strings.Replace(a.header.Get("Location"), "/patients?", "/patients/export?format=csv&", 1)), 200)
	expect("nobody is called so", b.search("Searchcanary"), 200)
	expect("similar", b.search("Xyzzyfamilus"), 200)
	expect("filters", b.search("MRNCANARY77123", "gender", "male", "status", "active", "born_from", "27.02.1931"), 200, 303, 422)
	expect("patient", b.get(path), 200)
	expect("patient in the panel", b.get(path, append(htmx, "HX-Target", "aside#panel")...), 200)
	expect("recent patients", b.get("/patients/recent"), 200)
	expect("recent patients in the menu", b.get("/patients/recent", append(htmx, "HX-Target", "div#recent")...), 200)
	expect("404 in the panel", b.get("/patients/Xyzzyfamilius", append(htmx, "HX-Target", "aside#panel")...), 404)
	edit := b.get(path + "/edit")
	expect("a form with problems", b.send(path, edit, "birth_date", "31.31.1931", "family", "Frobozzia"), 422)
	expect("a draft", b.post(path+"/draft", pairs(edit.fields(), "family", "Frobozzia")...), 204)
	expect("changed", b.send(path, edit, "city", "Soham"), 303)
	expect("changed meanwhile", b.send(path, edit, "family", "Frobozzia", "city", "Wick"), 409, 200, 422)
	made := b.get("/patients/new")
	expect("likely duplicate", b.send("/patients", made, "family", "Xyzzyfamilius", "given", "Plughgivenus", "birth_date", "27.02.1931"), 200, 409, 422)
	expect("created", b.send("/patients", made, "family", "Frobozzia"), 303)
	expect("users", b.get("/admin/users"), 200)
	invited := expect("invited", b.post("/admin/users", "csrf_token", token, "username", "zoe", "role", "viewer"), 200)
	link := regexp.MustCompile(`/invite/([\w-]{43})`).FindStringSubmatch(invited.body)
	if link == nil {
		t.Fatal("no link")
	}
	secrets["invitation"] = link[1]
	expect("invitation", s.browser().get("/invite/"+link[1]), 200)
	expect("password by link", s.browser().post("/invite/"+link[1], "password", secrets["new password"]), 303)
	expect("used", s.browser().get("/invite/"+link[1]), 404)

	// Errors.
	expect("400", b.post("/patients/search", "q", "a", "q", "Searchcanary", "csrf_token", token), 400)
	expect("400 of a list", b.get("/patients?list=Searchcanary"), 400, 200, 303)
	expect("403", s.as(db.RoleViewer).get(path+"/edit"), 403)
	expect("403 of a form", b.post("/patients/search", "q", "Searchcanary", "csrf_token", "old"), 403)
	expect("403 of another site", b.do("POST", "/patients/search", form("q", "Searchcanary"), "Origin", "https://elsewhere.example", "Content-Type", "application/x-www-form-urlencoded"), 403)
	expect("404 of a name in the address", b.get("/patients/Xyzzyfamilius"), 404)
	expect("404", b.get("/nowhere/Xyzzyfamilius?q=Searchcanary"), 404)
	expect("405", b.do("DELETE", path, ""), 405)
	expect("413", b.post("/patients/search", "q", strings.Repeat("Searchcanary", 8000), "csrf_token", token), 413)
	expect("a browser's report", b.do("POST", "/csp-report", `{"csp-report":{"effective-directive":"script-src","blocked-uri":"https://evil.example/Searchcanary","document-uri":"`+s.url+path+`","script-sample":"Xyzzyfamilius"}}`,
		"Content-Type", "application/csp-report"), 204)
	expect("panic", b.get("/provoked"), 500)
	s.exec(`CREATE FUNCTION provoked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the row was %', NEW USING ERRCODE = 'XX000', DETAIL = NEW.family; END $$;
		CREATE TRIGGER provoked BEFORE UPDATE ON patients FOR EACH ROW EXECUTE FUNCTION provoked()`)
	expect("a database error with the row in it", b.send(path, b.get(path+"/edit"), "city", "Thame"), 500)
	s.exec(`DROP FUNCTION provoked() CASCADE; ALTER TABLE patients ADD CONSTRAINT provoked CHECK (city <> 'Thame') NOT VALID`)
	expect("a constraint", b.send(path, b.get(path+"/edit"), "city", "Thame"), 500)
	s.exec(`ALTER TABLE patients DROP CONSTRAINT provoked`)

	expect("a draft to be left", b.post("/patients/new/draft", pairs(b.get("/patients/new").fields(), "family", "Frobozzia")...), 204)
	expect("a new password", b.post("/account/password", "csrf_token", token, "current_password", password, "new_password", secrets["new password"]), 303)
	secrets["second session token"] = b.cookies["chartroom"].Value
	expect("its list", b.get("/patients"), 200)
	return secrets
}

func pairs(fields map[string]string, more ...string) (all []string) {
	for i := 0; i < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	for name, value := range fields {
		all = append(all, name, value)
	}
	return all
}

var addresses = regexp.MustCompile(`(?:href|src|action|formaction|data-hx-[a-z-]+|content)="([^"]*)"`)

// residue looks through everything and says where something of a patient or a secret was left.
func (s *site) residue(p *tape, patient, secrets canaries) (all []string) {
	note := func(where, text string, of ...canaries) {
		for _, c := range of {
			for _, what := range c.found(text) {
				all = append(all, where+" holds the "+what)
			}
		}
	}
	note("the log", s.logs.String(), patient, secrets)
	inPages := canaries{}
	for what, mark := range secrets { // these stand in forms and in the link that an administrator hands on, and nowhere else
		if what != "form token" && what != "invitation" && what != "name that nobody has" {
			inPages[what] = mark
		}
	}
	inAddresses := canaries{}
	for what, mark := range secrets {
		if what != "invitation" { // it is an address
			inAddresses[what] = mark
		}
	}
	for _, e := range p.exchanges() {
		where := fmt.Sprintf("%.60s (%d)", e.line, e.status)
		header := e.header.Clone()
		header.Del("Set-Cookie")
		note("a header of "+where, fmt.Sprint(header), patient, inAddresses)
		for _, m := range addresses.FindAllStringSubmatch(e.answered, -1) {
			note("an address on "+where, m[1], patient, inAddresses)
		}
		others := canaries{} // of what did not come with the request itself, typed or sealed
		typed, _ := url.ParseQuery(e.sent)
		came := fmt.Sprint(typed)
		if subject := s.drafts.openSubject(typed.Get(subjectField), strings.TrimPrefix(e.line, "POST /patients/")); subject != nil {
			f := s.format
			f.t = &texts.English
			came += fmt.Sprint(*subject, f.birth(subject.BirthDate))
		}
		for what, mark := range patient {
			if !strings.Contains(strings.ToLower(came), strings.ToLower(mark)) {
				others[what] = mark
			}
		}
		switch {
		case e.status < 400 || strings.Contains(e.answered, `<th scope="row">`): // a list, which is on record; that of a bad address too
		case e.status == 422 || e.status == 409 || e.status == 429: // a form that comes back, with what was typed
			note("the form of "+where, e.answered, inPages)
		default:
			note("the error page of "+where, e.answered, patient, inPages)
		}
		if e.status == 422 {
			note("the form of "+where, e.answered, others)
		}
	}
	for _, table := range scan[[]string](s, `SELECT array_agg(tablename::text) FROM pg_tables WHERE schemaname = 'public' AND tablename !~ '^(patient|name_|audit_events_)'`) {
		note("the table "+table, scan[string](s, `SELECT coalesce(string_agg(t::text, E'\n'), '') FROM `+table+` t`), patient, secrets)
	}
	return all
}

// TestNothingOfAPatientOrASecretStaysAnywhere plants marked values, walks through the whole site and all its errors at log level debug,
// and looks for them (ASVS 16.2.5, 14.2.1). That the looking finds is shown by planting one more.
func TestNothingOfAPatientOrASecretStaysAnywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := s.taped()
	secrets, patient := s.walk(), patientCanaries()
	for _, found := range s.residue(p, patient, secrets) {
		t.Error(found)
	}
	if n := len(p.exchanges()); n < 50 || !strings.Contains(s.logs.String(), "level=ERROR") {
		t.Errorf("%d requests", n)
	}
	// The looking finds: each mark in each place, also inside of bytes.
	for _, c := range []canaries{patient, secrets} {
		for what, mark := range c {
			fmt.Fprintln(s.logs, "planted "+mark)
			s.exec(`INSERT INTO ended_sessions (token, id, expiry) VALUES ($1, gen_random_uuid(), now())`, mark)
			s.exec(`INSERT INTO drafts (user_id, form, sealed) SELECT id, $1, $2 FROM users LIMIT 1`, what, []byte("x"+mark))
		}
	}
	p.all = append(p.all, exchange{line: "GET /planted", status: 404, answered: `Xyzzyfamilius <a href="/patients?q=Searchcanary">`, header: http.Header{"Location": {"/?q=Plughgivenus"}}})
	all := s.residue(p, patient, secrets)
	for _, want := range []string{"the log holds the family name", "the log holds the session token", "the table ended_sessions holds the phone", "the table drafts holds the password",
		"the table drafts holds the MRN", "an address on GET /planted (404) holds the word searched for", "the error page of GET /planted (404) holds the family name",
		"a header of GET /planted (404) holds the given name"} {
		if !slices.Contains(all, want) {
			t.Errorf("it was planted and not found: %s", want)
		}
	}
	if n := len(patient) + len(secrets); len(all) < 3*n {
		t.Errorf("%d found of %d planted in three places", len(all), n)
	}
}
