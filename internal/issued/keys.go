// Package issued issues API keys at run time: to people and programs, and to agents with
// a limited number of reads. The state file holds only a sealed hash of each key. Keys
// files, which are written by hand, are not handled here.
//
// Start reading at [Keys.Find], which returns the caller of a key. When a request takes
// effect, the caller's Credential checks the key again and counts an agent's reads: see
// credential.go.
package issued

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// A Ring seals rows and computes their row keys. It is *seal.Ring.
type Ring interface {
	Seal(text, place []byte) []byte
	Open(sealed, place []byte) ([]byte, error)
	SealedByPrimary(sealed []byte) bool
	MAC(name []byte) [16]byte
}

// A Log records operations on keys. It is *audit.Log.
type Log interface {
	Append(tx *state.Tx, e secret.Event) error
}

// Keys are the issued keys of a state file. They are safe for concurrent use.
//
// Memory holds a copy of each stored key. It follows the rows of the file: a commit that
// changes a key replaces the copy before the caller gets the response.
type Keys struct {
	file  *state.File
	ring  Ring
	audit Log
	log   *slog.Logger
	clock steadyClock

	wake chan struct{}
	stop chan struct{}
	done chan struct{} // closed when the background goroutine has ended

	mu     sync.RWMutex // guards the fields below
	byHash map[apikey.Hash]*entry
	byID   map[string]*entry
	byRow  map[string]*entry // by row key
	marked time.Time         // the latest time on disk
}

// An entry is a key in memory. It is replaced and never changed, except for used.
type entry struct {
	Key
	caller secret.Caller
	used   *atomic.Int64 // last use, in hours since 1970; a replacement shares it
}

// use raises the last use.
func (e *entry) use(hour int64) {
	for known := e.used.Load(); known < hour; known = e.used.Load() {
		if e.used.CompareAndSwap(known, hour) {
			return
		}
	}
}

// standIn replaces a missing entry, so that unknown and revoked keys take the same time.
var standIn = &entry{Key: Key{Revoked: time.Unix(1, 0)}, used: new(atomic.Int64)}

// Open returns the keys in the file. A row that cannot be opened is logged and its key
// does not work. Close Keys before the audit log.
func Open(file *state.File, ring Ring, audit Log, clock Clock, log *slog.Logger) (*Keys, error) {
	k := &Keys{
		file: file, ring: ring, audit: audit, log: log, clock: steadyClock{Clock: clock},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
		byHash: map[apikey.Hash]*entry{}, byID: map[string]*entry{}, byRow: map[string]*entry{},
	}
	err := file.Hold(func() error {
		file.Watch(bucket, k.follow)
		return k.load()
	})
	if err != nil {
		return nil, err
	}
	go k.run()
	return k, nil
}

// For returns the keys that were issued for a strategy of the config.
func (k *Keys) For(strategy string) apikey.Issuer { return known{k, strategy} }

type known struct {
	keys     *Keys
	strategy string
}

// Caller implements [apikey.Issuer].
func (k known) Caller(hash apikey.Hash) (secret.Caller, bool) { return k.keys.Find(hash, k.strategy) }

// Find returns the caller of the key with this hash, if the key works and was issued for
// the strategy. It never waits for the disk.
func (k *Keys) Find(hash apikey.Hash, strategy string) (caller secret.Caller, ok bool) {
	k.mu.RLock()
	e := k.byHash[hash]
	k.mu.RUnlock()
	if e == nil {
		e = standIn
	}
	now := k.clock.now()
	same := subtle.ConstantTimeCompare(hash[:], e.SHA256[:]) == 1
	if _, over := e.over(now); over || !same || !e.knownTo(strategy) {
		return secret.Caller{}, false
	}
	e.use(now.Unix() / 3600)
	return e.caller, true
}

// Create issues a key and returns it. The key itself is not stored. Errors: an
// InvalidError, and those of the state file.
func (k *Keys) Create(ctx context.Context, by secret.Caller, d Draft) (key string, created Key, err error) {
	draft, err := d.key()
	if err != nil {
		return "", Key{}, err
	}
	return k.issue(ctx, by, "create", draft, nil)
}

// CreateAgent issues an agent key.
func (k *Keys) CreateAgent(ctx context.Context, by secret.Caller, d AgentDraft) (key string, created Key, err error) {
	draft, err := d.key()
	if err != nil {
		return "", Key{}, err
	}
	return k.issue(ctx, by, "create", draft, nil)
}

var errTooMany = &secret.InvalidError{Field: "keys", Reason: "are too many: the limit is 100000"}

// issue creates a key from the draft. If before is set, it changes another key in the
// same transaction.
func (k *Keys) issue(ctx context.Context, by secret.Caller, verb string, draft Key, before func(*state.Tx) error) (string, Key, error) {
	if k.count() >= MaxKeys {
		return "", Key{}, errTooMany
	}
	key, id := apikey.Generate()
	draft.ID, draft.SHA256 = id, apikey.HashOf(key)
	draft.Created = k.clock.now()
	if draft.Lifetime > 0 {
		draft.Ends = draft.Created.Add(draft.Lifetime)
	}
	err := k.file.Update(ctx, func(tx *state.Tx) error {
		if before != nil {
			if err := before(tx); err != nil {
				return err
			}
		}
		return firstOf(k.write(tx, draft), k.note(tx, by, verb, draft))
	})
	if err != nil {
		return "", Key{}, err
	}
	k.wakeUp()
	return key, draft, nil
}

func (k *Keys) count() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.byID)
}

// Rotate issues a replacement for a key of the same caller. The old key keeps working for
// the overlap. The new key has the same lifetime as the old one. Errors: ErrNoKey, also
// for an agent key; an InvalidError.
func (k *Keys) Rotate(ctx context.Context, by secret.Caller, id string, overlap time.Duration) (key string, created Key, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return "", Key{}, &secret.InvalidError{Field: "overlap", Reason: "must be at most 90 days"}
	}
	old, ok := k.get(id)
	if !ok || old.Agent != nil {
		return "", Key{}, ErrNoKey
	}
	next := Key{
		Subject: old.Subject, User: old.User, Strategies: old.Strategies, Grants: old.Grants, Lifetime: old.Lifetime, Replaces: old.ID,
	}
	key, created, err = k.issue(ctx, by, "rotate", next, func(tx *state.Tx) error { return k.retire(tx, id, overlap) })
	if err == nil && overlap == 0 {
		_ = k.file.Everywhere(ctx) // the new key must be returned in any case
	}
	return key, created, err
}

func (k *Keys) retire(tx *state.Tx, id string, overlap time.Duration) error {
	old, err := k.read(tx, id)
	if err != nil {
		return err
	}
	now := k.clock.now()
	if _, over := old.over(now); over {
		return &secret.InvalidError{Field: "id", Reason: "names a key that no longer works"}
	}
	if end := now.Add(overlap); old.Ends.IsZero() || end.Before(old.Ends) {
		old.Ends = end
	}
	return k.write(tx, old)
}

// Revoke stops a key for good and at once. After it returns, no node accepts a request with
// the key, and requests in progress change nothing and return no values. A key that no
// longer works is not changed. Error: ErrNoKey.
func (k *Keys) Revoke(ctx context.Context, by secret.Caller, id string, agents bool) (Key, error) {
	key, ok := k.get(id)
	if !ok || (key.Agent != nil) != agents {
		return Key{}, ErrNoKey
	}
	revoked, err := k.revoke(ctx, by, []Key{key})
	if err != nil || len(revoked) == 0 {
		return key, err
	}
	return revoked[0], nil
}

// RevokeSandbox revokes all keys that were issued for a sandbox and returns them. Error:
// ErrNoKey if there is none, or if they have been removed since.
func (k *Keys) RevokeSandbox(ctx context.Context, by secret.Caller, sandbox string) ([]Key, error) {
	keys := slices.DeleteFunc(k.List(true), func(key Key) bool { return sandbox == "" || key.Agent.Sandbox != sandbox })
	if len(keys) == 0 {
		return nil, ErrNoKey
	}
	return k.revoke(ctx, by, keys)
}

// revoke may use the reserve of a full disk. It reads the keys in the transaction,
// because a read may have been counted since.
func (k *Keys) revoke(ctx context.Context, by secret.Caller, keys []Key) (revoked []Key, err error) {
	now := k.clock.now()
	err = k.file.UpdateReserved(ctx, func(tx *state.Tx) error {
		revoked = nil
		for _, key := range keys {
			key, err := k.read(tx, key.ID)
			if err != nil {
				return err
			}
			if _, over := key.over(now); over {
				continue
			}
			key.Revoked = now
			if err := firstOf(k.write(tx, key), k.note(tx, by, "revoke", key)); err != nil {
				return err
			}
			revoked = append(revoked, key)
		}
		return nil
	})
	if err == nil {
		err = k.file.Everywhere(ctx)
	}
	return revoked, err
}

// List returns all issued keys, or all agent keys, in the order of their creation.
func (k *Keys) List(agents bool) (keys []Key) {
	k.mu.RLock()
	for _, e := range k.byID {
		if (e.Agent != nil) == agents {
			keys = append(keys, e.now())
		}
	}
	k.mu.RUnlock()
	slices.SortFunc(keys, func(a, b Key) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return keys
}

// A Count counts issued keys of one kind.
type Count struct {
	// Live is the number of keys that work now.
	Live int
	// Ending is the number of those that expire within the given time.
	Ending int
}

// Count counts API keys and agent keys, and those that expire within the time.
func (k *Keys) Count(within time.Duration) (api, agent Count) {
	now := k.clock.now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, e := range k.byID {
		if _, over := e.over(now); over {
			continue
		}
		c := &api
		if e.Agent != nil {
			c = &agent
		}
		c.Live++
		if !e.Ends.IsZero() && e.Ends.Sub(now) < within {
			c.Ending++
		}
	}
	return api, agent
}

// Works reports whether the key works now.
func (k *Keys) Works(key Key) bool {
	_, over := key.over(k.clock.now())
	return !over
}

// Callers implements [apikey.Issuer]. It returns the callers of working keys, ordered by
// id.
func (known known) Callers() (callers []secret.Caller) {
	k := known.keys
	now := k.clock.now()
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(k.byID)) {
		e := k.byID[id]
		if _, over := e.over(now); !over && e.knownTo(known.strategy) {
			callers = append(callers, e.caller)
		}
	}
	return callers
}

// Ahead returns the difference between the steady clock and the wall clock. It is
// positive if the wall clock was set back.
func (k *Keys) Ahead() time.Duration { return k.clock.now().Sub(k.clock.Wall()) }

func (k *Keys) get(id string) (Key, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	e, ok := k.byID[id]
	if !ok {
		return Key{}, false
	}
	return e.now(), true
}

// now returns the key with its latest use.
func (e *entry) now() Key {
	key := e.Key
	if hour := e.used.Load(); hour > 0 {
		key.Used = time.Unix(hour*3600, 0).UTC()
	}
	return key
}

// put replaces the copy of a stored key.
func (k *Keys) put(row []byte, key Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := &entry{Key: key}
	if old := k.byRow[string(row)]; old != nil {
		e.caller, e.used = old.caller, old.used
	} else {
		e.caller, e.used = key.caller(k), new(atomic.Int64)
	}
	if !key.Used.IsZero() {
		e.use(key.Used.Unix() / 3600)
	}
	k.byRow[string(row)], k.byID[key.ID], k.byHash[key.SHA256] = e, e, e
}

func (k *Keys) drop(row []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.byRow[string(row)]; e != nil {
		delete(k.byRow, string(row))
		delete(k.byID, e.ID)
		delete(k.byHash, e.SHA256)
	}
}

// Close writes the latest times and ends the background goroutine.
func (k *Keys) Close() error {
	close(k.stop)
	<-k.done
	err := k.flush()
	if errors.Is(err, secret.ErrFull) || errors.Is(err, state.ErrAltered) {
		return nil // only times are lost
	}
	return err
}
