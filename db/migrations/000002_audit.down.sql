DROP TABLE audit_events;
DROP FUNCTION audit_events_make_partitions(integer);
DROP FUNCTION audit_events_refuse();
