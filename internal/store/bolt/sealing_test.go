package bolt_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

func mustFill(t *testing.T, s *stack, owners, names int) (refs []secret.Ref) {
	t.Helper()
	for o := range owners {
		for n := range names {
			ref := secret.Ref{Owner: secret.User(fmt.Sprint("OWNER", o)), Name: fmt.Sprint("NAME OF ", n)}
			draft := secret.Draft{Description: "DESCRIPTION", Data: map[string]secret.Value{"KEY OF A VALUE": secret.Value("VALUE of " + ref.String())}}
			if _, err := s.Create(t.Context(), secret.Op{Ref: ref, Event: &secret.Event{Ref: ref, Subject: "SUBJECT"}}, draft); err != nil {
				t.Fatal(err)
			}
			refs = append(refs, ref)
		}
	}
	return refs
}

func TestSecretsAreNotReadableInTheFile(t *testing.T) {
	s := newStack(t)
	mustFill(t, s, 3, 3)
	mustClose(t, s)
	file, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	// Random bytes may spell a short word: one of three letters was found once in a hundred runs.
	for _, word := range []string{"OWNER", "NAME OF", "DESCRIPTION", "KEY OF A VALUE", "VALUE of", "SUBJECT"} {
		if bytes.Contains(file, []byte(word)) {
			t.Errorf("the file shows %s", word)
		}
	}
}

// rows returns the keys of a bucket, without the rows of owners.
func rows(t *testing.T, s *stack, bucket string) (keys [][]byte) {
	t.Helper()
	err := s.file.View(func(tx *state.Tx) error {
		b := tx.Bucket(bucket)
		for key := range b.From([]byte{0}) {
			if len(key) != 16 {
				keys = append(keys, bytes.Clone(key))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// An attacker who can write the file can exchange the contents of rows. No read may then
// return a value.
func TestMovedRowsReturnNoValues(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	refs := mustFill(t, s, 4, 5)
	for _, bucket := range []string{"store/embedded/secrets", "store/embedded/past"} {
		keys := rows(t, s, bucket)
		if len(keys) != len(refs) {
			t.Fatalf("%s has %d rows, want %d", bucket, len(keys), len(refs))
		}
		for i, a := range keys {
			for _, b := range keys[i+1:] {
				swap(t, s, bucket, a, b)
				wantTwoDamaged(t, s, refs, bucket)
				swap(t, s, bucket, a, b)
			}
		}
	}
	for _, ref := range refs {
		mustReveal(t, s, ref)
	}
}

func swap(t *testing.T, s *stack, bucket string, a, b []byte) {
	t.Helper()
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		ofA, ofB := bytes.Clone(rows.Get(a)), bytes.Clone(rows.Get(b))
		if err := rows.Put(a, ofB); err != nil {
			return err
		}
		return rows.Put(b, ofA)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func wantTwoDamaged(t *testing.T, s *stack, refs []secret.Ref, bucket string) {
	t.Helper()
	damaged := 0
	for _, ref := range refs {
		_, data, err := s.Reveal(t.Context(), secret.Op{Ref: ref})
		if err != nil {
			damaged++
		} else if got := string(data["KEY OF A VALUE"]); got != "VALUE of "+ref.String() {
			t.Errorf("%s has answered with %s", ref, got)
		}
	}
	if damaged != 2 {
		t.Errorf("two rows of %s swapped: %d of the secrets are refused, want 2", bucket, damaged)
	}
}

func mustReveal(t *testing.T, s *stack, ref secret.Ref) map[string]secret.Value {
	t.Helper()
	_, data, err := s.Reveal(t.Context(), secret.Op{Ref: ref})
	if err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	return data
}

func TestRenameKeepsTheCiphertextOfTheValues(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	ref := mustFill(t, s, 1, 1)[0]
	before := rows(t, s, "store/embedded/past")[0]
	if _, err := s.Describe(t.Context(), secret.Op{Ref: ref}, "renamed", ""); err != nil {
		t.Fatal(err)
	}
	after := rows(t, s, "store/embedded/past")
	if len(after) != 2 || !bytes.Equal(after[0], before) || len(after[1]) == len(before) {
		t.Errorf("values were at %x, and now there are rows at %x", before, after)
	}
	mustReveal(t, s, secret.Ref{Owner: ref.Owner, Name: "renamed"})
}

func TestOutcomeIsAuditedWithTheChange(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	ref := mustFill(t, s, 1, 1)[0]
	for _, e := range []struct {
		want secret.Outcome
		do   func(op secret.Op) error
	}{
		{secret.Exists, func(op secret.Op) error { _, err := s.Create(t.Context(), op, secret.Draft{}); return err }},
		{secret.Done, func(op secret.Op) error { _, err := s.Replace(t.Context(), op, secret.Change{}); return err }},
		{secret.Done, func(op secret.Op) error { _, _, err := s.Reveal(t.Context(), op); return err }},
		{secret.Done, func(op secret.Op) error { return s.Delete(t.Context(), op) }},
		{secret.NotFound, func(op secret.Op) error { return s.Delete(t.Context(), op) }},
	} {
		_ = e.do(secret.Op{Ref: ref, Event: &secret.Event{Ref: ref}})
		if got := lastEntry(t, s).Event.Outcome; got != e.want {
			t.Errorf("on record is %q, want %q", got, e.want)
		}
	}
}

func lastEntry(t *testing.T, s *stack) (last audit.Entry) {
	t.Helper()
	err := s.log.Entries(func(e audit.Entry) error {
		last = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func TestOwnerHasAtMostTenThousandSecrets(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 10,000 secrets")
	}
	s := newStack(t)
	defer mustClose(t, s)
	owner := secret.User("alice")
	errs := make(chan error, 100)
	for worker := range 100 {
		go func() {
			for i := range 100 {
				op := secret.Op{Ref: secret.Ref{Owner: owner, Name: fmt.Sprint(worker, "-", i)}}
				if _, err := s.Create(t.Context(), op, secret.Draft{}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 100 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Create(t.Context(), secret.Op{Ref: secret.Ref{Owner: owner, Name: "one more"}}, secret.Draft{})
	if secret.OutcomeOf(err) != secret.Invalid || !strings.Contains(err.Error(), "10000") {
		t.Errorf("the 10001st: %v, want an InvalidError", err)
	}
	if infos, err := s.List(t.Context(), owner, secret.Page{}); err != nil || len(infos) != 10_000 {
		t.Errorf("List: %d, %v", len(infos), err)
	}
}
