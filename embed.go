package main

import (
	"embed"
	"io/fs"
)

//go:embed assets db/migrations/*.sql
var embedded embed.FS

// The two trees that the binary carries, each seen from its own root.
var (
	assets     = sub("assets")
	migrations = sub("db/migrations")
)

func sub(dir string) fs.FS {
	f, err := fs.Sub(embedded, dir)
	if err != nil {
		panic(err) // only for a path that is not one
	}
	return f
}
