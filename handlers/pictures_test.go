package handlers

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"chartroom/db"
)

// picture is one of those in README.md and docs/.
type picture struct {
	name string
	look variant
	st   state
}

// pictures are drawn from patients and days of their own, so that they change only when the pages do.
var pictures = []picture{
	{"sign-in-light", byDay, state{at: fixed("/login"), see: "#username"}},
	{"list-light", byDay, state{as: db.RoleClinician, see: "tbody tr"}},
	{"list-dark", byNight, state{as: db.RoleClinician, see: "tbody tr"}},
	{"list-phone", onPhone, state{as: db.RoleClinician, see: "tbody tr"}},
	{"search-light", byDay, state{as: db.RoleClinician, do: submits("#search", "q", "moreau"), see: ".similar"}},
	{"patient-light", byDay, state{as: db.RoleClinician, at: shown, see: "h1 bdi"}},
	{"patient-dark", byNight, state{as: db.RoleClinician, at: shown, see: "h1 bdi"}},
	{"patient-phone", onPhone, state{as: db.RoleClinician, at: shown, see: "h1 bdi"}},
}

func shown(g *stage) string { return g.patientOf("NB-0007") }

// sitters are invented, as all patients here are, with names in the scripts that a clinic meets.
var sitters = []string{
	patientJSON("p1", "Moreau", "Élodie", "NB-0001", "1987-03-14"), patientJSON("p2", "Moreau", "Élodie", "NB-0002", "1991-11-02"),
	patientJSON("p3", "Morreau", "Elodie", "NB-0003", "1987-03-14"), patientJSON("p4", "Okonkwo", "Chidiebere", "NB-0004", "1979-07-21"),
	patientJSON("p5", "أبو القناديل", "نور الهدى", "NB-0005", "1983-08-08"), patientJSON("p6", "紙灯", "小春", "NB-0006", "2001-04-30"),
	`{"resourceType":"Patient","id":"p7","active":true,"name":[{"use":"official","family":"Tölgyfalvi","given":["Boróka"],"prefix":["Dr."]},{"use":"maiden","family":"Szélmalom"}],"gender":"female","birthDate":"1968-01-19",` +
		`"identifier":[{"type":{"coding":[{"code":"MR"}]},"value":"NB-0007"}],"telecom":[{"system":"phone","value":"555-0142","use":"mobile"},{"system":"email","value":"boroka@post.example"}],` +
		`"address":[{"use":"home","line":["12 Paperlantern Row"],"city":"Netherby","postalCode":"NB7 2QX"}],"contact":[{"relationship":[{"text":"Daughter"}],"name":{"family":"Tölgyfalvi","given":["Hanga"]},"telecom":[{"system":"phone","value":"555-0143"}]}],` +
		`"communication":[{"language":{"text":"Hungarian"},"preferred":true}],"generalPractitioner":[{"display":"Dr. Pennyfeather"}]}` + "\n",
	patientJSON("p8", "Бумажникова", "Злата", "NB-0008", "1995-12-05"), patientJSON("p9", "Χαρτοφανή", "Λυδία", "NB-0009", "1972-09-27"),
	patientJSON("p10", "O’Thimbleby", "Siobhán", "NB-0010", "1981-03-30"), patientJSON("p11", "चिरागवाला", "मीरा", "NB-0011", "1990-06-11"),
	patientJSON("p12", "de la Sorrelmane", "María del Rocío", "NB-0012", "1967-12-12"), patientJSON("p13", "נייר", "טליה", "NB-0013", "2008-02-17"),
	patientJSON("p14", "Nguyễn", "Thị Đèn", "NB-0014", "1959-10-23"),
}

const drawnOn = "2026-03-02 09:30:00+00"

// newStudio is a stage whose data and clock stand still.
func newStudio(t *testing.T) *stage {
	t.Helper()
	g := newStage(t, placeEmpty)
	g.Clinic = "Netherby Clinic"
	g.now = func() time.Time {
		at, err := time.Parse("2006-01-02 15:04:05-07", drawnOn)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	g.load(strings.Join(sitters, ""))
	g.exec(`UPDATE patients SET gender = CASE WHEN mrn IN ('NB-0004') THEN 'male' ELSE 'female' END, city = CASE right(mrn, 1)::int % 3 WHEN 0 THEN 'Netherby' WHEN 1 THEN 'Overby' ELSE 'Wexcombe' END,
		phone = '555-01' || right(mrn, 2), active = true`)
	// One update a patient earlier, so that the column is not all one moment.
	g.exec(`UPDATE patients SET updated_at = $1::timestamptz - right(mrn, 2)::int * interval '1 day 3 hours 7 minutes'`, drawnOn)
	g.exec(`UPDATE patient_versions SET recorded = $1::timestamptz - interval '8 days'`, drawnOn)
	return g
}

// shot is the window, or with whole all of the page.
func (b *tab) shot(format page.CaptureScreenshotFormat, whole bool) []byte {
	b.t.Helper()
	b.eval(`document.fonts.ready.then(() => 0)`)
	// No caret that blinks, and no trace of a mouse.
	b.eval(`(() => { const s = new CSSStyleSheet(); s.replaceSync("* { caret-color: transparent !important }"); document.adoptedStyleSheets.push(s); return 0 })()`)
	how := page.CaptureScreenshotParams{Format: format, CaptureBeyondViewport: &whole}
	if quality := int64(80); format == page.CaptureScreenshotFormatWebp {
		how.Quality = &quality
	}
	return do(b, page.CaptureScreenshot, how).Data
}

// TestThePicturesOfTheDocs holds that the pictures are there, small, and shown somewhere; -update (task screenshots) draws them.
func TestThePicturesOfTheDocs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "docs", "pictures")
	if *update {
		g := newStudio(t)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		shared := wholeChromium(t, g.url, chromedp.Flag("disable-lcd-text", true)) // which comes and goes with what is drawn apart
		for _, p := range pictures {
			b := shared.lent(t)
			g.reach(b, p.st, p.look)
			if err := os.WriteFile(filepath.Join(dir, p.name+".webp"), b.shot(page.CaptureScreenshotFormatWebp, false), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	var texts bytes.Buffer
	for _, pattern := range []string{"../README.md", "../docs/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			texts.Write(text)
		}
	}
	there, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pictures {
		name := p.name + ".webp"
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v: task screenshots draws it", err)
			continue
		}
		if len(content) > 80_000 || !bytes.HasPrefix(content, []byte("RIFF")) || string(content[8:12]) != "WEBP" {
			t.Errorf("%s has %d bytes, or is no WebP", name, len(content))
		}
		if !strings.Contains(texts.String(), "pictures/"+name) {
			t.Errorf("no page of the docs shows %s", name)
		}
		there = slices.DeleteFunc(there, func(f string) bool { return filepath.Base(f) == name })
	}
	for _, f := range there {
		t.Errorf("nothing draws %s any more", f)
	}
}

// TestScreenshots goes through a few states with each run, and through all of them where CHARTROOM_SCREENSHOTS names a directory: there
// it leaves each as it is by day, by night and on a telephone, to be looked at.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	to, names := os.Getenv("CHARTROOM_SCREENSHOTS"), []string(nil)
	if to == "" {
		to, names = t.TempDir(), []string{"sign-in", "list-empty"}
	}
	to, err := filepath.Abs(to)
	if err == nil {
		err = os.MkdirAll(to, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	everyState(t, func(t *testing.T, g *stage, b *tab, st state) {
		shots := map[string]bool{}
		for _, look := range []variant{byDay, byNight, onPhone} {
			g.reach(b, st, look)
			// The panel is as tall as the window: to draw beyond that, Chromium makes the window taller, and waits for ever.
			shot := b.shot(page.CaptureScreenshotFormatPng, !strings.HasPrefix(st.name, "panel"))
			if shots[string(shot)] || len(shot) < 1000 {
				t.Errorf("%s looks as before, or like nothing", look.name)
			}
			shots[string(shot)] = true
			name := fmt.Sprintf("%s.%s.png", st.name, cmp.Or(look.name, "light"))
			if err := os.WriteFile(filepath.Join(to, name), shot, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}, names...)
}
