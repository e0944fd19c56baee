package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
)

// KeyBytes is the length of a key.
const KeyBytes = 32

// A sealed text is
//
//	info (32) ‖ commitment (32) ‖ nonce (12) ‖ ciphertext ‖ tag (16)
//
// where HKDF-Expand-SHA256(key, label ‖ info) gives the AES-256-GCM key, used
// once, and the commitment.
const (
	infoBytes       = 32
	commitmentBytes = 32
	gcmBytes        = 12 + 16

	// Overhead is the number of bytes that sealing with a [Key] adds to a text.
	Overhead = infoBytes + commitmentBytes + gcmBytes
)

var (
	recordLabel = []byte("strongroom record v1")
	firstBlock  = []byte{1}
	secondBlock = []byte{2}
)

// ErrNotAuthentic means that a text was not sealed by this key for this
// place, or was damaged since. The two cases look the same.
var ErrNotAuthentic = errors.New("not sealed by this key for this place, or damaged")

// A Key seals texts. It prints as asterisks; only [Key.Encode] reveals it. It is safe for
// concurrent use.
type Key struct {
	seed [KeyBytes]byte
	macs sync.Pool // of HMACs under the seed: making one costs as much as using it
}

// NewKey returns a random key.
func NewKey() *Key {
	raw := make([]byte, KeyBytes)
	defer clear(raw)
	_, _ = rand.Read(raw) // never fails: crypto/rand crashes the program instead
	return keyOf(raw)
}

// ParseKey parses the output of [Key.Encode]; white space around it is ignored.
// Its errors do not quote the input.
func ParseKey(text string) (*Key, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	defer clear(raw)
	if err != nil || len(raw) != KeyBytes {
		return nil, errors.New("not a key: want 32 bytes in base64")
	}
	return keyOf(raw), nil
}

// Encode returns the key as a line of base64, for the file that holds it.
func (k *Key) Encode() string { return base64.StdEncoding.EncodeToString(k.seed[:]) }

// Format implements [fmt.Formatter].
func (*Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "****") }

func keyOf(raw []byte) *Key {
	k := new(Key)
	copy(k.seed[:], raw)
	k.macs.New = func() any { return hmac.New(sha256.New, k.seed[:]) }
	return k
}

// MAC returns HMAC-SHA256 of the concatenated parts under the key.
func (k *Key) MAC(parts ...[]byte) []byte { return k.appendMAC(nil, parts...) }

func (k *Key) appendMAC(b []byte, parts ...[]byte) []byte {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(b)
}

// Seal encrypts and authenticates the text for one place. [Key.Open] refuses it
// for any other place. The place, made by [Place], is not part of the result.
func (k *Key) Seal(text, place []byte) []byte {
	return k.appendSealed(make([]byte, 0, len(text)+Overhead), text, place)
}

func (k *Key) appendSealed(b, text, place []byte) []byte {
	info := len(b)
	b = b[:info+infoBytes]
	_, _ = rand.Read(b[info:])
	key, commitment := k.derive(b[info:])
	defer clear(key)
	b = append(b, commitment...)
	return gcm(key).Seal(b, nil, text, place) // #nosec G407 -- the key is derived anew from random bytes for every record, so a fixed nonce never repeats under it
}

// Open returns the text, or ErrNotAuthentic.
func (k *Key) Open(sealed, place []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrNotAuthentic
	}
	key, commitment := k.derive(sealed[:infoBytes])
	defer clear(key)
	// GCM alone can open one ciphertext under several keys, each with a different
	// text. The commitment binds the ciphertext to one key.
	if subtle.ConstantTimeCompare(commitment, sealed[infoBytes:infoBytes+commitmentBytes]) != 1 {
		return nil, ErrNotAuthentic
	}
	text, err := gcm(key).Open(nil, nil, sealed[infoBytes+commitmentBytes:], place)
	if err != nil {
		return nil, ErrNotAuthentic
	}
	return text, nil
}

// derive is HKDF-Expand (RFC 5869, section 2.3) for two blocks of output, with a pooled
// HMAC. The function of crypto/hkdf makes one for each call.
func (k *Key) derive(info []byte) (key, commitment []byte) {
	out := k.appendMAC(make([]byte, 0, KeyBytes+commitmentBytes), recordLabel, info, firstBlock)
	out = k.appendMAC(out, out, recordLabel, info, secondBlock)
	return out[:KeyBytes:KeyBytes], out[KeyBytes:]
}

// gcm chooses its nonces itself, as FIPS 140-3 mode requires.
func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for lengths that AES does not have
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for blocks that are not AES
	}
	return aead
}
