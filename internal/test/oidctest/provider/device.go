package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// deviceGrant is the grant type of RFC 8628, which this version of fosite does not have.
// The realm exchanges a code that it has given to itself, so that the tokens are fosite's.
const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// devices are the sign-ins by device code. It is safe for concurrent use.
type devices struct {
	mu   sync.Mutex // guards the field below
	open map[string]*device
}

type device struct {
	client, scope, userCode string
	user                    string // the user that agreed; empty: not yet, "-": refused
}

// startDevice answers a device authorization request.
func (r *realm) startDevice(w http.ResponseWriter, req *http.Request) {
	d, code := &device{req.PostFormValue("client_id"), req.PostFormValue("scope"), rand.Text()[:8], ""}, rand.Text()
	r.devices.mu.Lock()
	defer r.devices.mu.Unlock()
	if r.devices.open == nil {
		r.devices.open = map[string]*device{}
	}
	r.devices.open[code] = d
	answer(w, map[string]any{
		"device_code": code, "user_code": d.userCode, "verification_uri": r.issuer + "/device",
		"verification_uri_complete": r.issuer + "/device?user_code=" + d.userCode, "expires_in": 60, "interval": 1,
	})
}

// approveDevice is the page on which the user that the parameter login names agrees.
func (r *realm) approveDevice(w http.ResponseWriter, req *http.Request) {
	r.devices.mu.Lock()
	defer r.devices.mu.Unlock()
	for _, d := range r.devices.open {
		if d.userCode == req.URL.Query().Get("user_code") {
			d.user = req.URL.Query().Get("login")
			return
		}
	}
	http.NotFound(w, req)
}

func (r *realm) deviceToken(w http.ResponseWriter, req *http.Request) {
	r.devices.mu.Lock()
	d := r.devices.open[req.PostFormValue("device_code")]
	problem := ""
	switch {
	case d == nil || d.client != req.PostFormValue("client_id"):
		problem = "expired_token"
	case d.user == "":
		problem = "authorization_pending"
	case d.user == "-":
		problem = "access_denied"
	default:
		delete(r.devices.open, req.PostFormValue("device_code"))
	}
	r.devices.mu.Unlock()
	if problem != "" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"` + problem + `"}`))
		return
	}
	r.exchange(w, d)
}

// exchange logs the device's user in like a browser, and answers with the tokens for the code.
func (r *realm) exchange(w http.ResponseWriter, d *device) {
	const back = "http://127.0.0.1/callback"
	verifier := rand.Text() + rand.Text()
	hash := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {d.client}, "scope": {d.scope}, "redirect_uri": {back}, "response_type": {"code"}, "state": {rand.Text()}, "login": {d.user},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(hash[:])}, "code_challenge_method": {"S256"},
	}
	agreed := httptest.NewRecorder()
	r.authorize(agreed, httptest.NewRequest(http.MethodGet, "/auth?"+query.Encode(), http.NoBody))
	location, err := url.Parse(agreed.Header().Get("Location"))
	if err != nil || location.Query().Get("code") == "" {
		http.Error(w, "no code", http.StatusInternalServerError)
		return
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {d.client}, "code": {location.Query().Get("code")}, "redirect_uri": {back}, "code_verifier": {verifier},
	}
	req := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.token(w, req)
}
