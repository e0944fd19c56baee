package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The sessions in the READMEs are run as a reader would type them. In a
// README.md, a session is
//
//	<!-- session -->
//	```sh
//	curl -s http://127.0.0.1:3100/healthz
//	# → ok
//	```
//	<!-- /session -->
//
// All sh blocks between these comments form one session. A page may have
// several pairs of comments. The session runs in one bash (set -eu), in an
// empty directory, with strongroom on the PATH. Lines that begin with "# → "
// are the complete output of the command before them; … stands for any text.
// Output of other commands is ignored. 127.0.0.1:3100 is replaced by a free
// port in commands, in their output, and as the address of strongroom serve.
// After a command that ends in &, the session waits until that port accepts
// connections.
const (
	sessionBegins = "<!-- session -->"
	sessionEnds   = "<!-- /session -->"

	tourBegins = "<!-- tour -->" // see tour_linux_test.go
	tourEnds   = "<!-- /tour -->"
)

const readmeAddress = "127.0.0.1:3100"

func TestSessionsInReadmesRunAsWritten(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("THE SESSIONS IN THE READMES ARE NOT TESTED: %v", err)
		}
	}
	sessions := 0
	for _, page := range pages(t) {
		text := mustRead(t, page)
		if !strings.Contains(text, sessionBegins) {
			continue
		}
		sessions++
		t.Run(page, func(t *testing.T) {
			steps, err := sessionOf(text)
			if err != nil {
				t.Fatal(err)
			}
			mustPlay(t, steps)
		})
	}
	if sessions == 0 {
		t.Error("no README has a session")
	}
}

// This tests the convention itself: a session must not pass because it is misread.
func TestSessionWithWrongOutputFails(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip(err)
	}
	for _, tc := range []struct{ name, session, want string }{
		{"as written", "x=$(echo 7 \\\n  | cat)\necho \"a $x\n\tb\"\n# → a 7\n# → \tb", ""},
		{"anything", "echo one-2-three; echo\n# → one-…ee", ""},
		{"a document", "cat <<END\na\n\n# → no, this is text\nEND\n# → a\n# →\n# → # → no, this is text", ""},
		{"the address", "echo http://127.0.0.1:3100/\n# → http://127.0.0.1:3100/", ""},
		{"other words", "echo a\n# → b", `line 1: "echo a" printed "a", want "b"`},
		{"less", "true\n# → b", `line 1: "true" printed "", want "b"`},
		{"more", "echo a; echo b\n# → a", `line 1: "echo a; echo b" printed "a\nb", want "a"`},
		{"failure", "true\nfalse\necho never", `line 2: "false" failed`},
		{"no such variable", "echo $nowhere", `line 1: "echo $nowhere" failed`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			steps, err := sessionOf("<!-- session -->\n```sh\n" + tc.session + "\n```\n<!-- /session -->\n")
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(play(t, steps)); !strings.Contains(got, tc.want) || (tc.want == "") != (got == "<nil>") {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	for _, text := range []string{"", "```sh\ntrue\n```\n", "<!-- session -->\n```sh\ntrue\n```\n", "<!-- session -->\n<!-- /session -->\n"} {
		if _, err := sessionOf(text); err == nil {
			t.Errorf("%q is accepted as a session", text)
		}
	}
}

// A step is a command with its expected output.
type step struct {
	line    int // line in the session
	command string
	prints  []string // nil: any output
}

// sessionOf extracts the session from a README.
func sessionOf(text string) (steps []step, err error) {
	var lines []string
	var inSession, inBlock bool
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case !inBlock && line == sessionBegins:
			inSession = true
		case !inBlock && line == sessionEnds:
			inSession = false
		case inSession && line == "```sh":
			inBlock = true
		case line == "```":
			inBlock = false
		case inBlock:
			lines = append(lines, line)
		}
	}
	if inSession || len(lines) == 0 {
		return nil, errors.New("there is no session between <!-- session --> and <!-- /session -->")
	}
	return stepsOf(lines)
}

func stepsOf(lines []string) (steps []step, err error) {
	var command []string
	for i, line := range lines {
		if printed, ok := strings.CutPrefix(line, "# →"); ok && len(command) == 0 {
			if len(steps) == 0 {
				return nil, fmt.Errorf("line %d: no command prints this", i+1)
			}
			last := &steps[len(steps)-1]
			last.prints = append(last.prints, strings.TrimPrefix(printed, " "))
			continue
		}
		if len(command) == 0 && (strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#")) {
			continue
		}
		command = append(command, line)
		if text := strings.Join(command, "\n"); complete(text) {
			steps = append(steps, step{line: i + 2 - len(command), command: text})
			command = nil
		}
	}
	if len(command) > 0 {
		return nil, fmt.Errorf("the last command is not complete: %s", strings.Join(command, "\n"))
	}
	return steps, nil
}

// complete reports whether bash would run the command without waiting for more
// lines.
func complete(command string) bool {
	if strings.HasSuffix(command, `\`) {
		return false
	}
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(command + "\n")
	said, err := check.CombinedOutput() // for an open here-document bash only prints a warning
	return err == nil && len(said) == 0
}

func mustPlay(t *testing.T, steps []step) {
	t.Helper()
	if err := play(t, steps); err != nil {
		t.Error(err)
	}
}

// play runs the session and compares its output.
func play(t *testing.T, steps []step) error {
	t.Helper()
	address := mustFindAddress(t)
	prints, work, bin := t.TempDir(), t.TempDir(), t.TempDir()
	mustWrite(t, filepath.Join(bin, "strongroom"), fmt.Sprintf(
		"#!/bin/sh\nif [ \"${1-}\" = serve ]; then exec %[1]q \"$@\" --listen %[2]s; fi\nexec %[1]q \"$@\"\n", program, address))
	mustWork(t, os.Chmod(filepath.Join(bin, "strongroom"), 0o700))

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	bash := exec.CommandContext(ctx, "bash")
	bash.Dir, bash.Env = work, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	bash.Stdin = strings.NewReader(script(steps, prints, address))
	// Background processes are killed at the end of the session.
	bash.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	bash.Cancel = func() error { return syscall.Kill(-bash.Process.Pid, syscall.SIGKILL) }
	out, err := bash.CombinedOutput()
	for n, s := range steps {
		printed, readErr := os.ReadFile(filepath.Join(prints, fmt.Sprint(n)))
		_, done := os.Stat(filepath.Join(prints, fmt.Sprint(n, ".done")))
		if readErr != nil || done != nil {
			return fmt.Errorf("line %d: %q failed (%w):\n%s%s", s.line, s.command, err, printed, out)
		}
		got := strings.ReplaceAll(strings.TrimRight(string(printed), "\n"), address, readmeAddress)
		if want := strings.Join(s.prints, "\n"); s.prints != nil && !matches(want, got) {
			return fmt.Errorf("line %d: %q printed %q, want %q\n%s", s.line, s.command, got, want, out)
		}
	}
	return err
}

// script returns a bash script that records the output of each command, and
// that it succeeded.
func script(steps []step, prints, address string) string {
	host, port, _ := strings.Cut(address, ":")
	var b strings.Builder
	b.WriteString("set -eu\ntrap 'jobs=$(jobs -p); test -z \"$jobs\" || kill $jobs; wait' EXIT\n")
	for n, s := range steps {
		file := filepath.Join(prints, fmt.Sprint(n))
		fmt.Fprintf(&b, "{ :\n%s\n} > '%s' < /dev/null\n", strings.ReplaceAll(s.command, readmeAddress, address), file)
		if strings.HasSuffix(s.command, "&") {
			fmt.Fprintf(&b, "until (: < /dev/tcp/%s/%s) 2> /dev/null; do kill -0 $!; sleep 0.05; done\n", host, port)
		}
		fmt.Fprintf(&b, ": > '%s.done'\n", file)
	}
	return b.String()
}

func matches(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
	ok, err := regexp.MatchString("^"+pattern+"$", got)
	return ok && err == nil
}

// mustFindAddress returns an unused address. Its port is below those that the kernel chooses for
// connections, one of which could take it before the test does.
func mustFindAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+rand.IntN(12_000)))
		if err == nil {
			defer func() { _ = l.Close() }()
			return l.Addr().String()
		}
	}
	t.Fatal("found no unused port in 100 attempts")
	return ""
}
