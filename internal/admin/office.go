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
	"github.com/strongroom/strongroom/internal/delivery"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/store/bolt"
)

// ErrNoStore means that the config names no such store.
var ErrNoStore = errors.New("there is no store of this name")

// Parts are what an Office administers.
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
	// Deliveries are the last ones of secrets.
	Deliveries *delivery.Book
	// Retention is how far back the audit log goes; 0: to its beginning.
	Retention time.Duration
	// Clock says how old things are.
	Clock issued.Clock
}

// An Office administers a state file. It is safe for concurrent use.
type Office struct {
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

// Open returns an office, which at once goes on with what another has left
// unfinished. Close it before its parts.
func Open(parts Parts, log *slog.Logger) *Office {
	ctx, stop := context.WithCancel(context.Background())
	o := &Office{Parts: parts, log: log, stop: stop, lifetime: ctx}
	o.clock = openTidyClock(parts.Clock, parts.File, o.lastRecorded)
	if len(o.Keyring.Ring().IDs()) > 1 && o.beginReseal() {
		o.resealInBackground()
	}
	o.background.Go(o.tidyHourly)
	return o
}

// Close ends background work, which the next office goes on with.
func (o *Office) Close() error {
	o.stop()
	o.background.Wait()
	return nil
}

// Service returns the service on a store.
func (o *Office) Service(store string) (*secret.Service, error) {
	s, err := o.store(store)
	if err != nil {
		return nil, err
	}
	return secret.NewService(s, o.Audit), nil
}

func (o *Office) store(name string) (secret.Store, error) {
	if s, ok := o.Stores[name]; ok {
		return s, nil
	}
	if s, ok := o.Elsewhere[name]; ok {
		return s, nil
	}
	return nil, ErrNoStore
}

// askAtMost is how long stores are asked for what an answer can do without.
const askAtMost = 5 * time.Second

// Missing returns those of the names under which no store has a secret of the
// owner. A store that cannot be asked may have all of them.
func (o *Office) Missing(ctx context.Context, caller secret.Caller, owner secret.Owner, names []string) (missing []string) {
	ctx, cancel := context.WithTimeout(ctx, askAtMost)
	defer cancel()
	for _, name := range names {
		if o.isMissing(ctx, caller, secret.Ref{Owner: owner, Name: name}) {
			missing = append(missing, name)
		}
	}
	return missing
}

func (o *Office) isMissing(ctx context.Context, caller secret.Caller, ref secret.Ref) bool {
	for _, name := range o.StoreNames() {
		s, err := o.Service(name)
		if err == nil {
			_, err = s.Head(ctx, caller, ref)
		}
		if !errors.Is(err, secret.ErrNotFound) {
			return false
		}
	}
	return true
}

// StoreNames are those of all stores, in order.
func (o *Office) StoreNames() []string {
	return slices.Sorted(func(yield func(string) bool) {
		maps.Keys(o.Stores)(yield)
		maps.Keys(o.Elsewhere)(yield)
	})
}

// record puts on record what an administrator does to no secret in particular.
func (o *Office) record(ctx context.Context, caller secret.Caller, action secret.Action, do func() error) error {
	event := secret.Event{
		Time: time.Now().UTC(), Subject: caller.Subject, From: caller.From, Request: caller.Request,
		Action: action, Outcome: secret.Unknown,
	}
	if err := o.Audit.Record(ctx, event); err != nil {
		return fmt.Errorf("recording the attempt: %w", err)
	}
	err := do()
	event.Outcome = secret.OutcomeOf(err)
	// What was done was done, whoever still waits to be told.
	return errors.Join(err, o.Audit.Record(context.WithoutCancel(ctx), event))
}

// expireAtOnce bounds one transaction.
const expireAtOnce = 100

// tidyHourly removes for good what was deleted long enough ago, and audit
// entries older than the retention.
func (o *Office) tidyHourly() {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	held := false
	for {
		now := o.clock.advance()
		if now.Ahead > 0 && !held {
			o.log.Warn("the clock has jumped ahead: nothing is removed by age until that is confirmed; see strongroom doctor", "by", now.Ahead.Round(time.Second))
		}
		held = now.Ahead > 0
		o.tidy(now.Time)
		select {
		case <-tick.C:
		case <-o.lifetime.Done():
			return
		}
	}
}

// tidy removes what is old at that time.
func (o *Office) tidy(now time.Time) {
	report := func(doing string, err error) {
		if err != nil && o.lifetime.Err() == nil {
			o.log.Error(doing, "error", err)
		}
	}
	for name, s := range o.Stores {
		report("removing deleted secrets of store "+name, o.expire(s, now))
	}
	report("pruning the audit log", o.retain(now))
	report("saving the time of the last tidying", o.clock.save(o.lifetime))
}

func (o *Office) retain(now time.Time) error {
	if o.Retention == 0 {
		return nil
	}
	_, err := o.Audit.Prune(o.lifetime, now.Add(-o.Retention), secret.Event{Subject: "retention"})
	return err
}

func (o *Office) expire(s *bolt.Store, now time.Time) error {
	for {
		n, err := s.Expire(o.lifetime, now, expireAtOnce)
		if err != nil || n < expireAtOnce {
			return err
		}
	}
}

// lastRecorded is the time of the last audit entry, or now without one.
func (o *Office) lastRecorded() time.Time {
	last, err := o.Audit.Tail(1)
	if err != nil || len(last) == 0 {
		return o.Clock.Wall()
	}
	return last[0].Event.Time
}
