package secret_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// An awaiting store calls this function, and then does what it is asked for if
// that returns nil.
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

// A slow recorder puts nothing on record until it may.
type slowLedger struct {
	ledger
	may chan struct{}
}

func (l *slowLedger) Record(ctx context.Context, e secret.Event) error {
	select {
	case <-l.may:
		return l.ledger.Record(ctx, e)
	case <-time.After(20 * time.Second):
		return errors.New("nobody began meanwhile")
	}
}

func TestAwaitingStoreBeginsBeforeTheRecordIsThere(t *testing.T) {
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

// A store that does not await what it should is not answered for all the same.
func TestNothingIsAnsweredBeforeItIsOnRecord(t *testing.T) {
	full := errors.New("disk full")
	forEveryMethod(t, func(t *testing.T, method string) {
		st := awaiting{filled(t), func(secret.Op) error { return nil }}
		err := call(t, secret.NewService(st, &ledger{fails: full}), caller(grant(app, all...)), method)
		if !errors.Is(err, full) {
			t.Errorf("got error %v, want that of the recorder", err)
		}
	})
}

// A panic of the store's is an error, on record as such, that says where it was
// and not what it was called with.
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

// A panicking recorder is one that has put nothing on record.
type panicking struct{ ledger }

func (panicking) Record(context.Context, secret.Event) error { panic("of the recorder") }

func TestPanicOfTheRecorderIsNoRecord(t *testing.T) {
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
			t.Error("the store was told that the attempt is on record")
		}
	}()
	_ = secret.NewService(st, &panicking{}).Delete(t.Context(), caller(grant(app, all...)), on(app, "db"), "")
}

// A store is moved out of only once that is on record.
func TestCopyFromAnAwaitingStoreIsRecordedFirst(t *testing.T) {
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
