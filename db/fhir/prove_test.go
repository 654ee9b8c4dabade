//go:build prove

package fhir

import "testing"

// The same promise as in the fast suite, with files that could not hide in the heap.
func TestProveReaderMemoryStaysFlatOverLargeFiles(t *testing.T) { memoryStaysFlat(t, 150) }
