package v0

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// These types replace generated ones, which escape <, > and & and add a newline. Clients
// get the same bytes as from OpenHands.

// listed is the body of a list:
//
//	{"custom_secrets":[{"name":"API_KEY","description":""}]}
type listed []secret.Info

func (l listed) VisitListSecretsResponse(w http.ResponseWriter) error {
	return server.WriteAppended(w, http.StatusOK, custom.List{Name: "custom_secrets", Items: custom.Items(l)})
}

type done struct{ custom.Done }

func (d done) VisitCreateSecretResponse(w http.ResponseWriter) error { return d.Write(w) }
func (d done) VisitUpdateSecretResponse(w http.ResponseWriter) error { return d.Write(w) }
func (d done) VisitDeleteSecretResponse(w http.ResponseWriter) error { return d.Write(w) }
