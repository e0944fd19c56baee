package app

import (
	"fmt"
	"log/slog"

	"github.com/strongroom/strongroom/internal/auth/oidc"
	"github.com/strongroom/strongroom/internal/auth/serviceaccount"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
)

// openOIDC creates the strategy of this name. The caller starts its keys and closes them
// with the policy. Errors name the path of the field.
func openOIDC(name string, c *config.OIDC, issuers *oidc.KeySets, log *slog.Logger) (*oidc.Strategy, *oidc.Lease, error) {
	path := "auth." + name + ".oidc"
	source := oidc.Source{Issuer: c.Issuer, JWKS: c.JWKSURL}
	if c.CAFile != "" {
		text, err := safefile.Read(c.CAFile)
		if err != nil {
			return nil, nil, fmt.Errorf("%s.ca_file: %w", path, err)
		}
		source.CA = string(text)
	}
	roles, err := grantsBy(c.Roles, path+".roles.")
	if err != nil {
		return nil, nil, err
	}
	keys, err := issuers.Open(source, log)
	if err != nil {
		return nil, nil, fmt.Errorf("%s.ca_file: %w", path, err)
	}
	return oidc.New(oidc.Rules{
		Issuer: c.Issuer, Audience: c.Audience, Clients: c.Clients, Algorithms: c.Algorithms, Types: c.TokenTypes,
		RolesClaim: c.RolesPath(), UserClaim: c.UserClaim, Roles: roles,
	}, keys.KeySet), keys, nil
}

// openServiceAccount creates the strategy of this name. It does not connect to the
// cluster.
func openServiceAccount(name string, c *config.ServiceAccount) (*serviceaccount.Strategy, error) {
	path := "auth." + name + ".service_account"
	accounts, err := grantsBy(c.Accounts, path+".accounts.")
	if err != nil {
		return nil, err
	}
	cluster, err := kubernetes.InCluster()
	if c.Kubeconfig != "" {
		cluster, err = kubernetes.FromKubeconfig(c.Kubeconfig, c.Context)
	}
	if err != nil {
		return nil, fmt.Errorf("%s.kubeconfig: %w", path, err)
	}
	s, err := serviceaccount.New(serviceaccount.Rules{Issuer: c.Issuer, Audience: c.Audience, Accounts: accounts}, cluster)
	if err != nil {
		return nil, fmt.Errorf("%s.kubeconfig: %w", path, err)
	}
	return s, nil
}

// grantsBy parses the grants of each role or account.
func grantsBy(lists map[string][]grant.Line, path string) (map[string][]secret.Grant, error) {
	by := map[string][]secret.Grant{}
	for name, lines := range lists {
		grants, err := grant.Parse(lines, path+name, nil)
		if err != nil {
			return nil, err
		}
		by[name] = grants
	}
	return by, nil
}
