package handlers

import "testing"

// TestTheGuidesDashboardInABrowser is what of the predecessor's production guide only a browser can see; the other steps are
// in TestTheProductionGuide. "Verify": the dashboard has the avatar at the top right, and the avatar leads to sign out.
// "Support": the browser's console has no errors, which the tab itself watches for.
func TestTheGuidesDashboardInABrowser(t *testing.T) {
	t.Parallel()
	b := chromium(t, clinic(t).url)
	b.open("/")
	b.until(`location.pathname === "/login"`)
	b.signIn("clinician", password)
	b.until(`location.pathname === "/patients" && ` + settled + `document.querySelector("button.avatar")`)
	b.want("the avatar is at the top right", `(r => r.top < 80 && r.right > innerWidth - 80 && r.width > 20)(document.querySelector("button.avatar").getBoundingClientRect())`, true)
	b.want("the menu is closed", `document.getElementById("account-menu").matches(":popover-open")`, false)
	b.click("button.avatar")
	b.until(`document.getElementById("account-menu").matches(":popover-open")`)
	b.click(`#account-menu form[action="/logout"] button`)
	b.until(`location.pathname === "/login" && ` + settled + `document.getElementById("username")`)
	b.open("/patients")
	b.until(`location.pathname === "/login" && ` + settled + `document.getElementById("username")`)
}
