package agentserver

import (
	"context"
	"errors"
	"net/http"
	"unicode/utf8"

	gen "github.com/strongroom/strongroom/gen/agentserver"
	"github.com/strongroom/strongroom/internal/api"
	"github.com/strongroom/strongroom/internal/api/openhands/custom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/fastapi"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// A binding lets an agent store a credential that it renews: the agent reads the value
// with its version, and writes the next value under that version. Its client understands
// 404 as "log in again", 409 as a lost race, 400 and 422 as an invalid value, and 401 and
// 403 as a rejected key.

// errLostRace is a [secret.ErrChanged] to a client that expects 409 for it.
var errLostRace = errors.New("the secret has another version")

// GetBinding returns a value with its version.
func (a *handlers) GetBinding(ctx context.Context, req gen.GetBindingRequestObject) (gen.GetBindingResponseObject, error) {
	if !legalName(req.Name) {
		return nil, errName
	}
	caller := auth.Caller(ctx)
	info, data, err := a.secrets.Reveal(ctx, caller, custom.Ref(caller, req.Name))
	if err != nil {
		return nil, err
	}
	value, ok := data[custom.ValueKey]
	if !ok || !utf8.ValidString(string(value)) { // stored through another API
		return nil, custom.ErrNoValue
	}
	return bound{string(value), info.Revision}, nil
}

// PutBinding replaces a value that still has the version that the agent has read.
func (a *handlers) PutBinding(ctx context.Context, req gen.PutBindingRequestObject) (gen.PutBindingResponseObject, error) {
	if !legalName(req.Name) {
		return nil, errName
	}
	caller := auth.Caller(ctx).WritingBack()
	ref := custom.Ref(caller, req.Name)
	warnings, err := a.opts.checks().Value(req.Body.Value)
	if err := errors.Join(checkVersion(req.Body.ExpectedVersion), err); err != nil {
		return nil, a.secrets.Refuse(ctx, caller, secret.Write, ref, err)
	}
	change := secret.Change{Set: custom.Data(req.Body.Value)}
	info, err := a.secrets.Replace(ctx, caller, ref, secret.Revision(req.Body.ExpectedVersion), change)
	if errors.Is(err, secret.ErrChanged) {
		return nil, errLostRace
	}
	if err != nil {
		return nil, err
	}
	return writtenBack{info.Revision, warnings}, nil
}

func (o Options) bindingRules() map[string]fastapi.Rule {
	return map[string]fastapi.Rule{"expected_version": api.Rule(checkVersion), "value": o.checks().Rules()["value"]}
}

// checkVersion refuses a version that would set no condition.
func checkVersion(version string) error {
	if version == "" || version == string(secret.AnyRevision) {
		return &secret.InvalidError{Field: "expected_version", Reason: "must be the version that was read"}
	}
	return nil
}

type bound struct {
	value   string
	version secret.Revision
}

func (b bound) VisitGetBindingResponse(w http.ResponseWriter) error {
	return server.WriteJSON(w, http.StatusOK, struct {
		Value   string          `json:"value"`
		Version secret.Revision `json:"version"`
	}{b.value, b.version})
}

type writtenBack struct {
	version  secret.Revision
	warnings api.Warnings
}

func (b writtenBack) VisitPutBindingResponse(w http.ResponseWriter) error {
	b.warnings.Set(w.Header())
	return server.WriteJSON(w, http.StatusOK, struct {
		Version secret.Revision `json:"version"`
	}{b.version})
}
