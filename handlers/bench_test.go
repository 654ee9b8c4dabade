//go:build bench

package handlers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/views"
	"chartroom/views/texts"
)

// Targets, from the day the program was designed.
const (
	mostWithAudit    = 1.7 // times the floor's CPU
	mostWithoutAudit = 1.3
	mostForAudit     = 1.3 // times the page without it
	mostColdStart    = 100 * time.Millisecond
	mostMemory       = 40 << 20
	mostBinary       = 20 << 20
	mostFirstVisit   = 40 << 10
	mostFragment     = 5 << 10
)

// TestBenchFloorServer is the floor when TestBenchPage starts this binary again as a process of its own.
func TestBenchFloorServer(t *testing.T) {
	if url := os.Getenv("CHARTROOM_BENCH_FLOOR_DB"); url != "" {
		t.Fatal(http.ListenAndServe(os.Getenv("CHARTROOM_BENCH_FLOOR_ADDR"), floor(t, url)))
	}
}

// floor is the least that can show the page: one prepared query and the page's own templ component around the rows.
// No session, no permission, no audit, no headers; everything but the rows was made once.
func floor(t *testing.T, url string) http.Handler {
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	files, err := loadAssets(os.DirFS(filepath.Join(dbtest.Root(), "assets")))
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Config: Config{Clinic: "Chartroom"}, assets: files, format: format{zone: time.UTC, locale: "en", t: &texts.English}, now: time.Now}
	if err := s.sealer.add(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	props := floorProps(s)
	buffers := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rows, err := pool.Query(r.Context(), `
			SELECT id::text, display_name, mrn, birth_date, gender, phone, city, status, updated_at FROM patients
			WHERE (family_key, given_key, id) > ($1::text, $2::text, $3::uuid) ORDER BY family_key, given_key, id LIMIT 25`, "", "", "00000000-0000-0000-0000-000000000000")
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		v := props
		v.Rows, err = pgx.AppendRows(make([]views.PatientRow, 0, 25), rows, func(row pgx.CollectableRow) (views.PatientRow, error) {
			var p db.Patient
			var mrn, birth, gender, phone, city *string
			err := row.Scan(&p.ID, &p.DisplayName, &mrn, &birth, &gender, &phone, &city, &p.Status, &p.UpdatedAt)
			p.MRN, p.BirthDate, p.Gender, p.Phone, p.City = text(mrn), text(birth), text(gender), text(phone), text(city)
			return s.row(s.format, p), err
		})
		b := buffers.Get().(*bytes.Buffer)
		b.Reset()
		if err == nil {
			err = views.PatientsPage(v).Render(r.Context(), b)
		}
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
		_, _ = w.Write(b.Bytes())
		buffers.Put(b)
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// floorProps are those of the first page, apart from the rows.
func floorProps(s *Server) views.Patients {
	state := listState{User: 1, Sort: db.SortName}
	next, last := state, state
	next.Cursor = &db.Cursor{Keys: []string{"abcdefgh", "abcdefgh"}, ID: "00000000-0000-0000-0000-000000000000"}
	last.Last = true
	token := strings.Repeat("x", 43)
	return views.Patients{
		Page: views.Page{Title: "Patients", Clinic: s.Clinic, Assets: s.assets.paths,
			User: &views.User{Name: "bench", Initials: "B", Role: "Viewer", FormToken: token}},
		Headings: s.headings(s.format.t, db.ListColumns, state), Columns: db.ListColumns, Filters: filters(s.format.t, db.Filter{}), Size: db.PageSizes[0], Sizes: db.PageSizes,
		Found: "1,000+ patients", Caption: "Patients 1 to 25, sorted by name", FormToken: token,
		Next: s.address(next), Last: s.address(last),
	}
}

// A server is a process that is measured.
type server struct {
	name    string
	addr    string
	request []byte
	process *exec.Cmd
	runs    map[int][]run // by the number of connections
}

// A run is what a server did in a while under load.
type run struct {
	requests int
	seconds  float64
	latency  []float64 // milliseconds
	goCPU    float64   // seconds
	pgCPU    float64
}

func (r run) cpu() float64 { return (r.goCPU + r.pgCPU) * 1000 / float64(r.requests) }

// TestBenchPage sets the page against the floor, and measures what else a process costs.
func TestBenchPage(t *testing.T) {
	b := dbtest.OpenBench(t)
	sizes := dbtest.BenchSizes(t)
	n := sizes[min(len(sizes)-1, 1)] // the second of them, a million unless told otherwise
	url, _ := b.Crowd(t, n)
	x := &bench{T: t, b: b, url: url}
	x.users()
	b.Add(t, "3-page", x.sideBySide(n))
	b.Add(t, "4-process", x.process())
	b.Add(t, "5-sign-ins", x.flood())
}

type bench struct {
	*testing.T
	b   *dbtest.Bench
	url string
}

func (x *bench) exec(url, sql string, args ...any) {
	x.Helper()
	c := dbtest.Conn(x, url)
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), sql, args...); err != nil {
		x.Fatal(err)
	}
}

const benchKey = "a key for the benches alone and nothing else"

func (x *bench) users() {
	x.Helper()
	x.exec(x.url, `DELETE FROM users WHERE username = 'bench'`)
	x.exec(x.url, `INSERT INTO users (username, password_hash, role) VALUES ('bench', $1, 'viewer')`, passwordHash)
	x.Cleanup(func() { x.exec(x.url, `DELETE FROM users WHERE username = 'bench'`) })
}

// auditInsert is how the list's event begins; without it, the event is a row that nobody asks for, and is not made.
var auditInsert = regexp.MustCompile(`(audited AS \()\s*INSERT INTO audit_events \([^)]*\)`)

// withoutAudit gives the address of the same database behind a proxy that takes the audit event out of each statement as
// it is prepared: the program has no switch for that, and shall have none. The proxy's own work is not counted.
func (x *bench) withoutAudit() string {
	x.Helper()
	address, err := url.Parse(x.url)
	if err != nil {
		x.Fatal(err)
	}
	query := address.Query()
	server := query.Get("host") + "/.s.PGSQL." + query.Get("port")
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		x.Fatal(err)
	}
	l, err := net.Listen("unix", dir+"/.s.PGSQL."+query.Get("port"))
	if err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() { _ = l.Close(); _ = os.RemoveAll(dir) })
	go func() {
		for {
			program, err := l.Accept()
			if err != nil {
				return
			}
			database, err := net.Dial("unix", server)
			if err != nil {
				_ = program.Close()
				continue
			}
			go func() { _, _ = io.Copy(program, database); _ = program.Close() }()
			go func() { _ = unaudited(database, program); _ = database.Close() }()
		}
	}()
	query.Set("host", dir)
	address.RawQuery = query.Encode()
	return address.String()
}

// unaudited copies what a program sends (PostgreSQL's protocol, 55.7), but for the event in statements to be prepared.
func unaudited(to io.Writer, from io.Reader) error {
	r, out := bufio.NewReaderSize(from, 64<<10), []byte(nil)
	for first := true; ; first = false {
		head := make([]byte, 5)
		if first {
			head = head[:4] // the first message has no type
		}
		if _, err := io.ReadFull(r, head); err != nil {
			return err
		}
		size := head[len(head)-4:]
		body := make([]byte, binary.BigEndian.Uint32(size)-4)
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		if !first && head[0] == 'P' {
			body = auditInsert.ReplaceAll(body, []byte("$1"))
			binary.BigEndian.PutUint32(size, uint32(len(body)+4))
		}
		if out = append(append(out, head...), body...); r.Buffered() == 0 {
			if _, err := to.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
}

// start runs a command that listens on the address it is given, and waits until it does.
func (x *bench) start(c *exec.Cmd, addr string) {
	x.Helper()
	log, err := os.OpenFile(filepath.Join(x.b.Dir, "server.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		x.Fatal(err)
	}
	defer log.Close() // the process has its own copy
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(until) {
			said, _ := os.ReadFile(log.Name())
			x.Fatalf("nothing listens: %v\n%s", err, said)
		}
	}
}

func (x *bench) freeAddress() string {
	x.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		x.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// program starts the released program, as a clinic would, its log in a file.
func (x *bench) program(name, url string, env ...string) *server {
	x.Helper()
	s := &server{name: name, addr: x.freeAddress()}
	s.process = x.b.Command(append([]string{"DATABASE_URL=" + url, "DATABASE_MIGRATE_URL=" + x.url, "LISTEN_ADDR=" + s.addr,
		"SESSION_SECRET_KEY=" + benchKey, "SESSION_IDLE_TIMEOUT=2h"}, env...), "serve")
	x.start(s.process, s.addr)
	return s
}

// signIn gives the cookie of a new session.
func (x *bench) signIn(s *server) string {
	x.Helper()
	br := &browser{&site{t: x, url: "http://" + s.addr}, map[string]*http.Cookie{}}
	if a := br.post("/login", "username", "bench", "password", password); a.status != http.StatusSeeOther {
		x.Fatalf("sign in: %d\n%s", a.status, a.body)
	}
	return br.cookies["chartroom"].String()
}

func get(addr, path, cookie string, header ...string) []byte {
	s := "GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nCookie: " + cookie + "\r\n"
	for i := 0; i < len(header); i += 2 {
		s += header[i] + ": " + header[i+1] + "\r\n"
	}
	return []byte(s + "\r\n")
}

// An asker is one connection that asks again and again, with as little work as can be.
type asker struct {
	conn net.Conn
	r    *bufio.Reader
	body bytes.Buffer
	read int64
}

func dial(addr string) (*asker, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &asker{conn: conn}
	c.r = bufio.NewReaderSize(io.TeeReader(conn, c), 64<<10)
	return c, nil
}

// Write counts what comes over the wire.
func (c *asker) Write(b []byte) (int, error) { c.read += int64(len(b)); return len(b), nil }

// ask gives the answer, whose body is good until the next one.
func (c *asker) ask(request []byte) (*http.Response, []byte, error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, nil, err
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return nil, nil, err
	}
	c.body.Reset()
	_, err = c.body.ReadFrom(res.Body)
	return res, c.body.Bytes(), err
}

// load asks a server for so long over so many connections.
func (x *bench) load(s *server, connections int, long time.Duration) run {
	x.Helper()
	var mu sync.Mutex
	var all run
	var failed error
	goBefore, pgBefore, start := x.cpuOf(s.process.Process.Pid), x.pgCPU(), time.Now()
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			var mine []float64
			err := func() error {
				c, err := dial(s.addr)
				if err != nil {
					return err
				}
				defer c.conn.Close()
				for time.Since(start) < long {
					from := time.Now()
					res, body, err := c.ask(s.request)
					if err != nil {
						return err
					}
					if res.StatusCode != 200 || len(body) < 1000 {
						return fmt.Errorf("%s: %d\n%s", s.name, res.StatusCode, body)
					}
					mine = append(mine, float64(time.Since(from).Microseconds())/1000)
				}
				return nil
			}()
			mu.Lock()
			defer mu.Unlock()
			all.latency = append(all.latency, mine...)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	if failed != nil {
		x.Fatal(failed)
	}
	all.seconds, all.requests = time.Since(start).Seconds(), len(all.latency)
	all.goCPU, all.pgCPU = x.cpuOf(s.process.Process.Pid)-goBefore, x.pgCPU()-pgBefore
	return all
}

// stat reads /proc/PID/stat from its third field on; nil for a process that is gone.
func stat(pid int) []string {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
}

// ticks adds up fields of stat, numbered as in proc(5), which counts in hundredths of a second.
func ticks(fields []string, numbers ...int) (seconds float64) {
	for _, n := range numbers {
		if len(fields) > n-3 {
			v, _ := strconv.ParseFloat(fields[n-3], 64)
			seconds += v / 100
		}
	}
	return seconds
}

func (x *bench) cpuOf(pid int) float64 { return ticks(stat(pid), 14, 15) }

// pgCPU is what the whole PostgreSQL has used: its first process, the children that have ended, and those that live, of
// which each has one thread, so that the scheduler's own count of nanoseconds is all of it.
func (x *bench) pgCPU() (seconds float64) {
	x.Helper()
	first := x.postmaster()
	seconds = ticks(stat(first), 14, 15, 16, 17)
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		x.Fatal(err)
	}
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		f := stat(pid)
		if len(f) < 2 || f[1] != strconv.Itoa(first) {
			continue
		}
		content, err := os.ReadFile(d + "/schedstat")
		if ns, _, ok := strings.Cut(string(content), " "); err == nil && ok {
			v, _ := strconv.ParseFloat(ns, 64)
			seconds += v / 1e9
		} else {
			seconds += ticks(f, 14, 15)
		}
	}
	return seconds
}

var postmasters sync.Map

// postmaster is the parent of whatever serves a connection.
func (x *bench) postmaster() int {
	x.Helper()
	if pid, ok := postmasters.Load(x.url); ok {
		return pid.(int)
	}
	c := dbtest.Conn(x, x.url)
	var backend int
	if err := c.QueryRow(context.Background(), `SELECT pg_backend_pid()`).Scan(&backend); err != nil {
		x.Fatal(err)
	}
	pid, err := strconv.Atoi(stat(backend)[1])
	if err != nil {
		x.Fatal(err)
	}
	postmasters.Store(x.url, pid)
	return pid
}

const (
	rounds = 5
	// Many and short: a shared machine is another one after some seconds, and a round's parts must meet the same.
	pageRounds = 13
	few        = 1
	many       = 32
)

// sideBySide runs the floor and the page in turn, so that whatever else the machine does meets both.
func (x *bench) sideBySide(n int) dbtest.Section {
	x.Helper()
	self, err := os.Executable()
	if err != nil {
		x.Fatal(err)
	}
	f := &server{name: "the floor", addr: x.freeAddress()}
	f.process = exec.Command(self, "-test.run", "^TestBenchFloorServer$", "-test.timeout", "0")
	f.process.Env = append(os.Environ(), "CHARTROOM_BENCH_FLOOR_DB="+x.url, "CHARTROOM_BENCH_FLOOR_ADDR="+f.addr)
	x.start(f.process, f.addr)
	f.request = get(f.addr, "/patients", "")
	quiet := x.program("the page, auditing left out", x.withoutAudit())
	quiet.request = get(quiet.addr, "/patients", x.signIn(quiet))
	real := x.program("the page", x.url)
	cookie := x.signIn(real)
	real.request = get(real.addr, "/patients", cookie)
	packed := &server{name: "the page, as zstd", addr: real.addr, process: real.process, request: get(real.addr, "/patients", cookie, "Accept-Encoding", "gzip, deflate, br, zstd")}
	all := []*server{f, quiet, real, packed}
	x.same(f, real, quiet)
	for _, s := range all {
		s.runs = map[int][]run{}
		before := x.events()
		r := x.load(s, many, time.Second)
		if audited := x.events() - before; audited > 0 != (s == real || s == packed) {
			x.Fatalf("%s has written %d events for %d requests", s.name, audited, r.requests)
		}
	}
	for range pageRounds {
		for _, s := range all {
			for connections, long := range map[int]time.Duration{few: 700 * time.Millisecond, many: 1500 * time.Millisecond} {
				s.runs[connections] = append(s.runs[connections], x.load(s, connections, long))
			}
		}
	}
	return pageSection(n, all)
}

// events are the lists on record.
func (x *bench) events() (n int) {
	x.Helper()
	c := dbtest.Conn(x, x.url)
	defer c.Close(context.Background())
	if err := c.QueryRow(context.Background(), `SELECT count(*) FROM audit_events WHERE action = 'patient-list'`).Scan(&n); err != nil {
		x.Fatal(err)
	}
	return n
}

// same refuses to compare pages that are not alike, apart from what is secret.
func (x *bench) same(f *server, others ...*server) {
	x.Helper()
	body := func(s *server) string {
		c, err := dial(s.addr)
		if err != nil {
			x.Fatal(err)
		}
		defer c.conn.Close()
		_, b, err := c.ask(s.request)
		if err != nil {
			x.Fatal(err)
		}
		return string(b)
	}
	want := body(f)
	for _, s := range others {
		got := body(s)
		if strings.Join(answer{body: got}.names(), "|") != strings.Join(answer{body: want}.names(), "|") || math.Abs(float64(len(got)-len(want))) > 0.05*float64(len(want)) {
			x.Fatalf("%s shows another page (%d bytes) than the floor (%d bytes): bring floorProps up to date\n%s", s.name, len(got), len(want), got)
		}
	}
}

func pageSection(n int, all []*server) dbtest.Section {
	s := dbtest.Section{Title: "The page beside its floor"}
	var rows [][]string
	for i, v := range all {
		one, crowd := v.summary(few), v.summary(many)
		ratios := map[int][]float64{}
		for connections, runs := range v.runs {
			for j, r := range runs {
				ratios[connections] = append(ratios[connections], r.cpu()/all[0].runs[connections][j].cpu())
			}
		}
		times := dbtest.Median(ratios[many])
		spread := "1"
		if i > 0 {
			spread = fmt.Sprintf("**%.2f** (%.2f to %.2f)", times, slices.Min(ratios[many]), slices.Max(ratios[many]))
		}
		rows = append(rows, []string{v.name, one.rate, one.latency, crowd.rate, crowd.latency, crowd.cpu, spread, fmt.Sprintf("%.2f", dbtest.Median(ratios[few]))})
		for name, most := range map[string]float64{"the page": mostWithAudit, "the page, auditing left out": mostWithoutAudit} {
			if v.name == name && times > most {
				s.Short = append(s.Short, fmt.Sprintf("%s costs %.2f times the floor's CPU, where %.1f is the target.", name, times, most))
			}
		}
	}
	var price []float64
	for i, r := range all[2].runs[many] {
		price = append(price, r.cpu()/all[1].runs[many][i].cpu())
	}
	if paid := dbtest.Median(price); paid > mostForAudit {
		s.Short = append(s.Short, fmt.Sprintf("The page with its audit event costs %.2f times the page without, where %.1f is the target.", paid, mostForAudit))
	}
	s.Text = fmt.Sprintf("The first page of the list, of %s patients. The floor is one prepared query and the same templ component, in a process of its own, "+
		"without session, permission, audit, headers and log (`handlers/bench_test.go`); the page is the released program's, with a user signed in. "+
		"They ran in turn, %d rounds each, over kept connections. CPU is that of the server and of all PostgreSQL processes, without the load generator; "+
		"× is a round's CPU a request over the floor's in the same round, the median of the rounds (least to most). "+
		"The page answers uncompressed, as the floor does; the last row is what compression adds.\n\n"+
		"“Auditing left out” is the same program on the same data, behind a proxy that takes the event out of each statement as it is prepared; what the "+
		"proxy does is not counted, and slows the answers. **The price of auditing**: the page costs %.2f times (%.2f to %.2f) the same page without its event, "+
		"in the same round, and at most %.1f is aimed at.\n\n%s",
		dbtest.Thousands(n), pageRounds, dbtest.Median(price), slices.Min(price), slices.Max(price), mostForAudit,
		dbtest.Table([]string{"", fmt.Sprintf("%d connection: requests/s", few), "p50 / p99 ms", fmt.Sprintf("%d connections: requests/s", many), "p50 / p99 ms",
			"CPU ms: server + PostgreSQL", fmt.Sprintf("× floor, %d connections", many), "× floor, 1"}, rows))
	return s
}

type summary struct{ rate, latency, cpu string }

func (s *server) summary(connections int) summary {
	var rate, goCPU, pgCPU, latency []float64
	for _, r := range s.runs[connections] {
		rate = append(rate, float64(r.requests)/r.seconds)
		goCPU = append(goCPU, r.goCPU*1000/float64(r.requests))
		pgCPU = append(pgCPU, r.pgCPU*1000/float64(r.requests))
		latency = append(latency, r.latency...)
	}
	return summary{dbtest.Thousands(int(dbtest.Median(rate))), fmt.Sprintf("%.2f / %.1f", dbtest.Median(latency), dbtest.Quantile(latency, 0.99)),
		fmt.Sprintf("%.3f + %.3f", dbtest.Median(goCPU), dbtest.Median(pgCPU))}
}

// atOnce is how many sign-ins are under way at any time, while others work.
const atOnce = 64

// flood measures what 64 sign-ins at once do to the pages of those who are signed in.
func (x *bench) flood() dbtest.Section {
	x.Helper()
	s := x.program("a flood of sign-ins", x.url, "TRUSTED_PROXY_HOPS=1")
	s.request = get(s.addr, "/patients", x.signIn(s))
	x.load(s, 2, time.Second)
	var idle, busy []float64
	said := map[int]int{}
	for range rounds {
		idle = append(idle, x.load(s, 2, 2*time.Second).latency...)
		stop := make(chan struct{})
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() {
				c, err := dial(s.addr)
				if err != nil {
					x.Error(err)
					return
				}
				defer c.conn.Close()
				for n := 0; ; n++ { // each with a name and an address of its own, so that none is throttled
					body := form("username", fmt.Sprintf("nobody-%d-%d", i, n), "password", "a wrong password")
					res, _, err := c.ask(fmt.Appendf(nil, "POST /login HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: 10.%d.%d.%d\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
						s.addr, i, n>>8&255, n&255, len(body), body))
					if err != nil {
						x.Error(err)
						return
					}
					mu.Lock()
					said[res.StatusCode]++
					mu.Unlock()
					wait := 0 * time.Second
					if res.StatusCode == http.StatusServiceUnavailable { // as a person would, who is told to come back
						wait = time.Second
					}
					select {
					case <-stop:
						return
					case <-time.After(wait):
					}
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		busy = append(busy, x.load(s, 2, 2*time.Second).latency...)
		close(stop)
		all.Wait()
		x.exec(x.url, `DELETE FROM sign_in_throttle`)
	}
	p := func(all []float64) string {
		return fmt.Sprintf("%.2f / %.2f", dbtest.Median(all), dbtest.Quantile(all, 0.99))
	}
	return dbtest.Section{Title: "Sign-ins at once", Text: fmt.Sprintf("%d sign-ins are under way at any time, each with a name and an address of its own; two people go on asking for "+
		"the list. As many passwords are verified at once as there are cores less one, %d wait for each of these, and whoever comes then is told to come back "+
		"(503, Retry-After). Of the answers to sign-ins %d were 422, %d 429 and %d 503. %d rounds of two seconds each, in turn.\n\n%s\n\nThe 99th percentile is **%.1f times** that without sign-ins, the median %.1f times; this machine has %d cores, "+
		"and the load generator takes part of them.", atOnce, 8, said[422], said[429], said[503], rounds,
		dbtest.Table([]string{"", "p50 / p99 ms of the list"}, [][]string{{"nobody signs in", p(idle)}, {fmt.Sprintf("%d at once", atOnce), p(busy)}}),
		dbtest.Quantile(busy, 0.99)/dbtest.Quantile(idle, 0.99), dbtest.Median(busy)/dbtest.Median(idle), runtime.NumCPU())}
}

// process measures what is told of the program as a whole.
func (x *bench) process() dbtest.Section {
	x.Helper()
	s := dbtest.Section{Title: "The process and the wire"}
	var rows [][]string
	add := func(what, figure, target string, met bool) {
		verdict := "met"
		if !met {
			verdict = "**falls short**"
			s.Short = append(s.Short, fmt.Sprintf("%s is %s, where %s is the target.", what, figure, target))
		}
		rows = append(rows, []string{what, figure, target, verdict})
	}
	starts := x.coldStarts()
	slowest, usual := dbtest.Quantile(starts, 1), dbtest.Median(starts)
	add("cold start to the first 200, migrations current", fmt.Sprintf("%.0f ms, the slowest of %d %.0f ms", usual, len(starts), slowest),
		fmt.Sprintf("%.0f ms", mostColdStart.Seconds()*1000), usual < mostColdStart.Seconds()*1000)
	p := x.program("memory", x.url)
	cookie := x.signIn(p)
	fresh, after := x.memory(p, cookie)
	add("resident memory after 10,000 requests", fmt.Sprintf("%s, %s before them", dbtest.Bytes(after), dbtest.Bytes(fresh)), dbtest.Bytes(mostMemory), after < mostMemory)
	info, err := os.Stat(x.b.Binary)
	if err != nil {
		x.Fatal(err)
	}
	add("the stripped binary", dbtest.Bytes(info.Size()), dbtest.Bytes(mostBinary), info.Size() < mostBinary)
	for _, c := range []struct{ name, accepts string }{{"gzip", "gzip"}, {"zstd for pages, gzip for files", "gzip, deflate, br, zstd"}} {
		visit := x.wire(p, cookie, c.accepts)
		add("the first visit in all, "+c.name, dbtest.Bytes(visit), dbtest.Bytes(mostFirstVisit), visit < mostFirstVisit)
		part := x.bytes(p, get(p.addr, "/patients", cookie, append(htmx, "Accept-Encoding", c.accepts)...))
		add("a fragment, "+c.name, dbtest.Bytes(part), dbtest.Bytes(mostFragment), part < mostFragment)
	}
	s.Text = "Requests for memory are the list, its second page and a patient in turn, as zstd, over 8 connections. The first visit is the list with its style, " +
		"scripts and icon, headers included.\n\n" + dbtest.Table([]string{"", "measured", "target", ""}, rows)
	return s
}

// coldStarts are milliseconds from starting the process to its first good answer.
func (x *bench) coldStarts() (all []float64) {
	x.Helper()
	for range 9 {
		addr := x.freeAddress()
		c := x.b.Command([]string{"DATABASE_URL=" + x.url, "LISTEN_ADDR=" + addr, "SESSION_SECRET_KEY=" + benchKey}, "serve")
		start := time.Now()
		if err := c.Start(); err != nil {
			x.Fatal(err)
		}
		for {
			if cl, err := dial(addr); err == nil {
				res, _, err := cl.ask(get(addr, "/healthcheck", ""))
				_ = cl.conn.Close()
				if err == nil && res.StatusCode == 200 {
					break
				}
			}
			if time.Since(start) > 20*time.Second {
				x.Fatal("it does not start")
			}
			time.Sleep(500 * time.Microsecond)
		}
		all = append(all, float64(time.Since(start).Microseconds())/1000)
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	return all
}

func rss(pid int) int64 {
	content, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

func (x *bench) memory(p *server, cookie string) (fresh, after int64) {
	x.Helper()
	fresh = rss(p.process.Process.Pid)
	br := &browser{&site{t: x, url: "http://" + p.addr}, map[string]*http.Cookie{}}
	list := br.get("/patients", "Cookie", cookie)
	var requests [][]byte
	for _, path := range []string{"/patients", list.link(`id="page-next"`), nameCell.FindStringSubmatch(list.body)[1]} {
		requests = append(requests, get(p.addr, path, cookie, "Accept-Encoding", "gzip, deflate, br, zstd"))
	}
	var wg sync.WaitGroup
	errs := make(chan error, 8)
	for range 8 {
		wg.Go(func() {
			c, err := dial(p.addr)
			for i := 0; err == nil && i < 10_000/8; i++ {
				var res *http.Response
				if res, _, err = c.ask(requests[i%len(requests)]); err == nil && res.StatusCode != 200 {
					err = fmt.Errorf("status %d", res.StatusCode)
				}
			}
			if err != nil {
				errs <- err
				return
			}
			_ = c.conn.Close()
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		x.Fatal(err)
	}
	return fresh, rss(p.process.Process.Pid)
}

// wire counts the bytes of a first visit.
func (x *bench) wire(p *server, cookie, coding string) int64 {
	x.Helper()
	files, err := loadAssets(os.DirFS(filepath.Join(dbtest.Root(), "assets")))
	if err != nil {
		x.Fatal(err)
	}
	var total int64
	a := files.paths
	for _, path := range []string{"/patients", a.CSS, a.JS, a.Htmx, a.HtmxCSP, a.Icon} {
		total += x.bytes(p, get(p.addr, path, cookie, "Accept-Encoding", coding))
	}
	return total
}

func (x *bench) bytes(p *server, request []byte) int64 {
	x.Helper()
	c, err := dial(p.addr)
	if err != nil {
		x.Fatal(err)
	}
	defer c.conn.Close()
	res, _, err := c.ask(request)
	if err != nil || res.StatusCode != 200 {
		x.Fatal(err, res)
	}
	return c.read
}
