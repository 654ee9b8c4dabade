package handlers

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"

	"chartroom/db"
	"chartroom/db/fhir"
	"chartroom/views"
	"chartroom/views/texts"
)

func (s *Server) users(w http.ResponseWriter, r *http.Request) error {
	return s.listUsers(w, r, "", "")
}

// searchUsers takes the search by POST and leaves it out of the address, as that of patients: one day somebody types a
// patient's name into the wrong box.
func (s *Server) searchUsers(w http.ResponseWriter, r *http.Request) error {
	return s.listUsers(w, r, strings.TrimSpace(r.PostForm.Get("q")), r.PostForm.Get("after"))
}

func (s *Server) listUsers(w http.ResponseWriter, r *http.Request, text, after string) error {
	l, err := s.DB.Users(r.Context(), scopeOf(r).viewer, text, after)
	if errors.Is(err, db.ErrListQuery) {
		return errBadForm
	}
	if err != nil {
		return err
	}
	f, t := s.reader(r), s.texts(r)
	page := views.Users{Page: s.page(r, t.Layout.Users, &l.Who), Query: text, Later: after != ""}
	switch n := len(l.Users); {
	case n == 0:
		page.Found = t.Users.FoundNone
	case l.More:
		page.Next = l.Users[n-1].Username
		page.Found = t.Users.FoundMore(f.number(n))
	default:
		page.Found = t.Users.Found(n, f.number(n))
	}
	for _, u := range l.Users {
		row := views.UserRow{URL: views.UserPath(u.ID), Name: u.Username, Email: deref(u.Email), Role: t.Common.Roles[u.Role],
			Sessions: strconv.Itoa(u.Sessions), States: userStates(t, u)}
		if u.LastIn != nil {
			row.LastIn, row.LastInISO = f.moment(*u.LastIn), iso(*u.LastIn)
		}
		page.Rows = append(page.Rows, row)
	}
	s.render(w, r, http.StatusOK, views.UsersPage(page))
	return nil
}

func userStates(t *texts.Texts, u db.UserRow) (all []views.State) {
	said := t.Users.States
	if !u.Active {
		return []views.State{{Word: said["disabled"], Class: "inactive"}}
	}
	all = append(all, views.State{Word: said["active"], Class: "active"})
	if u.Locked {
		all = append(all, views.State{Word: said["locked"], Class: "locked"})
	}
	if u.Link != nil {
		all = append(all, views.State{Word: said[*u.Link], Class: "waiting"})
	}
	return all
}

func (s *Server) newUser(w http.ResponseWriter, r *http.Request) error {
	return s.showNewUser(w, r, http.StatusOK, db.NewUser{}, nil, "")
}

// showNewUser shows the form, with what is wrong beside its field, or why it could not be done now.
func (s *Server) showNewUser(w http.ResponseWriter, r *http.Request, status int, typed db.NewUser, problem error, failure string) error {
	v := scopeOf(r).viewer
	v.Fresh = false
	who, err := s.DB.Whoami(r.Context(), v)
	if err != nil {
		return err
	}
	t := s.texts(r)
	field, said := userProblem(t, problem)
	n := views.NewUser{Page: s.page(r, errorTitle(t, t.Users.New, status >= 400), &who), Role: roleField(t, typed.Role), Failure: failure,
		Name: views.FormField{ID: "username", Label: t.SignIn.Username, Value: typed.Username, Focus: field == "" || field == "username",
			Hint: t.Users.NameHint},
		Email: views.FormField{ID: "email", Label: t.Users.EmailOptional, Value: typed.Email, Focus: field == "email"}}
	if typed.Role == "" {
		n.Role.Value = db.RoleClinician
	}
	for _, f := range []*views.FormField{&n.Name, &n.Email, &n.Role} {
		if f.ID == field {
			f.Problem = said
		}
	}
	s.render(w, r, status, views.NewUserPage(n))
	return nil
}

// userProblem says what a person can mend in an account, and in which field of the form of a new one; "" of any other error.
func userProblem(t *texts.Texts, err error) (field, said string) {
	switch {
	case errors.Is(err, db.ErrUserNameLength):
		return "username", t.Users.NameLength
	case errors.Is(err, db.ErrUserNameText):
		return "username", t.Users.NameNotText
	case errors.Is(err, db.ErrUserNameSpaces):
		return "username", t.Users.NameSpaces
	case errors.Is(err, db.ErrUserTaken):
		return "username", t.Users.Taken
	case errors.Is(err, db.ErrUserEmail):
		return "email", t.Form.Problems[string(fhir.RuleEmail)]
	case errors.Is(err, db.ErrUserRole):
		return "role", t.Users.BadRole(roles(t))
	case errors.Is(err, db.ErrLastAdmin):
		return "", t.Users.LastAdmin
	case errors.Is(err, db.ErrUserOff):
		return "", t.Users.Off
	}
	return "", ""
}

func roles(t *texts.Texts) string {
	var all []string
	for _, role := range db.Roles {
		all = append(all, t.Common.Roles[role])
	}
	return strings.Join(all, ", ")
}

func roleField(t *texts.Texts, role string) views.FormField {
	f := views.FormField{ID: "role", Label: t.Account.Role, Value: role, Hint: t.Users.RoleHint}
	for _, known := range db.Roles {
		f.Options = append(f.Options, views.Option{Value: known, Label: t.Common.Roles[known]})
	}
	return f
}

// createUser takes no password: its user sets it, by the link that is shown (ASVS 6.4.6).
func (s *Server) createUser(w http.ResponseWriter, r *http.Request) error {
	n := db.NewUser{Username: r.PostForm.Get("username"), Email: strings.TrimSpace(r.PostForm.Get("email")), Role: r.PostForm.Get("role")}
	u, l, err := s.DB.InviteUser(r.Context(), db.By{Viewer: scopeOf(r).viewer}, n)
	if field, _ := userProblem(s.texts(r), err); field != "" {
		return s.showNewUser(w, r, http.StatusUnprocessableEntity, n, err, "")
	}
	if status, said, ok := notGranted(w, s.texts(r), err, ""); ok {
		return s.showNewUser(w, r, status, n, nil, said)
	}
	if err != nil {
		return err
	}
	return s.showLink(w, r, u.ID, l)
}

// showLink is the one time that a link is to be seen.
func (s *Server) showLink(w http.ResponseWriter, r *http.Request, id int, l db.Link) error {
	v := scopeOf(r).viewer
	v.Fresh = false
	who, err := s.DB.Whoami(r.Context(), v)
	if err != nil {
		return err
	}
	scheme := "http://"
	if s.Secure || r.TLS != nil {
		scheme = "https://"
	}
	page := views.NewLink{Page: s.page(r, s.texts(r).Users.LinkTitle, &who), Username: l.Username, New: l.Kind == db.LinkInvite,
		Address: scheme + r.Host + views.InvitePath(l.Token), Ends: s.reader(r).moment(l.Expires), EndsISO: iso(l.Expires), Back: views.UserPath(id)}
	s.render(w, r, http.StatusOK, views.NewLinkPage(page))
	return nil
}

// userID is the account that an address names. What is no well-formed id names none, and is answered like one that is not
// there.
func userID(r *http.Request) int {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
	if err != nil || strconv.FormatInt(id, 10) != r.PathValue("id") {
		return 0
	}
	return int(id)
}

func (s *Server) user(w http.ResponseWriter, r *http.Request) error {
	return s.showUser(w, r, http.StatusOK, nil)
}

// showUser shows an account, with why something was not done beside the form that asked for it.
func (s *Server) showUser(w http.ResponseWriter, r *http.Request, status int, problem error) error {
	v := scopeOf(r).viewer
	v.Fresh = false
	p, err := s.DB.OpenUser(r.Context(), v, userID(r))
	if err != nil {
		return err
	}
	u, f, t := p.User, s.reader(r), s.texts(r)
	page := views.UserDetail{Page: s.page(r, errorTitle(t, t.Users.One, problem != nil), &p.Who), ID: u.ID, Name: u.Username, Email: deref(u.Email), RoleName: t.Common.Roles[u.Role],
		States: userStates(t, *u), Active: u.Active, Locked: u.Locked, Own: u.ID == p.UserID, LinkKind: deref(u.Link), Role: roleField(t, u.Role),
		Sessions: f.sessionRows(p.Alive), SignIns: f.signInRows(p.SignIns), Notice: t.Users.Notices[r.URL.Query().Get("notice")]}
	page.Did = views.AuditPanel{Heading: t.Users.Did, Of: t.Users.AllDid, Rows: f.auditRows(p.Did), Patients: true,
		All: views.AuditListPath(auditFilter{users: strconv.Itoa(u.ID)}.values())}
	if u.LastIn != nil {
		page.LastIn, page.LastInISO = f.moment(*u.LastIn), iso(*u.LastIn)
	}
	if p.LinkEnds != nil {
		page.Link, page.LinkISO = f.moment(*p.LinkEnds), iso(*p.LinkEnds)
	}
	if problem != nil {
		_, said := userProblem(t, problem)
		if strings.HasSuffix(r.URL.Path, "/role") {
			page.Role.Problem = said
		} else {
			page.Problem, page.Tried = said, path.Base(r.URL.Path)
		}
	}
	s.render(w, r, status, views.UserPage(page))
	return nil
}

// changeUser does something to an account, and says on its page that it is done, or why not.
func (s *Server) changeUser(notice string, change func(*db.DB, context.Context, db.By, db.UserRef) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := change(s.DB, r.Context(), db.By{Viewer: scopeOf(r).viewer}, db.UserRef{ID: userID(r)})
		return s.userChanged(w, r, err, views.NoticePath(views.UserPath(userID(r)), notice))
	}
}

func (s *Server) userChanged(w http.ResponseWriter, r *http.Request, err error, to string) error {
	switch {
	case errors.Is(err, db.ErrLastAdmin), errors.Is(err, db.ErrUserOff):
		return s.showUser(w, r, http.StatusConflict, err)
	case errors.Is(err, db.ErrUserRole):
		return s.showUser(w, r, http.StatusUnprocessableEntity, err)
	}
	return done(w, r, err, to)
}

func (s *Server) setRole(w http.ResponseWriter, r *http.Request) error {
	err := s.DB.SetRole(r.Context(), db.By{Viewer: scopeOf(r).viewer}, db.UserRef{ID: userID(r)}, r.PostForm.Get("role"))
	to := views.NoticePath(views.UserPath(userID(r)), "role")
	if who, lost := s.anybody(r); err == nil && lost == nil && who.Role != db.RoleAdmin {
		to = views.NoticePath(views.AccountPath, "role") // who steps down may not see that page any more
	}
	return s.userChanged(w, r, err, to)
}

func (s *Server) makeLink(w http.ResponseWriter, r *http.Request) error {
	l, err := s.DB.MakeLink(r.Context(), db.By{Viewer: scopeOf(r).viewer}, db.UserRef{ID: userID(r)})
	if err != nil {
		return s.userChanged(w, r, err, "")
	}
	return s.showLink(w, r, userID(r), l)
}
