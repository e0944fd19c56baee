package main_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/auth/apikey"
)

// kept is a secrets.json in the format of OpenHands 0.53.0, with all the
// escapes of Python's json.dumps.
const kept = `{"provider_tokens": {"github": {"token": "ghp_imported", "host": "github.example", "user_id": null}, "gitlab": {"token": "glpat_imported", "host": null, "user_id": "7"}}, ` +
	`"custom_secrets": {"API_KEY": {"secret": " imp\u00f6rted \"$x\" ` + "`y`" + `\n\ud83d\udd11", "description": "prod"}, ` +
	`"with space": {"secret": "imported token\n", "description": null}, "EMPTY": {"secret": "", "description": ""}}}`

func TestOpenHandsSecretsFileIsImported(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWrite(t, i.path("secrets.json"), kept)
	// Only the API key of their user can read the imported tokens.
	tokens, id := apikey.Generate()
	mustWrite(t, i.path("keys/session-keys.yaml"), mustRead(t, i.path("keys/session-keys.yaml"))+fmt.Sprintf(
		"    - {id: %s, sha256: %s, subject: t, user: default/provider-tokens, grants: [{actions: [list, reveal], owner: user/default/provider-tokens}]}\n",
		id, apikey.HashOf(tokens)))
	want := `secret "API_KEY": imported to user/default; its value begins or ends with a blank: leave it out
secret "EMPTY": imported to user/default; its value is shorter than 6 bytes: agents will mask it in everything they print
secret "with space": imported to user/default; its name has a blank or an equals sign, so it cannot be an environment variable: use letters, digits and underscores; its value ends with a newline: leave it out
provider token "github": imported to user/default/provider-tokens
provider token "gitlab": imported to user/default/provider-tokens
the file still has the values: delete it when nothing needs it any more
`
	if out := i.mustAdminister(t, "secret", "import", "openhands", i.path("secrets.json")); out != want {
		t.Errorf("the output is\n%s\nwant\n%s", out, want)
	}
	p := mustServe(t, i)
	again := i.mustAdminister(t, "secret", "import", "openhands", i.path("secrets.json"))
	if strings.Count(again, "already exists and is not changed\n") != 5 || !strings.Contains(again, "\nthe file still has the values: before you delete it, ") {
		t.Errorf("the second output is\n%s", again)
	}
	for _, tc := range []struct{ path, key, body string }{
		{"/api/secrets", i.sessionKey, `{"custom_secrets":[{"name":"API_KEY","description":"prod"},{"name":"EMPTY","description":""},{"name":"with space","description":""}]}`},
		{"/api/settings/secrets/API_KEY", i.sessionKey, " impörted \"$x\" `y`\n🔑"},
		{"/api/settings/secrets/EMPTY", i.sessionKey, ""},
		{"/api/settings/secrets", tokens, `{"secrets":[{"name":"github","description":"a provider token, imported by strongroom"},{"name":"gitlab","description":"a provider token, imported by strongroom"}]}`},
		{"/api/settings/secrets/github", tokens, "ghp_imported"},
		{"/api/settings/secrets/gitlab", tokens, "glpat_imported"},
	} {
		if a := p.want(t, 200, "GET", tc.path, "X-Session-API-Key: "+tc.key, ""); a.body != tc.body {
			t.Errorf("%s: %s\nwant %s", tc.path, a.body, tc.body)
		}
	}
	p.want(t, 404, "GET", "/api/settings/secrets/github", i.sessionHeader(), "")
	if history := i.mustAdminister(t, "secret", "history", "user/default/provider-tokens", "github"); !strings.Contains(history, "host,value") {
		t.Errorf("the history of the token is\n%s", history)
	}
	if log := i.mustAdminister(t, "audit", "tail"); !strings.Contains(log, `"action":"import"`) || strings.Contains(log, "imported") {
		t.Errorf("the audit log is\n%s", log)
	}
}

// No entry is skipped silently, and one that cannot be imported does not stop
// the rest.
func TestSecretsThatCannotBeImportedAreListed(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWrite(t, i.path("secrets.json"), `{"provider_tokens": {"bitbucket": {}, "forgejo": {"token": null, "host": "git.example"}, "github": 5, "gitlab": {"token": "imported"}}, "secrets_store": {}, "custom_secrets": {"GOOD": {"secret": "imported"},
		"a/b": {"secret": "imported"}, "LOST": {"secret": "**********"}, "NONE": {"description": "d"}, "TEXT": "imported", "NUMBER": {"secret": 5},
		"LARGE": {"secret": "`+strings.Repeat("x", 1<<20+1)+`"}, "HUGE": {"secret": "`+strings.Repeat("x", 5<<20)+`"}}}`)
	r := i.administer(t, "secret", "import", "openhands", "--user", "alice", i.path("secrets.json"))
	want := `secret "GOOD": imported to user/alice
secret "HUGE": not imported: Request Entity Too Large
secret "LARGE": not imported: data: must not have more than 1 MiB of values
secret "LOST": not imported: its value is only asterisks, the mask of OpenHands
secret "NONE": not imported: it has no value
secret "NUMBER": not imported: it has no value
secret "TEXT": not imported: it has no value
secret "a/b": not imported: name: must not contain slashes or control characters
provider token "bitbucket": not imported: it has no token
provider token "forgejo": not imported: it has no token
provider token "github": not imported: it has no token
provider token "gitlab": imported to user/alice/provider-tokens
unknown member, not imported: "secrets_store"
`
	if r.code != 1 || r.stdout != want || r.stderr != "strongroom: 10 of 12 were not imported: keep the file\n" {
		t.Errorf("exit code %d, stdout\n%s\nwant\n%s\nstderr %s", r.code, r.stdout, want, r.stderr)
	}
}

// A file of the agent server, made by its Cipher with cryptography 48.0.0.
const encrypted = `{"custom_secrets": {
	"CURRENT": {"name": "CURRENT", "secret": "gAAAAABrC2YzFlUgGC5V_PC0WqdBEKFxk_TDSwuaYX2VPgfKu4cugR_9Wa6Npaj6755L5-yJBwlukdUyu9e6QXySXNj4NSTSWg==", "description": "d"},
	"EARLIER": {"name": "EARLIER", "secret": "gAAAAABrC2YzcWkwv6ZJ17fW6lykB84nOWBmKbZ2Md6h8qHZL53Fx9rFi8dL4nl_ir9elvLpYpKpDZVKNjguswCrM69koKpNhA==", "description": null},
	"PLAIN": {"name": "PLAIN", "secret": "opened zero", "description": null}}, "_credential_versions": {"CURRENT": "1"}}`

func TestEncryptedValuesAreNotImportedWithoutTheirKey(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWrite(t, i.path("secrets.json"), encrypted)
	mustWrite(t, i.path("earlier.txt"), "\nearlier key\r\n")
	r := i.administer(t, "secret", "import", "openhands", i.path("secrets.json"))
	want := `secret "CURRENT": not imported: its value is encrypted: name a file with OH_SECRET_KEY with --secret-key-file
secret "EARLIER": not imported: its value is encrypted: name a file with OH_SECRET_KEY with --secret-key-file
secret "PLAIN": imported to user/default
`
	if r.code != 1 || r.stdout != want || r.stderr != "strongroom: 2 of 3 were not imported: keep the file\n" {
		t.Errorf("exit code %d, stdout\n%s\nwant\n%s\nstderr %s", r.code, r.stdout, want, r.stderr)
	}
	r = i.administer(t, "secret", "import", "openhands", i.path("secrets.json"), "--secret-key-file", i.path("earlier.txt"))
	want = `secret "CURRENT": not imported: its value is encrypted under a key that is not in --secret-key-file
secret "EARLIER": imported to user/default
secret "PLAIN": already exists and is not changed
`
	if r.code != 1 || r.stdout != want || r.stderr != "strongroom: 1 of 3 were not imported: keep the file\n" {
		t.Errorf("exit code %d, stdout\n%s\nwant\n%s\nstderr %s", r.code, r.stdout, want, r.stderr)
	}
}

func TestEncryptedValuesAreDecryptedWithTheirKeys(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWrite(t, i.path("secrets.json"), encrypted)
	mustWrite(t, i.path("current.txt"), "current key")
	mustWrite(t, i.path("earlier.txt"), "another key\nearlier key\n")
	out := i.mustAdminister(t, "secret", "import", "openhands", i.path("secrets.json"), "--secret-key-file", i.path("current.txt"), "--secret-key-file", i.path("earlier.txt"))
	if !strings.HasSuffix(out, "\nthe file still has the values: delete it when nothing needs it any more\n") {
		t.Errorf("the output is\n%s", out)
	}
	p := mustServe(t, i)
	for name, want := range map[string]string{"CURRENT": "opened one", "EARLIER": "opened two", "PLAIN": "opened zero"} {
		if a := p.want(t, 200, "GET", "/api/settings/secrets/"+name, i.sessionHeader(), ""); a.body != want {
			t.Errorf("%s: %q, want %q", name, a.body, want)
		}
	}
	mustWrite(t, i.path("empty.txt"), " \n")
	wantRefusal(t, i.administer(t, "secret", "import", "openhands", i.path("secrets.json"), "--secret-key-file", i.path("empty.txt")), "--secret-key-file: there is no key in ")
	wantRefusal(t, i.administer(t, "secret", "import", "openhands", i.path("secrets.json"), "--secret-key-file", i.path("none.txt")), "no such file")
}

// A skipped entry may be the only copy.
func TestPartlyImportedFileMustNotBeDeleted(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWrite(t, i.path("secrets.json"), `{"custom_secrets": {"GOOD": {"secret": "imported"}}, "more": {"BETTER": {"secret": "not imported"}}}`)
	out := i.mustAdminister(t, "secret", "import", "openhands", i.path("secrets.json"))
	if strings.Contains(out, "delete") || !strings.HasSuffix(out, "unknown member, not imported: \"more\"\nkeep the file: it has members that were not imported\n") {
		t.Errorf("the output is\n%s", out)
	}
}

func TestImportRejectsOtherFiles(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	for name, text := range map[string]string{
		"not JSON": "hunter2", "half of it": kept[:100], "a list": `["hunter2"]`, "secrets that are none": `{"custom_secrets": "hunter2"}`,
		"a name twice": `{"custom_secrets": {"A": {"secret": "hunter2"}, "A": {"secret": "hunter3"}}}`, "not UTF-8": "{\"custom_secrets\": {\"hunter2\xff\": {}}}",
	} {
		mustWrite(t, i.path("secrets.json"), text)
		r := i.administer(t, "secret", "import", "openhands", i.path("secrets.json"))
		wantRefusal(t, r, "secrets.json: it is not a secrets.json of OpenHands")
		if strings.Contains(r.stderr, "hunter") {
			t.Errorf("%s: the error is %s", name, r.stderr)
		}
	}
	mustWork(t, os.Remove(i.path("secrets.json")))
	wantRefusal(t, i.administer(t, "secret", "import", "openhands", i.path("secrets.json")), "secrets.json: no such file")
	wantRefusal(t, i.administer(t, "secret", "import", "openhands"), "accepts 1 arg(s)")
}
