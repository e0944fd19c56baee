// Package oidctest runs Strongroom against a real OpenID provider, ory/fosite in a
// separate process: logins, services, and key rotation under load. It is a
// separate module, so that the provider's dependencies stay out of Strongroom's.
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

// programs builds Strongroom and the provider from the tree, once, unless make test has
// done so. go test removes them with the test binary.
var programs = sync.OnceValues(func() (dir string, err error) {
	if programs := os.Getenv("STRONGROOM_PROGRAMS"); programs != "" {
		return filepath.Join(programs, "race"), nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir = filepath.Dir(self)
	for _, p := range []struct{ name, module, pkg string }{
		{"strongroom", "../../..", "./cmd/strongroom"},
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

// command returns a command that runs one of the programs. It switches off the
// race detector's sleep of one second at exit.
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

// A provider is the OpenID provider in a separate process.
type provider struct{ issuer string }

// startProvider starts a provider that ends with the test.
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
		t.Fatalf("the provider printed no address: %v", err)
	}
	return &provider{strings.TrimSpace(line)}
}

// send sends the provider a command about its keys.
func (p *provider) send(t *testing.T, command string) {
	t.Helper()
	at, _, _ := strings.Cut(p.issuer, "/realms")
	resp, err := http.Post(at+"/"+command, "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", command, resp.Status)
	}
}

// A server is Strongroom in a separate process.
type server struct {
	address string
	psk     string // the API key that init printed for Nx1
}

// startServer starts a server that accepts tokens of the issuer and the API keys
// of init. It ends with the test, which fails if the server logged a warning.
func startServer(t *testing.T, issuer string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "oidc") // short, because a socket's path is limited to 107 bytes
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
      command_line: {client_id: portal}
      roles:
        nx1_app_manager: [{actions: [list, create, write, delete], owner: app/*}]
        offline_access: [{actions: [list, create, write, delete, reveal], owner: self}]
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

// listening reads the log until the server logs its address.
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

// follow reads the log to its end and then sends it to the channel.
func follow(log io.Reader) <-chan string {
	all := make(chan string, 1)
	go func() {
		var text bytes.Buffer
		_, _ = text.ReadFrom(log) // the text that arrived counts, even after an error
		all <- text.String()
	}()
	return all
}

// stop ends the server like a service manager. The log must not have a line above
// level INFO or a token.
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
