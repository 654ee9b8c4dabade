package handlers

import (
	"bytes"
	"context"
	"net/http"

	"github.com/a-h/templ"
)

// isHtmx says that htmx asks, not the browser itself.
func isHtmx(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// isFragment says that a part of a page is asked for, not the page: htmx says "full" when it wants one to select from,
// and names a return through the history, which shows a whole page too.
func isFragment(r *http.Request) bool {
	return isHtmx(r) && r.Header.Get("HX-Request-Type") != "full" && r.Header.Get("HX-History-Restore-Request") != "true"
}

// render writes a component whole or not at all: a failure half-way must not leave half a page under a good status.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	var buf bytes.Buffer
	// templ renders nothing under a context that has ended, and "it took too long" is a page too.
	if err := c.Render(context.WithoutCancel(r.Context()), &buf); err != nil {
		s.Log.Error("render", "request", scopeOf(r).id, "error", err)
		status = http.StatusInternalServerError
		buf.Reset()
	}
	h := w.Header()
	vary(h, "HX-Request")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(buf.Bytes()) // a reader who left is no error of ours
	}
}
