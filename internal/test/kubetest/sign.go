package kubetest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TokenUntil returns a token of a service account that expires at until, which
// may be in the past. The API server issues no token for less than ten minutes,
// so TokenUntil signs this one with the API server's key.
func (s *Server) TokenUntil(t testing.TB, namespace, name string, until time.Time) string {
	t.Helper()
	account := s.Must(t, http.MethodGet, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+name, nil)
	uid := account["metadata"].(Object)["uid"]
	from := until.Add(-time.Hour).Unix()
	const issuer = "https://kubernetes.default.svc"
	return s.sign(t, Object{
		"iss": issuer, "aud": []string{issuer}, "sub": "system:serviceaccount:" + namespace + ":" + name,
		"iat": from, "nbf": from, "exp": until.Unix(),
		"kubernetes.io": Object{"namespace": namespace, "serviceaccount": Object{"name": name, "uid": uid}},
	})
}

// sign returns a JWT (RFC 7515) with ES256 (RFC 7518, section 3.4).
func (s *Server) sign(t testing.TB, claims Object) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "sa.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	r, v, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
}
