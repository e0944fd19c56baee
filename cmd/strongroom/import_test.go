package main_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/auth/apikey"
)

// kept is a secrets.json as OpenHands 0.53.0 writes it, with all that its
// json.dumps escapes.
const kept = `{"provider_tokens": {"github": {"token": "ghp_imported", "host": "github.example", "user_id": null}, "gitlab": {"token": "glpat_imported", "host": null, "user_id": "7"}}, ` +
	`"custom_secrets": {"API_KEY": {"secret": " imp\u00f6rted \"$x\" ` + "`y`" + `\n\ud83d\udd11", "description": "prod"}, ` +
	`"with space": {"secret": "imported token\n", "description": null}, "EMPTY": {"secret": "", "description": ""}}}`

func TestASecretsFileOfOpenHandsIsTakenOver(t *testing.T) {
	i := mustInit(t)
	mustWrite(t, i.path("secrets.json"), kept)
	// Whose tokens they are can be read with a key for them, and with no other.
	tokens, id := apikey.Generate()
	mustWrite(t, i.path("keys/session-keys.yaml"), mustRead(t, i.path("keys/session-keys.yaml"))+fmt.Sprintf(
		"    - {id: %s, sha256: %s, subject: t, user: default/provider-tokens, grants: [{actions: [list, reveal], owner: user/default/provider-tokens}]}\n",
		id, apikey.HashOf(tokens)))
	want := `secret "API_KEY": imported to user/default
secret "EMPTY": imported to user/default; its value is shorter than 6 bytes
secret "with space": imported to user/default; its value ends with a newline
provider token "github": imported to user/default/provider-tokens
provider token "gitlab": imported to user/default/provider-tokens
the file still has the values as plain text, also of what was there already: delete it when nobody needs it any more
`
	if out := i.mustAdminister(t, "import", "openhands", i.path("secrets.json")); out != want {
		t.Errorf("it says\n%s\nwant\n%s", out, want)
	}
	p := mustServe(t, i)
	again := i.mustAdminister(t, "import", "openhands", i.path("secrets.json"))
	if strings.Count(again, "is there already, and stays as it is\n") != 5 {
		t.Errorf("the second time it says\n%s", again)
	}
	for _, tc := range []struct{ path, key, body string }{
		{"/api/secrets", i.sessionKey, `{"custom_secrets":[{"name":"API_KEY","description":"prod"},{"name":"EMPTY","description":""},{"name":"with space","description":""}]}`},
		{"/api/settings/secrets/API_KEY", i.sessionKey, " impörted \"$x\" `y`\n🔑"},
		{"/api/settings/secrets/EMPTY", i.sessionKey, ""},
		{"/api/settings/secrets", tokens, `{"secrets":[{"name":"github","description":"a provider token, set aside by strongroom import"},{"name":"gitlab","description":"a provider token, set aside by strongroom import"}]}`},
		{"/api/settings/secrets/github", tokens, "ghp_imported"},
		{"/api/settings/secrets/gitlab", tokens, "glpat_imported"},
	} {
		if a := p.want(t, 200, "GET", tc.path, "X-Session-API-Key: "+tc.key, ""); a.body != tc.body {
			t.Errorf("%s: %s\nwant %s", tc.path, a.body, tc.body)
		}
	}
	p.want(t, 404, "GET", "/api/settings/secrets/github", i.sessionHeader(), "")
	if history := i.mustAdminister(t, "secret", "history", "user/default/provider-tokens", "github"); !strings.Contains(history, "host,value") {
		t.Errorf("of the token there is\n%s", history)
	}
	if log := i.mustAdminister(t, "audit", "tail"); !strings.Contains(log, `"action":"import"`) || strings.Contains(log, "imported") {
		t.Errorf("on record is\n%s", log)
	}
}

// Nothing is dropped in silence, and one that cannot be had is no reason to
// leave the others behind.
func TestWhatCannotBeTakenOverIsNamed(t *testing.T) {
	i := mustInit(t)
	mustWrite(t, i.path("secrets.json"), `{"provider_tokens": {"github": 5}, "secrets_store": {}, "custom_secrets": {"GOOD": {"secret": "imported"},
		"a/b": {"secret": "imported"}, "LOST": {"secret": "**********"}, "NONE": {"description": "d"}, "TEXT": "imported", "NUMBER": {"secret": 5},
		"LARGE": {"secret": "`+strings.Repeat("x", 1<<20+1)+`"}, "HUGE": {"secret": "`+strings.Repeat("x", 5<<20)+`"}}}`)
	r := i.administer(t, "import", "openhands", "--user", "alice", i.path("secrets.json"))
	want := `secret "GOOD": imported to user/alice
secret "HUGE": not imported: Request Entity Too Large
secret "LARGE": not imported: data: must not have more than 1 MiB of values
secret "LOST": not imported: its value is nothing but asterisks, in whose place OpenHands had the real one
secret "NONE": not imported: it has no value
secret "NUMBER": not imported: it has no value
secret "TEXT": not imported: it has no value
secret "a/b": not imported: name: must not contain slashes or control characters
provider token "github": not imported: it is no token
not looked at: "secrets_store"
`
	if r.code != 1 || r.stdout != want || r.stderr != "strongroom: 8 of 9 were not imported\n" {
		t.Errorf("exit code %d, stdout\n%s\nwant\n%s\nstderr %s", r.code, r.stdout, want, r.stderr)
	}
}

func TestWhatIsNoSecretsFileIsRefused(t *testing.T) {
	i := mustInit(t)
	for name, text := range map[string]string{
		"not JSON": "hunter2", "half of it": kept[:100], "a list": `["hunter2"]`, "secrets that are none": `{"custom_secrets": "hunter2"}`,
		"a name twice": `{"custom_secrets": {"A": {"secret": "hunter2"}, "A": {"secret": "hunter3"}}}`, "not UTF-8": "{\"custom_secrets\": {\"hunter2\xff\": {}}}",
	} {
		mustWrite(t, i.path("secrets.json"), text)
		r := i.administer(t, "import", "openhands", i.path("secrets.json"))
		wantRefusal(t, r, "secrets.json: it is not a secrets.json of OpenHands")
		if strings.Contains(r.stderr, "hunter") {
			t.Errorf("%s: it says %s", name, r.stderr)
		}
	}
	mustWork(t, os.Remove(i.path("secrets.json")))
	wantRefusal(t, i.administer(t, "import", "openhands", i.path("secrets.json")), "secrets.json: no such file")
	wantRefusal(t, i.administer(t, "import", "openhands"), "accepts 1 arg(s)")
}
