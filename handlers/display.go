package handlers

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// display is where one says how pages look. A notice is worded by the language that has just been chosen.
func (s *Server) display(w http.ResponseWriter, r *http.Request) error {
	who, err := s.DB.Whoami(r.Context(), scopeOf(r).viewer)
	if err != nil {
		return err
	}
	t, p := s.texts(r), db.Preferences{}
	if who.Preferences != nil {
		p = *who.Preferences
	}
	v := views.Display{Page: s.page(r, t.Display.Title, &who)}
	if r.URL.Query().Get("notice") == "saved" {
		v.Notice = t.Display.Saved
	}
	v.Languages = []views.Choice{{Label: t.Display.LanguageBrowser, Chosen: p.Language == ""}}
	for _, l := range texts.Languages {
		v.Languages = append(v.Languages, views.Choice{Value: l.Tag, Label: l.Name, Chosen: l.Tag == p.Language})
	}
	v.Themes = []views.Choice{{Label: t.Display.ThemeSystem, Chosen: p.Theme == ""},
		{Value: "light", Label: t.Display.Light, Chosen: p.Theme == "light"}, {Value: "dark", Label: t.Display.Dark, Chosen: p.Theme == "dark"}}
	shown := p.Shown()
	order := slices.Clone(shown)
	for _, c := range db.ListColumns {
		if !slices.Contains(order, c) {
			order = append(order, c)
		}
	}
	for i, c := range order {
		v.Columns = append(v.Columns, views.ColumnChoice{ID: c, Label: columnName(t, c), Shown: i < len(shown), Fixed: c == db.AlwaysShown,
			First: i == 0, Last: i == len(order)-1})
	}
	v.Order = strings.Join(order, ",")
	s.render(w, r, http.StatusOK, views.DisplayPage(v))
	return nil
}

// setDisplay takes all but the columns.
func (s *Server) setDisplay(w http.ResponseWriter, r *http.Request) error {
	f := r.PostForm
	language, density, keys := f.Get("language"), f.Get("density"), f.Get("keys")
	if language != "" && texts.For(language) == nil || density != "" && density != "compact" || keys != "" && keys != "off" {
		return errBadForm
	}
	return s.prefer(w, r, func(p *db.Preferences) {
		p.Language, p.Theme, p.Compact, p.NoKeys = language, f.Get("theme"), density == "compact", keys == "off"
	})
}

// setColumns takes which columns the list has, and in which order; a button moves one of them.
func (s *Server) setColumns(w http.ResponseWriter, r *http.Request) error {
	f := r.PostForm
	order := strings.Split(f.Get("order"), ",")
	if direction, column, moved := strings.Cut(f.Get("move"), ":"); moved {
		at := slices.Index(order, column)
		to := at + 1
		if direction == "up" {
			to = at - 1
		}
		if at < 0 || to < 0 || to >= len(order) {
			return errBadForm
		}
		order[at], order[to] = order[to], order[at]
	}
	var columns []string
	for _, c := range order {
		if c == db.AlwaysShown || f.Get("show_"+c) != "" {
			columns = append(columns, c)
		}
	}
	if slices.Equal(columns, db.ListColumns) {
		columns = nil
	}
	return s.prefer(w, r, func(p *db.Preferences) { p.Columns = columns })
}

func (s *Server) prefer(w http.ResponseWriter, r *http.Request, change func(*db.Preferences)) error {
	err := s.DB.SetPreferences(r.Context(), scopeOf(r).viewer, change)
	if errors.Is(err, db.ErrPreferences) {
		return errBadForm
	}
	return done(w, r, err, views.NoticePath(views.DisplayPath, "saved"))
}
