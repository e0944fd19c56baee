package clients

import (
	"bufio"
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	shop = "0f8fad5b-d9cb-469f-a165-70867728950e"

	// The values of the secret db of the shop, in two versions, and of the custom secret TOKEN.
	first, second, custom = "first-password", `second "päss"`, "a custom value"
)

// A server is the real program with some secrets. Its clients are in clients.
type server struct {
	url, key, psk string
	clients       string // the directory in which make has installed clients
}

// serve starts a server, which ends with the test.
func serve(t *testing.T, clients string) *server {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "strongroom")
	mustRun(t, exec.Command("go", "build", "-C", "../../..", "-o", program, "./cmd/strongroom"))
	printed := mustRun(t, exec.Command(program, "init", "--dir", dir))
	config := filepath.Join(dir, "strongroom.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "\napis:\n", `
  vault-token: {api_key: {header: X-Vault-Token, keys_file: keys/session-keys.yaml}}

apis:
  vault: {auth: [vault-token]}
`, 1)
	if err := os.WriteFile(config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "serve", "--config", config, "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	log := bufio.NewReader(stderr)
	line, _ := log.ReadString('\n')
	_, rest, listening := strings.Cut(line, "msg=listening address=")
	if !listening {
		t.Fatalf("serve said %q", line)
	}
	address, _, _ := strings.Cut(rest, " ")
	go func() { _, _ = log.WriteTo(os.Stderr) }()
	s := &server{url: "http://" + address, key: keyAfter(printed, "X-Session-API-Key: "), clients: clients}
	s.psk = keyAfter(printed, "Authorization-PSK: ")
	secrets := "/api/app/" + shop + "/secrets"
	s.send(t, "POST", "/api/secrets", "X-Session-API-Key", s.key, `{"name":"TOKEN","value":"`+custom+`","description":"about it"}`)
	s.send(t, "POST", secrets, "Authorization-PSK", s.psk, `{"secret_name":"db","data":[{"key":"PASSWORD","value":"`+first+`"}]}`)
	s.send(t, "PUT", secrets+"/db", "Authorization-PSK", s.psk,
		`{"data":[{"key":"PASSWORD","value":"`+strings.ReplaceAll(second, `"`, `\"`)+`"},{"key":"USER","value":"shop"}]}`)
	return s
}

func keyAfter(printed, header string) string {
	_, rest, _ := strings.Cut(printed, header)
	key, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(key)
}

func (s *server) send(t *testing.T, method, path, header, key, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(header, key)
	r.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, path, response.Status)
	}
}

// client returns a command that runs a client of the directory. The test is skipped loudly if
// the client could not be installed.
func (s *server) client(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	program := filepath.Join(s.clients, path)
	if _, err := os.Stat(program); err != nil {
		t.Skipf("NOT TESTED, because the client could not be installed: %v", err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = []string{
		"PATH=" + filepath.Join(s.clients, "bin") + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(),
		"TOKEN=" + s.key, "VAULT_TOKEN=" + s.key, "BAO_TOKEN=" + s.key, "VAULT_ADDR=" + s.url, "BAO_ADDR=" + s.url,
	}
	return cmd
}

// mustRun returns the standard output of the command.
func mustRun(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, errors.String())
	}
	return string(out)
}
