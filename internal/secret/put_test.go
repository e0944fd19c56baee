package secret_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

func TestPutCreatesOrReplaces(t *testing.T) {
	st := filled(t)
	s := secret.NewService(st, &ledger{})
	who := caller(grant(app, all...))
	put := func(name string, onlyIf secret.Revision, description *string) (secret.Info, error) {
		return s.Put(t.Context(), who, on(app, name), onlyIf, description, map[string]secret.Value{"k": "put"})
	}
	text := func(s string) *string { return &s }
	for _, tc := range []struct {
		name        string
		onlyIf      secret.Revision
		description *string
		want        string // the description
		err         error
	}{
		{"db", "", nil, "as it was", nil},
		{"db", "", text("new"), "new", nil},
		{"db", "", text(""), "", nil},
		{"db", secret.AnyRevision, text("any"), "any", nil},
		{"db", "stale", text("never"), "any", secret.ErrChanged},
		{"fresh", "", nil, "", nil},
		{"described", "", text("fresh"), "fresh", nil},
		{"conditional", secret.AnyRevision, nil, "", secret.ErrNotFound},
	} {
		info, err := put(tc.name, tc.onlyIf, tc.description)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: got error %v, want %v", tc.name, err, tc.err)
		}
		if err == nil && info.Description != tc.want {
			t.Errorf("%s: the description is %q, want %q", tc.name, info.Description, tc.want)
		}
	}
	if _, err := st.Head(t.Context(), on(app, "conditional")); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("a condition has made a secret: %v", err)
	}
}

func TestPutNeedsTheRightsToCreateAndToWrite(t *testing.T) {
	for _, tc := range []struct {
		may         []secret.Action
		there, gone error // of an existing secret, and of a missing one
	}{
		{[]secret.Action{secret.Write, secret.Create}, nil, nil},
		{[]secret.Action{secret.Write}, nil, secret.ErrForbidden},
		{[]secret.Action{secret.Create}, secret.ErrForbidden, secret.ErrForbidden},
		{[]secret.Action{secret.List, secret.Reveal, secret.Delete}, secret.ErrForbidden, secret.ErrForbidden},
	} {
		s := secret.NewService(filled(t), &ledger{})
		for name, want := range map[string]error{"db": tc.there, "gone": tc.gone} {
			_, err := s.Put(t.Context(), caller(grant(app, tc.may...)), on(app, name), "", nil, map[string]secret.Value{"k": "v"})
			if !errors.Is(err, want) {
				t.Errorf("with %s, of %s: got error %v, want %v", tc.may, name, err, want)
			}
		}
	}
}

// A discarding recorder keeps nothing, so it is safe for concurrent use.
type discarding struct{}

func (discarding) Record(context.Context, secret.Event, ...func(secret.Tx) error) error { return nil }

func (discarding) Note(secret.Event) error { return nil }

// Each concurrent Put succeeds with its own content.
func TestConcurrentPutsDoNotDisturbEachOther(t *testing.T) {
	s := secret.NewService(memory.New(), discarding{})
	who := caller(grant(app, all...))
	var crowd sync.WaitGroup
	for i := range 8 {
		crowd.Go(func() {
			for range 200 {
				value := secret.Value(fmt.Sprint(i))
				if _, err := s.Put(t.Context(), who, on(app, "db"), "", nil, map[string]secret.Value{"k": value}); err != nil {
					t.Errorf("putting: %v", err)
				}
				if err := s.Delete(t.Context(), who, on(app, "db"), ""); err != nil && !errors.Is(err, secret.ErrNotFound) {
					t.Errorf("deleting: %v", err)
				}
			}
		})
	}
	crowd.Wait()
}
