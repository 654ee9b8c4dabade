package db

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of a new password.
const (
	// MinPasswordLength is in characters: SP 800-63B-4, 3.1.1.2, for a password that stands alone.
	MinPasswordLength = 15
	MaxPasswordBytes  = 4096 // far above anyone's passphrase; only bounds the work
)

// Why a new password is refused, and what to do.
var (
	ErrPasswordText      = errors.New("the password holds bytes that are not text; type it again")
	ErrPasswordCommon    = errors.New("this password is one of those that are tried first; choose several words that have nothing to do with each other")
	ErrPasswordGuessable = errors.New("this password would be guessed quickly: it is made of common words, sequences or repetitions; " +
		"add two or three words that have nothing to do with each other")
	ErrPasswordOwnWords = errors.New("this password is made of your own name or address, or of words that belong to this place; " +
		"leave them out, or add three or four words that have nothing to do with them")
	ErrPasswordTooLong = fmt.Errorf("the password must have at most %d bytes; make it shorter", MaxPasswordBytes)
)

// PasswordTooShort is a password of fewer than MinPasswordLength characters.
type PasswordTooShort struct{ Has int }

func (p PasswordTooShort) Error() string {
	return fmt.Sprintf("the password must have at least %d characters, and this one has %d; several words are easy to remember", MinPasswordLength, p.Has)
}

// contextWords are the product's own (ASVS 6.1.2); the user's and the clinic's come with each call.
var contextWords = []string{"chartroom", "patient", "patients", "aptible"}

// CheckPassword says why a new password is refused, as a sentence without its capital and full stop, or nil. words are
// the user's own name and e-mail address and the clinic's name. It asks for length, and that the password is not guessed
// quickly; nothing about which characters it is made of, because such rules make passwords worse (SP 800-63B-4,
// 3.1.1.2). A long password may hold any word. The first call in a process takes some 50 ms longer than the others, which
// take less than one.
func CheckPassword(password string, words ...string) error {
	if err := checkLength(password); err != nil {
		return err
	}
	password = norm.NFC.String(password)
	lower := strings.ToLower(password)
	own := ownWords(slices.Concat(contextWords, words))
	switch {
	case slices.Contains(own, lower):
		return ErrPasswordOwnWords
	case commonWords().has(lower):
		return ErrPasswordCommon
	case estimate(password, nil) < strongBits:
		return ErrPasswordGuessable
	case estimate(password, own) < strongBits:
		return ErrPasswordOwnWords
	}
	return nil
}

// checkLength is the part of the policy that also holds for a password that is hashed anew at sign-in.
func checkLength(password string) error {
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return ErrPasswordText
	}
	if len(password) > MaxPasswordBytes {
		return ErrPasswordTooLong
	}
	if n := utf8.RuneCountInString(norm.NFC.String(password)); n < MinPasswordLength {
		return PasswordTooShort{n}
	}
	return nil
}

// ownWords takes names and addresses apart: each whole, without its marks, and its parts from three letters on. Their
// number and length are bounded, as they may be what a stranger typed.
func ownWords(words []string) (own []string) {
	for _, w := range words {
		w = strings.ToLower(norm.NFC.String(w[:min(len(w), 400)]))
		parts := strings.FieldsFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for _, part := range append(parts, w, strings.Join(parts, "")) {
			if utf8.RuneCountInString(part) >= 3 && len(own) < 60 {
				own = append(own, part)
			}
		}
	}
	return own
}
