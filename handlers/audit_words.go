package handlers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"chartroom/db"
	"chartroom/views"
)

// auditGroups are all actions that are ever recorded, in words, as the filter offers them. A group's name asks for all of it.
var auditGroups = []struct {
	name, label string
	actions     []auditAction
}{
	{"seen", "Patients seen", []auditAction{{"patient-list", "Saw in a list"}, {"patient-open", "Opened a patient"}}},
	{"changed", "Patients changed", []auditAction{{"patient-create", "Added a patient"}, {"patient-change", "Changed a patient"},
		{"conflict-keep", "Kept what is here instead of imported data"}, {"conflict-take", "Took imported data over"},
		{"import", "Imported patients"}, {"import-undo", "Took an import back"}}},
	{"taken", "Data taken out", []auditAction{{"export", "Exported patients"}, {"audit-export", "Exported the audit"}}},
	{"sign-ins", "Signing in and out", []auditAction{{"sign-in", "Sign-in"}, {"sign-out", "Signed out"}, {"session-renewed", "Gave the password again"},
		{"session-ended", "Ended a session"}, {"session-expired", "A session expired"}, {"session-removed", "A session was removed in the database"}}},
	{"accounts", "Accounts", []auditAction{{"user-create", "Created a user"}, {"user-disable", "Disabled a user"}, {"user-enable", "Enabled a user"},
		{"user-set-role", "Changed a role"}, {"user-set-password", "Set a user's password"}, {"user-reset-link", "Made a link for a password"},
		{"user-sign-out", "Signed a user out everywhere"}, {"user-unlock", "Unlocked a user"}, {"password-change", "Changed their password"},
		{"password-by-link", "Set a password by a link"}, {"email-change", "Changed their e-mail address"}}},
	{"audit", "The audit", []auditAction{{"audit-list", "Read the audit"}, {"audit-open", "Opened an event"}, {"audit-drop", "Dropped a month of events"}}},
	{"denied", "Refused", []auditAction{{"access", "Asked for what the role does not allow"}, {"csrf", "Sent a form from elsewhere"},
		{"link", "Opened a link that is not valid"}}},
	{"server", "The server", []auditAction{{"start", "Started a server"}, {"migration", "Migrated the database"}}},
}

type auditAction struct{ name, words string }

// auditWords are the words for an action; one from another version of the program is said as it is stored.
func auditWords(action string) string {
	for _, g := range auditGroups {
		for _, a := range g.actions {
			if a.name == action {
				return a.words
			}
		}
	}
	return action
}

// auditActions are those of a group, or the one of that name; none for what is neither.
func auditActions(what string) (all []string) {
	for _, g := range auditGroups {
		for _, a := range g.actions {
			if a.name == what || g.name == what {
				all = append(all, a.name)
			}
		}
	}
	return all
}

// auditChoices are the filter's.
func auditChoices(chosen string) (all []views.ChoiceGroup) {
	for _, g := range auditGroups {
		group := views.ChoiceGroup{Label: g.label}
		if len(g.actions) > 1 {
			group.Choices = append(group.Choices, views.Choice{Value: g.name, Label: g.label + ": all", Chosen: g.name == chosen})
		}
		for _, a := range g.actions {
			group.Choices = append(group.Choices, views.Choice{Value: a.name, Label: a.words, Chosen: a.name == chosen})
		}
		all = append(all, group)
	}
	return all
}

// auditDetails say what an event's detail holds; %s is the value. "" is what says nothing to people.
var auditDetails = map[string]string{
	"version": "version %s", "fields": "%s", "import": "import %s", "created": "%s created", "updated": "%s updated", "conflicts": "%s in conflict",
	"deleted": "%s deleted", "restored": "%s restored", "kind": "%s", "format": "as %s", "role": "role %s", "user_id": "user %s", "event": "event %s",
	"methods": "", "sort": "", "searched": "searched", "filtered": "filtered", "similar": "similar names", "duplicates": "likely duplicates",
	"filters": "by %s", "events": "%s events", "complete": "complete", "email": "with e-mail address", "month": "of %s",
	"route": "%s", "left_out": "%s more like it", "weakened": "weakened by %s", "from": "from version %s", "to": "to version %s",
}

// auditDetail makes a line of an event's detail. A value that is false, zero or empty is left out.
func auditDetail(detail json.RawMessage) string {
	var all map[string]any
	if err := json.Unmarshal(detail, &all); err != nil {
		return ""
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		text, known := detailValue(all[key]), true
		if text == "" || text == "false" || text == "0" {
			continue
		}
		form, known := auditDetails[key]
		switch {
		case !known:
			parts = append(parts, key+" "+text)
		case strings.Contains(form, "%s"):
			parts = append(parts, fmt.Sprintf(form, text))
		case form != "":
			parts = append(parts, form)
		}
	}
	return strings.Join(parts, ", ")
}

func detailValue(v any) string {
	switch v := v.(type) {
	case string:
		if role := roleNames[v]; role != "" {
			return strings.ToLower(role)
		}
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var all []string
		for _, x := range v {
			all = append(all, detailValue(x))
		}
		return strings.Join(all, ", ")
	case nil:
		return ""
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}

// auditRow formats an event for a list.
func (s *Server) auditRow(e db.AuditEvent) views.AuditRow {
	row := views.AuditRow{URL: views.AuditEventPath(e.ID), At: s.format.second(e.Recorded), AtISO: iso(e.Recorded), Who: e.Actor, What: auditWords(e.Action),
		Detail: auditDetail(e.Detail), Refused: e.Outcome == "refused", Client: deref(e.Client)}
	switch {
	case e.ActorID != nil:
		row.WhoURL = views.UserPath(*e.ActorID)
	case e.Actor != "" && e.Actor != db.StandInName:
		row.Shell = true
	}
	if e.Patients > 0 {
		row.Patients = plural(e.Patients, "patient")
	}
	if e.Patient != nil {
		row.Patient, row.PatientURL = deref(e.PatientName), views.PatientPath(*e.Patient)
	}
	return row
}

func (s *Server) auditRows(all []db.AuditEvent) (rows []views.AuditRow) {
	for _, e := range all {
		rows = append(rows, s.auditRow(e))
	}
	return rows
}
