package kubernetes_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/store/kubernetes"
)

const (
	podEnv  = "STRONGROOM_TEST_POD" // set in the process that plays a pod
	account = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// A pod is the environment of a process in a pod.
type pod struct{ Host, Port, CA, Token, Namespace string }

// The location of a pod's account is fixed, so the test runs again in a process
// with its own /run.
func TestInClusterUsesThePodsAccount(t *testing.T) {
	if os.Getenv(podEnv) != "" {
		testInPod(t)
		return
	}
	server := installed(t)
	namespace := newNamespace(t, server)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(pod{at.Hostname(), at.Port(), server.CA, server.Token(t, "strongroom", "strongroom"), namespace})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInClusterUsesThePodsAccount$", "-test.v")
	cmd.Env = append(os.Environ(), podEnv+"=1")
	cmd.Stdin = strings.NewReader(string(text))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("NOT TESTED IN A POD: only root can give a process a /run of its own")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func testInPod(t *testing.T) {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	var p pod
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), // the following mounts are private
		unix.Mount("tmpfs", "/var/run", "tmpfs", 0, ""),
		os.MkdirAll(account, 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	token := filepath.Join(account, "token")
	mustWriteFile(t, filepath.Join(account, "ca.crt"), []byte(p.CA), 0o600)
	mustWriteFile(t, token, []byte("nobody's"), 0o600)
	t.Setenv("KUBERNETES_SERVICE_HOST", p.Host)
	t.Setenv("KUBERNETES_SERVICE_PORT", p.Port)
	cluster, err := kubernetes.InCluster()
	if err != nil {
		t.Fatal(err)
	}
	st := open(t, cluster, p.Namespace)
	wantReadAnew(t, st, token, p.Token)
	if err := st.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
}
