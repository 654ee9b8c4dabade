package handlers

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/a-h/templ"

	"chartroom/views/texts"
)

// isHtmx says that htmx asks, not the browser itself.
func isHtmx(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// isFragment says that a part of a page is asked for, not the page: htmx says "full" when it wants one to select from,
// and names a return through the history, which shows a whole page too.
func isFragment(r *http.Request) bool {
	return isHtmx(r) && r.Header.Get("HX-Request-Type") != "full" && r.Header.Get("HX-History-Restore-Request") != "true"
}

// target is the id of what htmx will put the answer into: it names the element's kind and its id (aside#panel).
func target(r *http.Request) string {
	_, id, _ := strings.Cut(r.Header.Get("HX-Target"), "#")
	return id
}

// buffers are kept for the next page: growing one for each costs more memory than all else that a page needs. A very
// large one is let go.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const maxBuffer = 256 << 10

// render writes a component whole or not at all: a failure half-way must not leave half a page under a good status.
func (s *Server) render(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= maxBuffer {
			buffers.Put(buf)
		}
	}()
	// A context of its own: templ renders nothing under one that has ended, and "it took too long" is a page too. And
	// each component looks the nonce up, which takes its time at the end of a request's chain.
	if err := c.Render(texts.With(templ.WithNonce(context.Background(), scopeOf(r).nonce), s.texts(r)), buf); err != nil {
		s.Log.Error("render", "request", scopeOf(r).id, "error", err)
		status = http.StatusInternalServerError
		buf.Reset()
	}
	h := w.Header()
	vary(h, "HX-Request")
	h.Set("Content-Type", "text/html; charset=utf-8")
	if r.Method != http.MethodHead { // which is not told how long: compressed, the page has another length (RFC 9110, 8.6)
		h.Set("Content-Length", strconv.Itoa(buf.Len())) // else it would go out in pieces; compression takes it away
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(buf.Bytes()) // a reader who left is no error of ours
	}
}
