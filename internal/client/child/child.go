// Package child runs a command with secrets, and stands aside: the command gets the
// terminal and all signals, and its exit code or the signal that ended it become those of this process.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit codes of shells for a command that cannot be started.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

// An ExitError is the end of a command with a code other than 0, or one that could not be started.
type ExitError struct {
	Code int
	Err  error // nil if the command ran
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("the command ended with exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// find returns the path of a command.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, os.ErrPermission):
		return "", &ExitError{exitNotExecutable, fmt.Errorf("%s cannot be executed", name)}
	}
	return "", &ExitError{exitNotFound, fmt.Errorf("there is no command %s", name)}
}

// Env returns an environment: the base without the variables of the client, then the values.
func Env(base, values []string) []string {
	set := map[string]bool{}
	for _, v := range values {
		name, _, _ := strings.Cut(v, "=")
		set[name] = true
	}
	kept := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return set[name] || strings.HasPrefix(name, "STRONGROOM_")
	})
	return append(kept, values...)
}

// Replace replaces this process by the command (execve(2)), so that nothing stands between it and its
// signals, terminal and exit code. It returns only if the command cannot be started.
func Replace(args, env []string) error {
	path, err := find(args[0])
	if err != nil {
		return err
	}
	return &ExitError{exitNotExecutable, fmt.Errorf("%s: %w", args[0], syscall.Exec(path, args, env))} // #nosec G204 -- the user names the command
}

// A Run is a command that this process supervises.
type Run struct {
	Args           []string
	Env            []string
	Stdout, Stderr io.Writer // nil for those of this process

	// Changes delivers a new environment, with which the command is started again; or with a Signal, a nil environment,
	// at which the command gets that signal instead. It may be nil.
	Changes <-chan []string
	Signal  syscall.Signal // 0 to restart
	// Grace is the time between SIGTERM and SIGKILL when the command is started again.
	Grace time.Duration
}

// passed are the signals that go to the command. SIGCHLD, SIGURG, SIGPIPE and the signals of faults are this
// process's own; SIGKILL and SIGSTOP cannot be caught.
var passed = []os.Signal{
	syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT,
	syscall.SIGALRM, syscall.SIGIO, syscall.SIGVTALRM, syscall.SIGPROF,
}

// Supervise runs the command until it ends by itself. If a signal has ended it, the same signal ends this process.
// cleanUp runs before that.
func (r *Run) Supervise(cleanUp func()) error {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, passed...)
	defer signal.Stop(signals)
	for {
		state, restart, err := r.once(signals)
		if restart && err == nil {
			continue
		}
		cleanUp()
		if err != nil {
			return err
		}
		return endAs(state)
	}
}

// once runs the command one time. It reports whether to run it again.
func (r *Run) once(signals <-chan os.Signal) (state *os.ProcessState, restart bool, err error) {
	path, err := find(r.Args[0])
	if err != nil {
		return nil, false, err
	}
	cmd := &exec.Cmd{Path: path, Args: r.Args, Env: r.Env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, WaitDelay: time.Second}
	if r.Stdout != nil {
		cmd.Stdout, cmd.Stderr = r.Stdout, r.Stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, false, &ExitError{exitNotExecutable, err}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var kill <-chan time.Time
	changes := r.Changes
	for {
		select {
		case err := <-ended:
			if cmd.ProcessState == nil {
				return nil, false, err
			}
			return cmd.ProcessState, restart, nil
		case s := <-signals:
			pass(cmd.Process, s)
		case env := <-changes:
			if r.Signal != 0 {
				_ = cmd.Process.Signal(r.Signal)
				continue
			}
			r.Env, restart, changes = env, true, nil
			_ = cmd.Process.Signal(syscall.SIGTERM)
			kill = time.After(r.Grace)
		case <-kill:
			_ = cmd.Process.Kill()
		}
	}
}

// pass sends a signal on, unless the terminal has sent it to the command as well: Ctrl-C and Ctrl-\ go to
// the whole foreground process group.
func pass(p *os.Process, s os.Signal) {
	if (s == syscall.SIGINT || s == syscall.SIGQUIT) && inForeground() {
		return
	}
	_ = p.Signal(s)
}

func inForeground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer func() { _ = tty.Close() }()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// endAs ends this process like the command: by the same signal, or with its exit code.
func endAs(state *os.ProcessState) error {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		// The Go runtime handles some signals even after signal.Reset; a new program has no handlers.
		n := strconv.Itoa(int(status.Signal()))
		_ = syscall.Exec("/bin/sh", []string{"sh", "-c", "kill -" + n + " $$"}, nil) // #nosec G204 -- n is a number
		return &ExitError{Code: 128 + int(status.Signal())}                          // as shells report it
	}
	if code := state.ExitCode(); code != 0 {
		return &ExitError{Code: code}
	}
	return nil
}
