// Package fernet opens Fernet tokens, as Python's cryptography package makes
// them (github.com/fernet/spec, version 0x80):
//
//	base64url(0x80 ‖ time (8) ‖ IV (16) ‖ AES-128-CBC ciphertext ‖ HMAC-SHA256 (32))
//
// It does not create tokens: package seal seals new records.
package fernet

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// Prefix begins every token: the version, and a time before the year 2106.
const Prefix = "gAAAAA"

// ErrInvalid means that the text is not a token, or that the key does not open it. The
// error does not say which.
var ErrInvalid = errors.New("not a Fernet token under this key")

const (
	version    = 0x80
	headLength = 1 + 8 + aes.BlockSize // version, time, IV
	minLength  = headLength + aes.BlockSize + sha256.Size
)

// A Key authenticates with its first 16 bytes and decrypts with the others.
type Key [32]byte

// Open returns the message in the token, however old it is. The error is ErrInvalid. It
// authenticates the token before it decrypts, in constant time.
func (k Key) Open(token string) ([]byte, error) {
	raw, ok := decode(token)
	if !ok || len(raw) < minLength || (len(raw)-minLength)%aes.BlockSize != 0 || raw[0] != version {
		return nil, ErrInvalid
	}
	signed, code := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	mac := hmac.New(sha256.New, k[:16])
	mac.Write(signed)
	if !hmac.Equal(mac.Sum(nil), code) {
		return nil, ErrInvalid
	}
	block, err := aes.NewCipher(k[16:])
	if err != nil {
		return nil, err // cannot happen: the key has 16 bytes
	}
	text := signed[headLength:]
	cipher.NewCBCDecrypter(block, signed[headLength-aes.BlockSize:headLength]).CryptBlocks(text, text)
	return unpad(text)
}

// decode is strict: Go's decoder skips line breaks.
func decode(token string) ([]byte, bool) {
	if strings.ContainsAny(token, "\r\n") {
		return nil, false
	}
	raw, err := base64.URLEncoding.Strict().DecodeString(token)
	return raw, err == nil
}

// unpad removes the padding of PKCS #7 (RFC 5652, section 6.3).
func unpad(text []byte) ([]byte, error) {
	n := int(text[len(text)-1])
	if n == 0 || n > aes.BlockSize || !bytes.Equal(text[len(text)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, ErrInvalid
	}
	return text[:len(text)-n], nil
}
