package bolt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/bolt"
)

// Descriptions of an owner take no more than there is room for, whichever way they come.
func TestAnOwnersListHasABoundedSize(t *testing.T) {
	s := newStack(t)
	owner := secret.User("u")
	ref := func(n int) secret.Ref { return secret.Ref{Owner: owner, Name: fmt.Sprint("s", n)} }
	long := strings.Repeat("d", secret.MaxDescriptionBytes)
	create := func(ref secret.Ref, description string) error {
		_, err := s.Create(t.Context(), secret.Op{Ref: ref}, secret.Draft{Description: description, Data: map[string]secret.Value{"k": "v"}})
		return err
	}
	made := 0
	var err error
	for ; err == nil && made < 1000; made++ {
		err = create(ref(made), long)
	}
	if made--; made*secret.MaxDescriptionBytes > bolt.MaxListBytes || made*secret.MaxDescriptionBytes < bolt.MaxListBytes*9/10 {
		t.Errorf("%d secrets with %d bytes each were made", made, len(long))
	}
	wantTooMuch := func(what string, err error) {
		t.Helper()
		if invalid := secret.OutcomeOf(err) == secret.Invalid; !invalid {
			t.Errorf("%s: got %v, want an InvalidError", what, err)
		}
	}
	wantTooMuch("creating", err)
	wantNoError := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	small := secret.Ref{Owner: owner, Name: "small"}
	wantNoError("creating a small one", create(small, "short"))
	_, err = s.Describe(t.Context(), secret.Op{Ref: small}, "small", long)
	wantTooMuch("describing", err)
	_, err = s.Replace(t.Context(), secret.Op{Ref: small}, secret.Change{Description: &long})
	wantTooMuch("replacing", err)
	_, err = s.Describe(t.Context(), secret.Op{Ref: ref(0)}, "renamed", long)
	wantNoError("renaming one that stays as long", err)
	_, err = s.Describe(t.Context(), secret.Op{Ref: ref(1)}, ref(1).Name, long[1:])
	wantNoError("shortening", err)
	wantNoError("another owner's", create(secret.Ref{Owner: secret.User("v"), Name: "x"}, long))
	wantNoError("deleting", s.Delete(t.Context(), secret.Op{Ref: ref(2)}))
	wantNoError("creating in its place", create(ref(made), long))
	_, err = s.Undelete(t.Context(), secret.Op{Ref: ref(2)}, "")
	wantTooMuch("undeleting", err)
}
