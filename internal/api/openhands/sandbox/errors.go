package sandbox

import (
	"errors"
	"net/http"

	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/server"
)

// errForeign means that the key was created for another sandbox, or for none.
var errForeign = errors.New("the key is not for this sandbox")

var dialect = custom.Dialect{NoKey: "X-Session-API-Key header is required", BadKey: "Invalid session API key"}

// answer turns errors into the V1 API's responses.
func answer(err error) server.Answer {
	if errors.Is(err, errForeign) {
		return custom.Problem(http.StatusForbidden, "Session API key does not match sandbox")
	}
	if errors.Is(err, auth.ErrEmptyCredential) {
		err = auth.ErrNoCredential // as OpenHands words it
	}
	return dialect.Answer(err)
}
