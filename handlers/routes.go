package handlers

import (
	"net/http"
	"strings"

	"chartroom/db"
)

// access says who may use a route. Its zero value is "signed in", so that a route without a word on it is closed.
type access int

const (
	signedIn access = iota // any role
	writers                // those who may create and change patients
	admins                 // those who manage the accounts and read the audit
	public                 // everybody; such a route shows no patient and changes nothing but the caller's own session
)

// roles are those that the database is asked to find.
func (a access) roles() []string {
	switch a {
	case public:
		return nil
	case writers:
		return db.Writers
	case admins:
		return []string{db.RoleAdmin}
	}
	return db.Roles
}

type route struct {
	pattern string
	access  access
	fresh   bool // only soon after the password was given (db.ConfirmedFor); else it is asked for first
	off     whileOff
	handle  func(http.ResponseWriter, *http.Request) error
}

// reads says that asking twice changes nothing more than asking once: GET, as RFC 9110 has it, and the searches, which are forms so
// that no address holds what is searched for.
func (rt route) reads() bool {
	return strings.HasPrefix(rt.pattern, "GET ") || strings.HasSuffix(rt.pattern, "/search")
}

// routes is the whole surface of the site.
func (s *Server) routes() []route {
	return []route{
		{pattern: "GET /{$}", access: public, off: asEver, handle: s.home},
		{pattern: "GET /help", access: public, off: asEver, handle: s.help},
		{pattern: "GET /login", access: public, off: asEver, handle: s.loginForm},
		{pattern: "POST /login", access: public, off: asEver, handle: s.login},
		// Signing out works without a form token, and so from a page that is older than the session: refusing it would
		// keep open what somebody wants to close.
		{pattern: "POST /logout", access: public, off: asEver, handle: s.logout},
		{pattern: "GET /session", off: asEver, handle: s.sessionLeft},
		{pattern: "POST /session", off: asEver, handle: s.staySignedIn},
		{pattern: "POST /confirm", handle: s.confirm},
		{pattern: "GET /account", handle: s.account},
		{pattern: "POST /account/email", fresh: true, handle: s.changeEmail},
		{pattern: "GET /account/display", handle: s.display},
		{pattern: "POST /account/display", handle: s.setDisplay},
		{pattern: "POST /account/display/columns", handle: s.setColumns},
		{pattern: "GET /account/password", handle: s.passwordForm},
		{pattern: "POST /account/password", handle: s.changePassword}, // which asks for the password itself
		{pattern: "POST /account/sessions/{id}/end", fresh: true, handle: s.endSession},
		{pattern: "POST /account/sessions/end-others", fresh: true, handle: s.endOtherSessions},
		{pattern: "GET /invite/{token}", access: public, handle: s.invite},
		{pattern: "POST /invite/{token}", access: public, handle: s.useInvite},

		{pattern: "GET /admin/users", access: admins, handle: s.users},
		{pattern: "POST /admin/users/search", access: admins, handle: s.searchUsers},
		{pattern: "GET /admin/users/new", access: admins, handle: s.newUser},
		{pattern: "POST /admin/users", access: admins, fresh: true, handle: s.createUser},
		{pattern: "GET /admin/users/{id}", access: admins, handle: s.user},
		{pattern: "POST /admin/users/{id}/role", access: admins, fresh: true, handle: s.setRole},
		{pattern: "POST /admin/users/{id}/disable", access: admins, fresh: true, handle: s.changeUser("disabled", (*db.DB).DisableUser)},
		{pattern: "POST /admin/users/{id}/enable", access: admins, fresh: true, handle: s.changeUser("enabled", (*db.DB).EnableUser)},
		{pattern: "POST /admin/users/{id}/link", access: admins, fresh: true, handle: s.makeLink},
		{pattern: "POST /admin/users/{id}/end-sessions", access: admins, fresh: true, handle: s.changeUser("signed-out", (*db.DB).SignOutUser)},
		{pattern: "POST /admin/users/{id}/unlock", access: admins, fresh: true, handle: s.changeUser("unlocked", (*db.DB).UnlockUser)},
		{pattern: "GET /admin/audit", access: admins, off: asEver, handle: s.audit},
		{pattern: "POST /admin/audit/search", access: admins, off: asEver, handle: s.searchAudit},
		{pattern: "GET /admin/audit/events/{id}", access: admins, off: asEver, handle: s.auditEvent},
		{pattern: "POST /admin/audit/export", access: admins, fresh: true, handle: s.exportAudit},

		{pattern: "GET /patients", off: readable, handle: s.patients},
		{pattern: "POST /patients/search", off: readable, handle: s.searchPatients},
		{pattern: "GET /patients/recent", off: asEver, handle: s.recent},
		{pattern: "GET /patients/{id}", off: readable, handle: s.patient},
		{pattern: "GET /patients/new", access: writers, handle: s.newPatient},
		{pattern: "POST /patients", access: writers, handle: s.createPatient},
		{pattern: "GET /patients/{id}/edit", access: writers, handle: s.editPatient},
		{pattern: "POST /patients/{id}", access: writers, handle: s.changePatient},
		{pattern: "POST /patients/{id}/conflict", access: writers, handle: s.decideConflict},
		{pattern: "POST /patients/new/draft", access: writers, handle: s.saveDraft},
		{pattern: "POST /patients/{id}/draft", access: writers, handle: s.saveDraft},
		{pattern: "POST /patients/new/draft/discard", access: writers, handle: s.discardDraft},
		{pattern: "POST /patients/{id}/draft/discard", access: writers, handle: s.discardDraft},
		{pattern: "GET /patients/export", access: writers, handle: s.exportPatients},

		{pattern: "GET /healthcheck", access: public, off: asEver, handle: s.healthcheck},
		{pattern: "GET /livez", access: public, off: asEver, handle: s.livez},
		{pattern: "POST /csp-report", access: public, off: asEver, handle: s.cspReport},
		{pattern: "GET /assets/{name...}", access: public, off: asEver, handle: s.asset},
	}
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.Handle(rt.pattern, s.serve(rt))
	}
	return mux
}
