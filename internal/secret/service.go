// Package secret is the domain: secrets, their owners, callers with their grants,
// and the Store interface. It knows nothing of HTTP, files or clusters, and all
// other packages depend on it.
//
// Start reading at [Service]. It has every operation of the APIs, and each of its
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

// A Service performs operations on a store's secrets if the caller's grants allow
// them, and writes the audit log.
type Service struct {
	store Store
	audit Recorder
	hooks Hooks
}

// Hooks watch the operations of a Service, for metrics and traces. Each may be nil.
type Hooks struct {
	// Attempted is called after each attempt. Denials that are answered as not found have
	// the outcome Denied, too.
	Attempted func(Action, Outcome)
	// Performing is called before the store performs an authorized operation, which gets
	// the returned context, and done after it.
	Performing func(context.Context, Action) (_ context.Context, done func(Outcome))
}

// NewService returns a service on the store that records to audit.
func NewService(store Store, audit Recorder) *Service { return &Service{store: store, audit: audit} }

// NewObservedService returns a service that calls the hooks.
func NewObservedService(store Store, audit Recorder, hooks Hooks) *Service {
	return &Service{store, audit, hooks}
}

// List returns the secrets of the owner that the caller may list, or ErrBusy if the
// caller's requests hold too much memory for that.
func (s *Service) List(ctx context.Context, caller Caller, owner Owner, page Page) ([]Info, error) {
	var infos []Info
	err := s.admit(ctx, caller, List, Ref{Owner: owner}, func(ctx context.Context, _ Op) (err error) {
		if infos, err = s.visible(ctx, caller, owner, page); err != nil {
			return err
		}
		return caller.Hold(sizeOfInfos(infos))
	})
	return answer(infos, err)
}

// visible lists page by page until the caller's page is full, because secrets that
// the caller may not list leave gaps.
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
		if caller.rightsDependOnName() { // otherwise admit has decided for all of them
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

// Owners returns the owners of a kind that have secrets, sorted by id, with the number of
// their secrets. It needs the right to list the secrets of all owners of the kind.
// Secrets that the caller may not list are not counted, and owners without other secrets
// are omitted.
func (s *Service) Owners(ctx context.Context, caller Caller, kind string) ([]OwnerInfo, error) {
	var owners []OwnerInfo
	err := s.admit(ctx, caller, List, Ref{Owner: Owner{kind, AnyID}}, func(ctx context.Context, _ Op) error {
		all, err := s.store.Owners(ctx, Page{})
		for _, o := range all {
			if o.Kind != kind || !caller.May(List, Ref{Owner: o.Owner}) {
				continue
			}
			if caller.rightsDependOnName() {
				infos, err := s.visible(ctx, caller, o.Owner, Page{})
				if err != nil {
					return err
				}
				o.Secrets = len(infos)
			}
			if o.Secrets > 0 {
				owners = append(owners, o)
			}
		}
		return err
	})
	return answer(owners, err)
}

// Head returns one secret without its values.
func (s *Service) Head(ctx context.Context, caller Caller, ref Ref) (Info, error) {
	var info Info
	err := s.admit(ctx, caller, List, ref, func(ctx context.Context, _ Op) (err error) {
		info, err = s.store.Head(ctx, ref)
		return err
	})
	return answer(info, err)
}

// Reveal returns a secret with its values, or ErrBusy if the caller's requests hold too
// much memory for that. After ErrBusy the audit log still counts the values as delivered.
func (s *Service) Reveal(ctx context.Context, caller Caller, ref Ref) (Info, map[string]Value, error) {
	var info Info
	var data map[string]Value
	err := s.admit(ctx, caller, Reveal, ref, func(ctx context.Context, op Op) (err error) {
		info, data, err = s.store.Reveal(ctx, op)
		return err
	})
	return caller.held(info, data, err)
}

// held returns a secret with its values, or ErrBusy if the caller's requests hold too much memory for them.
// With an error it returns only that.
func (c Caller) held(info Info, data map[string]Value, err error) (Info, map[string]Value, error) {
	if err == nil {
		err = c.Hold(sizeOfData(data))
	}
	if err != nil {
		return Info{}, nil, err
	}
	return info, data, nil
}

// Create adds a secret. Besides the store's errors it returns an InvalidError for an
// illegal name, data key or size.
func (s *Service) Create(ctx context.Context, caller Caller, ref Ref, draft Draft) (Info, error) {
	var info Info
	err := s.admit(ctx, caller, Create, ref, func(ctx context.Context, op Op) (err error) {
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

// Replace replaces the whole content of a secret.
func (s *Service) Replace(ctx context.Context, caller Caller, ref Ref, onlyIf Revision, change Change) (Info, error) {
	var info Info
	err := s.admit(ctx, caller, Write, ref, func(ctx context.Context, op Op) (err error) {
		if err := errors.Join(change.checkDescription(), checkData(change.Set, change.Keep...)); err != nil {
			return err
		}
		op.OnlyIf = onlyIf
		info, err = s.store.Replace(ctx, op, change)
		return err
	})
	return answer(info, err)
}

// putAttempts is the number of times that Put retries while other requests create
// and delete the secret.
const putAttempts = 100

// Put replaces the secret, which needs the right to write, or creates it if it does
// not exist, which also needs the right to create. Without a description an existing
// secret keeps its own. With a condition it only replaces. Each attempt is audited.
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

// Describe changes the name and description of a secret and keeps its values. A
// rename that would give the caller more rights on the secret is refused.
func (s *Service) Describe(ctx context.Context, caller Caller, ref Ref, onlyIf Revision, name, description string) (Info, error) {
	var info Info
	err := s.admitRename(ctx, caller, Write, ref, name, func(ctx context.Context, op Op) (err error) {
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
	return s.admit(ctx, caller, Delete, ref, func(ctx context.Context, op Op) error {
		op.OnlyIf = onlyIf
		return s.store.Delete(ctx, op)
	})
}

// Refuse audits an attempt with input that is invalid by the rules of the caller's API. It
// returns the InvalidError, or a denial for a caller without the right to the action.
func (s *Service) Refuse(ctx context.Context, caller Caller, action Action, ref Ref, invalid error) error {
	return s.admit(ctx, caller, action, ref, func(context.Context, Op) error { return invalid })
}

// admit authorizes, performs and audits every operation. Without an audit entry an
// operation does not happen or is not answered. The entry of a read without values
// follows within a second; every other entry is on disk before admit returns.
func (s *Service) admit(ctx context.Context, caller Caller, action Action, ref Ref, do func(context.Context, Op) error) error {
	return s.admitRename(ctx, caller, action, ref, ref.Name, do)
}

// admitRename is admit for an operation that may rename the secret. The intent has
// the new name too, so that after a crash during the rename the audit log shows where
// the values may be.
func (s *Service) admitRename(ctx context.Context, caller Caller, action Action, ref Ref, name string, do func(context.Context, Op) error) error {
	now := time.Now()
	op := Op{Ref: ref, Credential: caller.Credential, Event: &Event{
		Time: now.UTC(), Subject: caller.Subject, CredentialID: caller.CredentialID, From: caller.From, Request: caller.Request,
		Action: action, Ref: ref, Outcome: Unknown,
	}}
	// An illegal name may be a misplaced value.
	if CheckName(ref.Name) != nil {
		op.Event.Ref.Name = ""
	}
	if name != ref.Name && CheckName(name) == nil {
		op.Event.NewName = name
	}
	// Op.Check accepts an agent key without reads left, so one that writes back is looked up
	// again, too.
	if action.ShowsOnly() || action == Write && len(caller.WriteBack) > 0 {
		if err := caller.Confirm(); err != nil {
			return err
		}
	}
	if !caller.mayAt(now, action, ref) {
		s.observe(action, Denied)
		return s.record(ctx, *op.Event, caller.refusal(ref), Denied)
	}
	err := s.perform(ctx, op, s.watched(do))
	s.observe(action, OutcomeOf(err))
	return err
}

func (s *Service) observe(action Action, outcome Outcome) {
	if s.hooks.Attempted != nil {
		s.hooks.Attempted(action, outcome)
	}
}

// watched returns the operation with the hook around it.
func (s *Service) watched(do func(context.Context, Op) error) func(context.Context, Op) error {
	if s.hooks.Performing == nil {
		return do
	}
	return func(ctx context.Context, op Op) error {
		ctx, done := s.hooks.Performing(ctx, op.Event.Action)
		err := do(ctx, op)
		done(OutcomeOf(err))
		return err
	}
}

// perform performs and audits an authorized operation.
func (s *Service) perform(ctx context.Context, op Op, do func(context.Context, Op) error) error {
	if op.Event.Action.ShowsOnly() {
		err := do(ctx, op)
		if errors.Is(err, ErrNotFound) {
			return s.record(ctx, *op.Event, err, NotFound)
		}
		return s.note(op, err)
	}
	// From here on Op.Check and Op.Spend check the caller's credential again,
	// because it may have been revoked since the request began.
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
		err = do(ctx, op)
	}
	return s.finish(op, err)
}

// intend writes the audit entry before a store that does not write it itself performs
// the operation. A delivery is counted in the same transaction, and stays counted if
// the store fails.
func (s *Service) intend(ctx context.Context, op Op) error {
	err := s.audit.Record(ctx, *op.Event, op.Spend)
	if errors.Is(err, ErrForbidden) {
		return s.record(ctx, *op.Event, err, Denied)
	}
	return unrecorded(err)
}

// finish audits the outcome after the intent. If the credential was revoked while the
// store read the values, they are not delivered.
func (s *Service) finish(op Op, err error) error {
	if err == nil && op.Event.Action == Reveal {
		err = op.Check()
	}
	return s.note(op, err)
}

// doRecorded performs the operation on a Recording store, which checks the credential
// and writes the audit entry in the same transaction. An operation that ended before
// it reached the store is audited here.
func (s *Service) doRecorded(ctx context.Context, op Op, do func(context.Context, Op) error) error {
	err := do(ctx, op)
	if op.Event.Outcome == Unknown {
		return s.record(ctx, *op.Event, err, OutcomeOf(err))
	}
	return err
}

// doMeanwhile lets an Awaiting store begin while the intent is being written.
func (s *Service) doMeanwhile(ctx context.Context, op Op, do func(context.Context, Op) error) error {
	intent, recorded := op, make(chan struct{})
	failed := ErrUnavailable // if record panics
	op.Recorded = func() error {
		<-recorded
		return firstOf(failed, op.Check())
	}
	done := inBackground(func() error { return do(ctx, op) })
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

// inBackground runs fn in a goroutine and returns a function that waits for its
// result. A panic becomes an error with its location, without its argument, which
// could hold a value.
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

// note audits the outcome after the intent without waiting for the disk a second time. If
// that entry is lost, the outcome stays unknown. It returns err, or the reason why the
// outcome cannot be audited.
func (s *Service) note(op Op, err error) error {
	op.Event.Outcome = OutcomeOf(err)
	return firstOf(unrecorded(s.audit.Note(*op.Event)), err)
}

// record writes the audit entry and returns err, or the reason why it could not write.
// The entry of a refusal is written even if the client has disconnected.
//
// Any caller can cause ErrNotFound at no cost, so its entries must use little disk space.
// Entries for hidden and for missing secrets are written in the same way, so that neither
// timing nor a full disk distinguishes them.
func (s *Service) record(ctx context.Context, event Event, err error, outcome Outcome) error {
	event.Outcome, event.Missing = outcome, errors.Is(err, ErrNotFound)
	if outcome != Unknown {
		ctx = context.WithoutCancel(ctx)
	}
	if event.Missing && event.Action.ShowsOnly() {
		return firstOf(unrecorded(s.audit.Note(event)), err)
	}
	failed := s.audit.Record(ctx, event)
	if event.Missing && errors.Is(failed, ErrFull) {
		failed = s.audit.Note(event)
	}
	return firstOf(unrecorded(failed), err)
}

// answer drops the result if there is an error: the store may have succeeded before
// its audit entry failed.
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
