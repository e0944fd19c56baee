package main

import (
	"time"

	"github.com/mohae/deepcopy"
	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/token/jwt"
)

// A session holds the claims of both tokens, access and ID.
type session struct {
	ID  *openid.DefaultSession
	JWT *oauth2.JWTSession
}

var _ fosite.Session = (*session)(nil)

// newSession returns a session without a user.
func newSession() *session {
	s := &session{openid.NewDefaultSession(), &oauth2.JWTSession{
		JWTClaims: &jwt.JWTClaims{Extra: map[string]any{}}, JWTHeader: &jwt.Headers{Extra: map[string]any{}},
	}}
	s.ID.Headers.Extra = map[string]any{}
	s.ID.Claims.Extra = map[string]any{}
	return s
}

// of sets the user and client of the session in Keycloak's claims.
func (s *session) of(user, client string, roles []string) {
	subject := "id-of-" + user
	s.JWT.Subject, s.JWT.Username, s.JWT.JWTClaims.Subject = subject, user, subject
	s.ID.Subject, s.ID.Claims.Subject, s.ID.Claims.Extra["typ"] = subject, subject, "ID"
	for name, value := range map[string]any{
		"typ": "Bearer", "azp": client, "preferred_username": user,
		"realm_access":    map[string]any{"roles": roles},
		"resource_access": map[string]any{"account": map[string]any{"roles": []string{"view-profile"}}},
	} {
		s.JWT.JWTClaims.Extra[name] = value
	}
}

// signedWith sets the key id in the headers of both tokens.
func (s *session) signedWith(kid string) {
	s.JWT.JWTHeader.Extra["kid"] = kid
	s.ID.Headers.Extra["kid"] = kid
}

func (s *session) IDTokenClaims() *jwt.IDTokenClaims    { return s.ID.IDTokenClaims() }
func (s *session) IDTokenHeaders() *jwt.Headers         { return s.ID.IDTokenHeaders() }
func (s *session) GetJWTClaims() jwt.JWTClaimsContainer { return s.JWT.GetJWTClaims() }
func (s *session) GetJWTHeader() *jwt.Headers           { return s.JWT.GetJWTHeader() }
func (s *session) SetExpiresAt(k fosite.TokenType, t time.Time) {
	s.JWT.SetExpiresAt(k, t)
	s.ID.SetExpiresAt(k, t)
}
func (s *session) GetExpiresAt(k fosite.TokenType) time.Time { return s.JWT.GetExpiresAt(k) }
func (s *session) GetUsername() string                       { return s.JWT.Username }
func (s *session) GetSubject() string                        { return s.JWT.Subject }
func (s *session) Clone() fosite.Session                     { return deepcopy.Copy(s).(fosite.Session) }
