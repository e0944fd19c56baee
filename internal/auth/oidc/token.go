package oidc

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/strongroom/strongroom/internal/auth"
)

// What a token's encoded parts may be, in bytes: there is not much to say in a
// header, and a signature is as long as its key.
const (
	maxHeader    = 1 << 10
	maxSignature = maxRSABits / 6
)

// A token is in parts, of which the header alone has been read.
type token struct {
	header    header
	signed    string // what the signature is over
	payload   string // encoded
	signature string // encoded
}

// A header is what a token's may have. Anything else makes it a token that we
// do not understand, above all what would bring its own key (jku, jwk, x5u,
// x5c), change what is signed (b64, crit) or pack it (zip, enc): RFC 8725,
// sections 3.10 and 3.11. Thumbprints are of no use to us and do no harm.
type header struct {
	Algorithm        string `json:"alg"`
	KeyID            string `json:"kid"`
	Type             string `json:"typ"`
	Thumbprint       string `json:"x5t"`
	ThumbprintSHA256 string `json:"x5t#S256"`
}

func parse(text string) (t token, ok bool) {
	first, last := strings.IndexByte(text, '.'), strings.LastIndexByte(text, '.')
	t = token{signed: text[:last], payload: text[first+1 : last], signature: text[last+1:]}
	if len(text[:first]) > maxHeader || len(t.signature) > maxSignature+1 {
		return token{}, false
	}
	decoded, err := auth.Base64.DecodeString(text[:first])
	if err != nil || !auth.Shallow(decoded) || json.Unmarshal(decoded, &t.header, json.RejectUnknownMembers(true)) != nil {
		return token{}, false
	}
	return t, t.header.KeyID != "" && t.header.kind() != ""
}

// The kinds of token that can be an access token, by their header.
const (
	plain    = "jwt"    // which ID tokens are, too
	explicit = "at+jwt" // RFC 9068
)

// kind is which of them it is, empty if it is none.
func (h header) kind() string {
	kind := strings.TrimPrefix(strings.ToLower(h.Type), "application/")
	if kind != plain && kind != explicit {
		return ""
	}
	return kind
}

func (t token) algorithmIn(list []string) bool { return slices.Contains(list, t.header.Algorithm) }

// signedWith reports whether the signature is good, and of an algorithm that
// the key is for.
func (t token) signedWith(k *key) bool {
	if !t.algorithmIn(k.algorithms) {
		return false
	}
	signature, err := auth.Base64.DecodeString(t.signature)
	return err == nil && k.verify(t.header.Algorithm, t.signed, signature)
}
