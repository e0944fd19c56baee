package envfile_test

import (
	"encoding/json"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/client/envfile"
)

// The expected values are those that the real parsers have read (make dotenv).
func TestDotenvFilesAreReadLikeNodesDotenvOrRefused(t *testing.T) {
	var cases []struct {
		Text    string
		Node    map[string]string
		Python  map[string]*string // null for a name without a value
		Compose map[string]string  // null for a file that it refuses
	}
	text, err := os.ReadFile("testdata/dotenv/expected.json")
	if err == nil {
		err = json.Unmarshal(text, &cases)
	}
	if err != nil || len(cases) < 60 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	alike := 0
	for _, c := range cases {
		vars, err := envfile.Read(envfile.Dotenv, []byte(c.Text))
		got := map[string]string{}
		for _, v := range vars {
			got[v.Secret] = string(v.Value)
		}
		switch {
		case err != nil && (len(c.Node) == 0 || refusals[c.Text] != ""):
			if want := refusals[c.Text]; want != "" && !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %s", c.Text, err, want)
			}
		case err != nil || refusals[c.Text] != "":
			t.Errorf("%q: got %v", c.Text, err)
		case !maps.Equal(got, c.Node):
			t.Errorf("%q: got %q, Node's dotenv %q", c.Text, got, c.Node)
		}
		if sameText(c.Python, c.Node) && c.Compose != nil && maps.Equal(c.Compose, c.Node) {
			alike++
		}
	}
	t.Logf("%d files: the three parsers read %d alike", len(cases), alike)
}

// refusals are files that Node's dotenv reads in a way that is likely not meant.
var refusals = map[string]string{
	"A=1#c": "the # can be", "A=a#b c": "the # can be", "A=\"a": "is not closed", "A='a": "is not closed", "A='a' b": "text follows it",
}

func sameText(python map[string]*string, node map[string]string) bool {
	for name, value := range python {
		if value == nil || node[name] != *value {
			return false
		}
	}
	return len(python) == len(node)
}
