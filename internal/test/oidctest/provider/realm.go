package main

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
)

// A realm issues tokens to the users and services of people.go, at Keycloak's
// paths.
type realm struct {
	issuer  string
	keys    *keyring
	store   *clientStore
	oauth   fosite.OAuth2Provider
	devices devices
}

// path is the path of the realm.
const path = "/realms/test"

func newRealm(address string) (*realm, error) {
	issuer := "http://" + address + path
	keys, err := newKeyring()
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	cfg := &fosite.Config{
		GlobalSecret: secret, AccessTokenIssuer: issuer, IDTokenIssuer: issuer, AccessTokenLifespan: 5 * time.Minute,
		EnforcePKCEForPublicClients: true, JWTScopeClaimKey: jwt.JWTScopeFieldString,
	}
	store := &clientStore{MemoryStore: storage.NewMemoryStore()}
	if store.Clients, err = clients(); err != nil {
		return nil, err
	}
	strategy := &compose.CommonStrategy{
		CoreStrategy:               compose.NewOAuth2JWTStrategy(keys.signer, compose.NewOAuth2HMACStrategy(cfg), cfg),
		OpenIDConnectTokenStrategy: compose.NewOpenIDConnectStrategy(keys.signer, cfg),
		Signer:                     &jwt.DefaultSigner{GetPrivateKey: keys.signer},
	}
	oauth := compose.Compose(cfg, store, strategy,
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2PKCEFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2TokenRevocationFactory, compose.OpenIDConnectExplicitFactory, compose.OpenIDConnectRefreshFactory)
	return &realm{issuer: issuer, keys: keys, store: store, oauth: oauth}, nil
}

func (r *realm) handler() http.Handler {
	const protocol = "/protocol/openid-connect"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path+protocol+"/auth", r.authorize)
	mux.HandleFunc("POST "+path+protocol+"/token", r.token)
	mux.HandleFunc("GET "+path+protocol+"/certs", func(w http.ResponseWriter, _ *http.Request) { answer(w, r.keys.published()) })
	mux.HandleFunc("GET "+path+"/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": r.issuer, "jwks_uri": r.issuer + protocol + "/certs",
			"authorization_endpoint": r.issuer + protocol + "/auth", "token_endpoint": r.issuer + protocol + "/token",
			"device_authorization_endpoint": r.issuer + protocol + "/auth/device", "revocation_endpoint": r.issuer + protocol + "/revoke",
			"scopes_supported":         []string{"openid", "offline_access", "profile"},
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
		})
	})
	mux.HandleFunc("POST "+path+protocol+"/revoke", r.revoke)
	mux.HandleFunc("POST "+path+protocol+"/auth/device", r.startDevice)
	mux.HandleFunc("GET "+path+"/device", r.approveDevice)
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, _ *http.Request) {
		if err := r.keys.rotate(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /register", func(w http.ResponseWriter, req *http.Request) {
		lifespan, err := time.ParseDuration(cmp.Or(req.FormValue("lifespan"), "5m"))
		if err = errors.Join(err, r.store.register(req.FormValue("id"), req.FormValue("redirect"), req.FormValue("secret"), lifespan)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /roles", func(_ http.ResponseWriter, req *http.Request) { users.set(req.FormValue("user"), req.Form["role"]) })
	mux.HandleFunc("POST /retire", func(http.ResponseWriter, *http.Request) { r.keys.retire() })
	return mux
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has disconnected
}

// form asks who signs in. A click on it makes the browser come back from this site, as
// after a real sign-in.
var form = template.Must(template.New("form").Parse(`<!doctype html><title>Provider</title><h1>Who are you?</h1>
<form>{{range $name, $values := .}}{{range $values}}<input type="hidden" name="{{$name}}" value="{{.}}">{{end}}{{end}}
<button name="login" value="alice">alice</button> <button name="login" value="bob">bob</button> <button name="login" value="nobody">nobody</button></form>`))

// authorize logs in the user that the parameter login names, in place of a form
// with a password.
func (r *realm) authorize(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	request, err := r.oauth.NewAuthorizeRequest(ctx, req)
	if err != nil {
		r.oauth.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	user := req.URL.Query().Get("login")
	if user == "" {
		w.Header().Set("Content-Type", "text/html")
		_ = form.Execute(w, req.URL.Query()) // fails only if the client has disconnected
		return
	}
	roles, known := users.of(user)
	if !known {
		r.oauth.WriteAuthorizeError(ctx, w, request, fosite.ErrAccessDenied)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	client := request.GetClient()
	for _, a := range client.GetAudience() {
		request.GrantAudience(a)
	}
	s := newSession()
	s.of(user, client.GetID(), roles)
	response, err := r.oauth.NewAuthorizeResponse(ctx, request, s)
	if err != nil {
		r.oauth.WriteAuthorizeError(ctx, w, request, err)
		return
	}
	r.oauth.WriteAuthorizeResponse(ctx, w, request, response)
}

// token exchanges a code, a refresh token or a service's credentials.
func (r *realm) token(w http.ResponseWriter, req *http.Request) {
	if req.PostFormValue("grant_type") == deviceGrant {
		r.deviceToken(w, req)
		return
	}
	r.keys.mu.RLock() // the header must name the key that signs
	defer r.keys.mu.RUnlock()
	ctx := req.Context()
	request, err := r.oauth.NewAccessRequest(ctx, req, newSession())
	if err != nil {
		r.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	s := request.GetSession().(*session)
	s.signedWith(r.keys.activeLocked().KeyID)
	client := request.GetClient()
	if request.GetGrantTypes().ExactOne("refresh_token") { // with the roles that the user has now, as Keycloak
		roles, known := users.of(s.JWT.Username)
		if !known {
			r.oauth.WriteAccessError(ctx, w, request, fosite.ErrInvalidGrant)
			return
		}
		s.of(s.JWT.Username, client.GetID(), roles)
	}
	if service, ok := services[client.GetID()]; ok {
		s.of("service-account-"+client.GetID(), client.GetID(), service.roles)
		for _, a := range client.GetAudience() {
			request.GrantAudience(a)
		}
	}
	response, err := r.oauth.NewAccessResponse(ctx, request)
	if err != nil {
		r.oauth.WriteAccessError(ctx, w, request, err)
		return
	}
	r.oauth.WriteAccessResponse(ctx, w, request, response)
}

// revoke ends a token (RFC 7009).
func (r *realm) revoke(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	r.oauth.WriteRevocationResponse(ctx, w, r.oauth.NewRevocationRequest(ctx, req))
}
