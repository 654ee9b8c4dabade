DROP INDEX audit_events_concerned;
DROP INDEX audit_events_listed;
DROP INDEX audit_events_shell;
DROP INDEX audit_events_refused;
DROP INDEX audit_events_action;
DROP INDEX audit_events_actor_action;
DROP INDEX audit_events_actor;
