package bolt

import (
	"bytes"
	"slices"
	"sync"
)

// maxInfos bounds the cache to some ten megabytes.
const maxInfos = 32 << 10

// An infoCache remembers opened records, which have no values, by their rows.
// A row that has changed since is not found, so nothing needs to be dropped
// when a secret is written: the cache never knows more than the file.
type infoCache struct {
	mu   sync.RWMutex
	rows map[rowKey]cachedRow
}

type cachedRow struct {
	head   []byte // of the record, which is never used for another content
	record record
}

func newInfoCache() *infoCache { return &infoCache{rows: map[rowKey]cachedRow{}} }

func (c *infoCache) get(key rowKey, stored []byte) (record, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	row, ok := c.rows[key]
	if !ok || !bytes.HasPrefix(stored, row.head) {
		return record{}, false
	}
	return row.record, true
}

func (c *infoCache) put(key rowKey, stored []byte, r record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rows) >= maxInfos {
		c.dropSomeLocked()
	}
	c.rows[key] = cachedRow{slices.Clone(stored[:headBytes]), r}
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
