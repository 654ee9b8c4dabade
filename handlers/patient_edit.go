package handlers

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"chartroom/db"
	"chartroom/db/fhir"
	"chartroom/views"
)

// entry is the form of a patient between the browser and the database.
type entry struct {
	id       string
	version  int               // 0 for a new patient
	text     map[string]string // what stands in each field, as it was typed
	seen     []string          // ids of the likely duplicates that were shown
	failure  string            // why it could not be saved now
	problems []fhir.FieldError
	newer    *db.Newer
	likely   []db.Patient
	draft    *restored // the text is what was typed before and not saved
}

// deceasedOn is the form's second field for Fields.Deceased, which holds the date when there is one.
const deceasedOn = "deceased_on"

// newPatient shows an empty form, or what the same user had typed into it and not saved. The patient's id is made with
// it, so that the form sent twice makes one patient.
func (s *Server) newPatient(w http.ResponseWriter, r *http.Request) error {
	d, err := s.DB.Draft(r.Context(), scopeOf(r).viewer, "")
	if err != nil {
		return err
	}
	e := entry{id: db.NewPatientID(), text: textOf(fhir.Fields{Active: "true"})}
	s.restore(r, &e, d)
	s.showForm(w, r, http.StatusOK, e, &d.Who)
	return nil
}

func (s *Server) editPatient(w http.ResponseWriter, r *http.Request) error {
	p, err := s.DB.EditPatient(r.Context(), scopeOf(r).viewer, r.PathValue("id"))
	if err != nil {
		return err
	}
	// A trip of its own: what is read for a form is read for its save too, which wants no draft.
	d, err := s.DB.Draft(r.Context(), scopeOf(r).viewer, p.ID)
	if err != nil {
		return err
	}
	e := entry{id: p.ID, version: p.Version, text: textOf(p.Fields)}
	s.restore(r, &e, d)
	s.showForm(w, r, http.StatusOK, e, &p.Who)
	return nil
}

func (s *Server) createPatient(w http.ResponseWriter, r *http.Request) error {
	e, ok := readEntry(r, r.PostForm.Get("id"))
	if !ok {
		return s.unreadable(r)
	}
	out, err := s.DB.CreatePatient(r.Context(), scopeOf(r).viewer, s.change(e))
	if err != nil {
		return s.keepTyped(w, r, e, err)
	}
	s.answer(w, r, e, out, "created")
	return nil
}

func (s *Server) changePatient(w http.ResponseWriter, r *http.Request) error {
	e, ok := readEntry(r, r.PathValue("id"))
	if e.version = number(r, "version"); !ok || e.version == 0 {
		return s.unreadable(r)
	}
	out, err := s.DB.ChangePatient(r.Context(), scopeOf(r).viewer, s.change(e))
	if err != nil {
		return s.keepTyped(w, r, e, err)
	}
	s.answer(w, r, e, out, "saved")
	return nil
}

// answer leads to the patient's page after a save, and back to the form with what was typed when nothing was saved.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, e entry, out db.Outcome, done string) {
	status := http.StatusConflict
	switch e.problems, e.newer, e.likely = out.Problems, out.Newer, out.Likely; {
	case len(e.problems) > 0:
		status = http.StatusUnprocessableEntity
	case e.newer != nil:
		e.version, e.text = e.newer.Version, textOf(e.newer.Merged)
	case len(e.likely) > 0:
		for _, p := range e.likely {
			e.seen = append(e.seen, p.ID)
		}
	default:
		if !out.Saved {
			done = "unchanged"
		}
		s.dropDraft(r, e)
		http.Redirect(w, r, views.PatientNoticePath(out.ID, done), http.StatusSeeOther)
		return
	}
	s.showForm(w, r, status, e, &out.Who)
}

// keepTyped shows the form again when the database cannot be reached: the page that says so would take with it what
// somebody has typed. It shows nothing but what came with this request.
func (s *Server) keepTyped(w http.ResponseWriter, r *http.Request, e entry, err error) error {
	if s.describe(err).status != http.StatusServiceUnavailable {
		return err
	}
	if db.AuditRefused(err) {
		s.meter.auditRefused.Inc()
	}
	s.Log.Error("request failed", "request", scopeOf(r).id, "route", scopeOf(r).pattern, "status", http.StatusServiceUnavailable, "error", db.Loggable(err))
	w.Header().Set("Retry-After", "5")
	e.failure = "Chartroom cannot reach its data right now, so nothing was saved. What you typed stands below: try again in a few seconds, " +
		"or ask for help with the number " + scopeOf(r).id + "."
	s.showForm(w, r, http.StatusServiceUnavailable, e, nil)
	return nil
}

// number reads a field that the page wrote: a positive number that PostgreSQL's integer holds; 0 for anything else.
func number(r *http.Request, name string) int {
	n, err := strconv.ParseInt(r.PostForm.Get(name), 10, 32)
	if err != nil || n < 1 {
		return 0
	}
	return int(n)
}

// unreadable refuses a form that no page of ours sends; whoever may send none at all hears that first.
func (s *Server) unreadable(r *http.Request) error {
	if _, err := s.DB.Whoami(r.Context(), scopeOf(r).viewer); err != nil {
		return err
	}
	return errBadForm
}

// readEntry takes the form. A form that lacks a field was cut on its way: to go on would empty that field.
func readEntry(r *http.Request, id string) (entry, bool) {
	e := entry{id: id, text: map[string]string{}, seen: strings.Fields(r.PostForm.Get("seen"))}
	for key := range textOf(fhir.Fields{}) {
		if !r.PostForm.Has(key) || !utf8.ValidString(r.PostForm.Get(key)) {
			return e, false
		}
		e.text[key] = r.PostForm.Get(key)
	}
	if len(e.seen) > 100 {
		e.seen = nil
	}
	return e, true
}

// textOf is what stands in the form's fields for what a resource says.
func textOf(f fhir.Fields) map[string]string {
	text := map[string]string{}
	for _, field := range db.Fields {
		text[field.Key] = *field.Of(&f)
	}
	if f.Deceased != "" {
		text["deceased"], text[deceasedOn] = "true", strings.TrimPrefix(f.Deceased, "true")
		return text
	}
	text[deceasedOn] = ""
	return text
}

// change reads what stands in the form's fields. Dates are turned into FHIR's from the clinic's way to write them.
func (s *Server) change(e entry) db.Change {
	c := db.Change{ID: e.id, Version: e.version, Seen: e.seen, Today: s.now().In(s.Zone)}
	for _, field := range db.Fields {
		*field.Of(&c.Typed) = e.text[field.Key]
	}
	c.Typed.BirthDate = s.format.readDate(c.Typed.BirthDate)
	switch on := s.format.readDate(e.text[deceasedOn]); {
	case on != "" && c.Typed.Deceased == "":
		c.Problems = append(c.Problems, fhir.FieldError{Field: "Deceased", Message: `There is a date of death. Choose "Yes" for deceased, or remove the date.`})
	case on != "":
		c.Typed.Deceased = on
	}
	return c
}

// The form, in its order.
type formField struct {
	key, label, hint, keyboard, width string
	options                           []views.Option
}

var formGroups = []struct {
	legend string
	fields []formField
}{
	{"Person", []formField{
		{key: "family", label: "Family name"},
		{key: "given", label: "Given names"},
		{key: "birth_date", label: "Birth date", width: "third"},
		{key: "gender", label: "Sex", width: "third", options: []views.Option{
			{Value: "", Label: "Not said"}, {Value: "female", Label: "Female"}, {Value: "male", Label: "Male"}, {Value: "other", Label: "Other"}, {Value: "unknown", Label: "Unknown"}}},
		{key: "mrn", label: "Medical record number (MRN)", width: "third"},
	}},
	{"Phone and e-mail", []formField{
		{key: "phone", label: "Phone", width: "third", keyboard: "tel"},
		{key: "email", label: "E-mail", width: "rest", keyboard: "email"},
	}},
	{"Address", []formField{
		{key: "line", label: "Street and number", width: "full", hint: "Further lines after a comma."},
		{key: "postal_code", label: "Postal code", width: "third"},
		{key: "city", label: "City", width: "rest"},
		{key: "state", label: "State or region"},
		{key: "country", label: "Country"},
	}},
	{"Status", []formField{
		{key: "active", label: "Record", width: "third", hint: "Inactive instead of deleted: the patient stays on record and can be found.", options: []views.Option{
			{Value: "true", Label: "Active"}, {Value: "false", Label: "Inactive"}}},
		{key: "deceased", label: "Deceased", width: "third", options: []views.Option{
			{Value: "", Label: "No, or not known"}, {Value: "true", Label: "Yes"}}},
		{key: deceasedOn, label: "Date of death, if known", width: "third"},
	}},
}

func (s *Server) showForm(w http.ResponseWriter, r *http.Request, status int, e entry, who *db.Who) {
	title, f := "Edit patient", views.PatientForm{Action: views.PatientPath(e.id), Cancel: views.PatientPath(e.id), Submit: "Save"}
	if e.version == 0 {
		title, f.Action, f.Cancel, f.Submit = "New patient", views.PatientsPath(""), views.PatientsPath(""), "Save new patient"
		f.Hidden = append(f.Hidden, views.Hidden{Name: "id", Value: e.id})
	} else {
		f.Hidden = append(f.Hidden, views.Hidden{Name: "version", Value: strconv.Itoa(e.version)})
	}
	if len(e.seen) > 0 {
		f.Hidden = append(f.Hidden, views.Hidden{Name: "seen", Value: strings.Join(e.seen, " ")})
	}
	f.Heading = title
	f.DraftTo, f.At = views.DraftPath(e.patient()), views.FormPath(e.patient())
	f.Unsaved = len(e.problems)+len(e.likely) > 0 || e.newer != nil || e.failure != ""
	if e.draft != nil {
		title = "Not saved yet: " + title
		f.Draft = &views.Draft{At: s.format.clock(e.draft.at), AtISO: iso(e.draft.at), Stale: e.draft.stale,
			Discard: views.DiscardDraftPath(e.patient())}
	}
	switch {
	case len(e.problems) > 0 || e.failure != "":
		title = "Error: " + title
	case e.newer != nil:
		title = "Changed meanwhile: " + title
	case len(e.likely) > 0:
		title, f.Submit = "On record already? "+title, "Save anyway"
	}
	f.Page, f.FormToken, f.Failure = s.page(r, title, who), formToken(s.formKeys[0], scopeOf(r).viewer.Token), e.failure
	problems := e.problemsByKey(&f)
	for _, g := range formGroups {
		group := views.FieldGroup{Legend: g.legend}
		for _, spec := range g.fields {
			field := s.field(spec, e)
			field.Problem = problems[spec.key]
			if field.Problem != "" {
				f.Problems = append(f.Problems, views.Problem{FieldID: spec.key, Message: field.Problem})
			}
			group.Fields = append(group.Fields, field)
		}
		f.Groups = append(f.Groups, group)
	}
	f.Newer = s.newer(e.newer)
	for _, p := range e.likely {
		f.Likely = append(f.Likely, s.row(p))
	}
	s.render(w, r, status, views.PatientFormPage(f))
}

// problemsByKey gives each problem to its field. One for which the form has none stands in the summary alone.
func (e entry) problemsByKey(f *views.PatientForm) map[string]string {
	all := map[string]string{}
	for _, p := range e.problems {
		i := slices.IndexFunc(db.Fields, func(field db.Field) bool { return field.Name == p.Field })
		if i < 0 {
			f.Problems = append(f.Problems, views.Problem{Message: p.Message})
			continue
		}
		key := db.Fields[i].Key
		if key == "deceased" && e.text[deceasedOn] != "" {
			key = deceasedOn
		}
		all[key] = p.Message
	}
	return all
}

func (s *Server) field(spec formField, e entry) views.FormField {
	v := views.FormField{ID: spec.key, Label: spec.label, Hint: spec.hint, Value: e.text[spec.key], Keyboard: spec.keyboard,
		Width: spec.width, Options: spec.options}
	switch spec.key {
	case "family":
		v.Focus = e.version == 0 && len(e.problems)+len(e.likely) == 0 && e.failure == "" && e.draft == nil
	case "birth_date", deceasedOn:
		v.Hint = s.format.dateHint()
	case "active":
		if v.Value == "" { // only for who has it so: nobody should choose it
			v.Options = append([]views.Option{{Value: "", Label: "Not said"}}, v.Options...)
		}
	}
	if e.newer != nil {
		switch key := spec.key; {
		case slices.Contains(e.newer.Both, key):
			v.Note = "Changed by both. On record now: " + orNone(s.shown(key, e.newer.Now))
		case slices.Contains(e.newer.Theirs, key):
			v.Note = "Changed on record meanwhile; taken over here."
		}
	}
	return v
}

func (s *Server) newer(n *db.Newer) *views.NewerVersion {
	if n == nil {
		return nil
	}
	v := &views.NewerVersion{By: authorName(n.By), At: s.format.moment(n.At), AtISO: iso(n.At), Asks: len(n.Both) > 0}
	for _, g := range formGroups {
		for _, spec := range g.fields {
			row := views.NewerField{Label: spec.label, Now: s.shown(spec.key, n.Now), Typed: s.shown(spec.key, n.Typed)}
			switch key := spec.key; {
			case slices.Contains(n.Both, key):
				row.Who, row.Both = "both", true
			case slices.Contains(n.Theirs, key):
				row.Who = v.By
			case slices.Contains(n.Mine, key):
				row.Who = "you"
			default:
				continue
			}
			v.Rows = append(v.Rows, row)
		}
	}
	return v
}

// shown is a field's value as people read it.
func (s *Server) shown(key string, f fhir.Fields) string {
	value := ""
	for _, field := range db.Fields {
		if field.Key == key {
			value = *field.Of(&f)
		}
	}
	switch key {
	case "birth_date":
		return s.date(value)
	case "deceased":
		if value != "" && value != "true" {
			return "Yes, " + s.date(value)
		}
	}
	for _, g := range formGroups {
		for _, spec := range g.fields {
			for _, o := range spec.options {
				if spec.key == key && o.Value == value {
					return o.Label
				}
			}
		}
	}
	return value
}

// date writes a FHIR date the clinic's way, and what is none as it is.
func (s *Server) date(value string) string {
	if shown := s.format.birth(value); shown != "Unknown" {
		return shown
	}
	return value
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
