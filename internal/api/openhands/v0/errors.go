package v0

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/server"
)

// A problem has exactly one of these members. OpenHands' web page shows error and
// message; detail is FastAPI's own.
type problem struct {
	Message string `json:"message,omitzero"`
	Error   string `json:"error,omitzero"`
	Detail  string `json:"detail,omitzero"`
}

// answer turns errors into OpenHands' responses; no other code does.
func answer(err error) server.Answer {
	p, about := api.Classify(err), custom.Named(err)
	switch p.Kind {
	case api.Unprocessable, api.Invalid:
		return custom.Unprocessable(err)
	case api.NoCredential, api.BadCredential, api.UnreadableBody, api.Unrouted:
		return p.Answer(problem{Detail: p.Text})
	case api.TwoCredentials, api.BadPrecondition, api.RepeatedHeader:
		return p.Answer(problem{Message: p.Text})
	case api.Exists:
		p.Status = http.StatusBadRequest
		return p.Answer(problem{Message: "Secret " + about.Name + " already exists"})
	case api.NotFound:
		if about.ID == "" { // a creation outside the caller's grants
			return answer(custom.Outside(err))
		}
		p.Text = "Secret with ID " + about.ID + " not found"
	case api.Changed:
		p.Text = "Secret with ID " + about.ID + " has changed"
	}
	return p.Answer(problem{Error: p.Text})
}
