// Package oidctest runs Strongroom against a real OpenID provider, ory/fosite in
// a process of its own: logins, services, and keys that change under load. It is
// a module of its own, as what the provider needs has no business in Strongroom's.
package oidctest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// programs builds Strongroom and the provider as they are in the tree, once.
// They lie beside the test binary, with which go test removes them.
var programs = sync.OnceValues(func() (dir string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir = filepath.Dir(self)
	for _, p := range []struct{ name, module, pkg string }{
		{"strongroom", "../..", "./cmd/strongroom"},
		{"provider", ".", "./provider"},
	} {
		build := exec.Command("go", "build", "-race", "-o", filepath.Join(dir, p.name), p.pkg)
		build.Dir = p.module
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w\n%s", p.name, err, out)
		}
	}
	return dir, nil
})

// command is one of the programs. Left to itself, the race detector sleeps for
// a second before a process exits.
func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, name), args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// A provider is the OpenID provider, in a process of its own.
type provider struct{ issuer string }

// startProvider starts one that ends with the test.
func startProvider(t *testing.T) *provider {
	t.Helper()
	cmd := command(t, "provider")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the provider ended badly: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider does not say where it is: %v", err)
	}
	return &provider{strings.TrimSpace(line)}
}

// tell has the provider do something with its keys.
func (p *provider) tell(t *testing.T, what string) {
	t.Helper()
	at, _, _ := strings.Cut(p.issuer, "/realms")
	resp, err := http.Post(at+"/"+what, "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", what, resp.Status)
	}
}

// A server is Strongroom, in a process of its own.
type server struct {
	address string
	psk     string // the key that init printed for Nx1
}

// startServer starts one that takes tokens of the issuer, beside what init
// made. It ends with the test, and must not have had anything to complain of.
func startServer(t *testing.T, issuer string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "oidc") // for a socket's path may only have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	out, err := command(t, "strongroom", "init", "--dir", dir).Output()
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	_, psk, _ := strings.Cut(string(out), "Authorization-PSK: ")
	config := filepath.Join(dir, "strongroom.yaml")
	takeTokens(t, config, issuer)
	cmd := command(t, "strongroom", "serve", "--config", config, "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	address, said := listening(lines)
	log := follow(lines)
	t.Cleanup(func() { stop(t, cmd, log) })
	if address == "" {
		t.Fatalf("serve said %s", said)
	}
	return &server{address, strings.TrimSpace(psk)}
}

// takeTokens adds the issuer to the config, for both APIs.
func takeTokens(t *testing.T, config, issuer string) {
	t.Helper()
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	edited := string(text)
	for _, edit := range [][2]string{
		{"\nauth:\n", fmt.Sprintf(`
auth:
  sso:
    oidc:
      issuer: %s
      audience: strongroom
      roles:
        nx1_app_manager: [{actions: [list, create, write, delete], owner: app/*}]
        offline_access: [{actions: [list, create, write, delete], owner: self}]
`, issuer)},
		{"openhands: {store: embedded, auth: [session-key]", "openhands: {store: embedded, auth: [sso, session-key]"},
		{"nx1: {store: embedded, auth: [psk]", "nx1: {store: embedded, auth: [sso, psk]"},
	} {
		if strings.Count(edited, edit[0]) != 1 {
			t.Fatalf("the config must have %q once:\n%s", edit[0], edited)
		}
		edited = strings.Replace(edited, edit[0], edit[1], 1)
	}
	if err := os.WriteFile(config, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
}

// listening reads the log until it says where the server listens.
func listening(lines *bufio.Reader) (address, said string) {
	for {
		line, err := lines.ReadString('\n')
		said += line
		if _, rest, ok := strings.Cut(line, "msg=listening address="); ok {
			address, _, _ = strings.Cut(rest, " ")
			return address, said
		}
		if err != nil {
			return "", said
		}
	}
}

// follow reads until the end of the log, which the channel then delivers.
func follow(log io.Reader) <-chan string {
	all := make(chan string, 1)
	go func() {
		var text bytes.Buffer
		_, _ = text.ReadFrom(log) // what there is, is what counts
		all <- text.String()
	}()
	return all
}

// stop ends the server as a service manager does. Of a good server there is no
// line above the level of information, and no token in any.
func stop(t *testing.T, cmd *exec.Cmd, log <-chan string) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("stopping the server: %v", err)
	}
	text := <-log
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended badly: %v", err)
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(line, " level=INFO ") || strings.Contains(line, "eyJ") {
			t.Errorf("the server complained, or said a token:\n%s", text)
			break
		}
	}
}
