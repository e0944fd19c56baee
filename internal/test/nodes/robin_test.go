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

// next returns the node of the next call, when it is ready for a request.
func (r *robin) next(ctx context.Context) (*node, error) {
	n := r.nodes[r.calls.Add(1)%uint64(len(r.nodes))]
	return n, n.request(context.WithoutCancel(ctx))
}

// on returns what the next node returns.
func on[T any](ctx context.Context, r *robin, call func(*node) (T, error)) (result T, err error) {
	n, err := r.next(ctx)
	if err != nil {
		return result, err
	}
	return call(n)
}

func (r *robin) do(ctx context.Context, call func(*node) error) error {
	_, err := on(ctx, r, func(n *node) (struct{}, error) { return struct{}{}, call(n) })
	return err
}

func (r *robin) RecordsEvents() {}

func (r *robin) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	return on(ctx, r, func(n *node) ([]secret.Info, error) { return n.List(ctx, owner, page) })
}

func (r *robin) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	return on(ctx, r, func(n *node) (secret.Info, error) { return n.Head(ctx, ref) })
}

func (r *robin) Reveal(ctx context.Context, op secret.Op) (info secret.Info, data map[string]secret.Value, err error) {
	err = r.do(ctx, func(n *node) error { info, data, err = n.Reveal(ctx, op); return err })
	return info, data, err
}

func (r *robin) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	return on(ctx, r, func(n *node) (secret.Info, error) { return n.Create(ctx, op, draft) })
}

func (r *robin) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	return on(ctx, r, func(n *node) (secret.Info, error) { return n.Replace(ctx, op, change) })
}

func (r *robin) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	return on(ctx, r, func(n *node) (secret.Info, error) { return n.Describe(ctx, op, name, description) })
}

func (r *robin) Delete(ctx context.Context, op secret.Op) error {
	return r.do(ctx, func(n *node) error { return n.Delete(ctx, op) })
}

func (r *robin) Owners(ctx context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	return on(ctx, r, func(n *node) ([]secret.OwnerInfo, error) { return n.Owners(ctx, page) })
}

func (r *robin) Check(ctx context.Context) error {
	return r.do(ctx, func(n *node) error { return n.Check(ctx) })
}

func (r *robin) Versions(ctx context.Context, ref secret.Ref) ([]secret.Info, error) {
	return on(ctx, r, func(n *node) ([]secret.Info, error) { return n.Versions(ctx, ref) })
}

func (r *robin) RevealVersion(ctx context.Context, op secret.Op, revision secret.Revision) (map[string]secret.Value, error) {
	return on(ctx, r, func(n *node) (map[string]secret.Value, error) { return n.RevealVersion(ctx, op, revision) })
}

func (r *robin) Restore(ctx context.Context, op secret.Op, revision secret.Revision) (secret.Info, error) {
	return on(ctx, r, func(n *node) (secret.Info, error) { return n.Restore(ctx, op, revision) })
}

func (r *robin) Deleted(ctx context.Context, owner secret.Owner) ([]secret.Deleted, error) {
	return on(ctx, r, func(n *node) ([]secret.Deleted, error) { return n.Deleted(ctx, owner) })
}

func (r *robin) Undelete(ctx context.Context, op secret.Op, revision secret.Revision) (secret.Info, error) {
	return on(ctx, r, func(n *node) (secret.Info, error) { return n.Undelete(ctx, op, revision) })
}

func (r *robin) Destroy(ctx context.Context, op secret.Op) error {
	return r.do(ctx, func(n *node) error { return n.Destroy(ctx, op) })
}

func (r *robin) Erase(ctx context.Context, op secret.Op) error {
	return r.do(ctx, func(n *node) error { return n.Erase(ctx, op) })
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
