package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// PageSizes are how many patients a page of the list may show; the first is the usual one.
var PageSizes = []int{25, 50, 100}

// CountCap is where counting stops: the exact number of a large set costs more than the page that shows it.
const CountCap = 1000

// crowdedFor is how long "more than CountCap patients in all" is believed once it was seen. It is about nobody, hardly ever
// changes, and finding it out costs a tenth of the page (measured).
const crowdedFor = time.Minute

// How much a search may look at. They bound its time, whatever was typed; the figures are in docs/performance.md.
const (
	countVisits = 3000   // rows, to count those that match
	leadProbe   = 2000   // index entries, to find out which field of a search leads to fewest rows
	leastFew    = 4000   // matches that are few enough to be sorted at once,
	mostFew     = 16_000 // growing with the square root of the number of patients
)

// reach is how far a way to matches is followed; tests shorten it, so that few patients are many.
var reach = struct{ some, long, share int }{
	some:  20_000,  // index entries that are few, where those that match are only some of what the way leads to
	long:  300_000, // index entries, to find those that are on two ways
	share: 80,      // the first of these two is followed to one in so many of all patients
}

// Sort is an order of the list.
type Sort string

// The sorts. What is missing comes last in ascending order.
const (
	SortBest    Sort = "best" // the best match first; only for a search, and only in this direction
	SortName    Sort = "name"
	SortBirth   Sort = "birth_date"
	SortMRN     Sort = "mrn"
	SortUpdated Sort = "updated"
)

// sorts maps to columns; each has an index that begins with them and ends in id, the tie-breaker that makes every order
// total. The status is there to be skipped by, see the search migration.
var sorts = map[Sort][]string{
	SortBest:    {"w", "k1", "k2"},
	SortName:    {"family_key", "given_key"},
	SortBirth:   {"birth_key", "status"},
	SortMRN:     {"mrn_key"},
	SortUpdated: {"updated_at", "status"},
}

// Valid says whether s is one of the sorts.
func (s Sort) Valid() bool { return sorts[s] != nil }

// Cursor is a place in an ordered list: next to the row with these keys and this id.
type Cursor struct {
	Before bool     `json:"b,omitempty"` // the page that ends there, instead of the one that begins there
	Group  int      `json:"g,omitempty"` // for SortBest: the group that the row is in
	Lead   int      `json:"l,omitempty"` // for SortBest: the field that leads
	Keys   []string `json:"k"`
	ID     string   `json:"i"`
}

// fits says whether the cursor can be one of that order. It may come from another version of the program, and what
// PostgreSQL refuses would be quoted in its error.
func (c Cursor) fits(s Sort) bool {
	if len(c.Keys) != len(sorts[s]) || !isUUID(c.ID) || c.Group < 0 || c.Group > math.MaxInt32 {
		return false
	}
	for _, k := range c.Keys {
		if strings.Contains(k, "\x00") {
			return false
		}
	}
	if s == SortUpdated {
		_, err := time.Parse(time.RFC3339Nano, c.Keys[0])
		return err == nil
	}
	return true
}

// ListQuery is what the list shows.
type ListQuery struct {
	UserID int // the user that this state was made for; 0 when it was made now
	Search Search
	Filter Filter
	Sort   Sort
	Desc   bool
	Size   int     // one of PageSizes; 0 is the first of them
	Cursor *Cursor // nil for the first page
	Last   bool    // the last page, without a cursor
	Count  bool    // how many there are is wanted too
}

// PatientList is a page of patients, and where it stands in the whole.
type PatientList struct {
	Who
	Rows             []Patient
	Found            int  // how many match, when that was asked for; at most CountCap
	FoundMore        bool // there are more than Found
	HasPrev, HasNext bool
	Similar          []Patient // patients with similar names, when a search finds few
}

// Edge gives the cursor for the page after the last row, or before the first.
func (l PatientList) Edge(before bool) *Cursor {
	if len(l.Rows) == 0 {
		return nil
	}
	c := l.Rows[len(l.Rows)-1].place
	if before {
		c = l.Rows[0].place
	}
	c.Before = before
	return &c
}

func (q ListQuery) backwards() bool { return q.Last || q.Cursor != nil && q.Cursor.Before }

func (q ListQuery) size() int {
	if q.Size == 0 {
		return PageSizes[0]
	}
	return q.Size
}

// where gives the condition that a row of patients (as p) must meet to be in the list.
func (q ListQuery) where(b *builder) string {
	return q.Search.where(b) + " AND " + q.Filter.where(b)
}

// ListPatients gives one page of the list and records which patients were shown. A state made for another user is
// ErrForeignList, and shows none.
func (d *DB) ListPatients(ctx context.Context, v Viewer, q ListQuery) (PatientList, error) {
	if q.Search.Empty() && q.Sort == SortBest {
		q.Sort = SortName
	}
	if !q.Sort.Valid() || q.Sort == SortBest && q.Desc || !slices.Contains(PageSizes, q.size()) || q.Filter.Check() != nil ||
		q.Cursor != nil && !q.Cursor.fits(q.Sort) {
		return PatientList{}, ErrListQuery
	}
	everybody := q.Count && q.Search.Empty() && q.Filter.Empty()
	crowded := everybody && time.Now().UnixNano() < d.crowded.Load()
	q.Count = q.Count && !crowded
	open, args := d.opening(v)
	b := &builder{args: args}
	b.args["list_user"] = q.UserID
	// Put together here: jsonb_build_object is a tenth of what the event costs the database.
	b.args["detail"] = fmt.Sprintf(`{"searched": %t, "filtered": %t, "sort": %q}`, !q.Search.Empty(), !q.Filter.Empty(), q.Sort)
	rows, err := d.pool.Query(ctx, q.statement(open, v.StandIn, b), named(b.args))
	if err != nil {
		return PatientList{}, fmt.Errorf("list patients: %w", err)
	}
	l, err := q.listFrom(rows)
	v.found(l.Who)
	switch {
	case err != nil:
	case !crowded && everybody && l.FoundMore:
		d.crowded.Store(time.Now().Add(crowdedFor).UnixNano())
	case crowded && !l.HasNext && q.Cursor == nil && !q.Last: // not any more
		l.Found = len(l.Rows)
	case crowded:
		l.Found, l.FoundMore = CountCap, true
	}
	if err == nil && q.Sort == SortBest && q.Count && !l.FoundMore && l.Found < fewExact {
		l.Similar, err = d.similar(ctx, v, q)
	}
	return l, err
}

// plainList is what the statement's text depends on where nothing is searched for and the page has no cursor.
type plainList struct {
	standIn, desc, last, count bool
	sort                       Sort
	size                       int
}

var plainLists sync.Map // of string by plainList

// statement is the list's. That of a plain list, which is asked for most, is put together once: making a text of four
// kilobytes and throwing it away is a part of the page's work that shows (measured).
func (q ListQuery) statement(open opening, standIn bool, b *builder) string {
	if !q.Search.Empty() || !q.Filter.Empty() || q.Cursor != nil {
		return q.newStatement(open, b)
	}
	key := plainList{standIn, q.Desc, q.Last, q.Count, q.Sort, q.size()}
	if known, ok := plainLists.Load(key); ok {
		return known.(string)
	}
	text := q.newStatement(open, b) // which has no values of its own
	plainLists.Store(key, text)
	return text
}

func (q ListQuery) newStatement(open opening, b *builder) string {
	return open.cte + `, permitted AS MATERIALIZED (
		SELECT v.allowed AND @list_user::integer IN (0, v.user_id) AS yes FROM viewer v
	)` + q.pageCTE(b) + `, audited AS (
		INSERT INTO audit_events (` + auditColumns + `)
		SELECT ` + open.event + `, 'patient-list', CASE WHEN yes THEN 'success' ELSE 'refused' END,
		       ARRAY(SELECT id FROM page LIMIT ` + strconv.Itoa(q.size()) + `), @detail::jsonb
		FROM viewer v, permitted WHERE v.allowed
	)` + q.selectPage()
}

// selectPage closes a statement that has made viewer, found and page: a row of what is not the patients', and then the page's.
// The head in a row of its own, no numbers of rows and no columns that nobody reads are a third of what the statement costs
// without its event (measured). The rows come as they are read, in page's order; listFrom makes sure of it, because an ORDER BY
// of rows that are in order costs more.
func (q ListQuery) selectPage() string {
	k1, k2 := q.keys()
	columns := `p.id::text, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status, p.updated_at, ` + k1 + ` AS k1, ` + k2 + ` AS k2`
	if !q.Search.Empty() {
		columns += `, p.n, p.family_key, p.given_key, p.mrn_key, p.birth_key, p.words, p.phone_keys, p.g, p.w, p.lead`
	}
	const head = whoColumns + `, f.n AS found, f.more AS found_more`
	var noHead, noPatient []string
	for range strings.Split(head, ", ") {
		noHead = append(noHead, "NULL")
	}
	for _, c := range strings.Split(columns, ", ") {
		noPatient = append(noPatient, "NULL AS "+columnName(c))
	}
	return `
	SELECT ` + head + `, ` + strings.Join(noPatient, ", ") + ` FROM viewer v CROSS JOIN found f
	UNION ALL
	SELECT ` + strings.Join(noHead, ", ") + `, ` + columns + ` FROM page p`
}

// columnName is what PostgreSQL calls a column of a SELECT, for columns of this package's making.
func columnName(column string) string {
	if _, name, ok := strings.Cut(column, " AS "); ok {
		return name
	}
	name, _, _ := strings.Cut(column, "::")
	return name[strings.LastIndex(name, ".")+1:]
}

// keys are the columns of page that tell where a row stands, besides those that are a Patient's.
func (q ListQuery) keys() (k1, k2 string) {
	switch q.Sort {
	case SortName:
		return "p.family_key", "p.given_key"
	case SortBirth:
		return "p.birth_key", "NULL::text"
	case SortMRN:
		return "p.mrn_key", "NULL::text"
	case SortUpdated:
		return "NULL::text", "NULL::text"
	}
	return "p.k1", "p.k2"
}

// ErrListQuery is a list that cannot be asked for: an unknown order, page size or filter, or a cursor of another order.
var ErrListQuery = errors.New("there is no such list of patients")

// What the rows of the statement above hold. The first row is the head alone, all others have no head.
type (
	listHead struct {
		Who
		Found     int
		FoundMore bool
	}
	listColumns struct {
		patientColumns
		K1 *string
		K2 *string
	}
	// searchColumns are there with a search.
	searchColumns struct {
		N         *int64 // the row's place on the page, from 1
		FamilyKey *string
		GivenKey  *string
		MRNKey    *string
		BirthKey  *string
		Words     *string
		PhoneKeys *string
		G         *int
		W         *string
		Lead      *int
	}
	listRow struct {
		listHead
		listColumns
	}
	searchRow struct {
		listHead
		listColumns
		searchColumns
	}
)

// eachListRow reads the rows one after the other, each in the place of the one before.
func (q ListQuery) eachListRow(rows pgx.Rows, take func(*listHead, *listColumns, *searchColumns) error) error {
	if q.Search.Empty() {
		return eachRow(rows, func(r *listRow) error { return take(&r.listHead, &r.listColumns, nil) })
	}
	return eachRow(rows, func(r *searchRow) error { return take(&r.listHead, &r.listColumns, &r.searchColumns) })
}

// listFrom reads a page. Who asked is known with an error, too, once there was a first row.
func (q ListQuery) listFrom(rows pgx.Rows) (PatientList, error) {
	l := PatientList{}
	seen := false
	var refusal error
	var latest listColumns
	var latestFound searchColumns
	err := q.eachListRow(rows, func(head *listHead, r *listColumns, found *searchColumns) error {
		if !seen {
			seen = true
			l.Who, l.Found, l.FoundMore = head.Who, head.Found, head.FoundMore
			if refusal = l.check(); refusal == nil && q.UserID != 0 && q.UserID != l.UserID {
				refusal = ErrForeignList
			}
			l.Rows = make([]Patient, 0, PageSizes[0]+1)
			return nil
		}
		if refusal != nil {
			return nil
		}
		n := len(l.Rows)
		if found != nil && *found.N != int64(n)+1 || found == nil && n > 0 && !q.follows(&latest, r) {
			return errors.New("the rows are not in order")
		}
		p := r.patient()
		if n == 0 || n == q.size()-1 { // the edges of a full page
			p.place = q.place(r, found)
		}
		latest = *r
		if found != nil {
			latestFound = *found
			p.Match = q.Search.kinds(rowKeys{*found.FamilyKey, *found.GivenKey, *found.MRNKey, *found.BirthKey, *found.Words, *found.PhoneKeys})
		}
		l.Rows = append(l.Rows, p)
		return nil
	})
	switch {
	case err != nil:
		return PatientList{}, fmt.Errorf("list patients: %w", err)
	case !seen:
		return PatientList{}, ErrNoSession
	case refusal != nil:
		return l, refusal
	}
	if n := len(l.Rows); n > 0 {
		l.Rows[n-1].place = q.place(&latest, &latestFound)
	}
	more := len(l.Rows) > q.size()
	if more {
		l.Rows = l.Rows[:q.size()]
	}
	l.HasNext, l.HasPrev = more, q.Cursor != nil
	if q.backwards() {
		slices.Reverse(l.Rows)
		l.HasNext, l.HasPrev = !q.Last, more
	}
	return l, nil
}

// follows says whether row b comes after row a as the page is read. Keys and ids compare by their bytes, in PostgreSQL too.
func (q ListQuery) follows(a, b *listColumns) bool {
	order := cmp.Or(strings.Compare(orEmpty(a.K1), orEmpty(b.K1)), strings.Compare(orEmpty(a.K2), orEmpty(b.K2)))
	if q.Sort == SortUpdated {
		order = a.UpdatedAt.Compare(*b.UpdatedAt)
	}
	if q.Sort == SortBirth || q.Sort == SortUpdated {
		order = cmp.Or(order, strings.Compare(*a.Status, *b.Status))
	}
	order = cmp.Or(order, strings.Compare(*a.ID, *b.ID))
	if _, later := q.direction(); later == "<" {
		return order > 0
	}
	return order < 0
}

// place is where a row stands: its values of the columns in sorts.
func (q ListQuery) place(r *listColumns, found *searchColumns) Cursor {
	c := Cursor{ID: *r.ID}
	switch q.Sort {
	case SortBest:
		c.Group, c.Lead, c.Keys = *found.G, *found.Lead, []string{*found.W, *r.K1, *r.K2}
	case SortBirth:
		c.Keys = []string{*r.K1, *r.Status}
	case SortMRN:
		c.Keys = []string{*r.K1}
	case SortUpdated:
		c.Keys = []string{r.UpdatedAt.UTC().Format(time.RFC3339Nano), *r.Status}
	default:
		c.Keys = []string{*r.K1, *r.K2}
	}
	return c
}

// pageColumns are what page holds of a patient, besides the place.
func (q ListQuery) pageColumns() string {
	columns := `p.id, p.display_name, p.mrn, p.birth_date, p.gender, p.phone, p.city, p.status, p.updated_at`
	for _, key := range []string{"family_key", "given_key", "mrn_key", "birth_key", "words", "phone_keys"} {
		if !q.Search.Empty() || slices.Contains(sorts[q.Sort], key) { // what nobody looks at is left out
			columns += ", p." + key
		}
	}
	return columns
}

const noPlace = `NULL::integer AS g, NULL::text AS w, NULL::text AS k1, NULL::text AS k2, NULL::integer AS lead`

// pageCTE makes page, the rows in order, one more than are shown, which a search numbers by n; and found, their number.
func (q ListQuery) pageCTE(b *builder) string {
	switch {
	case q.Sort == SortBest:
		return q.bestCTE(b)
	case q.Search.Empty() && (!q.hasWay() || q.Sort == SortBirth):
		return q.walkCTE(b)
	}
	return q.sortedCTE(b)
}

// hasWay says that the filter lets so few through that it may be the way to all that match. Without a search, a rare sex
// alone is met as soon on a walk.
func (q ListQuery) hasWay() bool {
	f := q.Filter
	return f.narrow() || f.gone() && f.hasSpan() || f.odd() && (!q.Search.Empty() || f.gone() || f.hasSpan())
}

const allowed = `(SELECT yes FROM permitted)`

// walkCTE is the list without a search: the sort's index is walked.
func (q ListQuery) walkCTE(b *builder) string {
	return `, page AS MATERIALIZED (
		` + q.walk(b, allowed+" AND "+q.from(b), q.Filter.where(b)) + `
	)` + q.foundWalking(b)
}

// walk reads a range of the sort's index. A status that few have, and a span of birth dates, may be in the index too.
func (q ListQuery) walk(b *builder, within, condition string) string {
	within += q.Filter.status()
	if q.Sort == SortBirth && q.Filter.hasSpan() {
		within += " AND " + inRange("p.birth_key", q.Filter.span(b))
	}
	return "SELECT " + q.pageColumns() + " FROM patients p WHERE " + within + " AND " + judged(condition) +
		" ORDER BY " + q.order("p.") + " LIMIT " + q.limit()
}

// foundWalking takes PostgreSQL's own estimate when that is far beyond what is counted to: counting a thousand rows to say
// "more than a thousand" would cost as much as the page.
func (q ListQuery) foundWalking(b *builder) string {
	if !q.Count || !q.Filter.Empty() {
		return q.foundCTE(b, "found", q.everybody(b, allowed))
	}
	most := strconv.Itoa(CountCap)
	return `, found AS (
		SELECT least(c.n, ` + most + `) AS n, c.n > ` + most + ` AS more FROM (
			SELECT CASE WHEN reltuples > 10 * ` + most + ` THEN ` + most + ` + 1 ELSE (
				SELECT count(*) FROM (SELECT 1 FROM patients WHERE ` + allowed + ` LIMIT ` + most + ` + 1) p
			) END AS n FROM pg_class WHERE oid = 'patients'::regclass OFFSET 0
		) c
	)`
}

// everybody gives the rows to count when nothing is searched for, each with the word on whether it matches. Few patients
// are not active, and these two have an index of their own.
func (q ListQuery) everybody(b *builder, gate string) string {
	from := "FROM patients p WHERE " + gate + q.Filter.status()
	if q.Filter.hasSpan() {
		from += " AND " + inRange("p.birth_key", q.Filter.span(b))
	}
	return "SELECT " + q.Filter.where(b) + " AS yes " + from
}

// foundCTE counts among candidates, and stops after so many that the answer would not change or would take too long.
func (q ListQuery) foundCTE(b *builder, name, candidates string) string {
	if !q.Count {
		return `, ` + name + ` AS (SELECT 0 AS n, false AS more)`
	}
	limit, most := q.visits(), strconv.Itoa(CountCap)
	return `, ` + name + ` AS (
		SELECT least(count(*) FILTER (WHERE yes), ` + most + `) AS n,
		       count(*) FILTER (WHERE yes) > ` + most + ` OR count(*) >= ` + limit + ` AS more
		FROM (SELECT yes FROM (` + candidates + `) c LIMIT ` + limit + `) visited
	)`
}

// visits is how many candidates are counted: those of a single word nearly all match, others may not. Limits stand in the
// text itself: the planner takes one that it does not know for a tenth of all rows.
func (q ListQuery) visits() string {
	if q.Filter.Empty() && len(q.Search.fields) <= 1 {
		return strconv.Itoa(CountCap + 1)
	}
	return strconv.Itoa(countVisits)
}

func (q ListQuery) limit() string { return strconv.Itoa(q.size() + 1) }

// direction gives ASC or DESC for the way that the page is read, and the sign for what comes later on that way.
func (q ListQuery) direction() (string, string) {
	if q.Desc != q.backwards() {
		return "DESC", "<"
	}
	return "ASC", ">"
}

// columns are the sort's, but for a status that a filter has made the same in all rows.
func (q ListQuery) columns() []string {
	all := sorts[q.Sort]
	if q.Filter.Status != "" && all[len(all)-1] == "status" {
		return all[:len(all)-1]
	}
	return all
}

func (q ListQuery) order(prefix string) string {
	way, _ := q.direction()
	var all []string
	for _, c := range append(slices.Clone(q.columns()), "id") {
		all = append(all, prefix+c+" "+way)
	}
	return strings.Join(all, ", ")
}

// from is the condition of coming after the cursor.
func (q ListQuery) from(b *builder) string {
	if q.Cursor == nil {
		return "true"
	}
	_, later := q.direction()
	var names, values []string
	for i, c := range q.columns() {
		kind := "text"
		if c == "updated_at" {
			kind = "timestamptz"
		}
		names, values = append(names, "p."+c), append(values, b.value(q.Cursor.Keys[i], kind))
	}
	return fmt.Sprintf("(%s, p.id) %s (%s, %s)", strings.Join(names, ", "), later, strings.Join(values, ", "), b.value(q.Cursor.ID, "uuid"))
}

// sortedCTE is a search, or a filter that few pass, in an order of the list's own. A part of what is found may
// stand together in that order (family names that begin with what was typed, when the list is by name): that part is
// read along the index. Of the rest, few matches are fetched and sorted; where there are many, they are met soon enough
// on a walk along the sort's index. Which of the two it is does not show.
func (q ListQuery) sortedCTE(b *builder) string {
	match := q.where(b)
	order, from, limit := q.order("p."), q.from(b), q.limit()
	few, ids := q.fewCTE(b)
	var parts []string
	apart, gate := "", allowed
	if q.hasWay() { // which leads to these too
		gate += " AND (SELECT NOT few FROM chosen)"
	}
	var ranges []string
	for _, g := range q.along(b) {
		column := routeKeys[g.from][0]
		parts = append(parts, "("+q.walk(b, gate+" AND "+inRange(column, g.within)+" AND "+q.fromWithin(b, g.within), match+apart)+")")
		ranges = append(ranges, inRange(column, g.within))
		apart = " AND NOT (" + strings.Join(ranges, " OR ") + ")"
	}
	collected := match + apart
	if q.hasWay() {
		collected = match
	}
	parts = append(parts,
		`(SELECT p.* FROM collected p WHERE `+from+` ORDER BY `+order+` LIMIT `+limit+`)`,
		"("+q.walk(b, allowed+" AND (SELECT NOT few FROM chosen) AND "+from, match+apart)+")")
	return few + `, collected AS MATERIALIZED (
		SELECT p.* FROM (` + ids + `) i
		CROSS JOIN LATERAL (SELECT ` + q.pageColumns() + ` FROM patients p WHERE p.id = i.id AND ` + collected + ` OFFSET 0) p
	), page AS MATERIALIZED (
		SELECT row_number() OVER (ORDER BY ` + order + `) AS n, p.*, ` + noPlace + ` FROM (
			` + strings.Join(parts, " UNION ALL ") + `
		) p
		ORDER BY ` + order + ` LIMIT ` + limit + `
	)` + q.foundSorted(b, apart != "" && !q.hasWay())
}

// along gives the groups that are ranges of the sort's index, in which a search of one field finds patients.
func (q ListQuery) along(b *builder) (all []group) {
	if q.Search.Empty() {
		return nil
	}
	for _, g := range q.Search.groups(b) {
		if q.isAlong(g) {
			all = append(all, g)
		}
	}
	return all
}

// fromWithin is from for a range of the index: where the cursor is outside, all or nothing of it comes later. PostgreSQL
// would begin to read at the cursor, which may be half of the table away from the range.
func (q ListQuery) fromWithin(b *builder, w bounds) string {
	if q.Cursor == nil {
		return "true"
	}
	key := q.Cursor.Keys[0] // keys compare by code point, as Go's strings do
	_, later := q.direction()
	switch {
	case key < w.start:
		return strconv.FormatBool(later == ">")
	case key >= w.start+prefixEnd:
		return strconv.FormatBool(later == "<")
	}
	return q.from(b)
}

func (q ListQuery) isAlong(g group) bool {
	route, ok := map[Sort]route{SortName: byFamily, SortMRN: byMRN, SortBirth: byBirth}[q.Sort]
	return ok && len(q.Search.fields) == 1 && g.from == route && g.part == "" && !g.inside
}

// foundSorted is exact where all matches were collected.
func (q ListQuery) foundSorted(b *builder, some bool) string {
	switch {
	case !q.Count:
		return q.foundCTE(b, "found", "")
	case some:
		return q.foundCTE(b, "found", q.candidates(b, allowed, 0, q.visits()))
	}
	const gate = allowed + ` AND (SELECT NOT few FROM chosen)`
	candidates := ""
	if q.Search.Empty() {
		candidates = q.everybody(b, gate)
	} else {
		candidates = q.candidates(b, gate, q.Search.leads()[0], q.visits())
	}
	most := strconv.Itoa(CountCap)
	return q.foundCTE(b, "found_walking", candidates) + `, found AS (
		SELECT CASE WHEN c.few THEN least(e.n, ` + most + `) ELSE w.n END AS n, CASE WHEN c.few THEN e.n > ` + most + ` ELSE w.more END AS more
		FROM found_walking w, chosen c, (SELECT count(*) AS n FROM collected) e
	)`
}

// fewCTE collects ids, along each way that leads to all that match, as far as that is worth while; what several ways have
// in common is what may match. chosen says whether these are few. The second result gives the ids, none when they are not.
func (q ListQuery) fewCTE(b *builder) (string, string) {
	var ways []func(limit int) string
	crossed := true // two ways may be long, and yet have little in common
	if !q.Search.Empty() && q.Sort != SortBest {
		leads := q.Search.leads()
		if q.hasWay() {
			leads = leads[:1] // and the filter is the other way
		}
		for _, lead := range leads {
			ways = append(ways, func(limit int) string {
				return q.Search.ids(b, lead, strconv.Itoa(limit), func(g group) bool { return q.hasWay() || !q.isAlong(g) })
			})
			crossed = crossed && (q.hasWay() || slices.ContainsFunc(q.Search.fields[lead].parts, func(part string) bool {
				return utf8.RuneCountInString(part) > 1
			}))
		}
	}
	whole := q.Filter.Empty()
	if q.hasWay() {
		ways = append(ways, func(limit int) string {
			sql, _ := q.Filter.ids(b, strconv.Itoa(limit))
			return sql
		})
		_, whole = q.Filter.ids(b, "0")
	}
	sql := `, at_most AS MATERIALIZED (SELECT ` + strconv.Itoa(reach.some) + ` AS k)`
	from, limit := "", "(SELECT k + 1 FROM at_most)"
	if len(ways) == 1 && len(q.Search.fields) <= 1 && (whole || !q.hasWay()) {
		sql = atMostCTE(ways[0], whole, q.where(b))
		if !whole { // the first that were read are all, or are read again with more
			from, limit = "SELECT id FROM first WHERE (SELECT yes FROM ended) UNION ALL ", "(SELECT CASE WHEN yes THEN 0 ELSE k + 1 END FROM at_most, ended)"
		}
	}
	var short, ids []string
	for i, way := range ways {
		sql += fmt.Sprintf(`, way%d AS MATERIALIZED (%sSELECT id FROM (SELECT id FROM (%s) w LIMIT %s) l)`, i, from, way(reach.some+1), limit)
		sql += fmt.Sprintf(`, short%d AS MATERIALIZED (SELECT count(*) <= (SELECT k FROM at_most) AS yes FROM way%d)`, i, i)
		short = append(short, fmt.Sprintf("(SELECT yes FROM short%d)", i))
		// A way that is too long says nothing: everybody may be on it.
		ids = append(ids, fmt.Sprintf("SELECT id FROM way%d WHERE (SELECT yes FROM short%d)", i, i))
	}
	common, few := ids[0], strings.Join(short, " OR ")
	if len(ids) == 2 {
		common += " UNION ALL " + ids[1]
		both := "SELECT id FROM way0 INTERSECT SELECT id FROM way1"
		common = `SELECT id FROM (` + both + `) b WHERE ` + short[0] + ` AND ` + short[1] + `
			UNION ALL SELECT id FROM (` + common + `) e WHERE NOT (` + short[0] + ` AND ` + short[1] + `)`
	}
	if len(ids) == 2 && crossed {
		first, second := ways[0], ways[1]
		if q.hasWay() {
			first, second = second, first
		}
		// By name, those who match stand together, and a walk may meet everybody else first.
		share, enough := reach.share, q.hasWay()
		if q.Sort == SortName {
			share, enough = max(1, reach.share/2), true
		}
		sql += crossingCTE(few, first, second, share, enough)
		common += ` UNION ALL SELECT id FROM crossing WHERE (SELECT few FROM crossed)`
		few += ` OR (SELECT few FROM crossed)`
	}
	sql += `, chosen AS MATERIALIZED (SELECT ` + few + ` AS few)`
	return sql, "SELECT DISTINCT id FROM (" + common + ") x"
}

// atMostCTE makes at_most, how many ids of the only way are few: as many as a walk along the sort's index looks at until it has met a
// page of those that match. Where the way leads to what matches and to nothing else, that is the square root of a page times the number
// of patients. Where there is a filter too, more have to be looked at, on the walk alone: how many of those on the way pass it is seen
// from one in 32 of the first, since statistics know nothing of what a name has to do with a sex. It makes first, too, the first ids of the
// way, and ended, whether these are all.
func atMostCTE(way func(limit int) string, whole bool, match string) string {
	most := min(mostFew, reach.some)
	few := fmt.Sprintf(`SELECT least(%d, greatest(%d, sqrt(26 * greatest(reltuples, 0))))::integer AS k FROM pg_class WHERE oid = 'patients'::regclass`, most, leastFew)
	if whole {
		return `, at_most AS MATERIALIZED (` + few + `)`
	}
	return fmt.Sprintf(`, unfiltered AS MATERIALIZED (%s
	), first AS MATERIALIZED (SELECT id, row_number() OVER () AS nth FROM (%s) w LIMIT (SELECT k + 1 FROM unfiltered)
	), ended AS MATERIALIZED (SELECT (SELECT count(*) FROM first) <= k AS yes FROM unfiltered
	), at_most AS MATERIALIZED (
		SELECT CASE WHEN e.yes THEN u.k ELSE least(%d, u.k / sqrt((s.pass + 1.0) / (s.n + 1.0)))::integer END AS k
		FROM unfiltered u, ended e, (
			SELECT count(*) AS n, count(*) FILTER (WHERE yes) AS pass FROM first
			CROSS JOIN LATERAL (SELECT (%s) IS TRUE AS yes FROM patients p WHERE p.id = first.id OFFSET 0) j
			WHERE nth %% 32 = 0 AND (SELECT NOT yes FROM ended)
		) s
	)`, few, way(most+1), reach.some, match)
}

// crossingCTE follows two ways further, where neither is short, and makes crossing of what they have in common; crossed says
// whether that is all of it, and few. Two ways that one in eighty patients is on each are read in the time in which a walk
// through everybody meets a page of those who are on both (measured at ten million). enough says that the first leads to
// few enough to look at each, should the second be much longer still.
func crossingCTE(short string, first, second func(limit int) string, share int, enough bool) string {
	alone := "false"
	if enough {
		alone = "NOT (SELECT yes FROM met)"
	}
	return fmt.Sprintf(`, reach AS MATERIALIZED (
		SELECT CASE WHEN NOT (%[1]s) AND f.k > %[2]d THEN f.k ELSE 0 END AS k
		FROM (SELECT least(%[3]d, reltuples / %[7]d)::integer AS k FROM pg_class WHERE oid = 'patients'::regclass) f
	), long0 AS MATERIALIZED (SELECT id FROM (%[4]s) w LIMIT (SELECT CASE WHEN k > 0 THEN k + 1 ELSE 0 END FROM reach)
	), whole AS MATERIALIZED (SELECT k > 0 AND (SELECT count(*) FROM long0) <= k AS yes FROM reach
	), long1 AS MATERIALIZED (SELECT id FROM (%[5]s) w LIMIT CASE WHEN (SELECT yes FROM whole) THEN %[3]d + 1 ELSE 0 END
	), met AS MATERIALIZED (SELECT yes AND (SELECT count(*) FROM long1) <= %[3]d AS yes FROM whole
	), crossing AS MATERIALIZED (
		SELECT DISTINCT id FROM (
			SELECT id FROM long0 WHERE (SELECT yes FROM met) AND id IN (SELECT id FROM long1)
			UNION ALL SELECT id FROM long0 WHERE (SELECT yes FROM whole) AND %[6]s
		) c
	), crossed AS MATERIALIZED (SELECT met.yes AND (SELECT count(*) FROM crossing) <= %[2]d OR whole.yes AND %[6]s AS few FROM whole, met)`,
		short, reach.some, reach.long, first(reach.long+1), second(reach.long+1), alone, share)
}
