// Package memory keeps secrets in a map, for tests. It keeps every promise of
// [secret.Store] except durability.
package memory

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
)

// A Store keeps secrets until the process ends. It is safe for concurrent use. No
// method blocks, so all ignore their context.
type Store struct {
	mu      sync.Mutex
	entries map[secret.Ref]entry
	writes  uint64 // one per change, so that revisions never repeat
}

// An entry in the map is immutable; a change replaces it.
type entry struct {
	info secret.Info
	data map[string]secret.Value
}

var _ secret.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store { return &Store{entries: map[secret.Ref]entry{}} }

func (s *Store) List(_ context.Context, owner secret.Owner, page secret.Page) ([]secret.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var infos []secret.Info
	for ref, e := range s.entries {
		if ref.Owner == owner {
			infos = append(infos, e.info)
		}
	}
	return secret.PageOf(infos, page, func(i secret.Info) string { return i.Name }), nil
}

func (s *Store) Owners(_ context.Context, page secret.Page) ([]secret.OwnerInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[secret.Owner]int{}
	for ref := range s.entries {
		count[ref.Owner]++
	}
	return secret.PageOfOwners(count, page), nil
}

func (s *Store) Head(_ context.Context, ref secret.Ref) (secret.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(secret.Op{Ref: ref})
	return e.info, err
}

func (s *Store) Reveal(_ context.Context, op secret.Op) (secret.Info, map[string]secret.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(op)
	return e.info, maps.Clone(e.data), err
}

func (s *Store) Create(_ context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.entries[op.Ref]; taken {
		return secret.Info{}, secret.ErrExists
	}
	created := draft.Created
	if created.IsZero() {
		created = time.Now()
	}
	info := secret.Info{Ref: op.Ref, Description: draft.Description, Created: created}
	return s.putLocked(info, maps.Clone(draft.Data)), nil
}

func (s *Store) Replace(_ context.Context, op secret.Op, change secret.Change) (secret.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(op)
	if err != nil {
		return secret.Info{}, err
	}
	data, err := changed(e.data, change)
	if err != nil {
		return secret.Info{}, err
	}
	if change.Description != nil {
		e.info.Description = *change.Description
	}
	return s.putLocked(e.info, data), nil
}

// changed returns the data of a secret after the change.
func changed(stored map[string]secret.Value, change secret.Change) (map[string]secret.Value, error) {
	data := map[string]secret.Value{}
	for _, key := range change.Keep {
		value, ok := stored[key]
		if !ok {
			return nil, &secret.InvalidError{Field: "data", DataKey: key, Reason: "is not stored, so it cannot be kept"}
		}
		data[key] = value
	}
	maps.Copy(data, change.Set)
	size := 0
	for _, value := range data {
		size += len(value)
	}
	return data, secret.CheckSize(size, len(data))
}

func (s *Store) Describe(_ context.Context, op secret.Op, name, description string) (secret.Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(op)
	if err != nil {
		return secret.Info{}, err
	}
	renamed := secret.Ref{Owner: op.Ref.Owner, Name: name}
	if _, taken := s.entries[renamed]; taken && renamed != op.Ref {
		return secret.Info{}, secret.ErrExists
	}
	delete(s.entries, op.Ref)
	e.info.Ref, e.info.Description = renamed, description
	return s.putLocked(e.info, e.data), nil
}

func (s *Store) Delete(_ context.Context, op secret.Op) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.findLocked(op)
	if err == nil {
		delete(s.entries, op.Ref)
	}
	return err
}

// Check always returns nil.
func (s *Store) Check(context.Context) error { return nil }

// Close does nothing, because no operation outlives its call.
func (s *Store) Close() error { return nil }

// findLocked returns the secret of the op, if the op's condition holds.
func (s *Store) findLocked(op secret.Op) (entry, error) {
	e, ok := s.entries[op.Ref]
	switch {
	case !ok:
		return entry{}, secret.ErrNotFound
	case !op.Matches(e.info.Revision):
		return entry{}, secret.ErrChanged
	}
	return e, nil
}

// putLocked stores the data as a new revision. The data must belong to the store.
func (s *Store) putLocked(info secret.Info, data map[string]secret.Value) secret.Info {
	s.writes++
	info.Revision = secret.Revision(strconv.FormatUint(s.writes, 10))
	info.Updated = time.Now()
	info.ObjectName = objectname.Of(info.Ref)
	info.Keys = slices.Sorted(maps.Keys(data))
	s.entries[info.Ref] = entry{info, data}
	return info
}
