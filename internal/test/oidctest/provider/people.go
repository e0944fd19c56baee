package main

import (
	"context"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

// audience is the audience of tokens; Keycloak adds account to it.
const (
	audience = "strongroom"
	account  = "account"
)

// users has the roles of each user. It is safe for concurrent use.
var users = directory{roles: map[string][]string{
	"alice": {"nx1_app_manager", "offline_access"},
	"bob":   {"offline_access"},
}}

type directory struct {
	mu    sync.RWMutex
	roles map[string][]string
}

func (d *directory) of(user string) (roles []string, known bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	roles, known = d.roles[user]
	return roles, known
}

// set replaces the roles of a user. Without roles the user is removed.
func (d *directory) set(user string, roles []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.roles[user] = roles; len(roles) == 0 {
		delete(d.roles, user)
	}
}

// A clientStore also has clients that were registered while the provider runs.
type clientStore struct {
	*storage.MemoryStore
	added sync.Map // id: fosite.Client
}

// GetClient overrides the store's.
func (s *clientStore) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	if client, ok := s.added.Load(id); ok {
		return client.(fosite.Client), nil
	}
	return s.MemoryStore.GetClient(ctx, id)
}

// register adds a client that signs people in and redirects to the URL: a public one, or
// one with a secret. The lifespan is that of its access tokens.
func (s *clientStore) register(id, redirect, secret string, lifespan time.Duration) error {
	client := publicClient(id, audience)
	client.RedirectURIs = []string{redirect}
	if secret != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
		if err != nil {
			return err
		}
		client.Public, client.Secret = false, hash
	}
	s.added.Store(id, &fosite.DefaultClientWithCustomTokenLifespans{
		DefaultClient:  client,
		TokenLifespans: &fosite.ClientLifespanConfig{AuthorizationCodeGrantAccessTokenLifespan: &lifespan, RefreshTokenGrantAccessTokenLifespan: &lifespan},
	})
	return nil
}

// services are clients with credentials: the client secret is the id followed by
// "secret". Each has its roles and the lifetime of its tokens.
var services = map[string]struct {
	roles    []string
	lifespan time.Duration
}{
	"pipeline": {[]string{"nx1_app_manager"}, 5 * time.Minute},
	"reporter": {[]string{"offline_access"}, 5 * time.Minute},
	"stale":    {[]string{"nx1_app_manager"}, -time.Minute}, // expired on issue
}

// clients returns all clients: the portal through which users log in (a public
// client with PKCE), one for another audience, and the services.
func clients() (map[string]fosite.Client, error) {
	known := map[string]fosite.Client{"portal": publicClient("portal", audience), "shop": publicClient("shop", "shop-api")}
	for id, s := range services {
		hash, err := bcrypt.GenerateFromPassword([]byte(id+"-secret"), bcrypt.MinCost)
		if err != nil {
			return nil, err
		}
		known[id] = &fosite.DefaultClientWithCustomTokenLifespans{
			DefaultClient: &fosite.DefaultClient{
				ID: id, Secret: hash, GrantTypes: []string{"client_credentials"}, Scopes: []string{"profile"}, Audience: []string{account, audience},
			},
			TokenLifespans: &fosite.ClientLifespanConfig{ClientCredentialsGrantAccessTokenLifespan: &s.lifespan},
		}
	}
	return known, nil
}

func publicClient(id, audience string) *fosite.DefaultClient {
	return &fosite.DefaultClient{
		ID: id, Public: true, RedirectURIs: []string{"http://127.0.0.1/callback"},
		ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		Scopes: []string{"openid", "offline_access", "profile"}, Audience: []string{account, audience},
	}
}
