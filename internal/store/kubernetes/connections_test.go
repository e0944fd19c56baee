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

// on returns a fault of these connections only.
func on(connections map[string]bool, fault kubetest.Fault) kubetest.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if connections[r.RemoteAddr] {
			fault(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	}
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
	st, proxy, _ := staged(t, installed(t), 3*time.Second)
	dead := manyAtOnce(t, st, proxy, 8)
	proxy.Set(on(dead, kubetest.Stall))
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

// Connections that were all cut at once cost no write, although only one that
// is known not to have arrived may be sent as often as it takes.
func TestCutConnectionsCostNoWrite(t *testing.T) {
	st, proxy, _ := staged(t, installed(t), 20*time.Second)
	dead := manyAtOnce(t, st, proxy, 8)
	proxy.Set(on(dead, kubetest.Cut))
	for range 4 {
		if _, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"a": "new"}}); err != nil {
			t.Errorf("Replace: %v", err)
		}
	}
}

// A list is read to the end, which may come after the last item, or each would
// cost its connection.
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

// While the attempt is put on record the API server has the head of a request,
// and nothing of its body.
func TestBodyFollowsTheRecord(t *testing.T) {
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

// What a slow disk takes for the record does not count as the API server's time.
func TestSlowRecordIsNoTimeout(t *testing.T) {
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

// recordedBy has the attempts that a store is asked for be put on record.
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
