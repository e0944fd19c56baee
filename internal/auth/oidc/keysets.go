package oidc

import (
	"log/slog"
	"sync"
)

// KeySets keeps the key sets of all strategies, so that those with the same
// source share one. So it outlives a policy: where another with the same
// source takes its place, the keys stay, although the issuer may be away just
// then. It is safe for concurrent use.
type KeySets struct {
	mu   sync.Mutex
	open map[Source]*shared
}

// shared is a key set that so many have open.
type shared struct {
	*KeySet
	holders int
}

// Open returns the source's key set, which has yet to be started if nobody has
// it open. To close it is the caller's, once.
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

// A Lease is the use of a key set that others may have open, too.
type Lease struct {
	*KeySet
	from *KeySets
}

// Close ends the fetching if nobody else has the key set open.
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
