package fastapi

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// Check returns middleware that validates every request against the document, before the
// generated code sees it. Since it reads the body, within the bounds, it must run after
// routing and authentication, as the last of the gates of server.NewEcho.
//
// All errors in path, query and body make one *ValidationError. Other errors are
// ErrTooLarge, ErrTooMany, ErrNotText, those of the bounds, and echo.ErrNotFound for a
// path parameter that is empty, contains a slash or is not UTF-8. Requests without a
// route pass, and echo answers 404 or 405. A request whose route is not in the document
// gets an error, since that is our bug.
func (d *Document) Check(bounds Bounds) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := d.check(c, bounds); err != nil {
				return err
			}
			return next(c)
		}
	}
}

func (d *Document) check(c echo.Context, bounds Bounds) error {
	op := d.operations[c.Path()][c.Request().Method]
	if op == nil {
		return unserved(c)
	}
	details, err := op.checkPath(c)
	if err != nil {
		return err
	}
	details = append(details, op.checkQuery(c.Request().URL.RawQuery)...)
	if op.body != nil {
		if err := bounds.admit(c, details); err != nil {
			return err
		}
		more, err := op.checkBody(c.Request(), bounds)
		if err != nil {
			return err
		}
		details = append(details, more...)
	}
	if len(details) > 0 {
		return &ValidationError{details}
	}
	return nil
}

// unserved returns the error for a request that is not an operation of the document, or
// nil to leave the answer to echo. For an unknown method, echo sets the Allow header's
// methods in the context. It does the same for paths with too many segments, which get
// 404 here.
func unserved(c echo.Context) error {
	switch known := c.Get(echo.ContextKeyHeaderAllow) != nil; {
	case known && !oneSegmentEach(c):
		return echo.ErrNotFound
	case known || c.Path() == "":
		return nil
	default:
		return errUnknownRoute
	}
}

// checkBody reads the body, and replaces it by a checkedBody if it is valid.
func (op *operation) checkBody(r *http.Request, bounds Bounds) ([]Detail, error) {
	text, err := bounds.read(r)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return []Detail{missing("body")}, nil
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return []Detail{{Type: kindObject.errorType, Loc: []any{"body"}, Msg: kindObject.msg}}, nil
	}
	if !utf8.Valid(text) {
		return nil, ErrNotText
	}
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	character, err := scan(text)
	switch {
	case errors.Is(err, errNotJSON):
		return []Detail{invalidJSON(character)}, nil
	case err != nil:
		return nil, err
	}
	if string(bytes.Trim(text, " \t\r\n")) == "null" {
		return []Detail{missing("body")}, nil
	}
	details := op.match(r, text)
	if len(details) == 0 {
		r.Body = &checkedBody{bytes.NewReader(text), r.Body, text}
	}
	return details, nil
}

// isJSON reports whether the upstream framework treats the type as JSON. It also does
// without a type.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	kind, subtype, _ := strings.Cut(strings.ToLower(strings.TrimSpace(media)), "/")
	return contentType == "" || kind == "application" &&
		(subtype == "json" || strings.HasSuffix(subtype, "+json") && !strings.Contains(subtype, "/"))
}
