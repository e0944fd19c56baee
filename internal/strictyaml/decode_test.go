package strictyaml_test

import (
	"testing"

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
