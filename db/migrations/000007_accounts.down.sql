DROP INDEX audit_events_sign_ins;
DROP TABLE drafts;
DROP TABLE account_links;
DROP TABLE known_devices;
DROP FUNCTION sign_in_attempt(text[], bytea[], integer);
DROP FUNCTION sign_in_delay(text, integer);
DROP TABLE sign_in_throttle;
