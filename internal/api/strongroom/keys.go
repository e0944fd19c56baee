package strongroom

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/secret"
)

// CreateApiKey issues an API key.
func (a *handlers) CreateApiKey(ctx context.Context, req gen.CreateApiKeyRequestObject) (gen.CreateApiKeyResponseObject, error) {
	grants, err := grantLines(req.Body.Grants)
	err = cmp.Or(err, notEmptied("user", req.Body.User), notEmptied("lifetime", req.Body.Lifetime))
	if err != nil {
		return nil, err
	}
	key, k, err := a.admin.Keys.Create(ctx, auth.Caller(ctx), issued.Draft{
		Subject: req.Body.Subject, User: optional(req.Body.User), Strategies: optional(req.Body.Strategies),
		Grants: grants, Lifetime: seconds(optional(req.Body.Lifetime)),
	})
	if err != nil {
		return nil, err
	}
	return gen.CreateApiKey200JSONResponse(a.newKey(key, k)), nil
}

// ListApiKeys lists issued API keys.
func (a *handlers) ListApiKeys(context.Context, gen.ListApiKeysRequestObject) (gen.ListApiKeysResponseObject, error) {
	return gen.ListApiKeys200JSONResponse(a.issuedKeys(a.admin.Keys.List(false))), nil
}

// RevokeApiKey revokes an issued API key.
func (a *handlers) RevokeApiKey(ctx context.Context, req gen.RevokeApiKeyRequestObject) (gen.RevokeApiKeyResponseObject, error) {
	k, err := a.admin.Keys.Revoke(ctx, auth.Caller(ctx), req.Body.Id, false)
	if err != nil {
		return nil, err
	}
	return gen.RevokeApiKey200JSONResponse(a.issuedKey(k)), nil
}

// RotateApiKey issues a replacement for an API key.
func (a *handlers) RotateApiKey(ctx context.Context, req gen.RotateApiKeyRequestObject) (gen.RotateApiKeyResponseObject, error) {
	key, k, err := a.admin.Keys.Rotate(ctx, auth.Caller(ctx), req.Body.Id, seconds(req.Body.Overlap))
	if err != nil {
		return nil, err
	}
	return gen.RotateApiKey200JSONResponse(a.newKey(key, k)), nil
}

// CreateAgentKey creates an agent key.
func (a *handlers) CreateAgentKey(ctx context.Context, req gen.CreateAgentKeyRequestObject) (gen.CreateAgentKeyResponseObject, error) {
	owner, err := secret.ParseOwner(req.Body.Owner)
	err = cmp.Or(err, notEmptied("sandbox", req.Body.Sandbox), notEmptied("profile", req.Body.Profile), notEmptied("reads", req.Body.Reads), notEmptied("subject", req.Body.Subject))
	if err != nil {
		return nil, err
	}
	key, k, err := a.admin.Keys.CreateAgent(ctx, auth.Caller(ctx), issued.AgentDraft{
		Owner: owner, Names: req.Body.Names, Sandbox: optional(req.Body.Sandbox), Profile: optional(req.Body.Profile),
		WriteBack: optional(req.Body.WriteBack), Reads: optional(req.Body.Reads),
		Lifetime: seconds(req.Body.Lifetime), Subject: optional(req.Body.Subject), Strategies: optional(req.Body.Strategies),
	})
	if err != nil {
		return nil, err
	}
	answer := a.newKey(key, k)
	if missing := a.admin.Missing(ctx, auth.Caller(ctx), owner, req.Body.Names); missing != nil {
		answer.Missing = &missing
	}
	return gen.CreateAgentKey200JSONResponse(answer), nil
}

// ListAgentKeys lists agent keys.
func (a *handlers) ListAgentKeys(context.Context, gen.ListAgentKeysRequestObject) (gen.ListAgentKeysResponseObject, error) {
	return gen.ListAgentKeys200JSONResponse(a.issuedKeys(a.admin.Keys.List(true))), nil
}

// RevokeAgentKeys revokes one agent key, or all keys of a sandbox.
func (a *handlers) RevokeAgentKeys(ctx context.Context, req gen.RevokeAgentKeysRequestObject) (gen.RevokeAgentKeysResponseObject, error) {
	id, sandbox := optional(req.Body.Id), optional(req.Body.Sandbox)
	if (id == "") == (sandbox == "") {
		return nil, &secret.InvalidError{Field: "id", Reason: "must be set, or sandbox, and not both"}
	}
	var revoked []issued.Key
	var err error
	if sandbox != "" {
		revoked, err = a.admin.Keys.RevokeSandbox(ctx, auth.Caller(ctx), sandbox)
	} else {
		var k issued.Key
		k, err = a.admin.Keys.Revoke(ctx, auth.Caller(ctx), id, true)
		revoked = []issued.Key{k}
	}
	if err != nil {
		return nil, err
	}
	return gen.RevokeAgentKeys200JSONResponse(a.issuedKeys(revoked)), nil
}

func (a *handlers) newKey(key string, k issued.Key) gen.NewKey {
	return gen.NewKey{Key: key, Issued: a.issuedKey(k)}
}

func (a *handlers) issuedKeys(keys []issued.Key) []gen.IssuedKey {
	out := []gen.IssuedKey{}
	for _, k := range keys {
		out = append(out, a.issuedKey(k))
	}
	return out
}

func (a *handlers) issuedKey(k issued.Key) gen.IssuedKey {
	out := gen.IssuedKey{
		Id: k.ID, Subject: k.Subject, User: k.User, Strategies: append([]string{}, k.Strategies...), Created: k.Created,
		Works: a.admin.Keys.Works(k), Ends: set(k.Ends), Revoked: set(k.Revoked), Used: set(k.Used), Replaces: set(k.Replaces),
		Grants: []gen.Grant{},
	}
	for _, line := range k.Grants {
		out.Grants = append(out.Grants, grantOf(line))
	}
	if agent := k.Agent; agent != nil {
		out.Sandbox, out.Reads, out.ReadCount, out.LastRead = set(agent.Sandbox), set(agent.Reads), &agent.ReadCount, set(agent.Last)
		out.Profile, out.WriteBack = set(agent.Profile), set(agent.WriteBack)
	}
	return out
}

func grantOf(line grant.Line) gen.Grant {
	out := gen.Grant{Actions: []string{}, Owner: line.Owner, Deny: set(line.Deny)}
	for _, action := range line.Actions {
		out.Actions = append(out.Actions, string(action))
	}
	if line.Names != nil {
		out.Names = &line.Names
	}
	if !line.Until.IsZero() {
		until := line.Until.Format(time.RFC3339)
		out.Until = &until
	}
	return out
}

func grantLines(grants []gen.Grant) (lines []grant.Line, err error) {
	for i, g := range grants {
		line := grant.Line{Owner: g.Owner, Names: optional(g.Names), Deny: optional(g.Deny)}
		for _, action := range g.Actions {
			line.Actions = append(line.Actions, secret.Action(action))
		}
		if g.Until != nil {
			if line.Until, err = time.Parse(time.RFC3339, *g.Until); err != nil {
				return nil, &secret.InvalidError{Field: "grants", Reason: fmt.Sprintf("[%d].until: must be a time as in RFC 3339", i)}
			}
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// seconds converts n to a duration. Too large a number becomes the longest duration.
func seconds(n int) time.Duration {
	if n > math.MaxInt64/int(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(max(n, -1)) * time.Second
}

// notEmptied rejects an empty value. An absent field stands for the default, usually no
// limit. A script with an empty variable must not get that by accident.
func notEmptied[T comparable](field string, sent *T) error {
	var nothing T
	if sent == nil || *sent != nothing {
		return nil
	}
	return &secret.InvalidError{Field: field, Reason: "must not be empty or 0: leave it out for the default"}
}

// optional returns the sent value, or the zero value if the field is absent.
func optional[T any](sent *T) (value T) {
	if sent != nil {
		value = *sent
	}
	return value
}

// set returns nil for the zero value, so that the field is omitted.
func set[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}
