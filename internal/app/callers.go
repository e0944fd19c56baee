package app

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// known returns the callers that a credential authenticates. With an empty credential it
// returns the callers of all API keys. If no strategy accepts the credential, the error says
// why.
func (s strategies) known(ctx context.Context, credential string) (all []strongroom.Known) {
	var reasons []strongroom.Known
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		if credential == "" {
			for _, caller := range callersOf(s.byName[name]) {
				all = append(all, strongroom.Known{Strategy: name, Caller: caller})
			}
			continue
		}
		caller, err := s.authenticate(ctx, name, credential)
		if err == nil {
			all = append(all, strongroom.Known{Strategy: name, Caller: caller})
		} else if reason := reasonOf(err); reason != "" {
			reasons = append(reasons, strongroom.Known{Strategy: name, Refused: reason})
		}
	}
	if all == nil {
		return reasons
	}
	return all
}

func callersOf(strategy auth.Strategy) []secret.Caller {
	if lists, ok := strategy.(interface{ Callers() []secret.Caller }); ok {
		return lists.Callers()
	}
	return nil
}

// authenticate sends the credential to the strategy as a request would.
func (s strategies) authenticate(ctx context.Context, name, credential string) (secret.Caller, error) {
	sends, ok := s.sends[name]
	if !ok {
		return secret.Caller{}, auth.ErrNoCredential // this strategy takes no credential
	}
	r := (&http.Request{Header: http.Header{}}).WithContext(ctx)
	r.Header.Set(sends.Header, sends.Prefix+credential)
	return s.byName[name].Authenticate(r)
}

// reasonOf returns why a strategy rejected a credential, without quoting it. It returns
// "" if the credential is of another kind.
func reasonOf(err error) string {
	var refusal *auth.RefusalError
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason
	case errors.Is(err, auth.ErrNoCredential):
		return ""
	case errors.Is(err, secret.ErrUnavailable): // its text never has a token
		return "it cannot be checked now: " + err.Error()
	}
	return "it is not valid"
}

// callers returns the callers that the current policy knows.
func (r *reloader) callers(ctx context.Context, credential string) (known []strongroom.Known, err error) {
	r.current.Use(func(p server.Policy) { known = p.(*policy).known(ctx, credential) })
	return known, nil
}
