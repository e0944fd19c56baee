package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls are the system calls by which text leaves a process.
const calls = "execve,execveat,write,pwrite64,writev,pwritev,sendto,sendmsg,sendmmsg"

// The parts of a line of strace: the system call, the file that it writes to, and the process that it starts.
var (
	traced   = regexp.MustCompile(`^\d+ +(\w+)\(`)
	writesTo = regexp.MustCompile(`^\d+ +\w+\(\d+<([^>]*)>`)
	starts   = regexp.MustCompile(`^\d+ +execve\("([^"]*)", \[(.*)\], \[(.*)\](?:\)| <)`)
)

// A typedCommand is typed into a terminal, with the answers to its prompts.
type typedCommand struct {
	line    string
	answers []string
	child   string // the program that may have the value in its environment
	file    string // the file that may have the value: the user has asked for it
}

// leaks returns the lines of the trace in which the value leaks: into arguments, into the environment of a
// process other than the child of run, or into a file that is not in memory.
func (c typedCommand) leaks(trace string) (found []string) {
	for line := range strings.Lines(trace) {
		call := traced.FindStringSubmatch(line)
		if call == nil || !strings.Contains(line, canary) {
			continue
		}
		if strings.HasPrefix(call[1], "execve") {
			start := starts.FindStringSubmatch(line)
			if start == nil || strings.Contains(start[2], canary) || filepath.Base(start[1]) != c.child {
				found = append(found, line)
			}
			continue
		}
		to := writesTo.FindStringSubmatch(line)
		switch {
		case to == nil:
			found = append(found, line)
		case strings.HasPrefix(to[1], "/dev/pts/"), strings.HasPrefix(to[1], "/dev/shm/"), strings.HasPrefix(to[1], "pipe:"),
			strings.HasPrefix(to[1], "socket:"), strings.HasPrefix(to[1], "TCP:"), strings.HasPrefix(to[1], "UNIX"):
		case c.file != "" && strings.HasPrefix(strings.TrimSuffix(to[1], " (deleted)"), c.file):
		default:
			found = append(found, line)
		}
	}
	return found
}

// Tests the search itself.
func TestLeaksAreFoundInATrace(t *testing.T) {
	child := typedCommand{child: "sleep", file: "/home/x/out"}
	for _, tc := range []struct {
		line string
		leak bool
	}{
		{`1 execve("/bin/sleep", ["sleep", "1"], ["TOKEN=` + canary + `"]) = 0`, false},
		{`1 execve("/bin/sleep", ["sleep", "1"], ["TOKEN=` + canary + `"] <pid changed to 2 ...>`, false},
		{`1 execve("/bin/sleep", ["sleep", "` + canary + `"], ["A=1"]) = 0`, true},
		{`1 execve("/bin/sh", ["sh", "-c", "x"], ["TOKEN=` + canary + `"]) = 0`, true},
		{`1 write(3</home/x/.cache/copy>, "` + canary + `", 3) = 3`, true},
		{`1 write(3</home/x/out>, "` + canary + `", 3) = 3`, false},
		{`12   write(1</dev/pts/3<char 136:3>>, "` + canary + `", 3) = 3`, false},
		{`1 write(3</dev/shm/x/secrets.yaml.new>, "` + canary + `", 3) = 3`, false},
		{`1 write(7<pipe:[12]>, "` + canary + `", 3) = 3`, false},
		{`1 pwrite64(3</tmp/x>, "` + canary + `", 3, 0) = 3`, true},
		{`1 write(3</tmp/x>, "other", 3) = 3`, false},
	} {
		if got := len(child.leaks(tc.line+"\n")) > 0; got != tc.leak {
			t.Errorf("%s: a leak: %v, want %v", tc.line, got, tc.leak)
		}
	}
}

// All client commands are traced at a terminal: every argument, every environment, every file that is
// written, of every process that they start.
func TestTracedCommandsLeakNoValue(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("VALUES ARE NOT TRACED: strace is not installed")
	}
	s := mustSetStage(t)
	s.reset(t, "")
	memory, err := os.MkdirTemp("/dev/shm", "leaks")
	mustWork(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(memory) })
	work := filepath.Join(s.dir, "work")
	secretFile := filepath.Join(memory, "value")
	mustWrite(t, secretFile, canary)
	mustWrite(t, filepath.Join(memory, "import.env"), "IMPORTED="+canary+"\n")
	yes := []string{"yes"}
	commands := []typedCommand{
		{line: "login http://" + s.server.address, answers: []string{s.in.sessionKey}},
		{line: "set GITHUB_TOKEN", answers: []string{canary}},
		{line: "set FROM_FILE --file " + secretFile},
		{line: "set " + theApp + " db.PASSWORD", answers: []string{canary}},
		{line: "get GITHUB_TOKEN --show"},
		{line: "get " + theApp + " db.PASSWORD --show"},
		{line: "edit GITHUB_TOKEN", answers: yes},
		{line: "edit " + theApp, answers: yes},
		{line: "run -- sleep 0.1", child: "sleep"},
		{line: "run --mask -- sleep 0.1", child: "sleep"},
		{line: "run --fallback 1h -- sleep 0.1", child: "sleep"},
		{line: "run --files " + memory + "/files -- sleep 0.1"},
		{line: "run " + theApp + " -- sleep 0.1", child: "sleep"},
		{line: "export --show"},
		{line: "export --out " + work + "/exported.json --format json", file: work + "/exported.json"},
		{line: "import " + memory + "/import.env", answers: yes},
		{line: "copy me " + theApp + " GITHUB_TOKEN", answers: yes},
		{line: "template app.conf.tmpl --out " + memory + "/app.conf"},
		{line: "template app.conf.tmpl --show"},
		{line: "history GITHUB_TOKEN"},
		{line: "ls"},
		{line: "ls --all"},
		{line: "whoami"},
		{line: "alias shop " + theApp},
		{line: "mv GITHUB_TOKEN GH_TOKEN"},
		{line: "rm GH_TOKEN", answers: yes},
		{line: "logout"},
	}
	if hasDisplay() {
		commands = slices.Insert(commands, 4, typedCommand{line: "get GITHUB_TOKEN --clip --clip-time 1s"})
	}
	shows := 0
	for n, c := range commands {
		file := filepath.Join(s.dir, fmt.Sprint("trace-", n))
		limit := "" // strace waits for all processes, and xclip stays as long as it has the clipboard
		if strings.Contains(c.line, "--clip") {
			limit = "timeout --foreground -s KILL 6 "
		}
		out := s.shell.mustType(t, limit+"env EDITOR='sed -i s/c0ffee/c0ffee2/' strace -qq -f -v -y -s 100000 -e signal=none -e trace="+calls+" -o "+file+" strongroom "+c.line, c.answers)
		if strings.Contains(out, "strongroom: ") {
			t.Errorf("%s failed:\n%s", c.line, out)
		}
		trace := mustRead(t, file)
		if !strings.Contains(trace, "execve(") {
			t.Fatalf("%s: the trace is empty", c.line)
		}
		shows += strings.Count(trace, canary)
		for _, leak := range c.leaks(trace) {
			t.Errorf("%s: the value leaks: %.300s", c.line, leak)
		}
		if strings.Contains(out, s.in.sessionKey) {
			t.Errorf("%s shows the API key at the terminal", c.line)
		}
		if strings.Contains(out, canary) && !strings.Contains(c.line, "--show") {
			t.Errorf("%s shows the value at the terminal", c.line)
		}
	}
	if shows < 25 {
		t.Errorf("the value is in the traces only %d times: they do not see it", shows)
	}
	s.mustHaveNoCanary(t, work+"/exported.json")
	tested := map[string]bool{}
	for _, c := range commands {
		tested[strings.Fields(c.line)[0]] = true
	}
	for _, name := range clientCommands(t) {
		if !tested[name] {
			t.Errorf("%s is not traced", name)
		}
	}
}

// mustHaveNoCanary searches all files of the person and of the server, except this one.
func (s *stage) mustHaveNoCanary(t *testing.T, but string) {
	t.Helper()
	log := s.server.mustStop(t)
	if strings.Contains(log, canary) {
		t.Error("the value is in the server's log")
	}
	for _, dir := range []string{s.home, s.in.dir, filepath.Join(s.dir, "work")} {
		for name, content := range mustSnapshot(t, dir) {
			if strings.Contains(content, canary) && filepath.Join(dir, name) != but {
				t.Errorf("the value is in %s", name)
			}
		}
	}
}
