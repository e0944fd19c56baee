package fastapi

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

// Check holds every request against the document, before the generated code sees it. It
// belongs behind routing and authentication, the last of the gates of server.NewEcho, as it
// reads the body, within the bounds.
//
// What is wrong with path, query and body comes as one *ValidationError. Others are ErrTooLarge,
// ErrTooMany, ErrNotText, those of the bounds, and echo.ErrNotFound for a path parameter that is
// empty, has a slash or is not text. Requests that echo could not route pass, for echo to answer
// 404 or 405. A request whose route is not in the document is refused: that is a mistake of ours.
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

// unserved is the answer to what is no operation of the document: nil leaves it to echo. If
// echo knows the path but not the method, it has the methods that it knows for the Allow
// header. They are those of a path that is there, which is not every path it takes for one.
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

// checkBody reads the body, and puts it back if nothing is wrong with it.
func (op *operation) checkBody(r *http.Request, bounds Bounds) ([]Detail, error) {
	text, err := bounds.read(r)
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return []Detail{missing("body")}, nil
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		return []Detail{{Type: kindObject.mistake, Loc: []any{"body"}, Msg: kindObject.msg}}, nil
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

// isJSON says what the upstream framework takes for JSON; no type at all is JSON, too.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	kind, subtype, _ := strings.Cut(strings.ToLower(strings.TrimSpace(media)), "/")
	return contentType == "" || kind == "application" &&
		(subtype == "json" || strings.HasSuffix(subtype, "+json") && !strings.Contains(subtype, "/"))
}
