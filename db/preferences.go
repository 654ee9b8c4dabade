package db

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Preferences are how a user wants pages to look. The zero value of each field is the usual; what a later program has written and
// this one does not know is taken for the usual too.
type Preferences struct {
	Language string   `json:"language,omitempty"` // BCP 47; "" is what the browser says
	Theme    string   `json:"theme,omitempty"`    // one of Themes; "" is what the computer says
	Compact  bool     `json:"compact,omitempty"`  // more rows on a screen
	NoKeys   bool     `json:"no_keys,omitempty"`  // no shortcuts of a single key (WCAG 2.1.4)
	Columns  []string `json:"columns,omitempty"`  // of ListColumns, in their order, the birth date among them; nil is all of them
}

// UnmarshalJSON takes what it cannot read for the usual: no preference is worth a page.
func (p *Preferences) UnmarshalJSON(written []byte) error {
	type plain Preferences
	var read plain
	if err := json.Unmarshal(written, &read); err == nil {
		*p = Preferences(read)
	}
	return nil
}

// Themes are the colours there are besides the computer's own choice.
var Themes = []string{"light", "dark"}

// ListColumns are the list's columns after the name, in their usual order.
var ListColumns = []string{"mrn", "birth_date", "sex", "phone", "city", "status", "updated"}

// ErrPreferences is a preference that there is not.
var ErrPreferences = errors.New("there is no such way to show pages")

// Check refuses what there is not. Which languages there are is not known here.
func (p Preferences) Check() error {
	if p.Theme != "" && !slices.Contains(Themes, p.Theme) || len(p.Language) > 35 || !slices.Equal(p.Columns, known(p.Columns)) {
		return ErrPreferences
	}
	return nil
}

// AlwaysShown is a column that nobody can do without: a name alone is too little to know a patient by.
const AlwaysShown = "birth_date"

// known are the columns that there are, each once, with the one that is always shown.
func known(columns []string) []string {
	var all []string
	for _, c := range columns {
		if slices.Contains(ListColumns, c) && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	if len(all) > 0 && !slices.Contains(all, AlwaysShown) {
		all = append(all, AlwaysShown)
	}
	return all
}

// Shown are the list's columns after the name.
func (p *Preferences) Shown() []string {
	if p == nil {
		return ListColumns
	}
	if columns := known(p.Columns); len(columns) > 0 {
		return columns
	}
	return ListColumns
}

// SetPreferences changes how the caller wants pages to look. No event is made of it: it concerns no patient and no right. What
// cannot be is ErrPreferences, and nothing is kept.
func (d *DB) SetPreferences(ctx context.Context, v Viewer, change func(*Preferences)) error {
	return pgx.BeginFunc(ctx, d.pool, func(tx pgx.Tx) error {
		who, err := d.whoami(ctx, tx, v)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO user_preferences (user_id, preferences) VALUES ($1, '{}') ON CONFLICT DO NOTHING`, who.UserID); err != nil {
			return fmt.Errorf("keep the preferences: %w", err)
		}
		p := Preferences{} // held until the end, so that of two changes at once neither is lost
		if err := tx.QueryRow(ctx, `SELECT preferences FROM user_preferences WHERE user_id = $1 FOR UPDATE`, who.UserID).Scan(&p); err != nil {
			return fmt.Errorf("read the preferences: %w", err)
		}
		change(&p)
		if err := p.Check(); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE user_preferences SET preferences = $2 WHERE user_id = $1`, who.UserID, p); err != nil {
			return fmt.Errorf("keep the preferences: %w", err)
		}
		return nil
	})
}
