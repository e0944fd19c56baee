package nx1

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A problem is the document's ErrorResponse. The SDK shows its users nothing
// but this, so it says what to do, on 401 and 403 too.
type problem struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

// errNotText is a stored value that JSON cannot hold.
var errNotText = errors.New("value is not text")

// answering turns errors into Nx1's responses; nothing else does. Who sent no
// credential is told of those that the schemes take.
func answering(schemes []auth.Scheme) func(error) server.Answer {
	hint := "Send a key in the header Authorization-PSK."
	switch token := slices.Contains(schemes, auth.SchemeBearer); {
	case token && slices.Contains(schemes, auth.SchemeAPIKey):
		hint = "Send a key in the header Authorization-PSK, or an access token in the header Authorization."
	case token:
		hint = "Send an access token in the header Authorization."
	}
	return func(err error) server.Answer {
		if errors.Is(err, auth.ErrNoCredential) {
			return failure(http.StatusUnauthorized, hint)
		}
		return answer(err)
	}
}

func answer(err error) server.Answer {
	if invalid, ok := errors.AsType[*fastapi.ValidationError](err); ok {
		return server.Answer{Status: http.StatusUnprocessableEntity, Body: invalid}
	}
	if tooMany, ok := errors.AsType[*auth.TooManyError](err); ok {
		a := failure(http.StatusTooManyRequests, "Too many requests: try again later.")
		a.Header = server.RetryAfter(tooMany.After)
		return a
	}
	is := func(target error) bool { return errors.Is(err, target) }
	invalid, isInvalid := errors.AsType[*secret.InvalidError](err)
	switch {
	case isInvalid && invalid.Field == "key": // its place in the list is wrapped around it
		return failure(http.StatusBadRequest, err.Error())
	case isInvalid:
		return failure(http.StatusBadRequest, invalid.Error())
	case is(auth.ErrBadCredential):
		return failure(http.StatusUnauthorized, "The credential is not valid.")
	case is(auth.ErrTwoCredentials):
		return failure(http.StatusBadRequest, "Send one credential only.")
	case is(auth.ErrElsewhere), is(secret.ErrForbidden):
		return failure(http.StatusForbidden, "Forbidden.")
	case is(secret.ErrNotFound):
		return failure(http.StatusNotFound, "Secret not found.")
	case is(secret.ErrExists):
		return failure(http.StatusConflict, "Secret already exists.")
	case is(server.ErrPrecondition):
		return failure(http.StatusBadRequest, sentence(server.ErrPrecondition))
	case is(secret.ErrChanged):
		return failure(http.StatusPreconditionFailed, "Secret has changed.")
	case is(errNotText):
		return failure(http.StatusConflict, sentence(err))
	case is(fastapi.ErrTooLarge):
		return failure(http.StatusRequestEntityTooLarge, "The request body is too large.")
	case is(secret.ErrFull):
		return failure(http.StatusInsufficientStorage, "No space left to keep secrets.")
	case is(secret.ErrUnavailable), is(context.Canceled), is(context.DeadlineExceeded):
		a := failure(http.StatusServiceUnavailable, api.Later(err)+".")
		a.Header = server.RetryAfter(time.Second)
		return a
	}
	// Echo's own words may repeat what was sent.
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch {
		case is(fastapi.ErrNotText):
			return failure(http.StatusBadRequest, "The request body cannot be read.")
		case he.Code == http.StatusBadRequest: // all that the generated code has left to find
			return failure(http.StatusBadRequest, "Send every header once.")
		}
		return failure(he.Code, http.StatusText(he.Code)+".")
	}
	return failure(http.StatusInternalServerError, "Something went wrong.")
}

func failure(status int, text string) server.Answer {
	return server.Answer{Status: status, Body: problem{text, status}}
}

// sentence ends an error's text the way Nx1's end.
func sentence(err error) string { return strings.TrimSuffix(err.Error(), ".") + "." }
