package kubernetes_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
)

func TestEachRequestIsTraced(t *testing.T) {
	type key struct{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","details":{"kind":"secrets"},"code":404}`))
	}))
	var traced []string
	st, err := kubernetes.Open(&rest.Config{Host: server.URL}, kubernetes.Options{
		Namespace: "app-secrets", Timeout: time.Minute,
		Trace: func(ctx context.Context, method, host string) (context.Context, func(int)) {
			if ctx.Value(key{}) == nil {
				t.Error("the context is not the caller's")
			}
			return ctx, func(status int) { traced = append(traced, method+" "+host+" "+strconv.Itoa(status)) }
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), key{}, true)
	ref := secret.Ref{Owner: secret.User("alice"), Name: "db"}
	if _, err := st.Head(ctx, ref); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	server.Close()
	if _, err := st.Head(ctx, ref); !errors.Is(err, secret.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	traced = slices.Compact(traced) // a lost request is sent again
	if want := []string{"GET 127.0.0.1 404", "GET 127.0.0.1 0"}; !slices.Equal(traced, want) {
		t.Errorf("got %q, want %q", traced, want)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}
