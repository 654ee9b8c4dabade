package db

// SuggestPassphrase is a stand-in until the real one comes with the password policy: TO BE REMOVED at that merge.
func SuggestPassphrase() (string, error) { return "stand-in " + newUUID()[:18], nil }
