package strongroom

import (
	"context"
	"slices"
	"strings"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/internal/secret"
)

// A Known is a caller authenticated by a strategy of the config, or the strategy's reason
// for rejecting the credential.
type Known struct {
	Strategy string
	Caller   secret.Caller
	Refused  string // empty if the strategy accepts the credential
}

// Explain reports whether callers are allowed to do something, and which grant decides.
func (a *handlers) Explain(ctx context.Context, req gen.ExplainRequestObject) (gen.ExplainResponseObject, error) {
	action := secret.Action(req.Body.Action)
	if !slices.Contains(secret.Actions(), action) {
		return nil, &secret.InvalidError{Field: "action", Reason: "must be one of list, create, write, delete, reveal, admin"}
	}
	ref, err := parseTarget(req.Body.Target)
	if err != nil {
		return nil, err
	}
	subject, credential := optional(req.Body.Subject), optional(req.Body.Credential)
	if (subject == "") == (credential == "") {
		return nil, &secret.InvalidError{Field: "subject", Reason: "must be set, or credential, and not both"}
	}
	known, err := a.program.Callers(ctx, credential)
	if err != nil {
		return nil, err
	}
	verdicts := gen.Explain200JSONResponse{}
	for _, k := range known {
		if subject == "" || k.Caller.Subject == subject {
			verdicts = append(verdicts, verdict(k, action, ref))
		}
	}
	return verdicts, nil
}

func verdict(k Known, action secret.Action, ref secret.Ref) gen.Verdict {
	if k.Refused != "" {
		return gen.Verdict{Strategy: k.Strategy, Refused: &k.Refused}
	}
	v := gen.Verdict{Strategy: k.Strategy, Subject: k.Caller.Subject, Key: k.Caller.CredentialID, Allowed: k.Caller.May(action, ref)}
	if by := k.Caller.Decides(action, ref); by != nil {
		v.By = by.Source
	}
	return v
}

// parseTarget parses kind/id/name, or kind/id for all secrets of the owner.
func parseTarget(text string) (secret.Ref, error) {
	kind, rest, _ := strings.Cut(text, "/")
	id, name, named := strings.Cut(rest, "/")
	owner, err := secret.ParseOwner(kind + "/" + id)
	if err != nil || (named && secret.CheckName(name) != nil) {
		return secret.Ref{}, &secret.InvalidError{Field: "target", Reason: "must be user/<id> or app/<uuid>, and /<name> for a secret of it"}
	}
	return secret.Ref{Owner: owner, Name: name}, nil
}
