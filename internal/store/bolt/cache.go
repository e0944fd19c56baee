package bolt

import (
	"sync"

	"github.com/strongroom/strongroom/internal/secret"
)

// maxCached is the approximate limit of the cache's memory in bytes. The views have the
// same limit.
const maxCached = 32 << 20

// An infoCache caches opened records, without values, by their rows. A row that has
// changed since is a cache miss, so writes need not invalidate anything: the cache never
// has a state that the file does not have.
type infoCache struct {
	mu   sync.RWMutex
	rows map[rowKey]record
	size int // bytes
}

func newInfoCache() *infoCache { return &infoCache{rows: map[rowKey]record{}} }

// get returns the record in a row. It compares the head, which is never reused for other
// content.
func (c *infoCache) get(key rowKey, stored []byte) (record, bool) {
	h, err := headOf(stored)
	if err != nil {
		return record{}, false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	r, ok := c.rows[key]
	return r, ok && r.head == h
}

func (c *infoCache) put(r record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(r.key)
	more := r.size()
	if c.size+more > maxCached {
		c.dropSomeLocked()
	}
	c.size += more
	c.rows[r.key] = r
}

func (c *infoCache) dropLocked(key rowKey) {
	if r, ok := c.rows[key]; ok {
		c.size -= r.size()
		delete(c.rows, key)
	}
}

// dropSomeLocked evicts entries in the map's random order.
func (c *infoCache) dropSomeLocked() {
	for key := range c.rows {
		if c.size < maxCached*3/4 {
			return
		}
		c.dropLocked(key)
	}
}

// size returns the approximate memory of a cached record in bytes.
func (r record) size() int { return sizeOf(r.info) + len(r.versions)*headBytes }

// sizeOf returns the approximate memory of a cached Info in bytes, with its map entry.
func sizeOf(info secret.Info) int { return 150 + info.Size() }
