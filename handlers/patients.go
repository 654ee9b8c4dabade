package handlers

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"chartroom/db"
	"chartroom/db/fhir"
	"chartroom/views"
	"chartroom/views/texts"
)

// patients shows the list in the state that its sealed parameter holds. A parameter that is not valid, or was made for
// another user, is said so above the list as it opens.
func (s *Server) patients(w http.ResponseWriter, r *http.Request) error {
	state := listState{Sort: db.SortName}
	invalid := false
	if text := r.URL.Query().Get("list"); text != "" {
		opened, err := s.sealer.open(text)
		if err != nil {
			invalid = true
		} else {
			state = opened
		}
	}
	list, err := s.list(r, &state)
	// A search that is refused here was sealed by a program with other limits.
	if err != nil && (errors.Is(err, db.ErrForeignList) || errors.Is(err, db.ErrListQuery) || searchProblem(s.texts(r), err) != "") {
		invalid, state = true, listState{Sort: db.SortName}
		list, err = s.list(r, &state)
	}
	if err != nil {
		return err
	}
	if invalid {
		s.showList(w, r, http.StatusBadRequest, s.texts(r).List.InvalidAddress, "", state, list)
		return nil
	}
	s.showList(w, r, http.StatusOK, "", "", state, list)
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
	if searchProblem(s.texts(r), err) != "" {
		who, err2 := s.DB.Whoami(r.Context(), scopeOf(r).viewer)
		if err2 != nil {
			return err2
		}
		s.showList(w, r, http.StatusUnprocessableEntity, searchProblem(s.texts(r), err), wrongFields(state.Filter, err), state, db.PatientList{Who: who})
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
	s.showList(w, r, http.StatusOK, "", "", state, list)
	return nil
}

// searchProblem says what a person can mend in the search form; "" of any other error.
func searchProblem(t *texts.Texts, err error) string {
	switch {
	case errors.Is(err, db.ErrSearchTooLong):
		return t.List.TooLong(db.MaxSearchLength, db.MaxSearchWords)
	case errors.Is(err, db.ErrSearchText):
		return t.List.BadText
	case errors.Is(err, db.ErrFilterDate):
		return t.List.BadDate
	case errors.Is(err, db.ErrFilterSpan):
		return t.List.BadSpan
	}
	return ""
}

// wrongFields are the ids of the fields that such a problem is about, with spaces between them.
func wrongFields(f db.Filter, err error) string {
	switch {
	case errors.Is(err, db.ErrFilterSpan):
		return "born_from born_to"
	case errors.Is(err, db.ErrFilterDate) && (db.Filter{BornTo: f.BornTo}).Check() == nil:
		return "born_from"
	case errors.Is(err, db.ErrFilterDate) && (db.Filter{BornFrom: f.BornFrom}).Check() == nil:
		return "born_to"
	case errors.Is(err, db.ErrFilterDate):
		return "born_from born_to"
	}
	return "q"
}

var errBadList = httpError{status: http.StatusBadRequest, says: func(t *texts.Texts) texts.Refusal {
	return texts.Refusal{Heading: t.List.BadRequest, Message: t.List.BadRequestDo}
}}

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

func (s *Server) showList(w http.ResponseWriter, r *http.Request, status int, problem, wrong string, state listState, list db.PatientList) {
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
	page := s.page(r, listTitle(s.texts(r), state, problem), &list.Who)
	f, columns := s.reader(r), list.Preferences.Shown()
	v := views.Patients{
		Page: page, Query: state.Query, Sort: sortText(state), Size: size(state), Sizes: db.PageSizes, Columns: columns,
		Filters: filters(f.t, state.Filter), Headings: s.headings(f.t, columns, state), Found: found(f, state, len(list.Similar)), Error: problem,
		Filtered: state.Query != "" || !state.Filter.Empty() || problem != "" && len(list.Rows) == 0, Wrong: wrong,
		Caption: caption(f, state, list), Empty: emptyText(f.t, state, problem), FormToken: formToken(s.formKeys[0], s.formFor(scopeOf(r))),
	}
	if problem != "" && len(list.Rows) == 0 {
		v.Found = ""
	}
	v.Rows, v.Similar = s.rows(f, list.Rows), s.rows(f, list.Similar)
	markSame(f, list.Rows, v.Rows, list.Similar, v.Similar)
	if v.CanWrite = slices.Contains(db.Writers, list.Role) && !scopeOf(r).off; v.CanWrite {
		v.Sealed, v.Exported = s.sealed(s.firstState(state, db.SortName, false)), counted(f, state)
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
func listTitle(t *texts.Texts, state listState, problem string) string {
	title := t.List.Heading
	if state.Query != "" || !state.Filter.Empty() {
		title = t.List.HeadingFound
	}
	if problem != "" {
		return t.Common.ErrorTitle(title)
	}
	return title
}

func emptyText(t *texts.Texts, state listState, problem string) string {
	switch {
	case problem != "":
		return t.List.NothingSearched
	case state.Query != "" && !state.Filter.Empty():
		return t.List.NoneBoth
	case state.Query != "":
		return t.List.NoneSearch
	case !state.Filter.Empty():
		return t.List.NoneFilter
	}
	return t.List.NoneYet
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

// sorts are the orders of columns; a list cannot be ordered by one that is not here.
var sorts = map[string]db.Sort{"name": db.SortName, "mrn": db.SortMRN, "birth_date": db.SortBirth, "updated": db.SortUpdated}

// columnName is a column's, by db.ListColumns.
func columnName(t *texts.Texts, id string) string {
	switch id {
	case "name":
		return t.List.Name
	case "mrn":
		return t.List.MRN
	case "birth_date":
		return t.List.Born
	case "sex":
		return t.List.Sex
	case "phone":
		return t.List.Phone
	case "city":
		return t.List.City
	case "status":
		return t.List.Status
	}
	return t.List.Updated
}

func (s *Server) headings(t *texts.Texts, columns []string, state listState) []views.Heading {
	all := make([]views.Heading, 0, len(columns)+1)
	for i := -1; i < len(columns); i++ {
		id := "name"
		if i >= 0 {
			id = columns[i]
		}
		h := views.Heading{ID: id, Label: columnName(t, id)}
		if by := sorts[id]; by != "" {
			desc := by == db.SortUpdated
			if by == state.Sort {
				desc = !state.Desc
				h.AriaSort = "ascending"
				if state.Desc {
					h.AriaSort = "descending"
				}
			}
			h.URL = s.first(state, by, desc)
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

func filters(t *texts.Texts, f db.Filter) views.Filters {
	choices := func(values []string, names map[string]string, chosen string) []views.Choice {
		all := []views.Choice{{Label: t.List.Any, Chosen: chosen == ""}}
		for _, v := range values {
			all = append(all, views.Choice{Value: v, Label: names[v], Chosen: v == chosen})
		}
		return all
	}
	return views.Filters{BornFrom: f.BornFrom, BornTo: f.BornTo, Any: !f.Empty(),
		Status: choices(db.Statuses, t.Common.Statuses, f.Status), Gender: choices(db.Genders, t.Common.Sexes, f.Gender)}
}

// found says how many patients there are, in words that a screen reader says too.
func found(f format, state listState, similar int) string {
	t := f.t.List
	if state.Found == 0 && (state.Query != "" || !state.Filter.Empty()) {
		if similar > 0 {
			return t.FoundNone + t.OnlySimilar(similar)
		}
		return t.FoundNone
	}
	said := counted(f, state)
	if !state.Filter.Empty() {
		said += t.Filtered
	}
	if similar > 0 {
		said += t.AlsoSimilar(similar)
	}
	return said
}

// counted is the number of patients alone.
func counted(f format, state listState) string {
	if state.More {
		return f.t.List.FoundMore(f.number(state.Found))
	}
	return f.t.List.Found(state.Found, f.number(state.Found))
}

// caption says which rows these are, and leaves the numbers out where pages were crossed in a way that cannot be counted.
func caption(f format, state listState, list db.PatientList) string {
	if len(list.Rows) == 0 {
		return ""
	}
	t := f.t.List
	sorted := t.Sorted[string(state.Sort)]
	if state.Desc {
		sorted = t.SortedDown[string(state.Sort)]
	}
	switch {
	case state.Last:
		return t.RowsLast(len(list.Rows), sorted)
	case state.First == unplaced:
		return t.RowsSome(sorted)
	}
	return t.RowsFromTo(f.number(state.First+1), f.number(state.First+len(list.Rows)), sorted)
}

func (s *Server) rows(f format, patients []db.Patient) []views.PatientRow {
	all := make([]views.PatientRow, 0, len(patients))
	for _, p := range patients {
		all = append(all, s.row(f, p))
	}
	return all
}

func (s *Server) row(f format, p db.Patient) views.PatientRow {
	return views.PatientRow{
		URL: views.PatientPath(p.ID), Name: p.DisplayName, MRN: p.MRN, Birth: f.birth(p.BirthDate),
		Age: s.age(f, p), Sex: sexName(f.t, p.Gender), Phone: p.Phone, City: p.City, Status: p.Status,
		Updated: f.moment(p.UpdatedAt), UpdatedISO: iso(p.UpdatedAt), Match: matches(f.t, p.Match),
	}
}

// markSame marks the rows of a page that could be mixed up: whose names can hardly be told apart, and those born on one day whose names
// are nearly the same, as of twins, or of one patient who is there twice with a typing error. With the birth date, because
// that is what to look at.
func markSame(f format, found []db.Patient, rows []views.PatientRow, similar []db.Patient, similarRows []views.PatientRow) {
	type bearer struct {
		*db.Patient
		row *views.PatientRow
		sum uint64 // of the name's letters
	}
	all := make([]bearer, 0, len(found)+len(similar))
	for i := range found {
		all = append(all, bearer{&found[i], &rows[i], letterSum(found[i].DisplayName)})
	}
	for i := range similar {
		all = append(all, bearer{&similar[i], &similarRows[i], letterSum(similar[i].DisplayName)})
	}
	for i, a := range all {
		for _, b := range all[:i] {
			switch {
			case a.sum == b.sum && nameKey(a.DisplayName) == nameKey(b.DisplayName):
				a.row.Same, b.row.Same = f.sameName(a.row, f.t.List.SameName), f.sameName(b.row, f.t.List.SameName)
			case a.BirthDate == b.BirthDate && len(a.BirthDate) == len("2006-01-02") && nearlySame(a.DisplayName, b.DisplayName):
				a.row.Same = cmp.Or(a.row.Same, f.sameName(a.row, f.t.List.SimilarName))
				b.row.Same = cmp.Or(b.row.Same, f.sameName(b.row, f.t.List.SimilarName))
			}
		}
	}
}

// letterSum is the same for names with the same nameKey, and hardly ever for others: most rows of a page need no more.
func letterSum(name string) (sum uint64) {
	key := fhir.Key(name)
	for i := range len(key) {
		if key[i] != ' ' {
			c := uint64(key[i])
			sum += c * c * c
		}
	}
	return sum
}

func (f format) sameName(row *views.PatientRow, says func(birth string) string) string {
	if row.Birth == f.t.Dates.Unknown {
		return says("")
	}
	return says(row.Birth)
}

// nearlySame is for two names of patients who were born on one day: the family name is the same, or one typing error lies between them.
func nearlySame(a, b string) bool {
	family, _, _ := strings.Cut(a, ", ")
	other, _, _ := strings.Cut(b, ", ")
	return fhir.Key(family) == fhir.Key(other) || oneError(fhir.Key(a), fhir.Key(b))
}

// oneError says that the texts differ by one letter that was added, left out, mistaken or swapped with its neighbour, at most.
func oneError(a, b string) bool {
	x, y := []rune(a), []rune(b)
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return len(x) <= 1 && len(y) <= 1 || len(x) == 2 && len(y) == 2 && x[0] == y[1] && x[1] == y[0]
}

// nameKey is the same for names that differ in case, accents, punctuation or the order of their words.
func nameKey(name string) string {
	words := strings.Fields(fhir.Key(name))
	if len(words) == 0 { // signs alone
		return name
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// namesakes says how many other patients have the name, with an address that searches for them and names nobody.
func (s *Server) namesakes(f format, p db.PatientPage) (said, to string) {
	state := listState{User: p.UserID, Query: p.DisplayName, Sort: db.SortBest}
	if _, err := s.query(state); err != nil || p.Namesakes == 0 {
		return "", ""
	}
	if p.Namesakes >= db.MostNamesakes {
		return f.t.List.NamesakesMany, s.address(state)
	}
	return f.t.List.Namesakes(p.Namesakes), s.address(state)
}

// matches say how a search found a patient.
func matches(t *texts.Texts, kinds []string) string {
	if len(kinds) == 0 {
		return ""
	}
	all := make([]string, len(kinds))
	for i, k := range kinds {
		all[i] = t.List.Matches[k]
	}
	return strings.Join(all, ", ")
}

func (s *Server) age(f format, p db.Patient) string {
	if p.Status == "deceased" {
		return ""
	}
	return f.age(p.BirthDate, s.now())
}

func sexName(t *texts.Texts, gender string) string {
	if name := t.Common.Sexes[gender]; name != "" {
		return name
	}
	return t.Common.NotRecorded
}

// facts tell a patient from another one of the name, in words also where nothing is on record.
func (s *Server) facts(f format, p db.Patient) views.Facts {
	v := views.Facts{MRN: p.MRN, Birth: f.birth(p.BirthDate), Age: s.age(f, p), Sex: sexName(f.t, p.Gender), Status: p.Status}
	if v.Birth == f.t.Dates.Unknown {
		v.Birth = ""
	}
	switch {
	case p.Gender == "unknown":
		v.Sex = f.t.Patient.SexUnknown
	case v.Sex == f.t.Common.NotRecorded:
		v.Sex = f.t.Patient.NoSex
	}
	return v
}

// patient shows one patient's page.
func (s *Server) patient(w http.ResponseWriter, r *http.Request) error {
	p, err := s.DB.OpenPatient(r.Context(), scopeOf(r).viewer, r.PathValue("id"))
	if err != nil {
		return err
	}
	f := s.reader(r)
	row := s.row(f, p.Patient)
	v := views.Patient{Page: s.page(r, f.t.Patient.Title, &p.Who), URL: row.URL, Name: row.Name, Facts: s.facts(f, p.Patient), Updated: row.Updated, UpdatedISO: row.UpdatedISO, Sections: f.sections(p.Detail),
		Notice: f.t.Patient.Notices[r.URL.Query().Get("notice")]}
	v.Paper.Subject = strings.Join([]string{row.Name, cmp.Or(v.Facts.Birth, f.t.Patient.NoBirth), cmp.Or(v.Facts.MRN, f.t.Patient.NoMRN)}, " · ")
	v.Namesakes, v.NamesakesURL = s.namesakes(f, p)
	f.history(&v, p)
	if p.Role == db.RoleAdmin {
		v.Seen = &views.AuditPanel{Heading: f.t.Patient.SeenHeading, Of: f.t.Patient.SeenAll, Rows: f.auditRows(p.Seen),
			All: views.AuditListPath(auditFilter{patient: p.ID}.values())}
	}
	content := views.PatientPage(v)
	if isFragment(r) && target(r) == "panel" {
		content = views.PatientPanel(v)
	}
	s.render(w, r, http.StatusOK, content)
	return nil
}
