package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/journal"
)

const (
	pageBytes   = 4096
	sectorBytes = 512
)

// files are the files of a state: a power failure can tear writes to each of them.
func files(path string) []string { return append([]string{path}, journal.Paths(path)...) }

// A pageWrite is a page that a step changed.
type pageWrite struct {
	file        int
	id          int64
	before, now []byte
}

// A step is the writes between two moments at which everything is on disk: a record of
// the journal, the turn to its other file, or a commit of a checkpoint.
type step struct {
	data          []pageWrite
	meta          []pageWrite // of a checkpoint: one, after the data is on disk
	length        int64       // length of the state file, which grows before any write
	before, after string
}

// A power failure during a step leaves each data page written, not written or partly
// written, or all of them and a part of the meta page. Only the sync between the two
// imposes an order.
func TestTornStepLeavesTheStateBeforeOrAfterIt(t *testing.T) {
	if os.Getpagesize() != pageBytes {
		skipLoudly(t, "pages have %d bytes here", os.Getpagesize())
	}
	began := time.Now()
	first, steps := recordSteps(t, sized(7, 40))
	const workers = 2
	var wg sync.WaitGroup
	var sums [workers]tally
	for w := range workers {
		wg.Go(func() {
			c := &crash{t: t, path: filepath.Join(t.TempDir(), "state.db"), rand: rand.New(rand.NewPCG(1, uint64(w))), tally: &sums[w]}
			c.start(first)
			said := began
			for i, step := range steps {
				if time.Since(said) > 20*time.Second {
					said = time.Now()
					t.Logf("%d of %d steps, %d states", i, len(steps), c.cases)
				}
				if i%workers == w {
					c.tear(step)
				}
				c.apply(step)
			}
		})
	}
	wg.Wait()
	sum := tally{}
	for _, s := range sums {
		sum.cases, sum.before, sum.after, sum.refused, sum.told = sum.cases+s.cases, sum.before+s.before, sum.after+s.after, sum.refused+s.refused, sum.told+s.told
	}
	t.Logf("%d steps, %d torn states in %v: %d opened as before the step, %d as after it, %d refused; %d told of a damaged meta page; 0 wrong",
		len(steps), sum.cases, time.Since(began).Round(time.Second), sum.before, sum.after, sum.refused, sum.told)
	if sum.refused > 0 {
		t.Errorf("%d states that a power failure can leave are refused", sum.refused)
	}
}

// recordSteps makes changes with a checkpoint among every six.
func recordSteps(t *testing.T, changes int) (first [][]byte, steps []step) {
	t.Helper()
	path := mustCreate(t)
	f, err := state.OpenIdle(path, anyKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Abandon() })
	random := rand.New(rand.NewPCG(7, 7))
	held := content{}
	mustUpdate(t, f, someChanges(random, held)) // also writes that the file needs its journal
	first = mustReadFiles(t, path)
	before := first
	record := func(digest string) {
		now := mustReadFiles(t, path)
		steps = append(steps, stepsBetween(t, before, now, digest, held.digest())...)
		before = now
	}
	for n := range changes {
		digest := held.digest()
		mustUpdate(t, f, someChanges(random, held))
		record(digest)
		if n%6 == 4 {
			if err := f.CheckpointInSlices(3, func() { record(held.digest()) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return first, steps
}

func mustReadFiles(t *testing.T, path string) (all [][]byte) {
	t.Helper()
	for _, p := range files(path) {
		all = append(all, mustRead(t, p))
	}
	return all
}

// stepsBetween returns first the writes to the journal and then the commit.
func stepsBetween(t *testing.T, before, now [][]byte, digest, after string) (steps []step) {
	t.Helper()
	var log, commit step
	for file := range now {
		data, meta := differing(t, file, before[file], now[file])
		if file == 0 {
			commit = step{data, meta, int64(len(now[0])), digest, after}
		} else {
			log.data = append(log.data, data...)
		}
	}
	if len(log.data) > 0 {
		log.length, log.before, log.after = int64(len(before[0])), digest, after
		steps = append(steps, log)
	}
	if len(commit.data) > 0 {
		if len(commit.meta) != 1 {
			t.Fatalf("a commit has changed %d meta pages, want 1", len(commit.meta))
		}
		steps = append(steps, commit)
	}
	return steps
}

// someChanges puts and deletes keys of sizes from a few bytes to many pages, in the
// file and in the expected content.
func someChanges(random *rand.Rand, held content) func(*state.Tx) error {
	return func(tx *state.Tx) error {
		for range 1 + random.IntN(5) {
			at := [2]string{buckets[random.IntN(len(buckets))], fmt.Sprint("key", random.IntN(300))}
			b := tx.Bucket(at[0])
			if random.IntN(4) == 0 {
				delete(held, at)
				if err := b.Delete([]byte(at[1])); err != nil {
					return err
				}
				continue
			}
			held[at] = strings.Repeat(fmt.Sprint(random.Uint64()), 1+random.IntN([]int{2, 20, 200, 1000}[random.IntN(4)]))
			if err := b.Put([]byte(at[1]), []byte(held[at])); err != nil {
				return err
			}
		}
		return nil
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func differing(t *testing.T, file int, before, now []byte) (data, meta []pageWrite) {
	t.Helper()
	for at := 0; at < len(now); at += pageBytes {
		was := make([]byte, pageBytes)
		if at < len(before) {
			was = before[at : at+pageBytes]
		}
		if bytes.Equal(was, now[at:at+pageBytes]) {
			continue
		}
		// Copies, because a slice would keep the whole image in memory.
		w := pageWrite{file, int64(at / pageBytes), bytes.Clone(was), bytes.Clone(now[at : at+pageBytes])}
		if file == 0 && w.id < 2 {
			meta = append(meta, w)
		} else {
			data = append(data, w)
		}
	}
	return data, meta
}

// A crash tests a file in the states that crashes leave.
type crash struct {
	t     *testing.T
	path  string
	files []*os.File
	rand  *rand.Rand
	*tally
}

type tally struct{ cases, before, after, refused, told int }

func (c *crash) start(images [][]byte) {
	for i, path := range files(c.path) {
		if err := os.WriteFile(path, images[i], 0o600); err != nil {
			c.t.Error(err)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			c.t.Error(err)
		}
		c.files = append(c.files, file)
		c.t.Cleanup(func() { _ = file.Close() })
	}
}

func (c *crash) write(w pageWrite, b []byte) {
	if _, err := c.files[w.file].WriteAt(b, w.id*pageBytes); err != nil {
		c.t.Error(err)
	}
}

func (c *crash) apply(k step) {
	for _, w := range append(k.data, k.meta...) {
		c.write(w, w.now)
	}
}

func (c *crash) tear(k step) {
	c.open(k, "before anything")
	if err := c.files[0].Truncate(k.length); err != nil {
		c.t.Error(err)
	}
	c.open(k, "after growing")
	c.tearInOrder(k)
	c.tearOutOfOrder(k)
	for _, w := range k.data {
		c.write(w, w.now)
	}
	for _, meta := range k.meta {
		c.tearMeta(k, meta)
		c.write(meta, meta.now)
	}
	c.open(k, "after everything")
}

// tearInOrder stops after every page and in every sector of the next one.
func (c *crash) tearInOrder(k step) {
	for i, w := range k.data {
		for end := sectorBytes; end <= pageBytes; end += sectorBytes {
			c.write(w, append(bytes.Clone(w.now[:end]), w.before[end:]...))
			c.open(k, fmt.Sprintf("after %d data pages and %d bytes", i, end))
		}
	}
	c.undo(k)
}

func (c *crash) undo(k step) {
	for _, w := range k.data {
		c.write(w, w.before)
	}
}

// tearOutOfOrder writes every subset of the pages if there are few, and
// otherwise some; of each page all, or some sectors.
func (c *crash) tearOutOfOrder(k step) {
	n := uint64(1) << min(len(k.data), 32)
	most := uint64(sized(64, 256))
	for i := range min(n, most) {
		set := i
		if n > most {
			set = c.rand.Uint64N(n)
		}
		for bit, w := range k.data {
			if set>>bit&1 == 1 {
				c.write(w, w.now)
			}
		}
		c.open(k, fmt.Sprintf("after the data pages of set %b", set))
		for _, w := range k.data {
			c.write(w, c.someSectors(w))
		}
		c.open(k, "after some sectors of the data pages")
		c.undo(k)
	}
}

func (c *crash) someSectors(w pageWrite) []byte {
	b := bytes.Clone(w.before)
	for at := 0; at < pageBytes; at += sectorBytes {
		if c.rand.IntN(2) == 0 {
			copy(b[at:at+sectorBytes], w.now[at:])
		}
	}
	return b
}

// tearMeta tears the meta page at sectors, and more finely than any disk.
func (c *crash) tearMeta(k step, meta pageWrite) {
	ends := []int{16, 20, 24, 28, 32, 40, 48, 56, 64, 68, 72, 73, 74, 75, 76, 77, 78, 79, 80}
	for end := sectorBytes; end < pageBytes; end += sectorBytes {
		ends = append(ends, end)
	}
	for _, end := range ends {
		torn := append(bytes.Clone(meta.now[:end]), meta.before[end:]...)
		c.write(meta, torn)
		damage := c.open(k, fmt.Sprintf("after %d bytes of the meta page", end))
		whole := bytes.Equal(torn[:80], meta.now[:80]) || bytes.Equal(torn[:80], meta.before[:80])
		if (damage == "") != whole {
			c.t.Errorf("%d bytes of the meta page written: told %q", end, damage)
		}
	}
}

// open checks that the file has one of the two states, or is refused with the damage.
func (c *crash) open(k step, when string) (damage string) {
	c.cases++
	digest, damage, err := crashedDigest(c.path)
	switch {
	case errors.Is(err, state.ErrDamaged):
		c.refused++
	case err != nil:
		c.t.Errorf("%s: %v", when, err)
	case digest == k.before:
		c.before++
	case digest == k.after:
		c.after++
	default:
		c.t.Errorf("%s: the file has neither the state before nor that after the step", when)
	}
	if damage != "" {
		c.told++
	}
	return damage
}

func TestTwoCommitsRepairATornMetaPage(t *testing.T) {
	path := mustCreate(t)
	mustFlip(t, path, 16+50)
	if _, damage := mustDigest(t, path); damage == "" {
		t.Error("nothing is told of a damaged meta page")
	}
	for range 2 {
		f := mustOpen(t, path)
		if err := f.Update(t.Context(), put("k2", "v2")); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, damage := mustDigest(t, path); damage != "" {
		t.Errorf("after two commits: %s", damage)
	}
}

func TestFileWithoutAWholeMetaPageIsRefused(t *testing.T) {
	path := mustCreate(t)
	mustFlip(t, path, 16+40)
	if _, damage := mustDigest(t, path); !strings.Contains(damage, "the first of its two meta pages is damaged") {
		t.Errorf("one meta page damaged: told %q", damage)
	}
	mustFlip(t, path, pageBytes+16+40)
	if _, _, err := digestAt(path); !errors.Is(err, state.ErrDamaged) {
		t.Errorf("both meta pages damaged: %v, want ErrDamaged", err)
	}
}

func mustFlip(t *testing.T, path string, at int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	b := make([]byte, 1)
	if _, err := file.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := file.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// filled returns a closed file with many pages and no unused ones at its end.
func filled(t *testing.T, puts int) (path, digest string) {
	t.Helper()
	f := mustOpen(t, mustCreate(t))
	held := content{}
	random := rand.New(rand.NewPCG(3, 3))
	for range puts {
		if err := f.Update(t.Context(), someChanges(random, held)); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "state.db")
	read, write := io.Pipe()
	go func() {
		_, err := f.WriteTo(write)
		_ = write.CloseWithError(err)
	}()
	if err := state.Restore(path, read, anyKey); err != nil {
		t.Fatal(err)
	}
	return path, maps.Clone(held).digest()
}

func TestCutFileIsRefused(t *testing.T) {
	path, digest := filled(t, 30)
	if got, damage := mustDigest(t, path); got != digest || damage != "" {
		t.Fatalf("the file is not as expected, told %q", damage)
	}
	whole := mustRead(t, path)
	cases := 0
	for page := range len(whole) / pageBytes {
		for _, more := range []int{0, 1, 100, 2048, pageBytes - 1} {
			cut := page*pageBytes + more
			if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			cases++
			if _, _, err := digestAt(path); !errors.Is(err, state.ErrDamaged) {
				t.Errorf("cut to %d of %d bytes: %v, want ErrDamaged", cut, len(whole), err)
			}
		}
	}
	t.Logf("%d lengths of a file of %d pages, all refused", cases, len(whole)/pageBytes)
}

func TestFileThatIsCutWhileOpenIsAnErrorAndNoCrash(t *testing.T) {
	for _, keep := range []int64{0, 2 * pageBytes, 4 * pageBytes} {
		path, _ := filled(t, 30)
		f := mustOpen(t, path)
		if err := os.Truncate(path, keep); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := contentOf(f); !errors.Is(err, state.ErrDamaged) {
				t.Errorf("cut to %d bytes: reading: %v, want ErrDamaged", keep, err)
			}
			if err := f.Update(t.Context(), put("k", "v")); !errors.Is(err, state.ErrDamaged) {
				t.Errorf("cut to %d bytes: writing: %v, want ErrDamaged", keep, err)
			}
		}
	}
}
