package peers

import (
	"fmt"
	"strings"
	"testing"
)

const settings = "/api/settings/secrets"

func TestAgentServer1582(t *testing.T) {
	them := theirs(t, "agent-server", "/health", "agent-server", "--host", "127.0.0.1", "--port", "PORT")
	compare(t, them, ours(t), agentServerScript(), agentServerDifferences)
}

func agentServerScript() []request {
	json := func(name, value string) string { return fmt.Sprintf(`{"name":%q,"value":%q}`, name, value) }
	none := map[string]string{keyHeader: ""}
	script := []request{
		{label: "empty list", method: "GET", path: settings},
		{label: "create", method: "PUT", path: settings, body: `{"name":"A","value":"first value","description":"d"}`},
		{label: "create without description", method: "PUT", path: settings, body: json("B", "second value")},
		{label: "create with null description", method: "PUT", path: settings, body: `{"name":"C","value":"third value","description":null}`},
		{label: "create with empty description", method: "PUT", path: settings, body: `{"name":"D","value":"fourth value","description":""}`},
		{label: "delete the one with an empty description", method: "DELETE", path: settings + "/D"},
		{label: "create with extra fields", method: "PUT", path: settings, body: `{"name":"E","value":"fifth value","more":[1]}`},
		{label: "list four", method: "GET", path: settings},
		{label: "value", method: "GET", path: settings + "/A"},
		{label: "value again", method: "GET", path: settings + "/A", header: map[string]string{"If-None-Match": "*"}},
		{label: "update", method: "PUT", path: settings, body: `{"name":"A","value":"updated value","description":"e"}`},
		{label: "updated value", method: "GET", path: settings + "/A"},
		{label: "update drops description", method: "PUT", path: settings, body: json("A", "updated again")},
		{label: "list after updates", method: "GET", path: settings},
		{label: "unicode", method: "PUT", path: settings, body: json("U", "größe 🔑 \u2028")},
		{label: "unicode value", method: "GET", path: settings + "/U"},
		{label: "several lines", method: "PUT", path: settings, body: json("L", "one\ntwo\r\n")},
		{label: "several lines value", method: "GET", path: settings + "/L"},
		{label: "surrounding blanks", method: "PUT", path: settings, body: json("S", "  value  ")},
		{label: "surrounding blanks value", method: "GET", path: settings + "/S"},
		{label: "masked value", method: "PUT", path: settings, body: json("A", "**********")},
		{label: "blank value", method: "PUT", path: settings, body: json("A", "   ")},
		{label: "newline value", method: "PUT", path: settings, body: json("A", "\n")},
		{label: "empty value", method: "PUT", path: settings, body: json("A", "")},
		{label: "partly masked value", method: "PUT", path: settings, body: json("M", "abc**********")},
		{label: "short mask", method: "PUT", path: settings, body: json("M", "***")},
		{label: "value after masks", method: "GET", path: settings + "/A"},
		{label: "value of unknown", method: "GET", path: settings + "/UNKNOWN"},
		{label: "delete unknown", method: "DELETE", path: settings + "/UNKNOWN"},
		{label: "empty body", method: "PUT", path: settings},
		{label: "not JSON", method: "PUT", path: settings, body: `not json`},
		{label: "cut JSON", method: "PUT", path: settings, body: `{"name":`},
		{label: "comma at the end", method: "PUT", path: settings, body: `{"name":"A",}`},
		{label: "extra data", method: "PUT", path: settings, body: `{"name":"A"} x`},
		{label: "a list", method: "PUT", path: settings, body: `[1]`},
		{label: "null", method: "PUT", path: settings, body: `null`},
		{label: "no fields", method: "PUT", path: settings, body: `{}`},
		{label: "no value", method: "PUT", path: settings, body: `{"name":"A"}`},
		{label: "null value", method: "PUT", path: settings, body: `{"name":"A","value":null}`},
		{label: "number as value", method: "PUT", path: settings, body: `{"name":"A","value":5}`},
		{label: "number as name", method: "PUT", path: settings, body: `{"name":5,"value":"a value"}`},
		{label: "number as description", method: "PUT", path: settings, body: `{"name":"A","value":"a value","description":5}`},
		{label: "bad name and value", method: "PUT", path: settings, body: `{"name":"a b","value":5}`},
		{label: "no content type", method: "PUT", path: settings, body: json("N", "a value"), header: map[string]string{"Content-Type": ""}},
		{label: "json with charset", method: "PUT", path: settings, body: json("N", "a value"), header: map[string]string{"Content-Type": "application/json; charset=utf-8"}},
		{label: "merge-patch+json", method: "PUT", path: settings, body: json("N", "a value"), header: map[string]string{"Content-Type": "application/merge-patch+json"}},
		{label: "invalid UTF-8", method: "PUT", path: settings, body: "{\"name\":\"\xff\"}"},
		{label: "POST", method: "POST", path: settings, body: json("A", "a value")},
		{label: "PATCH", method: "PATCH", path: settings + "/A", body: `{}`},
		{label: "PUT on a value", method: "PUT", path: settings + "/A", body: json("A", "a value")},
		{label: "slash at the end", method: "GET", path: settings + "/"},
		{label: "path below", method: "GET", path: settings + "/A/b"},
		{label: "name in the path with percent", method: "GET", path: settings + "/%41"},
		{label: "list without key", method: "GET", path: settings, header: none},
		{label: "value without key", method: "GET", path: settings + "/A", header: none},
		{label: "list with wrong key", method: "GET", path: settings, header: map[string]string{keyHeader: "wrong"}},
		{label: "create without key", method: "PUT", path: settings, body: json("A", "a value"), header: none},
		{label: "foreign Authorization", method: "GET", path: settings, header: map[string]string{"Authorization": "Basic YTpi"}},
		{label: "unknown profile", method: "GET", path: settings + "?agent_profile_id=0f8fad5b-d9cb-469f-a165-70867728950e"},
		{label: "bad profile", method: "GET", path: settings + "?agent_profile_id=x"},
		{label: "unknown query", method: "GET", path: settings + "?x=y"},
		{label: "delete", method: "DELETE", path: settings + "/A"},
		{label: "delete again", method: "DELETE", path: settings + "/A"},
		{label: "value of deleted", method: "GET", path: settings + "/A"},
		{label: "list at the end", method: "GET", path: settings},
	}
	for _, name := range []string{"1A", "A-B", "_A", "A.B", "a%20b", "%C3%A9", strings.Repeat("x", 65), strings.Repeat("x", 64)} {
		script = append(script,
			request{label: "value of " + name, method: "GET", path: settings + "/" + name},
			request{label: "delete " + name, method: "DELETE", path: settings + "/" + name})
	}
	for _, name := range []string{"", "1A", "A-B", "_A", "A B", "é", strings.Repeat("x", 65)} {
		script = append(script, request{label: "create " + name, method: "PUT", path: settings, body: json(name, "a value")})
	}
	return append(script, request{label: "duplicate names", method: "PUT", path: settings, body: `{"name":"X","name":"Y","value":"a value"}`})
}
