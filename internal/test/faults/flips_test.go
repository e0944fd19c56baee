// Package faults_test damages the files of a whole store, as failing disks and
// attackers do.
package faults_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
	"github.com/strongroom/strongroom/internal/store/bolt"
)

var (
	kek   = seal.NewKey()
	alice = secret.User("alice")
)

// full flips a bit of every byte, which takes many minutes.
var full = os.Getenv("STRONGROOM_FAULTS") == "full"

// A stack is a store with its state file and audit log.
type stack struct {
	*bolt.Store
	file *state.File
	log  *audit.Log
}

func (s *stack) Close() error { return errors.Join(s.log.Close(), s.file.Close()) }

func open(path string) (*stack, error) {
	file, err := statetest.Open(path)
	if err != nil {
		return nil, err
	}
	wrapped, err := file.Keyring()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	ring, err := seal.Unwrap(wrapped, kek, file.ID())
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	log := audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"))
	store := bolt.Open(file, "embedded", ring, log, bolt.Options{Versions: 10, PastBytes: 1 << 20})
	return &stack{store, file, log}, nil
}

func mustOpen(t *testing.T, path string) *stack {
	t.Helper()
	s, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newPath(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	err := statetest.Create(path, func(id string) ([]byte, error) { return seal.NewRing().Wrap(kek, id) })
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("NAME%03d", i))
	}
	return all
}

func ref(name string) secret.Ref { return secret.Ref{Owner: alice, Name: name} }

func mustFill(t *testing.T, s *stack, names []string) {
	t.Helper()
	for i, name := range names {
		op := secret.Op{Ref: ref(name), Event: &secret.Event{Ref: ref(name), Subject: "alice"}}
		draft := secret.Draft{Description: "of " + name, Data: map[string]secret.Value{"KEY": secret.Value(strings.Repeat(name, 1+i*20))}}
		if _, err := s.Create(t.Context(), op, draft); err != nil {
			t.Fatal(err)
		}
	}
}

// A view is every answer of the store: a list and the content of each secret.
type view struct {
	list    string
	secrets map[string]string
}

const refused = "refused"

// readAll reads everything. An error that names the damage counts as a refusal; any other
// error, such as not found, counts as an answer.
func readAll(t *testing.T, s *stack, names []string) (v view) {
	t.Helper()
	v.secrets = map[string]string{}
	infos, err := s.List(t.Context(), alice, secret.Page{})
	v.list = answer(fmt.Sprint(infos), err)
	for _, name := range names {
		info, data, err := s.Reveal(t.Context(), secret.Op{Ref: ref(name)})
		v.secrets[name] = answer(fmt.Sprintf("%v %q", info, string(data["KEY"])), err)
	}
	return v
}

func answer(text string, err error) string {
	switch {
	case err == nil:
		return text
	case strings.Contains(err.Error(), "damaged"):
		return refused
	default:
		return err.Error()
	}
}

// A tally counts the outcomes of flipped bits.
type tally struct{ bits, notOpened, notAnswered, reported, unnoticed, wrong int }

func (t *tally) add(o tally) {
	t.bits += o.bits
	t.notOpened += o.notOpened
	t.notAnswered += o.notAnswered
	t.reported += o.reported
	t.unnoticed += o.unnoticed
	t.wrong += o.wrong
}

// With any single bit flipped, the file is not opened, or its answers are right,
// or it reports the damage.
func TestFlippedBitIsNeverAWrongAnswer(t *testing.T) {
	t.Run("of a compact file", func(t *testing.T) { flipAll(t, true) })
	t.Run("of a file with free pages", func(t *testing.T) { flipAll(t, false) })
}

func flipAll(t *testing.T, compact bool) {
	began := time.Now()
	names := names(10)
	image, live, want := prepared(t, names, compact)
	step := 7 // one bit of every seventh byte
	if full {
		step = 1
	}
	const workers = 2
	var wg sync.WaitGroup
	sums := make([]tally, workers)
	for w := range workers {
		wg.Go(func() {
			f := &flipper{t: t, path: filepath.Join(t.TempDir(), "state.db"), names: names, want: want, live: live}
			f.start(image)
			for at := w * step; at < len(image); at += workers * step {
				f.flip(int64(at), byte(1)<<(at/step%8), image[at])
			}
			sums[w] = f.tally
		})
	}
	wg.Wait()
	sum := tally{}
	for _, s := range sums {
		sum.add(s)
	}
	t.Logf("%d of %d bits flipped in %v, %d live records: %d files not opened, %d answers refused, %d more reported by the log or the file, %d flips without effect, %d wrong answers",
		sum.bits, len(image)*8, time.Since(began).Round(time.Second), len(live), sum.notOpened, sum.notAnswered, sum.reported, sum.unnoticed, sum.wrong)
}

// prepared returns a used file, the positions of its live records, and its
// answers.
func prepared(t *testing.T, names []string, compact bool) (image []byte, live []span, want view) {
	t.Helper()
	path := newPath(t)
	s := mustOpen(t, path)
	mustFill(t, s, names)
	want = readAll(t, s, names)
	if compact {
		if err := s.file.Compact(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := s.file.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	restored := filepath.Join(t.TempDir(), "state.db")
	if err := state.Restore(restored, &b, statetest.Key("").Unlock); err != nil {
		t.Fatal(err)
	}
	image = mustRead(t, restored) // complete without a journal, and without free space at its end
	live = spans(t, s, image)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return image, live, want
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A bit of the journal that a crash left is flipped: the last change may be missing, as
// if it had not been acknowledged; everything else is refused or right.
func TestFlippedBitOfTheJournalIsNeverAWrongAnswer(t *testing.T) {
	began, names := time.Now(), names(6)
	path := newPath(t)
	s := mustOpen(t, path)
	mustFill(t, s, names[:5])
	before := readAll(t, s, names)
	mustFill(t, s, names[5:])
	after := readAll(t, s, names)
	images := map[string][]byte{}
	for _, p := range append([]string{path}, s.file.Journal()...) {
		images[p] = mustRead(t, p)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	journal := s.file.Journal()[0]
	used := len(bytes.TrimRight(images[journal], "\x00"))
	step := 149
	if full {
		step = 1
	}
	cases, refusals, lost := 0, 0, 0
	for at := 0; at < used; at += step {
		for p, image := range images {
			mustWrite(t, p, image)
		}
		flipped := bytes.Clone(images[journal])
		flipped[at] ^= 1 << (at / step % 8)
		mustWrite(t, journal, flipped)
		cases++
		s, err := open(path)
		if err != nil {
			refusals++
			if !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrJournal) {
				t.Errorf("a bit at %d flipped: %v", at, err)
			}
			continue
		}
		switch got := readAll(t, s, names); {
		case got.list == before.list && maps.Equal(got.secrets, before.secrets):
			lost++
		case got.list != after.list || !maps.Equal(got.secrets, after.secrets):
			t.Errorf("a bit at %d flipped: the answers are neither those before the last change nor those after it", at)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of %d bits flipped in %v: %d files refused, %d without the last change", cases, used*8, time.Since(began).Round(time.Second), refusals, lost)
	if refusals == 0 || lost == 0 || refusals+lost == cases {
		t.Error("not every outcome has occurred")
	}
}

func mustWrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A span is the position of a row in the file. A change of any of its bytes must
// be noticed.
type span struct{ from, to int64 }

func spans(t *testing.T, s *stack, image []byte) (all []span) {
	t.Helper()
	err := s.file.View(func(tx *state.Tx) error {
		for _, bucket := range []string{"store/embedded/secrets", "store/embedded/past"} {
			b := tx.Bucket(bucket)
			for key, value := range b.From([]byte{0}) {
				if len(key) == seal.MACBytes {
					continue // the counts in an owner's row are not sealed
				}
				if bytes.Count(image, value) > 1 {
					continue // a free page has a copy, and the test cannot tell which one is live
				}
				at := int64(bytes.Index(image, value))
				all = append(all, span{at, at + int64(len(value))})
			}
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	return all
}

type flipper struct {
	t     *testing.T
	path  string
	file  *os.File
	names []string
	want  view
	live  []span
	tally
}

func (f *flipper) start(image []byte) {
	if err := os.WriteFile(f.path, image, 0o600); err != nil {
		f.t.Error(err)
	}
	file, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		f.t.Error(err)
	}
	f.file = file
	f.t.Cleanup(func() { _ = file.Close() })
}

func (f *flipper) flip(at int64, mask, was byte) {
	f.write(at, was^mask)
	defer f.write(at, was)
	f.bits++
	s, err := open(f.path)
	if err != nil {
		f.notOpened++
		f.wantNamed(at, err)
		return
	}
	got := readAll(f.t, s, f.names)
	err = s.log.Entries(func(audit.Entry) error { return nil })
	if err != nil && !errors.Is(err, audit.ErrTampered) {
		f.wantNamed(at, err)
	}
	reported := s.file.Damage() != "" || err != nil
	if err := s.Close(); err != nil {
		f.t.Error(err)
	}
	f.judge(at, got, reported)
}

func (f *flipper) judge(at int64, got view, reported bool) {
	refusals := 0
	answers := maps.Clone(got.secrets)
	answers["the list"] = got.list
	for name, answer := range answers {
		want := f.want.secrets[name]
		if name == "the list" {
			want = f.want.list
		}
		switch answer {
		case want:
		case refused:
			refusals++
		default:
			f.wrong++
			f.t.Errorf("a bit at %d flipped: %s is %.200q", at, name, answer)
		}
	}
	f.notAnswered += refusals
	if reported && refusals == 0 {
		f.reported++
	}
	if reported || refusals > 0 {
		return
	}
	f.unnoticed++
	if slices.ContainsFunc(f.live, func(s span) bool { return at >= s.from && at < s.to }) {
		f.t.Errorf("a bit at %d, in a live record, is flipped and nothing is refused", at)
	}
}

func (f *flipper) wantNamed(at int64, err error) {
	if !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrJournal) && !errors.Is(err, seal.ErrWrongKey) && !strings.Contains(err.Error(), "state file of Strongroom") && !strings.Contains(err.Error(), "format") {
		f.t.Errorf("a bit at %d flipped: %v, which does not name the damage", at, err)
	}
}

func (f *flipper) write(at int64, b byte) {
	if _, err := f.file.WriteAt([]byte{b}, at); err != nil {
		f.t.Error(err)
	}
}

// An attacker who can write the file can put one record in the place of another.
func TestNoTwoRecordsCanBeSwapped(t *testing.T) {
	began, n := time.Now(), 24
	if full {
		n = 100
	}
	names := names(n)
	s := mustOpen(t, newPath(t))
	mustFill(t, s, names)
	want := readAll(t, s, names)
	pairs, swaps := 0, 0
	for _, bucket := range []string{"store/embedded/secrets", "store/embedded/past"} {
		of := rowsByName(t, s, bucket, names, want)
		for i, a := range names {
			for _, b := range names[i+1:] {
				swap(t, s, bucket, of[a], of[b])
				got := readAll(t, s, []string{a, b})
				swap(t, s, bucket, of[a], of[b])
				pairs++
				for _, name := range []string{a, b} {
					if got.secrets[name] != refused {
						t.Errorf("%s and %s swapped in %s: %s is %.100q", a, b, bucket, name, got.secrets[name])
					} else {
						swaps++
					}
				}
			}
		}
	}
	if got := readAll(t, s, names); got.list != want.list || !maps.Equal(got.secrets, want.secrets) {
		t.Error("after everything is back in its place, the answers are others")
	}
	t.Logf("%d pairs of %d records swapped in %v: %d of %d answers refused", pairs, n, time.Since(began).Round(time.Second), swaps, 2*pairs)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// rowsByName finds the row of each secret by damaging one row after another.
func rowsByName(t *testing.T, s *stack, bucket string, names []string, want view) (of map[string][]byte) {
	t.Helper()
	of = map[string][]byte{}
	for _, key := range rows(t, s, bucket) {
		whole := replace(t, s, bucket, key, []byte("damaged"))
		for name, got := range readAll(t, s, names).secrets {
			if got != want.secrets[name] {
				of[name] = key
			}
		}
		replace(t, s, bucket, key, whole)
	}
	if len(of) != len(names) {
		t.Fatalf("%d rows found in %s, want %d", len(of), bucket, len(names))
	}
	return of
}

func rows(t *testing.T, s *stack, bucket string) (keys [][]byte) {
	t.Helper()
	err := s.file.View(func(tx *state.Tx) error {
		b := tx.Bucket(bucket)
		for key := range b.From([]byte{0}) {
			if len(key) != seal.MACBytes {
				keys = append(keys, bytes.Clone(key))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func replace(t *testing.T, s *stack, bucket string, key, value []byte) (before []byte) {
	t.Helper()
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		b := tx.Bucket(bucket)
		before = bytes.Clone(b.Get(key))
		return b.Put(key, value)
	})
	if err != nil {
		t.Fatal(err)
	}
	return before
}

func swap(t *testing.T, s *stack, bucket string, a, b []byte) {
	t.Helper()
	err := s.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket(bucket)
		ofA, ofB := bytes.Clone(rows.Get(a)), bytes.Clone(rows.Get(b))
		return errors.Join(rows.Put(a, ofB), rows.Put(b, ofA))
	})
	if err != nil {
		t.Fatal(err)
	}
}
