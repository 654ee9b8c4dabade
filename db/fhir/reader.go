package fhir

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

const (
	maxResource = 16 << 20  // bytes of one resource: far above any Patient, even with a photo
	maxWindow   = 128 << 20 // bytes that a zstd file may ask for: `zstd --ultra --long=27`
	maxBundles  = 4         // Bundles inside Bundles; a batch-response of searches has 2
	maxNesting  = 10_000    // the limit of encoding/json, which reads the resource next
	maxName     = 256       // bytes of a member's name or a resourceType that could be one we look for
	maxURL      = 4096      // bytes of a fullUrl
	maxSource   = 1 << 20   // bytes of a Source, and of a row of CSV
	chunk       = 64 << 10  // how much is read at once
)

var (
	errTooLarge     = fmt.Errorf("the resource is larger than %d MiB", maxResource>>20)
	errLine         = errors.New("this line is not valid JSON")
	errNotObject    = errors.New("a resource must be a JSON object")
	errNotUTF8      = errors.New("the resource is not valid UTF-8")
	errTypes        = errors.New("the resource names its resourceType more than once")
	errEntryList    = errors.New("the entry of a Bundle must be a list")
	errEntryMember  = errors.New("the entry names its resource or its fullUrl more than once")
	errEntryInline  = errors.New("the entry is itself a resource: it must be in the entry's member resource")
	errManyBundles  = fmt.Errorf("there are more than %d Bundles inside each other", maxBundles)
	errReaderClosed = errors.New("the reader is closed")

	errStopped = errors.New("the caller wants no more") // never leaves this file
)

// malformed is where the text stops being JSON. Unlike encoding/json's errors it quotes nothing of the text.
type malformed struct {
	offset int64 // from the start of the (unpacked) input, counted from 0
	short  bool  // the input ended inside a value
}

func (m *malformed) Error() string {
	if m.short {
		return fmt.Sprintf("the JSON is cut off: it ends inside a value, at byte offset %d", m.offset)
	}
	return fmt.Sprintf("not valid JSON at byte offset %d", m.offset)
}

// Entry is one resource, or why there is none.
type Entry struct {
	Line    int      // 1-based line in NDJSON, or where a document that is not the input's first begins; 0 otherwise
	Index   int      // 1-based entry in a Bundle (or in a JSON array of resources); 0 otherwise
	FullURL string   // Bundle entry.fullUrl
	Raw     []byte   // the resource exactly as it came, a JSON object in UTF-8, the caller's to keep; nil when Err != nil
	Err     error    // why it is rejected, without any value of the input; reading goes on after it where it can
	members []member // of Raw, which is valid JSON then; nil where it was not looked at closely

	// Source is one line for a file of rejects that a person mends and imports again: of NDJSON the line as it came, of a
	// Bundle or a document the rejected part, compacted. It is nil for what is no JSON by itself or longer than 1 MiB, and
	// where Err == nil: there Line(Raw) is as good. Of CSV it is the record as it came, which may have line breaks inside
	// quotation marks, and always there, since Raw is then our own; such a file begins with Header.
	Source []byte
}

// Where names the place for a person: "line 12", "entry 7", "line 3, entry 7", "resource".
func (e Entry) Where() string {
	switch {
	case e.Line > 0 && e.Index > 0:
		return fmt.Sprintf("line %d, entry %d", e.Line, e.Index)
	case e.Line > 0:
		return fmt.Sprintf("line %d", e.Line)
	case e.Index > 0:
		return fmt.Sprintf("entry %d", e.Index)
	}
	return "resource"
}

// Reader takes the resources out of a stream: NDJSON (FHIR Bulk Data), one resource, several after each other, a
// Bundle, a JSON array of resources, and NDJSON of Bundles; plain, gzip or zstd, told by content, never by name. It
// holds one resource at a time (16 MiB at most), never the file. It does not look at what the resources say beyond
// resourceType, and only to tell a Bundle from the rest.
//
// It also takes the patients.csv that Synthea writes, known by its header, and makes a resource of each row. In NDJSON
// and CSV a line that begins with # is a comment.
//
// A file that breaks off or turns out damaged gives all that came before the damage, then says so: as an Entry when
// the text is at fault, as an error when the bytes cannot be read.
type Reader struct {
	in     *input
	next   func() (Entry, error, bool)
	stop   func()
	unpack func() // releases the decompressor
	yield  func(Entry, error) bool
	limit  int    // bytes of a resource, and of what is held of a line
	single bool   // the input is one line
	line   []byte // of NDJSON, being read
	header []byte // of CSV
	done   error
}

// NewReader looks at the first bytes of r to see how it is packed. The error is for an r that cannot be read. Close
// does not close r.
func NewReader(r io.Reader) (*Reader, error) {
	packed := bufio.NewReaderSize(r, chunk)
	magic, err := packed.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	out := &Reader{unpack: func() {}, limit: maxResource}
	var plain io.Reader = packed
	switch {
	case isGzip(magic):
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, fmt.Errorf("unpack gzip: %w", err)
		}
		plain = unpacking{z, "gzip"}
	case isZstd(magic):
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("unpack zstd: %w", err)
		}
		plain, out.unpack = unpacking{z, "zstd"}, z.Close
	}
	out.in = &input{r: plain, line: 1}
	out.next, out.stop = iter.Pull2(out.all)
	return out, nil
}

// Next gives the next resource or reject. It returns io.EOF at the end, another error when the input cannot be read
// on (and that one again from then on).
func (r *Reader) Next() (Entry, error) {
	if r.done != nil {
		return Entry{}, r.done
	}
	e, err, ok := r.next()
	if !ok {
		err = io.EOF
	}
	r.done = err
	return e, err
}

// Close releases what reading held. Next fails afterwards.
func (r *Reader) Close() error {
	r.stop()
	r.unpack()
	r.unpack = func() {}
	if r.done == nil {
		r.done = errReaderClosed
	}
	return nil
}

// Header is the first line of CSV, without its end; nil for anything else, and before the first Next.
func (r *Reader) Header() []byte { return r.header }

func isGzip(b []byte) bool { return bytes.HasPrefix(b, []byte{0x1f, 0x8b}) }

// isZstd knows a frame (RFC 8878, 3.1.1) and a skippable one (3.1.2), with which parallel compressors begin.
func isZstd(b []byte) bool {
	return bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		len(b) >= 4 && b[0]&0xf0 == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18
}

// unpacking says in its errors what was being unpacked.
type unpacking struct {
	io.Reader
	name string
}

func (u unpacking) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.EOF is passed on as it is
		err = fmt.Errorf("unpack %s: %w", u.name, err)
	}
	return n, err
}

func (r *Reader) all(yield func(Entry, error) bool) {
	r.yield = yield
	if err := r.read(); err != nil && !errors.Is(err, errStopped) {
		yield(Entry{}, err)
	}
}

func (r *Reader) give(e Entry) error {
	if r.single && e.Index > 0 {
		e.Line = 0 // the only line says nothing
	}
	if !r.yield(e, nil) {
		return errStopped
	}
	return nil
}

// reject gives, as the Source, what was wrong when it is at hand, and for a line all of it.
func (r *Reader) reject(at spot, reason error, wrong []byte) error {
	e := Entry{Line: at.line, Index: at.index, Err: reason}
	switch {
	case at.index == 0 && r.line != nil:
		e.Source = bytes.Clone(r.line)
	case wrong != nil:
		e.Source, _ = Line(wrong)
	}
	if len(e.Source) > maxSource {
		e.Source = nil
	}
	return r.give(e)
}

// skipComments passes over blank lines and comments; false at the end.
func (r *Reader) skipComments() (more bool, err error) {
	for r.in.blank() {
		if r.in.buf[r.in.pos] != '#' {
			return true, nil
		}
		if err := r.in.skipLine(); err != nil {
			return false, err
		}
	}
	return false, r.in.failure()
}

// read finds out from the first line what the input is.
func (r *Reader) read() error {
	r.in.ahead(4)
	if what := packing(r.in.rest()); what != "" {
		return r.reject(spot{}, errors.New("this is not JSON: "+what), nil)
	}
	if more, err := r.skipComments(); err != nil || !more {
		return err
	}
	line, whole := r.in.peekLine(r.limit)
	next := byte(' ')
	if whole {
		next = r.in.peekAfter(len(line))
		line = r.in.rest()[:len(line)] // the window may have moved
		if columns, fields := csvColumns(line); columns != nil {
			return r.csvRows(line, columns, fields)
		}
	}
	switch shapeOf(trimLine(line), whole, next) {
	case shapeLines:
		r.single = next == 0
		return r.lines()
	case shapeDocument:
		return r.documents(r.in, 0)
	}
	return r.reject(spot{line: r.in.lineNumber()}, errors.New("this is not JSON: "+resembles(line)), nil)
}

type shape int

const (
	shapeForeign shape = iota
	shapeLines
	shapeDocument
)

// shapeOf judges by the first line that is not blank (only its start when it is too long to be held) and the first
// byte that is not blank after it, 0 at the end of the input. In doubt it says lines: there a bad one costs one line,
// while a document ends where it is bad.
func shapeOf(line []byte, whole bool, next byte) shape {
	opens := line[0] == '{' || line[0] == '['
	if !whole {
		if opens {
			return shapeDocument
		}
		return shapeForeign
	}
	err := oneValue(line)
	switch {
	case err == nil:
		return shapeLines
	case next == '#':
		return shapeLines // a comment follows, which no JSON has
	case !opens && next == '{':
		return shapeLines // a header, or a bad first line
	case !opens:
		return shapeForeign
	case next == 0:
		return shapeDocument // cut off or bad, and all there is: what came before the damage can still be read
	case !cutOff(err):
		return shapeLines
	case next != '{':
		return shapeDocument
	case bytes.IndexByte([]byte("{[,:"), line[len(line)-1]) < 0:
		return shapeLines
	}
	// The next line begins an object: either it continues this one or this one was cut off.
	if cutOff(oneValue(append(bytes.Clone(line), next))) {
		return shapeDocument
	}
	return shapeLines
}

// oneValue judges a text as one JSON value.
func oneValue(text []byte) error {
	in := &input{buf: text, end: len(text)}
	if err := in.skip(0); err != nil {
		return err
	}
	if in.blank() {
		return in.bad()
	}
	return nil
}

func cutOff(err error) bool {
	var m *malformed
	return errors.As(err, &m) && m.short
}

// packing tells what a file that cannot be JSON in UTF-8 is, from its first bytes.
func packing(b []byte) string {
	for magic, what := range map[string]string{
		"PK\x03\x04": "it is a zip archive, unpack it first", "BZh": "it is packed with bzip2, unpack it first",
		"\xfd7zX": "it is packed with xz, unpack it first", "%PDF": "it is a PDF",
	} {
		if bytes.HasPrefix(b, []byte(magic)) {
			return what
		}
	}
	switch {
	case isGzip(b) || isZstd(b):
		return "it is packed twice, unpack it first"
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}), bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return "it is encoded in UTF-16 or UTF-32, and must be in UTF-8"
	case len(b) >= 2 && (b[0] == 0 || b[1] == 0):
		return "it holds zero bytes, as UTF-16 does, and must be in UTF-8"
	}
	return ""
}

// resembles guesses, for the person who took the wrong file, what the first line belongs to.
func resembles(line []byte) string {
	switch {
	case line[0] == '<':
		return "it looks like XML or HTML"
	case bytes.ContainsAny(line, ",;\t"):
		return "it looks like CSV"
	}
	return "it begins with neither { nor ["
}

// lines reads NDJSON: each line on its own, so that a bad one harms no other.
func (r *Reader) lines() error {
	for {
		if more, err := r.skipComments(); err != nil || !more {
			return err
		}
		line, whole := r.in.peekLine(r.limit)
		number := r.in.lineNumber()
		switch {
		case !whole:
			if err := r.longLine(number); err != nil {
				return err
			}
			continue
		case r.in.failure() != nil && !bytes.HasSuffix(line, []byte("\n")):
			return r.in.failure() // who knows what else the line held
		}
		text := trimLine(line)
		r.line = trimEnd(line)
		var err error
		if e, plain := plainResource(text); plain {
			e.Line = number
			err = r.give(e)
		} else if json.Valid(text) {
			err = r.documents(&input{buf: text, end: len(text)}, number)
		} else {
			err = r.reject(spot{line: number}, errLine, nil)
		}
		if err != nil {
			return err
		}
		r.line = nil
		r.in.pos += len(line)
	}
}

// mostMembers is how many members of a resource are kept for Entry.Patient: more than FHIR's Patient has, so that a strange one takes
// no more memory than its text.
const mostMembers = 40

// plainResource knows the line that nearly all of NDJSON is, in one pass: a whole resource of a kind that is told once,
// and no Bundle. What it does not know is looked at more closely.
func plainResource(text []byte) (e Entry, plain bool) {
	if text[0] != '{' || !utf8.Valid(text) {
		return Entry{}, false
	}
	in := readings.Get().(*reading)
	defer readings.Put(in)
	in.reset()
	defer in.reset()
	e.Raw = bytes.Clone(text)
	if in.checkJSON(e.Raw) != nil {
		return Entry{}, false
	}
	kinds := 0
	for _, m := range in.room {
		switch string(m.key) {
		case "entry":
			return Entry{}, false
		case "resourceType":
			kinds++
			if m.value[0] != '"' || string(m.value) == `"Bundle"` || bytes.IndexByte(m.value, '\\') >= 0 {
				return Entry{}, false
			}
		}
	}
	if len(in.room) <= mostMembers {
		e.members = slices.Clone(in.room)
	}
	return e, kinds == 1
}

// longLine streams a line that is too long to be held: a Bundle is fine at any length.
func (r *Reader) longLine(number int) error {
	rest := &lineRest{in: r.in}
	if err := r.documents(&input{r: rest, off: r.in.offset()}, number); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, rest)
	return err
}

// documents reads JSON values that follow each other, until the end or until one is malformed. Line is the NDJSON
// line that they are, 0 when they are the input.
func (r *Reader) documents(in *input, line int) error {
	for first := true; in.blank(); first = false {
		begins := in.lineNumber()
		at := spot{line: line, begins: begins}
		if line == 0 && !first {
			at.line = begins
		}
		var m *malformed
		if err := r.value(in, &at); errors.As(err, &m) {
			if line == 0 && !m.short {
				return r.reject(at, fmt.Errorf("%w; nothing from there on was read", m), nil)
			}
			return r.reject(at, m, nil)
		} else if err != nil {
			return err
		}
		if first && line == 0 && in.lineNumber() == begins {
			return r.lines() // it was a long first line of NDJSON
		}
	}
	return in.failure()
}

// spot is where a value stands. Index moves on while a list is read.
type spot struct {
	line   int
	index  int
	begins int // the line on which the document begins, also when line is not told
	inside int // Bundles around it
}

func (p *spot) step() {
	if p.inside == 0 { // what is inside a nested Bundle counts as the entry that the Bundle is
		p.index++
	}
}

// value reads a resource, a Bundle, or a list of resources.
func (r *Reader) value(in *input, at *spot) error {
	c, err := in.peek()
	switch {
	case err != nil:
		return err
	case c == '{':
		return r.resource(in, at, "")
	case c == '[':
		return in.elements(func() error {
			at.step()
			raw, fits, err := in.held(r.limit, 1)
			if err != nil {
				return err
			}
			return r.held(raw, fits, at, "")
		})
	}
	raw, _, err := in.held(maxSource, 0)
	if err != nil {
		return err
	}
	return r.reject(*at, errNotObject, raw)
}

// held gives a resource that came out of a list and is in memory.
func (r *Reader) held(raw []byte, fits bool, at *spot, url string) error {
	switch {
	case !fits:
		return r.reject(*at, errTooLarge, nil)
	case raw[0] != '{':
		return r.reject(*at, errNotObject, raw)
	}
	inner := *at
	inner.inside++
	return r.resource(&input{buf: raw, end: len(raw)}, &inner, url)
}

// resource reads a JSON object: a Bundle gives its entries while it is read, anything else is given whole. A Bundle
// may name its resourceType after its entries, so an object without one that has a list of entries is taken for one;
// when it turns out to be something else (FHIR's List has entries too), it is given whole as well.
func (r *Reader) resource(in *input, at *spot, url string) error {
	var kind string
	var listed, odd bool
	own := *at
	kinds, found := 0, 0 // how often resourceType is there; entries that held a resource
	in.begin(r.limit)
	err := in.members(func(name []byte) error {
		switch string(name) {
		case "resourceType":
			kinds++
			text, err := in.text(maxName)
			if kind = text; kind == "Bundle" {
				in.forget() // never needed whole
			}
			return err
		case "entry":
			c, err := in.peek()
			if err != nil {
				return err
			}
			if c == '[' && (kind == "" || kind == "Bundle") {
				listed = true
				return r.entries(in, at, &found)
			}
			odd = true
		}
		return in.skip(1)
	})
	raw, fits := in.take()
	if err != nil {
		return err
	}
	*at = own // past its entries
	switch {
	case kinds > 1:
		return r.reject(*at, errTypes, raw)
	case kind == "Bundle" && odd:
		return r.reject(*at, errEntryList, raw)
	case kind == "Bundle", kind == "" && listed && found > 0:
		return nil
	case !fits:
		if at.index == 0 && at.line == 0 {
			at.line = at.begins
		}
		return r.reject(*at, errTooLarge, nil)
	case !utf8.Valid(raw): // json would put U+FFFD for the bytes: a name that nobody has
		return r.reject(*at, errNotUTF8, raw)
	}
	return r.give(Entry{Line: at.line, Index: at.index, FullURL: url, Raw: bytes.Clone(raw)})
}

// entries reads Bundle.entry.
func (r *Reader) entries(in *input, at *spot, found *int) error {
	if at.inside >= maxBundles {
		*found++
		raw, fits, err := in.held(maxSource, 2)
		if err != nil {
			return err
		}
		if fits { // a Bundle of their own is what they can be imported as
			raw = slices.Concat([]byte(`{"resourceType":"Bundle","entry":`), raw, []byte("}"))
		}
		return r.reject(*at, errManyBundles, raw)
	}
	return in.elements(func() error {
		at.step()
		c, err := in.peek()
		if err != nil {
			return err
		}
		if c == '{' {
			return r.entry(in, at, found)
		}
		*found++
		raw, _, err := in.held(maxSource, 2)
		if err != nil {
			return err
		}
		return r.reject(*at, errNotObject, raw)
	})
}

// entry reads one of Bundle.entry, whose members may come in any order. One without a resource (a search's outcome,
// a request to delete) is nothing to us.
func (r *Reader) entry(in *input, at *spot, found *int) error {
	var raw []byte
	var fits, inline bool
	var url string
	resources, urls := 0, 0
	in.begin(maxSource)
	err := in.members(func(name []byte) error {
		var err error
		switch string(name) {
		case "resource":
			resources++
			raw, fits, err = in.held(r.limit, 3)
			raw = bytes.Clone(raw) // what follows in the entry may take its place
		case "fullUrl":
			urls++
			url, err = in.text(maxURL)
		case "resourceType":
			inline = true
			err = in.skip(3)
		default:
			err = in.skip(3)
		}
		return err
	})
	whole, _ := in.take()
	if err != nil {
		return err
	}
	if resources > 0 || inline {
		*found++
	}
	switch {
	case resources > 1 || urls > 1:
		return r.reject(*at, errEntryMember, whole)
	case resources > 0:
		return r.held(raw, fits, at, url)
	case inline:
		return r.reject(*at, errEntryInline, whole)
	}
	return nil
}
