// Package statetest opens state files in the tests of other packages, without their
// keyrings.
package statetest

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/strongroom/strongroom/internal/state"
)

// A Key is a key of a state file. Tests that do not care use the empty one.
type Key string

// MAC returns HMAC-SHA256 of the concatenated parts.
func (k Key) MAC(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, []byte(k))
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// Unlock is a [state.Unlock] that ignores the keyring.
func (k Key) Unlock(string, []byte) (state.Keys, error) { return state.Keys{MAC: k}, nil }

// Open opens a state file with the empty key.
func Open(path string) (*state.File, error) { return state.Open(path, Key("").Unlock) }

// Create creates a state file with the empty key.
func Create(path string, wrap func(id string) ([]byte, error)) error {
	return Key("").Create(path, wrap)
}

// Create creates a state file with the key.
func (k Key) Create(path string, wrap func(id string) ([]byte, error)) error {
	return state.Create(path, func(id string) ([]byte, state.MACKey, error) {
		wrapped, err := wrap(id)
		return wrapped, k, err
	})
}
