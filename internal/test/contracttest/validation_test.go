package contracttest

import (
	"fmt"
	"strings"
	"testing"
)

// refused returns the body of a 422 in FastAPI's shape, without input, which would quote the
// request.
func refused(details ...string) string { return `{"detail":[` + strings.Join(details, ",") + `]}` }

// detail returns one error. Its place is written with dots: body.data.0.key.
func detail(kind, place, message string) string {
	var loc []string
	for _, step := range strings.Split(place, ".") {
		if strings.Trim(step, "0123456789") != "" {
			step = `"` + step + `"`
		}
		loc = append(loc, step)
	}
	return fmt.Sprintf(`{"type":"%s","loc":[%s],"msg":"%s"}`, kind, strings.Join(loc, ","), message)
}

func missing(place string) string { return detail("missing", place, "Field required") }
func notText(place string) string {
	return detail("string_type", place, "Input should be a valid string")
}

func notList(place string) string { return detail("list_type", place, "Input should be a valid list") }

func notUUID(place string) string {
	return detail("uuid_parsing", place, "Input should be a valid UUID")
}

func notJSON(character int) string {
	return detail("json_invalid", fmt.Sprintf("body.%d", character), "JSON decode error")
}

func notObject(place string) string {
	return detail("model_attributes_type", place, "Input should be a valid dictionary or object to extract fields from")
}

// noValue returns a value error, as by an API's own rules.
func noValue(field, reason string) string {
	return detail("value_error", "body."+field, "Value error, "+reason)
}

// Requests have the canary in every place, and the witness searches answers for it.
func TestAllErrorsOfARequestAreInOne422(t *testing.T) {
	const (
		post, put    = "POST /api/secrets", "PUT /api/secrets/A"
		create, edit = "POST " + secrets, "PUT " + secrets + "/MINE"
		c            = `"` + canary + `"`
		nowhere      = "/api/app/" + canary + "/secrets"
	)
	s := serve(t)
	for _, tc := range []struct{ name, call, body, want string }{
		{"nothing", post, "", refused(missing("body"))},
		{"nothing", put, "", refused(missing("body"))},
		{"nothing", create, "", refused(missing("body"))},
		{"nothing", edit, "", refused(missing("body"))},
		{"null", post, "null", refused(missing("body"))},
		{"null", edit, "null", refused(missing("body"))},
		{"not JSON", post, canary, refused(notJSON(0))},
		{"not JSON", edit, canary, refused(notJSON(0))},
		{"a comma too many", put, `{"name":` + c + `,}`, refused(notJSON(17))},
		{"half of it", put, `{"name":`, refused(notJSON(8))},
		{"spaces", put, " ", refused(notJSON(1))},
		{"something behind it", put, `{"name":` + c + `} extra`, refused(notJSON(18))},
		{"characters, not bytes", put, `{"é🔑":` + canary + `}`, refused(notJSON(6))},
		{"a list", post, `[` + c + `]`, refused(notObject("body"))},
		{"a list", edit, `[` + c + `]`, refused(notObject("body"))},
		{"text", put, c, refused(notObject("body"))},
		{"a number", put, "1", refused(notObject("body"))},
		{"a truth", create, "true", refused(notObject("body"))},

		{"no name, no value", post, `{}`, refused(missing("body.name"), missing("body.value"))},
		{"no value", post, `{"name":` + c + `}`, refused(missing("body.value"))},
		{"no name", post, `{"value":` + c + `}`, refused(missing("body.name"))},
		{"no name", put, `{}`, refused(missing("body.name"))},
		{"only what is optional", put, `{"description":` + c + `}`, refused(missing("body.name"))},
		{"another case", put, `{"Name":` + c + `}`, refused(missing("body.name"))},
		{"a number for a name", put, `{"name":5,"description":` + c + `}`, refused(notText("body.name"))},
		{"null for a name", put, `{"name":null}`, refused(notText("body.name"))},
		{"a truth for a name", put, `{"name":false}`, refused(notText("body.name"))},
		{"a list for a name", put, `{"name":[` + c + `]}`, refused(notText("body.name"))},
		{"an object for a name", put, `{"name":{` + c + `:` + c + `}}`, refused(notText("body.name"))},
		{"a number for a description", put, `{"name":` + c + `,"description":5}`, refused(notText("body.description"))},
		{"null for a value", post, `{"name":` + c + `,"value":null}`, refused(notText("body.value"))},
		{"name and value", post, `{"name":[` + c + `],"description":null,"value":[` + c + `]}`, refused(notText("body.name"), notText("body.value"))},

		{"no name, no data", create, `{}`, refused(missing("body.secret_name"), missing("body.data"))},
		{"no data", edit, `{"secret_name":` + c + `}`, refused(missing("body.data"))},
		{"null for data", edit, `{"data":null}`, refused(notList("body.data"))},
		{"an object for data", edit, `{"data":{` + c + `:` + c + `}}`, refused(notList("body.data"))},
		{"null in data", edit, `{"data":[null]}`, refused(notObject("body.data.0"))},
		{"text in data", create, `{"secret_name":"N","data":[` + c + `]}`, refused(notObject("body.data.0"))},
		{"no key", edit, `{"data":[{"value":` + c + `}]}`, refused(missing("body.data.0.key"))},
		{"no value", edit, `{"data":[{"key":"K","value":"v"},{"key":` + c + `}]}`, refused(missing("body.data.1.value"))},
		{"a number for a value", edit, `{"data":[{"key":` + c + `,"value":5}]}`, refused(notText("body.data.0.value"))},
		{"many", edit, `{"data":[{},{"key":[` + c + `],"value":null}]}`, refused(missing("body.data.0.key"), missing("body.data.0.value"),
			notText("body.data.1.key"), notText("body.data.1.value"))},

		{"no app", "GET " + nowhere, "", refused(notUUID("path.app_id"))},
		{"no app", "GET " + nowhere + "/A", "", refused(notUUID("path.app_id"))},
		{"no app", "GET " + nowhere + "/A/reveal", "", refused(notUUID("path.app_id"))},
		{"no app", "DELETE " + nowhere + "/A", "", refused(notUUID("path.app_id"))},
		{"no app and nothing else", "POST " + nowhere, "", refused(notUUID("path.app_id"), missing("body"))},
		{
			"no app and a bad body", "PUT " + nowhere + "/A", `{"data":[{}]}`,
			refused(notUUID("path.app_id"), missing("body.data.0.key"), missing("body.data.0.value")),
		},
		{"no app and not JSON", "PUT " + nowhere + "/A", canary, refused(notUUID("path.app_id"), notJSON(0))},
	} {
		t.Run(tc.name+", "+tc.call, func(t *testing.T) {
			method, path, _ := strings.Cut(tc.call, " ")
			s.caller(t, spokenAt(path).key, admin).do(method, path, tc.body).wants(422, tc.want)
		})
	}
}
