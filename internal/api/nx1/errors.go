package nx1

import (
	"errors"
	"net/http"
	"slices"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A problem is the document's ErrorResponse. The SDK shows its users only this text, so
// the text says what to do, for 401 and 403 too.
type problem struct {
	Error string `json:"error"`
	Code  int    `json:"code"`
}

// errNotText means that a stored value is not UTF-8, so JSON cannot hold it.
var errNotText = errors.New("value is not text")

// words has the texts that differ from [api.Classify]'s.
var words = map[api.Kind]string{
	api.BadCredential:  "The credential is not valid",
	api.TooLarge:       "The request body is too large",
	api.UnreadableBody: "The request body cannot be read",
}

// answering returns the function that turns errors into Nx1's responses; no other
// code does. A 401 names the credentials that the schemes accept.
func answering(schemes []auth.Scheme) func(error) server.Answer {
	hint := "Send a key in the header Authorization-PSK"
	switch token := slices.Contains(schemes, auth.SchemeBearer); {
	case token && slices.Contains(schemes, auth.SchemeAPIKey):
		hint += ", or an access token in the header Authorization"
	case token:
		hint = "Send an access token in the header Authorization"
	}
	return func(err error) server.Answer { return answer(err, hint) }
}

func answer(err error, hint string) server.Answer {
	p := api.Classify(err)
	if text, ok := words[p.Kind]; ok {
		p.Text = text
	}
	invalid, _ := errors.AsType[*secret.InvalidError](err)
	switch {
	case p.Kind == api.Unprocessable:
		return p.Answer(p.Err)
	case p.Kind == api.NoCredential:
		p.Text = hint
	case p.Kind == api.Invalid && invalid.Field == "key": // the wrapping error has its place in the list
		return p.Answer(problem{err.Error(), p.Status})
	case p.Kind == api.Invalid:
		return p.Answer(problem{p.Text, p.Status})
	case errors.Is(err, fastapi.ErrTooMany):
		return server.Answer{Status: http.StatusBadRequest, Body: problem{"data: must not have more than 1000 keys", http.StatusBadRequest}}
	case errors.Is(err, errNotText):
		p.Status, p.Text = http.StatusConflict, err.Error()
	}
	return p.Answer(problem{p.Text + ".", p.Status})
}
