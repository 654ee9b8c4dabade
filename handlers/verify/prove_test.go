//go:build prove

package verify

import "testing"

// TestProveEachFaultAloneIsNamedAndNothingBeside plants one fault at a time into a good deployment.
func TestProveEachFaultAloneIsNamedAndNothingBeside(t *testing.T) {
	b := newBackend(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			d := deploy(t, b)
			f.plant(d)
			got := d.visit()
			compare(t, got, f)
			tellsNothing(t, got)
		})
	}
	t.Logf("%d faults planted, one at a time", len(faults))
}
