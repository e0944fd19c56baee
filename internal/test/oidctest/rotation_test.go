package oidctest

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// Clients that fetch a new token every few requests are never refused while the provider
// rotates its key, with tokens of the old or the new key.
func TestKeyRotationUnderLoadRefusesNoValidToken(t *testing.T) {
	p := startProvider(t)
	s := startServer(t, p.issuer)
	s.want(t, "a secret", 200, nil, "POST", secrets, created, bearer(p.mustService(t, "pipeline")))

	ctx, end := context.WithCancel(t.Context())
	served := make(chan error, 1000) // errors of requests
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for ctx.Err() == nil {
				served <- s.getTenTimes(t.Context(), p)
			}
		})
	}
	tokens := 0
	use := func(more int) {
		for range more {
			tokens++
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
	}
	use(50)
	p.send(t, "rotate") // the new key signs from now on, before any server has fetched it
	use(100)
	end()
	go func() { clients.Wait(); close(served) }()
	for err := range served {
		tokens++
		if err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d requests with %d tokens", 10*tokens, tokens)
}

// getTenTimes fetches a token and uses it.
func (s *server) getTenTimes(ctx context.Context, p *provider) error {
	token, err := p.service(ctx, "pipeline")
	if err != nil {
		return err
	}
	for range 10 {
		a, err := s.send(ctx, "GET", secrets+"/db", "", bearer(token))
		if err != nil || a.status != 200 {
			return fmt.Errorf("%d %s, %w", a.status, a.body, err)
		}
	}
	return nil
}

// A cached token becomes invalid with its key, long before it expires.
func TestTokensOfAWithdrawnKeyAreRefused(t *testing.T) {
	p := startProvider(t)
	s := startServer(t, p.issuer)
	old := p.mustService(t, "pipeline")
	get := func(what string, status int, challenges []string, token string) {
		t.Helper()
		s.want(t, what, status, challenges, "GET", secrets, "", bearer(token))
	}
	get("before", 200, nil, old)
	p.send(t, "rotate")
	p.send(t, "retire")
	get("of the new key, which the server fetches", 200, nil, p.mustService(t, "pipeline"))
	get("of the old key", 401, another, old)
}
