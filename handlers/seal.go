package handlers

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"

	"chartroom/db"
)

// listState is what the list shows, as it travels in an address: encrypted, because it holds what was searched for and
// the names at the page's edges, and authenticated, with the user it was made for inside.
type listState struct {
	User   int        `json:"u"`
	Query  string     `json:"q,omitempty"`
	Filter db.Filter  `json:"f,omitzero"`
	Sort   db.Sort    `json:"s"`
	Desc   bool       `json:"d,omitempty"`
	Size   int        `json:"z,omitempty"` // rows on a page; 0 is the usual number
	Cursor *db.Cursor `json:"c,omitempty"`
	Last   bool       `json:"l,omitempty"` // the last page
	First  int        `json:"n,omitempty"` // how many rows come before the page; unplaced when nobody counted
	Found  int        `json:"m,omitempty"` // how many there were when the first page was made
	More   bool       `json:"p,omitempty"` // … and that is not all
}

const unplaced = -1

var errSeal = errors.New("the list address is not one of ours")

// sealPad hides how long a search was: lengths are rounded up to a multiple of it.
const sealPad = 96

// sealer encrypts list states with AES-256-GCM under a random nonce. The first key seals, all of them open.
type sealer struct{ keys []cipher.AEAD }

func (s *sealer) add(key []byte) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	s.keys = append(s.keys, aead)
	return nil
}

func (s *sealer) seal(l listState) string {
	plain, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings and numbers only
	}
	for len(plain)%sealPad != 0 {
		plain = append(plain, ' ')
	}
	return base64.RawURLEncoding.EncodeToString(s.keys[0].Seal(nil, nil, plain, nil))
}

func (s *sealer) open(text string) (listState, error) {
	var l listState
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return l, errSeal
	}
	plain, ok := s.unseal(box, nil)
	if !ok {
		return l, errSeal
	}
	if err := json.Unmarshal(plain, &l); err != nil || l.User == 0 || !l.Sort.Valid() || l.Filter.Check() != nil {
		return listState{}, errSeal
	}
	return l, nil
}

// unseal opens a box with whichever key has sealed it, for what it was sealed for.
func (s *sealer) unseal(box, sealedFor []byte) (plain []byte, ok bool) {
	for _, k := range s.keys {
		if plain, err := k.Open(nil, nil, box, sealedFor); err == nil {
			return plain, true
		}
	}
	return nil, false
}
