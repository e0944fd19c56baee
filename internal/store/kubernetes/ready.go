package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/strongroom/strongroom/internal/secret"
)

// verbs are the rights to Secrets that the store needs. The Role in
// configs/kubernetes has these, and get on the namespace.
var verbs = []string{"create", "get", "list", "patch", "delete"}

// Check caches its result for checkEvery. /readyz needs no credential, so without the
// cache any client could send requests to the cluster.
const checkEvery = time.Second

// checks caches the last result of Check.
type checks struct {
	lock *semaphore.Weighted // held while asking; guards the fields below
	at   time.Time
	err  error
}

func newChecks() *checks { return &checks{lock: semaphore.NewWeighted(1)} }

// Check implements [secret.Store]. It returns an error unless the namespace exists, is
// not being deleted, and Strongroom has all the rights it needs there.
func (s *Store) Check(asker context.Context) error {
	ctx, end, err := s.begin(asker, secret.Op{})
	if err != nil {
		return err
	}
	defer end()
	if err := s.checks.lock.Acquire(ctx, 1); err != nil {
		return done(ctx)
	}
	defer s.checks.lock.Release(1)
	if time.Since(s.checks.at) <= checkEvery {
		return s.checks.err
	}
	err = s.check(ctx)
	if asker.Err() == nil { // a caller's cancellation must not become the cached result
		s.checks.err, s.checks.at = err, time.Now()
	}
	return err
}

func (s *Store) check(ctx context.Context) error {
	if err := s.checkRights(ctx); err != nil {
		return err
	}
	if err := s.checkNamespace(ctx); err != nil {
		return err
	}
	return s.settle(ctx, secret.Op{})
}

func (s *Store) checkNamespace(ctx context.Context) error {
	var ns struct {
		Status struct {
			Phase string `json:"phase"`
		} `json:"status"`
	}
	_, err := s.client.do(ctx, request{method: http.MethodGet, path: "api/v1/namespaces/" + s.Namespace}, into(&ns))
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return fmt.Errorf("namespace %s: it does not exist: create it, or name another one in the config", s.Namespace)
	case errors.Is(err, errForbidden):
		return fmt.Errorf("namespace %s: we may not get it: give us get on this namespace (configs/kubernetes has a Role)", s.Namespace)
	case err != nil:
		return fmt.Errorf("namespace %s: %w", s.Namespace, err)
	case ns.Status.Phase != "Active":
		return fmt.Errorf("namespace %s: it is being deleted", s.Namespace)
	}
	return nil
}

// checkRights asks the API server about all rights at the same time.
func (s *Store) checkRights(ctx context.Context) error {
	allowed, errs := make([]bool, len(verbs)), make([]error, len(verbs))
	var wg sync.WaitGroup
	for i, verb := range verbs {
		wg.Go(func() { allowed[i], errs[i] = s.may(ctx, verb) })
	}
	wg.Wait()
	var missing []string
	for i, verb := range verbs {
		if errs[i] != nil {
			return fmt.Errorf("reading our rights in namespace %s: %w", s.Namespace, errs[i])
		}
		if !allowed[i] {
			missing = append(missing, verb)
		}
	}
	if missing != nil {
		return fmt.Errorf("namespace %s: we may not %s secrets: give us these rights (configs/kubernetes has a Role)",
			s.Namespace, strings.Join(missing, ", "))
	}
	return nil
}

func (s *Store) may(ctx context.Context, verb string) (bool, error) {
	type m = map[string]any
	var review struct {
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status"`
	}
	body := mustJSON(m{"spec": m{"resourceAttributes": m{"namespace": s.Namespace, "verb": verb, "resource": "secrets"}}})
	_, err := s.client.do(ctx, request{
		method: http.MethodPost, path: "apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body: body,
	}, into(&review))
	return review.Status.Allowed, err
}
