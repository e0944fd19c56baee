package audit_test

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// tamper changes stored rows, as an attacker could with write access to the file but
// without the keys.
func tamper(t testing.TB, f *state.File, change func(log *state.Bucket) error) {
	t.Helper()
	err := f.Update(t.Context(), func(tx *state.Tx) error {
		log := tx.Bucket("audit")
		return change(&log)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func seq(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

var (
	checkpointKey = seq(0)
	headKey       = seq(math.MaxUint64)
)

func flip(key []byte, at int) func(log *state.Bucket) error {
	return func(log *state.Bucket) error {
		stored := slices.Clone(log.Get(key))
		stored[(at+len(stored))%len(stored)] ^= 1
		return log.Put(key, stored)
	}
}

func drop(numbers ...uint64) func(log *state.Bucket) error {
	return func(log *state.Bucket) error {
		for _, n := range numbers {
			if err := log.Delete(seq(n)); err != nil {
				return err
			}
		}
		return nil
	}
}

func copyTo(from, to []byte) func(log *state.Bucket) error {
	return func(log *state.Bucket) error { return log.Put(to, slices.Clone(log.Get(from))) }
}

func all(changes ...func(log *state.Bucket) error) func(log *state.Bucket) error {
	return func(log *state.Bucket) error {
		for _, change := range changes {
			if err := change(log); err != nil {
				return err
			}
		}
		return nil
	}
}

func swap(a, b uint64) func(log *state.Bucket) error {
	aside := seq(1 << 40)
	return all(copyTo(seq(a), aside), copyTo(seq(b), seq(a)), copyTo(aside, seq(b)), drop(1<<40))
}

// mustPruned returns a log of entries 4 to 7 behind a checkpoint. Entry 7 records the
// pruning.
func mustPruned(t testing.TB, f *state.File) *audit.Log {
	t.Helper()
	l := mustLog(t, f)
	for i, name := range []string{"a", "b", "c", "d", "e", "f"} {
		e := event(name)
		e.Time = start.Add(time.Duration(i) * time.Hour)
		if err := l.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if dropped, err := l.Prune(t.Context(), start.Add(3*time.Hour), secret.Event{Subject: "ops"}); dropped != 3 || err != nil {
		t.Fatalf("pruned %d entries, %v, want 3", dropped, err)
	}
	return l
}

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestVerifyNamesTheFirstBreak(t *testing.T) {
	for _, tc := range []struct {
		what   string
		change func(log *state.Bucket) error
		want   audit.Break
		before int // entries that verify
	}{
		{"an edited entry", flip(seq(5), -1), audit.Break{What: audit.Edited, Seq: 5}, 1},
		{"an edited MAC", flip(seq(5), 0), audit.Break{What: audit.Edited, Seq: 5}, 1},
		{"an edited first entry", flip(seq(4), 40), audit.Break{What: audit.Edited, Seq: 4}, 0},
		{"an edited last entry", flip(seq(7), -1), audit.Break{What: audit.Edited, Seq: 7}, 3},
		{"an empty entry", func(log *state.Bucket) error { return log.Put(seq(6), nil) }, audit.Break{What: audit.Edited, Seq: 6}, 2},
		{"a deleted entry", drop(5), audit.Break{What: audit.Missing, Seq: 5, Last: 5}, 1},
		{"two deleted entries", drop(5, 6), audit.Break{What: audit.Missing, Seq: 5, Last: 6}, 1},
		{"a deleted first entry", drop(4), audit.Break{What: audit.Missing, Seq: 4, Last: 4}, 0},
		{"two swapped entries", swap(5, 6), audit.Break{What: audit.Moved, Seq: 5, Is: 6}, 1},
		{"entries moved up to close a gap", all(copyTo(seq(6), seq(5)), copyTo(seq(7), seq(6)), drop(7)), audit.Break{What: audit.Moved, Seq: 5, Is: 6}, 1},
		{"an entry twice", copyTo(seq(4), seq(6)), audit.Break{What: audit.Moved, Seq: 6, Is: 4}, 2},
		{"a truncated tail", drop(6, 7), audit.Break{What: audit.Truncated, Seq: 6, Last: 7}, 2},
		{"nothing but the head", drop(4, 5, 6, 7), audit.Break{What: audit.Truncated, Seq: 4, Last: 7}, 0},
		{"a gap, and more at the end", all(drop(5, 6, 7), copyTo(seq(4), seq(8))), audit.Break{What: audit.Missing, Seq: 5, Last: 7}, 1},
		{"an entry again at the end", copyTo(seq(7), seq(8)), audit.Break{What: audit.Beyond, Seq: 8}, 4},
		{"an entry far behind the end", copyTo(seq(7), seq(1000)), audit.Break{What: audit.Beyond, Seq: 1000}, 4},
		{"nothing at all", drop(0, 4, 5, 6, 7, math.MaxUint64), audit.Break{What: audit.Wiped}, 0},
		{"something between", copyTo(seq(5), append(seq(5), 1)), audit.Break{What: audit.Foreign, Seq: 6}, 2},
		{"something where entries were pruned", copyTo(seq(5), seq(2)), audit.Break{What: audit.Foreign, Seq: 4}, 0},
		{"an edited head", flip(headKey, 3), audit.Break{What: audit.BadHead, Seq: 7}, 4},
		{"no head", drop(math.MaxUint64), audit.Break{What: audit.BadHead, Seq: 7}, 4},
		{"a truncated tail and no head", drop(6, 7, math.MaxUint64), audit.Break{What: audit.BadHead, Seq: 5}, 2},
		{"an entry in the place of the head", copyTo(seq(7), headKey), audit.Break{What: audit.BadHead, Seq: 7}, 4},
		{"an edited checkpoint", flip(checkpointKey, -1), audit.Break{What: audit.BadCheckpoint}, 0},
		{"an entry in the place of the checkpoint", copyTo(seq(4), checkpointKey), audit.Break{What: audit.BadCheckpoint}, 0},
		{"the head in the place of the checkpoint", copyTo(headKey, checkpointKey), audit.Break{What: audit.BadCheckpoint}, 0},
		{"no checkpoint", drop(0), audit.Break{What: audit.Missing, Seq: 1, Last: 3}, 0},
		{"more pruned than the checkpoint has", drop(4, 5), audit.Break{What: audit.Missing, Seq: 4, Last: 5}, 0},
		{"an edited entry before a deleted one", all(flip(seq(4), 50), drop(6)), audit.Break{What: audit.Edited, Seq: 4}, 0},
	} {
		t.Run(tc.what, func(t *testing.T) {
			f := mustFile(t)
			l := mustPruned(t, f)
			tamper(t, f, tc.change)
			r, err := l.Verify(t.Context())
			got, ok := errors.AsType[*audit.Break](err)
			if !ok || !errors.Is(err, audit.ErrTampered) {
				t.Fatalf("got %v, want a Break", err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" || r.Entries != tc.before {
				t.Errorf("%v; %d entries before it, want %d\n%s", err, r.Entries, tc.before, diff)
			}
		})
	}
}

func TestBreaksReadAsSentences(t *testing.T) {
	for _, tc := range []struct {
		b    audit.Break
		want string
	}{
		{audit.Break{What: audit.Edited, Seq: 5}, "entry 5 has been changed"},
		{audit.Break{What: audit.Missing, Seq: 5, Last: 5}, "entry 5 is missing"},
		{audit.Break{What: audit.Missing, Seq: 5, Last: 6}, "entries 5 to 6 are missing"},
		{audit.Break{What: audit.Moved, Seq: 5, Is: 6}, "entry 6 is in the place of entry 5"},
		{audit.Break{What: audit.Truncated, Seq: 6, Last: 7}, "entries 6 to 7 are missing at its end"},
		{audit.Break{What: audit.Beyond, Seq: 8}, "entry 8 follows the last entry that the head names"},
		{audit.Break{What: audit.Foreign, Seq: 6}, "an unknown row precedes entry 6"},
		{audit.Break{What: audit.BadHead, Seq: 7}, "the head, which names the last entry, has been changed"},
		{audit.Break{What: audit.BadCheckpoint}, "the checkpoint before the first entry has been changed"},
	} {
		if got, want := tc.b.Error(), audit.ErrTampered.Error()+": "+tc.want; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestVerifyReportsTheEntries(t *testing.T) {
	f := mustFile(t)
	l := mustLog(t, f)
	if err := l.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := l.Verify(t.Context())
	if err != nil || r.Entries != 1 || r.First.Event.Action != audit.Beginning || r.Checkpoint != nil {
		t.Errorf("of a new log: %+v, %v", r, err)
	}
	r, err = mustPruned(t, mustFile(t)).Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Entries != 4 || r.First.Seq != 4 || r.Last.Seq != 7 || !r.First.Event.Time.Equal(start.Add(3*time.Hour)) {
		t.Errorf("got %+v", r)
	}
	if c := r.Checkpoint; c == nil || c.Seq != 3 || c.By != "ops" || c.Dropped != 3 || time.Since(c.Time) > time.Minute {
		t.Errorf("checkpoint %+v", c)
	}
}

type row struct{ key, value []byte }

func rows(t testing.TB, f *state.File) (stored []row) {
	t.Helper()
	_ = f.View(func(tx *state.Tx) error {
		log := tx.Bucket("audit")
		for k, v := range log.From([]byte{0}) {
			stored = append(stored, row{slices.Clone(k), slices.Clone(v)})
		}
		return nil
	})
	return stored
}

// Every byte is covered: keys, entries, checkpoint and head.
func TestEveryChangedByteIsDetected(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	tried := 0
	for _, r := range rows(t, f) {
		for i := range len(r.key) + len(r.value) {
			changed := slices.Concat(r.key, r.value)
			changed[i] ^= 1 << (i % 8)
			key, value := changed[:len(r.key)], changed[len(r.key):]
			var overwritten []byte
			tamper(t, f, func(log *state.Bucket) error {
				overwritten = nil
				if !slices.Equal(key, r.key) {
					overwritten = slices.Clone(log.Get(key))
				}
				return errors.Join(log.Delete(r.key), log.Put(key, value))
			})
			if _, err := l.Verify(t.Context()); !errors.Is(err, audit.ErrTampered) {
				t.Fatalf("key %x, byte %d: %v, want ErrTampered", r.key, i, err)
			}
			tamper(t, f, func(log *state.Bucket) error {
				if overwritten != nil {
					return errors.Join(log.Put(key, overwritten), log.Put(r.key, r.value))
				}
				return errors.Join(log.Delete(key), log.Put(r.key, r.value))
			})
			tried++
		}
	}
	if _, err := l.Verify(t.Context()); err != nil || tried < 1000 {
		t.Errorf("after %d changes that were undone: %v", tried, err)
	}
}

func TestDroppedAndMovedRowsAreDetected(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	stored := rows(t, f)
	for _, a := range stored {
		for _, b := range stored {
			if slices.Equal(a.key, b.key) {
				tamper(t, f, func(log *state.Bucket) error { return log.Delete(a.key) })
			} else {
				tamper(t, f, func(log *state.Bucket) error { return log.Put(a.key, b.value) })
			}
			if _, err := l.Verify(t.Context()); !errors.Is(err, audit.ErrTampered) {
				t.Errorf("%x at %x: %v, want ErrTampered", b.key, a.key, err)
			}
			tamper(t, f, func(log *state.Bucket) error { return log.Put(a.key, a.value) })
		}
	}
}

func TestTruncatedTailStaysAGap(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	tamper(t, f, drop(6, 7))
	if err := l.Check(); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("Check: %v, want ErrTampered", err)
	}
	mustRecord(t, l, "later")
	_, err := l.Verify(t.Context())
	if got, ok := errors.AsType[*audit.Break](err); !ok || *got != (audit.Break{What: audit.Missing, Seq: 6, Last: 7}) {
		t.Errorf("after another entry: %v, want entries 6 to 7 missing", err)
	}
}

func TestNothingIsAppendedBehindADamagedHead(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	tamper(t, f, flip(headKey, -1))
	if err := l.Record(t.Context(), event("a")); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("Record: %v, want ErrTampered", err)
	}
	if got := len(rows(t, f)); got != 6 {
		t.Errorf("%d rows, want the 6 there were", got)
	}
}

func TestMendContinuesFromTheLastEntry(t *testing.T) {
	for _, tc := range []struct {
		what   string
		change func(log *state.Bucket) error
		want   uint64 // the number of the entry that records the repair
	}{
		{"a damaged head", flip(headKey, -1), 8},
		{"no head", drop(math.MaxUint64), 8},
		{"no head and no tail", drop(6, 7, math.MaxUint64), 6},
		{"only a checkpoint", drop(4, 5, 6, 7, math.MaxUint64), 4},
	} {
		f := mustFile(t)
		l := mustPruned(t, f)
		tamper(t, f, tc.change)
		if mended, err := l.Mend(t.Context(), secret.Event{Subject: "ops"}); !mended || err != nil {
			t.Errorf("%s: mended %v, %v", tc.what, mended, err)
		}
		r, err := l.Verify(t.Context())
		if err != nil || r.Last.Seq != tc.want || r.Last.Event.Action != audit.Mending || r.Last.Event.Subject != "ops" {
			t.Errorf("%s: the last entry is %+v, %v", tc.what, r.Last, err)
		}
	}
}

func TestMendDoesNotChangeAValidLog(t *testing.T) {
	l := mustPruned(t, mustFile(t))
	if mended, err := l.Mend(t.Context(), secret.Event{}); mended || err != nil {
		t.Errorf("mended %v, %v", mended, err)
	}
	if got := len(entries(t, l)); got != 4 {
		t.Errorf("%d entries, want the 4 there were", got)
	}
}
