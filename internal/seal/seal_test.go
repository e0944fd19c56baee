package seal_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/strongroom/strongroom/internal/seal"
)

var place = seal.Place("values", "state", "user", "alice")

func mustParse(t *testing.T, text string) *seal.Key {
	t.Helper()
	k, err := seal.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatIsSealedOpensInItsPlaceOnly(t *testing.T) {
	k := seal.NewKey()
	for _, text := range []string{"", "x", "\xff\x00", string(bytes.Repeat([]byte("long"), 1<<18))} {
		sealed := k.Seal([]byte(text), place)
		if len(sealed) != len(text)+seal.Overhead {
			t.Errorf("sealing %d bytes gave %d, want %d more", len(text), len(sealed), seal.Overhead)
		}
		got, err := k.Open(sealed, place)
		if err != nil || string(got) != text {
			t.Errorf("Open: %v, and %d bytes of %d", err, len(got), len(text))
		}
		for _, other := range [][]byte{
			nil, seal.Place("values", "state", "user", "bob"), seal.Place("valuesstate", "user", "alice"), append(place, 0),
		} {
			if _, err := k.Open(sealed, other); !errors.Is(err, seal.ErrNotAuthentic) {
				t.Errorf("Open in place %x: %v, want ErrNotAuthentic", other, err)
			}
		}
		if _, err := seal.NewKey().Open(sealed, place); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("Open with another key: %v, want ErrNotAuthentic", err)
		}
	}
}

func TestEveryChangedBitIsNoticed(t *testing.T) {
	r := seal.NewRing()
	sealed := r.Seal([]byte("hunter2"), place)
	for bit := range len(sealed) * 8 {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := r.Open(changed, place); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("bit %d changed: %v, want ErrNotAuthentic", bit, err)
		}
	}
	for n := range sealed {
		if _, err := r.Open(sealed[:n], place); !errors.Is(err, seal.ErrNotAuthentic) {
			t.Errorf("cut to %d bytes: %v, want ErrNotAuthentic", n, err)
		}
	}
}

func TestSealingTwiceGivesNothingInCommon(t *testing.T) {
	k := seal.NewKey()
	a, b := k.Seal([]byte("same"), place), k.Seal([]byte("same"), place)
	for i := 0; i+8 <= len(a); i += 8 {
		if bytes.Equal(a[i:i+8], b[i:i+8]) {
			t.Errorf("bytes %d to %d are the same", i, i+8)
		}
	}
}

// Two different lists of parts are two places, even if their concatenations match.
func TestPlacesDoNotRunTogether(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"a\x01b"}, {"\x01a", "b"}} {
		p := string(seal.Place(parts...))
		if other, ok := seen[p]; ok {
			t.Errorf("%q and %q are the same place", parts, other)
		}
		seen[p] = parts
	}
}

// A vector pins the format: texts sealed by version 1 must open in every later version.
type vector struct{ Key, Place, Text, Sealed string }

func TestVectorsOpen(t *testing.T) {
	file, err := os.ReadFile("testdata/record-v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(file, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("reading the vectors: %v", err)
	}
	for i, v := range vectors {
		sealed, place := mustHex(t, v.Sealed), mustHex(t, v.Place)
		got, err := mustParse(t, v.Key).Open(sealed, place)
		if err != nil || !bytes.Equal(got, mustHex(t, v.Text)) {
			t.Errorf("vector %d: %v, %x", i, err, got)
		}
	}
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyIsReadBackAndNeverPrinted(t *testing.T) {
	k := seal.NewKey()
	again := mustParse(t, "\n "+k.Encode()+"\n")
	if _, err := again.Open(k.Seal([]byte("x"), place), place); err != nil {
		t.Errorf("the key that was read back: %v", err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(format, k); got != "****" {
			t.Errorf("%s prints %q", format, got)
		}
	}
	for _, bad := range []string{"", "x", k.Encode()[1:], k.Encode() + k.Encode()} {
		if _, err := seal.ParseKey(bad); err == nil {
			t.Errorf("ParseKey of %d characters: no error", len(bad))
		} else if bad != "" && bytes.Contains([]byte(err.Error()), []byte(bad)) && len(bad) > 1 {
			t.Errorf("the error repeats what was read: %v", err)
		}
	}
}

func TestRingOpensWithItsKeyOnly(t *testing.T) {
	ring, kek := seal.NewRing(), seal.NewKey()
	sealed, mac := ring.Seal([]byte("text"), place), ring.MAC([]byte("name"))
	wrapped, err := ring.Wrap(kek, "state-1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.Unwrap(wrapped, kek, "state-1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(sealed, place); err != nil || string(got) != "text" {
		t.Errorf("Open: %q, %v", got, err)
	}
	if again.MAC([]byte("name")) != mac || again.MAC([]byte("other")) == mac {
		t.Error("MAC is not that of the name")
	}
	if again.Derive("audit").Encode() != ring.Derive("audit").Encode() || ring.Derive("audit").Encode() == ring.Derive("index").Encode() {
		t.Error("Derive does not go by the purpose")
	}
	for what, err := range map[string]error{
		"another key":   errOf(seal.Unwrap(wrapped, seal.NewKey(), "state-1")),
		"another state": errOf(seal.Unwrap(wrapped, kek, "state-2")),
		"damaged":       errOf(seal.Unwrap(wrapped[:len(wrapped)-1], kek, "state-1")),
		"nothing":       errOf(seal.Unwrap(nil, kek, "state-1")),
	} {
		if !errors.Is(err, seal.ErrWrongKey) {
			t.Errorf("%s: %v, want ErrWrongKey", what, err)
		}
	}
}

func errOf(_ *seal.Ring, err error) error { return err }

func BenchmarkSeal256(b *testing.B) {
	r, text := seal.NewRing(), make([]byte, 256)
	for b.Loop() {
		r.Seal(text, place)
	}
}

func BenchmarkOpen256(b *testing.B) {
	r := seal.NewRing()
	sealed := r.Seal(make([]byte, 256), place)
	for b.Loop() {
		if _, err := r.Open(sealed, place); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := seal.NewRing()
	f.Add(r.Seal([]byte("text"), place), []byte("place"))
	f.Fuzz(func(t *testing.T, sealed, place []byte) {
		if text, err := r.Open(sealed, place); err == nil {
			t.Errorf("opened %x, which was never sealed", text)
		}
	})
}
