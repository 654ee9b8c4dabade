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
	"regexp"
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
		if !strings.HasPrefix(name, "vendor/") {
			content = terse(content)
		}
		hashed := hashedName(name, content)
		a.files[hashed] = asset{content, mime.TypeByExtension(extension(name)), sync.OnceValue(func() []byte { return gzipped(content) })}
		*path = "/assets/" + hashed
	}
	return a, nil
}

// What is for those who read our own files stays with us: it is a quarter of what would go over the wire. Third parties' files
// go out as they are published.
var (
	comments = regexp.MustCompile(`(?s)/\*.*?\*/|(?m)^[ \t]*//[^\n]*$`)
	margins  = regexp.MustCompile(`\n\s+`)
)

// terse leaves comments and indentation out. A line keeps its end, which means something in a script.
func terse(content []byte) []byte {
	return bytes.TrimSpace(margins.ReplaceAll(comments.ReplaceAll(content, nil), []byte("\n")))
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
	// A file is no document, so that it needs none of what a document's policy allows; each of these is sent with each file.
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	for _, name := range []string{"Permissions-Policy", "Reporting-Endpoints"} {
		h.Del(name)
	}
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
