package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"chartroom/db"
	"chartroom/views"
)

// assets are the embedded files under names that hold their content's hash, so that a browser may keep them for a year
// and still never shows an old one.
type assets struct {
	files map[string]asset
	paths views.Assets
}

// An asset is compressed when it is first asked for, so that a start does not wait for it (measured, 6 to 9 ms for all,
// zstd's best 40 to 60). Only with gzip: at its best it makes these files smaller than zstd at any level.
type asset struct {
	content []byte
	kind    string
	gzipped func() []byte
}

func loadAssets(from fs.FS) (assets, error) {
	a := assets{files: map[string]asset{}}
	for name, path := range map[string]*string{
		"app.css": &a.paths.CSS, "app.js": &a.paths.JS, "session.js": &a.paths.Session, "icon.svg": &a.paths.Icon,
		"vendor/htmx-4.0.1.min.js": &a.paths.Htmx, "vendor/hx-csp-4.0.1.min.js": &a.paths.HtmxCSP,
	} {
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return a, fmt.Errorf("load assets: %w", err)
		}
		hashed := hashedName(name, content)
		a.files[hashed] = asset{content, mime.TypeByExtension(extension(name)), sync.OnceValue(func() []byte { return gzipped(content) })}
		*path = "/assets/" + hashed
	}
	return a, nil
}

func extension(name string) string { return path.Ext(name) }

func hashedName(name string, content []byte) string {
	sum := sha256.Sum256(content)
	ext := extension(name)
	return strings.TrimSuffix(path.Base(name), ext) + "." + hex.EncodeToString(sum[:8]) + ext
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request) error {
	a, ok := s.assets.files[r.PathValue("name")]
	if !ok {
		return db.ErrNotFound
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Type", a.kind)
	vary(h, "Accept-Encoding")
	content := a.content
	// A range is of the file as it is: that of a compressed one would be no use to whoever has begun to read it plain.
	if acceptsGzip(r) && r.Header.Get("Range") == "" {
		if small := a.gzipped(); small != nil {
			content = small
			h.Set("Content-Encoding", "gzip")
			h.Set("Content-Length", strconv.Itoa(len(small))) // ServeContent does not say it of what is encoded
		}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	return nil
}
