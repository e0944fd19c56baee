package clients

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// documents are the names of the served documents.
var documents = []string{"nx1", "openhands", "agentserver", "openhandsv1", "sandbox", "vault"}

// Clients in three languages are generated from the documents that the server serves, and then write
// and read secrets. All languages run the same steps, see roundtrip.
func TestGeneratedClients(t *testing.T) {
	tools := os.Getenv("STRONGROOM_CLIENTS")
	if tools == "" {
		t.Skip("run by make clients")
	}
	s := serve(t, tools)
	dir := t.TempDir()
	for _, name := range documents {
		s.download(t, "/openapi/"+name+".json", filepath.Join(dir, name+".json"))
	}
	for language, generate := range map[string]func(t *testing.T, s *server, documents, dir string) *exec.Cmd{
		"Python": pythonClient, "TypeScript": typeScriptClient, "Go": goClient,
	} {
		t.Run(language, func(t *testing.T) {
			cmd := generate(t, s, dir, t.TempDir())
			cmd.Env = append(os.Environ(), "KEY="+s.key, "PSK="+s.psk)
			wantsJSON(t, cmd, map[string]any{
				"created": "generated", "taken": 409.0, "masked": "****", "revealed": "sécret 🔑",
				"custom": 201.0, "names": []any{"GENERATED", "TOKEN"}, "value": "sécret 🔑", "found": []any{"GENERATED"}, "stranger": 403.0,
				"vault": "sécret 🔑", "keys": []any{"generated"}, "deleted": true, "gone": 404.0, "custom_deleted": 200.0,
			})
		})
	}
}

func (s *server) download(t *testing.T, path, to string) {
	t.Helper()
	response, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, response.Status, err)
	}
	mustWrite(t, to, text)
}

func mustWrite(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pythonClient generates packages with openapi-python-client. A warning fails the test:
// the generator omits operations that it cannot express.
func pythonClient(t *testing.T, s *server, source, dir string) *exec.Cmd {
	for _, name := range documents {
		cmd := s.client(t, "venv/bin/openapi-python-client", "generate", "--path", filepath.Join(source, name+".json"),
			"--meta", "none", "--output-path", filepath.Join(dir, name), "--fail-on-warning")
		cmd.Env = append(cmd.Env, "PATH="+filepath.Join(s.clients, "venv/bin")+":"+os.Getenv("PATH"))
		mustRun(t, cmd)
	}
	script := filepath.Join(dir, "roundtrip.py")
	mustWrite(t, script, mustRead(t, "roundtrip/roundtrip.py"))
	return s.client(t, "venv/bin/python", script, s.url)
}

// typeScriptClient generates types with openapi-typescript, checks the calls against them in
// strict mode, and compiles.
func typeScriptClient(t *testing.T, s *server, source, dir string) *exec.Cmd {
	modules := filepath.Join(s.clients, "node_modules")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	for _, name := range documents {
		mustRun(t, s.client(t, "node_modules/.bin/openapi-typescript", filepath.Join(source, name+".json"), "-o", filepath.Join(dir, name+".d.ts")))
	}
	mustWrite(t, filepath.Join(dir, "package.json"), []byte(`{"type": "module"}`))
	mustWrite(t, filepath.Join(dir, "roundtrip.ts"), mustRead(t, "roundtrip/roundtrip.ts"))
	compile := s.client(t, "node_modules/.bin/tsc", "--strict", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom",
		"--skipLibCheck", "roundtrip.ts")
	compile.Dir = dir
	mustRun(t, compile)
	return exec.Command("node", filepath.Join(dir, "roundtrip.js"), s.url)
}

// goClient generates packages with oapi-codegen, in a module that has our dependencies.
func goClient(t *testing.T, s *server, source, dir string) *exec.Cmd {
	for _, name := range documents {
		generate := exec.Command("go", "tool", "-modfile=internal/tools/go.mod", "oapi-codegen", "-generate", "types,client", "-package", name,
			filepath.Join(source, name+".json"))
		generate.Dir = "../../.."
		mustWrite(t, filepath.Join(dir, name, name+".go"), []byte(mustRun(t, generate)))
	}
	module := string(mustRead(t, "../../../go.mod"))
	mustWrite(t, filepath.Join(dir, "go.mod"), []byte(strings.Replace(module, "module github.com/strongroom/strongroom", "module roundtrip", 1)))
	mustWrite(t, filepath.Join(dir, "go.sum"), mustRead(t, "../../../go.sum"))
	mustWrite(t, filepath.Join(dir, "main.go"), mustRead(t, "roundtrip/roundtrip.go.txt"))
	program := filepath.Join(dir, "roundtrip")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = dir
	mustRun(t, build)
	return exec.Command(program, s.url)
}
