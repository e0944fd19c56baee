// Package kubernetes keeps secrets as Secret objects in one namespace of a
// cluster, where pods can mount them.
//
// It labels its objects, and never reads, changes or deletes any others. Replace
// is one JSON Patch that contains its own preconditions. So replaced values never
// enter this process, and no other writer can intervene between a check and the
// write. Start reading at patch.go. refusal.go turns the API server's answers into
// errors; rename.go renames secrets, which Kubernetes itself cannot do.
package kubernetes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
)

// Options configure a [Store].
type Options struct {
	Namespace string
	// Timeout limits each operation. A rename that has marked its secret gets the
	// same time again to finish.
	Timeout time.Duration
	// UserAgent identifies Strongroom in the cluster's audit log.
	UserAgent string
	// Trace is called before each request to the API server, and end after it, with status
	// 0 if there is no answer. It may be nil.
	Trace func(ctx context.Context, method, host string) (_ context.Context, end func(status int))
}

// A Store keeps secrets in a namespace. It is safe for concurrent use. Several
// processes may share a namespace. Every operation except a rename is atomic between
// them, too.
type Store struct {
	Options
	client     *client
	locks      ownerLocks
	unfinished *unfinishedRenames
	checks     *checks

	open   sync.RWMutex // held for reading by every operation
	closed bool         // guarded by open
}

var _ secret.Awaiting = (*Store)(nil)

// Open returns a store in a cluster. It sends no request, so the cluster need not be
// reachable.
func Open(cfg *rest.Config, opts Options) (*Store, error) {
	c, err := newClient(cfg, opts.UserAgent)
	if err != nil {
		return nil, err
	}
	c.trace = opts.Trace
	return &Store{Options: opts, client: c, locks: newOwnerLocks(), unfinished: newUnfinishedRenames(), checks: newChecks()}, nil
}

// Close implements [secret.Store].
func (s *Store) Close() error {
	s.open.Lock()
	defer s.open.Unlock()
	s.closed = true
	s.client.closeIdle()
	return nil
}

// begin starts an operation: it sets the deadline, unless the caller's is earlier, and
// keeps the store open until end is called. Time spent waiting for the audit log
// does not count against the API server: the deadline is extended by as much.
func (s *Store) begin(ctx context.Context, op secret.Op) (_ context.Context, end func(), err error) {
	s.open.RLock()
	if s.closed {
		s.open.RUnlock()
		return nil, nil, fmt.Errorf("%w: it is closed", secret.ErrUnavailable)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	clock := time.AfterFunc(s.Timeout, func() {
		over := time.Now()
		if _ = op.Await(); time.Since(over) > s.Timeout/100 { // the audit entry was not on disk yet
			select {
			case <-time.After(s.Timeout):
			case <-ctx.Done():
			}
		}
		cancel(errTimeout)
	})
	return ctx, func() { clock.Stop(); cancel(nil); s.open.RUnlock() }, nil
}

var errTimeout = fmt.Errorf("%w: the API server took too long", secret.ErrUnavailable)

// beginWrite is begin for a write. It first finishes interrupted renames. Until end is
// called, no rename of the owner's secrets can start.
func (s *Store) beginWrite(ctx context.Context, op secret.Op) (_ context.Context, end func(), err error) {
	ctx, closing, err := s.begin(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := s.lock(ctx, op)
	if err != nil {
		closing()
		return nil, nil, err
	}
	return ctx, func() { unlock(); closing() }, nil
}

func (s *Store) lock(ctx context.Context, op secret.Op) (unlock func(), err error) {
	if err := s.settle(ctx, op); err != nil {
		return nil, err
	}
	return s.locks.shared(ctx, op.Ref.Owner)
}

// AwaitsRecord implements [secret.Awaiting].
func (s *Store) AwaitsRecord() {}

// Head implements [secret.Store].
func (s *Store) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	ctx, end, err := s.begin(ctx, secret.Op{})
	if err != nil {
		return secret.Info{}, err
	}
	defer end()
	o, err := s.find(ctx, ref)
	if err != nil {
		return secret.Info{}, err
	}
	return o.Metadata.info(ref, o.keys()), nil
}

// Reveal implements [secret.Store].
func (s *Store) Reveal(ctx context.Context, op secret.Op) (secret.Info, map[string]secret.Value, error) {
	ctx, end, err := s.begin(ctx, op)
	if err != nil {
		return secret.Info{}, nil, err
	}
	defer end()
	o, err := get[[]byte](ctx, s, op.Ref)
	if err != nil {
		return secret.Info{}, nil, err
	}
	info := o.Metadata.info(op.Ref, o.keys())
	if !op.Matches(info.Revision) {
		return secret.Info{}, nil, secret.ErrChanged
	}
	if err := op.Await(); err != nil {
		return secret.Info{}, nil, err
	}
	return info, decoded(o.Data), nil
}

// Create implements [secret.Store].
func (s *Store) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	ctx, end, err := s.beginWrite(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	defer end()
	return s.create(ctx, op, encoded(draft.Data), notes{
		Description: draft.Description, Created: createdAt(draft.Created),
	})
}

func createdAt(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// create creates an object. If one exists, existing decides which error to return.
func (s *Store) create(ctx context.Context, op secret.Op, data map[string][]byte, n notes) (secret.Info, error) {
	w, ref := newWrite(), op.Ref
	n.Owner, n.Name, n.Updated, n.Write = ref.Owner.String(), ref.Name, stamp(w.at), w.id
	o := object[[]byte]{Metadata: metadata{Name: objectname.Of(ref), Labels: labelsOf(ref.Owner), Annotations: n}, Type: opaque, Data: data}
	made, err := s.post(ctx, mustJSON(o), op.Await)
	if errors.Is(err, secret.ErrExists) {
		made, err = s.existing(ctx, ref, w)
	}
	if err != nil {
		return secret.Info{}, err
	}
	return made.Metadata.info(ref, o.keys()), nil
}

func (s *Store) post(ctx context.Context, body []byte, hold func() error) (made masked, err error) {
	r := s.request(http.MethodPost, "", onlyMetadata, body)
	r.hold = hold
	for range attempts {
		_, err = s.client.do(ctx, r, into(&made))
		if !errors.Is(err, errConflict) {
			return made, err
		}
	}
	return made, errKeepsChanging
}

// existing reads the object that prevents a creation. If this write created it and
// the answer was lost, existing returns the object, and otherwise the error.
func (s *Store) existing(ctx context.Context, ref secret.Ref, w write) (masked, error) {
	found, err := s.named(ctx, ref)
	switch {
	case errors.Is(err, secret.ErrNotFound):
		return found, errKeepsChanging
	case err != nil:
		return found, err
	case found.Metadata.is(ref) && found.Metadata.Annotations.Write == w.id:
		return found, nil
	}
	return found, found.Metadata.taken()
}

// Replace implements [secret.Store] with one request, unless it is refused.
func (s *Store) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	ctx, end, err := s.beginWrite(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	defer end()
	o, err := s.patch(ctx, op, onlyMetadata, replacing(change), change.Keep...)
	if err != nil {
		return secret.Info{}, err
	}
	return o.Metadata.info(op.Ref, keysAfter(change)), nil
}

// Describe implements [secret.Store]; a change of the name is more than one step.
func (s *Store) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if name != op.Ref.Name {
		return s.rename(ctx, op, name, description)
	}
	ctx, end, err := s.beginWrite(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	defer end()
	o, err := s.patch(ctx, op, wholeObject, describing(description))
	if err != nil {
		return secret.Info{}, err
	}
	return o.Metadata.info(op.Ref, o.keys()), nil
}

// attempts limits the retries of an operation whose object keeps changing.
const attempts = 10

// patch applies the steps to the op's secret and returns the object without its
// values. If the API server refuses, patch reads the object to find the reason.
func (s *Store) patch(ctx context.Context, op secret.Op, accept string, steps []step, keep ...string) (o masked, err error) {
	if err := possible(op); err != nil {
		return o, s.unless(ctx, op.Ref, err)
	}
	w := newWrite()
	r := s.request(http.MethodPatch, objectname.Of(op.Ref), accept, mustJSON(append(w.on(op), steps...)))
	r.kind, r.hold = jsonPatch, op.Await
	for range attempts {
		again, err := s.client.do(ctx, r, into(&o))
		refused := errors.Is(err, errTest) || errors.Is(err, errConflict)
		if !refused {
			return o, err
		}
		found, err := s.find(ctx, op.Ref)
		switch {
		case err != nil:
			return o, err
		case again && found.Metadata.Annotations.Write == w.id:
			return found, nil
		case !op.Matches(secret.Revision(found.Metadata.ResourceVersion)):
			return o, secret.ErrChanged
		case found.Metadata.Labels.Leaving != "":
			return o, s.unfinished.add(errBeingRenamed)
		}
		for _, key := range keep {
			if _, ok := found.Data[key]; !ok {
				return o, &secret.InvalidError{Field: "data", DataKey: key, Reason: "is not stored, so it cannot be kept"}
			}
		}
	}
	return o, errKeepsChanging
}

var (
	errKeepsChanging = fmt.Errorf("%w: other clients keep changing the object", secret.ErrUnavailable)
	errBeingRenamed  = fmt.Errorf("%w: another process is renaming the secret", secret.ErrUnavailable)
	revisionFormat   = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
)

// possible returns ErrChanged for a revision that no object can have. The API server
// would reject or ignore it.
func possible(op secret.Op) error {
	if op.OnlyIf == "" || op.OnlyIf == secret.AnyRevision || revisionFormat.MatchString(string(op.OnlyIf)) {
		return nil
	}
	return secret.ErrChanged
}

// unless returns err if the secret exists, and otherwise ErrNotFound.
func (s *Store) unless(ctx context.Context, ref secret.Ref, err error) error {
	if _, missing := s.find(ctx, ref); missing != nil {
		return missing
	}
	return err
}

// Delete implements [secret.Store] with two requests: it reads the object, and deletes
// it only if it is unchanged.
func (s *Store) Delete(ctx context.Context, op secret.Op) error {
	ctx, end, err := s.beginWrite(ctx, op)
	if err != nil {
		return err
	}
	defer end()
	for range attempts {
		m, err := s.metadata(ctx, op.Ref)
		switch {
		case err != nil:
			return err
		case !op.Matches(secret.Revision(m.ResourceVersion)):
			return secret.ErrChanged
		case m.Labels.Leaving != "":
			return s.unfinished.add(errBeingRenamed)
		}
		if err := op.Await(); err != nil {
			return err
		}
		if err := s.remove(ctx, m); !errors.Is(err, errConflict) {
			return err
		}
	}
	return errKeepsChanging
}

// remove deletes the object unless it has changed since m was read.
func (s *Store) remove(ctx context.Context, m metadata) error {
	body := mustJSON(map[string]any{"preconditions": map[string]string{"uid": m.UID, "resourceVersion": m.ResourceVersion}})
	again, err := s.client.do(ctx, s.request(http.MethodDelete, m.Name, onlyMetadata, body), ignored)
	switch {
	case again && errors.Is(err, secret.ErrNotFound):
		return nil // the first attempt deleted it
	case again && errors.Is(err, errConflict):
		return s.unlessGone(ctx, m, err)
	}
	return err
}

// unlessGone returns err if the object still exists, and nil if it is gone or a new
// object has its name.
func (s *Store) unlessGone(ctx context.Context, m metadata, err error) error {
	var found masked
	_, getErr := s.client.do(ctx, s.request(http.MethodGet, m.Name, onlyMetadata, nil), into(&found))
	switch {
	case errors.Is(getErr, secret.ErrNotFound), getErr == nil && found.Metadata.UID != m.UID:
		return nil
	case getErr != nil:
		return getErr
	}
	return err
}

// named returns the metadata of the object that has the secret's object name, even if
// Strongroom does not manage it.
func (s *Store) named(ctx context.Context, ref secret.Ref) (found masked, err error) {
	_, err = s.client.do(ctx, s.request(http.MethodGet, objectname.Of(ref), onlyMetadata, nil), into(&found))
	return found, err
}

// find returns the secret without its values.
func (s *Store) find(ctx context.Context, ref secret.Ref) (masked, error) {
	return get[skipped](ctx, s, ref)
}

func get[V any](ctx context.Context, s *Store, ref secret.Ref) (o object[V], err error) {
	if secret.CheckName(ref.Name) != nil {
		return o, secret.ErrNotFound // the name would not be a valid path
	}
	_, err = s.client.do(ctx, s.request(http.MethodGet, objectname.Of(ref), wholeObject, nil), into(&o))
	if err != nil {
		return object[V]{}, err
	}
	if !o.Metadata.is(ref) || o.Type != opaque {
		return object[V]{}, secret.ErrNotFound
	}
	return o, nil
}

// metadata returns the secret's metadata. It requests the whole object, because the
// Secret's type is not part of the metadata.
func (s *Store) metadata(ctx context.Context, ref secret.Ref) (metadata, error) {
	o, err := s.find(ctx, ref)
	return o.Metadata, err
}

// request returns a request for one Secret or, without a name, for all.
func (s *Store) request(method, name, accept string, body []byte) request {
	r := request{method: method, path: path.Join("api/v1/namespaces", s.Namespace, "secrets", name), accept: accept, body: body}
	if method == http.MethodPost || method == http.MethodPatch {
		r.query = url.Values{"fieldManager": {us}}
	}
	return r
}

func newWrite() write { return write{rand.Text(), time.Now()} }
