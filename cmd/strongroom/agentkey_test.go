package main_test

import (
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mustIssue runs a command that issues an API key, and returns the key.
func (i install) mustIssue(t *testing.T, args ...string) (key string) {
	t.Helper()
	return strings.TrimSpace(i.mustAdminister(t, args...))
}

const customValue = "/api/settings/secrets/TOKEN"

// An agent key allows a fixed number of reads, even if the server is killed. A
// counted read may have been lost with its connection, but the key never allows
// one read too many.
func TestAgentKeyNeverAllowsExtraReadsAfterKills(t *testing.T) {
	t.Parallel()
	const reads = 60
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"hunter2"}`)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"OTHER","value":"not for agents"}`)
	key := i.mustIssue(t, "agent-key", "create", theUser, "TOKEN", "--reads", fmt.Sprint(reads))
	header := "X-Session-API-Key: " + key
	var delivered atomic.Int64
	for kill := 0; ; kill++ {
		var here atomic.Int64
		until := int64(15) // reads before the server is killed
		if kill == 3 {
			until = reads // fewer reads are left
		}
		atOnce(8, func(int) {
			for here.Load() < until {
				a, err := p.try(t, "GET", customValue, header, "")
				switch {
				case err != nil:
					return // the server was killed
				case a.status == 200 && a.body == "hunter2":
					delivered.Add(1)
					if here.Add(1) == until {
						p.mustKill(t)
					}
				case a.status == 401 || a.status == 403: // no reads left
					return
				default:
					t.Errorf("got %d %s", a.status, a.body)
					return
				}
				if a, err := p.try(t, "GET", "/api/settings/secrets/OTHER", header, ""); err == nil && (a.status < 400 || strings.Contains(a.body, "agents")) {
					t.Errorf("reading another secret returned %d %s", a.status, a.body)
				}
			}
		})()
		if kill == 3 {
			break
		}
		p = mustServe(t, i)
	}
	if n := delivered.Load(); n > reads || n < reads-3*8 {
		t.Errorf("%d reads returned values, want %d, minus only those lost when the server was killed", n, reads)
	}
	p.want(t, 401, "GET", customValue, header, "")
	if out := i.mustAdminister(t, "agent-key", "list"); !strings.Contains(out, "was spent") || !strings.Contains(out, fmt.Sprintf("%d of %d", reads, reads)) {
		t.Errorf("the list shows\n%s", out)
	}
	onRecord := 0
	for line := range strings.Lines(i.mustAdminister(t, "audit", "export")) {
		if strings.Contains(line, `"key":"`+idIn(key)+`"`) && strings.Contains(line, `"action":"reveal"`) && strings.Contains(line, `"outcome":"done"`) {
			onRecord++
		}
	}
	if onRecord != reads {
		t.Errorf("the audit log has %d reads, want %d", onRecord, reads)
	}
}

func TestRevokedKeyReadsNothingOnceTheRevocationIsAcknowledged(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"hunter2"}`)
	for _, tc := range []struct {
		path   string
		revoke func(id string) []string
	}{
		{customValue, func(id string) []string { return []string{"agent-key", "revoke", "--yes", id} }},
		{"/api/v1/sandboxes/box/settings/secrets/TOKEN", func(string) []string { return []string{"agent-key", "revoke", "--yes", "--sandbox", "box"} }},
	} {
		key := i.mustIssue(t, "agent-key", "create", theUser, "TOKEN", "--sandbox", "box")
		header := "X-Session-API-Key: " + key
		p.want(t, 200, "GET", tc.path, header, "")
		p.want(t, 403, "GET", "/api/v1/sandboxes/another/settings/secrets/TOKEN", header, "")
		var revoked atomic.Bool
		wait := atOnce(8, func(int) {
			for over := false; !over; {
				over = revoked.Load()
				a := p.mustDo(t, "GET", tc.path, header, "")
				if over && a.status != 401 {
					t.Errorf("%s after its revocation: %d %s", tc.path, a.status, a.body)
				}
			}
		})
		i.mustAdminister(t, tc.revoke(idIn(key))...)
		revoked.Store(true)
		wait()
	}
}

// If a caller may not see a secret, the answer is the same as for a missing
// secret: the same status, headers and body.
func TestHiddenSecretLooksLikeAMissingOne(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"hid","data":[{"key":"k","value":"v"}]}`)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"hid","value":"v"}`)
	grantOn := func(owner string, names string) string {
		return "{actions: [list, create, write, delete, reveal], owner: " + owner + names + "}"
	}
	some := i.mustIssue(t, "apikey", "create", "--subject", "some", "--grant", grantOn(theApp, ", names: [x]"), "--grant", grantOn(theUser, ", names: [x]"))
	all := i.mustIssue(t, "apikey", "create", "--subject", "all", "--grant", grantOn(theApp, ""), "--grant", grantOn(theUser, ""))
	elsewhere := i.mustIssue(t, "apikey", "create", "--subject", "elsewhere", "--grant", grantOn("app/11111111-2222-3333-4444-555555555555", ""))
	seen := func(method, path, header, key, body string) map[string]string {
		t.Helper()
		a := p.mustDo(t, method, path, header+": "+key, body)
		h := maps.Clone(a.header)
		for _, differs := range []string{"Date", "X-Request-Id"} {
			h.Del(differs)
		}
		return map[string]string{"status": fmt.Sprint(a.status), "header": fmt.Sprint(h), "body": strings.ReplaceAll(a.body, "hid", "not")}
	}
	for _, tc := range []struct{ method, path, body, header string }{
		{"GET", app + "/NAME", "", "Authorization-PSK"},
		{"GET", app + "/NAME/reveal", "", "Authorization-PSK"},
		{"PUT", app + "/NAME", `{"data":[]}`, "Authorization-PSK"},
		{"DELETE", app + "/NAME", "", "Authorization-PSK"},
		{"PUT", "/api/secrets/NAME", `{"name":"NAME"}`, "X-Session-API-Key"},
		{"DELETE", "/api/secrets/NAME", "", "X-Session-API-Key"},
		{"GET", "/api/settings/secrets/NAME", "", "X-Session-API-Key"},
		{"DELETE", "/api/settings/secrets/NAME", "", "X-Session-API-Key"},
		{"PUT", "/api/v1/secrets/NAME", `{"name":"NAME"}`, "X-Session-API-Key"},
		{"DELETE", "/api/v1/secrets/NAME", "", "X-Session-API-Key"},
	} {
		ask := func(key, name string) map[string]string {
			t.Helper()
			return seen(tc.method, strings.ReplaceAll(tc.path, "NAME", name), tc.header, key, strings.ReplaceAll(tc.body, "NAME", name))
		}
		missing := ask(all, "not")
		if missing["status"] != "404" {
			t.Errorf("%s %s of a missing secret: %v", tc.method, tc.path, missing)
		}
		for _, name := range []string{"hid", "not"} {
			if diff := cmp.Diff(missing, ask(some, name)); diff != "" {
				t.Errorf("%s %s of %s (-missing +hidden):\n%s", tc.method, tc.path, name, diff)
			}
			if !strings.HasPrefix(tc.path, app) {
				continue
			}
			if diff := cmp.Diff(missing, ask(elsewhere, name)); diff != "" {
				t.Errorf("%s %s of %s in another app (-missing +hidden):\n%s", tc.method, tc.path, name, diff)
			}
		}
	}
}

func TestStrategyWithoutAKeysFileAcceptsOnlyIssuedKeys(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", ", keys_file: keys/psks.yaml", "")
	p := mustServe(t, i)
	key := i.mustIssue(t, "apikey", "create", "--subject", "ci", "--grant", "{actions: [list], owner: "+theApp+"}")
	p.want(t, 200, "GET", app, "Authorization-PSK: "+key, "")
	p.want(t, 401, "GET", app, i.pskHeader(), "")
	i.mustAdminister(t, "apikey", "revoke", "--yes", idIn(key))
	p.want(t, 401, "GET", app, "Authorization-PSK: "+key, "")
}

// An agent key for a mistyped name can read nothing.
func TestAgentKeyForAMissingSecretPrintsAWarning(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"hunter2"}`)
	r := i.administer(t, "agent-key", "create", theUser, "TOKEN", "TOKNE", "--for", "1d")
	const warning = `warning: no store has a secret "TOKNE" of user/default yet`
	if r.code != 0 || !strings.HasPrefix(r.stderr, warning+"\n") || strings.Count(r.stderr, "warning:") != 1 || !strings.HasPrefix(r.stdout, "srk_") {
		t.Errorf("exit code %d, stdout %d bytes, stderr\n%s", r.code, len(r.stdout), r.stderr)
	}
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKNE","value":"hunter3"}`)
	p.want(t, 200, "GET", "/api/settings/secrets/TOKNE", "X-Session-API-Key: "+strings.TrimSpace(r.stdout), "")
	if r := i.administer(t, "agent-key", "create", theUser, "TOKEN", "TOKNE"); strings.Contains(r.stderr, "warning:") {
		t.Errorf("both secrets exist, but the output is\n%s", r.stderr)
	}
}
