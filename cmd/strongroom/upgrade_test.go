package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The program of an earlier commit and this one take turns on one state file, as in an
// upgrade and its rollback. If the format has changed, the rollback uses the copy from
// before the upgrade. make upgrades sets the commit; building it takes a minute.
func TestUpgradeKeepsEverythingAndCanBeRolledBack(t *testing.T) {
	commit := os.Getenv("STRONGROOM_UPGRADE_FROM")
	if commit == "" {
		t.Skip("no upgrade is tested: make upgrades names an earlier commit")
	}
	earlier := mustBuildCommit(t, commit)
	i := mustInitBy(t, earlier)
	var written, atUpgrade []string
	for turn, program := range []string{earlier, program, earlier, program} {
		switch copied := i.path("data/strongroom.db") + ".v1"; {
		case turn == 1:
			atUpgrade = written
		case turn == 2 && exists(copied):
			mustRollBack(t, i.path("data/strongroom.db"), copied)
			written = slices.Clone(atUpgrade)
		}
		p := mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
		for _, name := range written {
			if got := p.want(t, 200, "GET", app+"/"+name+"/reveal", i.pskHeader(), "").body; !strings.Contains(got, "value-of-"+name) {
				t.Errorf("turn %d: %s is %s", turn, name, got)
			}
		}
		name := "turn-" + string(rune('0'+turn))
		p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"`+name+`","data":[{"key":"k","value":"value-of-`+name+`"}]}`)
		written = append(written, name)
		for _, args := range [][]string{{"doctor"}, {"audit", "verify"}} {
			if r := runProgram(t, program, append(args, "--config", i.config())...); r.code != 0 {
				t.Errorf("turn %d: %v: %s%s", turn, args, r.stdout, r.stderr)
			}
		}
		p.mustStop(t)
	}
}

// lastOfFormat2 is the last commit that wrote format 2 of the state file.
const lastOfFormat2 = "be65014"

// The program of that commit is killed, so that its last changes are only in the journal.
func TestFileOfFormat2IsTakenOverWithItsJournal(t *testing.T) {
	if os.Getenv("STRONGROOM_UPGRADE_FROM") == "" {
		t.Skip("no upgrade is tested: make upgrades does that")
	}
	earlier := mustBuildCommit(t, lastOfFormat2)
	i := mustInitBy(t, earlier)
	serve := func(program string) *process {
		return mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	}
	p := serve(earlier)
	for _, name := range []string{"a", "b", "gone"} {
		p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"`+name+`","data":[{"key":"k","value":"first of `+name+`"}]}`)
	}
	p.mustStop(t) // these are in the state file
	p = serve(earlier)
	p.want(t, 200, "PUT", app+"/a", i.pskHeader(), `{"data":[{"key":"k","value":"second of a"}]}`)
	p.want(t, 200, "DELETE", app+"/gone", i.pskHeader(), "")
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"c","data":[{"key":"k","value":"first of c"}]}`)
	p.mustKill(t)

	alone := i.mustCopy(t)
	for _, suffix := range []string{".journal0", ".journal1"} {
		mustWork(t, os.Remove(alone.path("data/strongroom.db"+suffix)))
	}
	wantRefusalWith(t, run(t, "serve", "--config", alone.config(), "--listen", "127.0.0.1:0"), 74, "journal")

	for start := range 2 {
		p := serve(program)
		for name, want := range map[string]string{"a": "second of a", "b": "first of b", "c": "first of c"} {
			if got := p.want(t, 200, "GET", app+"/"+name+"/reveal", i.pskHeader(), "").body; !strings.Contains(got, want) {
				t.Errorf("start %d: %s is %s", start, name, got)
			}
		}
		p.want(t, 404, "GET", app+"/gone", i.pskHeader(), "")
		for _, args := range [][]string{{"doctor"}, {"audit", "verify"}, {"secret", "history", theApp, "a"}} {
			i.mustAdminister(t, args...)
		}
		p.mustStop(t)
	}
	if r := runProgram(t, earlier, "doctor", "--config", i.config()); r.code == 0 {
		t.Errorf("the earlier program opens the file of format 3: %s", r.stdout)
	}
}

// mustInitBy returns an install that another program has created.
func mustInitBy(t *testing.T, program string, flags ...string) install {
	t.Helper()
	dir := filepath.Join(mustTempDir(t), "strongroom")
	out := runProgram(t, program, append([]string{"init", "--dir", dir}, flags...)...)
	lines := strings.Split(out.stdout, "\n")
	if out.code != 0 || len(lines) != 3 {
		t.Fatalf("init: %s", out.stderr)
	}
	return install{dir, strings.TrimPrefix(lines[0], "X-Session-API-Key: "), strings.TrimPrefix(lines[1], "Authorization-PSK: ")}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mustRollBack replaces the state file by the copy.
func mustRollBack(t *testing.T, state, copied string) {
	t.Helper()
	for _, path := range []string{state, state + ".journal0", state + ".journal1"} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(copied, state); err != nil {
		t.Fatal(err)
	}
}

// mustBuildCommit builds the program of a commit of this repository, which is its version.
func mustBuildCommit(t *testing.T, commit string) string {
	t.Helper()
	dir := t.TempDir()
	built := filepath.Join(dir, "strongroom")
	script := `git archive "$1" | tar -x -C "$2" && cd "$2" && CGO_ENABLED=0 go build -buildvcs=false -ldflags "-X main.version=$1" -o "$3" ./cmd/strongroom`
	cmd := exec.Command("sh", "-c", script, "sh", commit, mustTempDir(t), built)
	cmd.Dir = repository
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", commit, err, out)
	}
	return built
}
