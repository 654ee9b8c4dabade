package handlers

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"chartroom/db"
	"chartroom/db/fhir"
	"chartroom/views"
	"chartroom/views/texts"
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
	draft    *restored    // the text is what was typed before and not saved
	subject  *db.Subject  // whom it is about, as on record; nil for a new patient
	record   *fhir.Fields // what is on record, where the form was filled with a draft
}

// subjectField brings back with the form whom it is about, sealed: an answer that says what is wrong, or that the database is
// away, says it without another look at the record, which the audit would have to know of.
const subjectField = "subject"

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
	e := entry{id: p.ID, version: p.Version, text: textOf(p.Fields), subject: &p.Subject, record: &p.Fields}
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
	e.subject = s.drafts.openSubject(r.PostForm.Get(subjectField), e.id)
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
		e.version, e.text, e.subject = e.newer.Version, textOf(e.newer.Merged), &e.newer.Subject
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
	e.failure = s.texts(r).Form.Failure(scopeOf(r).id)
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
		c.Problems = append(c.Problems, fhir.FieldError{Field: "Deceased", Rule: fhir.RuleDeathWithout})
	case on != "":
		c.Typed.Deceased = on
	}
	return c
}

// The form, in its order. Legends, labels and hints are the reader's.
type formField struct {
	key, keyboard, width string
	hint                 func(*texts.Form) string
	options              []choice
}

type choice struct {
	value string
	label func(*texts.Texts) string
}

type fieldGroup struct {
	legend func(*texts.Texts) string
	fields []formField
}

func sexChoice(sex string) choice {
	return choice{sex, func(t *texts.Texts) string { return t.Common.Sexes[sex] }}
}

func statusChoice(value, status string) choice {
	return choice{value, func(t *texts.Texts) string { return t.Common.Statuses[status] }}
}

func notRecorded(t *texts.Texts) string { return t.Common.NotRecorded }

var formGroups = []fieldGroup{
	{func(t *texts.Texts) string { return t.Form.Person }, []formField{
		{key: "family"},
		{key: "given"},
		{key: "birth_date", width: "third"},
		{key: "gender", width: "third", options: []choice{{"", notRecorded}, sexChoice("female"), sexChoice("male"), sexChoice("other"), sexChoice("unknown")}},
		{key: "mrn", width: "third"},
	}},
	{func(t *texts.Texts) string { return t.Patient.Telecoms }, []formField{
		{key: "phone", width: "third", keyboard: "tel"},
		{key: "email", width: "rest", keyboard: "email"},
	}},
	{func(t *texts.Texts) string { return t.Form.Address }, []formField{
		{key: "line", width: "full", hint: func(t *texts.Form) string { return t.LineHint }},
		{key: "postal_code", width: "third"},
		{key: "city", width: "rest"},
		{key: "state"},
		{key: "country"},
	}},
	{func(t *texts.Texts) string { return t.Form.Status }, []formField{
		{key: "active", width: "third", hint: func(t *texts.Form) string { return t.ActiveHint }, options: []choice{statusChoice("true", "active"), statusChoice("false", "inactive")}},
		{key: "deceased", width: "third", options: []choice{{"", func(t *texts.Texts) string { return t.Form.NotDead }}, {"true", func(t *texts.Texts) string { return t.Form.Yes }}}},
		{key: deceasedOn, width: "third"},
	}},
}

func (s *Server) showForm(w http.ResponseWriter, r *http.Request, status int, e entry, who *db.Who) {
	reader := s.reader(r)
	t := &reader.t.Form
	title, f := t.Edit, views.PatientForm{Action: views.PatientPath(e.id), Cancel: views.PatientPath(e.id), Submit: t.Save}
	if e.version == 0 {
		title, f.Action, f.Cancel, f.Submit = t.New, views.PatientsPath(""), views.PatientsPath(""), t.SaveNew
		f.Hidden = append(f.Hidden, views.Hidden{Name: "id", Value: e.id})
	} else {
		f.Hidden = append(f.Hidden, views.Hidden{Name: "version", Value: strconv.Itoa(e.version)})
	}
	if len(e.seen) > 0 {
		f.Hidden = append(f.Hidden, views.Hidden{Name: "seen", Value: strings.Join(e.seen, " ")})
	}
	f.Heading = title
	if e.subject != nil && e.version > 0 {
		f.Hidden = append(f.Hidden, views.Hidden{Name: subjectField, Value: s.drafts.sealSubject(*e.subject, e.id)})
		f.Subject = &views.Subject{Name: e.subject.DisplayName, Facts: s.facts(reader, db.Patient{MRN: e.subject.MRN, BirthDate: e.subject.BirthDate,
			Gender: e.subject.Gender, Status: e.subject.Status})}
	}
	f.DraftTo, f.At = views.DraftPath(e.patient()), views.FormPath(e.patient())
	f.Unsaved = len(e.problems)+len(e.likely) > 0 || e.newer != nil || e.failure != ""
	if e.draft != nil {
		title = t.NotSaved(title)
		f.Draft = &views.Draft{At: reader.clock(e.draft.at), AtISO: iso(e.draft.at), Stale: e.draft.stale,
			Discard: views.DiscardDraftPath(e.patient())}
	}
	switch {
	case len(e.problems) > 0 || e.failure != "":
		title = reader.t.Common.ErrorTitle(title)
	case e.newer != nil:
		title = t.Changed(title)
	case len(e.likely) > 0:
		title, f.Submit = t.Known(title), t.SaveAnyway
	}
	f.Page, f.FormToken, f.Failure = s.page(r, title, who), formToken(s.formKeys[0], scopeOf(r).viewer.Token), e.failure
	problems, unsaved := reader.problemsByKey(e, &f), s.unsaved(e)
	for _, g := range formGroups {
		group := views.FieldGroup{Legend: g.legend(reader.t)}
		for _, spec := range g.fields {
			field := reader.field(spec, e)
			field.Problem = problems[spec.key]
			if slices.Contains(unsaved, spec.key) {
				field.Note, field.NoteValue = t.NoteUnsaved, cmp.Or(reader.shown(spec.key, *e.record), t.None)
			}
			if field.Problem != "" {
				if strings.HasSuffix(field.Problem, field.Hint) {
					field.Hint = "" // the problem says the same
				}
				f.Problems = append(f.Problems, views.Problem{FieldID: spec.key, Message: field.Problem})
			}
			group.Fields = append(group.Fields, field)
		}
		f.Groups = append(f.Groups, group)
	}
	f.Newer = reader.newer(e.newer)
	f.Likely, f.LikelyMRN = s.likely(reader, e)
	s.render(w, r, status, views.PatientFormPage(f))
}

// problemsByKey gives each problem to its field. One for which the form has none stands in the summary alone.
func (f format) problemsByKey(e entry, v *views.PatientForm) map[string]string {
	all := map[string]string{}
	for _, p := range e.problems {
		said := strings.Replace(f.t.Form.Problems[string(p.Rule)], "{}", f.dateHint(), 1)
		i := slices.IndexFunc(db.Fields, func(field db.Field) bool { return field.Name == p.Field })
		if i < 0 {
			v.Problems = append(v.Problems, views.Problem{Message: said})
			continue
		}
		key := db.Fields[i].Key
		if key == "deceased" && e.text[deceasedOn] != "" {
			key = deceasedOn
		}
		all[key] = said
	}
	return all
}

// unsaved are the keys of the fields in which a draft says something else than the record.
func (s *Server) unsaved(e entry) (keys []string) {
	if e.draft == nil || e.record == nil {
		return nil
	}
	typed, record := s.change(e).Typed.Clean(), e.record.Clean()
	for _, field := range db.Fields {
		if *field.Of(&typed) != *field.Of(&record) {
			keys = append(keys, field.Key)
		}
	}
	return keys
}

// likely are those who may be the same patient, with the facts in which they agree with what was typed; sameMRN says that one of
// these is the MRN, which no two patients should share.
func (s *Server) likely(f format, e entry) (rows []views.LikelyRow, sameMRN bool) {
	typed := s.change(e).Typed.Clean()
	for _, p := range e.likely {
		row := views.LikelyRow{PatientRow: s.row(f, p)}
		row.SameName = nameKey(p.DisplayName) == nameKey(typed.Family+" "+typed.Given)
		row.SameBirth = typed.BirthDate != "" && p.BirthDate == typed.BirthDate
		row.SameMRN = typed.MRN != "" && p.MRN != "" && fhir.MRNKey(p.MRN) == fhir.MRNKey(typed.MRN)
		sameMRN = sameMRN || row.SameMRN
		rows = append(rows, row)
	}
	return rows, sameMRN
}

func (f format) field(spec formField, e entry) views.FormField {
	t := &f.t.Form
	v := views.FormField{ID: spec.key, Label: t.Labels[spec.key], Value: e.text[spec.key], Keyboard: spec.keyboard, Width: spec.width}
	if spec.hint != nil {
		v.Hint = spec.hint(t)
	}
	for _, o := range spec.options {
		v.Options = append(v.Options, views.Option{Value: o.value, Label: o.label(f.t)})
	}
	switch spec.key {
	case "family":
		v.Focus = e.version == 0 && len(e.problems)+len(e.likely) == 0 && e.failure == "" && e.draft == nil
	case "birth_date", deceasedOn:
		v.Hint = f.dateHint()
	case "active":
		if v.Value == "" { // only for who has it so: nobody should choose it
			v.Options = append([]views.Option{{Value: "", Label: t.ActiveNotRecorded}}, v.Options...)
		}
	}
	if e.newer != nil {
		switch key := spec.key; {
		case slices.Contains(e.newer.Both, key):
			v.Note, v.NoteValue = t.NoteBoth, cmp.Or(f.shown(key, e.newer.Now), t.None)
		case slices.Contains(e.newer.Theirs, key):
			v.Note = t.NoteTheirs
		}
	}
	return v
}

func (f format) newer(n *db.Newer) *views.NewerVersion {
	if n == nil {
		return nil
	}
	t := &f.t.Form
	v := &views.NewerVersion{By: f.author(n.By), At: f.moment(n.At), AtISO: iso(n.At), Asks: len(n.Both) > 0}
	for _, g := range formGroups {
		for _, spec := range g.fields {
			row := views.NewerField{Label: t.Labels[spec.key], Now: f.shown(spec.key, n.Now), Typed: f.shown(spec.key, n.Typed)}
			switch key := spec.key; {
			case slices.Contains(n.Both, key):
				row.Who, row.Both = t.Both, true
			case slices.Contains(n.Theirs, key):
				row.Who, row.Typed, row.Untouched = v.By, "", true // there stands what the form began with: nobody typed it
			case slices.Contains(n.Mine, key):
				row.Who = t.You
			default:
				continue
			}
			v.Rows = append(v.Rows, row)
		}
	}
	return v
}

// shown is a field's value as people read it.
func (f format) shown(key string, fields fhir.Fields) string {
	value := ""
	for _, field := range db.Fields {
		if field.Key == key {
			value = *field.Of(&fields)
		}
	}
	switch key {
	case "birth_date":
		return f.date(value)
	case "deceased":
		if value != "" && value != "true" {
			return f.t.Form.DeadSince(f.date(value))
		}
	case "active":
		if value == "" {
			return f.t.Form.ActiveNotRecorded
		}
	}
	for _, g := range formGroups {
		for _, spec := range g.fields {
			for _, o := range spec.options {
				if spec.key == key && o.value == value {
					return o.label(f.t)
				}
			}
		}
	}
	return value
}
