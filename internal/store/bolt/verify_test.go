package bolt_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// Each row of three owners is changed in turn. Every owner has a past and a deleted
// secret.
func TestVerifyReportsEveryChangedRow(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	for _, user := range []string{"alice", "bob", "carol"} {
		ref := secret.Ref{Owner: secret.User(user), Name: "db"}
		mustCreate(t, s, ref, "1")
		mustReplace(t, s, ref, "2")
		mustDescribe(t, s, ref, "db", "d")
		gone := secret.Ref{Owner: ref.Owner, Name: "gone"}
		mustCreate(t, s, gone, "3")
		mustDelete(t, s, gone)
	}
	report, err := s.Verify(ctx)
	if err != nil || len(report.Problems) > 0 || report.Owners != 3 || report.Secrets != 3 || report.Deleted != 3 || report.Versions != 6 {
		t.Fatalf("before: %+v, %v", report, err)
	}
	for _, bucket := range []string{"secrets", "past", "deleted"} {
		for _, key := range allRows(t, s, "store/embedded/"+bucket) {
			for what, change := range map[string]func([]byte) []byte{
				"dropped":           func([]byte) []byte { return nil },
				"first byte edited": func(b []byte) []byte { b[0] ^= 1; return b },
				"last byte edited":  func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
				"cut":               func(b []byte) []byte { return b[:len(b)/2] },
			} {
				before := edit(t, s, "store/embedded/"+bucket, key, change)
				report, err := s.Verify(ctx)
				if err != nil || len(report.Problems) == 0 {
					t.Errorf("%s: a row of %d bytes %s: %v, nothing noticed", bucket, len(key), what, err)
				}
				edit(t, s, "store/embedded/"+bucket, key, func([]byte) []byte { return before })
			}
		}
	}
	if report, err := s.Verify(ctx); err != nil || len(report.Problems) > 0 {
		t.Fatalf("after: %v, %v", report.Problems, err)
	}
	secretRow := rows(t, s, "store/embedded/secrets")[0]
	edit(t, s, "store/embedded/secrets", secretRow, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	if report, _ := s.Verify(ctx); !strings.Contains(strings.Join(report.Problems, "\n"), "of user/") {
		t.Errorf("the owner is not named: %q", report.Problems)
	}
}

// The counts in the owner's row stay correct after every kind of operation.
func TestCountsStayCorrect(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	owner := secret.User("alice")
	for n := range 400 {
		op := secret.Op{Ref: secret.Ref{Owner: owner, Name: fmt.Sprint("s", r.IntN(3))}}
		value := secret.Value(strings.Repeat("x", r.IntN(50_000)))
		versions, _ := s.Versions(ctx, op.Ref)
		var err error
		did := ""
		switch k := r.IntN(12); {
		case k < 3:
			did = "create"
			_, err = s.Create(ctx, op, secret.Draft{Data: map[string]secret.Value{"k": value}})
		case k < 6:
			did = "replace"
			_, err = s.Replace(ctx, op, secret.Change{Set: map[string]secret.Value{"k": value}})
		case k < 7:
			did = "rename"
			_, err = s.Describe(ctx, op, fmt.Sprint("s", r.IntN(3)), "d")
		case k < 9 && len(versions) > 0:
			did = "restore"
			_, err = s.Restore(ctx, op, versions[r.IntN(len(versions))].Revision)
		case k < 10:
			did = "delete"
			err = s.Delete(ctx, op)
		case k < 11:
			did = "undelete"
			_, err = s.Undelete(ctx, op, "")
		default:
			did = "destroy"
			err = s.Destroy(ctx, op)
		}
		if o := secret.OutcomeOf(err); o != secret.Done && o != secret.NotFound && o != secret.Exists {
			t.Fatal(did, err)
		}
		if report, err := s.Verify(ctx); err != nil || len(report.Problems) > 0 {
			t.Fatalf("operation %d of seed %d, %s %s: %v, %v", n, seed, did, op.Ref.Name, report.Problems, err)
		}
	}
}

func allRows(t *testing.T, s *stack, bucket string) (keys [][]byte) {
	t.Helper()
	_ = s.file.View(func(tx *state.Tx) error {
		b := tx.Bucket(bucket)
		for key := range b.From([]byte{0}) {
			keys = append(keys, bytes.Clone(key))
		}
		return nil
	})
	return keys
}

// edit changes a row and returns its previous content.
func edit(t *testing.T, s *stack, bucket string, key []byte, change func([]byte) []byte) (before []byte) {
	t.Helper()
	err := s.file.Update(ctx, func(tx *state.Tx) error {
		b := tx.Bucket(bucket)
		before = bytes.Clone(b.Get(key))
		if after := change(bytes.Clone(before)); after != nil {
			return b.Put(key, after)
		}
		return b.Delete(key)
	})
	if err != nil {
		t.Fatal(err)
	}
	return before
}
