package db

import (
	"context"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// collect is pgx.CollectRows with RowToStructByName, as strict: the first row goes through that. It then keeps which
// column belongs in which field, which pgx finds out for every row, and which is a fifth of what a page of the list costs
// this program (measured). T's first field is an embedded struct of what only the first row has; its others are
// pointers or plain values, no slices.
func collect[T any](rows pgx.Rows) ([]T, error) {
	defer rows.Close()
	var all []T
	var next T        // each row is read into this one, and copied: its pointers are set anew by every Scan
	var targets []any // the fields of next; nil is a column that is not wanted
	for rows.Next() {
		if targets == nil {
			first, err := pgx.RowToStructByName[T](rows)
			if err != nil {
				return nil, err
			}
			all = append(make([]T, 0, PageSizes[0]+1), first)
			targets = make([]any, len(rows.FieldDescriptions()))
			for i, d := range rows.FieldDescriptions() {
				if f := fieldNamed(reflect.TypeFor[T](), d.Name); f[0] != 0 {
					targets[i] = reflect.ValueOf(&next).Elem().FieldByIndex(f).Addr().Interface()
				}
			}
			continue
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		all = append(all, next)
	}
	return all, rows.Err()
}

type columnOf struct {
	t      reflect.Type
	column string
}

var fieldsFound sync.Map // of []int by columnOf

// fieldNamed finds a column's field as pgx does: without underscores and regardless of case.
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
	panic("no field for " + column) // RowToStructByName has found one
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
