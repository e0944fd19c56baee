// Package strongroom is our own API, for administration: specs/strongroom.yaml
// in terms of admin.Service. It is served on a Unix socket only, and the
// program's commands speak it.
package strongroom

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/specs"
)

// A Program is what runs, for those who ask how it is.
type Program struct {
	Version string
	// Serving is whether it serves more than administration.
	Serving bool
	// Config says how the config stands. It is asked by requests at the same
	// time.
	Config func() Config
	// Callers returns the callers that strategies know by the credential, or why
	// they refuse it, or without one all callers that keys stand for. Requests call
	// it concurrently.
	Callers func(ctx context.Context, credential string) ([]Known, error)
	// Findings are about how it serves: its listener and its certificate. It is
	// asked by requests at the same time.
	Findings func() []admin.Finding
}

// Config is how the config that is in force and that in the files stand.
type Config struct {
	// Since is when it was put in force.
	Since time.Time
	// Problem is why the one in the files is not in force: nil if it is.
	Problem error
	// NeedsRestart are fields that have changed and that only a restart heeds.
	NeedsRestart []string
}

// New returns the API on the service, for callers whom the chain knows.
func New(svc *admin.Service, program Program, chain auth.Chain, log *slog.Logger) (http.Handler, error) {
	return api.Spec{
		Document: specs.Strongroom, Answer: answer,
		Register: func(e *echo.Echo) { gen.RegisterHandlers(e, gen.NewStrictHandler(&handlers{svc, program}, nil)) },
	}.New(chain, log)
}

type handlers struct {
	admin   *admin.Service
	program Program
}

var _ gen.StrictServerInterface = (*handlers)(nil)

// Status says what is running.
func (a *handlers) Status(context.Context, gen.StatusRequestObject) (gen.StatusResponseObject, error) {
	return gen.Status200JSONResponse{
		Version: a.program.Version, Serving: a.program.Serving, State: a.admin.File.ID(), Stores: a.admin.StoreNames(),
		Keyring: keyring(a.admin.KeyringNow()), Config: a.config(),
		Warnings: warnings(append(a.admin.ClockFindings(), a.program.Findings()...)),
	}, nil
}

func warnings(all []admin.Finding) []gen.Finding {
	out := []gen.Finding{}
	for _, f := range all {
		if f.Warns() {
			out = append(out, finding(f))
		}
	}
	return out
}

func (a *handlers) config() gen.Config {
	c := a.program.Config()
	out := gen.Config{Since: c.Since, NeedsRestart: append([]string{}, c.NeedsRestart...)}
	if c.Problem != nil {
		out.Problem = c.Problem.Error()
	}
	return out
}

// RotateKeyring seals with a new key from now on.
func (a *handlers) RotateKeyring(ctx context.Context, _ gen.RotateKeyringRequestObject) (gen.RotateKeyringResponseObject, error) {
	k, err := a.admin.Rotate(ctx, auth.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return gen.RotateKeyring200JSONResponse(keyring(k)), nil
}

// PruneKeyring forgets retired keys.
func (a *handlers) PruneKeyring(ctx context.Context, _ gen.PruneKeyringRequestObject) (gen.PruneKeyringResponseObject, error) {
	k, err := a.admin.Prune(ctx, auth.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return gen.PruneKeyring200JSONResponse(keyring(k)), nil
}

// RewrapKeyring changes the key-encryption key.
func (a *handlers) RewrapKeyring(ctx context.Context, req gen.RewrapKeyringRequestObject) (gen.RewrapKeyringResponseObject, error) {
	kek, err := seal.ParseKey(req.Body.Key)
	if err != nil {
		return nil, &secret.InvalidError{Field: "key", Reason: "must be 32 bytes in base64"}
	}
	k, err := a.admin.Rewrap(ctx, auth.Caller(ctx), kek)
	if err != nil {
		return nil, err
	}
	return gen.RewrapKeyring200JSONResponse(keyring(k)), nil
}

func keyring(k admin.Keyring) gen.Keyring {
	out := gen.Keyring{Primary: int(k.Primary), Keys: []int{}, Resealing: k.Resealing, Resealed: k.Resealed}
	for _, id := range k.IDs {
		out.Keys = append(out.Keys, int(id))
	}
	return out
}

// parseOwner reads kind/id.
func parseOwner(text string) (secret.Owner, error) {
	kind, id, _ := strings.Cut(text, "/")
	switch {
	case id == "" || id == secret.AnyID:
	case kind == secret.KindUser:
		return secret.User(id), nil
	case kind == secret.KindApp:
		return secret.App(id), nil
	}
	return secret.Owner{}, &secret.InvalidError{Field: "owner", Reason: "must be user/<id> or app/<uuid>"}
}
