// Package secret is what the server is about: secrets, who owns them, who may
// do what with them, and the Store that keeps them. It knows nothing of HTTP,
// files or clusters, and everything else points here.
//
// Start reading at [Service]: it is all that an API can do, and each of its
// methods goes through admit, the one place that authorizes and audits.
package secret

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// A Service lets callers do to a store's secrets what their grants allow, and
// keeps the record of it.
type Service struct {
	store Store
	audit Recorder
}

// NewService returns a service on the store that records to audit.
func NewService(store Store, audit Recorder) *Service { return &Service{store, audit} }

// List returns those of the owner's secrets that the caller may list.
func (s *Service) List(ctx context.Context, caller Caller, owner Owner, page Page) ([]Info, error) {
	var infos []Info
	err := s.admit(ctx, caller, List, Ref{Owner: owner}, func(Op) (err error) {
		infos, err = s.visible(ctx, caller, owner, page)
		return err
	})
	return answer(infos, err)
}

// visible lists page by page until the caller's page is full, since secrets
// that the caller may not list leave gaps.
func (s *Service) visible(ctx context.Context, caller Caller, owner Owner, page Page) (seen []Info, err error) {
	for {
		infos, err := s.store.List(ctx, owner, page)
		if err != nil {
			return nil, err
		}
		more := page.Limit > 0 && len(infos) == page.Limit
		if more {
			page.After = infos[len(infos)-1].Name
		}
		if caller.tellsNamesApart() { // or else admit has decided for all of them
			infos = slices.DeleteFunc(infos, func(i Info) bool { return !caller.May(List, i.Ref) })
		}
		if seen == nil {
			seen = infos
		} else {
			seen = append(seen, infos...)
		}
		if page.Limit > 0 && len(seen) >= page.Limit {
			return seen[:page.Limit], nil
		}
		if !more {
			return seen, nil
		}
	}
}

// Head returns one secret without its values.
func (s *Service) Head(ctx context.Context, caller Caller, ref Ref) (Info, error) {
	var info Info
	err := s.admit(ctx, caller, List, ref, func(Op) (err error) {
		info, err = s.store.Head(ctx, ref)
		return err
	})
	return answer(info, err)
}

// Reveal returns a secret with its values.
func (s *Service) Reveal(ctx context.Context, caller Caller, ref Ref) (Info, map[string]Value, error) {
	var info Info
	var data map[string]Value
	err := s.admit(ctx, caller, Reveal, ref, func(op Op) (err error) {
		info, data, err = s.store.Reveal(ctx, op)
		return err
	})
	if err != nil {
		return Info{}, nil, err
	}
	return info, data, nil
}

// Create adds a secret. Besides the store's errors it returns an InvalidError
// for a name, key or size that no store keeps.
func (s *Service) Create(ctx context.Context, caller Caller, ref Ref, draft Draft) (Info, error) {
	var info Info
	err := s.admit(ctx, caller, Create, ref, func(op Op) (err error) {
		info, err = s.create(ctx, op, draft)
		return err
	})
	return answer(info, err)
}

func (s *Service) create(ctx context.Context, op Op, draft Draft) (Info, error) {
	if err := errors.Join(CheckName(op.Ref.Name), CheckDescription(draft.Description), checkData(draft.Data)); err != nil {
		return Info{}, err
	}
	return s.store.Create(ctx, op, draft)
}

// Replace puts new content in the place of all that the secret has.
func (s *Service) Replace(ctx context.Context, caller Caller, ref Ref, onlyIf Revision, change Change) (Info, error) {
	var info Info
	err := s.admit(ctx, caller, Write, ref, func(op Op) (err error) {
		if err := errors.Join(change.checkDescription(), checkData(change.Set, change.Keep...)); err != nil {
			return err
		}
		op.OnlyIf = onlyIf
		info, err = s.store.Replace(ctx, op, change)
		return err
	})
	return answer(info, err)
}

// putAttempts is how often Put starts again when somebody else creates and
// deletes the secret at the same time.
const putAttempts = 100

// Put replaces the secret, which takes the right to write, or creates it where
// there is none, which takes the right to create, too. Without a description a
// secret that is there keeps its own. With a condition it only replaces. Each
// attempt is on record.
func (s *Service) Put(ctx context.Context, caller Caller, ref Ref, onlyIf Revision, description *string, data map[string]Value) (Info, error) {
	draft := Draft{Data: data}
	if description != nil {
		draft.Description = *description
	}
	for range putAttempts {
		info, err := s.Replace(ctx, caller, ref, onlyIf, Change{Set: data, Description: description})
		if !errors.Is(err, ErrNotFound) || onlyIf != "" {
			return info, err
		}
		info, err = s.Create(ctx, caller, ref, draft)
		if !errors.Is(err, ErrExists) {
			return info, err
		}
	}
	return Info{}, ErrUnavailable
}

// Describe renames and describes a secret; its values stay. A caller whose
// grants name secrets may not bring one within its reach by another name.
func (s *Service) Describe(ctx context.Context, caller Caller, ref Ref, onlyIf Revision, name, description string) (Info, error) {
	var info Info
	err := s.admitRename(ctx, caller, Write, ref, name, func(op Op) (err error) {
		if err := errors.Join(CheckName(name), CheckDescription(description)); err != nil {
			return err
		}
		if caller.gains(ref, Ref{Owner: ref.Owner, Name: name}) {
			return ErrForbidden
		}
		op.OnlyIf = onlyIf
		info, err = s.store.Describe(ctx, op, name, description)
		return err
	})
	return answer(info, err)
}

// Delete removes a secret.
func (s *Service) Delete(ctx context.Context, caller Caller, ref Ref, onlyIf Revision) error {
	return s.admit(ctx, caller, Delete, ref, func(op Op) error {
		op.OnlyIf = onlyIf
		return s.store.Delete(ctx, op)
	})
}

// Refuse is an attempt that cannot succeed, whatever there is: what was sent is
// an InvalidError by the rules of the caller's API. It returns that, or that the
// caller may not do it anyway.
func (s *Service) Refuse(ctx context.Context, caller Caller, action Action, ref Ref, invalid error) error {
	return s.admit(ctx, caller, action, ref, func(Op) error { return invalid })
}

// admit authorizes, does and audits. Every operation goes through it, and
// what cannot be recorded does not happen or is not answered: what was shown of
// secrets without their values is noted, everything else is on record for good
// before admit returns.
func (s *Service) admit(ctx context.Context, caller Caller, action Action, ref Ref, do func(Op) error) error {
	return s.admitRename(ctx, caller, action, ref, ref.Name, do)
}

// admitRename is admit of what gives the secret a name, which may be a new one:
// the intent has it, too, or a rename that a crash cuts off would not say where
// the values are now.
func (s *Service) admitRename(ctx context.Context, caller Caller, action Action, ref Ref, name string, do func(Op) error) error {
	now := time.Now()
	op := Op{Ref: ref, Credential: caller.Credential, Event: &Event{
		Time: now.UTC(), Subject: caller.Subject, Key: caller.Key, From: caller.From, Request: caller.Request,
		Action: action, Ref: ref, Outcome: Unknown,
	}}
	// What cannot be a name may be anything, a value in the wrong place too.
	if CheckName(ref.Name) != nil {
		op.Event.Ref.Name = ""
	}
	if name != ref.Name && CheckName(name) == nil {
		op.Event.NewName = name
	}
	if !caller.mayAt(now, action, ref) {
		return s.record(ctx, *op.Event, caller.refusal(ref), Denied)
	}
	if action.showsOnly() {
		err := do(op)
		// A caller who waited longer where it may not look would know why.
		if errors.Is(err, ErrNotFound) {
			return s.record(ctx, *op.Event, err, NotFound)
		}
		return s.note(op, err)
	}
	// From here on the caller's credential is asked again, since it may have
	// been revoked after the request began: Op.Check and Op.Spend.
	switch s.store.(type) {
	case Recording:
		return s.doRecorded(ctx, op, do)
	case Awaiting:
		return s.doMeanwhile(ctx, op, do)
	}
	// The intent goes first: a crash in between must not hide an attempt.
	if err := s.intend(ctx, op); err != nil {
		return err
	}
	err := op.Check()
	if err == nil {
		err = do(op)
	}
	return s.finish(op, err)
}

// intend records what a store that does not record is about to be asked for. A
// delivery is spent in the same transaction, and stays spent if the store fails
// afterwards.
func (s *Service) intend(ctx context.Context, op Op) error {
	err := s.audit.Record(ctx, *op.Event, op.Spend)
	if errors.Is(err, ErrForbidden) {
		return s.record(ctx, *op.Event, err, Denied)
	}
	return unrecorded(err)
}

// finish has the outcome follow the intent. Values may have been a while on
// their way, and the credential revoked meanwhile: then they are not delivered.
func (s *Service) finish(op Op, err error) error {
	if err == nil && op.Event.Action == Reveal {
		err = op.Check()
	}
	return s.note(op, err)
}

// doRecorded does what a Recording store records, and checks the credential in
// the same transaction; what ended before it reached the store is recorded here.
func (s *Service) doRecorded(ctx context.Context, op Op, do func(Op) error) error {
	err := do(op)
	if op.Event.Outcome == Unknown {
		return s.record(ctx, *op.Event, err, OutcomeOf(err))
	}
	return err
}

// doMeanwhile has an Awaiting store begin while the intent is put on record.
func (s *Service) doMeanwhile(ctx context.Context, op Op, do func(Op) error) error {
	intent, recorded := op, make(chan struct{})
	failed := ErrUnavailable // should record panic
	op.Recorded = func() error {
		<-recorded
		return firstOf(failed, op.Check())
	}
	done := inBackground(func() error { return do(op) })
	func() {
		defer close(recorded)
		failed = s.intend(ctx, intent)
	}()
	err := done()
	if failed != nil {
		return failed
	}
	return s.finish(op, err)
}

// inBackground runs fn in a goroutine and returns a function that waits for what
// it returns. A panic becomes an error that says where it was, and not of what,
// which could be anything.
func inBackground(fn func() error) (wait func() error) {
	err := ErrUnavailable // unless fn returns
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic of type %T at %s", p, debug.Stack())
			}
		}()
		err = fn()
	}()
	return func() error {
		<-done
		return err
	}
}

// note has the outcome follow the intent: without it the attempt reads as
// unknown, and nobody has to wait for the disk twice. It returns err, or why the
// outcome cannot follow.
func (s *Service) note(op Op, err error) error {
	op.Event.Outcome = OutcomeOf(err)
	return firstOf(unrecorded(s.audit.Note(*op.Event)), err)
}

// record puts the event on record and returns err, or why it could not. A caller
// who hangs up can do without what was meant to be done, and not without the record
// of what was refused.
func (s *Service) record(ctx context.Context, event Event, err error, outcome Outcome) error {
	event.Outcome = outcome
	if outcome != Unknown {
		ctx = context.WithoutCancel(ctx)
	}
	return firstOf(unrecorded(s.audit.Record(ctx, event)), err)
}

// answer is nothing but the error, if there is one: the store may have done
// its part before the record of it failed.
func answer[T any](result T, err error) (T, error) {
	if err != nil {
		var nothing T
		return nothing, err
	}
	return result, nil
}

func unrecorded(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("recording the attempt: %w", err)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
