package handlers

import (
	"encoding/csv"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"chartroom/db"
)

// glance is what a browser was given, or did: an event as it should be, made from the answers alone.
type glance struct {
	who, what string
	ids       []string
}

// wanderer takes steps in the site by chance, and notes what came back.
type wanderer struct {
	*site
	rnd      *rand.Rand
	browsers map[string]*browser
	tokens   map[string]string
	lists    map[string]string // where each one's list stands
	pages    map[string]answer // an old form of each one's, and of whom
	forms    map[string]string
	all      []string // patients
	seen     []glance
	steps    map[string]int
}

var (
	listTable = regexp.MustCompile(`(?s)<table.*?</table>`)
	listRow   = regexp.MustCompile(`<th scope="row"><a href="/patients/([0-9a-f-]{36})"`)
)

// note takes down the patients of each table on a page.
func (w *wanderer) note(who string, a answer) {
	for _, table := range listTable.FindAllString(a.body, -1) {
		var ids []string
		for _, m := range listRow.FindAllStringSubmatch(table, -1) {
			ids = append(ids, m[1])
		}
		if len(ids) > 0 {
			w.seen = append(w.seen, glance{who, "Saw in a list", ids})
		}
	}
}

func (w *wanderer) list(who, path string, header ...string) {
	a := w.browsers[who].get(path, header...)
	w.note(who, a)
	if strings.HasPrefix(path, "/patients?") && a.status != 200 {
		w.t.Fatalf("%s: %d", path, a.status)
	}
	w.lists[who] = a.body
}

func (w *wanderer) post(who, path string, fields ...string) answer {
	return w.browsers[who].post(path, append([]string{"csrf_token", w.tokens[who]}, fields...)...)
}

func (w *wanderer) anybody() string { return w.all[w.rnd.IntN(len(w.all))] }

// word is one that the search may find something by, or not.
func (w *wanderer) word() string {
	name := scan[string](w.site, `SELECT display_name FROM patients WHERE id = $1`, w.anybody())
	parts := strings.Fields(strings.ReplaceAll(name, ",", ""))
	word := []rune(parts[w.rnd.IntN(len(parts))])
	if w.rnd.IntN(3) == 0 && len(word) > 4 {
		word[2] = 'q' // mistyped: similar names follow
	}
	return string(word[:1+w.rnd.IntN(len(word))])
}

// step is one of the things that people do.
func (w *wanderer) step() {
	who := slices.Sorted(maps.Keys(w.browsers))[w.rnd.IntN(len(w.browsers))]
	b, id := w.browsers[who], w.anybody()
	writes := !strings.HasPrefix(who, "viewer")
	kinds := []string{"list", "list", "search", "search", "plain search", "open", "open", "open", "open nobody", "page", "page", "filter", "form", "save", "save", "stale", "duplicate", "create", "export", "account"}
	kind := kinds[w.rnd.IntN(len(kinds))]
	w.steps[kind]++
	switch kind {
	case "list":
		w.list(who, "/patients")
	case "page":
		if links := regexp.MustCompile(`<a id="(?:page|sort)-[a-z_]+"[^>]* href="([^"]+)"`).FindAllStringSubmatch(w.lists[who], -1); len(links) > 0 {
			path := html.UnescapeString(links[w.rnd.IntN(len(links))][1])
			if w.rnd.IntN(2) == 0 {
				w.note(who, b.get(path, htmx...))
			} else {
				w.list(who, path)
			}
		}
	case "search":
		w.note(who, b.do(http.MethodPost, "/patients/search", form("q", w.word(), "csrf_token", w.tokens[who]), append(htmx, "Content-Type", "application/x-www-form-urlencoded")...))
	case "plain search":
		w.list(who, w.post(who, "/patients/search", "q", w.word()).header.Get("Location"))
	case "filter":
		w.list(who, w.post(who, "/patients/search", "gender", db.Genders[w.rnd.IntN(len(db.Genders))], "size", "50", "sort", "-birth_date").header.Get("Location"))
	case "open":
		if a := b.get("/patients/" + id); a.status != 200 {
			w.t.Fatal(a.status)
		}
		w.seen = append(w.seen, glance{who, "Opened a patient", []string{id}})
	case "open nobody":
		b.get("/patients/00000000-0000-4000-8000-000000000000")
	case "account":
		b.get("/account")
		b.get("/admin/users") // refused to most
	case "form", "save", "stale":
		w.edit(who, kind, id, writes)
	case "duplicate", "create":
		w.create(who, kind, writes)
	case "export":
		a := b.get("/patients/export?format=csv")
		if a.status == 200 != writes {
			w.t.Fatalf("%s exports: %d", who, a.status)
		}
		if rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(a.body, "\ufeff"))).ReadAll(); writes && err == nil {
			g := glance{who: who, what: "Exported patients"}
			for _, r := range rows[1:] {
				g.ids = append(g.ids, r[0])
			}
			w.seen = append(w.seen, g)
		}
	}
}

// edit opens a form, and perhaps sends it: this one, or an old one.
func (w *wanderer) edit(who, kind, id string, writes bool) {
	path := "/patients/" + id
	page := w.browsers[who].get(path + "/edit")
	if page.status == 200 != writes {
		w.t.Fatalf("%s edits: %d", who, page.status)
	}
	if !writes {
		if a := w.post(who, path, "version", "1", "city", "Refused"); a.status != http.StatusForbidden {
			w.t.Fatalf("%s saves: %d", who, a.status)
		}
		return
	}
	w.seen = append(w.seen, glance{who, "Opened a patient", []string{id}})
	if kind == "form" {
		w.pages[who], w.forms[who] = page, id
		return
	}
	if kind == "stale" && w.forms[who] != "" {
		page, id = w.pages[who], w.forms[who]
		path = "/patients/" + id
	}
	a := w.browsers[who].send(path, page, "city", fmt.Sprintf("Town %d", len(w.seen)))
	w.note(who, a)
	switch {
	case a.status == http.StatusSeeOther:
		w.seen = append(w.seen, glance{who, "Changed a patient", []string{id}})
	case strings.Contains(a.body, "Changed meanwhile"):
		w.steps["met another's change"]++
		w.seen = append(w.seen, glance{who, "Opened a patient", []string{id}})
	}
}

// create sends the form for a new patient, or for one who is there already.
func (w *wanderer) create(who, kind string, writes bool) {
	page := w.browsers[who].get("/patients/new")
	if !writes {
		return
	}
	family, given, birth := fmt.Sprintf("Newcomer%d", len(w.seen)), "Nell", "1990-01-01"
	if kind == "duplicate" {
		row := scan[[]string](w.site, `SELECT ARRAY[coalesce(family, ''), coalesce(given, ''), coalesce(birth_date, '')] FROM patients WHERE id = $1`, w.anybody())
		family, given, birth = row[0], row[1], row[2]
	}
	a := w.browsers[who].send("/patients", page, "family", family, "given", given, "birth_date", birth)
	w.note(who, a)
	if a.status == http.StatusSeeOther {
		id, _, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Location"), "/patients/"), "?")
		w.all = append(w.all, id)
		w.seen = append(w.seen, glance{who, "Added a patient", []string{id}})
	}
}

var (
	lineWho  = regexp.MustCompile(`<td class="who"><a href="/admin/users/\d+"><bdi>([^<]*)</bdi>`)
	lineWhat = regexp.MustCompile(`(?s)<td class="what">\s*([^<]+?)\s*(?:<span class="detail">.*?)?</td>`)
	lineWhom = regexp.MustCompile(`(?s)<td class="whom">\s*(?:<a href="/patients/([0-9a-f-]{36})"|([\d,]+) patients?)`)
)

// read gives the lines of all pages of the audit, as "who: what, whom", the newest first. Lines of nobody's doing at the
// site, of nobody, and refusals are left out.
func (b *browser) readAudit(path string) (all []string) {
	for path != "" {
		a := b.get(path)
		if a.status != 200 {
			b.t.Fatalf("%s: %d", path, a.status)
		}
		all = append(all, a.deeds()...)
		path = html.UnescapeString(a.link(`rel="next"`))
	}
	return all
}

func (a answer) deeds() (all []string) {
	for _, line := range a.lines() {
		who, what, whom := lineWho.FindStringSubmatch(line), lineWhat.FindStringSubmatch(line), lineWhom.FindStringSubmatch(line)
		if who == nil || what == nil {
			continue
		}
		text := who[1] + ": " + what[1]
		if whom != nil {
			text += ", " + whom[1] + whom[2]
		}
		all = append(all, text)
	}
	return all
}

// TestWhoSawIsExactlyRightAfterARandomWalk: for each patient, and for each user.
func TestWhoSawIsExactlyRightAfterARandomWalk(t *testing.T) { walkAndCompare(t, 60, 150) }

func walkAndCompare(t *testing.T, patients, steps int) {
	s := newSite(t)
	s.fill(patients)
	w := &wanderer{site: s, rnd: rand.New(rand.NewPCG(5, uint64(patients))), browsers: map[string]*browser{}, tokens: map[string]string{}, lists: map[string]string{},
		pages: map[string]answer{}, forms: map[string]string{}, all: scan[[]string](s, `SELECT array_agg(id::text ORDER BY id) FROM patients`), steps: map[string]int{}}
	for name, role := range map[string]string{"viewer1": db.RoleViewer, "viewer2": db.RoleViewer, "clinician1": db.RoleClinician, "clinician2": db.RoleClinician, "admin1": db.RoleAdmin} {
		s.exec(`INSERT INTO users (username, password_hash, role) VALUES ($1, 'none', $2)`, name, role)
		w.browsers[name] = s.session(name)
		w.tokens[name] = w.browsers[name].token()
	}
	for range steps {
		w.step()
	}
	t.Logf("%v, %d glances", w.steps, len(w.seen))
	auditor := s.as(db.RoleAdmin)

	by := map[string][]string{} // of each patient
	for _, g := range slices.Backward(w.seen) {
		for _, id := range g.ids {
			whom := id
			if len(g.ids) > 1 {
				whom = fmt.Sprint(len(g.ids))
			}
			by[id] = append(by[id], g.who+": "+g.what+", "+whom)
		}
	}
	for _, id := range w.all {
		if got := auditor.readAudit("/admin/audit?patient=" + id + "&outcome=success"); !slices.Equal(without(got, "admin:"), by[id]) {
			t.Fatalf("who saw %s:\n%s\nwant\n%s", id, strings.Join(got, "\n"), strings.Join(by[id], "\n"))
		}
		ten := auditor.get("/patients/" + id).deeds() // less the import, which nobody at the site did
		panel, latest := without(ten, "admin:"), []string{}
		for _, line := range by[id][:min(len(by[id]), len(panel))] { // which does not say whom: it is this one
			line, _, _ = strings.Cut(line, ", ")
			latest = append(latest, line)
		}
		if !slices.Equal(panel, latest) || len(ten) < 9 && len(panel) != len(by[id]) {
			t.Fatalf("the page of %s says\n%s\nwant\n%s", id, strings.Join(panel, "\n"), strings.Join(latest, "\n"))
		}
	}
	for who := range w.browsers {
		var want []string
		for _, g := range slices.Backward(w.seen) {
			if g.who == who {
				whom := g.ids[0]
				if len(g.ids) > 1 {
					whom = fmt.Sprint(len(g.ids))
				}
				want = append(want, g.who+": "+g.what+", "+whom)
			}
		}
		got := auditor.readAudit(fmt.Sprintf("/admin/audit?user=%d&outcome=success", s.userID(who)))
		got = slices.DeleteFunc(got, func(line string) bool { return !strings.Contains(line, ", ") })
		if !slices.Equal(got, want) {
			t.Errorf("what %s saw:\n%s\nwant\n%s", who, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if len(w.seen) < steps/3 || len(by) < patients/2 {
		t.Errorf("the walk saw little: %d", len(w.seen))
	}
}

func without(all []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(line string) bool { return strings.HasPrefix(line, prefix) })
}
