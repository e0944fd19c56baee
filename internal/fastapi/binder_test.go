package fastapi_test

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/fastapi"
)

// checked calls handle with a context whose body Check has accepted.
func checked(t *testing.T, text string, handle echo.HandlerFunc) error {
	t.Helper()
	r := httptest.NewRequest("POST", "/api/secrets", strings.NewReader(text))
	c := echo.New().NewContext(r, httptest.NewRecorder())
	c.SetPath("/api/secrets")
	return mustLoad(t).Check(bounds)(handle)(c)
}

func TestBinderRefusesAnUncheckedBody(t *testing.T) {
	r := httptest.NewRequest("POST", "/api/secrets", strings.NewReader(`{"name":"n","value":"v"}`))
	var got body
	err := fastapi.Binder{}.Bind(&got, echo.New().NewContext(r, httptest.NewRecorder()))
	if err == nil || got.Name != "" {
		t.Errorf("got %v and %+v, want an error and nothing", err, got)
	}
}

func TestBinderTellsCaseApart(t *testing.T) {
	err := checked(t, `{"VALUE":"w","name":"n","Name":"m","value":"v"}`, func(c echo.Context) error {
		var got body
		err := fastapi.Binder{}.Bind(&got, c)
		if got.Name != "n" || got.Value != "v" {
			t.Errorf("got %+v", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// quoting quotes its input in its decoding error, as a UUID does.
type quoting string

func (*quoting) UnmarshalText(text []byte) error { return errors.New(string(text)) }

func TestBinderDoesNotQuoteTheBody(t *testing.T) {
	err := checked(t, `{"name":"Zq","value":"Zq"}`, func(c echo.Context) error {
		return fastapi.Binder{}.Bind(&struct {
			Name quoting `json:"name"`
		}{}, c)
	})
	if err == nil || strings.Contains(err.Error(), "Zq") {
		t.Errorf("got %v, want an error without the value", err)
	}
}

func TestACheckedBodyCanBeReadToo(t *testing.T) {
	const text = `{"name":"n","value":"v"}`
	err := checked(t, text, func(c echo.Context) error {
		got, err := io.ReadAll(c.Request().Body)
		if string(got) != text {
			t.Errorf("got %s", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
