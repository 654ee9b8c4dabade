package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"chartroom/db"
	"chartroom/db/fhir"
	"chartroom/views"
)

// patients shows the list in the state that its sealed parameter holds. A parameter that is not valid, or was made for
// another user, is said so above the list as it opens.
func (s *Server) patients(w http.ResponseWriter, r *http.Request) error {
	state := listState{Sort: db.SortName}
	status, problem := http.StatusOK, ""
	const invalid = "That list address is not valid, so all patients are shown."
	if text := r.URL.Query().Get("list"); text != "" {
		opened, err := s.sealer.open(text)
		if err != nil {
			status, problem = http.StatusBadRequest, invalid
		} else {
			state = opened
		}
	}
	list, err := s.list(r, state)
	if errors.Is(err, db.ErrForeignList) || errors.Is(err, errSeal) {
		status, problem, state = http.StatusBadRequest, invalid, listState{Sort: db.SortName}
		list, err = s.list(r, state)
	}
	if err != nil {
		return err
	}
	s.showList(w, r, status, problem, state, list)
	return nil
}

// searchPatients takes a search, in the body, and moves it into the sealed parameter: by a redirect for a plain form,
// by HX-Replace-Url for htmx, so that each letter typed is not a step in the browser's history.
func (s *Server) searchPatients(w http.ResponseWriter, r *http.Request) error {
	state := listState{Query: strings.TrimSpace(r.PostForm.Get("q")), Sort: db.SortName}
	if by := r.PostForm.Get("sort"); by != "" {
		state.Sort, state.Desc = parseSort(by)
		if !state.Sort.Valid() {
			return httpError{http.StatusBadRequest, "The list cannot be sorted like that", "Reload the list and try again."}
		}
	}
	list, err := s.list(r, state)
	if errors.Is(err, db.ErrSearchTooLong) || errors.Is(err, db.ErrSearchText) {
		who, err2 := s.DB.Whoami(r.Context(), scopeOf(r).viewer)
		if err2 != nil {
			return err2
		}
		state.Query = ""
		s.showList(w, r, http.StatusUnprocessableEntity, sentence(err), state, db.PatientList{Who: who})
		return nil
	}
	if err != nil {
		return err
	}
	state.User = list.UserID
	to := views.PatientsPath("")
	if state.Query != "" || state.Sort != db.SortName || state.Desc {
		to = views.PatientsPath(s.sealer.seal(state))
	}
	if !isFragment(r) {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	w.Header().Set("HX-Replace-Url", to)
	s.showList(w, r, http.StatusOK, "", state, list)
	return nil
}

func (s *Server) list(r *http.Request, state listState) (db.PatientList, error) {
	q, err := s.listQuery(state)
	if err != nil {
		return db.PatientList{}, err
	}
	list, err := s.DB.ListPatients(r.Context(), scopeOf(r).viewer, q)
	// Rows may have gone since the cursor was made; a page that is empty or not full at the front is the first page.
	if back := state.Cursor != nil && state.Cursor.Before; err == nil && state.Cursor != nil &&
		(len(list.Rows) == 0 || back && !list.HasPrev && len(list.Rows) < db.PageSize) {
		q.Cursor = nil
		list, err = s.DB.ListPatients(r.Context(), scopeOf(r).viewer, q)
	}
	return list, err
}

// listQuery is what a state of the list asks of the database.
func (s *Server) listQuery(state listState) (db.ListQuery, error) {
	search, err := db.ParseSearch(state.Query, s.format.monthFirst())
	return db.ListQuery{UserID: state.User, Search: search, Sort: state.Sort, Desc: state.Desc, Cursor: state.Cursor}, err
}

func (s *Server) showList(w http.ResponseWriter, r *http.Request, status int, problem string, state listState, list db.PatientList) {
	state.User = list.UserID
	if !list.HasPrev {
		state.First = 0
	}
	title := "Patients"
	if state.Query != "" {
		title = "Patients found" // never what was searched for: titles end up in the browser's history
	}
	if problem != "" {
		title = "Error: " + title
	}
	v := views.Patients{
		Page: s.page(r, title, &list.Who), Query: state.Query, Sort: sortText(state.Sort, state.Desc),
		Headings: s.headings(state), Found: found(list.Found, state.Query != ""), Error: problem, Filtered: state.Query != "" || problem != "",
		Caption: caption(state, list), Empty: "There are no patients yet. An administrator can load them with “chartroom import”.",
		FormToken: formToken(s.formKeys[0], scopeOf(r).viewer.Token),
	}
	if state.Query != "" {
		v.Empty = "No patient matches. Check the spelling, or search by birth date or MRN."
	}
	if problem != "" && len(list.Rows) == 0 {
		v.Empty, v.Found = "Nothing was searched.", ""
	}
	for _, p := range list.Rows {
		v.Rows = append(v.Rows, s.row(p))
	}
	if list.HasPrev {
		v.Prev = s.neighbour(state, list.Edge(true), max(0, state.First-db.PageSize))
	}
	if list.HasNext {
		v.Next = s.neighbour(state, list.Edge(false), state.First+len(list.Rows))
	}
	content := views.PatientsPage(v)
	if isFragment(r) {
		content = views.PatientsFragment(v)
	}
	s.render(w, r, status, content)
}

func (s *Server) neighbour(state listState, c *db.Cursor, first int) string {
	state.Cursor, state.First = c, first
	return views.PatientsPath(s.sealer.seal(state))
}

// columns are the table's, in their order; sort is empty where the list cannot be ordered by one.
var columns = []struct {
	id, label string
	sort      db.Sort
}{
	{"name", "Name", db.SortName}, {"mrn", "MRN", db.SortMRN}, {"birth_date", "Born", db.SortBirth}, {"sex", "Sex", ""},
	{"phone", "Phone", ""}, {"city", "City", ""}, {"status", "Status", ""}, {"updated", "Last updated", db.SortUpdated},
}

func (s *Server) headings(state listState) []views.Heading {
	var all []views.Heading
	for _, c := range columns {
		h := views.Heading{ID: c.id, Label: c.label}
		if c.sort != "" {
			next := listState{User: state.User, Query: state.Query, Sort: c.sort, Desc: c.sort == db.SortUpdated}
			if c.sort == state.Sort {
				next.Desc = !state.Desc
				h.AriaSort = "ascending"
				if state.Desc {
					h.AriaSort = "descending"
				}
			}
			h.URL = views.PatientsPath(s.sealer.seal(next))
		}
		all = append(all, h)
	}
	return all
}

func parseSort(text string) (db.Sort, bool) {
	name, desc := strings.CutPrefix(text, "-")
	return db.Sort(name), desc
}

func sortText(by db.Sort, desc bool) string {
	if desc {
		return "-" + string(by)
	}
	return string(by)
}

func found(n int, searched bool) string {
	switch {
	case n > db.CountCap:
		return fmt.Sprintf("More than %s patients", thousands(db.CountCap))
	case n == 1:
		return "1 patient"
	case n == 0 && searched:
		return "No patient found"
	}
	return thousands(n) + " patients"
}

// caption says which rows these are, and leaves it out where pages were crossed in a way that cannot be counted.
func caption(state listState, list db.PatientList) string {
	if len(list.Rows) == 0 {
		return ""
	}
	by := map[db.Sort]string{db.SortName: "name", db.SortBirth: "birth date", db.SortMRN: "MRN", db.SortUpdated: "last update"}[state.Sort]
	order := "sorted by " + by
	if state.Desc {
		order += ", last first"
	}
	return fmt.Sprintf("Patients %s to %s, %s", thousands(state.First+1), thousands(state.First+len(list.Rows)), order)
}

func (s *Server) row(p db.Patient) views.PatientRow {
	return views.PatientRow{
		URL: views.PatientPath(p.ID), Name: p.DisplayName, MRN: orDash(p.MRN), Birth: s.format.birth(p.BirthDate),
		Age: s.age(p), Sex: sexName(p.Gender), Phone: orDash(p.Phone), City: orDash(p.City), Status: p.Status,
		Updated: s.format.moment(p.UpdatedAt), UpdatedISO: p.UpdatedAt.UTC().Format(time.RFC3339),
	}
}

func (s *Server) age(p db.Patient) string {
	if p.Status == "deceased" {
		return ""
	}
	return s.format.age(p.BirthDate, s.now())
}

func sexName(gender string) string {
	switch gender {
	case "male":
		return "Male"
	case "female":
		return "Female"
	case "other":
		return "Other"
	}
	return "Unknown"
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// patient shows one patient's page.
func (s *Server) patient(w http.ResponseWriter, r *http.Request) error {
	p, err := s.DB.OpenPatient(r.Context(), scopeOf(r).viewer, r.PathValue("id"))
	if err != nil {
		return err
	}
	row := s.row(p.Patient)
	v := views.Patient{Page: s.page(r, "Patient", &p.Who), Name: row.Name, MRN: row.MRN, Birth: row.Birth, Age: row.Age,
		Sex: row.Sex, Status: row.Status, Updated: row.Updated, UpdatedISO: row.UpdatedISO, Sections: s.sections(p)}
	s.render(w, r, http.StatusOK, views.PatientPage(v))
	return nil
}

func (s *Server) sections(p db.PatientPage) []views.Section {
	section := func(heading, empty string, list []fhir.Labelled) views.Section {
		v := views.Section{Heading: heading, Empty: empty}
		for _, l := range list {
			v.Items = append(v.Items, views.Item{Term: l.Label, Lines: l.Lines})
		}
		return v
	}
	d := p.Detail
	return []views.Section{
		section("Names", "No name on record.", d.Names),
		section("Identifiers", "No identifier on record.", d.Identifiers),
		section("Phone and e-mail", "No phone or e-mail on record.", d.Telecoms),
		section("Addresses", "No address on record.", d.Addresses),
		section("Contacts", "No contact person on record.", d.Contacts),
		section("Further details", "Nothing further on record.", d.Demographics),
	}
}
