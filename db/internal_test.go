package db

import "testing"

// SetReach shortens how far ways to matches are followed, for the rest of a test.
func SetReach(t *testing.T, some, long, share int) {
	before := reach
	t.Cleanup(func() { reach = before })
	reach.some, reach.long, reach.share = some, long, share
}

// SetCost makes hashes cheap for the rest of a test, where many are made and none is what is tested.
func SetCost(t *testing.T, cost int) {
	t.Cleanup(func() { bcryptCost = todaysCost })
	bcryptCost = cost
}

// SetAudit makes pages of the audit short, and how many of the newest events are looked at for a patient few, for the rest of
// a test.
func SetAudit(t *testing.T, page, reach int) {
	beforePage, beforeReach := auditPage, auditReach
	t.Cleanup(func() { auditPage, auditReach = beforePage, beforeReach })
	auditPage, auditReach = page, reach
}
