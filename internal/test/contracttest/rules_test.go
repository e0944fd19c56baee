package contracttest

import (
	"strings"
	"testing"
)

// The same 422 lists errors by an API's own rules and errors of type.
func TestOne422HasBrokenRulesToo(t *testing.T) {
	const pathRule = "must not contain slashes or control characters"
	long := `"` + strings.Repeat("d", 16<<10+1) + `"`
	tooLong := "must be UTF-8 of at most 16 KiB"
	s := serve(t)
	s.undisturbed(t, func() {
		for _, tc := range []struct{ call, body, want string }{
			{"PUT " + settings, `{"name":"a b","value":5}`, refused(noValue("name", nameRule), notText("body.value"))},
			{"PUT " + settings, `{"name":"a b"}`, refused(noValue("name", nameRule), missing("body.value"))},
			{"PUT " + settings, `{"name":5,"value":" "}`, refused(notText("body.name"), noValue("value", "must not be empty or redacted"))},
			{"PUT " + settings, `{"name":"a b","value":"","description":` + long + `}`, refused(
				noValue("name", nameRule), noValue("description", tooLong), noValue("value", "must not be empty or redacted"))},
			{"PUT " + renewed, `{"expected_version":"*","value":5}`, refused(
				noValue("expected_version", "must be the version that was read"), notText("body.value"))},
			{"POST " + v1, `{"name":"a b","value":5}`, refused(noValue("name", envRule), notText("body.value"))},
			{"PUT " + v1 + "/MINE", `{"name":"a b","description":5}`, refused(noValue("name", envRule), notText("body.description"))},
			{"PUT " + v1 + "/a%20b", `{"name":"a b","description":5}`, refused(notText("body.description"))},
			{"POST /api/secrets", `{"name":"a/b","value":5}`, refused(noValue("name", pathRule), notText("body.value"))},
			{"POST /api/secrets", `{"name":"a/b","value":"v","description":` + long + `}`, refused(
				noValue("name", pathRule), noValue("description", tooLong))},
			{"PUT /api/secrets/MINE", `{"name":"a/b","description":5}`, refused(noValue("name", pathRule), notText("body.description"))},
			{"PUT /api/secrets/MINE", `{"name":"a/b","description":` + long + `}`, refused(
				noValue("name", pathRule), noValue("description", tooLong))},
		} {
			method, path, _ := strings.Cut(tc.call, " ")
			s.openhands(t, admin).do(method, path, tc.body).wants(422, tc.want)
		}
		// A caller without the right to write gets a denial instead.
		s.openhands(t, "lister").put(settings, custom("a b")).wants(403, agentserver.forbidden)
	})
}
