package contracttest

import (
	"fmt"
	"strings"
	"testing"
)

// writes are all calls that write a value, given as JSON, and their answers.
var writes = []struct {
	method, path, body, field string
	status                    int
	redacts                   bool // an empty value is refused as one
}{
	{"POST", "/api/secrets", `{"name":"NEW","value":%s}`, "value", 201, false},
	{"PUT", settings, `{"name":"MINE","value":%s}`, "value", 200, true},
	{"POST", v1, `{"name":"MINE","value":%s}`, "value", 201, true},
	{"POST", secrets, `{"secret_name":"NEW","data":[{"key":"FINE","value":"` + canary + `"},{"key":"K","value":%s}]}`, "data[1].value: K", 200, false},
	{"PUT", secrets + "/MINE", `{"data":[{"key":"K","value":%s}]}`, "data[0].value: K", 200, false},
}

var suspects = []struct{ value, reason string }{
	{`"` + canary + `ry\n"`, "ends with a newline: leave it out"},
	{`"your-` + canary + `-key"`, "looks like a placeholder: send the real value"},
	{`"true"`, "is shorter than 6 bytes: agents will mask it in everything they print"},
	{`" ` + canary + `"`, "begins or ends with a blank: leave it out"},
	{`"\ufeff` + canary + `"`, "begins with a byte order mark: save it as UTF-8 without one"},
	{`"-----BEGIN K-----\\n` + canary + `\\n-----END K-----"`, "is a PEM file with escaped line breaks: send real ones"},
	{`""`, "is shorter than 6 bytes: agents will mask it in everything they print"},
}

func TestASuspiciousValueIsStoredWithAWarning(t *testing.T) {
	for _, suspect := range suspects {
		s := stocked(t)
		for _, w := range writes {
			if suspect.value == `""` && w.redacts {
				continue
			}
			a := s.caller(t, spokenAt(w.path).key, admin).do(w.method, w.path, fmt.Sprintf(w.body, suspect.value))
			a.wantsStatus(w.status).wantsHeader("X-Strongroom-Warning", w.field+": "+suspect.reason)
		}
	}
	s := stocked(t)
	for _, w := range writes {
		c := s.caller(t, spokenAt(w.path).key, admin)
		c.do(w.method, w.path, fmt.Sprintf(w.body, `"`+canary+`"`)).wantsStatus(w.status).wantsHeader("X-Strongroom-Warning", "")
	}
	s.openhands(t, admin).put(settings, `{"name":"A","value":"todo\n"}`).wantsStatus(200).wantsHeader("X-Strongroom-Warning",
		"value: ends with a newline: leave it out | value: looks like a placeholder: send the real value | "+
			"value: is shorter than 6 bytes: agents will mask it in everything they print")
}

// Clients limit the number of headers, and must still be able to read the answer.
func TestOnlyTheFirstWarningsAreSent(t *testing.T) {
	var data, warnings []string
	for i := range 1000 {
		data = append(data, fmt.Sprintf(`{"key":"K%03d","value":"true"}`, i))
		warnings = append(warnings, fmt.Sprintf("data[%d].value: K%03d: is shorter than 6 bytes: agents will mask it in everything they print", i, i))
	}
	c := serve(t).nx1(t, admin)
	for count, want := range map[int][]string{16: warnings[:16], 17: append(warnings[:15:15], "and 2 more"), 1000: append(warnings[:15:15], "and 985 more")} {
		body := fmt.Sprintf(`{"secret_name":"MANY%d","data":[%s]}`, count, strings.Join(data[:count], ","))
		c.post(secrets, body).wantsStatus(200).wantsHeader("X-Strongroom-Warning", strings.Join(want, " | "))
	}
}

func TestASuspiciousValueIsRefusedIfTheConfigSaysSo(t *testing.T) {
	s := serve(t, set("names: any", "names: any, suspicious_values: reject"), set("masked_values: reject", "masked_values: reject, suspicious_values: reject"))
	s.undisturbed(t, func() {
		for _, suspect := range suspects {
			for _, w := range writes {
				a := s.caller(t, spokenAt(w.path).key, admin).do(w.method, w.path, fmt.Sprintf(w.body, suspect.value))
				if suspect.value == `""` && w.redacts {
					a.wants(422, says(redacted))
				} else if spokenAt(w.path).name == nx1.name {
					a.wants(400, problem(400, w.field+": "+suspect.reason))
				} else {
					a.wants(422, refused(noValue("value", suspect.reason)))
				}
			}
		}
	})
}

// Such names cannot be environment variables of an agent.
func TestASuspiciousNameIsStoredWithAWarning(t *testing.T) {
	const warning = "has a blank or an equals sign, so it cannot be an environment variable: use letters, digits and underscores"
	s := serve(t)
	c := s.openhands(t, admin)
	value := `","value":"` + canary + `"}`
	c.post("/api/secrets", `{"name":"MY TOKEN`+value).wantsStatus(201).wantsHeader("X-Strongroom-Warning", "name: "+warning)
	c.post("/api/secrets", `{"name":"TOKEN`+value).wantsStatus(201).wantsHeader("X-Strongroom-Warning", "")
	c.put("/api/secrets/TOKEN", `{"name":"TOKEN="}`).wantsStatus(200).wantsHeader("X-Strongroom-Warning", "name: "+warning)
	c.put("/api/secrets/TOKEN=", `{"name":"TOKEN=","description":"d"}`).wantsStatus(200).wantsHeader("X-Strongroom-Warning", "")

	s = serve(t, set("names: any", "names: any, suspicious_values: reject"))
	c = s.openhands(t, admin)
	c.post("/api/secrets", `{"name":"TOKEN`+value).wantsStatus(201)
	s.undisturbed(t, func() {
		c.post("/api/secrets", `{"name":"MY TOKEN`+value).wantsStatus(422)
		c.put("/api/secrets/TOKEN", `{"name":"MY TOKEN"}`).wantsStatus(422)
	})
}

func TestASuspiciousValueIsStoredWithoutAWarningIfTheConfigSaysSo(t *testing.T) {
	s := serve(t, set("names: any", "names: any, suspicious_values: accept"), set("masked_values: reject", "masked_values: store, suspicious_values: accept"))
	s.openhands(t, admin).post("/api/secrets", `{"name":"MINE","value":"1"}`).wants(201, created)
	s.nx1(t, admin).post(secrets, secret("MINE", "K", "1"))
	for _, w := range writes {
		c := s.caller(t, spokenAt(w.path).key, admin)
		c.do(w.method, w.path, fmt.Sprintf(w.body, `"****"`)).wantsStatus(w.status).wantsHeader("X-Strongroom-Warning", "")
	}
	s.openhands(t, admin).get(settings + "/MINE").wantsValue("****")
}
