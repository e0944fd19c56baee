package oidc

import (
	"log/slog"
	"sync"
)

// KeySets holds the key sets of all strategies. Strategies with the same source
// share one. It outlives policies, so that a reload keeps the fetched keys even
// while the issuer is unreachable. It is safe for concurrent use.
type KeySets struct {
	mu   sync.Mutex
	open map[Source]*shared
}

// shared is a key set with its number of leases.
type shared struct {
	*KeySet
	holders int
}

// Open returns the source's key set. A newly opened set has not been started. The caller
// closes the lease once.
func (s *KeySets) Open(source Source, log *slog.Logger) (*Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[Source]*shared{}
	}
	set := s.open[source]
	if set == nil {
		keys, err := NewKeySet(source, log)
		if err != nil {
			return nil, err
		}
		set = &shared{KeySet: keys}
		s.open[source] = set
	}
	set.holders++
	return &Lease{set.KeySet, s}, nil
}

// A Lease is one of the uses of a shared key set.
type Lease struct {
	*KeySet
	from *KeySets
}

// Close stops the background fetches if this was the last lease.
func (l *Lease) Close() error {
	l.from.mu.Lock()
	defer l.from.mu.Unlock()
	set := l.from.open[l.source]
	if set.holders--; set.holders > 0 {
		return nil
	}
	delete(l.from.open, l.source)
	return set.KeySet.Close()
}
