package fhir

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestKeyMakesOneOfWhatPeopleTypeForOne(t *testing.T) {
	for _, c := range []struct{ promise, in, want string }{
		{"case", "McGREGOR", "mcgregor"},
		{"digits stay", "Ward 12b", "ward 12b"},
		{"accents", "Ångström-Müller Žižka Nguyễn Đặng", "angstrom muller zizka nguyen dang"},
		{"accents written apart", "Mu\u0308ller", "muller"},
		{"letters that do not decompose", "Øster Łukasz Straße Æsa Œuvre Þór Guðrún Ħamrun Yıldız Ŋoni", "oster lukasz strasse aesa oeuvre thor gudrun hamrun yildiz ngoni"},
		{"their capitals", "ẞ Ø Đ Ł Þ Ð Ə", "ss o d l th d e"},
		{"Turkish dotted I", "İpek IŞIK", "ipek isik"},
		{"apostrophes of all sorts", "O'Brien O’Brien OʼBrien O`Brien O´Brien Oʻahu O＇Neil", "o brien o brien o brien o brien o brien o ahu o neil"},
		{"hyphens of all sorts", "a-b a‑b a–b a־b a\u00adb", "a b a b a b a b a b"},
		{"points", "J.R. Ewing, Jr.", "j r ewing jr"},
		{"wildcards of LIKE are punctuation", `50%_\x`, "50 x"},
		{"spaces collapse", " \t a \u00a0\u3000 b\n", "a b"},
		{"control and format characters", "a\x00b\u200dc\u202ed\ufeff", "a b c d"},
		{"emoji", "Sunny 🌻👩🏽‍⚕️ Bea", "sunny bea"},
		{"full width", "ＡＢＣ１２", "abc12"},
		{"ligatures", "ﬁﬂ ĳ", "fifl ij"},
		{"ideographs stay", "欧阳秋月", "欧阳秋月"},
		{"々 and the long vowel are letters", "佐々木 メーカー", "佐々木 メーカー"},
		{"Greek with its final sigma", "Σίσυφος", "σισυφοσ"},
		{"Cyrillic", "Фёдор ЙОД", "федор иод"},
		{"Arabic vowels, joins and hamza", "سَلمى محـــمد أحمد", "سلمي محمد احمد"},
		{"Persian keyboards", "علی کریم", Key("علي كريم")},
		{"Hebrew vowels", "נֹעָה ז׳", "נעה ז"},
		{"Devanagari keeps its spacing vowels", "नीता", "नीता"},
		{"Cherokee has case too", "Ꭰꭰ", "ᎠᎠ"},
		{"Hangul, whole or in parts", "김", Key("\u1100\u1175\u11b7")},
		{"nothing", "", ""},
		{"nothing but punctuation", " -'’%_ ", ""},
		{"not UTF-8", "a\xff\xfeb", "a b"},
	} {
		if got := Key(c.in); got != c.want {
			t.Errorf("%s: Key(%+q) is %+q, want %+q", c.promise, c.in, got, c.want)
		}
	}
}

// checkTheKey is what must hold for every key.
func checkTheKey(t *testing.T, s string) {
	t.Helper()
	k := Key(s)
	if again := Key(k); again != k {
		t.Fatalf("Key(%+q) is %+q, and of that %+q", s, k, again)
	}
	if len(k) > 200 || !utf8.ValidString(k) || strings.Contains(k, "  ") || k != strings.TrimSpace(k) {
		t.Fatalf("Key(%+q) is %+q", s, k)
	}
	for _, r := range k {
		if r != ' ' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.In(r, unicode.Mc, unicode.Me) {
			t.Fatalf("Key(%+q) holds %U", s, r)
		}
	}
}

// Unicode has assigned nothing from U+40000 to U+E0000, and nothing but private use beyond U+E0FFF.
func TestEveryCharacterHasASettledKey(t *testing.T) {
	for r := range rune(0x40000) {
		checkTheKey(t, string(r))
	}
	for r := rune(0xE0000); r < 0xE1000; r++ {
		checkTheKey(t, string(r))
	}
}

// The database writes U+10FFFD for a key that is missing.
func TestNoKeyHoldsTheSignForAMissingOne(t *testing.T) {
	const sign = "a\U0010FFFD b"
	if Key(sign) != "a b" || MRNKey(sign) != "ab" || Words([]string{sign}) != "a b" {
		t.Error("a name can look like none")
	}
}

func TestKeyEndsAt200Bytes(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("a", 300), strings.Repeat("a", 199) + " b", strings.Repeat("a", 199) + "øø", strings.Repeat("秋", 100), strings.Repeat("a ", 200),
		strings.Repeat("김", 100), strings.Repeat("a\u0301", 300), strings.Repeat("\U0001d165\u302e\u0301", 90), strings.Repeat("ß", 150), "a" + strings.Repeat("\u0300", 500) + "b",
	} {
		checkTheKey(t, s)
	}
	if got := Key(strings.Repeat("秋", 100)); got != strings.Repeat("秋", 66) {
		t.Errorf("cut inside a character: %d bytes", len(got))
	}
	if got := Key(strings.Repeat("a", 199) + " b"); got != strings.Repeat("a", 199) {
		t.Errorf("a space at the end: %q", got[190:])
	}
}

func TestTheQuickWayToAKeyGivesTheSameKey(t *testing.T) {
	check := func(s string) (quick bool) {
		key, quick := spellPlain(s)
		if slow := spellAny(s); quick && key != slow {
			t.Fatalf("%+q: %q the quick way, else %q", s, key, slow)
		}
		return quick
	}
	quick := 0
	for r := range rune(plainEnd + 10) {
		for _, s := range []string{"%c", "a%c", "%cb", "a%cb", " %c ", "a %c", "%[1]c%[1]c", "-%c\u0301", "\u0130%c"} {
			if check(fmt.Sprintf(s, r)) {
				quick++
			}
		}
	}
	if quick < 2500 || !check("Müller-Łuczak, Zoë") || check("Ŀa") || check("aŉb") {
		t.Errorf("%d were quick", quick)
	}
	random := rand.New(rand.NewPCG(1, 1))
	signs := []rune("aZ09 -.'éÉßøØłŁđıİŉſªº½²ĳǆǅÅ\u00a0\u00ad\u0301\u0308\u0327ʼʻ’秋김م\ufffd")
	for range 200_000 {
		var s strings.Builder
		for range random.IntN(12) {
			s.WriteRune(signs[random.IntN(len(signs))])
		}
		check(s.String())
	}
	check("caf\xe9 \xc3")
}

func TestKeyIsSafeForManyGoroutines(t *testing.T) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 500 {
				if got, want := Key(fmt.Sprintf("Ünal-Ø %d %d", i, n)), fmt.Sprintf("unal o %d %d", i, n); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
	all.Wait()
}

func TestWordsFindANameEitherWayItIsTyped(t *testing.T) {
	for _, c := range []struct {
		promise string
		names   []string
		want    string
	}{
		{"words in order, each once", []string{"Drake", "Philippa Wren", "DRAKE"}, "drake philippa wren"},
		{"apostrophes apart and joined", []string{"O'Brien"}, "o brien obrien"},
		{"hyphens apart and joined", []string{"Smith-Jones", "Al‑Hassan"}, "smith jones smithjones al hassan alhassan"},
		{"points apart and joined", []string{"J.R."}, "j r jr"},
		{"nothing joined around a word", []string{"'Ann'", "B."}, "ann b"},
		{"nothing joined over a space", []string{"van der Berg"}, "van der berg"},
		{"three parts", []string{"d’Arc-Lys"}, "d arc lys darclys"},
		{"ideographs", []string{"欧阳", "欧阳秋月"}, "欧阳 欧阳秋月"},
		{"nothing", nil, ""},
		{"nothing to find", []string{"", " - ", "🌻"}, ""},
	} {
		if got := Words(c.names); got != c.want {
			t.Errorf("%s: got %q, want %q", c.promise, got, c.want)
		}
	}
}

func TestWordsOfALongNameAreAllThere(t *testing.T) {
	long := strings.Repeat("Abcdefghi ", 30) + "Last"
	if got := Words([]string{long}); got != "abcdefghi last" {
		t.Errorf("got %q", got)
	}
	hyphens := strings.Repeat("Abcdefghi-", 30) + "Last"
	if got := Words([]string{hyphens}); !strings.HasPrefix(got, "abcdefghi last abcdefghiabc") {
		t.Errorf("got %q", got)
	}
}

// What is typed into search goes through Key, so each of its words must begin one of the words kept.
func TestALongWordIsFoundByItself(t *testing.T) {
	for _, word := range []string{strings.Repeat("Ä", 500), strings.Repeat("x", 201), strings.Repeat("秋", 70)} {
		if got := Words([]string{word}); got != Key(word) {
			t.Errorf("got %d bytes, want %d", len(got), len(Key(word)))
		}
	}
}

func TestWordsEndAtAWordWithin2000Bytes(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("name%03d", i))
	}
	got := Words(names)
	if len(got) > 2000 || len(got) < 1990 || !strings.HasSuffix(got, " name249") {
		t.Errorf("%d bytes, ending with %q", len(got), got[len(got)-10:])
	}
}

func TestMRNKeyIsTheNumberAlone(t *testing.T) {
	for in, want := range map[string]string{
		"12-34 56":                "123456",
		" MRN: 00-07/b ":          "mrn0007b",
		"É.1":                     "e1",
		"１２":                      "12",
		"%_":                      "",
		"":                        "",
		strings.Repeat("1-", 300): strings.Repeat("1", 200),
	} {
		if got := MRNKey(in); got != want || MRNKey(got) != got {
			t.Errorf("MRNKey(%q) is %q, want %q", in, got, want)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"O'Brien", "Müller-Ø", "欧阳 秋月", "김", "\U0001d165\u302e\u0301\u20dd", "Ꭰꭰ", "a\xffb", "ﷺ", strings.Repeat("ǆ ", 60), "%_\\", "\u0f77\u0344"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkTheKey(t, s)
		m := MRNKey(s)
		if MRNKey(m) != m || len(m) > 200 || !utf8.ValidString(m) || strings.Contains(m, " ") {
			t.Fatalf("MRNKey(%+q) is %+q", s, m)
		}
		w := Words([]string{s, s})
		if len(w) > 2000 || !utf8.ValidString(w) || strings.ContainsAny(w, `%_\`) || strings.Join(strings.Fields(w), " ") != w {
			t.Fatalf("Words(%+q) is %+q", s, w)
		}
		seen := map[string]bool{}
		for _, word := range strings.Fields(w) {
			if seen[word] {
				t.Fatalf("Words(%+q) has %+q twice", s, word)
			}
			seen[word] = true
		}
		// What is typed finds what was stored: every word of the key begins one of the words, unless those were cut.
		if len(w) < 1700 && len(s) < 150 {
			for _, word := range strings.Fields(Key(s)) {
				if !strings.Contains(" "+w, " "+word) {
					t.Fatalf("Words(%+q) is %+q, without %+q", s, w, word)
				}
			}
		}
	})
}

func BenchmarkKeyASCII(b *testing.B) {
	for b.Loop() {
		Key("Greenhalgh-Drake")
	}
}

func BenchmarkKeyAccents(b *testing.B) {
	for b.Loop() {
		Key("Ó Súilleabháin-Drake")
	}
}

// All that an import computes of a patient; see index in package db.
func BenchmarkParseAndKeys(b *testing.B) {
	for _, name := range []string{"full", "synthea"} {
		raw := readPatient(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				p, err := Parse(raw)
				if err != nil {
					b.Fatal(err)
				}
				_, _, _, _ = Key(p.Family), Key(p.Given), MRNKey(p.MRN), Words(p.Names)
				for _, phone := range p.Phones {
					_ = PhoneKey(phone)
				}
				_ = sha256.Sum256(raw)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "patients/s")
		})
	}
}
