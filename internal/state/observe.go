package state

import (
	"context"
	"os"
	"time"
)

// A Commit describes an attempt to commit, for metrics.
type Commit struct {
	// Changes is the number of calls of Update that shared it.
	Changes int
	// Took is the time until the outcome was known, with all flushes.
	Took time.Duration
	// Err is nil, ErrFull, or the reason why no commit is possible any more. It is not the
	// error of a single change.
	Err error
}

// Observe sets the function that is called after each commit. It must be fast, because
// the next commit waits for it. Call it before the first Update.
func (f *File) Observe(fn func(Commit)) { f.observed = fn }

// Trace sets the function that is called at the beginning of each Update; done is called
// at its end, and may be nil. Call it before the first Update.
func (f *File) Trace(fn func(context.Context) (done func(error))) { f.traced = fn }

func (f *File) observe(changes int, began time.Time, failed *error) {
	f.journalUsed.Store(f.log.Used())
	if f.observed != nil {
		f.observed(Commit{changes, time.Since(began), *failed})
	}
}

// Bytes returns the size of the file, and 0 if it cannot be determined.
func (f *File) Bytes() int64 { return sizeOf(f.path) }

// JournalFill returns how much of the journal's current file is used, and its size, in
// bytes. A checkpoint begins when it is half full.
func (f *File) JournalFill() (used, size int64) { return f.journalUsed.Load(), f.log.Bytes() }

// LastCheckpoint returns when the last checkpoint ended, or when the file was opened. There
// is one every 30 seconds, which may have had nothing to do.
func (f *File) LastCheckpoint() time.Time { return time.UnixMilli(f.lastCheckpoint.Load()) }

// HasReserve reports whether ordinary changes leave the reserve of the journal to audit
// entries. While they do not, because the disk is full, they are refused.
func (f *File) HasReserve() bool { return !f.refusing.Load() }

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
