//go:build prove

package handlers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"chartroom/db"
)

// The judges from outside: axe-core, html-validate, the Nu validator and Lighthouse, in the versions of testdata/gates/package-lock.json.
// docs/pages.md says how to run them and what they need.

// judges installs them once for each lock file, outside of the repository, and gives the directory.
var judges = sync.OnceValues(func() (string, error) {
	sum := sha256.New()
	files := []string{"package.json", "package-lock.json", ".npmrc"}
	texts := map[string][]byte{}
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join("testdata", "gates", name))
		if err != nil {
			return "", err
		}
		texts[name] = text
		sum.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "chartroom", fmt.Sprintf("gates-%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return dir, nil
	}
	// Beside its place, so that one that was cut off is never taken for whole.
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	making, err := os.MkdirTemp(filepath.Dir(dir), "making-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(making)
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(making, name), texts[name], 0o644); err != nil {
			return "", err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund") // no package needs to run anything to be installed
	npm.Dir = making
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w (Node 18.19 or newer with npm is needed)\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(making, "complete"), nil, 0o644); err != nil {
		return "", err
	}
	_ = os.RemoveAll(dir)
	if err := os.Rename(making, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, "complete")); there != nil {
			return "", err
		}
	}
	return dir, nil
})

func judge(t testing.TB, elements ...string) string {
	t.Helper()
	dir, err := judges()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{dir, "node_modules"}, elements...)...)
}

// spanish is the other language, with more rows on a screen.
var spanish = variant{name: "spanish-compact", language: "es", prefers: func(g *stage, role string) {
	if role != "" {
		g.exec(`INSERT INTO user_preferences SELECT id, '{"language": "es", "compact": true}' FROM users WHERE username = $1
				ON CONFLICT (user_id) DO UPDATE SET preferences = excluded.preferences`, role)
	}
}}

// looks are how each state is judged without being made anew, worlds those for which the server makes other pages.
var (
	looks  = []variant{byDay, byNight, onPhone}
	worlds = []variant{byDay, spanish}
)

// looks is how many of them a world is judged in: colours are the same in every language.
func (v variant) looks() int {
	if v.name == byDay.name {
		return len(looks)
	}
	return 1
}

// axe judges the page as it stands, its Content-Security-Policy in force.
func (b *tab) axe(what, source string) {
	b.t.Helper()
	b.eval(`typeof axe === "object" || (` + source + `, 0)`)
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run(document, { preload: false, resultTypes: ["violations"], runOnly: { type: "tag",
		values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] } }).then(r => JSON.stringify({ passes: r.passes.length,
		violations: r.violations.map(v => v.id + ": " + v.help + ", in " + v.nodes.length + " places: " + v.nodes.slice(0, 5).map(n => n.target.join(" ") + " " + n.html.slice(0, 120) + " " +
			[...n.any, ...n.all, ...n.none].map(c => c.message).join("; ")).join(" | ")) }))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
	var got struct {
		Passes     int
		Violations []string
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got.Passes < 10 {
		b.t.Errorf("%s: axe looked at next to nothing: %.200s, %v", what, answer, err)
	}
	for _, v := range got.Violations {
		b.t.Errorf("%s: axe: %s", what, v)
	}
}

// page is what the server sent as the page that is open, and the page as it stands now.
func (b *tab) page(served *document) (sent, stands string) {
	b.t.Helper()
	served.mu.Lock()
	id := served.id
	served.mu.Unlock()
	body := do(b, network.GetResponseBody, network.GetResponseBodyParams{RequestID: id}).Body
	return string(body), "<!DOCTYPE html>\n" + b.eval(`document.documentElement.outerHTML`).(string)
}

// document is the request of the page that is open.
type document struct {
	mu sync.Mutex
	id network.RequestID
}

func (b *tab) documents() *document {
	b.t.Helper()
	d := &document{}
	do(b, network.Enable, network.EnableParams{})
	if err := chromedp.Listen(b.ctx, func(ev any) {
		if e, ok := ev.(*network.EventResponseReceived); ok && e.Type == network.ResourceTypeDocument {
			d.mu.Lock()
			d.id = e.RequestID
			d.mu.Unlock()
		}
	}); err != nil {
		b.t.Fatal(err)
	}
	return d
}

// TestProveEveryState goes once through everything that there is to be seen and has it judged: nothing is cut off, no violation of
// WCAG 2.2 AA or of what axe-core takes for good practice, valid HTML as it was sent and as scripts have made it.
func TestProveEveryState(t *testing.T) {
	source, err := os.ReadFile(judge(t, "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	// An expression, so that the page has it once.
	axe := "(() => {" + string(source) + "})()"
	dir := t.TempDir()
	t.Run("looked at", func(t *testing.T) {
		everyState(t, func(t *testing.T, g *stage, b *tab, st state) {
			for _, world := range worlds {
				served := b.documents()
				g.fitsEverywhere(b, st, world)
				for _, look := range looks[:world.looks()] {
					b.look(look.in(world))
					b.axe(world.name+", "+look.name, axe)
				}
				sent, stands := b.page(served)
				for name, text := range map[string]string{"sent": sent, "stands": stands} {
					if err := os.WriteFile(filepath.Join(dir, st.name+"."+world.name+"."+name+".html"), []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	})
	if files, err := filepath.Glob(filepath.Join(dir, "*.html")); err != nil || len(files) != 2*len(states)*len(worlds) {
		t.Errorf("%d files of %d states", len(files), len(states))
	}
	t.Run("html-validate", func(t *testing.T) { htmlValidate(t, dir) })
	t.Run("Nu", func(t *testing.T) { nu(t, dir) })
}

// said once for each fault, with the states that have it.
func tell(t *testing.T, by string, faults map[string][]string) {
	t.Helper()
	for what, where := range faults {
		slices.Sort(where)
		where = slices.Compact(where)
		t.Errorf("%s: %s: in %d: %.200s", by, what, len(where), strings.Join(where, ", "))
	}
}

func htmlValidate(t *testing.T, dir string) {
	t.Helper()
	config, err := filepath.Abs("testdata/gates/html-validate.cjs")
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.json") // what it writes to a pipe is cut off when it ends
	c := exec.Command("node", judge(t, ".bin", "html-validate"), "--config", config, "--formatter", "json="+report, dir)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	c.Stdout = &complaints
	err = c.Run() // 1 when there is something to say
	out, missing := os.ReadFile(report)
	if missing != nil {
		t.Fatalf("%v, %v\n%s", err, missing, complaints.String())
	}
	var all []struct {
		FilePath string
		Messages []struct {
			RuleID, Message, Selector string
			Line                      int
		}
	}
	if bad := json.Unmarshal(out, &all); bad != nil {
		t.Fatalf("%v, %v\n%s", err, bad, complaints.String())
	}
	faults := map[string][]string{}
	for _, f := range all {
		for _, m := range f.Messages {
			what := m.RuleID + ": " + m.Message + " at " + m.Selector
			faults[what] = append(faults[what], filepath.Base(f.FilePath))
		}
	}
	if err != nil && len(faults) == 0 {
		t.Errorf("%v\n%s", err, complaints.String())
	}
	tell(t, "html-validate", faults)
}

// nuSays are messages that are no errors of ours, each with its reason.
var nuSays = map[string]string{
	"A “link” element with a “blocking” attribute must have": "the standard lets rel=expect block rendering (HTML 4.6.7.8), which this version does not know yet",
	"Trailing slash on void elements has no effect":          "templ writes <meta/>, which the standard allows",
	"Text run is not in Unicode Normalization Form C":        "a name stands as it came: it is the record",
	"Duplicate “dt” name":                                    "a patient may have two official names, or two home telephones",
	"The first occurrence of “dt” name":                      "says where the one before is",
}

func nu(t *testing.T, dir string) {
	t.Helper()
	c := exec.Command("java", "-Xmx512m", "-jar", judge(t, "vnu-jar", "build", "dist", "vnu.jar"), "--format", "json", "--exit-zero-always", "--skip-non-html", dir)
	var out bytes.Buffer
	c.Stderr = &out // where it says everything
	if err := c.Run(); err != nil {
		t.Fatalf("%v (a Java runtime, 11 or newer, is needed: default-jre-headless)\n%.2000s", err, out.String())
	}
	var got struct {
		Messages []struct{ Type, SubType, URL, Message, Extract string }
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%.2000s", err, out.String())
	}
	faults := map[string][]string{}
	for _, m := range got.Messages {
		known := false
		for said := range nuSays {
			known = known || strings.HasPrefix(m.Message, said)
		}
		if !known {
			what := m.Type + ": " + m.Message + ": " + strings.Join(strings.Fields(m.Extract), " ")
			faults[what] = append(faults[what], filepath.Base(m.URL))
		}
	}
	tell(t, "Nu", faults)
}

// TestProveTheJudgesFind gives each judge something that is wrong.
func TestProveTheJudgesFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.html"), []byte(`<!DOCTYPE html><html><head><title>x</title></head><body><button aria-hidden="true"><p>a</p></button></body></html>`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*testing.T, string){"html-validate": htmlValidate, "Nu": nu} {
		if !fails(f, dir) {
			t.Errorf("%s finds nothing in a page that is wrong", name)
		}
	}
}

// fails runs a check apart, so that its failure is not this test's.
func fails(f func(*testing.T, string), dir string) (failed bool) {
	inner := &testing.T{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { failed = inner.Failed() || recover() != nil }()
		f(inner, dir)
	}()
	<-done
	return failed
}

// TestProveLighthouse has three pages judged as on a telephone with a slow line. Its performance is the best of five, because other work on
// the machine only ever makes it worse (and now and then it loses its own trace); everything else has to be there each time. Its audit of
// the back-forward cache has no weight and is not asked: Chromium may keep our pages there, where they are blank
// (TestAWalkThroughTheSiteInABrowser).
//
// The telephone is this machine, slowed down. How much, Lighthouse leaves to whoever runs it on another one than it takes for granted, a
// fast desktop that it slows down four times (its docs/throttling.md, "Calibrating the CPU slowdown"): by what its own benchmark gave in the
// try before, a slower machine is slowed down less, and none more.
func TestProveLighthouse(t *testing.T) {
	s := clinic(t)
	slowdown := usualSlowdown
	patient := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE mrn = 'QX-900'`)
	for _, page := range []string{"/login", "/patients", patient} {
		best := 0.0
		var why []string
		for range 5 {
			r, err := lighthouse(t, s, page, slowdown)
			if err != nil {
				t.Log(page, err)
				why = append(why, err.Error())
				continue
			}
			for _, category := range []string{"accessibility", "best-practices"} {
				if score := r.Categories[category].Score; score != 1 {
					t.Errorf("%s: %s is %.0f: %v", page, category, 100*score, r.failing(category))
				}
			}
			if shift := r.Audits["cumulative-layout-shift"].Value; shift != 0 {
				t.Errorf("%s: layout shift %v", page, shift)
			}
			if score := r.Categories["performance"].Score; score > best {
				best, why = score, append(r.failing("performance"), fmt.Sprintf("slowed down × %.1f", slowdown))
			}
			if r.Environment.BenchmarkIndex == 0 {
				t.Error("Lighthouse does not say how fast the machine is")
			}
			slowdown = min(usualSlowdown, usualSlowdown*r.Environment.BenchmarkIndex/fastDesktop)
			if best == 1 {
				break
			}
		}
		t.Logf("%s: performance %.0f; the next is slowed down × %.1f", page, 100*best, slowdown)
		if best != 1 {
			t.Errorf("%s: performance is %.0f at best: %v", page, 100*best, why)
		}
	}
}

// What Lighthouse slows down by where it is not told, and the least benchmarkIndex of the machines that it means that for.
const usualSlowdown, fastDesktop = 4.0, 1500.0

type report struct {
	RuntimeError *struct{ Code, Message string }
	Environment  struct{ BenchmarkIndex float64 }
	Audits       map[string]struct {
		Score        *float64
		Value        float64 `json:"numericValue"`
		DisplayValue string
		Title        string
	}
	Categories map[string]struct {
		Score     float64
		AuditRefs []struct {
			ID     string
			Weight float64
		}
	}
}

// failing are the audits of a category that count and are not passed.
func (r report) failing(category string) (all []string) {
	for _, ref := range r.Categories[category].AuditRefs {
		if a := r.Audits[ref.ID]; ref.Weight > 0 && a.Score != nil && *a.Score < 1 {
			all = append(all, fmt.Sprintf("%s %.2f %s", ref.ID, *a.Score, a.DisplayValue))
		}
	}
	return all
}

func lighthouse(t *testing.T, s *site, page string, slowdown float64) (r report, err error) {
	t.Helper()
	dir := t.TempDir()
	headers := filepath.Join(dir, "headers.json")
	text := `{}`
	if page != "/login" { // in a file: the arguments of a process are seen by everybody on the machine
		text = fmt.Sprintf(`{"Cookie":"chartroom=%s"}`, s.session(db.RoleClinician).cookies["chartroom"].Value)
	}
	if err := os.WriteFile(headers, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	flags := "--headless=new --disable-dev-shm-usage"
	if os.Getuid() == 0 {
		flags += " --no-sandbox"
	}
	address, err := url.JoinPath(s.url, page)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(ctx, "node", judge(t, ".bin", "lighthouse"), address, "--quiet", "--no-enable-error-reporting", "--output=json",
		"--only-categories=performance,accessibility,best-practices", fmt.Sprintf("--throttling.cpuSlowdownMultiplier=%.2f", slowdown), "--extra-headers="+headers, "--chrome-flags="+flags)
	c.Env = append(os.Environ(), "CHROME_PATH="+chromiumPath(t))
	var complaints bytes.Buffer
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil {
		return r, fmt.Errorf("%w\n%.2000s", err, complaints.String())
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, err
	}
	if r.RuntimeError != nil && r.RuntimeError.Code != "NO_ERROR" {
		return r, fmt.Errorf("%s: %s", r.RuntimeError.Code, r.RuntimeError.Message)
	}
	return r, nil
}
