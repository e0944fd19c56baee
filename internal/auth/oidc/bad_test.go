package oidc_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/oidc"
)

// Limits of the cost of a refused token.
const mostBytes = 16 << 10

type badToken struct{ name, token string }

// signed returns bad tokens with a valid signature of the issuer. Only their content is
// wrong.
func signed(t *testing.T, i *issuer) (list []badToken) {
	now, h, c := time.Now(), header(), i.claims()
	add := func(name string, header, claims object) {
		list = append(list, badToken{name, token(t, header, claims)})
	}
	text := func(name, header, payload string) {
		list = append(list, badToken{name, sign(t, jwt.SigningMethodRS256, rsaKey(), []byte(header), []byte(payload))})
	}
	good := string(mustJSON(t, c))
	goodHeader := string(mustJSON(t, h))

	// Audience.
	add("no aud", h, without(c, "aud"))
	add("another aud", h, with(c, "aud", "account"))
	add("a list of other auds", h, with(c, "aud", []string{"account", "strongroom2", "STRONGROOM"}))
	add("an empty list of auds", h, with(c, "aud", []string{}))
	add("a list in the list of auds", h, with(c, "aud", []any{[]string{"strongroom"}}))
	add("aud with others in one text", h, with(c, "aud", "account strongroom"))
	add("aud as an object", h, with(c, "aud", object{"strongroom": true}))
	add("aud as a number", h, with(c, "aud", 1))
	add("aud null", h, with(c, "aud", nil))
	add("aud with a number in it", h, with(c, "aud", []any{"strongroom", 1}))

	// Issuer.
	add("iss with a slash at the end", h, with(c, "iss", i.URL+"/"))
	add("iss of another realm", h, with(c, "iss", i.URL+"/realms/other"))
	add("iss in a list", h, with(c, "iss", []string{i.URL}))
	add("no iss", h, without(c, "iss"))
	add("iss null", h, with(c, "iss", nil))
	add("iss with a space", h, with(c, "iss", i.URL+" "))
	text("iss twice", goodHeader, `{"iss":"`+i.URL+`",`+good[1:])
	text("iss twice, first another", goodHeader, `{"iss":"https://evil.example",`+good[1:])
	text("iss twice, last another", goodHeader, good[:len(good)-1]+`,"iss":"https://evil.example"}`)

	// Times.
	add("no exp", h, without(c, "exp"))
	add("exp null", h, with(c, "exp", nil))
	add("expired", h, with(c, "exp", now.Add(-time.Minute).Unix()))
	add("expired an age ago", h, with(c, "exp", 0))
	add("exp below zero", h, with(c, "exp", -1))
	add("exp as text", h, with(c, "exp", strconv.FormatInt(now.Add(time.Hour).Unix(), 10)))
	add("exp true", h, with(c, "exp", true))
	add("exp in a list", h, with(c, "exp", []int64{now.Add(time.Hour).Unix()}))
	add("exp in milliseconds", h, with(c, "exp", now.Add(time.Hour).UnixMilli()))
	add("exp larger than there are years", h, with(c, "exp", math.MaxFloat64))
	text("exp larger than a number", goodHeader, strings.Replace(good, `"exp":`, `"exp":1e999,"x":`, 1))
	text("exp twice", goodHeader, `{"exp":1,`+good[1:])
	text("exp again in other letters, the first expired", goodHeader, string(mustJSON(t, with(with(c, "exp", 1), "EXP", 4e9))))
	add("nbf in the future", h, with(c, "nbf", now.Add(time.Minute).Unix()))
	add("nbf as text", h, with(c, "nbf", "0"))
	add("iat in the future", h, with(c, "iat", now.Add(time.Minute).Unix()))
	add("iat as text", h, with(c, "iat", "now"))

	// Type of token.
	add("an ID token", h, with(c, "typ", "ID"))
	add("a refresh token", h, with(c, "typ", "Refresh"))
	add("an offline token", h, with(c, "typ", "Offline"))
	add("a logout token", h, with(c, "typ", "Logout"))
	add("a DPoP proof", with(h, "typ", "dpop+jwt"), c)
	add("bound to a key", h, with(c, "cnf", object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}))
	add("no typ", h, without(c, "typ"))
	add("typ in other letters", h, with(c, "typ", "bearer"))
	add("typ in a list", h, with(c, "typ", []string{"Bearer"}))
	add("an ID token that says it is RFC 9068's", with(h, "typ", "at+jwt"), with(c, "typ", "ID"))
	add("no typ in the header", without(h, "typ"), c)
	add("a logout token by its header", with(h, "typ", "logout+jwt"), c)
	add("an ID token of OpenID Connect Core", h, with(without(c, "typ", "azp"), "nonce", "n-0S6_WzA2Mj"))

	// Subject.
	add("no sub", h, without(c, "sub"))
	add("sub empty", h, with(c, "sub", ""))
	add("sub as a number", h, with(c, "sub", 7))
	add("sub with a line break", h, with(c, "sub", "alice\nsubject=root"))
	add("sub too long", h, with(c, "sub", strings.Repeat("s", 256)))

	// The header.
	add("no kid", without(h, "kid"), c)
	add("kid empty", with(h, "kid", ""), c)
	add("kid null", with(h, "kid", nil), c)
	add("kid as a number", with(h, "kid", 1), c)
	add("kid that nobody has", with(h, "kid", "k9"), c)
	add("kid as a path", with(h, "kid", "../../../../dev/null"), c)
	add("kid as SQL", with(h, "kid", "k1' OR '1'='1"), c)
	add("kid as a URL", with(h, "kid", i.URL+"/jwks#k1"), c)
	add("kid with a NUL", with(h, "kid", "k1\x00"), c)
	add("kid in other letters", with(h, "kid", "K1"), c)
	add("kid of the key for encryption", with(h, "kid", "e1"), c)
	add("kid very long", with(h, "kid", strings.Repeat("k", 4000)), c)
	add("jku", with(h, "jku", "https://evil.example/jwks"), c)
	add("jku of the issuer itself", with(h, "jku", i.URL+"/jwks"), c)
	add("jwk", with(h, "jwk", jwk(t, "k1", rsaKey().Public())), c)
	add("x5u", with(h, "x5u", "https://evil.example/cert"), c)
	add("x5c", with(h, "x5c", []string{"MIIB"}), c)
	add("crit", with(h, "crit", []string{"exp"}), c)
	add("crit empty", with(h, "crit", []string{}), c)
	add("b64", with(with(h, "b64", false), "crit", []string{"b64"}), c)
	add("zip", with(h, "zip", "DEF"), c)
	add("enc", with(h, "enc", "A256GCM"), c)
	add("nested", with(h, "cty", "JWT"), c)
	add("alg in other letters", with(h, "alg", "rs256"), c)
	add("alg of another hash", with(h, "alg", "RS512"), c)
	add("alg of another padding", with(h, "alg", "PS256"), c)
	add("alg in a list", with(h, "alg", []string{"RS256"}), c)
	add("no alg", without(h, "alg"), c)
	text("alg twice", `{"alg":"none",`+goodHeader[1:], good)
	text("kid twice", `{"kid":"k9",`+goodHeader[1:], good)
	text("a header that is a list", `[]`, good)
	text("a header that is no JSON", `{"alg":RS256}`, good)
	text("a header and more", goodHeader+`{}`, good)
	text("an empty header", ``, good)

	// The payload as a whole.
	text("a payload that is a list", goodHeader, `[`+good+`]`)
	text("a payload that is text", goodHeader, string(mustJSON(t, good)))
	text("a payload and more", goodHeader, good+`{}`)
	text("a payload that breaks off", goodHeader, good[:len(good)-1])
	text("no payload", goodHeader, ``)
	text("roles twice", goodHeader, `{"realm_access":{"roles":["admin"]},`+good[1:])
	text("roles twice, inside", goodHeader, strings.Replace(good, `"realm_access":{`, `"realm_access":{"roles":[],`, 1))
	text("not UTF-8", goodHeader, strings.Replace(good, "portal", "port\xff", 1))
	text("half a surrogate", goodHeader, strings.Replace(good, "portal", `\ud800`, 1))
	text("nested deep", goodHeader, strings.Replace(good, `{`, `{"x":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+`,`, 1))
	text("many names, one of them twice", goodHeader, strings.Replace(good, `{`, `{`+manyNames(50), 1))
	add("too large", h, with(c, "x", strings.Repeat("x", 8<<10)))
	return list
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"` + strconv.Itoa(i) + `":0,`)
	}
	return b.String() + `"0":1,`
}

// forged returns bad tokens without a valid signature of the issuer.
func forged(t *testing.T, i *issuer) (list []badToken) {
	add := func(name, token string) { list = append(list, badToken{name, token}) }
	h, c, good := header(), mustJSON(t, i.claims()), i.good(t)
	part := strings.Split(good, ".")
	last := len(good) - 1
	stranger, curve := newRSAKey(), mustECDSA(t, elliptic.P256())

	none := func(alg string) string { return b64(mustJSON(t, with(h, "alg", alg))) + "." + part[1] + "." }
	add("alg none", none("none"))
	add("alg None", none("None"))
	add("alg nOnE and a signature", none("nOnE")+part[2])
	add("alg empty", none(""))
	add("no signature", part[0]+"."+part[1]+".")
	for name, secret := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustPKIX(t, rsaKey().Public())}),
		"DER": mustPKIX(t, rsaKey().Public()), "the modulus": rsaKey().N.Bytes(), "nothing": nil,
	} {
		signed := b64(mustJSON(t, with(h, "alg", "HS256"))) + "." + part[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		add("HS256 with the public key as "+name, signed+"."+b64(mac.Sum(nil)))
	}
	add("another realm's key under our kid", sign(t, jwt.SigningMethodRS256, stranger, mustJSON(t, h), c))
	add("another realm's key under its kid", sign(t, jwt.SigningMethodRS256, stranger, mustJSON(t, with(h, "kid", "other")), c))
	add("a key that it brings along", sign(t, jwt.SigningMethodRS256, stranger, mustJSON(t, with(h, "jwk", jwk(t, "k1", stranger.Public()))), c))
	add("ES256 of nobody's key", sign(t, jwt.SigningMethodES256, curve, mustJSON(t, with(h, "alg", "ES256")), c))
	add("RS256 with the key for encryption's id", sign(t, jwt.SigningMethodRS256, stranger, mustJSON(t, with(h, "kid", "e1")), c))
	add("a signature over something else", part[0]+"."+part[1]+"."+strings.Split(token(t, h, with(i.claims(), "jti", "x")), ".")[2])
	add("a signature of zeros", part[0]+"."+part[1]+"."+b64(make([]byte, 256)))
	add("a signature of the modulus", part[0]+"."+part[1]+"."+b64(rsaKey().N.Bytes()))
	add("half a signature", part[0]+"."+part[1]+"."+part[2][:len(part[2])/2])
	add("the payload changed", part[0]+"."+b64(bytes.Replace(c, []byte("portal"), []byte("portaL"), 1))+"."+part[2])

	add("the last character changed", good[:last]+other(good[last]))
	add("the last bits changed", good[:last]+sameBits(good[last]))
	add("a character more", good+"A")
	add("a character less", good[:last])
	add("padded", good+"==")
	add("the payload padded", part[0]+"."+part[1]+"="+"."+part[2])
	add("in the other base64", strings.NewReplacer("-", "+", "_", "/").Replace(good)+"+")
	add("a line break in it", part[0]+"."+part[1]+"\n."+part[2])
	add("a space in it", part[0]+". "+part[1]+"."+part[2])
	add("a space before it", " "+good)
	add("a tab behind it", good+"\t")
	add("quoted", `"`+good+`"`)
	add("twice", good+","+good)
	add("a dot more", good+".")
	add("a dot before", "."+good)
	add("a JWE", part[0]+"."+part[1]+"."+part[2]+"."+part[1]+"."+part[2])
	add("JSON instead of base64", `{"alg":"RS256"}.`+part[1]+"."+part[2])
	add("the JSON serialization", `{"payload":"`+part[1]+`","protected":"`+part[0]+`","signature":"`+part[2]+`"}`)
	add("two dots", "..")
	add("nothing", "")
	add("dots only", strings.Repeat(".", 8000))
	add("a million dots", strings.Repeat(".", 1<<20))
	add("parts in another order", part[1]+"."+part[0]+"."+part[2])
	add("the header for a payload", part[0]+"."+part[0]+"."+part[2])
	add("huge", good+strings.Repeat("A", 1<<20))
	add("as large as can be, of nested lists", part[0]+"."+b64(append([]byte(`{"iss":"`+i.URL+`","x":`), bytes.Repeat([]byte("["), 4000)...))+"."+part[2])
	add("as large as can be, of names", part[0]+"."+b64([]byte(`{"iss":"`+i.URL+`",`+manyNames(500)+`"x":0}`))+"."+part[2])
	add("as large as can be", fill(part[0]+"."+part[1]+".", 8<<10))
	add("as large as can be, of payload", part[0]+"."+b64([]byte(`{"iss":"`+i.URL+`","x":"`+strings.Repeat("x", 5400)+`"}`))+"."+part[2])
	return list
}

func fill(text string, size int) string { return text + strings.Repeat("A", size-len(text)) }

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func other(c byte) string { return string(alphabet[(strings.IndexByte(alphabet, c)+32)%64]) }

// sameBits returns another last character that a lenient decoder accepts for the same
// bytes: four bits of the last character of 256 bytes are unused.
func sameBits(c byte) string { return string(alphabet[strings.IndexByte(alphabet, c)^1]) }

func mustPKIX(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func refused(err error) bool {
	return errors.Is(err, auth.ErrBadCredential) || errors.Is(err, auth.ErrNoCredential)
}

// allocated returns the number of bytes that the call allocates.
func allocated(call func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	call()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// costOf returns the cost of a call, without that of concurrent goroutines.
func costOf(call func()) uint64 {
	cost := allocated(call)
	for range 3 {
		if cost <= mostBytes {
			break
		}
		cost = min(cost, allocated(call))
	}
	return cost
}

// In a synctest bubble time stands still while a goroutine runs, so no background fetch
// adds to the counts.
func inABubble(t *testing.T, i *issuer, test func(t *testing.T, s *oidc.Strategy)) {
	synctest.Test(t, func(t *testing.T) {
		s := i.newStrategy(t, i.rules())
		mustLetIn(t, s, "good", i.good(t))
		if _, err := s.Authenticate(request(token(t, with(header(), "kid", "unknown"), i.claims()))); !refused(err) {
			t.Fatal(err) // this also fetched the key
		}
		test(t, s)
	})
}

func TestBadTokens(t *testing.T) {
	i := newIssuer(t)
	inABubble(t, i, func(t *testing.T, s *oidc.Strategy) {
		list := append(signed(t, i), forged(t, i)...)
		var most uint64
		for _, tc := range list {
			r := request(tc.token)
			for range 3 {
				if caller, err := s.Authenticate(r); !refused(err) || caller.Subject != "" {
					t.Errorf("%s: %q, %v", tc.name, caller.Subject, err)
				}
			}
			cost := costOf(func() { _, _ = s.Authenticate(r) })
			if most = max(most, cost); cost > mostBytes {
				t.Errorf("%s: took %d bytes", tc.name, cost)
			}
		}
		t.Logf("%d bad tokens, at most %d bytes each", len(list), most)
		mustLetIn(t, s, "the good one, after all", i.good(t))
	})
}

// STRONGROOM_MUTATIONS sets a larger number of mutations.
func TestMutationsOfAGoodToken(t *testing.T) {
	count := 20_000
	if n, err := strconv.Atoi(os.Getenv("STRONGROOM_MUTATIONS")); err == nil {
		count = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d mutations, seed %d", count, seed)
	rng := mathrand.New(mathrand.NewPCG(seed, 0))
	i := newIssuer(t)
	good := i.good(t)
	inABubble(t, i, func(t *testing.T, s *oidc.Strategy) {
		var most uint64
		for range count {
			bad := mutate(rng, good)
			if bad == good {
				continue
			}
			r := request(bad)
			var err error
			cost := costOf(func() { _, err = s.Authenticate(r) })
			if most = max(most, cost); cost > mostBytes {
				t.Fatalf("took %d bytes: %s", cost, bad)
			}
			if !refused(err) {
				t.Fatalf("accepted, %v: %s", err, bad)
			}
		}
		t.Logf("at most %d bytes each", most)
	})
}

// mutate changes the token, or the JSON in one of its parts.
func mutate(rng *mathrand.Rand, token string) string {
	part := strings.Split(token, ".")
	n := rng.IntN(6)
	if n >= len(part) {
		return string(scramble(rng, []byte(token), alphabet+".=+/ "))
	}
	if rng.IntN(2) == 0 {
		part[n] = string(scramble(rng, []byte(part[n]), alphabet))
		return strings.Join(part, ".")
	}
	text, err := base64.RawURLEncoding.DecodeString(part[n])
	if err != nil {
		panic(err) // the token is valid
	}
	part[n] = b64(scramble(rng, text, `{}[]":,0123456789abcdefghijklmnopqrstuvwxyz\`+"\x00\xff"))
	return strings.Join(part, ".")
}

// scramble damages a text at random places.
func scramble(rng *mathrand.Rand, text []byte, letters string) []byte {
	text = bytes.Clone(text)
	for range 1 + rng.IntN(3) {
		at := rng.IntN(len(text))
		to := min(len(text), at+1+rng.IntN(8))
		switch rng.IntN(6) {
		case 0:
			text[at] = letters[rng.IntN(len(letters))]
		case 1:
			text[at] ^= 1 << rng.IntN(8)
		case 2:
			text = slices.Insert(text, at, letters[rng.IntN(len(letters))])
		case 3:
			text = slices.Delete(text, at, to)
		case 4:
			text = slices.Insert(text, at, text[at:to]...)
		case 5:
			text[at], text[to-1] = text[to-1], text[at]
		}
		if len(text) == 0 {
			text = []byte("A")
		}
	}
	return text
}

// Otherwise a token of the table could be refused for an unintended reason.
func TestTheGoodTokenOfTheTableIsGood(t *testing.T) {
	i := newIssuer(t)
	var claims object
	if err := json.Unmarshal(mustJSON(t, i.claims()), &claims); err != nil {
		t.Fatal(err)
	}
	mustLetIn(t, i.newStrategy(t, i.rules()), "as it is", token(t, header(), claims))
}
