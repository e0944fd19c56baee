package fastapi_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/fastapi"
)

func TestThePublishedDocumentsLoad(t *testing.T) {
	for name, want := range map[string][]string{
		"openhands": {"X-Session-Api-Key"},
		"nx1":       {"Authorization", "Authorization-Psk"},
	} {
		text, err := os.ReadFile("../../specs/merged/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		d, err := fastapi.Load(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := d.CredentialHeaders(); !slices.Equal(got, want) {
			t.Errorf("%s: CredentialHeaders() = %v, want %v", name, got, want)
		}
	}
}

func TestCredentialHeaders(t *testing.T) {
	want := []string{"Authorization", "X-Session-Api-Key"}
	if got := mustLoad(t).CredentialHeaders(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Each row makes one change to the fixture, which must then fail to load.
func TestLoadRefusesUnsupportedKeywords(t *testing.T) {
	const (
		name     = `"name": {"type": "string", "title": "Name"}`
		value    = `"value": {"type": "string", "format": "password", "writeOnly": true}`
		security = `"get": {"security": [{"Key": []}]`
		schema   = `"schema": {"$ref": "#/components/schemas/CustomSecretModel"}`
		secretID = `"parameters": [{"name": "secret_id", "in": "path", "required": true, "schema": {"type": "string"}}]`
		items    = `"items": {"$ref": "#/components/schemas/SecretKeyValue"}`
		key      = `"Key": {"type": "apiKey", "in": "header", "name": "x-session-api-KEY"}`
	)
	tests := []struct {
		name, old, new, want string
	}{
		{"no JSON", `"openapi"`, `openapi`, "reading the API document"},
		{"a member twice", `"paths"`, `"info": {}, "paths"`, "duplicate"},
		{"OpenAPI 3.0", `"3.1.0"`, `"3.0.3"`, "3.1"},
		{"unknown keyword", name, `"name": {"type": "string", "minLength": 1}`, "minLength"},
		{"unknown keyword in a list", items, `"items": {"type": "string", "pattern": "x"}`, "pattern"},
		{"unknown keyword of a list", items, items + `, "maxItems": 1`, "maxItems"},
		{"unknown keyword of a union", value, `"value": {"anyOf": [{"type": "string", "const": "x"}, {"type": "null"}]}`, "const"},
		{"unknown keyword of null", value, `"value": {"anyOf": [{"type": "string"}, {"type": "null", "not": {}}]}`, "not"},
		{"unknown keyword of a body", schema, `"schema": {"type": "object", "additionalProperties": false}`, "additionalProperties"},
		{"unknown keyword of a parameter", `"in": "header", "schema": {"type": "string"}`, `"in": "header", "schema": {"type": "string", "maxLength": 9}`, "maxLength"},
		{"unknown type", name, `"name": {"type": "number"}`, "number"},
		{"two types", name, `"name": {"type": ["string", "null"]}`, "property name"},
		{"no type", name, `"name": {}`, "property name"},
		{"null alone", name, `"name": {"type": "null"}`, "null"},
		{"unknown format", name, `"name": {"type": "string", "format": "date"}`, "date"},
		{"uuid in a body", name, `"name": {"type": "string", "format": "uuid"}`, "uuid"},
		{"union of two types", value, `"value": {"anyOf": [{"type": "string"}, {"type": "object"}]}`, "anyOf"},
		{"null comes first", value, `"value": {"anyOf": [{"type": "null"}, {"type": "string"}]}`, "anyOf"},
		{"union of one", value, `"value": {"anyOf": [{"type": "string"}]}`, "anyOf"},
		{"union and type", value, `"value": {"anyOf": [{"type": "string"}, {"type": "null"}], "type": "string"}`, "combination"},
		{"reference and type", items, `"items": {"$ref": "#/components/schemas/SecretKeyValue", "type": "object"}`, "combination"},
		{"reference and union", items, `"items": {"$ref": "#/components/schemas/SecretKeyValue", "anyOf": []}`, "combination"},
		{"items of no list", name, `"name": {"type": "string", "items": {"type": "string"}}`, "combination"},
		{"properties of no object", name, `"name": {"type": "string", "properties": {}}`, "combination"},
		{"format of no string", name, `"name": {"type": "object", "format": "password"}`, "combination"},
		{"list of anything", items, `"title": "x"`, "combination"},
		{"required and nowhere", `["name", "value"]`, `["name", "valeu"]`, "valeu"},
		{"properties that are a list", `"properties": {"data"`, `"properties": [], "x": {"data"`, "properties"},
		{"a schema that is nowhere", `schemas/CustomSecretModel"`, `schemas/Nothing"`, "Nothing"},
		{"a schema of another document", schema, `"schema": {"$ref": "other.json#/components/schemas/CustomSecretModel"}`, "other.json"},
		{"a schema of itself", items, `"items": {"$ref": "#/components/schemas/UpdateSecretRequest"}`, "nested too deeply"},
		{"body is a list", schema, `"schema": {"type": "array", "items": {"type": "string"}}`, "object"},
		{"body or null", schema, `"schema": {"anyOf": [{"type": "object"}, {"type": "null"}]}`, "object"},
		{"body of nothing", schema, `"example": 1`, "request body"},
		{"optional body", `"requestBody": {"required": true, "content"`, `"requestBody": {"content"`, "required"},
		{"body that is no JSON", `"application/json": {` + schema, `"text/plain": {` + schema, "application/json"},
		{"body of two kinds", `{"application/json": {` + schema, `{"text/plain": {}, "application/json": {` + schema, "application/json"},
		{"body somewhere else", `"requestBody": {"required": true, "content"`, `"requestBody": {"$ref": "#/x", "content"`, "request body"},
		{"public by silence", security, `"get": {"x": [{"Key": []}]`, "no security requirement"},
		{"public by an empty list", security, `"get": {"security": []`, "no security requirement"},
		{"public by an alternative", security, `"get": {"security": [{"Key": []}, {}]`, "a security requirement is empty"},
		{"unknown scheme", security, `"get": {"security": [{"Kye": []}]`, "Kye"},
		{"credentials in a query", key, strings.Replace(key, "header", "query", 1), "Key"},
		{"credentials of an unknown sort", key, `"Key": {"type": "magic"}`, "Key"},
		{"cookie", `"in": "header"`, `"in": "cookie"`, "cookie"},
		{"list in a query", `"in": "header", "schema": {"type": "string"}`, `"in": "query", "schema": {"type": "array", "items": {"type": "string"}}`, "query"},
		{"unknown keyword in a query", `"default": 100`, `"minimum": 1`, "minimum"},
		{"limits of a text", name, `"name": {"type": "string", "maximum": 1}`, "combination"},
		{"limits of a number in a body", name, `"name": {"type": "integer", "exclusiveMinimum": 1}`, "limits"},
		{"limits of a number in a list", items, `"items": {"type": "integer", "maximum": 1}`, "limits"},
		{"header that is a uuid", `"in": "header", "schema": {"type": "string"}`, `"in": "header", "schema": {"type": "string", "format": "uuid"}`, "header"},
		{"number in a path", secretID, strings.Replace(secretID, `"string"`, `"integer"`, 1), "secret_id"},
		{"undeclared parameter", secretID, `"parameters": []`, "secret_id"},
		{"parameter that is nowhere", `parameters/IfMatch`, `parameters/IfNotMatch`, "IfNotMatch"},
		{"another method", `"delete": {`, `"trace": {`, "trace"},
		{"path somewhere else", secretID, `"$ref": "#/x", ` + secretID, "$ref"},
	}
	fixture, err := os.ReadFile("testdata/api.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range tests {
		text := strings.Replace(string(fixture), tc.old, tc.new, 1)
		if text == string(fixture) {
			t.Errorf("%s: the fixture has no %s", tc.name, tc.old)
			continue
		}
		_, err := fastapi.Load([]byte(text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error about %s", tc.name, err, tc.want)
		}
	}
}

func TestCoversComparesBothWays(t *testing.T) {
	const secret, named = "/api/secrets/:secret_id", "/api/app/:app_id/secrets/:secret_name"
	routes := func() []*echo.Route {
		return []*echo.Route{
			{Method: "GET", Path: "/api/secrets"},
			{Method: "POST", Path: "/api/secrets"},
			{Method: "PUT", Path: secret},
			{Method: "DELETE", Path: secret},
			{Method: "GET", Path: named},
			{Method: "PUT", Path: named},
			{Method: "GET", Path: "/api/v1/secrets/search"},
		}
	}
	d := mustLoad(t)
	if err := d.Covers(routes()); err != nil {
		t.Error(err)
	}
	err := d.Covers(routes()[1:])
	if want := "operation GET /api/secrets of the API document has no route"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	misspelt := routes()
	misspelt[2].Path = "/api/secrets/:secretid"
	err = d.Covers(misspelt)
	for _, want := range []string{"route PUT /api/secrets/:secretid is not in", "operation PUT /api/secrets/:secret_id of"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestABooleanIsTrueOrFalse(t *testing.T) {
	fixture, err := os.ReadFile("testdata/api.json")
	if err != nil {
		t.Fatal(err)
	}
	const value = `"value": {"type": "string", "format": "password", "writeOnly": true}`
	d, err := fastapi.Load([]byte(strings.Replace(string(fixture), value, `"value": {"type": "boolean"}`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	e.HTTPErrorHandler = render
	e.Use(d.Check(bounds))
	e.POST("/api/secrets", echoParams)
	for body, want := range map[string]int{
		"true": 200, "false": 200, `"true"`: 422, "1": 422, "0": 422, "null": 422, "[true]": 422, "{}": 422,
	} {
		status, answer := send(e, "POST", "/api/secrets", "", `{"name":"n","value":`+body+"}")
		if status != want {
			t.Errorf("%s: %d %s, want %d", body, status, answer, want)
		}
		if wrong := `bool_type ["body","value"] Input should be a valid boolean`; want == 422 && details(t, answer) != wrong {
			t.Errorf("%s: %s, want %s", body, answer, wrong)
		}
	}
}
