package main_test

import (
	"strings"
	"testing"
)

// In FIPS 140-3 mode with all other algorithms disabled, everything except age
// works.
func TestEverythingButAgeWorksInFIPSMode(t *testing.T) {
	plain := mustHaveAPast(t)
	t.Setenv("GODEBUG", "fips140=only")
	program := mustBuildFast(t)
	administer := func(i install, args ...string) result {
		return runProgram(t, program, append(args, "--config", i.config())...)
	}
	must := func(i install, args ...string) string {
		t.Helper()
		r := administer(i, args...)
		if r.code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, r.code, r.stderr)
		}
		return r.stdout
	}
	dir := mustTempDir(t)
	out := runProgram(t, program, "init", "--dir", dir+"/strongroom")
	lines := strings.Split(out.stdout, "\n")
	if out.code != 0 || len(lines) != 3 {
		t.Fatalf("init: %s", out.stderr)
	}
	i := install{dir + "/strongroom", strings.TrimPrefix(lines[0], "X-Session-API-Key: "), strings.TrimPrefix(lines[1], "Authorization-PSK: ")}
	i.mustAnchorTo(t, "{file: anchor}")
	serve := func() *process {
		return mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	}

	p := serve()
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"v1"}]}`)
	p.want(t, 200, "PUT", app+"/db", i.pskHeader(), `{"data":[{"key":"k","value":"v2"}]}`)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"t"}`)
	p.want(t, 401, "GET", "/api/secrets", "X-Session-API-Key: x", "")
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"gone","data":[]}`)
	p.want(t, 200, "DELETE", app+"/gone", i.pskHeader(), "")
	hasValue("db", "v2")(t, p, i)
	everything := func(backup string) {
		t.Helper()
		for _, args := range []string{
			"secret history " + theApp + " db", "secret undelete " + theApp + " gone", "owner deleted " + theUser,
			"keyring rotate", "keyring show", "keyring rewrap --new-key {dir}/keys/state.key",
			"audit verify", "audit tail", "audit export", "audit prune --yes --keep 1h",
			"backup --out " + backup, "backup verify " + backup, "doctor",
		} {
			must(i, strings.Fields(strings.ReplaceAll(args, "{dir}", i.dir))...)
		}
		r := administer(i, "backup", "--out", i.path("age"), "--recipient", ageRecipient)
		wantRefusal(t, r, "backups for an age recipient are not available in FIPS 140-3 mode: leave out the recipient")
	}
	everything(i.path("backup"))
	p.want(t, 200, "DELETE", app+"/gone", i.pskHeader(), "")
	p.mustStop(t)
	everything(i.path("another"))
	must(i, "keyring", "prune", "--yes")
	wantRefusal(t, administer(plain, "backup", "verify", plain.path("backup.age"), "--identity", plain.path("identity")),
		"backups for an age recipient are not available in FIPS 140-3 mode")
	must(plain, "backup", "verify", plain.path("backup")) // made in the other mode
	must(plain, "doctor")
	hasValue("db", "v2")(t, serve(), i)
}
