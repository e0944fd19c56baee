package contracttest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// program builds strongroom from the tree, once, with the race detector, unless make test has done
// so. go test removes it with the test binary.
var program = sync.OnceValues(func() (path string, err error) {
	if programs := os.Getenv("STRONGROOM_PROGRAMS"); programs != "" {
		return filepath.Join(programs, "race", "strongroom"), nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path = filepath.Join(filepath.Dir(self), "strongroom")
	build := exec.Command("go", "build", "-race", "-o", path, "./cmd/strongroom")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building strongroom: %w\n%s", err, out)
	}
	return path, nil
})

// run returns a command that runs strongroom. It switches off the race detector's sleep of one
// second at exit.
func run(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// A server is the real program in a separate process with its own files.
type server struct {
	address string            // host:port
	config  string            // path of its config
	printed map[string]string // the keys that init printed, by their headers
}

// A change modifies the files of init before the server starts.
type change func(t *testing.T, dir string)

// set replaces a text in the config, which must have it exactly once.
func set(old, new string) change {
	return func(t *testing.T, dir string) {
		t.Helper()
		rewrite(t, filepath.Join(dir, "strongroom.yaml"), func(text string) string {
			if strings.Count(text, old) != 1 {
				t.Fatalf("the config must have %q once:\n%s", old, text)
			}
			return strings.Replace(text, old, new, 1)
		})
	}
}

func rewrite(t *testing.T, path string, edit func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(edit(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve starts a server on a free port, with keys for all people. It ends with the test, which
// fails if the server logged a warning. With STRONGROOM_NODES=3 it is three servers that share a
// state, behind one address.
func serve(t *testing.T, changes ...change) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{printed: initialize(t, dir, database(t)...), config: filepath.Join(dir, "strongroom.yaml")}
	openVault(t, dir)
	s.printed[vaultToken] = s.printed[sessionKey]
	for _, change := range append(changes, addKeys) {
		change(t, dir)
	}
	s.address = start(t, dir)
	if nodes() > 1 {
		s.address = inTurn(t, append(join(t, dir, nodes()-1), s.address))
	}
	return s
}

// start starts a server with the files in a directory, and returns its address.
func start(t *testing.T, dir string) (address string) {
	t.Helper()
	cmd := run(t, "serve", "--config", filepath.Join(dir, "strongroom.yaml"), "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	first, err := lines.ReadString('\n')
	_, rest, listening := strings.Cut(first, "msg=listening address=")
	address, _, _ = strings.Cut(rest, " ")
	log := follow(lines)
	t.Cleanup(func() { stop(t, cmd, log) })
	if !listening {
		t.Fatalf("serve said %q, %v", first, err)
	}
	return address
}

// openVault adds Vault's API to the config. It takes the keys of OpenHands' APIs.
func openVault(t *testing.T, dir string) {
	t.Helper()
	rewrite(t, filepath.Join(dir, "strongroom.yaml"), func(text string) string {
		return strings.Replace(text, "\napis:\n", `
  vault-token: {api_key: {header: X-Vault-Token, keys_file: keys/session-keys.yaml}}

apis:
  vault: {auth: [vault-token]}
`, 1)
	})
}

// administer runs a command on the server and returns its output.
func (s *server) administer(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t, append(args, "--config", s.config)...).Output()
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// initialize returns the keys by their headers.
func initialize(t *testing.T, dir string, args ...string) map[string]string {
	t.Helper()
	out, err := run(t, append([]string{"init", "--dir", dir}, args...)...).Output()
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	keys := map[string]string{}
	for line := range strings.Lines(string(out)) {
		header, key, _ := strings.Cut(strings.TrimSpace(line), ": ")
		keys[header] = key
	}
	return keys
}

// follow reads the log to its end and then sends it to the channel.
func follow(log io.Reader) <-chan string {
	all := make(chan string, 1)
	go func() {
		var text bytes.Buffer
		_, err := text.ReadFrom(log)
		if err != nil {
			fmt.Fprintln(&text, "reading the log:", err)
		}
		all <- text.String()
	}()
	return all
}

// stop ends the server like a service manager. The log must not have a line above level INFO,
// such as a panic, a race or an internal error.
func stop(t *testing.T, cmd *exec.Cmd, log <-chan string) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("stopping the server: %v", err)
	}
	text := <-log
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server ended badly: %v", err)
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(line, " level=INFO ") {
			t.Errorf("the server complained:\n%s", text)
			break
		}
	}
	if leaks(text) {
		t.Errorf("something secret is in the log:\n%s", text)
	}
}
