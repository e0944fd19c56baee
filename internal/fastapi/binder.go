package fastapi

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
)

// A Binder decodes the body that Check accepted, and refuses one that Check has not seen.
// It goes into echo.Echo.Binder, from where the generated code calls it. Unlike echo's own
// it knows one format, tells Name from name and takes no member twice.
type Binder struct{}

var _ echo.Binder = Binder{}

// Bind decodes the body into i. Its errors are the server's fault, never the caller's.
func (Binder) Bind(i any, c echo.Context) error {
	body, ok := c.Request().Body.(*checkedBody)
	if !ok {
		return errUnchecked
	}
	if err := json.Unmarshal(body.text, i); err != nil {
		return errMismatch // err is not wrapped as it may quote the body
	}
	return nil
}

// A checkedBody is how Check tells Binder what it has accepted. It reads like any body.
type checkedBody struct {
	io.Reader
	io.Closer
	text []byte
}
