package fhir

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Limits of what Key, MRNKey and Words give, in bytes. A PostgreSQL index entry holds no more than about 2,700.
const (
	maxKey   = 200
	maxWords = 2000
)

// Key is what names are compared by in search and order: without case, accents and punctuation, so that Müller is found
// by muller and O’Brien by o'brien. It holds letters, digits, spacing marks and single spaces only, so none of LIKE's
// wildcards, and 200 bytes at most. Key(Key(s)) is Key(s). It may be called from many goroutines.
func Key(s string) string {
	return cut(spell(s), maxKey)
}

// MRNKey is Key for a medical record number, with nothing between letters and digits: 12-34 and 1234 are the same.
func MRNKey(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, spell(s)), maxKey)
}

// PhoneKey is a phone number's digits from the last to the first, so that the last digits that somebody remembers are a
// beginning. "" for fewer than four digits, which say too little. 200 bytes at most.
func PhoneKey(s string) string {
	if !isASCII(s) {
		s = spell(s) // compatibility forms: full-width digits are digits
	}
	var digits []byte
	for _, r := range s {
		if d, ok := digit(r); ok {
			digits = append(digits, d)
		}
	}
	if len(digits) < 4 {
		return ""
	}
	slices.Reverse(digits)
	return string(digits[:min(len(digits), maxKey)])
}

// digit reads a decimal digit of any script. Each script's ten stand together from zero on (Unicode, 4.6).
func digit(r rune) (byte, bool) {
	if !unicode.Is(unicode.Nd, r) {
		return 0, false
	}
	if r < utf8.RuneSelf {
		return byte(r), true
	}
	n := 0
	for unicode.Is(unicode.Nd, r-1) && n < 10 {
		r--
		n++
	}
	return byte('0' + n%10), true
}

// Words gives the distinct words of all names as Key writes them, in order of first appearance, with single spaces
// between. A word with punctuation inside (O'Brien, Smith-Jones) is there in parts and joined, so that both ways to
// type it find it. It ends at a word's end, within 2,000 bytes.
func Words(names []string) string {
	var room [16]string
	w := words{seen: room[:0]}
	for _, name := range names {
		// Word by word, because Key would cut a long name.
		for written := range strings.FieldsSeq(name) {
			spelt := spell(written)
			for part := range strings.SplitSeq(spelt, " ") {
				w.add(part)
			}
			w.add(strings.ReplaceAll(spelt, " ", ""))
			if w.full {
				return w.text.String()
			}
		}
	}
	return w.text.String()
}

type words struct {
	text strings.Builder
	seen []string // few, hardly ever as many as would make a map worth its while
	full bool
}

// add cuts a word as Key does, so that the same word typed into search begins the same way.
func (w *words) add(word string) {
	word = cut(word, maxKey)
	if word == "" || slices.Contains(w.seen, word) || w.full {
		return
	}
	gap := min(w.text.Len(), 1)
	if w.text.Len()+gap+len(word) > maxWords {
		w.full = true
		return
	}
	w.seen = append(w.seen, word)
	w.text.WriteString("  "[:gap])
	w.text.WriteString(word)
}

// cut shortens to n bytes at most, between characters, and leaves no space at the end.
func cut(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.TrimSuffix(s, " ")
}

// spell is Key without the cut.
func spell(s string) string {
	if key, ok := spellPlain(s); ok {
		return key
	}
	return spellAny(s)
}

func spellAny(s string) string {
	s = strings.ToValidUTF8(s, " ")
	// Once is nearly always enough. Taking marks away can leave others in an order that normalization changes, and a
	// key that a second Key would change again is no key; after that the order is settled.
	for range 4 {
		next := spellOnce(s)
		if next == s {
			break
		}
		s = next
	}
	return s
}

// spellPlain is spell for what is in ASCII or in letters with a plain spelling, which most names are: a tenth of the time.
func spellPlain(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r >= plainEnd || size == 1 {
				return "", false
			}
			letters := plainSpellings()[r]
			if letters == "" {
				return "", false
			}
			b = append(b, letters...)
			i += size - 1
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b = append(b, c)
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case len(b) > 0 && b[len(b)-1] != ' ':
			b = append(b, ' ')
		}
	}
	if len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return string(b), true
}

// plainEnd is the end of Latin Extended-B.
const plainEnd = 0x250

// plainSpellings has how spellOnce spells each letter before plainEnd, where that is letters and digits of ASCII alone and so does not
// depend on what stands beside it; "" for the others.
var plainSpellings = sync.OnceValue(func() *[plainEnd]string {
	var all [plainEnd]string
	for r := rune(utf8.RuneSelf); r < plainEnd; r++ {
		letters := spellOnce(string(r))
		if strings.Trim(letters, "abcdefghijklmnopqrstuvwxyz0123456789") == "" && spellOnce("a"+string(r)+"a") == "a"+letters+"a" {
			all[r] = letters
		}
	}
	return &all
})

func spellOnce(s string) string {
	s = norm.NFKD.String(s)
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) || r == tatweel {
			return -1
		}
		return r
	}, s)
	s = cases.Fold().String(s) // made here: a Caser is not for many goroutines
	b := strings.Builder{}
	b.Grow(len(s))
	space := false
	for _, r := range s {
		if unicode.Is(unicode.Cherokee, r) {
			r = unicode.ToUpper(r) // Fold of x/text swaps the two cases of Cherokee instead of making one of them
		}
		plain, mapped := plainLetters[r]
		switch {
		case !mapped && !inKey(r):
			space = b.Len() > 0
			continue
		case space:
			b.WriteByte(' ')
			space = false
		}
		if mapped {
			b.WriteString(plain)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tatweel stretches an Arabic word on the line and means nothing.
const tatweel = 'ـ'

func inKey(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.In(r, unicode.Mc, unicode.Me)) && !isApostrophe(r)
}

// isApostrophe tells the apostrophes that Unicode counts as letters. Not all modifier letters are: 々 in 佐々木 and the
// long vowel in katakana are part of the word.
func isApostrophe(r rune) bool {
	return r >= 0x02B0 && r <= 0x02FF || r == 0x07F4 || r == 0x07F5 || r == 0xA78B || r == 0xA78C
}

// plainLetters spells letters that Unicode does not decompose the way they are typed without them, after case folding
// (which has made ss of ß already). The Arabic ones are the same letters as Persian and Egyptian keyboards write them.
var plainLetters = map[rune]string{
	'ø': "o", 'đ': "d", 'ð': "d", 'ł': "l", 'ß': "ss", 'æ': "ae", 'œ': "oe", 'þ': "th", 'ħ': "h", 'ı': "i", 'ŋ': "ng",
	'ŧ': "t", 'ĸ': "k", 'ƀ': "b", 'ɓ': "b", 'ƈ': "c", 'ȼ': "c", 'ɖ': "d", 'ɗ': "d", 'ɇ': "e", 'ə': "e", 'ǝ': "e", 'ɛ': "e",
	'ƒ': "f", 'ǥ': "g", 'ɠ': "g", 'ɣ': "g", 'ɨ': "i", 'ɩ': "i", 'ɉ': "j", 'ƙ': "k", 'ƚ': "l", 'ɲ': "n", 'ƞ': "n",
	'ɵ': "o", 'ɔ': "o", 'ƥ': "p", 'ɍ': "r", 'ƭ': "t", 'ʈ': "t", 'ⱦ': "t", 'ʉ': "u", 'ʊ': "u", 'ʋ': "v", 'ƴ': "y", 'ɏ': "y",
	'ƶ': "z", 'ȥ': "z", 'ⱥ': "a",
	'ی': "ي", 'ى': "ي", 'ک': "ك",
}
