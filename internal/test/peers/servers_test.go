package peers

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	keyHeader = "X-Session-API-Key"
	theirKey  = "a-key-for-a-comparison"
)

// A side is one of the two servers that are compared.
type side struct{ base, key string }

// ours builds strongroom from this tree and starts it on a free port.
func ours(t *testing.T) side {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "strongroom")
	build := exec.Command("go", "build", "-o", program, "./cmd/strongroom")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building strongroom: %v\n%s", err, out)
	}
	printed, err := exec.Command(program, "init", "--dir", dir).Output()
	if err != nil {
		t.Fatalf("init: %v", err)
	}
	_, rest, _ := strings.Cut(string(printed), keyHeader+": ")
	key, _, _ := strings.Cut(rest, "\n")
	cmd := exec.Command(program, "serve", "--config", filepath.Join(dir, "strongroom.yaml"), "--listen", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	log := bufio.NewReader(stderr)
	first, err := log.ReadString('\n')
	_, rest, listening := strings.Cut(first, "msg=listening address=")
	address, _, _ := strings.Cut(rest, " ")
	if !listening {
		t.Fatalf("serve said %q, %v", first, err)
	}
	go func() { _, _ = log.WriteTo(os.Stderr) }()
	return side{"http://" + address, strings.TrimSpace(key)}
}

// theirs starts a server of OpenHands from its virtual environment, with files of its own.
// PORT in the arguments stands for a free port; alive is a path that answers once it is up.
func theirs(t *testing.T, environment, alive string, args ...string) side {
	t.Helper()
	venvs := os.Getenv("STRONGROOM_PEERS")
	if venvs == "" {
		t.Skip("run by make peers")
	}
	dir, port := t.TempDir(), freePort(t)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "PORT", port)
	}
	cmd := exec.Command(filepath.Join(venvs, environment, "bin", args[0]), args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"HOME="+dir, "FILE_STORE_PATH="+dir, "OH_PERSISTENCE_DIR="+dir, "OH_CONVERSATIONS_PATH="+dir+"/conversations",
		"SESSION_API_KEY="+theirKey, "OH_SECRET_KEY="+theirKey, "SERVE_FRONTEND=false",
		"OH_ENABLE_VSCODE=false", "OH_ENABLE_VNC=false", "OH_PRELOAD_TOOLS=false", "LITELLM_LOCAL_MODEL_COST_MAP=True")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	start(t, cmd)
	s := side{"http://127.0.0.1:" + port, theirKey}
	if !s.up(alive) {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("%s has not started:\n%s", args[0], text)
	}
	return s
}

// start runs a server until the end of the test.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// up waits for the first answer. The imports of these servers take up to a minute.
func (s side) up(path string) bool {
	for deadline := time.Now().Add(4 * time.Minute); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if response, err := http.Get(s.base + path); err == nil {
			_ = response.Body.Close()
			return true
		}
	}
	return false
}
