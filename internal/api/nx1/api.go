// Package nx1 implements NexusOne's API for the secrets of an app, as its SDK expects it:
// specs/nx1.yaml and its overlay. A secret has several keys with values. An update
// replaces all of them. Only /reveal returns values; other answers mask them.
package nx1

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/oapi-codegen/runtime/types"

	gen "github.com/strongroom/strongroom/gen/nx1"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// Options configure the API.
type Options struct {
	// Masked selects the treatment of a value that is the mask itself.
	Masked MaskedValues
	// Suspicious selects the treatment of a value that looks like a mistake.
	Suspicious api.SuspiciousValues
}

// New returns the API for the secrets. The chain authenticates callers.
func New(secrets *secret.Service, opts Options, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	a := &handlers{secrets, opts}
	return api.Spec{
		Document: specs.Nx1, Answer: answering(chain.Schemes), Admit: a.admit,
		Register: func(e *echo.Echo) { gen.RegisterHandlers(e, gen.NewStrictHandler(a, nil)) },
	}.New(chain, log)
}

type handlers struct {
	secrets *secret.Service
	opts    Options
}

var _ gen.StrictServerInterface = (*handlers)(nil)

// admit refuses a write without the right to write, before its body is read.
func (a *handlers) admit(c echo.Context) error {
	action := secret.Write
	if c.Request().Method == http.MethodPost {
		action = secret.Create
	}
	var app types.UUID
	if err := app.UnmarshalText([]byte(fastapi.PathParam(c, "app_id"))); err != nil {
		return err // cannot happen: Check has accepted it
	}
	ctx := c.Request().Context()
	return api.Admit(ctx, a.secrets, auth.Caller(ctx), action, ref(app, fastapi.PathParam(c, "secret_name")))
}

// ListSecrets lists an app's secrets, sorted by name.
func (a *handlers) ListSecrets(ctx context.Context, req gen.ListSecretsRequestObject) (gen.ListSecretsResponseObject, error) {
	infos, err := a.secrets.List(ctx, auth.Caller(ctx), secret.App(req.AppId.String()), secret.Page{})
	if err != nil {
		return nil, err
	}
	return listed(infos), nil
}

// CreateSecret adds a secret to an app.
func (a *handlers) CreateSecret(ctx context.Context, req gen.CreateSecretRequestObject) (gen.CreateSecretResponseObject, error) {
	caller, ref := auth.Caller(ctx), ref(req.AppId, req.Body.SecretName)
	draft, warnings, err := a.draft(req.Body)
	if err != nil {
		return nil, a.secrets.Refuse(ctx, caller, secret.Create, ref, err)
	}
	info, err := a.secrets.Create(ctx, caller, ref, draft)
	if err != nil {
		return nil, err
	}
	return written(info, warnings), nil
}

// GetSecret returns a secret with its values masked.
func (a *handlers) GetSecret(ctx context.Context, req gen.GetSecretRequestObject) (gen.GetSecretResponseObject, error) {
	info, err := a.secrets.Head(ctx, auth.Caller(ctx), ref(req.AppId, req.SecretName))
	if err != nil {
		return nil, err
	}
	if revision := string(info.Revision); !server.NoneMatch(req.Params.IfNoneMatch, revision) {
		return gen.GetSecret304Response{Headers: gen.GetSecret304ResponseHeaders{ETag: server.ETag(revision)}}, nil
	}
	return masked(info), nil
}

// UpdateSecret replaces all data of the secret.
func (a *handlers) UpdateSecret(ctx context.Context, req gen.UpdateSecretRequestObject) (gen.UpdateSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	caller, ref := auth.Caller(ctx), ref(req.AppId, req.SecretName)
	change, warnings, err := a.change(req.Body.Data)
	if err != nil {
		return nil, a.secrets.Refuse(ctx, caller, secret.Write, ref, err)
	}
	info, err := a.secrets.Replace(ctx, caller, ref, secret.Revision(onlyIf), change)
	if err != nil {
		return nil, err
	}
	return written(info, warnings), nil
}

// DeleteSecret removes a secret.
func (a *handlers) DeleteSecret(ctx context.Context, req gen.DeleteSecretRequestObject) (gen.DeleteSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	err = a.secrets.Delete(ctx, auth.Caller(ctx), ref(req.AppId, req.SecretName), secret.Revision(onlyIf))
	if err != nil {
		return nil, err
	}
	return deleted{true, "Secret deleted successfully."}, nil
}

// RevealSecret returns a secret with its values.
func (a *handlers) RevealSecret(ctx context.Context, req gen.RevealSecretRequestObject) (gen.RevealSecretResponseObject, error) {
	info, data, err := a.secrets.Reveal(ctx, auth.Caller(ctx), ref(req.AppId, req.SecretName))
	if err != nil {
		return nil, err
	}
	return revealed(info, data)
}

func ref(app types.UUID, name string) secret.Ref {
	return secret.Ref{Owner: secret.App(app.String()), Name: name}
}
