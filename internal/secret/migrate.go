package secret

import (
	"context"
	"errors"
	"maps"
)

// ErrSamePlace means that two stores are one store under two names: a deletion in
// one deletes from the other.
var ErrSamePlace = errors.New("both stores keep the secret in the same place")

// errCopyDiffers means that the store did not keep the copied content.
var errCopyDiffers = errors.New("the stored content differs from the copied content")

// A Copy is the result of copying a secret.
type Copy struct {
	From Info // the source at the time of the copy
	New  bool // it did not exist before
}

// CopyTo copies the secret's values, description and creation time to another
// service's store and compares the result. An existing secret with the same values
// and description counts as an earlier copy; any other is left alone and returns
// ErrExists. Earlier versions are not copied.
func (s *Service) CopyTo(ctx context.Context, caller Caller, ref Ref, to *Service) (c Copy, err error) {
	err = s.admit(ctx, caller, Migrate, ref, func(ctx context.Context, op Op) error {
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
	err = s.admit(ctx, caller, Migrate, from.Ref, func(ctx context.Context, op Op) error {
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
