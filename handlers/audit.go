package handlers

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// auditFilter is what a list of events shows, as its address says it: ids, dates and words of ours, never what was typed.
type auditFilter struct {
	users, shell, what, patient, outcome, from, to, cursor string
}

func readAuditFilter(v url.Values) auditFilter {
	get := func(name string) string { return strings.TrimSpace(v.Get(name)) }
	return auditFilter{get("user"), get("shell"), get("what"), get("patient"), get("outcome"), get("from"), get("to"), get("place")}
}

// values are the address's parameters, those that are set.
func (f auditFilter) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"user": f.users, "shell": f.shell, "what": f.what, "patient": f.patient, "outcome": f.outcome,
		"from": f.from, "to": f.to, "place": f.cursor} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func (f auditFilter) hidden() (all []views.Hidden) {
	f.cursor = ""
	v := f.values()
	for name := range v {
		all = append(all, views.Hidden{Name: name, Value: v.Get(name)})
	}
	slices.SortFunc(all, func(a, b views.Hidden) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// auditProblems are what a person can mend, by field. They are worded with the page: whose language it is shows only once a
// statement has found the session.
type auditProblems map[string]func(*texts.Audit) string

var (
	errAuditAddress = httpError{status: http.StatusBadRequest, says: func(t *texts.Texts) texts.Refusal { return t.Errors.BadAuditAddress }, to: views.AuditPath}
	pastedPatient   = regexp.MustCompile(`^(?:.*/patients/)?([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:[/?#].*)?$`)
)

// query reads a filter. What a person typed wrong is a problem beside its field; what only a made-up address holds is an
// error.
func (s *Server) auditQuery(f *auditFilter) (q db.AuditQuery, problems auditProblems, err error) {
	problems = auditProblems{}
	for text := range strings.SplitSeq(f.users, ",") {
		if id, err := strconv.ParseInt(text, 10, 32); err == nil && id > 0 {
			q.Users = append(q.Users, int(id))
		} else if f.users != "" {
			return q, nil, errAuditAddress
		}
	}
	q.Shell, q.Outcome = f.shell, f.outcome
	if q.Actions = auditActions(f.what); f.what != "" && q.Actions == nil || q.Outcome != "" && !slices.Contains(db.Outcomes, q.Outcome) || len(q.Users) > db.MostActors {
		return q, nil, errAuditAddress
	}
	if f.patient != "" {
		if m := pastedPatient.FindStringSubmatch(strings.ToLower(f.patient)); m != nil {
			q.Patient, f.patient = m[1], m[1]
		} else {
			problems["patient"] = func(t *texts.Audit) string { return t.BadPatient }
		}
	}
	day := func(name, text string, add int) (day time.Time) {
		if text == "" {
			return day
		}
		day, err := time.ParseInLocation(time.DateOnly, s.format.readDate(text), s.Zone)
		if err != nil || day.Year() < 1900 || day.Year() > 9000 {
			problems[name] = func(t *texts.Audit) string { return t.BadDate }
			return time.Time{}
		}
		return day.AddDate(0, 0, add)
	}
	q.From, q.Before = day("from", f.from, 0), day("to", f.to, 1)
	if !q.From.IsZero() && !q.Before.IsZero() && !q.From.Before(q.Before) {
		problems["to"] = func(t *texts.Audit) string { return t.BadUntil }
	}
	if f.cursor != "" {
		if q.Cursor = readPlace(f.cursor); q.Cursor == nil {
			return q, nil, errAuditAddress
		}
	}
	return q, problems, nil
}

// place writes a cursor, readPlace reads it: older or newer than an event of that time, in microseconds, and id.
func place(c *db.AuditCursor) string {
	way := "older"
	if c.Newer {
		way = "newer"
	}
	return way + "." + strconv.FormatInt(c.Recorded.UnixMicro(), 10) + "." + strconv.FormatInt(c.ID, 10)
}

func readPlace(text string) *db.AuditCursor {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[0] != "older" && parts[0] != "newer" {
		return nil
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	id, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || err2 != nil || id < 0 || at < 0 || at > 250_000_000_000_000_000 {
		return nil
	}
	return &db.AuditCursor{Recorded: time.UnixMicro(at).UTC(), ID: id, Newer: parts[0] == "newer"}
}

// audit shows a page of events.
func (s *Server) audit(w http.ResponseWriter, r *http.Request) error {
	f := readAuditFilter(r.URL.Query())
	q, problems, err := s.auditQuery(&f)
	if err != nil {
		return s.judged(r, err)
	}
	if len(problems) > 0 {
		return s.showAuditProblems(w, r, f, "", problems)
	}
	l, err := s.DB.ListAudit(r.Context(), scopeOf(r).viewer, q)
	if errors.Is(err, db.ErrAuditQuery) {
		return errAuditAddress
	}
	if err != nil {
		return err
	}
	s.showAudit(w, r, http.StatusOK, f, "", nil, l)
	return nil
}

// judged is an error about a request, told to those alone who might ask.
func (s *Server) judged(r *http.Request, err error) error {
	if _, no := s.DB.Whoami(r.Context(), scopeOf(r).viewer); no != nil {
		return no
	}
	return err
}

// searchAudit takes the filters by POST and leads to an address that holds ids in place of what was typed: one day somebody
// types a patient's name into one of them.
func (s *Server) searchAudit(w http.ResponseWriter, r *http.Request) error {
	f := readAuditFilter(r.PostForm)
	f.cursor = ""
	name := strings.TrimSpace(r.PostForm.Get("who"))
	actors, err := s.DB.FindActors(r.Context(), scopeOf(r).viewer, name)
	if errors.Is(err, db.ErrAuditQuery) {
		return errBadForm
	}
	if err != nil {
		return err
	}
	_, problems, err := s.auditQuery(&f)
	if err != nil {
		return err
	}
	switch {
	case name == "":
	case len(actors.Users) > db.MostActors:
		problems["who"] = func(t *texts.Audit) string { return t.ManyUsers(db.MostActors) }
	case len(actors.Users) == 0 && !actors.Shell:
		problems["who"] = func(t *texts.Audit) string { return t.NoUser }
	default:
		var ids []string
		for _, id := range actors.Users {
			ids = append(ids, strconv.Itoa(id))
		}
		f.users, f.shell = strings.Join(ids, ","), ""
		if actors.Shell {
			f.shell = name
		}
	}
	if len(problems) > 0 {
		return s.showAuditProblems(w, r, f, name, problems)
	}
	http.Redirect(w, r, views.AuditListPath(f.values()), http.StatusSeeOther)
	return nil
}

func (s *Server) showAuditProblems(w http.ResponseWriter, r *http.Request, f auditFilter, name string, problems auditProblems) error {
	who, err := s.DB.Whoami(r.Context(), scopeOf(r).viewer)
	if err != nil {
		return err
	}
	s.showAudit(w, r, http.StatusUnprocessableEntity, f, name, problems, db.AuditList{Who: who})
	return nil
}

func (s *Server) showAudit(w http.ResponseWriter, r *http.Request, status int, f auditFilter, name string, problems auditProblems, l db.AuditList) {
	form := s.reader(r)
	t := &form.t.Audit
	field := func(id, label, value string) views.FormField {
		v := views.FormField{ID: id, Label: label, Value: value}
		if problem := problems[id]; problem != nil {
			v.Problem = problem(t)
		}
		return v
	}
	if f.shell == db.StandInName {
		l.Users = append(l.Users, t.SignInOff)
	} else if f.shell != "" {
		l.Users = append(l.Users, t.OfShell(f.shell))
	}
	v := views.Audit{Page: s.page(r, errorTitle(form.t, t.Title, len(problems) > 0), &l.Who), Rows: form.auditRows(l.Events), Wrong: len(problems) > 0,
		Filtered: len(f.hidden()) > 0, Hidden: f.hidden(), Only: strings.Join(l.Users, ", "), Users: f.users, Shell: f.shell, Patient: deref(l.Patient),
		WhoField: field("who", t.User, name), PatientField: field("patient", t.Patient, f.patient),
		FromField: field("from", t.From, f.from), ToField: field("to", t.Until, f.to),
		What: auditChoices(t, f.what), Outcome: auditOutcomes(t, f.outcome), All: f.what == "", PatientURL: views.PatientPath(f.patient)}
	if len(problems) == 0 {
		v.Found = t.NoneFound
		if n := len(l.Events); n > 0 {
			v.Found, v.Caption = t.Found(n), t.Caption(form.second(l.Events[n-1].Recorded), form.second(l.Events[0].Recorded))
			if l.HasNext {
				v.Found += t.FoundMore
			}
		}
	}
	to := func(c *db.AuditCursor) string {
		f := f
		f.cursor = place(c)
		return views.AuditListPath(f.values())
	}
	if l.HasPrev && len(l.Events) > 0 {
		first := f
		first.cursor = ""
		v.Newest, v.Prev = views.AuditListPath(first.values()), to(l.Edge(true))
	}
	if l.HasNext {
		v.Next = to(l.Edge(false))
	}
	content := views.AuditListPage(v)
	if isFragment(r) {
		content = views.AuditFragment(v)
	}
	s.render(w, r, status, content)
}

func auditOutcomes(t *texts.Audit, chosen string) []views.Choice {
	return []views.Choice{{Value: "", Label: t.Any, Chosen: chosen == ""}, {Value: "success", Label: t.Done, Chosen: chosen == "success"},
		{Value: "refused", Label: t.Refused, Chosen: chosen == "refused"}}
}

// auditEvent shows one event.
func (s *Server) auditEvent(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || strconv.FormatInt(id, 10) != r.PathValue("id") {
		id = -1
	}
	e, err := s.DB.OpenAudit(r.Context(), scopeOf(r).viewer, id)
	if err != nil {
		return err
	}
	f := s.reader(r)
	row := f.auditRow(e.Event)
	v := views.AuditEvent{Page: s.page(r, f.t.Audit.Event, &e.Who), AuditRow: row, ID: strconv.FormatInt(e.Event.ID, 10), Action: e.Event.Action,
		Exact: db.EventTime{Time: e.Event.Recorded}.String(), Session: deref(e.Event.SessionID), Request: e.Event.RequestID, Program: e.Event.Program, JSON: string(e.Event.Detail)}
	for _, p := range e.People {
		v.People = append(v.People, views.AuditPatient{Name: deref(p.Name), ID: p.ID, URL: views.PatientPath(p.ID)})
	}
	if more := e.Event.Patients - len(e.People); more > 0 {
		v.More = f.t.Audit.More(more, f.number(more))
	}
	s.render(w, r, http.StatusOK, views.AuditEventPage(v))
	return nil
}
