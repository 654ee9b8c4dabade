// Package texts holds what the site says to people, one file for each language. A text is a field: one that is
// misspelt does not compile, and a test finds one that a language lacks. What needs a number or a name is a function, so that
// each language forms its own plural and its own order of words.
//
// A language is added with a file like spanish.go and a line in Languages.
package texts

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/text/language"
)

// Texts are all texts in one language. Where a text holds [words in brackets], these are a link, and where it holds {},
// something stands that is more than text, such as a time.
type Texts struct {
	Tag  string // BCP 47, for HTML's lang
	Name string // of the language, in itself

	Common   Common
	Dates    Dates
	Layout   Layout
	SignIn   SignIn
	Session  Session
	List     List
	Patient  Patient
	Form     Form
	History  History
	Account  Account
	Password Password
	Display  Display
	Users    Users
	Audit    Audit
	Help     Help
	Errors   Errors
}

// Languages are those there are. The first one stands for every language that is not here.
var Languages = []*Texts{&English, &Spanish}

var matcher = language.NewMatcher(tags())

func tags() (all []language.Tag) {
	for _, t := range Languages {
		all = append(all, language.MustParse(t.Tag))
	}
	return all
}

// For finds the language of a tag; nil where there is none.
func For(tag string) *Texts {
	for _, t := range Languages {
		if t.Tag == tag {
			return t
		}
	}
	return nil
}

// Match finds the language for what a browser says in Accept-Language (RFC 9110, 12.5.4), or where it says none of ours, for
// the clinic's locale.
func Match(accepted, locale string) *Texts {
	if len(accepted) > 200 { // nobody reads that many languages
		accepted = ""
	}
	wish := [2]string{accepted, locale}
	if known, ok := matched.Load(wish); ok {
		return known.(*Texts)
	}
	t := match(accepted, locale)
	if matchedCount.Add(1) > mostMatched {
		matched.Clear()
		matchedCount.Store(1)
	}
	matched.Store(wish, t)
	return t
}

// To find out takes as long as three rows of a list, and a clinic's browsers say only a few things.
var (
	matched      sync.Map // of *Texts by what was accepted and the locale
	matchedCount atomic.Int64
)

const mostMatched = 500

func match(accepted, locale string) *Texts {
	for _, wish := range []string{accepted, locale} {
		wanted, _, err := language.ParseAcceptLanguage(wish)
		if err != nil || len(wanted) == 0 {
			continue
		}
		if _, i, sure := matcher.Match(wanted...); sure != language.No {
			return Languages[i]
		}
	}
	return Languages[0]
}

type key struct{}

// With gives components their texts.
func With(ctx context.Context, t *Texts) context.Context { return context.WithValue(ctx, key{}, t) }

// Of is what With has given, or English.
func Of(ctx context.Context) *Texts {
	if t, ok := ctx.Value(key{}).(*Texts); ok {
		return t
	}
	return &English
}
