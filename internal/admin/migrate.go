package admin

import (
	"context"
	"errors"

	"github.com/strongroom/strongroom/internal/secret"
)

// A Migration counts the outcomes of a migration.
type Migration struct {
	Copied  int
	Present int // copied by an earlier run
	Deleted int // from the source
	Left    []Left
}

// Left is a secret that was not copied, or not deleted from the source, and the reason.
type Left struct {
	Ref secret.Ref
	Why error
}

// ownersAtOnce limits the owners in memory.
const ownersAtOnce = 100

// Migrate copies all secrets of one store to another. If deleteSource is set, it deletes
// each secret from the source once it has been copied, unless it was changed since. It
// continues after a secret that cannot be copied. It can be run again after any failure.
func (s *Service) Migrate(ctx context.Context, caller secret.Caller, from, to string, deleteSource bool) (*Migration, error) {
	source, err := s.store(from)
	if err != nil {
		return nil, err
	}
	target, err := s.store(to)
	if err != nil {
		return nil, err
	}
	if from == to {
		return nil, &secret.InvalidError{Field: "to", Reason: "must be another store"}
	}
	m := &mover{caller: caller, from: secret.NewService(source, s.Audit), to: secret.NewService(target, s.Audit), deletes: deleteSource}
	for page := (secret.Page{Limit: ownersAtOnce}); ; {
		owners, err := source.Owners(ctx, page)
		if err != nil || len(owners) == 0 {
			return &m.Migration, err
		}
		for _, owner := range owners {
			if err := m.moveAll(ctx, owner.Owner); err != nil {
				return nil, err
			}
		}
		page.After = owners[len(owners)-1].Owner.String()
	}
}

// A mover copies secrets from one service to another.
type mover struct {
	caller   secret.Caller
	from, to *secret.Service
	deletes  bool
	Migration
}

func (m *mover) moveAll(ctx context.Context, owner secret.Owner) error {
	infos, err := m.from.List(ctx, m.caller, owner, secret.Page{})
	if err != nil {
		return err
	}
	for _, info := range infos {
		if err := m.move(ctx, info.Ref); err != nil {
			return err
		}
	}
	return nil
}

func (m *mover) move(ctx context.Context, ref secret.Ref) error {
	c, err := m.from.CopyTo(ctx, m.caller, ref, m.to)
	if err == nil {
		if c.New {
			m.Copied++
		} else {
			m.Present++
		}
		if m.deletes {
			err = m.delete(ctx, c.From)
		}
	}
	_, invalid := errors.AsType[*secret.InvalidError](err)
	switch {
	case errors.Is(err, secret.ErrNotFound): // deleted in the meantime
		return nil
	case invalid, errors.Is(err, secret.ErrExists), errors.Is(err, secret.ErrChanged):
		m.Left = append(m.Left, Left{ref, err})
		return nil
	}
	return err
}

func (m *mover) delete(ctx context.Context, was secret.Info) error {
	err := m.from.Delete(ctx, m.caller, was.Ref, was.Revision)
	if err == nil {
		m.Deleted++
	}
	return err
}
