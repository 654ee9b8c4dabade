package sample

// awkward are the cases that lists of people are got wrong by. Each changes an ordinary patient; why is for whoever
// wonders about a row.
var awkward = []struct {
	why  string
	make func(p *patient)
}{
	{"nobody knows the name", func(p *patient) { p.Name = nil; p.plain("1971-05-09", "female") }},
	{"the name is one text", func(p *patient) {
		p.Name = []humanName{{Text: "Woman found at Mossgather Lane"}}
		p.plain("", "female")
	}},
	{"one name only", func(p *patient) { p.called("Suharyanti"); p.plain("1988-11-23", "female") }},
	{"a name that fills the row", func(p *patient) {
		p.called("Grünspechtwiesenhofer-Thistlewoodington von und zu Quillwortmarschen",
			"Maximiliane", "Bartholomäa", "Friederike", "Seraphina", "Konstanze", "Walpurgis")
		p.plain("1956-02-28", "female")
	}},
	{"the shortest name", func(p *patient) { p.called("Ó", "I"); p.plain("2001-01-01", "male") }},
	{"an apostrophe", func(p *patient) { p.called("O'Thimbleby", "D'Arcy"); p.plain("1979-07-14", "male") }},
	{"a typographic apostrophe", func(p *patient) { p.called("O’Thimbleby", "Siobhán"); p.plain("1981-03-30", "female") }},
	{"a hyphen", func(p *patient) { p.called("Larkwhistle-Umber", "Anne-Sophie"); p.plain("1990-10-05", "female") }},
	{"a particle", func(p *patient) {
		p.called("de la Sorrelmane y Peñaflor", "María", "del Rocío")
		p.plain("1967-12-12", "female")
	}},
	{"no birth date", func(p *patient) { p.called("Teaselworth", "Agnes"); p.plain("", "female") }},
	{"only the year of birth", func(p *patient) { p.called("Hazelnutt", "Bernard"); p.plain("1949", "male") }},
	{"only year and month of birth", func(p *patient) { p.called("Saltmarshall", "Coretta"); p.plain("1962-08", "female") }},
	{"no identifier", func(p *patient) { p.called("Driftwoode", "Edmund"); p.Identifier = nil; p.plain("1975-04-18", "male") }},
	{"not active", func(p *patient) {
		p.called("Papermillar", "Fiona")
		p.plain("1993-06-21", "female")
		p.Active = ptr(false)
	}},
	{"died, the day not known", func(p *patient) {
		p.called("Windlasse", "Gerald")
		p.plain("1938-09-02", "male")
		p.DeceasedBoolean = ptr(true)
	}},
	{"died on a day", func(p *patient) {
		p.called("Windlasse", "Harriet")
		p.plain("1941-01-27", "female")
		p.DeceasedDateTime = "2024-11-03T04:15:00Z"
	}},
	{"newborn, not named yet", func(p *patient) {
		p.called("Candlewicke", "Baby Boy")
		p.plain("2025-12-30", "male")
		p.childOf("Candlewicke", "Winifred")
	}},
	{"gender other", func(p *patient) {
		p.called("Copperkettle", "Indigo")
		p.plain("1999-02-17", "other")
	}},
	{"gender unknown", func(p *patient) { p.called("Pebblebacke", "Jo"); p.plain("1985-05-25", "unknown") }},
	{"the first twin", func(p *patient) { p.twin("Kiran", 1) }},
	{"the second twin", func(p *patient) { p.twin("Karan", 2) }},
	{"a full name that another has too", func(p *patient) { p.called("Plumfielde", "Lydia", "Mae"); p.plain("1954-03-06", "female") }},
	{"the other of that name", func(p *patient) { p.called("Plumfielde", "Lydia", "Mae"); p.plain("1964-03-06", "female") }},
	{"more than a hundred years old", func(p *patient) { p.called("Mossgatherer", "Millicent"); p.plain("1919-10-31", "female") }},
	{"born on a leap day", func(p *patient) { p.called("Quillworthy", "Nadia"); p.plain("2004-02-29", "female") }},
	{"accents written as marks of their own", func(p *patient) { p.called("Pena\u0303randa", "Rene\u0301e"); p.plain("1972-07-07", "female") }},
	{"titles and a generation", func(p *patient) {
		p.called("Marigoldson", "Oswald", "T.")
		p.Name[0].Prefix, p.Name[0].Suffix = []string{"Prof.", "Dr."}, []string{"Jr.", "PhD"}
		p.plain("1959-11-11", "male")
	}},
	{"written from right to left", func(p *patient) {
		p.called("أبو القناديل", "نور الهدى")
		p.plain("1983-08-08", "female")
	}},
	{"cannot be reached", func(p *patient) {
		p.called("Lanternfisher", "Prudence")
		p.plain("1996-09-19", "female")
		p.Telecom, p.Address, p.Contact = nil, nil, nil
	}},
	{"active is not said", func(p *patient) { p.called("Umberley", "Quentin"); p.plain("1969-06-16", "male"); p.Active = nil }},
}

// called gives the patient this one name.
func (p *patient) called(family string, given ...string) {
	p.Name = []humanName{{Use: "official", Family: family, Given: given}}
}

// plain gives birth date and gender, and takes away what chance might have made awkward besides.
func (p *patient) plain(birthDate, gender string) {
	p.BirthDate, p.Gender = birthDate, gender
	p.Active, p.DeceasedBoolean, p.DeceasedDateTime = ptr(true), nil, ""
}

func (p *patient) twin(given string, number int) {
	p.called("Thimblewood", given)
	p.plain("2017-04-02", "male")
	p.childOf("Thimblewood", "Anjali")
	p.MultipleBirth = number
}

// childOf takes away what only a grown-up has, and gives the mother as the one to call.
func (p *patient) childOf(family, given string) {
	p.MaritalStatus = nil
	p.Contact = []contact{{
		Relationship: []concept{{Text: "Mother"}},
		Name:         &humanName{Family: family, Given: []string{given}},
		Telecom:      []contactPoint{{System: "phone", Value: "+1 505-555-0142"}},
	}}
}
