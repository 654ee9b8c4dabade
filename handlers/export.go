package handlers

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"chartroom/db"
	"chartroom/views/texts"
)

// pageTime is how long a browser may take for a page of an export.
const pageTime = time.Minute

// exportsAtOnce keeps the list quick for everybody else: an export reads as fast as it can.
const exportsAtOnce = 2

// exportKinds are the media types of the formats.
var exportKinds = map[string]string{
	db.FormatNDJSON: "application/fhir+ndjson",
	db.FormatCSV:    "text/csv; charset=utf-8",
}

// What an export is refused for.
var (
	errExportElsewhere = httpError{status: http.StatusForbidden, says: func(t *texts.Texts) texts.Refusal { return t.Errors.ExportElsewhere }}
	errBadFormat       = httpError{status: http.StatusBadRequest, says: func(t *texts.Texts) texts.Refusal { return t.Errors.BadFormat }}
	errBadListAddress  = httpError{status: http.StatusBadRequest, says: func(t *texts.Texts) texts.Refusal { return t.Errors.BadListAddress }}
	errOtherExports    = httpError{status: http.StatusServiceUnavailable, says: func(t *texts.Texts) texts.Refusal { return t.Errors.OtherExports }}
)

// exportPatients streams the list as filtered, for as long as it takes and the browser listens.
func (s *Server) exportPatients(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" { // a link elsewhere must not fill somebody's disk with patients
		return s.refuseForm(nil, r, db.RefusedSite, errExportElsewhere)
	}
	format := cmp.Or(r.URL.Query().Get("format"), db.FormatNDJSON)
	if exportKinds[format] == "" {
		return errBadFormat
	}
	state := listState{Sort: db.SortName}
	if text := r.URL.Query().Get("list"); text != "" {
		opened, err := s.sealer.open(text)
		if err != nil {
			return errBadListAddress
		}
		state = opened
	}
	q, err := s.query(state)
	if err != nil {
		return errBadListAddress
	}
	leave, err := s.enterExport()
	if err != nil {
		return err
	}
	defer leave()
	d := &download{s: s, w: w, r: r, format: format}
	if d.out, err = db.NewExporter(w, format); err != nil {
		return err
	}
	err = s.DB.ExportPatients(scopeOf(r).conn, scopeOf(r).viewer, q, format, d.page)
	if errors.Is(err, db.ErrForeignList) {
		return errBadListAddress
	}
	return d.ended(err)
}

// enterExport takes a place among the exports under way, which leave gives back.
func (s *Server) enterExport() (leave func(), err error) {
	select {
	case s.exports <- struct{}{}:
		return func() { <-s.exports }, nil
	default:
		return nil, errOtherExports
	}
}

// download is an export on its way to a browser.
type download struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	format string
	out    *db.Exporter
	begun  bool
}

func (d *download) headers(name, kind string) {
	h := d.w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`-`+d.s.now().In(d.s.Zone).Format(time.DateOnly)+"."+d.format+`"`)
}

func (d *download) page(patients []db.ExportedPatient) error {
	return d.send("patients", exportKinds[d.format], func() error { return d.out.Write(patients) })
}

// send sends a part of a download. Each has its own time, so that the whole may take as long as it takes.
func (d *download) send(name, kind string, write func() error) error {
	connection := http.NewResponseController(d.w)
	if err := connection.SetWriteDeadline(time.Now().Add(pageTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if !d.begun {
		d.headers(name, kind)
		d.begun, scopeOf(d.r).streams = true, true
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

// ended is what becomes of an error. Once the status has been sent, only a connection that breaks tells the browser that this
// is not all.
func (d *download) ended(err error) error {
	if err != nil && d.begun {
		if scopeOf(d.r).conn.Err() != nil { // the browser did not want the rest
			panic(http.ErrAbortHandler)
		}
		d.s.Log.Error("export broke off", "request", scopeOf(d.r).id, "error", db.Loggable(err))
		panic(http.ErrAbortHandler)
	}
	return err
}
