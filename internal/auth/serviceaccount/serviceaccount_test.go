package serviceaccount_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/serviceaccount"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

type object = kubetest.Object

const audience = "strongroom"

var app = secret.Ref{Owner: secret.App("0f8fad5b-d9cb-469f-a165-70867728950e"), Name: "db"}

// A cluster is a namespace with two service accounts: worker, for apps, and reviewer,
// which may review tokens.
type cluster struct {
	*kubetest.Server
	namespace string
}

func newCluster(t *testing.T) cluster {
	t.Helper()
	s := kubetest.Start(t)
	c := cluster{s, s.Namespace(t)}
	for _, name := range []string{"worker", "idler", "reviewer"} {
		s.ServiceAccount(t, c.namespace, name)
	}
	s.Apply(t, object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "review-" + c.namespace},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
		"subjects": []object{{"kind": "ServiceAccount", "name": "reviewer", "namespace": c.namespace}},
	})
	return c
}

// reviewer returns the credentials of an account with only the right to review tokens.
func (c cluster) reviewer(t *testing.T) *rest.Config {
	t.Helper()
	return c.As(c.Token(t, c.namespace, "reviewer"))
}

func (c cluster) rules() serviceaccount.Rules {
	return serviceaccount.Rules{
		Issuer: "https://kubernetes.default.svc", Audience: audience,
		Accounts: map[string][]secret.Grant{c.namespace + "/worker": {
			{Actions: []secret.Action{secret.List, secret.Reveal}, Owner: app.Owner},
			{Actions: []secret.Action{secret.List}},
		}},
	}
}

// newStrategy returns a strategy after its new right to review tokens has taken effect.
func (c cluster) newStrategy(t *testing.T, via *rest.Config) *serviceaccount.Strategy {
	t.Helper()
	s, err := serviceaccount.New(c.rules(), via)
	if err != nil {
		t.Fatal(err)
	}
	probe := c.Token(t, c.namespace, "idler", audience)
	for deadline := time.Now().Add(30 * time.Second); ; {
		_, err := s.Authenticate(request(probe))
		if err == nil {
			return s
		}
		if !errors.Is(err, secret.ErrUnavailable) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func request(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header["Authorization"] = []string{"Bearer " + token}
	return r
}

func (c cluster) pod(t *testing.T) (name string) {
	t.Helper()
	made := c.Must(t, http.MethodPost, "/api/v1/namespaces/"+c.namespace+"/pods", object{
		"metadata": object{"generateName": "worker-"},
		"spec":     object{"serviceAccountName": "worker", "containers": []object{{"name": "app", "image": "app"}}},
	})
	return made["metadata"].(object)["name"].(string)
}

// podToken returns the token of a pod's projected volume.
func (c cluster) podToken(t *testing.T, pod string) string {
	t.Helper()
	made := c.Must(t, http.MethodPost, "/api/v1/namespaces/"+c.namespace+"/serviceaccounts/worker/token", object{"spec": object{
		"audiences": []string{audience}, "expirationSeconds": 600, "boundObjectRef": object{"kind": "Pod", "apiVersion": "v1", "name": pod},
	}})
	return made["status"].(object)["token"].(string)
}

// end deletes the account or pod at the path, and returns a token issued before. The API
// server finds accounts and pods in a cache that lags behind, so end waits until it
// rejects another such token. Each token is sent once, because its result is cached.
func (c cluster) end(t *testing.T, path string, newToken func() string) (token string) {
	t.Helper()
	token = newToken()
	var others [50]string
	for i := range others {
		others[i] = newToken()
	}
	c.Must(t, http.MethodDelete, path+"?gracePeriodSeconds=0", nil)
	for _, other := range others {
		answer := c.Must(t, http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews", object{
			"spec": object{"token": other, "audiences": []string{audience}},
		})
		if answer["status"].(object)["authenticated"] != true {
			return token
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the API server goes on taking the tokens of %s", path)
	return ""
}

func TestAPodAuthenticatesAsItsServiceAccount(t *testing.T) {
	c := newCluster(t)
	s := c.newStrategy(t, c.reviewer(t))
	pod := c.pod(t)
	token := c.podToken(t, pod)
	for _, what := range []string{"reviewed", "remembered"} {
		caller, err := s.Authenticate(request(token))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if subject := "system:serviceaccount:" + c.namespace + ":worker"; caller.Subject != subject || caller.User != subject || caller.CredentialID != pod {
			t.Errorf("%s: %+v", what, caller)
		}
		own := secret.Ref{Owner: secret.User(caller.User)}
		if !caller.May(secret.Reveal, app) || caller.May(secret.Write, app) || !caller.May(secret.List, own) || caller.May(secret.List, secret.Ref{Owner: secret.User("alice")}) {
			t.Errorf("%s: it may what %+v allow", what, caller.Grants)
		}
	}
}

func TestATokenEndsWithItsPod(t *testing.T) {
	c := newCluster(t)
	s := c.newStrategy(t, c.reviewer(t))
	pod := c.pod(t)
	token := c.end(t, "/api/v1/namespaces/"+c.namespace+"/pods/"+pod, func() string { return c.podToken(t, pod) })
	if _, err := s.Authenticate(request(token)); !errors.Is(err, auth.ErrBadCredential) {
		t.Error(err)
	}
}

func TestAnAccountThatTheConfigDoesNotNameHasNoRights(t *testing.T) {
	c := newCluster(t)
	caller, err := c.newStrategy(t, c.reviewer(t)).Authenticate(request(c.Token(t, c.namespace, "idler", audience)))
	if err != nil || len(caller.Grants) != 0 {
		t.Errorf("%v, %+v", err, caller.Grants)
	}
}

func TestOtherTokensAreRefused(t *testing.T) {
	c := newCluster(t)
	s := c.newStrategy(t, c.reviewer(t))
	good := c.Token(t, c.namespace, "worker", audience)
	part := strings.Split(good, ".")
	c.ServiceAccount(t, c.namespace, "gone")
	gone := c.end(t, "/api/v1/namespaces/"+c.namespace+"/serviceaccounts/gone", func() string {
		return c.Token(t, c.namespace, "gone", audience)
	})
	for name, tc := range map[string]struct {
		token string
		want  error
	}{
		"for the API server":           {c.Token(t, c.namespace, "worker"), auth.ErrBadCredential},
		"for somebody else":            {c.Token(t, c.namespace, "worker", "vault"), auth.ErrBadCredential},
		"expired":                      {c.TokenUntil(t, c.namespace, "worker", time.Now().Add(-time.Minute)), auth.ErrBadCredential},
		"of an account that is gone":   {gone, auth.ErrBadCredential},
		"the last character changed":   {good[:len(good)-1] + "!", auth.ErrNoCredential},
		"another signature":            {part[0] + "." + part[1] + "." + strings.Repeat("A", len(part[2])), auth.ErrBadCredential},
		"no signature":                 {part[0] + "." + part[1] + ".", auth.ErrBadCredential},
		"another issuer's":             {"e30.eyJpc3MiOiJodHRwczovL2V4YW1wbGUuY29tIn0.c2ln", auth.ErrNoCredential},
		"a key":                        {"srk_abc", auth.ErrNoCredential},
		"nothing":                      {"", auth.ErrNoCredential},
		"our issuer's, and large":      {part[0] + "." + part[1] + "." + strings.Repeat("A", 8<<10), auth.ErrNoCredential},
		"our issuer's, but it is none": {"e30." + part[1] + ".c2ln", auth.ErrBadCredential},
	} {
		for _, again := range []string{"", ", again"} {
			if caller, err := s.Authenticate(request(tc.token)); !errors.Is(err, tc.want) || caller.Subject != "" {
				t.Errorf("%s%s: %q, %v, want %v", name, again, caller.Subject, err, tc.want)
			}
		}
	}
	if _, err := s.Authenticate(request(good)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// counting passes requests on and counts them.
func counting(count *atomic.Int32) kubetest.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		count.Add(1)
		next.ServeHTTP(w, r)
	}
}

func TestReviewsAreCached(t *testing.T) {
	c := newCluster(t)
	proxy := c.NewProxy(t)
	s := c.newStrategy(t, proxy.Config(c.reviewer(t)))
	for name, tc := range map[string]struct {
		token string
		want  error
	}{
		"good": {c.Token(t, c.namespace, "worker", audience), nil},
		"bad":  {c.Token(t, c.namespace, "worker", "vault"), auth.ErrBadCredential},
	} {
		var asked atomic.Int32
		proxy.Set(counting(&asked))
		for range 50 {
			if _, err := s.Authenticate(request(tc.token)); !errors.Is(err, tc.want) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if asked.Load() != 1 {
			t.Errorf("%s: it was asked %d times", name, asked.Load())
		}
	}
}

func TestConcurrentRequestsWithOneTokenShareAReview(t *testing.T) {
	c := newCluster(t)
	proxy := c.NewProxy(t)
	s := c.newStrategy(t, proxy.Config(c.reviewer(t)))
	var asked atomic.Int32
	all := make(chan struct{})
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asked.Add(1)
		<-all // requests have arrived
		next.ServeHTTP(w, r)
	})
	token := c.Token(t, c.namespace, "worker", audience)
	var come, done sync.WaitGroup
	come.Add(50)
	for range 50 {
		done.Go(func() {
			come.Done()
			if _, err := s.Authenticate(request(token)); err != nil {
				t.Error(err)
			}
		})
	}
	come.Wait()
	close(all)
	done.Wait()
	if got := asked.Load(); got != 1 {
		t.Errorf("it was asked %d times", got)
	}
}

func TestAFailedReviewIsNotCached(t *testing.T) {
	c := newCluster(t)
	proxy := c.NewProxy(t)
	s := c.newStrategy(t, proxy.Config(c.reviewer(t)))
	known := c.Token(t, c.namespace, "worker", audience)
	if _, err := s.Authenticate(request(known)); err != nil {
		t.Fatal(err)
	}
	token := c.Token(t, c.namespace, "worker", audience)
	for name, fault := range map[string]kubetest.Fault{
		"cut": kubetest.Cut, "the reply lost": kubetest.LoseReply,
		"too many requests": kubetest.Answer(http.StatusTooManyRequests, "TooManyRequests"),
		"no right to ask":   kubetest.Answer(http.StatusForbidden, "Forbidden"),
		"not known itself":  kubetest.Answer(http.StatusUnauthorized, "Unauthorized"),
		"broken":            kubetest.Answer(http.StatusInternalServerError, "InternalError"),
		"no JSON": func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("<html>"))
		},
	} {
		proxy.Set(fault)
		_, err := s.Authenticate(request(token))
		if !errors.Is(err, secret.ErrUnavailable) || strings.Contains(err.Error(), "eyJ") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Authenticate(request(known)); err != nil {
			t.Errorf("%s: one that is known: %v", name, err)
		}
	}
	proxy.Set(nil)
	if _, err := s.Authenticate(request(token)); err != nil {
		t.Errorf("in the end: %v", err)
	}
}

// An API server without support for audiences omits them. A user name that is not a
// service account's must not be accepted.
func TestAReviewMustMatchItsRequest(t *testing.T) {
	c := newCluster(t)
	proxy := c.NewProxy(t)
	via := proxy.Config(c.reviewer(t))
	c.newStrategy(t, via)
	const (
		user         = `"user":{"username":"system:serviceaccount:ns:worker"}`
		notAccepted  = "the cluster does not accept it for the audience strongroom"
		notFor       = "does not say that it is for the audience strongroom"
		notAnAccount = "it is not a service account's"
	)
	for status, reason := range map[string]string{ // empty: accepted
		`{"authenticated":true,"audiences":["strongroom"],` + user + `}`:                                   "",
		`{"authenticated":true,"audiences":["vault","strongroom"],` + user + `}`:                           "",
		`{"authenticated":true,` + user + `}`:                                                              notFor,
		`{"authenticated":true,"audiences":["vault"],` + user + `}`:                                        notFor,
		`{"authenticated":false,"audiences":["strongroom"],` + user + `}`:                                  notAccepted,
		`{"audiences":["strongroom"],` + user + `}`:                                                        notAccepted,
		`{"authenticated":true,"audiences":["strongroom"],"error":"qUoTeD",` + user + `}`:                  notAccepted,
		`{"authenticated":true,"audiences":["strongroom"],"user":{"username":"ns:worker"}}`:                notAnAccount,
		`{"authenticated":true,"audiences":["strongroom"],"user":{"username":"alice"}}`:                    notAnAccount,
		`{"authenticated":true,"audiences":["strongroom"],"user":{"username":"system:serviceaccount:ns"}}`: notAnAccount,
		`{"authenticated":true,"audiences":["strongroom"]}`:                                                notAnAccount,
		`{}`: notAccepted,
	} {
		proxy.Set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"kind":"TokenReview","status":` + status + `}`))
		})
		s, err := serviceaccount.New(c.rules(), via)
		if err != nil {
			t.Fatal(err)
		}
		token := c.Token(t, c.namespace, "worker", audience)
		for _, when := range []string{"asked", "remembered"} {
			_, err := s.Authenticate(request(token))
			if reason == "" && err == nil {
				continue
			}
			var refusal *auth.RefusalError
			if !errors.Is(err, auth.ErrBadCredential) || !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, reason) || reason == "" || strings.Contains(refusal.Reason, "qUoTeD") {
				t.Errorf("%s, %s: %v, want %q", status, when, err, reason)
			}
		}
	}
}

// The API server's answer for a token is cached until the token ends.
func TestATokenIsNotCachedBeyondItsExpiry(t *testing.T) {
	c := newCluster(t)
	proxy := c.NewProxy(t)
	s := c.newStrategy(t, proxy.Config(c.reviewer(t)))
	token := c.TokenUntil(t, c.namespace, "worker", time.Now().Add(-time.Second))
	var asked atomic.Int32
	proxy.Set(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { // its clock is behind
		asked.Add(1)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"status":{"authenticated":true,"audiences":["strongroom"],"user":{"username":"system:serviceaccount:ns:worker"}}}`))
	})
	for range 3 {
		if _, err := s.Authenticate(request(token)); err != nil {
			t.Error(err)
		}
	}
	if asked.Load() != 3 {
		t.Errorf("it was asked %d times, want 3", asked.Load())
	}
}

// The number of concurrent reviews is limited.
func TestConcurrentReviewsAreLimited(t *testing.T) {
	c := newCluster(t)
	proxy := c.NewProxy(t)
	s := c.newStrategy(t, proxy.Config(c.reviewer(t)))
	var underWay, most atomic.Int32
	proxy.Set(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		now := underWay.Add(1)
		defer underWay.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		next.ServeHTTP(w, r)
	})
	part := strings.Split(c.Token(t, c.namespace, "worker", audience), ".")
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			token := part[0] + "." + part[1] + "." + strings.Repeat("A", 4*(n+1))
			if _, err := s.Authenticate(request(token)); !errors.Is(err, auth.ErrBadCredential) && !errors.Is(err, secret.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := most.Load(); got < 2 || got > 16 {
		t.Errorf("%d at once", got)
	}
}
