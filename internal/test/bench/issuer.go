package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// An issuer publishes one key on loopback and holds one token signed with it.
type issuer struct {
	listener net.Listener
	url      string
	token    string
}

type object = map[string]any

// newIssuer returns an issuer whose token has the claims and length of Keycloak's
// and is valid for a day.
func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening as the issuer: %w", err)
	}
	i := &issuer{listener: listener, url: "http://" + listener.Addr().String() + "/realms/bench"}
	published := object{"keys": []object{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": encode(key.N.Bytes()), "e": "AQAB",
	}}}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(published) // fails only if the server has ended, which reports it itself
	})}
	go func() { _ = server.Serve(listener) }() // until it is closed
	i.token, err = i.sign(key)
	return i, err
}

func (i *issuer) sign(key *rsa.PrivateKey) (string, error) {
	now := time.Now()
	header, err := json.Marshal(object{"alg": "RS256", "typ": "JWT", "kid": "bench"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(object{
		"exp": now.Add(24 * time.Hour).Unix(), "iat": now.Unix(), "auth_time": now.Unix(),
		"jti": rand.Text(), "iss": i.url, "aud": []string{"account", "strongroom"}, "sub": rand.Text(), "typ": "Bearer", "azp": "portal",
		"sid": rand.Text(), "acr": "1", "allowed-origins": []string{"https://portal.example"},
		"realm_access":    object{"roles": []string{"default-roles-bench", "offline_access", "uma_authorization", "nx1_app_manager"}},
		"resource_access": object{"account": object{"roles": []string{"manage-account", "manage-account-links", "view-profile"}}},
		"scope":           "openid email profile", "email_verified": true, "name": "Service User", "preferred_username": "service-user",
		"given_name": "Service", "family_name": "User", "email": "service-user@example.com",
	})
	if err != nil {
		return "", err
	}
	signed := encode(header) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	return signed + "." + encode(signature), err
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// takeTokens makes the server accept the issuer's tokens besides its API keys,
// with the same rights.
func (in *installation) takeTokens(i *issuer) error {
	path := filepath.Join(in.dir, "strongroom.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	strategy := fmt.Sprintf(`
auth:
  sso:
    oidc:
      issuer: %s
      jwks_url: %s/certs
      audience: strongroom
      roles: {nx1_app_manager: [{actions: [list, create, write, delete, reveal, admin], owner: app/*}]}
`, i.url, i.url)
	edited := strings.NewReplacer("\nauth:\n", strategy, "auth: [psk]", "auth: [sso, psk]").Replace(string(text))
	if !strings.Contains(edited, strategy) || !strings.Contains(edited, "auth: [sso, psk]") {
		return fmt.Errorf("the config from init has no auth section to add an issuer to")
	}
	return os.WriteFile(path, []byte(edited), 0o600)
}
