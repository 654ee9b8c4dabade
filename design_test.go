package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what was measured into docs/design.md")

// pair is a colour on a ground as app.css uses them together, and what WCAG 2.2 asks of it: 4.5 of text (1.4.3), 3 of what
// marks a control or the focus (1.4.11).
type pair struct {
	front, ground string
	least         float64
}

func pairs() (all []pair) {
	add := func(least float64, front string, grounds ...string) {
		for _, g := range grounds {
			all = append(all, pair{front, g, least})
		}
	}
	const text, sign = 4.5, 3
	add(text, "ink", "paper", "sheet", "sunk", "mark", "look-sheet")
	add(text, "soft", "paper", "sheet", "sunk", "mark", "look-sheet")
	add(text, "accent", "paper", "sheet", "sunk", "mark", "look-sheet")
	add(text, "accent-over", "paper", "sheet", "sunk", "mark", "look-sheet")
	add(text, "on-accent", "accent", "accent-over")
	add(text, "bad", "paper", "sheet", "sunk", "bad-sheet")
	add(text, "look", "look-sheet")
	add(text, "good", "paper", "sheet", "sunk", "mark")
	add(text, "sheet", "soft") // a deceased patient's badge
	add(sign, "edge", "paper", "sheet", "sunk", "look-sheet")
	add(sign, "accent", "bad-sheet") // the ring around a summary of errors; on other grounds it is measured as text
	add(sign, "look", "paper")
	add(sign, "good", "sunk")
	return all
}

// TestContrast measures each pair of colours in both schemes, from the tokens as they stand in app.css, and holds the table in
// docs/design.md to what it measures.
func TestContrast(t *testing.T) {
	colours := tokens(t)
	var table strings.Builder
	table.WriteString("| on | colour | asked for | light | dark |\n| --- | --- | --: | --: | --: |\n")
	for _, p := range pairs() {
		front, ground := colours[p.front], colours[p.ground]
		if front == nil || ground == nil {
			t.Errorf("app.css lacks --%s or --%s", p.front, p.ground)
			continue
		}
		light, dark := front[0].against(ground[0]), front[1].against(ground[1])
		if light < p.least || dark < p.least {
			t.Errorf("--%s on --%s has a contrast of %.2f in light and %.2f in dark, less than %.1f", p.front, p.ground, light, dark, p.least)
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %.1f | %.2f | %.2f |\n", p.ground, p.front, p.least, light, dark)
	}
	page, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	measured := regexp.MustCompile(`(?s)(<!-- contrast, .*? -->\n\n).*?\n\n`).ReplaceAllString(string(page), "${1}"+table.String()+"\n")
	if *update {
		if err := os.WriteFile("docs/design.md", []byte(measured), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !strings.Contains(string(page), table.String()) {
		t.Error("docs/design.md does not hold what was measured: go test . -run TestContrast -update writes it there")
	}
}

// colour is linear light of the three primaries of sRGB, from 0 to 1.
type colour [3]float64

// against is WCAG's contrast ratio.
func (c colour) against(d colour) float64 {
	a, b := c.luminance(), d.luminance()
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

func (c colour) luminance() float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }

// oklch is the way of CSS Color 4 from OKLCH to linear sRGB; what a screen cannot show is cut off. A screen has 256 steps, so
// that a value is the nearest of these.
func oklch(lightness, chroma, hue float64) (c colour) {
	a, b := chroma*math.Cos(hue*math.Pi/180), chroma*math.Sin(hue*math.Pi/180)
	l := math.Pow(lightness+0.3963377774*a+0.2158037573*b, 3)
	m := math.Pow(lightness-0.1055613458*a-0.0638541728*b, 3)
	s := math.Pow(lightness-0.0894841775*a-1.2914855480*b, 3)
	for i, v := range [3]float64{
		4.0767416621*l - 3.3077115913*m + 0.2309699292*s,
		-1.2684380046*l + 2.6097574011*m - 0.3413193965*s,
		-0.0041960863*l - 0.7034186147*m + 1.7076147010*s,
	} {
		c[i] = linear(math.Round(encoded(min(max(v, 0), 1))*255) / 255)
	}
	return c
}

func encoded(v float64) float64 {
	if v <= 0.0031308 {
		return 12.92 * v
	}
	return 1.055*math.Pow(v, 1/2.4) - 0.055
}

func linear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

// tokens are the opaque colours of app.css by their names, light and dark.
func tokens(t *testing.T) map[string]*[2]colour {
	t.Helper()
	all := map[string]*[2]colour{}
	value := `oklch\(([\d.]+)% ([\d.]+) ([\d.]+)\)`
	for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\(`+value+`, `+value+`\);`).FindAllStringSubmatch(stylesheet(t), -1) {
		var n [6]float64
		for i := range n {
			v, err := strconv.ParseFloat(m[i+2], 64)
			if err != nil {
				t.Fatal(err)
			}
			n[i] = v
		}
		all[m[1]] = &[2]colour{oklch(n[0]/100, n[1], n[2]), oklch(n[3]/100, n[4], n[5])}
	}
	return all
}

func stylesheet(t *testing.T) string {
	t.Helper()
	css, err := os.ReadFile("assets/app.css")
	if err != nil {
		t.Fatal(err)
	}
	return string(css)
}

// TestTheContrastIsWCAGs: black and white, and the grey that just passes on white, are known.
func TestTheContrastIsWCAGs(t *testing.T) {
	white, black, grey := oklch(1, 0, 0), oklch(0, 0, 0), colour{linear(0x76 / 255.0), linear(0x76 / 255.0), linear(0x76 / 255.0)}
	if got := white.against(black); math.Abs(got-21) > 0.001 {
		t.Errorf("black on white has %v, not 21", got)
	}
	if got := white.against(grey); math.Abs(got-4.54) > 0.005 {
		t.Errorf("#767676 on white has %v, not 4.54", got)
	}
	// CSS Color 4's own example: oklch(40.1% 0.123 21.57) is #7d2329.
	if got, want := oklch(0.401, 0.123, 21.57), (colour{linear(0x7d / 255.0), linear(0x23 / 255.0), linear(0x29 / 255.0)}); math.Abs(got.luminance()-want.luminance()) > 0.002 {
		t.Errorf("oklch(40.1%% 0.123 21.57) is %v, not %v", got, want)
	}
}

// TestTheStylesheetKeepsItsRules: values of colours in the tokens alone, each token used and each used one there, small enough
// for a first load, and no styles but in this file.
func TestTheStylesheetKeepsItsRules(t *testing.T) {
	css := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(stylesheet(t), "")
	head, rest, found := strings.Cut(css, "@layer base {")
	if !found {
		t.Fatal("app.css has no layer of bases after its tokens")
	}
	if m := regexp.MustCompile(`oklch\(|rgba?\(|hsla?\(|#[0-9a-fA-F]{3,8}\b[^{]*;|: *(?:white|black)\b`).FindString(rest); m != "" {
		t.Errorf("a colour stands outside the tokens: %s", m)
	}
	names := func(pattern, in string) map[string]bool {
		all := map[string]bool{}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(in, -1) {
			all[m[1]] = true
		}
		return all
	}
	given, used := names(`(--[a-z0-9-]+):`, css), names(`var\((--[a-z0-9-]+)`, css)
	for n := range used {
		if !given[n] {
			t.Errorf("%s is used and not given", n)
		}
	}
	for n := range names(`(--[a-z0-9-]+):`, head) {
		if !used[n] {
			t.Errorf("%s is given and not used", n)
		}
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if _, err := w.Write([]byte(stylesheet(t))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if packed.Len() > 12*1024 {
		t.Errorf("app.css has %d bytes compressed, more than 12 KB", packed.Len())
	}
	views, err := filepath.Glob("views/*.templ")
	if err != nil || len(views) < 10 {
		t.Fatalf("found %d views (%v)", len(views), err)
	}
	for _, v := range views {
		text, err := os.ReadFile(v)
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`\sstyle=|<style|\bstyle \w*\(`).Find(text); m != nil {
			t.Errorf("%s has styles of its own: %s", v, m)
		}
	}
}
