package strongroom

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// statuses has the errors that occur only in administration.
var statuses = map[error]int{
	issued.ErrNoKey:         http.StatusNotFound,
	admin.ErrNoStore:        http.StatusNotFound,
	secret.ErrNoHistory:     http.StatusBadRequest,
	admin.ErrClock:          http.StatusConflict,
	admin.ErrKeyringChanged: http.StatusConflict,
	admin.ErrPruned:         http.StatusConflict,
	admin.ErrResealing:      http.StatusConflict,
	secret.ErrSamePlace:     http.StatusConflict,
}

// answer turns errors into responses; no other code does. The texts are those of the
// errors, even of internal ones: administrators may read them, and no error contains a
// value.
func answer(err error) server.Answer {
	for known, status := range statuses {
		if errors.Is(err, known) {
			return failure(status, known.Error())
		}
	}
	p := api.Classify(err)
	if _, ok := errors.AsType[*echo.HTTPError](p.Err); ok { // its text may quote the request
		return failure(p.Status, http.StatusText(p.Status))
	}
	if p.Kind == api.Unavailable { // the whole error says what is unavailable
		return failure(p.Status, err.Error())
	}
	return failure(p.Status, p.Err.Error())
}

func failure(status int, text string) server.Answer {
	return server.Answer{Status: status, Body: gen.Problem{Error: text}}
}
