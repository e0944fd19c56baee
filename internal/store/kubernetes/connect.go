package kubernetes

import (
	"context"
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

// InCluster returns the client config of a pod: its cluster's API server and its
// service account. The token file is reread as it rotates.
func InCluster() (*rest.Config, error) { return rest.InClusterConfig() }

// FromKubeconfig returns the client config of a kubeconfig's context, or of its
// current context if context is empty. Exec plugins work. Without a file it reads
// kubectl's default files.
func FromKubeconfig(file, context string) (*rest.Config, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: file}
	if file == "" {
		rules = clientcmd.NewDefaultClientConfigLoadingRules()
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
}

// A client sends requests to an API server, through client-go's transport, but without
// its limits and retries: only the store knows which requests may be repeated.
type client struct {
	http  *http.Client
	base  *url.URL
	trace func(ctx context.Context, method, host string) (_ context.Context, end func(status int)) // may be nil
}

func newClient(cfg *rest.Config, userAgent string) (*client, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = userAgent
	cfg.Timeout = 0 // contexts carry the deadline
	cfg.DisableCompression = true
	if cfg.BearerTokenFile != "" {
		// By default client-go rereads the file once a minute. This also rereads it
		// when a token is refused.
		cfg.Wrap(transport.ResettableTokenSourceWrapTransport(transport.NewCachedFileTokenSource(cfg.BearerTokenFile)))
		cfg.BearerToken, cfg.BearerTokenFile = "", ""
	}
	// Not HTTP/2: it takes client and server a third longer for requests as small
	// as ours.
	cfg.NextProtos = []string{"http/1.1"}
	// A dialer of our own gives this client its own transport, which no other
	// client in the process shares.
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
	return &client{http: h, base: base}, nil
}

// maxIdle is the number of idle connections that are kept. Each request in
// progress has its own connection, and opening one takes several times as long as
// a request.
const maxIdle = 256

// keepIdle sets the number of idle connections in the transport that client-go
// wrapped; client-go has no option for it.
func keepIdle(rt http.RoundTripper) {
	switch rt := rt.(type) {
	case *http.Transport:
		rt.MaxIdleConnsPerHost = maxIdle
	case utilnet.RoundTripperWrapper:
		keepIdle(rt.WrappedRoundTripper())
	}
}

// closeIdle closes idle connections.
func (c *client) closeIdle() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }
