package storetest

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/strongroom/strongroom/internal/secret"
)

// rounds is large enough to hit a race, and small enough for stores that write to disk or
// call a server.
const rounds = 50

func racing() []promise {
	return []promise{
		{name: "NoUpdateIsLost", check: noUpdateIsLost},
		{name: "OneOfManyCreatorsWins", check: oneOfManyCreatorsWins},
		{name: "OneOfManyDeletersWins", check: oneOfManyDeletersWins},
		{name: "OneOfManyWithTheSameConditionWins", check: oneOfManyWithTheSameConditionWins},
		{name: "DeletedSecretIsNotResurrected", check: deletedSecretIsNotResurrected},
		{name: "DeleteUnderAConditionDeletesWhatWasMeant", check: deleteUnderAConditionDeletesWhatWasMeant},
		{name: "RevealIsNotTorn", check: revealIsNotTorn},
		{name: "RevealReturnsInfoAndValuesOfOneMoment", check: revealReturnsInfoAndValuesOfOneMoment},
		{name: "KeepKeepsWhatIsStoredByThen", check: keepKeepsWhatIsStoredByThen},
	}
}

func noUpdateIsLost(t T, st secret.Store) {
	const writers, each = 8, 15
	mustCreate(t, st, at("counter"), data{"n": "0"})
	increment := func() error {
		info, values, err := st.Reveal(t.Context(), at("counter"))
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(values["n"]))
		if err != nil {
			return err
		}
		next := secret.Change{Set: data{"n": secret.Value(strconv.Itoa(n + 1))}}
		_, err = st.Replace(t.Context(), onlyIf(at("counter"), info.Revision), next)
		return err
	}
	write := func() error {
		// Each failure means that another writer succeeded, so the number of tries is bounded.
		for done, tries := 0, 0; done < each; tries++ {
			switch err := increment(); {
			case err == nil:
				done++
			case !errors.Is(err, secret.ErrChanged) || tries > writers*each:
				return fmt.Errorf("incrementing: %w", err)
			}
		}
		return nil
	}
	wantAllWell(t, together(repeat(writers, write)...))
	_, values := mustReveal(t, st, at("counter"))
	wantValues(t, at("counter").Ref, values, data{"n": secret.Value(strconv.Itoa(writers * each))})
}

func repeat(n int, do func() error) []func() error {
	all := make([]func() error, n)
	for i := range all {
		all[i] = do
	}
	return all
}

func wantAllWell(t T, errs []error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Errorf("at the same time: %v", err)
		}
	}
}

func oneOfManyCreatorsWins(t T, st secret.Store) {
	for i := range rounds {
		op := at(fmt.Sprint(i))
		create := func(by secret.Value) func() error {
			return func() error {
				_, err := st.Create(t.Context(), op, secret.Draft{Data: data{"by": by, string(by): "x"}})
				return err
			}
		}
		winner := wantOneWinner(t, together(create("0"), create("1"), create("2")), secret.ErrExists)
		by := strconv.Itoa(winner)
		_, values := mustReveal(t, st, op)
		wantValues(t, op.Ref, values, data{"by": secret.Value(by), by: "x"})
	}
}

func oneOfManyDeletersWins(t T, st secret.Store) {
	for range rounds {
		mustCreate(t, st, at("db"), nil)
		del := func() error { return st.Delete(t.Context(), at("db")) }
		wantOneWinner(t, together(del, del, del), secret.ErrNotFound)
		wantGone(t, st, at("db").Ref)
	}
}

func oneOfManyWithTheSameConditionWins(t T, st secret.Store) {
	info := mustCreate(t, st, at("db"), nil)
	for i := range rounds {
		op, round := onlyIf(at("db"), info.Revision), strconv.Itoa(i)
		replace := func() error {
			_, err := st.Replace(t.Context(), op, secret.Change{Set: data{"round": secret.Value(round)}})
			return err
		}
		describe := func() error {
			_, err := st.Describe(t.Context(), op, "db", round)
			return err
		}
		wantOneWinner(t, together(replace, describe, replace, describe), secret.ErrChanged)
		info = mustHead(t, st, at("db").Ref)
	}
}

// Either the replacement came first and was deleted, or it found no secret.
func deletedSecretIsNotResurrected(t T, st secret.Store) {
	for range rounds {
		mustCreate(t, st, at("db"), data{"k": "old"})
		errs := together(
			func() error { return st.Delete(t.Context(), at("db")) },
			func() error {
				_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"k": "new"}})
				return err
			},
			func() error {
				_, err := st.Describe(t.Context(), at("db"), "db", "new")
				return err
			},
		)
		if errs[0] != nil {
			t.Errorf("Delete: %v", errs[0])
		}
		for _, err := range errs[1:] {
			if err != nil {
				wantError(t, "write after Delete", err, secret.ErrNotFound)
			}
		}
		wantNames(t, names(t, st, alice))
	}
}

func deleteUnderAConditionDeletesWhatWasMeant(t T, st secret.Store) {
	for range rounds {
		info := mustCreate(t, st, at("db"), data{"k": "old"})
		errs := together(
			func() error { return st.Delete(t.Context(), onlyIf(at("db"), info.Revision)) },
			func() error {
				_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"k": "new"}})
				return err
			},
		)
		if errs[0] == nil {
			wantError(t, "Replace after Delete", errs[1], secret.ErrNotFound)
			wantGone(t, st, at("db").Ref)
			continue
		}
		wantError(t, "Delete after Replace", errs[0], secret.ErrChanged)
		_, values := mustReveal(t, st, at("db"))
		wantValues(t, at("db").Ref, values, data{"k": "new"})
		mustDelete(t, st, at("db"))
	}
}

// whileWriting runs reads and writes concurrently until there were enough of both,
// and ends with one more read.
func whileWriting(t T, read func() error, writes ...func() error) {
	t.Helper()
	var writing, reads atomic.Int32
	writing.Store(int32(len(writes))) //nolint:gosec // a few
	reader := func() error {
		defer reads.Add(4 * rounds) // no writer waits for a reader that has ended
		for last := false; ; reads.Add(1) {
			if err := read(); err != nil || last {
				return err
			}
			last = writing.Load() == 0
		}
	}
	all := []func() error{reader, reader}
	for _, write := range writes {
		all = append(all, func() error {
			defer writing.Add(-1)
			for n := 0; n < 2*rounds || reads.Load() < 4*rounds; n++ {
				if err := write(); err != nil {
					return err
				}
				runtime.Gosched() // else a single processor would only write
			}
			return nil
		})
	}
	wantAllWell(t, together(all...))
}

// Each writer has its own data keys, and all its values name the writer.
func revealIsNotTorn(t T, st secret.Store) {
	by := func(who string) data {
		values := data{}
		for i := range 8 {
			values[fmt.Sprintf("%s%d", who, i)] = secret.Value(who)
			values[fmt.Sprintf("shared%d", i)] = secret.Value(who)
		}
		return values
	}
	mustCreate(t, st, at("db"), by("a"))
	replace := func(who string) func() error {
		return func() error {
			_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: by(who)})
			return err
		}
	}
	read := func() error {
		info, values, err := st.Reveal(t.Context(), at("db"))
		if err != nil {
			return err
		}
		who := string(values["shared0"])
		if !maps.Equal(values, by(who)) {
			return fmt.Errorf("a Reveal has %d values of %q and others", len(values), who)
		}
		if !slices.Equal(info.Keys, slices.Sorted(maps.Keys(values))) {
			return fmt.Errorf("a Reveal has keys %q and values of %q", info.Keys, who)
		}
		return nil
	}
	whileWriting(t, read, replace("a"), replace("b"))
}

// Reveal returns the values that were written under the returned revision.
func revealReturnsInfoAndValuesOfOneMoment(t T, st secret.Store) {
	var mu sync.Mutex
	written, revealed := map[secret.Revision]secret.Value{}, map[secret.Revision]secret.Value{}
	note := func(in map[secret.Revision]secret.Value, info secret.Info, value secret.Value) {
		mu.Lock()
		defer mu.Unlock()
		if before, again := in[info.Revision]; again && before != value {
			t.Errorf("two values under revision %q", info.Revision)
		}
		in[info.Revision] = value
	}
	note(written, mustCreate(t, st, at("db"), data{"n": "0"}), "0")
	var n atomic.Int64
	write := func() error {
		value := secret.Value(strconv.FormatInt(n.Add(1), 10))
		info, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"n": value}})
		if err == nil {
			note(written, info, value)
		}
		return err
	}
	read := func() error {
		info, values, err := st.Reveal(t.Context(), at("db"))
		if err == nil {
			note(revealed, info, values["n"])
		}
		return err
	}
	whileWriting(t, read, write, write)
	for at, value := range revealed {
		if written[at] != value {
			t.Errorf("revision %q was revealed with other values than it was written with", at)
		}
	}
}

// Two writers each set one data key and keep the other: neither loses a value.
func keepKeepsWhatIsStoredByThen(t T, st secret.Store) {
	mustCreate(t, st, at("db"), data{"a": "0", "b": "0"})
	for i := range rounds {
		value := secret.Value(strconv.Itoa(i + 1))
		replace := func(set, keep string) func() error {
			return func() error {
				change := secret.Change{Set: data{set: value}, Keep: []string{keep}}
				_, err := st.Replace(t.Context(), at("db"), change)
				return err
			}
		}
		wantAllWell(t, together(replace("a", "b"), replace("b", "a")))
		_, values := mustReveal(t, st, at("db"))
		wantValues(t, at("db").Ref, values, data{"a": value, "b": value})
	}
}
