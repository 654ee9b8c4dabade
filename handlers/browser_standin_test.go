package handlers

import (
	"testing"

	"github.com/chromedp/chromedp"
)

func TestTheBannerThatSignInIsOffInABrowser(t *testing.T) {
	t.Parallel()
	s := newSiteOn(t, offFor(here))
	s.fill(30)
	b := chromium(t, s.url)
	b.open("/")
	b.until(settled + `location.pathname === "/patients" && document.querySelectorAll("tbody tr").length === 25`)
	banner := `document.querySelector("body > aside[aria-label='Sign-in is switched off']")`
	b.want("the banner", `getComputedStyle(`+banner+`).display !== "none" && `+banner+`.innerText.includes("You have not signed in")`, true)
	b.want("between head and content", banner+`.previousElementSibling.className + " " + `+banner+`.nextElementSibling.id`, "top main")
	b.fill("#q", "a")
	b.until(settled + `location.search.startsWith("?list=")`)
	b.want("it is still there", banner+` !== null`, true)
	b.run(chromedp.EmulateViewport(320, 640))
	b.want("on a phone it fits", `document.documentElement.scrollWidth <= 320`, true)
}

func TestAPageThatNobodySignedInForIsEmptiedToo(t *testing.T) {
	t.Parallel()
	s := newSiteOn(t, offFor(here))
	s.fill(3)
	b := chromium(t, s.url)
	for what, name := range map[string]string{"when sign-in comes back": "left", "when nobody does anything": "idle"} {
		b.open("/patients")
		b.want("a page with patients that knows how long, "+what, `document.querySelectorAll("tbody tr").length === 3 && document.body.dataset.`+name+` > 800`, true)
		b.eval(`document.body.dataset.` + name + ` = "1"`)
		b.until(`location.pathname === "/login"`)
	}
}
