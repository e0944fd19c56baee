package storetest

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/strongroom/strongroom/internal/secret"
)

type data = map[string]secret.Value

// Two owners for tests that are not about owners. App ids are UUIDs, because a
// store may rely on that.
var (
	alice = secret.User("alice")
	shop  = secret.App("0f8fad5b-d9cb-469f-a165-70867728950e")
)

// at returns an unconditional op on alice's secret of this name.
func at(name string) secret.Op {
	return secret.Op{Ref: secret.Ref{Owner: alice, Name: name}}
}

func onlyIf(op secret.Op, revision secret.Revision) secret.Op {
	op.OnlyIf = revision
	return op
}

func mustCreate(t T, st secret.Store, op secret.Op, values data) secret.Info {
	t.Helper()
	return mustDraft(t, st, op, secret.Draft{Data: values})
}

func mustDraft(t T, st secret.Store, op secret.Op, draft secret.Draft) secret.Info {
	t.Helper()
	info, err := st.Create(t.Context(), op, draft)
	if err != nil {
		t.Fatalf("Create(%q): %v", op.Ref, err)
	}
	return info
}

func mustReplace(t T, st secret.Store, op secret.Op, change secret.Change) secret.Info {
	t.Helper()
	info, err := st.Replace(t.Context(), op, change)
	if err != nil {
		t.Fatalf("Replace(%q): %v", op.Ref, err)
	}
	return info
}

func mustDescribe(t T, st secret.Store, op secret.Op, name, description string) secret.Info {
	t.Helper()
	info, err := st.Describe(t.Context(), op, name, description)
	if err != nil {
		t.Fatalf("Describe(%q, %q): %v", op.Ref, name, err)
	}
	return info
}

func mustDelete(t T, st secret.Store, op secret.Op) {
	t.Helper()
	if err := st.Delete(t.Context(), op); err != nil {
		t.Fatalf("Delete(%q): %v", op.Ref, err)
	}
}

func mustHead(t T, st secret.Store, ref secret.Ref) secret.Info {
	t.Helper()
	info, err := st.Head(t.Context(), ref)
	if err != nil {
		t.Fatalf("Head(%q): %v", ref, err)
	}
	return info
}

func mustReveal(t T, st secret.Store, op secret.Op) (secret.Info, data) {
	t.Helper()
	info, values, err := st.Reveal(t.Context(), op)
	if err != nil {
		t.Fatalf("Reveal(%q): %v", op.Ref, err)
	}
	return info, values
}

func mustList(t T, st secret.Store, owner secret.Owner, page secret.Page) []secret.Info {
	t.Helper()
	infos, err := st.List(t.Context(), owner, page)
	if err != nil {
		t.Fatalf("List(%q): %v", owner, err)
	}
	return infos
}

func mustOwners(t T, st secret.Store, page secret.Page) []secret.Owner {
	t.Helper()
	var owners []secret.Owner
	for _, info := range mustCount(t, st, page) {
		owners = append(owners, info.Owner)
	}
	return owners
}

func mustCount(t T, st secret.Store, page secret.Page) []secret.OwnerInfo {
	t.Helper()
	owners, err := st.Owners(t.Context(), page)
	if err != nil {
		t.Fatalf("Owners: %v", err)
	}
	return owners
}

// names returns the names of all secrets of the owner, from List.
func names(t T, st secret.Store, owner secret.Owner) []string {
	t.Helper()
	return namesOf(mustList(t, st, owner, secret.Page{}))
}

func namesOf(infos []secret.Info) []string {
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

// wantError fails unless got is the wanted error or wraps it.
func wantError(t T, call string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", call, got, want)
	}
}

// wantInvalid fails unless got is an InvalidError about this data key.
func wantInvalid(t T, call string, got error, key string) {
	t.Helper()
	invalid, ok := errors.AsType[*secret.InvalidError](got)
	if !ok || invalid.DataKey != key {
		t.Errorf("%s: got error %v, want an InvalidError for key %q", call, got, key)
	}
}

func wantNames(t T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func wantGone(t T, st secret.Store, ref secret.Ref) {
	t.Helper()
	if _, err := st.Head(t.Context(), ref); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("Head(%q): got error %v, want not found", ref, err)
	}
	if slices.Contains(names(t, st, ref.Owner), ref.Name) {
		t.Errorf("List has %q, want it removed", ref)
	}
}

// wantStored fails unless every read of the secret returns this info, and Reveal
// these values.
func wantStored(t T, st secret.Store, want secret.Info, values data) {
	t.Helper()
	wantInfo(t, "Head", mustHead(t, st, want.Ref), want)
	info, got := mustReveal(t, st, secret.Op{Ref: want.Ref})
	wantInfo(t, "Reveal", info, want)
	wantValues(t, want.Ref, got, values)
	for _, info := range mustList(t, st, want.Owner, secret.Page{}) {
		if info.Name == want.Name {
			wantInfo(t, "List", info, want)
			return
		}
	}
	t.Errorf("List does not have %q", want.Ref)
}

// wantInfo does not compare the number of the version: only some stores count, and
// they have tests of it.
func wantInfo(t T, from string, got, want secret.Info) {
	t.Helper()
	got.Version, want.Version = 0, 0
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: info differs (-want +got):\n%s", from, diff)
	}
}

// wantValues reports wrong data keys and the lengths of their values. The values
// themselves are too long, and print as asterisks.
func wantValues(t T, ref secret.Ref, got, want data) {
	t.Helper()
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		g, inGot := got[key]
		w, inWant := want[key]
		if inGot != inWant || g != w {
			t.Errorf("%q: key %q: got %s, want %s", ref, key, describe(g, inGot), describe(w, inWant))
		}
	}
}

func describe(value secret.Value, there bool) string {
	switch s := string(value); {
	case !there:
		return "no such key"
	case len(s) > 100:
		return "another value of many bytes"
	default:
		return "value " + strings.ToValidUTF8(s, "?")
	}
}

// remember reads the secrets and returns a function that fails unless they are
// unchanged and the owner has no others.
func remember(t T, st secret.Store, ops ...secret.Op) (unharmed func()) {
	t.Helper()
	had := names(t, st, ops[0].Ref.Owner)
	infos, values := make([]secret.Info, len(ops)), make([]data, len(ops))
	for i, op := range ops {
		info, revealed := mustReveal(t, st, secret.Op{Ref: op.Ref})
		infos[i], values[i] = info, maps.Clone(revealed) // a copy: the map may belong to the store
	}
	return func() {
		t.Helper()
		for i := range ops {
			wantStored(t, st, infos[i], values[i])
		}
		wantNames(t, names(t, st, ops[0].Ref.Owner), had...)
	}
}

// together runs all functions concurrently, started in random order, and returns
// the error of each.
func together(do ...func() error) []error {
	errs := make([]error, len(do))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, i := range rand.Perm(len(do)) { //nolint:gosec // an order, not a secret
		wg.Go(func() {
			<-start
			errs[i] = do[i]()
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// wantOneWinner fails unless one error is nil and all others are the lost error.
func wantOneWinner(t T, errs []error, lost error) (winner int) {
	t.Helper()
	winner = slices.Index(errs, nil)
	if winner < 0 {
		t.Fatalf("nobody won: %v", errs)
	}
	for i, err := range errs {
		if i != winner && !errors.Is(err, lost) {
			t.Errorf("calls %d and %d at the same time: got error %v, want %v", winner, i, err, lost)
		}
	}
	return winner
}

// wantRecent tolerates the clock of another machine.
func wantRecent(t T, name string, at time.Time) {
	t.Helper()
	if ago := time.Since(at).Abs(); ago > time.Minute {
		t.Errorf("%s is %v from now", name, ago)
	}
}
