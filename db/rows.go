package db

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// eachRow is pgx.ForEachRow with RowToStructByName, as strict, for pages of the list. pgx finds out for every row which column belongs
// in which field, and makes two objects of each text; together that is a sixth of what a page costs this program (measured). Here it is
// found out once, and the texts of a row share one piece of memory. T's first field is an embedded struct of what only the
// first row has; its others are pointers or plain values, no slices. All rows come in the same place, one after the other; what
// its pointers lead to stays.
func eachRow[T any](rows pgx.Rows, take func(row *T) error) error {
	defer rows.Close()
	var row T
	fields := fieldsOf(reflect.ValueOf(&row).Elem(), rows.FieldDescriptions())
	if fields == nil {
		_, err := pgx.CollectRows(rows, pgx.RowToStructByName[T]) // which says what does not fit
		return err
	}
	texts := make([]string, 0, (PageSizes[0]+1)*len(fields.texts))
	for first := true; rows.Next(); first = false {
		if err := rows.Scan(fields.others...); err != nil {
			return err
		}
		texts = fields.takeTexts(rows.RawValues(), texts)
		if err := take(&row); err != nil {
			return err
		}
		if first {
			for i, head := range fields.head {
				if head {
					fields.others[i] = nil
				}
			}
		}
	}
	return rows.Err()
}

// rowFields are the places that a row's columns go to.
type rowFields struct {
	others []any // what Scan reads into; nil for a column that it leaves out
	head   []bool
	texts  []textField
}

type textField struct {
	column int
	field  **string
}

// takeTexts sets the fields of texts. They point into more, which grows by them and is never changed again.
func (f *rowFields) takeTexts(values [][]byte, more []string) []string {
	size := 0
	for _, t := range f.texts {
		size += len(values[t.column])
	}
	var all strings.Builder
	all.Grow(size)
	for _, t := range f.texts {
		all.Write(values[t.column])
	}
	rest := all.String()
	for _, t := range f.texts {
		value := values[t.column]
		if value == nil { // NULL
			*t.field = nil
			continue
		}
		more = append(more, rest[:len(value)])
		*t.field = &more[len(more)-1]
		rest = rest[len(value):]
	}
	return more
}

// fieldsOf finds a field for each column; nil unless each has one of its own and none is left over.
func fieldsOf(row reflect.Value, columns []pgconn.FieldDescription) *rowFields {
	f := &rowFields{others: make([]any, len(columns)), head: make([]bool, len(columns)), texts: make([]textField, 0, len(columns))}
	seen := make([]any, 0, len(columns))
	for i, c := range columns {
		index := fieldNamed(row.Type(), c.Name)
		if index == nil {
			return nil
		}
		field := row.FieldByIndex(index).Addr().Interface()
		if slices.Contains(seen, field) {
			return nil
		}
		seen = append(seen, field)
		f.head[i] = index[0] == 0
		if text, ok := field.(**string); ok && !f.head[i] && c.DataTypeOID == pgtype.TextOID { // the same in either format
			f.texts = append(f.texts, textField{i, text})
		} else {
			f.others[i] = field
		}
	}
	if len(columns) != fieldCount(row.Type()) {
		return nil
	}
	return f
}

type columnOf struct {
	t      reflect.Type
	column string
}

var (
	fieldsFound   sync.Map // of []int by columnOf
	fieldsCounted sync.Map // of int by reflect.Type
)

// fieldNamed finds a column's field as pgx does: without underscores and regardless of case. Nil is for none.
func fieldNamed(t reflect.Type, column string) []int {
	if known, ok := fieldsFound.Load(columnOf{t, column}); ok {
		return known.([]int)
	}
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous && strings.EqualFold(f.Name, strings.ReplaceAll(column, "_", "")) {
			fieldsFound.Store(columnOf{t, strings.Clone(column)}, f.Index)
			return f.Index
		}
	}
	return nil
}

func fieldCount(t reflect.Type) (n int) {
	if known, ok := fieldsCounted.Load(t); ok {
		return known.(int)
	}
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			n++
		}
	}
	fieldsCounted.Store(t, n)
	return n
}

// named are pgx.NamedArgs for statements that come again and again: where the names stand in the text is found out once.
type named pgx.NamedArgs

type rewritten struct {
	sql   string
	names []any
}

// mostRewritten bounds what is remembered: the statements that searches are put together from are many, but not that many.
const mostRewritten = 2000

var (
	remembered      sync.Map // of rewritten by text
	rememberedCount atomic.Int64
)

// RewriteQuery implements pgx.QueryRewriter.
func (n named) RewriteQuery(ctx context.Context, conn *pgx.Conn, sql string, args []any) (string, []any, error) {
	known, ok := remembered.Load(sql)
	if !ok {
		names := pgx.NamedArgs{}
		for name := range n {
			names[name] = name
		}
		text, order, err := names.RewriteQuery(ctx, conn, sql, args)
		if err != nil {
			return "", nil, err
		}
		known = rewritten{text, order}
		if rememberedCount.Add(1) > mostRewritten {
			remembered.Clear()
			rememberedCount.Store(1)
		}
		remembered.Store(strings.Clone(sql), known)
	}
	r := known.(rewritten)
	values := make([]any, len(r.names))
	for i, name := range r.names {
		if name != nil { // a name that nobody gave a value to is NULL, as with pgx
			values[i] = n[name.(string)]
		}
	}
	return r.sql, values, nil
}
