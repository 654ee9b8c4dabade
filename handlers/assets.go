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
	"strings"
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

type asset struct {
	content []byte
	kind    string
}

func loadAssets(from fs.FS) (assets, error) {
	a := assets{files: map[string]asset{}}
	for name, path := range map[string]*string{
		"app.css": &a.paths.CSS, "app.js": &a.paths.JS, "icon.svg": &a.paths.Icon,
		"vendor/htmx-4.0.1.min.js": &a.paths.Htmx, "vendor/hx-csp-4.0.1.min.js": &a.paths.HtmxCSP,
	} {
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return a, fmt.Errorf("load assets: %w", err)
		}
		hashed := hashedName(name, content)
		a.files[hashed] = asset{content, mime.TypeByExtension(extension(name))}
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
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", a.kind)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
	return nil
}
