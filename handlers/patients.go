package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

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
	list, err := s.list(r, &state)
	// A search that is refused here was sealed by a program with other limits.
	if errors.Is(err, db.ErrForeignList) || errors.Is(err, db.ErrListQuery) || slices.ContainsFunc(sayable, func(e error) bool { return errors.Is(err, e) }) {
		status, problem, state = http.StatusBadRequest, invalid, listState{Sort: db.SortName}
		list, err = s.list(r, &state)
	}
	if err != nil {
		return err
	}
	s.showList(w, r, status, problem, state, list)
	return nil
}

// searchPatients takes a search with its filters, in the body, and moves it into the sealed parameter: by a redirect for
// a plain form, by HX-Replace-Url for htmx, so that each letter typed is not a step in the browser's history.
func (s *Server) searchPatients(w http.ResponseWriter, r *http.Request) error {
	state, err := readList(r)
	if err != nil {
		return err
	}
	list := db.PatientList{}
	switch err = state.Filter.Check(); {
	case err != nil:
	case isFragment(r):
		list, err = s.list(r, &state)
	default: // the page that this leads to reads the list: to read it here too would put on record what nobody saw
		if _, err = s.query(state); err == nil {
			list.Who, err = s.DB.Whoami(r.Context(), scopeOf(r).viewer)
		}
	}
	if slices.ContainsFunc(sayable, func(e error) bool { return errors.Is(err, e) }) {
		who, err2 := s.DB.Whoami(r.Context(), scopeOf(r).viewer)
		if err2 != nil {
			return err2
		}
		s.showList(w, r, http.StatusUnprocessableEntity, sentence(err), state, db.PatientList{Who: who})
		return nil
	}
	if err != nil {
		return err
	}
	state.User = list.UserID
	to := s.address(state)
	if !isFragment(r) {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	w.Header().Set("HX-Replace-Url", to)
	s.showList(w, r, http.StatusOK, "", state, list)
	return nil
}

// sayable are what a person can mend in the search form.
var sayable = []error{db.ErrSearchTooLong, db.ErrSearchText, db.ErrFilterDate, db.ErrFilterSpan}

var errBadList = httpError{http.StatusBadRequest, "The list cannot be shown like that", "Reload the list and try again."}

// readList takes the search form. What is chosen from a list and is not on it was made up.
func readList(r *http.Request) (listState, error) {
	f := r.PostForm
	state := listState{Query: strings.TrimSpace(f.Get("q")), Filter: db.Filter{Status: f.Get("status"), Gender: f.Get("gender"),
		BornFrom: strings.TrimSpace(f.Get("born_from")), BornTo: strings.TrimSpace(f.Get("born_to"))}}
	if text := f.Get("size"); text != "" {
		size, err := strconv.Atoi(text)
		if err != nil || !slices.Contains(db.PageSizes, size) {
			return state, errBadList
		}
		if size != db.PageSizes[0] {
			state.Size = size
		}
	}
	if by := f.Get("sort"); by != "" {
		state.Sort, state.Desc = parseSort(by)
		if !state.Sort.Valid() || state.Sort == db.SortBest && state.Desc {
			return state, errBadList
		}
	}
	if errors.Is(state.Filter.Check(), db.ErrFilter) {
		return state, errBadList
	}
	if state.Sort == "" || state.Sort == db.SortBest {
		state.Sort = usualSort(state.Query)
	}
	return state, nil
}

// usualSort is the order that nobody asked for: the best match first, or by name where nothing is searched for.
func usualSort(query string) db.Sort {
	if query != "" {
		return db.SortBest
	}
	return db.SortName
}

// address is the list's in a state.
func (s *Server) address(state listState) string { return views.PatientsPath(s.sealed(state)) }

// sealed is the parameter for a state; the list as it opens needs none.
func (s *Server) sealed(state listState) string {
	plain := listState{User: state.User, Sort: db.SortName, Found: state.Found, More: state.More}
	if state == plain {
		return ""
	}
	return s.sealer.seal(state)
}

func (s *Server) query(state listState) (db.ListQuery, error) {
	search, err := db.ParseSearch(state.Query, s.format.monthFirst())
	return db.ListQuery{UserID: state.User, Search: search, Filter: state.Filter, Sort: state.Sort, Desc: state.Desc, Size: state.Size,
		Cursor: state.Cursor, Last: state.Last, Count: state.Cursor == nil && !state.Last}, err
}

// list asks for a page. How many there are is counted with the first page and then carried along.
func (s *Server) list(r *http.Request, state *listState) (db.PatientList, error) {
	q, err := s.query(*state)
	if err != nil {
		return db.PatientList{}, err
	}
	list, err := s.DB.ListPatients(r.Context(), scopeOf(r).viewer, q)
	// Rows may have gone since the cursor was made, and then the first page is shown in place of an empty one. One that has
	// some rows is shown as it is: the audit says that they were seen.
	if err == nil && state.Cursor != nil && len(list.Rows) == 0 {
		state.Cursor, state.First = nil, 0
		q.Cursor, q.Count = nil, true
		list, err = s.DB.ListPatients(r.Context(), scopeOf(r).viewer, q)
	}
	if q.Count {
		state.Found, state.More = list.Found, list.FoundMore
	}
	return list, err
}

func size(state listState) int {
	if state.Size == 0 {
		return db.PageSizes[0]
	}
	return state.Size
}

func (s *Server) showList(w http.ResponseWriter, r *http.Request, status int, problem string, state listState, list db.PatientList) {
	state.User = list.UserID
	if state.Last {
		state.First = unplaced
	}
	if !list.HasPrev {
		state.First = 0
	}
	if end := state.First + len(list.Rows); state.First != unplaced && (end > state.Found || end == state.Found && list.HasNext) {
		state.Found, state.More = end, list.HasNext // the count was bounded, or is older than the page
	}
	v := views.Patients{
		Page: s.page(r, listTitle(state, problem), &list.Who), Query: state.Query, Sort: sortText(state), Size: size(state), Sizes: db.PageSizes,
		Filters: filters(state.Filter), Headings: s.headings(state), Found: found(state, len(list.Similar)), Error: problem,
		Filtered: state.Query != "" || !state.Filter.Empty() || problem != "",
		Caption:  caption(state, list), Empty: emptyText(state, problem), FormToken: formToken(s.formKeys[0], s.formFor(scopeOf(r))),
	}
	if problem != "" && len(list.Rows) == 0 {
		v.Found = ""
	}
	for _, p := range list.Rows {
		v.Rows = append(v.Rows, s.row(p))
	}
	for _, p := range list.Similar {
		v.Similar = append(v.Similar, s.row(p))
	}
	if v.CanWrite = slices.Contains(db.Writers, list.Role) && !scopeOf(r).off; v.CanWrite {
		v.Sealed, v.Exported = s.sealed(s.firstState(state, db.SortName, false)), found(state, 0)
	}
	if state.Query != "" && state.Sort != db.SortBest {
		v.Best = s.first(state, db.SortBest, false)
	}
	s.pager(&v, state, list)
	content := views.PatientsPage(v)
	if isFragment(r) {
		content = views.PatientsFragment(v)
	}
	s.render(w, r, status, content)
}

// listTitle never says what was searched for: titles end up in the browser's history.
func listTitle(state listState, problem string) string {
	title := "Patients"
	if state.Query != "" || !state.Filter.Empty() {
		title = "Patients found"
	}
	return errorTitle(title, problem != "")
}

func emptyText(state listState, problem string) string {
	switch {
	case problem != "":
		return "Nothing was searched."
	case state.Query != "" && !state.Filter.Empty():
		return "No patient matches the search and the filters together. Take a filter off, or check the spelling."
	case state.Query != "":
		return "No patient matches. Check the spelling, or search by birth date, MRN or the last digits of a phone."
	case !state.Filter.Empty():
		return "No patient passes these filters."
	}
	return "There are no patients yet. An administrator can load them with “chartroom import”."
}

// pager fills the addresses of the other pages.
func (s *Server) pager(v *views.Patients, state listState, list db.PatientList) {
	to := func(c *db.Cursor, last bool, first int) string {
		state := state
		state.Cursor, state.Last, state.First = c, last, first
		return views.PatientsPath(s.sealer.seal(state))
	}
	step := func(by int) int {
		if state.First == unplaced {
			return unplaced
		}
		return max(0, state.First+by)
	}
	if list.HasPrev {
		v.First = s.first(state, state.Sort, state.Desc)
		v.Prev = to(list.Edge(true), false, step(-size(state)))
	}
	if list.HasNext {
		v.Next = to(list.Edge(false), false, step(len(list.Rows)))
		v.Last = to(nil, true, unplaced)
	}
}

// first is the address of the first page in another order.
func (s *Server) first(state listState, by db.Sort, desc bool) string {
	return s.address(s.firstState(state, by, desc))
}

func (s *Server) firstState(state listState, by db.Sort, desc bool) listState {
	state.Cursor, state.Last, state.First, state.Found, state.More = nil, false, 0, 0, false
	state.Sort, state.Desc = by, desc
	return state
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
			desc := c.sort == db.SortUpdated
			if c.sort == state.Sort {
				desc = !state.Desc
				h.AriaSort = "ascending"
				if state.Desc {
					h.AriaSort = "descending"
				}
			}
			h.URL = s.first(state, c.sort, desc)
		}
		all = append(all, h)
	}
	return all
}

func parseSort(text string) (db.Sort, bool) {
	name, desc := strings.CutPrefix(text, "-")
	return db.Sort(name), desc
}

// sortText is what the search form keeps: nothing where the order is the usual one, so that a search that begins or ends
// finds its own.
func sortText(state listState) string {
	switch {
	case state.Sort == usualSort(state.Query) && !state.Desc:
		return ""
	case state.Desc:
		return "-" + string(state.Sort)
	}
	return string(state.Sort)
}

func filters(f db.Filter) views.Filters {
	choice := func(value, label, chosen string) views.Choice {
		return views.Choice{Value: value, Label: label, Chosen: value == chosen}
	}
	v := views.Filters{BornFrom: f.BornFrom, BornTo: f.BornTo, Any: !f.Empty()}
	v.Status = append(v.Status, choice("", "Any", f.Status))
	for _, s := range db.Statuses {
		v.Status = append(v.Status, choice(s, capital(s), f.Status))
	}
	v.Gender = append(v.Gender, choice("", "Any", f.Gender))
	for _, g := range db.Genders {
		v.Gender = append(v.Gender, choice(g, sexName(g), f.Gender))
	}
	return v
}

// found says how many patients there are, in words that a screen reader says too.
func found(state listState, similar int) string {
	n, also := thousands(state.Found), ""
	if similar > 0 {
		also = fmt.Sprintf(", %d with similar names", similar)
	}
	switch {
	case state.More:
		return n + "+ patients"
	case state.Found == 1:
		return "1 patient" + also
	case state.Found == 0 && (state.Query != "" || !state.Filter.Empty()):
		return "No patient found" + also
	}
	return n + " patients" + also
}

var sortNames = map[db.Sort]string{db.SortBest: "best match first", db.SortName: "sorted by name", db.SortBirth: "sorted by birth date",
	db.SortMRN: "sorted by MRN", db.SortUpdated: "sorted by last update"}

// caption says which rows these are, and leaves the numbers out where pages were crossed in a way that cannot be counted.
func caption(state listState, list db.PatientList) string {
	if len(list.Rows) == 0 {
		return ""
	}
	order := sortNames[state.Sort]
	if state.Desc {
		order += ", last first"
	}
	switch {
	case state.Last:
		return fmt.Sprintf("The last %d patients, %s", len(list.Rows), order)
	case state.First == unplaced:
		return "Patients, " + order
	}
	return fmt.Sprintf("Patients %s to %s, %s", thousands(state.First+1), thousands(state.First+len(list.Rows)), order)
}

func (s *Server) row(p db.Patient) views.PatientRow {
	return views.PatientRow{
		URL: views.PatientPath(p.ID), Name: p.DisplayName, MRN: orDash(p.MRN), Birth: s.format.birth(p.BirthDate),
		Age: s.age(p), Sex: sexName(p.Gender), Phone: orDash(p.Phone), City: orDash(p.City), Status: p.Status,
		Updated: s.format.moment(p.UpdatedAt), UpdatedISO: iso(p.UpdatedAt), Match: strings.Join(p.Match, ", "),
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
		Sex: row.Sex, Status: row.Status, Updated: row.Updated, UpdatedISO: row.UpdatedISO, Sections: s.sections(p),
		Notice: notices[r.URL.Query().Get("notice")]}
	s.history(&v, p)
	if p.Role == db.RoleAdmin {
		v.Seen = &views.AuditPanel{Heading: "Who saw this patient", Of: "All that is on record about this patient", Rows: s.auditRows(p.Seen),
			All: views.AuditListPath(auditFilter{patient: p.ID}.values())}
	}
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
