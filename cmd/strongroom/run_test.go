package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startsEnv is the number of starts to measure. With it, all exit codes are tested.
const startsEnv = "STRONGROOM_STARTS"

// Both ways in which run starts a command: in place of itself, and supervised.
var waysToRun = map[string][]string{"in place": {"run"}, "supervised": {"run", "--mask"}}

func TestExitCodesArePassedOn(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "value", "TOKEN")
	p.useFast(t)
	for name, way := range waysToRun {
		for code := 0; code < 256; code++ {
			if os.Getenv(startsEnv) == "" && code%15 > 1 {
				continue // every code in make runs
			}
			if r := p.run(t, append(way, "--", "sh", "-c", fmt.Sprint("exit ", code))...); r.code != code || r.stderr != "" {
				t.Errorf("%s: code %d, want %d: %s", name, r.code, code, r.stderr)
			}
		}
	}
	wantRefusalWith(t, p.run(t, "run", "--mask", "--", "/etc/passwd"), 126, "cannot be executed")
}

// passOnHangups makes commands start with the default action for SIGHUP, even if the tests
// were started with nohup.
func passOnHangups(t *testing.T) {
	t.Helper()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
}

func TestDeathBySignalIsPassedOn(t *testing.T) {
	t.Parallel()
	passOnHangups(t)
	p := mustLogIn(t)
	p.mustSet(t, "value", "TOKEN")
	for name, way := range waysToRun {
		for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGPIPE, syscall.SIGTERM, syscall.SIGUSR1} {
			cmd := p.command(t, append(way, "--", "sh", "-c", fmt.Sprintf("kill -%d $$; sleep 9", s))...)
			_ = cmd.Run()
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if !status.Signaled() || status.Signal() != s || status.CoreDump() {
				t.Errorf("%s: %v ended with %v", name, s, cmd.ProcessState)
			}
		}
	}
}

// The command counts the signals that it gets.
const countSignals = `for s in HUP INT TERM USR1 USR2 WINCH CONT; do trap "echo $s" $s; done; echo ready
while :; do read line || true; sleep 0.02; done 2>/dev/null`

func TestSignalsReachTheCommand(t *testing.T) {
	t.Parallel()
	passOnHangups(t)
	p := mustLogIn(t)
	p.mustSet(t, "value", "TOKEN")
	for name, way := range waysToRun {
		cmd := p.command(t, append(way, "--", "sh", "-c", countSignals)...)
		var out lockedBuffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		mustWork(t, cmd.Start())
		out.mustHave(t, "ready\n")
		want := "ready\n"
		for _, s := range []struct {
			sig  syscall.Signal
			name string
		}{
			{syscall.SIGHUP, "HUP"}, {syscall.SIGINT, "INT"}, {syscall.SIGTERM, "TERM"}, {syscall.SIGUSR1, "USR1"}, {syscall.SIGUSR2, "USR2"}, {syscall.SIGWINCH, "WINCH"}, {syscall.SIGCONT, "CONT"},
		} {
			mustWork(t, cmd.Process.Signal(s.sig))
			want += s.name + "\n"
			out.mustHave(t, want)
		}
		if name == "in place" {
			_ = cmd.Process.Kill()
		} else {
			killChildren(t, cmd.Process.Pid)
		}
		_ = cmd.Wait()
	}
}

// killChildren kills the supervised command, which ends its parent too.
func killChildren(t *testing.T, pid int) {
	t.Helper()
	children := mustRead(t, fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(children) {
		mustWork(t, exec.Command("kill", "-9", child).Run())
	}
	if children == "" { // the command is a child of another thread
		out, err := exec.Command("sh", "-c", fmt.Sprintf("cat /proc/%d/task/*/children", pid)).Output()
		mustWork(t, err)
		for child := range strings.FieldsSeq(string(out)) {
			mustWork(t, exec.Command("kill", "-9", child).Run())
		}
	}
}

func TestRotatedSecretReachesTheCommandWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.useFast(t)
	reach := func(owner string) time.Duration {
		p.mustSet(t, "one", "TOKEN")
		p.mustSet(t, "one", "shop", "db.PASSWORD")
		cmd := p.command(t, "run", "--watch", "--every", "200ms", owner, "--", "sh", "-c", `trap 'echo stopped; exit 3' TERM; echo "$TOKEN$DB_PASSWORD"; while :; do sleep 0.02; done`)
		var out lockedBuffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		mustWork(t, cmd.Start())
		out.mustHave(t, "one\n")
		if owner == "me" {
			p.mustSet(t, "two", "TOKEN")
		} else {
			p.mustSet(t, "two", "shop", "db.PASSWORD")
		}
		changed := time.Now()
		out.mustHave(t, "one\nstopped\ntwo\n")
		took := time.Since(changed)
		mustWork(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
			t.Errorf("%s: %v", owner, err)
		}
		return took
	}
	for _, owner := range []string{"me", "shop"} {
		wantWithin(t, 2*time.Second, "until the command of "+owner+" has the new value", func() time.Duration { return reach(owner) })
	}
}

func TestFilesAreInMemoryAndAreRewritten(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "one", "TOKEN")
	wantRefusal(t, p.run(t, "run", "--files", filepath.Join(p.home, "values"), "--", "true"), "is on a disk, which would keep the values")
	shm, err := os.MkdirTemp("/dev/shm", "test")
	if err != nil {
		t.Skip("FILES IN MEMORY ARE NOT TESTED: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shm) })
	dir := filepath.Join(shm, "values")
	cmd := p.command(t, "run", "--files", dir, "--watch", "--every", "100ms", "--signal", "hup", "--", "sh", "-c",
		`trap 'cat $TOKEN_FILE; echo' HUP; trap 'exit 0' TERM; stat -c %a $TOKEN_FILE; echo "[$TOKEN]"; cat "$TOKEN_FILE"; echo; while :; do sleep 0.02; done`)
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	mustWork(t, cmd.Start())
	out.mustHave(t, "600\n[]\none\n")
	p.mustSet(t, "two", "TOKEN")
	out.mustHave(t, "600\n[]\none\ntwo\n")
	mustWork(t, cmd.Process.Signal(syscall.SIGTERM))
	mustWork(t, cmd.Wait())
	if _, err := os.Stat(dir); err == nil {
		t.Error("the files are still there")
	}
}

func TestMaskHidesValuesInTheOutput(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "hunter2hunter2", "TOKEN")
	r := p.run(t, "run", "--mask", "--", "sh", "-c", `echo "out $TOKEN"; echo "err $TOKEN" >&2; printf 'hunter2%s end' hunter2`)
	if r.stdout != "out ****\n**** end" || r.stderr != "err ****\n" {
		t.Errorf("got %q and %q", r.stdout, r.stderr)
	}
}

// Starts are measured with the binary that users have, against a server on this machine.
func TestRunAddsLittleTime(t *testing.T) {
	starts := 20
	if text := os.Getenv(startsEnv); text != "" {
		_, err := fmt.Sscan(text, &starts)
		mustWork(t, err)
	}
	p := mustLogIn(t)
	p.mustSet(t, "value", "TOKEN")
	p.useFast(t)
	measure := func(args ...string) time.Duration {
		begin := time.Now()
		for range starts {
			cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
			cmd.Env = p.command(t).Env
			mustWork(t, cmd.Run())
		}
		return time.Since(begin) / time.Duration(starts)
	}
	bare := measure("true")
	with := measure(*p.program, "run", "--only", "TOKEN", "--", "true")
	t.Logf("%d starts: %v with run, %v without: %v more", starts, with, bare, with-bare)
	if starts >= 1000 && with-bare > 25*time.Millisecond {
		t.Errorf("run adds %v", with-bare)
	}
}

// Only the command of run gets the values. They are in no argument, no other environment
// and no file.
func TestValuesAreInNoArgumentEnvironmentOrFile(t *testing.T) {
	p := mustLogIn(t)
	watched := watchProcesses(t)
	p.feed(t, canary+"\n", "set", "TOKEN", "--stdin")
	p.feed(t, canary, "set", "shop", "db.PASSWORD", "--stdin")
	file := filepath.Join(mustTempDir(t), "import.env")
	mustWrite(t, file, "OTHER="+canary+"\n")
	for _, args := range []string{
		"get TOKEN", "get shop db.PASSWORD", "ls", "ls shop", "whoami", "mv TOKEN TOKEN2", "export", "export shop --format json", "import --yes " + file,
		"copy me me --yes", "copy me shop --dry-run", "run --only TOKEN2 -- sleep 0.2", "run --mask -- sleep 0.2", "rm OTHER --yes", "get NONE", "import /dev/null/x",
	} {
		r := p.run(t, strings.Fields(args)...)
		command := strings.Fields(args)[0]
		if strings.Contains(r.stderr, canary) || strings.Contains(r.stdout, canary) && command != "get" && command != "export" {
			t.Errorf("%s printed the value: %s%s", args, r.stdout, r.stderr)
		}
	}
	for _, found := range watched() {
		if found != "environ of sleep" {
			t.Error("the value is in the ", found)
		}
	}
	for name, content := range mustSnapshot(t, p.home) {
		if strings.Contains(content, canary) {
			t.Errorf("the value is in %s", name)
		}
	}
	if log := p.server.mustStop(t); strings.Contains(log, canary) {
		t.Error("the value is in the server's log")
	}
	for name, content := range mustSnapshot(t, p.in.dir) {
		if strings.Contains(content, canary) {
			t.Errorf("the value is in the server's %s", name)
		}
	}
}

// watchProcesses searches the arguments and the environment of all processes on the
// machine for the canary, until the returned function is called. That function returns
// the places of the canary.
func watchProcesses(t *testing.T) func() []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan map[string]bool)
	go func() {
		found := map[string]bool{}
		for ctx.Err() == nil {
			paths, _ := filepath.Glob("/proc/[0-9]*")
			for _, path := range paths {
				for _, part := range []string{"cmdline", "environ"} {
					text, err := os.ReadFile(filepath.Join(path, part))
					if err == nil && bytes.Contains(text, []byte(canary)) {
						name, _ := os.ReadFile(filepath.Join(path, "comm"))
						found[part+" of "+strings.TrimSpace(string(name))] = true
					}
				}
			}
			time.Sleep(2 * time.Millisecond)
		}
		done <- found
	}()
	return func() (all []string) {
		cancel()
		for place := range <-done {
			all = append(all, place)
		}
		return all
	}
}
