package bolt

import (
	"bytes"
	"context"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

func FuzzDecodeValues(f *testing.F) {
	f.Add(encode(nil))
	f.Add(encode(map[string]secret.Value{"k": "v", "": "", "long": secret.Value(bytes.Repeat([]byte("x"), 300))}))
	f.Add([]byte{1, 'k'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'k'})
	f.Add([]byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := decode(text)
		if err != nil {
			return
		}
		again, err := decode(encode(data))
		if err != nil || !maps.Equal(data, again) {
			t.Errorf("%x is read as one thing and, written again, as another: %v", text, err)
		}
	})
}

var (
	fuzzed = secret.Ref{Owner: secret.User("alice"), Name: "db"}
	gone   = secret.Ref{Owner: fuzzed.Owner, Name: "gone"}
	theirs = secret.Ref{Owner: secret.User("bob"), Name: "db"}
)

// A fuzzStore is a store with manipulated rows.
type fuzzStore struct{ *Store }

// mustFuzzStore returns a store with a secret of two versions, a deleted one and a secret
// of another owner.
func mustFuzzStore(f *testing.F) *fuzzStore {
	f.Helper()
	must := func(err error) {
		if err != nil {
			f.Helper()
			f.Fatal(err)
		}
	}
	path, ring := filepath.Join(f.TempDir(), "state.db"), seal.NewRing()
	must(statetest.Create(path, func(id string) ([]byte, error) { return ring.Wrap(seal.NewKey(), id) }))
	file, err := statetest.Open(path)
	must(err)
	log := audit.Open(file, ring.Derive("entry"), ring.Derive("chain"))
	f.Cleanup(func() { _, _ = log.Close(), file.Close() })
	s := Open(file, "embedded", ring, log, Options{Versions: 10, DeletedFor: time.Hour, PastBytes: 1 << 20})
	ctx := context.Background()
	for _, ref := range []secret.Ref{fuzzed, gone, theirs} {
		_, err := s.Create(ctx, secret.Op{Ref: ref}, secret.Draft{Description: "of " + ref.String(), Data: valueOf(ref)})
		must(err)
	}
	_, err = s.Describe(ctx, secret.Op{Ref: fuzzed}, "db", "again")
	must(err)
	must(s.Delete(ctx, secret.Op{Ref: gone}))
	return &fuzzStore{s}
}

func valueOf(ref secret.Ref) map[string]secret.Value {
	return map[string]secret.Value{"k": secret.Value("value of " + ref.String())}
}

// rowsOf returns all rows of the store, ordered by bucket.
func rowsOf(f *testing.F, s *fuzzStore) (buckets []string, keys, stored [][]byte) {
	f.Helper()
	err := s.file.View(func(tx *state.Tx) error {
		for _, name := range []string{s.secrets, s.past, s.deleted} {
			b := tx.Bucket(name)
			for key, value := range b.From([]byte{0}) {
				buckets, keys, stored = append(buckets, name), append(keys, bytes.Clone(key)), append(stored, bytes.Clone(value))
			}
		}
		return nil
	})
	if err != nil {
		f.Fatal(err)
	}
	return buckets, keys, stored
}

// FuzzStoredRow replaces a row or adds one beside it. A read must return an error or the
// original value, never a wrong one.
func FuzzStoredRow(f *testing.F) {
	s := mustFuzzStore(f)
	buckets, keys, stored := rowsOf(f, s)
	for n, row := range stored {
		f.Add(uint(n), []byte(nil), row)
		f.Add(uint(n), []byte(nil), row[:len(row)/2])
		f.Add(uint(n), []byte(nil), stored[(n+1)%len(stored)])
		f.Add(uint(n), []byte{0}, row)
		f.Add(uint(n), []byte("d"), []byte{})
	}
	f.Fuzz(func(t *testing.T, which uint, beside, row []byte) {
		n := which % uint(len(keys))
		key := append(bytes.Clone(keys[n]), beside...)
		if len(row) == 0 && len(beside) == 0 || len(key) > 200 || len(row) > 4096 {
			return
		}
		s.mustPut(t, buckets[n], fuzzRow{key, row})
		s.wantOriginalOrError(t)
		s.mustPut(t, buckets[n], fuzzRow{key, nil}, fuzzRow{keys[n], stored[n]})
		for _, ref := range []secret.Ref{fuzzed, theirs} {
			if _, err := s.reveal(ref); err != nil {
				t.Fatalf("with its row put back, %s: %v", ref, err)
			}
		}
	})
}

// reveal is Reveal without a commit.
func (s *fuzzStore) reveal(ref secret.Ref) (data map[string]secret.Value, err error) {
	err = s.file.View(func(tx *state.Tx) error {
		r, err := s.find(tx, ref)
		if err != nil {
			return err
		}
		data, err = s.openValues(tx, r)
		return err
	})
	return data, err
}

type fuzzRow struct{ key, stored []byte }

// mustPut puts rows and deletes those whose content is nil.
func (s *fuzzStore) mustPut(t *testing.T, bucket string, rows ...fuzzRow) {
	t.Helper()
	s.Store = Open(s.file, s.name, s.ring, s.audit, s.opts) // with an empty cache
	err := s.file.Update(context.Background(), func(tx *state.Tx) error {
		b := tx.Bucket(bucket)
		for _, r := range rows {
			var err error
			if r.stored == nil {
				err = b.Delete(r.key)
			} else {
				err = b.Put(bytes.Clone(r.key), bytes.Clone(r.stored))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *fuzzStore) wantOriginalOrError(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	known := map[string]bool{"again": true, "of " + fuzzed.String(): true, "of " + gone.String(): true, "of " + theirs.String(): true}
	check := func(what string, infos ...secret.Info) {
		t.Helper()
		for _, info := range infos {
			if !known[info.Description] || (info.Owner == theirs.Owner) != (info.Description == "of "+theirs.String()) {
				t.Errorf("%s has answered with %+v", what, info)
			}
		}
	}
	for _, ref := range []secret.Ref{fuzzed, theirs} {
		if data, err := s.reveal(ref); err == nil && !maps.Equal(data, valueOf(ref)) {
			t.Errorf("%s has answered with %d keys that are not its own", ref, len(data))
		}
		if info, err := s.Head(ctx, ref); err == nil {
			check("Head", info)
		}
		if infos, err := s.List(ctx, ref.Owner, secret.Page{}); err == nil {
			check("List", infos...)
		}
		if infos, err := s.Versions(ctx, ref); err == nil {
			check("Versions", infos...)
		}
		if deleted, err := s.Deleted(ctx, ref.Owner); err == nil {
			for _, d := range deleted {
				check("Deleted", d.Info)
			}
		}
	}
	if _, err := s.reveal(secret.Ref{Owner: theirs.Owner, Name: "none"}); err == nil {
		t.Error("there is a secret that never was")
	}
	// These may return errors but must not panic.
	_, _ = s.Owners(ctx, secret.Page{})
	_, _ = s.Verify(ctx)
	_ = s.file.View(func(tx *state.Tx) error {
		for _, bucket := range []string{s.secrets, s.deleted} {
			rows := tx.Bucket(bucket)
			for key, stored := range rows.From([]byte{0}) {
				_ = s.resealRow(tx, bucket, bytes.Clone(key), bytes.Clone(stored))
			}
		}
		return nil
	})
	_, _ = s.Expire(ctx, time.Now().Add(-time.Hour), 10) // nothing is due
}

// FuzzSealedRecord opens records that were sealed correctly but have content of another
// version or of an attacker with the keys.
func FuzzSealedRecord(f *testing.F) {
	s := mustFuzzStore(f)
	var r record
	var rowStored, valuesStored []byte
	err := s.file.View(func(tx *state.Tx) (err error) {
		r, err = s.find(tx, fuzzed)
		key, rows, past := s.rowKey(fuzzed), tx.Bucket(s.secrets), tx.Bucket(s.past)
		rowStored, valuesStored = bytes.Clone(rows.Get(key[:])), bytes.Clone(past.Get(versionKey(r.id, r.valuesAt)))
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"name":"db","keys":["k"],"created":"2026-11-21T12:00:00Z","updated":"2026-11-21T12:00:00Z","revision":"r"}`), encode(valueOf(fuzzed)))
	f.Add([]byte(`{"name":"other"}`), []byte{1})
	f.Add([]byte(`{"name":"db","keys":null,"created":7}`), []byte{})
	f.Add([]byte(`null`), []byte{0, 0})
	f.Fuzz(func(t *testing.T, text, values []byte) {
		key := s.rowKey(fuzzed)
		s.mustPut(t, s.secrets, fuzzRow{key[:], append(r.stored(), s.ring.Seal(text, s.descriptionPlace(fuzzed.Owner, r.head))...)})
		at := versionKey(r.id, r.valuesAt)
		s.mustPut(t, s.past, fuzzRow{at, s.ring.Seal(values, s.valuesPlace(fuzzed.Owner, at))})
		data, err := s.reveal(fuzzed)
		info, headErr := s.Head(context.Background(), fuzzed)
		if want, decodeErr := decode(values); err == nil && (decodeErr != nil || !maps.Equal(data, want)) {
			t.Errorf("%s has answered with %d keys", fuzzed, len(data))
		}
		if headErr == nil && info.Ref != fuzzed {
			t.Errorf("%s has answered as %s", fuzzed, info.Ref)
		}
		_, _ = s.Verify(context.Background())
		s.mustPut(t, s.secrets, fuzzRow{key[:], rowStored})
		s.mustPut(t, s.past, fuzzRow{at, valuesStored})
	})
}
