package main_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hasDisplay reports whether the tests can have a clipboard.
func hasDisplay() bool {
	_, x := exec.LookPath("Xvfb")
	_, clip := exec.LookPath("xclip")
	return x == nil && clip == nil
}

// mustOpenDisplay starts an X server without a screen, and returns its environment: nothing if there is no X
// server.
func mustOpenDisplay(t *testing.T) []string {
	t.Helper()
	if !hasDisplay() {
		return nil
	}
	from, to, err := os.Pipe()
	mustWork(t, err)
	defer func() { _ = from.Close() }()
	cmd := exec.CommandContext(t.Context(), "Xvfb", "-displayfd", "3", "-nolisten", "tcp", "-screen", "0", "64x64x8")
	cmd.ExtraFiles = []*os.File{to}
	mustWork(t, cmd.Start())
	_ = to.Close()
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	number, err := bufio.NewReader(from).ReadString('\n')
	mustWork(t, err)
	return []string{"DISPLAY=:" + strings.TrimSpace(number)}
}

// clipboard returns the text in the clipboard, empty if there is none.
func (p person) clipboard(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "xclip", "-selection", "clipboard", "-out")
	cmd.Env = append(os.Environ(), p.env...)
	out, _ := cmd.Output()
	return string(out)
}

func TestClippedValueIsClearedIfItIsStillThere(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	wantRefusal(t, p.run(t, "get", "NONE", "--clip"), "NONE: ")
	p.mustSet(t, "clipped value\n\n", "TOKEN")
	wantRefusal(t, p.run(t, "get", "TOKEN", "--clip"), "there is no clipboard: it needs a desktop")
	if !hasDisplay() {
		t.Skip("THE CLIPBOARD IS NOT TESTED: it needs xclip and Xvfb")
	}
	p.env = mustOpenDisplay(t)
	if r := p.run(t, "get", "TOKEN", "--clip", "--clip-time", "2s"); r.code != 0 || r.stdout != "" || r.stderr != "TOKEN is in the clipboard for 2s\n" {
		t.Fatalf("got %+v", r)
	}
	if got := p.clipboard(t); got != "clipped value\n" {
		t.Errorf("the clipboard has %q", got)
	}
	p.mustClip(t, "")

	// Another program has copied something in the meantime.
	p.must(t, "get", "TOKEN", "--clip", "--clip-time", "1s")
	cmd := exec.CommandContext(t.Context(), "xclip", "-selection", "clipboard")
	cmd.Env, cmd.Stdin = append(os.Environ(), p.env...), bytes.NewReader([]byte("of another program"))
	mustWork(t, cmd.Run())
	for range 30 {
		time.Sleep(100 * time.Millisecond) // the process that clears needs time to do wrong
		if got := p.clipboard(t); got != "of another program" {
			t.Fatalf("the clipboard has %q", got)
		}
	}
}

// mustClip waits until the clipboard has this text.
func (p person) mustClip(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(patience); p.clipboard(t) != want; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the clipboard has %q, want %q", p.clipboard(t), want)
		}
	}
}

// fakeClipboard gives the person an xclip that keeps the clipboard and its environments in files.
func (p *person) fakeClipboard(t *testing.T, exitCode string) (clipboard, environments string) {
	t.Helper()
	clipboard, environments = filepath.Join(p.home, "clipboard"), filepath.Join(p.home, "environments")
	mustWrite(t, clipboard, "")
	script := filepath.Join(p.home, "bin/xclip")
	mustWork(t, os.MkdirAll(filepath.Dir(script), 0o700))
	mustWork(t, os.WriteFile(script, []byte("#!/bin/sh\nenv >>"+environments+"\ncase $* in *-out) cat "+clipboard+";; *) cat >"+clipboard+"; exit "+exitCode+";; esac\n"), 0o700))
	p.env = append(p.env, "DISPLAY=:0", "PATH="+filepath.Dir(script)+":"+os.Getenv("PATH"))
	return clipboard, environments
}

func mustBeEmptySoon(t *testing.T, clipboard string) {
	t.Helper()
	for end := time.Now().Add(patience); mustRead(t, clipboard) != ""; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the clipboard still has %q", mustRead(t, clipboard))
		}
	}
}

func TestClipboardCommandsGetNoCredential(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "clipped value", "TOKEN")
	clipboard, environments := p.fakeClipboard(t, "0")
	p.env = append(p.env, "STRONGROOM_URL=http://"+p.server.address, "STRONGROOM_API_KEY="+p.in.sessionKey)
	p.must(t, "get", "TOKEN", "--clip", "--clip-time", "2s")
	if got := mustRead(t, clipboard); got != "clipped value" {
		t.Errorf("the clipboard has %q", got)
	}
	mustBeEmptySoon(t, clipboard)
	if got := mustRead(t, environments); !strings.Contains(got, "DISPLAY=:0") || strings.Contains(got, "STRONGROOM_") {
		t.Errorf("xclip got the environment\n%s", got)
	}
}

func TestFailedClipLeavesNoValueInTheClipboard(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "clipped value", "TOKEN")
	clipboard, _ := p.fakeClipboard(t, "3") // it copies, and fails
	wantRefusal(t, p.run(t, "get", "TOKEN", "--clip", "--clip-time", "1s"), "xclip: exit status 3")
	mustBeEmptySoon(t, clipboard)

	// The program is removed while it runs, as by an upgrade, so it cannot start the process that clears.
	clipboard, _ = p.fakeClipboard(t, "0")
	self, key := filepath.Join(p.home, "strongroom"), filepath.Join(p.home, "key")
	mustWork(t, os.Link(program, self))
	mustWork(t, syscall.Mkfifo(key, 0o600))
	p.program, p.env = &self, append(p.env, "STRONGROOM_URL=http://"+p.server.address, "STRONGROOM_API_KEY_FILE="+key)
	cmd := p.command(t, "get", "TOKEN", "--clip")
	mustWork(t, cmd.Start())
	w, err := os.OpenFile(key, os.O_WRONLY, 0) // waits until the program reads it
	mustWork(t, err)
	mustWork(t, os.Remove(self))
	_, err = w.WriteString(p.in.sessionKey)
	mustWork(t, err)
	mustWork(t, w.Close())
	if err := cmd.Wait(); err == nil {
		t.Error("without the process that clears, get --clip succeeds")
	}
	if got := mustRead(t, clipboard); got != "" {
		t.Errorf("the clipboard has %q", got)
	}
}
