package fastapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// These errors are not a 422 in the upstream framework either. They carry their status,
// so an API's error handler may treat them like any echo.HTTPError.
var (
	// ErrTooLarge means that the body has more bytes than Check allows.
	ErrTooLarge = echo.NewHTTPError(http.StatusRequestEntityTooLarge, "Request Entity Too Large")

	// ErrTooMany is an ErrTooLarge: the body has more than 10,000 values, including those
	// in lists and objects.
	ErrTooMany = fmt.Errorf("more values than a body may have: %w", ErrTooLarge)

	// ErrNotText means that the body is not UTF-8, or incomplete. Test for it with
	// errors.Is: it may be joined with the reason why the body is incomplete.
	ErrNotText = echo.NewHTTPError(http.StatusBadRequest, "There was an error parsing the body")
)

// Bugs in this program rather than errors in the request; the status is 500.
var (
	errUnknownRoute = errors.New("the route is not in the API document")
	errUnchecked    = errors.New("the body was not checked against the API document")
	errMismatch     = errors.New("the checked body does not fit the generated type")
)

// maxDetails limits the answer: a hostile list could have an error in every two bytes.
const maxDetails = 100

// A ValidationError lists the errors in a request, for a 422. It marshals to the body
// of that answer. Neither the body nor the error's text quotes the request:
//
//	{"detail":[{"type":"missing","loc":["body","name"],"msg":"Field required"}]}
type ValidationError struct {
	Detail []Detail `json:"detail"` // path before body, then in the document's order; at most 100
}

// A Detail is one error, worded as by pydantic 2.11. It lacks pydantic's input and ctx,
// which would quote the request and could contain a secret.
type Detail struct {
	Type string `json:"type"` // for programs, such as string_type
	Loc  []any  `json:"loc"`  // "path" or "body", then names (string) and indices (int)
	Msg  string `json:"msg"`  // for people
}

func (e *ValidationError) Error() string {
	lines := make([]string, len(e.Detail))
	for i, d := range e.Detail {
		lines[i] = d.String()
	}
	return "invalid request: " + strings.Join(lines, "; ")
}

// String returns a line like body.data.0.value: Field required.
func (d Detail) String() string {
	loc := strings.ReplaceAll(strings.Trim(fmt.Sprint(d.Loc), "[]"), " ", ".")
	return loc + ": " + d.Msg
}

func missing(loc ...any) Detail {
	return Detail{Type: "missing", Loc: loc, Msg: "Field required"}
}

func invalidJSON(character int) Detail {
	return Detail{Type: "json_invalid", Loc: []any{"body", character}, Msg: "JSON decode error"}
}

func invalidUUID(name string) Detail {
	return Detail{Type: "uuid_parsing", Loc: []any{"path", name}, Msg: "Input should be a valid UUID"}
}
