package db

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Outcomes are all values of audit_events.outcome.
var Outcomes = []string{"success", "refused"}

// The actions that most events have. The migration of the audit's indexes has the same two.
const (
	actionList = "patient-list"
	actionOpen = "patient-open"
)

// AuditQuery says which events are wanted. The zero value is all of them, the newest first.
type AuditQuery struct {
	Users   []int     // users.id, any of them; none is anybody
	Shell   string    // the name of who was at the server's shell, besides Users; "" is nobody
	Actions []string  // any of them; none is all
	Patient string    // patients.id; "" is anybody, and nobody too
	Outcome string    // one of Outcomes, or ""
	From    time.Time // recorded then or later; zero is since ever
	Before  time.Time // recorded earlier; zero is until now
	Cursor  *AuditCursor
	oldest  bool // the oldest come first
	size    int
}

// AuditCursor is a place among the events, which are ordered by time and then id.
type AuditCursor struct {
	Recorded time.Time // to the microsecond
	ID       int64
	Newer    bool // the page of newer events that ends there, instead of the older ones that begin there
}

// auditPage is how many events a page has; auditReach how many of the newest are looked at for a patient before the indexes
// of patients are asked. They give all of a patient's events at once, which are very many for who is in every list: but of
// such a patient a page is soon full without them. What is left for them is in fewer than one event in a few hundred. Tests
// shorten both.
var auditPage, auditReach = 50, 10_000

const auditPanel = 10 // events on the page of a patient or a user

// Kinds names the filters that are set, for the audit: never what they look for.
func (q AuditQuery) kinds() []string {
	all := []string{}
	for _, k := range []struct {
		name string
		set  bool
	}{{"user", q.hasUser()}, {"action", len(q.Actions) > 0}, {"patient", q.Patient != ""}, {"outcome", q.Outcome != ""},
		{"time", !q.From.IsZero() || !q.Before.IsZero()}} {
		if k.set {
			all = append(all, k.name)
		}
	}
	return all
}

var actionName = regexp.MustCompile(`^[a-z][a-z-]*$`)

// check refuses what PostgreSQL would, and would quote in its error.
func (q AuditQuery) check() error {
	ok := typable(q.Shell) && (q.Patient == "" || isUUID(q.Patient)) && (q.Outcome == "" || slices.Contains(Outcomes, q.Outcome))
	for _, a := range q.Actions {
		ok = ok && actionName.MatchString(a)
	}
	for _, t := range []time.Time{q.From, q.Before} {
		ok = ok && (t.IsZero() || t.Year() > 0 && t.Year() < 10_000)
	}
	if c := q.Cursor; c != nil {
		ok = ok && c.ID >= 0 && c.Recorded.Year() > 0 && c.Recorded.Year() < 10_000
	}
	if !ok {
		return ErrAuditQuery
	}
	return nil
}

// upwards says that the events are read from the older to the newer.
func (q AuditQuery) upwards() bool { return q.oldest || q.Cursor != nil && q.Cursor.Newer }

func (q AuditQuery) limit() string { return strconv.Itoa(q.size + 1) }

// order is that of reading, over columns with a prefix.
func (q AuditQuery) order(prefix string) string {
	way := " DESC"
	if q.upwards() {
		way = ""
	}
	return prefix + "recorded" + way + ", " + prefix + "id" + way
}

// auditWay is a part of the statement: values, and what every way to events must keep to.
type auditWay struct {
	AuditQuery
	b *builder
	// gate lets nothing through to who may not.
	gate string
}

func (q AuditQuery) hasUser() bool { return len(q.Users) > 0 || q.Shell != "" }

// rare says that the index of rare actions leads to all actions that are asked for; unlisted that none is a list.
func (q AuditQuery) rare() bool {
	return len(q.Actions) > 0 && !slices.Contains(q.Actions, actionList) && !slices.Contains(q.Actions, actionOpen)
}

func (q AuditQuery) unlisted() bool {
	return len(q.Actions) > 0 && !slices.Contains(q.Actions, actionList)
}

// events is a SELECT of the events to show and one more, in the order of reading. Each filter has an index that holds
// little else, and the statement's shape prescribes which one it is: its plan is made once, for all values.
func (w auditWay) events() string {
	if w.Patient != "" {
		return w.ofPatient()
	}
	return w.plain()
}

// plain are events by user, action, outcome, or none of these.
func (w auditWay) plain() string {
	switch {
	case w.Outcome == "refused": // few are
		return w.walk("audit_events e", "e.outcome = 'refused'", w.rest("outcome"))
	case w.hasUser() && w.unlisted():
		return w.among(`CROSS JOIN unnest(`+w.actions()+`) wanted (action)`,
			"e.actor_id = a.id AND e.action = wanted.action AND e.action <> 'patient-list'", w.rest("user", "action"))
	case w.hasUser():
		return w.among("", "e.actor_id = a.id", w.rest("user"))
	case w.rare():
		return w.merged(`unnest(`+w.actions()+`) wanted (action)`,
			"e.action = wanted.action AND e.action NOT IN ('patient-list', 'patient-open')", w.rest("action"))
	}
	return w.walk("audit_events e", "true", w.rest())
}

// among are the events of users, or of who was at the shell.
func (w auditWay) among(also, way, rest string) string {
	known := w.merged("unnest("+w.users()+") a (id) "+also, way, rest)
	if w.Shell == "" {
		return known
	}
	return `SELECT * FROM ((` + known + `) UNION ALL (` + w.walk("audit_events e", "e.actor_id IS NULL AND e.actor = "+w.b.text(w.Shell), w.rest("user")) + `)) e
		ORDER BY ` + w.order("e.") + ` LIMIT ` + w.limit()
}

// merged are the first events of each of several walks, put in order.
func (w auditWay) merged(from, way, rest string) string {
	return `SELECT x.* FROM ` + from + ` CROSS JOIN LATERAL (` + w.walk("audit_events e", way, rest) + `) x
		ORDER BY ` + w.order("x.") + ` LIMIT ` + w.limit()
}

// walk reads an index in its order.
func (w auditWay) walk(from, way, rest string) string {
	return `SELECT e.* FROM ` + from + ` WHERE ` + w.gate + ` AND ` + way + ` AND ` + w.span() + ` AND ` + rest + `
		ORDER BY ` + w.order("e.") + ` LIMIT ` + w.limit()
}

// ofPatient first looks at so many of the newest; where that gives no full page, the indexes of patients have all. Whoever is
// asked for by an action that is no list is not in that many, and their index is asked at once.
func (w auditWay) ofPatient() string {
	id := w.b.value(w.Patient, "uuid")
	rest := w.rest()
	sorted := func(of string) string {
		return `SELECT e.* FROM (` + of + `) e WHERE ` + w.span() + ` AND ` + rest + ` ORDER BY ` + w.order("e.") + ` LIMIT ` + w.limit()
	}
	if w.unlisted() {
		return sorted(w.found(id, false))
	}
	near := w
	near.size = auditReach
	var walked string
	if len(w.Users) == 1 && w.Shell == "" {
		walked = near.walk("audit_events e", "e.actor_id = "+w.b.value(w.Users[0], "integer"), "true")
	} else {
		walked = near.walk("audit_events e", "true", "true")
	}
	far := w
	far.gate += ` AND (SELECT count(*) FROM near) <= ` + strconv.Itoa(w.size)
	all := `(` + far.found(id, true) + `)`
	if len(w.Actions) != 1 {
		all += ` UNION ALL (` + far.found(id, false) + `)`
	}
	return `WITH near AS MATERIALIZED (
		SELECT e.* FROM (` + walked + `) e WHERE ` + id + ` = ANY (e.patients) AND ` + rest + ` LIMIT ` + w.limit() + `
	)
	(SELECT * FROM near WHERE (SELECT count(*) FROM near) > ` + strconv.Itoa(w.size) + `)
	UNION ALL
	(` + sorted(all) + `)
	ORDER BY ` + w.order("") + ` LIMIT ` + w.limit()
}

// found are all events of a patient that are lists, or all that are none: those in audit_patients, and those that are not in it yet.
// An event that was committed late may be in both.
func (w auditWay) found(id string, listed bool) string {
	return `SELECT * FROM ((` + w.entered(id, listed) + `) UNION (` + w.pending(id, listed) + `)) found`
}

// entered are those in audit_patients. It has their places in the order of reading, so that only those events are read that are
// wanted; but whoever was at the shell, actions and outcomes, only the events know. And from the oldest on there may be places of
// events whose months were dropped.
func (w auditWay) entered(id string, listed bool) string {
	which, who, first := "l.listed", "true", ""
	if !listed {
		which = "NOT l.listed"
	}
	if len(w.Users) > 0 && w.Shell == "" {
		who = "l.actor_id = ANY (" + w.users() + ")"
	}
	if !w.upwards() && w.Shell == "" && w.Outcome == "" && (listed || len(w.Actions) == 0) {
		first = ` ORDER BY ` + w.order("e.") + ` LIMIT ` + w.limit()
	}
	return `SELECT x.* FROM (
			SELECT e.recorded, e.id FROM (
				SELECT DISTINCT at.recorded, at.id FROM audit_patients l CROSS JOIN LATERAL unnest(l.times, l.ids) at (recorded, id)
				WHERE ` + w.gate + ` AND ` + which + ` AND l.patients @> ARRAY[` + id + `] AND ` + who + `
			) e WHERE ` + w.span() + first + `
		) place CROSS JOIN LATERAL (SELECT * FROM audit_events e WHERE e.recorded = place.recorded AND e.id = place.id OFFSET 0) x`
}

// pending are those that are not in audit_patients yet: what was written or sealed since, and what was committed late.
func (w auditWay) pending(id string, listed bool) string {
	action := "= 'patient-list'"
	if !listed {
		action = "<> 'patient-list'"
	}
	return `SELECT x.* FROM unnest(int8multirange(int8range(coalesce((SELECT last_id FROM audit_patients_made), 0) + 1, NULL))
			+ coalesce((SELECT range_agg(i) FROM audit_seals s CROSS JOIN LATERAL unnest(s.ids) i
			            WHERE s.block > coalesce((SELECT block FROM audit_patients_made), 0)), '{}')
			+ coalesce((SELECT gaps FROM audit_seals ORDER BY block DESC LIMIT 1), '{}')) r
		CROSS JOIN LATERAL (
			SELECT * FROM audit_events e WHERE e.id >= lower(r) AND e.id < coalesce(upper(r), 9223372036854775807)
			AND e.action ` + action + ` AND ` + id + ` = ANY (e.patients) OFFSET 0
		) x
		WHERE ` + w.gate
}

// span is what comes after the cursor, within the days that are asked for.
func (w auditWay) span() string {
	all := []string{"true"}
	if c := w.Cursor; c != nil {
		later := " < "
		if w.upwards() {
			later = " > "
		}
		all = append(all, "(e.recorded, e.id)"+later+"("+w.b.value(c.Recorded, "timestamptz")+", "+w.b.value(c.ID, "bigint")+")")
	}
	if !w.From.IsZero() {
		all = append(all, "e.recorded >= "+w.b.value(w.From, "timestamptz"))
	}
	if !w.Before.IsZero() {
		all = append(all, "e.recorded < "+w.b.value(w.Before, "timestamptz"))
	}
	return strings.Join(all, " AND ")
}

// rest gives the conditions that the way itself does not meet.
func (w auditWay) rest(met ...string) string {
	all := []string{"true"}
	if w.hasUser() && !slices.Contains(met, "user") {
		all = append(all, "(e.actor_id = ANY ("+w.users()+") OR e.actor_id IS NULL AND e.actor = nullif("+w.b.text(w.Shell)+", ''))")
	}
	if len(w.Actions) > 0 && !slices.Contains(met, "action") {
		all = append(all, "e.action = ANY ("+w.actions()+")")
	}
	if w.Outcome != "" && !slices.Contains(met, "outcome") {
		all = append(all, "e.outcome = "+w.b.text(w.Outcome))
	}
	return strings.Join(all, " AND ")
}

// users are an array as PostgreSQL writes it, because builder compares values; so are actions.
func (w auditWay) users() string {
	text := strings.Join(each(w.Users, strconv.Itoa), ",")
	return w.b.value("{"+text+"}", "integer[]")
}

// check has seen what is in it.
func (w auditWay) actions() string { return w.b.value("{"+strings.Join(w.Actions, ",")+"}", "text[]") }
