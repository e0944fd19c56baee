package fastapi_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/fastapi"
)

const (
	notString = "Input should be a valid string"
	notObject = "Input should be a valid dictionary or object to extract fields from"
	noBody    = `missing ["body"] Field required`
	noObject  = `model_attributes_type ["body"] ` + notObject
	noName    = `missing ["body","name"] Field required`
	noValue   = `missing ["body","value"] Field required`
)

func TestErrorsInBodies(t *testing.T) {
	const post, put = "POST /api/secrets", "PUT /api/secrets/A"
	const update = "PUT " + app
	tests := []struct {
		name, call, body, want string
	}{
		{"empty", put, "", noBody},
		{"null", put, "null", noBody},
		{"null in spaces", put, " \t\r\n null ", noBody},
		{"only spaces", put, " ", `json_invalid ["body",1] JSON decode error`},
		{"only a byte order mark", put, "\uFEFF", `json_invalid ["body",0] JSON decode error`},
		{"list", put, `[1]`, noObject},
		{"string", put, `"name"`, noObject},
		{"number", put, `1`, noObject},
		{"bool", put, `true`, noObject},
		{"empty object", put, `{}`, noName},
		{"empty object, two needed", post, `{}`, noName + "; " + noValue},
		{"only what is optional", put, `{"description":"d"}`, noName},
		{"another case", put, `{"NAME":"n"}`, noName},
		{"name in another object", put, `{"a":{"name":"n"},"b":[{"name":"n"}]}`, noName},
		{"name is number", put, `{"name":5}`, `string_type ["body","name"] ` + notString},
		{"name is null", put, `{"name":null}`, `string_type ["body","name"] ` + notString},
		{"name is bool", put, `{"name":false}`, `string_type ["body","name"] ` + notString},
		{"name is list", put, `{"name":["n"]}`, `string_type ["body","name"] ` + notString},
		{"name is object", put, `{"name":{}}`, `string_type ["body","name"] ` + notString},
		{"description is number", put, `{"name":"n","description":5}`, `string_type ["body","description"] ` + notString},
		{"description is list", put, `{"name":"n","description":[]}`, `string_type ["body","description"] ` + notString},
		{"value is null", post, `{"name":"n","value":null}`, `string_type ["body","value"] ` + notString},
		{
			"the document's order, not the body's", post, `{"description":1,"value":2}`,
			noName + `; string_type ["body","description"] ` + notString + `; string_type ["body","value"] ` + notString,
		},
		{"no data", update, `{}`, `missing ["body","data"] Field required`},
		{"data is null", update, `{"data":null}`, `list_type ["body","data"] Input should be a valid list`},
		{"data is object", update, `{"data":{}}`, `list_type ["body","data"] Input should be a valid list`},
		{"item is null", update, `{"data":[null]}`, `model_attributes_type ["body","data",0] ` + notObject},
		{"item is list", update, `{"data":[{"key":"k","value":"v"},[]]}`, `model_attributes_type ["body","data",1] ` + notObject},
		{"item without value", update, `{"data":[{"value":"v","key":"k"},{"key":"k"}]}`, `missing ["body","data",1,"value"] Field required`},
		{
			"item with wrong types", update, `{"data":[{"key":1,"value":{}}]}`,
			`string_type ["body","data",0,"key"] ` + notString + `; string_type ["body","data",0,"value"] ` + notString,
		},
		{
			"path before body", "PUT /api/app/x/secrets/db", `{}`,
			`uuid_parsing ["path","app_id"] Input should be a valid UUID; missing ["body","data"] Field required`,
		},
		{
			"path and no JSON", "PUT /api/app/x/secrets/db", `{`,
			`uuid_parsing ["path","app_id"] Input should be a valid UUID; json_invalid ["body",1] JSON decode error`,
		},
	}
	e := newServer(t)
	for _, tc := range tests {
		method, path, _ := strings.Cut(tc.call, " ")
		status, answer := send(e, method, path, "application/json", tc.body)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s, want 422", tc.name, status, answer)
		} else if got := details(t, answer); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestGoodBodies(t *testing.T) {
	const post, put, update = "POST /api/secrets", "PUT /api/secrets/A", "PUT " + app
	tests := []struct {
		name, call, body, want string
	}{
		{"everything", post, `{"name":"n","description":"d","value":"v"}`, `{"name":"n","description":"d","value":"v"}`},
		{"description is null", put, `{"name":"n","description":null}`, `{"name":"n"}`},
		{"no description", put, `{"name":"n"}`, `{"name":"n"}`},
		{"unknown members", put, `{"Name":1,"x":{"name":[]},"name":"n","datum":0}`, `{"name":"n"}`},
		{"byte order mark", put, "\uFEFF" + `{"name":"n"}`, `{"name":"n"}`},
		{"spaces", put, " {\r\"name\" :\n\"n\"\t, \"x\" : 1 } ", `{"name":"n"}`},
		{"escaped name", put, `{"\u006Eam\u0065":"n"}`, `{"name":"n"}`},
		{"strings with everything in them", post, `{"x":"\\","name":"]}\",:\"","value":"\ud83d\ude00{["}`, `{"name":"]}\",:\"","value":"😀{["}`},
		{"brackets in strings further down", put, `{"x":[{"name":"]}\"]"},"}"],"name":"n"}`, `{"name":"n"}`},
		{"empty strings", post, `{"name":"","value":""}`, `{}`},
		{"empty list", update, `{"data":[]}`, `{}`},
		{
			"list", update, `{"data":[ {"key":"k","value":"v"} , {"x":[1,{"key":2}],"value":"w","key":"l"}]}`,
			`{"data":[{"key":"k","value":"v"},{"key":"l","value":"w"}]}`,
		},
	}
	e := newServer(t)
	for _, tc := range tests {
		method, path, _ := strings.Cut(tc.call, " ")
		status, got := send(e, method, path, "application/json", tc.body)
		if status != http.StatusOK || got != tc.want {
			t.Errorf("%s:\n got %d %s\nwant 200 %s", tc.name, status, got, tc.want)
		}
	}
}

func TestContentTypes(t *testing.T) {
	tests := []struct {
		contentType string
		parsed      bool
	}{
		{"", true},
		{"application/json", true},
		{"Application/JSON ; charset=utf-8", true},
		{"application/merge-patch+json", true},
		{"application/problem+JSON", true},
		{"application/jsonx", false},
		{"application/json/x+json", false},
		{"text/json", false},
		{"text/plain", false},
		{"application/xml", false},
		{"application/x-www-form-urlencoded", false},
		{"json", false},
		{" ", false},
	}
	e := newServer(t)
	for _, tc := range tests {
		status, answer := send(e, "PUT", "/api/secrets/A", tc.contentType, `{"name":"n"}`)
		if tc.parsed != (status == http.StatusOK) {
			t.Errorf("%q: %d %s", tc.contentType, status, answer)
		}
		if !tc.parsed && details(t, answer) != noObject {
			t.Errorf("%q: %s, want %s", tc.contentType, answer, noObject)
		}
		if _, answer = send(e, "PUT", "/api/secrets/A", tc.contentType, ""); details(t, answer) != noBody {
			t.Errorf("%q and no body: %s, want %s", tc.contentType, answer, noBody)
		}
	}
}

func TestBodiesThatAreNotText(t *testing.T) {
	e := newServer(t)
	for _, body := range []string{"\xff", `{"name":"` + "\xc3" + `"}`, "\"\xed\xa0\x80\"", "not json \xfe", "\xff\xfe{\x00}\x00"} {
		status, answer := send(e, "PUT", "/api/secrets/A", "", body)
		if want := `{"detail":"There was an error parsing the body"}`; status != 400 || answer != want {
			t.Errorf("%q: %d %s, want 400 %s", body, status, answer, want)
		}
	}
}

func TestLargeBodies(t *testing.T) {
	e := newServer(t)
	fits := `{"name":"n"}` + strings.Repeat(" ", maxBody-12)
	if status, answer := send(e, "PUT", "/api/secrets/A", "", fits); status != http.StatusOK {
		t.Errorf("as large as can be: %d %s", status, answer)
	}
	if status, _ := send(e, "PUT", "/api/secrets/A", "", fits+" "); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte too much: %d, want 413", status)
	}
	r := httptest.NewRequest("PUT", "/api/secrets/A", io.MultiReader(strings.NewReader(fits+" ")))
	w := httptest.NewRecorder()
	if e.ServeHTTP(w, r); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a byte too much, unannounced: %d, want 413", w.Code)
	}
}

// unread is an incomplete body. If it has a t, reading it fails the test.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	if u.t != nil {
		u.t.Error("the body was read")
	}
	return 0, io.ErrUnexpectedEOF
}

func TestAnAnnouncedLargeBodyIsNotRead(t *testing.T) {
	r := httptest.NewRequest("PUT", "/api/secrets/A", unread{t})
	r.ContentLength = maxBody + 1
	w := httptest.NewRecorder()
	if newServer(t).ServeHTTP(w, r); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", w.Code)
	}
}

func TestATruncatedBodyIsRefused(t *testing.T) {
	r := httptest.NewRequest("PUT", "/api/secrets/A", unread{})
	c := echo.New().NewContext(r, httptest.NewRecorder())
	c.SetPath("/api/secrets/:secret_id")
	c.SetParamNames("secret_id")
	c.SetParamValues("A")
	err := mustLoad(t).Check(bounds)(echoBody)(c)
	if !errors.Is(err, fastapi.ErrNotText) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want ErrNotText and why", err)
	}
}

func TestErrorsAreBounded(t *testing.T) {
	hostile := `{"data":[` + strings.Repeat("1,", 9_000) + `1]}`
	status, answer := send(newServer(t), "PUT", app, "", hostile)
	if got := strings.Count(answer, `"loc"`); status != 422 || got != 100 {
		t.Errorf("got %d with %d errors, want 422 with 100", status, got)
	}
}

func TestAnswersDoNotQuoteTheRequest(t *testing.T) {
	e := newServer(t)
	for _, body := range []string{
		`{"name":["Zq"],"description":{"Zq":"Zq"},"value":77777}`, `{"Zq":"Zq"}`, `"Zq"`, `Zq`, `{"Zq":1,"Zq":2}`,
		`{"value":"Zq"`, `["Zq"`, `{"name":"Zq","value":"\ud800Zq"}`, "Zq\xff", `{"name":77777}`,
	} {
		for _, contentType := range []string{"", "text/Zq"} {
			_, answer := send(e, "POST", "/api/secrets", contentType, body)
			if strings.Contains(answer, "Zq") || strings.Contains(answer, "777") {
				t.Errorf("%s: %s", body, answer)
			}
		}
	}
}

func TestErrorsHavePlaceAndReason(t *testing.T) {
	err := &fastapi.ValidationError{Detail: []fastapi.Detail{
		{Type: "missing", Loc: []any{"body", "data", 0, "value"}, Msg: "Field required"},
		{Type: "json_invalid", Loc: []any{"body", 7}, Msg: "JSON decode error"},
	}}
	want := "invalid request: body.data.0.value: Field required; body.7: JSON decode error"
	if got := err.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
