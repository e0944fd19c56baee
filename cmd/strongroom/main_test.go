// These tests use the program from the outside: the real binary, real sockets,
// real files. Start reading at process_test.go, which starts and stops it.
//
// Tests run in parallel, because they wait for processes most of the time. Exceptions
// are tests that measure times, change the environment, or search the whole machine.
package main_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// program is the binary under test, built with the race detector.
var program string

// programsEnv names a directory with race/strongroom and fast/strongroom, which make test
// builds once for the tests of all modules. Without it, each test binary builds its own.
const programsEnv = "STRONGROOM_PROGRAMS"

// patience is the time limit for quick operations on a busy machine.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	if path := os.Getenv(unsyncedEnv); path != "" {
		serveUnsynced(path)
		return
	}
	if socket := os.Getenv(strangerEnv); socket != "" {
		askAsStranger(socket)
		return
	}
	if what := os.Getenv(floodEnvOf); what != "" {
		if err := floodAs(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(testProgram(m))
}

func testProgram(m *testing.M) int {
	dir, err := os.MkdirTemp("", "strongroom")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// Otherwise the race detector would wait for a second whenever a program
	// exits.
	_ = os.Setenv("GORACE", "atexit_sleep_ms=10")
	programs := cmp.Or(os.Getenv(programsEnv), dir)
	program = filepath.Join(programs, "race", "strongroom")
	if err := build(program, "-race"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Only some tests need the fast binary, so it is built on demand.
	fastProgram = sync.OnceValues(func() (string, error) {
		path := filepath.Join(programs, "fast", "strongroom")
		return path, build(path)
	})
	return m.Run()
}

var fastProgram func() (string, error)

// mustBuildFast returns the binary without the race detector, as users have it.
func mustBuildFast(t *testing.T) string {
	t.Helper()
	path, err := fastProgram()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build does nothing if make test has built the program.
func build(path string, flags ...string) error {
	if os.Getenv(programsEnv) != "" {
		return nil
	}
	args := slices.Concat([]string{"build", "-buildvcs=false"}, flags, []string{"-ldflags", "-X main.version=v0-test", "-o", path, "."})
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// A result holds the output and exit code of a finished command.
type result struct {
	code           int
	stdout, stderr string
}

// command returns the program with these arguments. It is killed when the test
// ends or after patience; the exit code is then -1.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return commandOf(t, program, args...)
}

func commandOf(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, program, args...)
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	return runProgram(t, program, args...)
}

func runProgram(t *testing.T, program string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := commandOf(t, program, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("strongroom %s: %v", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func mustRun(t *testing.T, args ...string) result {
	t.Helper()
	r := run(t, args...)
	if r.code != 0 {
		t.Fatalf("strongroom %s: exit code %d, want 0\n%s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// wantRefusal checks that the command failed, that its error has all of these
// texts, and that it neither served nor printed anything else.
func wantRefusal(t *testing.T, r result, said ...string) {
	t.Helper()
	wantRefusalWith(t, r, 1, said...)
}

func wantRefusalWith(t *testing.T, r result, code int, said ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d", r.code, code)
	}
	if r.stdout != "" {
		t.Errorf("stdout has %q, want nothing", r.stdout)
	}
	if !strings.HasPrefix(r.stderr, "strongroom: ") || strings.Contains(r.stderr, "msg=listening") {
		t.Errorf("stderr has more than the error:\n%s", r.stderr)
	}
	for _, s := range said {
		if !strings.Contains(r.stderr, s) {
			t.Errorf("stderr does not say %q:\n%s", s, r.stderr)
		}
	}
}

// An install is a directory that init created.
type install struct{ dir, sessionKey, psk string }

func mustInit(t *testing.T) install {
	t.Helper()
	dir := filepath.Join(mustTempDir(t), "strongroom")
	lines := strings.Split(mustRun(t, "init", "--dir", dir).stdout, "\n")
	if len(lines) != 3 || lines[2] != "" {
		t.Fatalf("init printed %d lines, want 2", len(lines)-1)
	}
	sessionKey, ok1 := strings.CutPrefix(lines[0], "X-Session-API-Key: ")
	psk, ok2 := strings.CutPrefix(lines[1], "Authorization-PSK: ")
	if !ok1 || !ok2 {
		t.Fatal("init did not print HEADER: KEY for each API")
	}
	i := install{dir, sessionKey, psk}
	// Filling a journal of the usual size takes longer than most tests.
	i.mustEdit(t, "strongroom.yaml", "  path: data/strongroom.db\n", "  path: data/strongroom.db\n  journal_bytes: 262144\n")
	return i
}

// mustTempDir returns a directory for the test. Unlike with t.TempDir, its path
// does not contain the name of the test: a socket path may have at most 107
// bytes.
func mustTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (i install) path(name string) string { return filepath.Join(i.dir, name) }

func (i install) config() string { return i.path("strongroom.yaml") }

// mustEdit replaces a text in a file of the install.
func (i install) mustEdit(t *testing.T, name, old, replacement string) {
	t.Helper()
	text := mustRead(t, i.path(name))
	if !strings.Contains(text, old) {
		t.Fatalf("%s does not have %q", name, old)
	}
	mustWrite(t, i.path(name), strings.Replace(text, old, replacement, 1))
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mustSnapshot returns the contents of a directory: files with mode and
// content, directories with their mode.
func mustSnapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		seen[name] = info.Mode().String()
		if d.Type().IsRegular() {
			seen[name] += " " + mustRead(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
