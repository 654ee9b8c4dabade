package db

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Similar names are looked for when a search finds fewer than fewExact patients; at most maxSimilar of them are shown.
const (
	fewExact   = 10
	maxSimilar = 10
)

// How much looking for similar names may look at.
const (
	similarWords = 30  // of the dictionary, for each word that was typed
	similarPairs = 250 // of such words, for two
	similarRows  = 50  // of those with one such word, to look for the ones that pass the filters
)

// mistypeable gives the parts of a search that may be names with a typing error: one, or the two longest; none when
// something else than names and birth dates was searched for. The second result is the birth date, if there is one.
func (s Search) mistypeable() (parts []string, birth string) {
	for _, f := range s.fields {
		digits := strings.ContainsFunc(f.mrn, unicode.IsDigit)
		switch {
		case f.birth != "" && birth == "":
			birth = f.birth
		case digits && f.phone == "" && len(f.parts) == 1: // names such as those that Synthea makes
			parts = append(parts, f.parts[0])
		case digits:
			return nil, ""
		default:
			parts = append(parts, f.parts...)
		}
	}
	longer := func(a, b string) int { return len([]rune(b)) - len([]rune(a)) }
	slices.SortStableFunc(parts, longer)
	if len(parts) == 0 || len([]rune(parts[0])) < 3 {
		return nil, ""
	}
	return parts[:min(len(parts), 2)], birth
}

// deletions gives what is left of each word without any one of its letters.
func deletions(words ...string) (all []string) {
	seen := map[string]bool{}
	for _, w := range words {
		r := []rune(w)
		for i := range r {
			d := string(r[:i]) + string(r[i+1:])
			if d != "" && !seen[d] {
				seen[d] = true
				all = append(all, d)
			}
		}
	}
	return all
}

// similar finds patients whose names are written much like what was typed, the most alike first, and records that they
// were shown. It is a second trip to the database, made only when there is hardly anything to show from the first: most
// searches never need it, and what it costs depends on what was found.
func (d *DB) similar(ctx context.Context, v Viewer, q ListQuery) ([]Patient, error) {
	parts, birth := q.Search.mistypeable()
	if len(parts) == 0 {
		return nil, nil
	}
	open, args := d.opening(v)
	b := &builder{args: args}
	b.args["list_user"] = q.UserID
	match := "NOT (" + q.Search.where(b) + ") AND " + q.Filter.where(b)
	if birth != "" {
		match += " AND " + inRange("p.birth_key", b.prefix(birth))
	}
	q.Sort, q.Size = SortName, PageSizes[0] // these rows have no place in the search's order
	sql := open.cte + `, permitted AS MATERIALIZED (
		SELECT v.allowed AND @list_user::integer IN (0, v.user_id) AS yes FROM viewer v
	)`
	for i, part := range parts {
		sql += similarCTE(b, i, part)
	}
	ways := []string{"p.family_key >= c.low AND p.family_key < c.high", "p.given_key >= c.low AND p.given_key < c.high"}
	from, terms := "like0 c", "t.term >= c.low AND t.term < c.high"
	if len(parts) == 2 {
		sql += fmt.Sprintf(`, pairs AS MATERIALIZED (
			SELECT a.low, a.high, b.low AS low2, b.high AS high2, a.cost + b.cost AS cost FROM like0 a, like1 b ORDER BY a.cost + b.cost, a.low, b.low LIMIT %d
		)`, similarPairs)
		ways = []string{"p.family_key >= c.low AND p.family_key < c.high AND p.given_key >= c.low2 AND p.given_key < c.high2",
			"p.family_key >= c.low2 AND p.family_key < c.high2 AND p.given_key >= c.low AND p.given_key < c.high"}
		second := "(t.given_key >= c.low2 AND t.given_key < c.high2 OR t.family_key >= c.low2 AND t.family_key < c.high2)"
		first := "(t.given_key >= c.low AND t.given_key < c.high OR t.family_key >= c.low AND t.family_key < c.high)"
		from, terms = "pairs c", terms+" AND "+second+" OR t.term >= c.low2 AND t.term < c.high2 AND "+first
	}
	limit := strconv.Itoa(maxSimilar)
	var found []string
	visits := strconv.Itoa(similarRows)
	for i, way := range ways {
		order := "p.family_key, p.given_key, p.id"
		if len(parts) == 1 && i == 1 {
			order = "p.given_key, p.family_key, p.id"
		}
		found = append(found, "(SELECT id FROM (SELECT p.id, "+match+" AS yes FROM patients p WHERE "+way+" ORDER BY "+order+" LIMIT "+visits+") x WHERE yes LIMIT "+limit+")")
	}
	for _, way := range strings.Split(terms, " OR t.term") {
		way = strings.TrimPrefix(way, " ")
		if !strings.HasPrefix(way, "t.term") {
			way = "t.term" + way
		}
		found = append(found, "(SELECT x.patient_id FROM (SELECT t.patient_id FROM patient_terms t WHERE "+way+
			" ORDER BY t.term, t.family_key, t.given_key, t.patient_id LIMIT "+visits+
			") x CROSS JOIN LATERAL (SELECT 1 FROM patients p WHERE p.id = x.patient_id AND "+match+" OFFSET 0) j LIMIT "+limit+")")
	}
	sql += `, hits AS MATERIALIZED (
		SELECT f.id, c.cost FROM ` + from + ` CROSS JOIN LATERAL (` + strings.Join(found, " UNION ALL ") + `) f
		ORDER BY c.cost LIMIT ` + strconv.Itoa(4*maxSimilar) + `
	), page AS MATERIALIZED (
		SELECT row_number() OVER (ORDER BY h.cost, p.family_key, p.given_key, p.id) AS n, p.*, ` + noPlace + `
		FROM (SELECT id AS patient_id, min(cost) AS cost FROM hits GROUP BY id ORDER BY min(cost), id LIMIT ` + limit + `) h
		CROSS JOIN LATERAL (SELECT ` + q.pageColumns() + ` FROM patients p WHERE p.id = h.patient_id OFFSET 0) p
	), found AS (SELECT 0 AS n, false AS more), audited AS (
		INSERT INTO audit_events (` + auditColumns + `)
		SELECT ` + open.event + `, 'patient-list', CASE WHEN yes THEN 'success' ELSE 'refused' END, ARRAY(SELECT id FROM page ORDER BY n),
		       '{"searched": true, "similar": true}'
		FROM viewer v, permitted WHERE v.allowed AND (EXISTS (SELECT 1 FROM page) OR NOT yes)
	)` + q.selectPage()
	rows, err := d.pool.Query(ctx, sql, named(b.args))
	if err != nil {
		return nil, fmt.Errorf("look for similar names: %w", err)
	}
	l, err := q.listFrom(rows)
	return l.Rows, err
}

// similarCTE gives the words of the dictionary that are like a part, as ranges of keys, each with what the difference
// costs. One letter dropped, doubled, swapped or mistaken costs 1; two cost 2, and so does what only sounds much alike by
// its trigrams; among the same, the more trigrams in common the better. What was typed may be right as the beginning of
// a name, and costs nothing then.
func similarCTE(b *builder, i int, part string) string {
	once := append(deletions(part), part)
	var twice []string
	if len([]rune(part)) >= 5 {
		twice = deletions(deletions(part)...)
	}
	typed := b.text(part)
	return fmt.Sprintf(`, like%d AS MATERIALIZED (
		SELECT word AS low, CASE WHEN word = %[2]s THEN word || U&'\+10FFFF' ELSE word || '!' END AS high, cost FROM (
			SELECT word, min(errors) + 1 - similarity(word, %[2]s) AS cost FROM (
				SELECT %[2]s COLLATE "C" AS word, 0 AS errors
				UNION ALL SELECT word, CASE WHEN word = %[2]s THEN 0 ELSE 1 END FROM name_typos WHERE %[3]s AND typo = ANY (%[4]s)
				UNION ALL SELECT word, 2 FROM name_typos WHERE %[3]s AND typo = ANY (%[5]s)
				UNION ALL (SELECT word, 2 FROM name_words WHERE %[3]s AND word %% %[2]s ORDER BY similarity(word, %[2]s) DESC, word LIMIT %[6]d)
			) w GROUP BY word ORDER BY 2, 1 LIMIT %[6]d
		) x
	)`, i, typed, allowed, textArray(b, i, "once", once), textArray(b, i, "twice", twice), similarWords)
}

func textArray(b *builder, i int, name string, values []string) string {
	name = fmt.Sprintf("%s%d", name, i)
	b.args[name] = values
	return "@" + name + "::text[]"
}
