//go:build prove

package handlers

import "testing"

// TestProveWhoSawIsExactlyRight is the walk of its short sister, of 5 users over 500 patients.
func TestProveWhoSawIsExactlyRight(t *testing.T) { walkAndCompare(t, 500, 2000) }
