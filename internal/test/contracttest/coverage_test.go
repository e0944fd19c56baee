package contracttest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// excused lists declared answers that the suite never sees, with reasons. The first match
// counts. An entry that matches nothing, or an answer that was seen, is an error.
var excused = []struct{ suffix, reason string }{
	{" 500", "nothing that one can send makes the server fail; one that is seen is a bug"},
	{" 503", "the embedded store is there as long as the process is"},
	{" 507", "it takes a disk that is full"},
	{"/data/{kind}/{owner}/{name} 409", "needs a store to which other programs write values that are not text"},
	{"/reveal 409", "needs a store to which other programs write values that are not text"},
	{"DELETE /api/secrets/{secret_id} 422", "any text is right there, and a path is always text"},
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	list, mistakes := coverage()
	if testing.Verbose() || code != 0 || len(mistakes) > 0 && everything() {
		fmt.Println(strings.Join(list, "\n"))
	}
	if everything() && len(mistakes) > 0 {
		fmt.Println(strings.Join(mistakes, "\n"))
		code = 1
	}
	os.Exit(code)
}

// everything reports whether the whole suite runs. On nodes the tests of limits are skipped.
func everything() bool {
	for _, filter := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(filter).Value.String() != "" {
			return false
		}
	}
	return nodes() == 1
}

// coverage returns a line for each declared answer, and the errors.
func coverage() (list, mistakes []string) {
	exchanges, needed := 0, map[string]bool{}
	each(func(p *promise, method, path string, op operation) {
		for status := range op.Responses {
			name := p.name(method, path, status)
			excuse := excuseFor(name)
			needed[excuse] = true
			exchanges += seen[name]
			switch times := seen[name]; {
			case times > 0 && excuse == "":
				list = append(list, fmt.Sprintf("%s: %d times", name, times))
			case times > 0:
				mistakes = append(mistakes, name+" is excused, but was seen")
			case excuse == "":
				mistakes = append(mistakes, name+" is declared, but was never seen")
			default:
				list = append(list, name+": not seen, for "+excuse)
			}
		}
	})
	for _, e := range excused {
		if !needed[e.reason] {
			mistakes = append(mistakes, e.suffix+" is excused, but nothing of the kind is declared")
		}
	}
	slices.Sort(list)
	slices.Sort(mistakes)
	return append(list, fmt.Sprintf("%d answers were seen, %d of them of declared operations", len(ids), exchanges)), mistakes
}

func excuseFor(name string) string {
	for _, e := range excused {
		if strings.HasSuffix(name, e.suffix) {
			return e.reason
		}
	}
	return ""
}
