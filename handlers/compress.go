package handlers

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressed are the kinds of answers that are worth it. Assets are not among them, they come compressed already.
var compressed = []string{"text/html", "text/csv", "application/fhir+ndjson", "application/x-ndjson"}

// compress compresses what a handler answers, from 1 KiB on, also while it is streamed, with zstd or gzip as the browser
// asks. The levels are the quick ones: a page of the list is sent once, over a line that is seldom the slow part.
//
// BREACH reads a secret off the lengths of compressed answers. It needs an answer that holds the secret (the form
// token, a patient) together with text that the attacker chose, and a victim's browser that fetches it again and again.
// Here no such answer can be asked for from outside: pages show nothing of their address (the state of the list in it
// is encrypted and authenticated; "next" is shown on the sign-in page, which holds no secret, and on the form for a new
// password, which is not compressed then), and what was typed into a form is shown only in answer to a POST with the
// session's form token, which another site does not have; its requests are refused, and sent without the cookie, in any
// case. TestNoPageShowsItsAddress holds that. So the token is not masked and no random length is added; besides, the
// nonce and the sealed addresses differ in each answer.
func compress(h http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(
		gzhttp.MinSize(1<<10),
		gzhttp.CompressionLevel(gzip.DefaultCompression),
		gzhttp.ZstdCompressionLevel(int(zstd.SpeedFastest)),
		gzhttp.ContentTypeFilter(func(kind string) bool {
			kind, _, _ = strings.Cut(kind, ";")
			return slices.Contains(compressed, kind)
		}),
	)
	if err != nil {
		panic(err) // only for a level that is not one
	}
	return wrap(h)
}

// vary adds the name of a request's header to those that the answer depends on, each once and in one line.
func vary(h http.Header, name string) {
	all := h.Values("Vary")
	for _, v := range all {
		for one := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(one), name) {
				return
			}
		}
	}
	h.Set("Vary", strings.Join(append(slices.Clip(all), name), ", "))
}

// acceptsGzip says whether a browser takes gzip (RFC 9110, 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, weighed := strings.Cut(one, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(weight)), "q="), 64)
		return !weighed || err == nil && q > 0
	}
	return false
}

// gzipped is the smallest that gzip makes of content; nil when that is not smaller.
func gzipped(content []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // only for a level that is not one
	}
	_, _ = w.Write(content) // a buffer takes everything
	_ = w.Close()
	if b.Len() >= len(content) {
		return nil
	}
	return b.Bytes()
}
