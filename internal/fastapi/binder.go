package fastapi

import (
	"io"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"
)

// A Binder decodes the body that Check accepted, and rejects one that Check has not seen.
// Set it as echo.Echo.Binder, which the generated code calls. Unlike echo's own binder, it
// reads JSON only, distinguishes Name from name, and rejects duplicate members.
type Binder struct{}

var _ echo.Binder = Binder{}

// Bind decodes the body into i. An error is a bug in the server, never the client's
// fault.
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

// A checkedBody is a request body that Check has accepted. Binder takes its text; other
// code can read it like any body.
type checkedBody struct {
	io.Reader
	io.Closer
	text []byte
}
