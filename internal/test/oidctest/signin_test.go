package oidctest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A person uses the client commands, with a browser that logs in as a user of the provider.
type person struct {
	home, url string
	env       []string
}

func newPerson(t *testing.T, s *server) *person {
	t.Helper()
	return &person{home: t.TempDir(), url: "http://" + s.address}
}

// browseAs makes the person's browser log in at the provider as this user.
func (p *person) browseAs(t *testing.T, user string) {
	t.Helper()
	p.browse(t, `"$1&login=`+user+`"`)
}

// browse makes the person's browser open an address, which the shell expands with the
// requested one as $1. It follows all redirects.
func (p *person) browse(t *testing.T, address string) {
	t.Helper()
	script := filepath.Join(p.home, "browser")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ncurl -s -L -o "+script+".page "+address+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"BROWSER=" + script}
}

func (p *person) command(t *testing.T, args ...string) (cmd *exec.Cmd, out *lockedBuffer) {
	t.Helper()
	cmd, out = command(t, "strongroom", args...), &lockedBuffer{}
	cmd.Env = append([]string{"HOME=" + p.home, "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, p.env...)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// run returns the output, and whether the command has succeeded.
func (p *person) run(t *testing.T, args ...string) (string, bool) {
	t.Helper()
	cmd, out := p.command(t, args...)
	err := cmd.Run()
	if strings.Contains(out.String(), "eyJ") {
		t.Errorf("strongroom %s printed a token:\n%s", strings.Join(args, " "), out)
	}
	return out.String(), err == nil
}

func (p *person) want(t *testing.T, text string, args ...string) {
	t.Helper()
	if out, ok := p.run(t, args...); !ok || !strings.Contains(out, text) {
		t.Fatalf("strongroom %s: want %q, got\n%s", strings.Join(args, " "), text, out)
	}
}

func (p *person) wantRefusal(t *testing.T, text string, args ...string) {
	t.Helper()
	if out, ok := p.run(t, args...); ok || !strings.Contains(out, text) {
		t.Errorf("strongroom %s: want the error %q, got\n%s", strings.Join(args, " "), text, out)
	}
}

// credential returns the stored credential.
func (p *person) credential(t *testing.T) (file string, c map[string]any) {
	t.Helper()
	file = filepath.Join(p.home, ".config/strongroom/credentials.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return file, all["default"]
}

// wantCopies checks the number of copies of run --fallback.
func (p *person) wantCopies(t *testing.T, n int) {
	t.Helper()
	if paths, err := filepath.Glob(filepath.Join(p.home, ".cache/strongroom/fallback/*/*")); err != nil || len(paths) != n {
		t.Errorf("there are the copies %q, want %d: %v", paths, n, err)
	}
}

// change replaces a field of the stored credential.
func (p *person) change(t *testing.T, field string, value any) {
	t.Helper()
	file, c := p.credential(t)
	c[field] = value
	text, err := json.Marshal(map[string]any{"default": c})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A lockedBuffer is written by a command while the test reads it.
type lockedBuffer struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// mustShow waits until the output matches, and returns the submatch.
func (b *lockedBuffer) mustShow(t *testing.T, pattern string) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(b.String()); found != nil {
			return found[len(found)-1]
		}
	}
	t.Fatalf("the output lacks %s:\n%s", pattern, b)
	return ""
}

func TestPersonSignsInByBrowserAndStaysSignedIn(t *testing.T) {
	provider := startProvider(t)
	s := startServer(t, provider.issuer)
	p := newPerson(t, s)
	p.browseAs(t, "alice")
	p.want(t, "logged in for custom secrets", "login", p.url)
	page, err := os.ReadFile(filepath.Join(p.home, "browser.page"))
	if err != nil || !strings.Contains(string(page), "You are signed in.") {
		t.Errorf("the browser shows %q, %v", page, err)
	}
	p.want(t, "a sign-in at "+provider.issuer, "whoami")
	set, _ := p.command(t, "set", "TOKEN", "--stdin")
	set.Stdin = strings.NewReader("ghp_x")
	if err := set.Run(); err != nil {
		t.Fatal(err)
	}
	p.want(t, "ghp_x", "get", "TOKEN")
	p.want(t, "ghp_x", "get", "user/id-of-alice", "TOKEN")
	p.wantRefusal(t, "no profile is of user/id-of-bob", "get", "user/id-of-bob", "TOKEN")

	// A token that is about to expire is renewed, once, and both tokens are replaced.
	_, before := p.credential(t)
	p.change(t, "expires", time.Now().Add(-time.Minute))
	var commands []*exec.Cmd
	for range 4 {
		cmd, _ := p.command(t, "get", "TOKEN")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		commands = append(commands, cmd)
	}
	for _, cmd := range commands {
		if err := cmd.Wait(); err != nil {
			t.Errorf("while others renew the token: %v: %v", err, cmd.Stdout)
		}
	}
	_, after := p.credential(t)
	if after["token"] == before["token"] || after["refresh"] == before["refresh"] {
		t.Error("the tokens have not been renewed")
	}

	// A refresh token that the provider has ended.
	p.want(t, "", "run", "--fallback", "1h", "--", "true")
	p.wantCopies(t, 1)
	p.change(t, "expires", time.Now().Add(-time.Minute))
	p.change(t, "refresh", before["refresh"])
	p.wantRefusal(t, "the sign-in has ended: strongroom login "+p.url, "get", "TOKEN")
	p.wantRefusal(t, "the sign-in has ended: strongroom login "+p.url, "run", "--fallback", "1h", "--", "true")
	p.wantCopies(t, 0)
	p.change(t, "refresh", "")
	p.wantRefusal(t, "the sign-in has expired: strongroom login "+p.url, "get", "TOKEN")
}

func TestLogoutRevokesTheRefreshToken(t *testing.T) {
	provider := startProvider(t)
	p := newPerson(t, startServer(t, provider.issuer))
	p.browseAs(t, "alice")
	p.want(t, "logged in", "login", p.url)
	_, c := p.credential(t)
	if out, ok := p.run(t, "logout"); !ok || out != "" {
		t.Fatalf("logout: %s", out)
	}
	resp, err := http.PostForm(provider.issuer+"/protocol/openid-connect/token", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {"portal"}, "refresh_token": {c["refresh"].(string)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusBadRequest || !bytes.Contains(text, []byte("invalid_grant")) {
		t.Errorf("the refresh token still works after the logout: %s", resp.Status)
	}
	p.wantRefusal(t, "not logged in", "ls")
}

func TestPersonSignsInByDeviceCode(t *testing.T) {
	provider := startProvider(t)
	p := newPerson(t, startServer(t, provider.issuer))
	for _, tc := range []struct {
		user, says string
		args       []string
	}{
		{"alice", "logged in for app secrets", []string{"--device"}},
		{"bob", "logged in for custom secrets", nil}, // there is no browser
		{"-", "the sign-in was refused", []string{"--device"}},
	} {
		cmd, out := p.command(t, append([]string{"login", p.url}, tc.args...)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		page := out.mustShow(t, `or open (\S+)`)
		code := out.mustShow(t, `type the code (\S+)`)
		if !strings.HasSuffix(page, code) || !strings.HasPrefix(page, provider.issuer) {
			t.Errorf("the address is %s and the code %s", page, code)
		}
		resp, err := http.Get(page + "&login=" + tc.user)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		err = cmd.Wait()
		if (err == nil) != (tc.user != "-") || !strings.Contains(out.String(), tc.says) {
			t.Errorf("%s: %v\n%s", tc.user, err, out)
		}
	}
}

// Other pages and programs of the machine can send requests to the loopback address.
func TestSignInTakesOnlyTheAnswerToItsOwnRequest(t *testing.T) {
	provider := startProvider(t)
	s := startServer(t, provider.issuer)
	p := newPerson(t, s)
	script := filepath.Join(p.home, "browser")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"BROWSER=" + script}
	cmd, out := p.command(t, "login", p.url)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sent, err := url.Parse(out.mustShow(t, `(?m)^(http://127\S+/auth\?\S+)`))
	if err != nil {
		t.Fatal(err)
	}
	q := sent.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) < 43 || len(q.Get("state")) < 40 || len(q.Get("nonce")) < 40 {
		t.Errorf("the request lacks PKCE, a state or a nonce: %v", q)
	}
	back := q.Get("redirect_uri")
	get := func(address, host string) int {
		req, err := http.NewRequest(http.MethodGet, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	for _, tc := range []struct {
		what, address, host string
		status              int
	}{
		{"no state", back + "?code=x", "", 400},
		{"another state", back + "?code=x&state=x", "", 400},
		{"an error with another state", back + "?error=access_denied&state=x", "", 400},
		{"another path", strings.TrimSuffix(back, "/callback") + "/?code=x&state=" + q.Get("state"), "", 404},
		{"another host", back + "?code=x&state=" + q.Get("state"), "evil.example", 404},
	} {
		if got := get(tc.address, tc.host); got != tc.status {
			t.Errorf("%s: %d, want %d", tc.what, got, tc.status)
		}
	}
	// A code of another sign-in has another code challenge.
	other := q
	other.Set("login", "bob")
	other.Set("state", "state-of-another")
	other.Set("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
	resp, err := http.DefaultTransport.RoundTrip(mustRequest(t, sent.Scheme+"://"+sent.Host+sent.Path+"?"+other.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	location, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	get(back+"?"+url.Values{"code": {location.Query().Get("code")}, "state": {sent.Query().Get("state")}}.Encode(), "")
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "exchanging the code for tokens") {
		t.Errorf("the code of another sign-in was accepted: %v\n%s", err, out)
	}
}

func mustRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestSignInIsRefusedWhereItCannotBeTrusted(t *testing.T) {
	provider := startProvider(t)
	s := startServer(t, provider.issuer)
	p := newPerson(t, s)
	p.browseAs(t, "mallory") // unknown to the provider
	p.wantRefusal(t, "the identity provider refuses: ", "login", p.url)
	p.browse(t, `"$(echo "$1" | sed s/nonce=[^\&]*/nonce=of-another-sign-in/)&login=alice"`)
	p.wantRefusal(t, "the identity provider's ID token is of another sign-in (nonce)", "login", p.url)
	p.browseAs(t, "alice")
	p.wantRefusal(t, "http would send the credential unencrypted", "login", p.url, "--issuer", "http://sso.example", "--client-id", "portal")
	p.wantRefusal(t, "asking the identity provider", "login", p.url, "--issuer", provider.issuer+"/other", "--client-id", "portal")
	p.wantRefusal(t, "the server does not publish the issuer", "login", p.url, "--issuer", provider.issuer+"/other")
	p.wantRefusal(t, "the server does not accept the access token", "login", p.url, "--issuer", provider.issuer, "--client-id", "shop") // of another audience
	p.wantRefusal(t, "--client-id: needs --issuer", "login", p.url, "--client-id", "shop")
	p.want(t, "asks you to sign in at "+provider.issuer+" as the client portal.", "login", p.url, "--issuer", provider.issuer, "--client-id", "portal")

	// The server names another provider than before.
	config := filepath.Join(p.home, ".config/strongroom/client.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	before := strings.ReplaceAll(string(text), "issuer: "+provider.issuer, "issuer: https://sso.example")
	if before == string(text) {
		t.Fatalf("the profile has no issuer:\n%s", text)
	}
	if err := os.WriteFile(config, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	p.wantRefusal(t, "the server names another identity provider than at the last login", "login", p.url)
	p.want(t, "logged in", "login", p.url, "--issuer", provider.issuer)
}
