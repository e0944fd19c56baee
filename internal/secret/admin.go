package secret

import (
	"context"
	"errors"
)

// What only administrators do, as the audit log names it. A grant allows all
// of it with the action admin, and nothing else implies that.
const (
	Admin    Action = "admin"
	History  Action = "history" // versions and deleted secrets, without values
	Import   Action = "import"  // a secret from elsewhere
	Migrate  Action = "migrate" // from one store to another
	Restore  Action = "restore"
	Undelete Action = "undelete"
	Destroy  Action = "destroy"
	Erase    Action = "erase"
)

// asGranted is the action that a grant names for this one.
func (a Action) asGranted() Action {
	switch a {
	case History, Import, Migrate, Restore, Undelete, Destroy, Erase:
		return Admin
	}
	return a
}

// showsOnly reports whether the action changes nothing and shows no value, so
// that it goes on record within a second rather than at once.
func (a Action) showsOnly() bool { return a == List || a == History }

// ErrNoHistory means that the store does not remember what was.
var ErrNoHistory = errors.New("not kept by this store")

// Import makes a secret of what was kept elsewhere. It returns ErrExists, and
// changes nothing, if the name is taken.
func (s *Service) Import(ctx context.Context, caller Caller, ref Ref, draft Draft) (info Info, err error) {
	err = s.admit(ctx, caller, Import, ref, func(op Op) (err error) {
		info, err = s.create(ctx, op, draft)
		return err
	})
	return answer(info, err)
}

// Versions returns what a secret has been, newest first.
func (s *Service) Versions(ctx context.Context, caller Caller, ref Ref) (versions []Info, err error) {
	err = s.admitHistory(ctx, caller, History, ref, func(h Historian, _ Op) (err error) {
		versions, err = h.Versions(ctx, ref)
		return err
	})
	return answer(versions, err)
}

// Deleted returns what an owner has deleted, newest first.
func (s *Service) Deleted(ctx context.Context, caller Caller, owner Owner) (deleted []Deleted, err error) {
	err = s.admitHistory(ctx, caller, History, Ref{Owner: owner}, func(h Historian, _ Op) (err error) {
		deleted, err = h.Deleted(ctx, owner)
		return err
	})
	return answer(deleted, err)
}

// Restore gives a secret the content of an earlier revision.
func (s *Service) Restore(ctx context.Context, caller Caller, ref Ref, revision Revision) (info Info, err error) {
	err = s.admitHistory(ctx, caller, Restore, ref, func(h Historian, op Op) (err error) {
		info, err = h.Restore(ctx, op, revision)
		return err
	})
	return answer(info, err)
}

// Undelete puts back what was deleted under the name: at that revision, or with
// none the last.
func (s *Service) Undelete(ctx context.Context, caller Caller, ref Ref, revision Revision) (info Info, err error) {
	err = s.admitHistory(ctx, caller, Undelete, ref, func(h Historian, op Op) (err error) {
		info, err = h.Undelete(ctx, op, revision)
		return err
	})
	return answer(info, err)
}

// Destroy removes a secret for good, with all that was deleted under its name.
func (s *Service) Destroy(ctx context.Context, caller Caller, ref Ref) error {
	return s.admitHistory(ctx, caller, Destroy, ref, func(h Historian, op Op) error {
		return h.Destroy(ctx, op)
	})
}

// Erase removes all that an owner has and had, for good.
func (s *Service) Erase(ctx context.Context, caller Caller, owner Owner) error {
	whole := Ref{Owner: owner}
	return s.admitHistory(ctx, caller, Erase, whole, func(h Historian, op Op) error {
		return h.Erase(ctx, op)
	})
}

func (s *Service) admitHistory(ctx context.Context, caller Caller, action Action, ref Ref, do func(Historian, Op) error) error {
	return s.admit(ctx, caller, action, ref, func(op Op) error {
		h, ok := s.store.(Historian)
		if !ok {
			return ErrNoHistory
		}
		return do(h, op)
	})
}

// Administrator is who administers the server by its socket, or the state file
// itself: whoever may open either may do everything with secrets but see them.
func Administrator(subject string) Caller {
	actions := []Action{Admin, List, Delete}
	return Caller{Subject: subject, Grants: []Grant{
		{Actions: actions, Owner: Owner{KindUser, AnyID}},
		{Actions: actions, Owner: Owner{KindApp, AnyID}},
	}}
}
