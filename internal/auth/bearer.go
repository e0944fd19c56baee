package auth

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxToken is the maximum size of a token in bytes, checked before the token is
// parsed. Tokens of real issuers are far smaller.
const MaxToken = 8 << 10

const (
	maxIssuer = 512 // bytes
	maxDepth  = 16  // of nested arrays and objects
)

// Bearer returns the token in the request's Authorization header (RFC 6750,
// section 2.1), and whether there is one.
func Bearer(r *http.Request) (token string, ok bool) {
	sent := r.Header["Authorization"]
	if len(sent) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(sent[0], " ")
	return token, ok && strings.EqualFold(scheme, "Bearer")
}

// Token returns the request's bearer token. Without one, and for one larger than
// MaxToken, the error is ErrNoCredential.
func Token(r *http.Request) (string, error) {
	token, ok := Bearer(r)
	switch {
	case !ok:
		return "", ErrNoCredential
	case len(token) > MaxToken:
		return "", errTooLarge
	}
	return token, nil
}

// CheckIssuer returns nil if the token names the issuer, and ErrNoCredential if it names
// another one. It verifies nothing.
func CheckIssuer(token, issuer string) error {
	if !IsToken(token) {
		return errNoToken
	}
	switch named, ok := Issuer(token); {
	case !ok:
		return errNoIssuer
	case named != issuer:
		return PassOver("it names another issuer (iss) than %s", issuer)
	}
	return nil
}

var (
	errTooLarge = PassOver("it is larger than %d KiB", MaxToken>>10)
	errNoToken  = PassOver("it is not a signed token (JWT), which is three parts in base64url with dots between")
	errNoIssuer = PassOver("its payload names no issuer (iss), or more than one")
)

// IsToken reports whether a credential has the form of a signed token (a JWS
// in compact form, RFC 7515), of at most 8 KiB. Encrypted ones have more dots.
func IsToken(credential string) bool {
	if len(credential) > MaxToken {
		return false
	}
	dots := 0
	for i := range len(credential) {
		switch c := credential[i]; {
		case c == '.':
			dots++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default: // base64 decoders skip line breaks
			return false
		}
	}
	return dots == 2
}

// Base64 is the encoding of a token's parts. It is strict, so that each part has
// one encoding.
var Base64 = base64.RawURLEncoding.Strict()

// Issuer returns the issuer that a token names. Strategies that share the Authorization
// header recognize their tokens by it. It verifies nothing. It returns false for a text
// that is not a token, and for a token with no or several issuers.
func Issuer(token string) (issuer string, ok bool) {
	if !IsToken(token) {
		return "", false
	}
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	var payload [MaxToken * 3 / 4]byte // on the stack: unverified tokens cost no heap
	n, err := Base64.Decode(payload[:], []byte(encoded))
	if err != nil {
		return "", false
	}
	return issuerIn(payload[:n])
}

// issuerIn finds the issuer in the payload without parsing the rest. The strategy
// parses the payload after it verified the signature, and compares the issuer again.
func issuerIn(payload []byte) (issuer string, ok bool) {
	depth := 0
	for i := 0; i < len(payload); i++ {
		switch payload[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			text := quoted(payload[i:])
			if i += len(text) - 1; depth != 1 || string(text) != `"iss"` {
				continue
			}
			value, named := valueOf(payload[i+1:])
			if !named {
				continue // a string value, not the member's name
			}
			if ok || len(value) > maxIssuer {
				return "", false
			}
			text, err := jsontext.AppendUnquote(nil, value)
			if err != nil {
				return "", false
			}
			issuer, ok = string(text), true
		}
	}
	return issuer, ok && depth == 0
}

// quoted returns the JSON string at the beginning of the text, or all of the
// text if it does not end.
func quoted(text []byte) []byte {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[:i+1]
		}
	}
	return text
}

// valueOf returns the string after a colon, nil for any other value, and whether
// there is a colon.
func valueOf(text []byte) (value []byte, named bool) {
	const space = " \t\r\n"
	text, named = bytes.CutPrefix(bytes.TrimLeft(text, space), []byte(":"))
	if text = bytes.TrimLeft(text, space); bytes.HasPrefix(text, []byte(`"`)) {
		value = quoted(text)
	}
	return value, named
}

// Shallow reports whether arrays and objects are nested at most maxDepth deep. JSON
// parsers need memory for each level.
func Shallow(text []byte) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += len(quoted(text[i:])) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return false
			}
		case '}', ']':
			depth--
		}
	}
	return true
}
