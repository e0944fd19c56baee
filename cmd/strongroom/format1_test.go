package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// testdata/format1.tar.gz is an install with format 1 of the state file, created by the
// last version with that format. It has a secret a with three versions, a secret b, a
// deleted secret, a rotated keyring and an agent key.
func mustUnpackFormat1(t *testing.T) install {
	t.Helper()
	i := install{dir: mustTempDir(t)}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xzf", "testdata/format1.tar.gz", "-C", i.dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v %s", err, out)
	}
	for _, line := range strings.Split(mustRead(t, i.path("api-keys")), "\n") {
		if psk, ok := strings.CutPrefix(line, "Authorization-PSK: "); ok {
			i.psk = psk
		}
	}
	i.mustEdit(t, "strongroom.yaml", "  path: data/strongroom.db\n", "  path: data/strongroom.db\n  journal_bytes: 262144\n")
	return i
}

func TestStateFileOfFormat1IsTakenOver(t *testing.T) {
	t.Parallel()
	const oldApp, owner = "/api/app/3fa85f64-5717-4562-b3fc-2c963f66afa6/secrets", "app/3fa85f64-5717-4562-b3fc-2c963f66afa6"
	i := mustUnpackFormat1(t)
	before := mustRead(t, i.path("data/strongroom.db"))
	p := mustServe(t, i)
	for name, value := range map[string]string{"a": "a three", "b": "b one"} {
		if a := p.want(t, 200, "GET", oldApp+"/"+name+"/reveal", i.pskHeader(), ""); !strings.Contains(a.body, value) {
			t.Errorf("%s is %s, want %s", name, a.body, value)
		}
	}
	p.want(t, 200, "PUT", oldApp+"/a", i.pskHeader(), `{"data":[{"key":"k","value":"a four"}]}`)
	if versions := strings.Count(i.mustAdminister(t, "secret", "history", owner, "a"), "\n"); versions != 5 { // with a heading
		t.Errorf("a has %d lines of history, want 5", versions)
	}
	if deleted := i.mustAdminister(t, "owner", "deleted", owner); !strings.Contains(deleted, "gone") {
		t.Errorf("the deleted secrets are\n%s", deleted)
	}
	i.mustAdminister(t, "doctor")
	if log := p.mustStop(t); !strings.Contains(log, "strongroom.db.v1") {
		t.Errorf("the log does not name the backup:\n%s", log)
	}
	if mustRead(t, i.path("data/strongroom.db.v1")) != before {
		t.Error("the backup is not the old file")
	}
	p = mustServe(t, i)
	if a := p.want(t, 200, "GET", oldApp+"/a/reveal", i.pskHeader(), ""); !strings.Contains(a.body, "a four") {
		t.Errorf("after another start a is %s", a.body)
	}
	if log := p.mustStop(t); strings.Contains(log, "strongroom.db.v1") {
		t.Errorf("the second start has upgraded again:\n%s", log)
	}
	if _, there := mustSnapshot(t, i.dir)["data/strongroom.db.reserve"]; there {
		t.Error("the reserve of format 1 is still there")
	}
}
