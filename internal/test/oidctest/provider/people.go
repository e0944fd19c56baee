package main

import (
	"time"

	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"
)

// audience is the audience of tokens; Keycloak adds account to it.
const (
	audience = "strongroom"
	account  = "account"
)

// users maps each user to their roles.
var users = map[string][]string{
	"alice": {"nx1_app_manager", "offline_access"},
	"bob":   {"offline_access"},
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
