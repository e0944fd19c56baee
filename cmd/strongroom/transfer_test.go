package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestExportThenImportChangesNothing(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "it's \"5\" $A # \\n", "TOKEN")
	p.mustSet(t, "a\nb\n\n", "NOTE") // --stdin drops one line break
	p.mustSet(t, "pw", "shop", "db.PASSWORD")
	p.mustSet(t, "me", "shop", "db.USER")
	p.mustSet(t, "k", "shop", "key")
	dir := mustTempDir(t)
	for _, format := range []string{"dotenv", "json", "yaml", "shell", "kubernetes", "systemd"} {
		file := filepath.Join(dir, format)
		p.must(t, "export", "--format", format, "--out", file)
		info, err := os.Stat(file)
		mustWork(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o", format, info.Mode().Perm())
		}
		wantRefusal(t, p.run(t, "export", "--out", file), "file already exists")
		if out := p.must(t, "import", file, "--format", format, "--dry-run"); strings.Count(out, "  same  ") != 2 || strings.Count(out, "\n") != 3 {
			t.Errorf("%s:\n%s", format, out)
		}
	}
	for _, format := range []string{"json", "yaml"} {
		out := p.must(t, "export", "shop", "--format", format)
		mustWrite(t, filepath.Join(dir, "app."+format), out)
		if plan := p.must(t, "import", "shop", filepath.Join(dir, "app."+format), "--prune", "--dry-run"); strings.Count(plan, "  same  ") != 3 {
			t.Errorf("%s of an app:\n%s", format, plan)
		}
	}
	wantRefusal(t, p.run(t, "export", "--format", "docker"), "NOTE: docker --env-file cannot hold line breaks")
	wantRefusal(t, p.run(t, "export", "--format", "toml"), "--format: must be dotenv, json")
}

func TestImportShowsChangesAndAsks(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "old-value", "A", "--description", "kept")
	p.mustSet(t, "same-value", "B")
	p.mustSet(t, "extra", "X")
	file := filepath.Join(mustTempDir(t), ".env")
	mustWrite(t, file, "A=new-value\nB=same-value\nC=third-value\n")
	var rows []struct{ Name, Change, Now, After string }
	mustDecode(t, p.must(t, "import", file, "--dry-run", "--prune", "-o", "json"), &rows)
	got := ""
	for _, r := range rows {
		got += r.Name + " " + r.Change + ";"
		if r.Change == "same" && r.Now != r.After || r.Change == "changed" && r.Now == r.After {
			t.Errorf("the fingerprints of %s are %s and %s", r.Name, r.Now, r.After)
		}
	}
	if got != "A changed;B same;C new;X removed;" {
		t.Errorf("got %s", got)
	}
	p.want(t, "old-value", "get", "A")
	if r := p.run(t, "import", file); r.code != 1 || !strings.Contains(r.stderr, "This changes 2 secrets.\nThere is no terminal to ask on: add --yes") {
		t.Errorf("without a terminal: %d %s", r.code, r.stderr)
	}
	p.want(t, "old-value", "get", "A")
	p.must(t, "import", file, "--yes")
	p.want(t, "new-value", "get", "A")
	p.want(t, "NAME  KEYS   DESCRIPTION\nA     value  kept\nB     value  \nC     value  \nX     value  \n", "ls")
	p.must(t, "import", file, "--yes", "--prune")
	wantRefusal(t, p.run(t, "get", "X"), "X: ")
}

func TestABadLineOfAnImportChangesNothing(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	dir := mustTempDir(t)
	for text, says := range map[string]string{
		"A=1\nB=2\nwhat is this\n": "line 3: want NAME=value",
		"A=1\nB='2\n":              "line 2: the quote ' is not closed",
		"A=1\nB.C=2\n":             `"B.C": the name of a custom secret must be a letter`,
		"A=1\nB=2#3\n":             "line 2: the # can be a part of the value",
	} {
		file := filepath.Join(dir, ".env")
		mustWrite(t, file, text)
		wantRefusal(t, p.run(t, "import", file, "--yes"), says, "nothing was changed")
	}
	p.want(t, "", "ls")
}

func TestImportIntoDataKeysOfAnApp(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "me", "shop", "db.USER")
	file := filepath.Join(mustTempDir(t), "db.env")
	mustWrite(t, file, "PASSWORD=pw\nHOST=h\n")
	p.must(t, "import", "shop", file, "--into", "db", "--yes")
	p.want(t, "{\n  \"db\": {\n    \"HOST\": \"h\",\n    \"PASSWORD\": \"pw\",\n    \"USER\": \"me\"\n  }\n}\n", "export", "shop", "--format", "json")
	wantRefusal(t, p.run(t, "import", file, "--into", "db", "--yes"), "db: custom secrets have one value", "nothing was changed")
}

func TestManySecretsAreImported(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.useFast(t)
	all := map[string]string{}
	for n := range 60 {
		all[fmt.Sprint("NAME_", n)] = fmt.Sprint("value ", n)
	}
	text, err := json.Marshal(all)
	mustWork(t, err)
	file := filepath.Join(mustTempDir(t), "all.json")
	mustWrite(t, file, string(text))
	p.must(t, "import", file, "--yes")
	if out := p.must(t, "import", file); strings.Count(out, "  same  ") != 60 {
		t.Errorf("got\n%s", out)
	}
}

func TestCopyShowsNoValueAndNeedsAYes(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "copied-value", "TOKEN", "--description", "words")
	other := mustInit(t)
	server := mustServe(t, other)
	for _, key := range []string{other.sessionKey, other.psk} {
		if r := p.feed(t, key, "login", "http://"+server.address, "--stdin", "--profile", "other"); r.code != 0 {
			t.Fatal(r.stderr)
		}
	}
	r := p.run(t, "copy", "default:me", "other:me")
	if r.code != 1 || strings.Contains(r.stdout+r.stderr, "copied-value") || !strings.Contains(r.stdout, "TOKEN  new") {
		t.Errorf("got %d, %s%s", r.code, r.stdout, r.stderr)
	}
	p.must(t, "copy", "default:me", "other:me", "--yes")
	p.want(t, "copied-value", "get", "other:me", "TOKEN")
	p.want(t, "NAME   KEYS   DESCRIPTION\nTOKEN  value  words\n", "ls", "other:me")
	p.mustSet(t, "rotated-value", "default:me", "TOKEN")
	p.mustSet(t, "kept-value", "default:me", "KEPT")
	p.mustSet(t, "kept-value", "other:me", "KEPT")
	out := p.must(t, "copy", "default:me", "other:me", "--dry-run")
	rows := regexp.MustCompile(`(?m)^KEPT +same +([0-9a-f]{8}) +([0-9a-f]{8})$\n^TOKEN +changed +([0-9a-f]{8}) +([0-9a-f]{8})$`).FindStringSubmatch(out)
	if rows == nil || rows[1] != rows[2] || rows[3] == rows[4] || strings.Contains(out, "-value") {
		t.Errorf("the table of changes:\n%s", out)
	}
	p.mustSet(t, "in-both", "default:shop", "db.PASSWORD")
	p.mustSet(t, "in-both", "other:shop", "cache.PASSWORD")
	all := p.must(t, "ls", "--all")
	for _, want := range []string{`db +PASSWORD +default:shop`, `cache +PASSWORD +other:shop`, `TOKEN +value +words +default:me`, `TOKEN +value +words +other:me`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(all) {
			t.Errorf("ls --all lacks %s:\n%s", want, all)
		}
	}
	p.must(t, "copy", "default:me", "other:me", "--yes")
	p.mustSet(t, "copied-value", "default:me", "TOKEN")
	p.must(t, "copy", "default:me", "other:"+theApp, "TOKEN", "--yes")
	p.want(t, "copied-value", "get", "other:"+theApp, "TOKEN")
	wantRefusal(t, p.run(t, "copy", "default:me", "other:me", "TOKEN", "--prune"), "--prune compares all secrets")
	wantRefusal(t, p.run(t, "ls", "nowhere:me"), `there is no profile "nowhere"`)
}

func TestEditSendsOnlyChangesAndLeavesNoFile(t *testing.T) {
	p := mustLogIn(t)
	p.mustSet(t, "one-value", "A")
	p.mustSet(t, "two-value", "B")
	p.mustSet(t, "pw-value", "shop", "db.PASSWORD")
	before, _ := filepath.Glob("/dev/shm/strongroom*")
	p.env = []string{"EDITOR=sed -i s/one-value/first-value/"}
	r := p.run(t, "edit", "--yes")
	if r.code != 0 || !strings.Contains(r.stdout, "A     changed") || !strings.Contains(r.stdout, "B     same") {
		t.Errorf("got %d, %s%s", r.code, r.stdout, r.stderr)
	}
	p.want(t, "first-value", "get", "A")
	if history := p.in.mustAdminister(t, "secret", "history", "user/default", "B"); strings.Count(history, "\n") != 2 {
		t.Errorf("B was written again:\n%s", history)
	}
	p.env = []string{"EDITOR=true"}
	if r := p.run(t, "edit", "shop"); r.code != 0 || r.stderr != "nothing was changed\n" {
		t.Errorf("got %d, %s", r.code, r.stderr)
	}
	p.env = []string{"EDITOR=false"}
	wantRefusal(t, p.run(t, "edit", "A"), "the editor failed")
	p.env = []string{"EDITOR=sed -i s/:/=/"}
	wantRefusal(t, p.run(t, "edit", "A"), "reading the edited file: ", "nothing was changed")
	// Another client changes the secret while the editor is open.
	p.env = []string{"EDITOR=sh -c 'printf other | STRONGROOM_PROFILE= " + program + " set A --stdin; sed -i s/first/mine/ \"$0\"'"}
	if r := p.run(t, "edit", "A", "--yes"); r.code != 1 || !strings.Contains(r.stderr, "another client has changed it meanwhile") {
		t.Errorf("got %d, %s", r.code, r.stderr)
	}
	p.want(t, "other", "get", "A")
	if after, _ := filepath.Glob("/dev/shm/strongroom*"); len(after) > len(before) {
		t.Errorf("files are left: %v", after)
	}
}

func TestTemplateIsFilledOrNotWritten(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.mustSet(t, "tok<en>", "TOKEN")
	p.mustSet(t, "pw", "shop", "db.PASSWORD")
	p.mustSet(t, "me", "shop", "db.USER")
	dir := mustTempDir(t)
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	mustWrite(t, in, `{{secret "me" "TOKEN"}} {{secret "shop" "db" "PASSWORD"}}`+"\n")
	p.want(t, "tok<en> pw\n", "template", in)
	p.must(t, "template", in, "--out", out, "--mode", "0640")
	info, err := os.Stat(out)
	mustWork(t, err)
	if mustRead(t, out) != "tok<en> pw\n" || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %o, %s", info.Mode().Perm(), mustRead(t, out))
	}
	mustWrite(t, in, `{{secret "me" "TOKEN"}} {{secret "me" "NONE"}}`)
	r := p.run(t, "template", in, "--out", out)
	wantRefusal(t, r, "NONE: ")
	if strings.Contains(r.stderr, "tok<en>") || mustRead(t, out) != "tok<en> pw\n" {
		t.Errorf("the error quotes a value or the file was changed: %s", r.stderr)
	}
	wantRefusal(t, p.run(t, "template", in, "--mode", "999"), "--mode: ")
}
