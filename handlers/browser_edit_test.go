package handlers

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// retype puts another text into a field of the form.
func (b *tab) retype(id, text string) {
	b.t.Helper()
	b.fill("#"+id, text)
	b.want("typed", fmt.Sprintf(`document.getElementById(%q).value`, id), text)
}

// save sends the form by keyboard, as people who type a lot do.
func (b *tab) save() { b.t.Helper(); b.press(kb.Enter) }

// said is how a page is waited for, since all of these have the same address.
func said(text string) string {
	return settled + fmt.Sprintf(`document.querySelector("main").innerText.includes(%q)`, text)
}

func TestTwoPeopleEditOnePatientAtOnceAndNobodysChangeIsLost(t *testing.T) {
	t.Parallel()
	s, path := onePatient(t)
	ada, bob := chromium(t, s.url), chromium(t, s.url)
	for b, name := range map[*tab]string{ada: "clinician", bob: "admin"} {
		b.open(path)
		b.until(`location.pathname === "/login"`)
		b.signIn(name, password)
		b.until(settled + `location.pathname === "` + path + `" && document.querySelector("a[href$='/edit']")`)
		b.click("a[href$='/edit']")
		b.until(settled + `document.getElementById("family")`)
	}

	// Both have the form open. Bob is quicker.
	ada.retype("email", "zadok@ward.invalid")
	ada.retype("phone", "555 0111")
	bob.retype("city", "Netherby")
	bob.retype("phone", "555 0222")
	bob.save()
	bob.until(said("The change is saved."))

	ada.save()
	ada.until(said("Someone else changed this patient while you were typing."))
	ada.until(`document.activeElement.className === "ask"`) // the browser moves the focus a moment after the page is there
	ada.want("the title", `document.title`, "Changed meanwhile: Edit patient · Test Clinic")
	rows := `[...document.querySelectorAll(".ask tbody tr")].map(r => [...r.cells].map(c => c.innerText.trim()).join("|")).join("; ")`
	ada.want("both versions side by side", rows, "Phone Changed by both|555 0222|555 0111; E-mail Changed by you|none|zadok@ward.invalid; City Changed by admin|Netherby|not changed by you")
	ada.want("the phone stays as she typed it", `document.getElementById("phone").value`, "555 0111")
	ada.want("and is marked", `document.getElementById("phone-note").innerText`, "Changed by both. On record now: 555 0222")
	ada.want("his city is taken over", `document.getElementById("city").value`, "Netherby")
	ada.retype("phone", "555 0222") // she asks the patient: he is right
	ada.save()
	ada.until(said("The change is saved."))
	for _, kept := range []string{"zadok@ward.invalid", "555 0222", "Netherby", "version 3"} {
		ada.until(said(kept))
	}
	bob.run(chromedp.Reload())
	bob.until(said("zadok@ward.invalid"))
	if n := scan[int](s, `SELECT count(*) FROM patients p JOIN patient_resources r ON r.patient_id = p.id WHERE p.version = 3 AND email = 'zadok@ward.invalid'
		AND city = 'Netherby' AND phone = '555 0222' AND r.resource::text LIKE '%999-12-3456%'`); n != 1 {
		t.Error("the record does not hold both changes")
	}

	// What cannot be is said beside its field, and the summary leads there.
	ada.click("a[href$='/edit']")
	ada.until(settled + `document.getElementById("birth_date")`)
	ada.retype("birth_date", "31.02.1999")
	ada.save()
	ada.until(said("Nothing was saved yet."))
	ada.until(`document.activeElement.getAttribute("role") === "alert"`)
	ada.click(".summary a")
	ada.until(focused + ` === "birth_date"`)
}
