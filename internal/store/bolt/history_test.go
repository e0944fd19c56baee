package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

var (
	ctx = context.Background()
	db  = secret.Ref{Owner: secret.User("alice"), Name: "db"}
)

func mustCreate(t *testing.T, s *stack, ref secret.Ref, value string) secret.Info {
	t.Helper()
	info, err := s.Create(ctx, secret.Op{Ref: ref}, secret.Draft{Data: data(value)})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func mustReplace(t *testing.T, s *stack, ref secret.Ref, value string) secret.Info {
	t.Helper()
	info, err := s.Replace(ctx, secret.Op{Ref: ref}, secret.Change{Set: data(value)})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func mustDescribe(t *testing.T, s *stack, ref secret.Ref, name, description string) secret.Info {
	t.Helper()
	info, err := s.Describe(ctx, secret.Op{Ref: ref}, name, description)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func mustDelete(t *testing.T, s *stack, ref secret.Ref) {
	t.Helper()
	if err := s.Delete(ctx, secret.Op{Ref: ref}); err != nil {
		t.Fatal(err)
	}
}

func data(value string) map[string]secret.Value {
	return map[string]secret.Value{"k": secret.Value(value)}
}

func wantValue(t *testing.T, s *stack, ref secret.Ref, want string) {
	t.Helper()
	if got := string(mustReveal(t, s, ref)["k"]); got != want {
		t.Errorf("%s has %q, want %q", ref, got, want)
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func revisions(infos []secret.Info) (all []secret.Revision) {
	for _, info := range infos {
		all = append(all, info.Revision)
	}
	return all
}

func versions(t *testing.T, s *stack, ref secret.Ref) []secret.Info {
	t.Helper()
	infos, err := s.Versions(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	return infos
}

func TestRenameKeepsTheHistory(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	made := []secret.Revision{mustCreate(t, s, db, "1").Revision}
	renamed := secret.Ref{Owner: db.Owner, Name: "renamed"}
	made = append(made, mustReplace(t, s, db, "2").Revision, mustDescribe(t, s, db, "renamed", "d").Revision,
		mustReplace(t, s, renamed, "3").Revision)
	slices.Reverse(made)
	got := versions(t, s, renamed)
	if !slices.Equal(revisions(got), made) {
		t.Errorf("got %v, want %v", revisions(got), made)
	}
	if got[3].Name != "db" || got[0].Name != "renamed" {
		t.Errorf("was called %s, is called %s", got[3].Name, got[0].Name)
	}
}

func TestRestorePutsAnEarlierVersionBack(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	first := mustCreate(t, s, db, "1")
	described := mustDescribe(t, s, db, "db", "about it")
	last := mustReplace(t, s, db, "2")
	for _, tc := range []struct {
		to    secret.Info
		value string
	}{{first, "1"}, {last, "2"}, {described, "1"}} {
		info, err := s.Restore(ctx, secret.Op{Ref: db}, tc.to.Revision)
		if err != nil {
			t.Fatal(err)
		}
		if info.Description != tc.to.Description || info.Revision == tc.to.Revision || !info.Created.Equal(first.Created) {
			t.Errorf("got %+v, want the content of %+v as a new version", info, tc.to)
		}
		wantValue(t, s, db, tc.value)
	}
	_, err := s.Restore(ctx, secret.Op{Ref: db}, "never")
	wantError(t, "a revision that never was", err, secret.ErrNotFound)
	_, err = s.Restore(ctx, secret.Op{Ref: db, OnlyIf: first.Revision}, first.Revision)
	wantError(t, "a stale condition", err, secret.ErrChanged)
}

func TestRevealVersionReturnsTheValuesOfThatRevision(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	first := mustCreate(t, s, db, "one")
	second := mustReplace(t, s, db, "two")
	third := mustDescribe(t, s, db, "renamed", "the values stay")
	ref := third.Ref
	for _, tc := range []struct {
		revision secret.Revision
		want     string
	}{{first.Revision, "one"}, {second.Revision, "two"}, {third.Revision, "two"}} {
		got, err := s.RevealVersion(ctx, secret.Op{Ref: ref}, tc.revision)
		if err != nil || string(got["k"]) != tc.want {
			t.Errorf("at %s: got %q, %v, want %q", tc.revision, string(got["k"]), err, tc.want)
		}
	}
	_, err := s.RevealVersion(ctx, secret.Op{Ref: ref}, "none")
	wantError(t, "a revision that is not kept", err, secret.ErrNotFound)
	_, err = s.RevealVersion(ctx, secret.Op{Ref: secret.Ref{Owner: secret.User("bob"), Name: ref.Name}}, first.Revision)
	wantError(t, "a revision of another owner", err, secret.ErrNotFound)
}

func TestVersionsAreLimited(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	first := mustCreate(t, s, db, "0")
	for i := range 30 {
		mustReplace(t, s, db, fmt.Sprint(i))
		mustDescribe(t, s, db, "db", fmt.Sprint(i))
	}
	if got := len(versions(t, s, db)); got != 11 {
		t.Errorf("%d versions, want the last 10 and the present one", got)
	}
	// 10 descriptions, and the values of 5 of them, one of which is current.
	if got := len(rows(t, s, "store/embedded/past")); got != 16 {
		t.Errorf("%d rows are kept, want 16", got)
	}
	_, err := s.Restore(ctx, secret.Op{Ref: db}, first.Revision)
	wantError(t, "a version that is gone", err, secret.ErrNotFound)
	wantValue(t, s, db, "29")
}

func TestUndeleteRestoresTheLastDeletion(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	mustCreate(t, s, db, "old")
	mustDelete(t, s, db)
	mustCreate(t, s, db, "1")
	before := mustReplace(t, s, db, "2")
	mustDelete(t, s, db)
	deleted, err := s.Deleted(ctx, db.Owner)
	if err != nil || len(deleted) != 2 || deleted[0].Revision != before.Revision || deleted[0].At.Before(deleted[1].At) {
		t.Fatalf("Deleted: %+v, %v", deleted, err)
	}
	info, err := s.Undelete(ctx, secret.Op{Ref: db}, "")
	if err != nil || info.Revision != before.Revision {
		t.Fatalf("Undelete: %+v, %v", info, err)
	}
	wantValue(t, s, db, "2")
	if got := len(versions(t, s, db)); got != 2 {
		t.Errorf("it has %d versions, want 2", got)
	}
	_, err = s.Undelete(ctx, secret.Op{Ref: db}, "")
	wantError(t, "a name that is taken", err, secret.ErrExists)
	_, err = s.Undelete(ctx, secret.Op{Ref: secret.Ref{Owner: db.Owner, Name: "never"}}, "")
	wantError(t, "a name that never was", err, secret.ErrNotFound)
	if infos, err := s.List(ctx, db.Owner, secret.Page{}); err != nil || len(infos) != 1 {
		t.Errorf("List: %d, %v", len(infos), err)
	}
}

// A secret deleted twice can be undeleted from either deletion.
func TestUndeleteOfARevisionSkipsLaterDeletions(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	good := mustCreate(t, s, db, "good")
	mustDelete(t, s, db)
	bad := mustCreate(t, s, db, "bad")
	mustDelete(t, s, db)
	_, err := s.Undelete(ctx, secret.Op{Ref: db}, "0000000000000000")
	wantError(t, "a revision that never was", err, secret.ErrNotFound)
	info, err := s.Undelete(ctx, secret.Op{Ref: db}, good.Revision)
	if err != nil || info.Revision != good.Revision {
		t.Fatalf("%+v, %v", info, err)
	}
	wantValue(t, s, db, "good")
	mustDelete(t, s, db)
	if _, err := s.Undelete(ctx, secret.Op{Ref: db}, bad.Revision); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, db, "bad")
	if deleted, err := s.Deleted(ctx, db.Owner); err != nil || len(deleted) != 1 || deleted[0].Revision != good.Revision {
		t.Errorf("deleted: %+v, %v", deleted, err)
	}
}

// The result of a list belongs to the caller, including the first one.
func TestListBelongsToTheCaller(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	mustCreate(t, s, db, "1")
	for range 3 {
		infos, err := s.List(ctx, db.Owner, secret.Page{})
		if err != nil || len(infos) != 1 || infos[0].Name != db.Name {
			t.Fatalf("%+v, %v", infos, err)
		}
		infos[0] = secret.Info{}
	}
}

// A damaged row may or may not be the requested secret.
func TestDamagedDeletedSecretHidesNoOther(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	good := mustCreate(t, s, db, "good")
	mustDelete(t, s, db)
	mustCreate(t, s, db, "to be damaged")
	mustDelete(t, s, db)
	err := s.file.Update(ctx, func(tx *state.Tx) error {
		rows := tx.Bucket("store/embedded/deleted")
		var last, stored []byte
		for key, value := range rows.From([]byte{0}) {
			last, stored = bytes.Clone(key), bytes.Clone(value)
		}
		stored[len(stored)-1] ^= 1
		return rows.Put(last, stored)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, revision := range []secret.Revision{"", "0000000000000000"} {
		if _, err := s.Undelete(ctx, secret.Op{Ref: db}, revision); err == nil || errors.Is(err, secret.ErrNotFound) {
			t.Errorf("at revision %q: %v, want that it is damaged", revision, err)
		}
	}
	if _, err := s.Undelete(ctx, secret.Op{Ref: db}, good.Revision); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, db, "good")
}

func TestDestroyAndEraseLeaveNoRow(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	other := secret.Ref{Owner: db.Owner, Name: "other"}
	for _, ref := range []secret.Ref{db, other} {
		mustCreate(t, s, ref, "gone")
		mustDelete(t, s, ref)
		mustCreate(t, s, ref, "1")
		mustReplace(t, s, ref, "2")
	}
	if err := s.Destroy(ctx, secret.Op{Ref: db}); err != nil {
		t.Fatal(err)
	}
	wantError(t, "destroyed again", s.Destroy(ctx, secret.Op{Ref: db}), secret.ErrNotFound)
	_, err := s.Undelete(ctx, secret.Op{Ref: db}, "")
	wantError(t, "undeleted", err, secret.ErrNotFound)
	wantValue(t, s, other, "2")
	bystander := secret.Ref{Owner: secret.User("bob"), Name: "db"}
	mustCreate(t, s, bystander, "bob's")
	if err := s.Erase(ctx, secret.Op{Ref: secret.Ref{Owner: db.Owner}}); err != nil {
		t.Fatal(err)
	}
	wantError(t, "erased again", s.Erase(ctx, secret.Op{Ref: secret.Ref{Owner: db.Owner}}), secret.ErrNotFound)
	wantValue(t, s, bystander, "bob's")
	mustDestroy(t, s, bystander)
	for _, bucket := range []string{"secrets", "past", "deleted"} {
		if left := rows(t, s, "store/embedded/"+bucket); len(left) > 0 {
			t.Errorf("%s still has %d rows", bucket, len(left))
		}
	}
	if owners, err := s.Owners(ctx, secret.Page{}); err != nil || len(owners) > 0 {
		t.Errorf("Owners: %v, %v", owners, err)
	}
}

func mustDestroy(t *testing.T, s *stack, ref secret.Ref) {
	t.Helper()
	if err := s.Destroy(ctx, secret.Op{Ref: ref}); err != nil {
		t.Fatal(err)
	}
}

func TestDeletedSecretsExpire(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	for i := range 5 {
		ref := secret.Ref{Owner: db.Owner, Name: fmt.Sprint(i)}
		mustCreate(t, s, ref, "v")
		mustDelete(t, s, ref)
	}
	if n, err := s.Expire(ctx, time.Now(), 100); n != 0 || err != nil {
		t.Errorf("nothing is an hour old: expired %d, %v", n, err)
	}
	later := time.Now().Add(time.Hour + time.Minute)
	for _, want := range []int{3, 2, 0} {
		if n, err := s.Expire(ctx, later, 3); n != want || err != nil {
			t.Errorf("expired %d, %v, want %d", n, err, want)
		}
	}
	if left := rows(t, s, "store/embedded/past"); len(left) > 0 {
		t.Errorf("%d rows are left", len(left))
	}
}

func TestOldDeletionsOfEveryOwnerExpireAndNewOnesStay(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	deleteOneOfEach := func() time.Time {
		for i := range 20 {
			ref := secret.Ref{Owner: secret.Owner{Kind: secret.KindUser, ID: fmt.Sprint("u", i)}, Name: "n"}
			mustCreate(t, s, ref, "v")
			mustDelete(t, s, ref)
		}
		return time.Now()
	}
	between := deleteOneOfEach()
	after := deleteOneOfEach()
	for _, step := range []struct {
		now  time.Time
		want int
	}{{between.Add(time.Hour), 20}, {between.Add(time.Hour), 0}, {after.Add(time.Hour), 20}} {
		if n, err := s.Expire(ctx, step.now, 100); n != step.want || err != nil {
			t.Errorf("expired %d, %v, want %d", n, err, step.want)
		}
	}
}

// The past of an owner is limited in bytes. Deleted secrets are dropped first, oldest
// first, then earlier versions of the secret being written.
func TestPastIsLimitedInBytes(t *testing.T) {
	s := newStack(t) // a limit of 1 MiB
	defer mustClose(t, s)
	large := string(make([]byte, 300<<10))
	for i := range 5 {
		ref := secret.Ref{Owner: db.Owner, Name: fmt.Sprint(i)}
		mustCreate(t, s, ref, large)
		mustDelete(t, s, ref)
	}
	deleted, err := s.Deleted(ctx, db.Owner)
	if err != nil || len(deleted) != 3 || deleted[0].Name != "4" {
		t.Fatalf("%d are left, %v, want the last 3", len(deleted), err)
	}
	mustCreate(t, s, db, large)
	for range 10 {
		mustReplace(t, s, db, large)
	}
	if got := len(versions(t, s, db)); got != 4 {
		t.Errorf("%d versions, want 4: three of 300 KiB and the present one", got)
	}
	if deleted, err := s.Deleted(ctx, db.Owner); err != nil || len(deleted) != 0 {
		t.Errorf("%d deleted ones are left, %v, want none", len(deleted), err)
	}
	wantValue(t, s, db, large)
}

// The version that wrote the values may be dropped before a restored one that shares
// them.
func TestRestoredValuesOutliveTheVersionThatWroteThem(t *testing.T) {
	s := newStack(t) // ten earlier versions
	defer mustClose(t, s)
	mustCreate(t, s, db, "first")
	for range 10 {
		mustReplace(t, s, db, "another")
	}
	all := versions(t, s, db)
	if _, err := s.Restore(ctx, secret.Op{Ref: db}, all[len(all)-1].Revision); err != nil {
		t.Fatal(err)
	}
	if got := len(versions(t, s, db)); got != 11 {
		t.Errorf("%d versions, want the present one and ten", got)
	}
	wantValue(t, s, db, "first")
}

func TestAfterResealOnlyThePrimaryKeyIsNeeded(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	var refs []secret.Ref
	for i := range 200 {
		ref := secret.Ref{Owner: secret.User(fmt.Sprint("u", i%7)), Name: fmt.Sprint(i)}
		refs = append(refs, ref)
		mustCreate(t, s, ref, "old")
		mustReplace(t, s, ref, "of "+ref.String())
		mustDescribe(t, s, ref, ref.Name, "described")
	}
	gone := secret.Ref{Owner: secret.User("gone"), Name: "gone"}
	mustCreate(t, s, gone, "still there")
	mustDelete(t, s, gone)
	s.ring.Adopt(s.ring.Rotated())
	records := 0
	if err := s.Reseal(ctx, func(n int) { records = n }); err != nil {
		t.Fatal(err)
	}
	if records != 201+8 {
		t.Errorf("%d records were looked at, want 201 and the rows of 8 owners", records)
	}
	pruned, dropped := s.ring.Pruned()
	if len(dropped) != 1 {
		t.Fatalf("dropped %v", dropped)
	}
	s.ring.Adopt(pruned)
	for _, ref := range refs {
		wantValue(t, s, ref, "of "+ref.String())
		first := versions(t, s, ref)[2].Revision
		if _, err := s.Restore(ctx, secret.Op{Ref: ref}, first); err != nil {
			t.Fatal(err)
		}
		wantValue(t, s, ref, "old")
	}
	if _, err := s.Undelete(ctx, secret.Op{Ref: gone}, ""); err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, gone, "still there")
}

// A record that a write moves past a running sweep is resealed by that write.
func TestResealMissesNoMovedRecord(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	ref := func(kind string, i int) secret.Ref {
		return secret.Ref{Owner: db.Owner, Name: fmt.Sprint(kind, i)}
	}
	const secrets = 100
	for i := range secrets {
		mustCreate(t, s, ref("renamed", i), "old")
		mustReplace(t, s, ref("renamed", i), "new")
		mustCreate(t, s, ref("deleted", i), "old")
		mustReplace(t, s, ref("deleted", i), "new")
		mustDelete(t, s, ref("deleted", i))
	}
	s.ring.Adopt(s.ring.Rotated())
	move := sync.OnceFunc(func() {
		for i := range secrets {
			mustDescribe(t, s, ref("renamed", i), ref("moved", i).Name, "")
			if _, err := s.Undelete(ctx, secret.Op{Ref: ref("deleted", i)}, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
	if err := s.Reseal(ctx, func(int) { move() }); err != nil {
		t.Fatal(err)
	}
	pruned, _ := s.ring.Pruned()
	s.ring.Adopt(pruned)
	for i := range secrets {
		for _, moved := range []secret.Ref{ref("moved", i), ref("deleted", i)} {
			wantValue(t, s, moved, "new")
			all := versions(t, s, moved)
			if _, err := s.Restore(ctx, secret.Op{Ref: moved}, all[len(all)-1].Revision); err != nil {
				t.Fatal(err)
			}
			wantValue(t, s, moved, "old")
		}
	}
}
