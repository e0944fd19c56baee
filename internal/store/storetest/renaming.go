package storetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/secret"
)

func renaming() []promise {
	return []promise{
		{name: "OneOfTwoRenamesToOneNameWins", check: oneOfTwoRenamesToOneNameWins},
		{name: "OneOfRenameAndCreateWins", check: oneOfRenameAndCreateWins},
		{name: "OneOfTwoRenamesOfOneSecretWins", check: oneOfTwoRenamesOfOneSecretWins},
		{name: "OneOfRenameAndDeleteWins", check: oneOfRenameAndDeleteWins},
		{name: "RenameKeepsAConcurrentReplacement", check: renameKeepsAConcurrentReplacement},
		{name: "RenamesInCirclesLoseNothing", check: renamesInCirclesLoseNothing},
		{name: "NoReaderSeesNeitherName", check: noReaderSeesNeitherName},
		{name: "NoReaderSeesBothNames", check: noReaderSeesBothNames, oneStepRename: true},
	}
}

func rename(t T, st secret.Store, from, to string) func() error {
	return func() error {
		_, err := st.Describe(t.Context(), at(from), to, "renamed")
		return err
	}
}

func deleteAll(t T, st secret.Store) {
	t.Helper()
	for _, name := range names(t, st, alice) {
		mustDelete(t, st, at(name))
	}
}

func oneOfTwoRenamesToOneNameWins(t T, st secret.Store) {
	for range rounds {
		from := []string{"a", "b"}
		mustCreate(t, st, at("a"), data{"of": "a"})
		mustCreate(t, st, at("b"), data{"of": "b"})
		winner := wantOneWinner(t, together(rename(t, st, "a", "c"), rename(t, st, "b", "c")), secret.ErrExists)
		won, lost := from[winner], from[1-winner]
		wantNames(t, names(t, st, alice), lost, "c")
		_, values := mustReveal(t, st, at("c"))
		wantValues(t, at("c").Ref, values, data{"of": secret.Value(won)})
		info, values := mustReveal(t, st, at(lost))
		wantValues(t, info.Ref, values, data{"of": secret.Value(lost)})
		if info.Description != "" {
			t.Errorf("the loser has the description %q", info.Description)
		}
		deleteAll(t, st)
	}
}

func oneOfRenameAndCreateWins(t T, st secret.Store) {
	for range rounds {
		mustCreate(t, st, at("a"), data{"of": "a"})
		create := func() error {
			_, err := st.Create(t.Context(), at("b"), secret.Draft{Data: data{"of": "b"}})
			return err
		}
		want := data{"of": "a"}
		if wantOneWinner(t, together(rename(t, st, "a", "b"), create), secret.ErrExists) == 1 {
			want = data{"of": "b"}
			_, values := mustReveal(t, st, at("a"))
			wantValues(t, at("a").Ref, values, data{"of": "a"})
		}
		_, values := mustReveal(t, st, at("b"))
		wantValues(t, at("b").Ref, values, want)
		deleteAll(t, st)
	}
}

func oneOfTwoRenamesOfOneSecretWins(t T, st secret.Store) {
	for range rounds {
		mustCreate(t, st, at("a"), data{"of": "a"})
		winner := wantOneWinner(t, together(rename(t, st, "a", "0"), rename(t, st, "a", "1")), secret.ErrNotFound)
		name := fmt.Sprint(winner)
		wantNames(t, names(t, st, alice), name)
		_, values := mustReveal(t, st, at(name))
		wantValues(t, at(name).Ref, values, data{"of": "a"})
		deleteAll(t, st)
	}
}

func oneOfRenameAndDeleteWins(t T, st secret.Store) {
	for range rounds {
		mustCreate(t, st, at("a"), data{"of": "a"})
		del := func() error { return st.Delete(t.Context(), at("a")) }
		if wantOneWinner(t, together(rename(t, st, "a", "b"), del), secret.ErrNotFound) == 1 {
			wantNames(t, names(t, st, alice))
			continue
		}
		wantNames(t, names(t, st, alice), "b")
		_, values := mustReveal(t, st, at("b"))
		wantValues(t, at("b").Ref, values, data{"of": "a"})
		deleteAll(t, st)
	}
}

// A rename that read the old values does not undo an acknowledged replacement.
func renameKeepsAConcurrentReplacement(t T, st secret.Store) {
	for range rounds {
		mustCreate(t, st, at("a"), data{"k": "old"})
		errs := together(
			rename(t, st, "a", "b"),
			func() error {
				_, err := st.Replace(t.Context(), at("a"), secret.Change{Set: data{"k": "new"}})
				return err
			},
		)
		if errs[0] != nil {
			t.Errorf("rename: %v", errs[0])
		}
		want := data{"k": "new"}
		if errs[1] != nil {
			wantError(t, "Replace after a rename", errs[1], secret.ErrNotFound)
			want = data{"k": "old"}
		}
		wantNames(t, names(t, st, alice), "b")
		_, values := mustReveal(t, st, at("b"))
		wantValues(t, at("b").Ref, values, want)
		deleteAll(t, st)
	}
}

// Three secrets share four names, and all writers compete for the free one.
func renamesInCirclesLoseNothing(t T, st secret.Store) {
	mustCreate(t, st, at("a"), data{"of": "1"})
	mustCreate(t, st, at("b"), data{"of": "2"})
	mustCreate(t, st, at("c"), data{"of": "3"})
	around := func(from, to string) func() error {
		return func() error {
			for range 2 * rounds {
				err := rename(t, st, from, to)()
				if err != nil && !errors.Is(err, secret.ErrNotFound) && !errors.Is(err, secret.ErrExists) {
					return err
				}
			}
			return nil
		}
	}
	wantAllWell(t, together(
		around("a", "b"), around("b", "c"), around("c", "d"), around("d", "a"),
		around("b", "a"), around("c", "b"), around("d", "c"), around("a", "d"),
	))
	var left []string
	for _, name := range names(t, st, alice) {
		_, values := mustReveal(t, st, at(name))
		left = append(left, string(values["of"]))
	}
	slices.Sort(left)
	wantNames(t, left, "1", "2", "3")
}

func noReaderSeesNeitherName(t T, st secret.Store) {
	whileRenaming(t, st, func(seen int) error {
		if seen == 0 {
			return errors.New("a List has the secret under neither name")
		}
		return nil
	})
}

func noReaderSeesBothNames(t T, st secret.Store) {
	whileRenaming(t, st, func(seen int) error {
		if seen > 1 {
			return errors.New("a List has the secret under both names")
		}
		return nil
	})
}

// whileRenaming renames a secret back and forth among others, and calls check with the
// number of names under which a list shows it.
func whileRenaming(t T, st secret.Store, check func(seen int) error) {
	t.Helper()
	for _, name := range []string{"a", "c", "e"} {
		mustCreate(t, st, at(name), nil)
	}
	mustCreate(t, st, at("b"), data{"k": "v"})
	from, to := "b", "d"
	write := func() error {
		err := rename(t, st, from, to)()
		from, to = to, from
		return err
	}
	read := func() error {
		infos, err := st.List(t.Context(), alice, secret.Page{})
		if err != nil {
			return err
		}
		return check(len(infos) - 3)
	}
	whileWriting(t, read, write)
}
