package db_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/sample"
)

// searchIndexes are the indexes and keys that a first import may leave out, those that it may not, and what else it does to their tables.
func searchIndexes(t *testing.T, c *pgx.Conn) string {
	t.Helper()
	return value[string](t, c, `
		WITH tables AS (
			SELECT oid, reloptions FROM pg_class
			WHERE oid IN ('patients'::regclass, 'patient_terms'::regclass, 'patient_resources'::regclass, 'name_words'::regclass, 'name_typos'::regclass)
		)
		SELECT string_agg(line, E'\n' ORDER BY line) FROM (
			SELECT pg_get_indexdef(indexrelid) || indisvalid || indisprimary FROM pg_index JOIN tables ON indrelid = oid
			UNION ALL SELECT conname || ' ' || pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN tables ON conrelid = tables.oid
			UNION ALL SELECT oid::regclass || reloptions::text FROM tables WHERE reloptions IS NOT NULL
		) l (line)`)
}

func leftOut(t *testing.T, c *pgx.Conn) int {
	t.Helper()
	return value[int](t, c, `SELECT count(*) FROM patients_indexes_deferred`)
}

// termsAreRight compares what finds patients with what the database itself would have written for each.
func termsAreRight(t *testing.T, c *pgx.Conn) {
	t.Helper()
	const want = `SELECT t, p.family_key, p.given_key, p.id FROM patients p, patient_terms_of(p.words, p.phone_keys, p.family_key, p.given_key) t`
	const got = `SELECT term, family_key, given_key, patient_id FROM patient_terms`
	for what, sql := range map[string]string{
		"missing terms": `(` + want + `) EXCEPT ALL (` + got + `)`, "terms too many": `(` + got + `) EXCEPT ALL (` + want + `)`,
		"words not in the dictionary": `SELECT unnest(string_to_array(ltrim(words), ' ')) FROM patients WHERE words <> ' ' EXCEPT SELECT word FROM name_words`,
		"missing typing errors": `SELECT left(word, i - 1) || substr(word, i + 1), word FROM name_words, generate_series(1, length(word) + 1) i
			WHERE length(word) BETWEEN 3 AND 24 EXCEPT SELECT typo, word FROM name_typos`,
		"typing errors too many": `SELECT typo, word FROM name_typos EXCEPT SELECT left(word, i - 1) || substr(word, i + 1), word
			FROM name_words, generate_series(1, length(word) + 1) i WHERE length(word) BETWEEN 3 AND 24`,
	} {
		if n := value[int](t, c, `SELECT count(*) FROM (`+sql+`) x`); n != 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
}

func samples(n int) string {
	var text bytes.Buffer
	for p := range sample.Patients(5, n) {
		text.Write(append(p, '\n'))
	}
	return text.String()
}

func TestWhatAnImportWritesFindsPatientsAsTheDatabasesOwnTriggerWould(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	odd := resource("odd1", `,"name":[{"family":"O'Brien-Smith","given":["Ana María","Ana"]},{"text":"李 小龍"}],"telecom":[{"system":"phone","value":"+49 30 901820"},{"system":"phone","value":"030/901820"}]`) +
		resource("odd2", `,"name":[{"family":"`+strings.Repeat("very long ", 60)+`","given":["x"]}]`) + resource("odd3", "") +
		resource("odd4", `,"name":[{"given":["Ana","Ana"]},{"family":"ana"}]`)
	if r, rejects := load(t, d, samples(2500)+odd); r.Created != 2504 {
		t.Fatal(r, rejects)
	}
	termsAreRight(t, c)
	before := value[int](t, c, `SELECT count(*) FROM name_words`)
	load(t, d, samples(2500)+odd+resource("new", `,"name":[{"family":"Quxling"}]`)) // most words are known by now
	if n := value[int](t, c, `SELECT count(*) FROM name_words`); n != before+1 {
		t.Errorf("%d words, want %d", n, before+1)
	}
	termsAreRight(t, c)
}

// What somebody took out of the dictionary leaves its typing errors behind.
func TestAnImportBringsAWordBackThatWasTakenOutOfTheDictionary(t *testing.T) {
	t.Parallel()
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	load(t, d, resource("1", `,"name":[{"family":"Quxling"}]`))
	must(t, c, `DELETE FROM name_words WHERE word = 'quxling'`)
	if r, rejects := load(t, d, resource("2", `,"name":[{"family":"Quxling","given":["Zebedee"]}]`)); r.Created != 1 {
		t.Fatal(r, rejects)
	}
	termsAreRight(t, c)
}

func TestALargeFirstImportMakesTheIndexesAtItsEnd(t *testing.T) {
	db.SetDeferFrom(t, 300, 3)
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	addUser(t, c, "ada", "viewer")
	v := signedIn(t, d, c, "ada")
	before, seen := searchIndexes(t, c), 0
	_, err := d.ImportPatients(context.Background(), strings.NewReader(samples(3000)), db.ImportOptions{Actor: "test", Progress: func(db.ImportReport) {
		if out := leftOut(t, c); out > 0 && seen == 0 {
			seen = out
			during := searchIndexes(t, c)
			for what, want := range map[string]int{"CREATE INDEX": 4, "CREATE UNIQUE INDEX": 3, "autovacuum_enabled=false": 5} { // those of the few, and of the words, stay
				if n := strings.Count(during, what); n != want {
					t.Errorf("%d × %s while it runs, want %d:\n%s", n, what, want, during)
				}
			}
			// Slower, and right.
			if l, err := d.ListPatients(context.Background(), v, db.ListQuery{Sort: db.SortName}); err != nil || len(l.Rows) != 25 {
				t.Errorf("the list while it runs: %d rows, %v", len(l.Rows), err)
			}
			if err := d.MakeIndexes(context.Background()); err != nil || leftOut(t, c) != out {
				t.Errorf("housekeeping made the indexes of an import that runs: %d of %d are left out, %v", leftOut(t, c), out, err)
			}
		}
	}})
	if err != nil || seen != 6+2+2+5 { // indexes, two keys in two steps, and the tables that the server does not care for meanwhile
		t.Fatalf("%d indexes were left out, %v", seen, err)
	}
	if after := searchIndexes(t, c); after != before || leftOut(t, c) != 0 {
		t.Errorf("the indexes were\n%s\nand are\n%s", before, after)
	}
	termsAreRight(t, c)
	if n := value[int](t, c, `SELECT count(*) FROM patients`); n != 3000 {
		t.Errorf("%d patients", n)
	}
	// The next one is not the first.
	if _, err := d.ImportPatients(context.Background(), strings.NewReader(strings.ReplaceAll(samples(1000), `"id":"`, `"id":"z`)), db.ImportOptions{Actor: "test",
		Progress: func(db.ImportReport) {
			if n := leftOut(t, c); n > 0 {
				t.Errorf("the second import left out %d", n)
			}
		}}); err != nil {
		t.Error(err)
	}
}

// brokenOff is a database in which a first import was killed while indexes were left out.
func brokenOff(t *testing.T) (*db.DB, *pgx.Conn, string) {
	t.Helper()
	db.SetDeferFrom(t, 300, 3)
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	before := searchIndexes(t, c)
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	_, err := d.ImportPatients(ctx, io.MultiReader(strings.NewReader(samples(2000)), forever{}), db.ImportOptions{Actor: "test", Progress: func(db.ImportReport) {
		if leftOut(t, c) > 0 {
			kill()
		}
	}})
	if err == nil || leftOut(t, c) < 15 {
		t.Fatalf("%d indexes are left out, %v", leftOut(t, c), err)
	}
	return d, c, before
}

func schemaLine(t *testing.T, c *pgx.Conn) db.Check {
	t.Helper()
	url := c.Config().ConnString()
	for _, l := range db.CheckDatabase(context.Background(), db.CheckOptions{Config: db.Config{URL: url}, Migrator: dbtest.Migrator(url)}) {
		if l.What == "schema" {
			return l
		}
	}
	t.Fatal("there is no line about the schema")
	return db.Check{}
}

// forever is a file that goes on.
type forever struct{}

func (forever) Read(b []byte) (int, error) { return copy(b, "\n"), nil }

func TestTheIndexesOfAFirstImportThatWasKilledAreMadeByWhoeverComesNext(t *testing.T) {
	for who, comes := range map[string]func(t *testing.T, d *db.DB, c *pgx.Conn){
		"the program that serves": func(t *testing.T, d *db.DB, c *pgx.Conn) {
			// As every few minutes: at first the server has not seen yet that the import is gone.
			for until := time.Now().Add(10 * time.Second); leftOut(t, c) > 0 && time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
				if err := d.MakeIndexes(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		},
		"the same import again": func(t *testing.T, d *db.DB, c *pgx.Conn) {
			if r, _ := load(t, d, samples(2000)); r.Patients() != 2000 || r.Unchanged < 300 {
				t.Errorf("%+v", r)
			}
		},
		"an import that changes somebody": func(t *testing.T, d *db.DB, c *pgx.Conn) {
			id := value[string](t, c, `SELECT substr(min(import_key), 4) FROM patients`)
			if r, _ := load(t, d, resource(id, `,"name":[{"family":"Quxling"}]`)); r.Updated != 1 {
				t.Errorf("%+v", r)
			}
		},
		"an import that brings a word back that was taken out of the dictionary": func(t *testing.T, d *db.DB, c *pgx.Conn) {
			must(t, c, `DELETE FROM name_words WHERE word = (SELECT family_key FROM patients WHERE family_key ~ '^[a-z]{5,}$' ORDER BY 1 LIMIT 1)`)
			if r, _ := load(t, d, strings.ReplaceAll(samples(2000), `"id":"`, `"id":"z`)); r.Created != 2000 {
				t.Errorf("%+v", r)
			}
		},
		"taking it back": func(t *testing.T, d *db.DB, c *pgx.Conn) {
			if r, err := d.UndoImport(context.Background(), "test", 1, nil); err != nil || r.Deleted < 300 {
				t.Errorf("%+v, %v", r, err)
			}
			if n := value[int](t, c, `SELECT (SELECT count(*) FROM patients) + (SELECT count(*) FROM patient_terms)`); n != 0 {
				t.Errorf("%d rows are left", n)
			}
		},
		"the migration taken back": func(t *testing.T, d *db.DB, c *pgx.Conn) {
			m := dbtest.Migrator(c.Config().ConnString())
			if err := m.Down(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			if err := m.Up(context.Background()); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(who, func(t *testing.T) {
			d, c, before := brokenOff(t)
			if got := schemaLine(t, c); got.Result != db.CheckWarn || !strings.Contains(got.Found, "8 indexes are left out") {
				t.Errorf("chartroom check says %+v", got)
			}
			comes(t, d, c)
			if got := schemaLine(t, c); got.Result != db.CheckPass {
				t.Errorf("afterwards chartroom check says %+v", got)
			}
			if after := searchIndexes(t, c); after != before || leftOut(t, c) != 0 {
				t.Errorf("the indexes were\n%s\nand are\n%s", before, after)
			}
			termsAreRight(t, c)
		})
	}
}

func TestWhoComesTwiceInAFirstImportIsFoundByTheLaterNameAlone(t *testing.T) {
	db.SetDeferFrom(t, 300, 3)
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	before := searchIndexes(t, c)
	text := samples(2000) + resource("twice", `,"name":[{"family":"Quxling","given":["Zebedee","Quentin"]}]`) +
		strings.ReplaceAll(samples(1000), `"id":"`, `"id":"z`)
	if r, _ := load(t, d, text+resource("twice", `,"name":[{"family":"Fluxling","given":["Zebedee","Otto"]}]`)); r.Updated != 1 {
		t.Fatalf("%+v", r)
	}
	termsAreRight(t, c)
	if after := searchIndexes(t, c); after != before {
		t.Errorf("the indexes were\n%s\nand are\n%s", before, after)
	}
}

func TestIndexesAreNotLeftOutWhereSomebodyIsThereAlready(t *testing.T) {
	db.SetDeferFrom(t, 300, 3)
	d, url := dbtest.Open(t)
	c := dbtest.Conn(t, url)
	load(t, d, resource("1", `,"name":[{"family":"Abel"}]`))
	must(t, c, `UPDATE patients SET import_key = NULL`) // as if a person had entered her
	if _, err := d.ImportPatients(context.Background(), strings.NewReader(samples(1000)), db.ImportOptions{Actor: "test", Progress: func(db.ImportReport) {
		if n := leftOut(t, c); n > 0 {
			t.Errorf("%d are left out", n)
		}
	}}); err != nil {
		t.Error(err)
	}
}
