package handlers

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"chartroom/db"
	"chartroom/views"
)

// draft is what is kept of a patient's form that was not saved. With the version, or the id of a new patient, a form that
// comes back is saved as the one that it was: whoever changed the patient meanwhile is met on the same page as ever.
type draft struct {
	ID      string            `json:"id,omitempty"` // of a new patient
	Version int               `json:"version,omitempty"`
	Seen    []string          `json:"seen,omitempty"`
	Text    map[string]string `json:"text"`
}

// backgroundHeader marks what a page sends of itself: nobody has just done anything, so that it extends nothing.
const backgroundHeader = "Chartroom-Background"

// saveDraft keeps what is being typed. There is no event in the audit: nothing is shown and no record changes.
func (s *Server) saveDraft(w http.ResponseWriter, r *http.Request) error {
	patient, v := r.PathValue("id"), scopeOf(r).viewer
	e, ok := readEntry(r, r.PostForm.Get("id"))
	e.version = number(r, "version")
	if !ok || (patient == "") != (e.version == 0) {
		return s.unreadable(r)
	}
	v.Idle = r.Header.Get(backgroundHeader) != ""
	d := draft{Version: e.version, Seen: e.seen, Text: e.text}
	if patient == "" {
		d.ID = e.id
	}
	err := s.DB.SaveDraft(r.Context(), v, patient, d.ID, func(user int, form string) []byte { return s.drafts.sealDraft(d, user, form) })
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) discardDraft(w http.ResponseWriter, r *http.Request) error {
	patient := r.PathValue("id")
	if err := s.DB.DropDraft(r.Context(), scopeOf(r).viewer, patient); err != nil {
		return err
	}
	http.Redirect(w, r, views.FormPath(patient), http.StatusSeeOther)
	return nil
}

// restore fills a form with what the same user had typed into it and not saved. What says the same as the form already
// does is no draft, such as one that arrived after its form was saved.
func (s *Server) restore(r *http.Request, e *entry, d db.Draft) {
	if d.Form == nil {
		return
	}
	kept, ok := s.drafts.openDraft(d.Sealed, d.UserID, *d.Form)
	if !ok || (kept.Version == 0) != (e.version == 0) {
		s.Log.Warn("a draft could not be opened: is its key gone?", "request", scopeOf(r).id)
		return
	}
	was := *e
	e.version, e.seen, e.text = kept.Version, kept.Seen, kept.Text
	if kept.Version == 0 {
		e.id = kept.ID
	}
	if s.change(*e).Typed.Clean() == s.change(was).Typed.Clean() && len(s.change(*e).Problems) == 0 {
		*e = was
		return
	}
	e.draft = &restored{at: *d.SavedAt, stale: kept.Version != was.version}
}

// restored is what a form says about the draft that it was filled with.
type restored struct {
	at    time.Time
	stale bool // somebody has changed the patient since
}

// dropDraft forgets the draft of a form that was saved. What was saved is saved: a draft that stays says the same and is
// not shown, or is gone within the hour.
func (s *Server) dropDraft(r *http.Request, e entry) {
	ctx, cancel := durable(r.Context())
	defer cancel()
	if err := s.DB.DropDraft(ctx, scopeOf(r).viewer, e.patient()); err != nil && !errors.Is(err, db.ErrNoSession) {
		s.Log.Warn("drop the draft of a saved form", "request", scopeOf(r).id, "error", db.Loggable(err))
	}
}

// patient is the id of the patient on record whom the form is about; a new one is not there yet.
func (e entry) patient() string {
	if e.version == 0 {
		return ""
	}
	return e.id
}

// sealDraft encrypts a draft for one user and one form, which are authenticated with it.
func (s *sealer) sealDraft(d draft, user int, form string) []byte {
	plain, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return s.keys[0].Seal(nil, nil, plain, draftOf(user, form))
}

func (s *sealer) openDraft(box []byte, user int, form string) (d draft, ok bool) {
	plain, ok := s.unseal(box, draftOf(user, form))
	if !ok {
		return d, false
	}
	err := json.Unmarshal(plain, &d)
	return d, err == nil && d.Text != nil
}

// sealSubject encrypts whom a form is about, for that patient's form alone.
func (s *sealer) sealSubject(subject db.Subject, patient string) string {
	plain, err := json.Marshal(subject)
	if err != nil {
		panic(err) // strings only
	}
	return base64.RawURLEncoding.EncodeToString(s.keys[0].Seal(nil, nil, plain, subjectOf(patient)))
}

// openSubject gives nil for what is none of ours, such as a form from before this was in it.
func (s *sealer) openSubject(text, patient string) *db.Subject {
	box, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	subject := db.Subject{}
	plain, ok := s.unseal(box, subjectOf(patient))
	if !ok || json.Unmarshal(plain, &subject) != nil {
		return nil
	}
	return &subject
}

func subjectOf(patient string) []byte { return []byte("subject " + patient) }

func draftOf(user int, form string) []byte { return []byte(strconv.Itoa(user) + " " + form) }
