package secret_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// An awaiting store calls this function before each operation, and performs the
// operation if it returns nil.
type awaiting struct {
	remembering
	await func(secret.Op) error
}

var (
	_ secret.Awaiting  = awaiting{}
	_ secret.Historian = awaiting{}
)

func (awaiting) AwaitsRecord() {}

func (a awaiting) Reveal(ctx context.Context, op secret.Op) (secret.Info, map[string]secret.Value, error) {
	if err := a.await(op); err != nil {
		return secret.Info{}, nil, err
	}
	return a.remembering.Reveal(ctx, op)
}

func (a awaiting) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	if err := a.await(op); err != nil {
		return secret.Info{}, err
	}
	return a.remembering.Create(ctx, op, draft)
}

func (a awaiting) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	if err := a.await(op); err != nil {
		return secret.Info{}, err
	}
	return a.remembering.Replace(ctx, op, change)
}

func (a awaiting) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	if err := a.await(op); err != nil {
		return secret.Info{}, err
	}
	return a.remembering.Describe(ctx, op, name, description)
}

func (a awaiting) Delete(ctx context.Context, op secret.Op) error {
	if err := a.await(op); err != nil {
		return err
	}
	return a.remembering.Delete(ctx, op)
}

func (a awaiting) RevealVersion(ctx context.Context, op secret.Op, _ secret.Revision) (map[string]secret.Value, error) {
	_, data, err := a.Reveal(ctx, op)
	return data, err
}

func (a awaiting) Restore(ctx context.Context, op secret.Op, _ secret.Revision) (secret.Info, error) {
	return a.Replace(ctx, op, secret.Change{})
}

func (a awaiting) Undelete(ctx context.Context, op secret.Op, _ secret.Revision) (secret.Info, error) {
	return a.Create(ctx, op, secret.Draft{})
}

func (a awaiting) Destroy(ctx context.Context, op secret.Op) error { return a.Delete(ctx, op) }

func (a awaiting) Erase(ctx context.Context, op secret.Op) error {
	op.Ref.Name = "db"
	return a.Delete(ctx, op)
}

func attentive(t *testing.T) awaiting { return awaiting{filled(t), secret.Op.Await} }

// A slowLedger records nothing until it is released.
type slowLedger struct {
	ledger
	may chan struct{}
}

func (l *slowLedger) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	select {
	case <-l.may:
		return l.ledger.Record(ctx, e, steps...)
	case <-time.After(20 * time.Second):
		return errors.New("nobody began meanwhile")
	}
}

func TestAwaitingStoreBeginsBeforeTheAuditEntryIsWritten(t *testing.T) {
	forEveryMethod(t, func(t *testing.T, method string) {
		if showsOnly(method) || method == "Refuse" {
			return // has no intent, or nothing to begin
		}
		log := &slowLedger{may: make(chan struct{})}
		st := awaiting{filled(t), func(op secret.Op) error {
			if len(log.events) > 0 {
				t.Error("the store was called when the intent was on record")
			}
			close(log.may)
			return op.Await()
		}}
		if err := call(t, secret.NewService(st, log), caller(grant(app, all...)), method); err != nil {
			t.Error(err)
		}
		if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Unknown, secret.Done}) {
			t.Errorf("got outcomes %q", got)
		}
	})
}

// The service answers nothing before the audit entry, even if a store fails to
// wait for it.
func TestNothingIsAnsweredBeforeItsAuditEntry(t *testing.T) {
	full := errors.New("disk full")
	forEveryMethod(t, func(t *testing.T, method string) {
		st := awaiting{filled(t), func(secret.Op) error { return nil }}
		err := call(t, secret.NewService(st, &ledger{fails: full}), caller(grant(app, all...)), method)
		if !errors.Is(err, full) {
			t.Errorf("got error %v, want that of the recorder", err)
		}
	})
}

// A panic of the store becomes an error in the audit log. It gives the location and
// no arguments.
func TestPanicOfAnAwaitingStoreIsAnError(t *testing.T) {
	var log ledger
	st := awaiting{filled(t), func(secret.Op) error { panic("hunter2") }}
	err := secret.NewService(st, &log).Delete(t.Context(), caller(grant(app, all...)), on(app, "db"), "")
	if err == nil || !strings.Contains(err.Error(), "panic of type string") || !strings.Contains(err.Error(), "awaiting_test.go") {
		t.Errorf("got %v, want an error that names this file", err)
	}
	wantHidden(t, "the error", fmt.Sprint(err))
	if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Unknown, secret.Failed}) {
		t.Errorf("got outcomes %q", got)
	}
}

// A panicking recorder records nothing.
type panicking struct{ ledger }

func (panicking) Record(context.Context, secret.Event, ...func(secret.Tx) error) error {
	panic("of the recorder")
}

func TestPanicOfTheRecorderCountsAsAMissingEntry(t *testing.T) {
	awaited := make(chan error, 1)
	st := awaiting{filled(t), func(op secret.Op) error {
		err := op.Await()
		awaited <- err
		return err
	}}
	defer func() {
		if got := recover(); got != "of the recorder" {
			t.Errorf("got %v, want the panic of the recorder", got)
		}
		if err := <-awaited; err == nil {
			t.Error("Await returned nil without an audit entry")
		}
	}()
	_ = secret.NewService(st, &panicking{}).Delete(t.Context(), caller(grant(app, all...)), on(app, "db"), "")
}

// Values are read for a copy only after the audit entry.
func TestCopyFromAnAwaitingStoreIsAuditedFirst(t *testing.T) {
	full := errors.New("disk full")
	to := memory.New()
	_, err := secret.NewService(attentive(t), &ledger{fails: full}).
		CopyTo(t.Context(), caller(grant(app, all...)), on(app, "db"), secret.NewService(to, &ledger{}))
	if !errors.Is(err, full) {
		t.Errorf("got error %v, want that of the recorder", err)
	}
	if got := contents(t, to); len(got) > 0 {
		t.Errorf("the copy was made: %v", got)
	}
}

// A credential works until it is revoked.
type credential struct{ revoked bool }

func (c *credential) Check() error {
	if c.revoked {
		return secret.ErrForbidden
	}
	return nil
}

func (c *credential) Spend(secret.Tx) error { return nil }

// An overtaken recorder is so slow that a revocation overtakes it.
type overtaken struct {
	ledger
	by *credential
}

func (l *overtaken) Record(ctx context.Context, e secret.Event, steps ...func(secret.Tx) error) error {
	err := l.ledger.Record(ctx, e, steps...)
	l.by.revoked = true
	return err
}

func TestARevocationBeforeTheAuditEntryStopsTheOperation(t *testing.T) {
	for name, st := range map[string]secret.Store{"awaiting": attentive(t), "asked afterwards": filled(t)} {
		forEveryMethod(t, func(t *testing.T, method string) {
			if showsOnly(method) || method == "Refuse" {
				return
			}
			who := caller(grant(app, all...))
			key := &credential{}
			who.Credential = key
			log := &overtaken{by: key}
			before := contents(t, st)
			err := call(t, secret.NewService(st, log), who, method)
			if !errors.Is(err, secret.ErrForbidden) {
				t.Errorf("%s: got error %v, want %v", name, err, secret.ErrForbidden)
			}
			if got := contents(t, st); !reflect.DeepEqual(got, before) {
				t.Errorf("%s: the store has changed", name)
			}
			if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Unknown, secret.Denied}) {
				t.Errorf("%s: got outcomes %q", name, got)
			}
		})
	}
}

// A remote store may take long to return values.
func TestValuesThatArriveAfterARevocationAreNotDelivered(t *testing.T) {
	for name, of := range map[string]func(read func(secret.Op) error) secret.Store{
		"awaiting":         func(read func(secret.Op) error) secret.Store { return awaiting{filled(t), read} },
		"asked afterwards": func(read func(secret.Op) error) secret.Store { return slowReveal{filled(t), read} },
	} {
		who := caller(grant(app, all...))
		key := &credential{}
		who.Credential = key
		var log ledger
		st := of(func(op secret.Op) error {
			defer func() { key.revoked = true }()
			return op.Await()
		})
		_, data, err := secret.NewService(st, &log).Reveal(t.Context(), who, on(app, "db"))
		if !errors.Is(err, secret.ErrForbidden) || data != nil {
			t.Errorf("%s: got %d values, error %v", name, len(data), err)
		}
		if got := log.outcomes(); !slices.Equal(got, []secret.Outcome{secret.Unknown, secret.Denied}) {
			t.Errorf("%s: got outcomes %q", name, got)
		}
	}
}

type slowReveal struct {
	remembering
	wait func(secret.Op) error
}

func (s slowReveal) Reveal(ctx context.Context, op secret.Op) (secret.Info, map[string]secret.Value, error) {
	if err := s.wait(op); err != nil {
		return secret.Info{}, nil, err
	}
	return s.remembering.Reveal(ctx, op)
}
