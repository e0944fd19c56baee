package browsertest

import (
	"io"
	"strings"
	"testing"
)

func TestAnAgentGetsAKeyForTwoSecrets(t *testing.T) {
	s := startServer(t)
	for _, name := range []string{"ONE_TOKEN", "TWO_TOKEN", "THREE_TOKEN"} {
		s.send("POST", "/api/secrets", `{"name": "`+name+`", "value": "`+canary+`"}`)
	}
	b := newTab(t)
	s.signIn(b, s.session)
	b.click(`.owners a[href="/console?owner=user%2Fdefault"]`)
	b.waitFor("h1", "user/default")
	b.click(`a[href^="/console/agents/new"]`)
	b.waitFor("h1", "New agent key")
	b.click(`input[value=ONE_TOKEN]`)
	b.click(`input[value=TWO_TOKEN]`)
	b.fill("#reads", "2")
	b.fill("#subject", "builder")
	b.click("main button.primary")
	b.waitFor("[data-key-shown] output", "srk_")
	key := eval[string](b, `document.querySelector('[data-key-shown] output').textContent`)

	read := func(name string) (status int, body string) {
		resp := request(t, "GET", s.url+"/api/settings/secrets/"+name, "", "", "X-Session-API-Key", key)
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	if status, body := read("ONE_TOKEN"); status != 200 || body != canary {
		t.Errorf("the first secret: %d %s", status, body)
	}
	if status, _ := read("THREE_TOKEN"); status != 404 {
		t.Errorf("a secret that was not chosen: %d, want 404", status)
	}

	b.click("[data-key-shown] a")
	b.waitFor("td", "1 of 2")
	if strings.Contains(b.html(), key) {
		t.Error("the list has the key")
	}
	b.click("td.actions button")
	b.waitFor(".tag", "ended")
	if status, _ := read("TWO_TOKEN"); status != 401 {
		t.Errorf("after the revocation: %d, want 401", status)
	}

	// The audit log has all three reads, and the reason why the third one was refused.
	b.open(s.url + "/console/audit?verify=1")
	b.waitFor(".tag", "The chain is intact")
	b.waitFor("#entries", "agent-key create")
	b.waitFor("#entries", "console sign in")
	b.wantHidden("the audit log")
	b.open(s.url + "/console/audit?caller=builder&action=reveal&outcome=denied")
	b.click("#entries a.tag")
	b.waitFor("#why", "denied")
	b.waitFor("main", "so its grants are not known") // the key was revoked
	resp := request(t, "GET", s.url+"/console/audit/export?caller=builder", "", "")
	if resp.StatusCode != 303 {
		t.Errorf("an export without a session: %d, want 303", resp.StatusCode)
	}
	export := eval[string](b, `fetch('/console/audit/export?caller=builder&outcome=done').then(r => r.text())`)
	if !strings.Contains(export, `"name":"ONE_TOKEN"`) || strings.Contains(export, "sign in") {
		t.Errorf("the export: %s", export)
	}
}

func TestTheAuditLogIsFollowed(t *testing.T) {
	s := startServer(t)
	b := newTab(t)
	b.fastTimers()
	s.signIn(b, s.psk)
	b.open(s.url + "/console/audit")
	b.click("[data-follow]")
	s.store(shop, "new-secret", "PASSWORD", "long-and-random")
	b.waitFor("#entries", "new-secret")
}

// A caller sees only entries about the owners on which it has the right admin.
func TestTheAuditLogShowsOnlyWhatTheCallerAdministers(t *testing.T) {
	s := startServer(t)
	s.store(shop, "db", "PASSWORD", "long-and-random")
	s.store(billing, "ledger", "PASSWORD", "long-and-random")
	for _, tc := range []struct {
		name, actions, owner string
		sees, hidden         []string
	}{
		{"administrator of one app", "list,admin", "app/" + shop, []string{"db"}, []string{"ledger", "sign in"}},
		{"reader", "list,reveal", "app/" + shop, nil, []string{"db", "ledger", "sign in"}},
	} {
		out, err := strongroom(t, "apikey", "create", "--config", s.config, "--subject", tc.name,
			"--grant", "{actions: ["+tc.actions+"], owner: "+tc.owner+"}").Output()
		if err != nil {
			t.Fatalf("apikey create: %v: %s", err, out)
		}
		b := newTab(t)
		s.signIn(b, strings.TrimSpace(string(out)))
		b.open(s.url + "/console/audit")
		b.waitFor("h1", "")
		text := eval[string](b, `document.querySelector('#entries')?.textContent ?? ''`)
		for _, name := range tc.sees {
			if !strings.Contains(text, name) {
				t.Errorf("%s does not see %s: %s", tc.name, name, text)
			}
		}
		for _, name := range tc.hidden {
			if strings.Contains(text, name) {
				t.Errorf("%s sees %s: %s", tc.name, name, text)
			}
		}
	}
}

func TestAdministratorsSeeTheServerAndRevokeAPIKeys(t *testing.T) {
	s := startServer(t)
	out, err := strongroom(t, "apikey", "create", "--config", s.config, "--subject", "ci", "--grant", "{actions: [list], owner: app/"+shop+"}").Output()
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(out))
	b, other := newTab(t), newTab(t)
	s.signIn(other, key)
	other.open(s.url + "/console/server")
	other.waitFor("main", "You are not allowed to do that")
	s.signIn(b, s.psk)
	b.open(s.url + "/console/server?check=1")
	b.waitFor(".findings", "the chain is intact")
	b.waitFor(".facts", "embedded")
	b.click("td.actions button")
	b.waitFor("td .tag", "ended")
	other.open(s.url + "/console")
	other.waitFor("h1", "Sign in") // a revoked key ends its sessions
}
