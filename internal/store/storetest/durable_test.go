package storetest

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

func TestEveryMutantIsCaughtWhenReopened(t *testing.T) {
	drops := &dropsWhileClosing{Store: memory.New()}
	for _, m := range []struct {
		defect   string
		store    secret.Store
		reopen   func(st secret.Store) secret.Store
		caughtBy string
	}{
		{"nothing was written", memory.New(), isNew, "WhatWasAcknowledgedIsThereAfterReopening"},
		{"a deleted secret comes back", memory.New(), bringsBack, "WhatWasDeletedIsGoneAfterReopening"},
		{"revisions begin anew", memory.New(), isCopied, "RevisionsGoOnAfterReopening"},
		{"Close drops what is under way", drops, drops.reopen, "CloseWaitsForWhatIsUnderWay"},
	} {
		t.Run(m.defect, func(t *testing.T) {
			for _, p := range durable() {
				if p.name != m.caughtBy {
					continue
				}
				st := m.store
				failures := verdict(t, func(t T) {
					p.check(t, st, func() secret.Store {
						st = m.reopen(st)
						return st
					})
				})
				if len(failures) > 0 {
					t.Logf("%s: %s", m.caughtBy, failures[0])
					return
				}
			}
			t.Errorf("%s says nothing about a store in which %s", m.caughtBy, m.defect)
		})
	}
}

func isNew(secret.Store) secret.Store { return memory.New() }

func bringsBack(st secret.Store) secret.Store {
	_, _ = st.Create(context.Background(), at("b"), secret.Draft{})
	return st
}

// isCopied returns a new store with the content of the old one.
func isCopied(st secret.Store) secret.Store {
	ctx, copied := context.Background(), memory.New()
	infos, _ := st.List(ctx, alice, secret.Page{})
	for _, info := range infos {
		_, values, _ := st.Reveal(ctx, secret.Op{Ref: info.Ref})
		draft := secret.Draft{Description: info.Description, Data: values, Created: info.Created}
		_, _ = copied.Create(ctx, secret.Op{Ref: info.Ref}, draft)
	}
	return copied
}

// dropsWhileClosing acknowledges writes that it no longer performs.
type dropsWhileClosing struct {
	secret.Store
	closing atomic.Bool
	dropped atomic.Int32
}

func (m *dropsWhileClosing) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if m.closing.Load() {
		m.dropped.Add(1)
		return secret.Info{Ref: op.Ref}, nil
	}
	return m.Store.Create(ctx, op, draft)
}

// reopen waits until a write has been dropped.
func (m *dropsWhileClosing) reopen(secret.Store) secret.Store {
	m.closing.Store(true)
	for m.dropped.Load() == 0 {
		runtime.Gosched()
	}
	return m.Store
}
