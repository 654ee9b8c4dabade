package handlers

import (
	"errors"
	"net/http"
	"time"

	"chartroom/db"
)

var auditKinds = map[string]string{db.FormatNDJSON: "application/x-ndjson", db.FormatCSV: "text/csv; charset=utf-8"}

// exportAudit streams all events that pass the filters, for as long as it takes and the browser listens. It is a form's
// address, so that the password can be asked for and it goes on then.
func (s *Server) exportAudit(w http.ResponseWriter, r *http.Request) error {
	f := readAuditFilter(r.PostForm)
	f.cursor = ""
	q, problems, err := s.auditQuery(&f)
	format := r.PostForm.Get("format")
	if err != nil || len(problems) > 0 || auditKinds[format] == "" {
		return s.judged(r, errAuditAddress)
	}
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return httpError{http.StatusServiceUnavailable, "Other exports are under way", "Try again when they are done, in a minute or so."}
	}
	out, err := db.NewEventExporter(w, format)
	if err != nil {
		return err
	}
	d := &download{s: s, w: w, r: r, format: format}
	err = s.DB.ExportAudit(scopeOf(r).conn, scopeOf(r).viewer, q, format, func(events []db.ExportedEvent) error {
		return d.send("audit", auditKinds[format], func() error { return out.Write(events) })
	})
	if errors.Is(err, db.ErrAuditQuery) {
		return errAuditAddress
	}
	if err != nil && d.begun {
		// The status has been sent. Only a connection that breaks tells the browser that this is not all.
		s.Log.Error("export broke off", "request", scopeOf(r).id, "error", db.Loggable(err))
		panic(http.ErrAbortHandler)
	}
	return err
}

// send sends a part of a download. Each has its own time, so that the whole may take as long as it takes.
func (d *download) send(name, kind string, write func() error) error {
	connection := http.NewResponseController(d.w)
	if err := connection.SetWriteDeadline(time.Now().Add(pageTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if !d.begun {
		d.headers(name, kind)
		d.begun = true
		if d.format == db.FormatCSV { // by this, spreadsheets know it for UTF-8
			if _, err := d.w.Write([]byte("\xef\xbb\xbf")); err != nil {
				return err
			}
		}
	}
	if err := write(); err != nil {
		return err
	}
	if err := connection.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
