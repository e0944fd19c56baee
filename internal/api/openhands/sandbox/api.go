// Package sandbox implements specs/sandbox.yaml: a sandbox of OpenHands' V1 API reads
// custom secrets of its user with an agent key that was created for this sandbox.
package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/sandbox"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// New returns the API for the secrets. The chain authenticates callers; a list can be
// limited to one of the profiles.
func New(secrets *secret.Service, profiles custom.Profiles, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	return api.Spec{
		Document: specs.Sandbox, Answer: answer,
		Register: func(e *echo.Echo) { gen.RegisterHandlers(e, gen.NewStrictHandler(&handlers{secrets, profiles}, nil)) },
	}.New(chain, log)
}

type handlers struct {
	secrets  *secret.Service
	profiles custom.Profiles
}

var _ gen.StrictServerInterface = (*handlers)(nil)

// ListSecrets lists the secrets that the key allows, sorted by name.
func (a *handlers) ListSecrets(ctx context.Context, req gen.ListSecretsRequestObject) (gen.ListSecretsResponseObject, error) {
	v := visit(auth.Caller(ctx), req.SandboxId)
	infos, err := a.profiles.List(ctx, a.secrets, v.Caller, req.Params.AgentProfileId)
	if err != nil {
		return nil, v.refused(err)
	}
	return listed(infos), nil
}

// GetSecretValue returns a value.
func (a *handlers) GetSecretValue(ctx context.Context, req gen.GetSecretValueRequestObject) (gen.GetSecretValueResponseObject, error) {
	v := visit(auth.Caller(ctx), req.SandboxId)
	value, err := custom.Reveal(ctx, a.secrets, v.Caller, req.SecretName)
	if err != nil {
		return nil, v.refused(err)
	}
	if value.Empty() { // as OpenHands does
		return nil, custom.ErrNoValue
	}
	return plain{value}, nil
}

// A visitor is a caller on the routes of a sandbox.
type visitor struct {
	secret.Caller
	foreign bool // the key was not created for this sandbox
}

// visit removes all grants of a foreign key, so that the service denies and audits the
// request.
func visit(caller secret.Caller, sandbox string) visitor {
	v := visitor{caller, caller.Sandbox != sandbox}
	if v.foreign {
		v.Grants = nil
	}
	return v
}

func (v visitor) refused(err error) error {
	if v.foreign && errors.Is(err, secret.ErrForbidden) {
		return errForeign
	}
	return err
}

// listed is the body of a list.
type listed []secret.Info

func (l listed) VisitListSecretsResponse(w http.ResponseWriter) error {
	return server.WriteAppended(w, http.StatusOK, custom.List{Name: "secrets", Items: custom.Items(l)})
}

type plain struct{ custom.Plain }

func (p plain) VisitGetSecretValueResponse(w http.ResponseWriter) error { return p.Write(w) }
