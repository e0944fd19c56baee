package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/state/change"
	"github.com/strongroom/strongroom/internal/state/journal"
)

const (
	headerBytes = 4096
	secondCopy  = 2048
)

var mine = journal.Identity{State: [16]byte{1}, Lineage: [16]byte{2}}

func mustCreate(t testing.TB) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "state.db")
	if err := journal.Create(path, mine, journal.MinBytes, 1); err != nil {
		t.Fatal(err)
	}
	return path
}

// read opens the journal and returns the contents behind a change.
func read(path string, applied uint64) (contents []string, err error) {
	j, err := journal.Open(path, mine)
	if err != nil {
		return nil, err
	}
	defer func() { _ = j.Close() }()
	next := applied + 1
	err = j.Replay(applied, func(r change.Record) error {
		if r.Seq != next || r.Chain != chainOf(r.Seq) {
			return fmt.Errorf("record %d with chain %x, want record %d", r.Seq, r.Chain, next)
		}
		next++
		contents = append(contents, string(r.Content))
		return nil
	})
	return contents, err
}

func chainOf(seq uint64) change.Chain { return change.Chain{1: byte(seq), 15: 0xFF} }

func mustOpen(t testing.TB, path string, applied uint64) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, mine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	if err := j.Replay(applied, func(change.Record) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return j
}

func mustAppend(t testing.TB, j *journal.Journal, contents ...string) {
	t.Helper()
	for _, c := range contents {
		if err := j.Append(chainOf(j.Last()+1), []byte(c)); err != nil {
			t.Fatal(err)
		}
		if err := j.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func wantContents(t *testing.T, path string, applied uint64, want ...string) {
	t.Helper()
	if got, err := read(path, applied); err != nil || strings.Join(got, ",") != strings.Join(want, ",") {
		t.Errorf("behind %d: %q, %v, want %q", applied, got, err, want)
	}
}

func TestRecordsAreReadBackInOrder(t *testing.T) {
	path := mustCreate(t)
	wantContents(t, path, 0)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "one", strings.Repeat("2", 64-40), strings.Repeat("3", 65-40))
	if j.Last() != 3 || j.Unsynced() || j.Used() != headerBytes+64+64+128 {
		t.Errorf("last %d, used %d", j.Last(), j.Used())
	}
	want := []string{"one", strings.Repeat("2", 24), strings.Repeat("3", 25)}
	wantContents(t, path, 0, want...)
	wantContents(t, path, 2, want[2])
	wantContents(t, path, 3)
	j = mustOpen(t, path, 3)
	mustAppend(t, j, "four")
	wantContents(t, path, 0, append(want, "four")...)
}

func TestFilesTakeTurns(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "1", "2")
	applied, turns := uint64(0), 0
	for seq := uint64(3); seq <= 300; seq++ {
		if seq%7 == 0 {
			if err := j.Turn(seq); err != nil {
				t.Fatal(err)
			}
			turns++
			wantContents(t, path, applied, numbers(applied+1, seq-1)...) // between turn and checkpoint
			if j.Released() {
				t.Fatal("the full file is free before its release")
			}
			if err := j.Turn(seq + 1); err == nil {
				t.Fatal("a turn to a file in use succeeds")
			}
		}
		mustAppend(t, j, fmt.Sprint(seq))
		wantContents(t, path, applied, numbers(applied+1, seq)...)
		if seq%7 == 3 && !j.Released() {
			applied = seq / 7 * 7 // the checkpoint, at any time before the next turn
			if seq/7 > 0 {
				applied--
				j.Release()
			}
			wantContents(t, path, applied, numbers(applied+1, seq)...)
		}
	}
	if turns < 40 {
		t.Errorf("only %d turns", turns)
	}
	for _, f := range journal.Paths(path) {
		if info, err := os.Stat(f); err != nil || info.Size() != journal.MinBytes || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
}

func numbers(from, to uint64) (all []string) {
	for n := from; n <= to; n++ {
		all = append(all, fmt.Sprint(n))
	}
	return all
}

func TestRecordFitsOrIsRefused(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	most := journal.MinBytes - headerBytes - 40
	if j.Fits(most+1, 0) || !j.Fits(most, 0) || j.Fits(most, 1) || !j.Fits(most-100, 64) {
		t.Error("the room of an empty file is wrong")
	}
	if err := j.Append(chainOf(1), make([]byte, most+1)); err == nil {
		t.Error("a record that does not fit is written")
	}
	large := strings.Repeat("x", most)
	mustAppend(t, j, large)
	if j.Fits(1, 0) {
		t.Error("a full file has room")
	}
	wantContents(t, path, 0, large)
}

// The change with the number 2 went straight to the state file.
func TestTurnSkipsAChangeThatWentPastTheJournal(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "1")
	mustTurn(t, j, 2)
	j.Release() // change 1 is in the state file
	wantContents(t, path, 1)
	wantContents(t, path, 2) // a crash here: the journal turns at the next start
	j = mustOpen(t, path, 2)
	mustAppend(t, j, "3")
	wantContents(t, path, 2, "3")
	if _, err := read(path, 1); !errors.Is(err, journal.ErrGap) {
		t.Errorf("without change 2: %v, want ErrGap", err)
	}
}

func mustTurn(t *testing.T, j *journal.Journal, next uint64) {
	t.Helper()
	if err := j.Turn(next); err != nil {
		t.Fatal(err)
	}
}

func TestStateFileThatDoesNotFitIsRefused(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "1", "2")
	if _, err := read(path, 5); !errors.Is(err, journal.ErrGap) {
		t.Errorf("a newer state file: %v, want ErrGap", err)
	}
	mustTurn(t, j, 3)
	j.Release()
	mustAppend(t, j, "3")
	mustTurn(t, j, 4)
	mustAppend(t, j, "4")
	if _, err := read(path, 1); !errors.Is(err, journal.ErrGap) {
		t.Errorf("an older state file: %v, want ErrGap", err)
	}
	for what, other := range map[string]journal.Identity{
		"another state file": {State: [16]byte{9}, Lineage: mine.Lineage}, "another lineage": {State: mine.State, Lineage: [16]byte{9}},
	} {
		if _, err := journal.Open(path, other); !errors.Is(err, journal.ErrForeign) {
			t.Errorf("%s: %v, want ErrForeign", what, err)
		}
	}
	if err := os.Remove(journal.Paths(path)[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := read(path, 3); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("one file missing: %v, want ErrNotExist", err)
	}
}

func TestBeyond(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "1", "2", "3")
	for applied, want := range map[uint64]bool{0: true, 2: true, 3: false, 4: false} {
		j, err := journal.Open(path, mine)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := j.Beyond(applied); got != want || err != nil {
			t.Errorf("beyond %d: %v, %v, want %v", applied, got, err, want)
		}
		_ = j.Close()
	}
	// A complete state file goes on with an empty journal.
	j, err := journal.Open(path, mine)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	mustTurn(t, j, 4)
	mustAppend(t, j, "4")
	wantContents(t, path, 3, "4")
}

// filled returns a journal with six records, the images of its files, and the position of
// its last record.
func filled(t *testing.T) (path string, images [2][]byte, last int64) {
	t.Helper()
	path = mustCreate(t)
	j := mustOpen(t, path, 0)
	for n := range 6 {
		last = j.Used()
		mustAppend(t, j, strings.Repeat(fmt.Sprint(n+1), 290))
	}
	for i, p := range journal.Paths(path) {
		images[i] = mustRead(t, p)
	}
	return path, images, last
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustPut overwrites a part of a file, as a single write of the kernel does.
func mustPut(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func TestTornRecordEndsTheJournal(t *testing.T) {
	path, images, last := filled(t)
	file, whole := journal.Paths(path)[0], images[0]
	length := int64(40 + 290)
	five := []string{}
	for n := range 5 {
		five = append(five, strings.Repeat(fmt.Sprint(n+1), 290))
	}
	cases := 0
	for cut := range length {
		for _, fill := range []byte{0, 0xA7} {
			mustPut(t, file, last+cut, bytes.Repeat([]byte{fill}, int(length-cut)))
			wantContents(t, path, 0, five...)
			mustPut(t, file, last, whole[last:last+length])
			cases++
		}
	}
	for at := last; at < last+length; at++ {
		for bit := range 8 {
			mustPut(t, file, at, []byte{whole[at] ^ 1<<bit})
			wantContents(t, path, 0, five...)
			cases++
		}
		mustPut(t, file, at, whole[at:at+1])
	}
	t.Logf("%d torn or altered last records, all end the journal before them", cases)
	wantContents(t, path, 0, append(five, strings.Repeat("6", 290))...)
}

func TestAlteredDurableRecordIsRefused(t *testing.T) {
	path, images, last := filled(t)
	file, whole, cases := journal.Paths(path)[0], images[0], 0
	before := last - 384 // the fifth record; the sixth says that it was on disk
	for at := before; at < before+40+290; at++ {
		mustPut(t, file, at, []byte{whole[at] ^ 0x10})
		if got, err := read(path, 0); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("byte %d altered: %d records, %v, want ErrDamaged", at-before, len(got), err)
		}
		mustPut(t, file, at, whole[at:at+1])
		cases++
	}
	t.Logf("%d altered bytes of a durable record, all refused", cases)
}

// Every prefix of the header's write leaves the header before or after the turn, and
// both find all records.
func TestTornTurnLosesNothing(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "1", "2")
	mustTurn(t, j, 3)
	j.Release()
	mustAppend(t, j, "3", "4")
	file := journal.Paths(path)[0] // the one that the next turn leads to
	before := mustRead(t, file)[:headerBytes]
	mustTurn(t, j, 5)
	after := mustRead(t, file)[:headerBytes]
	for cut := range headerBytes + 1 {
		mustPut(t, file, 0, append(bytes.Clone(after[:cut]), before[cut:]...))
		wantContents(t, path, 2, "3", "4")
	}
	for _, half := range [][]byte{append(bytes.Clone(before[:secondCopy]), after[secondCopy:]...), after} { // in the other order
		mustPut(t, file, 0, half)
		wantContents(t, path, 2, "3", "4")
	}
	j = mustOpen(t, path, 2)
	mustAppend(t, j, "5")
	wantContents(t, path, 2, "3", "4", "5")
}

func TestDamagedHeaderIsRefused(t *testing.T) {
	path, images, _ := filled(t)
	file, whole := journal.Paths(path)[0], images[0]
	for at := range int64(68) {
		mustPut(t, file, at, []byte{whole[at] ^ 1})
		if got, err := read(path, 0); err != nil || len(got) != 6 {
			t.Errorf("byte %d of one copy: %d records, %v", at, len(got), err)
		}
		mustPut(t, file, secondCopy+at, []byte{whole[at] ^ 1})
		if _, err := read(path, 0); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("byte %d of both copies: %v, want ErrDamaged", at, err)
		}
		mustPut(t, file, 0, whole[:headerBytes])
	}
	for _, size := range []int64{0, 100, headerBytes, journal.MinBytes - 1, journal.MinBytes + 1} {
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
		if _, err := read(path, 0); !errors.Is(err, journal.ErrDamaged) {
			t.Errorf("a file of %d bytes: %v, want ErrDamaged", size, err)
		}
		if err := os.WriteFile(file, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Records that were written together and not synced: the first is torn, the second
// whole. The second must not come back behind the record that takes the first one's
// place.
func TestWholeRecordBehindATornOneIsErased(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "1")
	torn := j.Used()
	for _, content := range []string{"2", "3"} {
		if err := j.Append(chainOf(j.Last()+1), []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if !j.Unsynced() {
		t.Error("the records count as synced")
	}
	wantContents(t, path, 0, "1", "2", "3")
	mustPut(t, journal.Paths(path)[0], torn+50, []byte{1})
	mustPut(t, journal.Paths(path)[0], torn+40, []byte("?"))
	wantContents(t, path, 0, "1")
	j = mustOpen(t, path, 0)
	mustAppend(t, j, "another 2")
	wantContents(t, path, 0, "1", "another 2")
}

// What a file held before its last turn does not count, whatever it looks like.
func TestRecordsOfAnEarlierTurnDoNotCount(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, numbers(1, 20)...)
	mustTurn(t, j, 21)
	mustAppend(t, j, "21")
	j.Release()
	mustTurn(t, j, 22)
	wantContents(t, path, 20, "21")
	mustAppend(t, j, "22")
	wantContents(t, path, 20, "21", "22")
	// Not even with the right number, because the salt is another one.
	other := mustCreate(t)
	k := mustOpen(t, other, 0)
	mustAppend(t, k, "1")
	fresh := mustCreate(t)
	mustPut(t, journal.Paths(fresh)[0], headerBytes, mustRead(t, journal.Paths(other)[0])[headerBytes:])
	wantContents(t, fresh, 0)
}

func TestWriteThatFailsCanBeRepeated(t *testing.T) {
	path := mustCreate(t)
	j := mustOpen(t, path, 0)
	mustAppend(t, j, "1")
	// Remains of a write that failed half-way, longer than the record that follows.
	mustPut(t, journal.Paths(path)[0], j.Used(), bytes.Repeat([]byte{0xA7}, 1000))
	mustAppend(t, j, "2", "3")
	wantContents(t, path, 0, "1", "2", "3")
}

func TestCreateRefusesSizes(t *testing.T) {
	for _, size := range []int64{0, -1, journal.MinBytes - headerBytes, journal.MinBytes + 1, journal.MaxBytes * 2} {
		if err := journal.Create(filepath.Join(t.TempDir(), "state.db"), mine, size, 1); err == nil {
			t.Errorf("%d bytes are accepted", size)
		}
	}
}

// Any content after the header gives the whole records at its beginning or an error.
func FuzzRecords(f *testing.F) {
	path := mustCreate(f)
	j := mustOpen(f, path, 0)
	start := j.Used()
	mustAppend(f, j, "one", "two", strings.Repeat("3", 100))
	image, err := os.ReadFile(journal.Paths(path)[0])
	if err != nil {
		f.Fatal(err)
	}
	written := image[start:j.Used()]
	f.Add(written)
	f.Add(written[:100])
	f.Add([]byte{})
	want := []string{"one", "two", strings.Repeat("3", 100)}
	f.Fuzz(func(t *testing.T, content []byte) {
		content = content[:min(len(content), journal.MinBytes-headerBytes)]
		b := append(bytes.Clone(image[:start]), make([]byte, journal.MinBytes-headerBytes)...)
		copy(b[start:], content)
		if err := os.WriteFile(journal.Paths(path)[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read(path, 0)
		if errors.Is(err, journal.ErrDamaged) {
			return
		}
		if err != nil || len(got) > len(want) {
			t.Fatalf("%d records, %v", len(got), err)
		}
		for i, content := range got {
			if content != want[i] {
				t.Errorf("record %d is %q, want %q", i+1, content, want[i])
			}
		}
	})
}
