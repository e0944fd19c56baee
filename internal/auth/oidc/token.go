package oidc

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

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
	return t, t.header.KeyID != ""
}

// NoType in Rules.Types accepts tokens that do not say what they are.
const NoType = "none"

// typed reports whether the token is of an accepted type. A token can say its
// type in the payload, as Keycloak's do, and in the header (RFC 9068, section
// 2.1); then both must be accepted. "JWT" in the header says nothing, because
// ID tokens have it, too.
func (rules *Rules) typed(t token, c *claims) bool {
	header := strings.TrimPrefix(strings.ToLower(t.header.Type), "application/")
	if header != "" && header != "jwt" && !rules.accepts(header, strings.EqualFold) {
		return false
	}
	switch {
	case c.Type != "" && !rules.accepts(c.Type, func(a, b string) bool { return a == b }):
		return false
	case header == "", header == "jwt" && c.Type == "":
		return slices.Contains(rules.Types, NoType) && !c.looksLikeAnother()
	}
	return true
}

func (rules *Rules) accepts(name string, same func(a, b string) bool) bool {
	return slices.ContainsFunc(rules.Types, func(t string) bool { return t != NoType && same(t, name) })
}

// looksLikeAnother reports whether the token has a claim that an access token
// does not have but an ID token (OpenID Connect Core 1.0, sections 2 and
// 3.3.2.11; token_use is Amazon Cognito's) or a logout token (Back-Channel Logout
// 1.0, section 2.4) does. An ID token is also for the client that obtained it.
func (c *claims) looksLikeAnother() bool {
	for _, claim := range []jsontext.Value{c.Nonce, c.TokenHash, c.CodeHash, c.StateHash, c.Events} {
		if claim != nil {
			return true
		}
	}
	if c.Use != nil && string(c.Use) != `"access"` {
		return true
	}
	client := c.client()
	return client != "" && slices.Contains(c.Audience, client)
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
