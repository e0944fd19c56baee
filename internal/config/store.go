package config

import (
	"regexp"

	"github.com/strongroom/strongroom/internal/duration"
)

// Store keeps secrets: exactly one of these.
type Store struct {
	// Bolt keeps them in the state file, sealed: bolt: {}.
	Bolt *Bolt `yaml:"bolt"`
	// Kubernetes keeps them as Secrets of a cluster, where pods can mount them.
	Kubernetes *Kubernetes `yaml:"kubernetes"`
}

// Bolt keeps secrets in the state file, with earlier versions and deleted secrets.
type Bolt struct {
	// Versions is the number of earlier versions kept per secret. Default 10.
	Versions *int `yaml:"versions"`
	// DeletedFor is the time for which a deleted secret can be restored. Default 30d.
	DeletedFor *duration.Duration `yaml:"deleted_for"`
	// PastBytes limits the bytes of one owner's earlier versions and deleted secrets.
	// The oldest are dropped first. Default 67108864.
	PastBytes *int64 `yaml:"past_bytes"`
}

// Kubernetes keeps secrets as Secrets of one namespace.
type Kubernetes struct {
	// Namespace of the secrets. Use it for nothing else, because the right to list
	// Secrets there is the right to read them.
	Namespace string `yaml:"namespace"`
	// Kubeconfig is the file with the cluster's address and our credentials. Default:
	// the cluster and service account of the pod that the server runs in.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context in the kubeconfig. Default: its current one.
	Context string `yaml:"context"`
	// Timeout is the limit for one operation; after it the answer is 503. Default 10s.
	Timeout duration.Duration `yaml:"timeout"`
}

func (s Store) validate(m *problems, path string) {
	m.bad((s.Bolt == nil) == (s.Kubernetes == nil), "%s: must set exactly one of bolt, kubernetes", path)
	if s.Bolt != nil {
		s.Bolt.validate(m, path+".bolt")
	}
	if s.Kubernetes != nil {
		s.Kubernetes.validate(m, path+".kubernetes")
	}
}

func (k *Kubernetes) validate(m *problems, path string) {
	m.bad(!namespaceName.MatchString(k.Namespace), "%s.namespace: must be the name of a namespace", path)
	m.bad(k.Context != "" && k.Kubeconfig == "", "%s.context: needs a kubeconfig", path)
	m.bad(k.Timeout < 0, "%s.timeout: must not be negative", path)
}

// namespaceName is a DNS label (RFC 1123).
var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (b *Bolt) validate(m *problems, path string) {
	m.bad(b.Versions != nil && (*b.Versions < 0 || *b.Versions > 100), "%s.versions: must be 0 to 100", path)
	m.bad(b.DeletedFor != nil && *b.DeletedFor < 0, "%s.deleted_for: must not be negative", path)
	m.bad(b.PastBytes != nil && *b.PastBytes < 0, "%s.past_bytes: must not be negative", path)
}
