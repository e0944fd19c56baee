package vault

import (
	"errors"
	"net/http"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/server"
)

// A problem is the document's Errors.
type problem struct {
	Errors []string `json:"errors"`
}

var (
	// errNotText is a stored value that JSON cannot contain.
	errNotText = errors.New("value is not text")
	// errWrapping is a request for a wrapped answer. A client would not expect the bare one.
	errWrapping = errors.New("wrapping")
)

// words has the texts that differ from [api.Classify]'s.
var words = map[api.Kind]string{
	api.NoCredential:  "missing client token: send an API key in the header X-Vault-Token",
	api.BadCredential: "permission denied: the client token is not valid",
	api.Forbidden:     "permission denied",
}

// answer turns errors into Vault's responses; no other code does. Vault's clients take 403
// for a token that does not work, and would stop at 401. They take 404 for a secret that does
// not exist.
func answer(err error) server.Answer {
	p := api.Classify(err)
	if text, ok := words[p.Kind]; ok {
		p.Text, p.Status = text, http.StatusForbidden
	}
	switch {
	case p.Kind == api.NotFound:
		return p.Answer(problem{[]string{}})
	case p.Kind == api.Unprocessable:
		p.Status = http.StatusBadRequest
		return p.Answer(problem{mistakes(err)})
	case p.Status == http.StatusMethodNotAllowed:
		p.Text = "this API is read-only: change secrets through the other APIs, the console or the strongroom commands"
	case p.Kind == api.Unrouted && p.Status == http.StatusNotFound:
		p.Text = "no handler for this path: only reading KV secrets of version 2 is supported, and the server's config names the mount"
	case errors.Is(err, errNotText):
		p.Status, p.Text = http.StatusConflict, err.Error()
	case errors.Is(err, errWrapping):
		p.Status, p.Text = http.StatusBadRequest, "answers cannot be wrapped: leave out X-Vault-Wrap-TTL"
	}
	return p.Answer(problem{[]string{p.Text}})
}

func mistakes(err error) (all []string) {
	if invalid, ok := errors.AsType[*fastapi.ValidationError](err); ok {
		for _, d := range invalid.Detail {
			all = append(all, d.String())
		}
	}
	return all
}
