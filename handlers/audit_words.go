package handlers

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// auditGroups are all actions that are ever recorded, as the filter offers them. A group's name asks for all of it.
var auditGroups = []struct {
	name    string
	actions []string
}{
	{"seen", []string{"patient-list", "patient-open"}},
	{"changed", []string{"patient-create", "patient-change", "conflict-keep", "conflict-take", "import", "import-undo"}},
	{"taken", []string{"export", "audit-export"}},
	{"sign-ins", []string{"sign-in", "sign-out", "session-renewed", "session-ended", "session-expired", "session-removed"}},
	{"accounts", []string{"user-create", "user-disable", "user-enable", "user-set-role", "user-set-password", "user-reset-link", "user-sign-out", "user-unlock", "password-change", "password-by-link", "email-change"}},
	{"audit", []string{"audit-list", "audit-open", "audit-drop"}},
	{"denied", []string{"access", "csrf", "link"}},
	{"server", []string{"start", "migration"}},
}

// auditWords are the words for an action; one from another version of the program is said as it is stored.
func auditWords(t *texts.Texts, action string) string { return cmp.Or(t.Audit.Actions[action], action) }

// auditActions are those of a group, or the one of that name; none for what is neither.
func auditActions(what string) (all []string) {
	for _, g := range auditGroups {
		for _, a := range g.actions {
			if a == what || g.name == what {
				all = append(all, a)
			}
		}
	}
	return all
}

// auditChoices are the filter's.
func auditChoices(t *texts.Audit, chosen string) (all []views.ChoiceGroup) {
	for _, g := range auditGroups {
		group := views.ChoiceGroup{Label: t.Groups[g.name]}
		if len(g.actions) > 1 {
			group.Choices = append(group.Choices, views.Choice{Value: g.name, Label: t.All(group.Label), Chosen: g.name == chosen})
		}
		for _, a := range g.actions {
			group.Choices = append(group.Choices, views.Choice{Value: a, Label: t.Actions[a], Chosen: a == chosen})
		}
		all = append(all, group)
	}
	return all
}

// auditUnsaid is in an event's detail and says nothing to people.
var auditUnsaid = []string{"methods", "sort"}

// auditDetail makes a line of an event's detail. A value that is false, zero or empty is left out.
func auditDetail(t *texts.Texts, detail json.RawMessage) string {
	var all map[string]any
	if err := json.Unmarshal(detail, &all); err != nil {
		return ""
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		text := detailValue(t, all[key])
		if text == "" || text == "false" || text == "0" || slices.Contains(auditUnsaid, key) {
			continue
		}
		if say := t.Audit.Details[key]; say != nil {
			parts = append(parts, say(text))
		} else {
			parts = append(parts, key+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}

func detailValue(t *texts.Texts, v any) string {
	switch v := v.(type) {
	case string:
		if role := t.Common.Roles[v]; role != "" {
			return strings.ToLower(role)
		}
		return cmp.Or(t.Audit.Values[v], v)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var all []string
		for _, x := range v {
			all = append(all, detailValue(t, x))
		}
		return strings.Join(all, ", ")
	case nil:
		return ""
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}

// auditRow formats an event for a list.
func (f format) auditRow(e db.AuditEvent) views.AuditRow {
	row := views.AuditRow{URL: views.AuditEventPath(e.ID), At: f.second(e.Recorded), AtISO: iso(e.Recorded), Who: e.Actor, What: auditWords(f.t, e.Action),
		Detail: auditDetail(f.t, e.Detail), Refused: e.Outcome == "refused", Client: deref(e.Client)}
	switch {
	case e.ActorID != nil:
		row.WhoURL = views.UserPath(*e.ActorID)
	case e.Actor == db.StandInName:
		row.Who = f.t.Audit.SignInOff
	case e.Actor != "":
		row.Shell = true
	}
	if e.Patients > 0 {
		row.Patients = f.t.Audit.Count(e.Patients, f.number(e.Patients))
	}
	if e.Patient != nil {
		row.Patient, row.PatientURL = deref(e.PatientName), views.PatientPath(*e.Patient)
	}
	return row
}

func (f format) auditRows(all []db.AuditEvent) (rows []views.AuditRow) {
	for _, e := range all {
		rows = append(rows, f.auditRow(e))
	}
	return rows
}
