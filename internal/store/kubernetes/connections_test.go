package kubernetes_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// manyAtOnce sends count requests, none answered before all have arrived, and
// returns their connections.
func manyAtOnce(t *testing.T, st secret.Store, proxy *kubetest.Proxy, count int) map[string]bool {
	t.Helper()
	var mu sync.Mutex
	came, all := map[string]bool{}, make(chan struct{})
	haveAll := sync.OnceFunc(func() { close(all) })
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		came[r.RemoteAddr] = true
		if len(came) == count {
			haveAll()
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

// on returns a fault that affects these connections only.
func on(connections map[string]bool, fault kubetest.Fault) kubetest.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if connections[r.RemoteAddr] {
			fault(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// A connection costs many times as much as a request. The connections of a burst
// stay open for the next burst.
func TestConnectionsOfManyRequestsAreKept(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	before := manyAtOnce(t, st, proxy, 64)
	for connection := range manyAtOnce(t, st, proxy, 64) {
		if !before[connection] {
			t.Fatal("a request came by a connection that was opened for it")
		}
	}
}

// After connections died silently, as in a crash of the peer's machine, one
// request times out in total, not one per connection.
func TestDeadConnectionsCauseOneTimeout(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 3*time.Second)
	dead := manyAtOnce(t, st, proxy, 8)
	proxy.Set(on(dead, kubetest.Stall))
	_, err := st.Head(t.Context(), at("db").Ref)
	wantError(t, "Head by a dead connection", err, secret.ErrUnavailable)
	if _, err := st.Head(t.Context(), at("db").Ref); err != nil {
		t.Errorf("Head after that: %v", err)
	}
}

// A closed store leaves no connection open.
func TestCloseClosesTheConnections(t *testing.T) {
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

// Cutting all connections at once loses no write, although only a request that
// certainly did not arrive may be sent any number of times.
func TestCutConnectionsLoseNoWrite(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	dead := manyAtOnce(t, st, proxy, 8)
	proxy.Set(on(dead, kubetest.Cut))
	for range 4 {
		if _, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"a": "new"}}); err != nil {
			t.Errorf("Replace: %v", err)
		}
	}
}

// A list is read to its very end, which may come after the last item. Otherwise
// each list would lose its connection.
func TestListKeepsItsConnection(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	came := map[string]bool{}
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		came[r.RemoteAddr] = true
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		_, _ = w.Write(answer.Body.Bytes())
		_ = http.NewResponseController(w).Flush()
		time.Sleep(10 * time.Millisecond)
	})
	for range 20 {
		namesIn(t, st)
	}
	if len(came) != 1 {
		t.Errorf("20 lists took %d connections, want 1", len(came))
	}
}

// While the audit entry is being written, the API server has the head of the
// request and nothing of its body.
func TestBodyIsSentAfterTheAuditEntry(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	head, whole, recorded := make(chan struct{}), make(chan struct{}), make(chan struct{})
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		close(head)
		body, err := io.ReadAll(r.Body)
		close(whole)
		if err != nil {
			t.Errorf("reading the body: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
	op := at("db")
	op.Recorded = func() error { <-recorded; return nil }
	done := make(chan error, 1)
	go func() {
		_, err := st.Replace(t.Context(), op, secret.Change{Set: data{"a": "new"}})
		done <- err
	}()
	select {
	case <-head:
	case <-time.After(15 * time.Second):
		t.Error("the head of the request has not arrived")
	}
	select {
	case <-whole:
		t.Error("the body came before the record was there")
	case <-time.After(200 * time.Millisecond):
	}
	close(recorded)
	if err := <-done; err != nil {
		t.Errorf("Replace: %v", err)
	}
}

// The time that a slow disk takes for the audit entry does not count against the
// API server's timeout.
func TestSlowAuditLogDoesNotTimeOutTheRequest(t *testing.T) {
	for _, a := range acts() {
		if !a.write {
			continue
		}
		st, _, _ := staged(t, installed(t), 2*time.Second)
		slow := sync.OnceFunc(func() { time.Sleep(2500 * time.Millisecond) })
		if err := a.do(t.Context(), recordedBy{st, func() error { slow(); return nil }}); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}

// recordedBy wraps a store and gives each of its operations an audit entry.
type recordedBy struct {
	secret.Store
	recorded func() error
}

func (r recordedBy) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	op.Recorded = r.recorded
	return r.Store.Create(ctx, op, draft)
}

func (r recordedBy) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	op.Recorded = r.recorded
	return r.Store.Replace(ctx, op, change)
}

func (r recordedBy) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	op.Recorded = r.recorded
	return r.Store.Describe(ctx, op, name, description)
}

func (r recordedBy) Delete(ctx context.Context, op secret.Op) error {
	op.Recorded = r.recorded
	return r.Store.Delete(ctx, op)
}
