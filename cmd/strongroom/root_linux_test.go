package main_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serviceUser owns the state directory in these tests, and root runs the
// commands.
const serviceUser = 65534

// beside lists the files in the state directory, other than the state file,
// that commands open, create or remove. A * stands for random digits.
// TestRootCommandsUseOnlyThesePaths keeps the list complete.
var beside = []string{
	"strongroom.db.holder", "strongroom.db.journal0", "strongroom.db.journal1", "strongroom.db.compact", "admin.sock",
	"anchor", "anchor.new", "backup", "new.key",
}

// random lists the files with names that cannot be guessed in advance.
var random = []string{
	"strongroom.db", "strongroom.db.*.new", "backup.*.new", "new.key.*.new",
	".verify-*", ".verify-*/state.db", ".verify-*/state.db.*.new", ".verify-*/state.db.holder", ".verify-*/state.db.journal0", ".verify-*/state.db.journal1", ".verify-*/admin.sock",
}

// commandsOfRoot use every path in beside. The backup that the last ones read
// is also in the state directory.
var commandsOfRoot = [][]string{
	{"doctor"},
	{"compact"},
	{"keyring", "rotate"},
	{"backup", "--out", "DATA/backup"},
	{"backup", "verify", "DATA/good.backup"},
	{"audit", "verify", "--anchor", "DATA/anchor"},
	{"explain", "--credential-file", "DATA/backup", "list", "user/default"},
	{"status"},
	{"keyring", "rewrap", "--new-key", "DATA/new.key"}, // last, since the config names the old sealing key
}

// A trap replaces a file with something that the service's user controls.
var traps = map[string]func(path, victim string) error{
	"symbolic link": func(path, victim string) error {
		return errors.Join(os.Symlink(victim, path), os.Lchown(path, serviceUser, serviceUser))
	},
	"symbolic link to nothing": func(path, victim string) error {
		return errors.Join(os.Symlink(victim+".missing", path), os.Lchown(path, serviceUser, serviceUser))
	},
	"hard link": func(path, victim string) error { return os.Link(victim, path) },
	"FIFO": func(path, _ string) error {
		return errors.Join(syscall.Mkfifo(path, 0o666), os.Chown(path, serviceUser, serviceUser))
	},
}

func mustBeRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: it takes root to see what root's commands do to another user's directory")
	}
}

// mustInitForService returns an install with a backup. Its data directory
// belongs to the service's user, and its other files to root.
func mustInitForService(t *testing.T) install {
	t.Helper()
	mustBeRoot(t)
	i := mustInit(t)
	i.mustAnchorTo(t, "{file: data/anchor}")
	mustRun(t, "backup", "--config", i.config(), "--out", i.path("data/good.backup"))
	mustWork(t, os.Remove(i.path("data/anchor")))
	mustWork(t, filepath.WalkDir(i.path("data"), func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, serviceUser, serviceUser))
	}))
	mustWork(t, os.Chmod(filepath.Dir(i.dir), 0o711))
	mustWork(t, os.Chmod(i.dir, 0o711))
	return i
}

// A victim is a directory of root beside the install.
type victim struct {
	dir, file string
	before    string
}

func mustHaveVictim(t *testing.T, i install) victim {
	t.Helper()
	v := victim{dir: filepath.Join(filepath.Dir(i.dir), "victim")}
	v.file = filepath.Join(v.dir, "file")
	mustWork(t, os.Mkdir(v.dir, 0o755))
	mustWrite(t, v.file, "root's own\n")
	mustWork(t, os.Chmod(v.file, 0o640))
	v.before = v.describe(t)
	return v
}

// describe lists everything in the directory: names, owners, modes and content.
func (v victim) describe(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	mustWork(t, filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&all, "%s %s %d:%d", d.Name(), info.Mode(), st.Uid, st.Gid)
		if info.Mode().IsRegular() {
			fmt.Fprintf(&all, " %.100q", mustRead(t, path)) // enough to detect a change
		}
		all.WriteByte('\n')
		return nil
	}))
	return all.String()
}

func (v victim) wantUntouched(t *testing.T, after string) {
	t.Helper()
	if now := v.describe(t); now != v.before {
		t.Errorf("%s has changed files outside the state directory:\n%swant\n%s", after, now, v.before)
	}
}

// mustNotHang runs a command as root. Its success does not matter.
func (i install) mustNotHang(t *testing.T, command []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, _ := exec.CommandContext(ctx, mustBuildFast(t), i.arguments(command)...).CombinedOutput()
	if ctx.Err() != nil {
		t.Errorf("strongroom %s does not exit:\n%s", strings.Join(command, " "), out)
	}
}

func (i install) arguments(command []string) (args []string) {
	for _, a := range command {
		args = append(args, strings.ReplaceAll(a, "DATA", i.path("data")))
	}
	return append(args, "--config", i.config())
}

func TestRootFollowsNoLinksInTheStateDirectory(t *testing.T) {
	t.Parallel()
	original := mustInitForService(t)
	for what, set := range traps {
		for _, name := range beside {
			t.Run(what+" at "+name, func(t *testing.T) {
				t.Parallel() // mostly waiting for the disk
				i := original.mustCopyForService(t)
				v := mustHaveVictim(t, i)
				for _, command := range commandsOfRoot {
					path := i.path("data/" + name)
					mustWork(t, os.RemoveAll(path))
					mustWork(t, set(path, v.file))
					i.mustNotHang(t, command)
					mustWork(t, os.RemoveAll(path))
					v.wantUntouched(t, strings.Join(command, " "))
				}
			})
		}
	}
}

// The state file itself can be such a trap, also for commands that create one.
func TestRootFollowsNoLinkInPlaceOfTheStateFile(t *testing.T) {
	t.Parallel()
	original := mustInitForService(t)
	for what, set := range traps {
		t.Run(what, func(t *testing.T) {
			i := original.mustCopyForService(t)
			v := mustHaveVictim(t, i)
			commands := append([][]string{{"init"}, {"restore", "--yes", "--from", "DATA/good.backup"}}, commandsOfRoot...)
			mustWork(t, os.Remove(i.path("data/strongroom.db")))
			mustWork(t, set(i.path("data/strongroom.db"), v.file))
			for _, command := range commands {
				i.mustNotHang(t, command)
				v.wantUntouched(t, strings.Join(command, " "))
			}
		})
	}
}

// The service's user can replace a directory with a link to any place.
func TestRootCreatesNothingBehindALinkOfAnotherUser(t *testing.T) {
	t.Parallel()
	i := mustInitForService(t)
	v := mustHaveVictim(t, i)
	backup := filepath.Join(t.TempDir(), "backup")
	mustWork(t, os.Rename(i.path("data/good.backup"), backup))
	i.mustEdit(t, "strongroom.yaml", "path: data/strongroom.db", "path: data/link/strongroom.db")
	mustWork(t, os.Symlink(v.dir, i.path("data/link")))
	mustWork(t, os.Lchown(i.path("data/link"), serviceUser, serviceUser))
	for _, command := range [][]string{
		{"init"},
		{"restore", "--yes", "--from", backup},
		{"doctor"},
		{"keyring", "rewrap", "--new-key", "DATA/link/key"},
	} {
		i.mustNotHang(t, command)
		v.wantUntouched(t, strings.Join(command, " "))
	}
	i.mustEdit(t, "strongroom.yaml", "path: data/link/strongroom.db", "path: data/strongroom.db")
	i.mustNotHang(t, []string{"backup", "--out", "DATA/link/backup"})
	v.wantUntouched(t, "backup")
}

func TestRootConnectsToNoSocketBehindALink(t *testing.T) {
	t.Parallel()
	i := mustInitForService(t)
	v := mustHaveVictim(t, i)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(v.dir, "sock"), Net: "unix"})
	mustWork(t, err)
	defer func() { _ = listener.Close() }()
	mustWork(t, os.Chmod(filepath.Join(v.dir, "sock"), 0o600))
	mustWork(t, os.Symlink(filepath.Join(v.dir, "sock"), i.path("data/admin.sock")))
	mustWork(t, os.Lchown(i.path("data/admin.sock"), serviceUser, serviceUser))
	i.mustNotHang(t, []string{"status"})
	mustWork(t, listener.SetDeadline(time.Now().Add(100*time.Millisecond)))
	if conn, err := listener.Accept(); err == nil {
		_ = conn.Close()
		t.Error("root's status has connected to another socket")
	}
}

// A name chosen by the service's user must be shown as plain text in root's
// terminal.
func TestErrorsContainNoTerminalCommands(t *testing.T) {
	t.Parallel()
	i := mustInitForService(t)
	mustWork(t, os.Rename(i.path("data/strongroom.db"), i.path("data/\x1b[2J")))
	mustWork(t, os.Symlink("\x1b[2J", i.path("data/strongroom.db")))
	mustWork(t, os.Truncate(i.path("data/\x1b[2J"), 10))
	if r := i.administer(t, "doctor"); r.code == 0 || strings.Contains(r.stdout+r.stderr, "\x1b") {
		t.Errorf("exit code %d and %q", r.code, r.stderr)
	}
}

// The service can use the files that root's commands create.
func TestServerStartsAfterRootsCommands(t *testing.T) {
	t.Parallel()
	i := mustInitForService(t)
	for _, command := range commandsOfRoot {
		if command[0] != "explain" && command[1:] == nil || command[0] == "backup" {
			mustRun(t, i.arguments(command)...)
		}
	}
	mustWork(t, filepath.WalkDir(i.path("data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != serviceUser {
			t.Errorf("%s does not belong to the service's user", d.Name())
		}
		return err
	}))
	mustGiveTo(t, i, serviceUser)
	cmd := exec.Command(program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: serviceUser, Gid: serviceUser}}
	mustStartCmd(t, cmd)
	for _, command := range [][]string{{"status"}, {"doctor"}, {"compact"}} {
		mustRun(t, i.arguments(command)...)
	}
	if actor := i.mustAdminister(t, "audit", "tail"); !strings.Contains(actor, "uid 0") {
		t.Errorf("the audit log does not name root:\n%s", actor)
	}
}

var (
	quoted = regexp.MustCompile(`"(/[^"]*)"`)
	digits = regexp.MustCompile(`[.-][0-9a-f]{8}(\.new)|(\.verify-)[0-9]+`)
)

// The lists above must cover every path in the traces of the commands.
func TestRootCommandsUseOnlyThesePaths(t *testing.T) {
	t.Parallel()
	mustHaveStrace(t)
	i := mustInitForService(t)
	mustWork(t, os.Remove(i.path("data/strongroom.db")))
	known := slices.Concat(beside, random, []string{"good.backup"})
	for _, command := range append([][]string{{"init"}, {"doctor"}}, commandsOfRoot...) {
		log := filepath.Join(t.TempDir(), "trace")
		args := append([]string{"-f", "-s", "4096", "-e", "trace=%file,connect,bind", "-e", "signal=none", "-o", log, mustBuildFast(t)}, i.arguments(command)...)
		_ = exec.CommandContext(t.Context(), "strace", args...).Run()
		for _, m := range quoted.FindAllStringSubmatch(mustRead(t, log), -1) {
			name, ok := strings.CutPrefix(m[1], i.path("data")+"/")
			name = digits.ReplaceAllString(name, "$2.*$1")
			name = strings.Replace(name, ".verify-.*", ".verify-*", 1)
			if ok && !slices.Contains(known, name) {
				t.Errorf("strongroom %s uses %s, but no test sets a trap there", strings.Join(command, " "), name)
			}
		}
	}
}

// mustCopyForService copies an install including the owners of its files.
func (i install) mustCopyForService(t *testing.T) install {
	t.Helper()
	dir := filepath.Join(mustTempDir(t), "strongroom")
	if out, err := exec.Command("cp", "-a", i.dir, dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v %s", err, out)
	}
	mustWork(t, os.Chmod(filepath.Dir(dir), 0o711))
	return install{dir, i.sessionKey, i.psk}
}
