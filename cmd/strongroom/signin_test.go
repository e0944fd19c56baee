package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The server may be hostile by now: with another client or with more scopes it would get tokens that are good
// elsewhere.
func TestLoginRefusesAnotherSignInThanTheLast(t *testing.T) {
	t.Parallel()
	const (
		issuer, other = "http://127.0.0.1:1", "http://127.0.0.1:2"
		goesOn        = "asking the identity provider: "
		client        = "the server names another client at the identity provider than at the last login: "
		scope         = "the server asks for more scopes than at the last login: "
	)
	for _, tc := range []struct{ issuer, client, scopes, args, says string }{
		{issuer, "portal", "openid secrets", "", goesOn},
		{issuer, "portal", "secrets", "", goesOn},
		{issuer, "portal", "", "", goesOn},
		{issuer, "portal", "openid offline_access secrets", "", goesOn},
		{other, "portal", "openid secrets", "", "the server names another identity provider than at the last login: "},
		{other, "shop", "openid mail", "--issuer " + other, goesOn},
		{issuer, "shop", "openid secrets", "", client + "shop, then portal. If that is right, add --issuer and --client-id"},
		{issuer, "shop", "openid secrets", "--issuer " + issuer, client},
		{issuer, "shop", "openid secrets", "--scope secrets", client},
		{issuer, "shop", "openid secrets", "--issuer " + issuer + " --client-id shop", goesOn},
		{issuer, "portal", "openid mail secrets", "", scope + "mail. If that is right, name all of them with --scope"},
		{issuer, "portal", "openid mail secrets", "--issuer " + issuer, scope},
		{issuer, "portal", "openid mail secrets", "--scope openid --scope mail", goesOn},
	} {
		published := fmt.Sprintf(`{"sign_in":[{"issuer":%q,"client_id":%q,"scopes":["%s"]}]}`, tc.issuer, tc.client, strings.Join(strings.Fields(tc.scopes), `","`))
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.ReplaceAll(published, `[""]`, "[]")))
		}))
		p := person{home: mustTempDir(t)}
		mustWork(t, os.MkdirAll(filepath.Join(p.home, ".config/strongroom"), 0o700))
		mustWrite(t, filepath.Join(p.home, ".config/strongroom/client.yaml"),
			"profiles:\n  default:\n    url: "+s.URL+"\n    sign_in: {issuer: "+issuer+", client_id: portal, scopes: [openid, secrets]}\n")
		r := p.run(t, append([]string{"login", s.URL}, strings.Fields(tc.args)...)...)
		if r.code == 0 || !strings.Contains(r.stderr, tc.says) {
			t.Errorf("%s %s: %q, want %q", published, tc.args, r.stderr, tc.says)
		}
		s.Close()
	}
}

// Otherwise a renewal could bring back a credential after a logout, and a login could undo the renewal of
// another profile.
func TestLoginAndLogoutWaitForARenewal(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	file := filepath.Join(p.home, ".config/strongroom/credentials.json")
	renewed := strings.Replace(mustRead(t, file), `"custom":`, `"refresh":"renewed","custom":`, 1)
	for _, tc := range []struct {
		has, lacks string
		args       []string
	}{
		{`"second":`, "none", []string{"login", "http://" + p.server.address, "--profile", "second", "--stdin"}},
		{`"second":`, `"default":`, []string{"logout", "--profile", "default"}},
	} {
		p.mustRunDuring(t, func() { mustWrite(t, file, renewed) }, tc.args...)
		text := mustRead(t, file)
		if !strings.Contains(text, tc.has) || strings.Contains(text, tc.lacks) {
			t.Errorf("after %s and a renewal, the credentials are\n%s", tc.args[0], text)
		}
		if tc.args[0] == "login" && !strings.Contains(text, `"refresh":"renewed"`) {
			t.Error("login has undone the renewal")
		}
		renewed = text
	}
}

func TestLoginAndAliasKeepTheProfileOfAnotherLogin(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	file := filepath.Join(p.home, ".config/strongroom/client.yaml")
	url := "http://" + p.server.address
	for name, args := range map[string][]string{
		"second": {"login", url, "--profile", "second", "--stdin"},
		"third":  {"alias", "third", "app/0f8fad5b-d9cb-469f-a165-70867728950e"},
	} {
		other := strings.Replace(mustRead(t, file), "profiles:", "profiles:\n  other-"+args[0]+": {url: \""+url+"\"}", 1)
		p.mustRunDuring(t, func() { mustWrite(t, file, other) }, args...)
		if text := mustRead(t, file); !strings.Contains(text, "other-"+args[0]) || !strings.Contains(text, name+":") {
			t.Errorf("after %s and another login, the profiles are\n%s", args[0], text)
		}
	}
}

// mustRunDuring runs a command while another process changes the client's files under their lock.
func (p person) mustRunDuring(t *testing.T, change func(), args ...string) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(p.home, ".config/strongroom/credentials.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	mustWork(t, err)
	mustWork(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX))
	cmd := p.command(t, args...)
	cmd.Stdin = strings.NewReader(p.in.psk)
	mustWork(t, cmd.Start())
	time.Sleep(2 * time.Second) // the command needs time to do wrong
	change()
	mustWork(t, lock.Close())
	mustWork(t, cmd.Wait())
}

func TestLogoutRemovesTheCredentialEvenIfCopiesRemain(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.env = []string{"XDG_CACHE_HOME=relative"} // there is no such place for copies
	wantRefusal(t, p.run(t, "logout"), "XDG_CACHE_HOME")
	wantRefusal(t, p.run(t, "ls"), "not logged in")
}
