package db

import (
	"fmt"
	"slices"
	"strings"
)

// What follows is the list in SortBest's order: the groups of a search one after the other, each along its index, so
// that a page costs the rows that it shows, however many match.

// bestCTE makes page and found from the groups. A group is only looked at while the page is not full.
func (q ListQuery) bestCTE(b *builder) string {
	groups := q.Search.groups(b)
	match, limit := q.where(b), q.limit(b)
	way, _ := q.direction()
	sql, lead := q.leadCTE(b)
	var before, names []string
	for _, i := range q.turn(groups) {
		g := groups[i]
		gate := allowed
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
		for _, l := range q.Search.leads() {
			gate := allowed
			if len(q.Search.leads()) > 1 {
				gate += fmt.Sprintf(" AND %s = %d", lead, l)
			}
			all = append(all, q.candidates(b, gate, l))
		}
		candidates = strings.Join(all, " UNION ALL ")
	}
	return sql + q.foundCTE(b, "found", candidates)
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
		return "", b.value(q.Cursor.Lead, "integer")
	case len(leads) == 1:
		return "", b.value(leads[0], "integer")
	}
	limit := b.value(leadProbe, "integer")
	var sizes []string
	for _, l := range leads {
		sizes = append(sizes, fmt.Sprintf(`(%d, (SELECT count(*) FROM (SELECT 1 FROM (%s) w LIMIT %s) n))`, l, q.Search.ids(b, l), limit))
	}
	return `, led AS MATERIALIZED (
		SELECT lead FROM (VALUES ` + strings.Join(sizes, ", ") + `) v (lead, n) ORDER BY n, lead LIMIT 1
	)`, "(SELECT lead FROM led)"
}

// others is the condition of being in none of the groups before i, as far as they count for the same rows.
func others(groups []group, i int) string {
	var all []string
	for _, g := range groups[:i] {
		if g.lead == shared || g.lead == groups[i].lead {
			all = append(all, g.holds)
		}
	}
	if len(all) == 0 {
		return "true"
	}
	return "NOT (" + strings.Join(all, " OR ") + ")"
}

// keys are the columns by which a route's index is ordered: two of the place, and the patient's id.
var routeKeys = map[route][3]string{
	byFamily: {"p.family_key", "p.given_key", "p.id"},
	byGiven:  {"p.given_key", "p.family_key", "p.id"},
	byMRN:    {"p.mrn_key", "", "p.id"},
	byBirth:  {"p.birth_key", "p.status", "p.id"},
	byTerm:   {"t.family_key", "t.given_key", "t.patient_id"},
}

const emptyKey = `''::text COLLATE "C"`

// scan reads a group in order, from the cursor on when that is in this group. Its columns are w, k1, k2 and id.
func (q ListQuery) scan(b *builder, groups []group, i int, gate, match, limit string) string {
	g := groups[i]
	way, later := q.direction()
	keys := routeKeys[g.from]
	holds := match + " AND " + others(groups, i)
	var cursor *Cursor
	if q.Cursor != nil && q.Cursor.Group == i {
		cursor = q.Cursor
	}
	k2, ordered := emptyKey, []string{keys[0], keys[2]}
	if keys[1] != "" {
		k2, ordered = keys[1], []string{keys[0], keys[1], keys[2]}
	}
	columns := keys[0] + " AS k1, " + k2 + " AS k2, " + keys[2] + " AS id"
	// place is the cursor's values for the same columns.
	place := func(withWord bool) string {
		all := []string{b.text(cursor.Keys[1])}
		if keys[1] != "" {
			all = append(all, b.text(cursor.Keys[2]))
		}
		all = append(all, b.value(cursor.ID, "uuid"))
		if withWord {
			all = append([]string{b.text(cursor.Keys[0])}, all...)
		}
		return "(" + strings.Join(all, ", ") + ")"
	}
	orderBy := func(columns ...string) string {
		return " ORDER BY " + strings.Join(columns, " "+way+", ") + " " + way + " LIMIT " + limit
	}
	if g.part != "" {
		return q.scanDictionary(b, g, gate, holds, columns, ordered, cursor, orderBy)
	}
	if g.from == byTerm {
		from := ""
		if cursor != nil {
			from = " AND (t.term, " + strings.Join(ordered, ", ") + ") " + later + " " + place(true)
		}
		return "SELECT t.term AS w, " + columns + " FROM patient_terms t" + g.judged(holds) +
			" WHERE " + gate + " AND " + inRange("t.term", g.within) + from + orderBy(append([]string{"t.term"}, ordered...)...)
	}
	from := ""
	if cursor != nil {
		from = " AND (" + strings.Join(ordered, ", ") + ") " + later + " " + place(false)
	}
	return "SELECT " + emptyKey + " AS w, " + columns + " FROM patients p WHERE " + gate + " AND " + g.ranges() + " AND " + holds + from + orderBy(ordered...)
}

// judged joins the patient of a term, if the patient matches and this is the term by which the patient counts.
func (g group) judged(holds string) string {
	return " CROSS JOIN LATERAL (SELECT 1 FROM patients p WHERE p.id = t.patient_id AND t.term = " + g.word + " AND " + holds + " OFFSET 0) j"
}

// ranges are the conditions that the route's index takes.
func (g group) ranges() string {
	all := inRange(routeKeys[g.from][0], g.within)
	if g.given != (bounds{}) {
		all += " AND " + inRange("p.given_key", g.given)
	}
	return all
}

// dictionary gives the words that hold the part and do not begin with it.
func (g group) dictionary(b *builder) string {
	where := "d.word LIKE " + b.text("%"+g.part+"%") + " AND NOT " + inRange("d.word", b.prefix(g.part))
	if short := []rune(g.part); len(short) < 3 {
		// The trigram index is of no help, but names in such scripts stand together at the end of the dictionary.
		where += " AND d.word >= " + b.text("\u1100")
	}
	return where
}

// byWord bounds the keys that are a word or begin with it: a key holds nothing between a space and an exclamation mark.
func byWord(column string) string { return column + " >= d.word AND " + column + " < d.word || '!'" }

// scanDictionary reads a group word by word.
func (q ListQuery) scanDictionary(b *builder, g group, gate, holds, columns string, ordered []string, cursor *Cursor, orderBy func(...string) string) string {
	way, later := q.direction()
	words := g.dictionary(b)
	from := ""
	if cursor != nil {
		word := b.text(cursor.Keys[0])
		words += " AND d.word " + later + "= " + word
		from = " AND (d.word <> " + word + " OR (" + strings.Join(ordered, ", ") + ") " + later + " (" +
			b.text(cursor.Keys[1]) + ", " + b.text(cursor.Keys[2]) + ", " + b.value(cursor.ID, "uuid") + "))"
	}
	var rows string
	if g.from == byTerm {
		rows = "SELECT " + columns + " FROM patient_terms t" + g.judged(holds) + " WHERE t.term = d.word" + from + orderBy(ordered...)
	} else {
		rows = "SELECT " + columns + " FROM patients p WHERE " + byWord(ordered[0]) + " AND " + holds + from + orderBy(ordered...)
	}
	return "SELECT d.word AS w, r.k1, r.k2, r.id FROM (SELECT d.word FROM name_words d WHERE " + gate + " AND " + words + " ORDER BY d.word " + way + ") d" +
		" CROSS JOIN LATERAL (" + rows + ") r" + orderBy("d.word", "r.k1", "r.k2", "r.id")
}

// ids gives the ids of all patients that may match when this field leads, from indexes alone; some come more than once.
func (s Search) ids(b *builder, lead int) string {
	var all []string
	for _, g := range s.groups(b) {
		if g.inside || g.lead != shared && g.lead != lead {
			continue
		}
		key := routeKeys[g.from]
		switch {
		case g.part != "" && g.from == byTerm:
			all = append(all, "SELECT t.patient_id AS id FROM name_words d JOIN patient_terms t ON t.term = d.word WHERE "+allowed+" AND "+g.dictionary(b))
		case g.part != "":
			all = append(all, "SELECT r.id FROM name_words d CROSS JOIN LATERAL (SELECT p.id FROM patients p WHERE "+byWord(key[0])+" OFFSET 0) r WHERE "+allowed+" AND "+g.dictionary(b))
		case g.from == byTerm:
			all = append(all, "SELECT t.patient_id AS id FROM patient_terms t WHERE "+allowed+" AND "+inRange("t.term", g.within))
		default:
			all = append(all, "SELECT p.id FROM patients p WHERE "+allowed+" AND "+g.ranges())
		}
	}
	if len(all) == 0 {
		return "SELECT NULL::uuid AS id WHERE false"
	}
	return strings.Join(all, " UNION ALL ")
}

// candidates gives all rows that may match when this field leads, once each, with the word on whether they do.
func (q ListQuery) candidates(b *builder, gate string, lead int) string {
	var all []string
	groups := q.Search.groups(b)
	match := q.where(b)
	for i, g := range groups {
		if g.inside || g.lead != shared && g.lead != lead {
			continue
		}
		var earlier []group
		for _, e := range groups[:i] {
			if !e.inside && (e.lead == shared || e.lead == lead) {
				earlier = append(earlier, e)
			}
		}
		only := others(append(earlier, group{lead: lead}), len(earlier))
		yes := "SELECT (" + match + ") IS TRUE AS yes FROM "
		once := " CROSS JOIN LATERAL (SELECT (" + match + ") IS TRUE AS yes FROM patients p WHERE p.id = t.patient_id AND t.term = " + g.word + " AND " + only + " OFFSET 0) j"
		switch {
		case g.part != "" && g.from == byTerm:
			all = append(all, "SELECT j.yes FROM name_words d JOIN patient_terms t ON t.term = d.word"+once+" WHERE "+gate+" AND "+g.dictionary(b))
		case g.part != "":
			all = append(all, "SELECT r.yes FROM name_words d CROSS JOIN LATERAL ("+yes+"patients p WHERE "+byWord(routeKeys[g.from][0])+" AND "+only+" OFFSET 0) r WHERE "+gate+" AND "+g.dictionary(b))
		case g.from == byTerm:
			all = append(all, "SELECT j.yes FROM patient_terms t"+once+" WHERE "+gate+" AND "+inRange("t.term", g.within))
		default:
			all = append(all, yes+"patients p WHERE "+gate+" AND "+g.ranges()+" AND "+only)
		}
	}
	if len(all) == 0 {
		return "SELECT false AS yes WHERE false"
	}
	return strings.Join(all, " UNION ALL ")
}
