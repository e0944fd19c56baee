package app

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
)

// known are the callers whom the strategies know by a credential, or with none
// all whom keys stand for.
func (s strategies) known(ctx context.Context, credential string) (all []strongroom.Known) {
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		for _, caller := range s.callers(ctx, name, credential) {
			all = append(all, strongroom.Known{Strategy: name, Caller: caller})
		}
	}
	return all
}

func (s strategies) callers(ctx context.Context, name, credential string) []secret.Caller {
	strategy := s.byName[name]
	if credential == "" {
		if lists, ok := strategy.(interface{ Callers() []secret.Caller }); ok {
			return lists.Callers()
		}
		return nil
	}
	sends, ok := s.sends[name]
	if !ok {
		return nil // the strategy's callers have no credential
	}
	r := (&http.Request{Header: http.Header{}}).WithContext(ctx)
	r.Header.Set(sends.Header, sends.Prefix+credential)
	caller, err := strategy.Authenticate(r)
	if err != nil {
		return nil
	}
	return []secret.Caller{caller}
}

// callers returns the callers that the current policy knows.
func (r *reloader) callers(ctx context.Context, credential string) (known []strongroom.Known, err error) {
	r.current.Use(func(p server.Policy) { known = p.(*policy).known(ctx, credential) })
	return known, nil
}
