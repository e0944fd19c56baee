// Package v0 implements the custom secrets of OpenHands 0.53.0, as its clients expect
// them: specs/openhands.yaml and its overlay. An id is a name, a rename keeps the value,
// and no answer has a value.
package v0

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/openhands"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// Options configure the API.
type Options struct {
	// EnvNames accepts only names that are legal for environment variables.
	EnvNames bool
	// Suspicious selects the treatment of a value or name that looks like a mistake.
	Suspicious api.SuspiciousValues
}

// New returns the API for the secrets. The chain authenticates callers.
func New(secrets *secret.Service, opts Options, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	a := &handlers{secrets, opts}
	return api.Spec{
		Document: specs.OpenHands, Answer: answer, Admit: a.admit,
		Rules: fastapi.Rules{
			"POST /api/secrets":            opts.checks().Rules(),
			"PUT /api/secrets/{secret_id}": opts.checks().RenameRules(),
		},
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
	return custom.Admit(a.secrets, c, action)
}

// ListSecrets lists the caller's secrets, sorted by name.
func (a *handlers) ListSecrets(ctx context.Context, _ gen.ListSecretsRequestObject) (gen.ListSecretsResponseObject, error) {
	caller := auth.Caller(ctx)
	infos, err := a.secrets.List(ctx, caller, secret.User(caller.User), secret.Page{})
	if err != nil {
		return nil, err
	}
	return listed(infos), nil
}

// CreateSecret adds a secret. It refuses a name that is taken.
func (a *handlers) CreateSecret(ctx context.Context, req gen.CreateSecretRequestObject) (gen.CreateSecretResponseObject, error) {
	caller := auth.Caller(ctx)
	ref := custom.Ref(caller, req.Body.Name)
	warnings, err := a.opts.checks().New(req.Body.Name, custom.Text(req.Body.Description), req.Body.Value)
	if err != nil {
		return nil, custom.About(a.secrets.Refuse(ctx, caller, secret.Create, ref, err), "", req.Body.Name)
	}
	named, _ := a.opts.nameWarnings(req.Body.Name) // Check has applied the rules already
	info, err := a.secrets.Create(ctx, caller, ref, secret.Draft{
		Description: custom.Text(req.Body.Description),
		Data:        custom.Data(req.Body.Value),
	})
	if err != nil {
		return nil, custom.About(err, "", req.Body.Name)
	}
	return done{custom.Done{Status: http.StatusCreated, Message: "Secret created successfully", Revision: info.Revision, Warnings: append(named, warnings...)}}, nil
}

// UpdateSecret changes the name and the description. A missing or null description
// clears it. The value stays.
func (a *handlers) UpdateSecret(ctx context.Context, req gen.UpdateSecretRequestObject) (gen.UpdateSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	caller := auth.Caller(ctx)
	ref := custom.Ref(caller, req.SecretId)
	// A name that was legal when it was stored may stay.
	if err := a.opts.checkName(req.Body.Name); err != nil && req.Body.Name != req.SecretId {
		err = errors.Join(err, secret.CheckDescription(custom.Text(req.Body.Description)))
		return nil, custom.About(a.secrets.Refuse(ctx, caller, secret.Write, ref, err), req.SecretId, req.Body.Name)
	}
	var warnings api.Warnings
	if req.Body.Name != req.SecretId {
		warnings, _ = a.opts.nameWarnings(req.Body.Name)
	}
	info, err := a.secrets.Describe(ctx, caller, ref, secret.Revision(onlyIf), req.Body.Name, custom.Text(req.Body.Description))
	if err != nil {
		return nil, custom.About(err, req.SecretId, req.Body.Name)
	}
	return done{custom.Done{Status: http.StatusOK, Message: "Secret updated successfully", Revision: info.Revision, Warnings: warnings}}, nil
}

// DeleteSecret removes a secret. A second deletion returns ErrNotFound.
func (a *handlers) DeleteSecret(ctx context.Context, req gen.DeleteSecretRequestObject) (gen.DeleteSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	caller := auth.Caller(ctx)
	if err := a.secrets.Delete(ctx, caller, custom.Ref(caller, req.SecretId), secret.Revision(onlyIf)); err != nil {
		return nil, custom.About(err, req.SecretId, "")
	}
	return done{custom.Done{Status: http.StatusOK, Message: "Secret deleted successfully"}}, nil
}

func (o Options) checkName(name string) error {
	_, err := o.nameWarnings(name)
	return err
}

// nameWarnings checks a new name. It returns an error, or else the warnings.
func (o Options) nameWarnings(name string) (api.Warnings, error) {
	if o.EnvNames {
		return nil, custom.CheckEnvName(name)
	}
	if err := secret.CheckName(name); err != nil {
		return nil, err
	}
	return o.Suspicious.CheckName("name", name)
}

// checks are for a new secret. The API has no answer for a value that is OpenHands' mask.
func (o Options) checks() custom.Checks {
	return custom.Checks{Name: o.checkName, Suspicious: o.Suspicious, Redacted: true}
}
