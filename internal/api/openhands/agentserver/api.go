// Package agentserver is what OpenHands' agent server has for custom secrets:
// specs/agentserver.yaml. Unlike /api/secrets it gives values, each as the whole
// body of an answer, which is what agents' LookupSecret wants.
package agentserver

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"
	"slices"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/agentserver"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// New returns the API over the secrets, for callers whom the chain knows. It does
// as it is told with values that look like mistakes.
func New(secrets *secret.Service, suspicious api.SuspiciousValues, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	return api.Spec{
		Document: specs.AgentServer, MaxBody: custom.MaxBody, Answer: answer,
		Register: func(e *echo.Echo) { gen.RegisterHandlers(e, gen.NewStrictHandler(&handlers{secrets, suspicious}, nil)) },
	}.New(chain, log)
}

type handlers struct {
	secrets    *secret.Service
	suspicious api.SuspiciousValues
}

var _ gen.StrictServerInterface = (*handlers)(nil)

// ListSecrets lists the caller's secrets, in order of name. Those whose names
// this API does not have could not be read, so they are left out.
func (a *handlers) ListSecrets(ctx context.Context, _ gen.ListSecretsRequestObject) (gen.ListSecretsResponseObject, error) {
	caller := auth.Caller(ctx)
	infos, err := a.secrets.List(ctx, caller, secret.User(caller.User), secret.Page{})
	if err != nil {
		return nil, err
	}
	infos = slices.DeleteFunc(infos, func(i secret.Info) bool { return !legalName(i.Name) })
	return listed{custom.Items(infos)}, nil
}

// PutSecret makes a secret or takes the place of the one that is there.
func (a *handlers) PutSecret(ctx context.Context, req gen.PutSecretRequestObject) (gen.PutSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	caller, description := auth.Caller(ctx), custom.Text(req.Body.Description)
	ref := custom.Ref(caller, req.Body.Name)
	warnings, err := a.suspicious.Check("value", "", secret.Value(req.Body.Value))
	if !legalName(req.Body.Name) {
		err = &secret.InvalidError{Field: "name", Reason: illegalName}
	}
	if err != nil {
		return nil, custom.Outside(a.secrets.Refuse(ctx, caller, secret.Write, ref, err))
	}
	info, err := a.secrets.Put(ctx, caller, ref, secret.Revision(onlyIf), &description, custom.Data(req.Body.Value))
	if err != nil && onlyIf == "" {
		err = custom.Outside(err)
	}
	if err != nil {
		return nil, err
	}
	return put{info, warnings}, nil
}

// GetSecretValue returns a value.
func (a *handlers) GetSecretValue(ctx context.Context, req gen.GetSecretValueRequestObject) (gen.GetSecretValueResponseObject, error) {
	if !legalName(req.Name) {
		return nil, errName
	}
	value, err := custom.Reveal(ctx, a.secrets, auth.Caller(ctx), req.Name)
	if err != nil {
		return nil, err
	}
	return plain{value}, nil
}

// DeleteSecret removes a secret. A second time it is not found.
func (a *handlers) DeleteSecret(ctx context.Context, req gen.DeleteSecretRequestObject) (gen.DeleteSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	if !legalName(req.Name) {
		return nil, errName
	}
	caller := auth.Caller(ctx)
	if err := a.secrets.Delete(ctx, caller, custom.Ref(caller, req.Name), secret.Revision(onlyIf)); err != nil {
		return nil, err
	}
	return deleted{true}, nil
}

var namePattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]{0,63}$`)

func legalName(name string) bool { return namePattern.MatchString(name) }
