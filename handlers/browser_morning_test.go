package handlers

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"chartroom/db"
)

// TestAMorningsWorkByKeyboard is what somebody at the front desk does until noon, with nothing but the keys; once as most do it, and once
// more without JavaScript. Nothing in it touches the page but keys.
func TestAMorningsWorkByKeyboard(t *testing.T) {
	t.Parallel()
	withAndWithout(t, func(t *testing.T, open func(string) *tab) {
		s := clinic(t)
		b := open(s.url)
		scripts := strings.HasSuffix(t.Name(), "with_JavaScript")
		loaded := func(js string) { t.Helper(); b.until(settled + js) }
		types := func(selector, text string) { t.Helper(); b.tabTo(selector); b.press(text) }
		chooses := func(item, page string) {
			t.Helper()
			b.enter(".avatar")
			b.until(`document.querySelector("#account-menu:popover-open")`)
			b.enter("#account-menu a[href='" + item + "']")
			loaded(`location.pathname === "` + page + `"`)
		}

		b.open("/")
		loaded(`document.activeElement.id === "username"`)
		b.press(db.RoleClinician)
		types("#password", password+"\r")
		loaded(`location.pathname === "/patients" && document.querySelectorAll("tbody tr").length === 25`)

		// The patient at the desk: found, looked at, and given a new city.
		if scripts {
			b.key("/")
			b.press("quimbl")
			b.until(`document.querySelectorAll("tbody tr").length === 1`)
			time.Sleep(300 * time.Millisecond) // until all letters have been searched for: an answer that comes later closes the panel
			b.until(`!document.querySelector(".htmx-request")`)
			b.press(kb.ArrowDown)
			b.press(kb.Enter)
			b.until(`document.querySelector("#panel:not([hidden]) h2 bdi")?.textContent.includes("Quimbleton") && document.activeElement.id === "panel-title"`)
			b.press(kb.Escape)
			b.until(noPanel + ` && document.activeElement.matches("tbody th > a")`)
			b.press(kb.Enter)
			b.until(`document.activeElement.id === "panel-title"`)
			b.enter("#panel a[href$='/edit']")
		} else {
			types("#q", "quimbl\r")
			loaded(`document.querySelectorAll("tbody tr").length === 1`)
			b.enter("tbody th > a")
			loaded(`document.querySelector("h1 bdi")`)
			b.enter("main a[href$='/edit']")
		}
		loaded(`document.getElementById("city")`)
		types("#city", "Overby\r")
		loaded(`document.querySelector(".note.done") && document.querySelector("main").innerText.includes("Overby")`)

		// Somebody new, with a date that there is not.
		b.enter(".back a")
		loaded(`location.pathname === "/patients" && document.querySelectorAll("tbody tr").length === 25`)
		b.enter("a[href='/patients/new']")
		loaded(`document.getElementById("family")`)
		types("#family", "Wexcombe")
		types("#given", "Perpetua")
		types("#birth_date", "31.02.1980\r")
		loaded(summaryFocused)
		b.tabTo("#birth_date") // not by the summary's link: the tests' Enter has a second half, which would arrive in the field
		b.press(kb.End)
		for range "31.02.1980" {
			b.press(kb.Backspace)
		}
		b.press("29.02.1980")
		b.want("the date", `document.activeElement.id + document.activeElement.value`, "birth_date29.02.1980")
		b.press(kb.Enter)
		loaded(`document.querySelector("h1 bdi")?.textContent === "Wexcombe, Perpetua"`)

		// Spanish, more rows on the screen, and the telephone before the rest.
		chooses("/account/display", "/account/display")
		b.tabTo("#language")
		b.press(kb.ArrowDown + kb.ArrowDown)
		b.tabTo("#density")
		b.press(kb.ArrowDown)
		b.enter("form[action='/account/display'] button[type=submit]")
		loaded(`document.documentElement.lang === "es" && document.documentElement.dataset.density === "compact" && document.querySelector(".note.done")`)
		b.enter("#up-phone")
		loaded(`document.getElementById("down-sex") && [...document.querySelectorAll(".columns li")].findIndex(li => li.querySelector("#up-phone")) === 2`)
		b.enter(".brand")
		loaded(`location.pathname === "/patients" && document.querySelectorAll("tbody tr").length === 25`)
		b.want("the columns", `[...document.querySelectorAll("#list thead th")].map(h => h.innerText.trim()).join()`,
			"Nombre,N.º de historia,Nacimiento,Teléfono,Sexo,Ciudad,Estado,Última actualización")
		b.enter("#page-next")
		b.until(`document.getElementById("caption").textContent.startsWith("Pacientes 26 a 50")`)

		// Whom one has just had.
		chooses("/patients/recent", "/patients/recent")
		b.want("the last first", `[...document.querySelectorAll("main .recent a")].map(a => a.textContent.trim().split("\n")[0]).join("; ").replace(/Nac.*?;/, ";").startsWith("Wexcombe, Perpetua")`, true)
		b.enter("#to-help")
		loaded(`location.pathname === "/help"`)

		b.enter(".avatar")
		b.until(`document.querySelector("#account-menu:popover-open")`)
		b.enter("#account-menu form[action='/logout'] button")
		loaded(`location.pathname === "/login" && document.getElementById("username")`)
		b.want("the browser's own language again", `document.documentElement.lang`, "en")
	})
}
