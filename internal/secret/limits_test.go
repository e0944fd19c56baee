package secret_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// Input that no store accepts never reaches one, and is in the audit log as invalid.
func TestInvalidInputDoesNotReachTheStore(t *testing.T) {
	ctx, who, ref := t.Context(), caller(grant(app, all...)), on(app, "db")
	long := strings.Repeat("x", secret.MaxDescriptionBytes+1)
	large := map[string]secret.Value{"k": secret.Value(strings.Repeat("x", secret.MaxValueBytes)), "l": "x"}
	many := map[string]secret.Value{}
	for i := range secret.MaxKeys + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, do := range map[string]func(s *secret.Service) error{
		"Create: name":        func(s *secret.Service) error { return create(ctx, s, who, "..", secret.Draft{}) },
		"Create: no name":     func(s *secret.Service) error { return create(ctx, s, who, "", secret.Draft{}) },
		"Create: description": func(s *secret.Service) error { return create(ctx, s, who, "db", secret.Draft{Description: long}) },
		"Create: not UTF-8":   func(s *secret.Service) error { return create(ctx, s, who, "db", secret.Draft{Description: "\xff"}) },
		"Create: key": func(s *secret.Service) error {
			return create(ctx, s, who, "db", secret.Draft{Data: map[string]secret.Value{"a b": ""}})
		},
		"Create: too large":     func(s *secret.Service) error { return create(ctx, s, who, "db", secret.Draft{Data: large}) },
		"Create: too many keys": func(s *secret.Service) error { return create(ctx, s, who, "db", secret.Draft{Data: many}) },
		"Replace: key": func(s *secret.Service) error {
			return replace(ctx, s, who, secret.Change{Set: map[string]secret.Value{"": ""}})
		},
		"Replace: too large":     func(s *secret.Service) error { return replace(ctx, s, who, secret.Change{Set: large}) },
		"Replace: too many keys": func(s *secret.Service) error { return replace(ctx, s, who, secret.Change{Set: many}) },
		"Replace: key to keep":   func(s *secret.Service) error { return replace(ctx, s, who, secret.Change{Keep: []string{"hunter2\n"}}) },
		"Replace: set and kept": func(s *secret.Service) error {
			return replace(ctx, s, who, secret.Change{Set: map[string]secret.Value{"k": ""}, Keep: []string{"k"}})
		},
		"Describe: name": func(s *secret.Service) error {
			_, err := s.Describe(ctx, who, ref, "", "a/b", "")
			return err
		},
		"Describe: description": func(s *secret.Service) error {
			_, err := s.Describe(ctx, who, ref, "", "db", long)
			return err
		},
	} {
		for _, store := range []secret.Store{untouchable{}, untouchableRecording{}, untouchableAwaiting{}} {
			var log ledger
			err := do(secret.NewService(store, &log))
			if _, ok := errors.AsType[*secret.InvalidError](err); !ok {
				t.Errorf("%s: got error %v, want an InvalidError", name, err)
				continue
			}
			wantHidden(t, name, err.Error())
			want := []secret.Outcome{secret.Unknown, secret.Invalid}
			if _, ok := store.(secret.Recording); ok {
				want = want[1:]
			}
			if got := log.outcomes(); !slices.Equal(got, want) {
				t.Errorf("%s: got outcomes %q, want %q", name, got, want)
			}
		}
	}
}

func create(ctx context.Context, s *secret.Service, who secret.Caller, name string, draft secret.Draft) error {
	_, err := s.Create(ctx, who, on(app, name), draft)
	return err
}

func replace(ctx context.Context, s *secret.Service, who secret.Caller, change secret.Change) error {
	_, err := s.Replace(ctx, who, on(app, "db"), "", change)
	return err
}

// A recording store keeps the events that it is given.
type recording struct {
	*memory.Store
	given []*secret.Event
}

func (*recording) RecordsEvents() {}

func (r *recording) Delete(ctx context.Context, op secret.Op) error {
	r.given = append(r.given, op.Event)
	err := r.Store.Delete(ctx, op)
	op.Event.Outcome = secret.OutcomeOf(err)
	return err
}

func TestRecordingStoreWritesItsOwnAuditEntries(t *testing.T) {
	st := &recording{Store: filled(t).Store}
	log := &ledger{fails: errors.New("disk full")}
	who := caller(grant(app, all...))
	err := call(t, secret.NewService(st, log), who, "Delete")
	if err != nil {
		t.Errorf("Delete: %v", err)
	}
	err = call(t, secret.NewService(st, log), who, "Delete")
	if !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("second Delete: got error %v, want %v", err, secret.ErrNotFound)
	}
	if len(st.given) != 2 || len(log.events) != 0 {
		t.Fatalf("the store recorded %d events and the recorder %d, want 2 and 0", len(st.given), len(log.events))
	}
	for i, want := range []secret.Outcome{secret.Done, secret.NotFound} {
		e := st.given[i]
		if e.Subject != "tester" || e.Action != secret.Delete || e.Ref != on(app, "db") || e.Outcome != want {
			t.Errorf("got event %+v, want a delete by the tester that is %s", *e, want)
		}
	}
}
