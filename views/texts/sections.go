package texts

// Common is what many pages say.
type Common struct {
	ErrorTitle  func(title string) string // of a page that says what is wrong (WCAG 2.4.2)
	Thousands   string                    // between groups of three digits
	Roles       map[string]string         // by users.role
	Sexes       map[string]string         // by FHIR's administrative gender
	NotRecorded string                    // of a sex about which nothing is said; one that is said to be unknown is in Sexes
	Statuses    map[string]string         // by patients.status
	Cancel      string
}

// Dates are the words within dates and lengths of time.
type Dates struct {
	Months           [12]string // short, as within a date
	Unknown          string     // a date that is not on record
	Days, InMonths   func(n int) string
	Years            func(n int) string
	AboutYears       func(n int) string
	Hours, Minutes   func(n int) string
	Seconds          func(n int) string
	HintMonthFirst   string // what can be typed as a birth date
	HintDayFirst     string
	HintYearFirst    string
	MorningAfternoon [2]string // AM, PM
}

// Layout is around every page.
type Layout struct {
	Skip, SignIn, Account, Users, Audit, Display, Recent, Shortcuts, SignOut string
	Menu                                                                     func(initials, name string) string // of the button that opens the menu
	Help                                                                     func(whom string) string
	Limits                                                                   func(idle, lifetime string) string // when one is signed out
	NoScript                                                                 string
	OffName                                                                  string // of the region that says that sign-in is switched off
	OffUntil                                                                 string // before the time
	OffNoChange                                                              string
	OffStandIn                                                               string
	OffSeen                                                                  string
	Unreachable                                                              string // while the network or the server is away
	Offline, Online                                                          string
	Slow                                                                     string
	Printed                                                                  func(user, at string) string // at a sheet's head
	PrintedAsOf                                                              func(at string) string       // and where nobody has signed in
}

// SignIn is the sign-in form.
type SignIn struct {
	Username, Password string
	Without            string // the way to the list while sign-in is switched off
	Refused            string // for every reason, so that nobody learns which user names exist
	TooMany            func(wait string) string
	Busy               string
	Notices            map[string]string // what brought one here, by the address's notice
	TimedOut, LifeOver func(length string) string
	Ended              func(idle, lifetime string) string
	Kept               string // after TimedOut and LifeOver
}

// Session is what is said before somebody is signed out.
// What holds a count of seconds has a second text for one of them: session.js fills the number in as it counts. A language
// with more forms than two finds words that fit them all, such as an abbreviation.
type Session struct {
	StillThere         string
	Soon               func(seconds string) string
	SoonOne            string
	EndsSoon           string // when the session's lifetime is over, whatever anybody does
	At                 func(clock string) string
	Kept               string // after Soon and At
	Left               func(seconds string) string
	LeftOne            string
	Stay, UntilThen    string
	OldPage            string
	Unreachable        string
	Out                string // the title of a page that was emptied
	OutHeading, OutWhy string
	Again              string
	Unkept             string // of what is typed into a patient's form
}

// List is the list of patients.
type List struct {
	Heading, HeadingFound                                      string
	New                                                        string
	Label, Search, Filters                                     string
	Status, Sex, BornFrom, BornTo, Rows, Any                   string
	Name, MRN, Born, Phone, City, Updated                      string
	NoMRN                                                      string // in a row
	Pages, First, Previous, Next, Last                         string
	Export                                                     func(patients string) string
	Similar, SimilarCaption                                    string
	BestFirst                                                  string // a link
	ShowAll                                                    string
	InvalidAddress                                             string
	NothingSearched, NoneBoth, NoneSearch, NoneFilter, NoneYet string
	Found                                                      func(n int, number string) string // how many patients there are
	FoundMore                                                  func(number string) string        // and more
	FoundNone                                                  string
	Filtered                                                   string             // after Found
	AlsoSimilar, OnlySimilar                                   func(n int) string // after Found, and after FoundNone
	Meant                                                      string             // above similar names, where nothing matches
	Sorted                                                     map[string]string  // by db.Sort
	SortedDown                                                 map[string]string  // the same, the other way round
	RowsLast                                                   func(n int, sorted string) string
	RowsFromTo                                                 func(from, to, sorted string) string
	RowsSome                                                   func(sorted string) string
	Matches                                                    map[string]string         // how a search found a patient, by db.Patient.Match
	SameName                                                   func(birth string) string // on rows that could be mixed up; birth may be empty
	SimilarName                                                func(birth string) string // on rows of one birth date
	Namesakes                                                  func(n int) string        // other patients of the name, with a link to them
	NamesakesMany                                              string                    // the same for ten and more
	OpenPageShort                                              string                    // beside a row, before the name
	NoneRecent                                                 string
	OpenPage, Edit, Close                                      string // of the panel beside the list
	BadText, BadDate, BadSpan                                  string
	TooLong                                                    func(letters, words int) string // db.ErrSearchTooLong and such
	BadRequest, BadRequestDo                                   string
}

// Patient is a patient's page.
type Patient struct {
	Title, Back, Edit                                                string
	MRN, Born                                                        string // before the value
	NoMRN, NoBirth, NoSex, SexUnknown                                string // instead of it
	Updated                                                          string // before the time
	Names, Identifiers, Telecoms, Addresses, Contacts, Details       string // headings
	NoName, NoIdentifier, NoTelecom, NoAddress, NoContact, NoDetails string
	Terms                                                            map[string]string            // by fhir.Kind
	Words                                                            map[string]map[string]string // by fhir.Kind and code; the sexes and statuses are Common's
	Uses                                                             map[string]string            // of a phone and such, behind what it is
	Until                                                            func(what, date string) string
	BirthOrder                                                       func(number string) string
	Preferred                                                        func(language string) string
	SeenHeading, SeenAll                                             string            // what the audit has of this patient
	Notices                                                          map[string]string // what has just been done
}

// Form is the form for a patient.
type Form struct {
	New, Edit                                           string
	NotSaved, Changed, Known                            func(title string) string // the title of a page that asks something
	Back, Save, SaveNew, SaveAnyway                     string
	Person, Address, Status                             string
	Labels                                              map[string]string // by db.Field.Key; deceased_on is the date of death
	LineHint, ActiveHint                                string
	ActiveNotRecorded, NotDead, Yes                     string // choices
	DeadSince                                           func(date string) string
	None                                                string            // where there is no value
	Problems                                            map[string]string // by fhir.Rule; {} is what can be typed as a date
	OneProblem, SomeProblems                            string
	Failure                                             func(request string) string // why nothing can be saved now
	DraftBefore, DraftAfter                             string                      // around the time
	DraftIntro, DraftStale, DraftDiscard                string
	NewerHeading, NewerBy, NewerAt, NewerThen, NewerAsk string // around who it was and when
	NewerSave                                           string
	NewerTable, Field, Now, Typed, ChangedBy, Both, You string // ChangedBy stands before who it was
	Untouched                                           string // instead of what was typed
	NoteUnsaved                                         string // before what is on record
	NoteBoth                                            string // before what is on record
	NoteTheirs                                          string
	LikelyHeading, LikelyIntro, LikelyTable, LikelyMRN  string
	SameName, SameBirth, SameMRN                        string // marks what agrees
}

// History is what was changed in a patient.
type History struct {
	Heading, Earlier, Older      string
	Version                      func(number string) string
	Nothing, First, Unknown      string // said instead of changes
	Changed                      string
	ChangedIn                    func(elements string) string // of what is not shown, by FHIR's names
	From, To                     string                       // before the values, for those who hear the page
	Import, FromImport           func(number string) string   // who made a version
	NoAuthor                     string
	Conflict, ConflictCame       string
	ConflictImport               func(number string) string // behind the time
	ConflictDecide, ConflictWait string
	Differs, Here, Imported      string
	DiffersUnseen                func(elements string) string // by FHIR's names; none where these are no names
	KeepHere, TakeImported       string
}

// Account is one's own page, and what the page of another user has like it.
type Account struct {
	Profile, Role, LatestEnd                string
	Email, EmailHint, SaveEmail             string
	PasswordEnds, ChangePassword            string
	Sessions, EndOthers                     string
	Failures                                func(n int, number string) string
	FailuresDo                              func(n int) string // two links
	Notices                                 map[string]string
	Nowhere                                 string
	Device, Address, Begun, LastUsed, EndIt string
	This, End                               string
	EndThat                                 func(device, begun string) string // begins with End (WCAG 2.5.3)
	SignIns, NoSignIns, When, What          string
	SignedIn, Refused                       string
	Refusals                                map[string]string // by why a sign-in was not granted
	UnknownAddress                          string
	DeviceOn                                func(browser, system string) string
	OtherBrowser, Mac, UnknownDevice        string
}

// Password is for whoever sets one, or has to give it again.
type Password struct {
	Current, New, Hint            string
	Suggest, Suggested            string
	Show, ShowWhat                string // ShowWhat is heard after Show, not seen
	Change, Why, AllEnd, NotNow   string
	NotYours                      string
	NotText, Common, Guessable    string
	OwnWords, Same, Other         string
	TooShort                      func(least, has int) string // in characters
	TooLong                       func(most int) string       // in bytes
	SetTitle, Welcome, SetNew     string
	WorksOnce                     string // {} for whom, {} until when
	ThenSignIn, ThenSignedOut     string
	Set                           string
	LinkOver, LinkOverWhy         string
	LinkOverDo                    string // a link
	Confirm                       string
	ConfirmChange, ConfirmTakeOut string
	GoOn, BackToAudit             string
}

// Display is how one wants pages to look.
type Display struct {
	Title, Intro                                        string
	Language, LanguageBrowser                           string
	Theme, ThemeSystem, Light, Dark                     string
	Density, Comfortable, Compact                       string
	Shortcuts, ShortcutsOn, ShortcutsOff, ShortcutsHint string
	Columns, ColumnsHint                                string
	SaveColumns                                         string
	Shown                                               string // of a column that cannot be hidden
	Show, Up, Down                                      func(column string) string
	Save, Saved                                         string
}

// Users is the administration of accounts.
type Users struct {
	New, Search                         string
	NoneHolds, ShowAll, All, First      string
	Caption, State, LastIn, Sessions    string
	Email, Never                        string
	Found                               func(n int, number string) string
	FoundMore                           func(number string) string
	FoundNone                           string
	States                              map[string]string
	NewIntro, EmailOptional             string
	NameHint, RoleHint, Create          string
	LinkTitle                           string
	InvitationFor, PasswordFor          string // {}
	Created, LinkMade, Link             string
	LinkHint                            string // {} until when, {} for whom
	Done                                string
	One                                 string // the title of a user's page, which names nobody
	Own, May, SaveRole, GettingIn       string
	InviteOpen, LinkOpen                string // {}
	MakeLink, MakeLinkHint              string
	Unlock, UnlockHint, LockedHint      string
	Disable, DisableHint, Disabled      string
	Enable, EnableHint                  string
	SignedInAt, SignOut                 string
	Did, AllDid                         string
	Notices                             map[string]string
	LastAdmin, Taken, Off               string
	BadRole                             func(roles string) string
	NameLength, NameNotText, NameSpaces string
}

// Audit is the reading of the audit.
type Audit struct {
	Title, Filters                                 string
	User, What, Patient, Outcome, From, Until, Any string // the filters
	Everything, Now, Show, ShowAll                 string
	All                                            func(group string) string
	Groups, Actions                                map[string]string // by auditGroups' names, and by action
	Done, Refused                                  string            // choices
	Wrong, NoneFound, None                         string
	Found                                          func(n int) string // on this page
	FoundMore                                      string             // behind it
	Caption                                        func(from, to string) string
	Newest, Newer, Older                           string
	Export, ExportFiltered                         string
	When, Who, Patients, Address                   string // heads
	MarkRefused, MarkDone                          string
	Shell, Nobody, SignInOff                       string // who it was
	OfShell                                        func(name string) string
	Count                                          func(n int, number string) string // of patients
	Details                                        map[string]func(value string) string
	Values                                         map[string]string // what a detail's value is; one that is not here is shown as it is
	Event, TheEvent, Number, Time, Action          string
	Detail, Stored, Source, Client                 string
	Session, Request, Program                      string
	NoPatients                                     string
	Gone                                           func(id string) string
	More                                           func(n int, number string) string
	BadPatient, BadDate, BadUntil, NoUser          string
	ManyUsers                                      func(most int) string
	Nothing                                        string
}

// Help is the page that tells how to search, and which keys there are.
type Help struct {
	Title                       string
	Keys, KeysNote              string
	KeysOff                     string // with a link to where they are switched off
	KeySearch, KeyHelp          string // what each key does
	KeyDown, KeyUp, KeyEnds     string
	KeyEnter, KeyEscape         string
	Down, Up, Home, End         string // what stands on the keys
	Enter, Escape               string
	Searching, SearchingNote    string
	Start, Part, Both, Comma    string // what is found, by what is typed
	MRN, BirthDate, Phone       string
	Several, Misspelt           string
	Whom, WhomNobody, WhomNotes string
}

// Errors are what is said when something cannot be.
type Errors struct {
	GoToList, ReloadList string
	Back                 string // to the page that a form or link was on
	Request              func(id string) string

	Forbidden, NotFound, NoData, Failed                      Refusal
	Method, BadForm, TooMuch, OtherSite, OldPage             Refusal
	BadListAddress, BadFormat, ExportElsewhere, OtherExports Refusal
	BadAuditAddress                                          Refusal // a link
	ReadOnly                                                 string  // while sign-in is switched off
	ReadOnlyUntil                                            func(until string) string
}

// Refusal says that something cannot be, and what to do.
type Refusal struct{ Heading, Message string }
