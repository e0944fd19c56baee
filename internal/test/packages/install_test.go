package packages

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Environment variables with the directories of two builds; the first has a lower
// version. make packages-test sets them.
const (
	earlierDir = "STRONGROOM_PACKAGES_BEFORE"
	currentDir = "STRONGROOM_PACKAGES"
)

// mustFind returns the only file in a directory of packages that matches the pattern.
func mustFind(t *testing.T, variable, pattern string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("the packages are not tested: make packages-test sets %s", variable)
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s has %q (%v), want one", dir, found, err)
	}
	return found[0]
}

func TestDebInstallsUpgradesAndIsPurged(t *testing.T) {
	before, current := mustFind(t, earlierDir, "*_"+runtime.GOARCH+".deb"), mustFind(t, currentDir, "*_"+runtime.GOARCH+".deb")
	m := mustBoot(t, before, current)
	before, current = "/test/"+filepath.Base(before), "/test/"+filepath.Base(current)

	// The commands of README.md.
	m.want(t, "apt-get install -q -y "+before, "keep a copy of /etc/strongroom/state.key")
	m.wantServed(t)

	m.must(t, "cp -p /etc/strongroom/state.key /var/lib/strongroom/strongroom.db /run && sed -i 's|origins: ..|origins: [https://app.example]|' /etc/strongroom/strongroom.yaml")
	m.must(t, "apt-get install -q -y "+current)
	m.must(t, "cmp /run/state.key /etc/strongroom/state.key && grep -q app.example /etc/strongroom/strongroom.yaml")
	m.wantRunning(t)
	m.wantSecret(t)

	m.must(t, "apt-get remove -q -y strongroom")
	m.wantFailure(t, "systemctl is-active strongroom", "inactive")
	m.must(t, "test ! -e /usr/bin/strongroom && test -e /var/lib/strongroom/strongroom.db && test -e /etc/strongroom/state.key")
	m.must(t, "apt-get install -q -y "+current)
	m.wantSecret(t)

	m.must(t, "apt-get purge -q -y strongroom")
	if left := m.must(t, "find /etc /usr /var -xdev -iname '*strongroom*'"); left != "" {
		t.Errorf("the purge left %s", left)
	}
	m.wantFailure(t, "getent passwd strongroom", "")
}

// rpm runs on Debian here, where the dependencies are not installed as rpms.
func TestRPMInstallsUpgradesAndIsRemoved(t *testing.T) {
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	before, current := mustFind(t, earlierDir, "*."+arch+".rpm"), mustFind(t, currentDir, "*."+arch+".rpm")
	m := mustBoot(t, before, current)
	m.must(t, "command -v rpm")
	before, current = "/test/"+filepath.Base(before), "/test/"+filepath.Base(current)

	m.want(t, "rpm -i --nodeps "+before, "keep a copy of /etc/strongroom/state.key")
	m.must(t, "systemctl enable --now strongroom")
	m.wantServed(t)

	m.must(t, "sed -i 's|origins: ..|origins: [https://app.example]|' /etc/strongroom/strongroom.yaml && rpm -U --nodeps "+current)
	m.must(t, "grep -q app.example /etc/strongroom/strongroom.yaml")
	m.wantRunning(t)
	m.wantSecret(t)

	m.must(t, "rpm -e strongroom")
	m.wantFailure(t, "systemctl is-active strongroom", "inactive")
	m.must(t, "test ! -e /usr/bin/strongroom && test -e /var/lib/strongroom/strongroom.db && test -e /etc/strongroom/state.key")
}

// wantRunning compares the program of the running server with the installed one.
func (m *machine) wantRunning(t *testing.T) {
	t.Helper()
	m.await(t, "the upgraded server", "cmp /proc/$(systemctl show -p MainPID --value strongroom)/exe /usr/bin/strongroom && systemctl is-active strongroom")
}

func TestPackagesHaveNoLintErrors(t *testing.T) {
	mustFind(t, currentDir, "SHA256SUMS")
	for _, tc := range []struct {
		tool, pattern, mistake string
		args                   []string
	}{
		{"lintian", "*.deb", "\nE: ", nil},
		{"rpmlint", "*.rpm", ": E: ", []string{"--config", repository("configs/packaging/rpm/rpmlint.toml")}},
	} {
		found, err := filepath.Glob(filepath.Join(os.Getenv(currentDir), tc.pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no %s: %v", tc.pattern, err)
		}
		if _, err := exec.LookPath(tc.tool); err != nil {
			t.Errorf("NOT TESTED: %v", err)
			continue
		}
		out, err := exec.Command(tc.tool, append(tc.args, found...)...).CombinedOutput() // fails for errors
		if err != nil || strings.Contains("\n"+string(out), tc.mistake) {
			t.Errorf("%s: %v\n%s", tc.tool, err, out)
		}
	}
}

func TestSumsAndSignatureMatch(t *testing.T) {
	sums := mustFind(t, currentDir, "SHA256SUMS")
	text, err := os.ReadFile(sums)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		content, err := os.ReadFile(filepath.Join(filepath.Dir(sums), name))
		if got := fmt.Sprintf("%x", sha256.Sum256(content)); err != nil || got != sum {
			t.Errorf("%s has the sum %s (%v), want %s", name, got, err, sum)
		}
	}
	dir := t.TempDir()
	verify := func(file string) error {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", os.Getenv(currentDir)+"/../signers", "-I", "test", "-n", "file", "-s", sums+".sig")
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		cmd.Stdin = in
		return cmd.Run()
	}
	if err := verify(sums); err != nil {
		t.Errorf("the signature: %v", err)
	}
	text[0] ^= 1
	changed := filepath.Join(dir, "changed")
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if verify(changed) == nil {
		t.Error("the signature fits a changed file")
	}
}

// The test unpacks the image like a container runtime and serves from it.
func TestImageServes(t *testing.T) {
	image := mustFind(t, currentDir, "*-linux-"+runtime.GOARCH+".oci.tar")
	layout, root := t.TempDir(), t.TempDir()
	mustUntar(t, image, layout)
	var index, manifest struct {
		Manifests []struct{ Digest string }
		Config    struct{ Digest string }
		Layers    []struct{ Digest string }
	}
	var config struct {
		Config struct {
			User            string
			Entrypoint, Cmd []string
			Labels          map[string]string
		}
	}
	mustDecode(t, filepath.Join(layout, "index.json"), &index)
	mustDecode(t, mustBlob(t, layout, index.Manifests[0].Digest), &manifest)
	mustDecode(t, mustBlob(t, layout, manifest.Config.Digest), &config)
	for _, l := range manifest.Layers {
		mustUntar(t, mustBlob(t, layout, l.Digest), root)
	}
	if c := config.Config; c.User != "65532:65532" || c.Labels["org.opencontainers.image.version"] == "" || c.Entrypoint[0] != "/strongroom" {
		t.Errorf("the config is %+v", c)
	}
	if os.Geteuid() != 0 {
		t.Skip("THE IMAGE'S PROGRAM IS NOT TESTED: chroot needs root")
	}
	in := func(args ...string) *exec.Cmd {
		return exec.Command("chroot", append([]string{"--userspec=" + config.Config.User, root, config.Config.Entrypoint[0]}, args...)...)
	}
	mustMake(t, filepath.Join(root, "data"))
	if out, err := in("init", "--dir", "/data/strongroom", "--keys-out", "/data/keys").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	serve := in("serve", "--config", "/data/strongroom/strongroom.yaml", "--listen", address)
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Signal(os.Interrupt); _ = serve.Wait() })
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://" + address + "/readyz")
		if err == nil && resp.StatusCode == http.StatusOK {
			_ = resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer: %v", err)
		}
	}
}

// mustBlob returns the path of a blob whose content has its digest.
func mustBlob(t *testing.T, layout, digest string) string {
	t.Helper()
	path := filepath.Join(layout, "blobs", strings.Replace(digest, ":", "/", 1))
	content, err := os.ReadFile(path)
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256(content)); err != nil || got != digest {
		t.Fatalf("a blob has the digest %s (%v), want %s", got, err, digest)
	}
	return path
}

func mustDecode(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// mustMake makes a directory for the user of the image.
func mustMake(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 65532, 65532), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// mustUntar unpacks a tar file, which may be compressed.
func mustUntar(t *testing.T, file, dir string) {
	t.Helper()
	if out, err := exec.Command("tar", "-xf", file, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// All entries belong to root and have the same time.
func TestArchiveHasNothingOfTheBuilder(t *testing.T) {
	file := mustFind(t, currentDir, "*-linux-"+runtime.GOARCH+".oci.tar")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var first time.Time
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = h.ModTime
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(first) {
			t.Errorf("%s belongs to %d:%d %s, from %s", h.Name, h.Uid, h.Gid, h.Uname, h.ModTime)
		}
	}
}
