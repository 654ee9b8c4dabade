// Package views turns formatted values into HTML. It knows no database and no request: what a page shows is handed to
// it, so that nothing that was not meant for a page can reach one.
package views

import (
	"net/url"
	"strconv"
)

// Addresses, each built in one place, for components and redirects alike. None takes a value that a person typed.

// DisplayPath is how one wants pages to look; the form on it is sent there too.
const DisplayPath = "/account/display"

// ColumnsPath takes which columns the list has.
const ColumnsPath = DisplayPath + "/columns"

// HelpPath tells how to search and which keys there are.
const HelpPath = "/help"

// HomePath leads to the list, or to sign-in.
const HomePath = "/"

// LoginPath leads to sign-in and from there to next, a path within the site; "" is the list.
func LoginPath(next string) string {
	if next == "" {
		return "/login"
	}
	return "/login?" + url.Values{"next": {next}}.Encode()
}

// Why somebody is led to sign-in who had a session. LoginPage has the words.
const (
	ReasonTimeout = "timeout" // nothing was done for the idle time
	ReasonEnd     = "end"     // the session's lifetime was over
	ReasonEnded   = "ended"   // one of these, or somebody ended it
)

// LoginReasonPath is LoginPath with one of the reasons.
func LoginReasonPath(next, reason string) string {
	v := url.Values{"reason": {reason}}
	if next != "" {
		v.Set("next", next)
	}
	return "/login?" + v.Encode()
}

// LogoutPath ends the session, by POST.
const LogoutPath = "/logout"

// PatientsPath is the list in the state that a sealed parameter holds; "" is the list as it opens.
func PatientsPath(list string) string {
	if list == "" {
		return "/patients"
	}
	return "/patients?list=" + url.QueryEscape(list)
}

// SearchPath takes a search, by POST.
const SearchPath = "/patients/search"

// PatientPath is one patient's page.
func PatientPath(id string) string { return "/patients/" + url.PathEscape(id) }

// RecentPath are the patients that one opened last.
const RecentPath = "/patients/recent"

// NewPatientPath is the form for a new patient, which is sent to PatientsPath("").
const NewPatientPath = "/patients/new"

// EditPatientPath is the form of a patient, which is sent to PatientPath.
func EditPatientPath(id string) string { return PatientPath(id) + "/edit" }

// FormPath is the form of a patient, or with "" that of a new one.
func FormPath(id string) string {
	if id == "" {
		return NewPatientPath
	}
	return EditPatientPath(id)
}

// DraftPath keeps what is being typed into that form, by POST.
func DraftPath(id string) string {
	if id == "" {
		return NewPatientPath + "/draft"
	}
	return PatientPath(id) + "/draft"
}

// DiscardDraftPath forgets it, by POST.
func DiscardDraftPath(id string) string { return DraftPath(id) + "/discard" }

// ConflictPath takes the decision about what an import brought, by POST.
func ConflictPath(id string) string { return PatientPath(id) + "/conflict" }

// PatientNoticePath is a patient's page with a word on what has just been done there, one of a few that it knows.
func PatientNoticePath(id, notice string) string {
	return PatientPath(id) + "?" + url.Values{"notice": {notice}}.Encode()
}

// ExportPath is the list in the state that a sealed parameter holds, as a file; format is ndjson or csv.
func ExportPath(list, format string) string {
	v := url.Values{"format": {format}}
	if list != "" {
		v.Set("list", list)
	}
	return "/patients/export?" + v.Encode()
}

// AccountPath is the signed-in user's own page.
const AccountPath = "/account"

// PasswordPath is where users change their own password, and go on to next, a path within the site.
func PasswordPath(next string) string {
	if next == "" {
		return AccountPath + "/password"
	}
	return AccountPath + "/password?" + url.Values{"next": {next}}.Encode()
}

// EmailPath and EndOthersPath change the own account, by POST.
const (
	EmailPath     = AccountPath + "/email"
	EndOthersPath = AccountPath + "/sessions/end-others"
)

// EndSessionPath ends one of the own sessions, by POST.
func EndSessionPath(id string) string {
	return AccountPath + "/sessions/" + url.PathEscape(id) + "/end"
}

// ConfirmPath takes the password again, by POST, and goes on with what asked for it.
const ConfirmPath = "/confirm"

// InvitePath is a link by which a user sets a password, once.
func InvitePath(token string) string { return "/invite/" + url.PathEscape(token) }

// UsersPath is the administrators' list of accounts.
const UsersPath = "/admin/users"

// NewUserPath is the form for a new account, which is sent to UsersPath.
const NewUserPath = UsersPath + "/new"

// UserPath is one account's page; UserActionPath does something to it, by POST.
func UserPath(id int) string { return UsersPath + "/" + strconv.Itoa(id) }

// UserActionPath does something to an account, by POST: role, disable, enable, link, end-sessions, unlock.
func UserActionPath(id int, action string) string { return UserPath(id) + "/" + action }

// SearchUsersPath takes a search among the accounts, by POST.
const SearchUsersPath = UsersPath + "/search"

// NoticePath is a page of accounts with a word on what has just been done, one of a few that it knows.
func NoticePath(page, notice string) string {
	return page + "?" + url.Values{"notice": {notice}}.Encode()
}

// AuditPath is the audit, AuditSearchPath takes its filters and AuditExportPath makes a file of it, both by POST.
const (
	AuditPath       = "/admin/audit"
	AuditSearchPath = AuditPath + "/search"
	AuditExportPath = AuditPath + "/export"
)

// AuditListPath is the audit with filters: ids, dates and words of ours.
func AuditListPath(filters url.Values) string {
	if len(filters) == 0 {
		return AuditPath
	}
	return AuditPath + "?" + filters.Encode()
}

// AuditEventPath is one event's page.
func AuditEventPath(id int64) string { return AuditPath + "/events/" + strconv.FormatInt(id, 10) }

// SessionPath answers how long the session lasts, without keeping it alive; by POST it keeps it alive.
const SessionPath = "/session"

// CSPReportPath takes browsers' reports.
const CSPReportPath = "/csp-report"
