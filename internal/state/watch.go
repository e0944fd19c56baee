package state

import (
	"bytes"
	"slices"
)

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
// see the commit a moment earlier than fn.
//
// fn must be quick and must not keep the rows, nor call Update. If fn panics, the file is
// broken, because memory may differ from it. Watch before the first change of the bucket.
func (f *File) Watch(bucket string, fn func(rows []Row)) {
	f.watching.Lock()
	defer f.watching.Unlock()
	f.watchers = append(f.watchers, watcher{bucket, fn})
}

func (f *File) currentWatchers() []watcher {
	f.watching.Lock()
	defer f.watching.Unlock()
	return f.watchers
}

// changes are the rows that a transaction has changed, by bucket and key, in the buckets
// that are watched.
type changes map[string]map[string][]byte

func newChanges(watchers []watcher) changes {
	c := changes{}
	for _, w := range watchers {
		c[w.bucket] = map[string][]byte{}
	}
	return c
}

// put copies the value, because bbolt may move it during the commit.
func (c changes) put(bucket string, key, value []byte) {
	if rows, ok := c[bucket]; ok {
		rows[string(key)] = append([]byte{}, value...)
	}
}

func (c changes) remove(bucket string, key []byte) {
	if rows, ok := c[bucket]; ok {
		rows[string(key)] = nil
	}
}

func (c changes) tell(watchers []watcher) {
	for _, w := range watchers {
		if rows := c.rows(w.bucket); len(rows) > 0 {
			w.fn(rows)
		}
	}
}

func (c changes) rows(bucket string) (rows []Row) {
	for key, value := range c[bucket] {
		rows = append(rows, Row{[]byte(key), value})
	}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}
