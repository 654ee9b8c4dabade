package db

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode"

	"github.com/ccojocar/zxcvbn-go/data"
)

// The strength of a password is estimated as zxcvbn does it (D. Wheeler, USENIX Security 2016): what is the cheapest way
// to put it together from what is tried first? That is words and names by their frequency, common passwords, sequences,
// walks on a keyboard, years, and what stood in it before. The lists are those of the module zxcvbn-go; its estimator is
// not used: docs/decisions.md says why.
const (
	strongBits = 40  // 2^40 guesses; a machine that makes 1,000 a second against bcrypt at cost 12 takes 35 years
	looked     = 100 // characters; more would only cost time

	characterBits = 3.32 // log2 10, for a character that fits nothing: zxcvbn's value, low on purpose
	patternBits   = 2.32 // log2 5, for the guesser's choice among the kinds of patterns
	markBits      = 0.5  // for a mark between words that is like those before
)

// estimate gives log2 of the guesses that a password takes, from its first 100 characters. own are words that whoever
// guesses will think of at once. It takes any text.
func estimate(password string, own []string) float64 {
	typed := []rune(password)
	typed = typed[:min(len(typed), looked)]
	e := newEstimate(typed)
	for i := range typed {
		e.character(i)
		e.copies(i)
		e.sequence(i)
		e.walks(i)
		e.dates(i)
		e.ownWords(i, own)
		for _, p := range e.words[i] {
			e.reach(i, p.end, p.bits)
		}
	}
	return e.best[len(typed)]
}

// estimation is the search for the cheapest way: best[j] are the bits of the first j characters. All steps lead forward,
// so that best[i] is final when i is reached.
type estimation struct {
	typed, lower []rune
	best         []float64
	words        [][]step // from the lists, by where they begin
	mark         rune     // the most frequent one that is neither letter nor digit
	firstMark    int
}

type step struct {
	end  int
	bits float64
}

func newEstimate(typed []rune) *estimation {
	n := len(typed)
	e := &estimation{typed: typed, lower: make([]rune, n), best: make([]float64, n+1), words: make([][]step, n)}
	marks := map[rune]int{}
	for i, r := range typed {
		e.lower[i] = unicode.ToLower(r)
		e.best[i+1] = math.Inf(1)
		if !unicode.In(r, unicode.L, unicode.N, unicode.M) {
			if marks[r]++; marks[r] > marks[e.mark] {
				e.mark = r
			}
		}
	}
	e.firstMark = slices.Index(typed, e.mark)
	list := commonWords()
	backwards := slices.Clone(e.lower)
	slices.Reverse(backwards)
	for i := range n {
		list.find(e.lower[i:], func(length int, rank uint16, changed int) {
			e.word(i, i+length, rank, float64(changed))
		})
		list.find(backwards[i:], func(length int, rank uint16, changed int) {
			e.word(n-i-length, n-i, rank, float64(changed)+1)
		})
	}
	return e
}

func (e *estimation) word(from, to int, rank uint16, extra float64) {
	e.words[from] = append(e.words[from], step{to, patternBits + math.Log2(float64(rank)) + capitalBits(e.typed[from:to]) + extra})
}

func (e *estimation) reach(from, to int, bits float64) {
	e.best[to] = min(e.best[to], e.best[from]+bits)
}

// capitalBits: one bit says that the first, the last or all letters are capitals, one each where they stand elsewhere.
func capitalBits(word []rune) float64 {
	upper, lower := 0, 0
	for _, r := range word {
		switch {
		case unicode.IsUpper(r):
			upper++
		case unicode.IsLower(r):
			lower++
		}
	}
	switch {
	case upper == 0:
		return 0
	case lower == 0, upper == 1 && (unicode.IsUpper(word[0]) || unicode.IsUpper(word[len(word)-1])):
		return 1
	}
	return 1 + float64(min(upper, lower))
}

// character is what does not fit anything. The mark that stands between words is guessed once.
func (e *estimation) character(i int) {
	if e.typed[i] == e.mark && i > e.firstMark {
		e.reach(i, i+1, markBits)
		return
	}
	e.reach(i, i+1, characterBits)
}

// copies are what stood before, also overlapping, so that one letter many times is a copy of its first.
func (e *estimation) copies(i int) {
	longest := 0
	for from := range i {
		n := 0
		for i+n < len(e.lower) && e.lower[from+n] == e.lower[i+n] {
			n++
		}
		longest = max(longest, n)
	}
	e.pattern(i, 3, longest, math.Log2(float64(max(i, 1)))) // from where
}

// pattern reaches every end from a least length to the longest: the guesser also chooses how long.
func (e *estimation) pattern(i, least, longest int, bits float64) {
	for n := least; n <= longest; n++ {
		e.reach(i, i+n, patternBits+bits+math.Log2(float64(n)))
	}
}

// sequence is abc, 4321, ace: letters or digits at one distance.
func (e *estimation) sequence(i int) {
	s := e.lower[i:]
	regular := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	n := 1
	for n < len(s) && regular(s[n-1]) && regular(s[n]) && s[n]-s[n-1] == s[1]-s[0] && max(s[1]-s[0], s[0]-s[1]) <= 2 {
		n++
	}
	start := 4.7 // a letter
	if strings.ContainsRune("a1z09", s[0]) {
		start = 1
	}
	e.pattern(i, 3, n, start+1) // which distance
}

// keyboards are the rows of keys with how far each is set in, in quarters of a key.
var keyboards = []map[rune]key{
	layout([]string{"`1234567890-=", "\tqwertyuiop[]\\", "\tasdfghjkl;'", "\tzxcvbnm,./"}, []int{0, 2, 3, 5}),
	layout([]string{"^1234567890ß´", "\tqwertzuiopü+", "\tasdfghjklöä#", "\tyxcvbnm,.-"}, []int{0, 2, 3, 5}),
	layout([]string{"²&é\"'(-è_çà)=", "\tazertyuiop^$", "\tqsdfghjklmù*", "\twxcvbn,;:!"}, []int{0, 2, 3, 5}),
	layout([]string{"789", "456", "123", "0"}, []int{0, 0, 0, 0}),
}

type key struct{ x, y int }

func layout(rows []string, set []int) map[rune]key {
	at := map[rune]key{}
	for y, row := range rows {
		for x, r := range []rune(row) {
			at[r] = key{4*x + set[y], y}
		}
	}
	delete(at, '\t')
	return at
}

// unshifted are the keys of the signs on an American keyboard.
var unshifted = strings.NewReplacer("!", "1", "@", "2", "#", "3", "$", "4", "%", "5", "^", "6", "&", "7", "*", "8", "(", "9", ")", "0", "_", "-", "+", "=")

// walks go from key to neighbouring key; each turn is to be guessed.
func (e *estimation) walks(i int) {
	for _, s := range [][]rune{e.lower[i:], []rune(unshifted.Replace(string(e.lower[i:])))} {
		for _, keyboard := range keyboards {
			var before key
			turns := -1
			for n := 1; n < len(s); n++ {
				from, on := keyboard[s[n-1]]
				to, on2 := keyboard[s[n]]
				way := key{to.x - from.x, to.y - from.y}
				if !on || !on2 || way == (key{}) || max(way.x, -way.x) > 4 || max(way.y, -way.y) > 1 {
					break
				}
				if direction := (key{cmp.Compare(way.x, 0), way.y}); direction != before {
					before = direction
					turns++
				}
				if n >= 3 {
					e.reach(i, i+n+1, patternBits+4+math.Log2(float64(n+1))+3*float64(turns))
				}
			}
		}
	}
}

// dates are years, and days with them in six or eight digits.
func (e *estimation) dates(i int) {
	number := func(from, digits int) int {
		if i+from+digits > len(e.lower) {
			return -1
		}
		n := 0
		for _, r := range e.lower[i+from : i+from+digits] {
			if r < '0' || r > '9' {
				return -1
			}
			n = 10*n + int(r-'0')
		}
		return n
	}
	year := func(from int) bool { y := number(from, 4); return y >= 1900 && y < 2060 }
	day := func(from int) bool {
		a, b := number(from, 2), number(from+2, 2)
		return a > 0 && b > 0 && min(a, b) <= 12 && max(a, b) <= 31
	}
	if year(0) {
		e.reach(i, i+4, patternBits+6)
	}
	if year(0) && day(4) || day(0) && year(4) {
		e.reach(i, i+8, patternBits+14)
	}
	if day(0) && number(4, 2) >= 0 || number(0, 2) >= 0 && day(2) {
		e.reach(i, i+6, patternBits+14)
	}
}

// ownWords cost next to nothing.
func (e *estimation) ownWords(i int, own []string) {
	for _, w := range own {
		n, changed := 0, 0
		for _, r := range w {
			if i+n == len(e.lower) || e.lower[i+n] != r && !strings.ContainsRune(meant[e.lower[i+n]], r) {
				n = 0
				break
			}
			if e.lower[i+n] != r {
				changed++
			}
			n++
		}
		if n > 0 {
			e.reach(i, i+n, patternBits+1+capitalBits(e.typed[i:i+n])+float64(changed))
		}
	}
}

// meant are the letters that a sign is written for.
var meant = map[rune]string{'4': "a", '@': "a", '8': "b", '(': "c", '3': "e", '€': "e", '6': "g", '9': "g", '1': "il", '!': "il",
	'|': "il", '0': "o", '5': "s", '$': "s", '7': "t", '+': "t", '2': "z"}

// wordList is all words of the lists, with their ranks, in about 1 MiB.
type wordList struct {
	text   []byte   // one after the other, in the order of bytes
	start  []uint32 // of each in text, and the end of the last
	rank   []uint16 // from 1, the most frequent; that of the list in which it is most frequent
	common []bool   // it is a common password
}

// commonWords is made when the first password is checked, in some 40 ms.
var commonWords = sync.OnceValue(loadWords)

func loadWords() wordList {
	type entry struct {
		from   uint32
		rank   uint16
		length uint8
		common bool
	}
	raw, all := make([]byte, 0, 640<<10), make([]entry, 0, 88<<10)
	for _, name := range []string{"Passwords", "English", "MaleNames", "FemaleNames", "Surnames"} {
		file := data.MustAsset("data/" + name + ".json") // an object with one array of words without escapes
		_, file, _ = bytes.Cut(file, []byte("["))
		for rank := 1; ; rank++ {
			_, rest, _ := bytes.Cut(file, []byte(`"`))
			word, rest, more := bytes.Cut(rest, []byte(`"`))
			if !more {
				break
			}
			all = append(all, entry{uint32(len(raw)), uint16(min(rank, math.MaxUint16)), uint8(min(len(word), math.MaxUint8)), name == "Passwords"})
			raw = append(raw, word...)
			file = rest
		}
	}
	word := func(e entry) []byte { return raw[e.from : e.from+uint32(e.length)] }
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(bytes.Compare(word(a), word(b)), cmp.Compare(a.rank, b.rank)) })
	n := len(all)
	l := wordList{make([]byte, 0, len(raw)), make([]uint32, 0, n+1), make([]uint16, 0, n), make([]bool, 0, n)}
	for i, e := range all {
		if i > 0 && bytes.Equal(word(e), word(all[i-1])) {
			l.common[len(l.common)-1] = l.common[len(l.common)-1] || e.common
			continue
		}
		l.start = append(l.start, uint32(len(l.text)))
		l.text = append(l.text, word(e)...)
		l.rank = append(l.rank, e.rank)
		l.common = append(l.common, e.common)
	}
	l.start = append(l.start, uint32(len(l.text)))
	return l
}

// isCommon says that the whole of a password, in small letters, is on the list of common ones.
func (l wordList) isCommon(password string) bool {
	i, found := sort.Find(len(l.rank), func(i int) int {
		return strings.Compare(password, string(l.text[l.start[i]:l.start[i+1]]))
	})
	return found && l.common[i]
}

// find calls found for each word of three letters or more that s begins with, also where signs stand for letters
// (changed counts them). Shorter words cost more than their letters.
func (l wordList) find(s []rune, found func(length int, rank uint16, changed int)) {
	var walk func(low, high, depth, changed int)
	walk = func(low, high, depth, changed int) {
		if low == high {
			return
		}
		if depth >= 3 && int(l.start[low+1]-l.start[low]) == depth { // the shortest is the first
			found(depth, l.rank[low], changed)
		}
		if depth == len(s) {
			return
		}
		if s[depth] < unicode.MaxASCII {
			low, high := l.narrow(low, high, depth, byte(s[depth]))
			walk(low, high, depth+1, changed)
		}
		for _, r := range meant[s[depth]] {
			low, high := l.narrow(low, high, depth, byte(r))
			walk(low, high, depth+1, changed+1)
		}
	}
	walk(0, len(l.rank), 0, 0)
}

// narrow gives those words from low to high, which are alike up to depth, whose next byte is c.
func (l wordList) narrow(low, high, depth int, c byte) (int, int) {
	next := func(i int) int {
		if at := l.start[i] + uint32(depth); at < l.start[i+1] {
			return int(l.text[at])
		}
		return -1
	}
	from := low + sort.Search(high-low, func(i int) bool { return next(low+i) >= int(c) })
	to := from + sort.Search(high-from, func(i int) bool { return next(from+i) > int(c) })
	return from, to
}
