//go:build prove

package db_test

import (
	"bufio"
	"context"
	"io"
	"iter"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
)

// TestProveImportSpeed says how many patients a second go in, from a file, and what this process spends on each. The
// server's part is the rest of the time of all cores.
func TestProveImportSpeed(t *testing.T) {
	const n = 100_000
	synthea := func(yield func([]byte) bool) {
		for i := range n {
			if !yield(syntheaLike(i)) {
				return
			}
		}
	}
	for name, patients := range map[string]iter.Seq[[]byte]{"samples of 0.9 KB": sample.Patients(11, n), "as large as Synthea's, 3.3 KB": synthea} {
		f, err := os.Create(filepath.Join(t.TempDir(), "patients.ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		for p := range patients {
			w.Write(append(p, '\n'))
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"new", "again"} {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			d, _ := dbtest.Open(t)
			if what == "again" {
				if _, err := d.ImportPatients(context.Background(), f, db.ImportOptions{Actor: "test"}); err != nil {
					t.Fatal(err)
				}
				if _, err := f.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
			}
			start, before := time.Now(), cpu(t)
			r, err := d.ImportPatients(context.Background(), f, db.ImportOptions{Actor: "test"})
			if took := time.Since(start); err != nil || r.Patients() != n || r.Rejected > 0 {
				t.Errorf("%+v, %v", r, err)
			} else {
				t.Logf("%s, %s: %.0f patients/s, %v of this process's CPU each", name, what, n/took.Seconds(), (cpu(t)-before)/n)
			}
		}
		f.Close()
	}
}

func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
