package main_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth/apikey"
)

var (
	reloaded = regexp.MustCompile(`msg="the config has been reloaded"`)
	broken   = regexp.MustCompile(`msg="the config is invalid; the previous one stays in force" error=(.*)`)
)

// newKey returns a new API key with the same rights as the install's psk, and
// its entry in a keys file.
func newKey() (key, entry string) {
	key, id := apikey.Generate()
	return key, entryOf(id, key)
}

func entryOf(id, key string) string {
	return fmt.Sprintf("  - id: %s\n    sha256: %s\n    subject: more\n"+
		"    grants: [{actions: [list, create, write, delete, reveal], owner: app/*}]\n", id, apikey.HashOf(key))
}

// mustBecome repeats the request until the answer has the status.
func (p *process) mustBecome(t *testing.T, status int, method, path, header string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		a := p.mustDo(t, method, path, header, "")
		if a.status == status {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s %s: still %d, want %d", method, path, a.status, status)
		}
		time.Sleep(10 * time.Millisecond) // failures are rate limited
	}
}

func TestChangedKeysFileTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	slow := mustBegin(t, p, i)
	key, entry := newKey()
	mustWrite(t, i.path("keys/psks.yaml"), "keys:\n"+entry)
	p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+key)
	p.want(t, 401, "GET", app, i.pskHeader(), "")
	// Its key is gone from the file, so the request in progress changes nothing.
	if resp := slow.mustFinish(t); resp.StatusCode != 403 {
		t.Errorf("the request in progress got %d, want 403", resp.StatusCode)
	}
	p.want(t, 404, "GET", app+"/slow", "Authorization-PSK: "+key, "")
}

func TestChangedConfigTakesEffect(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	const masked = `{"secret_name":"stars","data":[{"key":"k","value":"****"}]}`
	p.want(t, 400, "POST", app, i.pskHeader(), masked)
	i.mustEdit(t, "strongroom.yaml", "masked_values: reject", "masked_values: store")
	p.mustSay(t, reloaded)
	p.want(t, 200, "POST", app, i.pskHeader(), masked)
	i.mustEdit(t, "strongroom.yaml", "\n  openhands:", "\n  #openhands:")
	p.mustBecome(t, 401, "GET", "/api/secrets", i.sessionHeader()) // as for any path without an API
}

// The test updates files like kubelet: ..data is a symbolic link to a directory, and a
// link to another directory replaces it.
func TestSwappedConfigMapIsReloaded(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWork(t, os.Mkdir(i.path("keys/..1"), 0o700))
	mustWork(t, os.Rename(i.path("keys/psks.yaml"), i.path("keys/..1/psks.yaml")))
	mustWork(t, os.Symlink("..1", i.path("keys/..data")))
	mustWork(t, os.Symlink("..data/psks.yaml", i.path("keys/psks.yaml")))
	p := mustServe(t, i)
	p.want(t, 200, "GET", app, i.pskHeader(), "")
	key, entry := newKey()
	mustWork(t, os.Mkdir(i.path("keys/..2"), 0o700))
	mustWrite(t, i.path("keys/..2/psks.yaml"), "keys:\n"+entry)
	mustWork(t, os.Symlink("..2", i.path("keys/..data_tmp")))
	mustWork(t, os.Rename(i.path("keys/..data_tmp"), i.path("keys/..data")))
	mustWork(t, os.RemoveAll(i.path("keys/..1")))
	p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+key)
	p.want(t, 401, "GET", app, i.pskHeader(), "")
}

func TestBrokenFilesChangeNothingAndAreReported(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, old, replacement, says string }{
		"a typo in the config": {"strongroom.yaml", "masked_values: reject", "masked_values: no", "apis.nx1.masked_values"},
		"not YAML":             {"strongroom.yaml", "apis:", "apis: [", "strongroom.yaml"},
		"a broken keys file":   {"keys/psks.yaml", "sha256: ", "sha256: x", "auth.psk.api_key.keys_file"},
		"a store that is not open": {
			"strongroom.yaml", "{store: embedded, auth: [psk]", "{store: other, auth: [psk]", "apis.nx1.store: must be a name under stores",
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := mustInit(t)
			p := mustServe(t, i)
			i.mustEdit(t, tc.file, tc.old, tc.replacement)
			if says := p.mustSay(t, broken)[1]; !strings.Contains(says, tc.says) {
				t.Errorf("the log lacks %q:\n%s", tc.says, says)
			}
			p.want(t, 200, "GET", app, i.pskHeader(), "")
			p.want(t, 200, "GET", "/api/secrets", i.sessionHeader(), "")
			if r := i.administer(t, "status"); r.code != 1 || !strings.Contains(r.stderr, tc.says) {
				t.Errorf("status prints, with exit code %d:\n%s", r.code, r.stderr)
			}
			status, err := i.adminClient(t).StatusWithResponse(t.Context())
			if err != nil || !strings.Contains(status.JSON200.Config.Problem, tc.says) {
				t.Errorf("the administration API returns %v, %v", status.JSON200, err)
			}
			i.mustEdit(t, tc.file, tc.replacement, tc.old)
			p.mustSay(t, reloaded)
			if says := i.mustAdminister(t, "status"); !strings.Contains(says, "is serving; config in force since ") {
				t.Errorf("status prints\n%s", says)
			}
		})
	}
}

func TestModeOfAFileIsCheckedOnReload(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	mustWork(t, os.Chmod(i.path("keys/psks.yaml"), 0o644))
	p.mustSay(t, regexp.MustCompile(broken.String()+"other users can access"))
	mustWork(t, os.Chmod(i.path("keys/psks.yaml"), 0o600))
	p.mustSay(t, reloaded)
}

func TestFieldsThatNeedARestartAreReportedAndTheRestIsReloaded(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	text := mustRead(t, i.config())
	text = strings.Replace(text, "drain: 10s", "drain: 9s", 1)
	text = strings.Replace(text, "path: data/strongroom.db", "path: data/../data/strongroom.db", 1)
	text = strings.Replace(text, "address: 127.0.0.1:3000", "address: 127.0.0.1:3001", 1) // --listen overrides it
	mustWrite(t, i.config(), strings.Replace(text, "embedded: {bolt: {}}", "embedded: {bolt: {versions: 3}}", 1))
	mustWrite(t, i.path("keys/psks.yaml"), mustRead(t, i.path("keys/session-keys.yaml")))
	p.mustBecome(t, 401, "GET", app, i.pskHeader())
	p.mustSay(t, regexp.MustCompile(`msg="some changes to the config need a restart" fields="listen.drain stores"`))
	if says := i.mustAdminister(t, "status"); !strings.Contains(says, "restart required for: listen.drain stores\n") {
		t.Errorf("status prints\n%s", says)
	}
}

func TestSIGHUPReloadsWithoutAChange(t *testing.T) {
	t.Parallel()
	p := mustServe(t, mustInit(t))
	p.signal(syscall.SIGHUP)
	p.mustSay(t, reloaded)
}

func TestStatusWithoutAServerSaysSo(t *testing.T) {
	t.Parallel()
	r := mustInit(t).administer(t, "status")
	if r.code != 3 || !strings.HasPrefix(r.stdout, "state file ") || r.stderr != "strongroom: no server is running on this state file\n" {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
	if r := mustInit(t).administer(t, "status", "-o", "json"); r.code != 3 || !strings.Contains(r.stdout, `"serving":false`) {
		t.Errorf("as JSON: %d, %s%s", r.code, r.stdout, r.stderr)
	}
}

const (
	reloadsEnv     = "STRONGROOM_RELOADS" // number of reloads; make reloads uses more
	defaultReloads = 50
	// Every byThemselves-th reload waits for the file watcher; SIGHUP starts the others.
	byThemselves = 10
)

// While clients write, each reload replaces an API key, and every second one
// has a broken file instead. No request may fail.
func TestReloadsUnderLoadFailNoRequest(t *testing.T) {
	t.Parallel()
	reloads := mustCount(t, reloadsEnv, defaultReloads)
	i := mustInit(t)
	p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	counters, stop := mustLoad(t, p, i, 1)
	keys := "keys:\n" + entryOf("load", i.psk)
	config := mustRead(t, i.config())
	spoilt := []struct{ file, text string }{
		{i.path("keys/psks.yaml"), keys[:len(keys)/2]},
		{i.path("keys/psks.yaml"), ""},
		{i.config(), config[:len(config)-40]},
		{i.config(), config + "more: {}\n"},
	}
	var key, entry string
	slowest, breakages := time.Duration(0), 0
	for n := range reloads {
		if n%2 == 1 {
			s := spoilt[n/2%len(spoilt)]
			whole := mustRead(t, s.file)
			mustWrite(t, s.file, s.text)
			p.signal(syscall.SIGHUP)
			breakages++
			p.mustSayTimes(t, broken, breakages)
			mustWrite(t, s.file, whole)
			continue
		}
		old := key
		key, entry = newKey()
		written := time.Now()
		mustWrite(t, i.path("keys/psks.yaml"), keys+entry)
		if n/2%byThemselves > 0 {
			p.signal(syscall.SIGHUP)
		}
		p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+key)
		if old != "" {
			p.want(t, 401, "GET", app, "Authorization-PSK: "+old, "")
		}
		slowest = max(slowest, time.Since(written))
	}
	stop()
	total := int64(0)
	for _, c := range counters {
		total += c.acked[0].Load()
	}
	t.Logf("%d reloads, %d of them broken, while %d writes were answered; the slowest took effect after %s", reloads, breakages, total, slowest)
	if os.Getenv(reloadsEnv) != "" && slowest > 2*time.Second {
		t.Errorf("an old key worked for %s", slowest)
	}
}

// mustSayTimes waits until the log has at least this many matches.
func (p *process) mustSayTimes(t *testing.T, pattern *regexp.Regexp, times int) {
	t.Helper()
	deadline := time.After(patience)
	for {
		text, more := p.said()
		if len(pattern.FindAllString(text, times)) >= times {
			return
		}
		select {
		case <-more:
		case <-p.exited:
			t.Fatalf("it ended:\n%s", text)
		case <-deadline:
			t.Fatalf("it does not say %v %d times:\n%s", pattern, times, text)
		}
	}
}
