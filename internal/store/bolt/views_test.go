package bolt

import (
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

var (
	aliceKey = ownerKey{1}
	aliceRow = state.Row{Key: append(aliceKey[:], "name"...), Value: []byte("v")}
	bobRow   = state.Row{Key: append([]byte{2}, aliceRow.Key...), Value: []byte("v")}
	infoOfDB = secret.Info{Ref: secret.Ref{Owner: secret.User("alice"), Name: "db"}}
)

// A view must not keep the result of a read concurrent with a commit. The test is internal
// because the race is too short to reproduce from outside.
func TestViewKeepsNoReadConcurrentWithACommit(t *testing.T) {
	for _, tc := range []struct {
		when string
		do   func(v *views) // between the read and keep
		kept bool
	}{
		{"nothing is written", func(*views) {}, true},
		{"a write has begun", func(v *views) { v.begin(infoOfDB.Owner) }, false},
		{"a write is refused", func(v *views) { v.begin(infoOfDB.Owner); v.end(infoOfDB.Owner) }, true},
		{"a row changes", func(v *views) { v.follow([]state.Row{aliceRow}) }, false},
		{"a row of another owner changes", func(v *views) { v.follow([]state.Row{bobRow}) }, false},
	} {
		v := newViews()
		read := v.now()
		tc.do(v)
		v.keepHead(read, aliceKey, infoOfDB)
		v.keepList(read, aliceKey, infoOfDB.Owner, []secret.Info{infoOfDB})
		wantCached(t, tc.when, v, tc.kept)
	}
}

func TestViewIsDroppedWhenARowOfItsOwnerChanges(t *testing.T) {
	deleted := state.Row{Key: aliceRow.Key}
	for _, tc := range []struct {
		when   string
		do     func(v *views)
		cached bool
	}{
		{"another owner's row has changed", func(v *views) { v.follow([]state.Row{bobRow}) }, true},
		{"another owner is written", func(v *views) { v.begin(secret.User("bob")) }, true},
		{"a row has changed", func(v *views) { v.follow([]state.Row{bobRow, aliceRow}) }, false},
		{"a row was deleted", func(v *views) { v.follow([]state.Row{deleted}) }, false},
		{"the owner's row has changed", func(v *views) { v.follow([]state.Row{{Key: aliceKey[:], Value: []byte("v")}}) }, false},
		{"the owner is written", func(v *views) { v.begin(infoOfDB.Owner) }, false},
		{"the second of two writes goes on", func(v *views) { v.begin(infoOfDB.Owner); v.begin(infoOfDB.Owner); v.end(infoOfDB.Owner) }, false},
		{"a write was refused", func(v *views) { v.begin(infoOfDB.Owner); v.end(infoOfDB.Owner) }, true},
	} {
		v := newViews()
		v.keepHead(v.now(), aliceKey, infoOfDB)
		v.keepList(v.now(), aliceKey, infoOfDB.Owner, []secret.Info{infoOfDB})
		tc.do(v)
		wantCached(t, tc.when, v, tc.cached)
		v.follow([]state.Row{aliceRow})
		if v.size != 0 || len(v.byKey) != 0 {
			t.Errorf("%s: %d bytes and %d keys are left after the view was dropped", tc.when, v.size, len(v.byKey))
		}
	}
}

func wantCached(t *testing.T, when string, v *views, want bool) {
	t.Helper()
	if _, ok := v.head(infoOfDB.Ref); ok != want {
		t.Errorf("%s: the secret is cached: %v, want %v", when, ok, want)
	}
	if _, ok := v.list(infoOfDB.Owner, secret.Page{}); ok != want {
		t.Errorf("%s: the list is cached: %v, want %v", when, ok, want)
	}
}
