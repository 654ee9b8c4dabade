package handlers

import (
	"fmt"
	"html"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"chartroom/db"
	"chartroom/db/dbtest"
	"chartroom/db/fhir"
	"chartroom/views/texts"
)

// TestEveryCodeHasWords holds the texts to what package fhir gives: a code without a word would be shown as a code.
func TestEveryCodeHasWords(t *testing.T) {
	kinds := []fhir.Kind{fhir.KindName, fhir.KindIdentifier, fhir.KindTelecom, fhir.KindAddress, fhir.KindContact, fhir.KindBirthTime, fhir.KindMultiple,
		fhir.KindDeceased, fhir.KindMarital, fhir.KindLanguage, fhir.KindPractitioner, fhir.KindOrganization, fhir.KindSpecies, fhir.KindBreed, fhir.KindBirthDate,
		fhir.KindSex, fhir.KindStatus, fhir.KindOther}
	for _, l := range texts.Languages {
		f := format{t: l}
		if len(l.Patient.Terms) != len(kinds) {
			t.Errorf("%s: %d terms for %d kinds", l.Tag, len(l.Patient.Terms), len(kinds))
		}
		for _, k := range kinds {
			if l.Patient.Terms[string(k)] == "" {
				t.Errorf("%s: no term for %s", l.Tag, k)
			}
		}
		for kind, codes := range fhir.Codes {
			for _, code := range codes {
				if said := f.value(fhir.Value{Kind: kind, Code: code}); said == "" || said == code {
					t.Errorf("%s: no word for %s %s", l.Tag, kind, code)
				}
			}
			if words := l.Patient.Words[string(kind)]; words != nil && len(words) != len(codes) {
				t.Errorf("%s: words for codes that there are not: %v", l.Tag, words)
			}
		}
		for _, use := range fhir.TelecomUses {
			if l.Patient.Uses[use] == "" {
				t.Errorf("%s: no word for %s", l.Tag, use)
			}
		}
		for _, field := range db.Fields {
			if l.Form.Labels[field.Key] == "" || l.Audit.Values[field.Key] == "" {
				t.Errorf("%s: no label for %s", l.Tag, field.Key)
			}
		}
		if l.Form.Labels[deceasedOn] == "" || len(l.Form.Labels) != len(db.Fields)+1 {
			t.Errorf("%s: labels %v", l.Tag, l.Form.Labels)
		}
		for _, rule := range fhir.Rules {
			if !strings.HasSuffix(strings.Replace(l.Form.Problems[string(rule)], "{}", l.Dates.HintDayFirst, 1), ".") {
				t.Errorf("%s: %q says nothing", l.Tag, rule)
			}
		}
		if len(l.Form.Problems) != len(fhir.Rules) {
			t.Errorf("%s: %d problems for %d rules", l.Tag, len(l.Form.Problems), len(fhir.Rules))
		}
		for rule, limits := range map[fhir.Rule][]int{fhir.RuleLength: {fhir.MaxField}, fhir.RuleMRNLength: {fhir.MaxMRN}, fhir.RuleEmailLength: {fhir.MaxEmail},
			fhir.RulePhoneLength: {fhir.MinPhone, fhir.MaxPhone}} {
			for _, n := range limits {
				if !strings.Contains(l.Form.Problems[string(rule)], " "+strconv.Itoa(n)+" ") {
					t.Errorf("%s: %q does not say %d", l.Tag, rule, n)
				}
			}
		}
		if !strings.Contains(l.Form.Problems[string(fhir.RuleBirthYear)], " "+fhir.FirstYear) {
			t.Errorf("%s: the first year", l.Tag)
		}
	}
}

func TestWhatARecordSaysIsWordedForItsReader(t *testing.T) {
	english, spanish := format{t: &texts.English, locale: "en"}, format{t: &texts.Spanish, locale: "es"}
	coded := func(kind fhir.Kind, said, code string) fhir.Term {
		return fhir.Term{Kind: kind, Words: []fhir.Word{{Said: said, Code: code}}}
	}
	for _, c := range []struct {
		term                     fhir.Term
		english, spanish         string
		englishAlone, inItsPlace string
	}{
		{coded(fhir.KindName, "", "official"), "Official", "Oficial", "Name (official)", "Nombre (oficial)"},
		{fhir.Term{Kind: fhir.KindName, Until: "2001-02"}, "Name, until Feb 2001", "Nombre, hasta: feb 2001", "Name, until Feb 2001", "Nombre, hasta: feb 2001"},
		{fhir.Term{Kind: fhir.KindTelecom, Words: []fhir.Word{{Code: "phone"}}, Use: "mobile"}, "Phone (mobile)", "Teléfono (móvil)", "Phone (mobile)", "Teléfono (móvil)"},
		{fhir.Term{Kind: fhir.KindTelecom}, "Other contact", "Otro contacto", "Other contact", "Otro contacto"},
		{coded(fhir.KindIdentifier, "Medical Record Number", "MR"), "Medical Record Number", "Número de historia clínica", "Medical Record Number", "Número de historia clínica"},
		{coded(fhir.KindIdentifier, "Driver's license number", "DL"), "Driver's license number", "Licencia de conducir", "Driver's license number", "Licencia de conducir"},
		{coded(fhir.KindIdentifier, "ward no.", "MR"), "Ward no.", "Ward no.", "Ward no.", "Ward no."},
		{coded(fhir.KindIdentifier, "SSN of old", ""), "SSN of old", "SSN of old", "SSN of old", "SSN of old"},
		{fhir.Term{Kind: fhir.KindContact, Words: []fhir.Word{{Code: "N"}, {Said: "mother"}}}, "Next of kin, mother", "Familiar más cercano, mother",
			"Contact (next of kin, mother)", "Contacto (familiar más cercano, mother)"},
	} {
		if a, b, d, e := english.term(c.term), spanish.term(c.term), english.termAlone(c.term), spanish.termAlone(c.term); a != c.english || b != c.spanish || d != c.englishAlone || e != c.inItsPlace {
			t.Errorf("%+v: %q, %q, %q, %q", c.term, a, b, d, e)
		}
	}
	for _, c := range []struct {
		value            fhir.Value
		english, spanish string
	}{
		{fhir.Value{Text: "as it stands"}, "as it stands", "as it stands"},
		{fhir.Value{Kind: fhir.KindDate, Text: "2020-01-03"}, "3 Jan 2020", "3 ene 2020"},
		{fhir.Value{Kind: fhir.KindDate, Text: "some time"}, "some time", "some time"},
		{fhir.Value{Kind: fhir.KindDate, Text: "2025-11-02T00:17:00+01:00"}, "2 Nov 2025, 00:17 (+01:00)", "2 nov 2025, 00:17 (+01:00)"},
		{fhir.Value{Kind: fhir.KindDate, Text: "2025-11-02T00:17:09Z"}, "2 Nov 2025, 00:17:09 (+00:00)", "2 nov 2025, 00:17:09 (+00:00)"},
		{fhir.Value{Kind: fhir.KindMarital, Text: "Married", Code: "M"}, "Married", "Casado/a"},
		{fhir.Value{Kind: fhir.KindMarital, Text: "Never Married", Code: "S"}, "Never Married", "Nunca se ha casado"},
		{fhir.Value{Kind: fhir.KindMarital, Text: "it is complicated", Code: "S"}, "it is complicated", "it is complicated"},
		{fhir.Value{Kind: fhir.KindMarital, Text: "ZZ"}, "ZZ", "ZZ"},
		{fhir.Value{Kind: fhir.KindBirthOrder, Text: "2"}, "Yes, number 2 in order of birth", "Sí, número 2 por orden de nacimiento"},
		{fhir.Value{Kind: fhir.KindPreferred, Text: "Irish"}, "Irish (preferred)", "Irish (preferido)"},
		{fhir.Value{Kind: fhir.KindTelecom, Text: "5", Code: "fax", Use: "work"}, "Fax (work): 5", "Fax (trabajo): 5"},
		{fhir.Value{Kind: fhir.KindTelecom, Text: "5"}, "Other contact: 5", "Otro contacto: 5"},
		{fhir.Value{Kind: fhir.KindStatus, Code: "false"}, "Inactive", "Inactivo"},
	} {
		if a, b := english.value(c.value), spanish.value(c.value); a != c.english || b != c.spanish {
			t.Errorf("%+v: %q, %q", c.value, a, b)
		}
	}
}

// gather collects what a part of the texts says: of a function, a pattern that has something for each number and name.
func gather(v reflect.Value, into map[string]bool) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			gather(v.Field(i), into)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			gather(v.MapIndex(k), into)
		}
	case reflect.Array:
		for i := range v.Len() {
			gather(v.Index(i), into)
		}
	case reflect.String:
		into[regexp.QuoteMeta(strings.TrimSpace(v.String()))] = true
	case reflect.Func:
		for _, n := range []int{1, 97} {
			var args []reflect.Value
			for i := range v.Type().NumIn() {
				if v.Type().In(i).Kind() == reflect.Int {
					args = append(args, reflect.ValueOf(n))
				} else {
					args = append(args, reflect.ValueOf("ж"))
				}
			}
			out := regexp.QuoteMeta(strings.TrimSpace(v.Call(args)[0].String()))
			into[strings.NewReplacer("97", ".+", "ж", ".+").Replace(out)] = true
		}
	}
}

// leftOver are the English texts of the sections that people read in Spanish.
func leftOver() *regexp.Regexp {
	english, spanish := map[string]bool{}, map[string]bool{}
	for _, l := range texts.Languages {
		into := map[*texts.Texts]map[string]bool{&texts.English: english, &texts.Spanish: spanish}[l]
		for _, part := range []any{l.Common, l.Dates, l.List, l.Patient, l.Form, l.History, l.Audit, l.Errors} {
			gather(reflect.ValueOf(part), into)
		}
	}
	var all []string
	for text := range english {
		if !spanish[text] && text != "" && text != ".+" {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return regexp.MustCompile(`^(?:(?:` + strings.Join(all, `)|(?:`) + `))$|\d (?:Jan|Apr|Aug|Dec) \d`)
}

var spoken = regexp.MustCompile(`>([^<]+)<| (?:aria-label|label|title|placeholder)="([^"]*)"`)

func TestNoEnglishIsLeftOverInSpanish(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	full, err := os.ReadFile(filepath.Join(dbtest.Root(), "db", "fhir", "testdata", "patient", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	resource, err := fhir.Line(full)
	if err != nil {
		t.Fatal(err)
	}
	s.load(string(resource) + "\n" + patientJSON("p2", "Quimbleton", "Zadok", "QX-900", "1974-12-25"))
	path := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE family <> 'Quimbleton'`)
	other := "/patients/" + scan[string](s, `SELECT id::text FROM patients WHERE family = 'Quimbleton'`)
	s.exec(`INSERT INTO user_preferences (user_id, preferences) SELECT id, '{"language": "es"}' FROM users`)
	admin, clinician := s.as("admin"), s.as("clinician")
	english, seen := leftOver(), map[string]int{}
	spanish := func(what string, a answer, status int, wanted ...string) answer {
		t.Helper()
		wants(t, what, a, status, append([]string{`<html lang="es"`}, wanted...)...)
		for _, m := range spoken.FindAllStringSubmatch(a.main(), -1) {
			text := strings.Join(strings.Fields(html.UnescapeString(m[1]+m[2])), " ")
			if english.MatchString(text) {
				t.Errorf("%s: English is left over: %q", what, text)
			}
			seen[text]++
		}
		title, _, _ := strings.Cut(a.body[strings.Index(a.body, "<title>")+7:], "·")
		if english.MatchString(strings.TrimSpace(title)) {
			t.Errorf("%s: the title is %q", what, strings.TrimSpace(title))
		}
		return a
	}

	spanish("the page", admin.get(path), 200, "Estado civil", "Teléfono (móvil)", "Quién ha visto a este paciente", "Se registró.", "Número de pasaporte", "7 oct 1958")
	page := spanish("the form", clinician.get(path+"/edit"), 200, "Apellidos", "Desconocido", `25/12/1974</span> o <span class="whole">1974-12-25`)
	spanish("the empty form", clinician.get("/patients/new"), 200, "Guardar el nuevo paciente")
	spanish("its problems", clinician.send(path, page, "family", "a\tb", "given", strings.Repeat("a", 201), "birth_date", "1849", "gender", "x", "mrn", strings.Repeat("1", 101), "phone", "x",
		"email", "x", "active", "x", "deceased", "", "deceased_on", "2020"), 422, "Compruebe el año", "Elija «Sí»", "Revise algunos campos")
	for field, values := range map[string][]string{"birth_date": {"x", "2999"}, "phone": {"12"}, "email": {strings.Repeat("a", 250) + "@b.example"}} {
		for _, value := range values {
			spanish(field, clinician.send(path, page, field, value), 422, "Revise un campo")
		}
	}
	for _, on := range []string{"x", "2999", "1900"} {
		spanish("a death", clinician.send(path, page, "deceased", "true", "deceased_on", on), 422)
	}
	empty := clinician.get("/patients/new")
	spanish("nobody", clinician.send("/patients", empty), 422, "Escriba un apellido")
	spanish("who is there already", clinician.send("/patients", empty, "family", "Quimbleton", "given", "Zadok", "birth_date", "1974-12-25"), 409, "ya esté registrado", "Guardar de todos modos")
	if a := admin.send(path, admin.get(path+"/edit"), "phone", "555 0222", "city", "Netherby", "gender", "other", "deceased", "true", "active", "false"); a.status != 303 {
		t.Fatal(a.status)
	}
	clinician.draft(path+"/draft", page, "phone", "555 0111")
	spanish("what was typed before", clinician.get(path+"/edit"), 200, "no guardado (hora:", "Alguien ha cambiado este paciente")
	spanish("somebody else's change", clinician.send(path, page, "phone", "555 0111", "country", ""), 409, "Cambiado por ambos.", "Otra persona cambió", "ambos", "usted", "sin datos")
	s.exec(`INSERT INTO patient_conflicts (patient_id, import_id, last_id, resource, resource_sha)
		SELECT id, 12, 12, $1::text::json, sha256($1::text::bytea) FROM patients WHERE family = 'Quimbleton'`,
		`{"resourceType":"Patient","id":"p2","name":[{"use":"old","family":"Quimbleton"}],"photo":[{"url":"x"}],"active":true,"gender":"female"}`)
	spanish("a conflict", clinician.get(other), 200, "Una importación trajo otros datos", "importación 12", "Nombre (anterior)", "Femenino", "Conservar lo que hay aquí")
	spanish("of which one may not decide", s.as("viewer").get(other), 200, "Alguien que pueda cambiar pacientes")
	spanish("the history", clinician.get(path+"?notice=saved"), 200, "El cambio se ha guardado.", "versión 2", "Fallecido", "Inactivo")
	for _, notice := range slices.Sorted(maps.Keys(texts.English.Patient.Notices)) {
		spanish(notice, clinician.get(path+"?notice="+notice), 200, texts.Spanish.Patient.Notices[notice])
	}

	// One of each action, with each detail.
	for _, action := range db.AuditActions {
		s.exec(`INSERT INTO audit_events (action, outcome, actor, program, detail) VALUES ($1, 'success', 'root', 'test', $2)`, action,
			`{"version": 2, "fields": ["family", "birth_date"], "import": 3, "created": 1, "updated": 2, "conflicts": 1, "deleted": 1, "restored": 1, "format": "csv",
			  "user_id": 4, "event": 5, "searched": true, "filtered": true, "similar": true, "duplicates": true, "filters": ["user", "action", "patient", "outcome", "time"],
			  "events": 9, "complete": true, "email": true, "month": "2020-03", "left_out": 2, "role": "clinician"}`)
	}
	for _, kind := range []string{"other site", "form token", "sign-in off", "unknown link", "invite", "reset", "unknown user", "wrong password", "unusable hash", "disabled",
		"locked", "throttled", "given up", "changed meanwhile"} {
		s.exec(`INSERT INTO audit_events (action, outcome, detail) VALUES ('sign-in', 'refused', jsonb_build_object('kind', $1::text))`, kind)
	}
	s.exec(`INSERT INTO audit_events (action, outcome, actor, patients) VALUES ('patient-list', 'success', $1, ARRAY(SELECT gen_random_uuid() FROM generate_series(1, 1200)))`, db.StandInName)
	spanish("the audit", admin.get("/admin/audit"), 200, "Inicio de sesión", "Denegado", "consola", "nadie conocido", "contraseña incorrecta", "Exportar todos los eventos:",
		"eventos en esta página, y hay otros anteriores", "1\u202f200 pacientes", "nadie: el inicio de sesión está desactivado", "rol: personal clínico")
	spanish("filtered", admin.filterAudit("who", "root", "patient", "", "what", "seen"), 200, "root (consola)", "que cumplen los filtros")
	spanish("of a patient", admin.filterAudit("patient", path), 200, "Ahora:")
	spanish("nothing", admin.filterAudit("to", "1990-01-01"), 200, "Ningún evento cumple estos filtros.")
	for _, wrong := range [][]string{{"from", "x"}, {"from", "2020-03-02", "to", "2020-03-01"}, {"who", "nobody"}, {"patient", "x"}} {
		spanish(fmt.Sprint(wrong), admin.post("/admin/audit/search", append(wrong, "csrf_token", admin.token())...), 422, "No se buscó nada", "<title>Error: Auditoría")
	}
	spanish("wrong in the address", admin.get("/admin/audit?from=x"), 422, "Escriba la fecha como")
	for _, action := range []string{"patient-list", "sign-in"} {
		spanish("an event", admin.get("/admin/audit/events/"+strconv.Itoa(scan[int](s, `SELECT max(id)::int FROM audit_events WHERE action = $1`, action))), 200, "De dónde vino")
	}
	spanish("no audit address", admin.get("/admin/audit?user=x"), 400)
	spanish("no format", clinician.get("/patients/export?format=xlsx", "Accept-Language", "es"), 400)

	s.exec(`CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END$$`)
	s.exec(`CREATE TRIGGER deadlock BEFORE INSERT ON name_words FOR EACH ROW EXECUTE FUNCTION deadlock()`)
	spanish("a database that is busy", clinician.send(other, clinician.get(other+"/edit"), "family", "Unheardof"), 503, "así que no se guardó nada")

	// That the page's texts were looked at at all.
	for _, text := range []string{"Historial de cambios", "Calle y número", "Todavía no se ha guardado nada.", "Resultado"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(s string) bool { return strings.Contains(s, text) }) {
			t.Errorf("%q was not seen", text)
		}
	}
	for _, text := range []string{"Earlier versions", "version 3", "97 patients", "Phone", "4 Dec 2020", "Events from a to b, the newest first"} {
		if !english.MatchString(text) {
			t.Errorf("%q would not be found", text)
		}
	}
}
