package db

import (
	"context"
	"fmt"
	"time"
)

// What is kept of forms that were not saved: for how long, and how many for a user.
const (
	DraftAge  = time.Hour
	maxDrafts = 20
)

// Draft is what a user typed into a form and did not save, as it was sealed.
type Draft struct {
	Who
	Form    *string // nil, like the others, when there is none
	Sealed  []byte
	SavedAt *time.Time
}

// draftForm names the form of a patient, or with "" that of a new one.
func draftForm(patient string) (form string, id *string, err error) {
	if patient == "" {
		return "patients/new", nil, nil
	}
	if !isUUID(patient) {
		return "", nil, ErrNotFound
	}
	return "patients/" + patient, &patient, nil
}

// SaveDraft keeps what a user has typed into the form of a patient, in place of what was kept of it before; patient is ""
// for that of a new one, whose id is then newID. It comes sealed, by a function that binds it to its user and form, so
// that a row that was moved to somebody else opens for nobody. ErrNotFound when there is no such patient. What arrives
// after the new patient was put on record is late and is dropped. The user's oldest go where there are too many.
func (d *DB) SaveDraft(ctx context.Context, v Viewer, patient, newID string, seal func(user int, form string) []byte) error {
	form, id, err := draftForm(patient)
	if err != nil {
		return err
	}
	// A trip of its own: whom to seal for is known afterwards. The session cannot change its user between the two.
	who, err := d.Whoami(ctx, v)
	if err != nil {
		return err
	}
	args := d.viewerArgs(v)
	args["form"], args["patient"], args["new"], args["sealed"] = form, id, nil, seal(who.UserID, form)
	if id == nil && isUUID(newID) {
		args["new"] = newID
	}
	args["others"] = maxDrafts - 1
	rows, err := d.pool.Query(ctx, viewerCTE+`, kept AS (
		INSERT INTO drafts (user_id, form, sealed)
		SELECT v.user_id, @form, @sealed FROM viewer v
		WHERE v.allowed AND (@patient::uuid IS NULL OR EXISTS (SELECT 1 FROM patients WHERE id = @patient::uuid))
		  AND NOT EXISTS (SELECT 1 FROM patients WHERE id = @new::uuid)
		ON CONFLICT (user_id, form) DO UPDATE SET sealed = excluded.sealed, saved_at = excluded.saved_at
		RETURNING user_id
	), dropped AS (
		DELETE FROM drafts WHERE (user_id, form) IN (
			SELECT d.user_id, d.form FROM drafts d JOIN kept k ON k.user_id = d.user_id WHERE d.form <> @form
			ORDER BY d.saved_at DESC, d.form OFFSET @others::integer)
	)
	SELECT `+whoColumns+`, @patient::uuid IS NULL OR EXISTS (SELECT 1 FROM patients WHERE id = @patient::uuid) AS known
	FROM viewer v`, args)
	if err != nil {
		return fmt.Errorf("keep a draft: %w", err)
	}
	saved, err := one[struct {
		Who
		Known bool
	}](v, rows)
	if err == nil {
		err = saved.check()
	}
	if err != nil {
		return fmt.Errorf("keep a draft: %w", err)
	}
	if !saved.Known {
		return ErrNotFound
	}
	return nil
}

// Draft reads what the user had typed into a form and not saved within the last hour.
func (d *DB) Draft(ctx context.Context, v Viewer, patient string) (Draft, error) {
	form, _, err := draftForm(patient)
	if err != nil {
		return Draft{}, err
	}
	args := d.viewerArgs(v)
	args["form"], args["age"] = form, DraftAge
	rows, err := d.pool.Query(ctx, viewerCTE+`
	SELECT `+whoColumns+`, k.form, k.sealed, k.saved_at
	FROM viewer v LEFT JOIN drafts k ON v.allowed AND k.user_id = v.user_id AND k.form = @form AND k.saved_at > now() - @age::interval`, args)
	if err != nil {
		return Draft{}, fmt.Errorf("read a draft: %w", err)
	}
	draft, err := one[Draft](v, rows)
	if err != nil {
		return Draft{}, fmt.Errorf("read a draft: %w", err)
	}
	return draft, draft.check()
}

// DropDraft forgets what the user had typed into a form: it was saved, or is not wanted.
func (d *DB) DropDraft(ctx context.Context, v Viewer, patient string) error {
	form, _, err := draftForm(patient)
	if err != nil {
		return err
	}
	args := d.viewerArgs(v)
	args["form"] = form
	rows, err := d.pool.Query(ctx, viewerCTE+`, dropped AS (
		DELETE FROM drafts d USING viewer v WHERE v.allowed AND d.user_id = v.user_id AND d.form = @form
	)
	SELECT `+whoColumns+` FROM viewer v`, args)
	if err != nil {
		return fmt.Errorf("drop a draft: %w", err)
	}
	who, err := one[Who](v, rows)
	if err != nil {
		return fmt.Errorf("drop a draft: %w", err)
	}
	return who.check()
}
