package kubernetes

import (
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/transport"
)

// InCluster is how a pod reaches the API server of its cluster, as its service
// account. The token is read anew as it rotates.
func InCluster() (*rest.Config, error) { return rest.InClusterConfig() }

// FromKubeconfig is what a kubeconfig says, exec plugins included, in this
// context of it or, if empty, in its current one. Without a file it is the one
// that kubectl would take.
func FromKubeconfig(file, context string) (*rest.Config, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
	if file == "" {
		rules = clientcmd.NewDefaultClientConfigLoadingRules()
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
}

// A client sends requests to an API server, through client-go's transport but
// none of its limits and retries: it is the store that knows what may be sent
// again.
type client struct {
	http *http.Client
	base *url.URL
}

func newClient(cfg *rest.Config, userAgent string) (*client, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = userAgent
	cfg.Timeout = 0 // contexts say how long
	cfg.DisableCompression = true
	if cfg.BearerTokenFile != "" {
		// Left to itself, client-go looks at the file once a minute; this way
		// it does so when a token is refused, too.
		cfg.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedFileTokenSource(cfg.BearerTokenFile)))
		cfg.BearerToken, cfg.BearerTokenFile = "", ""
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("the address of the API server: %w", err)
	}
	h, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("the credentials for the API server: %w", err)
	}
	return &client{h, base}, nil
}
