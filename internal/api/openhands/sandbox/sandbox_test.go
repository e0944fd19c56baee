package sandbox_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/internal/api/openhands/sandbox"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// bySandbox authenticates every request. The key is the id of a sandbox.
type bySandbox struct{ grants []secret.Grant }

func (d bySandbox) Authenticate(r *http.Request) (secret.Caller, error) {
	return secret.Caller{Subject: "agent", User: "alice", Sandbox: r.Header.Get("X-Session-API-Key"), Grants: d.grants}, nil
}

// A ledger is a recorder that remembers outcomes.
type ledger struct{ outcomes []secret.Outcome }

func (l *ledger) Record(_ context.Context, e secret.Event, _ ...func(secret.Tx) error) error {
	return l.Note(e)
}

func (l *ledger) Note(e secret.Event) error {
	l.outcomes = append(l.outcomes, e.Outcome)
	return nil
}

func (*ledger) Failed(string) {}

func TestAnAgentKeyWorksInItsSandboxOnly(t *testing.T) {
	const names = `{"secrets":[{"name":"MINE","description":"d"}]}`
	store := memory.New()
	for name, data := range map[string]map[string]secret.Value{
		"MINE": {"value": "hunter2\n"}, "OTHER": {"value": "v"}, "MAP": {"k": "v"}, "EMPTY": {"value": ""},
	} {
		ref := secret.Ref{Owner: secret.User("alice"), Name: name}
		if _, err := store.Create(t.Context(), secret.Op{Ref: ref}, secret.Draft{Description: "d", Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	both := []secret.Action{secret.List, secret.Reveal}
	mine := []secret.Grant{
		{Actions: both, Owner: secret.User("alice"), Names: []string{"MINE"}},
		{Actions: []secret.Action{secret.Reveal}, Owner: secret.User("alice"), Names: []string{"MAP", "EMPTY"}},
	}
	for _, tc := range []struct {
		key, path string
		grants    []secret.Grant
		status    int
		body      string
		outcome   secret.Outcome
	}{
		{"box", "box/settings/secrets", mine, 200, names, secret.Done},
		{"box", "box/settings/secrets/MINE", mine, 200, "hunter2\n", secret.Done},
		{"box", "box/settings/secrets/MAP", mine, 404, `{"detail":"Secret has no value"}`, secret.Done},
		{"box", "box/settings/secrets/EMPTY", mine, 404, `{"detail":"Secret has no value"}`, secret.Done},
		{"box", "box/settings/secrets/OTHER", mine, 404, `{"detail":"Secret not found"}`, secret.Denied},
		{"box", "box/settings/secrets/MINE", nil, 403, `{"detail":"Forbidden"}`, secret.Denied},
		{"box", "other/settings/secrets", mine, 403, `{"detail":"Session API key does not match sandbox"}`, secret.Denied},
		{"box", "other/settings/secrets/MINE", mine, 403, `{"detail":"Session API key does not match sandbox"}`, secret.Denied},
		{"box", "BOX/settings/secrets/MINE", mine, 403, `{"detail":"Session API key does not match sandbox"}`, secret.Denied},
		{"", "box/settings/secrets/MINE", mine, 403, `{"detail":"Session API key does not match sandbox"}`, secret.Denied},
		{"a b", "a%20b/settings/secrets/MINE", mine, 200, "hunter2\n", secret.Done},
		{"", "/settings/secrets/MINE", mine, 404, `{"detail":"Not Found"}`, ""},
	} {
		var log ledger
		chain := auth.Chain{Strategies: []auth.Strategy{bySandbox{tc.grants}}, Failures: &log}
		h, err := sandbox.New(secret.NewService(store, &log), nil, chain, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/api/v1/sandboxes/"+tc.path, nil)
		r.Header.Set("X-Session-API-Key", tc.key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tc.status || w.Body.String() != tc.body {
			t.Errorf("%s with the key of %q: %d %s, want %d %s", tc.path, tc.key, w.Code, w.Body, tc.status, tc.body)
		}
		if said := slices.Contains(log.outcomes, tc.outcome); said != (tc.outcome != "") {
			t.Errorf("%s with the key of %q: on record is %q, want %q", tc.path, tc.key, log.outcomes, tc.outcome)
		}
	}
}
