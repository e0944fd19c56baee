package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/test/pgtest"
)

// mustInitDatabase is mustInit for a state in a new database.
func mustInitDatabase(t *testing.T, url string) install {
	t.Helper()
	dir := mustTempDir(t)
	file := filepath.Join(dir, "url")
	mustWrite(t, file, url+"\n")
	lines := strings.Split(mustRun(t, "init", "--dir", filepath.Join(dir, "node"), "--postgres", file).stdout, "\n")
	if len(lines) != 3 {
		t.Fatalf("init printed %d lines, want 2", len(lines)-1)
	}
	return install{filepath.Join(dir, "node"), strings.TrimPrefix(lines[0], "X-Session-API-Key: "), strings.TrimPrefix(lines[1], "Authorization-PSK: ")}
}

// another returns the install of another node.
func (i install) another(t *testing.T, name string) install {
	t.Helper()
	other := i.mustCopy(t)
	if err := os.RemoveAll(other.path("data")); err != nil {
		t.Fatal(err)
	}
	other.mustEdit(t, "strongroom.yaml", "cache: data/cache", "cache: data/cache, node: "+name)
	return other
}

func TestEveryNodeSeesEachChangeAtOnce(t *testing.T) {
	i := mustInitDatabase(t, pgtest.Start(t).NewDatabase(t))
	one, two := mustServe(t, i), mustServe(t, i.another(t, "two"))
	for range 20 {
		one.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"v"}]}`)
		two.want(t, 200, "GET", app+"/db", i.pskHeader(), "")
		two.want(t, 200, "DELETE", app+"/db", i.pskHeader(), "")
		one.want(t, 404, "GET", app+"/db", i.pskHeader(), "")
	}
}
