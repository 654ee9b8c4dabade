package db

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"chartroom/db/fhir"
)

// ImportReport counts what became of the resources of an import.
type ImportReport struct {
	Created, Updated, Unchanged int
	Conflicts                   int // changed here since the last import: kept as they are, what came waits beside them
	Rejected                    int
	Other                       int // resources of other types, left out
}

// Patients is how many went in or were there already.
func (r ImportReport) Patients() int { return r.Created + r.Updated + r.Unchanged + r.Conflicts }

// Plus is the sum of two reports.
func (r ImportReport) Plus(o ImportReport) ImportReport {
	return ImportReport{Created: r.Created + o.Created, Updated: r.Updated + o.Updated, Unchanged: r.Unchanged + o.Unchanged,
		Conflicts: r.Conflicts + o.Conflicts, Rejected: r.Rejected + o.Rejected, Other: r.Other + o.Other}
}

// ImportOptions says who imports and who wants to hear of it. The functions may be nil; they are called one at a time.
type ImportOptions struct {
	Actor    string                     // for the audit
	DryRun   bool                       // read, compare and count, and write nothing at all
	Rejected func(where, reason string) // where is "line 12"; reason holds no value of the resource
	Rejects  io.Writer                  // gets each reject with what it came as, to be mended and imported
	Conflict func(id string)            // a patient beside whom something new waits now
	Progress func(soFar ImportReport)   // after each batch; counts of the file that is being read
	Indexing func()                     // the indexes that a first import has left out are about to be made
}

// A batch shares a transaction: enough patients to be quick, few enough, in number and in bytes, to keep memory flat (4,000 are hardly
// quicker, and take half as much again). Tests have smaller ones.
var importBatch = 2000

const (
	importBatchBytes = 8 << 20
	importWriters    = 4 // connections that write at the same time
)

// Import is one run of the importer over any number of files: one number in the list of imports, one thing to take back.
type Import struct {
	d       *DB
	options ImportOptions
	number  int           // 0 for a dry run
	control *pgxpool.Conn // has the lock that says "it runs", and the notes in temporary tables
	failed  bool
	known   knownWords
	first   atomic.Bool // no import had brought anybody yet, so that nobody need be looked up before it shows that somebody is known

	empty    atomic.Bool // nobody was here at all, and the indexes are not left out yet
	deferred atomic.Bool // they are

	mu      sync.Mutex
	rejects rejectWriter
	file    ImportReport // counts of the file being read
	before  ImportReport // and of those before it
}

// ImportPatients imports one file, as an import of its own.
func (d *DB) ImportPatients(ctx context.Context, r io.Reader, o ImportOptions) (ImportReport, error) {
	im, err := d.BeginImport(ctx, o)
	if err != nil {
		return ImportReport{}, err
	}
	report, err := im.Read(ctx, r)
	return report, errors.Join(err, im.End(ctx))
}

// BeginImport begins an import. End must follow.
func (d *DB) BeginImport(ctx context.Context, o ImportOptions) (*Import, error) {
	if d.pool.Config().MaxConns < 2 { // one for the lock and the notes, one to write; it would wait for itself
		return nil, errors.New("an import needs two connections: raise pool_max_conns in the database's address")
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin the import: %w", err)
	}
	im := &Import{d: d, options: o, control: conn, rejects: rejectWriter{to: o.Rejects}}
	if err := im.begin(ctx); err != nil {
		im.letGo(ctx)
		return nil, fmt.Errorf("begin the import: %w", err)
	}
	return im, nil
}

// begin makes the places where notes are kept on disk, so that memory does not grow with the file.
func (im *Import) begin(ctx context.Context) error {
	_, err := im.control.Exec(ctx, `SET plan_cache_mode = force_custom_plan; CREATE TEMPORARY TABLE import_without_id (sha bytea PRIMARY KEY, times integer NOT NULL)`)
	if err != nil {
		return err
	}
	if im.options.DryRun {
		if _, err := im.control.Exec(ctx, `CREATE TEMPORARY TABLE import_tried (import_key text COLLATE "C" PRIMARY KEY, sha bytea NOT NULL)`); err != nil {
			return err
		}
		// From here on this connection, the only one that a dry run has, writes to temporary tables alone.
		_, err := im.control.Exec(ctx, `SET default_transaction_read_only = on`)
		return err
	}
	var first, empty, deferred bool
	// Both locks are shared with the transactions of the batches. Taking any import back wants the first alone: it decides
	// by what other imports have brought.
	err = im.control.QueryRow(ctx, `
		WITH begun AS (
			INSERT INTO imports (actor, program) SELECT @actor, @program WHERE pg_try_advisory_lock_shared(@class::integer, 0)
			RETURNING id
		)
		SELECT id, NOT EXISTS (SELECT FROM patients WHERE import_key >= ''), NOT EXISTS (SELECT FROM patients),
		       EXISTS (SELECT FROM patients_indexes_deferred)
		FROM begun, LATERAL (SELECT pg_advisory_lock_shared(@class::integer, id)) locked`,
		pgx.NamedArgs{"actor": im.options.Actor, "program": im.d.program, "class": importLock}).Scan(&im.number, &first, &empty, &deferred)
	im.first.Store(first)
	im.empty.Store(empty)
	im.deferred.Store(deferred) // by one that was cut off
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrUndoRunning
	}
	return err
}

// importLock is the first number of the advisory locks of imports. The second is an import's number, or 0, which all
// imports share and whoever takes one back has alone.
const importLock = 0x696d70

// Number is the import's, for the list and for taking it back; 0 for a dry run.
func (im *Import) Number() int { return im.number }

// End notes that the import is complete, and lets the planner know what has become of the tables. What was cut off stays
// marked as such.
func (im *Import) End(ctx context.Context) error {
	total := im.before.Plus(im.file)
	var err error
	if !im.options.DryRun && !im.failed {
		_, err = im.control.Exec(ctx, `
			UPDATE imports SET finished_at = now(), rejected = @rejected, other = @other WHERE id = @import AND undone_at IS NULL`,
			pgx.NamedArgs{"import": im.number, "rejected": total.Rejected, "other": total.Other})
	}
	im.letGo(ctx)
	if err != nil {
		return fmt.Errorf("end the import: %w", err)
	}
	if im.options.DryRun {
		return nil
	}
	if im.deferred.Load() {
		if im.options.Indexing != nil {
			im.options.Indexing()
		}
		if err := im.d.MakeIndexes(ctx); err != nil {
			return fmt.Errorf("%w; lists are slow until the import is run again, or until `chartroom serve` makes them, within minutes", err)
		}
	}
	im.d.tidy(ctx, total.Created+total.Updated)
	return nil
}

// letGo closes the connection and with it the lock and the notes.
func (im *Import) letGo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	conn := im.control.Hijack()
	_, _ = conn.Exec(ctx, `SELECT pg_advisory_unlock_all()`) // at once, while the server takes its time to see the end
	_ = conn.Close(ctx)
}

// tidyFrom is after how many changed patients the tables are tidied. Fewer are left to the server's own care.
const tidyFrom = 5000

// tidy marks pages as visible to all, which index-only scans need, and counts afresh for the planner. What cannot be
// done now (a role that is not the owner's, a server that is shutting down) the server's autovacuum does in its time,
// so that a failure is no error of the import.
func (d *DB) tidy(ctx context.Context, changed int) {
	if changed < tidyFrom {
		return
	}
	var all sync.WaitGroup
	for _, tables := range []string{"patients", "patient_resources, patient_terms, name_words, name_typos"} { // about as much work each
		all.Go(func() {
			conn, err := d.pool.Acquire(ctx)
			if err != nil {
				return
			}
			defer conn.Release()
			_ = patiently(ctx, conn, func() error {
				_, err := conn.Exec(ctx, `VACUUM (ANALYZE) `+tables)
				return err
			})
		})
	}
	all.Wait()
}

// patiently runs what may take longer than a request may. Its statements are planned anew each time: a plan that was made
// for a table with hardly a row in it is a bad one when a million are in (seen: the look-up of a batch went from
// milliseconds to half a minute).
func patiently(ctx context.Context, conn *pgxpool.Conn, f func() error) error {
	if _, err := conn.Exec(ctx, `SET statement_timeout = '1h'; SET plan_cache_mode = force_custom_plan`); err != nil {
		return err
	}
	defer func() {
		_, _ = conn.Exec(context.WithoutCancel(ctx), `RESET statement_timeout; RESET plan_cache_mode`)
	}()
	return f()
}

// Read imports FHIR R4 Patients from a file: new ones are created, known ones (by FHIR id) updated when they differ, and
// those that were changed here meanwhile are left alone. A bad one is rejected and the rest goes in. Each batch and its
// audit event are one transaction, so that an import that is cut off can simply be run again. The report is the file's.
// The error is for what ends the reading, not for rejects.
func (im *Import) Read(ctx context.Context, r io.Reader) (ImportReport, error) {
	in, err := fhir.NewReader(r)
	if err != nil {
		return ImportReport{}, fmt.Errorf("read the file: %w", err)
	}
	if _, err := im.control.Exec(ctx, `DELETE FROM import_without_id`); err != nil {
		im.failed = true
		in.Close()
		return ImportReport{}, fmt.Errorf("import patients: %w", err)
	}
	im.mu.Lock()
	im.before, im.file = im.before.Plus(im.file), ImportReport{}
	im.mu.Unlock()
	p := pipeline{im: im, parse: make(chan *importChunk, 2), order: make(chan *importChunk, 2), batches: make(chan *importChunk)}
	err = p.run(ctx, in)
	return im.file, err
}

// importRow is a Patient on its way in.
type importRow struct {
	entry  fhir.Entry
	key    string // import_key
	values indexed
	id     string // of the patient, once known
	known  knownPatient
}

// importChunk is a piece of the file: entries, then rows.
type importChunk struct {
	entries []fhir.Entry
	rows    []*importRow
	rejects []importReject
	other   int
	header  []byte // of CSV
	parsed  chan struct{}
	keys    map[string]bool
}

type importReject struct {
	entry  fhir.Entry
	reason error
}

// pipeline takes a file apart: one goroutine reads, some parse, one puts what they parsed back in order and sees that no
// patient is in two batches at once, and some write.
type pipeline struct {
	im      *Import
	parse   chan *importChunk
	order   chan *importChunk
	batches chan *importChunk
	readErr error // set before order is closed

	mu   sync.Mutex
	idle sync.Cond
	busy []*importChunk // being written
}

// run returns when all is written or something failed. After a failure it does not wait for the reader, which may wait
// for a pipe that nobody writes to any more.
func (p *pipeline) run(ctx context.Context, in *fhir.Reader) error {
	p.idle.L = &p.mu
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, p.wake)()
	go p.read(ctx, in)
	for range min(4, runtime.GOMAXPROCS(0)) {
		go func() {
			for c := range p.parse {
				c.read()
			}
		}()
	}
	var writers sync.WaitGroup
	for range importWriters {
		writers.Go(func() {
			if err := p.write(ctx); err != nil {
				cancel(err)
			}
		})
	}
	if err := p.dispatch(ctx); err != nil {
		cancel(err)
	}
	close(p.batches)
	writers.Wait()
	if err := context.Cause(ctx); err != nil {
		p.im.failed = true
		return fmt.Errorf("import patients: %w", err)
	}
	if p.readErr != nil {
		return fmt.Errorf("read the file: %w", p.readErr)
	}
	return nil
}

// wake ends the dispatcher's waiting when there is nothing to wait for any more.
func (p *pipeline) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle.Broadcast()
}

func (p *pipeline) read(ctx context.Context, in *fhir.Reader) {
	defer in.Close()
	defer close(p.order)
	defer close(p.parse)
	for p.readErr == nil && ctx.Err() == nil {
		c := &importChunk{parsed: make(chan struct{})}
		for size := 0; len(c.entries) < importBatch && size < importBatchBytes; {
			e, err := in.Next()
			if errors.Is(err, io.EOF) && len(c.entries) == 0 {
				return
			}
			if err != nil {
				p.readErr = err
				break
			}
			c.entries = append(c.entries, e)
			size += len(e.Raw)
		}
		c.header = in.Header()
		for _, next := range []chan *importChunk{p.parse, p.order} {
			select {
			case next <- c:
			case <-ctx.Done():
				return
			}
		}
		if errors.Is(p.readErr, io.EOF) {
			p.readErr = nil
			return
		}
	}
}

// read turns entries into rows.
func (c *importChunk) read() {
	defer close(c.parsed)
	all := make([]importRow, len(c.entries)) // in one piece; they are large, so that what follows moves pointers
	c.rows = make([]*importRow, 0, len(c.entries))
	for i := range c.entries {
		e := &c.entries[i]
		if e.Err != nil {
			c.rejects = append(c.rejects, importReject{*e, e.Err})
			continue
		}
		patient, err := e.Patient()
		switch {
		case errors.Is(err, fhir.ErrNotPatient):
			c.other++
		case err != nil:
			c.rejects = append(c.rejects, importReject{*e, err})
		default:
			r := &all[len(c.rows)]
			r.entry, r.key, r.values = *e, importKey(patient, e.FullURL), index(patient, e.Raw)
			c.rows = append(c.rows, r)
		}
	}
	c.entries = nil
}

// importKey is what makes a resource the same one in the next import: its FHIR id; else the UUID that a Bundle gives it.
// "" stands for neither.
func importKey(p fhir.Patient, fullURL string) string {
	if p.ID != "" {
		return "id:" + p.ID
	}
	// A Bundle's entry that has no id of its own. Only what is unique in the world counts: names that are local to one
	// Bundle ("urn:uuid:patient") would make two people one.
	if uuid, ok := strings.CutPrefix(strings.ToLower(fullURL), "urn:uuid:"); ok && isUUID(uuid) {
		return "id:" + uuid
	}
	if m := patientURL.FindStringSubmatch(fullURL); m != nil {
		return "id:" + m[1]
	}
	return ""
}

// patientURL is where a FHIR server keeps a Patient; its last part is the id (R4, 2.21.0.2).
var patientURL = regexp.MustCompile(`^https?://[^?#]+/Patient/([A-Za-z0-9.-]{1,64})$`)

// dispatch hands chunks on in the file's order, as batches that hold each patient once. Of two resources with one id the
// later one has to win, so that a batch waits for those that are being written and have a patient in common with it.
func (p *pipeline) dispatch(ctx context.Context) error {
	for {
		c := p.next(ctx)
		if c == nil {
			return ctx.Err()
		}
		if err := p.im.note(c); err != nil {
			return err
		}
		if err := p.im.countWithoutID(ctx, c.rows); err != nil {
			return err
		}
		for rest := c.rows; len(rest) > 0; {
			var b *importChunk
			b, rest = distinct(rest)
			if p.im.options.DryRun {
				if err := p.im.try(ctx, b.rows); err != nil {
					return err
				}
				continue
			}
			if err := p.hand(ctx, b); err != nil {
				return err
			}
		}
	}
}

// next gives the next chunk, parsed; nil at the end, or when all is to end.
func (p *pipeline) next(ctx context.Context) *importChunk {
	select {
	case c := <-p.order:
		if c != nil {
			<-c.parsed
		}
		return c
	case <-ctx.Done():
		return nil
	}
}

// distinct takes rows up to the first that repeats a key.
func distinct(rows []*importRow) (*importChunk, []*importRow) {
	b := &importChunk{keys: make(map[string]bool, len(rows))}
	for i, r := range rows {
		if b.keys[r.key] {
			b.rows = rows[:i:i]
			return b, rows[i:]
		}
		b.keys[r.key] = true
	}
	b.rows = rows
	return b, nil
}

func (p *pipeline) hand(ctx context.Context, b *importChunk) error {
	p.mu.Lock()
	for ctx.Err() == nil && p.meets(b) {
		p.idle.Wait()
	}
	p.busy = append(p.busy, b)
	p.mu.Unlock()
	select {
	case p.batches <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pipeline) meets(b *importChunk) bool {
	for _, other := range p.busy {
		for _, r := range b.rows {
			if other.keys[r.key] {
				return true
			}
		}
	}
	return false
}

func (p *pipeline) write(ctx context.Context) error {
	conn, err := p.im.d.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return patiently(ctx, conn, func() error {
		w := &batchWriter{im: p.im, conn: conn}
		// By the index, however small the table: to read it all for each batch takes longer, long before the planner thinks so.
		// The terms of new patients are written here, which takes less than the trigger takes for it. No batch waits for the disk:
		// what a crash of the server takes back is the last batches, whole, with their events, of an import that has not ended; its
		// end waits until all is there.
		if _, err := conn.Exec(ctx, `SET enable_seqscan = off; SET chartroom.terms = 'written'; SET synchronous_commit = off`); err != nil {
			return err
		}
		defer func() {
			_, _ = conn.Exec(context.WithoutCancel(ctx), `RESET enable_seqscan; RESET chartroom.terms; RESET synchronous_commit`)
		}()
		for b := range p.batches {
			if err := w.write(ctx, b.rows); err != nil {
				return err
			}
			p.done(b)
			w.deferIndexes(ctx)
		}
		return nil
	})
}

func (p *pipeline) done(b *importChunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.busy {
		if other == b {
			p.busy = append(p.busy[:i], p.busy[i+1:]...)
			break
		}
	}
	p.idle.Broadcast()
}

// countWithoutID gives keys to those that have none: their content, with a number when the same content comes several
// times in a file, because those may be different patients.
func (im *Import) countWithoutID(ctx context.Context, rows []*importRow) error {
	times := map[string]int{}
	for _, r := range rows {
		if r.key == "" {
			times[string(r.values.ResourceSHA)]++
		}
	}
	if len(times) == 0 {
		return nil
	}
	var shas [][]byte
	var counts []int32
	for sha, n := range times {
		shas, counts = append(shas, []byte(sha)), append(counts, int32(n))
	}
	type row struct {
		SHA   []byte
		Times int
	}
	found, err := im.control.Query(ctx, `
		INSERT INTO import_without_id AS w (sha, times) SELECT * FROM unnest(@shas::bytea[], @counts::integer[])
		ON CONFLICT (sha) DO UPDATE SET times = w.times + EXCLUDED.times RETURNING sha, times`,
		pgx.NamedArgs{"shas": shas, "counts": counts})
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(found, pgx.RowToStructByName[row])
	if err != nil {
		return err
	}
	for _, r := range all {
		times[string(r.SHA)] = r.Times - times[string(r.SHA)] // how many came before
	}
	for i, r := range rows {
		if r.key == "" {
			sha := string(r.values.ResourceSHA)
			times[sha]++
			rows[i].key = fmt.Sprintf("sha:%s:%d", hex.EncodeToString(r.values.ResourceSHA), times[sha])
		}
	}
	return nil
}

// note counts what of a chunk does not go in.
func (im *Import) note(c *importChunk) error {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.file.Other += c.other
	im.rejects.header = c.header
	for _, r := range c.rejects {
		im.reject(r.entry, r.reason)
	}
	return im.rejects.err
}

// reject is called with the lock held.
func (im *Import) reject(e fhir.Entry, reason error) {
	im.file.Rejected++
	im.rejects.add(e, reason)
	if im.options.Rejected != nil {
		im.options.Rejected(e.Where(), reason.Error())
	}
}

// count adds what became of a batch.
func (im *Import) count(of ImportReport) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.file = im.file.Plus(of)
	if im.options.Progress != nil {
		im.options.Progress(im.file)
	}
}

func (im *Import) total() ImportReport {
	im.mu.Lock()
	defer im.mu.Unlock()
	return im.before.Plus(im.file)
}

// rejectWriter writes rejects so that the file can be mended and imported: the reason as a comment, then the line that
// was rejected, and before the first line of a CSV file its header.
type rejectWriter struct {
	to      io.Writer
	header  []byte // of the file being read, when it is CSV
	begun   bool
	written []byte // the header that the file of rejects has
	err     error
}

func (w *rejectWriter) add(e fhir.Entry, reason error) {
	if w.to == nil || w.err != nil {
		return
	}
	var text bytes.Buffer
	switch {
	case w.begun && !bytes.Equal(w.header, w.written):
		w.err = errors.New("the rejects of CSV and of FHIR do not fit into one file: import them apart")
		return
	case !w.begun && w.header != nil:
		fmt.Fprintf(&text, "%s\n", w.header)
	}
	w.begun, w.written = true, w.header
	fmt.Fprintf(&text, "# %s: %v\n", e.Where(), reason)
	line := e.Source
	if line == nil && e.Raw != nil {
		line, _ = fhir.Line(e.Raw)
	}
	if line == nil {
		text.WriteString("# (too long or too broken to stand here: mend it in its own file)\n")
	} else {
		fmt.Fprintf(&text, "%s\n", line)
	}
	if _, err := w.to.Write(text.Bytes()); err != nil {
		w.err = fmt.Errorf("write the rejects: %w", err)
	}
}
