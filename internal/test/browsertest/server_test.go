package browsertest

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

// Programs from the tree, each built once, unless make test has built them with the race
// detector. go test removes them with the test binary.
var (
	program  = sync.OnceValues(func() (path string, err error) { return build("../../..", "strongroom", "./cmd/strongroom") })
	provider = sync.OnceValues(func() (path string, err error) { return build("../oidctest", "provider", "./provider") })
)

func build(module, name, pkg string) (path string, err error) {
	if programs := os.Getenv("STRONGROOM_PROGRAMS"); programs != "" {
		return filepath.Join(programs, "race", name), nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path = filepath.Join(filepath.Dir(self), name)
	build := exec.Command("go", "build", "-o", path, pkg)
	build.Dir = module
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, out)
	}
	return path, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if chromium.stop != nil {
		chromium.stop()
	}
	if example.end != nil && !example.end() {
		code = 1
	}
	os.Exit(code)
}

// example is a server that tests of pages share. They change nothing in it.
var example struct {
	once sync.Once
	*server
	end func() (good bool)
}

// exampleServer returns a server with issuers, and with secrets as a small team has them.
func exampleServer(t *testing.T) *server {
	t.Helper()
	example.once.Do(func() {
		i := runIssuer(t)
		s := newServer(t, withIssuer(i)...)
		s.write("keys/brief.secret", "brief-secret")
		s.run()
		s.fill()
		example.server = s
		example.end = func() bool {
			complaints := s.complaints()
			fmt.Print(complaints)
			i.stop()
			return os.RemoveAll(filepath.Dir(s.config)) == nil && complaints == ""
		}
	})
	if example.server == nil {
		t.Fatal("the server has not started in an earlier test")
	}
	s := *example.server
	s.t = t
	return &s
}

// strongroom returns a command of the program. It switches off the race detector's sleep
// of one second at exit.
func strongroom(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// A server is Strongroom in a separate process, with a console.
type server struct {
	t       *testing.T
	url     string
	config  string
	session string // API key for the user default
	psk     string // API key for apps

	said   func() string // stops the server and returns its log
	reload func()        // tells it to read its config again
}

// startServer starts a server that ends with the test. The edits replace texts of its
// config: old, new, old, new. Its log must have no line above INFO.
func startServer(t *testing.T, edits ...string) *server {
	t.Helper()
	s := newServer(t, edits...)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(s.config)) })
	s.serve()
	return s
}

// newServer returns a server that has not been started.
func newServer(t *testing.T, edits ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "console") // short, because a socket's path is limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	out, err := strongroom(t, "init", "--console", "--dir", dir).Output()
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	s := &server{t: t, config: filepath.Join(dir, "strongroom.yaml")}
	for line := range strings.Lines(string(out)) {
		header, key, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if header == "X-Session-API-Key" {
			s.session = key
		} else {
			s.psk = key
		}
	}
	s.edit(edits...)
	return s
}

// write writes a file that the config names.
func (s *server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.config), name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// edit changes the config.
func (s *server) edit(edits ...string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	edited := strings.NewReplacer(edits...).Replace(string(text))
	if err := os.WriteFile(s.config, []byte(edited), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// serve starts the server, and ends it with the test.
func (s *server) serve() {
	s.t.Helper()
	s.run()
	s.t.Cleanup(func() {
		if lines := s.complaints(); lines != "" {
			s.t.Errorf("the server complained: %s", lines)
		}
	})
}

// complaints stops the server and returns the lines of its log above INFO.
func (s *server) complaints() (lines string) {
	for line := range strings.Lines(s.said()) {
		if !strings.Contains(line, " level=INFO ") {
			lines += line
		}
	}
	return lines
}

// run starts the server.
func (s *server) run() {
	t := s.t
	t.Helper()
	cmd := strongroom(t, "serve", "--config", s.config, "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, address := bufio.NewReader(stderr), ""
	var log bytes.Buffer
	for address == "" {
		line, err := lines.ReadString('\n')
		log.WriteString(line)
		if _, rest, ok := strings.Cut(line, "msg=listening address="); ok {
			address, _, _ = strings.Cut(rest, " ")
		} else if err != nil {
			t.Fatalf("serve said %s", log.String())
		}
	}
	s.url = "http://" + address
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(&log, lines); close(ended) }()
	s.reload = func() { _ = cmd.Process.Signal(syscall.SIGHUP) }
	s.said = sync.OnceValue(func() string {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			fmt.Fprintf(&log, "the server ended badly: %v\n", err)
		}
		return log.String()
	})
}

// send sends a request to an API, with both API keys.
func (s *server) send(method, path, body string) string {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/api/app") {
		req.Header.Set("Authorization-PSK", s.psk)
	} else {
		req.Header.Set("X-Session-API-Key", s.session)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode > 299 {
		s.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, text, err)
	}
	return string(text)
}

// The apps of the tests.
const (
	shop    = "0f8fad5b-d9cb-469f-a165-70867728950e"
	billing = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
)

// store stores an app's secret.
func (s *server) store(app, name string, pairs ...string) {
	s.t.Helper()
	s.send("POST", "/api/app/"+app+"/secrets", fmt.Sprintf(`{"secret_name": %q, "data": [%s]}`, name, data(pairs)))
}

// change replaces its values.
func (s *server) change(app, name string, pairs ...string) {
	s.t.Helper()
	s.send("PUT", "/api/app/"+app+"/secrets/"+name, fmt.Sprintf(`{"data": [%s]}`, data(pairs)))
}

func data(pairs []string) string {
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, fmt.Sprintf(`{"key": %q, "value": %q}`, pairs[i], pairs[i+1]))
	}
	return strings.Join(list, ",")
}

// signIn signs in by an API key and waits for the list.
func (s *server) signIn(b *tab, key string) {
	s.t.Helper()
	b.open(s.url + "/console")
	b.fill("#key", key)
	b.click("main form button")
	b.waitFor("h1", "Secrets")
}
