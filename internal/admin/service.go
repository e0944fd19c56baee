// Package admin is what an administrator can do to a state file, whether a
// server runs on it or not: keys, history, the audit log, backups, checks.
// Nothing here shows a value, and everything that changes something is on
// record.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/lastaccess"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/store/bolt"
)

// ErrNoStore means that the config names no such store.
var ErrNoStore = errors.New("there is no store of this name")

// Parts are what a Service administers.
type Parts struct {
	File    *state.File
	Audit   *audit.Log
	Keyring *keyring.Keyring
	// Key is where the next start will look for the key-encryption key.
	Key keyring.Source
	// Stores that are parts of the state file, by their names in the config.
	Stores map[string]*bolt.Store
	// Elsewhere are the other stores, by their names.
	Elsewhere map[string]secret.Store
	// Keys that the server has issued.
	Keys *issued.Keys
	// LastAccess are the last ones of secrets.
	LastAccess *lastaccess.Tracker
	// Retention is how far back the audit log goes; 0: to its beginning.
	Retention time.Duration
	// Clock says how old things are.
	Clock issued.Clock
}

// A Service administers a state file. It is safe for concurrent use.
type Service struct {
	Parts
	log   *slog.Logger
	clock *tidyClock

	stop       context.CancelFunc
	background sync.WaitGroup
	lifetime   context.Context // of background work, which no request outlives

	mu     sync.Mutex // guards what follows
	reseal progress
}

type progress struct {
	done chan struct{} // closed when it is done; nil while nothing is under way
	rows int           // looked at
}

// Open returns a service, which at once goes on with what another has left
// unfinished. Close it before its parts.
func Open(parts Parts, log *slog.Logger) *Service {
	ctx, stop := context.WithCancel(context.Background())
	s := &Service{Parts: parts, log: log, stop: stop, lifetime: ctx}
	s.clock = openTidyClock(parts.Clock, parts.File, s.lastRecorded)
	if len(s.Keyring.Ring().IDs()) > 1 && s.beginReseal() {
		s.resealInBackground()
	}
	s.background.Go(s.tidyHourly)
	return s
}

// Close ends background work, which the next process continues.
func (s *Service) Close() error {
	s.stop()
	s.background.Wait()
	return nil
}

// Secrets returns the secret service of a store.
func (s *Service) Secrets(store string) (*secret.Service, error) {
	st, err := s.store(store)
	if err != nil {
		return nil, err
	}
	return secret.NewService(st, s.Audit), nil
}

func (s *Service) store(name string) (secret.Store, error) {
	if st, ok := s.Stores[name]; ok {
		return st, nil
	}
	if st, ok := s.Elsewhere[name]; ok {
		return st, nil
	}
	return nil, ErrNoStore
}

// askAtMost is how long stores are asked for what an answer can do without.
const askAtMost = 5 * time.Second

// Missing returns those of the names under which no store has a secret of the
// owner. A store that cannot be asked may have all of them.
func (s *Service) Missing(ctx context.Context, caller secret.Caller, owner secret.Owner, names []string) (missing []string) {
	ctx, cancel := context.WithTimeout(ctx, askAtMost)
	defer cancel()
	for _, name := range names {
		if s.isMissing(ctx, caller, secret.Ref{Owner: owner, Name: name}) {
			missing = append(missing, name)
		}
	}
	return missing
}

func (s *Service) isMissing(ctx context.Context, caller secret.Caller, ref secret.Ref) bool {
	for _, name := range s.StoreNames() {
		secrets, err := s.Secrets(name)
		if err == nil {
			_, err = secrets.Head(ctx, caller, ref)
		}
		if !errors.Is(err, secret.ErrNotFound) {
			return false
		}
	}
	return true
}

// StoreNames are those of all stores, in order.
func (s *Service) StoreNames() []string {
	return slices.Sorted(func(yield func(string) bool) {
		maps.Keys(s.Stores)(yield)
		maps.Keys(s.Elsewhere)(yield)
	})
}

// record puts on record what an administrator does to no secret in particular.
func (s *Service) record(ctx context.Context, caller secret.Caller, action secret.Action, do func() error) error {
	event := secret.Event{
		Time: time.Now().UTC(), Subject: caller.Subject, From: caller.From, Request: caller.Request,
		Action: action, Outcome: secret.Unknown,
	}
	if err := s.Audit.Record(ctx, event); err != nil {
		return fmt.Errorf("recording the attempt: %w", err)
	}
	err := do()
	event.Outcome = secret.OutcomeOf(err)
	// What was done was done, whoever still waits to be told.
	return errors.Join(err, s.Audit.Record(context.WithoutCancel(ctx), event))
}

// expireAtOnce bounds one transaction.
const expireAtOnce = 100

// tidyHourly removes for good what was deleted long enough ago, and audit
// entries older than the retention.
func (s *Service) tidyHourly() {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	held := false
	for {
		now := s.clock.advance()
		if now.Ahead > 0 && !held {
			s.log.Warn("the clock has jumped ahead: nothing is removed by age until that is confirmed; see strongroom doctor", "by", now.Ahead.Round(time.Second))
		}
		held = now.Ahead > 0
		s.tidy(now.Time)
		select {
		case <-tick.C:
		case <-s.lifetime.Done():
			return
		}
	}
}

// tidy removes what is old at that time.
func (s *Service) tidy(now time.Time) {
	report := func(doing string, err error) {
		if err != nil && s.lifetime.Err() == nil {
			s.log.Error(doing, "error", err)
		}
	}
	for name, st := range s.Stores {
		report("removing deleted secrets of store "+name, s.expire(st, now))
	}
	report("pruning the audit log", s.retain(now))
	report("saving the time of the last tidying", s.clock.save(s.lifetime))
}

func (s *Service) retain(now time.Time) error {
	if s.Retention == 0 {
		return nil
	}
	_, err := s.Audit.Prune(s.lifetime, now.Add(-s.Retention), secret.Event{Subject: "retention"})
	return err
}

func (s *Service) expire(st *bolt.Store, now time.Time) error {
	for {
		n, err := st.Expire(s.lifetime, now, expireAtOnce)
		if err != nil || n < expireAtOnce {
			return err
		}
	}
}

// lastRecorded is the time of the last audit entry, or now without one.
func (s *Service) lastRecorded() time.Time {
	last, err := s.Audit.Tail(1)
	if err != nil || len(last) == 0 {
		return s.Clock.Wall()
	}
	return last[0].Event.Time
}
