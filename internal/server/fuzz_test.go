package server_test

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/api/nx1"
	"github.com/strongroom/strongroom/internal/api/openhands/agentserver"
	"github.com/strongroom/strongroom/internal/api/openhands/sandbox"
	"github.com/strongroom/strongroom/internal/api/openhands/v0"
	"github.com/strongroom/strongroom/internal/api/openhands/v1"
	"github.com/strongroom/strongroom/internal/api/vault"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/server"
	"github.com/strongroom/strongroom/internal/store/memory"
)

const (
	ourApp   = "0f8fad5b-d9cb-469f-a165-70867728950e"
	theirApp = "11111111-2222-4333-8444-555555555555"
	theirs   = "tHeIrS" // a part of all secrets of other owners
)

const everything = "[list, create, write, delete, reveal]"

// A fresh store is replaced for each request.
type fresh struct{ secret.Store }

// mustFill returns a store with secrets of the caller and of other owners.
func mustFill(tb testing.TB) *memory.Store {
	tb.Helper()
	store := memory.New()
	for _, owner := range []secret.Owner{secret.App(theirApp), secret.User("bob"), secret.App(ourApp), secret.User("alice")} {
		mark := "ours"
		if owner.ID == "bob" || owner.ID == theirApp {
			mark = theirs
		}
		for _, name := range []string{"db", mark} {
			draft := secret.Draft{Description: mark, Data: map[string]secret.Value{mark: secret.Value(mark), "value": "v"}}
			if _, err := store.Create(tb.Context(), secret.Op{Ref: secret.Ref{Owner: owner, Name: name}}, draft); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return store
}

// mustOpenServer returns all APIs on one store. It authenticates one caller,
// who may do everything with the caller's own secrets only.
func mustOpenServer(tb testing.TB, store secret.Store) http.Handler {
	tb.Helper()
	must := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	keys, err := apikey.ParseKeys("keys", []byte("keys:\n  - {id: k, sha256: "+apikey.HashOf("key").String()+", subject: alice, user: alice, grants: ["+
		"{actions: "+everything+", owner: user/alice}, {actions: "+everything+", owner: app/"+ourApp+"}]}\n"))
	must(err)
	service := secret.NewService(store, discarding{})
	chain := func(header string) auth.Chain {
		return auth.Chain{Strategies: []auth.Strategy{apikey.New(header, "", keys)}, Failures: discarding{}}
	}
	front := server.NewFront(func(context.Context) error { return nil }, discard)
	apps, err := nx1.New(service, nx1.Options{Masked: "reject"}, chain("Authorization-PSK"), discard)
	must(err)
	users, err := v0.New(service, v0.Options{}, chain("X-Session-API-Key"), discard)
	must(err)
	agents, err := agentserver.New(service, agentserver.Options{Suspicious: "warn"}, chain("X-Session-API-Key"), discard)
	must(err)
	boxes, err := sandbox.New(service, nil, chain("X-Session-API-Key"), discard)
	must(err)
	v1, err := v1.New(service, "warn", chain("X-Session-API-Key"), discard)
	must(err)
	kv, err := vault.New(vault.Options{Mount: "secret", Secrets: map[string]*secret.Service{"app": service, "user": service}}, chain("X-Vault-Token"), discard)
	must(err)
	front.Mount("/v1", kv)
	front.Mount("/api/app", apps)
	front.Mount("/api/settings/secrets", server.CORS([]string{"http://localhost:3001"}, agents))
	front.Mount("/api/v1/sandboxes", boxes)
	front.Mount("/api/v1/secrets", v1)
	front.Mount("/api/secrets", users)
	return front
}

// A discarding recorder drops all events.
type discarding struct{}

func (discarding) Record(context.Context, secret.Event, ...func(secret.Tx) error) error { return nil }

func (discarding) Note(secret.Event) error { return nil }
func (discarding) Failed(string)           {}

// FuzzFront sends any request that net/http accepts. No request may cause an
// internal error, or reveal or change the secrets of another owner.
func FuzzFront(f *testing.F) {
	const apps = "/api/app/" + ourApp + "/secrets"
	for _, target := range []string{
		"/", "/healthz", apps, apps + "/db", apps + "/db/reveal", apps + "/%64b", apps + "/db%2freveal", apps + "/db/../db",
		"/api/app/" + theirApp + "/secrets/db/reveal", "/api/app/" + ourApp + "%2f..%2f" + theirApp + "/secrets/db",
		"/api/app/{" + theirApp + "}/secrets/db", "/api/app/" + strings.ToUpper(theirApp) + "/secrets", "/api/app/urn:uuid:" + theirApp + "/secrets",
		"/api/secrets", "/api/secrets/db", "/api/secrets/" + theirs, "/api/secrets/%ff", "/api/secrets/a%00b", "/api/secrets/%2e%2e", "/api/secrets/..",
		"/api/secrets?x=" + theirs, "/api//secrets", "/api/secrets/",
		"/api/settings/secrets", "/api/settings/secrets/db", "/api/settings/secrets/" + theirs, "/api/settings/secrets/db/x", "/api/v1/secrets/search",
		"/api/v1/secrets/search?limit=1&page_id=a&name__contains=D", "/api/v1/secrets/search?limit=%zz&limit=", "/api/v1/secrets", "/api/v1/secrets/db",
		"/v1/secret/data/user/me/db?version=1", "/v1/secret/data/user/bob/db", "/v1/secret/data/user/%62ob/db", "/v1/secret/data/user/me/..%2f..%2fbob%2fdb",
		"/v1/secret/metadata/user/bob/?list=true", "/v1/secret/metadata/user?list=true", "/v1/secret/data/app/" + theirApp + "/db",
		"/v1/secret/data/app/" + ourApp + "/db", "/v1/sys/internal/ui/mounts/secret/%2e%2e/x", "/v1/auth/token/lookup-self",
		"/api/v1/sandboxes/box/settings/secrets/db", "/api/v1/sandboxes/%ff/settings/secrets", "http://other/api/secrets", "*", "/strongroom/v1/status", "/api/app/%zz",
	} {
		f.Add("GET", target, uint8(3), "", []byte{})
		f.Add("DELETE", target, uint8(3), "", []byte{})
		f.Add("LIST", target, uint8(3), "", []byte{})
		f.Add("PUT", target, uint8(3), `If-Match: "1"`, []byte(`{"name":"A","description":"d","data":[{"key":"k","value":"v"}]}`))
		f.Add("POST", target, uint8(3), "If-None-Match: *", []byte(`{"name":"A","value":"v","secret_name":"A","data":[{"key":"k","value":"v"}]}`))
	}
	f.Add("GET", "/api/secrets", uint8(0), "Authorization: Bearer x", []byte{})
	f.Add("POST", "/api/secrets", uint8(1), "Content-Type: text/plain", []byte(`{"name":"`+theirs+`","value":null}`))
	f.Add("OPTIONS", "/api/settings/secrets", uint8(0), "Origin: http://localhost:3001\r\nAccess-Control-Request-Method: PUT", []byte{})
	f.Add("POST", apps, uint8(2), "Content-Type: application/json", []byte(`{"secret_name":"x","data":[{"key":"k","value":"****"}]}`))
	current := &fresh{}
	h := mustOpenServer(f, current)
	f.Fuzz(func(t *testing.T, method, target string, keys uint8, header string, body []byte) {
		text := method + " " + target + " HTTP/1.1\r\nHost: server\r\n" + header + "\r\n\r\n"
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil || len(body) > 1<<20 {
			return // net/http rejects it
		}
		r.RemoteAddr = "192.0.2.1:1234"
		r.Body, r.ContentLength = http.NoBody, int64(len(body))
		if len(body) > 0 {
			r.Body = readCloser{bytes.NewReader(body)}
		}
		api := r.URL.Path
		switch {
		case keys&1 != 0 && strings.HasPrefix(api, "/api/app"):
			r.Header.Set("Authorization-PSK", "key")
		case keys&1 != 0 && strings.HasPrefix(api, "/v1/"):
			r.Header.Set("X-Vault-Token", "key")
		case keys&2 != 0:
			r.Header.Set("X-Session-API-Key", "key")
		}
		store := mustFill(t)
		current.Store = store
		before := others(t, store)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Errorf("%q: status %d: %s", text, w.Code, w.Body)
		}
		if !strings.Contains(text+string(body), theirs) && strings.Contains(w.Body.String(), theirs) {
			t.Errorf("%q: the answer has a secret of another owner: %s", text, w.Body)
		}
		if w.Code == 401 && keys&3 == 3 && strings.HasPrefix(api, "/api/secrets/") && r.Header.Get("Authorization-PSK") == "" && len(r.Header) < 2 {
			t.Errorf("%q: a valid API key is rejected: %s", text, w.Body)
		}
		if !reflect.DeepEqual(others(t, store), before) {
			t.Errorf("%q: it changed secrets of another owner", text)
		}
	})
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// others returns all secrets of other owners.
func others(tb testing.TB, store *memory.Store) (all []any) {
	tb.Helper()
	owners, err := store.Owners(tb.Context(), secret.Page{})
	if err != nil {
		tb.Fatal(err)
	}
	for _, owner := range owners {
		if owner.Owner == secret.User("alice") || owner.Owner == secret.App(ourApp) {
			continue
		}
		infos, err := store.List(tb.Context(), owner.Owner, secret.Page{})
		if err != nil {
			tb.Fatal(err)
		}
		for _, info := range infos {
			_, data, err := store.Reveal(tb.Context(), secret.Op{Ref: info.Ref})
			if err != nil {
				tb.Fatal(err)
			}
			all = append(all, info, data)
		}
	}
	return all
}
