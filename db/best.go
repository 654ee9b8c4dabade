package db

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What follows is the list in SortBest's order: the groups of a search one after the other, each along its index, so
// that a page costs the rows that it shows, however many match.

// bestCTE makes page and found from the groups. A group is only looked at while the page is not full.
func (q ListQuery) bestCTE(b *builder) string {
	groups := q.Search.groups(b)
	match, limit := q.where(b), q.limit()
	way, _ := q.direction()
	sql, lead := q.leadCTE(b)
	var before, names []string
	open := allowed
	if q.hasWay() {
		few, ids := q.fewCTE(b)
		sql, open = few+sql, allowed+" AND (SELECT NOT few FROM chosen)"
		lead = "CASE WHEN (SELECT few FROM chosen) THEN " + strconv.Itoa(q.fewLead()) + " ELSE " + lead + " END"
		sql += ", collected AS MATERIALIZED (" + q.ranked(b, groups, ids, match) + ")"
		names = append(names, "SELECT g, w, k1, k2, id AS patient_id FROM collected c WHERE "+q.afterRanked(b))
	}
	for _, i := range q.turn(groups) {
		g := groups[i]
		gate := open
		if g.lead != shared && q.Cursor == nil && len(q.Search.leads()) > 1 {
			gate += fmt.Sprintf(" AND %s = %d", lead, g.lead)
		}
		if len(before) > 0 {
			gate += " AND " + strings.Join(before, " + ") + " < " + limit
		}
		name := fmt.Sprintf("group%d", i)
		sql += fmt.Sprintf(`, %s AS MATERIALIZED (SELECT %d AS g, r.* FROM (%s) r)`, name, i,
			q.scan(b, groups, i, gate, match, limit))
		before = append(before, "(SELECT count(*) FROM "+name+")")
		names = append(names, "SELECT g, w, k1, k2, id AS patient_id FROM "+name)
	}
	if len(names) == 0 { // signs alone were typed
		names = []string{"SELECT 0 AS g, " + emptyKey + " AS w, " + emptyKey + " AS k1, " + emptyKey + " AS k2, NULL::uuid AS patient_id WHERE false"}
	}
	order := strings.ReplaceAll("g WAY, w WAY, k1 WAY, k2 WAY, patient_id WAY", "WAY", way)
	sql += `, page AS MATERIALIZED (
		SELECT row_number() OVER (ORDER BY ` + order + `) AS n, p.*, r.g, r.w, r.k1, r.k2, ` + lead + ` AS lead
		FROM (SELECT * FROM (` + strings.Join(names, " UNION ALL ") + `) u ORDER BY ` + order + ` LIMIT ` + limit + `) r
		CROSS JOIN LATERAL (SELECT ` + q.pageColumns() + ` FROM patients p WHERE p.id = r.patient_id OFFSET 0) p
	)`
	candidates := ""
	if q.Count {
		var all []string
		if q.hasWay() {
			all = append(all, "SELECT true AS yes FROM collected")
		}
		for _, l := range q.Search.leads() {
			gate := open
			if len(q.Search.leads()) > 1 {
				gate += fmt.Sprintf(" AND %s = %d", lead, l)
			}
			all = append(all, q.candidates(b, gate, l, q.visits()))
		}
		candidates = strings.Join(all, " UNION ALL ")
	}
	return sql + q.foundCTE(b, "found", candidates)
}

// fewLead is the field by which matches are ranked when they are few enough to be collected.
func (q ListQuery) fewLead() int {
	if q.Cursor != nil {
		return q.Cursor.Lead
	}
	return q.Search.leads()[0]
}

// ranked gives the place of each match among ids, as reading the groups would: it serves when a span of birth dates leads
// to fewer patients than any name.
func (q ListQuery) ranked(b *builder, groups []group, ids, match string) string {
	var number, word, k1, k2 string
	for i, g := range groups {
		if g.lead != shared && g.lead != q.fewLead() {
			continue
		}
		keys := routeKeys[g.from]
		w, first, second := emptyKey, keys[0], keys[1]
		switch {
		case g.from == byTerm:
			w, first, second = g.word, "p.family_key", "p.given_key"
		case g.part != "":
			w = "split_part(" + keys[0] + ", ' ', 1)"
		case second == "":
			second = emptyKey
		}
		when := " WHEN " + g.holds + " THEN "
		number, word = number+when+fmt.Sprint(i), word+when+w
		k1, k2 = k1+when+first, k2+when+second
	}
	if number == "" {
		return "SELECT 0 AS g, " + emptyKey + " AS w, " + emptyKey + " AS k1, " + emptyKey + " AS k2, NULL::uuid AS id WHERE false"
	}
	return "SELECT r.* FROM (" + ids + ") i CROSS JOIN LATERAL (SELECT CASE" + number + " END AS g, CASE" + word + " END AS w, CASE" + k1 +
		" END AS k1, CASE" + k2 + " END AS k2, p.id FROM patients p WHERE p.id = i.id AND " + match + " OFFSET 0) r"
}

func (q ListQuery) afterRanked(b *builder) string {
	if q.Cursor == nil {
		return "true"
	}
	_, later := q.direction()
	c := q.Cursor
	return "(c.g, c.w, c.k1, c.k2, c.id) " + later + " (" + strings.Join([]string{b.value(c.Group, "integer"), b.text(c.Keys[0]),
		b.text(c.Keys[1]), b.text(c.Keys[2]), b.value(c.ID, "uuid")}, ", ") + ")"
}

// turn gives the groups in the order in which they are looked at, from the cursor's on. A page after the first keeps to
// the field that led to the first.
func (q ListQuery) turn(groups []group) (all []int) {
	for i, g := range groups {
		c := q.Cursor
		if c == nil || (g.lead == shared || g.lead == c.Lead) && (i == c.Group || (i > c.Group) == !c.Before) {
			all = append(all, i)
		}
	}
	if q.backwards() {
		slices.Reverse(all)
	}
	return all
}

// leadCTE finds out which of two fields leads to fewer rows, by counting index entries up to a limit, and gives what
// stands for its number.
func (q ListQuery) leadCTE(b *builder) (string, string) {
	leads := q.Search.leads()
	switch {
	case q.Cursor != nil:
		return "", strconv.Itoa(q.Cursor.Lead)
	case len(leads) == 1:
		return "", strconv.Itoa(leads[0])
	}
	limit := strconv.Itoa(leadProbe)
	var sizes []string
	for _, l := range leads {
		sizes = append(sizes, fmt.Sprintf(`(%d, (SELECT count(*) FROM (SELECT 1 FROM (%s) w LIMIT %s) n))`, l, q.Search.ids(b, l, limit, every), limit))
	}
	return `, led AS MATERIALIZED (
		SELECT lead FROM (VALUES ` + strings.Join(sizes, ", ") + `) v (lead, n) ORDER BY n, lead LIMIT 1
	)`, "(SELECT lead FROM led)"
}

// others is the condition of being in none of the groups before i, as far as they count for the same rows.
func others(groups []group, i int, counts func(group) bool) string {
	var all []string
	for _, g := range groups[:i] {
		if counts(g) && (g.lead == shared || g.lead == groups[i].lead) {
			all = append(all, g.holds)
		}
	}
	if len(all) == 0 {
		return "true"
	}
	return "NOT (" + strings.Join(all, " OR ") + ")"
}

// routeKeys are the columns by which a route's index is ordered: two of the place, and the patient's id.
var routeKeys = map[route][3]string{
	byFamily: {"p.family_key", "p.given_key", "p.id"},
	byGiven:  {"p.given_key", "p.family_key", "p.id"},
	byMRN:    {"p.mrn_key", "", "p.id"},
	byBirth:  {"p.birth_key", "p.status", "p.id"},
	byTerm:   {"t.family_key", "t.given_key", "t.patient_id"},
}

// tour is how a group is read: always along its index, never more than the limit, whatever the planner might think of
// the number of rows.
type tour struct {
	columns []string // of the result; k1, k2, id and w are the place, yes says whether the patient matches
	holds   string   // condition on the patient's row (as p); empty when the index says enough
	yes     string   // condition that yes is about
	gate    string   // condition for reading at all
	way     string   // ASC or DESC
	limit   string
	cursor  *Cursor // begin after this one, where set
}

const emptyKey = `''::text COLLATE "C"`

// read gives the statement that reads a group.
func (g group) read(b *builder, t tour) string {
	keys := routeKeys[g.from]
	ordered := []string{keys[0]}
	if keys[1] != "" {
		ordered = append(ordered, keys[1])
	}
	ordered = append(ordered, keys[2])
	word, from, where := emptyKey, "patients p", []string{t.gate}
	if g.from == byTerm {
		from = "patient_terms t"
		if t.holds != "" {
			yes := ""
			if t.yes != "" {
				yes = "(" + t.yes + ") IS TRUE AS yes"
			}
			from += " CROSS JOIN LATERAL (SELECT " + yes + " FROM patients p WHERE p.id = t.patient_id AND t.term = " + g.word + " AND " + t.holds + " OFFSET 0) j"
		}
	} else if t.holds != "" {
		where = append(where, judged(t.holds))
	}
	switch {
	case g.part != "":
		return g.readWords(b, t, keys, ordered, from)
	case g.from == byTerm:
		word, ordered = "t.term", append([]string{"t.term"}, ordered...)
		where = append(where, inRange("t.term", g.within))
	default:
		where = append(where, inRange(keys[0], g.within))
		if g.given != (bounds{}) {
			where = append(where, inRange("p.given_key", g.given))
		}
	}
	if t.cursor != nil {
		where = append(where, t.after(b, ordered, t.cursor.keys(word != emptyKey, keys[1] != "")))
	}
	return "SELECT " + t.select_(g, word, keys) + " FROM " + from + " WHERE " + strings.Join(where, " AND ") + t.order(ordered)
}

// judged is a condition on rows that an index gives in the wanted order, until enough of them meet it. The planner must
// not guess how many do: it takes them for far fewer than they are, reads all there are by another way, and sorts them
// (measured at a million patients, 450 ms in place of 10). Of CASE it assumes one half.
func judged(condition string) string { return "CASE WHEN " + condition + " THEN true ELSE false END" }

// readWords reads a group word by word of the dictionary.
func (g group) readWords(b *builder, t tour, keys [3]string, ordered []string, from string) string {
	where := []string{"p.family_key >= d.word AND p.family_key < d.word || '!'"} // a key holds nothing between ' ' and '!'
	switch g.from {
	case byGiven:
		where = []string{"p.given_key >= d.word AND p.given_key < d.word || '!'"}
	case byTerm:
		where = []string{"t.term = d.word"}
	}
	if t.holds != "" && g.from != byTerm {
		where = append(where, judged(t.holds))
	}
	// The trigram index has nothing to say about less than three letters; it would give all that it holds.
	word, short := "d.word", len([]rune(g.part)) < 3
	if short {
		word = "(d.word || '')"
	}
	words := t.gate + " AND " + word + " LIKE " + b.text("%"+g.part+"%") + " AND NOT " + inRange("d.word", b.prefix(g.part))
	if short {
		// Names in such scripts stand together at the end of the dictionary.
		words += " AND d.word >= " + b.text("\u1100")
	}
	if t.cursor != nil {
		last := b.text(t.cursor.Keys[0])
		words += " AND d.word " + t.later() + "= " + last
		where = append(where, "(d.word <> "+last+" OR "+t.after(b, ordered, t.cursor.keys(false, true))+")")
	}
	inner := t
	inner.columns = append([]string{"k1", "k2", "id"}, t.columns...)
	rows := "SELECT " + inner.select_(g, "d.word", keys) + " FROM " + from + " WHERE " + strings.Join(where, " AND ") + t.order(ordered)
	var columns []string
	for _, c := range t.columns {
		if c == "w" {
			columns = append(columns, "d.word AS w")
		} else {
			columns = append(columns, "r."+c)
		}
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM (SELECT d.word FROM name_words d WHERE " + words + " ORDER BY d.word " + t.way + ") d" +
		" CROSS JOIN LATERAL (" + rows + ") r" + t.order([]string{"d.word", "r.k1", "r.k2", "r.id"})
}

// select_ writes the columns, each once.
func (t tour) select_(g group, word string, keys [3]string) string {
	k2 := emptyKey
	if keys[1] != "" {
		k2 = keys[1]
	}
	yes := "(" + t.yes + ") IS TRUE AS yes"
	if g.from == byTerm {
		yes = "j.yes"
	}
	of := map[string]string{"w": word + " AS w", "k1": keys[0] + " AS k1", "k2": k2 + " AS k2", "id": keys[2] + " AS id", "yes": yes}
	var all []string
	for _, c := range different(t.columns...) {
		if c != "w" || word != "d.word" {
			all = append(all, of[c])
		}
	}
	return strings.Join(all, ", ")
}

func (t tour) order(columns []string) string {
	return " ORDER BY " + strings.Join(columns, " "+t.way+", ") + " " + t.way + " LIMIT " + t.limit
}

func (t tour) later() string {
	if t.way == "DESC" {
		return "<"
	}
	return ">"
}

func (t tour) after(b *builder, columns, values []string) string {
	var all []string
	for _, v := range values {
		all = append(all, b.text(v))
	}
	all = append(all, b.value(t.cursor.ID, "uuid"))
	return "(" + strings.Join(columns, ", ") + ") " + t.later() + " (" + strings.Join(all, ", ") + ")"
}

// keys are a cursor's values, as far as the index has them.
func (c Cursor) keys(word, second bool) []string {
	all := c.Keys[1:2]
	if second {
		all = c.Keys[1:3]
	}
	if word {
		return append([]string{c.Keys[0]}, all...)
	}
	return all
}

// scan reads a group's part of a page.
func (q ListQuery) scan(b *builder, groups []group, i int, gate, match, limit string) string {
	way, _ := q.direction()
	t := tour{columns: []string{"w", "k1", "k2", "id"}, gate: gate, way: way, limit: limit,
		holds: match + " AND " + others(groups, i, every)}
	if q.Cursor != nil && q.Cursor.Group == i {
		t.cursor = q.Cursor
	}
	return groups[i].read(b, t)
}

// apart are the groups that lead to all that match when a field leads, without those whose rows others have too.
func (s Search) apart(b *builder, lead int, wanted func(group) bool, each func(groups []group, i int) string) string {
	groups := s.groups(b)
	var all []string
	for i, g := range groups {
		if !g.inside && (g.lead == shared || g.lead == lead) && wanted(g) {
			all = append(all, "("+each(groups, i)+")")
		}
	}
	return strings.Join(all, " UNION ALL ")
}

func every(group) bool { return true }

// ids gives the ids of all patients that may match when this field leads and are in a wanted group, from indexes alone;
// some come more than once.
func (s Search) ids(b *builder, lead int, limit string, wanted func(group) bool) string {
	all := s.apart(b, lead, wanted, func(groups []group, i int) string {
		return groups[i].read(b, tour{columns: []string{"id"}, gate: allowed, way: "ASC", limit: limit})
	})
	if all == "" {
		return "SELECT NULL::uuid AS id WHERE false"
	}
	return all
}

// candidates gives all rows that may match when this field leads, once each, with the word on whether they do.
func (q ListQuery) candidates(b *builder, gate string, lead int, limit string) string {
	match := q.where(b)
	all := q.Search.apart(b, lead, every, func(groups []group, i int) string {
		return groups[i].read(b, tour{columns: []string{"yes"}, gate: gate, way: "ASC", limit: limit, yes: match,
			holds: others(groups, i, func(g group) bool { return !g.inside })})
	})
	if all == "" {
		return "SELECT false AS yes WHERE false"
	}
	return all
}
