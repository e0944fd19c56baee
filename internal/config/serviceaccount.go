package config

import (
	"cmp"
	"regexp"

	"github.com/strongroom/strongroom/internal/grant"
)

// ServiceAccount knows callers by the tokens of service accounts of a
// Kubernetes cluster. The server's own must be allowed to create tokenreviews:
// ClusterRole system:auth-delegator.
type ServiceAccount struct {
	// Issuer that the cluster's tokens name (--service-account-issuer of its API
	// server). Default: https://kubernetes.default.svc.cluster.local.
	Issuer string `yaml:"issuer"`
	// Audience that tokens must be bound to, as the pod's projected volume asks
	// for it.
	Audience string `yaml:"audience"`
	// Kubeconfig is a file that says where the cluster is and who we are there.
	// Default: the cluster and the service account of the pod that we run in.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context in the kubeconfig. Default: its current one.
	Context string `yaml:"context"`
	// Accounts are what service accounts may do, by namespace/name: without a
	// grant, nothing. self is system:serviceaccount:NAMESPACE:NAME as a user.
	Accounts map[string][]grant.Line `yaml:"accounts"`
}

// clusterIssuer is what most clusters call themselves.
const clusterIssuer = "https://kubernetes.default.svc.cluster.local"

func (s *ServiceAccount) setDefaults() { s.Issuer = cmp.Or(s.Issuer, clusterIssuer) }

// account is a namespace and a name of it (RFC 1123).
var account = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

func (s *ServiceAccount) validate(m *mistakes, path string) {
	m.bad(s.Audience == "", "%s.audience: must be set", path)
	m.bad(s.Context != "" && s.Kubeconfig == "", "%s.context: is of no use without a kubeconfig", path)
	m.bad(len(s.Accounts) == 0, "%s.accounts: must have at least one, or nobody could do anything", path)
	for name, lines := range sorted(s.Accounts) {
		m.bad(!account.MatchString(name), "%s.accounts.%s: must be namespace/name", path, name)
		_, err := grant.Parse(lines, path+".accounts."+name, nil)
		m.add(err)
	}
}
