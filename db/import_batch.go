package db

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errMeanwhile says that a patient is not any more as it was when it was looked up: by somebody's edit or by another
// import. Looking again gives the right answer.
var errMeanwhile = errors.New("changed meanwhile")

// ErrUndone is for an import that ran while one was taken back, which only happens when its connection was lost.
var ErrUndone = errors.New("an import was taken back meanwhile: run this one again")

// batchWriter writes batches over one connection.
type batchWriter struct {
	im   *Import
	conn *pgxpool.Conn
	copy copyRows // kept, because it is large
}

// write halves what the database refuses until the one refused row is alone, so that it costs nobody else.
func (w *batchWriter) write(ctx context.Context, rows []*importRow) error {
	if len(rows) == 0 {
		return nil
	}
	// In one order everywhere, so that two imports at once wait for each other instead of blocking each other.
	slices.SortFunc(rows, func(a, b *importRow) int { return strings.Compare(a.key, b.key) })
	done, err := w.try(ctx, rows)
	code := refused(err)
	switch {
	case err == nil:
		w.im.count(done)
		return nil
	case !strings.HasPrefix(code, "22") && !strings.HasPrefix(code, "23") && !strings.HasPrefix(code, "54"):
		return err
	case len(rows) == 1:
		w.im.mu.Lock()
		defer w.im.mu.Unlock()
		w.im.reject(rows[0].entry, fmt.Errorf("the database refused it (SQLSTATE %s)", code)) // its message quotes values
		return w.im.rejects.err
	}
	half := len(rows) / 2
	if err := w.write(ctx, rows[:half]); err != nil {
		return err
	}
	return w.write(ctx, rows[half:])
}

// try writes rows in one transaction, again when somebody else was in the way.
func (w *batchWriter) try(ctx context.Context, rows []*importRow) (ImportReport, error) {
	const tries = 20
	for n := 1; ; n++ {
		done, err := w.batch(ctx, rows)
		if refused(err) == uniqueViolation {
			w.im.first.Store(false)
		}
		if n == tries || !errors.Is(err, errMeanwhile) && !inTheWay(err) {
			return done, err
		}
		select {
		case <-ctx.Done():
			return done, ctx.Err()
		case <-time.After(mrand.N(time.Duration(n) * 20 * time.Millisecond)):
		}
	}
}

// inTheWay says that somebody else held a row (lock_not_available, deadlock_detected, serialization_failure) or was
// quicker to create one (unique_violation, which only an import_key can be here).
func inTheWay(err error) bool {
	switch refused(err) {
	case "55P03", "40P01", "40001", uniqueViolation:
		return true
	}
	return false
}

const uniqueViolation = "23505" // unique_violation

func (w *batchWriter) batch(ctx context.Context, rows []*importRow) (ImportReport, error) {
	if !w.im.first.Load() {
		if err := lookUp(ctx, w.conn, rows); err != nil {
			return ImportReport{}, err
		}
	}
	p := planFor(rows, w.im.number)
	if err := w.words(ctx, p.create); err != nil {
		return ImportReport{}, err
	}
	if len(p.update) > 0 { // their old terms are looked up
		if err := w.makeIndexes(ctx); err != nil {
			return ImportReport{}, err
		}
	}
	err := pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error {
		ids, err := w.change(ctx, tx, &p)
		if err != nil {
			return err
		}
		return w.im.record(ctx, tx, p.report(), ids)
	})
	if err == nil {
		w.im.tell(p.waiting)
	}
	return p.report(), err
}

// tell names those beside whom something new waits.
func (im *Import) tell(ids []string) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, id := range ids {
		if im.options.Conflict != nil {
			im.options.Conflict(id)
		}
	}
}

// change writes what the plan says and returns whom it touched. Known patients come first: whoever waits for one of them
// holds nothing yet that another import waits for.
func (w *batchWriter) change(ctx context.Context, tx pgx.Tx, p *importPlan) ([]string, error) {
	ids, err := w.update(ctx, tx, p.update)
	if err != nil {
		return nil, err
	}
	if err := converge(ctx, tx, p.converged); err != nil {
		return nil, err
	}
	if err := w.im.confirm(ctx, tx, p.confirmed); err != nil {
		return nil, err
	}
	if err := dropConflicts(ctx, tx, p.back); err != nil {
		return nil, err
	}
	if p.waiting, err = w.im.keepConflicts(ctx, tx, p.conflicts); err != nil {
		return nil, err
	}
	ids = append(ids, p.waiting...)
	if err := w.create(ctx, tx, p.create); err != nil {
		return nil, err
	}
	return append(ids, each(p.create, func(r *importRow) string { return r.id })...), nil
}

// knownPatient is what is here under an import_key.
type knownPatient struct {
	ImportKey   string
	ID          string
	Version     int
	ResourceSHA []byte
	ImportedSHA []byte // nil when no import brought it
	ImportID    *int32 // that wrote this version; nil when a person did
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// lookUp notes in each row the patient that is here already.
func lookUp(ctx context.Context, q querier, rows []*importRow) error {
	found, err := q.Query(ctx, `
		SELECT import_key, id::text, version, resource_sha, imported_sha, import_id FROM patients WHERE import_key = ANY (@keys::text[])`,
		pgx.NamedArgs{"keys": each(rows, func(r *importRow) string { return r.key })})
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(found, pgx.RowToStructByName[knownPatient])
	if err != nil {
		return err
	}
	known := make(map[string]knownPatient, len(all))
	for _, k := range all {
		known[k.ImportKey] = k
	}
	for i := range rows {
		rows[i].known = known[rows[i].key]
	}
	return nil
}

// importPlan says what is to become of the rows of a batch.
type importPlan struct {
	create    []*importRow
	update    []*importRow // not changed here since the last import
	converged []*importRow // changed here to what now comes
	conflicts []*importRow // changed here to something else
	waiting   []string     // whom of those nothing of the kind waited for before
	unchanged int          // what came last time comes again, whatever became of it here
	confirmed []*importRow // of those: what another import wrote and nobody changed
	back      []*importRow // of those: what was changed here, so that no other data from outside waits any more
}

func planFor(rows []*importRow, number int) importPlan {
	var p importPlan
	for _, r := range rows {
		sha, k := r.values.ResourceSHA, r.known
		switch {
		case k.ID == "":
			p.create = append(p.create, r)
		case bytes.Equal(sha, k.ImportedSHA):
			p.unchanged++
			if !bytes.Equal(sha, k.ResourceSHA) {
				p.back = append(p.back, r)
			} else if k.ImportID != nil && int(*k.ImportID) != number {
				p.confirmed = append(p.confirmed, r)
			}
		case bytes.Equal(k.ResourceSHA, k.ImportedSHA):
			p.update = append(p.update, r)
		case bytes.Equal(sha, k.ResourceSHA):
			p.converged = append(p.converged, r)
		default:
			p.conflicts = append(p.conflicts, r)
		}
	}
	return p
}

func (p importPlan) report() ImportReport {
	return ImportReport{Created: len(p.create), Updated: len(p.update), Unchanged: p.unchanged + len(p.converged), Conflicts: len(p.conflicts)}
}

// create copies new patients in. Their ids are random, as they stand in addresses; within the batch they ascend, so that
// neighbours in the table are neighbours in its indexes.
func (w *batchWriter) create(ctx context.Context, tx pgx.Tx, rows []*importRow) error {
	if len(rows) == 0 {
		return nil
	}
	ids := newIDs(len(rows))
	c := &w.copy
	c.begin()
	for i := range rows {
		rows[i].id = uuidText(ids[i])
		c.patient(ids[i], rows[i], w.im.number)
	}
	if err := c.send(ctx, tx, `COPY patients (`+copyColumns+`) FROM STDIN (FORMAT binary)`); err != nil {
		return err
	}
	c.begin()
	for i := range rows {
		c.row(2)
		c.bytes(ids[i][:])
		c.bytes(rows[i].entry.Raw)
	}
	if err := c.send(ctx, tx, `COPY patient_resources (patient_id, resource) FROM STDIN (FORMAT binary)`); err != nil {
		return err
	}
	terms := termsOf(rows)
	if !w.im.deferred.Load() {
		sortTerms(terms, rows)
	}
	c.begin()
	for _, t := range terms {
		v := &rows[t.patient].values
		c.row(4)
		c.text(t.term)
		c.text(v.FamilyKey)
		c.text(v.GivenKey)
		c.bytes(ids[t.patient][:])
	}
	return c.send(ctx, tx, `COPY patient_terms (term, family_key, given_key, patient_id) FROM STDIN (FORMAT binary)`)
}

// newIDs gives random ids that begin alike: what goes into an index together then goes to one place of it, and not to as many
// as there are rows. What is left, 90 random bits, is still nothing to be guessed.
func newIDs(n int) [][16]byte {
	ids := make([][16]byte, n)
	random := make([]byte, 16*n)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	for i := range ids {
		id := &ids[i]
		copy(id[:], random[16*i:])
		copy(id[:4], random)
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // RFC 9562, version 4
	}
	slices.SortFunc(ids, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// uuid is an id as the database gave it, in the form that it need not read as text again.
func uuid(text string) (id pgtype.UUID) {
	_ = id.Scan(text) // it is one
	return id
}

func uuidText(b [16]byte) string {
	var out [36]byte
	hex.Encode(out[:8], b[:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:], b[10:])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// copyRows writes PostgreSQL's binary COPY format. It is done by hand because the general way costs several times as
// much, for each of twenty columns of each patient.
type copyRows []byte

func (c *copyRows) begin() {
	*c = append((*c)[:0], "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
}

// send ends the rows and has the statement take them.
func (c *copyRows) send(ctx context.Context, tx pgx.Tx, statement string) error {
	*c = append(*c, 0xff, 0xff)
	_, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(*c), statement)
	return err
}

func (c *copyRows) row(fields int) { *c = binary.BigEndian.AppendUint16(*c, uint16(fields)) }
func (c *copyRows) length(n int)   { *c = binary.BigEndian.AppendUint32(*c, uint32(n)) }
func (c *copyRows) null()          { *c = append(*c, 0xff, 0xff, 0xff, 0xff) }

func (c *copyRows) bytes(b []byte) {
	c.length(len(b))
	*c = append(*c, b...)
}

func (c *copyRows) text(s string) {
	c.length(len(s))
	*c = append(*c, s...)
}

func (c *copyRows) maybe(s *string) {
	if s == nil {
		c.null()
		return
	}
	c.text(*s)
}

func (c *copyRows) boolean(b bool) {
	if b {
		c.text("\x01")
		return
	}
	c.text("\x00")
}

const copyColumns = `id, import_key, display_name, family, given, mrn, birth_date, gender, phone, email, city, active, deceased,
	family_key, given_key, mrn_key, words, phone_keys, resource_sha, imported_sha, import_id`

// patient writes the fields in the order of copyColumns.
func (c *copyRows) patient(id [16]byte, r *importRow, number int) {
	v := &r.values
	c.row(21)
	c.bytes(id[:])
	c.text(r.key)
	c.text(v.DisplayName)
	for _, s := range []*string{v.Family, v.Given, v.MRN, v.BirthDate, v.Gender, v.Phone, v.Email, v.City} {
		c.maybe(s)
	}
	if v.Active == nil {
		c.null()
	} else {
		c.boolean(*v.Active)
	}
	c.boolean(v.Deceased)
	for _, s := range []string{v.FamilyKey, v.GivenKey, v.MRNKey, v.Words, v.PhoneKeys} {
		c.text(s)
	}
	c.bytes(v.ResourceSHA)
	c.bytes(v.ResourceSHA)
	c.length(4)
	c.length(number)
}

func (w *batchWriter) update(ctx context.Context, tx pgx.Tx, rows []*importRow) ([]string, error) {
	number := int32(w.im.number)
	return rewrite(ctx, tx, "", each(rows, func(r *importRow) newVersion {
		return newVersion{ID: r.known.ID, Seen: r.known.Version, Values: r.values, Resource: string(r.entry.Raw),
			ImportedSHA: r.values.ResourceSHA, ImportID: &number}
	}))
}

// newVersion is what a patient is to become.
type newVersion struct {
	ID          string
	Seen        int // the version that is expected to be the current one
	Values      indexed
	Resource    string
	ImportedSHA []byte
	ImportID    *int32
}

// rewrite gives patients their next version and keeps the one before. It returns their ids; errMeanwhile when one of
// them is not any more what it was.
func rewrite(ctx context.Context, tx pgx.Tx, by string, rows []newVersion) ([]string, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	slices.SortFunc(rows, func(a, b newVersion) int { return strings.Compare(a.ID, b.ID) })
	args := pgx.NamedArgs{"by": by}
	var names, unnest, set []string
	column := func(name, kind string, values any) {
		args[name] = values
		names = append(names, name)
		unnest = append(unnest, "@"+name+"::"+kind+"[]")
	}
	column("id", "uuid", each(rows, func(r newVersion) string { return r.ID }))
	column("seen", "integer", each(rows, func(r newVersion) int32 { return int32(r.Seen) }))
	column("resource", "text", each(rows, func(r newVersion) string { return r.Resource }))
	before := len(names)
	column("imported_sha", "bytea", each(rows, func(r newVersion) []byte { return r.ImportedSHA }))
	column("import_id", "integer", each(rows, func(r newVersion) *int32 { return r.ImportID }))
	indexedColumns(each(rows, func(r newVersion) indexed { return r.Values }), column)
	for _, name := range names[before:] {
		set = append(set, name+" = i."+name)
	}
	found, err := tx.Query(ctx, `
		WITH incoming AS (
			SELECT * FROM unnest(`+strings.Join(unnest, ", ")+`) AS t (`+strings.Join(names, ", ")+`)
		), old AS MATERIALIZED (
			SELECT p.id, p.version, p.updated_at, p.updated_by_id, p.updated_by, p.import_id, p.resource_sha, p.imported_sha
			FROM patients p JOIN incoming i ON p.id = i.id AND p.version = i.seen
			ORDER BY p.id FOR UPDATE OF p
		), kept AS (
			INSERT INTO patient_versions (patient_id, version, recorded, updated_by_id, updated_by, import_id, resource, resource_sha, imported_sha)
			SELECT o.id, o.version, o.updated_at, o.updated_by_id, o.updated_by, o.import_id, r.resource, o.resource_sha, o.imported_sha
			FROM old o JOIN patient_resources r ON r.patient_id = o.id
		), replaced AS (
			UPDATE patient_resources r SET resource = i.resource::json FROM old o JOIN incoming i USING (id) WHERE r.patient_id = o.id
		), settled AS (
			DELETE FROM patient_conflicts c USING old o WHERE c.patient_id = o.id
		)
		UPDATE patients p SET `+strings.Join(set, ", ")+`, version = p.version + 1, updated_at = now(),
		       updated_by_id = NULL, updated_by = @by
		FROM old o JOIN incoming i USING (id) WHERE p.id = o.id
		RETURNING p.id::text`, args)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err == nil && len(ids) != len(rows) {
		err = errMeanwhile
	}
	return ids, err
}

// converge notes that what was changed here is now what comes from outside too. No version begins and no conflict waits
// any more.
func converge(ctx context.Context, tx pgx.Tx, rows []*importRow) error {
	return asSeen(ctx, tx, rows, pgx.NamedArgs{}, `, settled AS (
			DELETE FROM patient_conflicts c USING incoming i WHERE c.patient_id = i.id
		)
		UPDATE patients p SET imported_sha = p.resource_sha FROM incoming i WHERE p.id = i.id AND p.version = i.seen`)
}

// confirm notes that this import brought again what another one had written.
func (im *Import) confirm(ctx context.Context, tx pgx.Tx, rows []*importRow) error {
	return asSeen(ctx, tx, rows, pgx.NamedArgs{"import": im.number}, `
		INSERT INTO patient_confirmations AS c (patient_id, import_id, first_id, last_id)
		SELECT p.id, p.import_id, @import, @import FROM incoming i JOIN patients p ON p.id = i.id AND p.version = i.seen ORDER BY p.id
		ON CONFLICT (patient_id, import_id) DO UPDATE SET first_id = least(c.first_id, EXCLUDED.first_id),
			last_id = greatest(c.last_id, EXCLUDED.last_id)`)
}

// asSeen runs a statement about the rows' patients, which stand in incoming with the version that was seen. It must write
// one row for each; errMeanwhile when a patient is not any more what it was.
func asSeen(ctx context.Context, tx pgx.Tx, rows []*importRow, args pgx.NamedArgs, statement string) error {
	if len(rows) == 0 {
		return nil
	}
	rows = byID(rows)
	args["ids"] = each(rows, func(r *importRow) string { return r.known.ID })
	args["seen"] = each(rows, func(r *importRow) int32 { return int32(r.known.Version) })
	done, err := tx.Exec(ctx, `
		WITH incoming AS (
			SELECT * FROM unnest(@ids::uuid[], @seen::integer[]) AS t (id, seen)
		)`+statement, args)
	if err == nil && done.RowsAffected() != int64(len(rows)) {
		err = errMeanwhile
	}
	return err
}

// dropConflicts ends those in which the other side has gone back to what both had been.
func dropConflicts(ctx context.Context, tx pgx.Tx, rows []*importRow) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM patient_conflicts WHERE patient_id = ANY (@ids::uuid[])`,
		pgx.NamedArgs{"ids": each(rows, func(r *importRow) string { return r.known.ID })})
	return err
}

// keepConflicts puts what came beside what is here. Of what waits already is only noted that it came again; the ids are
// those of the others.
func (im *Import) keepConflicts(ctx context.Context, tx pgx.Tx, rows []*importRow) ([]string, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	rows = byID(rows)
	found, err := tx.Query(ctx, `
		WITH incoming AS (
			SELECT * FROM unnest(@ids::uuid[], @resources::text[], @shas::bytea[]) AS t (id, resource, sha)
		), here AS MATERIALIZED (
			SELECT p.id FROM patients p JOIN incoming i ON p.id = i.id ORDER BY p.id FOR SHARE OF p
		), again AS (
			UPDATE patient_conflicts c SET last_id = greatest(c.last_id, @import) FROM incoming i JOIN here USING (id)
			WHERE c.patient_id = i.id AND c.resource_sha = i.sha
			RETURNING c.patient_id
		)
		INSERT INTO patient_conflicts AS c (patient_id, import_id, last_id, resource, resource_sha)
		SELECT i.id, @import, @import, i.resource::json, i.sha FROM incoming i JOIN here USING (id)
		WHERE i.id NOT IN (SELECT patient_id FROM again)
		ON CONFLICT (patient_id) DO UPDATE SET import_id = EXCLUDED.import_id, last_id = EXCLUDED.last_id, received_at = now(),
			resource = EXCLUDED.resource, resource_sha = EXCLUDED.resource_sha
		RETURNING c.patient_id::text`,
		pgx.NamedArgs{"import": im.number, "ids": each(rows, func(r *importRow) string { return r.known.ID }),
			"resources": each(rows, func(r *importRow) string { return string(r.entry.Raw) }),
			"shas":      each(rows, func(r *importRow) []byte { return r.values.ResourceSHA })})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// byID sorts by the patient's id: rows are locked in one order by whoever locks several.
func byID(rows []*importRow) []*importRow {
	return slices.SortedFunc(slices.Values(rows), func(a, b *importRow) int { return cmp.Compare(a.known.ID, b.known.ID) })
}

// record closes a batch's transaction: the counts in the list of imports, and the audit event. It comes last, because the
// other writer waits for the row of the import from here to the commit.
func (im *Import) record(ctx context.Context, tx pgx.Tx, done ImportReport, ids []string) error {
	total := im.total()
	found, err := tx.Query(ctx, `
		WITH counted AS (
			UPDATE imports SET created = created + @created, updated = updated + @updated, unchanged = unchanged + @unchanged,
			       conflicts = conflicts + @conflicts, rejected = greatest(rejected, @rejected), other = greatest(other, @other)
			WHERE id = @import AND undone_at IS NULL AND pg_try_advisory_xact_lock_shared(@class::integer, 0)
			  AND pg_try_advisory_xact_lock_shared(@class::integer, id)
			RETURNING id
		), audited AS (
			INSERT INTO audit_events (action, outcome, actor, program, patients, detail)
			SELECT 'import', 'success', @actor, @program, @ids::uuid[], jsonb_build_object('import', id,
			       'created', @created::integer, 'updated', @updated::integer, 'conflicts', @conflicts::integer)
			FROM counted WHERE cardinality(@ids::uuid[]) > 0
		)
		SELECT id FROM counted`,
		pgx.NamedArgs{"import": im.number, "class": importLock, "actor": im.options.Actor, "program": im.d.program, "ids": each(ids, uuid),
			"created": done.Created, "updated": done.Updated, "unchanged": done.Unchanged, "conflicts": done.Conflicts,
			"rejected": total.Rejected, "other": total.Other})
	if err != nil {
		return err
	}
	counted, err := pgx.CollectRows(found, pgx.RowTo[int])
	if err == nil && len(counted) == 0 {
		err = ErrUndone
	}
	return err
}

// try is the dry run's way with a batch: it compares, counts, and keeps in mind, in a temporary table, what would be here
// by now.
func (im *Import) try(ctx context.Context, rows []*importRow) error {
	if err := lookUp(ctx, im.control, rows); err != nil {
		return err
	}
	type tried struct {
		ImportKey string
		SHA       []byte
	}
	found, err := im.control.Query(ctx, `SELECT import_key, sha FROM import_tried WHERE import_key = ANY (@keys::text[])`,
		pgx.NamedArgs{"keys": each(rows, func(r *importRow) string { return r.key })})
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(found, pgx.RowToStructByName[tried])
	if err != nil {
		return err
	}
	written := make(map[string][]byte, len(all))
	for _, t := range all {
		written[t.ImportKey] = t.SHA
	}
	for i, r := range rows {
		if sha := written[r.key]; sha != nil {
			rows[i].known = knownPatient{ImportKey: r.key, ID: "tried", ResourceSHA: sha, ImportedSHA: sha}
		}
	}
	p := planFor(rows, 0)
	wrote := append(p.create, p.update...)
	_, err = im.control.Exec(ctx, `
		INSERT INTO import_tried (import_key, sha) SELECT * FROM unnest(@keys::text[], @shas::bytea[])
		ON CONFLICT (import_key) DO UPDATE SET sha = EXCLUDED.sha`,
		pgx.NamedArgs{"keys": each(wrote, func(r *importRow) string { return r.key }),
			"shas": each(wrote, func(r *importRow) []byte { return r.values.ResourceSHA })})
	if err != nil {
		return err
	}
	im.count(p.report())
	return nil
}

// indexedColumns gives the columns of the patients table that come from a resource, as arrays for unnest.
func indexedColumns(rows []indexed, column func(name, kind string, values any)) {
	column("display_name", "text", each(rows, func(r indexed) string { return r.DisplayName }))
	column("family", "text", each(rows, func(r indexed) *string { return r.Family }))
	column("given", "text", each(rows, func(r indexed) *string { return r.Given }))
	column("mrn", "text", each(rows, func(r indexed) *string { return r.MRN }))
	column("birth_date", "text", each(rows, func(r indexed) *string { return r.BirthDate }))
	column("gender", "text", each(rows, func(r indexed) *string { return r.Gender }))
	column("phone", "text", each(rows, func(r indexed) *string { return r.Phone }))
	column("email", "text", each(rows, func(r indexed) *string { return r.Email }))
	column("city", "text", each(rows, func(r indexed) *string { return r.City }))
	column("active", "boolean", each(rows, func(r indexed) *bool { return r.Active }))
	column("deceased", "boolean", each(rows, func(r indexed) bool { return r.Deceased }))
	column("family_key", "text", each(rows, func(r indexed) string { return r.FamilyKey }))
	column("given_key", "text", each(rows, func(r indexed) string { return r.GivenKey }))
	column("mrn_key", "text", each(rows, func(r indexed) string { return r.MRNKey }))
	column("words", "text", each(rows, func(r indexed) string { return r.Words }))
	column("phone_keys", "text", each(rows, func(r indexed) string { return r.PhoneKeys }))
	column("resource_sha", "bytea", each(rows, func(r indexed) []byte { return r.ResourceSHA }))
}

func each[R, T any](rows []R, of func(R) T) []T {
	all := make([]T, len(rows))
	for i, r := range rows {
		all[i] = of(r)
	}
	return all
}

// CountPatients says how many patients there are, for the command line.
func (d *DB) CountPatients(ctx context.Context) (n int, err error) {
	err = d.pool.QueryRow(ctx, `SELECT count(*) FROM patients`).Scan(&n)
	return n, err
}
