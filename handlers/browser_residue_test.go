package handlers

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"chartroom/db"
)

// TestNothingIsLeftInABrowserAfterSigningOut looks at what a browser keeps, in its storage and in its profile on the disk.
func TestNothingIsLeftInABrowserAfterSigningOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.load(canaryPatient)
	path := "/patients/" + scan[string](s, `SELECT id::text FROM patients`)
	profile := t.TempDir()
	s.taped() // which lets nothing be compressed: a cache on the disk would hold it so
	b := wholeChromium(t, s.url, chromedp.UserDataDir(profile))
	b.open("/login")
	b.signIn(db.RoleClinician, password)
	b.until(settled + `location.pathname === "/patients"`)
	b.fill("#q", "Searchcanary")
	b.until(`location.search.includes("list=") && !document.body.innerText.includes("Plughgivenus")`)
	b.fill("#q", "xyzzyfam")
	b.until(`document.querySelector("tbody") && document.querySelector("tbody").innerText.includes("Plughgivenus")`)
	b.click(`tbody th a`)
	b.until(settled + fmt.Sprintf(`location.pathname === %q && document.body.innerText.includes("MRNCANARY77123")`, path))
	b.want("it is in the panel", `document.getElementById("panel").hidden`, false)
	b.open(path + "/edit")
	b.until(settled + `document.querySelector("#family")`)
	b.fill("#family", "Frobozzia")
	b.click(`form.fields button[type=submit]`)
	b.until(settled + fmt.Sprintf(`location.pathname === %q && document.body.innerText.includes("Frobozzia")`, path))
	session := scan[string](s, `SELECT id::text FROM sessions`)
	if !cached(profile, "const failedPanel") {
		t.Error("our script is not in the cache on the disk, so that looking there proves nothing")
	}
	b.eval(`document.querySelector('form[action="/logout"]').submit(), 0`)
	b.until(`location.pathname === "/login"`)

	patient, secrets := patientCanaries(), secretCanaries()
	delete(patient, "birth date typed")
	browserSecrets := canaries{"password": secrets["password"]}
	kept := b.keeps()
	for _, c := range []canaries{patient, browserSecrets} {
		for _, what := range c.found(kept) {
			t.Errorf("the browser's storage or history holds the %s:\n%s", what, kept)
		}
	}
	if !strings.Contains(kept, "/patients/") || strings.Contains(kept, session) || strings.Contains(kept, "cookie chartroom\n") || strings.HasSuffix(kept, "cookie chartroom") ||
		!strings.Contains(kept, "cookie chartroom-device") {
		t.Errorf("what the browser keeps: %s", kept)
	}
	if err := chromedp.Cancel(b.ctx); err != nil { // ends the browser, which writes what it keeps
		t.Fatal(err)
	}
	looked, history := 0, false
	err := filepath.WalkDir(profile, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // Chromium cleans up while it ends
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return nil
		}
		looked++
		history = history || strings.Contains(string(content), path)
		text := string(content) + strings.ReplaceAll(string(content), "\x00", "") // UTF-16 too
		for _, c := range []canaries{patient, browserSecrets} {
			for _, what := range c.found(text) {
				t.Errorf("%s holds the %s", strings.TrimPrefix(name, profile), what)
			}
		}
		return nil
	})
	if err != nil || looked < 10 || !history { // addresses without names are what is to be found
		t.Errorf("%d files in the profile, the history among them: %v, %v", looked, history, err)
	}
}

// keeps is all that pages of this site can keep in the browser, and where it has been.
func (b *tab) keeps() string {
	b.t.Helper()
	kept := fmt.Sprint(b.eval(`JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, document.body.innerHTML.length > 0])`))
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(async () => JSON.stringify([(await indexedDB.databases()).map(d => d.name), window.caches ? await caches.keys() : [],
		navigator.serviceWorker ? (await navigator.serviceWorker.getRegistrations()).length : 0]))()`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	kept += v
	b.run(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		h, err := cdp.Call(ctx, t, page.GetNavigationHistory, cdp.Empty{})
		if err != nil {
			return err
		}
		for _, e := range h.Entries {
			kept += "\n" + e.URL + " " + e.Title
		}
		cookies, err := cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{})
		for _, c := range cookies.Cookies {
			kept += "\ncookie " + c.Name
		}
		return err
	}))
	return kept
}

// cached waits until a text stands in the browser's cache on the disk, which it writes when it finds the time.
func cached(profile, text string) (found bool) {
	for range 100 {
		_ = filepath.WalkDir(filepath.Join(profile, "Default", "Cache"), func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				content, _ := os.ReadFile(name)
				found = found || bytes.Contains(content, []byte(text))
			}
			return nil
		})
		if found {
			return true
		}
		time.Sleep(50 * time.Millisecond)
	}
	return false
}
