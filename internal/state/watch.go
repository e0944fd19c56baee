package state

import "github.com/strongroom/strongroom/internal/state/change"

// A Row is a row after a change. The value is nil if the row was deleted.
type Row struct{ Key, Value []byte }

type watcher struct {
	bucket string
	fn     func(rows []Row)
}

// Watch calls fn after each commit that changed rows of the bucket: with these rows, each
// once as the commit left it, sorted by key. The calls are in the order of the commits.
// They come before any Update of the commit returns and before the next transaction
// begins, so memory that fn maintains has every acknowledged change. A [File.View] may
// see the commit a moment earlier than fn, and after [Tx.FlushLater] some milliseconds
// later.
//
// fn must be quick and must not keep the rows, nor call Update. If fn panics, the file is
// broken, because memory may differ from it. Watch before the first change of the bucket, or
// in a [File.Hold] that also reads what the bucket has.
func (f *File) Watch(bucket string, fn func(rows []Row)) {
	f.watching.Lock()
	defer f.watching.Unlock()
	f.watchers = append(f.watchers, watcher{bucket, fn})
}

// Hold calls fn while no change is applied, so that memory which fn fills begins where the
// watchers continue. fn must not call Update. Errors: that of fn, ErrClosed.
func (f *File) Hold(fn func() error) error {
	if !f.takeTurn() {
		return ErrClosed
	}
	defer func() { <-f.turn }()
	return fn()
}

// tell calls the watchers with their rows of a change set.
func (f *File) tell(set []change.Row) {
	f.watching.Lock()
	watchers := f.watchers
	f.watching.Unlock()
	for _, w := range watchers {
		var rows []Row
		for _, r := range set {
			if r.Bucket == w.bucket {
				rows = append(rows, Row{r.Key, r.Value})
			}
		}
		if len(rows) > 0 {
			w.fn(rows)
		}
	}
}
