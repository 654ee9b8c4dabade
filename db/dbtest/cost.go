package dbtest

import (
	_ "unsafe" // for go:linkname

	"golang.org/x/crypto/bcrypt"
)

// passwordCost is package db's own bcryptCost. The program has nothing by which its hashes could be made cheaper: only this
// package reaches the number, and only tests import this package.
//
//go:linkname passwordCost chartroom/db.bcryptCost
var passwordCost int

// CheapPasswords makes hashes as cheap as bcrypt lets them be, in all of a test binary. It is called once, before anything is
// hashed, where many people sign in and what a hash costs is not what is tested: at today's cost, hashes were a third of what
// such tests took. Proofs and measurements of time hash as the program does.
func CheapPasswords() { passwordCost = bcrypt.MinCost }
