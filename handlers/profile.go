package handlers

import (
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

// maxProfile bounds how long a profile of the CPU is taken.
const maxProfile = time.Minute

// profile serves what `go tool pprof` asks for. It is not net/http/pprof: that one also tells the command line, on which
// somebody may have put a key, hangs itself into every default mux, and is twice as large (measured).
func profile(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "application/octet-stream")
	name := r.PathValue("profile")
	if name == "profile" {
		profileCPU(w, r)
		return
	}
	p := pprof.Lookup(name)
	if p == nil {
		http.NotFound(w, r)
		return
	}
	detail, _ := strconv.Atoi(r.FormValue("debug"))
	if detail != 0 {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	_ = p.WriteTo(w, detail) // a reader who left is no error of ours
}

func profileCPU(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.FormValue("seconds"))
	if err != nil || seconds < 1 {
		seconds = 30
	}
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, "a profile of the CPU is being taken already: try again when it is done", http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-r.Context().Done():
	case <-time.After(min(time.Duration(seconds)*time.Second, maxProfile)):
	}
}
