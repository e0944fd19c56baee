package kubernetes_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
	"github.com/strongroom/strongroom/internal/store/storetest"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// TestStoreOnAnyCluster runs the suite against any cluster, in the namespace of the
// kubeconfig's context. It needs no rights outside that namespace.
func TestStoreOnAnyCluster(t *testing.T) {
	file := os.Getenv("STRONGROOM_TEST_KUBECONFIG")
	if file == "" {
		t.Skip("NOT TESTED against another cluster: STRONGROOM_TEST_KUBECONFIG is not set")
	}
	cluster, err := kubernetes.FromKubeconfig(file, "")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&clientcmd.ClientConfigLoadingRules{ExplicitPath: file}, nil)
	namespace, _, err := kubeconfig.Namespace()
	if err != nil {
		t.Fatal(err)
	}
	if owners, err := open(t, cluster, namespace).Owners(t.Context(), secret.Page{}); err != nil || len(owners) > 0 {
		t.Fatalf("the namespace %s must hold no secrets of Strongroom's, for they would be deleted: %d owners, %v", namespace, len(owners), err)
	}
	storetest.Suite{
		Open: func(t *testing.T) secret.Store {
			st := open(t, cluster, namespace)
			t.Cleanup(func() { empty(t, open(t, cluster, namespace)) })
			return st
		},
		RenameInTwoSteps: true,
	}.Run(t)
}

// empty deletes all secrets that the suite created.
func empty(t *testing.T, st secret.Store) {
	// t.Context() is already cancelled here.
	ctx := context.WithoutCancel(t.Context())
	owners, err := st.Owners(ctx, secret.Page{})
	if err != nil {
		t.Error(err)
	}
	for _, owner := range owners {
		infos, err := st.List(ctx, owner.Owner, secret.Page{})
		if err != nil {
			t.Error(err)
		}
		for _, i := range infos {
			if err := st.Delete(ctx, secret.Op{Ref: i.Ref}); err != nil && !errors.Is(err, secret.ErrNotFound) {
				t.Error(err)
			}
		}
	}
}

func TestStoreRecoversWhenEtcdDoes(t *testing.T) {
	link := kubetest.NewLink(t)
	server, err := kubetest.Run(t.Context(), kubetest.Options{Etcd: link})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	namespace := server.Namespace(t)
	patient := open(t, server.Admin(), namespace)
	st, err := kubernetes.Open(server.Admin(), kubernetes.Options{Namespace: namespace, Timeout: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if _, err := patient.Create(t.Context(), at("db"), secret.Draft{Data: data{"a": "1", "b": "2"}}); err != nil {
		t.Fatal(err)
	}
	link.Cut()
	for _, a := range acts() {
		start := time.Now()
		if err := a.do(t.Context(), st); a.write {
			wantError(t, a.name, err, secret.ErrUnavailable)
		} else if err != nil { // a list may come from the API server's cache
			wantError(t, a.name, err, secret.ErrUnavailable)
		}
		if took := time.Since(start); took > 20*time.Second { // generous, for a slow machine
			t.Errorf("%s: answered after %v, and had half a second", a.name, took)
		}
	}
	link.Mend()
	await(t, "the store to come back", func() bool {
		_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"a": "3"}, Keep: []string{"b"}})
		return err == nil
	})
	if _, values, err := patient.Reveal(t.Context(), at("db")); err != nil || values["a"] != "3" || values["b"] != "2" {
		t.Errorf("afterwards: %v", err)
	}
}
