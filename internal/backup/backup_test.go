package backup_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"io"
	"testing"

	"filippo.io/age"

	"github.com/strongroom/strongroom/internal/backup"
	"github.com/strongroom/strongroom/internal/seal"
)

var (
	kek  = seal.NewKey()
	ring = seal.NewRing()
)

func mustSeal(t *testing.T, text []byte) []byte {
	t.Helper()
	wrapped, err := ring.Wrap(kek, "state")
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := backup.Seal(&sealed, "state", ring, wrapped)
	if err != nil {
		t.Fatal(err)
	}
	for piece := range bytesOf(text, 7777) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return sealed.Bytes()
}

func bytesOf(text []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(text) > 0 {
			k := min(n, len(text))
			if !yield(text[:k]) {
				return
			}
			text = text[k:]
		}
	}
}

func open(sealed []byte) ([]byte, error) {
	r, err := backup.Open(bytes.NewReader(sealed), func(wrapped []byte, id string) (*seal.Ring, error) {
		return seal.Unwrap(wrapped, kek, id)
	})
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestBackupIsReadBack(t *testing.T) {
	for _, size := range []int{0, 1, 65535, 65536, 65537, 131072, 1 << 20} {
		text := bytes.Repeat([]byte("x"), size)
		sealed := mustSeal(t, text)
		if got, err := open(sealed); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
}

func TestEveryTruncationAndChangeIsDetected(t *testing.T) {
	sealed := mustSeal(t, bytes.Repeat([]byte("x"), 70_000))
	step := 97
	for n := 0; n < len(sealed); n += step {
		if _, err := open(sealed[:n]); err == nil {
			t.Errorf("cut to %d bytes: nothing noticed", n)
		}
		changed := bytes.Clone(sealed)
		changed[n] ^= 4
		if _, err := open(changed); err == nil {
			t.Errorf("byte %d changed: nothing noticed", n)
		}
	}
	if _, err := open(append(bytes.Clone(sealed), 0)); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("one byte more: %v, want ErrDamaged", err)
	}
}

// Both copies have the same length, so their pieces could be exchanged.
func TestPiecesOfAnotherBackupAreRejected(t *testing.T) {
	a, b := mustSeal(t, make([]byte, 100_000)), mustSeal(t, make([]byte, 100_000))
	mixed := append(bytes.Clone(a[:len(a)/2]), b[len(b)/2:]...)
	if _, err := open(mixed); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("got %v, want ErrDamaged", err)
	}
}

func TestAgeIdentityOpensTheBackup(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var sealed bytes.Buffer
	w, err := backup.ForAge(&sealed, id.Recipient().String())
	if fips140.Enforced() {
		if !errors.Is(err, backup.ErrNotFIPS) {
			t.Errorf("in FIPS mode: %v, want ErrNotFIPS", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "text"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := backup.FromAge(bytes.NewReader(sealed.Bytes()), []byte(id.String()+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "text" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := backup.ForAge(&sealed, "age1nobody"); err == nil {
		t.Error("a recipient that is none: no error")
	}
}
