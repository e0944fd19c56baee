package seal_test

import (
	"bytes"
	"testing"

	"github.com/strongroom/strongroom/internal/seal"
)

func FuzzUnwrap(f *testing.F) {
	kek := seal.NewKey()
	wrapped, err := seal.NewRing().Wrap(kek, "state")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wrapped)
	f.Add(wrapped[:len(wrapped)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := seal.Unwrap(text, kek, "state")
		if (err == nil) != bytes.Equal(text, wrapped) {
			t.Errorf("%d bytes: %v, %v", len(text), ring, err)
		}
	})
}

// FuzzUnwrapped opens arbitrary keyrings, sealed with the right key-encryption key.
func FuzzUnwrapped(f *testing.F) {
	kek := seal.NewKey()
	key := seal.NewKey().Encode()
	f.Add(`{"primary":1,"keys":{"1":"` + key + `"},"index":"` + key + `"}`)
	f.Add(`{"primary":2,"keys":{"1":"` + key + `"},"index":"` + key + `"}`)
	f.Add(`{"primary":1,"keys":{"1":"x","-1":null},"index":""}`)
	f.Add(`{"primary":4294967295,"keys":{"4294967295":"` + key + `"},"index":"` + key + `"}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := seal.Unwrap(kek.Seal([]byte(text), seal.Place("keyring", "state")), kek, "state")
		if err != nil {
			return
		}
		again, err := ring.Wrap(kek, "state")
		if err != nil {
			t.Fatal(err)
		}
		same, err := seal.Unwrap(again, kek, "state")
		if err != nil {
			t.Fatalf("it wraps to what does not unwrap: %v", err)
		}
		if got, err := same.Open(ring.Seal([]byte("text"), place), place); err != nil || string(got) != "text" {
			t.Errorf("it seals what does not open: %v", err)
		}
		next := ring.Rotated()
		if next.Primary() == ring.Primary() || len(next.IDs()) != len(ring.IDs())+1 {
			t.Errorf("rotating key %d of %v gives %d of %v", ring.Primary(), ring.IDs(), next.Primary(), next.IDs())
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(seal.NewKey().Encode())
	f.Add(" " + seal.NewKey().Encode() + "\r\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := seal.ParseKey(text)
		if err != nil {
			return
		}
		again, err := seal.ParseKey(k.Encode())
		if err != nil || again.Encode() != k.Encode() {
			t.Errorf("%q is read as one key and, written again, as another: %v", text, err)
		}
	})
}
