package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const running = `
listen: {address: "127.0.0.1:3000", tls: {certificate: tls.crt, key: tls.key}}
state: {path: strongroom.db, key: {env: STATE_KEY}}
stores: {embedded: {bolt: {}}}
auth: {psk: {api_key: {header: Authorization-PSK, keys_file: psks.yaml}}}
apis: {nx1: {store: embedded, auth: [psk]}}
`

func TestKeepRestoresFieldsThatNeedARestart(t *testing.T) {
	for _, tc := range []struct{ from, to, fields, wrong string }{
		{"", "", "", ""},
		{"auth: [psk]", "auth: [psk], masked_values: keep", "", ""},
		{"psks.yaml", "others.yaml", "", ""},
		{"tls.crt", "other.crt", "", ""},
		{"key: tls.key", `key: tls.key, min_version: "1.2"`, "", ""},
		{"3000", "3001", "listen.address", ""},
		{"tls: {certificate: tls.crt, key: tls.key}", "drain: 1s", "listen.drain listen.tls", ""},
		{"strongroom.db", "other.db", "state.path", ""},
		{"path: strongroom.db", "postgres: {url_env: DATABASE, cache: cache}", "state.path state.postgres state.journal_bytes", ""},
		{"STATE_KEY", "OTHER_KEY", "state.key", ""},
		{"{env: STATE_KEY}", "{env: STATE_KEY}, journal_bytes: 1048576", "state.journal_bytes", ""},
		{"stores:", "audit: {retention: 48h}\nstores:", "audit", ""},
		{"bolt: {}", "bolt: {versions: 3}", "stores", ""},
		{"bolt: {}}", "bolt: {}}\n  other: {bolt: {}}", "stores", ""},
		{"apis:", "console: {address: \"127.0.0.1:3001\"}\napis:", "console.address", ""},
		{"apis:", "console: {}\napis:", "", ""},
		{"embedded", "other", "stores", "apis.nx1.store: must be a name under stores: embedded"},
	} {
		changed := strings.ReplaceAll(running, "{embedded: {bolt: {}}}", "\n  embedded: {bolt: {}}")
		file := mustWrite(t, changed)
		old := mustLoad(t, file)
		mustOverwrite(t, file, strings.ReplaceAll(changed, tc.from, tc.to))
		c := mustLoad(t, file)
		fields, err := c.Keep(old)
		if got := strings.Join(fields, " "); got != tc.fields {
			t.Errorf("%s → %s: needs a restart for %q, want %q", tc.from, tc.to, got, tc.fields)
		}
		if (err == nil) != (tc.wrong == "") || (err != nil && err.Error() != tc.wrong) {
			t.Errorf("%s → %s: %v, want %q", tc.from, tc.to, err, tc.wrong)
		}
		if again, _ := c.Keep(old); len(again) > 0 {
			t.Errorf("%s → %s: %v were changed", tc.from, tc.to, again)
		}
	}
}

func TestStalenessNeedsARestart(t *testing.T) {
	file := mustWrite(t, strings.Replace(onPostgres, "MORE", "node: a", 1))
	old := mustLoad(t, file)
	mustOverwrite(t, file, strings.Replace(onPostgres, "MORE", "node: b", 1)+"reads: {staleness: 5s}\n")
	c := mustLoad(t, file)
	fields, err := c.Keep(old)
	if got := strings.Join(fields, " "); got != "state.postgres reads" || err != nil {
		t.Errorf("needs a restart for %q, %v", got, err)
	}
	if c.Reads.Staleness != 0 || c.State.Postgres.Node != "a" {
		t.Errorf("got %+v, %+v", c.Reads, c.State.Postgres)
	}
}

// A listener that is open to the network stays open until a restart.
func TestAnonymousIsRejectedUntilARestartChangesTheAddress(t *testing.T) {
	file := mustWrite(t, strings.ReplaceAll(running, "127.0.0.1", "0.0.0.0"))
	old := mustLoad(t, file)
	mustOverwrite(t, file, strings.ReplaceAll(strings.ReplaceAll(running, "auth: {psk", "auth: {a: {anonymous: {}}, psk"), "[psk]", "[psk, a]"))
	_, err := mustLoad(t, file).Keep(old)
	if err == nil || !strings.Contains(err.Error(), "auth.a.anonymous: needs a listen.address on loopback") {
		t.Errorf("got %v", err)
	}
}

func TestFilesListsEveryFileThatAReloadReads(t *testing.T) {
	file := mustWrite(t, strings.ReplaceAll(running, "auth: {psk", "auth: {same: {api_key: {header: X, keys_file: psks.yaml}}, psk"))
	var want []string
	for _, name := range []string{"psks.yaml", "tls.crt", "tls.key"} {
		want = append(want, filepath.Join(filepath.Dir(file), name))
	}
	if got := mustLoad(t, file).Files(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A loaded config has defaults filled in and absolute paths. A reload validates
// it again in that form.
func TestEverySampleCanBeReloadedAsItIs(t *testing.T) {
	for _, file := range samples(t) {
		if fields, err := mustLoad(t, file).Keep(mustLoad(t, file)); len(fields) > 0 || err != nil {
			t.Errorf("%s: %v, %v", file, fields, err)
		}
	}
}
