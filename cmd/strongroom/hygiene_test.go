package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	gen "github.com/strongroom/strongroom/gen/strongroom"
)

// A secretText is searched for in all output, in every common encoding.
type secretText struct{ what, text string }

func (s secretText) forms() map[string]string {
	plain, _ := json.Marshal(s.text)
	quoted := fmt.Sprintf("%q", s.text)
	var unescaped bytes.Buffer
	enc := json.NewEncoder(&unescaped)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s.text) // strings can be encoded
	inner := func(s string) string { return strings.Trim(strings.TrimSpace(s), `"`) }
	forms := map[string]string{
		"itself": s.text, "JSON": inner(string(plain)), "JSON for the web": inner(unescaped.String()), "Go": inner(quoted),
		"a path": url.PathEscape(s.text), "a query": url.QueryEscape(s.text),
		"hex": hex.EncodeToString([]byte(s.text)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(s.text))),
	}
	for offset := range 3 {
		padded := append(make([]byte, offset), s.text...)
		from, to := (offset*8+5)/6, len(padded)*8/6
		forms[fmt.Sprint("base64 at ", offset)] = base64.StdEncoding.EncodeToString(padded)[from:to]
		forms[fmt.Sprint("base64url at ", offset)] = base64.URLEncoding.EncodeToString(padded)[from:to]
	}
	return forms
}

// A collection maps each source of output to the text it wrote.
type collection map[string]string

// leaks returns the sources that contain one of the secrets.
func (c collection) leaks(secrets []secretText) (found []string) {
	for _, s := range secrets {
		for form, text := range s.forms() {
			for where, written := range c {
				if strings.Contains(written, text) {
					found = append(found, fmt.Sprintf("%s, as %s, is in %s", s.what, form, where))
				}
			}
		}
	}
	return found
}

// This tests the search itself: an empty result elsewhere must mean something.
func TestSearchFindsASecretInEveryEncoding(t *testing.T) {
	s := secretText{"a secret", "cAnArY \"<&>/+?%é\x00\nc0ffee"}
	b64 := base64.StdEncoding.EncodeToString
	asJSON, _ := json.Marshal(map[string]string{"a": s.text})
	for name, written := range map[string]string{
		"raw": "x" + s.text + "x", "json": string(asJSON), "go": fmt.Sprintf("%q", "x"+s.text),
		"query": "/?a=" + url.QueryEscape(s.text), "path": "/" + url.PathEscape(s.text) + "/x",
		"hex": fmt.Sprintf("%x", "x"+s.text+"x"), "HEX": fmt.Sprintf("%X", s.text),
		"base64 0": b64([]byte(s.text + "more")), "base64 1": b64([]byte("x" + s.text)), "base64 2": b64([]byte("xy" + s.text + "z")),
		"base64url": base64.RawURLEncoding.EncodeToString([]byte("wxy" + s.text)),
	} {
		if found := (collection{"it": written}).leaks([]secretText{s}); len(found) == 0 {
			t.Errorf("%s: not found in %q", name, written)
		}
	}
	if found := (collection{"it": s.text[1:], "or": "c0ffee"}).leaks([]secretText{s}); len(found) > 0 {
		t.Errorf("found in text without the secret: %q", found)
	}
}

// The test runs every operation with marked values and known keys. None of them may
// appear in logs, output, exports, administration answers, stored files or backups.
func TestOutputContainsNoValueOrKey(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustAnchorTo(t, "{stdout: true}")
	written := collection{}
	collect := func(name string, r result) result {
		written[name+" (stdout)"], written[name+" (stderr)"] = r.stdout, r.stderr
		return r
	}
	value := func(n int) string { return fmt.Sprintf("cAnArY%d\"<&>/+?%%é\nc0ffee", n) }
	quoted := func(n int) string { text, _ := json.Marshal(value(n)); return string(text) }
	data := func(n int) string { return fmt.Sprintf(`{"data":[{"key":"k","value":%s}]}`, quoted(n)) }
	secrets := []secretText{{"the mark of all values", "cAnArY"}, {"the session key", i.sessionKey}, {"the PSK", i.psk}}
	for n := range 12 {
		secrets = append(secrets, secretText{fmt.Sprint("value ", n), value(n)})
	}

	var stdout bytes.Buffer
	cmd := exec.Command(program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	cmd.Stdout = &stdout
	p := mustStartCmd(t, cmd)
	wantNoCoreDumps(t, p)
	psk, session := i.pskHeader(), i.sessionHeader()
	p.want(t, 200, "POST", app, psk, `{"secret_name":"db",`+data(0)[1:])
	p.want(t, 200, "PUT", app+"/db", psk, data(1))
	p.want(t, 409, "POST", app, psk, `{"secret_name":"db",`+data(2)[1:])
	p.want(t, 422, "PUT", app+"/db", psk, `{"data":`+quoted(3)+`}`)
	p.want(t, 422, "PUT", app+"/db", psk, `{"data":[{"key":7,"value":`+quoted(3)+`}]}`)
	p.want(t, 422, "PUT", app+"/db", psk, `{"data":[{"key":"k","value":`+quoted(3)[:12])
	p.want(t, 400, "PUT", app+"/db", psk, `{"data":[{"key":`+quoted(3)+`,"value":`+quoted(3)+`}]}`)
	p.want(t, 400, "PUT", app+"/db", psk, `{"data":[{"key":"k","value":`+quoted(4)+`},{"key":"k","value":`+quoted(4)+`}]}`)
	p.want(t, 413, "PUT", app+"/db", psk, `{"data":[{"key":"k","value":"`+strings.Repeat("cAnArY", 800_000)+`"}]}`)
	p.want(t, 200, "POST", app, psk, `{"secret_name":"gone",`+data(5)[1:])
	p.want(t, 200, "DELETE", app+"/gone", psk, "")
	p.want(t, 404, "PUT", app+"/none", psk, data(6))
	p.want(t, 201, "POST", "/api/secrets", session, `{"name":"TOKEN","value":`+quoted(7)+`}`)
	p.want(t, 400, "POST", "/api/secrets", session, `{"name":"TOKEN","value":`+quoted(8)+`}`)
	p.want(t, 200, "PUT", "/api/secrets/TOKEN", session, `{"name":"RENAMED"}`)
	p.want(t, 200, "PUT", "/api/settings/secrets", session, `{"name":"AGENT","value":`+quoted(8)+`}`)
	p.want(t, 200, "GET", "/api/settings/secrets/AGENT", session, "")
	p.want(t, 422, "PUT", "/api/settings/secrets", session, `{"name":`+quoted(8)+`,"value":`+quoted(8)+`}`)
	p.want(t, 201, "POST", "/api/v1/secrets", session, `{"name":"AGENT","value":`+quoted(8)+`}`)
	p.want(t, 422, "POST", "/api/v1/secrets", session, `{"name":[`+quoted(8)+`]}`)
	p.want(t, 422, "GET", "/api/v1/secrets/search?limit=cAnArY", session, "")
	mustWrite(t, i.path("secrets.json"), `{"custom_secrets":{"IMPORTED":{"secret":`+quoted(8)+`},"BROKEN":{"secret":[`+quoted(8)+`]}}}`)
	collect("import", i.administer(t, "secret", "import", "openhands", i.path("secrets.json")))
	mustWork(t, os.Remove(i.path("secrets.json")))
	p.want(t, 401, "POST", "/api/secrets", "X-Session-API-Key: "+i.psk, `{"name":"A","value":`+quoted(9)+`}`)
	p.want(t, 401, "PUT", app+"/db", "Authorization-PSK: "+i.sessionKey, data(9))
	p.want(t, 401, "PUT", app+"/db", "Authorization-PSK: "+i.psk+"x", data(9))
	if a := p.want(t, 200, "GET", app+"/db/reveal", psk, ""); !strings.Contains(a.body, "cAnArY1") {
		t.Errorf("revealed %s: there is nothing to look for", a.body)
	}

	var old []secretText // sealing keys, as text and as bytes
	kek := func(name string) {
		text := strings.TrimSpace(mustRead(t, i.path(name)))
		raw, err := base64.StdEncoding.DecodeString(text)
		mustWork(t, err)
		old = append(old, secretText{name, text}, secretText{name + ", decoded", string(raw)})
	}
	kek("keys/state.key")
	mustWrite(t, i.path("identity"), ageIdentity)
	administer := func(when string) {
		for n, args := range []string{
			"secret history " + theApp + " db", "secret history " + theUser + " RENAMED", "secret restore " + theApp + " db 0",
			"secret undelete " + theApp + " gone", "owner deleted " + theApp, "keyring show", "keyring rotate", "keyring rotate",
			"keyring prune --yes", "audit verify", "audit tail -n 1000", "audit export", "backup --out {dir}/backup",
			"backup --out {dir}/backup.age --recipient " + ageRecipient, "backup --out {dir}/x --recipient x",
			"backup verify {dir}/backup", "backup verify {dir}/backup.age --identity {dir}/identity", "backup verify {dir}/identity",
			"restore --yes --from {dir}/backup", "audit prune --yes --keep 1h", "doctor", "compact", "config check",
		} {
			args = strings.ReplaceAll(strings.ReplaceAll(args, "{dir}/backup", "{dir}/"+when), "{dir}", i.dir)
			collect(fmt.Sprint(when, " ", n, " ", args), i.administer(t, strings.Fields(args)...))
		}
	}
	administer("served")
	answers := &recording{RoundTripper: i.transport()}
	askEverything(t, answers)
	collect("rewrap", i.administer(t, "keyring", "rewrap", "--new-key", i.path("keys/new.key")))
	kek("keys/new.key")
	p.client.CloseIdleConnections()
	written["log of the server"] = p.mustStop(t)
	written["stdout of the server"] = stdout.String()
	collect("serve with the old key", i.administer(t, "serve"))
	i.mustEdit(t, "strongroom.yaml", "keys/state.key", "keys/new.key")
	administer("alone")

	// Again, after damage that makes requests fail and log errors.
	mustChangeState(t, i, func(tx *bbolt.Tx) error {
		return errors.Join(spoilBucket(tx, "store/embedded/past"), spoilBucket(tx, "audit"))
	})
	collect("doctor", i.administer(t, "doctor"))
	collect("verify", i.administer(t, "audit", "verify"))
	mustWork(t, os.WriteFile(i.path("cut"), []byte(mustRead(t, i.path("alone"))[:5000]), 0o600))
	collect("cut backup", i.administer(t, "backup", "verify", i.path("cut")))

	written["answers of the administration"] = answers.text.String()
	for name, content := range mustSnapshot(t, i.dir) {
		if !strings.HasPrefix(name, "keys/") || !strings.HasSuffix(name, ".key") {
			written["the file "+name] = content
		}
	}
	total := 0
	for _, text := range written {
		total += len(text)
	}
	for _, found := range written.leaks(append(secrets, old...)) {
		t.Error(found)
	}
	t.Logf("%d secrets, in %d forms each, are in none of %d places with %d KiB", len(secrets)+len(old), len(secrets[0].forms()), len(written), total>>10)
}

func spoilBucket(tx *bbolt.Tx, name string) error {
	b := tx.Bucket([]byte(name))
	if b == nil {
		return fmt.Errorf("the state file has no %s", name)
	}
	key, stored := b.Cursor().First()
	spoilt := bytes.Clone(stored)
	spoilt[len(spoilt)-1] ^= 1
	return b.Put(bytes.Clone(key), spoilt)
}

// A recording keeps all answers.
type recording struct {
	http.RoundTripper
	text strings.Builder
}

func (r *recording) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	fmt.Fprintf(&r.text, "%v\n%s\n", resp.Header, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// askEverything sends every administration request: valid ones, and ones with
// marks in the wrong places.
func askEverything(t *testing.T, through http.RoundTripper) {
	t.Helper()
	httpClient := &http.Client{Transport: through}
	defer httpClient.CloseIdleConnections()
	c, err := gen.NewClient("http://admin", gen.WithHTTPClient(httpClient))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	mark := "cAnArY again"
	for path, item := range at(document(), "paths") {
		for method := range item.(node) {
			if strings.HasSuffix(path, "/rewrap") || strings.HasSuffix(path, "/erase") || strings.HasSuffix(path, "/destroy") {
				continue // tested elsewhere
			}
			for _, body := range []string{
				"", "{}", `{"store":"embedded","owner":"` + theApp + `","name":"db","revision":"0","before":"2001-01-01T00:00:00Z"}`,
				`{"store":"` + mark + `","owner":"` + theApp + `","name":"db","revision":"` + mark + `","before":"` + mark + `","recipient":"` + mark + `"}`,
				`{"store":7,"` + mark + `":"` + mark + `"}`, `{"store":"` + mark,
			} {
				req, err := http.NewRequestWithContext(ctx, strings.ToUpper(method), "http://admin"+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/json")
				resp, err := c.Client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		}
	}
	resp, err := c.RewrapKeyring(ctx, gen.RewrapKeyringJSONRequestBody{Key: mark})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

var noCore = regexp.MustCompile(`Max core file size +0 +0 `)

func wantNoCoreDumps(t *testing.T, p *process) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		t.Log("NOT TESTED: there is no /proc here")
		return
	}
	if err != nil || !noCore.Match(limits) {
		t.Errorf("the server may write core dumps: %v\n%s", err, limits)
	}
}

// The kernel makes root the owner of the /proc files of processes that cannot
// be dumped.
func TestOtherProcessesOfTheUserCannotReadTheServersMemory(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	uid := os.Geteuid()
	cmd := exec.Command(program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
	if uid == 0 { // root would see no difference
		uid = 65534
		mustGiveTo(t, i, uid)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	p := mustStartCmd(t, cmd)
	wantNoCoreDumps(t, p)
	info, err := os.Stat(fmt.Sprintf("/proc/%d/environ", p.cmd.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("NOT TESTED: there is no /proc here")
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; err != nil || owner != 0 {
		t.Errorf("/proc lets uid %d look into the server (%v), and it runs as %d", owner, err, uid)
	}
}

// mustGiveTo makes an install and the program accessible to a user.
func mustGiveTo(t *testing.T, i install, uid int) {
	t.Helper()
	err := filepath.WalkDir(i.dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, uid))
	})
	mustWork(t, err)
	for _, dir := range []string{filepath.Dir(i.dir), filepath.Dir(program), filepath.Dir(filepath.Dir(program))} {
		mustWork(t, os.Chmod(dir, 0o711))
	}
}
