// Package kubetest starts a real Kubernetes API server with etcd on loopback for
// tests: see [Start]. It has no controllers and no nodes, so objects stay as
// created, and a deleted namespace stays "Terminating".
//
// A [Proxy] in front of the API server and a [Link] between it and etcd inject
// faults. [Server.Requests] reads the API server's audit log.
package kubetest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// A Server is a running API server. It ends with this process at the latest.
type Server struct {
	URL   string
	CA    string // its certificate, in PEM
	token string // of a member of system:masters

	etcd  string // its address
	dir   string
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner // of its output
}

// Options change a server from the one that [Start] returns.
type Options struct {
	Fsync   bool  // etcd waits for the disk
	NoAudit bool  // there is no audit log
	Etcd    *Link // between the API server and etcd
}

// Start returns the API server that all tests of this binary share. The first
// call starts it; it ends with the binary. Use one namespace per test.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var shared = sync.OnceValues(func() (*Server, error) { return Run(context.Background(), Options{}) })

// Run starts a separate server and returns when it is ready, after about three seconds.
// It uses 300 MB of memory. Stop ends it.
func Run(ctx context.Context, opts Options) (*Server, error) {
	return run(ctx, nil, opts.args(), func(s *Server) error { return s.start(opts.Etcd) })
}

// An Etcd is etcd without an API server. It waits for the disk.
type Etcd struct {
	Address string
	PID     int
	Stop    func()
}

// RunEtcd starts etcd by the given command, such as strace, or directly if it is empty.
func RunEtcd(ctx context.Context, by []string) (*Etcd, error) {
	s, err := run(ctx, by, []string{"-fsync", "-etcd-alone"}, (*Server).startEtcd)
	if err != nil {
		return nil, err
	}
	return &Etcd{s.etcd, s.cmd.Process.Pid, s.Stop}, nil
}

// run runs the binary in a new directory, by another command if there is one.
func run(ctx context.Context, by, args []string, start func(*Server) error) (*Server, error) {
	binary, err := Build(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kubetest-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor
	command := slices.Concat(by, []string{binary, "-dir", dir}, args)
	s := &Server{dir: dir, cmd: exec.Command(command[0], command[1:]...)}
	s.cmd.Stderr = log
	if err := start(s); err != nil {
		said, _ := os.ReadFile(log.Name())
		s.Stop()
		return nil, fmt.Errorf("starting %s: %w: %s", filepath.Base(binary), err, tail(said))
	}
	return s, nil
}

func (o Options) args() []string {
	args := []string{fmt.Sprintf("-fsync=%t", o.Fsync), fmt.Sprintf("-audit=%t", !o.NoAudit)}
	if o.Etcd != nil {
		args = append(args, "-etcd-via", o.Etcd.Address())
	}
	return args
}

func (s *Server) start(link *Link) error {
	if err := s.startEtcd(); err != nil {
		return err
	}
	if link != nil {
		link.setTarget(s.etcd)
	}
	var second struct{ URL, CA, Token string }
	if err := decodeLine(s.lines, &second); err != nil {
		return err
	}
	s.URL, s.CA, s.token = second.URL, second.CA, second.Token
	return nil
}

// startEtcd starts the binary, and returns when etcd listens.
func (s *Server) startEtcd() error {
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.stdin = stdin
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	var first struct{ Etcd string }
	s.lines = bufio.NewScanner(stdout)
	if err := decodeLine(s.lines, &first); err != nil {
		return err
	}
	s.etcd = first.Etcd
	return nil
}

func decodeLine(lines *bufio.Scanner, into any) error {
	if !lines.Scan() {
		return errors.Join(io.ErrUnexpectedEOF, lines.Err())
	}
	return json.Unmarshal(lines.Bytes(), into)
}

func tail(text []byte) []byte { return text[max(0, len(text)-2000):] }

// Stop ends the server and waits for its end.
func (s *Server) Stop() {
	if s.stdin != nil {
		_ = s.stdin.Close()
		_ = s.cmd.Wait()
	}
	_ = os.RemoveAll(s.dir)
}

// Admin returns a client config for a member of system:masters.
func (s *Server) Admin() *rest.Config { return s.As(s.token) }

// As returns a client config with this token.
func (s *Server) As(token string) *rest.Config {
	return &rest.Config{Host: s.URL, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: []byte(s.CA)}}
}
