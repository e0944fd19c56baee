package custom

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// ErrNoValue means that the secret has no value of the kind that custom secrets
// have, which others than these APIs can have made.
var ErrNoValue = errors.New("secret has no value")

// An OutsideError is a creation outside of what the caller may see, where to say
// not found would be odd.
type OutsideError struct{ error }

func (e *OutsideError) Unwrap() error { return e.error }

// Outside marks the error of a call that may create.
func Outside(err error) error {
	if errors.Is(err, secret.ErrNotFound) {
		return &OutsideError{err}
	}
	return err
}

// An AboutError adds the names that some answers repeat.
type AboutError struct {
	error
	ID   string // of the secret in the path; empty: none
	Name string // that the request wants a secret to have
}

func (e *AboutError) Unwrap() error { return e.error }

// About adds the names to an error.
func About(err error, id, name string) error { return &AboutError{err, id, name} }

// Named returns the names that were added to the error, and empty ones if none were.
func Named(err error) (about AboutError) {
	if a, ok := errors.AsType[*AboutError](err); ok {
		about = *a
	}
	return about
}

// A Dialect is how an API words what the newer of OpenHands' APIs tell alike:
//
//	{"detail":"Secret not found"}
type Dialect struct{ NoKey, BadKey string }

type problem struct {
	Detail string `json:"detail"`
}

// Answer turns errors into responses.
func (d Dialect) Answer(err error) server.Answer {
	if invalid, ok := errors.AsType[*fastapi.ValidationError](err); ok {
		return server.Answer{Status: http.StatusUnprocessableEntity, Body: invalid}
	}
	if invalid := secret.InvalidErrors(err); len(invalid) == 1 && errors.Is(err, ErrRedacted) {
		return Problem(http.StatusUnprocessableEntity, "Secret value must not be empty or redacted")
	} else if len(invalid) > 0 {
		return server.Answer{Status: http.StatusUnprocessableEntity, Body: Unprocessable(invalid)}
	}
	if _, ok := errors.AsType[*OutsideError](err); ok {
		return Problem(http.StatusForbidden, "Forbidden")
	}
	if tooMany, ok := errors.AsType[*auth.TooManyError](err); ok {
		a := Problem(http.StatusTooManyRequests, "Too many requests: try again later")
		a.Header = server.RetryAfter(tooMany.After)
		return a
	}
	about, is := Named(err), func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(auth.ErrNoCredential):
		return Problem(http.StatusUnauthorized, d.NoKey)
	case is(auth.ErrBadCredential):
		return Problem(http.StatusUnauthorized, d.BadKey)
	case is(auth.ErrTwoCredentials):
		return Problem(http.StatusBadRequest, "Send one credential only")
	case is(auth.ErrElsewhere), is(secret.ErrForbidden):
		return Problem(http.StatusForbidden, "Forbidden")
	case is(ErrNoProfile):
		return Problem(http.StatusNotFound, "Agent profile not found")
	case is(secret.ErrNotFound) && about.ID != "":
		return Problem(http.StatusNotFound, "Secret with ID "+about.ID+" not found")
	case is(secret.ErrNotFound):
		return Problem(http.StatusNotFound, "Secret not found")
	case is(ErrNoValue):
		return Problem(http.StatusNotFound, "Secret has no value")
	case is(secret.ErrExists):
		return Problem(http.StatusBadRequest, "Secret "+about.Name+" already exists")
	case is(server.ErrPrecondition):
		return Problem(http.StatusBadRequest, server.ErrPrecondition.Error())
	case is(secret.ErrChanged):
		return Problem(http.StatusPreconditionFailed, "Secret has changed")
	case is(fastapi.ErrTooLarge):
		return Problem(http.StatusRequestEntityTooLarge, "Request body is too large")
	case is(secret.ErrFull):
		return Problem(http.StatusInsufficientStorage, "No space left to keep secrets")
	case is(secret.ErrUnavailable), is(context.Canceled), is(context.DeadlineExceeded):
		a := Problem(http.StatusServiceUnavailable, api.Later(err))
		a.Header = server.RetryAfter(time.Second)
		return a
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		return fromEcho(err, he)
	}
	return Problem(http.StatusInternalServerError, "Something went wrong")
}

// fromEcho answers what never reached an operation. Echo's own words may
// repeat what was sent.
func fromEcho(err error, he *echo.HTTPError) server.Answer {
	switch {
	case errors.Is(err, fastapi.ErrNotText):
		return Problem(http.StatusBadRequest, "There was an error parsing the body")
	case he.Code == http.StatusBadRequest: // all that the generated code has left to find
		return Problem(http.StatusBadRequest, "Send every header once")
	default:
		return Problem(he.Code, http.StatusText(he.Code))
	}
}

// Problem is an answer that says what is wrong.
func Problem(status int, text string) server.Answer {
	return server.Answer{Status: status, Body: problem{text}}
}

// Unprocessable words mistakes of the domain's as pydantic does those of its validators.
func Unprocessable(invalid []*secret.InvalidError) *fastapi.ValidationError {
	var all fastapi.ValidationError
	for _, mistake := range invalid {
		field := mistake.Field
		if field == "data" {
			field = ValueKey
		}
		all.Detail = append(all.Detail, fastapi.Detail{
			Type: "value_error", Loc: []any{"body", field}, Msg: "Value error, " + mistake.Reason,
		})
	}
	return &all
}
