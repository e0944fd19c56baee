package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A Kind is a class of errors that clients treat alike.
type Kind int

// The kinds. The comments name the errors that do not follow from the name.
const (
	Internal        Kind = iota // any error that has no other kind
	Unprocessable               // a fastapi.ValidationError
	Invalid                     // a secret.InvalidError
	TooManyRequests             // an auth.TooManyError
	NoCredential
	BadCredential
	TwoCredentials
	Forbidden
	NotFound
	Exists
	BadPrecondition // If-Match cannot be parsed
	Changed         // If-Match names another revision
	TooLarge
	Full
	Unavailable    // also a context that has ended
	UnreadableBody // not UTF-8, or incomplete
	RepeatedHeader
	Unrouted // echo found no route, or the route has no such method; keep it last, for the tests
)

// A Problem is an error as an API reports it. Each API replaces the parts that it
// words differently, then calls Answer.
type Problem struct {
	Kind   Kind
	Status int
	Text   string      // without a full stop; safe to send
	Header http.Header // Retry-After; may be nil
	Err    error       // the sentinel or typed error; for Internal, the whole error
}

// known lists the errors with a fixed answer. The first match decides.
var known = []Problem{
	{Kind: NoCredential, Status: http.StatusUnauthorized, Text: "Unauthorized", Err: auth.ErrNoCredential},
	{Kind: BadCredential, Status: http.StatusUnauthorized, Text: "Unauthorized", Err: auth.ErrBadCredential},
	{Kind: TwoCredentials, Status: http.StatusBadRequest, Text: "Send one credential only", Err: auth.ErrTwoCredentials},
	{Kind: Forbidden, Status: http.StatusForbidden, Text: "Forbidden", Err: auth.ErrElsewhere},
	{Kind: Forbidden, Status: http.StatusForbidden, Text: "Forbidden", Err: secret.ErrForbidden},
	{Kind: NotFound, Status: http.StatusNotFound, Text: "Secret not found", Err: secret.ErrNotFound},
	{Kind: Exists, Status: http.StatusConflict, Text: "Secret already exists", Err: secret.ErrExists},
	{Kind: BadPrecondition, Status: http.StatusBadRequest, Text: server.ErrPrecondition.Error(), Err: server.ErrPrecondition},
	{Kind: Changed, Status: http.StatusPreconditionFailed, Text: "Secret has changed", Err: secret.ErrChanged},
	{Kind: TooLarge, Status: http.StatusRequestEntityTooLarge, Text: "Request body is too large", Err: fastapi.ErrTooLarge},
	{Kind: Full, Status: http.StatusInsufficientStorage, Text: "No space left to keep secrets", Err: secret.ErrFull},
	unavailable(secret.ErrBeingDeleted, "The secret is being deleted: try again later"),
	unavailable(secret.ErrUnavailable, "Try again later"),
	unavailable(context.Canceled, "Try again later"),
	unavailable(context.DeadlineExceeded, "Try again later"),
	{Kind: UnreadableBody, Status: http.StatusBadRequest, Text: "There was an error parsing the body", Err: fastapi.ErrNotText},
}

func unavailable(err error, text string) Problem {
	return Problem{Unavailable, http.StatusServiceUnavailable, text, server.RetryAfter(time.Second), err}
}

// Classify returns the default form in which APIs report an error. An API may word it
// differently.
func Classify(err error) Problem {
	if e, ok := errors.AsType[*fastapi.ValidationError](err); ok {
		return Problem{Kind: Unprocessable, Status: http.StatusUnprocessableEntity, Text: e.Error(), Err: e}
	}
	if e, ok := errors.AsType[*secret.InvalidError](err); ok {
		return Problem{Kind: Invalid, Status: http.StatusBadRequest, Text: e.Error(), Err: e}
	}
	if e, ok := errors.AsType[*auth.TooManyError](err); ok {
		return Problem{TooManyRequests, http.StatusTooManyRequests, "Too many requests: try again later", server.RetryAfter(e.After), e}
	}
	for _, p := range known {
		if errors.Is(err, p.Err) {
			return p
		}
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		return fromEcho(e)
	}
	return Problem{Kind: Internal, Status: http.StatusInternalServerError, Text: "Something went wrong", Err: err}
}

// fromEcho classifies an error of the router or of the generated code. Its own
// text may quote the request.
func fromEcho(e *echo.HTTPError) Problem {
	p := Problem{Kind: Unrouted, Status: e.Code, Text: http.StatusText(e.Code), Err: e}
	if e.Code == http.StatusBadRequest { // Check has reported all other errors
		p.Kind, p.Text = RepeatedHeader, "Send every header once"
	}
	return p
}

// Answer returns the response with that body.
func (p Problem) Answer(body any) server.Answer {
	return server.Answer{Status: p.Status, Header: p.Header, Body: body}
}
