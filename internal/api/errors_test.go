package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// classified has at least one error of every kind.
var classified = []struct {
	err        error
	kind       api.Kind
	status     int
	retryAfter string
}{
	{errors.New("bug"), api.Internal, 500, ""},
	{&fastapi.ValidationError{}, api.Unprocessable, 422, ""},
	{&secret.InvalidError{Field: "name", Reason: "must not be empty"}, api.Invalid, 400, ""},
	{&auth.TooManyError{After: 1500 * time.Millisecond}, api.TooManyRequests, 429, "2"},
	{auth.ErrNoCredential, api.NoCredential, 401, ""},
	{auth.ErrBadToken, api.BadCredential, 401, ""},
	{auth.ErrEmptyCredential, api.BadCredential, 401, ""},
	{auth.ErrTwoCredentials, api.TwoCredentials, 400, ""},
	{auth.ErrElsewhere, api.Forbidden, 403, ""},
	{secret.ErrForbidden, api.Forbidden, 403, ""},
	{secret.ErrNotFound, api.NotFound, 404, ""},
	{secret.ErrExists, api.Exists, 409, ""},
	{server.ErrPrecondition, api.BadPrecondition, 400, ""},
	{secret.ErrChanged, api.Changed, 412, ""},
	{fastapi.ErrTooLarge, api.TooLarge, 413, ""},
	{secret.ErrFull, api.Full, 507, ""},
	{secret.ErrBeingDeleted, api.Unavailable, 503, "1"},
	{context.DeadlineExceeded, api.Unavailable, 503, "1"},
	{fmt.Errorf("%w: %w", fastapi.ErrNotText, context.Canceled), api.Unavailable, 503, "1"}, // the client hung up
	{fastapi.ErrNotText, api.UnreadableBody, 400, ""},
	{echo.NewHTTPError(http.StatusBadRequest, "sent twice: text"), api.RepeatedHeader, 400, ""},
	{echo.ErrMethodNotAllowed, api.Unrouted, 405, ""},
}

func TestClassifyKnowsEveryKind(t *testing.T) {
	seen := map[api.Kind]bool{}
	for _, tc := range classified {
		p := api.Classify(fmt.Errorf("storing: %w", tc.err))
		if p.Kind != tc.kind || p.Status != tc.status || p.Header.Get("Retry-After") != tc.retryAfter {
			t.Errorf("Classify(%v) = %+v, want kind %d, status %d, Retry-After %q", tc.err, p, tc.kind, tc.status, tc.retryAfter)
		}
		if !errors.Is(tc.err, p.Err) && tc.kind != api.Internal {
			t.Errorf("Classify(%v).Err = %v, still wrapped", tc.err, p.Err)
		}
		seen[p.Kind] = true
	}
	for kind := range api.Unrouted {
		if !seen[kind] {
			t.Errorf("no error of kind %d", kind)
		}
	}
}

func TestErrorsDoNotQuoteTheRequest(t *testing.T) {
	for _, err := range []error{echo.NewHTTPError(400, "sent"), echo.NewHTTPError(404, "sent"), errors.New("sent")} {
		if p := api.Classify(err); p.Text == "" || p.Text == "sent" {
			t.Errorf("Classify(%v).Text = %q", err, p.Text)
		}
	}
}
