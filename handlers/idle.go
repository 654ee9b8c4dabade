package handlers

import (
	"fmt"
	"net/http"
	"time"

	"chartroom/db"
	"chartroom/views"
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
	return views.SessionLimits{Idle: spell(idle), Lifetime: spell(c.Lifetime), Sure: int(sure.Seconds()),
		Warn: int(min(time.Minute, idle/2).Seconds())}
}

// why are the reasons for which somebody stands before the sign-in form without having asked for it. The first two are
// given by a page that has counted down to them. The third stands for all that ends a session behind a page's back:
// telling them apart would help nobody to go on. It promises nothing, because without JavaScript nothing was kept.
func (s *Server) why(reason string) string {
	const kept = " What you typed into a patient’s form is kept for an hour: sign in and open that form again."
	switch reason {
	case views.ReasonTimeout:
		return "You were signed out, because nothing was done for " + s.limits.Idle + "." + kept
	case views.ReasonEnd:
		return "You were signed out, because " + s.limits.Lifetime + " have passed since you signed in." + kept
	case views.ReasonEnded:
		return "Your session has ended: after " + s.limits.Idle + " without a step, " + s.limits.Lifetime + " after you signed in, or because somebody ended it."
	}
	return ""
}

// spell writes a length of time in the largest unit that it is a whole number of.
func spell(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / unit.length; d%unit.length == 0 && n > 0 {
			if n == 1 {
				return "1 " + unit.name
			}
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return d.String()
}
