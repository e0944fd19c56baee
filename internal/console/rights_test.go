package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/auth"
	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/lastaccess"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
	"github.com/strongroom/strongroom/internal/store/memory"
)

// keysFile has an administrator of the server, one of the secret db of user/a, one of
// user/a without the right to reveal, an administrator of the server without some rights to
// reveal, a reader, one that may reveal one of two secrets, and one that may list all users
// and reveal only user/a. The API keys are the subjects.
var keysFile = fmt.Sprintf(`keys:
- {id: k1, subject: root, sha256: %s, grants: [{actions: [list, create, write, delete, reveal, admin], owner: user/*}, {actions: [admin], owner: app/*}]}
- {id: k2, subject: some, sha256: %s, grants: [{actions: [list, reveal, admin], owner: user/a, names: [db]}]}
- {id: k3, subject: reader, sha256: %s, grants: [{actions: [list, reveal], owner: user/a}]}
- {id: k5, subject: chief, sha256: %s, grants: [{actions: [list, create, write, delete, admin], owner: user/*}, {actions: [list, reveal, admin], owner: app/*}, {actions: [reveal], owner: app/0f8fad5b-d9cb-469f-a165-70867728950e, names: [db], deny: true}]}
- {id: k4, subject: keeper, sha256: %s, grants: [{actions: [list, admin], owner: user/a}]}
- {id: k6, subject: half, sha256: %s, grants: [{actions: [list], owner: user/a}, {actions: [reveal], owner: user/a, names: [db]}]}
- {id: k7, subject: one, sha256: %s, grants: [{actions: [list], owner: user/*}, {actions: [reveal], owner: user/a}]}
`, apikey.HashOf("root"), apikey.HashOf("some"), apikey.HashOf("reader"), apikey.HashOf("chief"), apikey.HashOf("keeper"), apikey.HashOf("half"), apikey.HashOf("one"))

// openFile returns a state file with its audit log.
func openFile(t *testing.T) (*state.File, *seal.Ring, *audit.Log) {
	t.Helper()
	path, ring := filepath.Join(t.TempDir(), "strongroom.db"), seal.NewRing()
	if err := statetest.Create(path, func(id string) ([]byte, error) { return ring.Wrap(seal.NewKey(), id) }); err != nil {
		t.Fatal(err)
	}
	file, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	log := audit.Open(file, ring.Derive("audit entry"), ring.Derive("audit chain"))
	t.Cleanup(func() {
		if err := errors.Join(log.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	})
	return file, ring, log
}

// A site is a console on a socket.
type site struct {
	t   *testing.T
	url string
	*Console
}

// openSite returns a console with the secrets db and other of user/a.
func openSite(t *testing.T) *site {
	t.Helper()
	file, ring, log := openFile(t)
	agents, err := issued.Open(file, ring, log, issued.SystemClock(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := agents.Close(); err != nil {
			t.Error(err)
		}
	})
	keys, err := apikey.ParseKeys("keys.yaml", []byte(keysFile))
	if err != nil {
		t.Fatal(err)
	}
	strategy := apikey.New("X-Key", "", keys)
	secrets := secret.NewService(memory.New(), log)
	accept := func(string) error { return nil }
	c, err := New(Options{
		Chain: auth.Chain{Failures: log}, APIKeys: []APIKeys{{"psk", strategy}}, Sessions: session.Open(file, ring, log), Agents: agents, Audit: log, Named: func(string) bool { return false },
		Kinds: []Kind{
			{Kind: secret.KindUser, Secrets: secrets, CheckOwner: accept, CheckName: secret.CheckName},
			{Kind: secret.KindApp, Secrets: secrets, CheckOwner: accept, CheckName: secret.CheckName},
		},
		LastAccess: func(secret.Ref) (lastaccess.Access, bool, error) { return lastaccess.Access{}, false, nil },
		Backup: func(_ context.Context, _ secret.Caller, recipient string, w io.Writer) error {
			if recipient == "wrong" {
				return &secret.InvalidError{Field: "recipient", Reason: "must be an age public key: age1…"}
			}
			_, _ = io.WriteString(w, "backup")
			if recipient == "torn" {
				return io.ErrUnexpectedEOF
			}
			return nil
		},
		Server: func(context.Context, bool) (Server, error) { return Server{Version: "1.2.3"}, nil },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db", "other"} {
		root, _ := strategy.Holder(apikey.HashOf("root"))
		draft := secret.Draft{Data: map[string]secret.Value{"value": "long-and-random"}}
		if _, err := secrets.Create(t.Context(), root, secret.Ref{Owner: secret.User("a"), Name: name}, draft); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return &site{t, s.URL, c}
}

// A browser is signed in by an API key.
type browser struct {
	*site
	cookie *http.Cookie
}

func (s *site) signedInBy(key string) *browser {
	s.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(s.request("POST", "/console/sign-in", url.Values{"key": {key}}))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, cookie := range resp.Cookies() {
		return &browser{s, cookie}
	}
	s.t.Fatalf("signing in by %s: %s", key, resp.Status)
	return nil
}

func (s *site) request(method, path string, form url.Values) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// wantStatus sends a request as the script does, and returns the body of the answer.
func (b *browser) wantStatus(want int, method, path string, pairs ...string) string {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	req := b.request(method, path, form)
	req.Header.Set("Accept", "application/json")
	req.AddCookie(b.cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		b.t.Errorf("%s %s %q: %s %s %v, want %d", method, path, pairs, resp.Status, body, err, want)
	}
	return string(body)
}

func (s *site) mustIssue(names ...string) issued.Key {
	s.t.Helper()
	_, key, err := s.Agents.CreateAgent(s.t.Context(), secret.Administrator("root"), issued.AgentDraft{Owner: secret.User("a"), Names: names, Lifetime: time.Hour})
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

func TestAgentKeysAreOnlyForAdministratorsOfAllTheirSecrets(t *testing.T) {
	s := openSite(t)
	own, foreign := s.mustIssue("db"), s.mustIssue("db", "other")
	some, reader := s.signedInBy("some"), s.signedInBy("reader")
	if page := some.wantStatus(200, "GET", "/console/agents"); !strings.Contains(page, own.ID) || strings.Contains(page, foreign.ID) {
		t.Errorf("the page must list %s and not %s: %s", own.ID, foreign.ID, page)
	}
	some.wantStatus(404, "POST", "/console/agents/revoke", "id", foreign.ID)
	some.wantStatus(404, "POST", "/console/agents/revoke", "id", "nosuchid")
	reader.wantStatus(404, "POST", "/console/agents/revoke", "id", own.ID)
	reader.wantStatus(403, "GET", "/console/agents")
	if !s.Agents.Works(own) || !s.Agents.Works(foreign) {
		t.Fatal("a caller without the right has revoked an agent key")
	}
	some.wantStatus(200, "POST", "/console/agents/revoke", "id", own.ID)
	for _, k := range s.Agents.List(true) {
		if s.Agents.Works(k) != (k.ID == foreign.ID) {
			t.Errorf("after the revocation of %s the key %s works: %t", own.ID, k.ID, s.Agents.Works(k))
		}
	}

	agent := []string{"owner", "user/a", "for", "1h", "names", "db"}
	if body := some.wantStatus(200, "POST", "/console/agents/create", agent...); !strings.Contains(body, `"key":"srk_`) {
		t.Errorf("the answer has no agent key: %s", body)
	}
	some.wantStatus(404, "POST", "/console/agents/create", append(agent, "names", "other")...) // as if it did not exist
	reader.wantStatus(403, "POST", "/console/agents/create", agent...)
	s.signedInBy("keeper").wantStatus(403, "POST", "/console/agents/create", agent...)
	some.wantStatus(400, "POST", "/console/agents/create", append(agent, "reads", "many")...)
}

func TestOnlyAdministratorsOfTheServerManageIt(t *testing.T) {
	s := openSite(t)
	root, some, reader := s.signedInBy("root"), s.signedInBy("some"), s.signedInBy("reader")
	_, key, err := s.Agents.Create(t.Context(), secret.Administrator("root"), issued.Draft{
		Subject: "ci", Grants: []grant.Line{{Actions: []secret.Action{secret.List}, Owner: "user/a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []*browser{some, reader} {
		b.wantStatus(403, "GET", "/console/server")
		b.wantStatus(403, "POST", "/console/server/revoke", "id", key.ID)
	}
	if !s.Agents.Works(key) {
		t.Error("a caller without the right has revoked an API key")
	}
	for _, path := range []string{"/console/audit", "/console/audit/new?after=0", "/console/audit/export"} {
		reader.wantStatus(403, "GET", path)
		some.wantStatus(200, "GET", path)
	}
	root.wantStatus(200, "GET", "/console/server")
	root.wantStatus(200, "POST", "/console/server/revoke", "id", key.ID)
	if ended := s.Agents.List(false)[0]; s.Agents.Works(ended) {
		t.Error("the revoked API key still works")
	}
}

func TestOnlyTheirCallerAndAdministratorsEndSessions(t *testing.T) {
	s := openSite(t)
	root, some, reader := s.signedInBy("root"), s.signedInBy("some"), s.signedInBy("reader")
	again := s.signedInBy("reader")
	id := func(b *browser) string { id, _, _ := strings.Cut(b.cookie.Value, "_"); return id }
	some.wantStatus(404, "POST", "/console/sessions/end", "id", id(reader))
	if page := some.wantStatus(200, "GET", "/console/sessions"); strings.Contains(page, id(reader)) || !strings.Contains(page, id(some)) {
		t.Errorf("the page must list only the caller's sessions: %s", page)
	}
	reader.wantStatus(200, "POST", "/console/sessions/end", "id", id(again))
	again.wantStatus(401, "GET", "/console")
	reader.wantStatus(200, "GET", "/console")
	root.wantStatus(200, "POST", "/console/sessions/end", "id", id(reader))
	reader.wantStatus(401, "GET", "/console")
}

const app = "app/0f8fad5b-d9cb-469f-a165-70867728950e"

func TestANewAPIKeyHasNoMoreRightsThanItsCreator(t *testing.T) {
	s := openSite(t)
	chief, root, reader := s.signedInBy("chief"), s.signedInBy("root"), s.signedInBy("reader")
	grants := func(triples ...string) []string {
		form := []string{"subject", "ci", "for", "24h"}
		for i := 0; i < len(triples); i += 3 {
			form = append(form, "actions", triples[i], "owner", triples[i+1], "names", triples[i+2])
		}
		return form
	}
	const create = "/console/server/create"
	for _, form := range [][]string{
		grants("reveal", "user/a", ""),
		grants("list", "user/a", "", "reveal", "self", ""),
		grants("reveal", app, ""),
		grants("reveal", "app/*", ""),
		grants("reveal", app, "db"),
		grants("reveal", app, "smtp, db"),
		grants("create", app, ""),
		grants("read", app, ""),
		grants("", app, ""),
		grants("list", "app/x", ""),
		grants(),
		append(grants("list", app, ""), "owner", "user/a"),
		{"subject", "ci", "for", "soon", "actions", "list", "owner", app, "names", ""},
		{"subject", "ci", "for", "24h", "actions", "list", "owner", app},
		{"subject", "", "for", "24h", "actions", "list", "owner", app, "names", ""},
	} {
		chief.wantStatus(400, "POST", create, form...)
	}
	reader.wantStatus(403, "POST", create, grants("list", "user/a", "")...)
	reader.wantStatus(403, "GET", "/console/server/new")
	if n := len(s.Agents.List(false)); n != 0 {
		t.Fatalf("%d keys were created", n)
	}
	body := chief.wantStatus(200, "POST", create, grants("list reveal", app, "smtp", "list admin", "user/*", "", "reveal", "app/11111111-2222-3333-4444-555555555555", "")...)
	if !strings.Contains(body, `"key":"srk_`) || len(s.Agents.List(false)[0].Grants) != 3 {
		t.Errorf("the new key: %s", body)
	}
	root.wantStatus(200, "POST", create, grants("list create write delete reveal admin", "user/*", "")...)
}

func TestOnlyAdministratorsOfTheServerTakeBackups(t *testing.T) {
	s := openSite(t)
	root := s.signedInBy("root")
	for _, name := range []string{"some", "reader", "keeper"} {
		s.signedInBy(name).wantStatus(403, "POST", "/console/server/backup")
	}
	if got := root.wantStatus(200, "POST", "/console/server/backup"); got != "backup" {
		t.Errorf("got %q", got)
	}
	root.wantStatus(400, "POST", "/console/server/backup", "recipient", "wrong")
	req := root.request("POST", "/console/server/backup", url.Values{"recipient": {"torn"}})
	req.AddCookie(root.cookie)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		defer resp.Body.Close()
		if _, err = io.ReadAll(resp.Body); err == nil {
			t.Error("a torn backup looks whole")
		}
	}
}

// A timed response counts its write deadlines.
type timed struct {
	http.ResponseWriter
	deadlines int
}

func (w *timed) SetWriteDeadline(time.Time) error {
	w.deadlines++
	return nil
}

func TestASlowBackupMayTakeLongerThanOtherAnswers(t *testing.T) {
	s := openSite(t)
	root := s.signedInBy("root")
	req := root.request("POST", "/console/server/backup", url.Values{})
	req.AddCookie(root.cookie)
	answer := httptest.NewRecorder()
	w := &timed{ResponseWriter: answer}
	s.ServeHTTP(w, req)
	if answer.Body.String() != "backup" || !strings.Contains(answer.Header().Get("Content-Disposition"), ".backup") || w.deadlines == 0 {
		t.Errorf("got %q, %v, %d deadlines", answer.Body, answer.Header(), w.deadlines)
	}
}

func TestComparingTwoOwnersNeedsTheRightsOnBoth(t *testing.T) {
	s := openSite(t)
	root, some, reader, keeper := s.signedInBy("root"), s.signedInBy("some"), s.signedInBy("reader"), s.signedInBy("keeper")
	admin, _ := s.APIKeys[0].Strategy.Holder(apikey.HashOf("root"))
	draft := secret.Draft{Data: map[string]secret.Value{"value": "long-and-random"}}
	if _, err := s.kind("user").Secrets.Create(t.Context(), admin, secret.Ref{Owner: secret.User("b"), Name: "db"}, draft); err != nil {
		t.Fatal(err)
	}
	pair := []string{"left", "user/a", "right", "user/b"}
	const page = "/console/owners?left=user/a&right=user/b"
	for _, b := range []*browser{some, reader, keeper} { // none of them may list user/b
		b.wantStatus(403, "GET", page)
		b.wantStatus(403, "POST", "/console/owners", pair...)
	}
	if got := root.wantStatus(200, "GET", page); strings.Contains(got, "same value") || !strings.Contains(got, "only left") {
		t.Errorf("without the values: %s", got)
	}
	if got := root.wantStatus(200, "POST", "/console/owners", pair...); !strings.Contains(got, "same value") || strings.Contains(got, "long-and-random") {
		t.Errorf("with the values: %s", got)
	}
	self := []string{"left", "user/a", "right", "user/a"}
	if got := keeper.wantStatus(200, "POST", "/console/owners", self...); strings.Contains(got, "same value") || !strings.Contains(got, "not compared") {
		t.Errorf("without the right to reveal: %s", got)
	}
	const none, unknown = "No difference.", "2 were not compared: you may not reveal them."
	if got := keeper.wantStatus(200, "POST", "/console/owners", self...); strings.Contains(got, none) || !strings.Contains(got, unknown) {
		t.Errorf("without the right to reveal: %s", got)
	}
	if got := some.wantStatus(200, "POST", "/console/owners", self...); !strings.Contains(got, none) || strings.Contains(got, "not compared") {
		t.Errorf("with the right to reveal the only listed secret: %s", got)
	}
	if got := s.signedInBy("half").wantStatus(200, "POST", "/console/owners", self...); strings.Contains(got, none) || !strings.Contains(got, "1 was not compared: you may not reveal it.") || !strings.Contains(got, "same value") {
		t.Errorf("with the right to reveal one of two secrets: %s", got)
	}
	for _, form := range [][]string{pair, {"left", "user/b", "right", "user/a"}} {
		if got := s.signedInBy("one").wantStatus(200, "POST", "/console/owners", form...); !strings.Contains(got, "1 was not compared: you may not reveal it.") {
			t.Errorf("%q, with the right to reveal those of user/a: %s", form, got)
		}
	}
	prints := func(b *browser) string {
		_, text, _ := strings.Cut(b.wantStatus(200, "POST", "/console/owners", self...), `data-label="Left">`)
		return text[:8]
	}
	if one, again, other := prints(root), prints(root), prints(s.signedInBy("root")); one != again || one == other {
		t.Errorf("the fingerprints of one session are %s and %s, of another one %s", one, again, other)
	}
}
