package fernet_test

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/fernet"
)

// The vectors of github.com/fernet/spec.
var (
	//go:embed testdata/verify.json
	valid []byte
	//go:embed testdata/invalid.json
	invalid []byte
)

type vector struct{ Desc, Token, Secret, Src string }

func (v vector) key(t *testing.T) fernet.Key {
	t.Helper()
	raw, err := base64.URLEncoding.DecodeString(v.Secret)
	if err != nil || len(raw) != 32 {
		t.Fatalf("the vector's key: %v", err)
	}
	return fernet.Key(raw)
}

func mustParse(t *testing.T, text []byte) (vectors []vector) {
	t.Helper()
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	return vectors
}

func TestValidVectorsOpen(t *testing.T) {
	for _, v := range mustParse(t, valid) {
		if got, err := v.key(t).Open(v.Token); err != nil || string(got) != v.Src {
			t.Errorf("%s: got %q, %v, want %q", v.Token, got, err, v.Src)
		}
	}
}

// Two of the vectors are invalid only because of their time, which Open does not check.
func TestInvalidVectorsDoNotOpen(t *testing.T) {
	for _, v := range mustParse(t, invalid) {
		_, err := v.key(t).Open(v.Token)
		if aged := strings.Contains(v.Desc, "TTL") || strings.Contains(v.Desc, "clock skew"); aged && err != nil {
			t.Errorf("%s: got %v, want it to open", v.Desc, err)
		} else if !aged && !errors.Is(err, fernet.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", v.Desc, err)
		}
	}
}

func TestNoChangedTokenOpens(t *testing.T) {
	v := mustParse(t, valid)[0]
	key := v.key(t)
	for i := range v.Token {
		changed := []byte(v.Token)
		if changed[i] = 'B'; v.Token[i] == 'B' {
			changed[i] = 'C'
		}
		if _, err := key.Open(string(changed)); !errors.Is(err, fernet.ErrInvalid) {
			t.Errorf("with another byte %d: %v", i, err)
		}
	}
	for _, text := range []string{"", fernet.Prefix, v.Token[:len(v.Token)-4], v.Token + "AAAA", v.Token + "\n", v.Token[:40] + "\n" + v.Token[40:]} {
		if _, err := key.Open(text); !errors.Is(err, fernet.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for i := range key {
		other := key
		other[i] ^= 1
		if got, err := other.Open(v.Token); err == nil && string(got) == v.Src {
			t.Errorf("it opens under a key with another byte %d", i)
		}
	}
}

// The token is the result of OpenHands' Cipher("correct horse").encrypt("sécret") with
// cryptography 48.0.0.
func TestATokenOfOpenHandsOpens(t *testing.T) {
	const token = "gAAAAABrC2Yz2kD6G3Sh19ykCZBtKse76gSukOFYjLEgZPqm9NXwpqDaRYDSJNjoI8UYXL9TqLaW73VtAmw9f1MkPbnojx5D2g=="
	got, err := fernet.Key(sha256.Sum256([]byte("correct horse"))).Open(token)
	if err != nil || string(got) != "sécret" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := (fernet.Key{}).Open(token); err == nil {
			t.Error("it opens under a key that made none")
		}
	})
}
