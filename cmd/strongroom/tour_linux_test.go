package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tour in the README is typed into bash at a terminal:
//
//	<!-- tour -->
//	```sh
//	strongroom set GITHUB_TOKEN
//	# ← ghp_x
//	strongroom ls
//	# → GITHUB_TOKEN …
//	```
//	<!-- /tour -->
//
// Lines that begin with "# ← " are answers to prompts, and "the key after HEADER in FILE" is that key. Lines
// that begin with "# → " must be in the output, in this order; … stands for any text. The server of the first
// session in the README runs at its address.
type typed struct {
	command string
	answers []string
	prints  []string
}

func tourOf(text string) (steps []typed) {
	_, text, _ = strings.Cut(text, tourBegins)
	text, _, _ = strings.Cut(text, tourEnds)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		answer, isAnswer := strings.CutPrefix(line, "# ← ")
		printed, isPrinted := strings.CutPrefix(line, "# → ")
		switch {
		case line == "" || strings.HasPrefix(line, "```"):
		case isAnswer:
			steps[len(steps)-1].answers = append(steps[len(steps)-1].answers, answer)
		case isPrinted:
			steps[len(steps)-1].prints = append(steps[len(steps)-1].prints, printed)
		default:
			steps = append(steps, typed{command: line})
		}
	}
	return steps
}

func TestTourInReadmeRunsAtATerminal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skipf("THE TOUR IN THE README IS NOT TESTED: %v", err)
	}
	steps := tourOf(mustRead(t, filepath.Join(repository, "README.md")))
	if len(steps) < 6 {
		t.Fatalf("the README has a tour of %d commands", len(steps))
	}
	i := mustInit(t)
	server, work, home := mustServe(t, i), t.TempDir(), t.TempDir()
	mustWrite(t, filepath.Join(work, "demo-keys"), i.sessionHeader()+"\n"+i.pskHeader()+"\n")
	sh := mustOpenShell(t, work, "HOME="+home, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	for _, s := range steps {
		for n, answer := range s.answers {
			if header, ok := strings.CutPrefix(answer, "the key after "); ok {
				header, _, _ = strings.Cut(header, " ")
				s.answers[n] = map[string]string{"X-Session-API-Key": i.sessionKey, "Authorization-PSK": i.psk}[header]
			}
		}
		out := sh.mustType(t, strings.ReplaceAll(s.command, readmeAddress, server.address), s.answers)
		rest := out
		for _, want := range s.prints {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
			at := regexp.MustCompile("(?m)^" + pattern + "[ \r]*$").FindStringIndex(rest)
			if at == nil {
				t.Fatalf("%s: the output lacks %q:\n%s", s.command, want, out)
			}
			rest = rest[at[1]:]
		}
		if strings.Contains(out, "strongroom: ") {
			t.Fatalf("%s failed:\n%s", s.command, out)
		}
	}
}

// A shell is an interactive bash at a terminal.
type shell struct {
	terminal io.ReadWriter
	output   lockedBuffer
}

const shellPrompt = "next> "

func mustOpenShell(t *testing.T, dir string, env ...string) *shell {
	t.Helper()
	ours, theirs := mustOpenTerminal(t)
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "--noprofile", "--noediting", "-i")
	cmd.Dir, cmd.Env = dir, append([]string{"PS1=" + shellPrompt, "TERM=dumb", "GORACE=" + os.Getenv("GORACE")}, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	mustWork(t, cmd.Start())
	sh := &shell{terminal: ours}
	go func() { _, _ = io.Copy(&sh.output, ours) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	sh.mustEnd(t, shellPrompt)
	return sh
}

// mustType types a command and its answers, and returns the output after the echo of the command.
func (s *shell) mustType(t *testing.T, command string, answers []string) string {
	t.Helper()
	before := len(s.output.String())
	_, err := fmt.Fprintln(s.terminal, command)
	mustWork(t, err)
	for _, answer := range answers {
		s.mustEndAfter(t, before+len(command), ": ")
		before = len(s.output.String()) - len(command)
		_, err := fmt.Fprintln(s.terminal, answer)
		mustWork(t, err)
	}
	s.mustEndAfter(t, before+len(command), shellPrompt)
	all := s.output.String()
	_, out, _ := strings.Cut(all[strings.LastIndex(all[:len(all)-len(shellPrompt)], shellPrompt)+len(shellPrompt):], "\n")
	return out
}

func (s *shell) mustEnd(t *testing.T, with string) { t.Helper(); s.mustEndAfter(t, 0, with) }

// mustEndAfter waits until the output is longer than before and ends with the given text.
func (s *shell) mustEndAfter(t *testing.T, before int, with string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text := s.output.String()
		if len(text) > before && strings.HasSuffix(text, with) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the terminal shows\n%s", text)
		}
	}
}
