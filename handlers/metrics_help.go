package handlers

// helps are all metrics and what they mean, as docs/metrics.md has them (a test compares).
var helps = map[string]string{
	"chartroom_build_info":                    "Always 1; the labels say which program this is.",
	"chartroom_http_requests_total":           "Requests that were answered, by route and status. 499: the browser left before there was an answer.",
	"chartroom_http_request_duration_seconds": "Time from the request's headers to the end of the answer.",
	"chartroom_http_requests_in_flight":       "Requests that are being answered.",
	"chartroom_reads_retried_total":           "Pages that were asked for once more because the connection to the database was lost.",
	"chartroom_panics_total":                  "Faults of the program that ended a request; each is in the log with its place.",
	"chartroom_exports_running":               "Exports to browsers that are under way.",

	"chartroom_sign_ins_total":              "Passwords that were given to sign in or to confirm, by what came of it.",
	"chartroom_password_hash_running":       "Passwords that are being verified or hashed.",
	"chartroom_password_hash_waiting":       "Passwords that wait for their turn.",
	"chartroom_password_hash_places":        "How many may run and wait together; who comes then is told to try again.",
	"chartroom_password_hash_wait_seconds":  "How long a password waited for its turn.",
	"chartroom_password_hash_refused_total": "Passwords that found no place in the queue.",

	"chartroom_database_up":                         "1 when the database answered within a second, else 0. Asked at most every 5 s; left out while every connection is in use.",
	"chartroom_database_connections":                "Connections of the pool by state.",
	"chartroom_database_connections_max":            "How many connections the pool may have.",
	"chartroom_database_connections_opened_total":   "Connections that were opened.",
	"chartroom_database_acquires_total":             "How often a connection was taken from the pool.",
	"chartroom_database_acquires_waited_total":      "How often one was not at hand and had to be waited for or opened.",
	"chartroom_database_acquires_given_up_total":    "How often somebody stopped waiting for one.",
	"chartroom_database_acquire_wait_seconds_total": "Time spent waiting for one that was not at hand.",

	"chartroom_sessions":                          "Sessions that are alive, of all servers on this database.",
	"chartroom_audit_unsealed_seconds":            "Age of the oldest audit event that is not sealed; 0 when all are.",
	"chartroom_audit_last_seal_timestamp_seconds": "When the newest seal was made. Nothing is sealed while nothing happens.",
	"chartroom_audit_refused_total":               "Requests that were refused because the audit could not be written.",
	"chartroom_audit_seal_failures_total":         "Rounds in which audit events could not be sealed.",
	"chartroom_housekeeping_failures_total":       "Rounds of housekeeping that failed, in part or as a whole.",

	"go_goroutines":                 "Goroutines.",
	"go_gomaxprocs":                 "Cores that the program may use.",
	"go_memstats_heap_inuse_bytes":  "Memory in use on the heap.",
	"go_memstats_alloc_bytes_total": "Memory that was allocated on the heap.",
	"go_gc_cpu_seconds_total":       "CPU time of garbage collection.",
	"go_sched_latencies_seconds":    "How long goroutines waited for a core.",
	"process_cpu_seconds_total":     "CPU time of the process.",
	"process_resident_memory_bytes": "Memory of the process.",
	"process_open_fds":              "Open file descriptors.",
	"process_max_fds":               "How many file descriptors may be open.",
	"process_start_time_seconds":    "When the process started.",
}
