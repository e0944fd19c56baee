package envfile_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/client/envfile"
	"github.com/strongroom/strongroom/internal/secret"
)

// randomValue is made of the parts that formats quote differently.
func randomValue(r *rand.Rand) secret.Value {
	parts := []string{
		"a", "Z9", " ", "  ", "\t", "\n", "\r", "\r\n", "'", `"`, "`", `\`, `\n`, `\\`, `\'`, `\"`, "$", "${A}", "$(id)", "`id`", "#", " # ", "=", ":",
		";", "&", "|", "export ", "A=1", "ü", "日本", "\u00a0", "\u2028", "\ufeff", "🔑", "%", "!", "*", "~", "{", "}", "[", "]", ",", "- ", "null", "true", "0x1F",
		"yes", "---", "...", "\x01", "\x1b", "\x7f", "\u0085", "-----BEGIN KEY-----\nMII\n-----END KEY-----\n",
	}
	var b strings.Builder
	for range r.IntN(9) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return secret.Value(b.String())
}

func TestExportThenImportIsTheIdentity(t *testing.T) {
	for _, name := range envfile.Names() {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			refused := 0
			for n := range 10_000 {
				want := envfile.Var{Secret: fmt.Sprint("V", n), Env: fmt.Sprint("V", n), Value: randomValue(r)}
				text, err := envfile.Write(envfile.Name(name), []envfile.Var{{Secret: "B", Env: "B", Value: "before"}, want, {Secret: "Z", Env: "Z", Value: "after"}})
				if err != nil {
					refused++
					mustBeUnable(t, envfile.Name(name), string(want.Value), err)
					continue
				}
				got, err := envfile.Read(envfile.Name(name), text)
				if err != nil || len(got) != 3 || got[1].Value != want.Value || got[1].Secret != want.Secret || got[0].Value != "before" || got[2].Value != "after" {
					t.Fatalf("%q became %d values, %v:\n%s", string(want.Value), len(got), err, text)
				}
			}
			t.Logf("%d of 10,000 values cannot be written", refused)
		})
	}
}

// mustBeUnable checks that a refused value is one that the format has no way to hold.
func mustBeUnable(t *testing.T, f envfile.Name, value string, err error) {
	t.Helper()
	switch f {
	case envfile.Docker:
		if strings.Contains(value, "\n") || strings.HasSuffix(value, "\r") {
			return
		}
	case envfile.Dotenv:
		// Carriage returns need double quotes; \n and \r cannot be in them. Each kind of quote ends a value
		// in it.
		if strings.ContainsAny(value, "'\"`\r") {
			return
		}
	}
	t.Errorf("%s refuses %q: %v", f, value, err)
}

func TestStructureSurvivesInJSONAndYAML(t *testing.T) {
	vars := []envfile.Var{
		{Secret: "TOKEN", Env: "TOKEN", Value: "t"},
		{Secret: "db", DataKey: "PASSWORD", Env: "DB_PASSWORD", Value: "p"},
		{Secret: "db", DataKey: "USER", Env: "DB_USER", Value: "u"},
		{Secret: "mail", DataKey: "USER", Env: "MAIL_USER", Value: "m"},
	}
	for _, f := range []envfile.Name{envfile.JSON, envfile.YAML} {
		text, err := envfile.Write(f, vars)
		if err != nil {
			t.Fatal(err)
		}
		got, err := envfile.Read(f, text)
		if err != nil || len(got) != len(vars) {
			t.Fatalf("%v\n%s", err, text)
		}
		for i, v := range got {
			if v.Secret != vars[i].Secret || v.DataKey != vars[i].DataKey || v.Value != vars[i].Value {
				t.Errorf("%s: %d is %s.%s", f, i, v.Secret, v.DataKey)
			}
		}
	}
}

// A real bash and dash read what the shell format writes.
func TestShellsReadTheShellFormat(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var vars []envfile.Var
	for n := range 300 {
		vars = append(vars, envfile.Var{Env: fmt.Sprint("V", n), Secret: fmt.Sprint("V", n), Value: randomValue(r)})
	}
	text, err := envfile.Write(envfile.Shell, vars)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "env.sh")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"bash", "dash"} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("%s IS NOT TESTED: %v", shell, err)
			continue
		}
		cmd := exec.CommandContext(t.Context(), shell, "-c", `. "$1"; exec env -0`, shell, file)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range vars {
			if !strings.Contains("\x00"+string(out), "\x00"+v.Env+"="+string(v.Value)+"\x00") {
				t.Errorf("%s lost %q", shell, string(v.Value))
			}
		}
	}
}

func TestFilesOfOtherToolsAreRead(t *testing.T) {
	for _, tc := range []struct{ name, file, text, want string }{
		{"doppler secrets download", "d.json", `{"A":"1","B":"x\ny"}`, `A=1;B=x|y`},
		{"doppler secrets --json", "d.json", `{"A":{"computed":"1","computedVisibility":"masked","note":"","raw":"${B}"}}`, `A=1`},
		{"infisical export", "i.json", `[{"key":"A","value":"1","type":"shared","_id":"x"},{"key":"B","value":""}]`, `A=1;B=`},
		{"vault kv get, version 2", "v.json", `{"request_id":"r","lease_id":"","data":{"data":{"A":"1","n":5},"metadata":{"version":1}},"warnings":null}`, `A=1;n=5`},
		{"vault kv get, version 1", "v.json", `{"request_id":"r","data":{"A":"1"}}`, `A=1`},
		{"kubectl get secret -o json", "k.json", `{"apiVersion":"v1","kind":"Secret","data":{"A":"MQ=="},"metadata":{"name":"x"}}`, `A=1`},
		{"a manifest", "k.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  B: two\ndata:\n  A: MQ==\n", `A=1;B=two`},
		{"YAML with types", "x.yml", "PORT: 5432\nYES: yes\nHEX: 0x1F\nFLOAT: 1.10\nNAME: |\n  a\n  b\n", `PORT=5432;YES=yes;HEX=0x1F;FLOAT=1.10;NAME=a|b|`},
		{"numbers as they are", "x.json", `{"A":1.10,"B":12345678901234567890,"C":true}`, `A=1.10;B=12345678901234567890;C=true`},
		{"several data keys", "x.json", `{"db":{"U":"u","P":"p"}}`, `db.U=u;db.P=p`},
		{"a script", "x.sh", "# c\nexport A=1 B='2 3'; C=\"x\\\"y\"\nD=a\\ b'c' # end\n", `A=1;B=2 3;C=x"y;D=a bc`},
		{"nothing", "x.env", "", ""},
	} {
		got, err := envfile.Read(envfile.Detect(tc.file, []byte(tc.text)), []byte(tc.text))
		if err != nil || flat(got) != tc.want {
			t.Errorf("%s: got %s, %v; want %s", tc.name, flat(got), err, tc.want)
		}
	}
}

func flat(vars []envfile.Var) string {
	var all []string
	for _, v := range vars {
		name := v.Secret
		if v.DataKey != "" {
			name += "." + v.DataKey
		}
		all = append(all, name+"="+strings.ReplaceAll(string(v.Value), "\n", "|"))
	}
	return strings.Join(all, ";")
}

func TestABadLineIsNamedAndNotQuoted(t *testing.T) {
	const canary = "cAnArY"
	for _, tc := range []struct {
		f          envfile.Name
		text, want string
	}{
		{envfile.Dotenv, "A=1\n\ncAnArY\nB=2\n", "line 3: want NAME=value"},
		{envfile.Dotenv, "A=1\nB='cAnArY\nC=2\n", "line 2: the quote ' is not closed"},
		{envfile.Dotenv, "A=\"x\" cAnArY\n", "line 1: the quote \" is not closed, or text follows it"},
		{envfile.Docker, "A=1\ncAnArY\n", "line 2: want NAME=value"},
		{envfile.Docker, "A B=cAnArY\n", "line 1: want NAME=value"},
		{envfile.Shell, "A=1\nrm -rf cAnArY\n", "line 2: want NAME=value"},
		{envfile.Shell, "A=1\nB=$(cAnArY)\n", "line 2: the value has a $ or `"},
		{envfile.Shell, "A=1 cAnArY\n", "line 1: a command follows the value"},
		{envfile.Shell, "A='cAnArY\n", "line 1: the quote ' is not closed"},
		{envfile.Systemd, "A=\"cAnArY\n", "line 1: the quote \" is not closed"},
		{envfile.JSON, "{\"A\": \"1\",\n \"A\": \"cAnArY\"}", "line 2: the file is not JSON"},
		{envfile.JSON, "{\"A\":\n [\"cAnArY\"]}", "line 2: the value must be text"},
		{envfile.JSON, "{\"A\":\n null}", "line 2: the value must be text"},
		{envfile.JSON, "{} cAnArY", "line 1: there is text after"},
		{envfile.JSON, "{} {}", "line 1: there is text after the JSON document"},
		{envfile.YAML, "A: 1\nB: [cAnArY]\n", "line 2: the value must be text"},
		{envfile.YAML, "A: 1\nA: cAnArY\n", "line 2:"},
		{envfile.YAML, "A: &x cAnArY\nB: *x\n", "line 2: aliases are not read"},
		{envfile.Kubernetes, "apiVersion: v1\nkind: Secret\ndata:\n  A: cAnArY!\n", "line 4: the value is not base64"},
		{envfile.Kubernetes, "apiVersion: v1\nkind: ConfigMap\ndata:\n  A: cAnArY\n", "line 2: of Kubernetes' manifests only a Secret"},
	} {
		vars, err := envfile.Read(tc.f, []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), canary) || vars != nil {
			t.Errorf("%s %q: got %v and %d values, want %s", tc.f, tc.text, err, len(vars), tc.want)
		}
	}
}
