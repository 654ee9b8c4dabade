package texts

import "strconv"

// English is also the language of the command line, the logs and the audit's files.
var English = Texts{
	Tag: "en", Name: "English",

	Common: Common{
		ErrorTitle:  func(title string) string { return "Error: " + title },
		Thousands:   ",",
		Roles:       map[string]string{"viewer": "Viewer", "clinician": "Clinician", "admin": "Administrator"},
		Sexes:       map[string]string{"male": "Male", "female": "Female", "other": "Other", "unknown": "Unknown"},
		NotRecorded: "Not recorded",
		Statuses:    map[string]string{"active": "Active", "inactive": "Inactive", "deceased": "Deceased"},
		Cancel:      "Cancel",
	},

	Dates: Dates{
		Months:  [12]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
		Unknown: "Unknown",
		Days:    func(n int) string { return strconv.Itoa(n) + " d" }, InMonths: func(n int) string { return strconv.Itoa(n) + " mo" },
		Years:      func(n int) string { return strconv.Itoa(n) + " y" },
		AboutYears: func(n int) string { return "about " + strconv.Itoa(n) + " y" },
		Hours:      func(n int) string { return count(n, "hour", "hours") }, Minutes: func(n int) string { return count(n, "minute", "minutes") },
		Seconds:          func(n int) string { return count(n, "second", "seconds") },
		HintMonthFirst:   "12/25/1974 or 1974-12-25; 1974-12 or 1974 if no more is known.",
		HintDayFirst:     "25.12.1974, 25/12/1974 or 1974-12-25; 1974-12 or 1974 if no more is known.",
		HintYearFirst:    "1974-12-25 or 25.12.1974; 1974-12 or 1974 if no more is known.",
		MorningAfternoon: [2]string{"AM", "PM"},
	},

	Layout: Layout{
		Skip: "Skip to the content", SignIn: "Sign in", Account: "Account", Users: "Users", Audit: "Audit", Display: "Display",
		Recent: "Recent patients", Shortcuts: "Help and keyboard", SignOut: "Sign out",
		Menu: func(initials, name string) string { return initials + ": account menu, signed in as " + name },
		Help: func(whom string) string { return "Help: " + whom },
		Limits: func(idle, lifetime string) string {
			return "You are signed out after " + idle + " without a step, and " + lifetime + " after you signed in."
		},
		NoScript:    "Without JavaScript no countdown warns you of it, and what you type is kept only when you save it.",
		OffName:     "Sign-in is switched off",
		OffUntil:    "Sign-in is switched off until",
		OffNoChange: "Nothing can be changed until then.",
		OffStandIn:  "You have not signed in: each look at a patient is recorded with the address of this computer.",
		OffSeen:     "Each look at a patient is recorded.",
		Unreachable: "Chartroom could not be reached. What you see may be out of date; check the connection and try again.",
		Offline:     "This computer is offline. What you see may be out of date; what you send now does not arrive.",
		Online:      "The connection is back.",
		Slow:        "Loading",
		Printed:     func(user, at string) string { return "Printed by " + user + ", as of " + at },
		PrintedAsOf: func(at string) string { return "As of " + at },
	},

	SignIn: SignIn{
		Username: "User name", Password: "Password", Without: "Go to the patient list without signing in",
		Refused: "The user name or the password is not right. Both are case-sensitive.",
		TooMany: func(wait string) string {
			return "Too many sign-ins have failed. Try again in " + wait + ", or ask an administrator for help."
		},
		Busy:     "Many people are signing in right now. Try again in a few seconds.",
		Notices:  map[string]string{"password-set": "Your password is set. Sign in with it."},
		TimedOut: func(idle string) string { return "You were signed out, because nothing was done for " + idle + "." },
		LifeOver: func(lifetime string) string {
			return "You were signed out, because " + lifetime + " have passed since you signed in."
		},
		Ended: func(idle, lifetime string) string {
			return "Your session has ended: after " + idle + " without a step, " + lifetime + " after you signed in, or because somebody ended it."
		},
		Kept: "What you typed into a patient’s form is kept for an hour: sign in and open that form again.",
	},

	Session: Session{
		StillThere: "Are you still there?",
		Soon: func(seconds string) string {
			return "Nothing was done for a while, so you will be signed out in " + seconds + " seconds."
		},
		SoonOne:  "Nothing was done for a while, so you will be signed out in 1 second.",
		EndsSoon: "This session ends soon", At: func(clock string) string { return "You will be signed out at " + clock + ", whatever you do." },
		Kept: "What you type into a patient’s form is kept for an hour, for you alone.",
		Left: func(seconds string) string { return seconds + " seconds left" }, LeftOne: "1 second left",
		Stay: "Stay signed in", UntilThen: "Go on until then",
		OldPage:     "This page is from before you signed in again. Reload it, or go on in another tab.",
		Unreachable: "Chartroom could not be reached, so you are not signed in for longer yet. Try again.",
		Out:         "Signed out", OutHeading: "You were signed out",
		OutWhy: "Chartroom cannot be reached right now. The sign-in page comes as soon as it can.", Again: "Try again",
		Unkept: "What you type cannot be kept right now: if you were signed out, it would be lost. Save it when you can.",
	},

	Account: Account{
		Profile: "Profile", Role: "Role", LatestEnd: "Signed out at the latest",
		Email: "E-mail address", EmailHint: "Leave it empty for none.", SaveEmail: "Save the address",
		PasswordEnds: "A new password ends all your other sessions.", ChangePassword: "Change the password",
		Sessions: "Where you are signed in", EndOthers: "End all other sessions",
		Failures: func(n int, number string) string {
			if n == 1 {
				return "1 failed attempt to sign in with your name since you last signed in."
			}
			return number + " failed attempts to sign in with your name since you last signed in."
		},
		FailuresDo: func(n int) string {
			return "Look at " + one(n, "it", "them") + " [below]. If that was not you, [change your password] and tell an administrator."
		},
		Notices: map[string]string{
			"password-changed": "Your password was changed; all other sessions were ended.",
			"email":            "Your e-mail address is saved.",
			"session-ended":    "The session is ended.",
			"others-ended":     "All other sessions are ended.",
			"role":             "Your role is changed. You are no administrator any more.",
		},
		Nowhere: "Nowhere.", Device: "Device", Address: "Address", Begun: "Signed in", LastUsed: "Last used", EndIt: "End it",
		This: "this one", End: "End", EndThat: func(device, begun string) string { return "End the session: " + device + ", signed in " + begun },
		SignIns: "Recent sign-ins", NoSignIns: "None yet.", When: "When", What: "What happened", SignedIn: "Signed in", Refused: "Refused",
		Refusals: map[string]string{
			"wrong password": "Refused: wrong password",
			"throttled":      "Refused: too many attempts in a row",
			"locked":         "Refused: locked after too many attempts",
			"disabled":       "Refused: the user was disabled",
			"unusable hash":  "Refused: the password could not be verified, it has to be set anew",
		},
		UnknownAddress: "unknown", DeviceOn: func(browser, system string) string { return browser + " on " + system },
		OtherBrowser: "Another browser", Mac: "a Mac", UnknownDevice: "Unknown device",
	},

	Password: Password{
		Current: "Current password", New: "New password",
		Hint: "At least 15 characters; spaces and any other characters count. Several words that have nothing to do with each other are " +
			"easy to remember and hard to guess.",
		Suggest: "Suggest a passphrase",
		Suggested: "Made up for you just now; nobody else has seen it. Keep it in a password manager, or write it down and keep the note " +
			"where only you get to it until you know it by heart. Then save.",
		Show: "Show", ShowWhat: "password",
		Change: "Change your password",
		Why: "Your password was set before the rules of today, and is easier to guess than they allow. You can still sign in with it; " +
			"please choose a new one when you can.",
		AllEnd: "All your other sessions end with the change.", NotNow: "Not now",
		NotYours: "That is not your password.",
		NotText:  "The password holds bytes that are not text; type it again.",
		Common:   "This password is one of those that are tried first; choose several words that have nothing to do with each other.",
		Guessable: "This password would be guessed quickly: it is made of common words, sequences or repetitions; " +
			"add two or three words that have nothing to do with each other.",
		OwnWords: "This password is made of your own name or address, or of words that belong to this place; " +
			"leave them out, or add three or four words that have nothing to do with them.",
		Same: "The new password is the one you have: choose another one.", Other: "This password cannot be used: choose another one.",
		TooShort: func(least, has int) string {
			return "The password must have at least " + strconv.Itoa(least) + " characters, and this one has " + strconv.Itoa(has) + "; several words are easy to remember."
		},
		TooLong: func(most int) string {
			return "The password must have at most " + strconv.Itoa(most) + " bytes; make it shorter."
		},
		SetTitle: "Set your password", Welcome: "Welcome: set your password", SetNew: "Set a new password",
		WorksOnce:  "For the user {}. This page works once, until {}.",
		ThenSignIn: "Then you sign in with it.", ThenSignedOut: "Wherever you are signed in now, you are signed out.", Set: "Set the password",
		LinkOver: "This link does not work any more", LinkOverWhy: "Such a link sets a password once, and only for a limited time.",
		LinkOverDo:     "If you have set your password with it, [sign in]. Otherwise ask an administrator for a new link.",
		Confirm:        "Confirm it is you",
		ConfirmChange:  "This changes who can get in, so your password is asked for once more. Then it goes on by itself.",
		ConfirmTakeOut: "This takes the record of who saw which patient out of here, so your password is asked for once more. Then the file is sent.",
		GoOn:           "Go on", BackToAudit: "Back to the audit",
	},

	Users: Users{
		New: "New user", Search: "Search by a part of the user name or e-mail address",
		NoneHolds: "No user name and no e-mail address holds this.", ShowAll: "Show all users", All: "All users", First: "First page",
		Caption: "Users by name", State: "State", LastIn: "Last sign-in", Sessions: "Sessions", Email: "E-mail", Never: "never",
		Found: func(n int, number string) string {
			if n == 1 {
				return "1 user"
			}
			return number + " users"
		},
		FoundMore: func(number string) string { return number + " users on this page, and there are more" }, FoundNone: "No user found",
		States:   map[string]string{"active": "Active", "disabled": "Disabled", "locked": "Locked", "invite": "Invited", "reset": "New link"},
		NewIntro: "The next page has a link to give to them. With it they set their own password, once.", EmailOptional: "E-mail address (optional)",
		NameHint: "Matched exactly at sign-in, capital letters too. It cannot be changed.",
		RoleHint: "Viewers read patients; clinicians also change them; administrators also manage the users.",
		Create:   "Create and make the link", LinkTitle: "Link for a user", InvitationFor: "Invitation for {}", PasswordFor: "New password for {}",
		Created: "The user is created.", LinkMade: "The link is made; an earlier one works no longer. The password of now works until a new one is set.",
		Link: "The link, shown this once",
		LinkHint: "Copy it now: it is stored nowhere. It works once, until {}. Give it to {} and nobody else, best in person: " +
			"whoever opens it first sets the password.",
		Done: "Done", One: "User", Own: "This is your own account.", May: "What they may do", SaveRole: "Save the role", GettingIn: "Getting in",
		InviteOpen: "The invitation is open until {}.", LinkOpen: "A link for a new password is open until {}.",
		MakeLink: "Make a link for a new password", MakeLinkHint: "It works once and replaces an earlier link. You never see the password.",
		Unlock: "Unlock", UnlockHint: "Forgets the failed sign-ins that were counted, so that they need not wait.",
		LockedHint:  "Too many sign-ins have failed: browsers that they have not used before are refused until you unlock.",
		Disable:     "Disable this user",
		DisableHint: "They are signed out at once and cannot sign in until somebody enables them again.",
		Disabled:    "This user is disabled and cannot sign in.",
		Enable:      "Enable this user", EnableHint: "Then they can sign in again, with the password that they had.",
		SignedInAt: "Where they are signed in", SignOut: "Sign them out everywhere",
		Did: "What this user saw and did", AllDid: "All audit events about this user",
		Notices: map[string]string{
			"role":       "The role is changed, from the next request on.",
			"disabled":   "The user is disabled and signed out everywhere.",
			"enabled":    "The user is enabled and can sign in again.",
			"signed-out": "The user is signed out everywhere.",
			"unlocked":   "The failed sign-ins are forgotten.",
		},
		LastAdmin: "This is the last administrator: make another user one first.",
		Taken:     "There is already a user with this name or e-mail address.", Off: "This user is disabled: enable them first.",
		BadRole:    func(roles string) string { return "The role must be one of " + roles + "." },
		NameLength: "The user name must have 1 to 255 bytes.", NameNotText: "The user name holds characters that cannot be typed.",
		NameSpaces: "The user name begins or ends with a space, which nobody would see.",
	},

	List: List{
		Heading: "Patients", HeadingFound: "Patients found", New: "New patient",
		Label: "Search by name, MRN, birth date or phone", Search: "Search", Filters: "Filters",
		Status: "Status", Sex: "Sex", BornFrom: "Born from", BornTo: "Born until", Rows: "Rows", Any: "Any",
		Name: "Name", MRN: "MRN", NoMRN: "no MRN", Born: "Born", Phone: "Phone", City: "City", Updated: "Last updated",
		Pages: "Pages of the list", First: "First", Previous: "Previous", Next: "Next", Last: "Last",
		Export:  func(patients string) string { return "Export " + patients + ":" },
		Similar: "Similar names", SimilarCaption: "Patients whose names are written much like what was searched for",
		BestFirst: "best match first", ShowAll: "Show all patients",
		InvalidAddress:  "That list address is not valid, so all patients are shown.",
		NothingSearched: "Nothing was searched.",
		NoneBoth:        "No patient matches the search and the filters together. Take a filter off, or check the spelling.",
		NoneSearch:      "No patient matches. Check the spelling, or search by birth date, MRN or the last digits of a phone.",
		NoneFilter:      "No patient passes these filters.",
		NoneYet:         "There are no patients yet. An administrator can load them with “chartroom import”.",
		Found: func(n int, number string) string {
			if n == 1 {
				return "1 patient"
			}
			return number + " patients"
		},
		FoundMore: func(number string) string { return number + "+ patients" }, FoundNone: "No patient found", Filtered: ", filtered",
		AlsoSimilar: func(n int) string { return ", and " + strconv.Itoa(n) + " more with " + similarNames(n) },
		OnlySimilar: func(n int) string { return ", but " + strconv.Itoa(n) + " with " + similarNames(n) },
		Meant:       "No patient matches exactly. Did you mean one of these?",
		Sorted: map[string]string{"best": "best match first", "name": "sorted by name", "birth_date": "sorted by birth date, oldest first",
			"mrn": "sorted by MRN", "updated": "sorted by last update, oldest first"},
		SortedDown: map[string]string{"name": "sorted by name, last first", "birth_date": "sorted by birth date, youngest first",
			"mrn": "sorted by MRN, last first", "updated": "sorted by last update, newest first"},
		RowsLast:   func(n int, sorted string) string { return "The last " + strconv.Itoa(n) + " patients, " + sorted },
		RowsFromTo: func(from, to, sorted string) string { return "Patients " + from + " to " + to + ", " + sorted },
		RowsSome:   func(sorted string) string { return "Patients, " + sorted },
		Matches: map[string]string{"family name": "family name", "given name": "given name", "other name": "other name", "part of a name": "part of a name",
			"MRN": "MRN", "birth date": "birth date", "phone": "phone"},
		SameName: func(birth string) string {
			if birth == "" {
				return "birth date not known · same name"
			}
			return "born " + birth + " · same name"
		},
		SimilarName: func(birth string) string { return "born " + birth + " · similar name" },
		Namesakes: func(n int) string {
			if n == 1 {
				return "Another patient has this name. Check the birth date, or [show both]."
			}
			return strconv.Itoa(n) + " other patients have this name. Check the birth date, or [show all of them]."
		},
		NamesakesMany: "Ten or more other patients have this name. Check the birth date, or [show them].",
		OpenPageShort: "Open page",
		NoneRecent:    "You have not opened a patient lately.",
		OpenPage:      "Open as a page", Edit: "Edit", Close: "Close",
		TooLong: func(letters, words int) string {
			return "That is too much to search for: use at most " + strconv.Itoa(letters) + " characters and " + strconv.Itoa(words) + " words."
		},
		BadText:    "That search holds characters that no name, number or date has.",
		BadDate:    "A birth date to filter by must be a full date, such as 1974-12-25.",
		BadSpan:    "The first birth date to filter by must not be after the last.",
		BadRequest: "The list cannot be shown like that", BadRequestDo: "Reload the list and try again.",
	},

	Patient: Patient{
		Title: "Patient", Back: "All patients", Edit: "Edit", MRN: "MRN", Born: "Born", Updated: "Last updated",
		NoMRN: "No MRN", NoBirth: "Birth date unknown", NoSex: "Sex not recorded", SexUnknown: "Sex unknown",
		Names: "Names", Identifiers: "Identifiers", Telecoms: "Phone and e-mail", Addresses: "Addresses", Contacts: "Contacts", Details: "Further details",
		NoName: "No name on record.", NoIdentifier: "No identifier on record.", NoTelecom: "No phone or e-mail on record.",
		NoAddress: "No address on record.", NoContact: "No contact person on record.", NoDetails: "Nothing further on record.",
		Terms: map[string]string{
			"name": "Name", "identifier": "Identifier", "telecom": "Other contact", "address": "Address", "contact": "Contact",
			"birthTime": "Time of birth", "multipleBirth": "Multiple birth", "deceased": "Deceased", "maritalStatus": "Marital status",
			"language": "Language", "generalPractitioner": "General practitioner", "managingOrganization": "Managing organization",
			"species": "Species", "breed": "Breed", "birthDate": "Birth date", "gender": "Sex", "active": "Status", "other": "Other details",
		},
		Words: map[string]map[string]string{
			"name": {"official": "Official", "usual": "Usual", "maiden": "Maiden", "nickname": "Nickname", "old": "Old", "temp": "Temporary",
				"anonymous": "Anonymous"},
			"address": {"home": "Home", "work": "Work", "temp": "Temporary", "old": "Old", "billing": "Billing"},
			"telecom": {"phone": "Phone", "sms": "Text message", "email": "E-mail", "fax": "Fax", "pager": "Pager", "url": "Web page"},
			"identifier": {"MR": "Medical record number", "SS": "Social security number", "DL": "Driver's license", "PPN": "Passport number",
				"MB": "Member number", "MC": "Medicare number", "MA": "Medicaid number", "AN": "Account number", "PI": "Patient internal identifier",
				"BCT": "Birth certificate", "NI": "National identifier", "NH": "National health plan identifier", "JHN": "Jurisdictional health number"},
			"maritalStatus": {"A": "Annulled", "C": "Common law", "D": "Divorced", "I": "Interlocutory", "L": "Legally separated", "M": "Married",
				"P": "Polygamous", "S": "Never married", "T": "Domestic partner", "U": "Unmarried", "W": "Widowed", "UNK": "Unknown"},
			"contact": {"C": "Emergency contact", "E": "Employer", "F": "Federal agency", "I": "Insurance company", "N": "Next of kin",
				"S": "State agency", "U": "Unknown relationship"},
			"yesNo": {"true": "Yes", "false": "No"},
		},
		Uses:        map[string]string{"home": "(home)", "work": "(work)", "mobile": "(mobile)", "temp": "(temporary)", "old": "(old)"},
		Until:       func(what, date string) string { return what + ", until " + date },
		BirthOrder:  func(number string) string { return "Yes, number " + number + " in order of birth" },
		Preferred:   func(language string) string { return language + " (preferred)" },
		SeenHeading: "Who saw this patient", SeenAll: "All that is on record about this patient",
		Notices: map[string]string{
			"created":   "The new patient is on record.",
			"saved":     "The change is saved.",
			"unchanged": "Nothing was changed, so nothing was saved.",
			"kept":      "What is here was kept.",
			"taken":     "The imported data was taken over.",
			"stale":     "Nothing was done, because this record changed meanwhile. Look at it again and decide.",
		},
	},

	Form: Form{
		New: "New patient", Edit: "Edit patient",
		NotSaved: func(title string) string { return "Not saved yet: " + title },
		Changed:  func(title string) string { return "Changed meanwhile: " + title },
		Known:    func(title string) string { return "On record already? " + title },
		Back:     "Back without saving", Save: "Save", SaveNew: "Save new patient", SaveAnyway: "Save anyway",
		Person: "Person", Address: "Address", Status: "Status",
		Labels: map[string]string{"family": "Family name", "given": "Given names", "birth_date": "Birth date", "gender": "Sex",
			"mrn": "Medical record number (MRN)", "phone": "Phone", "email": "E-mail", "line": "Street and number", "postal_code": "Postal code",
			"city": "City", "state": "State or region", "country": "Country", "active": "Record", "deceased": "Deceased",
			"deceased_on": "Date of death, if known"},
		LineHint: "Further lines after a comma.", ActiveHint: "Inactive instead of deleted: the patient stays on record and can be found.",
		ActiveNotRecorded: "Active (not recorded)", NotDead: "No, or not known", Yes: "Yes",
		DeadSince: func(date string) string { return "Yes, " + date },
		None:      "none",
		Problems: map[string]string{
			"known by":                    `Write a family name or a given name. If nobody knows the name, write "Unknown" or give a medical record number.`,
			"length":                      "Write at most 200 characters.",
			"control characters":          "Leave out control characters, such as tabs and line breaks.",
			"birth date":                  "That is not a date. Write the birth date as {}",
			"birth day":                   "The calendar has no such day. Write the birth date as {}",
			"birth in the future":         "Write a birth date that is not in the future.",
			"birth year":                  "Check the year: the birth date is before 1850.",
			"gender":                      "Choose one of male, female, other and unknown.",
			"mrn length":                  "Write a medical record number of at most 100 characters.",
			"phone":                       "Write the phone number with digits, spaces and + ( ) - . / only; an extension as ext 12.",
			"phone length":                "Write a phone number of at least 3 digits and at most 40 characters.",
			"email":                       "Write one e-mail address like name@example.org, without spaces.",
			"email length":                "Write an e-mail address of at most 254 characters.",
			"active":                      "Choose active or inactive.",
			"death":                       "That is not a date. Write the date of death as {}",
			"death day":                   "The calendar has no such day. Write the date of death as {}",
			"death in the future":         "Write a date of death that is not in the future.",
			"death before birth":          "Write a date of death that is not before the birth date.",
			"date of death without death": `There is a date of death. Choose "Yes" for deceased, or remove the date.`,
		},
		OneProblem: "One field needs another look. Nothing was saved yet.", SomeProblems: "Some fields need another look. Nothing was saved yet.",
		Failure: func(request string) string {
			return "Chartroom cannot reach its data right now, so nothing was saved. What you typed stands below: try again in a few seconds, " +
				"or ask for help with the number " + request + "."
		},
		DraftBefore: "This is what you had typed at ", DraftAfter: " and not saved.",
		DraftIntro:   "Nothing of it is on record. Look it over, then save it.",
		DraftStale:   "Somebody has changed this patient since: when you save, you will see both.",
		DraftDiscard: "Discard it",
		NewerHeading: "Someone else changed this patient while you were typing. Nothing was saved yet.",
		NewerBy:      "It is now as ", NewerAt: " left it on ", NewerThen: ". The form below holds both: those changes and yours.",
		NewerAsk:   "Where both changed the same field, yours stands in the form: look at the marked fields and decide.",
		NewerSave:  "Then save.",
		NewerTable: "What changed on both sides", Field: "Field", Now: "Now on record", Typed: "What you typed", ChangedBy: "Changed by",
		Both: "both", You: "you",
		Untouched: "not changed by you", NoteUnsaved: "On record now:",
		NoteBoth: "Changed by both. On record now:", NoteTheirs: "Changed on record meanwhile; taken over here.",
		LikelyHeading: "This patient may be on record already. Nothing was saved yet.",
		LikelyIntro:   "Look at those with the same name and birth date, or the same MRN. Each opens in a new tab; this form stays.",
		LikelyTable:   "Likely the same patient",
		LikelyMRN:     "The MRN that you typed is another patient’s already.",
		SameName:      "same name", SameBirth: "same birth date", SameMRN: "same MRN",
	},

	History: History{
		Heading: "History", Earlier: "Earlier versions", Older: "Still older versions are on record; this page shows the newest.",
		Version: func(number string) string { return "version " + number },
		Nothing: "Nothing that this page shows was changed.", First: "Put on record.",
		Unknown: "What was changed here, and before, is not on record.",
		Changed: "changed", ChangedIn: func(elements string) string { return "changed (in FHIR: " + elements + ")" },
		From: "from", To: "to",
		Import:     func(number string) string { return "Import " + number },
		FromImport: func(number string) string { return ", from import " + number },
		NoAuthor:   "Not recorded",
		Conflict:   "An import brought other data for this patient", ConflictCame: "It came on ",
		ConflictImport: func(number string) string {
			return " (import " + number + "). This patient was changed here since the last import, so nothing was overwritten."
		},
		ConflictDecide: "Choose which of the two stays. If you take the imported data, what is here remains in the history.",
		ConflictWait:   "Someone who may change patients has to choose which of the two stays.",
		Differs:        "What differs", Here: "Here", Imported: "Imported",
		DiffersUnseen: func(elements string) string {
			if elements == "" {
				return "The two differ in what this page does not show."
			}
			return "The two differ in what this page does not show. In FHIR it is called: " + elements + "."
		},
		KeepHere: "Keep what is here", TakeImported: "Take the imported data",
	},

	Display: Display{
		Title: "Display", Intro: "How Chartroom looks for you, on every computer that you sign in from.",
		Language: "Language", LanguageBrowser: "As the browser says",
		Theme: "Colours", ThemeSystem: "As the computer says", Light: "Light", Dark: "Dark",
		Density: "Rows of tables", Comfortable: "Comfortable", Compact: "Compact",
		Shortcuts: "Single keys", ShortcutsOn: "On", ShortcutsOff: "Off",
		ShortcutsHint: "With these on, / leads to the search and ? shows help. Switch them off if you steer by speech.",
		Columns:       "Columns of the list", ColumnsHint: "The name always stands first, and the birth date is always there: a name alone is too little to know a patient by.", SaveColumns: "Save the columns", Shown: "always shown",
		Show: func(column string) string { return "Show " + column },
		Up:   func(column string) string { return "Move " + column + " up" },
		Down: func(column string) string { return "Move " + column + " down" },
		Save: "Save", Saved: "Saved.",
	},

	Audit: Audit{
		Title: "Audit", Filters: "Filters",
		User: "User", What: "What", Patient: "Patient (address of their page)", Outcome: "Outcome", From: "From", Until: "Until", Any: "Any",
		Everything: "Everything", Now: "Now:", Show: "Show", ShowAll: "Show everything",
		All: func(group string) string { return group + ": all" },
		Groups: map[string]string{"seen": "Patients seen", "changed": "Patients changed", "taken": "Data taken out", "sign-ins": "Signing in and out",
			"accounts": "Accounts", "audit": "The audit", "denied": "Refused", "server": "The server"},
		Actions: map[string]string{
			"patient-list": "Saw in a list", "patient-open": "Opened a patient",
			"patient-create": "Added a patient", "patient-change": "Changed a patient",
			"conflict-keep": "Kept what is here instead of imported data", "conflict-take": "Took imported data over",
			"import": "Imported patients", "import-undo": "Took an import back",
			"export": "Exported patients", "audit-export": "Exported the audit",
			"sign-in": "Sign-in", "sign-out": "Signed out", "session-renewed": "Gave the password again",
			"session-ended": "Ended a session", "session-expired": "A session expired", "session-removed": "A session was removed in the database",
			"user-create": "Created a user", "user-disable": "Disabled a user", "user-enable": "Enabled a user",
			"user-set-role": "Changed a role", "user-set-password": "Set a user's password", "user-reset-link": "Made a link for a password",
			"user-sign-out": "Signed a user out everywhere", "user-unlock": "Unlocked a user", "password-change": "Changed their password",
			"password-by-link": "Set a password by a link", "email-change": "Changed their e-mail address",
			"audit-list": "Read the audit", "audit-open": "Opened an event", "audit-drop": "Dropped a month of events",
			"access": "Asked for what the role does not allow", "csrf": "Sent a form from elsewhere", "link": "Opened a link that is not valid",
			"start": "Started a server", "migration": "Migrated the database",
		},
		Done: "Done", Refused: "Refused",
		Wrong: "Nothing was looked for: see what is marked above.", NoneFound: "No event found", None: "No event matches these filters.",
		Found:     func(n int) string { return count(n, "event", "events") + " on this page" },
		FoundMore: ", and there are older ones",
		Caption:   func(from, to string) string { return "Events from " + from + " to " + to + ", the newest first" },
		Newest:    "Newest", Newer: "Newer", Older: "Older",
		Export: "Export all events:", ExportFiltered: "Export all events that pass the filters:",
		When: "When", Who: "Who", Patients: "Patients", Address: "Address",
		MarkRefused: "Refused", MarkDone: "Done",
		Shell: "shell", Nobody: "nobody known", SignInOff: "nobody: sign-in is off",
		OfShell: func(name string) string { return name + " (shell)" },
		Count: func(n int, number string) string {
			if n == 1 {
				return "1 patient"
			}
			return number + " patients"
		},
		Details: map[string]func(string) string{
			"version": func(v string) string { return "version " + v }, "fields": func(v string) string { return v },
			"import": func(v string) string { return "import " + v }, "created": func(v string) string { return v + " created" },
			"updated": func(v string) string { return v + " updated" }, "conflicts": func(v string) string { return v + " in conflict" },
			"deleted": func(v string) string { return v + " deleted" }, "restored": func(v string) string { return v + " restored" },
			"kind": func(v string) string { return v }, "format": func(v string) string { return "as " + v },
			"role": func(v string) string { return "role " + v }, "user_id": func(v string) string { return "user " + v },
			"event": func(v string) string { return "event " + v }, "searched": func(string) string { return "searched" },
			"filtered": func(string) string { return "filtered" }, "similar": func(string) string { return "similar names" },
			"duplicates": func(string) string { return "likely duplicates" }, "recent": func(string) string { return "recently opened" }, "filters": func(v string) string { return "by " + v },
			"events": func(v string) string { return v + " events" }, "complete": func(string) string { return "complete" },
			"email": func(string) string { return "with e-mail address" }, "month": func(v string) string { return "of " + v },
			"route": func(v string) string { return v }, "left_out": func(v string) string { return v + " more like it" },
			"weakened": func(v string) string { return "weakened by " + v }, "from": func(v string) string { return "from version " + v },
			"to": func(v string) string { return "to version " + v },
		},
		Values: map[string]string{
			"family": "family name", "given": "given names", "birth_date": "birth date", "gender": "sex", "mrn": "MRN", "phone": "phone", "email": "e-mail",
			"line": "street", "city": "city", "state": "state", "postal_code": "postal code", "country": "country", "active": "status", "deceased": "deceased",
			"other site": "other site", "form token": "form token", "sign-in off": "sign-in off", "unknown link": "unknown link", "invite": "invite",
			"reset": "reset", "unknown user": "unknown user", "wrong password": "wrong password", "unusable hash": "unusable hash", "disabled": "disabled",
			"locked": "locked", "throttled": "throttled", "given up": "given up", "changed meanwhile": "changed meanwhile",
			"user": "user", "action": "action", "patient": "patient", "outcome": "outcome", "time": "time",
		},
		Event: "Event", TheEvent: "The event", Number: "Number", Time: "Time", Action: "Action", Detail: "Detail", Stored: "Detail as it is stored",
		Source: "Where it came from", Client: "Client address", Session: "Session", Request: "Request code", Program: "Program",
		NoPatients: "None.",
		Gone:       func(id string) string { return "No longer here: " + id },
		More: func(n int, number string) string {
			if n == 1 {
				return "And 1 more patient: the export has all of them."
			}
			return "And " + number + " more patients: the export has all of them."
		},
		BadPatient: "Paste the address of the patient's page.", BadDate: "Write the date as 2026-12-25.", BadUntil: "This is before the first day.",
		NoUser: "No user name begins like this.",
		ManyUsers: func(most int) string {
			return "More than " + strconv.Itoa(most) + " user names begin like this: type more of it."
		},
		Nothing: "Nothing is on record.",
	},

	Help: Help{
		Title: "Help and keyboard",
		Keys:  "Keyboard", KeysNote: "Everything can also be reached with Tab and opened with Enter.",
		KeysOff:   "The single keys / and ? can be switched off under [Display].",
		KeySearch: "to the search box", KeyHelp: "shows this help",
		KeyDown: "from the search box to the first patient, and from one patient to the next", KeyUp: "to the patient before, and from the first one to the search box",
		KeyEnds: "to the first and to the last patient on the page", KeyEnter: "opens the patient",
		KeyEscape: "closes the patient, the menu or this help, and empties the search box",
		Down:      "Arrow down", Up: "Arrow up", Home: "Home", End: "End", Enter: "Enter", Escape: "Esc",
		Searching: "How to search", SearchingNote: "Capitals, accents and hyphens do not matter. The best match comes first.",
		Start: "the first letters of any name, former names and nicknames too", Part: "a part of a name, from three letters",
		Both: "two names in either order, or their first letters", Comma: "the family name before the comma",
		MRN: "an MRN from its beginning", BirthDate: "a birth date:", Phone: "the last digits of a phone, four at least",
		Several: "a name together with a year of birth", Misspelt: "a misspelt name: where few are found, patients with similar names follow",
		Whom: "Whom to ask", WhomNobody: "Ask an administrator of Chartroom.",
		WhomNotes: "A page that says that something went wrong has a request code: it helps them to find out what it was.",
	},

	Errors: Errors{
		GoToList: "Go to the patient list", ReloadList: "Reload the list",
		Back:    "Go back to where you were",
		Request: func(id string) string { return "Request code: " + id },

		Forbidden: Refusal{"Your role does not allow this", "Ask an administrator if you need it for your work."},
		NotFound:  Refusal{"There is nothing here", "The address may be mistyped, or what it showed is not available to you."},
		NoData:    Refusal{"Chartroom cannot reach its data right now", "Nothing was lost. Try again in a few seconds."},
		Failed: Refusal{"Something went wrong",
			"It was not your doing and has been noted. Try again, or ask for help with the request code below."},
		Method:          Refusal{"That is not possible here", "This address does not take such a request."},
		BadForm:         Refusal{"That form could not be read", "Go back, reload the page and try again."},
		TooMuch:         Refusal{"That is too much", "The form holds more than this page takes."},
		OtherSite:       Refusal{"This form came from another site", "For your safety it was not accepted. Open the page again from here."},
		OldPage:         Refusal{"This page is out of date", "It was made before you signed in again. Reload it and try once more."},
		BadListAddress:  Refusal{"That list address is not valid", "Open the list of patients and export it from there."},
		BadFormat:       Refusal{"There is no such format", "A list is exported as ndjson or csv."},
		ExportElsewhere: Refusal{"This download was asked for by another site", "Open the list of patients and export it from there."},
		OtherExports:    Refusal{"Other exports are under way", "Try again when they are done, in a minute or so."},
		BadAuditAddress: Refusal{"That audit address is not valid", "Open [the audit] and filter it there."},
		ReadOnly:        "Chartroom is read\u2011only right now", // a hyphen at which no line breaks
		ReadOnlyUntil: func(until string) string {
			return "Sign-in is switched off until " + until + ". Nothing was changed. Do this again after that time."
		},
	},
}

func similarNames(n int) string { return one(n, "a similar name", "similar names") }

// one is the word for one of something, or for several.
func one(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func count(n int, singular, plural string) string {
	return strconv.Itoa(n) + " " + one(n, singular, plural)
}
