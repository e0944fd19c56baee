package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/secret"
)

// openOIDC makes the strategy of that name, whose keys are to be started and,
// with the policy, closed. Its mistakes have their paths.
func openOIDC(name string, c *config.OIDC, issuers *oidc.KeySets, log *slog.Logger) (*oidc.Strategy, *oidc.Lease, error) {
	path := "auth." + name + ".oidc"
	source := oidc.Source{Issuer: c.Issuer, JWKS: c.JWKSURL}
	if c.CAFile != "" {
		text, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, nil, fmt.Errorf("%s.ca_file: %w", path, err)
		}
		source.CA = string(text)
	}
	roles := map[string][]secret.Grant{}
	for role, lines := range c.Roles {
		grants, err := grant.Parse(lines, path+".roles."+role, nil)
		if err != nil {
			return nil, nil, err
		}
		roles[role] = grants
	}
	keys, err := issuers.Open(source, log)
	if err != nil {
		return nil, nil, fmt.Errorf("%s.ca_file: %w", path, err)
	}
	return oidc.New(oidc.Rules{
		Issuer: c.Issuer, Audience: c.Audience, Clients: c.Clients, Algorithms: c.Algorithms,
		RolesClaim: c.RolesPath(), UserClaim: c.UserClaim, Roles: roles,
	}, keys.KeySet), keys, nil
}
