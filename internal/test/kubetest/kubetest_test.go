package kubetest_test

import (
	"net/http"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/test/kubetest"
)

type object = kubetest.Object

func secretsOf(namespace string) string { return "/api/v1/namespaces/" + namespace + "/secrets" }

func named(name string) object { return object{"metadata": object{"name": name}} }

func TestServerKnowsServiceAccountsAndTheirRights(t *testing.T) {
	s := kubetest.Start(t)
	namespace := s.Namespace(t)
	s.ServiceAccount(t, namespace, "app")
	app := s.As(s.Token(t, namespace, "app"))
	if status, _ := kubetest.Do(t, app, http.MethodGet, secretsOf(namespace), nil); status != http.StatusForbidden {
		t.Errorf("without a role: got %d, want 403", status)
	}
	s.Apply(t, object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": object{"name": "app", "namespace": namespace},
		"rules": []object{{"apiGroups": []string{""}, "resources": []string{"secrets"}, "verbs": []string{"list"}}},
	})
	s.Apply(t, object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": object{"name": "app", "namespace": namespace},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "app"},
		"subjects": []object{{"kind": "ServiceAccount", "name": "app", "namespace": namespace}},
	})
	await(t, "the role to count", func() bool {
		status, _ := kubetest.Do(t, app, http.MethodGet, secretsOf(namespace), nil)
		return status == http.StatusOK
	})
	if status, _ := kubetest.Do(t, s.As("nobody's"), http.MethodGet, secretsOf(namespace), nil); status != http.StatusUnauthorized {
		t.Errorf("with no token of the server's: got %d, want 401", status)
	}
}

func TestTokenIsGoodUntilItIsOver(t *testing.T) {
	s := kubetest.Start(t)
	namespace := s.Namespace(t)
	s.ServiceAccount(t, namespace, "app")
	for until, want := range map[time.Duration]int{time.Minute: http.StatusForbidden, -time.Minute: http.StatusUnauthorized} {
		app := s.As(s.TokenUntil(t, namespace, "app", time.Now().Add(until)))
		if got, _ := kubetest.Do(t, app, http.MethodGet, secretsOf(namespace), nil); got != want {
			t.Errorf("until %v from now: got %d, want %d", until, got, want)
		}
	}
}

func TestEveryRequestIsInTheAuditLog(t *testing.T) {
	s := kubetest.Start(t)
	namespace := s.Namespace(t)
	s.Must(t, http.MethodPost, secretsOf(namespace), named("a"))
	s.Must(t, http.MethodGet, secretsOf(namespace)+"/a", nil)
	var got []string
	for _, r := range s.Requests(t, namespace) {
		if r.Object.Resource == "secrets" {
			got = append(got, r.Verb)
		}
	}
	if len(got) != 2 || got[0] != "create" || got[1] != "get" {
		t.Errorf("got %q, want one create and one get", got)
	}
}

func TestProxyDoesWhatItIsTold(t *testing.T) {
	s := kubetest.Start(t)
	namespace := s.Namespace(t)
	proxy := s.NewProxy(t)
	via := proxy.Config(s.Admin())
	create := func(name string) (int, error) { return post(t, via, secretsOf(namespace), name) }

	if status, err := create("through"); err != nil || status != http.StatusCreated {
		t.Errorf("let through: got %d, %v", status, err)
	}
	proxy.Set(kubetest.Cut)
	if status, err := create("cut"); err == nil {
		t.Errorf("cut: got %d, want an error", status)
	}
	proxy.Set(kubetest.LoseReply)
	if status, err := create("lost"); err == nil {
		t.Errorf("reply lost: got %d, want an error", status)
	}
	proxy.Set(kubetest.Answer(http.StatusTooManyRequests, "TooManyRequests"))
	if status, err := create("refused"); err != nil || status != http.StatusTooManyRequests {
		t.Errorf("told to answer: got %d, %v, want 429", status, err)
	}
	proxy.Set(nil)
	for name, there := range map[string]bool{"through": true, "cut": false, "lost": true, "refused": false} {
		status, _ := kubetest.Do(t, via, http.MethodGet, secretsOf(namespace)+"/"+name, nil)
		if (status == http.StatusOK) != there {
			t.Errorf("%s: got %d, want that it is there: %t", name, status, there)
		}
	}
}

func TestServerWithoutEtcdComesBack(t *testing.T) {
	link := kubetest.NewLink(t)
	s, err := kubetest.Run(t.Context(), kubetest.Options{Etcd: link})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	namespace := s.Namespace(t)
	patient := s.Admin()
	patient.Timeout = 2 * time.Second
	link.Cut()
	if status, err := post(t, patient, secretsOf(namespace), "a"); err == nil && status < http.StatusInternalServerError {
		t.Errorf("without etcd: got %d", status)
	}
	link.Mend()
	await(t, "the server to come back", func() bool {
		status, err := post(t, patient, secretsOf(namespace), "b")
		return err == nil && (status == http.StatusCreated || status == http.StatusConflict)
	})
}

// post creates a secret and returns the transport's error, if any.
func post(t *testing.T, cfg *rest.Config, path, name string) (int, error) {
	t.Helper()
	return kubetest.Try(t, cfg, http.MethodPost, path, named(name))
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
