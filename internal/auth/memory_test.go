package auth

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// An internal test: from outside, an unbounded cache looks like a bounded one.
func TestTheTokenCacheIsBounded(t *testing.T) {
	var m Memory[int]
	for n := range 3 * maxRemembered {
		token := HashOf(strconv.Itoa(n))
		m.Put(token, n, time.Now().Add(time.Hour))
		if got, ok := m.Get(token); !ok || got != n || len(m.tokens) > maxRemembered {
			t.Fatalf("after %d tokens it has %d, and the last is there: %v", n+1, len(m.tokens), ok)
		}
	}
}

func TestCachedTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Memory[string]
		m.Put(HashOf("token"), "alice", time.Now().Add(time.Minute))
		time.Sleep(time.Minute - time.Nanosecond)
		if got, ok := m.Get(HashOf("token")); !ok || got != "alice" {
			t.Errorf("before: %q, %v", got, ok)
		}
		time.Sleep(time.Nanosecond)
		if got, ok := m.Get(HashOf("token")); ok || got != "" {
			t.Errorf("after: %q, %v", got, ok)
		}
	})
}
