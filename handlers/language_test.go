package handlers

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/views/texts"
)

// englishWords are those that English texts have and Spanish ones have not: on a Spanish page they were left over.
var englishWords = func() map[string]bool {
	in := func(t texts.Texts) map[string]bool {
		words := map[string]bool{}
		sayAll(reflect.ValueOf(t), func(text string) {
			for _, w := range wordIn.FindAllString(text, -1) {
				words[strings.ToLower(w)] = true
			}
		})
		return words
	}
	english, spanish := in(texts.English), in(texts.Spanish)
	for w := range english {
		if spanish[w] || len(w) < 2 {
			delete(english, w)
		}
	}
	return english
}()

var wordIn = regexp.MustCompile(`\pL+`)

// sayAll gives every text of a language, those that are composed with numbers and names too.
func sayAll(v reflect.Value, say func(string)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			sayAll(v.Field(i), say)
		}
	case reflect.Array, reflect.Slice:
		for i := range v.Len() {
			sayAll(v.Index(i), say)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			sayAll(v.MapIndex(k), say)
		}
	case reflect.Func:
		for _, n := range []int{1, 2} {
			var args []reflect.Value
			for i := range v.Type().NumIn() {
				if v.Type().In(i).Kind() == reflect.Int {
					args = append(args, reflect.ValueOf(n))
				} else {
					args = append(args, reflect.Zero(v.Type().In(i)))
				}
			}
			sayAll(v.Call(args)[0], say)
		}
	case reflect.String:
		say(v.String())
	}
}

var (
	// What people typed, and a passphrase.
	othersParts = regexp.MustCompile(`(?s)<bdi>.*?</bdi>|<p class="words">.*?</p>`)
	heard       = regexp.MustCompile(`>([^<]+)<|\s(?:aria-label|placeholder|title|alt|data-(?:out|unreachable|offline|online|soon|soon-one|final|at|kept|left|left-one|old|out-heading|out-why|again|unkept))="([^"]*)"`)
	dataHere    = map[string]bool{"viewer": true, "clinician": true, "admin": true} // user names, written small
)

// leftInEnglish are the words on a page that only English has.
func leftInEnglish(body string) (left []string) {
	for _, m := range heard.FindAllStringSubmatch(othersParts.ReplaceAllString(body, ""), -1) {
		for _, w := range wordIn.FindAllString(html.UnescapeString(m[1]+" "+m[2]), -1) {
			if englishWords[strings.ToLower(w)] && !dataHere[w] {
				left = append(left, w)
			}
		}
	}
	return left
}

// wantsSpanish holds an answer to Spanish, and to what it says there.
// requestNumber is random, and may hold a word.
var requestNumber = regexp.MustCompile(`(Código de la solicitud:|número) [\w-]{12}`)

func wantsSpanish(t *testing.T, what string, a answer, status int, said ...string) {
	t.Helper()
	wants(t, what, a, status, append(said, `<html lang="es"`)...)
	if left := leftInEnglish(requestNumber.ReplaceAllString(a.body, "")); len(left) > 0 {
		t.Errorf("%s: left in English: %q", what, left)
	}
}

// spanish sends what a browser sends that asks for Spanish; with fields it is a form, with its token.
func (b *browser) spanish(path string, fields ...string) answer {
	b.t.Helper()
	if fields == nil {
		return b.get(path, "Accept-Language", "es")
	}
	if c := b.cookies["chartroom"]; c != nil {
		fields = append(fields, "csrf_token", formToken(b.formKeys[0], c.Value))
	}
	return b.do("POST", path, form(fields...), "Content-Type", "application/x-www-form-urlencoded", "Accept-Language", "es")
}

func spanishSite(t *testing.T) *site {
	t.Helper()
	return newSite(t, func(c *Config) { c.Clinic, c.Help = "Consultorio Ñandú", "4711" })
}

func TestThePagesOfSigningInAreSpanish(t *testing.T) {
	t.Parallel()
	s := spanishSite(t)
	b := s.browser()
	if left := leftInEnglish(b.get("/login").body); len(left) < 5 {
		t.Fatalf("this test finds only %q on an English page", left)
	}
	wantsSpanish(t, "the form", b.spanish("/login"), 200, "<title>Iniciar sesión", "Nombre de usuario", "Mostrar", "Ayuda: 4711")
	wantsSpanish(t, "after a countdown", b.spanish("/login?reason=timeout"), 200, "no hubo actividad durante 15 minutos. Lo que escribió")
	wantsSpanish(t, "after the lifetime", b.spanish("/login?reason=end"), 200, "al cumplirse 12 horas desde")
	wantsSpanish(t, "after an end", b.spanish("/login?reason=ended"), 200, "Su sesión ha terminado: tras 15 minutos sin actividad, 12 horas después")
	wantsSpanish(t, "with a new password", b.spanish("/login?notice=password-set"), 200, "La contraseña ha quedado establecida.")
	wantsSpanish(t, "a refusal", b.spanish("/login", "username", "viewer", "password", "wrong"), 422, "<title>Error: Iniciar sesión", texts.Spanish.SignIn.Refused)
	for kind, want := range map[string]string{"1 second": "dentro de 1 segundo,", "30 seconds": " segundos,", "3 minutes": "dentro de 3 minutos,"} {
		s.exec(`UPDATE sign_in_throttle SET blocked_until = now() + $1::text::interval, failures = 7`, kind)
		if kind == "1 second" {
			continue // it may be over before it is asked for: waiting is tested beside
		}
		a := b.spanish("/login", "username", "viewer", "password", "wrong")
		wantsSpanish(t, kind, a, 429, want, "quien administra Chartroom")
		if strings.Contains(a.body, "aria-invalid") { // neither of them is wrong
			t.Errorf("%s: a field is marked", kind)
		}
	}
	for seconds, want := range map[int][2]string{1: {"1 second", "1 segundo"}, 119: {"119 seconds", "119 segundos"}, 120: {"2 minutes", "2 minutos"}, 121: {"3 minutes", "3 minutos"}} {
		if en, es := waiting(texts.English.Dates, seconds), waiting(texts.Spanish.Dates, seconds); en != want[0] || es != want[1] {
			t.Errorf("%d: %q and %q", seconds, en, es)
		}
	}
}

func TestThePagesOfTheAccountAreSpanish(t *testing.T) {
	t.Parallel()
	s := spanishSite(t)
	b := s.session("viewer")
	s.session("viewer")
	s.browser().post("/login", "username", "viewer", "password", "wrong")
	wantsSpanish(t, "the account", b.spanish("/account"), 200, "<title>Cuenta", "Solo lectura", "1 intento fallido", `Revíselo <a href="#sign-ins">más abajo</a>`,
		"Rechazado: contraseña incorrecta", "Dispositivo desconocido", "esta sesión", `aria-label="Cerrar la sesión: Dispositivo desconocido, iniciada el`)
	for _, kind := range []string{"throttled", "locked", "disabled", "unusable hash"} {
		if texts.Spanish.Account.Refusals[kind] == "" {
			t.Errorf("%s has no words", kind)
		}
	}
	for notice, said := range texts.Spanish.Account.Notices {
		wantsSpanish(t, notice, b.spanish("/account?notice="+notice), 200, said)
	}
	wantsSpanish(t, "no address", b.spanish("/account/email", "email", "none"), 422, "<title>Error: Cuenta", texts.Spanish.Form.Problems["email"])
	s.exec(`UPDATE users SET email = 'a@b.example' WHERE username = 'admin'`)
	wantsSpanish(t, "somebody's address", b.spanish("/account/email", "email", "a@b.example"), 422, texts.Spanish.Users.Taken)

	wantsSpanish(t, "the password's form", b.spanish("/account/password"), 200, "<title>Cambie su contraseña", "Al menos 15 caracteres")
	wantsSpanish(t, "of a weak one", b.spanish("/account/password?next=%2Fpatients"), 200, "anterior a las reglas", "Ahora no")
	wantsSpanish(t, "a suggestion", b.spanish("/account/password", "suggest", "1"), 200, "Se acaba de crear para usted")
	for try, said := range map[[2]string]string{
		{"not it", another}:                          texts.Spanish.Password.NotYours,
		{password, "tres"}:                           "al menos 15 caracteres, y esta tiene 4;",
		{password, strings.Repeat("ñ", 2049)}:        "como máximo 4096 bytes",
		{password, "contra\xffseña de letras rotas"}: texts.Spanish.Password.NotText,
		{password, strings.Repeat("abc", 9)}:         texts.Spanish.Password.Guessable,
		{password, "Consultorio Ñandú viewer"}:       texts.Spanish.Password.OwnWords,
		{password, password}:                         texts.Spanish.Password.Same,
	} {
		wantsSpanish(t, said, b.spanish("/account/password", "current_password", try[0], "new_password", try[1]), 422, said, "<title>Error: Cambie")
	}
	s.stale()
	wantsSpanish(t, "asked again", b.spanish("/account/email", "email", ""), 403, "<title>Confirme que es usted", texts.Spanish.Password.ConfirmChange)
	wantsSpanish(t, "given wrong", b.spanish("/confirm", "to", "/account/email", "carried.email", "", "password", "wrong"), 422,
		"<title>Error: Confirme", texts.Spanish.Password.NotYours)
	wantsSpanish(t, "for a file", s.session("admin").stalely().spanish("/admin/audit/export", "format", "csv"), 403, texts.Spanish.Password.ConfirmTakeOut, "Volver a la auditoría")
}

// stalely is a browser whose password was given too long ago for what asks for it again.
func (b *browser) stalely() *browser { b.t.Helper(); b.stale(); return b }

// TestEveryReasonAgainstAPasswordOrAUserHasWords: none comes to a page as the sentence of the command line.
func TestEveryReasonAgainstAPasswordOrAUserHasWords(t *testing.T) {
	for _, l := range texts.Languages {
		said := map[string]error{}
		unlike := func(err error, words string) {
			t.Helper()
			if words == "" || words == l.Password.Other || said[words] != nil {
				t.Errorf("%s: %v is said as %q, as is %v", l.Tag, err, words, said[words])
			}
			said[words] = err
		}
		for _, err := range []error{db.ErrPasswordText, db.ErrPasswordCommon, db.ErrPasswordGuessable, db.ErrPasswordOwnWords, db.ErrPasswordTooLong,
			db.PasswordTooShort{Has: 3}, db.ErrSamePassword} {
			unlike(err, passwordProblem(l, db.PasswordProblem{Why: err}))
		}
		for _, err := range []error{db.ErrUserNameLength, db.ErrUserNameText, db.ErrUserNameSpaces, db.ErrUserTaken, db.ErrUserEmail, db.ErrUserRole,
			db.ErrLastAdmin, db.ErrUserOff} {
			_, words := userProblem(l, err)
			unlike(err, words)
		}
		if got := passwordProblem(l, db.PasswordProblem{Why: errors.New("some day")}); got != l.Password.Other {
			t.Errorf("a reason of another day: %q", got)
		}
		if field, words := userProblem(l, db.ErrNotFound); field+words != "" {
			t.Errorf("what nobody can mend is said: %q", words)
		}
	}
}

func TestThePagesOfAdministrationAreSpanish(t *testing.T) {
	t.Parallel()
	s := spanishSite(t)
	b := s.session("admin")
	wantsSpanish(t, "the list", b.spanish("/admin/users"), 200, "<title>Usuarios", "3 usuarios", ">Activo<", ">nunca<", "Personal clínico", "Nuevo usuario")
	wantsSpanish(t, "one", b.spanish("/admin/users/search", "q", "clinic"), 200, "1 usuario<", "Todos los usuarios")
	wantsSpanish(t, "none", b.spanish("/admin/users/search", "q", "xyzzy"), 200, "No se encontró ningún usuario", "Mostrar todos los usuarios")
	wantsSpanish(t, "the form", b.spanish("/admin/users/new"), 200, "<title>Nuevo usuario", "Correo electrónico (opcional)")
	s.exec(`UPDATE users SET email = 'a@b.example' WHERE username = 'viewer'`)
	for try, said := range map[[3]string]string{
		{"viewer", "", "viewer"}:         texts.Spanish.Users.Taken,
		{"", "", "viewer"}:               texts.Spanish.Users.NameLength,
		{"zoe ", "", "viewer"}:           texts.Spanish.Users.NameSpaces,
		{"zo\te", "", "viewer"}:          texts.Spanish.Users.NameNotText,
		{"zoe", "zoe", "viewer"}:         texts.Spanish.Form.Problems["email"],
		{"zoe", "a@b.example", "viewer"}: texts.Spanish.Users.Taken,
		{"zoe", "", "owner"}:             "El rol debe ser uno de estos: Solo lectura, Personal clínico, Administración.",
	} {
		wantsSpanish(t, said, b.spanish("/admin/users", "username", try[0], "email", try[1], "role", try[2]), 422, said, `aria-invalid="true"`, "<title>Error: Nuevo usuario")
	}
	link := b.spanish("/admin/users", "username", "zoe", "email", "", "role", "viewer")
	wantsSpanish(t, "the link", link, 200, "<title>Enlace para un usuario", "Invitación para <bdi>zoe</bdi>", "Entréguelo a <bdi>zoe</bdi> y a nadie más")
	wantsSpanish(t, "invited", b.spanish("/admin/users"), 200, ">Invitado<")
	wantsSpanish(t, "the page of who is invited", b.spanish(s.at("zoe", "")), 200, "<title>Usuario ", "La invitación está abierta (hasta el <time", "Deshabilitar este usuario", "En ningún sitio.")

	i := s.browser()
	path := link.shown(b)
	wantsSpanish(t, "the invitation", i.spanish(path), 200, "<title>Establezca su contraseña", "Para el usuario <strong><bdi>zoe</bdi></strong>. Esta página funciona una sola vez (hasta el <time")
	wantsSpanish(t, "a weak password", i.spanish(path, "password", "tres"), 422, "<title>Error: Establezca", "y esta tiene 4;")
	wantsSpanish(t, "no link", i.spanish("/invite/none"), 404, "<title>Este enlace ya no funciona", `<a href="/login">inicie sesión</a>`)

	wantsSpanish(t, "another link", b.spanish(s.at("viewer", "link"), "x", ""), 200, "Contraseña nueva para <bdi>viewer</bdi>", texts.Spanish.Users.LinkMade)
	wantsSpanish(t, "while it is open", b.spanish(s.at("viewer", "")), 200, "Hay abierto un enlace para una contraseña nueva (hasta el <time", ">Enlace nuevo<", texts.Spanish.Users.UnlockHint)
	wantsSpanish(t, "a password set anew", i.spanish(b.spanish(s.at("clinician", "link"), "x", "").shown(b)), 200, "Establezca una contraseña nueva", "Dondequiera que tenga")
	wantsSpanish(t, "the own page", b.spanish(s.at("admin", "")), 200, "Esta es su propia cuenta.", "Cerrar todas sus sesiones")
	wantsSpanish(t, "the last administrator", b.spanish(s.at("admin", "disable"), "x", ""), 409, texts.Spanish.Users.LastAdmin, "<title>Error: Usuario")
	wantsSpanish(t, "no such role", b.spanish(s.at("viewer", "role"), "role", "owner"), 422, "El rol debe ser uno de estos")
	s.exec(`UPDATE users SET is_active = false WHERE username = 'zoe'`)
	wantsSpanish(t, "a disabled one", b.spanish(s.at("zoe", "")), 200, ">Deshabilitado<", "Habilitar este usuario")
	wantsSpanish(t, "a link for a disabled one", b.spanish(s.at("zoe", "link"), "x", ""), 409, texts.Spanish.Users.Off)
	for notice, said := range texts.Spanish.Users.Notices {
		wantsSpanish(t, notice, b.spanish(s.at("viewer", "")+"?notice="+notice), 200, said)
	}
	s.exec(`INSERT INTO sign_in_throttle (kind, subject, failures, last_at, noted, user_id, blocked_until) VALUES ('name', 'x', 100, now(), true, $1, '-infinity')`, s.userID("viewer"))
	wantsSpanish(t, "a locked one", b.spanish(s.at("viewer", "")), 200, ">Bloqueado<", texts.Spanish.Users.LockedHint)
	s.exec(`INSERT INTO users (username, password_hash, role) SELECT 'many' || n, '', 'viewer' FROM generate_series(1, 100) n`)
	wantsSpanish(t, "many", b.spanish("/admin/users"), 200, "100 usuarios en esta página, y hay más", "Siguiente")
}

func TestWhatCannotBeIsSaidInSpanish(t *testing.T) {
	t.Parallel()
	s := spanishSite(t)
	b := s.session("viewer")
	wantsSpanish(t, "an address that is none", b.spanish("/nothing"), 404, texts.Spanish.Errors.NotFound.Heading, "Código de la solicitud: ", "Ir a la lista de pacientes")
	wantsSpanish(t, "a page for others", b.spanish("/admin/users"), 403, texts.Spanish.Errors.Forbidden.Message)
	wantsSpanish(t, "another method", b.do("DELETE", "/account", "", "Accept-Language", "es"), 405, texts.Spanish.Errors.Method.Heading)
	wantsSpanish(t, "an old page", b.do("POST", "/account/email", form("email", ""), "Content-Type", "application/x-www-form-urlencoded", "Accept-Language", "es"), 403, texts.Spanish.Errors.OldPage.Heading)
	wantsSpanish(t, "another site's form", b.do("POST", "/login", "", "Accept-Language", "es", "Sec-Fetch-Site", "cross-site"), 403, texts.Spanish.Errors.OtherSite.Heading)
	wantsSpanish(t, "too much", b.spanish("/login", "username", strings.Repeat("x", maxForm)), 413, texts.Spanish.Errors.TooMuch.Heading)
	wantsSpanish(t, "twice the same", b.spanish("/login", "username", "a", "username", "b"), 400, texts.Spanish.Errors.BadForm.Heading)
	s.exec(`UPDATE users SET role = 'clinician' WHERE username = 'viewer'`)
	wantsSpanish(t, "no format", b.spanish("/patients/export?format=pdf"), 400, texts.Spanish.Errors.BadFormat.Message)
	wantsSpanish(t, "no list", b.spanish("/patients/export?list=none"), 400, texts.Spanish.Errors.BadListAddress.Heading)
	wantsSpanish(t, "asked for elsewhere", b.get("/patients/export", "Accept-Language", "es", "Sec-Fetch-Site", "cross-site"), 403, texts.Spanish.Errors.ExportElsewhere.Heading)
	for range exportsAtOnce {
		s.exports <- struct{}{}
	}
	wantsSpanish(t, "too many exports", b.spanish("/patients/export"), 503, texts.Spanish.Errors.OtherExports.Message)
	wantsSpanish(t, "no audit", s.session("admin").spanish("/admin/audit?what=nothing"), 400, texts.Spanish.Errors.BadAuditAddress.Heading)
	for err, r := range map[error]texts.Refusal{http.ErrBodyNotAllowed: texts.Spanish.Errors.Failed, context.Canceled: texts.Spanish.Errors.NoData} {
		if got := s.describe(fmt.Errorf("do: %w", err)).says(&texts.Spanish); got != r {
			t.Errorf("%v: %q", err, got)
		}
	}
	if said := errNoData.Error(); said != texts.English.Errors.NoData.Heading {
		t.Errorf("the log is told %q", said)
	}

	// Who has chosen a language has it whatever the browser says.
	s.exec(`INSERT INTO user_preferences (user_id, preferences) VALUES ($1, '{"language": "es"}')`, s.userID("viewer"))
	wantsSpanish(t, "a choice", b.give("/account/password", "current_password", password, "new_password", "tres"), 422, "y esta tiene 4;")
	wantsSpanish(t, "a choice and a page for others", b.get("/admin/users"), 403, texts.Spanish.Errors.Forbidden.Message)
}

func TestWhileSignInIsOffItIsSaidInSpanish(t *testing.T) {
	t.Parallel()
	s := newSiteOn(t, offFor(here), func(c *Config) { c.Clinic, c.Help = "Consultorio Ñandú", "4711" })
	wantsSpanish(t, "the form", s.browser().spanish("/login"), 200, "Ir a la lista de pacientes sin iniciar sesión", "El inicio de sesión está desactivado hasta el")
	wantsSpanish(t, "a change", s.session("viewer").spanish("/account/email", "email", ""), 403, texts.Spanish.Errors.ReadOnly, "No se ha cambiado nada.", " UTC.")
}

var (
	jsComment = regexp.MustCompile(`(?m)(^|\s)//.*$`)
	jsString  = regexp.MustCompile("\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`")
	sentence  = regexp.MustCompile(`\p{Lu}\pL+ \pL+|\pL+ \pL+ \pL+ \pL+|\pL+[.?!…]$`)
)

// TestScriptsSayNothingOfTheirOwn: they are the same for every language, and find on the page what they say.
func TestScriptsSayNothingOfTheirOwn(t *testing.T) {
	for _, file := range []string{"app.js", "session.js"} {
		js, err := os.ReadFile(dbtest.Root() + "/assets/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found := jsString.FindAllString(jsComment.ReplaceAllString(string(js), ""), -1)
		if len(found) < 20 {
			t.Fatalf("%s: only %d strings", file, len(found))
		}
		for _, s := range found {
			if s := s[1 : len(s)-1]; sentence.MatchString(s) {
				t.Errorf("%s says %q", file, s)
			}
		}
	}
}

func TestWordsAroundATimeOrALinkStayInTheirPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.session("admin")
	link := b.give("/admin/users", "username", `zoe & "co"`, "role", "viewer")
	wants(t, "the link", link, 200, `Invitation for <bdi>zoe & "co"</bdi>`, `. Give it to <bdi>zoe & "co"</bdi> and nobody else, best`)
	if !regexp.MustCompile(`It works once, until <time datetime="[^"]+">[^<]+</time>\. Give`).MatchString(link.body) || strings.Contains(link.body, `zoe & "`) {
		t.Errorf("the hint, or its escapes: %s", link.main())
	}
	i := s.browser().get(link.shown(b))
	if !regexp.MustCompile(`For the user <strong><bdi>[^<]*</bdi></strong>\. This page works once, until <time datetime="[^"]+">[^<]+</time>\.</p>`).MatchString(i.body) {
		t.Errorf("the invitation: %s", i.main())
	}
	wants(t, "a link", s.browser().get("/invite/none"), 404, `with it, <a href="/login">sign in</a>. Otherwise`)
}
