package strongroom

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// answer turns errors into responses; nothing else does. Administrators are
// told what went wrong in its own words, which never hold a value.
func answer(err error) server.Answer {
	if invalid, ok := errors.AsType[*fastapi.ValidationError](err); ok {
		return failure(http.StatusUnprocessableEntity, invalid.Error())
	}
	if invalid, ok := errors.AsType[*secret.InvalidError](err); ok {
		return failure(http.StatusBadRequest, invalid.Error())
	}
	for _, known := range []struct {
		err    error
		status int
	}{
		{auth.ErrElsewhere, http.StatusForbidden},
		{secret.ErrForbidden, http.StatusForbidden},
		{issued.ErrNoKey, http.StatusNotFound},
		{secret.ErrNotFound, http.StatusNotFound},
		{admin.ErrNoStore, http.StatusNotFound},
		{secret.ErrNoHistory, http.StatusBadRequest},
		{secret.ErrExists, http.StatusConflict},
		{admin.ErrClock, http.StatusConflict},
		{admin.ErrResealing, http.StatusConflict},
		{secret.ErrSamePlace, http.StatusConflict},
		{secret.ErrFull, http.StatusInsufficientStorage},
		{secret.ErrBeingDeleted, http.StatusServiceUnavailable},
		{secret.ErrUnavailable, http.StatusServiceUnavailable},
		{context.Canceled, http.StatusServiceUnavailable},
	} {
		if errors.Is(err, known.err) {
			return failure(known.status, known.err.Error())
		}
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		return failure(he.Code, http.StatusText(he.Code))
	}
	return failure(http.StatusInternalServerError, err.Error())
}

func failure(status int, text string) server.Answer {
	return server.Answer{Status: status, Body: gen.Problem{Error: text}}
}
