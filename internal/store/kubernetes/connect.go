package kubernetes

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
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
	// Not HTTP/2, which takes client and server a third longer for a request as
	// small as ours.
	cfg.NextProtos = []string{"http/1.1"}
	// With a dialer of our own the transport is our own, too, and no other
	// client's in this process.
	cfg.Dial = (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("the address of the API server: %w", err)
	}
	h, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("the credentials for the API server: %w", err)
	}
	keepIdle(h.Transport)
	return &client{h, base}, nil
}

// maxIdle is how many connections are kept that nobody uses just now. Each
// request that is under way has one of its own, and one anew takes several
// times as long as a request.
const maxIdle = 256

// keepIdle sets how many connections are kept, which client-go has no option
// for, in the transport that it has wrapped.
func keepIdle(rt http.RoundTripper) {
	switch rt := rt.(type) {
	case *http.Transport:
		rt.MaxIdleConnsPerHost = maxIdle
	case utilnet.RoundTripperWrapper:
		keepIdle(rt.WrappedRoundTripper())
	}
}

// hangUp closes the connections that nobody uses.
func (c *client) hangUp() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }
