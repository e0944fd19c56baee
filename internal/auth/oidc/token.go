package oidc

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/strongroom/strongroom/internal/auth"
)

// The maximum sizes of a token's encoded parts in bytes. A header has few members, and a
// signature is as long as its key.
const (
	maxHeader    = 1 << 10
	maxSignature = maxRSABits / 6
)

// A token is a token split into its parts, with only the header parsed.
type token struct {
	header    header
	signed    string // the signed text
	payload   string // encoded
	signature string // encoded
}

// A header has the accepted members of a token's header. Every other member is refused,
// in particular those that supply a key (jku, jwk, x5u, x5c), change the signed text
// (b64, crit), or compress or encrypt it (zip, enc): RFC 8725, sections 3.10 and 3.11.
// Thumbprints are ignored.
type header struct {
	Algorithm        string `json:"alg"`
	KeyID            string `json:"kid"`
	Type             string `json:"typ"`
	Thumbprint       string `json:"x5t"`
	ThumbprintSHA256 string `json:"x5t#S256"`
}

// parse splits a text that [auth.IsToken] and reads its header.
func parse(text string) (t token, err error) {
	first, last := strings.IndexByte(text, '.'), strings.LastIndexByte(text, '.')
	t = token{signed: text[:last], payload: text[first+1 : last], signature: text[last+1:]}
	if len(text[:first]) > maxHeader || len(t.signature) > maxSignature+1 {
		return token{}, errLong
	}
	decoded, err := auth.Base64.DecodeString(text[:first])
	if err != nil || !auth.Shallow(decoded) || json.Unmarshal(decoded, &t.header, json.RejectUnknownMembers(true)) != nil {
		return token{}, errHeader
	}
	if t.header.KeyID == "" {
		return token{}, errNoKeyID
	}
	return t, nil
}

// The refusals without details.
var (
	errLong      = auth.Refuse("its header is larger than %d bytes or its signature larger than %d", maxHeader, maxSignature+1)
	errHeader    = auth.Refuse("its header is not JSON with alg, kid, typ, x5t and x5t#S256 alone, each once: others, as jku or crit, are not accepted")
	errNoKeyID   = auth.Refuse("its header does not say which key has signed it (kid)")
	errNoKey     = auth.Refuse("the issuer publishes no key for signatures of the id (kid) in its header")
	errOtherKey  = auth.Refuse("the issuer's key of that id (kid) is for other algorithms than the one in its header (alg)")
	errSignature = auth.Refuse("the issuer's key of that id (kid) does not verify its signature")
	errPayload   = auth.Refuse("its payload is not JSON with every name once and claims of the right type, as a number for exp")
	errNoExpiry  = auth.Refuse("it has no expiry (exp)")
	errBound     = auth.Refuse("it is bound to a key of its holder (cnf), as with DPoP or mutual TLS, which is not supported")
	errSubject   = auth.Refuse("its subject (sub) is missing, longer than %d bytes or has control characters", maxID)
	errLooksLike = auth.Refuse("it has no type (typ), and its claims are those of an ID or logout token: nonce, at_hash, c_hash, s_hash, events, token_use, or its client in aud")
)

func (t token) algorithmIn(list []string) bool { return slices.Contains(list, t.header.Algorithm) }

// signedWith refuses a wrong signature, and an algorithm that the key does not allow. The
// key is nil if the issuer does not publish it.
func (t token) signedWith(k *key) error {
	switch {
	case k == nil:
		return errNoKey
	case !t.algorithmIn(k.algorithms):
		return errOtherKey
	}
	signature, err := auth.Base64.DecodeString(t.signature)
	if err != nil || !k.verify(t.header.Algorithm, t.signed, signature) {
		return errSignature
	}
	return nil
}
