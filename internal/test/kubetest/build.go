package kubetest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Changing any of these, such as -trimpath or cgo, recompiles all of Kubernetes.
var (
	buildArgs = []string{"build", "-v", "-ldflags", "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.1"}
	buildEnv  = []string{"CGO_ENABLED=0", "GOWORK=off"}
)

// Build returns the path of the server's binary in .bin and builds it if it is
// missing, which takes minutes the first time on a machine. It writes its
// progress to progress. Several processes may call it at once.
func Build(ctx context.Context, progress io.Writer) (string, error) {
	binary, err := path()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(filepath.Dir(binary), "kube-apiserver.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := compile(ctx, binary+".new", progress); err != nil {
		return "", fmt.Errorf("building the API server: %w", err)
	}
	return binary, os.Rename(binary+".new", binary)
}

// IsBuilt reports whether the binary exists, so that Build has nothing to do.
func IsBuilt() bool {
	binary, err := path()
	if err != nil {
		return false
	}
	_, err = os.Stat(binary)
	return err == nil
}

// source is the directory of the nested module.
func source() string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "server")
}

// path returns the binary's path. Its name has a digest of every input of the
// build.
func path() (string, error) {
	h := sha256.New()
	_, _ = fmt.Fprintln(h, runtime.Version(), runtime.GOARCH, buildArgs, buildEnv)
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(source(), name))
		if err != nil {
			return "", err
		}
		_, _ = h.Write(text)
	}
	digest := hex.EncodeToString(h.Sum(nil)[:6])
	return filepath.Join(source(), "../../../../.bin", "kube-apiserver-"+digest), nil
}

// lock waits for other processes, because go test runs packages in parallel.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func compile(ctx context.Context, binary string, progress io.Writer) error {
	cmd := exec.CommandContext(ctx, "go", append(buildArgs, "-o", binary, ".")...)
	cmd.Dir, cmd.Env = source(), append(os.Environ(), buildEnv...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	counted := make(chan string)
	go func() { counted <- count(r, progress) }()
	err := cmd.Run()
	_ = w.Close()
	if last := <-counted; err != nil {
		return fmt.Errorf("%w: %s", err, last)
	}
	return nil
}

// count reports the number of lines, each a compiled package, every ten seconds, and
// returns the last one.
func count(r io.Reader, progress io.Writer) (last string) {
	start, said := time.Now(), time.Now()
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if last = lines.Text(); time.Since(said) > 10*time.Second {
			said = time.Now()
			_, _ = fmt.Fprintf(progress, "  %d packages of the API server after %s, now %s\n", n, time.Since(start).Round(time.Second), last)
		}
	}
	return last
}
