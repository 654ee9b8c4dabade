package handlers

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"chartroom/db"
)

// speaks makes a language a user's choice.
func (s *site) speaks(name, language string) {
	s.t.Helper()
	s.exec(`INSERT INTO user_preferences (user_id, preferences) VALUES ($1, jsonb_build_object('language', $2::text))`, s.userID(name), language)
}

// TestTheCountdownSpeaksTheReadersLanguage: what session.js says comes with the page, with the right plural, and its time of day is
// the clinic's, as the server writes it, wherever the computer thinks that it is.
func TestTheCountdownSpeaksTheReadersLanguage(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(c *Config) { c.Zone, c.Locale = zone, "en-US" })
	s.speaks("clinician", "es")
	b := chromium(t, s.url)
	b.open("/login")
	b.signIn("clinician", password)
	b.until(settled + `document.querySelector("h1").innerText === "Pacientes"`)
	b.open("/patients/new")
	b.until(settled + `document.querySelector("form[data-draft]")`)

	// Each text that is read out is kept, because it is there for a moment only.
	b.eval(`window.told = []; new MutationObserver(() => told.push(document.getElementById("idle-said").textContent)).observe(document.getElementById("idle-said"), { childList: true }); 0`)
	s.leave(50 * time.Second)
	b.wake()
	b.until(asking)
	b.want("its name", `document.getElementById("idle-heading").innerText`, "¿Sigue ahí?")
	b.want("its words", `/^Hace un rato que no hay actividad, así que la sesión se cerrará dentro de (49|50) segundos\. Lo que escriba en el formulario/.test(document.getElementById("idle-text").innerText)`, true)
	b.want("where the focus is", button, "Mantener la sesión")
	b.want("what else is offered", `[...document.querySelectorAll("#idle button")].filter(e => e.checkVisibility()).map(e => e.innerText).join()`, "Mantener la sesión,Cerrar sesión")
	b.until(`told.some(t => /^Quedan \d\d segundos$/.test(t))`)
	// As if all but the last second had passed, right after the countdown has moved.
	b.eval(`window.real = Date.now; new MutationObserver((_, me) => {
		me.disconnect();
		const ahead = (parseInt(document.querySelector(".countdown").textContent.slice(2)) - 2) * 1000;
		Date.now = () => real.call(Date) + ahead;
	}).observe(document.querySelector(".countdown"), { childList: true }); 0`)
	b.until(`told.includes("Queda 1 segundo")`)
	b.want("the text of one second", `document.getElementById("idle").dataset.soonOne.includes("dentro de 1 segundo.")`, true)
	b.open("/account")
	b.until(settled + `document.querySelector("h1").innerText === "Cuenta"`)

	s.leave(50 * time.Second)
	b.wake()
	b.until(asking)
	b.eval(`document.querySelector("#idle-stay [name=csrf_token]").value = "old"; 0`)
	b.offline.Store(true) // the refusal is in the console
	b.press(kb.Enter)
	b.until(`document.getElementById("idle-problem").innerText.startsWith("Esta página es de antes")`)
	s.leave(9 * time.Minute)
	b.wake()
	b.until(`!` + asking)

	// The end that nothing moves; not on the full minute, which a page that counts whole seconds may put into the one before.
	s.exec(`UPDATE sessions SET expiry = e + CASE WHEN extract(second FROM e) < 3 THEN interval '3 seconds' ELSE '0' END FROM (SELECT now() + interval '45 seconds' AS e) AS ends`)
	b.open("/account")
	b.until(settled + `document.querySelector("dl time")`)
	b.wake()
	b.until(asking)
	b.want("its name", `document.getElementById("idle-heading").innerText`, "Esta sesión termina pronto")
	b.want("its words", `document.getElementById("idle-text").innerText.replaceAll(/\s/g, " ").startsWith("La sesión se cerrará a esta hora: "
		+ document.querySelector("dl time").innerText.replace(/^.*\d{4}, /, "") + ", haga lo que haga. Lo que escriba")`, true)
	b.want("it is an hour of twelve", `/: (1[0-2]|[1-9]):\d\d [ap]\. m\.,/.test(document.getElementById("idle-text").innerText.replaceAll(/\s/g, " "))`, true)
	b.want("where the focus is", button, "Continuar hasta entonces")
	b.press(kb.Escape)
	b.until(`!` + asking)

	s.exec(`UPDATE sessions SET expiry = now() + interval '6 hours'`)
	b.open("/patients/new")
	b.until(settled + `document.querySelector("form[data-draft]")`)
	b.eval(`document.querySelector("form[data-draft] [name=csrf_token]").value = "old"; 0`)
	b.retype("city", "Overby")
	b.until(`document.getElementById("draft").innerText.startsWith("Lo que escribe no se puede conservar")`)
}

func TestAPageThatWasEmptiedSpeaksTheReadersLanguage(t *testing.T) {
	t.Parallel()
	s := clinic(t)
	s.speaks("clinician", "es")
	b := chromium(t, s.url)
	b.as(s, db.RoleClinician, "/patients")
	b.until(`document.querySelectorAll("tbody tr").length === 25`)
	s.leave(5 * time.Second)
	b.wake()
	b.until(asking)
	b.network(false)
	b.press(kb.Enter)
	b.until(`document.getElementById("idle-problem").innerText.startsWith("No se pudo conectar con Chartroom")`)
	b.until(`document.querySelector("h1")?.innerText === "Se ha cerrado su sesión"`)
	b.want("the rest of it", `document.title + "|" + [...document.querySelectorAll("main p")].map(e => e.innerText).join("|")`,
		"Sesión cerrada|No se puede conectar con Chartroom en este momento. La página de inicio de sesión aparecerá en cuanto sea posible.|Volver a intentarlo")
}

// TestATimeInAZoneThatTheBrowserDoesNotKnowIsSaidAnyway: a browser's list of zones may be older than the server's.
func TestATimeInAZoneThatTheBrowserDoesNotKnowIsSaidAnyway(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.limits.Zone = "Mars/Olympus"
	b := chromium(t, s.url)
	b.open("/login")
	b.signIn("clinician", password)
	b.until(settled + `document.querySelector("h1").innerText === "Patients"`)
	s.exec(`UPDATE sessions SET expiry = now() + interval '45 seconds'`)
	b.wake()
	b.until(asking)
	b.want("its words", `/^You will be signed out at ([01]\d|2[0-3]):\d\d, whatever you do\./.test(document.getElementById("idle-text").innerText)`, true)
}
