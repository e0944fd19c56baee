package bolt_test

import (
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
)

func numbers(infos []secret.Info) (all []uint64) {
	for _, info := range infos {
		all = append(all, info.Version)
	}
	return all
}

// The number is the same wherever an Info comes from, also after a restart and a rename.
func TestVersionsAreNumberedFromOne(t *testing.T) {
	s := newStack(t)
	made := []secret.Info{mustCreate(t, s, db, "1"), mustReplace(t, s, db, "2"), mustDescribe(t, s, db, "renamed", "d")}
	ref := made[2].Ref
	check := func() {
		t.Helper()
		head, err := s.Head(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		list, err := s.List(ctx, ref.Owner, secret.Page{})
		if err != nil {
			t.Fatal(err)
		}
		revealed, _, err := s.Reveal(ctx, secret.Op{Ref: ref})
		if err != nil {
			t.Fatal(err)
		}
		if got := numbers(append(list, head, revealed)); !slices.Equal(got, []uint64{3, 3, 3}) {
			t.Errorf("the current version is %d, want 3 everywhere", got)
		}
		if got := numbers(versions(t, s, ref)); !slices.Equal(got, []uint64{3, 2, 1}) {
			t.Errorf("the versions are %d, want 3, 2, 1", got)
		}
	}
	if got := numbers(made); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("the writes returned %d, want 1, 2, 3", got)
	}
	check()
	mustClose(t, s)
	s = openStack(t, s.path)
	defer mustClose(t, s)
	check()
	if info, err := s.Restore(ctx, secret.Op{Ref: ref}, made[0].Revision); err != nil || info.Version != 4 {
		t.Errorf("restored as version %d, %v, want 4", info.Version, err)
	}
}

// Each version names the caller that wrote it, also after a restart.
func TestVersionsNameTheirWriters(t *testing.T) {
	s := newStack(t)
	as := func(subject string) (*secret.Service, secret.Caller) {
		return secret.NewService(s.Store, s.log), secret.Caller{Subject: subject, Grants: []secret.Grant{{
			Actions: []secret.Action{secret.Create, secret.Write, secret.List, secret.Admin}, Owner: db.Owner,
		}}}
	}
	must := func(_ secret.Info, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	service, alice := as("alice")
	first, err := service.Create(ctx, alice, db, secret.Draft{Data: map[string]secret.Value{"k": "1"}})
	must(first, err)
	_, bob := as("bob")
	must(service.Replace(ctx, bob, db, "", secret.Change{Set: map[string]secret.Value{"k": "2"}}))
	_, carol := as("carol")
	must(service.Restore(ctx, carol, db, first.Revision))
	mustClose(t, s)
	s = openStack(t, s.path)
	defer mustClose(t, s)
	var writers []string
	for _, info := range versions(t, s, db) {
		writers = append(writers, info.UpdatedBy)
	}
	if !slices.Equal(writers, []string{"carol", "bob", "alice"}) {
		t.Errorf("the versions were written by %q", writers)
	}
}

// The right to reveal covers the current version only.
func TestRevealNumberNeedsTheRightToAdministerForEarlierVersions(t *testing.T) {
	s := newStack(t)
	defer mustClose(t, s)
	mustCreate(t, s, db, "one")
	mustReplace(t, s, db, "two")
	service := secret.NewService(s.Store, s.log)
	caller := func(actions ...secret.Action) secret.Caller {
		return secret.Caller{Subject: "alice", Grants: []secret.Grant{{Actions: actions, Owner: db.Owner}}}
	}
	for _, tc := range []struct {
		actions []secret.Action
		number  uint64
		want    string
		err     error
		outcome secret.Outcome
	}{
		{[]secret.Action{secret.Reveal}, 2, "two", nil, secret.Done},
		{[]secret.Action{secret.Reveal}, 1, "", secret.ErrForbidden, secret.Denied},
		{[]secret.Action{secret.Reveal}, 3, "", secret.ErrForbidden, secret.Denied},
		{[]secret.Action{secret.Reveal, secret.Admin}, 1, "one", nil, secret.Done},
		{[]secret.Action{secret.Reveal, secret.Admin}, 2, "two", nil, secret.Done},
		{[]secret.Action{secret.Reveal, secret.Admin}, 3, "", secret.ErrNotFound, secret.NotFound},
		{[]secret.Action{secret.List, secret.Admin}, 1, "", secret.ErrForbidden, secret.Denied},
	} {
		info, data, err := service.RevealNumber(ctx, caller(tc.actions...), db, tc.number)
		wantError(t, "RevealNumber", err, tc.err)
		if string(data["k"]) != tc.want || tc.err == nil && info.Version != tc.number {
			t.Errorf("%v: version %d is %d with %q, want %q", tc.actions, tc.number, info.Version, string(data["k"]), tc.want)
		}
		last, err := s.log.Tail(1)
		if err != nil || len(last) != 1 || last[0].Event.Action != secret.Reveal || last[0].Event.Outcome != tc.outcome {
			t.Errorf("%v: version %d is on record as %+v, %v, want %s", tc.actions, tc.number, last, err, tc.outcome)
		}
	}
}
