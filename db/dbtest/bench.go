//go:build bench

package dbtest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/localpg"
	"chartroom/db/sample"
)

// Bench is what the benches of all packages stand on: a private PostgreSQL that keeps its crowds between runs, the
// program as it is released, and the sections of docs/performance.md, which each bench writes some of. The packages'
// benches must run one after the other (go test -p 1).
type Bench struct {
	Dir    string // CHARTROOM_BENCH_DIR
	Binary string // the program, stripped
	pg     *localpg.Server
}

// BenchSizes are the numbers of patients to measure with: CHARTROOM_BENCH_SIZES, separated by commas.
func BenchSizes(t testing.TB) []int {
	t.Helper()
	var all []int
	for text := range strings.SplitSeq(benchSetting("SIZES", "10000,1000000"), ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1000 {
			t.Fatalf("CHARTROOM_BENCH_SIZES: %q is no number of patients, at least 1000", text)
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

func benchSetting(name, preset string) string {
	if v := os.Getenv("CHARTROOM_BENCH_" + name); v != "" {
		return v
	}
	return preset
}

// OpenBench starts the server, durable as a clinic's, and builds the program.
func OpenBench(t testing.TB) *Bench {
	t.Helper()
	b := &Bench{Dir: benchSetting("DIR", filepath.Join(os.TempDir(), "chartroom-bench"))}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var err error
	b.pg, err = localpg.Start(ctx, localpg.Options{Dir: filepath.Join(b.Dir, "postgres"), Durable: true, BinDir: os.Getenv("CHARTROOM_POSTGRES_BIN"),
		Settings: []string{"shared_buffers=" + strconv.Itoa(quarterOfMemory()) + "MB"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.pg.Stop(); err != nil {
			t.Error(err)
		}
	})
	b.Binary = filepath.Join(b.Dir, "chartroom")
	build := osexec.Command("go", "build", "-tags", "nethttpomithttp2", "-gcflags=chartroom/views=-l", "-gcflags=github.com/alecthomas/kong=-l", "-trimpath", "-ldflags", "-s -w", "-o", b.Binary, ".")
	build.Dir, build.Env = Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return b
}

// quarterOfMemory, in megabytes, is what PostgreSQL's manual starts from for shared_buffers on a server of its own.
func quarterOfMemory() int {
	kb, err := strconv.Atoi(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"))
	if err != nil {
		return 1024
	}
	return kb / 1024 / 4
}

// procField is a value from a file of lines of the form "name: value".
func procField(file, name string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.SplitSeq(string(text), "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "not known"
}

// Command is the program, with nothing in its environment but env and what it needs to run.
func (b *Bench) Command(env []string, args ...string) *osexec.Cmd {
	c := osexec.Command(b.Binary, args...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	return c
}

// Load is how the patients came into a database.
type Load struct {
	Patients int
	Seconds  float64
	RSS      int64 // of the importing process, at its highest, in bytes
	Vacuum   float64
	At       time.Time
}

// crowdVersion changes with what sample.Crowd makes.
const crowdVersion = "1"

// Crowd gives the address of a database with n of the crowd, as `chartroom import` loads them. One that is there from a
// run before, under the same migrations, is used again.
func (b *Bench) Crowd(t testing.TB, n int) (string, Load) {
	t.Helper()
	name := fmt.Sprintf("crowd_%d_%s", n, schemaVersion(t))
	var load Load
	if text := b.kept(t, n, name); text != "" {
		if err := json.Unmarshal([]byte(text), &load); err != nil {
			t.Fatal(err)
		}
		return b.pg.URL(name), load
	}
	t.Logf("loading %d patients", n)
	if err := db.EnsureDatabase(context.Background(), b.pg.URL("postgres"), name, true); err != nil {
		t.Fatal(err)
	}
	load = b.load(t, b.pg.URL(name), n)
	text, err := json.Marshal(load)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, b.pg.URL(name), `CREATE SCHEMA bench; CREATE TABLE bench.load (report text NOT NULL)`)
	execute(t, b.pg.URL(name), `INSERT INTO bench.load VALUES ($1)`, string(text))
	return b.pg.URL(name), load
}

// Fresh gives the address of an empty database under this program's migrations, which goes with the test.
func (b *Bench) Fresh(t testing.TB, name string) string {
	t.Helper()
	if err := db.EnsureDatabase(context.Background(), b.pg.URL("postgres"), name, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { execute(t, b.pg.URL("postgres"), `DROP DATABASE `+name+` WITH (FORCE)`) })
	if err := Migrator(b.pg.URL(name)).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	return b.pg.URL(name)
}

// Filled gives the address of a migrated database that fill has filled. One that is there from a run before, under the same
// migrations, is used again.
func (b *Bench) Filled(t testing.TB, name string, fill func(url string)) string {
	t.Helper()
	name += "_" + schemaVersion(t)
	url := b.pg.URL(name)
	if c, err := pgx.Connect(context.Background(), url); err == nil {
		var done bool
		_ = c.QueryRow(context.Background(), `SELECT to_regclass('bench.done') IS NOT NULL`).Scan(&done) // fails for none
		_ = c.Close(context.Background())
		if done {
			return url
		}
	}
	if err := db.EnsureDatabase(context.Background(), b.pg.URL("postgres"), name, true); err != nil {
		t.Fatal(err)
	}
	if err := Migrator(url).Up(context.Background()); err != nil {
		t.Fatal(err)
	}
	fill(url)
	execute(t, url, `CREATE SCHEMA bench; CREATE TABLE bench.done ()`)
	return url
}

// kept gives the report of a database that is there and complete, and drops those of the same size that are not.
func (b *Bench) kept(t testing.TB, n int, name string) (report string) {
	t.Helper()
	admin := Conn(t, b.pg.URL("postgres"))
	rows, err := admin.Query(context.Background(), `SELECT datname::text FROM pg_database WHERE datname LIKE $1`, fmt.Sprintf(`crowd\_%d\_%%`, n))
	if err != nil {
		t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range there {
		if d == name {
			c := Conn(t, b.pg.URL(d))
			_ = c.QueryRow(context.Background(), `SELECT report FROM bench.load`).Scan(&report) // fails for one that was cut off
			_ = c.Close(context.Background())
		}
		if report == "" || d != name {
			execute(t, b.pg.URL("postgres"), `DROP DATABASE `+d+` WITH (FORCE)`)
		}
	}
	return report
}

// load runs the released program, so that what is measured is what a clinic gets.
func (b *Bench) load(t testing.TB, url string, n int) Load {
	t.Helper()
	env := []string{"DATABASE_URL=" + url}
	if out, err := b.Command(env, "migrate", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(b.Dir, "crowd.ndjson")
	if err := writeCrowd(file, n); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	c := b.Command(env, "import", file)
	out := &Buffer{}
	c.Stdout, c.Stderr = out, out
	start := time.Now()
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	load := Load{Patients: n, Seconds: time.Since(start).Seconds(), RSS: c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10, At: time.Now()}
	start = time.Now()
	execute(t, url, `VACUUM ANALYZE`)
	load.Vacuum = time.Since(start).Seconds()
	return load
}

// writeCrowd makes the file beforehand: what it takes to make patients up is no part of their import.
func writeCrowd(file string, n int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for p := range sample.Crowd(1, n) {
		_, _ = w.Write(append(p, '\n')) // Flush has its error
	}
	return errors.Join(w.Flush(), f.Close())
}

func execute(t testing.TB, url, sql string, args ...any) {
	t.Helper()
	c := Conn(t, url)
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// schemaVersion tells databases apart that other migrations made.
func schemaVersion(t testing.TB) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Root(), "db", "migrations", "*.up.sql"))
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations", err)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, crowdVersion)
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:4])
}

// Log is what the server said since it was started.
func (b *Bench) Log(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.Dir, "postgres", "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A Section is a part of docs/performance.md.
type Section struct {
	Title string
	Short []string // what falls short, a sentence each
	Text  string   // Markdown
	At    time.Time
}

// Add keeps a section under a name that orders it, and writes the document anew from all that are kept.
func (b *Bench) Add(t testing.TB, name string, s Section) {
	t.Helper()
	s.At = time.Now()
	dir := filepath.Join(b.Dir, "sections")
	text, err := json.Marshal(s)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".json"), text, 0o644)
	}
	if err == nil {
		err = b.write(t, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b *Bench) write(t testing.TB, dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	var short []string
	var body strings.Builder
	var lists []Section
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		var s Section
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		if strings.HasPrefix(s.Title, "The list at ") {
			lists = append(lists, s)
		}
		for _, sentence := range s.Short {
			short = append(short, "- "+s.Title+": "+sentence)
		}
		fmt.Fprintf(&body, "\n## %s\n\nMeasured on %s.\n\n%s\n", s.Title, s.At.UTC().Format("2 January 2006, 15:04 UTC"), strings.TrimSpace(s.Text))
	}
	if len(short) == 0 {
		short = []string{"Nothing of what is measured here."}
	}
	body.WriteString(growth(lists))
	misspelt, err := os.ReadFile(filepath.Join(b.Dir, MisspeltFile))
	if err != nil {
		misspelt = []byte("Not measured in this directory yet: `task prove` writes it when `CHARTROOM_BENCH_DIR` is set.")
	}
	doc := "# Performance\n\nWritten by `task bench`; do not edit. Times are on the machine below and compare only with each other.\n\n" +
		machine(t, b) + "\n## What falls short\n\n" + strings.Join(short, "\n") + "\n" + body.String() +
		"\n## Misspelt names\n\n" + strings.TrimSpace(string(misspelt)) + "\n"
	return os.WriteFile(benchSetting("REPORT", filepath.Join(Root(), "docs", "performance.md")), []byte(doc), 0o644)
}

// growth puts the lists of several sizes beside each other: the median of each kind of search, from their tables of every
// cell.
func growth(lists []Section) string {
	if len(lists) < 2 {
		return ""
	}
	var kinds []string
	medians := map[string]map[int][]float64{}
	head := []string{"search, without a filter"}
	for i, s := range lists {
		head = append(head, strings.TrimPrefix(s.Title, "The list at "))
		for line := range strings.SplitSeq(s.Text, "\n") {
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if len(cells) < 6 || cells[2] != "no filter" {
				continue
			}
			kind := cells[0]
			if medians[kind] == nil {
				medians[kind] = map[int][]float64{}
				kinds = append(kinds, kind)
			}
			for _, c := range cells[3:] {
				for text := range strings.SplitSeq(c, " / ") {
					if v, err := strconv.ParseFloat(strings.Trim(text, "* |"), 64); err == nil {
						medians[kind][i] = append(medians[kind][i], v)
					}
				}
			}
		}
	}
	var rows [][]string
	for _, k := range kinds {
		row := []string{k}
		for i := range lists {
			all := medians[k][i]
			row = append(row, fmt.Sprintf("%.1f, %.1f", Median(all), Quantile(all, 1)))
		}
		first, last := Median(medians[k][max(0, len(lists)-2)]), Median(medians[k][len(lists)-1])
		verdict := "flat"
		if last > 2*first {
			verdict = fmt.Sprintf("grows: × %.1f", last/first)
		}
		rows = append(rows, append(row, verdict))
	}
	return "\n## What is flat and what is not\n\nThe median of all sorts and pages, and the slowest of them, in milliseconds. What takes less than twice the time " +
		"with ten times the patients is called flat; the last two sizes are compared.\n\n" +
		Table(append(head, "from the last but one to the last"), rows)
}

// MisspeltFile, in the bench's directory, is Markdown that the proof of the search for misspelt names leaves there.
const MisspeltFile = "misspelt.md"

func machine(t testing.TB, b *Bench) string {
	var kernel syscall.Utsname
	_ = syscall.Uname(&kernel)
	release := ""
	for _, c := range kernel.Release {
		if c == 0 {
			break
		}
		release += string(rune(c))
	}
	memory := procField("/proc/meminfo", "MemTotal")
	if kb, err := strconv.Atoi(strings.TrimSuffix(memory, " kB")); err == nil {
		memory = fmt.Sprintf("%.0f GiB", float64(kb)/(1<<20))
	}
	c := Conn(t, b.pg.URL("postgres"))
	setting := func(name string) (v string) {
		_ = c.QueryRow(context.Background(), `SELECT current_setting($1)`, name).Scan(&v)
		return v
	}
	return Table([]string{"machine", ""}, [][]string{
		{"CPU", fmt.Sprintf("%s, %d cores, which the load generator, the server and PostgreSQL share", procField("/proc/cpuinfo", "model name"), runtime.NumCPU())},
		{"memory", memory},
		{"system", runtime.GOOS + " " + release + " " + runtime.GOARCH},
		{"Go", strings.TrimPrefix(runtime.Version(), "go")},
		{"PostgreSQL", setting("server_version") + ", shared_buffers " + setting("shared_buffers") + ", fsync " + setting("fsync") +
			", synchronous_commit " + setting("synchronous_commit") + ", over a Unix socket"},
	})
}

// Table writes a Markdown table. Columns after the first are set to the right when their first cell begins with a digit.
func Table(head []string, rows [][]string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "| %s |\n|", strings.Join(head, " | "))
	for i := range head {
		mark := " --- |"
		if i > 0 && len(rows) > 0 && rows[0][i] != "" && strings.Contains("0123456789*–", string([]rune(rows[0][i])[:1])) {
			mark = " --: |"
		}
		s.WriteString(mark)
	}
	s.WriteString("\n")
	for _, r := range rows {
		fmt.Fprintf(&s, "| %s |\n", strings.Join(r, " | "))
	}
	return s.String()
}

// Thousands writes 1000000 as 1,000,000.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Bytes writes a size as people read it.
func Bytes(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.0f GiB", float64(n)/(1<<30))
	case n >= 10<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

// Median of a sample, which it sorts; NaN-free: 0 for none.
func Median(all []float64) float64 { return Quantile(all, 0.5) }

// Quantile of a sample, which it sorts; 0 for none.
func Quantile(all []float64, q float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}
