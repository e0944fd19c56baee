package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/strongroom/strongroom/internal/api/nx1"
	"github.com/strongroom/strongroom/internal/api/openhands/agentserver"
	"github.com/strongroom/strongroom/internal/api/openhands/sandbox"
	"github.com/strongroom/strongroom/internal/api/openhands/v0"
	"github.com/strongroom/strongroom/internal/api/openhands/v1"
	"github.com/strongroom/strongroom/internal/api/strongroom"
	"github.com/strongroom/strongroom/internal/api/vault"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/auth/peer"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// header carries the tests' API key, in every API.
const header, key = "X-Test-Key", "k"

type uncounted struct{}

func (uncounted) Failed(string) {}

func chain(t *testing.T) auth.Chain {
	t.Helper()
	keys, err := apikey.ParseKeys("keys.yaml", []byte("keys: [{id: k, sha256: "+apikey.HashOf(key).String()+", subject: s}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return auth.Chain{Strategies: []auth.Strategy{apikey.New(header, "", keys)}, Places: []auth.Place{{Header: header}}, Failures: uncounted{}}
}

// A routed handler is an echo, or one with a handler in front.
type routed interface {
	http.Handler
	Routes() []*echo.Route
}

// apis returns all APIs by their packages, without a service of secrets: a handler that
// calls it panics.
func apis(t *testing.T) map[string]routed { return apisOf(t, nil, chain(t)) }

func apisOf(t *testing.T, secrets *secret.Service, c auth.Chain) map[string]routed {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	all := map[string]routed{}
	add := func(name string, h http.Handler, err error) {
		if err != nil {
			t.Fatal(err)
		}
		all[name] = h.(routed)
	}
	h, err := nx1.New(secrets, nx1.Options{}, c, log)
	add("nx1", h, err)
	h, err = v0.New(secrets, v0.Options{}, c, log)
	add("openhands", h, err)
	h, err = agentserver.New(secrets, agentserver.Options{}, c, log)
	add("agentserver", h, err)
	h, err = v1.New(secrets, "", c, log)
	add("openhandsv1", h, err)
	h, err = sandbox.New(secrets, nil, c, log)
	add("sandbox", h, err)
	h, err = vault.New(vault.Options{Mount: "n", Secrets: map[string]*secret.Service{"user": secrets}}, c, log)
	add("vault", h, err)
	h, err = strongroom.New(nil, strongroom.Program{}, auth.Chain{Without: peer.Strategy{}, Failures: uncounted{}}, log)
	add("strongroom", h, err)
	return all
}

func TestTheListHasAllAPIs(t *testing.T) {
	all := apis(t)
	packages := map[string]string{".": "nx1 strongroom openhands vault", "openhands": "agentserver sandbox v0 v1 custom"}
	for dir, known := range packages {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() && !slices.Contains(strings.Fields(known), e.Name()) {
				t.Errorf("there is an API %s in %s, which this test does not know", e.Name(), dir)
			}
		}
	}
	if len(all) != 7 {
		t.Errorf("apis returns %d APIs, want 7", len(all))
	}
}

var methods = []string{"GET", "LIST", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"}

// The routes come from the router itself. The paths that need no credential belong to
// the front, which the last test checks.
func TestEveryRouteNeedsACredential(t *testing.T) {
	for name, api := range apis(t) {
		want := http.StatusUnauthorized
		switch name {
		case "strongroom":
			want = http.StatusForbidden // its socket checks the connecting user instead of a credential
		case "vault":
			want = http.StatusForbidden // as Vault
		}
		routes := api.Routes()
		if len(routes) == 0 {
			t.Errorf("%s has no routes", name)
		}
		for _, route := range routes {
			for _, method := range append(methods, route.Method) {
				for _, body := range []string{"", `{"name":"n","value":"v","secret_name":"n","data":[]}`} {
					if got := call(api, method, path(route.Path), body, ""); got != want {
						t.Errorf("%s: %s %s: %d, want %d", name, method, route.Path, got, want)
					}
				}
			}
		}
	}
}

// A control of the test above: with a credential the same routes reach the service.
func TestEveryRouteWorksWithACredential(t *testing.T) {
	for name, api := range apis(t) {
		reached := 0
		for _, route := range api.Routes() {
			body := ""
			if route.Method != http.MethodGet && route.Method != http.MethodDelete {
				body = `{"name":"n","value":"v","secret_name":"n","data":[{"key":"K","value":"v"}]}`
			}
			switch got := call(api, route.Method, path(route.Path), body, key); {
			case got == http.StatusUnauthorized:
				t.Errorf("%s: %s %s: 401 with the key", name, route.Method, route.Path)
			case got == http.StatusInternalServerError: // the panic
				reached++
			}
		}
		if reached == 0 && name != "strongroom" && name != "sandbox" { // this key has no rights there
			t.Errorf("%s: no request reached the secrets", name)
		}
	}
}

// A revocable is a credential that another node has revoked. This process learns it when it
// asks the database, or when it appends an audit entry.
type revocable struct{ revoked, known bool }

func (r *revocable) learn() { r.known = r.revoked }

func (r *revocable) Authenticate(req *http.Request) (secret.Caller, error) {
	if r.known || req.Header.Get(header) == "" {
		return secret.Caller{}, auth.ErrBadCredential
	}
	all := append(secret.Actions(), secret.Admin)
	return secret.Caller{Subject: "s", User: "n", Sandbox: "n", Credential: r, Grants: []secret.Grant{
		{Actions: all, Owner: secret.Owner{Kind: secret.KindUser, ID: secret.AnyID}}, {Actions: all, Owner: secret.Owner{Kind: secret.KindApp, ID: secret.AnyID}},
	}}, nil
}

func (r *revocable) Check() error {
	if r.known {
		return secret.ErrForbidden
	}
	return nil
}

func (r *revocable) Spend(secret.Tx) error { return r.Check() }

func (r *revocable) Note(secret.Event) error { return nil }

func (r *revocable) Record(_ context.Context, _ secret.Event, steps ...func(secret.Tx) error) error {
	r.learn()
	for _, step := range steps {
		if err := step(nil); err != nil {
			return err
		}
	}
	return nil
}

// Also an answer without a secret tells whether a credential works, such as the refusal of a
// body that is not valid.
func TestNoRouteAnswersACredentialThatAnotherNodeHasRevoked(t *testing.T) {
	const valid = `{"name":"N","value":"v","secret_name":"n","expected_version":"1","data":[{"key":"K","value":"v"}]}`
	store := memory.New()
	for _, name := range []string{"n", "N"} {
		ref := secret.Ref{Owner: secret.User("n"), Name: name}
		if _, err := store.Create(t.Context(), secret.Op{Ref: ref}, secret.Draft{Data: map[string]secret.Value{"value": "v"}}); err != nil {
			t.Fatal(err)
		}
	}
	var r revocable
	c := auth.Chain{
		Strategies: []auth.Strategy{&r}, Places: []auth.Place{{Header: header}}, Failures: uncounted{},
		Fresh: func(*http.Request) error { r.learn(); return nil }, FreshByOperation: true,
	}
	for name, api := range apisOf(t, secret.NewService(store, &r), c) {
		if name == "strongroom" { // asks the database before each request
			continue
		}
		rejected := map[string]int{"vault": http.StatusForbidden}[name]
		if rejected == 0 {
			rejected = http.StatusUnauthorized
		}
		for _, route := range api.Routes() {
			for _, method := range append(methods, route.Method) {
				for _, query := range []string{"", "?list=true", "?limit=x"} {
					for _, body := range []string{"", "{}", valid} {
						for _, r.revoked = range []bool{true, false} {
							r.known = false
							got := call(api, method, path(route.Path)+query, body, key)
							if (got == rejected) != r.revoked {
								t.Errorf("%s: %s %s%s %s, revoked: %v: %d", name, method, route.Path, query, body, r.revoked, got)
							}
						}
					}
				}
			}
		}
	}
}

// Only health, readiness and the documents need no credential. All other paths, also
// unknown ones, need one.
func TestTheFrontRefusesRequestsWithoutACredential(t *testing.T) {
	front := server.NewFront(func(context.Context) error { return nil }, slog.New(slog.DiscardHandler))
	all := apis(t)
	front.Publish("/openapi/nx1.json", []byte("{}"))
	front.Mount("/api/app", all["nx1"])
	front.Mount("/api/secrets", all["openhands"])
	for _, open := range []string{"/healthz", "/readyz", "/openapi/nx1.json"} {
		if got := call(front, "GET", open, "", ""); got != http.StatusOK {
			t.Errorf("%s: %d", open, got)
		}
	}
	paths := []string{"/", "/metrics", "/openapi/openhands.json", "/healthz/", "/.well-known/x", "/api"}
	for _, name := range []string{"nx1", "openhands"} {
		for _, route := range all[name].Routes() {
			paths = append(paths, path(route.Path))
		}
	}
	for _, path := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		for _, method := range methods {
			if got := call(front, method, path, "", ""); got != http.StatusUnauthorized {
				t.Errorf("%s %s: %d", method, path, got)
			}
		}
	}
}

// path fills a route's parameters.
func path(route string) string {
	parts := strings.Split(route, "/")
	for i, part := range parts {
		switch {
		case part == ":app_id":
			parts[i] = "0f8fad5b-d9cb-469f-a165-70867728950e"
		case part == ":kind":
			parts[i] = "user"
		case strings.HasPrefix(part, ":"):
			parts[i] = "n"
		}
	}
	return strings.Join(parts, "/")
}

func call(h http.Handler, method, path, body, credential string) (status int) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if credential != "" {
		r.Header.Set(header, credential)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
