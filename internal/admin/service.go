// Package admin implements the administration of a state file, with or without a running
// server: keys, history, the audit log, backups, checks. It never returns a value, and it
// records every change in the audit log.
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
	"github.com/strongroom/strongroom/internal/session"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/store/bolt"
)

// ErrNoStore means that the config has no store with this name.
var ErrNoStore = errors.New("there is no store of this name")

// Parts are the dependencies of a Service.
type Parts struct {
	File    *state.File
	Audit   *audit.Log
	Keyring *keyring.Keyring
	// KeySource is the configured source of the key-encryption key, which the next start will
	// use.
	KeySource keyring.Source
	// Stores are the stores in the state file, by their names in the config.
	Stores map[string]*bolt.Store
	// Elsewhere are the other stores, by their names in the config.
	Elsewhere map[string]secret.Store
	// Keys are the issued API keys.
	Keys *issued.Keys
	// Sessions are the sessions of the console.
	Sessions *session.Sessions
	// LastAccess has the last access of each secret.
	LastAccess *lastaccess.Tracker
	// Retention is the maximum age of audit entries; 0: unlimited.
	Retention time.Duration
	// Clock is the machine's clock.
	Clock issued.Clock
	// Duties decide what this process does of the work that one node does for all.
	Duties Duties
}

// A Service administers a state file. It is safe for concurrent use.
type Service struct {
	Parts
	log   *slog.Logger
	clock *tidyClock

	stop       context.CancelFunc
	background sync.WaitGroup
	lifetime   context.Context // for background work, which outlives requests

	findPast sync.Once

	mu         sync.Mutex // guards the fields below
	reseal     progress
	purging    purging
	lastBackup time.Time
	rotated    time.Time // the keyring; see FindPast
}

type progress struct {
	done   chan struct{} // closed when the reseal is done; nil while none is running
	rows   int           // rows checked
	lease  *Lease        // of the duty, while one is running
	sealed uint32        // the key that sealed all records after the last one
}

// Duties of the service.
const (
	tidyDuty   = "tidy"
	resealDuty = "reseal"
)

// Open returns a service. It resumes a reseal that an earlier process left incomplete.
// Close it before its parts.
func Open(parts Parts, log *slog.Logger) *Service {
	ctx, stop := context.WithCancel(context.Background())
	s := &Service{Parts: parts, log: log, stop: stop, lifetime: ctx}
	s.clock = openTidyClock(parts.Clock, parts.File, s.lastRecorded)
	s.resumeReseal()
	return s
}

// TidyHourly starts removing data by age in the background: at once and then every hour. It
// also resumes a reseal that another node has left incomplete. Only a server does; a command
// leaves the state as it is.
func (s *Service) TidyHourly() { s.background.Go(s.tidyHourly) }

// Close ends background work. The next process resumes it.
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

// askAtMost limits the time to query stores for optional information.
const askAtMost = 5 * time.Second

// Missing returns the names for which no store has a secret of the owner. A name is not
// missing if a store cannot be reached.
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

// StoreNames returns the names of all stores, sorted.
func (s *Service) StoreNames() []string {
	return slices.Sorted(func(yield func(string) bool) {
		maps.Keys(s.Stores)(yield)
		maps.Keys(s.Elsewhere)(yield)
	})
}

// record runs an operation that is not about one secret, and audits its attempt and
// outcome.
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
	// Record the outcome even if the client has disconnected.
	return errors.Join(err, s.Audit.Record(context.WithoutCancel(ctx), event))
}

// expireAtOnce limits the secrets removed in one transaction.
const expireAtOnce = 100

// tidyHourly removes secrets whose time since deletion has passed, and audit entries
// older than the retention.
func (s *Service) tidyHourly() {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	held := false
	for {
		now := s.clock.advance()
		if now.Ahead > 0 && !held {
			s.log.Warn("the clock has jumped ahead: nothing is removed by age until it is confirmed; see strongroom doctor", "by", now.Ahead.Round(time.Second))
		}
		held = now.Ahead > 0
		if s.isToTidy() {
			s.tidy(now.Time)
		}
		s.resumeReseal()
		select {
		case <-tick.C:
		case <-s.lifetime.Done():
			return
		}
	}
}

// isToTidy reports whether this node has to tidy in this hour. A node keeps the duty for a
// little longer than that, so that it also has the next turn.
func (s *Service) isToTidy() bool {
	has, err := s.Duties.Claim(s.lifetime, tidyDuty, time.Hour+time.Minute)
	if err != nil && s.lifetime.Err() == nil {
		s.log.Error("claiming the hourly tidying", "error", err)
	}
	return has
}

// tidy removes data that is old at the given time.
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

// lastRecorded returns the time of the last audit entry, or the current time if there is
// none.
func (s *Service) lastRecorded() time.Time {
	last, err := s.Audit.Tail(1)
	if err != nil || len(last) == 0 {
		return s.Clock.Wall()
	}
	return last[0].Event.Time
}
