package kubernetes_test

import (
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
	"github.com/strongroom/strongroom/internal/store/storetest"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

type (
	object = kubetest.Object
	data   = map[string]secret.Value
)

var shop = secret.App("0f8fad5b-d9cb-469f-a165-70867728950e")

func at(name string) secret.Op { return secret.Op{Ref: secret.Ref{Owner: shop, Name: name}} }

func open(t testing.TB, cfg *rest.Config, namespace string) *kubernetes.Store {
	t.Helper()
	st, err := kubernetes.Open(cfg, kubernetes.Options{Namespace: namespace, Timeout: 20 * time.Second, UserAgent: "strongroom-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// ready returns a store in a new namespace, with the rights of
// configs/kubernetes.
func ready(t testing.TB, server *kubetest.Server) (st *kubernetes.Store, namespace string) {
	t.Helper()
	namespace = newNamespace(t, server)
	st = open(t, asStrongroom(t, server), namespace)
	await(t, "the role to count", func() bool { return st.Check(t.Context()) == nil })
	return st, namespace
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The suite runs with exactly the rights that configs/kubernetes gives.
func TestStore(t *testing.T) {
	server := installed(t)
	us := asStrongroom(t, server)
	namespaces := map[secret.Store]string{}
	storetest.Suite{
		Open: func(t *testing.T) secret.Store {
			st, namespace := ready(t, server)
			namespaces[st] = namespace
			return st
		},
		Reopen: func(t *testing.T, st secret.Store) secret.Store {
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			reopened := open(t, us, namespaces[st])
			namespaces[reopened] = namespaces[st]
			return reopened
		},
		RenameInTwoSteps: true,
	}.Run(t)
}
