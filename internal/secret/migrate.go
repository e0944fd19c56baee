package secret

import (
	"context"
	"errors"
	"maps"
)

// ErrSamePlace means that two stores are the same one under two names: what is
// deleted in one is gone from the other.
var ErrSamePlace = errors.New("both stores keep the secret in the same place")

// errCopyDiffers is a store that has not kept what it was given.
var errCopyDiffers = errors.New("what is stored is not what was copied")

// A Copy is what became of a secret that was copied.
type Copy struct {
	From Info // as it was when it was copied
	New  bool // it was not there before
}

// CopyTo gives another service's store the secret with its values, description
// and time of creation, and has a look at what is there then. One that is there
// already with the same values and description is a copy made before; any other
// is ErrExists and stays as it is. What a secret has been is not copied.
func (s *Service) CopyTo(ctx context.Context, caller Caller, ref Ref, to *Service) (c Copy, err error) {
	err = s.admit(ctx, caller, Migrate, ref, func(op Op) error {
		from, data, err := s.store.Reveal(ctx, op)
		if err != nil {
			return err
		}
		c.From = from
		c.New, err = to.place(ctx, caller, from, data)
		return err
	})
	return answer(c, err)
}

// place is the other end of CopyTo.
func (s *Service) place(ctx context.Context, caller Caller, from Info, data map[string]Value) (isNew bool, err error) {
	err = s.admit(ctx, caller, Migrate, from.Ref, func(op Op) error {
		draft := Draft{Description: from.Description, Data: data, Created: from.Created}
		_, created := s.store.Create(ctx, op, draft)
		if created != nil && !errors.Is(created, ErrExists) {
			return created
		}
		isNew = created == nil
		there, values, err := s.store.Reveal(ctx, Op{Ref: from.Ref})
		switch {
		case err != nil:
			return err
		case there.Revision == from.Revision && there.Updated.Equal(from.Updated):
			return ErrSamePlace
		case there.Description == from.Description && maps.Equal(values, data):
			return nil
		case isNew:
			return errCopyDiffers
		}
		return ErrExists
	})
	return isNew, err
}
