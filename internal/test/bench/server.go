package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// An installation is a server's binary and the files that init made for it.
type installation struct {
	binary  string
	dir     string
	psk     string
	profile string        // path for a CPU profile, empty for none
	delay   time.Duration // of each flush
}

// install builds the server as make build does, and runs init with these arguments.
func install(ctx context.Context, binary, dir string, args ...string) (*installation, error) {
	if binary == "" {
		binary = filepath.Join(dir, "strongroom")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/strongroom")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("building the server: %w", err)
		}
	}
	in := &installation{binary: binary, dir: filepath.Join(dir, "server")}
	keys, err := exec.CommandContext(ctx, binary, append([]string{"init", "--dir", in.dir}, args...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("running init: %w", err)
	}
	_, psk, _ := bytes.Cut(keys, []byte("Authorization-PSK: "))
	if in.psk = strings.TrimSpace(string(psk)); in.psk == "" {
		return nil, fmt.Errorf("init printed no key for Authorization-PSK")
	}
	return in, nil
}

// stateFile returns the path that init uses.
func (in *installation) stateFile() string { return filepath.Join(in.dir, "data", "strongroom.db") }

// writing returns a copy of the installation that returns values before the flush of their
// audit entries.
func (in *installation) writing(dir string) (*installation, error) {
	if err := copyPrivate(in.dir, dir); err != nil {
		return nil, err
	}
	other := *in
	other.dir, other.profile = dir, ""
	config := filepath.Join(dir, "strongroom.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	text = bytes.Replace(text, []byte("\nstores:"), []byte("\naudit: {value_reads: written}\nstores:"), 1)
	return &other, os.WriteFile(config, text, 0o600)
}

// copyPrivate copies a directory. Only this user can read the copy.
func copyPrivate(from, to string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return errors.Join(err, os.Chmod(path, 0o700))
		}
		return os.Chmod(path, 0o600)
	})
}

func (in *installation) command(ctx context.Context, address string) *exec.Cmd {
	args := []string{"serve", "--config", filepath.Join(in.dir, "strongroom.yaml"), "--listen", address}
	if in.profile != "" {
		args = append(args, "--cpu-profile", in.profile)
	}
	command := slowed(in.delay, append([]string{in.binary}, args...)...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	return cmd
}

// A process is a server that answers on an address.
type process struct {
	pid     int
	address string
	stop    func() error
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// start starts the server and returns when it logs its address.
func (in *installation) start(ctx context.Context) (*process, error) {
	cmd := in.command(ctx, "127.0.0.1:0")
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	p := &process{pid: cmd.Process.Pid, stop: func() error { return terminate(cmd) }}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			p.address = found[1]
			go passOn(lines) // until the server ends
			return p, nil
		}
	}
	return nil, fmt.Errorf("the server did not start: %w", p.stop())
}

// terminate asks the process to end, and waits for it.
func terminate(cmd *exec.Cmd) error {
	_ = cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended, which Wait reports
	return cmd.Wait()
}

// passOn prints the server's warnings and errors.
func passOn(lines *bufio.Scanner) {
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "level=INFO") {
			fmt.Fprintln(os.Stderr, lines.Text())
		}
	}
}

// timeToReady starts the server and returns the time until the first 200 of
// /readyz.
func (in *installation) timeToReady(ctx context.Context) (*process, time.Duration, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, 0, err
	}
	cmd := in.command(ctx, address)
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("starting the server: %w", err)
	}
	p := &process{pid: cmd.Process.Pid, address: address, stop: func() error { return terminate(cmd) }}
	request := []byte("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for time.Since(started) < patience {
		if _, err := ask(address, request); err == nil {
			return p, time.Since(started), nil
		}
		time.Sleep(200 * time.Microsecond)
	}
	return nil, 0, fmt.Errorf("the server was not ready within %s: %w", patience, p.stop())
}

// freeAddress returns a loopback address with a free port.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
