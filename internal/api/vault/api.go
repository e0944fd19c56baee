// Package vault implements specs/vault.yaml: Vault's KV API, version 2, for reading. Clients
// of Vault and OpenBao read the secrets of the other APIs through it:
//
//	app/<uuid>/<name>   a secret of an app
//	user/<id>/<name>    a custom secret of a user; its value is the data key value
//	user/me/<name>      a custom secret of the caller's own
//
// Paths, statuses and answers are those of HashiCorp's documentation (API: KV secrets engine
// version 2) as far as clients rely on them.
package vault

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/vault"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/specs"
)

// Options configure the API.
type Options struct {
	// Mount is the first segment of the paths, for example secret.
	Mount string
	// Secrets are the services by kind of owner. A kind without a service has no paths.
	Secrets map[string]*secret.Service
}

// New returns the API. The chain authenticates callers.
func New(opts Options, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	var t translator
	_, err := api.Spec{
		Document: specs.Vault, Answer: answer,
		Register: func(e *echo.Echo) {
			gen.RegisterHandlers(e, gen.NewStrictHandler(&handlers{opts}, nil))
			t.Echo = e
		},
	}.New(chain, log)
	return t, err
}

type handlers struct{ Options }

var _ gen.StrictServerInterface = (*handlers)(nil)

// ReadSecret returns the values of a secret.
func (a *handlers) ReadSecret(ctx context.Context, req gen.ReadSecretRequestObject) (gen.ReadSecretResponseObject, error) {
	if ttl := req.Params.XVaultWrapTTL; ttl != nil && *ttl != "" {
		return nil, errWrapping
	}
	caller := auth.Caller(ctx)
	secrets, ref, err := a.find(caller, req.Mount, req.Kind, req.Owner, req.Name)
	if err != nil {
		return nil, err
	}
	var info secret.Info
	var data map[string]secret.Value
	if v := req.Params.Version; v != nil && *v > 0 {
		info, data, err = secrets.RevealNumber(ctx, caller, ref, uint64(*v)) // #nosec G115 -- it is positive
	} else {
		info, data, err = secrets.Reveal(ctx, caller, ref)
	}
	if err != nil {
		return nil, err
	}
	return revealed(info, data)
}

// ReadMetadata describes a secret without its values. Earlier versions are for callers with the
// right to administer.
func (a *handlers) ReadMetadata(ctx context.Context, req gen.ReadMetadataRequestObject) (gen.ReadMetadataResponseObject, error) {
	if isList(req.Params.List) {
		return nil, secret.ErrNotFound // a secret has nothing below it
	}
	caller := auth.Caller(ctx)
	secrets, ref, err := a.find(caller, req.Mount, req.Kind, req.Owner, req.Name)
	if err != nil {
		return nil, err
	}
	info, err := secrets.Head(ctx, caller, ref)
	if err != nil {
		return nil, err
	}
	all := []secret.Info{info}
	if info.Version > 0 && caller.May(secret.History, ref) {
		if all, err = secrets.Versions(ctx, caller, ref); err != nil {
			return nil, err
		}
	}
	return described(all), nil
}

// ListSecrets lists the secrets of an owner.
func (a *handlers) ListSecrets(ctx context.Context, req gen.ListSecretsRequestObject) (gen.ListSecretsResponseObject, error) {
	caller := auth.Caller(ctx)
	secrets, ref, err := a.find(caller, req.Mount, req.Kind, req.Owner, "")
	if err != nil {
		return nil, err
	}
	if !isList(req.Params.List) {
		return nil, secret.ErrNotFound
	}
	infos, err := secrets.List(ctx, caller, ref.Owner, secret.Page{})
	if err != nil {
		return nil, err
	}
	var names keys
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names.orNone()
}

// ListOwners lists the owners of a kind.
func (a *handlers) ListOwners(ctx context.Context, req gen.ListOwnersRequestObject) (gen.ListOwnersResponseObject, error) {
	secrets, err := a.serving(req.Mount, req.Kind)
	if err != nil {
		return nil, err
	}
	if !isList(req.Params.List) {
		return nil, secret.ErrNotFound
	}
	owners, err := secrets.Owners(ctx, auth.Caller(ctx), req.Kind)
	if err != nil {
		return nil, err
	}
	var ids keys
	for _, o := range owners {
		if o.ID != me && checkUser(o.ID) == nil { // others have no path
			ids = append(ids, o.ID+"/")
		}
	}
	return ids.orNone()
}

// ListKinds lists the kinds of owners.
func (a *handlers) ListKinds(ctx context.Context, req gen.ListKindsRequestObject) (gen.ListKindsResponseObject, error) {
	if err := a.mounted(req.Mount); err != nil {
		return nil, err
	}
	if !isList(req.Params.List) {
		return nil, secret.ErrNotFound
	}
	return a.kinds(), auth.Caller(ctx).Confirm()
}

// ReadMount describes the mount.
func (a *handlers) ReadMount(ctx context.Context, req gen.ReadMountRequestObject) (gen.ReadMountResponseObject, error) {
	if err := a.mounted(req.Mount); err != nil {
		return nil, err
	}
	return mount(a.Mount), auth.Caller(ctx).Confirm()
}

// LookupSelf describes the caller.
func (a *handlers) LookupSelf(ctx context.Context, _ gen.LookupSelfRequestObject) (gen.LookupSelfResponseObject, error) {
	caller := auth.Caller(ctx)
	return self(caller), caller.Confirm()
}

func isList(list *string) bool { return list != nil && *list == "true" }
