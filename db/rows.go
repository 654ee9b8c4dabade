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
	var p *fieldPlan
	if known, ok := fieldPlans.Load(row.Type()); ok {
		p = known.(*fieldPlan)
	}
	if p == nil || !slices.EqualFunc(p.columns, columns, sameColumn) {
		if p = planFields(row.Type(), columns); p == nil {
			return nil
		}
		fieldPlans.Store(row.Type(), p)
	}
	f := &rowFields{others: make([]any, len(columns)), head: p.head, texts: make([]textField, 0, len(columns))}
	for i, index := range p.index {
		field := row.FieldByIndex(index).Addr().Interface()
		if text, ok := field.(**string); ok && p.text[i] {
			f.texts = append(f.texts, textField{i, text})
		} else {
			f.others[i] = field
		}
	}
	return f
}

// fieldPlan says which columns go to which fields of a type, as found out for the last statement that was read into it.
type fieldPlan struct {
	columns []pgconn.FieldDescription
	index   [][]int // of the fields, by column
	head    []bool
	text    []bool // the column's value is the text itself, and no part of the head
}

var fieldPlans sync.Map // of *fieldPlan by reflect.Type

func sameColumn(a, b pgconn.FieldDescription) bool {
	return a.DataTypeOID == b.DataTypeOID && a.Name == b.Name
}

func planFields(t reflect.Type, columns []pgconn.FieldDescription) *fieldPlan {
	p := &fieldPlan{columns: slices.Clone(columns)}
	for i, c := range columns {
		index := fieldNamed(t, c.Name)
		if index == nil || slices.ContainsFunc(p.index, func(other []int) bool { return slices.Equal(other, index) }) {
			return nil
		}
		p.columns[i].Name = strings.Clone(c.Name) // which may lie in a buffer of the connection
		p.index, p.head = append(p.index, index), append(p.head, index[0] == 0)
		p.text = append(p.text, index[0] != 0 && c.DataTypeOID == pgtype.TextOID) // the same in either format
	}
	if len(columns) != fieldCount(t) {
		return nil
	}
	return p
}

// fieldNamed finds a column's field as pgx does: without underscores and regardless of case. Nil is for none.
func fieldNamed(t reflect.Type, column string) []int {
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous && strings.EqualFold(f.Name, strings.ReplaceAll(column, "_", "")) {
			return f.Index
		}
	}
	return nil
}

func fieldCount(t reflect.Type) (n int) {
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			n++
		}
	}
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
