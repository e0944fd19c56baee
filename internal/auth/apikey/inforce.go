package apikey

import (
	"sync/atomic"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
)

// InForce holds the strategies of the current policy, by name. A request that began under
// an earlier policy uses it to check that its key is still in the keys file and has not
// ended. It is safe for concurrent use; the zero value has no strategies.
type InForce struct {
	strategies atomic.Pointer[map[string]*Strategy]
}

// Put replaces the strategies. The map must not change afterwards.
func (f *InForce) Put(strategies map[string]*Strategy) { f.strategies.Store(&strategies) }

func (f *InForce) has(strategy string, key Hash) bool {
	all := f.strategies.Load()
	if all == nil || (*all)[strategy] == nil {
		return false
	}
	k, ok := (*all)[strategy].keys[key]
	return ok && !k.over(time.Now())
}

// Count returns the number of keys in the keys files that work now, and the number of
// those that end within the time.
func (f *InForce) Count(within time.Duration) (live, ending int) {
	all := f.strategies.Load()
	if all == nil {
		return 0, 0
	}
	now, seen := time.Now(), map[Hash]bool{}
	for _, s := range *all {
		for hash, k := range s.keys {
			if seen[hash] || k.over(now) {
				continue
			}
			seen[hash] = true
			live++
			if k.over(now.Add(within)) {
				ending++
			}
		}
	}
	return live, ending
}

// fileKey is a key of a keys file as [secret.Service] checks it again before it
// changes or reveals something.
type fileKey struct {
	inForce  *InForce
	strategy string
	key      Hash
}

// Check implements [secret.Credential].
func (k fileKey) Check() error {
	if !k.inForce.has(k.strategy, k.key) {
		return secret.ErrForbidden
	}
	return nil
}

// Spend implements [secret.Credential]. Reads by these keys are not counted.
func (k fileKey) Spend(secret.Tx) error { return nil }
