package handlers

import (
	"net/http"
	"strings"

	"chartroom/views"
	"chartroom/views/texts"
)

// texts are in the reader's language: their own choice, or the browser's, or the clinic's. Who the reader is shows only once a
// statement has found the session, so that a page asks after it.
func (s *Server) texts(r *http.Request) *texts.Texts {
	sc := scopeOf(r)
	if p := sc.who.Preferences; p != nil {
		if t := texts.For(p.Language); t != nil {
			return t
		}
	}
	if sc.texts == nil {
		sc.texts = texts.Match(strings.Join(r.Header.Values("Accept-Language"), ","), s.Locale)
	}
	return sc.texts
}

// reader is the format of an answer: the clinic's zone and order of dates, in the reader's words.
func (s *Server) reader(r *http.Request) format {
	f := s.format
	f.t = s.texts(r)
	return f
}

// look is how the reader wants pages to be.
func look(r *http.Request) views.Look {
	p := scopeOf(r).who.Preferences
	if p == nil {
		return views.Look{}
	}
	return views.Look{Theme: p.Theme, Compact: p.Compact, NoKeys: p.NoKeys}
}
