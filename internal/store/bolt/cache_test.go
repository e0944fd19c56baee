package bolt

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// large returns the n-th of several records, each a tenth of the limit in size.
func large(n int) record {
	r := record{info: secret.Info{
		Ref:         secret.Ref{Owner: secret.User("alice"), Name: strings.Repeat("n", n%7+1)},
		Description: strings.Repeat("d", maxCached/20), Keys: []string{strings.Repeat("k", maxCached/20)},
	}}
	binary.BigEndian.PutUint64(r.key[:], uint64(n))
	return r
}

// The limit is in bytes, so that a caller who may create secrets cannot use up the memory
// with a few thousand large ones.
func TestCacheIsLimitedInBytes(t *testing.T) {
	cache, views := newInfoCache(), newViews()
	for n := range 100 {
		r := large(n)
		for range 2 { // the second pass replaces the entries of the first
			cache.put(r)
		}
		owner := secret.User(string(r.key[:8]))
		key := ownerKey(r.key.owner())
		views.keepHead(views.now(), key, secret.Info{Ref: secret.Ref{Owner: owner}, Description: r.info.Description})
		views.keepList(views.now(), key, owner, []secret.Info{r.info})
		if len(cache.rows) > 10 || len(views.owners) > 10 {
			t.Fatalf("after %d there are %d and those of %d owners", n+1, len(cache.rows), len(views.owners))
		}
	}
	if len(cache.rows) < 5 || len(views.owners) < 2 {
		t.Errorf("in the end there are %d and those of %d owners", len(cache.rows), len(views.owners))
	}
	for key := range cache.rows {
		cache.dropLocked(key)
	}
	for key := range views.byKey {
		views.follow([]state.Row{{Key: key[:]}})
	}
	if cache.size != 0 || views.size != 0 {
		t.Errorf("empty, they have %d and %d bytes", cache.size, views.size)
	}
}
