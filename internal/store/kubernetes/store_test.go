package kubernetes_test

import (
	"net/http"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/kubetest"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
	"github.com/strongroom/strongroom/internal/store/storetest"
)

type object = kubetest.Object

func open(t *testing.T, cfg *rest.Config, namespace string) *kubernetes.Store {
	t.Helper()
	st, err := kubernetes.Open(cfg, kubernetes.Options{Namespace: namespace, Timeout: 20 * time.Second, UserAgent: "strongroom-test"})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestStore(t *testing.T) {
	server := kubetest.Start(t)
	namespaces := map[secret.Store]string{}
	openIn := func(t *testing.T, namespace string) secret.Store {
		st := open(t, server.Admin(), namespace)
		namespaces[st] = namespace
		return st
	}
	storetest.Suite{
		Open: func(t *testing.T) secret.Store { return openIn(t, server.Namespace(t)) },
		Reopen: func(t *testing.T, st secret.Store) secret.Store {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			return openIn(t, namespaces[st])
		},
		RenameInTwoSteps: true,
	}.Run(t)
}

var _ = http.MethodGet
