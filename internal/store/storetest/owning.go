package storetest

import (
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/secret"
)

func owning() []promise {
	return []promise{
		{name: "OwnersNeverSeeEachOthersSecrets", check: ownersNeverSeeEachOthersSecrets},
		{name: "OwnersNeverReachEachOthersSecrets", check: ownersNeverReachEachOthersSecrets},
		{name: "OwnerAndNameDoNotRunTogether", check: ownerAndNameDoNotRunTogether},
		{name: "OwnersAreInOrder", check: ownersAreInOrder},
		{name: "OwnersComeInPages", check: ownersComeInPages},
		{name: "OwnersHaveTheNumberOfTheirSecrets", check: ownersHaveTheNumberOfTheirSecrets},
		{name: "OwnerWithoutSecretsIsNotListed", check: ownerWithoutSecretsIsNotListed},
	}
}

// neighbours are owners that a careless store confuses, sorted by Owner.String.
func neighbours() []secret.Owner {
	id := shop.ID
	owners := []secret.Owner{
		secret.App(id), secret.App("0f8fad5b-d9cb-469f-a165-70867728950f"),
		secret.User(id), secret.User(strings.ToUpper(id)), secret.User(id[:8]), secret.User(id[:9]),
		secret.User("a"), secret.User("ab"), secret.User("A"), secret.User("a/b"), secret.User("a-b"), secret.User("a b"),
		secret.User("auth0|7"), secret.User("alice@example.com"), secret.User("é"), secret.User("e\u0301"),
		secret.User(strings.Repeat("u", 300)), secret.User(strings.Repeat("u", 299)),
	}
	slices.SortFunc(owners, func(a, b secret.Owner) int { return strings.Compare(a.String(), b.String()) })
	return owners
}

func ownersNeverSeeEachOthersSecrets(t T, st secret.Store) {
	for _, owner := range neighbours() {
		for _, name := range []string{"db", firstLetter(owner)} {
			op := secret.Op{Ref: secret.Ref{Owner: owner, Name: name}}
			mustCreate(t, st, op, data{"of": secret.Value(owner.String())})
		}
	}
	for _, owner := range neighbours() {
		want := []string{"db", firstLetter(owner)}
		slices.Sort(want)
		wantNames(t, names(t, st, owner), want...)
		for _, info := range mustList(t, st, owner, secret.Page{}) {
			if info.Owner != owner {
				t.Errorf("List(%q) has a secret of %q", owner, info.Owner)
			}
		}
		ref := secret.Ref{Owner: owner, Name: "db"}
		_, values := mustReveal(t, st, secret.Op{Ref: ref})
		wantValues(t, ref, values, data{"of": secret.Value(owner.String())})
	}
}

func firstLetter(owner secret.Owner) string { return string([]rune(owner.ID)[:1]) }

// Operations of one owner leave the secrets of all later owners unchanged.
func ownersNeverReachEachOthersSecrets(t T, st secret.Store) {
	of := func(owner secret.Owner, name string) secret.Op {
		return secret.Op{Ref: secret.Ref{Owner: owner, Name: name}}
	}
	for _, owner := range neighbours() {
		mustCreate(t, st, of(owner, "db"), data{"k": "old"})
		mustCreate(t, st, of(owner, "spare"), data{"k": "old"})
	}
	for i, owner := range neighbours() {
		mustReplace(t, st, of(owner, "db"), secret.Change{Set: data{"k": "new"}})
		mustDescribe(t, st, of(owner, "db"), "renamed", "")
		mustDelete(t, st, of(owner, "spare"))
		wantNames(t, names(t, st, owner), "renamed")
		for _, other := range neighbours()[i+1:] {
			wantNames(t, names(t, st, other), "db", "spare")
			_, values := mustReveal(t, st, of(other, "db"))
			wantValues(t, of(other, "db").Ref, values, data{"k": "old"})
		}
	}
}

// The same characters, split between owner and name at every position.
func ownerAndNameDoNotRunTogether(t T, st secret.Store) {
	for _, all := range []string{"abc", "a-b-c", "a.b.c", "a:b:c", "a|b|c", "a b c"} {
		for i := 1; i < len(all); i++ {
			op := secret.Op{Ref: secret.Ref{Owner: secret.User(all[:i]), Name: all[i:]}}
			info := mustCreate(t, st, op, data{"k": secret.Value(op.Ref.String())})
			wantStored(t, st, info, data{"k": secret.Value(op.Ref.String())})
		}
	}
}

func ownersAreInOrder(t T, st secret.Store) {
	if got := mustOwners(t, st, secret.Page{}); len(got) != 0 {
		t.Errorf("Owners of an empty store: got %q, want none", got)
	}
	shuffled := neighbours()
	slices.Reverse(shuffled)
	for _, owner := range shuffled {
		for _, name := range []string{"b", "a"} {
			mustCreate(t, st, secret.Op{Ref: secret.Ref{Owner: owner, Name: name}}, nil)
		}
	}
	if got, want := mustOwners(t, st, secret.Page{}), neighbours(); !slices.Equal(got, want) {
		t.Errorf("Owners: got %q, want %q", got, want)
	}
}

func ownersComeInPages(t T, st secret.Store) {
	all := neighbours()
	for _, owner := range all {
		mustCreate(t, st, secret.Op{Ref: secret.Ref{Owner: owner, Name: "db"}}, nil)
	}
	for _, limit := range []int{1, 2, len(all) / 2, len(all), len(all) + 1} {
		for i := range all {
			page := secret.Page{Limit: limit}
			if i > 0 {
				page.After = all[i-1].String()
			}
			got, want := mustOwners(t, st, page), all[i:min(i+limit, len(all))]
			if !slices.Equal(got, want) {
				t.Errorf("Owners(%+v): got %q, want %q", page, got, want)
			}
		}
	}
	for after, want := range map[string][]secret.Owner{
		"app":                    all,
		"user":                   all[2:],
		"zzz":                    nil,
		all[len(all)-1].String(): nil,
	} {
		if got := mustOwners(t, st, secret.Page{After: after}); !slices.Equal(got, want) {
			t.Errorf("Owners after %q: got %q, want %q", after, got, want)
		}
	}
}

func ownersHaveTheNumberOfTheirSecrets(t T, st secret.Store) {
	mustCreate(t, st, secret.Op{Ref: secret.Ref{Owner: shop, Name: "db"}}, nil)
	mustCreate(t, st, at("a"), nil)
	mustCreate(t, st, at("b"), nil)
	for i, step := range []struct {
		after func()
		want  int
	}{
		{func() {}, 2},
		{func() { mustCreate(t, st, at("c"), nil) }, 3},
		{func() { mustDescribe(t, st, at("c"), "d", "") }, 3},
		{func() { mustReplace(t, st, at("d"), secret.Change{Set: data{"k": "v"}}) }, 3},
		{func() { mustDelete(t, st, at("a")) }, 2},
	} {
		step.after()
		want := []secret.OwnerInfo{{Owner: shop, Secrets: 1}, {Owner: alice, Secrets: step.want}}
		if got := mustCount(t, st, secret.Page{}); !slices.Equal(got, want) {
			t.Errorf("Owners after step %d: got %v, want %v", i, got, want)
		}
	}
}

func ownerWithoutSecretsIsNotListed(t T, st secret.Store) {
	mustCreate(t, st, secret.Op{Ref: secret.Ref{Owner: shop, Name: "db"}}, nil)
	mustCreate(t, st, at("a"), nil)
	mustCreate(t, st, at("b"), nil)
	steps := []struct {
		after func()
		want  []secret.Owner
	}{
		{func() { mustDelete(t, st, at("a")) }, []secret.Owner{shop, alice}},
		{func() { mustDescribe(t, st, at("b"), "c", "") }, []secret.Owner{shop, alice}},
		{func() { mustDelete(t, st, at("c")) }, []secret.Owner{shop}},
		{func() { mustCreate(t, st, at("a"), nil) }, []secret.Owner{shop, alice}},
	}
	for i, step := range steps {
		step.after()
		if got := mustOwners(t, st, secret.Page{}); !slices.Equal(got, step.want) {
			t.Errorf("Owners after step %d: got %q, want %q", i, got, step.want)
		}
	}
}
