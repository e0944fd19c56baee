package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"

	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/secret"
)

// Foreign returns the values of a Secret that Strongroom does not manage. It does
// not change the Secret.
func Foreign(ctx context.Context, cluster *rest.Config, userAgent, namespace, name string) (map[string]secret.Value, error) {
	c, err := newClient(cluster, userAgent)
	if err != nil {
		return nil, err
	}
	var o object[[]byte]
	_, err = c.do(ctx, request{method: http.MethodGet, path: path.Join("api/v1/namespaces", namespace, "secrets", name)}, into(&o))
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return nil, fmt.Errorf("there is no Secret %s in the namespace %s", name, namespace)
	case err != nil:
		return nil, err
	case o.Metadata.Labels.ManagedBy == us:
		return nil, errors.New("a store of Strongroom already manages it")
	}
	return decoded(o.Data), nil
}
