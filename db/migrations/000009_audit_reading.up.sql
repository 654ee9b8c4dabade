-- Reading the audit: the newest first, by who, by what, and by whom it concerned. Every page of the site writes an event, so
-- that each index here is paid for with every page; what a list's event does not need it is not in. docs/decisions.md has
-- what they cost.
CREATE INDEX audit_events_actor ON audit_events (actor_id, recorded, id);

-- Of all that is not a list of patients, which most events are: what a user did. Of all that is rare: what was done.
CREATE INDEX audit_events_actor_action ON audit_events (actor_id, action, recorded, id) WHERE action <> 'patient-list';
CREATE INDEX audit_events_action ON audit_events (action, recorded, id) WHERE action NOT IN ('patient-list', 'patient-open');
CREATE INDEX audit_events_refused ON audit_events (recorded, id) WHERE outcome = 'refused';

-- Who is no user: somebody at the server's shell.
CREATE INDEX audit_events_shell ON audit_events (actor, recorded, id) WHERE actor_id IS NULL;

-- Whom it concerned. New entries wait in a list that is read along, so that a page of 25 patients does not change 25 places
-- of the index; the list is small, because each question about a patient reads all of it, and because the page that fills it
-- waits until it is emptied. Two, because a patient who is first
-- in the alphabet is in nearly every list, and who opened or changed them must be found without going through those.
CREATE INDEX audit_events_listed ON audit_events USING gin (patients) WITH (gin_pending_list_limit = 256) WHERE action = 'patient-list';
CREATE INDEX audit_events_concerned ON audit_events USING gin (patients) WITH (gin_pending_list_limit = 256) WHERE action <> 'patient-list';
