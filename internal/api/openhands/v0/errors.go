package v0

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A problem has one member, and which one depends on the problem: the web page
// shows error and message; detail is FastAPI's own.
type problem struct {
	Message string `json:"message,omitzero"`
	Error   string `json:"error,omitzero"`
	Detail  string `json:"detail,omitzero"`
}

// answer turns errors into OpenHands' responses; nothing else does.
func answer(err error) server.Answer {
	about := custom.Named(err)
	if invalid, ok := errors.AsType[*fastapi.ValidationError](err); ok {
		return server.Answer{Status: http.StatusUnprocessableEntity, Body: invalid}
	}
	if invalid := secret.InvalidErrors(err); len(invalid) > 0 {
		return server.Answer{Status: http.StatusUnprocessableEntity, Body: custom.Unprocessable(invalid)}
	}
	if tooMany, ok := errors.AsType[*auth.TooManyError](err); ok {
		a := failure(http.StatusTooManyRequests, "Too many requests: try again later")
		a.Header = server.RetryAfter(tooMany.After)
		return a
	}
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(auth.ErrNoCredential), is(auth.ErrBadCredential):
		return server.Answer{Status: http.StatusUnauthorized, Body: problem{Detail: "Unauthorized"}}
	case is(auth.ErrTwoCredentials):
		return message(http.StatusBadRequest, "Send one credential only")
	case is(auth.ErrElsewhere), is(secret.ErrForbidden):
		return failure(http.StatusForbidden, "Forbidden")
	case is(secret.ErrNotFound) && about.ID == "": // a creation outside of what the caller may see
		return failure(http.StatusForbidden, "Forbidden")
	case is(secret.ErrNotFound):
		return failure(http.StatusNotFound, "Secret with ID "+about.ID+" not found")
	case is(secret.ErrExists):
		return message(http.StatusBadRequest, "Secret "+about.Name+" already exists")
	case is(server.ErrPrecondition):
		return message(http.StatusBadRequest, server.ErrPrecondition.Error())
	case is(secret.ErrChanged):
		return failure(http.StatusPreconditionFailed, "Secret with ID "+about.ID+" has changed")
	case is(fastapi.ErrTooLarge):
		return failure(http.StatusRequestEntityTooLarge, "Request body is too large")
	case is(secret.ErrFull):
		return failure(http.StatusInsufficientStorage, "No space left to keep secrets")
	case is(secret.ErrUnavailable), is(context.Canceled), is(context.DeadlineExceeded):
		a := failure(http.StatusServiceUnavailable, api.Later(err))
		a.Header = server.RetryAfter(time.Second)
		return a
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		return fromEcho(err, he)
	}
	return failure(http.StatusInternalServerError, "Something went wrong")
}

// fromEcho answers what never reached an operation. Echo's own words may
// repeat what was sent.
func fromEcho(err error, he *echo.HTTPError) server.Answer {
	if errors.Is(err, fastapi.ErrNotText) {
		return server.Answer{Status: http.StatusBadRequest, Body: problem{Detail: "There was an error parsing the body"}}
	}
	if he.Code == http.StatusBadRequest { // all that the generated code has left to find
		return message(http.StatusBadRequest, "Send every header once")
	}
	return server.Answer{Status: he.Code, Body: problem{Detail: http.StatusText(he.Code)}}
}

func message(status int, text string) server.Answer {
	return server.Answer{Status: status, Body: problem{Message: text}}
}

func failure(status int, text string) server.Answer {
	return server.Answer{Status: status, Body: problem{Error: text}}
}
