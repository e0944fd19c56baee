package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/strongroom/strongroom/"

// imports lists the packages of this module that each package may import. Tests are
// exempt. A package without a row may import none. The map in README.md has the reasons.
var imports = []struct{ pkg, may string }{
	{"internal/state", "internal/secret internal/safefile internal/state/change internal/state/journal"},
	{"internal/state/journal", "internal/safefile internal/state/change"},
	{"internal/state/postgres", "internal/secret internal/state internal/state/change"},
	{"internal/state/statetest", "internal/state"},
	{"internal/auth", "internal/secret internal/ratelimit internal/server"},
	{"internal/config", "internal/strictyaml internal/grant internal/safefile internal/duration"},
	{"internal/grant", "internal/secret"},
	{"internal/auth/apikey", "internal/auth internal/secret internal/grant internal/strictyaml"},
	{"internal/auth/oidc", "internal/auth internal/secret internal/grant"},
	{"internal/auth/serviceaccount", "internal/auth internal/secret internal/grant"},
	{"internal/lastaccess", "internal/secret internal/seal internal/state"},
	{"internal/issued", "internal/auth/apikey internal/grant internal/secret internal/seal internal/state"},
	{"internal/session", "internal/auth internal/auth/apikey internal/secret internal/seal internal/state"},
	{"internal/auth/*", "internal/auth internal/secret"},
	{"internal/audit", "internal/secret internal/state internal/safefile"},
	{"internal/audit/stream", "internal/audit internal/secret internal/safefile"},
	{"internal/keyring", "internal/seal internal/safefile"},
	{"internal/backup", "internal/seal"},
	{"internal/objectname", "internal/secret"},
	{"internal/store/storetest", "internal/objectname internal/secret"},
	{"internal/store/memory", "internal/objectname internal/secret"},
	{"internal/store/*", "internal/objectname internal/secret internal/seal internal/state"},
	{"internal/api", "internal/secret internal/auth internal/server internal/fastapi"},
	{"internal/api/openhands/custom", "internal/api internal/secret internal/auth internal/server internal/fastapi"},
	{"internal/api/openhands/v0", "internal/api internal/api/openhands/custom internal/secret internal/auth internal/server internal/fastapi specs gen/openhands"},
	{"internal/api/openhands/agentserver", "internal/api internal/api/openhands/custom internal/secret internal/auth internal/server internal/fastapi specs gen/agentserver"},
	{"internal/api/openhands/v1", "internal/api internal/api/openhands/custom internal/secret internal/auth internal/server internal/fastapi specs gen/openhandsv1"},
	{"internal/api/openhands/sandbox", "internal/api internal/api/openhands/custom internal/secret internal/auth internal/server specs gen/sandbox"},
	{"internal/api/nx1", "internal/api internal/secret internal/auth internal/server internal/fastapi specs gen/nx1"},
	{"internal/api/vault", "internal/api internal/secret internal/auth internal/server internal/fastapi specs gen/vault"},
	{"internal/admin", "internal/secret internal/safefile internal/seal internal/state internal/audit internal/lastaccess internal/issued internal/keyring internal/session internal/backup internal/store/bolt"},
	{"internal/api/strongroom", "internal/api internal/secret internal/seal internal/auth internal/server internal/fastapi internal/admin internal/grant internal/issued specs gen/strongroom"},
	{"internal/client", "internal/client/envfile internal/client/signin internal/seal internal/secret internal/safefile internal/strictyaml gen/agentserver gen/nx1 gen/openhands"},
	{"internal/client/*", "internal/secret"},
	{"internal/console", "internal/admin internal/api internal/grant internal/secret internal/auth internal/auth/apikey internal/auth/oidc internal/server internal/audit internal/issued internal/lastaccess internal/session"},
	{"internal/test/kubetest/prebuild", "internal/test/kubetest"},
	{"internal/test/bench", "internal/test/kubetest internal/test/pgtest"},
	{"internal/metrics", ""},
	{"internal/tracing", ""},
	{"internal/app", "internal/* internal/*/* internal/*/*/* specs"},
	{"cmd/*", "*"},
}

// external lists the only packages that may import these modules, so that replacing a
// module stays a small change.
var external = []struct{ module, pkgs string }{
	{"github.com/labstack/echo/", "internal/server internal/fastapi internal/auth internal/api internal/api/* internal/api/*/* gen/* internal/test/bench"},
	{"go.etcd.io/bbolt", "internal/state internal/test/bench"},
	{"github.com/jackc/pgx/", "internal/state/postgres internal/test/*"},
	{"go.yaml.in/yaml/", "internal/strictyaml internal/client internal/client/envfile cmd/strongroom"},
	{"github.com/spf13/", "cmd/*"},
	{"github.com/prometheus/", "internal/metrics"},
	{"go.opentelemetry.io/", "internal/tracing"},
	{"k8s.io/", "internal/test/kubetest internal/store/kubernetes internal/auth/serviceaccount internal/test/bench"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module); ok && !mayImport(name, ours) {
				t.Errorf("%s imports %s, which the table does not allow", name, ours)
			}
			for _, e := range external {
				if strings.HasPrefix(imported, e.module) && !matchesAny(e.pkgs, name) {
					t.Errorf("%s imports %s, which only %s may import", name, imported, e.pkgs)
				}
			}
		}
	}
}

func TestTableHasOnlyExistingPackages(t *testing.T) {
	all := packages(t)
	for _, rule := range imports {
		if !slices.ContainsFunc(all, func(p pkg) bool { return matches(rule.pkg, strings.TrimPrefix(p.ImportPath, module)) }) {
			t.Errorf("the table has %s, but there is no such package", rule.pkg)
		}
	}
}

// mayImport applies the first rule that matches the package.
func mayImport(name, imported string) bool {
	for _, rule := range imports {
		if matches(rule.pkg, name) {
			return matchesAny(rule.may, imported)
		}
	}
	return false
}

func matchesAny(patterns, name string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool { return p == "*" || matches(p, name) })
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

func packages(t *testing.T) (all []pkg) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
