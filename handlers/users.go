package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"chartroom/db"
	"chartroom/views"
)

// userNotices are what the page of an account can say of what has just been done.
var userNotices = map[string]string{
	"role":       "The role is changed, from the next request on.",
	"disabled":   "The user is disabled and signed out everywhere.",
	"enabled":    "The user is enabled and can sign in again.",
	"signed-out": "The user is signed out everywhere.",
	"unlocked":   "The failed sign-ins are forgotten.",
}

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
	page := views.Users{Page: s.page(r, "Users", &l.Who), Query: text, Later: after != "", Found: plural(len(l.Users), "user")}
	if len(l.Users) == 0 {
		page.Found = "No user found"
	}
	if l.More {
		page.Next = l.Users[len(l.Users)-1].Username
		page.Found += " on this page, and there are more"
	}
	for _, u := range l.Users {
		row := views.UserRow{URL: views.UserPath(u.ID), Name: u.Username, Email: deref(u.Email), Role: roleNames[u.Role],
			Sessions: strconv.Itoa(u.Sessions), States: userStates(u)}
		if u.LastIn != nil {
			row.LastIn, row.LastInISO = s.format.moment(*u.LastIn), iso(*u.LastIn)
		}
		page.Rows = append(page.Rows, row)
	}
	s.render(w, r, http.StatusOK, views.UsersPage(page))
	return nil
}

func userStates(u db.UserRow) (all []views.State) {
	if !u.Active {
		return []views.State{{Word: "disabled", Class: "inactive"}}
	}
	all = append(all, views.State{Word: "active", Class: "active"})
	if u.Locked {
		all = append(all, views.State{Word: "locked", Class: "locked"})
	}
	switch deref(u.Link) {
	case db.LinkInvite:
		all = append(all, views.State{Word: "invited", Class: "waiting"})
	case db.LinkReset:
		all = append(all, views.State{Word: "new link", Class: "waiting"})
	}
	return all
}

func (s *Server) newUser(w http.ResponseWriter, r *http.Request) error {
	return s.showNewUser(w, r, http.StatusOK, db.NewUser{}, nil)
}

// showNewUser shows the form, with what is wrong beside its field.
func (s *Server) showNewUser(w http.ResponseWriter, r *http.Request, status int, typed db.NewUser, problem error) error {
	v := scopeOf(r).viewer
	v.Fresh = false
	who, err := s.DB.Whoami(r.Context(), v)
	if err != nil {
		return err
	}
	n := views.NewUser{Page: s.page(r, errorTitle("New user", problem != nil), &who), Role: roleField(typed.Role),
		Name: views.FormField{ID: "username", Label: "User name", Value: typed.Username, Focus: true,
			Hint: "Matched exactly at sign-in, capital letters too. It cannot be changed."},
		Email: views.FormField{ID: "email", Label: "E-mail address (optional)", Value: typed.Email}}
	if typed.Role == "" {
		n.Role.Value = db.RoleClinician
	}
	switch {
	case problem == nil:
	case errors.Is(problem, db.ErrUserEmail):
		n.Email.Problem, n.Email.Focus, n.Name.Focus = sentence(problem), true, false
	case errors.Is(problem, db.ErrUserRole):
		n.Role.Problem, n.Name.Focus = sentence(problem), false
	case errors.Is(problem, db.ErrUserName), errors.Is(problem, db.ErrUserTaken):
		n.Name.Problem = sentence(problem)
	default:
		n.Failure = sentence(problem)
	}
	s.render(w, r, status, views.NewUserPage(n))
	return nil
}

func roleField(role string) views.FormField {
	f := views.FormField{ID: "role", Label: "Role", Value: role,
		Hint: "Viewers read patients; clinicians also change them; administrators also manage the users."}
	for _, known := range db.Roles {
		f.Options = append(f.Options, views.Option{Value: known, Label: roleNames[known]})
	}
	return f
}

// createUser takes no password: its user sets it, by the link that is shown (ASVS 6.4.6).
func (s *Server) createUser(w http.ResponseWriter, r *http.Request) error {
	n := db.NewUser{Username: r.PostForm.Get("username"), Email: strings.TrimSpace(r.PostForm.Get("email")), Role: r.PostForm.Get("role")}
	u, l, err := s.DB.InviteUser(r.Context(), db.By{Viewer: scopeOf(r).viewer}, n)
	for _, told := range []error{db.ErrUserName, db.ErrUserEmail, db.ErrUserRole, db.ErrUserTaken} {
		if errors.Is(err, told) {
			return s.showNewUser(w, r, http.StatusUnprocessableEntity, n, err)
		}
	}
	if status, said, ok := notGranted(w, err, ""); ok {
		return s.showNewUser(w, r, status, n, errors.New(strings.TrimSuffix(said, ".")))
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
	page := views.NewLink{Page: s.page(r, "Link for a user", &who), Username: l.Username, New: l.Kind == db.LinkInvite,
		Address: scheme + r.Host + views.InvitePath(l.Token), Ends: s.format.moment(l.Expires), EndsISO: iso(l.Expires), Back: views.UserPath(id)}
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
	u := p.User
	page := views.UserDetail{Page: s.page(r, errorTitle("User", problem != nil), &p.Who), ID: u.ID, Name: u.Username, Email: deref(u.Email), RoleName: roleNames[u.Role],
		States: userStates(*u), Active: u.Active, Locked: u.Locked, Own: u.ID == p.UserID, LinkKind: deref(u.Link), Role: roleField(u.Role),
		Sessions: s.sessionRows(p.Alive), SignIns: s.signInRows(p.SignIns), Notice: userNotices[r.URL.Query().Get("notice")]}
	page.Did = views.AuditPanel{Heading: "What this user saw and did", Of: "All that is on record about this user", Rows: s.auditRows(p.Did), Patients: true,
		All: views.AuditListPath(auditFilter{users: strconv.Itoa(u.ID)}.values())}
	if u.LastIn != nil {
		page.LastIn, page.LastInISO = s.format.moment(*u.LastIn), iso(*u.LastIn)
	}
	if p.LinkEnds != nil {
		page.Link, page.LinkISO = s.format.moment(*p.LinkEnds), iso(*p.LinkEnds)
	}
	if problem != nil {
		if strings.HasSuffix(r.URL.Path, "/role") {
			page.Role.Problem = sentence(problem)
		} else {
			page.Problem = sentence(problem)
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
