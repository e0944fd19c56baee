package agentserver

import (
	"errors"
	"net/http"

	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/server"
)

// errName means that the name in the path is illegal in this API.
var errName = errors.New("illegal name")

const (
	illegalName = "must begin with a letter and have only letters, digits and underscores, 64 characters at most"
	// clients show this text, so it is OpenHands' own
	illegalNameInPath = "Invalid secret name format. Must start with a letter, contain only letters, numbers, and underscores, " +
		"and be 1-64 characters long."
)

var dialect = custom.Dialect{NoKey: "Unauthorized", BadKey: "Unauthorized"}

// answer turns errors into the agent server's responses.
func answer(err error) server.Answer {
	if errors.Is(err, errName) {
		return custom.Problem(http.StatusUnprocessableEntity, illegalNameInPath)
	}
	if errors.Is(err, errLostRace) {
		return custom.Problem(http.StatusConflict, "Secret has changed")
	}
	return dialect.Answer(err)
}
