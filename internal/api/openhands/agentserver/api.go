// Package agentserver is the part of OpenHands' agent server for custom secrets:
// specs/agentserver.yaml. Unlike /api/secrets it returns values, each as the whole body
// of an answer, as agents' LookupSecret requires.
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
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/specs"
)

// Options configure the API.
type Options struct {
	// Suspicious selects the treatment of a value that looks like a mistake.
	Suspicious api.SuspiciousValues
	// Profiles are the agent profiles by which lists can be filtered.
	Profiles custom.Profiles
}

func (o Options) checks() custom.Checks {
	return custom.Checks{Name: checkName, Suspicious: o.Suspicious}
}

// New returns the API for the secrets. The chain authenticates callers.
func New(secrets *secret.Service, opts Options, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	a := &handlers{secrets, opts}
	return api.Spec{
		Document: specs.AgentServer, Answer: answer, Admit: a.admit,
		Rules: fastapi.Rules{
			"PUT /api/settings/secrets":                opts.checks().Rules(),
			"PUT /api/settings/secrets/{name}/binding": opts.bindingRules(),
		},
		Register: func(e *echo.Echo) { gen.RegisterHandlers(e, gen.NewStrictHandler(a, nil)) },
	}.New(chain, log)
}

type handlers struct {
	secrets *secret.Service
	opts    Options
}

var _ gen.StrictServerInterface = (*handlers)(nil)

// admit refuses a write that the caller may not make, before its body is read. A name in
// the path belongs to a binding, which agents may write back to.
func (a *handlers) admit(c echo.Context) error {
	ctx, name := c.Request().Context(), fastapi.PathParam(c, "name")
	caller := auth.Caller(ctx)
	if name != "" {
		if !legalName(name) {
			return errName
		}
		caller = caller.WritingBack()
	}
	return api.Admit(ctx, a.secrets, caller, secret.Write, custom.Ref(caller, name))
}

// ListSecrets lists the caller's secrets, in order of name. It omits names that are
// illegal in this API, since those secrets could not be read.
func (a *handlers) ListSecrets(ctx context.Context, req gen.ListSecretsRequestObject) (gen.ListSecretsResponseObject, error) {
	infos, err := a.opts.Profiles.List(ctx, a.secrets, auth.Caller(ctx), req.Params.AgentProfileId)
	if err != nil {
		return nil, err
	}
	infos = slices.DeleteFunc(infos, func(i secret.Info) bool { return !legalName(i.Name) })
	return listed(infos), nil
}

// PutSecret creates or replaces a secret.
func (a *handlers) PutSecret(ctx context.Context, req gen.PutSecretRequestObject) (gen.PutSecretResponseObject, error) {
	onlyIf, err := server.IfMatch(req.Params.IfMatch)
	if err != nil {
		return nil, err
	}
	caller, description := auth.Caller(ctx), custom.Text(req.Body.Description)
	ref := custom.Ref(caller, req.Body.Name)
	warnings, err := a.opts.checks().New(req.Body.Name, description, req.Body.Value)
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

// GetSecretValue returns a value, or 304 if the client has the current one. The
// comparison needs the right to list; without that right it always returns the value.
func (a *handlers) GetSecretValue(ctx context.Context, req gen.GetSecretValueRequestObject) (gen.GetSecretValueResponseObject, error) {
	if !legalName(req.Name) {
		return nil, errName
	}
	caller := auth.Caller(ctx)
	if ref := custom.Ref(caller, req.Name); req.Params.IfNoneMatch != nil && caller.May(secret.List, ref) {
		info, err := a.secrets.Head(ctx, caller, ref)
		if err != nil {
			return nil, err
		}
		if revision := string(info.Revision); !server.NoneMatch(req.Params.IfNoneMatch, revision) {
			return gen.GetSecretValue304Response{Headers: gen.GetSecretValue304ResponseHeaders{ETag: server.ETag(revision)}}, nil
		}
	}
	value, err := custom.Reveal(ctx, a.secrets, caller, req.Name)
	if err != nil {
		return nil, err
	}
	return plain{value}, nil
}

// DeleteSecret removes a secret. A second deletion returns ErrNotFound.
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

func checkName(name string) error {
	if legalName(name) {
		return nil
	}
	return &secret.InvalidError{Field: "name", Reason: illegalName}
}
