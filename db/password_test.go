package db

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestPasswordsAreHashedSoThatThePredecessorCanVerifyThem(t *testing.T) {
	TodaysCost(t)
	hash, err := HashPassword("correct horse battery")
	if err != nil || len(hash) != 60 || !strings.HasPrefix(hash, "$2a$12$") {
		t.Fatalf("%q, %v", hash, err)
	}
	if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("correct horse battery")); err != nil {
		t.Error("plain bcrypt does not verify it:", err)
	}
}

func TestVerifyingPasswords(t *testing.T) {
	x72 := strings.Repeat("x", 72)
	hash := func(password string) string {
		h, err := hashAt(bcrypt.MinCost, password)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	theirs := func(password string) string { // as Python's bcrypt writes it
		h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		return "$2b" + strings.TrimPrefix(string(h), "$2a")
	}
	for name, c := range map[string]struct {
		hash, password string
		ok             bool
	}{
		"right":                     {hash("a good long password"), "a good long password", true},
		"wrong":                     {hash("a good long password"), "a good long passwore", false},
		"other case":                {hash("a good long password"), "A good long password", false},
		"a space at the end counts": {hash("a good long password"), "a good long password ", false},
		"no hash":                   {"", "a good long password", false},
		"no bcrypt":                 {"$argon2id$v=19$m=1", "a good long password", false},
		"$2x$ is another algorithm": {"$2x" + hash("a good long password")[3:], "a good long password", false},
		"$2y$, from PHP":            {"$2y" + hash("a good long password")[3:], "a good long password", true},
		"72 bytes":                  {hash(x72), x72, true},
		"72 bytes and one more are another password": {hash(x72), x72 + "x", false},
		"73 bytes":                                      {hash(x72 + "y"), x72 + "y", true},
		"73 bytes, the last one wrong":                  {hash(x72 + "y"), x72 + "z", false},
		"its first 72 bytes alone":                      {hash(x72 + "y"), x72, false},
		"64 letters of two bytes":                       {hash(strings.Repeat("é", 64)), strings.Repeat("é", 64), true},
		"emoji":                                         {hash(strings.Repeat("🦉", 15)), strings.Repeat("🦉", 15), true},
		"composed and decomposed are one":               {hash("caf\u00e9 au lait at nine"), "cafe\u0301 au lait at nine", true},
		"the predecessor's":                             {theirs("short"), "short", true},
		"the predecessor's cut at 72 bytes, as there":   {theirs(x72), x72 + "whatever", true},
		"NUL does not cut":                              {hash("a good long password"), "a good long password\x00", false},
		"NUL does not repeat the key":                   {theirs("a"), "a\x00a", false},
		"bytes that are no text":                        {theirs("a"), "a\xff", false},
		"a megabyte is refused without being looked at": {theirs(x72), strings.Repeat("x", 1<<20), false},
	} {
		t.Run(name, func(t *testing.T) {
			if ok, _ := verifyPassword(c.hash, c.password); ok != c.ok {
				t.Errorf("got %v, want %v", ok, c.ok)
			}
		})
	}
}

func TestWhichHashesAreMadeAgain(t *testing.T) {
	TodaysCost(t)
	weak, _ := bcrypt.GenerateFromPassword([]byte("a good long password"), 10)
	strong, _ := bcrypt.GenerateFromPassword([]byte("a good long password"), 12)
	for name, c := range map[string]struct {
		hash, password string
		rehash         bool
	}{
		"a lower cost":                    {string(weak), "a good long password", true},
		"a lower cost and wrong":          {string(weak), "a bad long password", false},
		"today's":                         {string(strong), "a good long password", false},
		"today's from Python":             {"$2b" + string(strong)[3:], "a good long password", false},
		"more than the predecessor reads": {"$2b$12$qkoDZY9bodOMRfpAOXK88eq1pwW.rcxIfLyad2g.8hXcFgcaaxFnm", strings.Repeat("x", 80), true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, rehash := verifyPassword(c.hash, c.password); rehash != c.rehash {
				t.Errorf("got %v, want %v", rehash, c.rehash)
			}
		})
	}
}

// TestDummyHashesCostWhatTheySay guards the equal work: a dummy that bcrypt rejects at once would cost nothing.
func TestDummyHashesCostWhatTheySay(t *testing.T) {
	for cost := bcrypt.MinCost; cost <= todaysCost; cost++ {
		if err := bcrypt.CompareHashAndPassword([]byte(dummies[cost]), []byte("x")); err != bcrypt.ErrMismatchedHashAndPassword {
			t.Errorf("cost %d: %v", cost, err)
		}
		if got, err := bcrypt.Cost([]byte(dummies[cost])); got != cost || err != nil {
			t.Errorf("cost %d: %d, %v", cost, got, err)
		}
	}
}
