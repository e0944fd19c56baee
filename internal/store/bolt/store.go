// Package bolt stores secrets, sealed, in a named part of the state file.
//
// The file reveals neither owners nor names: row keys are MACs of both, and each sealed
// text opens only in its own place. record.go has the format, and past.go the handling of
// earlier versions and deleted secrets.
package bolt

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// MaxSecrets limits the secrets of an owner, because a list has to sort all of them.
const MaxSecrets = 10_000

// A Recorder adds events to the audit log in a transaction.
type Recorder interface {
	Append(tx *state.Tx, e secret.Event) error
}

// A Store stores secrets in a part of the state file. It is safe for concurrent use.
type Store struct {
	file  *state.File
	ring  *seal.Ring
	audit Recorder

	opts    Options
	name    string // of the part
	secrets string // bucket: owners and secrets
	past    string // bucket: values, and earlier versions
	deleted string // bucket: deleted secrets
	infos   *infoCache
	views   *views
	reading chan struct{} // holds one element for each list that is being read
}

// Options limit the history that the store keeps.
type Options struct {
	// Versions is the number of earlier versions kept of each secret.
	Versions int
	// DeletedFor is how long a deleted secret can be undeleted.
	DeletedFor time.Duration
	// PastBytes limits the earlier versions and deleted secrets of an owner, in bytes.
	// The oldest are dropped first.
	PastBytes int64
}

var (
	_ secret.Recording = (*Store)(nil)
	_ secret.Historian = (*Store)(nil)
)

// Open returns the store in the part of the file with this name. Records are sealed with
// the ring. Operations are recorded in audit in the same transaction.
func Open(file *state.File, name string, ring *seal.Ring, audit Recorder, opts Options) *Store {
	part := "store/" + name + "/"
	s := &Store{
		file: file, ring: ring, audit: audit, opts: opts, name: name,
		secrets: part + "secrets", past: part + "past", deleted: part + "deleted",
		infos: newInfoCache(), views: newViews(), reading: make(chan struct{}, listsRead),
	}
	file.Watch(s.secrets, s.views.follow)
	return s
}

// RecordsEvents implements [secret.Recording].
func (s *Store) RecordsEvents() {}

// List implements [secret.Store].
func (s *Store) List(ctx context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if infos, ok := s.views.list(owner, page); ok {
		return infos, nil
	}
	s.reading <- struct{}{}
	defer func() { <-s.reading }()
	if infos, ok := s.views.list(owner, page); ok { // another request has read it meanwhile
		return infos, nil
	}
	now := s.views.now()
	all, err := s.readAll(owner)
	if err != nil {
		return nil, err
	}
	s.views.keepList(now, s.ownerKey(owner), owner, all)
	return slices.Clone(cut(all, page)), nil
}

// readAll returns the owner's secrets, sorted by name.
func (s *Store) readAll(owner secret.Owner) ([]secret.Info, error) {
	all := []secret.Info{}
	err := s.file.View(func(tx *state.Tx) error {
		rows := tx.Bucket(s.secrets)
		ownerKey := s.ownerKey(owner)
		for key, stored := range rows.Prefix(ownerKey[:]) {
			if len(key) == len(ownerKey) {
				continue // the owner's own row
			}
			if len(key) != rowKeyBytes {
				return errDamaged
			}
			r, err := s.openLive(tx, owner, rowKey(key), stored)
			if err != nil {
				return err
			}
			all = append(all, r.info)
		}
		return nil
	})
	slices.SortFunc(all, func(a, b secret.Info) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Head implements [secret.Store].
func (s *Store) Head(ctx context.Context, ref secret.Ref) (secret.Info, error) {
	if err := ctx.Err(); err != nil {
		return secret.Info{}, err
	}
	if info, ok := s.views.head(ref); ok {
		return info, nil
	}
	now := s.views.now()
	var r record
	err := s.file.View(func(tx *state.Tx) (err error) {
		r, err = s.find(tx, ref)
		return err
	})
	if err != nil {
		return secret.Info{}, err
	}
	s.views.keepHead(now, ownerKey(r.key.owner()), r.info)
	return r.info, nil
}

// Reveal implements [secret.Store]. It reads the values in the transaction that records
// the read. On a full disk it uses the reserve.
func (s *Store) Reveal(ctx context.Context, op secret.Op) (secret.Info, map[string]secret.Value, error) {
	var r record
	var data map[string]secret.Value
	err := s.change(ctx, s.file.UpdateReserved, op, func(tx *state.Tx) (err error) {
		if r, err = s.findAt(tx, op); err != nil {
			return err
		}
		data, err = s.openValues(tx, r)
		return err
	})
	if err != nil {
		return secret.Info{}, nil, err
	}
	s.keep(r)
	return r.info, data, nil
}

// Create implements [secret.Store]. The error is an InvalidError if the owner has
// MaxSecrets or MaxListBytes already.
func (s *Store) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	var r record
	err := s.write(ctx, op, func(tx *state.Tx) error {
		key := s.rowKey(op.Ref)
		if s.exists(tx, key) {
			return secret.ErrExists
		}
		o := s.owner(tx, op.Ref.Owner)
		if o.count >= MaxSecrets {
			return errTooMany
		}
		o.count++
		r = newRecord(key, op, draft)
		if err := s.checkRoom(tx, nil, r); err != nil {
			return err
		}
		return errors.Join(s.putValues(tx, r, draft.Data), s.put(tx, r), s.putOwner(tx, o))
	})
	return s.answer(r, err)
}

var errTooMany = &secret.InvalidError{Field: "name", Reason: "is one too many: 10000 secrets are there already"}

func (s *Store) exists(tx *state.Tx, key rowKey) bool {
	rows := tx.Bucket(s.secrets)
	return rows.Get(key[:]) != nil
}

// Replace implements [secret.Store].
func (s *Store) Replace(ctx context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	var r record
	err := s.write(ctx, op, func(tx *state.Tx) error {
		old, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		data, err := s.merged(tx, old, change)
		if err != nil {
			return err
		}
		r = old.next(op)
		r.valuesAt = r.version
		r.info.Keys = keysOf(data)
		if change.Description != nil {
			r.info.Description = *change.Description
		}
		if err := s.checkRoom(tx, &old, r); err != nil {
			return err
		}
		return errors.Join(s.putValues(tx, r, data), s.succeed(tx, old, &r))
	})
	return s.answer(r, err)
}

// Describe implements [secret.Store]. The values are not rewritten.
func (s *Store) Describe(ctx context.Context, op secret.Op, name, description string) (secret.Info, error) {
	var r record
	err := s.write(ctx, op, func(tx *state.Tx) error {
		old, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		r = old.next(op)
		r.info.Description = description
		if name != old.info.Name {
			r.info.Name = name
			r.info.ObjectName = objectname.Of(r.info.Ref)
			r.key = s.rowKey(r.info.Ref)
			if s.exists(tx, r.key) {
				return secret.ErrExists
			}
		}
		if err := s.checkRoom(tx, &old, r); err != nil {
			return err
		}
		return s.succeed(tx, old, &r)
	})
	return s.answer(r, err)
}

// succeed replaces the version old of the record with next, which gets its versions.
func (s *Store) succeed(tx *state.Tx, old record, next *record) error {
	o := s.ownerAt(tx, old.info.Owner, old.key.owner())
	if err := s.shelve(tx, &o, old, next); err != nil {
		return err
	}
	if err := errors.Join(s.put(tx, *next), s.putOwner(tx, o)); err != nil || next.key == old.key {
		return err
	}
	rows := tx.Bucket(s.secrets)
	return errors.Join(s.remove(tx, old), s.resealMoved(tx, next.key, bytes.Clone(rows.Get(next.key[:]))))
}

func (s *Store) remove(tx *state.Tx, r record) error {
	rows := tx.Bucket(s.secrets)
	return rows.Delete(r.key[:])
}

// Delete implements [secret.Store]. Undelete can restore the secret while it is in the
// past.
func (s *Store) Delete(ctx context.Context, op secret.Op) error {
	return s.write(ctx, op, func(tx *state.Tx) error {
		r, err := s.findAt(tx, op)
		if err != nil {
			return err
		}
		o := s.owner(tx, op.Ref.Owner)
		o.count--
		if err := s.bury(tx, &o, r, time.Now()); err != nil {
			return err
		}
		return s.putOwner(tx, o)
	})
}

// Owners implements [secret.Store].
func (s *Store) Owners(ctx context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	count := map[secret.Owner]int{}
	err := s.file.View(func(tx *state.Tx) error {
		for key, value := range eachOwner(tx.Bucket(s.secrets)) {
			if err := ctx.Err(); err != nil {
				return err
			}
			o, err := s.openOwner(key, value)
			if err != nil {
				return err
			}
			if o.count > 0 {
				count[o.owner] = o.count
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return secret.PageOfOwners(count, page), nil
}

// Check implements [secret.Store].
func (s *Store) Check(context.Context) error {
	select {
	case <-s.file.Broken():
		return s.file.Err()
	default:
		return s.file.View(func(*state.Tx) error { return nil })
	}
}

// Close implements [secret.Store]. It does not close the state file, which is shared.
func (s *Store) Close() error { return nil }

// write runs a change of the owner's secrets.
func (s *Store) write(ctx context.Context, op secret.Op, fn func(*state.Tx) error) error {
	s.views.begin(op.Ref.Owner)
	defer s.views.end(op.Ref.Owner)
	return s.change(ctx, s.file.Update, op, fn)
}

// An update is an update method of the state file.
type update func(context.Context, func(*state.Tx) error) error

// change runs fn and records its outcome in the same transaction. A rejection is recorded
// as well, so fn must not write before it returns one.
func (s *Store) change(ctx context.Context, update update, op secret.Op, fn func(*state.Tx) error) error {
	var refusal error
	var recorded secret.Outcome
	err := update(ctx, func(tx *state.Tx) error {
		refusal, recorded = attempt(tx, op, fn), secret.Unknown
		outcome := secret.OutcomeOf(refusal)
		if outcome == secret.Failed || op.Event == nil {
			return refusal
		}
		if outcome == secret.NotFound {
			if err := tx.GiveUpReserve(); err != nil {
				return err
			}
		}
		e := *op.Event
		e.Outcome, recorded = outcome, outcome
		return s.audit.Append(tx, e)
	})
	if errors.Is(err, secret.ErrFull) && errors.Is(refusal, secret.ErrNotFound) {
		return refusal // a rejection can be recorded without the disk
	}
	if err != nil {
		return err
	}
	if op.Event != nil {
		op.Event.Outcome = recorded
	}
	return refusal
}

// attempt checks the caller's credential before fn and counts a read after it. A
// credential that was revoked meanwhile changes nothing.
func attempt(tx *state.Tx, op secret.Op, fn func(*state.Tx) error) error {
	if err := op.Check(); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	return op.Spend(tx)
}
