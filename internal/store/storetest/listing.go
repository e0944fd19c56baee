package storetest

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/secret"
)

func listing() []promise {
	return []promise{
		{name: "ListOfNothingIsNoError", check: listOfNothingIsNoError},
		{name: "ListIsInOrderOfBytes", check: listIsInOrderOfBytes},
		{name: "ListComesInPages", check: listComesInPages},
		{name: "PageGoesOnAfterANameThatIsGone", check: pageGoesOnAfterANameThatIsGone},
		{name: "WalkThroughPagesMeetsEverySecretOnce", check: walkThroughPagesMeetsEverySecretOnce},
	}
}

func listOfNothingIsNoError(t T, st secret.Store) {
	for _, page := range []secret.Page{{}, {Limit: 1}, {After: "a"}, {After: "a", Limit: 1}} {
		wantNames(t, namesOf(mustList(t, st, alice, page)))
	}
	mustCreate(t, st, at("a"), nil)
	wantNames(t, names(t, st, shop))
	mustDelete(t, st, at("a"))
	wantNames(t, names(t, st, alice))
}

func listIsInOrderOfBytes(t T, st secret.Store) {
	sorted := []string{
		" ", "!", "-", "10", "9", "A", "B", "Z", "_", "a", "a ", "a-", "a.", "aB", "aa", "ab", "b", "e\u0301", "z",
		"\u00e9", "\uffff", "\U00010000",
	}
	for i := range sorted { // in neither ascending nor descending order
		mustCreate(t, st, at(sorted[(i*7)%len(sorted)]), nil)
	}
	wantNames(t, names(t, st, alice), sorted...)

	mustDescribe(t, st, at("A"), "a~", "")
	want := slices.DeleteFunc(slices.Clone(sorted), func(name string) bool { return name == "A" })
	want = slices.Insert(want, slices.Index(want, "ab")+1, "a~")
	wantNames(t, names(t, st, alice), want...)
}

// numbered creates 00 to 11.
func numbered(t T, st secret.Store) []string {
	var all []string
	for i := range 12 {
		name := fmt.Sprintf("%02d", i)
		mustCreate(t, st, at(name), nil)
		mustCreate(t, st, secret.Op{Ref: secret.Ref{Owner: shop, Name: name}}, nil)
		all = append(all, name)
	}
	return all
}

func listComesInPages(t T, st secret.Store) {
	all := numbered(t, st)
	for _, limit := range []int{0, 1, 2, 5, 12, 13, 1000} {
		for i := range all {
			page := secret.Page{Limit: limit}
			if i > 0 {
				page.After = all[i-1]
			}
			want := all[i:]
			if limit > 0 {
				want = want[:min(limit, len(want))]
			}
			if got := namesOf(mustList(t, st, alice, page)); !slices.Equal(got, want) {
				t.Errorf("List(%+v): got %q, want %q", page, got, want)
			}
		}
		wantNames(t, namesOf(mustList(t, st, alice, secret.Page{After: "11", Limit: limit})))
	}
}

func pageGoesOnAfterANameThatIsGone(t T, st secret.Store) {
	all := numbered(t, st)
	mustDelete(t, st, at("05"))
	for _, tc := range []struct {
		after string
		want  []string
	}{
		{"05", []string{"06", "07"}},
		{"05x", []string{"06", "07"}},
		{"0", []string{"00", "01"}},
		{"10\xff", []string{"11"}},
		{"!", all[:2]},
		{"11", nil},
		{"zzz", nil},
	} {
		got := namesOf(mustList(t, st, alice, secret.Page{After: tc.after, Limit: 2}))
		if !slices.Equal(got, tc.want) {
			t.Errorf("List after %q: got %q, want %q", tc.after, got, tc.want)
		}
	}
}

// Twelve is a multiple of some page sizes, which makes the last page empty, but not of
// others.
func walkThroughPagesMeetsEverySecretOnce(t T, st secret.Store) {
	all := numbered(t, st)
	for _, limit := range []int{1, 4, 5, 12} {
		var met []string
		for page := (secret.Page{Limit: limit}); len(met) <= len(all); page.After = met[len(met)-1] {
			infos := mustList(t, st, alice, page)
			if len(infos) == 0 {
				break
			}
			met = append(met, namesOf(infos)...)
		}
		wantNames(t, met, all...)
	}
}
