package vault_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/api/vault"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/memory"
)

const (
	shop  = "0f8fad5b-d9cb-469f-a165-70867728950e"
	other = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

// A doorman authenticates every request as one caller.
type doorman struct{ secret.Caller }

func (d doorman) Authenticate(*http.Request) (secret.Caller, error) { return d.Caller, nil }

// A ledger is a recorder that remembers events.
type ledger struct{ events []secret.Event }

func (l *ledger) Record(_ context.Context, e secret.Event, _ ...func(secret.Tx) error) error {
	return l.Note(e)
}

func (l *ledger) Note(e secret.Event) error {
	l.events = append(l.events, e)
	return nil
}

func (*ledger) Failed(string) {}

// filled returns a store with secrets of two users and an app.
func filled(t *testing.T) *memory.Store {
	t.Helper()
	store := memory.New()
	for _, s := range []struct {
		ref   secret.Ref
		draft secret.Draft
	}{
		{secret.Ref{Owner: secret.User("alice"), Name: "MINE"}, secret.Draft{Description: "d \"", Data: map[string]secret.Value{"value": "hunter2\n"}}},
		{secret.Ref{Owner: secret.User("alice"), Name: "a b"}, secret.Draft{Data: map[string]secret.Value{"value": "blank"}}},
		{secret.Ref{Owner: secret.User("bob"), Name: "MINE"}, secret.Draft{Data: map[string]secret.Value{"value": "bob's"}}},
		{secret.Ref{Owner: secret.User("me"), Name: "MINE"}, secret.Draft{Data: map[string]secret.Value{"value": "of the user me"}}},
		{secret.Ref{Owner: secret.App(shop), Name: "db"}, secret.Draft{Data: map[string]secret.Value{"USER": "u", "PASS": "p"}}},
		{secret.Ref{Owner: secret.App(shop), Name: "raw"}, secret.Draft{Data: map[string]secret.Value{"K": "\xff"}}},
	} {
		if _, err := store.Create(t.Context(), secret.Op{Ref: s.ref}, s.draft); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// serve returns the API for one caller, and its audit log.
func serve(t *testing.T, caller secret.Caller) (http.Handler, *ledger) {
	t.Helper()
	var log ledger
	service := secret.NewService(filled(t), &log)
	options := vault.Options{Mount: "secret", Secrets: map[string]*secret.Service{"app": service, "user": service}}
	h, err := vault.New(options, auth.Chain{Strategies: []auth.Strategy{doorman{caller}}, Failures: &log}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return h, &log
}

func ask(t *testing.T, h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "/v1/"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var all = []secret.Action{secret.List, secret.Create, secret.Write, secret.Delete, secret.Reveal, secret.Admin}

func grant(owner secret.Owner, names []string, actions ...secret.Action) secret.Grant {
	return secret.Grant{Owner: owner, Names: names, Actions: actions}
}

// alice may do everything with her own secrets and with those of the shop.
func alice() secret.Caller {
	return secret.Caller{Subject: "alice's key", CredentialID: "k1", User: "alice", Grants: []secret.Grant{
		grant(secret.User("alice"), nil, all...), grant(secret.App(shop), nil, all...),
	}}
}

var varying = regexp.MustCompile(`"request_id":"[A-Z2-7]{26}"|"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)

// data returns the data of a successful answer, with NOW for times, or the whole body of
// any other answer.
func data(w *httptest.ResponseRecorder) string {
	body := varying.ReplaceAllStringFunc(w.Body.String(), func(found string) string {
		if strings.HasPrefix(found, `"request_id"`) {
			return `"request_id":"ID"`
		}
		return "NOW"
	})
	const head, tail = `{"request_id":"ID","lease_id":"","renewable":false,"lease_duration":0,"data":`, `,"wrap_info":null,"warnings":null,"auth":null,"mount_type":"kv"}`
	if inner, ok := strings.CutPrefix(body, head); ok {
		if inner, ok = strings.CutSuffix(inner, tail); ok {
			return inner
		}
	}
	return body
}

const (
	absent    = `{"errors":[]}`
	forbidden = `{"errors":["permission denied"]}`
	noHandler = `{"errors":["no handler for this path: only reading KV secrets of version 2 is supported, and the server's config names the mount"]}`
	readOnly  = `{"errors":["this API is read-only: change secrets through the other APIs, the console or the strongroom commands"]}`
	badPath   = `{"errors":["path: must be app/<uuid>/<name>, user/<id>/<name> or user/me/<name>"]}`
	noUUID    = `{"errors":["path: must have the UUID of the app, with hyphens, behind app/"]}`

	aliceRow = `{"data":{"value":"hunter2\n"},"metadata":{"created_time":NOW,"custom_metadata":{"description":"d \""},"deletion_time":"","destroyed":false,"version":1}}`
	shopRow  = `{"data":{"PASS":"p","USER":"u"},"metadata":{"created_time":NOW,"custom_metadata":null,"deletion_time":"","destroyed":false,"version":1}}`
)

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "secret/data/user/me/MINE", 200, aliceRow},
		{"GET", "secret/data/user/alice/MINE", 200, aliceRow},
		{"GET", "secret/data/user/me/MINE?version=0", 200, aliceRow},
		{"GET", "secret/data/user/me/MINE?version=1", 200, aliceRow},
		{"GET", "secret/data/user/me/MINE?version=2", 404, absent},
		{"GET", "secret/data/user/me/MINE?version=", 400, `{"errors":["query.version: Input should be a valid integer, unable to parse string as an integer"]}`},
		{"GET", "secret/data/user/me/MINE?version=-1", 400, `{"errors":["query.version: Input should be greater than -1"]}`},
		{"GET", "secret/data/user/me/MINE?version=99999999999999999999", 400, `{"errors":["query.version: Input should be less than or equal to 2147483647"]}`},
		{"GET", "secret/data/user/me/MINE?version=1&version=2", 400, `{"errors":["query.version: Input should be a valid integer"]}`},
		{"GET", "secret/data/app/" + shop + "/db", 200, shopRow},
		{"GET", "secret/data/app/" + strings.ToUpper(shop) + "/db", 200, shopRow},
		{"GET", "secret/data/app/" + shop + "/raw", 409, `{"errors":["value is not text: K"]}`},
		{"GET", "secret/data/app/" + shop + "/none", 404, absent},
		{"GET", "secret/metadata/user/me/MINE", 200, `{"cas_required":false,"created_time":NOW,"current_version":1,"custom_metadata":{"description":"d \""},"delete_version_after":"0s","max_versions":0,"oldest_version":1,"updated_time":NOW,"versions":{"1":{"created_time":NOW,"deletion_time":"","destroyed":false}}}`},
		{"GET", "secret/metadata/user/me/none", 404, absent},
		{"GET", "secret/metadata/user/me/MINE?list=true", 404, absent},
		{"LIST", "secret/metadata/user/me/MINE", 404, absent},
		{"LIST", "secret/metadata/user/me", 200, `{"keys":["MINE","a b"]}`},
		{"LIST", "secret/metadata/user/me/", 200, `{"keys":["MINE","a b"]}`},
		{"LIST", "secret/metadata/user/me?list=false", 200, `{"keys":["MINE","a b"]}`},
		{"GET", "secret/metadata/user/me?list=true", 200, `{"keys":["MINE","a b"]}`},
		{"GET", "secret/metadata/user/me/?list=true", 200, `{"keys":["MINE","a b"]}`},
		{"GET", "secret/metadata/user/me", 404, absent},
		{"GET", "secret/metadata/user/me?list=false", 404, absent},
		{"GET", "secret/metadata/user/me/", 404, noHandler},
		{"GET", "secret/metadata/user/me//?list=true", 404, noHandler},
		{"GET", "secret/metadata/user/me%2F?list=true", 404, noHandler},
		{"LIST", "secret/metadata/app/" + shop, 200, `{"keys":["db","raw"]}`},
		{"LIST", "secret/metadata", 200, `{"keys":["app/","user/"]}`},
		{"LIST", "secret/metadata/", 200, `{"keys":["app/","user/"]}`},
		{"GET", "secret/metadata", 404, absent},
		{"LIST", "secret/metadata/user", 403, forbidden},
		{"GET", "sys/internal/ui/mounts/secret", 200, `{"path":"secret/","type":"kv","description":"","options":{"version":"2"}}`},
		{"GET", "sys/internal/ui/mounts/secret/app/" + shop + "/db", 200, `{"path":"secret/","type":"kv","description":"","options":{"version":"2"}}`},
		{"GET", "sys/internal/ui/mounts/secret/%2e%2e/x", 200, `{"path":"secret/","type":"kv","description":"","options":{"version":"2"}}`},
		{"GET", "sys/internal/ui/mounts/other", 404, noHandler},
		{"GET", "sys/internal/ui/mounts/", 404, noHandler},
		{"GET", "sys/internal/ui/mounts/sec%72et/x", 200, `{"path":"secret/","type":"kv","description":"","options":{"version":"2"}}`},
		{"GET", "sys/internal/ui/mounts/secret%2Fx", 404, noHandler},
		{"GET", "auth/token/lookup-self", 200, `{"accessor":"k1","creation_time":0,"creation_ttl":0,"display_name":"alice's key","entity_id":"","expire_time":null,"explicit_max_ttl":0,"id":"","num_uses":0,"orphan":true,"path":"","policies":[],"renewable":false,"ttl":0,"type":"service"}`},

		// Paths that lead nowhere are not cleaned.
		{"GET", "secret/data/user/me/../me/MINE", 404, noHandler},
		{"GET", "secret/data/user/me/..", 404, absent},
		{"GET", "secret/data/user/me/%2e%2e", 404, absent},
		{"GET", "secret/data/user/me/.%2fMINE", 404, noHandler},
		{"GET", "secret/data/user/me%2fMINE", 404, noHandler},
		{"GET", "secret/data/user%2fme/x/MINE", 404, noHandler},
		{"GET", "secret/data/user/me/MINE%00", 404, noHandler},
		{"GET", "secret/data/user/me/MINE%ff", 404, noHandler},
		{"GET", "secret/data/user/me/MINE%0a", 404, absent},
		{"GET", "secret/data/user/me/MINE%20", 404, absent},
		{"GET", "secret/data/user/me/mine", 404, absent},
		{"GET", "secret/data/user/me/a%20b", 200, `{"data":{"value":"blank"},"metadata":{"created_time":NOW,"custom_metadata":null,"deletion_time":"","destroyed":false,"version":1}}`},
		{"GET", "secret/data/user/me/MINE/", 404, noHandler},
		{"GET", "secret/data/user/me//MINE", 404, noHandler},
		{"GET", "secret/data/user//MINE", 404, noHandler},
		{"GET", "secret//data/user/me/MINE", 404, noHandler},
		{"GET", "secret/data/user/*/MINE", 400, badPath},
		{"GET", "secret/data/user/%0a/MINE", 400, badPath},
		{"GET", "secret/data/user/../MINE", 400, badPath},
		{"GET", "secret/data/user/" + strings.Repeat("x", 257) + "/MINE", 400, badPath},
		{"GET", "secret/data/group/x/MINE", 400, badPath},
		{"GET", "secret/data/User/me/MINE", 400, badPath},
		{"LIST", "secret/metadata/group", 400, badPath},
		{"GET", "secret/data/app/me/db", 400, noUUID},
		{"GET", "secret/data/app/*/db", 400, noUUID},
		{"GET", "secret/data/app/" + strings.ReplaceAll(shop, "-", "") + "/db", 400, noUUID},
		{"GET", "secret/data/app/%7B" + shop + "%7D/db", 400, noUUID},
		{"GET", "secret/data/MINE", 404, noHandler},
		{"GET", "secret/MINE", 404, noHandler},
		{"GET", "other/data/user/me/MINE", 404, noHandler},
		{"LIST", "other/metadata", 404, noHandler},
		{"LIST", "other/metadata/user", 404, noHandler},
		{"GET", "sys/mounts", 404, noHandler},
		{"POST", "auth/approle/login", 404, noHandler},

		// Nothing can be changed.
		{"POST", "secret/data/user/me/MINE", 405, readOnly},
		{"PUT", "secret/data/user/me/MINE", 405, readOnly},
		{"PATCH", "secret/data/user/me/MINE", 405, readOnly},
		{"DELETE", "secret/data/user/me/MINE", 405, readOnly},
		{"LIST", "secret/data/user/me/MINE", 405, readOnly},
		{"POST", "secret/metadata/user/me/MINE", 405, readOnly},
		{"DELETE", "secret/metadata/user/me/MINE", 405, readOnly},
		{"POST", "auth/token/lookup-self", 405, readOnly},
		{"HEAD", "secret/data/user/me/MINE", 405, readOnly},
		{"POST", "secret/undelete/user/me/MINE", 404, noHandler},
	} {
		h, _ := serve(t, alice())
		w := ask(t, h, tc.method, tc.path)
		if got := data(w); w.Code != tc.status || got != tc.want {
			t.Errorf("%s %s:\n got %d %s\nwant %d %s", tc.method, tc.path, w.Code, got, tc.status, tc.want)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s %s: Cache-Control is %q", tc.method, tc.path, got)
		}
	}
}

// A caller learns nothing about secrets outside of its grants: the answers for existing and for
// missing secrets are the same.
func TestDeniedAndAbsentLookTheSame(t *testing.T) {
	some := secret.Caller{Subject: "s", User: "alice", Grants: []secret.Grant{
		grant(secret.User("alice"), []string{"a b"}, all...), grant(secret.App(shop), []string{"raw"}, all...),
	}}
	lister := secret.Caller{Subject: "l", User: "alice", Grants: []secret.Grant{
		grant(secret.User("alice"), nil, secret.List), grant(secret.App(shop), nil, secret.List),
	}}
	nobody := secret.Caller{Subject: "n", User: "carol"}
	for _, tc := range []struct {
		name             string
		caller           secret.Caller
		existing, absent string
		status           int
		want             string
	}{
		{"hidden by name", some, "secret/data/user/me/MINE", "secret/data/user/me/NONE", 404, absent},
		{"hidden by name, metadata", some, "secret/metadata/user/me/MINE", "secret/metadata/user/me/NONE", 404, absent},
		{"hidden secret of an app", some, "secret/data/app/" + shop + "/db", "secret/data/app/" + shop + "/none", 404, absent},
		{"another app", secret.Caller{Subject: "o", Grants: []secret.Grant{grant(secret.App(other), nil, all...)}}, "secret/data/app/" + shop + "/db", "secret/data/app/11111111-2222-3333-4444-555555555555/db", 404, absent},
		{"another user", some, "secret/data/user/bob/MINE", "secret/data/user/nobody/MINE", 403, forbidden},
		{"another user's list", some, "secret/metadata/user/bob?list=true", "secret/metadata/user/nobody?list=true", 403, forbidden},
		{"without the right to reveal", lister, "secret/data/user/me/MINE", "secret/data/user/me/NONE", 403, forbidden},
		{"without the right to reveal, a version", lister, "secret/data/user/me/MINE?version=1", "secret/data/user/me/NONE?version=1", 403, forbidden},
		{"without grants", nobody, "secret/data/user/alice/MINE", "secret/data/user/alice/NONE", 403, forbidden},
		{"without grants, an app", nobody, "secret/data/app/" + shop + "/db", "secret/data/app/" + other + "/db", 403, forbidden},
		{"without grants, a list", nobody, "secret/metadata/app/" + shop + "?list=true", "secret/metadata/app/" + other + "?list=true", 403, forbidden},
	} {
		for _, path := range []string{tc.existing, tc.absent} {
			h, log := serve(t, tc.caller)
			w := ask(t, h, "GET", path)
			if w.Code != tc.status || data(w) != tc.want {
				t.Errorf("%s, %s: got %d %s, want %d %s", tc.name, path, w.Code, w.Body, tc.status, tc.want)
			}
			if len(log.events) != 1 || log.events[0].Outcome != secret.Denied {
				t.Errorf("%s, %s: the audit log has %+v, want one denial", tc.name, path, log.events)
			}
		}
	}
}

// A read of values is audited as a reveal, and a read of metadata as a list.
func TestReadsAreAudited(t *testing.T) {
	for path, want := range map[string]secret.Event{
		"secret/data/user/me/MINE":             {Action: secret.Reveal, Ref: secret.Ref{Owner: secret.User("alice"), Name: "MINE"}},
		"secret/data/user/me/MINE?version=1":   {Action: secret.Reveal, Ref: secret.Ref{Owner: secret.User("alice"), Name: "MINE"}},
		"secret/data/app/" + shop + "/db":      {Action: secret.Reveal, Ref: secret.Ref{Owner: secret.App(shop), Name: "db"}},
		"secret/metadata/app/" + shop + "/db":  {Action: secret.List, Ref: secret.Ref{Owner: secret.App(shop), Name: "db"}},
		"secret/metadata/user/alice?list=true": {Action: secret.List, Ref: secret.Ref{Owner: secret.User("alice")}},
	} {
		h, log := serve(t, alice())
		if w := ask(t, h, "GET", path); w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		last := log.events[len(log.events)-1]
		if last.Action != want.Action || last.Ref != want.Ref || last.Outcome != secret.Done || last.Subject != "alice's key" {
			t.Errorf("%s: the audit log has %+v, want %s of %s", path, last, want.Action, want.Ref)
		}
	}
}

// The ids of a list of owners can be used as paths.
func TestOwnersAreListedToCallersOfAllOfThem(t *testing.T) {
	h, _ := serve(t, secret.Caller{Subject: "root", User: "root", Grants: []secret.Grant{
		grant(secret.User(secret.AnyID), nil, all...), grant(secret.App(secret.AnyID), nil, all...),
	}})
	for path, want := range map[string]string{
		"secret/metadata/user": `{"keys":["alice/","bob/"]}`, // me would be the caller
		"secret/metadata/app":  `{"keys":["` + shop + `/"]}`,
	} {
		if w := ask(t, h, "LIST", path); w.Code != 200 || data(w) != want {
			t.Errorf("%s: got %d %s, want %s", path, w.Code, data(w), want)
		}
		if w := ask(t, h, "GET", path); w.Code != 404 || data(w) != absent {
			t.Errorf("%s without list: got %d %s", path, w.Code, data(w))
		}
	}
	if w := ask(t, h, "GET", "secret/data/user/bob/MINE"); w.Code != 200 || !strings.Contains(w.Body.String(), "bob's") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := ask(t, h, "LIST", "secret/metadata/user/me"); w.Code != 404 || data(w) != absent {
		t.Errorf("an empty list: got %d %s", w.Code, w.Body)
	}
}

// A client that asks for a wrapped answer would pass a bare one on to others.
func TestWrappedAnswersAreRefused(t *testing.T) {
	h, log := serve(t, alice())
	w := ask(t, h, "GET", "secret/data/user/me/MINE", "X-Vault-Wrap-TTL", "60s")
	if want := `{"errors":["answers cannot be wrapped: leave out X-Vault-Wrap-TTL"]}`; w.Code != 400 || data(w) != want {
		t.Errorf("got %d %s, want 400 %s", w.Code, w.Body, want)
	}
	if len(log.events) != 0 {
		t.Errorf("the audit log has %+v, want nothing", log.events)
	}
}

func TestHealthTellsWhetherTheServerCanServe(t *testing.T) {
	for ready, status := range map[bool]int{true: 200, false: 503} {
		if got, body := vault.Health(ready); got != status || strings.Contains(string(body), `"sealed":true`) == ready {
			t.Errorf("ready is %v: got %d %s", ready, got, body)
		}
	}
}
