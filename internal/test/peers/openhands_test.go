package peers

import (
	"fmt"
	"path/filepath"
	"testing"
)

func TestOpenHands0530(t *testing.T) {
	script, err := filepath.Abs("serve_openhands.py")
	if err != nil {
		t.Fatal(err)
	}
	them := theirs(t, "openhands", "/openapi.json", "python", script, "PORT")
	compare(t, them, ours(t), openHandsScript(), openHandsDifferences)
}

func openHandsScript() []request {
	const secrets = "/api/secrets"
	json := func(name, value string) string { return fmt.Sprintf(`{"name":%q,"value":%q}`, name, value) }
	none := map[string]string{keyHeader: ""}
	var script []request
	step := func(label, method, path, body string) {
		script = append(script, request{label: label, method: method, path: path, body: body})
	}
	step("empty list", "GET", secrets, "")
	step("update in an empty store", "PUT", secrets+"/A", `{"name":"A"}`)
	step("delete in an empty store", "DELETE", secrets+"/A", "")
	step("create", "POST", secrets, `{"name":"A","value":"first value","description":"d"}`)
	step("create without description", "POST", secrets, json("B", "second value"))
	step("create with null description", "POST", secrets, `{"name":"C","value":"third value","description":null}`)
	step("create with extra fields", "POST", secrets, `{"name":"D","value":"fourth value","more":[1]}`)
	step("create again", "POST", secrets, json("A", "other value"))
	step("list", "GET", secrets, "")
	step("update", "PUT", secrets+"/A", `{"name":"A","description":"new"}`)
	step("list after update", "GET", secrets, "")
	step("rename", "PUT", secrets+"/A", `{"name":"Z","description":"renamed"}`)
	step("rename to a taken name", "PUT", secrets+"/Z", `{"name":"B"}`)
	step("update the old name", "PUT", secrets+"/A", `{"name":"A"}`)
	step("rename unknown to a taken name", "PUT", secrets+"/A", `{"name":"B"}`)
	step("update without description", "PUT", secrets+"/Z", `{"name":"Z"}`)
	step("update with a value", "PUT", secrets+"/Z", json("Z", "a value"))
	step("list after renames", "GET", secrets, "")
	step("delete unknown", "DELETE", secrets+"/A", "")
	step("masked value", "POST", secrets, json("MASKED", "**********"))
	step("blank value", "POST", secrets, json("BLANK", "   "))
	step("empty value", "POST", secrets, json("EMPTY", ""))
	for _, name := range []string{"a b", "a-b", "1a", "_a", "é"} {
		step("create name "+name, "POST", secrets, `{"name":"`+name+`","value":"a value"}`)
	}
	step("list odd names", "GET", secrets, "")
	step("update a name with a blank", "PUT", secrets+"/a%20b", `{"name":"a b","description":"x"}`)
	step("delete a name with a blank", "DELETE", secrets+"/a%20b", "")
	step("delete a name with a slash", "DELETE", secrets+"/a%2Fb", "")
	step("delete with percent", "DELETE", secrets+"/%C3%A9", "")
	for _, method := range []string{"POST", "PUT"} {
		path := map[string]string{"POST": secrets, "PUT": secrets + "/B"}[method]
		for _, body := range []string{
			``, `not json`, `{"name":`, `{"name":"x",}`, `{"name":"x"} x`, `[1]`, `null`, `5`, `"x"`, `true`, `{}`, `{"description":"d"}`,
			`{"name":5,"value":"v"}`, `{"name":null}`, `{"name":"x","value":5}`, `{"name":"x","value":"v","description":5}`, `{"name":1,"value":2,"description":3}`,
			"{\"name\":\"\xff\"}", `{"name":"bad\q"}`, `{"name" "x"}`, ` `,
		} {
			step(method+" "+fmt.Sprintf("%q", body), method, path, body)
		}
	}
	step("PATCH", "PATCH", secrets, `{}`)
	step("PUT without an id", "PUT", secrets, `{}`)
	step("GET with an id", "GET", secrets+"/B", "")
	step("slash at the end", "GET", secrets+"/", "")
	step("path below", "DELETE", secrets+"/B/c", "")
	step("unknown query", "GET", secrets+"?x=y", "")
	plain := json("P", "a value")
	script = append(
		script,
		request{label: "list without key", method: "GET", path: secrets, header: none},
		request{label: "create without key", method: "POST", path: secrets, body: plain, header: none},
		request{label: "list with wrong key", method: "GET", path: secrets, header: map[string]string{keyHeader: "wrong"}},
		request{label: "foreign Authorization", method: "GET", path: secrets, header: map[string]string{"Authorization": "Basic YTpi"}},
		request{label: "text/plain", method: "POST", path: secrets, body: plain, header: map[string]string{"Content-Type": "text/plain"}},
		request{label: "no content type", method: "POST", path: secrets, body: plain, header: map[string]string{"Content-Type": ""}},
		request{label: "delete", method: "DELETE", path: secrets + "/B"},
		request{label: "delete again", method: "DELETE", path: secrets + "/B"},
		request{label: "list at the end", method: "GET", path: secrets},
	)
	for _, name := range []string{"a/b", `a\tb`, ".", "..", ""} {
		step("create name "+name, "POST", secrets, `{"name":"`+name+`","value":"a value"}`)
	}
	return script
}
