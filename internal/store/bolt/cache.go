package bolt

import (
	"sync"

	"github.com/strongroom/strongroom/internal/secret"
)

// maxCached is about how many bytes of memory the cache may take, and the views
// again.
const maxCached = 32 << 20

// An infoCache remembers opened records, which have no values, by their rows.
// A row that has changed since is not found, so nothing needs to be dropped
// when a secret is written: the cache never knows more than the file.
type infoCache struct {
	mu   sync.RWMutex
	rows map[rowKey]record
	size int // bytes
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
	c.dropLocked(r.key)
	more := sizeOf(r.info)
	if c.size+more > maxCached {
		c.dropSomeLocked()
	}
	c.size += more
	c.rows[r.key] = r
}

func (c *infoCache) dropLocked(key rowKey) {
	if r, ok := c.rows[key]; ok {
		c.size -= sizeOf(r.info)
		delete(c.rows, key)
	}
}

// dropSomeLocked makes room in whatever order the map has.
func (c *infoCache) dropSomeLocked() {
	for key := range c.rows {
		if c.size < maxCached*3/4 {
			return
		}
		c.dropLocked(key)
	}
}

// sizeOf is about how many bytes of memory it takes to remember this.
func sizeOf(info secret.Info) int {
	const fixed, perKey = 400, 16
	size := fixed + len(info.Name) + len(info.Description)
	for _, key := range info.Keys {
		size += perKey + len(key)
	}
	return size
}
