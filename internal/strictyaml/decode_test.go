package strictyaml_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/strictyaml"
)

func TestLinesAreThoseOnWhichAReaderFindsThePath(t *testing.T) {
	lines := strictyaml.Lines([]byte(`# a comment
keys:
  - id: a
    grants:
      - actions: [list]
        owner: app/*
      - {actions: [list], owner: user/a}
  - id: b
    grants: [{owner: user/a},
      {owner: user/b}]
`))
	for path, want := range map[string]int{
		"keys": 2, "keys[0]": 3, "keys[0].id": 3, "keys[0].grants": 4, "keys[0].grants[0]": 5, "keys[0].grants[0].owner": 6,
		"keys[0].grants[1]": 7, "keys[1]": 8, "keys[1].grants[0]": 9, "keys[1].grants[1]": 10,
	} {
		if got := lines[path]; got != want {
			t.Errorf("%s is in line %d, want %d", path, got, want)
		}
	}
}

func TestFieldsWithoutAValueAreMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"a: {b: }\n":            "a.b: has no value: give it one, or leave it out (line 1)",
		"a:\n  b: null\n":       "a.b: has no value: give it one, or leave it out (line 2)",
		"a: {b: ~, c: }\n":      "a.b: has no value: give it one, or leave it out (line 1)\na.c: has no value: give it one, or leave it out (line 1)",
		"a: {null: x, b: ''}\n": "", // that is a name, and a value
	} {
		var into struct{ A map[string]string }
		err := strictyaml.Decode([]byte(text), &into)
		if (want == "") != (err == nil) || (err != nil && err.Error() != want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestWhatIsNotYAMLHasNoLines(t *testing.T) {
	if lines := strictyaml.Lines([]byte("a: [")); len(lines) != 0 {
		t.Errorf("got %v", lines)
	}
}

func TestSyntaxErrorsAreInPlainWordsWithTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "the file is empty",
		"# nothing\n":                  "the file is empty",
		"a:\n\tb: c\n":                 "indent with spaces",
		"a:\n  b: 1\n\tc: 2\n":         "indent with spaces",
		"a: [x, y\nb: 1\n":             "is not closed",
		"a: {x: y\nb: 1\n":             "is not closed",
		"a: [\n":                       "is not closed",
		"a: \"x\n":                     "a quote is not closed",
		"a: b: c\n":                    "there is a second colon in a line",
		"a: 1\n---\na: 2\n":            "several documents",
		"a:\n  b: srk_hidden\n c: 2\n": "is not indented like its neighbors",
		"a: 1\nsrk_hidden\n":           "a colon is missing",
	} {
		var into struct{ A any }
		err := strictyaml.Decode([]byte(text), &into)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "srk_") || strings.Contains(err.Error(), "yaml") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if want != "the file is empty" && want != "several documents" && !strings.Contains(fmt.Sprint(err), " (line ") {
			t.Errorf("%q: %v has no line", text, err)
		}
	}
}

func TestWrongFieldsSayWhatIsRight(t *testing.T) {
	type inner struct {
		Address string         `yaml:"address"`
		Limit   int            `yaml:"limit"`
		Rate    float64        `yaml:"rate"`
		On      bool           `yaml:"on"`
		Names   []string       `yaml:"names"`
		Until   time.Time      `yaml:"until"`
		More    map[string]int `yaml:"more"`
	}
	var into struct {
		Listen inner            `yaml:"listen"`
		Stores map[string]inner `yaml:"stores"`
		Keys   []*inner         `yaml:"keys"`
	}
	for text, want := range map[string]string{
		"listn: {}\n":                   "listn: there is no such field: did you mean listen? (line 1)",
		"listen: {adress: a}\n":         "listen.adress: there is no such field: did you mean address? (line 1)",
		"stores: {a: {nmes: [a]}}\n":    "stores.a.nmes: there is no such field: did you mean names? (line 1)",
		"keys:\n  - {untl: a}\n":        "keys[0].untl: there is no such field: did you mean until? (line 2)",
		"listen: {zebra: a}\n":          "listen.zebra: there is no such field (line 1)",
		"listen: {limit: many}\n":       "listen.limit: must be a whole number (line 1)",
		"listen: {rate: fast}\n":        "listen.rate: must be a number (line 1)",
		"listen: {on: [a]}\n":           "listen.on: must be true or false (line 1)",
		"listen: {names: {a: b}}\n":     "listen.names: must be a list, as in [a, b] (line 1)",
		"listen: {address: [a]}\n":      "listen.address: must be a text (line 1)",
		"listen: {until: soon}\n":       "listen.until: must be a time, as in 2027-01-01T00:00:00Z (line 1)",
		"stores: {a: x}\n":              "stores.a: must hold fields, as in {name: value} (line 1)",
		"stores: {a: {more: {b: c}}}\n": "stores.a.more.b: must be a whole number (line 1)",
	} {
		if err := strictyaml.Decode([]byte(text), &into); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
