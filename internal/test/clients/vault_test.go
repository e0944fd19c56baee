package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// compatibility is the table of Vault's clients in specs/README.md.
var compatibility = []struct {
	client, call string
	test         func(t *testing.T, s *server)
}{
	{"OpenBao 2.7.2, bao", "kv get", baoGets},
	{"OpenBao 2.7.2, bao", "kv list, kv metadata get", baoLists},
	{"OpenBao 2.7.2, bao", "kv put, kv delete", baoWrites},
	{"HashiCorp's Go client 1.23.0", "Get, GetVersion, List, LookupSelf, Health", goClientReads},
	{"hvac 2.4.0", "is_authenticated, read_secret_version, list_secrets", hvacReads},
	{"External Secrets Operator 0.16.2, Vault provider", "remoteRef, extract, find", operatorReads},
	{"fnox 1.31.0, with bao as vault", "get, exec", fnoxReads},
}

func TestVaultsClients(t *testing.T) {
	clients := os.Getenv("STRONGROOM_VAULT_CLIENTS")
	if clients == "" {
		t.Skip("run by make vault-clients")
	}
	s := serve(t, clients)
	for _, row := range compatibility {
		t.Run(row.client+", "+row.call, func(t *testing.T) { row.test(t, s) })
	}
}

// The table lists the tested calls, and nothing else.
func TestTheReadmesTableOfVaultsClients(t *testing.T) {
	text, err := os.ReadFile("../../../specs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- vault clients -->")
	table, _, found := strings.Cut(rest, "<!-- /vault clients -->")
	if !found {
		t.Fatal("specs/README.md has no table of Vault's clients")
	}
	var promised, tested []string
	for _, row := range regexp.MustCompile("(?m)^\\| ([^|`]+) \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(table, -1) {
		if row[1] != "client" {
			promised = append(promised, row[1]+" | "+strings.ReplaceAll(row[2], "`", ""))
		}
	}
	for _, row := range compatibility {
		tested = append(tested, row.client+" | "+row.call)
	}
	if got, want := strings.Join(promised, "\n"), strings.Join(tested, "\n"); got != want {
		t.Errorf("specs/README.md lists\n%s\nbut the tests cover\n%s", got, want)
	}
}

const (
	db      = "app/" + shop + "/db"
	missing = "app/" + shop + "/missing"
)

func (s *server) bao(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return s.client(t, "bin/bao", args...)
}

// Without -mount, bao asks which mount the path belongs to.
func baoGets(t *testing.T, s *server) {
	for _, tc := range []struct{ want, args string }{
		{second, "kv get -mount=secret -field=PASSWORD " + db},
		{second, "kv get -field=PASSWORD secret/" + db},
		{first, "kv get -mount=secret -version=1 -field=PASSWORD " + db},
		{custom, "kv get -field=value secret/user/me/TOKEN"},
	} {
		if got := mustRun(t, s.bao(t, strings.Fields(tc.args)...)); got != tc.want {
			t.Errorf("bao %s: got %q, want %q", tc.args, got, tc.want)
		}
	}
	wantsRefusal(t, s.bao(t, "kv", "get", "-mount=secret", missing), "No value found")
	stranger := s.bao(t, "kv", "get", "-mount=secret", db)
	stranger.Env = append(stranger.Env, "BAO_TOKEN=hvs.unknown", "VAULT_TOKEN=hvs.unknown")
	wantsRefusal(t, stranger, "permission denied")
}

func baoLists(t *testing.T, s *server) {
	for want, args := range map[string]string{
		`["db"]`:              "kv list -format=json secret/app/" + shop,
		`["TOKEN"]`:           "kv list -format=json -mount=secret user/me",
		`["` + shop + `/"]`:   "kv list -format=json secret/app",
		`["app/","user/"]`:    "list -format=json secret/metadata",
		`"current_version":2`: "kv metadata get -format=json secret/" + db,
		`"about it"`:          "kv metadata get -format=json secret/user/me/TOKEN",
	} {
		got := strings.Join(strings.Fields(mustRun(t, s.bao(t, strings.Fields(args)...))), "")
		if !strings.Contains(got, strings.ReplaceAll(want, " ", "")) {
			t.Errorf("bao %s: got %s, want %s", args, got, want)
		}
	}
	if got := mustRun(t, s.bao(t, "token", "lookup")); !strings.Contains(got, "display_name        admin") || strings.Contains(got, s.key) {
		t.Errorf("bao token lookup: got %s", got)
	}
}

func baoWrites(t *testing.T, s *server) {
	wantsRefusal(t, s.bao(t, "kv", "put", "-mount=secret", db, "A=b"), "this API is read-only")
	wantsRefusal(t, s.bao(t, "kv", "delete", "-mount=secret", db), "this API is read-only")
	wantsRefusal(t, s.bao(t, "kv", "metadata", "delete", "-mount=secret", db), "this API is read-only")
	baoGets(t, s)
}

// wantsRefusal runs a command that must fail and say so.
func wantsRefusal(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%s: got %v\n%s\nwant %s", strings.Join(cmd.Args, " "), err, out, want)
	}
}

func goClientReads(t *testing.T, s *server) {
	wantsJSON(t, s.client(t, "bin/vaultapi", s.url, db, "app/"+shop, missing), map[string]any{
		"data": map[string]any{"PASSWORD": second, "USER": "shop"}, "version": 2.0, "first": map[string]any{"PASSWORD": first}, "versions": 2.0,
		"keys": []any{"db"}, "subject": "admin", "sealed": false, "missing": true, "write": 405.0,
	})
}

func hvacReads(t *testing.T, s *server) {
	wantsJSON(t, s.client(t, "venv/bin/python", "hvac_reads.py", s.url, db, "app/"+shop, missing), map[string]any{
		"authenticated": true, "stranger": false, "subject": "admin", "healthy": 200.0, "health": false,
		"data": map[string]any{"PASSWORD": second, "USER": "shop"}, "first": map[string]any{"PASSWORD": first}, "version": 2.0, "keys": []any{"db"},
		"missing": "InvalidPath: []",
		"write":   "UnexpectedError: ['this API is read-only: change secrets through the other APIs, the console or the strongroom commands']",
		"delete":  "UnexpectedError: ['this API is read-only: change secrets through the other APIs, the console or the strongroom commands']",
	})
}

// The sample of configs/external-secrets is used as it is, with the server's address and key.
func operatorReads(t *testing.T, s *server) {
	sample, err := os.ReadFile("../../../configs/external-secrets/vault.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.client(t, "bin/operator")
	cmd.Stdin = strings.NewReader(strings.NewReplacer("https://strongroom.example", s.url, "srk_…", s.key).Replace(string(sample)))
	cmd.Env = append(cmd.Env, "KUBECONFIG="+kubeconfig(t))
	row := map[string]any{"PASSWORD": second, "USER": "shop"}
	text, _ := json.Marshal(row)
	wantsJSON(t, cmd, map[string]any{
		"ready": "Ready <nil>", "missing": true,
		"target": map[string]any{"password": second, "PASSWORD": second, "USER": "shop", db: string(text)},
	})
}

// kubeconfig returns one of a cluster that is never asked.
func kubeconfig(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}], contexts: [{name: c, context: {cluster: c}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fnox runs the command line that is called vault.
func fnoxReads(t *testing.T, s *server) {
	fnox := func(args ...string) *exec.Cmd {
		cmd := s.client(t, "bin/fnox", args...)
		cmd.Dir = t.TempDir()
		config := `
[providers.app]
type = "vault"
address = "` + s.url + `"
path = "secret/app/` + shop + `"

[providers.user]
type = "vault"
address = "` + s.url + `"
path = "secret/user/me"

[secrets]
PASSWORD = { provider = "app", value = "db/PASSWORD" }
TOKEN = { provider = "user", value = "TOKEN" }
`
		if err := os.WriteFile(filepath.Join(cmd.Dir, "fnox.toml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	if got := strings.TrimSuffix(mustRun(t, fnox("get", "PASSWORD")), "\n"); got != second {
		t.Errorf("fnox get: got %q, want %q", got, second)
	}
	if got := mustRun(t, fnox("exec", "--", "sh", "-c", `printf %s "$PASSWORD, $TOKEN"`)); got != second+", "+custom {
		t.Errorf("fnox exec: got %q", got)
	}
}

// wantsJSON runs a command that prints JSON.
func wantsJSON(t *testing.T, cmd *exec.Cmd, want map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal([]byte(mustRun(t, cmd)), &got); err != nil {
		t.Fatal(err)
	}
	for name := range want {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: got %v, want %v", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
