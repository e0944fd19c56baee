package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A real Secret Service keeps the credential: GNOME's keyring, on a session bus of its own.
func TestSystemKeyringKeepsTheCredential(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"dbus-run-session", "gnome-keyring-daemon", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("THE SYSTEM KEYRING IS NOT TESTED: %v", err)
		}
	}
	p := mustLogIn(t)
	p.useFast(t)
	p.mustSet(t, "from the keyring", "TOKEN")
	p.must(t, "logout")
	file := filepath.Join(p.home, ".config/strongroom/credentials.json")
	mustWrite(t, filepath.Join(p.home, "key"), p.in.sessionKey)
	runtime := filepath.Join(p.home, "runtime")
	mustWork(t, os.Mkdir(runtime, 0o700))
	script := strings.NewReplacer("URL", "http://"+p.server.address, "FILE", file).Replace(`set -eu
printf password | gnome-keyring-daemon --unlock --components=secrets > /dev/null 2>&1
strongroom login URL --file "$HOME/key"
test ! -e FILE
strongroom get TOKEN; echo
strongroom login URL --file "$HOME/key" --profile other
strongroom logout --profile other
strongroom get TOKEN --profile other || true
strongroom get TOKEN --profile default; echo
strongroom logout --profile default
strongroom get TOKEN --profile default || true
test ! -e FILE
`)
	cmd := exec.CommandContext(t.Context(), "dbus-run-session", "--", "sh", "-c", script)
	cmd.Env = []string{"HOME=" + p.home, "PATH=" + filepath.Dir(*p.program) + ":" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + runtime}
	out, err := cmd.CombinedOutput()
	var got []string
	for line := range strings.Lines(string(out)) {
		line = line[max(0, strings.Index(line, "logged in for")):] // a daemon may leave an unfinished line
		if strings.Contains(line, "from the keyring") || strings.Contains(line, "credential in") || strings.HasPrefix(line, "strongroom: ") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	url := "http://" + p.server.address
	want := []string{
		"logged in for custom secrets at " + url + " (profile default, credential in the system keyring)", "from the keyring",
		"logged in for custom secrets at " + url + " (profile other, credential in the system keyring)",
		"strongroom: not logged in: strongroom login " + url, "from the keyring", "strongroom: not logged in: strongroom login " + url,
	}
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out, strings.Join(want, "\n"))
	}
	for name, content := range mustSnapshot(t, p.home) {
		if name != "key" && strings.Contains(content, p.in.sessionKey) {
			t.Errorf("the key is in %s", name)
		}
	}
}
