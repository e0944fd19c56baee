package contracttest

import (
	"strings"
	"testing"
)

const redacted = "Secret value must not be empty or redacted"

// The web page can send back the mask that it got in place of a value.
func TestAMaskOverwritesNoValue(t *testing.T) {
	s := serve(t)
	s.undisturbed(t, func() {
		for _, value := range []string{"", " ", `\t\r\n`, `\u001c\u00a0\u2003`, strings.Repeat("*", 10)} {
			for _, name := range []string{"MINE", "NEW"} {
				body := `{"name":"` + name + `","value":"` + value + `"}`
				s.openhands(t, admin).put(settings, body).wants(422, says(redacted))
				s.openhands(t, admin).post(v1, body).wants(422, says(redacted))
				s.openhands(t, "lister").put(settings, body).wants(403, agentserver.forbidden)
			}
		}
	})
	s.openhands(t, admin).get(settings + "/MINE").wantsValue(canary)
	// Only the exact mask is refused, and 0.53.0 has no such answer.
	for _, value := range []string{strings.Repeat("*", 9), strings.Repeat("*", 11), "* *"} {
		s.openhands(t, admin).put(settings, `{"name":"MINE","value":"`+value+`"}`).wantsStatus(200)
	}
	s.openhands(t, admin).post("/api/secrets", `{"name":"EMPTY","value":""}`).wants(201, created)
}
