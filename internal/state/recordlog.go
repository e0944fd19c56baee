package state

import (
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

// A recordLog is the log of a file: the [journal.Journal] beside it, where the methods are
// described, or a nodeLog.
type recordLog interface {
	Append(chain change.Chain, content []byte) error
	Fits(content int, leaving int64) bool
	Used() int64
	Bytes() int64
	Sync() error
	Flush() (flush func() error, last uint64)
	Flushed(last uint64)
	Turn(next uint64) error
	Release()
	Wipe() error
	Close() error
}

var _ recordLog = (*journal.Journal)(nil)

// nodeLogBytes limits the change sets in the overlay of a node as the size of a journal's
// file does.
const nodeLogBytes = 16 << 20

// A nodeLog is the log of a node. Its records go to a [SharedLog], are durable as soon as
// they are appended, and stay in the database. Its size counts only the change sets since
// the last checkpoint.
type nodeLog struct {
	shared   SharedLog
	appended func(began time.Time) // called after an append
	last     position
	tried    atomic.Uint64 // number of the last record that the database may have
	used     atomic.Int64
	asked    atomic.Int64 // time of the first append without an answer, in milliseconds since 1970; 0 for none
}

// isSilent reports whether the database has not answered an append for a second.
func (l *nodeLog) isSilent() bool {
	asked := l.asked.Load()
	return asked != 0 && time.Since(time.UnixMilli(asked)) > time.Second
}

// answers notes that the database answers.
func (l *nodeLog) answers() { l.asked.Store(0) }

func (l *nodeLog) Append(chain change.Chain, content []byte) error {
	r := SharedRecord{Record: change.Record{Seq: l.last.seq + 1, Chain: chain, Content: content}, Before: l.last.chain}
	_, _ = rand.Read(r.ID[:])
	l.tried.Store(r.Seq)
	began := time.Now()
	l.asked.CompareAndSwap(0, began.UnixMilli())
	err := l.shared.Append(context.Background(), r)
	if !errors.Is(err, ErrAway) && !errors.Is(err, ErrUnknown) {
		l.answers()
	}
	if err != nil {
		return err
	}
	l.received(r.Record)
	l.appended(began)
	return nil
}

// received notes a record that was appended, here or by another node.
func (l *nodeLog) received(r change.Record) {
	l.last = position{r.Seq, r.Chain}
	l.used.Add(int64(len(r.Content)))
}

// Fits accepts any record after a checkpoint.
func (l *nodeLog) Fits(content int, leaving int64) bool {
	used := l.used.Load()
	return used == 0 || used+int64(content)+leaving <= nodeLogBytes
}

func (l *nodeLog) Used() int64  { return l.used.Load() }
func (l *nodeLog) Bytes() int64 { return nodeLogBytes }
func (l *nodeLog) Sync() error  { return nil }

func (l *nodeLog) Flush() (flush func() error, last uint64) {
	return func() error { return nil }, l.last.seq
}

func (l *nodeLog) Flushed(uint64) {}

func (l *nodeLog) Turn(uint64) error {
	l.used.Store(0)
	return nil
}

func (l *nodeLog) Release()     {}
func (l *nodeLog) Wipe() error  { return nil }
func (l *nodeLog) Close() error { return l.shared.Close() }
