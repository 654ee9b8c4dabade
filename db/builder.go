package db

import (
	"fmt"

	"github.com/jackc/pgx/v5"
)

// builder collects the values of a statement that is put together from parts. The same parts give the same text, so
// that the text can be prepared once; values are never in it.
type builder struct {
	args pgx.NamedArgs
	have map[placed]string
}

type placed struct {
	value any
	kind  string
}

// value adds one, which must be comparable, and gives its placeholder.
func (b *builder) value(v any, kind string) string {
	if name, ok := b.have[placed{v, kind}]; ok {
		return name
	}
	if b.have == nil {
		b.have = map[placed]string{}
	}
	name := fmt.Sprintf("v%d", len(b.have))
	b.args[name] = v
	name = "@" + name + "::" + kind
	b.have[placed{v, kind}] = name
	return name
}

func (b *builder) text(s string) string { return b.value(s, "text") }

// bounds are the ends of an index range as SQL: from low, and below high. start is what all in it begin with, when that
// is what they have in common.
type bounds struct{ low, high, start string }

// prefix bounds what begins with s. Bounds, not LIKE: a prepared plan knows an index range only from these.
func (b *builder) prefix(s string) bounds {
	return bounds{b.text(s), b.text(s + prefixEnd), s}
}

const prefixEnd = "\U0010FFFF"

func inRange(column string, w bounds) string {
	return fmt.Sprintf("(%s >= %s AND %s < %s)", column, w.low, column, w.high)
}
