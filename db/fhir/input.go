package fhir

import (
	"bytes"
	"encoding/json"
	"io"
)

// input is a window on a stream, with the small part of a JSON parser that finds where values end without holding
// them. With a nil r it is the text in buf.
type input struct {
	r        io.Reader
	buf      []byte
	pos, end int   // buf[pos:end] is read from r and not yet used
	off      int64 // offset of buf[0] in the input
	line     int   // number of the line at counted
	counted  int
	err      error // why r gives no more
	marks    []mark
	named    []byte // the last member's name
}

// mark keeps what is read since begin, as long as it stays under its limit.
type mark struct {
	from   int // where in buf the part begins that is not yet in chunks
	chunks [][]byte
	size   int
	limit  int // -1: forgotten
}

func (in *input) rest() []byte  { return in.buf[in.pos:in.end] }
func (in *input) offset() int64 { return in.off + int64(in.pos) }
func (in *input) bad() error    { return &malformed{offset: in.offset()} }

// failure is why reading ended, nil when it was the end of the input.
func (in *input) failure() error {
	if in.err == io.EOF { //nolint:errorlint // a wrapped one is somebody's failure
		return nil
	}
	return in.err
}

// cut is the error for an input that ends here, inside a value.
func (in *input) cut() error {
	if err := in.failure(); err != nil {
		return err
	}
	return &malformed{offset: in.offset(), short: true}
}

func (in *input) lineNumber() int {
	in.line += bytes.Count(in.buf[in.counted:in.pos], []byte("\n"))
	in.counted = in.pos
	return in.line
}

// more reads on, keeping what is not used yet; false when there is no more.
func (in *input) more() bool {
	if in.r == nil || in.err != nil {
		return false
	}
	if len(in.buf)-in.end < chunk {
		in.makeRoom()
	}
	for tries := 0; in.err == nil; tries++ {
		var n int
		n, in.err = in.r.Read(in.buf[in.end : in.end+chunk])
		if in.end += n; n > 0 {
			return true
		}
		if in.err == nil && tries == 100 {
			in.err = io.ErrNoProgress
		}
	}
	return false
}

// makeRoom moves what is not used yet to the front, of a larger window where it fills most of this one. The sizes are
// few, so that few are thrown away, and one long line is no reason to keep a large one.
func (in *input) makeRoom() {
	in.lineNumber()
	for i := range in.marks {
		in.marks[i].keep(in.buf[:in.pos])
		in.marks[i].from = 0
	}
	in.off += int64(in.pos)
	unused := in.rest()
	size := len(in.buf)
	if len(unused) == 0 && size > 16*chunk {
		size = 0
	}
	for _, larger := range []int{4 * chunk, 16 * chunk, maxResource + 4*chunk} {
		if size < 2*len(unused)+chunk {
			size = larger
		}
	}
	if size = max(size, len(unused)+chunk); size != len(in.buf) {
		in.buf = make([]byte, size)
	}
	in.end = copy(in.buf, unused)
	in.pos, in.counted = 0, 0
}

// ahead reads until n bytes lie ahead; it may be fewer at the end.
func (in *input) ahead(n int) {
	for in.end-in.pos < n && in.more() { //nolint:revive // the condition does the work
	}
}

// blank passes over white space, and over the byte order marks that concatenated files leave; false at the end.
func (in *input) blank() bool {
	for {
		for in.pos < in.end {
			switch in.buf[in.pos] {
			case ' ', '\t', '\r', '\n':
				in.pos++
				continue
			case 0xef:
				if in.ahead(3); bytes.HasPrefix(in.rest(), []byte("\xef\xbb\xbf")) {
					in.pos += 3
					continue
				}
			}
			return true
		}
		if !in.more() {
			return false
		}
	}
}

// peekLine gives the rest of the line with its end, without using it; whole is false, and the line only begun, when
// it is longer than limit.
func (in *input) peekLine(limit int) (line []byte, whole bool) {
	for seen := 0; ; {
		if i := bytes.IndexByte(in.rest()[seen:], '\n'); i >= 0 {
			n := seen + i + 1
			return in.rest()[:n], n <= limit+1
		}
		if seen = len(in.rest()); seen > limit {
			return in.rest(), false
		}
		if !in.more() {
			return in.rest(), true
		}
	}
}

// peekAfter gives the first byte that is not blank after the next n; 0 at the end of the input, a space when there is
// nothing but blanks for long.
func (in *input) peekAfter(n int) byte {
	for i := n; i < n+chunk; i++ {
		if in.ahead(i + 1); i >= len(in.rest()) {
			return 0
		}
		if c := in.rest()[i]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return ' '
}

// begin starts to keep what is read, until take gives it. Begins and takes nest.
func (in *input) begin(limit int) { in.marks = append(in.marks, mark{from: in.pos, limit: limit}) }

// take gives what was read since its begin, valid until the input is read on; fits is false, and raw nil, when it was
// more than the limit.
func (in *input) take() (raw []byte, fits bool) {
	last := len(in.marks) - 1
	m := in.marks[last]
	in.marks = in.marks[:last]
	if m.chunks == nil {
		if raw = in.buf[m.from:in.pos]; len(raw) > m.limit {
			return nil, false
		}
		return raw, true
	}
	if m.keep(in.buf[:in.pos]); m.limit < 0 {
		return nil, false
	}
	return bytes.Join(m.chunks, nil), true
}

// forget gives up what the innermost begin keeps.
func (in *input) forget() {
	m := &in.marks[len(in.marks)-1]
	m.chunks, m.limit = nil, -1
}

func (m *mark) keep(read []byte) {
	part := read[m.from:]
	if m.size += len(part); m.size > m.limit {
		m.chunks, m.limit = nil, -1
	}
	if m.limit >= 0 && len(part) > 0 {
		m.chunks = append(m.chunks, bytes.Clone(part))
	}
}

// peek passes over white space inside a value and gives the byte after it, which stays ahead.
func (in *input) peek() (byte, error) {
	for {
		for in.pos < in.end {
			switch c := in.buf[in.pos]; c {
			case ' ', '\t', '\r', '\n':
				in.pos++
			default:
				return c, nil
			}
		}
		if !in.more() {
			return 0, in.cut()
		}
	}
}

// at gives the byte ahead; false at the end.
func (in *input) at() (byte, bool) {
	if in.pos == in.end && !in.more() {
		return 0, false
	}
	return in.buf[in.pos], true
}

// expect passes over white space and the byte c.
func (in *input) expect(c byte) error {
	got, err := in.peek()
	if err != nil {
		return err
	}
	if got != c {
		return in.bad()
	}
	in.pos++
	return nil
}

// members passes over an object and calls f at each value, which f must pass over; the name is valid until f reads.
func (in *input) members(f func(name []byte) error) error {
	return in.list('{', '}', func() error {
		name, err := in.name()
		if err != nil {
			return err
		}
		if err := in.expect(':'); err != nil {
			return err
		}
		return f(name)
	})
}

// elements passes over an array and calls f at each value, which f must pass over.
func (in *input) elements(f func() error) error { return in.list('[', ']', f) }

func (in *input) list(open, closing byte, f func() error) error {
	if err := in.expect(open); err != nil {
		return err
	}
	c, err := in.peek()
	if err != nil {
		return err
	}
	for c != closing {
		if err := f(); err != nil {
			return err
		}
		if c, err = in.peek(); err != nil {
			return err
		}
		if c == closing {
			break
		}
		if err := in.expect(','); err != nil {
			return err
		}
	}
	in.pos++
	return nil
}

// name passes over a member's name. One that is too long to be one of ours comes out empty.
func (in *input) name() ([]byte, error) {
	if c, err := in.peek(); err != nil {
		return nil, err
	} else if c != '"' {
		return nil, in.bad()
	}
	in.begin(maxName)
	err := in.quoted()
	raw, fits := in.take()
	if err != nil || !fits {
		return nil, err
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		return []byte(unescaped(raw)), nil
	}
	in.named = append(in.named[:0], raw[1:len(raw)-1]...) // reading on to the value may move the window
	return in.named, nil
}

// text passes over a value and gives it when it is a string of at most limit bytes, "" otherwise.
func (in *input) text(limit int) (string, error) {
	raw, fits, err := in.held(limit, 3)
	if err != nil || !fits || raw[0] != '"' {
		return "", err
	}
	return unescaped(raw), nil
}

func unescaped(raw []byte) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// held passes over a value, inside depth others, and gives its bytes as take does.
func (in *input) held(limit, depth int) (raw []byte, fits bool, err error) {
	if _, err := in.peek(); err != nil {
		return nil, false, err
	}
	in.begin(limit)
	err = in.skip(depth)
	raw, fits = in.take()
	return raw, fits, err
}

// skip passes over a value, inside depth others.
func (in *input) skip(depth int) error {
	c, err := in.peek()
	if err != nil {
		return err
	}
	if depth >= maxNesting && (c == '{' || c == '[') {
		return in.bad()
	}
	switch c {
	case '{':
		return in.members(func([]byte) error { return in.skip(depth + 1) })
	case '[':
		return in.elements(func() error { return in.skip(depth + 1) })
	case '"':
		return in.quoted()
	case 't':
		return in.literal("true")
	case 'f':
		return in.literal("false")
	case 'n':
		return in.literal("null")
	}
	return in.number()
}

func (in *input) literal(word string) error {
	for i := range len(word) {
		if c, ok := in.at(); !ok {
			return in.cut()
		} else if c != word[i] {
			return in.bad()
		}
		in.pos++
	}
	return nil
}

// number passes over a number as RFC 8259, section 6, has it.
func (in *input) number() error {
	if c, _ := in.at(); c == '-' {
		in.pos++
	}
	if c, _ := in.at(); c == '0' {
		in.pos++
	} else if err := in.digits(); err != nil {
		return err
	}
	if c, _ := in.at(); c == '.' {
		in.pos++
		if err := in.digits(); err != nil {
			return err
		}
	}
	if c, _ := in.at(); c == 'e' || c == 'E' {
		in.pos++
		if c, _ := in.at(); c == '+' || c == '-' {
			in.pos++
		}
		return in.digits()
	}
	return nil
}

// digits passes over one digit or more.
func (in *input) digits() error {
	for n := 0; ; n++ {
		c, ok := in.at()
		switch {
		case ok && c >= '0' && c <= '9':
			in.pos++
		case n > 0:
			return nil
		case !ok:
			return in.cut()
		default:
			return in.bad()
		}
	}
}

// quoted passes over a string.
func (in *input) quoted() error {
	in.pos++
	for {
		for in.pos < in.end {
			c := in.buf[in.pos]
			if c < ' ' {
				return in.bad()
			}
			if in.pos++; c == '"' {
				return nil
			}
			if c == '\\' {
				if err := in.escape(); err != nil {
					return err
				}
			}
		}
		if !in.more() {
			return in.cut()
		}
	}
}

// escape passes over what follows a backslash.
func (in *input) escape() error {
	c, ok := in.at()
	if !ok {
		return in.cut()
	}
	if bytes.IndexByte([]byte(`"\/bfnrtu`), c) < 0 {
		return in.bad()
	}
	in.pos++
	if c != 'u' {
		return nil
	}
	for range 4 {
		c, ok := in.at()
		if !ok {
			return in.cut()
		}
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return in.bad()
		}
		in.pos++
	}
	return nil
}

// lineRest reads what is left of a line, without its end.
type lineRest struct{ in *input }

func (l *lineRest) Read(p []byte) (int, error) {
	if _, ok := l.in.at(); !ok {
		if err := l.in.failure(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	part := l.in.rest()
	if i := bytes.IndexByte(part, '\n'); i >= 0 {
		part = part[:i]
	}
	if len(part) == 0 {
		return 0, io.EOF
	}
	n := copy(p, part)
	l.in.pos += n
	return n, nil
}

// trimLine cuts JSON's white space from both ends.
func trimLine(line []byte) []byte { return bytes.Trim(line, " \t\r\n") }
