package secret

import (
	"context"
	"errors"
	"slices"
)

// The actions of administrators, as the audit log names them. A grant allows all of
// them with the action admin, and no other action implies that.
const (
	Admin    Action = "admin"
	History  Action = "history" // versions and deleted secrets, without values
	Import   Action = "import"  // of a secret from another system
	Migrate  Action = "migrate" // from one store to another
	Restore  Action = "restore"
	Undelete Action = "undelete"
	Destroy  Action = "destroy"
	Erase    Action = "erase"
)

// asGranted returns the action that a grant must name to allow this one.
func (a Action) asGranted() Action {
	switch a {
	case History, Import, Migrate, Restore, Undelete, Destroy, Erase:
		return Admin
	}
	return a
}

// ShowsOnly reports whether the action changes nothing and shows no value. The audit
// entry of such an action follows within a second instead of coming first.
func (a Action) ShowsOnly() bool { return a == List || a == History }

// ErrNoHistory means that the store keeps no versions and no deleted secrets.
var ErrNoHistory = errors.New("not kept by this store")

// Import creates a secret that was kept elsewhere. If the name is taken it returns
// ErrExists and changes nothing.
func (s *Service) Import(ctx context.Context, caller Caller, ref Ref, draft Draft) (info Info, err error) {
	err = s.admit(ctx, caller, Import, ref, func(ctx context.Context, op Op) (err error) {
		info, err = s.create(ctx, op, draft)
		return err
	})
	return answer(info, err)
}

// Versions returns the versions of a secret, newest first.
func (s *Service) Versions(ctx context.Context, caller Caller, ref Ref) (versions []Info, err error) {
	err = s.admitHistory(ctx, caller, History, ref, func(h Historian, _ Op) (err error) {
		versions, err = h.Versions(ctx, ref)
		return err
	})
	return answer(versions, err)
}

// RevealVersion returns the values that a secret had at a revision. It is a reveal.
func (s *Service) RevealVersion(ctx context.Context, caller Caller, ref Ref, revision Revision) (data map[string]Value, err error) {
	err = s.admitHistory(ctx, caller, Reveal, ref, func(h Historian, op Op) (err error) {
		data, err = h.RevealVersion(ctx, op, revision)
		return err
	})
	_, data, err = caller.held(Info{}, data, err)
	return data, err
}

// RevealNumber returns the secret with the values of the version with that number, which
// an [Info] has as VersionNumber. Any version but the current one also needs the right to
// administer. ErrNotFound also stands for a version that is not kept.
func (s *Service) RevealNumber(ctx context.Context, caller Caller, ref Ref, number uint64) (Info, map[string]Value, error) {
	var info Info
	var data map[string]Value
	err := s.admit(ctx, caller, Reveal, ref, func(ctx context.Context, op Op) (err error) {
		if err := caller.Confirm(); err != nil { // the current version decides what is needed
			return err
		}
		if info, err = s.store.Head(ctx, ref); err != nil {
			return err
		}
		if number == info.VersionNumber() {
			info, data, err = s.revealAt(ctx, op, info)
			return err
		}
		if !caller.May(History, ref) {
			return ErrForbidden
		}
		info, data, err = s.revealEarlier(ctx, op, number)
		return err
	})
	return caller.held(info, data, err)
}

// revealAt reveals the secret as it was a moment ago, if the store can still tell.
func (s *Service) revealAt(ctx context.Context, op Op, info Info) (Info, map[string]Value, error) {
	h, ok := s.store.(Historian)
	if !ok {
		return s.store.Reveal(ctx, op)
	}
	data, err := h.RevealVersion(ctx, op, info.Revision)
	return info, data, err
}

func (s *Service) revealEarlier(ctx context.Context, op Op, number uint64) (Info, map[string]Value, error) {
	h, ok := s.store.(Historian)
	if !ok {
		return Info{}, nil, ErrNotFound
	}
	versions, err := h.Versions(ctx, op.Ref)
	if err != nil {
		return Info{}, nil, err
	}
	i := slices.IndexFunc(versions, func(v Info) bool { return v.VersionNumber() == number })
	if i < 0 {
		return Info{}, nil, ErrNotFound
	}
	return s.revealAt(ctx, op, versions[i])
}

// Deleted returns the deleted secrets of an owner, newest first.
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

// Undelete restores a deleted secret of this name: the one with the given revision,
// or without a revision the last.
func (s *Service) Undelete(ctx context.Context, caller Caller, ref Ref, revision Revision) (info Info, err error) {
	err = s.admitHistory(ctx, caller, Undelete, ref, func(h Historian, op Op) (err error) {
		info, err = h.Undelete(ctx, op, revision)
		return err
	})
	return answer(info, err)
}

// Destroy removes a secret for good, with all deleted secrets of its name.
func (s *Service) Destroy(ctx context.Context, caller Caller, ref Ref) error {
	return s.admitHistory(ctx, caller, Destroy, ref, func(h Historian, op Op) error {
		return h.Destroy(ctx, op)
	})
}

// Erase removes all secrets of an owner for good, deleted ones included.
func (s *Service) Erase(ctx context.Context, caller Caller, owner Owner) error {
	whole := Ref{Owner: owner}
	return s.admitHistory(ctx, caller, Erase, whole, func(h Historian, op Op) error {
		return h.Erase(ctx, op)
	})
}

func (s *Service) admitHistory(ctx context.Context, caller Caller, action Action, ref Ref, do func(Historian, Op) error) error {
	return s.admit(ctx, caller, action, ref, func(ctx context.Context, op Op) error {
		h, ok := s.store.(Historian)
		if !ok {
			return ErrNoHistory
		}
		return do(h, op)
	})
}

// Administrator returns the caller for the administration socket or the state file.
// Access to either allows every action except reveal.
func Administrator(subject string) Caller {
	actions := []Action{Admin, List, Delete}
	return Caller{Subject: subject, Grants: []Grant{
		{Actions: actions, Owner: Owner{KindUser, AnyID}},
		{Actions: actions, Owner: Owner{KindApp, AnyID}},
	}}
}
