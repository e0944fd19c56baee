package packages

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A machine has the files of this one in an overlay, namespaces of its own (processes,
// mounts, network, names) and systemd as its first process. Nothing that happens in it
// reaches this machine.
type machine struct{ init string } // the process id of systemd, as seen from here

// boot runs in the namespaces of the machine. It prints its process id, which systemd
// takes over. /sys and /proc/sys stay read-only, because they belong to the kernel.
const boot = `
set -eu
read -r pid _ < /proc/self/stat
dir=$1; shift
mount -t tmpfs tmpfs "$dir"
mkdir "$dir/upper" "$dir/scratch" "$dir/merged"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/scratch" "$dir/merged"
mkdir "$dir/merged/test"
test $# = 0 || cp "$@" "$dir/merged/test/"
cd "$dir/merged"
rm -rf etc/systemd/system/*.wants usr/sbin/policy-rc.d etc/strongroom var/lib/strongroom # only in the copy
mount -t proc proc proc
mount --bind -o ro proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
echo "$pid"
mkdir old
pivot_root . old # in a chroot the kernel refuses user namespaces, as PrivateUsers= needs
umount -l old
mount --make-rshared / # so that systemd can mount credentials
exec /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=basic.target > /dev/null 2>&1
`

// patience is the time limit for one operation on a machine.
const patience = 2 * time.Minute

// mustBoot starts a machine with copies of the files in /test. If that is impossible it
// skips the test and says so.
func mustBoot(t *testing.T, files ...string) *machine {
	t.Helper()
	for _, tool := range []string{"unshare", "nsenter", "/lib/systemd/systemd", "systemctl", "curl"} {
		if _, err := exec.LookPath(tool); err != nil || os.Geteuid() != 0 {
			t.Skipf("NOTHING IS TESTED UNDER A REAL SYSTEMD: it needs root, systemd, util-linux and curl (%v)", err)
		}
	}
	args := append([]string{
		"--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child", "sh", "-c", boot, "boot", t.TempDir(),
	}, files...)
	cmd := exec.Command("unshare", args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // and --kill-child everything in it
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Skipf("NOTHING IS TESTED UNDER A REAL SYSTEMD: no namespaces or overlays here: %s", complaints.String())
	}
	m := &machine{strings.TrimSpace(line)}
	m.await(t, "systemd", "systemctl is-active basic.target")
	return m
}

// try runs a command in the machine and returns its output.
func (m *machine) try(script string) (string, error) {
	cmd := exec.Command("nsenter", "--target", m.init, "--all", "--root", "--wd", "/usr/bin/env", "-i",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "HOME=/root", "LC_ALL=C.UTF-8", "sh", "-c", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// must runs a command in the machine, which must succeed.
func (m *machine) must(t *testing.T, script string) string {
	t.Helper()
	out, err := m.try(script)
	if err != nil {
		journal, _ := m.try("journalctl --no-pager -n 30 -u strongroom")
		t.Fatalf("%s: %v\n%s\n\n%s", script, err, out, journal)
	}
	return out
}

// want runs a command in the machine, which must print the text.
func (m *machine) want(t *testing.T, script, text string) {
	t.Helper()
	if got := m.must(t, script); !strings.Contains(got, text) {
		t.Errorf("%s printed %q, want %q", script, got, text)
	}
}

// wantFailure runs a command in the machine, which must fail and print the text.
func (m *machine) wantFailure(t *testing.T, script, text string) {
	t.Helper()
	if got, err := m.try(script); err == nil || !strings.Contains(got, text) {
		t.Errorf("%s printed %q (%v), want a failure and %q", script, got, err, text)
	}
}

// await repeats a command until it succeeds.
func (m *machine) await(t *testing.T, event, script string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		out, err := m.try(script)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v: %s", event, err, out)
		}
	}
}

// repository returns a path in the repository.
func repository(elem ...string) string {
	return filepath.Join(append([]string{"../../.."}, elem...)...)
}

// mustBuild builds the program for this machine.
func mustBuild(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "strongroom")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/strongroom")
	cmd.Dir, cmd.Env = repository(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("%w: %s", err, out))
	}
	return program
}
