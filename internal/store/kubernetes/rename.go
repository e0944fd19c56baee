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

// An object cannot be renamed. A secret that is to have another name is first
// marked as leaving for it, which keeps others from changing it, then copied,
// then deleted. In between it has both names; at no time neither. Whoever finds
// a mark that nobody is working on deletes the original if there is a copy of
// it as it is, and else removes the mark: what somebody has changed since is
// not to be lost, even if the secret then stays under both names.

// moves are what is known about renames that were left unfinished.
type moves struct {
	turn    *semaphore.Weighted // held while they are looked for
	lost    atomic.Int64        // counts what may have been left
	settled atomic.Int64        // the count up to which there is none any more
}

// newMoves may have been left some by the process before.
func newMoves() *moves {
	m := &moves{turn: semaphore.NewWeighted(1)}
	m.lost.Store(1)
	return m
}

// left notes that a rename may be unfinished, and returns err.
func (m *moves) left(err error) error {
	m.lost.Add(1)
	return err
}

func (m *moves) areSettled() bool { return m.settled.Load() == m.lost.Load() }

// settle finishes what was left unfinished, by the process before or by a
// rename that could not reach the cluster any more. It asks the cluster only if
// there can be something.
func (s *Store) settle(ctx context.Context, op secret.Op) error {
	if s.moves.areSettled() {
		return nil
	}
	if err := op.Await(); err != nil {
		return err
	}
	if err := s.moves.turn.Acquire(ctx, 1); err != nil {
		return done(ctx)
	}
	defer s.moves.turn.Release(1)
	if s.moves.areSettled() {
		return nil
	}
	lost := s.moves.lost.Load()
	marked, err := s.marked(ctx)
	if err != nil {
		return err
	}
	for _, ref := range marked {
		if err := s.finish(ctx, ref); err != nil {
			return err
		}
	}
	s.moves.settled.Store(lost)
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

// finish ends the rename of a marked secret, if it still is one. Whoever has
// begun it, or another process, may do so at the same time.
func (s *Store) finish(ctx context.Context, ref secret.Ref) error {
	leave, err := s.turns.alone(ctx, ref.Owner)
	if err != nil {
		return err
	}
	defer leave()
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

// rename is Describe under another name.
func (s *Store) rename(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	ctx, end, err := s.begin(ctx, op)
	if err != nil {
		return secret.Info{}, err
	}
	defer end()
	if err := s.settle(ctx, op); err != nil {
		return secret.Info{}, err
	}
	leave, err := s.turns.alone(ctx, op.Ref.Owner)
	if err != nil {
		return secret.Info{}, err
	}
	defer leave()
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

// canRename finds out before anything is changed whether the rename will be
// refused.
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

// move marks, copies and deletes. Once it has marked the secret it goes on even
// if the caller has gone. It returns errConflict, having undone its work, if
// somebody who does not heed the mark has changed the secret meanwhile.
func (s *Store) move(ctx context.Context, op secret.Op, target secret.Ref, description string) (secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return secret.Info{}, done(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), s.Timeout, errTimeout)
	defer cancel()
	o, err := s.mark(ctx, op, target.Name)
	if err != nil {
		nothingDone := errors.Is(err, secret.ErrNotFound) || errors.Is(err, secret.ErrChanged)
		return secret.Info{}, s.moves.leftIf(!nothingDone, err)
	}
	info, err := s.create(ctx, secret.Op{Ref: target}, o.Data, notes{
		Description: description, Created: stamp(o.Metadata.info(op.Ref, nil).Created), CameFrom: o.Metadata.state(),
	})
	switch {
	case errors.Is(err, secret.ErrUnavailable): // there may be a copy, which would not be found without the mark
		return secret.Info{}, s.moves.left(err)
	case err != nil:
		return secret.Info{}, s.moves.leftIf(s.unmark(ctx, o.Metadata) != nil, err)
	}
	switch err := s.remove(ctx, o.Metadata); {
	case err == nil, errors.Is(err, secret.ErrNotFound):
		return info, nil
	case errors.Is(err, errConflict):
		return secret.Info{}, s.moves.leftIf(s.undo(ctx, op.Ref, target, info) != nil, err)
	default:
		return secret.Info{}, s.moves.left(err)
	}
}

func (m *moves) leftIf(is bool, err error) error {
	if is {
		return m.left(err)
	}
	return err
}

// mark says where the secret is going, and returns it with its values.
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
		return nil // the first one has removed it
	}
	return err
}

// undo deletes the copy, as it was made, and removes the mark.
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
