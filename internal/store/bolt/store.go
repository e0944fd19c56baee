// Package bolt keeps secrets in a named part of the state file, sealed.
//
// Nothing in the file says whose a secret is or what it is called: rows are
// found by MACs of both, and hold sealed texts that open in their own place
// only. See record.go for the format.
package bolt

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// MaxSecrets bounds how many secrets an owner may have: a list of all of them
// has to be sorted.
const MaxSecrets = 10_000

// A Recorder puts events on record in a transaction.
type Recorder interface {
	Append(tx *state.Tx, e secret.Event) error
}

// A Store keeps secrets in a part of the state file. It is safe for concurrent
// use.
type Store struct {
	file  *state.File
	ring  *seal.Ring
	audit Recorder

	name    string // of the part
	secrets string // bucket: rows of owners and of secrets
	values  string // bucket: values
	infos   *infoCache
}

var _ secret.Recording = (*Store)(nil)

// Open returns the store that is the part of the file with this name. Records
// are sealed with the ring, and what is done to them goes to audit in the same
// transaction.
func Open(file *state.File, name string, ring *seal.Ring, audit Recorder) *Store {
	return &Store{
		file: file, ring: ring, audit: audit, name: name,
		secrets: "store/" + name + "/secrets", values: "store/" + name + "/values",
		infos: newInfoCache(),
	}
}

// RecordsEvents implements [secret.Recording].
func (s *Store) RecordsEvents() {}

// List implements [secret.Store].
func (s *Store) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var infos []secret.Info
	err := s.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(s.secrets)
		ownerKey := s.ownerKey(owner)
		for key, value := range rows.Prefix(ownerKey[:]) {
			if len(key) == len(ownerKey) {
				continue // the owner's own row
			}
			r, err := s.openRecord(tx, owner, rowKey(key), value)
			if err != nil {
				return err
			}
			if r.info.Name > page.After {
				infos = append(infos, r.info)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(infos, func(a, b secret.Info) int { return strings.Compare(a.Name, b.Name) })
	if page.Limit > 0 && len(infos) > page.Limit {
		infos = infos[:page.Limit]
	}
	return infos, nil
}

// Head implements [secret.Store].
func (s *Store) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return secret.Info{}, err
	}
	var r record
	err := s.file.View(func(tx *state.Tx) (err error) {
		r, err = s.find(tx, ref)
		return err
	})
	return r.info, err
}

// Reveal implements [secret.Store]. The values are read in the transaction
// that puts the reading on record.
func (s *Store) Reveal(ctx context.Context, op secret.Op) (secret.Info, map[string]secret.Value, error) {
	var r record
	var data map[string]secret.Value
	err := s.change(ctx, op, func(tx *state.Tx) (err error) {
		if r, err = s.findAt(tx, op); err != nil {
			return err
		}
		data, err = s.openValues(tx, r)
		return err
	})
	if err != nil {
		return secret.Info{}, nil, err
	}
	return r.info, data, nil
}

// Create implements [secret.Store]. An owner with MaxSecrets gets an
// InvalidError.
func (s *Store) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	var r record
	err := s.change(ctx, op, func(tx *state.Tx) error {
		key := s.rowKey(op.Ref)
		rows := tx.Bucket(s.secrets)
		if rows.Get(key[:]) != nil {
			return secret.ErrExists
		}
		if err := s.count(&rows, op.Ref.Owner, +1); err != nil {
			return err
		}
		r = newRecord(op.Ref, draft, time.Now().UTC())
		return errors.Join(s.putValues(tx, r, draft.Data), s.put(&rows, r))
	})
	return r.answer(err)
}

// Replace implements [secret.Store].
func (s *Store) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	var r record
	err := s.change(ctx, op, func(tx *state.Tx) error {
		old, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		data, err := s.merged(tx, old, change)
		if err != nil {
			return err
		}
		r = old.next(time.Now().UTC())
		r.valuesAt = r.version
		r.info.Keys = keysOf(data)
		rows := tx.Bucket(s.secrets)
		return errors.Join(s.dropValues(tx, old), s.putValues(tx, r, data), s.put(&rows, r))
	})
	return r.answer(err)
}

// Describe implements [secret.Store]. The values stay where they are.
func (s *Store) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	var r record
	err := s.change(ctx, op, func(tx *state.Tx) error {
		old, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		rows := tx.Bucket(s.secrets)
		oldKey, newKey := s.rowKey(op.Ref), s.rowKey(secret.Ref{Owner: op.Ref.Owner, Name: name})
		if newKey != oldKey && rows.Get(newKey[:]) != nil {
			return secret.ErrExists
		}
		r = old.next(time.Now().UTC())
		r.info.Name, r.info.Description = name, description
		return errors.Join(rows.Delete(oldKey[:]), s.put(&rows, r))
	})
	return r.answer(err)
}

// Delete implements [secret.Store].
func (s *Store) Delete(ctx context.Context, op secret.Op) error {
	return s.change(ctx, op, func(tx *state.Tx) error {
		old, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		rows := tx.Bucket(s.secrets)
		key := s.rowKey(op.Ref)
		return errors.Join(rows.Delete(key[:]), s.dropValues(tx, old), s.count(&rows, op.Ref.Owner, -1))
	})
}

// Owners implements [secret.Store].
func (s *Store) Owners(ctx context.Context, page secret.Page) ([]secret.Owner, error) {
	var owners []secret.Owner
	err := s.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(s.secrets)
		for key, value := range rows.From([]byte{0}) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(key) != seal.MACBytes {
				continue
			}
			o, err := s.openOwner(key, value)
			if err != nil {
				return err
			}
			if o.owner.String() > page.After {
				owners = append(owners, o.owner)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(owners, func(a, b secret.Owner) int { return strings.Compare(a.String(), b.String()) })
	if page.Limit > 0 && len(owners) > page.Limit {
		owners = owners[:page.Limit]
	}
	return owners, nil
}

// Check implements [secret.Store].
func (s *Store) Check(context.Context) error {
	select {
	case <-s.file.Broken():
		return state.ErrBroken
	default:
		return s.file.View(func(*state.Tx) error { return nil })
	}
}

// Close implements [secret.Store]. The state file, which others use too, stays
// open.
func (s *Store) Close() error { return nil }

// change runs fn in a transaction together with the record of its outcome. A
// refusal is recorded as well, so fn must not have written when it returns one.
func (s *Store) change(ctx context.Context, op secret.Op, fn func(*state.Tx) error) error {
	var refusal error
	var recorded secret.Outcome
	err := s.file.Update(ctx, func(tx *state.Tx) error {
		refusal, recorded = fn(tx), secret.Unknown
		outcome := secret.OutcomeOf(refusal)
		if outcome == secret.Failed || op.Event == nil {
			return refusal
		}
		e := *op.Event
		e.Outcome, recorded = outcome, outcome
		return s.audit.Append(tx, e)
	})
	if err != nil {
		return err
	}
	if op.Event != nil {
		op.Event.Outcome = recorded
	}
	return refusal
}
