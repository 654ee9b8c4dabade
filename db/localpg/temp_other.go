//go:build unix && !linux

package localpg

// memoryDirs are the places whose files live in memory: none by convention.
func memoryDirs(uint64) []string { return nil }
