package nodes_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/storetest"
)

// A robin is a store whose calls go to the nodes in turn, as from a client that a load
// balancer sends to another node each time.
type robin struct {
	*installation
	calls atomic.Uint64
}

var _ interface {
	secret.Recording
	secret.Historian
} = (*robin)(nil)

func (r *robin) next() *node { return r.nodes[r.calls.Add(1)%uint64(len(r.nodes))] }

// read returns what the next node returns, when it is up to date. Other calls are up to date
// by themselves.
func read[T any](ctx context.Context, r *robin, call func(*node) (T, error)) (result T, err error) {
	n := r.next()
	if err := n.file.Fresh(context.WithoutCancel(ctx), 0); err != nil {
		return result, err
	}
	return call(n)
}

func (r *robin) RecordsEvents() {}

func (r *robin) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	return read(ctx, r, func(n *node) ([]secret.Info, error) { return n.List(ctx, owner, page) })
}

func (r *robin) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	return read(ctx, r, func(n *node) (secret.Info, error) { return n.Head(ctx, ref) })
}

func (r *robin) Reveal(ctx context.Context, op secret.Op) (info secret.Info, data map[string]secret.Value, err error) {
	return r.next().Reveal(ctx, op)
}

func (r *robin) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	return r.next().Create(ctx, op, draft)
}

func (r *robin) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	return r.next().Replace(ctx, op, change)
}

func (r *robin) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	return r.next().Describe(ctx, op, name, description)
}

func (r *robin) Delete(ctx context.Context, op secret.Op) error {
	return r.next().Delete(ctx, op)
}

func (r *robin) Owners(ctx context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	return read(ctx, r, func(n *node) ([]secret.OwnerInfo, error) { return n.Owners(ctx, page) })
}

func (r *robin) Check(ctx context.Context) error {
	_, err := read(ctx, r, func(n *node) (struct{}, error) { return struct{}{}, n.Check(ctx) })
	return err
}

func (r *robin) Versions(ctx context.Context, ref secret.Ref) ([]secret.Info, error) {
	return read(ctx, r, func(n *node) ([]secret.Info, error) { return n.Versions(ctx, ref) })
}

func (r *robin) RevealVersion(ctx context.Context, op secret.Op, revision secret.Revision) (map[string]secret.Value, error) {
	return r.next().RevealVersion(ctx, op, revision)
}

func (r *robin) Restore(ctx context.Context, op secret.Op, revision secret.Revision) (secret.Info, error) {
	return r.next().Restore(ctx, op, revision)
}

func (r *robin) Deleted(ctx context.Context, owner secret.Owner) ([]secret.Deleted, error) {
	return read(ctx, r, func(n *node) ([]secret.Deleted, error) { return n.Deleted(ctx, owner) })
}

func (r *robin) Undelete(ctx context.Context, op secret.Op, revision secret.Revision) (secret.Info, error) {
	return r.next().Undelete(ctx, op, revision)
}

func (r *robin) Destroy(ctx context.Context, op secret.Op) error {
	return r.next().Destroy(ctx, op)
}

func (r *robin) Erase(ctx context.Context, op secret.Op) error {
	return r.next().Erase(ctx, op)
}

func (r *robin) Close() error {
	var errs []error
	for _, n := range r.nodes {
		errs = append(errs, n.Close())
	}
	r.nodes = nil
	return errors.Join(errs...)
}

func TestThreeNodesAreOneStore(t *testing.T) {
	url := newDatabase(t) // one for all, since creating one takes a second
	storetest.Suite{
		Open: func(t *testing.T) secret.Store { return &robin{installation: install(t, url, 3)} },
		Reopen: func(t *testing.T, st secret.Store) secret.Store {
			r := st.(*robin)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"node0", "node1", "a new node"} {
				r.nodes = append(r.nodes, r.join(t, name))
			}
			return r
		},
	}.Run(t)
}
