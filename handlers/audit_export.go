package handlers

import (
	"errors"
	"net/http"

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
	leave, err := s.enterExport()
	if err != nil {
		return err
	}
	defer leave()
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
	return d.ended(err)
}
