package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/strongroom/strongroom/internal/secret"
)

// Kubernetes cannot rename an object. A rename therefore marks the secret, which stops
// other writes to it, copies it under the new name, and deletes the original. In between,
// both names exist. There is always at least one of them. An interrupted rename leaves a
// mark. If an exact copy of the marked secret exists, the next process deletes the
// original. Otherwise it removes the mark: a change made in the meantime must not be
// lost, even if the secret then keeps both names.

// unfinishedRenames counts the renames that may have been interrupted.
type unfinishedRenames struct {
	lock     *semaphore.Weighted // held while they are looked up and finished
	noted    atomic.Int64        // number of renames that may have been interrupted so far
	finished atomic.Int64        // the value of noted up to which all are finished
}

// newUnfinishedRenames starts with a count of one, because a previous process may have
// been interrupted.
func newUnfinishedRenames() *unfinishedRenames {
	u := &unfinishedRenames{lock: semaphore.NewWeighted(1)}
	u.noted.Store(1)
	return u
}

// add records that a rename may be unfinished, and returns err.
func (u *unfinishedRenames) add(err error) error {
	u.noted.Add(1)
	return err
}

func (u *unfinishedRenames) addIf(unfinished bool, err error) error {
	if unfinished {
		return u.add(err)
	}
	return err
}

func (u *unfinishedRenames) none() bool { return u.finished.Load() == u.noted.Load() }

// settle finishes the renames that a previous process left, or that lost the
// connection to the cluster. It sends a request only if there may be one.
func (s *Store) settle(ctx context.Context, op secret.Op) error {
	if s.unfinished.none() {
		return nil
	}
	if err := op.Await(); err != nil {
		return err
	}
	if err := s.unfinished.lock.Acquire(ctx, 1); err != nil {
		return done(ctx)
	}
	defer s.unfinished.lock.Release(1)
	if s.unfinished.none() {
		return nil
	}
	noted := s.unfinished.noted.Load()
	marked, err := s.marked(ctx)
	if err != nil {
		return err
	}
	for _, ref := range marked {
		if err := s.finish(ctx, ref); err != nil {
			return err
		}
	}
	s.unfinished.finished.Store(noted)
	return nil
}

func (s *Store) marked(ctx context.Context) (refs []secret.Ref, err error) {
	r := s.request(http.MethodGet, "", listMetadata, nil)
	r.query = url.Values{"labelSelector": {managedBy + "=" + us + "," + leaving}}
	_, err = each(ctx, s, r, func(o masked) {
		if ref, ok := o.Metadata.ref(); ok {
			refs = append(refs, ref)
		}
	}, func() { refs = nil })
	return refs, err
}

// finish completes or undoes the rename of a secret, if it is still marked. Other
// processes may do the same concurrently.
func (s *Store) finish(ctx context.Context, ref secret.Ref) error {
	unlock, err := s.locks.exclusive(ctx, ref.Owner)
	if err != nil {
		return err
	}
	defer unlock()
	for range attempts {
		switch err := s.tryToFinish(ctx, ref); {
		case errors.Is(err, errConflict), errors.Is(err, errTest):
		case errors.Is(err, secret.ErrNotFound):
			return nil
		default:
			return err
		}
	}
	return errKeepsChanging
}

func (s *Store) tryToFinish(ctx context.Context, ref secret.Ref) error {
	m, err := s.metadata(ctx, ref)
	if err != nil || m.Labels.Leaving == "" {
		return err
	}
	target, err := s.metadata(ctx, secret.Ref{Owner: ref.Owner, Name: m.Annotations.LeavingFor})
	switch {
	case err == nil && target.Annotations.CameFrom == m.state():
		return s.remove(ctx, m)
	case err == nil, errors.Is(err, secret.ErrNotFound):
		return s.unmark(ctx, m)
	}
	return err
}

// rename is Describe with a new name.
func (s *Store) rename(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	ctx, end, err := s.begin(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	defer end()
	if err := s.settle(ctx, op); err != nil {
		return secret.Info{}, err
	}
	unlock, err := s.locks.exclusive(ctx, op.Ref.Owner)
	if err != nil {
		return secret.Info{}, err
	}
	defer unlock()
	target := secret.Ref{Owner: op.Ref.Owner, Name: name}
	if err := s.canRename(ctx, op, target); err != nil {
		return secret.Info{}, err
	}
	if err := op.Await(); err != nil {
		return secret.Info{}, err
	}
	for range attempts {
		info, err := s.move(ctx, op, target, description)
		if !errors.Is(err, errConflict) {
			return info, err
		}
	}
	return secret.Info{}, errKeepsChanging
}

// canRename returns an error if the rename would be refused. It changes nothing.
func (s *Store) canRename(ctx context.Context, op secret.Op, target secret.Ref) error {
	m, err := s.metadata(ctx, op.Ref)
	switch {
	case err != nil:
		return err
	case !op.Matches(secret.Revision(m.ResourceVersion)):
		return secret.ErrChanged
	}
	found, err := s.named(ctx, target)
	switch {
	case err == nil:
		return found.Metadata.taken()
	case errors.Is(err, secret.ErrNotFound):
		return nil
	}
	return err
}

// move marks, copies and deletes. Once the secret is marked it continues even if ctx is
// cancelled. If the secret was changed despite the mark, as kubectl can, move undoes
// its work and returns errConflict.
func (s *Store) move(ctx context.Context, op secret.Op, target secret.Ref, description string) (secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return secret.Info{}, done(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), s.Timeout, errTimeout)
	defer cancel()
	o, err := s.mark(ctx, op, target.Name)
	if err != nil {
		nothingDone := errors.Is(err, secret.ErrNotFound) || errors.Is(err, secret.ErrChanged)
		return secret.Info{}, s.unfinished.addIf(!nothingDone, err)
	}
	info, err := s.create(ctx, secret.Op{Ref: target}, o.Data, notes{
		Description: description, Created: stamp(o.Metadata.info(op.Ref, nil).Created), CameFrom: o.Metadata.state(),
	})
	switch {
	case errors.Is(err, secret.ErrUnavailable): // a copy may exist, which would not be found without the mark
		return secret.Info{}, s.unfinished.add(err)
	case err != nil:
		return secret.Info{}, s.unfinished.addIf(s.unmark(ctx, o.Metadata) != nil, err)
	}
	switch err := s.remove(ctx, o.Metadata); {
	case err == nil, errors.Is(err, secret.ErrNotFound):
		return info, nil
	case errors.Is(err, errConflict):
		return secret.Info{}, s.unfinished.addIf(s.undo(ctx, op.Ref, target, info) != nil, err)
	default:
		return secret.Info{}, s.unfinished.add(err)
	}
}

// mark stores the new name in the secret, and returns the secret with its values.
func (s *Store) mark(ctx context.Context, op secret.Op, name string) (o object[[]byte], err error) {
	steps := []step{set(label(leaving), "true"), set(note(leavingFor), name)}
	m, err := s.patch(ctx, op, onlyMetadata, steps)
	if err != nil {
		return o, err
	}
	if o, err = get[[]byte](ctx, s, op.Ref); err == nil && o.Metadata.UID != m.Metadata.UID {
		err = errConflict
	}
	return o, err
}

func (s *Store) unmark(ctx context.Context, m metadata) error {
	r := s.request(http.MethodPatch, m.Name, onlyMetadata, mustJSON(patch{
		test("/metadata/uid", m.UID), remove(label(leaving)), remove(note(leavingFor)),
	}))
	r.kind = jsonPatch
	again, err := s.client.do(ctx, r, ignored)
	if again && errors.Is(err, errTest) {
		return nil // the first attempt removed it
	}
	return err
}

// undo deletes the copy, unless it has changed, and removes the mark.
func (s *Store) undo(ctx context.Context, from, target secret.Ref, copied secret.Info) error {
	m, err := s.metadata(ctx, target)
	if err != nil {
		return err
	}
	m.ResourceVersion = string(copied.Revision)
	if err := s.remove(ctx, m); err != nil {
		return err
	}
	if m, err = s.metadata(ctx, from); err != nil {
		return err
	}
	return s.unmark(ctx, m)
}
