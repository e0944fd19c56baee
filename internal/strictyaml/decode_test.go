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

func TestWhatIsNotYAMLHasNoLines(t *testing.T) {
	if lines := strictyaml.Lines([]byte("a: [")); len(lines) != 0 {
		t.Errorf("got %v", lines)
	}
}
