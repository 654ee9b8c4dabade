package db

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// maxKnownWords bounds what an import remembers of the dictionary: some megabytes.
const maxKnownWords = 50_000

// knownWords are words of which an import knows that they are in the dictionary: those that came last, and those that came last
// before these, so that words that come often are never forgotten.
type knownWords struct {
	mu           sync.Mutex
	last, before map[string]struct{}
}

// words sees to it that the words of new patients are in the dictionary, in a transaction of its own: one that holds new words
// for as long as a batch takes has all others wait that meet them too. Should the batch fail, words are left that find nobody,
// as when an import is taken back.
func (w *batchWriter) words(ctx context.Context, rows []*importRow) error {
	known := &w.im.known
	known.mu.Lock() // one after the other: what one has added the next need not try
	defer known.mu.Unlock()
	fresh := known.note(rows)
	if len(fresh) == 0 {
		return nil
	}
	err := pgx.BeginFunc(ctx, w.conn, func(tx pgx.Tx) error { return w.addWords(ctx, tx, fresh) })
	if refused(err) == uniqueViolation { // what is left of a word that somebody took out of the dictionary
		_, err = w.conn.Exec(ctx, `SELECT name_words_add(@words::text[])`, pgx.NamedArgs{"words": fresh})
	}
	if err != nil {
		known.last, known.before = nil, nil
	}
	return err
}

// note gives the words of the rows that were not known, and takes them for known.
func (k *knownWords) note(rows []*importRow) (fresh []string) {
	if len(k.last) > maxKnownWords || k.last == nil {
		k.last, k.before = map[string]struct{}{}, k.last
	}
	for i := range rows {
		for word := range strings.SplitSeq(rows[i].values.Words, " ") {
			if _, ok := k.last[word]; ok || word == "" {
				continue
			}
			if _, ok := k.before[word]; !ok {
				fresh = append(fresh, word)
			}
			k.last[word] = struct{}{}
		}
	}
	return fresh
}

// addWords does what name_words_add does, for a third of what that takes.
func (w *batchWriter) addWords(ctx context.Context, tx pgx.Tx, words []string) error {
	rows, err := tx.Query(ctx, `
		INSERT INTO name_words (word)
		SELECT w FROM (SELECT unnest(@words::text[]) COLLATE "C" AS w) u WHERE NOT EXISTS (SELECT FROM name_words k WHERE k.word = w)
		ORDER BY w ON CONFLICT DO NOTHING RETURNING word`, pgx.NamedArgs{"words": words})
	if err != nil {
		return err
	}
	added, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	var typos [][2]string
	for _, word := range added {
		if n := utf8.RuneCountInString(word); n < 3 || n > 24 {
			continue
		}
		typos = append(typos, [2]string{word, word})
		for _, typo := range deletions(word) {
			typos = append(typos, [2]string{typo, word})
		}
	}
	if !w.im.deferred.Load() {
		slices.SortFunc(typos, func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	}
	c := &w.copy
	c.begin()
	for _, t := range typos {
		c.row(2)
		c.text(t[0])
		c.text(t[1])
	}
	return c.send(ctx, tx, `COPY name_typos (typo, word) FROM STDIN (FORMAT binary)`)
}

// patientTerm is a row of patient_terms.
type patientTerm struct {
	term    string
	patient int // its place among the rows
}

// termsOf gives what patient_terms_of gives for each of the rows.
func termsOf(rows []*importRow) []patientTerm {
	terms := make([]patientTerm, 0, 3*len(rows))
	for i := range rows {
		v := &rows[i].values
		family, _, _ := strings.Cut(v.FamilyKey, " ")
		given, _, _ := strings.Cut(v.GivenKey, " ")
		for word := range strings.SplitSeq(v.Words, " ") {
			if word != "" && word != family && word != given {
				terms = append(terms, patientTerm{word, i})
			}
		}
		for digits := range strings.SplitSeq(v.PhoneKeys, " ") {
			if digits != "" {
				terms = append(terms, patientTerm{"#" + digits, i})
			}
		}
	}
	return terms
}

// sortTerms puts them in the order of the index, so that neighbours there are written together.
func sortTerms(terms []patientTerm, rows []*importRow) {
	slices.SortFunc(terms, func(a, b patientTerm) int {
		if c := strings.Compare(a.term, b.term); c != 0 || a.patient == b.patient {
			return c
		}
		v, w := &rows[a.patient].values, &rows[b.patient].values
		return cmp.Or(strings.Compare(v.FamilyKey, w.FamilyKey), strings.Compare(v.GivenKey, w.GivenKey))
	})
}
