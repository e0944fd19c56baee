package main_test

import (
	"regexp"
	"strings"
	"testing"
)

// serveVault restarts the person's server with Vault's KV API, for the same keys. With admin they may
// administer.
func (p *person) serveVault(t *testing.T, admin bool) {
	t.Helper()
	_, session, _ := strings.Cut(mustRead(t, p.in.path("keys/session-keys.yaml")), "keys:\n")
	_, psks, _ := strings.Cut(mustRead(t, p.in.path("keys/psks.yaml")), "keys:\n")
	keys := "keys:\n" + session + psks
	if !admin {
		keys = strings.ReplaceAll(keys, ", admin]", "]")
	}
	mustWrite(t, p.in.path("keys/vault-keys.yaml"), keys)
	config := mustRead(t, p.in.config())
	if !strings.Contains(config, "X-Vault-Token") {
		config = strings.Replace(config, "\nauth:\n", "\nauth:\n  vault-token: {api_key: {header: X-Vault-Token, keys_file: keys/vault-keys.yaml}}\n", 1)
		config = strings.Replace(config, "\napis:\n", "\napis:\n  vault: {auth: [vault-token]}\n", 1)
		mustWrite(t, p.in.config(), config)
	}
	p.server.mustStop(t)
	p.restart(t)
}

func TestHistoryListsVersionsWhereTheServerTellsThem(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.useFast(t)
	p.mustSet(t, "one", "TOKEN")
	p.mustSet(t, "two", "TOKEN")
	p.mustSet(t, "pw", "shop", "db.PASSWORD")
	wantRefusal(t, p.run(t, "history", "TOKEN"), "TOKEN: this server tells clients nothing about versions, because its config has no apis.vault")
	p.serveVault(t, false)
	one := regexp.MustCompile(`^VERSION  CREATED\n2        20\S+Z\n$`)
	if out := p.must(t, "history", "TOKEN"); !one.MatchString(out) {
		t.Errorf("without the right to administer: %q", out)
	}
	wantRefusal(t, p.run(t, "history", "NONE"), "NONE: ")
	p.serveVault(t, true)
	both := regexp.MustCompile(`^VERSION  CREATED\n2        20\S+Z\n1        20\S+Z\n$`)
	if out := p.must(t, "history", "TOKEN"); !both.MatchString(out) {
		t.Errorf("with the right to administer: %q", out)
	}
	var versions []struct{ Version int }
	mustDecode(t, p.must(t, "history", "shop", "db", "-o", "json"), &versions)
	if len(versions) != 1 || versions[0].Version != 1 {
		t.Errorf("got %+v", versions)
	}
}
