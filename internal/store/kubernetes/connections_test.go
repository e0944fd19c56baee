package kubernetes_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/kubetest"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
)

// manyAtOnce makes so many requests, none of which is answered before all have
// arrived, and returns the connections that they came by.
func manyAtOnce(t *testing.T, st secret.Store, proxy *kubetest.Proxy, count int) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	came, all := map[string]bool{}, make(chan struct{})
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		came[r.RemoteAddr] = true
		if len(came) == count {
			close(all)
		}
		mu.Unlock()
		<-all
		next.ServeHTTP(w, r)
	})
	defer proxy.Set(nil)
	var wg sync.WaitGroup
	for range count {
		wg.Go(func() {
			if _, err := st.Head(t.Context(), at("db").Ref); err != nil {
				t.Errorf("Head: %v", err)
			}
		})
	}
	wg.Wait()
	return came
}

// A connection costs many times what a request does, so what many requests have
// opened is there for as many when they come again.
func TestConnectionsOfManyRequestsAreKept(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	before := manyAtOnce(t, st, proxy, 64)
	for connection := range manyAtOnce(t, st, proxy, 64) {
		if !before[connection] {
			t.Fatal("a request came by a connection that was opened for it")
		}
	}
}

// Where connections died without a word, as they do with a machine, it costs
// one request its time and not one for each.
func TestDeadConnectionsCostOneTimeout(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), time.Second)
	dead := manyAtOnce(t, st, proxy, 8)
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if dead[r.RemoteAddr] {
			kubetest.Stall(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
	_, err := st.Head(t.Context(), at("db").Ref)
	wantError(t, "Head by a dead connection", err, secret.ErrUnavailable)
	if _, err := st.Head(t.Context(), at("db").Ref); err != nil {
		t.Errorf("Head after that: %v", err)
	}
}

// A store that is closed leaves no connection behind.
func TestClosedStoreHangsUp(t *testing.T) {
	server := installed(t)
	_, proxy, namespace := staged(t, server, 20*time.Second)
	st, err := kubernetes.Open(proxy.Config(asStrongroom(t, server)), kubernetes.Options{Namespace: namespace, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	before := proxy.Connections()
	if _, err := st.Head(t.Context(), at("db").Ref); err != nil {
		t.Fatal(err)
	}
	if proxy.Connections() != before+1 {
		t.Errorf("the proxy counts %d connections, want one more than %d", proxy.Connections(), before)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "the connection to be closed", func() bool { return proxy.Connections() == before })
}
