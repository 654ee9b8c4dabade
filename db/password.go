package db

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

// Passwords are hashed by plain bcrypt, so that the predecessor, running beside, verifies them too. bcrypt takes 72
// bytes; a longer password is first shortened to base64(SHA-384), and the hash says so in its prefix.
const (
	bcryptBytes = 72
	longPrefix  = "$bcrypt-sha384"
	todaysCost  = 12
)

// bcryptCost is todaysCost, but in tests of what surrounds a hash.
var bcryptCost = todaysCost

// HashPassword gives the hash to store, or CheckPassword's reason against it. It takes about a quarter of a second.
func HashPassword(password string, words ...string) (string, error) {
	if err := CheckPassword(password, words...); err != nil {
		return "", err
	}
	return hashAt(bcryptCost, password)
}

func hashAt(cost int, password string) (string, error) {
	if err := checkLength(password); err != nil {
		return "", err
	}
	p, prefix := []byte(norm.NFC.String(password)), ""
	if len(p) > bcryptBytes {
		p, prefix = shorten(p), longPrefix
	}
	hash, err := bcrypt.GenerateFromPassword(p, cost)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	return prefix + string(hash), nil
}

func shorten(p []byte) []byte {
	sum := sha512.Sum384(p)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

// usable is a hash that bcrypt computes to the end. $2a$, $2b$ and $2y$ are one algorithm; $2x$ and $2$ are not, though
// x/crypto would take them.
var usable = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)

// maxCost: a hash beyond it would hold a core for seconds or hours, at everybody's expense.
const maxCost = 14

// verifyPassword compares in the time of one bcrypt at cost 12, whatever the hash is, also for none at all, so that the
// time tells nothing about the account. rehash says that the password was right and its hash should be made again.
func verifyPassword(hash, password string) (ok, rehash bool) {
	inner, long := strings.CutPrefix(hash, longPrefix)
	cost := 0
	if m := usable.FindStringSubmatch(inner); m != nil {
		cost, _ = strconv.Atoi(m[1])
	}
	foreign := strings.HasPrefix(inner, "$2b$") || strings.HasPrefix(inner, "$2y$")
	compare := cost >= bcrypt.MinCost && cost <= maxCost
	p := []byte(norm.NFC.String(password))
	tooLong := false
	switch {
	case long:
		p = shorten(p)
	case foreign: // the predecessor's library hashed what the browser sent, cut at 72 bytes
		p = []byte(password)
		tooLong = len(p) > bcryptBytes
		p = p[:min(len(p), bcryptBytes)]
	case len(p) > bcryptBytes: // ours never hashes that many this way: x/crypto would look at the first 72 only
		compare = false
	}
	if len(password) > MaxPasswordBytes || strings.ContainsRune(password, 0) || !utf8.ValidString(password) {
		p, compare = nil, false // bcrypt repeats its key around the NUL that ends it: "a" would pass as "a\x00a"
	}
	if !compare {
		spend(p, bcryptCost)
		return false, false
	}
	ok = bcrypt.CompareHashAndPassword([]byte(inner), p) == nil
	for c := cost; c < bcryptCost; c++ { // 2^c + 2^c + 2^(c+1) + … = 2^12
		spend(p, c)
	}
	return ok, ok && (cost < bcryptCost || tooLong)
}

// dummies are hashes of nothing in particular, one for each cost, with the same salt length and form as a real one.
var dummies = func() (d [todaysCost + 1]string) {
	const saltAndSum = "8uQ1N7Zb4vT2mYx0cRkEJeO9wHs5LpG3dAfVnBqUyKiXtMoWzD6Ca"
	for c := bcrypt.MinCost; c <= todaysCost; c++ {
		d[c] = fmt.Sprintf("$2a$%02d$%s", c, saltAndSum)
	}
	return d
}()

func spend(p []byte, cost int) {
	_ = bcrypt.CompareHashAndPassword([]byte(dummies[cost]), p[:min(len(p), bcryptBytes)])
}
