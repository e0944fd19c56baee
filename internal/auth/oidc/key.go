package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/strongroom/strongroom/internal/auth"
)

// Limits on published keys.
const (
	maxKeys    = 100
	maxKeyID   = 256  // bytes
	minRSABits = 2048 // RFC 7518, section 3.3
	maxRSABits = 8192 // larger keys take long to verify
)

// A key verifies signatures of an issuer.
type key struct {
	id         string
	public     crypto.PublicKey
	algorithms []string // that it may be used with
}

func (k *key) equal(other *key) bool {
	return k.samePublic(other) && slices.Equal(k.algorithms, other.algorithms)
}

func (k *key) samePublic(other *key) bool {
	type public interface{ Equal(crypto.PublicKey) bool }
	mine, ok := k.public.(public)
	return ok && mine.Equal(other.public)
}

// verify reports whether the signature of the text is valid. The algorithm must be
// one of the key's (RFC 7518, section 3, and RFC 8037).
func (k *key) verify(algorithm, text string, signature []byte) bool {
	if public, ok := k.public.(ed25519.PublicKey); ok {
		return ed25519.Verify(public, []byte(text), signature)
	}
	hash, digest := digestOf(algorithm, text)
	switch public := k.public.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(algorithm, "PS") {
			options := rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return rsa.VerifyPSS(public, hash, digest, signature, &options) == nil
		}
		return rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		size := (public.Params().BitSize + 7) / 8
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(public, digest, r, s)
	}
	return false
}

// digestOf hashes with the SHA-2 size at the end of the algorithm's name.
func digestOf(algorithm, text string) (crypto.Hash, []byte) {
	hash := crypto.SHA256
	switch {
	case strings.HasSuffix(algorithm, "512"):
		hash = crypto.SHA512
	case strings.HasSuffix(algorithm, "384"):
		hash = crypto.SHA384
	}
	h := hash.New()
	auth.Feed(h, text)
	return hash, h.Sum(nil)
}

// A jwk has the parsed members of a JSON Web Key (RFC 7517, RFC 8037).
type jwk struct {
	Type       string   `json:"kty"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	ID         string   `json:"kid"`
	Algorithm  string   `json:"alg"`
	N          string   `json:"n"`
	E          string   `json:"e"`
	Curve      string   `json:"crv"`
	X          string   `json:"x"`
	Y          string   `json:"y"`
}

// parseKeys parses a JWK set and returns its keys by id. It skips keys that are not
// for signatures or of an unknown kind, because issuers publish keys for encryption,
// too, and will publish new kinds. It also skips different keys with the same id,
// which is ambiguous. The same key may occur once for each algorithm.
func parseKeys(text []byte) (map[string]*key, error) {
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(text, &set, jsontext.AllowDuplicateNames(true)); err != nil {
		return nil, errors.New("it is not a JWK set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	keys := map[string]*key{}
	for _, value := range set.Keys {
		var j jwk
		if json.Unmarshal(value, &j) != nil {
			continue
		}
		k, err := j.key()
		switch other, twice := keys[j.ID]; {
		case err != nil:
		case !twice:
			keys[j.ID] = k
		case other != nil && other.samePublic(k):
			other.algorithms = append(other.algorithms, k.algorithms...)
		default:
			keys[j.ID] = nil
		}
	}
	for id, k := range keys {
		if k == nil {
			delete(keys, id)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("it has no key that verifies signatures")
	}
	return keys, nil
}

// errUnfit means that the key cannot verify signatures.
var errUnfit = errors.New("not a key to verify signatures with")

func (j jwk) key() (k *key, err error) {
	forSignatures := (j.Use == "" || j.Use == "sig") && (len(j.Operations) == 0 || slices.Contains(j.Operations, "verify"))
	if !forSignatures || j.ID == "" || len(j.ID) > maxKeyID {
		return nil, errUnfit
	}
	k = &key{id: j.ID}
	switch j.Type {
	case "RSA":
		k.public, err = j.rsa()
		k.algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case "EC":
		k.public, k.algorithms, err = j.ecdsa()
	case "OKP":
		k.public, err = j.ed25519()
		k.algorithms = []string{"EdDSA"}
	default:
		return nil, errUnfit
	}
	if j.Algorithm != "" {
		k.algorithms = slices.DeleteFunc(k.algorithms, func(a string) bool { return a != j.Algorithm })
	}
	if err != nil || len(k.algorithms) == 0 {
		return nil, errUnfit
	}
	return k, nil
}

func (j jwk) rsa() (*rsa.PublicKey, error) {
	n, errN := auth.Base64.DecodeString(j.N)
	e, errE := auth.Base64.DecodeString(j.E)
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	bits := modulus.BitLen()
	if errN != nil || errE != nil || bits < minRSABits || bits > maxRSABits || modulus.Bit(0) == 0 {
		return nil, errUnfit
	}
	if exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return nil, errUnfit
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func (j jwk) ecdsa() (*ecdsa.PublicKey, []string, error) {
	var curve elliptic.Curve
	var algorithm string
	switch j.Curve {
	case "P-256":
		curve, algorithm = elliptic.P256(), "ES256"
	case "P-384":
		curve, algorithm = elliptic.P384(), "ES384"
	case "P-521":
		curve, algorithm = elliptic.P521(), "ES512"
	default:
		return nil, nil, errUnfit
	}
	x, errX := auth.Base64.DecodeString(j.X)
	y, errY := auth.Base64.DecodeString(j.Y)
	size := (curve.Params().BitSize + 7) / 8
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return nil, nil, errUnfit
	}
	point := slices.Concat([]byte{4}, x, y) // uncompressed, SEC 1, section 2.3.3
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return public, []string{algorithm}, err
}

func (j jwk) ed25519() (ed25519.PublicKey, error) {
	x, err := auth.Base64.DecodeString(j.X)
	if err != nil || j.Curve != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, errUnfit
	}
	return x, nil
}
