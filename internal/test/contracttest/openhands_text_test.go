package contracttest

import (
	"net/url"
	"strings"
	"testing"
)

// Like Python, we escape only the characters that JSON requires.
func TestOpenHandsTextIsNotEscaped(t *testing.T) {
	for _, text := range []string{"<b>&'", "é漢字", "🔑", "\u2028\u2029", "%2F%00", "a b", "+", "?#", "e\u0301"} {
		t.Run(text, func(t *testing.T) {
			c := serve(t).openhands(t, admin)
			c.post("/api/secrets", `{"name":"`+text+`","value":"`+canary+`","description":"`+text+`"}`).wants(201, created)
			c.post("/api/secrets", custom(text)).wants(400, `{"message":"Secret `+text+` already exists"}`)
			c.get("/api/secrets").wants(200, `{"custom_secrets":[{"name":"`+text+`","description":"`+text+`"}]}`)
			path := "/api/secrets/" + url.PathEscape(text)
			c.put(path, `{"name":"`+text+`"}`).wants(200, updated)
			c.delete(path).wants(200, deleted)
			c.delete(path).wants(404, noSecret(text))
		})
	}
}

func TestOpenHandsTextIsEscapedAsPythonDoes(t *testing.T) {
	for sent, want := range map[string]string{
		`\"\\\/`:             `\"\\/`,
		`\u00e9\ud83d\udd11`: "é🔑",
		`\b\f\n\r\t`:         `\b\f\n\r\t`,
		`\u0001\u001F\u007f`: `\u0001\u001f` + "\x7f",
		`\u0000`:             `\u0000`,
		"\u0085\ufeff\uffff": "\u0085\ufeff\uffff",
	} {
		c := serve(t).openhands(t, admin)
		c.post("/api/secrets", `{"name":"A","value":"`+canary+`","description":"`+sent+`"}`).wants(201, created)
		c.get("/api/secrets").wants(200, `{"custom_secrets":[{"name":"A","description":"`+want+`"}]}`)
	}
}

func TestOpenHandsNames(t *testing.T) {
	const control = "must not contain slashes or control characters"
	lax := serve(t)
	strict := serve(t, set("names: any", "names: env"))
	for _, tc := range []struct {
		name     string
		lax, env string // the error
	}{
		{"API_KEY", "", ""},
		{"_", "", ""},
		{"a1", "", ""},
		{"1a", "", "env"},
		{"API-KEY", "", "env"},
		{"api key", "", "env"},
		{"é", "", "env"},
		{"...", "", "env"},
		{strings.Repeat("x", 256), "", ""},
		{strings.Repeat("é", 128), "", "env"},
		{strings.Repeat("x", 257), "must not be longer than 256 bytes", "must not be longer than 256 bytes"},
		{strings.Repeat("é", 129), "must not be longer than 256 bytes", "env"},
		{"", "must not be empty", "env"},
		{".", "must not be a dot or two", "env"},
		{"..", "must not be a dot or two", "env"},
		{"a/b", control, "env"},
		{`\n`, control, "env"},
		{`A\n`, control, "env"},
		{`\u0000`, control, "env"},
		{`\u007f`, control, "env"},
		{`\u0085`, control, "env"},
	} {
		for s, wrong := range map[*server]string{lax: tc.lax, strict: tc.env} {
			wrong = strings.Replace(wrong, "env", "must be the name of an environment variable", 1)
			a := s.openhands(t, admin).post("/api/secrets", custom(tc.name))
			if wrong == "" {
				a.wants(201, created)
			} else {
				a.wants(422, refused(noValue("name", wrong)))
			}
		}
	}
	strict.openhands(t, admin).put("/api/secrets/a1", `{"name":"a-1"}`).
		wants(422, refused(noValue("name", "must be the name of an environment variable")))
}

func TestOpenHandsLimits(t *testing.T) {
	const descriptionBytes = 16 << 10
	c := serve(t).openhands(t, admin)
	value := func(bytes int) string {
		return `{"name":"V","value":"` + canary + strings.Repeat("x", bytes-len(canary)) + `"}`
	}
	c.post("/api/secrets", value(mebibyte+1)).wants(422, refused(noValue("value", "must not have more than 1 MiB of values")))
	c.post("/api/secrets", value(mebibyte)).wants(201, created)
	c.post("/api/secrets", `{"name":"EMPTY","value":""}`).wants(201, created)

	description := func(bytes int) string { return `{"name":"V","description":"` + strings.Repeat("x", bytes) + `"}` }
	c.put("/api/secrets/V", description(descriptionBytes+1)).wants(422, refused(noValue("description", "must be UTF-8 of at most 16 KiB")))
	c.put("/api/secrets/V", description(descriptionBytes)).wants(200, updated)
}
