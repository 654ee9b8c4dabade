package fhir

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// told is what a Reader gives for an input, a line each: "place: resource", "place url: resource" or "place! reason".
// The last line is the error that ended it, if it was not io.EOF.
func told(t testing.TB, from io.Reader) []string {
	t.Helper()
	r, err := NewReader(from)
	if err != nil {
		return []string{"not opened! " + err.Error()}
	}
	return toldBy(t, r)
}

func toldBy(t testing.TB, r *Reader) []string {
	t.Helper()
	defer r.Close()
	var all []string
	for {
		e, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			if _, again := r.Next(); !errors.Is(again, err) {
				t.Errorf("after the error %v came %v", err, again)
			}
			return append(all, "ended! "+err.Error())
		case e.Err != nil:
			if e.Raw != nil {
				t.Errorf("%s has both a resource and an error", e.Where())
			}
			all = append(all, e.Where()+"! "+e.Err.Error())
		case e.FullURL != "":
			all = append(all, e.Where()+" "+e.FullURL+": "+string(e.Raw))
		default:
			all = append(all, e.Where()+": "+string(e.Raw))
		}
	}
}

// expect reads the input in one piece and byte by byte, which must make no difference.
func expect(t *testing.T, input string, want ...string) {
	t.Helper()
	for how, from := range map[string]io.Reader{
		"whole": strings.NewReader(input), "byte by byte": iotest.OneByteReader(strings.NewReader(input)),
	} {
		if got := told(t, from); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s, %.200q\n gave\n%s\n not\n%s", how, input, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

const (
	ann = `{"resourceType":"Patient","id":"ann"}`
	bob = `{"resourceType":"Patient","id":"bob"}`
	cyd = `{"resourceType":"Patient","id":"cyd"}`

	bom     = "\xef\xbb\xbf"
	badLine = "! this line is not valid JSON"
)

func pretty(compact string) string {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(compact), "", "  "); err != nil {
		panic(err)
	}
	return out.String()
}

func bundle(resources ...string) string {
	var entries []string
	for _, r := range resources {
		entries = append(entries, `{"resource":`+r+`}`)
	}
	return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(entries, ",") + `]}`
}

func TestReaderNDJSON(t *testing.T) {
	both := []string{"line 1: " + ann, "line 2: " + bob}
	expect(t, ann+"\n"+bob+"\n", both...)
	expect(t, ann+"\n"+bob, both...)          // no end of line at the end
	expect(t, ann+"\r\n"+bob+"\r\n", both...) // from Windows
	expect(t, bom+ann+"\n"+bob, both...)
	expect(t, ann+"\n"+bom+bob, both...) // two files with byte order marks put together
	expect(t, " "+ann+"  \n\t"+bob+"\n\n\n", both...)
	expect(t, "\n\r\n"+ann+"\n\n \n"+bob, "line 3: "+ann, "line 6: "+bob)
}

func TestReaderABadLineCostsOnlyItself(t *testing.T) {
	for _, bad := range []string{
		`{"resourceType":"Patient","id":"eve}`, // cut off in a string
		`{"resourceType":"Patient","id":"ev`,
		`{"resourceType":"Patient","id":"eve",`, // cut off after a comma
		`{"resourceType":"Patient","name":[{"given":["eve"]}`,
		`{"resourceType":"Patient","id":tru`,
		`{"resourceType":"Patient","multipleBirthInteger":1`,
		`{"resourceType":"Patient","id":"eve"}}`,
		`{"resourceType":"Patient" "id":"eve"}`,
		`{'resourceType':'Patient'}`,
		`{"resourceType":"Patient","multipleBirthInteger":01}`,
		`eve`, `}`, `"eve`, `,`,
	} {
		expect(t, bad+"\n"+ann+"\n"+bob+"\n", "line 1"+badLine, "line 2: "+ann, "line 3: "+bob)
		expect(t, ann+"\n"+bad+"\n"+bob+"\n", "line 1: "+ann, "line 2"+badLine, "line 3: "+bob)
		expect(t, ann+"\n"+bob+"\n"+bad+"\n", "line 1: "+ann, "line 2: "+bob, "line 3"+badLine)
		expect(t, ann+"\n"+bob+"\n"+bad, "line 1: "+ann, "line 2: "+bob, "line 3"+badLine)
	}
	expect(t, ann+"\n{\"id\":\"\xe9ve\"}\n"+bob, "line 1: "+ann, "line 2! the resource is not valid UTF-8", "line 3: "+bob)
	for _, value := range []string{`null`, `12`, `"eve"`, `true`} {
		expect(t, value+"\n"+ann, "line 1! a resource must be a JSON object", "line 2: "+ann)
		expect(t, ann+"\n"+value, "line 1: "+ann, "line 2! a resource must be a JSON object")
	}
}

func TestReaderOneResource(t *testing.T) {
	expect(t, ann, "line 1: "+ann)
	expect(t, pretty(ann), "resource: "+pretty(ann))
	expect(t, "\n"+bom+pretty(ann)+"\r\n\n", "resource: "+pretty(ann))
	expect(t, "{\n"+ann[1:], "resource: {\n"+ann[1:])
	expect(t, "{\"id\"\n\n:\n\"ann\"}", "resource: {\"id\"\n\n:\n\"ann\"}")                       // broken where nobody would
	expect(t, "{\"id\":\"ann\"\n,\"a\":1}", "resource: {\"id\":\"ann\"\n,\"a\":1}")               // commas in front
	expect(t, "{\"a\":[{}\n\n\n,\n{}]}\n", "resource: {\"a\":[{}\n\n\n,\n{}]}")                   // blank lines inside
	expect(t, "{\"a\":[\n{\"b\":1},\n{\"b\":2}]}", "resource: {\"a\":[\n{\"b\":1},\n{\"b\":2}]}") // lines that look like NDJSON
}

func TestReaderDocumentsAfterEachOther(t *testing.T) {
	two := pretty(ann) + "\n" + pretty(bob)
	expect(t, two, "resource: "+pretty(ann), "line 5: "+pretty(bob))
	expect(t, two+cyd, "resource: "+pretty(ann), "line 5: "+pretty(bob), "line 8: "+cyd)
	expect(t, pretty(bundle(ann))+"\n"+pretty(bundle(bob)),
		"entry 1: "+indented(ann, 3), "line 13, entry 1: "+indented(bob, 3))
	expect(t, pretty(ann)+"\n7\n"+pretty(bob), "resource: "+pretty(ann), "line 5! a resource must be a JSON object", "line 6: "+pretty(bob))
}

// indented is how a value looks that deep inside a pretty-printed one.
func indented(compact string, deep int) string {
	return strings.ReplaceAll(pretty(compact), "\n", "\n"+strings.Repeat("  ", deep))
}

func TestReaderBundle(t *testing.T) {
	expect(t, bundle(ann, bob), "entry 1: "+ann, "entry 2: "+bob)
	expect(t, pretty(bundle(ann, bob)), "entry 1: "+indented(ann, 3), "entry 2: "+indented(bob, 3))
	expect(t, bundle()) // a search without a hit
	expect(t, `{"resourceType":"Bundle","total":0}`)
	for _, wrapped := range []string{
		`{"entry":[{"resource":` + ann + `}],"type":"searchset","resourceType":"Bundle"}`, // the type comes last
		`{"entry":[{"resource":` + ann + `}]}`,                                            // or not at all
		`{"total":1,"link":[{"entry":[{}]}],"entry":[{"resource":` + ann + `,"search":{"mode":"match"}}],"resourceType":"Bundle"}`,
		`{"resource\u0054ype":"Bun\u0064le","\u0065ntry":[{"\u0072esource":` + ann + `}]}`,
		"{\"resourceType\":\"Bundle\",\n\"entry\":[\n{\"resource\":" + ann + "}\n]}", // a line each: not NDJSON
		"{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":" + ann + "}\n]}",
	} {
		expect(t, wrapped, "entry 1: "+ann)
	}
	url := "urn:uuid:0d3f"
	expect(t, `{"resourceType":"Bundle","entry":[{"fullUrl":"`+url+`","resource":`+ann+`},{"resource":`+bob+`,"fullUrl":"https:\/\/a.example\/b"}]}`,
		"entry 1 "+url+": "+ann, "entry 2 https://a.example/b: "+bob)
}

func TestReaderBundleEntriesWithoutAResourceArePassedOver(t *testing.T) {
	expect(t, `{"resourceType":"Bundle","type":"transaction","entry":[
		{"request":{"method":"DELETE","url":"Patient/1"}}, {}, {"resource":`+ann+`,"request":{"method":"POST","url":"Patient"}},
		{"response":{"status":"204"}}]}`, "entry 3: "+ann)
}

// Nothing that could be a patient may go unnoticed.
func TestReaderBundleEntriesThatAreWrongAreRejected(t *testing.T) {
	expect(t, `{"resourceType":"Bundle","entry":[7,`+ann+`,{"resource":null},{"resource":[`+ann+`]},{"resource":`+ann+`,"resource":`+bob+`},{"resource":`+cyd+`}]}`,
		"entry 1! a resource must be a JSON object",
		"entry 2! the entry is itself a resource: it must be in the entry's member resource",
		"entry 3! a resource must be a JSON object",
		"entry 4! a resource must be a JSON object",
		"entry 5! the entry names its resource or its fullUrl more than once",
		"entry 6: "+cyd)
	expect(t, `{"resourceType":"Bundle","entry":{"resource":`+ann+`}}`, "line 1! the entry of a Bundle must be a list")
	expect(t, `{"resourceType":"Bundle","resourceType":"Patient"}`, "line 1! the resource names its resourceType more than once")
}

func TestReaderSomethingElseWithEntriesIsGivenWhole(t *testing.T) {
	for _, list := range []string{
		`{"resourceType":"List","entry":[{"item":{"reference":"Patient/1"}}]}`,
		`{"entry":[{"item":{"reference":"Patient/1"}}],"resourceType":"List"}`,
		`{"resourceType":"Patient","id":"ann","entry":[{"resource":` + bob + `}]}`,
		`{"entry":[` + `]}`,
	} {
		expect(t, list, "line 1: "+list)
		expect(t, bundle(ann, list), "entry 1: "+ann, "entry 2: "+list)
		expect(t, pretty(list), "resource: "+pretty(list))
	}
}

func TestReaderBundlesInsideBundles(t *testing.T) {
	expect(t, bundle(ann, bundle(bob, cyd), ann), "entry 1: "+ann, "entry 2: "+bob, "entry 2: "+cyd, "entry 3: "+ann)
	deep := ann
	for range maxBundles {
		deep = bundle(deep)
	}
	expect(t, deep, "entry 1: "+ann)
	expect(t, bundle(deep, bob), "entry 1! there are more than 4 Bundles inside each other", "entry 2: "+bob)
}

func TestReaderBundlesInNDJSON(t *testing.T) {
	expect(t, bundle(ann, bob)+"\n"+bundle(cyd)+"\n", "line 1, entry 1: "+ann, "line 1, entry 2: "+bob, "line 2, entry 1: "+cyd)
	expect(t, ann+"\n"+bundle(bob), "line 1: "+ann, "line 2, entry 1: "+bob)
	expect(t, bundle(ann)+"\n"+bundle(bob)[:90]+"\n"+cyd, "line 1, entry 1: "+ann, "line 2"+badLine, "line 3: "+cyd)
}

func TestReaderArray(t *testing.T) {
	expect(t, `[`+ann+`,`+bob+`]`, "entry 1: "+ann, "entry 2: "+bob)
	expect(t, "[\n"+ann+",\n"+bob+"\n]\n", "entry 1: "+ann, "entry 2: "+bob)
	expect(t, "["+ann+",\n"+bob+"]", "entry 1: "+ann, "entry 2: "+bob)
	expect(t, `[`+ann+`,1,`+bundle(bob, cyd)+`]`, "entry 1: "+ann, "entry 2! a resource must be a JSON object", "entry 3: "+bob, "entry 3: "+cyd)
	expect(t, `[]`)
	expect(t, ann+"\n["+bob+"]", "line 1: "+ann, "line 2, entry 1: "+bob)
}

func TestReaderADamagedDocumentGivesWhatCameBefore(t *testing.T) {
	whole := bundle(ann, bob, cyd)
	third := strings.Index(whole, cyd)
	expect(t, whole[:third+10], "entry 1: "+ann, "entry 2: "+bob,
		fmt.Sprintf("entry 3! the JSON is cut off: it ends inside a value, at byte offset %d", third+10))
	expect(t, whole[:third]+"\x01"+whole[third+1:], "entry 1: "+ann, "entry 2: "+bob,
		fmt.Sprintf("entry 3! not valid JSON at byte offset %d; nothing from there on was read", third))
	lines := pretty(bundle(ann, bob))
	second := strings.Index(lines, `"bob"`)
	expect(t, lines[:second]+"bob"+lines[second+5:], "entry 1: "+indented(ann, 3),
		fmt.Sprintf("entry 2! not valid JSON at byte offset %d; nothing from there on was read", second))
	expect(t, pretty(ann)+"\n,\n"+pretty(bob), "resource: "+pretty(ann),
		fmt.Sprintf("line 5! not valid JSON at byte offset %d; nothing from there on was read", len(pretty(ann))+1))
	expect(t, `{"resourceType":"Pat`, "resource! the JSON is cut off: it ends inside a value, at byte offset 20")
}

func TestReaderWhatIsNotJSONSaysSo(t *testing.T) {
	expect(t, "<?xml version=\"1.0\"?>\n<Patient/>", "line 1! this is not JSON: it looks like XML or HTML")
	expect(t, "\n<!DOCTYPE html><title>Sign in</title>", "line 2! this is not JSON: it looks like XML or HTML")
	expect(t, "Id,BIRTHDATE,LAST\n1,1970-01-01,Ann\n", "line 1! this is not JSON: it looks like CSV")
	expect(t, "Ann\nBob\n", "line 1! this is not JSON: it begins with neither { nor [")
	expect(t, "\xff\xfe{\x00\"\x00", "resource! this is not JSON: it is encoded in UTF-16 or UTF-32, and must be in UTF-8")
	expect(t, "\x00{\x00\"", "resource! this is not JSON: it holds zero bytes, as UTF-16 does, and must be in UTF-8")
	expect(t, "PK\x03\x04abc", "resource! this is not JSON: it is a zip archive, unpack it first")
	expect(t, string(gzipped(t, gzipped(t, []byte(ann)))), "resource! this is not JSON: it is packed twice, unpack it first")
	long := told(t, strings.NewReader(strings.Repeat("Ann ", maxResource/4+100)+"\n"+ann))
	if strings.Join(long, "\n") != "line 1! this is not JSON: it begins with neither { nor [" {
		t.Errorf("a long line gave %.200q", long)
	}
}

func TestReaderNothingIsNothing(t *testing.T) {
	for _, nothing := range []string{"", bom, "\n", " \r\n\t\n", strings.Repeat("\n", 3*chunk)} {
		expect(t, nothing)
	}
	expect(t, strings.Repeat(" \n", 3*chunk)+ann, fmt.Sprintf("line %d: %s", 3*chunk+1, ann))
}

// What is stored must be what was sent: a digest of it is compared with the next import's.
func TestReaderKeepsEveryByte(t *testing.T) {
	odd := `{ "id" :"a\u00e9\/\"\\\ud83d\ude00",  "n":[1.0,1e2,-0,1E+2,0.10,12345678901234567890123],"b":"` + "é😀\u2028\x7f" + `","a":{},"b":"again" }`
	expect(t, odd+"\n"+odd, "line 1: "+odd, "line 2: "+odd)
	expect(t, bundle(odd), "entry 1: "+odd)
	expect(t, `[ `+odd+` ]`, "entry 1: "+odd)
	lines := strings.ReplaceAll(odd, " ", "\r\n\t")
	expect(t, lines, "resource: "+lines)
	expect(t, bundle(lines), "entry 1: "+lines)
}

func TestReaderGivesResourcesToKeep(t *testing.T) {
	r, _ := NewReader(strings.NewReader(ann + "\n" + bundle(bob, cyd)))
	defer r.Close()
	var kept [][]byte
	for e, err := r.Next(); err == nil; e, err = r.Next() {
		kept = append(kept, e.Raw)
	}
	if got := string(bytes.Join(kept, []byte(" "))); got != ann+" "+bob+" "+cyd {
		t.Errorf("kept %s", got)
	}
}

func sized(id string, n int) string {
	head, tail := `{"resourceType":"Patient","id":"`+id+`","photo":"`, `"}`
	return head + strings.Repeat("A", n-len(head)-len(tail)) + tail
}

func TestReaderAHugeResourceIsRejectedAndTheRestGoesOn(t *testing.T) {
	const most = 5 * chunk // instead of 16 MiB, to be quick
	limit, over := sized("eve", most), sized("eve", most+1)
	const tooLarge = "! the resource is larger than 16 MiB"
	for name, c := range map[string]struct {
		input string
		want  []string
	}{
		"first line":       {over + "\n" + ann + "\nbad\n" + bob, []string{"line 1" + tooLarge, "line 2: " + ann, "line 3" + badLine, "line 4: " + bob}},
		"middle line":      {ann + "\n" + over + "\n" + bob, []string{"line 1: " + ann, "line 2" + tooLarge, "line 3: " + bob}},
		"last line":        {ann + "\n" + over, []string{"line 1: " + ann, "line 2" + tooLarge}},
		"the only one":     {over, []string{"line 1" + tooLarge}},
		"in a Bundle":      {bundle(ann, over, bob), []string{"entry 1: " + ann, "entry 2" + tooLarge, "entry 3: " + bob}},
		"in a list":        {"[" + over + "," + ann + "]", []string{"entry 1" + tooLarge, "entry 2: " + ann}},
		"at the limit":     {limit + "\n" + limit, []string{"line 1: " + limit, "line 2: " + limit}},
		"a document":       {"{\n" + over[1:] + "\n" + pretty(ann), []string{"line 1" + tooLarge, "line 3: " + pretty(ann)}},
		"a Bundle in line": {ann + "\n" + bundle(bob, limit, cyd) + "\n" + bob, []string{"line 1: " + ann, "line 2, entry 1: " + bob, "line 2, entry 2: " + limit, "line 2, entry 3: " + cyd, "line 3: " + bob}},
		"a bad long line": {ann + "\n" + strings.TrimSuffix(bundle(bob, over), "]}") + "}\n" + cyd,
			[]string{"line 1: " + ann, "line 2, entry 1: " + bob, "line 2, entry 2" + tooLarge,
				fmt.Sprintf("line 2, entry 2! not valid JSON at byte offset %d", len(ann+"\n"+bundle(bob, over))-2), "line 3: " + cyd}},
		"a cut long line": {ann + "\n" + strings.TrimSuffix(bundle(bob, over, bob), `"bob"}}]}`) + "\n" + cyd,
			[]string{"line 1: " + ann, "line 2, entry 1: " + bob, "line 2, entry 2" + tooLarge,
				fmt.Sprintf("line 2, entry 3! the JSON is cut off: it ends inside a value, at byte offset %d", len(ann+"\n"+bundle(bob, over, bob))-len(`"bob"}}]}`)), "line 3: " + cyd}},
	} {
		r, err := NewReader(strings.NewReader(c.input))
		if err != nil {
			t.Fatal(err)
		}
		r.limit = most
		got := toldBy(t, r)
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			for i, line := range got {
				t.Errorf("%s: %d: %.120s", name, i, line)
			}
		}
	}
}

func TestReaderTheLimitIs16MiB(t *testing.T) {
	input := sized("eve", maxResource) + "\n" + sized("eve", maxResource+1) + "\n" + ann
	got := told(t, strings.NewReader(input))
	if len(got) != 3 || len(got[0]) != len("line 1: ")+16<<20 || got[1] != "line 2! the resource is larger than 16 MiB" || got[2] != "line 3: "+ann {
		t.Errorf("%d entries, %.100q", len(got), got)
	}
}

// The input is read in pieces; where one ends must make no difference to what is in it.
func TestReaderGivesEveryResourceWhereverThePiecesEnd(t *testing.T) {
	chance := rand.New(rand.NewPCG(2, 3))
	for name, longest := range map[string]int{"small": 400, "large": 3 * chunk} {
		var all []string
		for size := 0; size < 2<<20; size += len(all[len(all)-1]) {
			all = append(all, sized(fmt.Sprintf("a%x", chance.Uint32()), 60+chance.IntN(longest)))
		}
		for form, input := range map[string]string{
			"NDJSON": strings.Join(all, "\n"), "Bundle": bundle(all...), "list": "[\n" + strings.Join(all, ",\n") + "]",
			"Bundle on many lines":  strings.Replace(bundle(all...), "[", "[\n", 1),
			"Bundle without a type": "{\n" + strings.Replace(bundle(all...), `{"resourceType":"Bundle",`, "", 1),
			"documents":             strings.ReplaceAll(strings.Join(all, "\n"), `{"resourceType"`, "{\n\"resourceType\""),
		} {
			r, err := NewReader(strings.NewReader(input))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range all {
				e, err := r.Next()
				if got := strings.Replace(string(e.Raw), "{\n", "{", 1); err != nil || got != want {
					t.Fatalf("%s of %s ones: %d is %.80q, %v, %v", form, name, i, got, e.Err, err)
				}
			}
			if e, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("%s of %s ones: more than was in it: %v", form, name, e.Err)
			}
			r.Close()
		}
	}
}

func gzipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t testing.TB, text []byte, options ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(text, nil)
}

func TestReaderUnpacks(t *testing.T) {
	text := []byte(bom + ann + "\n" + bob + "\n")
	want := []string{"line 1: " + ann, "line 2: " + bob}
	expect(t, string(gzipped(t, text)), want...)
	expect(t, string(zstandard(t, text)), want...)
	expect(t, string(append(gzipped(t, text[:50]), gzipped(t, text[50:])...)), want...)     // several members
	expect(t, string(append(zstandard(t, text[:50]), zstandard(t, text[50:])...)), want...) // several frames
	expect(t, "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"+string(zstandard(t, text)), want...)   // a skippable frame first
	expect(t, string(gzipped(t, nil)))
	expect(t, string(zstandard(t, nil)))
	expect(t, string(gzipped(t, []byte(bundle(ann)))), "entry 1: "+ann)
}

func TestReaderDamagedPackingIsAnErrorAfterTheGoodOnes(t *testing.T) {
	var text bytes.Buffer
	chance := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		fmt.Fprintf(&text, `{"resourceType":"Patient","id":"%x"}`+"\n", chance.Uint64())
	}
	for name, packed := range map[string][]byte{"gzip": gzipped(t, text.Bytes()), "zstd": zstandard(t, text.Bytes())} {
		for _, wrapped := range []bool{false, true} {
			packed := packed
			if wrapped {
				packed = append(packed[:len(packed):len(packed)], "rubbish!"...)
			} else {
				packed = packed[:len(packed)-9]
			}
			got := told(t, bytes.NewReader(packed))
			last := got[len(got)-1]
			if !strings.HasPrefix(last, "ended! unpack "+name) || len(got) < 2 || strings.Contains(strings.Join(got[:len(got)-1], ""), "!") {
				t.Errorf("%s: %d given, last %.100s", name, len(got), last)
			}
		}
	}
	expect(t, "\x1f\x8b", "not opened! unpack gzip: unexpected EOF")
	got := told(t, strings.NewReader("\x28\xb5\x2f\xfd"))
	if len(got) != 1 || !strings.HasPrefix(got[0], "ended! unpack zstd") {
		t.Errorf("the start of zstd alone gave %q", got)
	}
}

func TestReaderAZstdFileCannotAskForAllMemory(t *testing.T) {
	text := []byte(strings.Repeat(ann+"\n", 10))
	packed := zstandard(t, text, zstd.WithWindowSize(256<<20), zstd.WithSingleSegment(false))
	packed[5] = (28 - 10) << 3 // RFC 8878, 3.1.1.1.2: a window of 2^28 bytes
	packed[4] &^= 0xe3         // and no size of the content, which could make the window smaller
	got := told(t, bytes.NewReader(packed))
	if len(got) != 1 || !strings.HasPrefix(got[0], "ended! unpack zstd") {
		t.Errorf("gave %q", got)
	}
}

func TestReaderAFailingSourceIsAnErrorAfterTheGoodOnes(t *testing.T) {
	broken := errors.New("the disk is gone")
	for input, want := range map[string][]string{
		"":                                  {"not opened! the disk is gone"},
		ann + "\n" + bob + "\n":             {"line 1: " + ann, "line 2: " + bob, "ended! the disk is gone"},
		ann + "\n" + bob:                    {"line 1: " + ann, "ended! the disk is gone"}, // the line may have gone on
		bundle(ann, bob)[:120]:              {"entry 1: " + ann, "ended! the disk is gone"},
		"{\n" + ann[1:]:                     {"resource: {\n" + ann[1:], "ended! the disk is gone"},
		ann + "\n" + strings.Repeat(" ", 9): {"line 1: " + ann, "ended! the disk is gone"},
	} {
		got := told(t, io.MultiReader(strings.NewReader(input), iotest.ErrReader(broken)))
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q gave\n%s", input, strings.Join(got, "\n"))
		}
	}
	r, _ := NewReader(io.MultiReader(strings.NewReader(ann+"\n"), iotest.ErrReader(broken)))
	defer r.Close()
	_, _ = r.Next()
	if _, err := r.Next(); !errors.Is(err, broken) {
		t.Errorf("%v hides the cause", err)
	}
}

func TestReaderCanBeLeftEarly(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		r, _ := NewReader(bytes.NewReader(zstandard(t, []byte(bundle(ann, bob)))))
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Next(); err == nil || errors.Is(err, io.EOF) {
			t.Fatalf("after Close: %v, which looks like the end of the file", err)
		}
	}
	if after := runtime.NumGoroutine(); after > before+2 {
		t.Errorf("%d goroutines were left", after-before)
	}
}

// An error goes to a screen and a log, where no patient may appear.
func TestReaderErrorsNeverQuoteTheInput(t *testing.T) {
	secret := "Zebulon"
	for _, input := range []string{
		secret, secret + "," + secret, `{"` + secret + `":` + secret + `}`, `{"name":"` + secret, ann + "\n" + secret + "\n", `"` + secret + `"`,
		`{"resourceType":"Bundle","entry":[{"resource":"` + secret + `"},"` + secret + `",{"fullUrl":"` + secret + `","fullUrl":1,"resource":{}}` + secret,
		pretty(ann) + secret, "<" + secret + ">", `{"a":"\Z` + secret, `{"a":"` + secret + "\xff\"}",
	} {
		for _, line := range told(t, strings.NewReader(input)) {
			if _, reason, bad := strings.Cut(line, "!"); bad && strings.Contains(reason, "Z") {
				t.Errorf("%q is told: %s", input, line)
			}
		}
	}
}

func TestWhere(t *testing.T) {
	for want, e := range map[string]Entry{
		"resource": {}, "line 12": {Line: 12}, "entry 7": {Index: 7}, "line 3, entry 7": {Line: 3, Index: 7},
	} {
		if got := e.Where(); got != want {
			t.Errorf("%+v is at %q", e, got)
		}
	}
}

// The parser must agree with encoding/json on what JSON is: what it lets through is parsed by the other.
func TestReaderAgreesWithEncodingJSON(t *testing.T) {
	for _, text := range []string{
		`0`, `-0`, `-`, `01`, `1.`, `.1`, `1.5e`, `1e+`, `1E-7`, `+1`, `1e5`, `1x`, `tru`, `true`, `truex`, `nul`, `null`, `false`, `"`, `""`,
		`"\`, `"\u12"`, `"\u12G4"`, `"\uD800"`, `"\a"`, `"\/"`, "\"\t\"", "\"\x7f\"", "\"\xff\"", `[`, `[]`, `[,]`, `[1,]`, `[1 2]`, `[1,2`, `{}`, `{,}`,
		`{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1}}`, `{1:1}`, ` {} `, "\f{}", "\u00a0{}", `[}`, `{]`, ``, `//`, `NaN`, `Infinity`,
		strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
		strings.Repeat("[", 10000) + "1" + strings.Repeat("]", 10000),
	} {
		if got, want := oneValue([]byte(text)) == nil, json.Valid([]byte(text)); got != want {
			t.Errorf("%.60q: %v here, %v there", text, got, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		ann + "\n" + bob, pretty(ann) + pretty(bob), bundle(ann, bob), pretty(bundle(ann)), "[" + ann + ",\n" + bob + "]", bundle(bundle(ann)) + "\n\n" + ann,
		`{"entry":[{"fullUrl":"a","resource":{}},1],"resourceType":"List"}`, `{"a":[1.5e-3,"\u00e9\\",null,true]}`, "{\n\"a\":\n", "<x>", bom + "{}", "\xff\xfe",
		small + "\nFox,\"Ann\nB\",,a,\n# x\nLee,\"Di,,c,\n", "# x\n" + ann + "\n{\n#\n",
	} {
		f.Add([]byte(seed))
		f.Add(gzipped(f, []byte(seed)))
		f.Add(zstandard(f, []byte(seed)))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 1<<16 {
			return
		}
		r, err := NewReader(bytes.NewReader(input))
		if err != nil {
			return
		}
		defer r.Close()
		for range 4*len(input) + 1<<20 {
			e, err := r.Next()
			if err != nil {
				break
			}
			if e.Err == nil && (!json.Valid(e.Raw) || !utf8.Valid(e.Raw) || e.Raw[0] != '{') {
				t.Fatalf("gave %q", e.Raw)
			}
		}
		if _, err := r.Next(); err == nil {
			t.Fatal("never ends")
		}
		if !bytes.ContainsAny(input, "\xef\x00") && json.Valid(bytes.TrimSpace(input)) != (oneValue(input) == nil) {
			t.Fatal("not of encoding/json's opinion")
		}
		whole, parts := told(t, bytes.NewReader(input)), told(t, iotest.OneByteReader(bytes.NewReader(input)))
		if strings.Join(whole, "\n") != strings.Join(parts, "\n") {
			t.Fatalf("in one piece\n%q\nin many\n%q", whole, parts)
		}
	})
}

// repeated gives head, then line n times with between in between, then tail, without holding it.
func repeated(head, line, between, tail string, n int) io.Reader {
	return io.MultiReader(strings.NewReader(head), &repeat{line: line, between: between, n: n}, strings.NewReader(tail))
}

type repeat struct {
	line, between, rest string
	n                   int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.n == 0 {
			return 0, io.EOF
		}
		if r.n--; r.n > 0 {
			r.rest = r.line + r.between
		} else {
			r.rest = r.line
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// heapOf reads the input to its end and tells the entries and how far the heap in use rose above its start.
func heapOf(t *testing.T, from io.Reader) (entries int, rise int64) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	start := int64(m.HeapInuse)
	r, err := NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, rise
		}
		if err != nil || e.Err != nil {
			t.Fatal(err, e.Err)
		}
		if entries++; entries%200 == 0 {
			runtime.ReadMemStats(&m)
			rise = max(rise, int64(m.HeapInuse)-start)
		}
	}
}

func memoryStaysFlat(t *testing.T, megabytes int, forms ...string) {
	patient := sized("ann", 8<<10)
	n := megabytes << 20 / len(patient)
	for name, from := range map[string]io.Reader{
		"NDJSON":                      repeated("", patient, "\n", "\n", n),
		"a Bundle on one line":        repeated(`{"resourceType":"Bundle","entry":[{"resource":`, patient, `},{"resource":`, `}]}`, n),
		"a Bundle on many lines":      repeated("{\n\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":", patient, "},\n{\"resource\":", "}]}", n),
		"a Bundle with its type last": repeated("{\n\"entry\":[{\"resource\":", patient, "},\n{\"resource\":", "}],\"resourceType\":\"Bundle\"}", n),
		"a list":                      repeated("[", patient, ",", "]", n),
	} {
		if len(forms) > 0 && !slices.Contains(forms, name) {
			continue
		}
		entries, rise := heapOf(t, from)
		if entries != n {
			t.Errorf("%s: %d of %d", name, entries, n)
		}
		if rise > 48<<20 {
			t.Errorf("%s of %d MB took %d MiB", name, megabytes, rise>>20)
		}
		t.Logf("%s: %d entries, %.1f MiB", name, entries, float64(rise)/(1<<20))
	}
}

func TestReaderMemoryStaysFlat(t *testing.T) {
	memoryStaysFlat(t, 20, "NDJSON", "a Bundle on one line")
}

func BenchmarkReader(b *testing.B) {
	patient := sized("ann", 2<<10)
	for name, wrap := range map[string][4]string{
		"NDJSON": {"", "\n", "\n"}, "Bundle": {`{"resourceType":"Bundle","entry":[{"resource":`, `},{"resource":`, `}]}`},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(patient)))
			b.ReportAllocs()
			r, err := NewReader(repeated(wrap[0], patient, wrap[1], wrap[2], b.N))
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			for range b.N {
				if e, err := r.Next(); err != nil || e.Err != nil {
					b.Fatal(err, e.Err)
				}
			}
		})
	}
}
