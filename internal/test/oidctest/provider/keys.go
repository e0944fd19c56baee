package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"

	jose "github.com/go-jose/go-jose/v3"
)

// A keyring has the signing keys of the realm: the last one is active, the others are
// passive, Keycloak's term for keys that only verify. It is safe for concurrent use.
type keyring struct {
	encryption *rsa.PrivateKey // published too, as by Keycloak

	mu   sync.RWMutex // guards the fields below; held for reading while a token is signed
	made int
	keys []jose.JSONWebKey
}

func newKeyring() (*keyring, error) {
	encryption, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	k := &keyring{encryption: encryption}
	return k, k.rotate()
}

// rotate creates a new key and makes it active.
func (k *keyring) rotate() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made++
	k.keys = append(k.keys, jose.JSONWebKey{Key: key, KeyID: fmt.Sprintf("key-%d", k.made), Algorithm: "RS256", Use: "sig"})
	return nil
}

// retire drops all keys except the active one.
func (k *keyring) retire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = k.keys[len(k.keys)-1:]
}

// activeLocked returns the key that signs tokens now.
func (k *keyring) activeLocked() *jose.JSONWebKey { return &k.keys[len(k.keys)-1] }

// signer returns the signing key to fosite. The lock is held.
func (k *keyring) signer(context.Context) (any, error) { return k.activeLocked().Key, nil }

func (k *keyring) published() jose.JSONWebKeySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.encryption.Public(), KeyID: "encryption", Algorithm: "RSA-OAEP", Use: "enc"}}}
	for _, key := range k.keys {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}
