package config_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/config"
)

// Each file in testdata is named after its error and begins with all errors that Load
// reports, one line each:
//
//	# want: listen.address: must be host:port
func TestLoadReportsExactlyTheErrorsInAFile(t *testing.T) {
	files := mustGlob(t, "testdata/*.yaml")
	if len(files) == 0 {
		t.Fatal("testdata has no files")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := config.Load(file)
			if err == nil {
				t.Fatal("Load returned no error")
			}
			head, list, _ := strings.Cut(err.Error(), "\n")
			if head != file+":" {
				t.Errorf("the error begins with %q, want the name of the file", head)
			}
			if diff := cmp.Diff(wanted(t, file), strings.Split(list, "\n")); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadReportsErrorsInAStableOrder(t *testing.T) {
	_, first := config.Load("testdata/everything-at-once.yaml")
	for range 20 {
		if _, err := config.Load("testdata/everything-at-once.yaml"); err.Error() != first.Error() {
			t.Fatalf("got\n%v\nafter\n%v", err, first)
		}
	}
}

func TestLoadNamesAMissingFile(t *testing.T) {
	_, err := config.Load("testdata/nowhere.yaml")
	if err == nil || !strings.Contains(err.Error(), "reading the config: open testdata/nowhere.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestLoadDoesNotQuoteAKeyInTheWrongPlace(t *testing.T) {
	_, err := config.Load("testdata/key-in-the-config-itself.yaml")
	if strings.Contains(err.Error(), "q83v") {
		t.Errorf("the key is in the error: %v", err)
	}
	_, err = config.Load("testdata/postgres-url-in-the-config.yaml")
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in the error: %v", err)
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	file := mustWrite(t, `
state: {path: data/strongroom.db, key: {file: /etc/strongroom/state.key}}
stores: {embedded: {bolt: {}}}
auth: {psk: {api_key: {header: Authorization-PSK, keys_file: psks.yaml}}}
apis: {nx1: {store: embedded, auth: [psk]}}
`)
	c := mustLoad(t, file)
	dir := filepath.Dir(file)
	got := []string{c.State.Path, c.State.Key.File, c.Auth["psk"].APIKey.KeysFile}
	want := []string{filepath.Join(dir, "data/strongroom.db"), "/etc/strongroom/state.key", filepath.Join(dir, "psks.yaml")}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

const onPostgres = `
state: {postgres: {url_file: keys/database, cache: data/cache, MORE}, key: {file: state.key}}
stores: {embedded: {bolt: {}}}
auth: {psk: {api_key: {header: Authorization-PSK}}}
apis: {nx1: {store: embedded, auth: [psk]}}
`

func TestNodeOnPostgresHasItsFilesInTheCache(t *testing.T) {
	file := mustWrite(t, strings.Replace(onPostgres, ", MORE", "", 1))
	c, dir := mustLoad(t, file), filepath.Dir(file)
	got := []string{c.State.File(), c.State.Postgres.URLFile, c.State.Postgres.Cache}
	want := []string{filepath.Join(dir, "data/cache/cache.db"), filepath.Join(dir, "keys/database"), filepath.Join(dir, "data/cache")}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if c.State.Postgres.Node != host || c.State.JournalBytes != nil || c.Reads.Staleness != 0 {
		t.Errorf("node %q, journal_bytes %v, staleness %v", c.State.Postgres.Node, c.State.JournalBytes, c.Reads.Staleness)
	}
	if fields, err := c.Keep(mustLoad(t, file)); err != nil || len(fields) > 0 {
		t.Errorf("the loaded config is refused at a reload: %v, %v", fields, err)
	}
	if got := mustLoad(t, mustWrite(t, strings.Replace(onPostgres, "MORE", "node: north-1", 1))).State.Postgres.Node; got != "north-1" {
		t.Errorf("the node is %q", got)
	}
}

func TestOmittedFieldsHaveTheDocumentedDefaults(t *testing.T) {
	c := mustLoad(t, mustWrite(t, `
state: {path: strongroom.db, key: {env: STATE_KEY}}
stores: {embedded: {bolt: {}}}
auth: {here: {anonymous: {}}, token: {api_key: {header: X-Vault-Token}}}
apis:
  openhands: {store: embedded, auth: [here]}
  nx1: {store: embedded, auth: [here]}
  vault: {auth: [token]}
`))
	got := []string{
		c.Listen.Address, c.Listen.Drain.String(), c.APIs.OpenHands.Names, c.APIs.Nx1.MaskedValues,
		c.APIs.OpenHands.SuspiciousValues, c.APIs.Nx1.SuspiciousValues, c.APIs.Vault.Mount,
		c.Auth["here"].Anonymous.User, c.State.Key.File,
	}
	want := []string{"127.0.0.1:3000", (10 * time.Second).String(), "any", "reject", "warn", "warn", "secret", "default", ""}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDurationsAcceptDaysAndWeeks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "strongroom.yaml")
	text := "listen: {drain: 90s}\nstate: {path: strongroom.db, key: {file: state.key}}\nstores: {embedded: {bolt: {deleted_for: 30d}}}\n" +
		"audit: {retention: 2w}\nauth: {key: {api_key: {header: X-Key}}}\napis: {openhands: {store: embedded, auth: [key]}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Listen.Drain, c.Audit.Retention, c.Stores["embedded"].Bolt.DeletedFor); got != "1m30s 2w 30d" {
		t.Errorf("got %s", got)
	}
}

func TestOpenHandsAPIsInheritItsAuth(t *testing.T) {
	c := mustLoad(t, mustWrite(t, `
state: {path: strongroom.db, key: {env: STATE_KEY}}
stores: {embedded: {bolt: {}}}
auth:
  here: {anonymous: {}}
  key: {api_key: {header: X-Session-API-Key, keys_file: keys.yaml}}
  token: {api_key: {header: X-Access-Token, keys_file: keys.yaml}}
apis: {openhands: {store: embedded, auth: [key, here], v1: {auth: [token]}}}
`)).APIs.OpenHands
	got := [][]string{c.Auth, c.AgentServer.Auth, c.V1.Auth, c.Sandboxes.Auth}
	want := [][]string{{"key", "here"}, {"key", "here"}, {"token"}, {"key"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("auth (-want +got):\n%s", diff)
	}
}

const withIssuer = `
state: {path: strongroom.db, key: {env: STATE_KEY}}
stores: {embedded: {bolt: {}}}
auth:
  sso: {oidc: {issuer: "https://sso.example/realms/r", audience: strongroom, ca_file: ca.pem, MORE roles: {manager: [{actions: [list], owner: self}]}}}
  other: {oidc: {issuer: "https://sso.example/realms/s", audience: strongroom, roles: {manager: [{actions: [list], owner: app/*}]}}}
  keys: {api_key: {header: Authorization, prefix: "Bearer ", keys_file: keys.yaml}}
  psk: {api_key: {header: Authorization, prefix: "PSK ", keys_file: psks.yaml}}
apis: {nx1: {store: embedded, auth: [psk, keys, sso, other]}}
`

func TestOmittedIssuerFieldsHaveTheDocumentedDefaults(t *testing.T) {
	file := mustWrite(t, strings.Replace(withIssuer, "MORE", "", 1))
	o := mustLoad(t, file).Auth["sso"].OIDC
	if !slices.Equal(o.Algorithms, []string{"RS256"}) || !slices.Equal(o.RolesPath(), []string{"realm_access", "roles"}) || o.UserClaim != "sub" || !slices.Equal(o.TokenTypes, []string{"Bearer", "at+jwt"}) {
		t.Errorf("got %+v", o)
	}
	if want := filepath.Join(filepath.Dir(file), "ca.pem"); o.CAFile != want {
		t.Errorf("ca_file is %s, want %s", o.CAFile, want)
	}
}

func TestRolesClaimIsAPath(t *testing.T) {
	for claim, want := range map[string][]string{
		"groups":                        {"groups"},
		"resource_access.portal.roles":  {"resource_access", "portal", "roles"},
		`resource_access.my\.app.roles`: {"resource_access", "my.app", "roles"},
		`https://example\.com/roles`:    {"https://example.com/roles"},
	} {
		c := mustLoad(t, mustWrite(t, strings.Replace(withIssuer, "MORE", "roles_claim: '"+claim+"',", 1)))
		if got := c.Auth["sso"].OIDC.RolesPath(); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", claim, got, want)
		}
	}
}

func TestListenFlagIsValidatedLikeTheConfig(t *testing.T) {
	anonymous := `
state: {path: strongroom.db, key: {env: STATE_KEY}}
stores: {embedded: {bolt: {}}}
auth: {here: {anonymous: {}}}
apis: {openhands: {store: embedded, auth: [here]}}
`
	for _, tc := range []struct{ address, want string }{
		{"127.0.0.1:0", ""},
		{"127.8.9.10:0", ""},
		{"[::1]:0", ""},
		{"localhost:0", ""},
		{"0.0.0.0:0", "auth.here.anonymous: needs a listen.address on loopback"},
		{"[::]:0", "auth.here.anonymous: needs a listen.address on loopback"},
		{":0", "auth.here.anonymous: needs a listen.address on loopback"},
		{"localhost.example:0", "auth.here.anonymous: needs a listen.address on loopback"},
		{"127.0.0.1", "listen.address: must be host:port"},
	} {
		err := mustLoad(t, mustWrite(t, anonymous)).ListenOn(tc.address)
		if (tc.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("ListenOn(%q) = %v, want %q", tc.address, err, tc.want)
		}
	}
}

func TestPlainSyslogNeedsAnAddressOnThisMachine(t *testing.T) {
	const want = "audit.stream.syslog.plain: needs an address on this machine"
	for address, ok := range map[string]bool{
		"127.0.0.1:514": true, "127.8.9.10:514": true, "[::1]:514": true, "localhost:514": true,
		"10.0.0.5:514": false, "siem.example:514": false, "localhost.example:514": false, "0.0.0.0:514": false, "[fe80::1]:514": false,
	} {
		for _, plain := range []bool{true, false} {
			_, err := config.Load(mustWrite(t, fmt.Sprintf(`
audit: {stream: {syslog: {address: %q, plain: %t}}}
state: {path: strongroom.db, key: {env: STATE_KEY}}
stores: {embedded: {bolt: {}}}
auth: {psk: {api_key: {header: Authorization-PSK, keys_file: psks.yaml}}}
apis: {nx1: {store: embedded, auth: [psk]}}
`, address, plain)))
			if ok || !plain {
				if err != nil {
					t.Errorf("%s, plain %t: %v", address, plain, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, plain: got %v, want %q", address, err, want)
			}
		}
	}
}

func TestEverySampleLoads(t *testing.T) {
	for _, file := range samples(t) {
		t.Run(filepath.Base(file), func(t *testing.T) { mustLoad(t, file) })
	}
}

// Commented-out fields of a sample, such as an identity provider, must be valid too.
func TestCommentedFieldsOfTheSystemdSampleLoad(t *testing.T) {
	text, err := os.ReadFile("../../configs/systemd/strongroom.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, mustWrite(t, regexp.MustCompile(`(?m)^( +)# ( *[a-z_-]+:.*)$`).ReplaceAllString(string(text), "$1$2")))
	if c.Auth["sso"].OIDC == nil || c.Stores["cluster"].Kubernetes == nil || c.Listen.TLS == nil || c.APIs.Vault == nil {
		t.Errorf("without the comments, the config has the strategies %v and the stores %v", c.Auth, c.Stores)
	}
}

func samples(t *testing.T) []string {
	t.Helper()
	return slices.Concat([]string{"../../cmd/strongroom/init.yaml"},
		mustGlob(t, "../../configs/*.yaml"), mustGlob(t, "../../configs/*/strongroom.yaml"))
}

// wanted returns the errors listed in the comments at the beginning of a broken
// file.
func wanted(t *testing.T, file string) (want []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		if line, ok := strings.CutPrefix(s.Text(), "# want: "); ok {
			want = append(want, line)
		}
	}
	return want
}

func mustLoad(t *testing.T, file string) *config.Config {
	t.Helper()
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustWrite(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "strongroom.yaml")
	mustOverwrite(t, file, text)
	return file
}

func mustOverwrite(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestUnencryptedMeansPlainHTTPOnANetwork(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": false, "127.1.2.3:1": false, "[::1]:1": false, "localhost:1": false, "[::ffff:127.0.0.1]:1": false,
		":1": true, "0.0.0.0:1": true, "[::]:1": true, "10.0.0.1:1": true, "[fe80::1%eth0]:1": true, "example.org:1": true,
	} {
		if got := (config.Listen{Address: address}).Unencrypted(); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
		if (config.Listen{Address: address, TLS: &config.TLS{}}).Unencrypted() {
			t.Errorf("%s with TLS is unencrypted", address)
		}
	}
}

func TestPeopleCanSignInAtAnIssuerWithoutAPIKeys(t *testing.T) {
	file := mustWrite(t, `
state: {path: strongroom.db, key: {env: STATE_KEY}}
stores: {embedded: {bolt: {}}}
auth:
  psk: {api_key: {header: X-Key}}
  sso: {oidc: {issuer: "https://sso.example", audience: strongroom, clients: [console], roles: {r: [{actions: [list], owner: app/*}]}}}
apis: {nx1: {store: embedded, auth: [psk]}}
console: {auth: [], url: "https://secrets.example", oidc: {sso: {client_id: console, client_secret_file: keys/console.secret}}}
`)
	c := mustLoad(t, file)
	if got := c.Console.OIDC["sso"].Label; got != "Sign in with sso" || len(c.Console.Auth) != 0 {
		t.Errorf("the button is %q, and API keys of %q can sign in", got, c.Console.Auth)
	}
	if secret := filepath.Join(filepath.Dir(file), "keys/console.secret"); !slices.Contains(c.Files(), secret) {
		t.Errorf("a reload reads %q, want also %s", c.Files(), secret)
	}
	if fields, err := c.Keep(mustLoad(t, file)); err != nil || len(fields) > 0 {
		t.Errorf("the loaded config is refused at a reload: %v, %v", fields, err)
	}
}
