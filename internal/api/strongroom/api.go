// Package strongroom implements the administration API of specs/strongroom.yaml with
// admin.Service. It is served only on a Unix socket. The program's commands are its
// clients.
package strongroom

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
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

// A Program describes the running program to status requests.
type Program struct {
	Version string
	// Serving reports whether the process serves more than administration.
	Serving bool
	// Config returns the state of the config. Requests call it concurrently.
	Config func() Config
	// Callers returns the callers that strategies authenticate by the credential, or the
	// reasons for a rejection. Without a credential it returns all callers of API keys.
	// Requests call it concurrently.
	Callers func(ctx context.Context, credential string) ([]Known, error)
	// Findings returns findings about the listener and its certificate, and about the database
	// of a node. Requests call it concurrently.
	Findings func(context.Context) []admin.Finding
	// Stream returns the state of the stream of audit entries, nil if none is configured.
	// Requests call it concurrently.
	Stream func() *Stream
	// Nodes returns the nodes that share the state, none with a state file. Requests call it
	// concurrently.
	Nodes func(context.Context) []admin.Node
}

// Stream describes a stream of audit entries to a collector.
type Stream struct {
	Destination string
	// Delivered is the number of the last delivered entry.
	Delivered uint64
	// Waiting is the number of entries that wait for delivery.
	Waiting uint64
	// Oldest is when the oldest of them happened, zero for none.
	Oldest time.Time
	// Problem is why the latest attempt failed, or empty.
	Problem string
}

// Config describes the config in force and the one in the files.
type Config struct {
	// Since is when the config in force was loaded.
	Since time.Time
	// Problem is the reason why the config in the files is not in force, or nil.
	Problem error
	// NeedsRestart are changed fields that only a restart applies.
	NeedsRestart []string
}

// New returns the handler of the API for callers that the chain authenticates.
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

// Status describes the running process.
func (a *handlers) Status(ctx context.Context, _ gen.StatusRequestObject) (gen.StatusResponseObject, error) {
	return gen.Status200JSONResponse{
		Version: a.program.Version, Serving: a.program.Serving, State: a.admin.File.ID(), Stores: a.admin.StoreNames(),
		Keyring: keyring(a.admin.KeyringNow()), Config: a.config(), Compaction: a.compaction(),
		Warnings:    warnings(slices.Concat(a.admin.ClockFindings(), a.admin.KeyFindings(ctx), a.admin.CompactionFindings(), a.program.Findings(ctx))),
		AuditStream: a.stream(), Nodes: a.nodes(ctx),
	}, nil
}

func (a *handlers) nodes(ctx context.Context) *[]gen.Node {
	if a.program.Nodes == nil {
		return nil
	}
	var all []gen.Node
	for _, n := range a.program.Nodes(ctx) {
		all = append(all, gen.Node{
			Name: n.Name, Version: n.Version, Self: n.Self, Behind: int(n.Behind), // #nosec G115 -- numbers of changes, far under 2^63
			HeardSeconds: float32(n.Heard.Seconds()), StalenessSeconds: float32(n.Staleness.Seconds()), Duties: append([]string{}, n.Duties...),
		})
	}
	if all == nil {
		return nil
	}
	return &all
}

func (a *handlers) stream() *gen.AuditStream {
	if a.program.Stream == nil {
		return nil
	}
	s := a.program.Stream()
	if s == nil {
		return nil
	}
	out := &gen.AuditStream{Destination: s.Destination, Delivered: int(s.Delivered), Waiting: int(s.Waiting), Problem: s.Problem} // #nosec G115 -- numbers of entries, far under 2^63
	if !s.Oldest.IsZero() {
		out.Oldest = &s.Oldest
	}
	return out
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

// RotateKeyring adds a sealing key and makes it the primary one.
func (a *handlers) RotateKeyring(ctx context.Context, _ gen.RotateKeyringRequestObject) (gen.RotateKeyringResponseObject, error) {
	k, err := a.admin.Rotate(ctx, auth.Caller(ctx))
	if err != nil {
		return nil, err
	}
	return gen.RotateKeyring200JSONResponse(keyring(k)), nil
}

// PruneKeyring drops retired sealing keys.
func (a *handlers) PruneKeyring(ctx context.Context, req gen.PruneKeyringRequestObject) (gen.PruneKeyringResponseObject, error) {
	k, err := a.admin.Prune(ctx, auth.Caller(ctx), removal(req.Body.NoCompact))
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
	k, err := a.admin.Rewrap(ctx, auth.Caller(ctx), kek, removal(req.Body.NoCompact))
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
