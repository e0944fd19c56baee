package backup_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"filippo.io/age"

	"github.com/strongroom/strongroom/internal/backup"
	"github.com/strongroom/strongroom/internal/seal"
)

// A backup that opens has the original content, and a failing reader has returned at most
// a prefix of it.
func FuzzOpen(f *testing.F) {
	original := bytes.Repeat([]byte("original"), 9000) // two pieces
	var sealed bytes.Buffer
	wrapped, err := ring.Wrap(kek, "state")
	if err != nil {
		f.Fatal(err)
	}
	w, err := backup.Seal(&sealed, "state", ring, wrapped)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write(original); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	header := bytes.Join(bytes.SplitAfterN(sealed.Bytes(), []byte("\n"), 3)[:2], nil)
	f.Add(sealed.Bytes())
	f.Add(sealed.Bytes()[:len(header)+20])
	f.Add(append(bytes.Clone(header), 0, 0, 0, 0))
	f.Add(append(bytes.Clone(header), 0xff, 0xff, 0xff, 0xff))
	f.Add([]byte("strongroom backup v1\n{}\n"))
	f.Add([]byte("strongroom backup v1\n{\"state\":7}\n"))
	f.Add([]byte("strongroom backup v2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := backup.Open(bytes.NewReader(text), func(wrapped []byte, id string) (*seal.Ring, error) {
			return seal.Unwrap(wrapped, kek, id)
		})
		if err != nil {
			return
		}
		got, err := io.ReadAll(r)
		switch {
		case err == nil && !bytes.Equal(got, original):
			t.Errorf("opened %d bytes that were never sealed", len(got))
		case err != nil && !errors.Is(err, backup.ErrDamaged):
			t.Errorf("%v, want ErrDamaged", err)
		case !bytes.HasPrefix(original, got):
			t.Errorf("read %d bytes that were never sealed, and then %v", len(got), err)
		}
	})
}

func TestEveryTruncationAndChangeOfAnAgeBackupIsDetected(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := backup.ForAge(&sealed, id.Recipient().String())
	if errors.Is(err, backup.ErrNotFIPS) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("x"), 130_000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(text []byte) error {
		r, err := backup.FromAge(bytes.NewReader(text), []byte(id.String()))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		return err
	}
	if err := open(sealed.Bytes()); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < sealed.Len(); n += 499 {
		changed := bytes.Clone(sealed.Bytes())
		changed[n] ^= 4
		for what, text := range map[string][]byte{"cut": sealed.Bytes()[:n], "changed": changed} {
			if err := open(text); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("%s at byte %d: %v, want ErrDamaged", what, n, err)
			}
		}
	}
}
