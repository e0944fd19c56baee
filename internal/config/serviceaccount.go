package config

import (
	"cmp"
	"regexp"

	"github.com/strongroom/strongroom/internal/grant"
)

// ServiceAccount authenticates callers by tokens of Kubernetes service
// accounts. The server's own service account must be allowed to create
// tokenreviews: bind the ClusterRole system:auth-delegator to it.
type ServiceAccount struct {
	// Issuer of the cluster's tokens (--service-account-issuer of its API
	// server). Default: https://kubernetes.default.svc.cluster.local.
	Issuer string `yaml:"issuer"`
	// Audience that tokens must be bound to. The pod's projected volume
	// requests it.
	Audience string `yaml:"audience"`
	// Kubeconfig is a file with the cluster's address and the server's
	// credentials. Default: the cluster and service account of the server's own
	// pod.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context in the kubeconfig. Default: its current context.
	Context string `yaml:"context"`
	// Accounts are the grants of service accounts, by namespace/name. Accounts
	// without a grant have no rights. As a user (self), an account is
	// system:serviceaccount:NAMESPACE:NAME.
	Accounts map[string][]grant.Line `yaml:"accounts"`
}

// clusterIssuer is the default issuer of Kubernetes clusters.
const clusterIssuer = "https://kubernetes.default.svc.cluster.local"

func (s *ServiceAccount) setDefaults() { s.Issuer = cmp.Or(s.Issuer, clusterIssuer) }

// account matches a namespace and a name in it (RFC 1123).
var account = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

func (s *ServiceAccount) validate(m *problems, path string) {
	m.bad(s.Audience == "", "%s.audience: must be set", path)
	m.bad(s.Context != "" && s.Kubeconfig == "", "%s.context: needs a kubeconfig", path)
	m.bad(len(s.Accounts) == 0, "%s.accounts: must have at least one, otherwise no caller has any rights", path)
	for name, lines := range sorted(s.Accounts) {
		m.bad(!account.MatchString(name), "%s.accounts.%s: must be namespace/name", path, name)
		_, err := grant.Parse(lines, path+".accounts."+name, nil)
		m.add(err)
	}
}
