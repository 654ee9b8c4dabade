package handlers

import (
	"fmt"
	"net/http"
	"time"

	"chartroom/db"
	"chartroom/views"
	"chartroom/views/texts"
)

// sessionLeft tells an open page how long its session lasts, and that it has ended when it has. Asking does not keep it
// alive.
func (s *Server) sessionLeft(w http.ResponseWriter, r *http.Request) error {
	left, err := s.DB.SessionLeft(r.Context(), scopeOf(r).viewer)
	if err != nil {
		return err
	}
	tellLeft(w, left)
	return nil
}

// staySignedIn is the one step that a person needs to go on (WCAG 2.2.1).
func (s *Server) staySignedIn(w http.ResponseWriter, r *http.Request) error {
	left, err := s.DB.StaySignedIn(r.Context(), scopeOf(r).viewer)
	if err != nil {
		return err
	}
	if !isHtmx(r) {
		http.Redirect(w, r, orList(nextPath(r.PostForm.Get("next"))), http.StatusSeeOther)
		return nil
	}
	tellLeft(w, left)
	return nil
}

// tellLeft gives whole seconds, rounded down, so that a page never shows what the server would refuse.
func tellLeft(w http.ResponseWriter, left db.SessionLeft) {
	w.Header().Set("Chartroom-Session", fmt.Sprintf("idle=%d; ends=%d", int(left.Idle.Seconds()), int(left.Ends.Seconds())))
	w.WriteHeader(http.StatusNoContent)
}

// limits are what a signed-in page says of its session's time, and what it may count on until it has asked.
func limits(c Config) views.SessionLimits {
	idle, sure := c.DB.IdleTimeout()
	l := views.SessionLimits{Sure: int(sure.Seconds()), Warn: int(min(time.Minute, idle/2).Seconds()), Zone: c.Zone.String(), Hours: "h23"}
	if (format{locale: c.Locale}).monthFirst() { // as format.clock has it
		l.Hours = "h12"
	}
	return l
}

// why are the reasons for which somebody stands before the sign-in form without having asked for it. The first two are
// given by a page that has counted down to them. The third stands for all that ends a session behind a page's back:
// telling them apart would help nobody to go on. It promises nothing, because without JavaScript nothing was kept.
func (s *Server) why(r *http.Request, reason string) string {
	limits, t := s.sessionLimits(r), s.texts(r).SignIn
	switch reason {
	case views.ReasonTimeout:
		return t.TimedOut(limits.Idle) + " " + t.Kept
	case views.ReasonEnd:
		return t.LifeOver(limits.Lifetime) + " " + t.Kept
	case views.ReasonEnded:
		return t.Ended(limits.Idle, limits.Lifetime)
	}
	return ""
}

// sessionLimits are the limits, in words too.
func (s *Server) sessionLimits(r *http.Request) views.SessionLimits {
	t, l := s.texts(r), s.limits
	idle, _ := s.DB.IdleTimeout()
	l.Idle, l.Lifetime = spell(t.Dates, idle), spell(t.Dates, s.Lifetime)
	return l
}

// spell writes a length of time in the largest unit that it is a whole number of.
func spell(t texts.Dates, d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		say    func(int) string
	}{{time.Hour, t.Hours}, {time.Minute, t.Minutes}, {time.Second, t.Seconds}} {
		if n := d / unit.length; d%unit.length == 0 && n > 0 {
			return unit.say(int(n))
		}
	}
	return d.String()
}
