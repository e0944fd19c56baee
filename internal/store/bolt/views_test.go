package bolt

import (
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

// A view must not keep the result of a read concurrent with a write. The test is internal
// because the race is too short to reproduce from outside.
func TestViewKeepsNoReadConcurrentWithAWrite(t *testing.T) {
	info := secret.Info{Ref: secret.Ref{Owner: secret.User("alice"), Name: "db"}}
	bob := secret.User("bob")
	for _, tc := range []struct {
		when string
		do   func(v *views) // between the read and keep
		kept bool
	}{
		{"nothing is written", func(*views) {}, true},
		{"a write begins", func(v *views) { v.begin(info.Owner) }, false},
		{"a write begins and ends", func(v *views) { v.begin(info.Owner); v.end(info.Owner) }, false},
		{"another owner's write ends", func(v *views) { v.begin(bob); v.end(bob) }, false},
	} {
		v := newViews()
		read := v.now()
		tc.do(v)
		wantKept(t, tc.when, v, read, info, tc.kept)
	}
	v := newViews()
	v.begin(info.Owner)
	wantKept(t, "it was read while a write is under way", v, v.now(), info, false)
	read := v.now()
	v.end(info.Owner)
	wantKept(t, "the write that it was read beside has ended", v, read, info, false)
	wantKept(t, "it was read after the write", v, v.now(), info, true)
	v.begin(info.Owner)
	if _, ok := v.head(info.Ref); ok {
		t.Error("a write has begun, and the view is still there")
	}
}

func wantKept(t *testing.T, when string, v *views, read moment, info secret.Info, want bool) {
	t.Helper()
	v.keepHead(read, info)
	if _, ok := v.head(info.Ref); ok != want {
		t.Errorf("%s: a secret is kept: %v, want %v", when, ok, want)
	}
	v.keepList(read, info.Owner, []secret.Info{info})
	if _, ok := v.list(info.Owner, secret.Page{}); ok != want {
		t.Errorf("%s: a list is kept: %v, want %v", when, ok, want)
	}
}
