package db

// AuditActions are all values of audit_events.action. docs/audit.md says of each when it is written and with what.
var AuditActions = []string{
	"access", "audit-drop", "audit-export", "audit-list", "audit-open", "conflict-keep", "conflict-take", "csrf", "email-change", "export", "import", "import-undo", "link",
	"migration", "password-by-link", "password-change", "patient-change", "patient-create", "patient-list", "patient-open",
	"session-ended", "session-expired", "session-removed", "session-renewed", "sign-in", "sign-out", "start", "user-create",
	"user-disable", "user-enable", "user-reset-link", "user-set-password", "user-set-role", "user-sign-out", "user-unlock",
}
