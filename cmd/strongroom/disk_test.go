package main_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A failed fdatasync is final: the kernel may have dropped the dirty pages, and
// the next fdatasync would succeed without writing them.
func TestServerExitsWithASpecialCodeWhenTheDiskFails(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"a","data":[{"key":"k","value":"before"}]}`)
	p.mustStop(t)

	p = mustTrace(t, i.path("data/strongroom.db"), []string{"-e", "inject=fdatasync:error=EIO"},
		mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0").process
	p.want(t, 503, "PUT", app+"/a", i.pskHeader(), `{"data":[{"key":"k","value":"after"}]}`)
	code, log := p.mustEnd(t)
	if code != 74 || !strings.Contains(log, "strongroom: the disk failed during a commit") {
		t.Errorf("exit code %d, want 74 and why:\n%s", code, log)
	}

	p = mustServe(t, i)
	a := p.want(t, 200, "GET", app+"/a/reveal", i.pskHeader(), "")
	if !strings.Contains(a.body, "before") && !strings.Contains(a.body, "after") {
		t.Errorf("revealed %s, want the old values or those of the failed write", a.body)
	}
}

func TestFullDiskRejectsOnlyWrites(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"a","data":[]}`)
	p.mustStop(t)

	p = mustTrace(t, i.path("data/strongroom.db"), []string{"-e", "inject=pwrite64:error=ENOSPC"},
		mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0").process
	p.want(t, 507, "PUT", app+"/a", i.pskHeader(), `{"data":[{"key":"k","value":"v"}]}`)
	p.want(t, 507, "DELETE", app+"/a", i.pskHeader(), "")
	p.want(t, 507, "POST", "/api/secrets", i.sessionHeader(), `{"name":"A","value":"v"}`)
	p.want(t, 200, "GET", app+"/a", i.pskHeader(), "")
	p.want(t, 200, "GET", app, i.pskHeader(), "")
	p.client.CloseIdleConnections()
	p.mustKill(t) // entries it could not write are lost

	p = mustServe(t, i)
	p.want(t, 200, "PUT", app+"/a", i.pskHeader(), `{"data":[{"key":"k","value":"v"}]}`)
	a := p.want(t, 200, "GET", "/api/secrets", i.sessionHeader(), "")
	if a.body != `{"custom_secrets":[]}` {
		t.Errorf("a refused write happened: %s", a.body)
	}
}

// A partly written file would block the next attempt.
func TestInitOnAFullDiskLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	mustHaveStrace(t)
	out, err := exec.Command("strace", "-f", "-o", os.DevNull, "-e", "inject=fsync:error=ENOSPC:when=1", // of the first file, keys/state.key
		mustBuildFast(t), "init", "--dir", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nothing was created: ") || !strings.Contains(string(out), "no space left") {
		t.Errorf("init: %v, %s", err, out)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("init left its files: %v", err)
	}
	if r := run(t, "init", "--dir", dir); r.code != 0 {
		t.Errorf("again: exit code %d, %s", r.code, r.stderr)
	}
}
