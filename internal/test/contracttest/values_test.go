package contracttest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// A value survives byte by byte, on every route that writes it and every route that reads it.
func TestValuesArriveToTheByte(t *testing.T) {
	const postOf0530 = 1 // the only write below that accepts blank values
	s := serve(t)
	c := s.openhands(t, admin)
	nx := s.nx1(t, admin)
	inBox := s.stranger(t).with(sessionKey, s.boxKey(t, "box", "V0", "V1", "V2"))
	for name, value := range map[string]string{
		"64 KiB":                    strings.Repeat("0123456789abcdef", 4<<10),
		"a mebibyte":                strings.Repeat("x", mebibyte),
		"many lines":                "-----BEGIN KEY-----\n" + strings.Repeat("MIIE\n", 1000) + "-----END KEY-----\n",
		"lines of Windows":          "a\r\nb\r\n",
		"dollars":                   "$HOME ${x} $(y) $$",
		"quotes":                    `"double" 'single' \"escaped\"`,
		"a quoted string":           `"ghp_x"`,
		"backticks":                 "`id` \\`x\\`",
		"emoji":                     "🔑👩‍🔧é漢字",
		"spaces around":             "  two and two  ",
		"a tab and a newline":       "\tx\n",
		"newlines only":             "\n\n\n",
		"nothing":                   "",
		"markup":                    "<b>&amp;</b>",
		"escapes":                   `%2F \n \u00e9 \\`,
		"what is a line to scripts": "\u2028\u2029",
		"control characters":        "\x01\x1b[31m\x7f\u0085",
		"NUL":                       "a\x00b",
		"a byte order mark":         "\ufeffx",
		"JSON":                      `{"a":[1,null,"b"]}`,
		"null":                      "null",
		"not normalised":            "e\u0301 \u00e9",
		"a replacement":             "\ufffd\uffff",
	} {
		t.Run(name, func(t *testing.T) {
			c, nx := c.on(t), nx.on(t)
			for i, write := range []func(name string) answer{
				func(name string) answer { return c.put(settings, `{"name":"`+name+`","value":`+quoted(value)+`}`) },
				func(name string) answer {
					return c.post("/api/secrets", `{"name":"`+name+`","value":`+quoted(value)+`}`)
				},
				func(name string) answer { return c.post(v1, `{"name":"`+name+`","value":`+quoted(value)+`}`) },
			} {
				name := fmt.Sprint("V", i)
				if i != postOf0530 && strings.TrimSpace(value) == "" {
					write(name).wants(422, says("Secret value must not be empty or redacted"))
					continue
				}
				if a := write(name); a.status/100 != 2 {
					t.Fatalf("%s: %d %s", a.call, a.status, a.body)
				}
				a := c.raw("GET", settings+"/"+name, "").wantsValue(value)
				a.wantsHeader("Content-Length", fmt.Sprint(len(value))).wantsHeader("Transfer-Encoding", "")
				if value == "" {
					inBox.on(t).raw("GET", box+"/"+name, "").wants(404, says("Secret has no value"))
				} else {
					inBox.on(t).raw("GET", box+"/"+name, "").wantsValue(value)
				}
				c.delete(settings+"/"+name).wants(200, goneThere)
			}
			nx.post(secrets, `{"secret_name":"db","data":[{"key":"K","value":`+quoted(value)+`}]}`).wantsStatus(200)
			if got := revealed(t, nx.get(secrets+"/db/reveal")); got != value {
				t.Errorf("revealed %q, want %q", brief(got), brief(value))
			}
			nx.delete(secrets + "/db").wantsStatus(200)
		})
	}
}

// revealed returns the only value of a secret.
func revealed(t *testing.T, a answer) string {
	t.Helper()
	var shown struct{ Data []struct{ Value string } }
	if err := json.Unmarshal([]byte(a.body), &shown); err != nil || len(shown.Data) != 1 {
		t.Fatalf("%s: %v", brief(a.body), err)
	}
	return shown.Data[0].Value
}
