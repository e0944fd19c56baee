package bolt

import "sync"

// maxInfos bounds the cache to some ten megabytes.
const maxInfos = 32 << 10

// An infoCache remembers opened records, which have no values, by their rows.
// A row that has changed since is not found, so nothing needs to be dropped
// when a secret is written: the cache never knows more than the file.
type infoCache struct {
	mu   sync.RWMutex
	rows map[rowKey]record
}

func newInfoCache() *infoCache { return &infoCache{rows: map[rowKey]record{}} }

// get returns the record in a row, which is known by its head: that is never
// used for another content.
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
	if len(c.rows) >= maxInfos {
		c.dropSomeLocked()
	}
	c.rows[r.key] = r
}

// dropSomeLocked makes room in whatever order the map has.
func (c *infoCache) dropSomeLocked() {
	for key := range c.rows {
		if len(c.rows) < maxInfos*3/4 {
			return
		}
		delete(c.rows, key)
	}
}
