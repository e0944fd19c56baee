package agentserver

import (
	"net/http"

	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// listed is the body of a list. A missing description is null:
//
//	{"secrets":[{"name":"API_KEY","description":null}]}
type listed []secret.Info

// An item is a secret in the agent server's form. A missing description is null.
type item struct {
	Name        string  `json:"name"`
	Description *string `json:"description"`
}

func itemOf(info secret.Info) item {
	if info.Description == "" {
		return item{Name: info.Name}
	}
	return item{info.Name, &info.Description}
}

func (l listed) VisitListSecretsResponse(w http.ResponseWriter) error {
	return server.WriteAppended(w, http.StatusOK, custom.List{Name: "secrets", Items: custom.Items(l), Null: true})
}

// put is the answer to a write: the stored secret without its value.
type put struct {
	secret.Info
	warnings api.Warnings
}

func (p put) VisitPutSecretResponse(w http.ResponseWriter) error {
	p.warnings.Set(w.Header())
	server.SetETag(w.Header(), string(p.Revision))
	return server.WriteJSON(w, http.StatusOK, itemOf(p.Info))
}

type plain struct{ custom.Plain }

func (p plain) VisitGetSecretValueResponse(w http.ResponseWriter) error { return p.Write(w) }

type deleted struct {
	Deleted bool `json:"deleted"`
}

func (d deleted) VisitDeleteSecretResponse(w http.ResponseWriter) error {
	return server.WriteJSON(w, http.StatusOK, d)
}
