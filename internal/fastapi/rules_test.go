package fastapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/fastapi"
)

const ruled = `{"openapi": "3.1.0", "paths": {"/a/{id}": {"put": {"security": [{"key": []}],
	"parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^x"}}],
	"requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object", "required": ["name", "n"],
		"properties": {"name": {"type": "string", "pattern": "^x"}, "n": {"type": "integer"}}}}}}}}},
	"components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "K"}}}}`

func TestRulesRunEvenIfTheBodyHasOtherErrors(t *testing.T) {
	doc, err := fastapi.Load([]byte(ruled))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Apply(nil); err == nil {
		t.Error("a pattern without a rule is accepted")
	}
	for call, member := range map[string]string{"PUT /a/{id}": "n", "PUT /b": "name", "GET /a/{id}": "name"} {
		if err := doc.Apply(fastapi.Rules{call: {member: nil}}); err == nil {
			t.Errorf("a rule for %s of %s is accepted", member, call)
		}
	}
	rule := func(r *http.Request, text string) string {
		if strings.HasPrefix(text, "x") || strings.HasSuffix(r.URL.Path, "/"+text) {
			return ""
		}
		return "must begin with x"
	}
	if err := doc.Apply(fastapi.Rules{"PUT /a/{id}": {"name": rule}}); err != nil {
		t.Fatal(err)
	}
	const broken = "body.name: Value error, must begin with x"
	for body, want := range map[string]string{
		`{"name": "y", "n": 1}`:     "", // for the API to refuse, after it has authorized
		`{"name": "y", "n": "1"}`:   broken + "; body.n: Input should be a valid integer",
		`{"name": "\u0079"}`:        broken + "; body.n: Field required",
		`{"name": "\u0078"}`:        "body.n: Field required",
		`{"name": "kept", "n": []}`: "body.n: Input should be a valid integer",
		`{"name": 5, "n": 1}`:       "body.name: Input should be a valid string",
		`{"n": 1.5}`:                "body.name: Field required; body.n: Input should be a valid integer",
	} {
		got := ""
		e := echo.New()
		e.HTTPErrorHandler = func(err error, _ echo.Context) { got = strings.TrimPrefix(err.Error(), "invalid request: ") }
		e.Use(doc.Check(fastapi.Bounds{MaxBody: 1 << 10}))
		e.PUT("/a/:id", func(echo.Context) error { return nil })
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/a/kept", strings.NewReader(body)))
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
