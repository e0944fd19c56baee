package fastapi_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/fastapi"
)

const (
	maxBody = 4 << 20
	app     = "/api/app/0ab6cf0b-5d9a-4a3c-bb76-6e2a1c2f1a00/secrets/db"
)

var bounds = fastapi.Bounds{MaxBody: maxBody}

func mustLoad(t testing.TB) *fastapi.Document {
	t.Helper()
	text, err := os.ReadFile("testdata/api.json")
	if err != nil {
		t.Fatal(err)
	}
	d, err := fastapi.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// newServer serves every operation of the fixture. Handlers answer 200 with the bound
// body, or with their unescaped path parameters if there is no body.
func newServer(t testing.TB) *echo.Echo {
	e := echo.New()
	e.Binder = fastapi.Binder{}
	e.HTTPErrorHandler = render
	e.Use(mustLoad(t).Check(bounds))
	for _, path := range []string{"/api/secrets", "/api/secrets/:secret_id", "/api/app/:app_id/secrets/:secret_name"} {
		e.GET(path, echoParams)
		e.DELETE(path, echoParams)
		e.PUT(path, echoBody)
		e.POST(path, echoBody)
	}
	e.GET("/api/v1/secrets/search", echoParams)
	return e
}

type body struct {
	Name        string  `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
	Value       string  `json:"value,omitempty"`
	Data        []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"data,omitempty"`
}

func echoBody(c echo.Context) error {
	var got body
	if err := c.Bind(&got); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, got)
}

func echoParams(c echo.Context) error {
	return c.String(http.StatusOK, strings.Join(c.ParamValues(), " "))
}

// render is a minimal error handler of an API.
func render(err error, c echo.Context) {
	if invalid := (*fastapi.ValidationError)(nil); errors.As(err, &invalid) {
		c.JSON(http.StatusUnprocessableEntity, invalid)
		return
	}
	if known := (*echo.HTTPError)(nil); errors.As(err, &known) {
		c.JSON(known.Code, map[string]any{"detail": known.Message})
		return
	}
	c.String(http.StatusInternalServerError, err.Error())
}

// send returns the status, and the body without its final newline. An empty contentType
// sends no header.
func send(h http.Handler, method, path, contentType, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Body)
	return w.Code, strings.TrimSuffix(string(text), "\n")
}

// details returns the details of an answer on one line: "type loc msg".
func details(t testing.TB, answer string) string {
	t.Helper()
	var got struct{ Detail []map[string]any }
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	var lines []string
	for _, d := range got.Detail {
		loc, _ := json.Marshal(d["loc"])
		lines = append(lines, d["type"].(string)+" "+string(loc)+" "+d["msg"].(string))
		if len(d) != 3 {
			t.Errorf("a detail has %d members: %v", len(d), d)
		}
	}
	return strings.Join(lines, "; ")
}
