package main

import (
	"time"

	"github.com/ory/fosite"
	"golang.org/x/crypto/bcrypt"
)

// audience is what tokens are for, and account is what Keycloak adds to that.
const (
	audience = "strongroom"
	account  = "account"
)

// users can log in, and have these roles.
var users = map[string][]string{
	"alice": {"nx1_app_manager", "offline_access"},
	"bob":   {"offline_access"},
}

// services have credentials of their own: the secret is the id, and secret
// behind it. Their tokens last as long as said.
var services = map[string]struct {
	roles    []string
	lifespan time.Duration
}{
	"pipeline": {[]string{"nx1_app_manager"}, 5 * time.Minute},
	"reporter": {[]string{"offline_access"}, 5 * time.Minute},
	"stale":    {[]string{"nx1_app_manager"}, -time.Minute}, // expired when it gets them
}

// clients are what the provider knows: the portal, through which users log in
// (a public client with PKCE), another one for another audience, and the
// services.
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
