// Package v1 implements the custom secrets of OpenHands' V1 API: specs/openhandsv1.yaml.
// POST overwrites an existing secret, a list has pages, and no answer has a value.
package v1

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/openhandsv1"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// maxPage is the default and maximum number of secrets on a page.
const maxPage = 100

// New returns the API for the secrets. The chain authenticates callers. suspicious selects
// the treatment of values that look like mistakes.
func New(secrets *secret.Service, suspicious api.SuspiciousValues, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	checks := custom.Checks{Name: custom.CheckEnvName, Suspicious: suspicious}
	a := &handlers{secrets, checks}
	return api.Spec{
		Document: specs.OpenHandsV1, Answer: dialect.Answer, Admit: a.admit,
		Rules: fastapi.Rules{
			"POST /api/v1/secrets":            checks.Rules(),
			"PUT /api/v1/secrets/{secret_id}": checks.RenameRules(),
		},
		Register: func(e *echo.Echo) { gen.RegisterHandlers(e, gen.NewStrictHandler(a, nil)) },
	}.New(chain, log)
}

var dialect = custom.Dialect{NoKey: "Unauthorized", BadKey: "Unauthorized"}

type handlers struct {
	secrets *secret.Service
	checks  custom.Checks
}

var _ gen.StrictServerInterface = (*handlers)(nil)

// admit refuses a write without the right to write, before its body is read.
func (a *handlers) admit(c echo.Context) error { return custom.Admit(a.secrets, c, secret.Write) }

// SearchSecrets returns a page of the caller's secrets, sorted by name.
func (a *handlers) SearchSecrets(ctx context.Context, req gen.SearchSecretsRequestObject) (gen.SearchSecretsResponseObject, error) {
	limit, after := *or(req.Params.Limit, maxPage), *or(req.Params.PageId, "")
	part := strings.ToLower(*or(req.Params.NameContains, ""))
	var want secret.Page
	if part == "" && after == "" {
		want.Limit = limit + 1 // the extra one shows whether another page follows
	}
	caller := auth.Caller(ctx)
	infos, err := a.secrets.List(ctx, caller, secret.User(caller.User), want)
	if err != nil {
		return nil, err
	}
	infos = from(infos, after)
	infos = slices.DeleteFunc(infos, func(i secret.Info) bool { return !strings.Contains(strings.ToLower(i.Name), part) })
	return pageOf(infos, limit), nil
}

// from returns the secrets after the name, or all if no secret has that name.
func from(infos []secret.Info, after string) []secret.Info {
	i := slices.IndexFunc(infos, func(i secret.Info) bool { return i.Name == after })
	return infos[i+1:]
}

func or[T any](value *T, otherwise T) *T {
	if value == nil {
		return &otherwise
	}
	return value
}

// SaveSecret creates a secret or overwrites its value. The description stays if none is
// sent.
func (a *handlers) SaveSecret(ctx context.Context, req gen.SaveSecretRequestObject) (gen.SaveSecretResponseObject, error) {
	caller := auth.Caller(ctx)
	ref := custom.Ref(caller, req.Body.Name)
	warnings, err := a.checks.New(req.Body.Name, custom.Text(req.Body.Description), req.Body.Value)
	if err != nil {
		return nil, custom.Outside(a.secrets.Refuse(ctx, caller, secret.Write, ref, err))
	}
	var description *string
	if sent, err := req.Body.Description.Get(); err == nil {
		description = &sent
	}
	info, err := a.secrets.Put(ctx, caller, ref, "", description, custom.Data(req.Body.Value))
	if err != nil {
		return nil, custom.Outside(err)
	}
	return done{custom.Done{Status: http.StatusCreated, Message: "Secret created successfully", Revision: info.Revision, Warnings: warnings}}, nil
}

// UpdateSecret changes the name and the description. A missing or null description
// clears it.
func (a *handlers) UpdateSecret(ctx context.Context, req gen.UpdateSecretRequestObject) (gen.UpdateSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	caller := auth.Caller(ctx)
	ref := custom.Ref(caller, req.SecretId)
	// A name that another API allows may stay.
	if err := a.checks.Name(req.Body.Name); err != nil && req.Body.Name != req.SecretId {
		err = errors.Join(err, secret.CheckDescription(custom.Text(req.Body.Description)))
		return nil, custom.About(a.secrets.Refuse(ctx, caller, secret.Write, ref, err), req.SecretId, "")
	}
	info, err := a.secrets.Describe(ctx, caller, ref, secret.Revision(onlyIf), req.Body.Name, custom.Text(req.Body.Description))
	if err != nil {
		return nil, custom.About(err, req.SecretId, req.Body.Name)
	}
	return done{custom.Done{Status: http.StatusOK, Message: "Secret updated successfully", Revision: info.Revision}}, nil
}

// gitProviders is not a secret: in V1, its deletion removes provider tokens, which this
// server does not support.
const gitProviders = "git-providers"

// DeleteSecret removes a secret. A second deletion returns ErrNotFound.
func (a *handlers) DeleteSecret(ctx context.Context, req gen.DeleteSecretRequestObject) (gen.DeleteSecretResponseObject, error) {
	if req.SecretId == gitProviders {
		return nil, echo.ErrNotFound
	}
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
