package state

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/safefile"
	"github.com/strongroom/strongroom/internal/state/change"
)

// A node is one of several processes that share a state. Its file is only a cache: the
// log is a [SharedLog], in which the change sets of all nodes have one order. A change
// is appended behind the last change set that the node knows. If another node was first, it
// is refused, and runs again on the newer state. So all that a transaction reads is current
// when it commits.

// lockAfterConflict is how long after a conflict a node locks the log before its
// transactions. Without it, one of two busy nodes can be refused again and again; with
// it, a lone node needs one more round trip.
const lockAfterConflict = 3 * time.Second

// A node is the part of a [File] that a shared log needs.
type node struct {
	id        string // random
	shared    SharedLog
	log       *nodeLog
	contended time.Time // time of the last conflict; guarded by the turn
	locked    bool      // until the next append; guarded by the turn

	told      atomic.Uint64 // number of the last change set that the watchers know
	conflicts atomic.Uint64

	mu        sync.Mutex
	confirmed time.Time // see confirm
	met       time.Time // when another node changed the state, or could do so again: this node was opened, or an outage ended
	lease     lease
}

// OpenShared opens a node's cache at the path, and creates or replaces it if it is missing,
// damaged, or too old to be continued. Delete the file to begin again from the database.
// Errors: those of the log and of [OpenWith], and ErrDiverged if the cache has changes that
// the database has not.
func OpenShared(ctx context.Context, path string, shared SharedLog, unlock Unlock) (*File, error) {
	for filled := false; ; filled = true {
		f, err := openCache(path, unlock, Options{shared: shared, filled: filled})
		switch {
		case err == nil:
			return f, nil
		case filled || !isStale(err):
			return nil, err
		}
		if err := fillCache(ctx, path, shared, unlock); err != nil {
			return nil, fmt.Errorf("filling the cache %s from the database: %w", path, err)
		}
	}
}

// errForeignCache means that a cache is that of another state.
var errForeignCache = errors.New("it is the cache of another state")

// isStale reports whether a cache must be filled again.
func isStale(err error) bool {
	for _, reason := range []error{ErrMissing, ErrDamaged, ErrTrimmed, errForeignCache} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

func openCache(path string, unlock Unlock, options Options) (f *File, err error) {
	owner, err := safefile.OwnerOf(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("opening the cache: %w", err)
	}
	err = owner.Do(func() (err error) {
		if err = check(path); err == nil {
			f, err = open(path, owner, unlock, options)
		}
		return err
	})
	return f, err
}

// fits returns why a file cannot be opened in this way.
func (o Options) fits(h header) error {
	switch shared := o.shared != nil; {
	case h.cache && !shared:
		return errors.New("it is the cache of a node, whose state is in a database")
	case shared && !h.cache:
		return errors.New("it is a state file, not the cache of a node: use another directory for the cache")
	}
	return nil
}

// discard removes a cache that was altered, so that the next start fills it again.
func (f *File) discard() {
	if f.node != nil {
		_ = safefile.Remove(f.path)
	}
}

// joinLog applies the change sets that the cache lacks to the overlay, and authenticates
// them.
func (f *File) joinLog(h header, unlock Unlock) error {
	shared := f.options.shared
	id, lineage, err := shared.Identity(context.Background())
	switch {
	case err != nil:
		return err
	case id != h.id || lineage != h.lineage:
		return errForeignCache
	}
	log := &nodeLog{shared: shared, last: h.applied}
	began := time.Now()
	f.log, f.node = log, &node{id: rand.Text(), shared: shared, log: log, met: began}
	log.appended = f.node.confirm
	head, err := shared.Head(context.Background())
	if err != nil {
		return err
	}
	if h.applied.isLostIn(head) {
		return diverged(h.applied, head)
	}
	records, err := f.catchUpOnOpen(h)
	if err == nil {
		err = f.authenticate(h, records, unlock)
	}
	if err == nil {
		err = f.followLease()
	}
	f.node.confirmed = began
	f.node.told.Store(f.gen.Load().at.seq) // there are no other watchers yet
	return err
}

// tooFar is the size of the change sets, in bytes, behind which a cache is filled again. One
// that was filled just now takes them all: only a node that runs brings the rows in the
// database up to date.
const tooFar = 128 << 20

func (f *File) catchUpOnOpen(h header) (records []change.Record, err error) {
	g := generation{db: f.gen.Load().db, live: overlay{}, at: h.applied, until: h.applied}
	err = f.node.shared.Since(context.Background(), h.applied.seq, func(r SharedRecord) error {
		record, set, err := cloned(r)
		if err != nil {
			return err
		}
		g.live.apply(set)
		g.at = position{r.Seq, r.Chain}
		records = append(records, record)
		if f.node.log.received(record); f.node.log.Used() > tooFar && !f.options.filled {
			return ErrTrimmed
		}
		return nil
	})
	f.gen.Store(&g)
	return records, err
}

// cloned returns a copy of a record, and its rows, which share its memory.
func cloned(r SharedRecord) (change.Record, []change.Row, error) {
	record := r.Record
	record.Content = bytes.Clone(r.Content)
	set, err := change.Decode(record.Content)
	if err != nil {
		err = damaged("change %d in the database: %w", r.Seq, err)
	}
	return record, set, err
}

// isLostIn reports whether a log with this head cannot have the change set at the position.
func (p position) isLostIn(head Position) bool {
	return head.Seq < p.seq || head.Seq == p.seq && head.Chain != p.chain
}

func diverged(at position, head Position) error {
	return fmt.Errorf("%w: this node has change %d, and the database ends with change %d or has another one in its place. "+
		"If a standby was promoted that was behind, changes are lost: restore the database, or, to go on without them, "+
		"stop all nodes and delete their caches", ErrDiverged, at.seq, head.Seq)
}

// prepare is called before the jobs of a batch run. The caller has the turn. Errors: errLocked,
// after which it returns nil, and those of reading the log and of appending to it.
func (f *File) prepare() error {
	if f.node == nil || f.node.locked {
		return nil
	}
	if err := f.awaitLog(context.Background(), f.last); err != nil { // since these jobs were queued
		return err
	}
	for {
		if err := f.endLease(); err != nil || time.Since(f.node.contended) > lockAfterConflict {
			return err
		}
		if err := f.lock(); err != nil {
			return err
		}
		if _, exists := f.node.leaseOfOther(); !exists {
			return errLocked
		}
		f.release()
	}
}

// errLocked means that the log is locked now. That may have taken a while, so jobs that have
// come meanwhile run in the same commit.
var errLocked = errors.New("the log is locked")

// lock keeps other nodes from appending until the next append, or release, and applies their
// changes.
func (f *File) lock() error {
	err := f.receive(f.node.shared.Lock)
	f.node.locked = err == nil
	return err
}

// release ends a lock.
func (f *File) release() {
	if f.node != nil && f.node.locked {
		f.node.shared.Unlock()
		f.node.locked = false
	}
}

// noteConflict makes the node lock the log for some time. A lock that it had is over: it may
// have been lost with its connection.
func (f *File) noteConflict() {
	f.node.contended, f.node.locked = time.Now(), false
	f.node.conflicts.Add(1)
}

// IsCache reports whether the file is the cache of a node.
func (f *File) IsCache() bool { return f.node != nil }

// Conflicts returns how often a node's changes ran again because another node was first.
func (f *File) Conflicts() uint64 { return f.node.conflicts.Load() }

// awaitLog returns when the database answers, if it has not answered an append. A query
// fails sooner than an append, whose outcome must be known, and does not keep other changes
// waiting. Errors: ErrAway, ErrDiverged and that of ctx.
func (f *File) awaitLog(ctx context.Context, known position) error {
	if f.node == nil || !f.node.log.isSilent() {
		return nil
	}
	if _, err := f.head(ctx, known); err != nil {
		return err
	}
	f.node.log.answers()
	return nil
}

// errBehind means that jobs have run without change sets of other nodes, which have been
// applied since.
var errBehind = errors.New("the jobs have read an older state")

// confirmUnchanged returns nil if no other node has changed the state that jobs have read
// whose writes are not appended. An append confirms this by itself. The caller has the turn.
func (f *File) confirmUnchanged() error {
	if f.node == nil || f.node.locked || f.node.isConfirmed(0) {
		return nil
	}
	head, err := f.head(context.Background(), f.last)
	if err != nil || head.Seq == f.last.seq {
		return err
	}
	if err := f.receive(f.node.shared.Since); err != nil {
		return err
	}
	return errBehind
}

// receive applies the change sets of other nodes, which read returns. The caller has the
// turn.
func (f *File) receive(read func(context.Context, uint64, func(SharedRecord) error) error) (err error) {
	if err := f.Err(); err != nil {
		return err
	}
	defer f.breakOnPanic(&err)
	err = guarded(func() error {
		err := read(context.Background(), f.last.seq, f.apply)
		f.publishFlushed(f.last.seq)
		return err
	})
	switch {
	case errors.Is(err, ErrTrimmed), errors.Is(err, ErrDiverged):
		f.breakWith(err)
	case errors.Is(err, ErrDamaged):
		f.stuckWith(err)
	}
	f.checkpointIfDue()
	return err
}

// apply applies a change set of another node. publishFlushed then calls the watchers.
func (f *File) apply(r SharedRecord) error {
	record, set, err := cloned(r)
	if err != nil {
		return err
	}
	next := f.next(record.Content)
	if next.seq != r.Seq || next.chain != r.Chain {
		return diverged(f.last, Position{Seq: r.Seq})
	}
	if !f.log.Fits(len(record.Content), 0) {
		f.publishFlushed(f.last.seq)
		if _, err := f.makeRoom(len(record.Content), false); err != nil {
			return err
		}
	}
	f.node.log.received(record)
	f.node.meet()
	f.last = next
	f.unflushed = append(f.unflushed, unflushed{set, next})
	return nil
}

// Fresh returns when the file has all changes that were acknowledged anywhere before the
// call. It does not ask the database while this node holds the lease, or within the
// staleness after this was confirmed. It returns nil at once for a file that only one process
// has. Errors: ErrAway, those of ctx and of [File.Err].
func (f *File) Fresh(ctx context.Context, staleness time.Duration) error {
	if f.node == nil {
		return nil
	}
	if f.node.isConfirmed(staleness) {
		return f.Err()
	}
	return f.Confirm(ctx)
}

// Confirm is Fresh, but always asks the database. The file must be a node's.
func (f *File) Confirm(ctx context.Context) error {
	began := time.Now()
	head, err := f.head(ctx, f.gen.Load().at)
	if err != nil {
		return err
	}
	if err := f.reach(ctx, head.Seq); err != nil {
		return err
	}
	f.node.confirm(began)
	return f.Err()
}

// head returns the position of the last change set in the database, which has that at the
// known position.
func (f *File) head(ctx context.Context, known position) (Position, error) {
	head, err := f.node.shared.Head(ctx)
	if err == nil && known.isLostIn(head) {
		err = diverged(known, head)
	}
	if errors.Is(err, ErrDiverged) {
		f.breakWith(err)
	}
	return head, err
}

// Everywhere returns when no node answers a later request without the changes that this file
// has now. It returns at once for a file that only one process has, and if no node may read
// an older state. Error: that of the context.
func (f *File) Everywhere(ctx context.Context) error {
	if f.node == nil {
		return nil
	}
	return f.node.shared.Everywhere(ctx, f.gen.Load().at.seq)
}

// Applied returns the number of the last change that a node's file has, and everything
// that watches it.
func (f *File) Applied() uint64 { return f.node.told.Load() }

// reach returns when the file has the change set with this number, and the watchers too.
func (f *File) reach(ctx context.Context, seq uint64) error {
	if f.node.told.Load() >= seq {
		return nil
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		return ErrClosed
	}
	defer func() { <-f.turn }()
	if f.gen.Load().at.seq >= seq {
		return nil
	}
	return f.receive(f.node.shared.Since)
}
