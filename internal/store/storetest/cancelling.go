package storetest

import (
	"context"
	"errors"

	"github.com/strongroom/strongroom/internal/secret"
)

func cancelling() []promise {
	return []promise{
		{name: "CancelledReadFailsOrIsRight", check: cancelledReadFailsOrIsRight},
		{name: "CancelledWriteFailsOrIsDone", check: cancelledWriteFailsOrIsDone},
	}
}

// cancelled is a T whose context is cancelled.
type cancelled struct {
	T
	ctx context.Context //nolint:containedctx // stands in for T.Context
}

func (c cancelled) Context() context.Context { return c.ctx }

func cancel(t T) T {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return cancelled{t, ctx}
}

func cancelledReadFailsOrIsRight(t T, st secret.Store) {
	want := mustCreate(t, st, at("db"), data{"k": "v"})
	ctx := cancel(t).Context()
	if info, err := st.Head(ctx, want.Ref); err == nil {
		wantInfo(t, "Head", info, want)
	}
	if info, values, err := st.Reveal(ctx, at("db")); err == nil {
		wantInfo(t, "Reveal", info, want)
		wantValues(t, want.Ref, values, data{"k": "v"})
	}
	if infos, err := st.List(ctx, alice, secret.Page{}); err == nil {
		wantNames(t, namesOf(infos), "db")
	}
	if owners, err := st.Owners(ctx, secret.Page{}); err == nil && (len(owners) != 1 || owners[0].Owner != alice) {
		t.Errorf("Owners: got %v, want %q", owners, alice)
	}
	if _, err := st.Head(t.Context(), want.Ref); err != nil {
		t.Errorf("Head after a cancelled one: %v", err)
	}
}

// A cancelled write either returns an error and changes nothing, or returns no
// error and is complete.
func cancelledWriteFailsOrIsDone(t T, st secret.Store) {
	if _, err := st.Create(cancel(t).Context(), at("created"), secret.Draft{}); err == nil {
		wantNames(t, names(t, st, alice), "created")
		mustDelete(t, st, at("created"))
	}
	wantNames(t, names(t, st, alice))

	for _, c := range calls()[1:] {
		op := at(c.name)
		mustCreate(t, st, op, data{"k": "v"})
		unharmed := remember(t, st, op)
		if err := c.do(cancel(t), st, op); err != nil {
			unharmed()
		} else if info, err := st.Head(t.Context(), op.Ref); !errors.Is(err, secret.ErrNotFound) {
			wantDone(t, c.name, info)
		}
		for _, name := range names(t, st, alice) {
			mustDelete(t, st, at(name))
		}
	}
}

// wantDone fails unless the secret, if it kept its name, was replaced or described.
func wantDone(t T, call string, info secret.Info) {
	t.Helper()
	replaced := len(info.Keys) == 1 && info.Keys[0] == "replaced"
	if !replaced && info.Description != "described" {
		t.Errorf("%s returned no error and did nothing", call)
	}
}
