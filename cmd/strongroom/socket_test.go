package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	gen "github.com/strongroom/strongroom/gen/strongroom"
	"github.com/strongroom/strongroom/specs"
)

func (i install) socket() string { return i.path("data/admin.sock") }

func (i install) transport() *http.Transport {
	var dialer net.Dialer
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", i.socket())
	}}
}

// adminClient returns a client for the running server that checks every answer
// against the document.
func (i install) adminClient(t *testing.T) *gen.ClientWithResponses {
	t.Helper()
	transport := i.transport()
	t.Cleanup(transport.CloseIdleConnections)
	client, err := gen.NewClientWithResponses("http://admin", gen.WithHTTPClient(checked{t, transport}))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A checked client fails the test if an answer does not match the document: its
// status, content type and required members.
type checked struct {
	t         *testing.T
	transport *http.Transport
}

func (c checked) Do(r *http.Request) (*http.Response, error) {
	resp, err := (&http.Client{Transport: c.transport}).Do(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil {
		if wrong := undeclared(r.Method, r.URL.Path, resp, body); wrong != "" {
			c.t.Errorf("%s %s: %d %s: %s", r.Method, r.URL.Path, resp.StatusCode, wrong, body)
		}
	}
	return resp, err
}

// A node is a part of the document.
type node = map[string]any

var document = sync.OnceValue(func() (doc node) {
	if err := json.Unmarshal(specs.Strongroom, &doc); err != nil {
		panic(err) // the document is generated
	}
	return doc
})

func at(n node, path ...string) node {
	for _, name := range path {
		n, _ = n[name].(node)
		if ref, ok := n["$ref"].(string); ok {
			n = at(document(), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return n
}

func undeclared(method, path string, resp *http.Response, body []byte) (wrong string) {
	declared := at(document(), "paths", path, strings.ToLower(method), "responses")
	answer := at(declared, fmt.Sprint(resp.StatusCode))
	if answer == nil && resp.StatusCode >= http.StatusBadRequest {
		answer = at(declared, "default")
	}
	if answer == nil {
		return "is not declared"
	}
	content := at(answer, "content")
	if content == nil && len(body) == 0 {
		return ""
	}
	kind := resp.Header.Get("Content-Type")
	media := at(content, kind)
	if media == nil {
		return "has the type " + kind
	}
	if kind != "application/json" {
		return ""
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err.Error()
	}
	return misfit(value, at(media, "schema"))
}

func misfit(value any, schema node) string {
	switch v := value.(type) {
	case []any:
		if schema["type"] != "array" {
			return "is an array"
		}
		for _, item := range v {
			if wrong := misfit(item, at(schema, "items")); wrong != "" {
				return wrong
			}
		}
	case node:
		if schema["type"] != "object" {
			return "is an object"
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Sprintf("has no %s", name)
			}
		}
		for name := range v {
			if at(schema, "properties", name) == nil && schema["additionalProperties"] != true {
				return "has a member " + name
			}
		}
	}
	return ""
}

func str(s string) *string { return &s }

func TestAdministrationAnswersMatchTheDocument(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	mustServe(t, i)
	c, ctx := i.adminClient(t), t.Context()
	db := gen.SecretRef{Store: "embedded", Owner: theApp, Name: "db"}
	none, nowhere, nobody := db, db, db
	none.Name, nowhere.Store, nobody.Owner = "none", "attic", "nobody"
	restore := func(ref gen.SecretRef, revision string) gen.RestoreSecretJSONRequestBody {
		return gen.RestoreSecretJSONRequestBody{Store: ref.Store, Owner: ref.Owner, Name: ref.Name, Revision: revision}
	}
	undelete := func(ref gen.SecretRef, revision *string) gen.UndeleteSecretJSONRequestBody {
		return gen.UndeleteSecretJSONRequestBody{Store: ref.Store, Owner: ref.Owner, Name: ref.Name, Revision: revision}
	}
	destroy := func(ref gen.SecretRef) gen.DestroySecretJSONRequestBody {
		return gen.DestroySecretJSONRequestBody{Store: ref.Store, Owner: ref.Owner, Name: ref.Name}
	}
	erase := func(ref gen.SecretRef) gen.EraseOwnerJSONRequestBody {
		return gen.EraseOwnerJSONRequestBody{Store: ref.Store, Owner: ref.Owner}
	}
	owner := func(ref gen.SecretRef) gen.OwnerRef { return gen.OwnerRef{Store: ref.Store, Owner: ref.Owner} }
	minus := -1
	for _, tc := range []struct {
		what   string
		status int
		ask    func() (*http.Response, error)
	}{
		{"status", 200, func() (*http.Response, error) { return c.Status(ctx) }},
		{"history", 200, func() (*http.Response, error) { return c.SecretHistory(ctx, db) }},
		{"history of none", 404, func() (*http.Response, error) { return c.SecretHistory(ctx, none) }},
		{"history nowhere", 404, func() (*http.Response, error) { return c.SecretHistory(ctx, nowhere) }},
		{"history of an invalid owner", 400, func() (*http.Response, error) { return c.SecretHistory(ctx, nobody) }},
		{"restore none", 404, func() (*http.Response, error) { return c.RestoreSecret(ctx, restore(none, "0")) }},
		{"restore no revision", 404, func() (*http.Response, error) { return c.RestoreSecret(ctx, restore(db, "0")) }},
		{"restore for an invalid owner", 400, func() (*http.Response, error) { return c.RestoreSecret(ctx, restore(nobody, "0")) }},
		{"undelete a live secret", 409, func() (*http.Response, error) { return c.UndeleteSecret(ctx, undelete(db, nil)) }},
		{"undelete none", 404, func() (*http.Response, error) { return c.UndeleteSecret(ctx, undelete(none, nil)) }},
		{"undelete at no revision", 400, func() (*http.Response, error) { return c.UndeleteSecret(ctx, undelete(none, str(""))) }},
		{"undelete for an invalid owner", 400, func() (*http.Response, error) { return c.UndeleteSecret(ctx, undelete(nobody, nil)) }},
		{"destroy none", 404, func() (*http.Response, error) { return c.DestroySecret(ctx, destroy(none)) }},
		{"destroy", 204, func() (*http.Response, error) { return c.DestroySecret(ctx, destroy(db)) }},
		{"owners", 200, func() (*http.Response, error) { return c.ListOwners(ctx, gen.StoreRef{Store: db.Store}) }},
		{"owners nowhere", 404, func() (*http.Response, error) { return c.ListOwners(ctx, gen.StoreRef{Store: nowhere.Store}) }},
		{"deleted", 200, func() (*http.Response, error) { return c.DeletedSecrets(ctx, owner(db)) }},
		{"deleted nowhere", 404, func() (*http.Response, error) { return c.DeletedSecrets(ctx, owner(nowhere)) }},
		{"deleted secrets of an invalid owner", 400, func() (*http.Response, error) { return c.DeletedSecrets(ctx, owner(nobody)) }},
		{"erase", 204, func() (*http.Response, error) { return c.EraseOwner(ctx, erase(db)) }},
		{"erase again", 404, func() (*http.Response, error) { return c.EraseOwner(ctx, erase(db)) }},
		{"rotate", 200, func() (*http.Response, error) { return c.RotateKeyring(ctx) }},
		{"rewrap with no key", 400, func() (*http.Response, error) {
			return c.RewrapKeyring(ctx, gen.RewrapKeyringJSONRequestBody{Key: "x"})
		}},
		{"audit", 200, func() (*http.Response, error) { return c.ReadAudit(ctx, gen.ReadAuditJSONRequestBody{}) }},
		{"audit before its beginning", 200, func() (*http.Response, error) {
			return c.ReadAudit(ctx, gen.ReadAuditJSONRequestBody{After: &minus, Last: &minus, Limit: &minus})
		}},
		{"audit verified", 200, func() (*http.Response, error) { return c.VerifyAudit(ctx, gen.VerifyAuditJSONRequestBody{}) }},
		{"audit verified against no anchor", 200, func() (*http.Response, error) {
			return c.VerifyAudit(ctx, gen.VerifyAuditJSONRequestBody{Anchor: str("x")})
		}},
		{"clock confirmed", 204, func() (*http.Response, error) { return c.ConfirmClock(ctx) }},
		{"audit pruned before no time", 400, func() (*http.Response, error) {
			return c.PruneAudit(ctx, gen.PruneAuditJSONRequestBody{Before: "yesterday"})
		}},
		{"audit pruned", 200, func() (*http.Response, error) {
			return c.PruneAudit(ctx, gen.PruneAuditJSONRequestBody{Before: "2001-01-01T00:00:00Z"})
		}},
		{"audit mended, though sound", 200, func() (*http.Response, error) { return c.MendAudit(ctx) }},
		{"backup", 200, func() (*http.Response, error) { return c.Backup(ctx, gen.BackupJSONRequestBody{}) }},
		{"backup for a recipient", 200, func() (*http.Response, error) {
			return c.Backup(ctx, gen.BackupJSONRequestBody{Recipient: str(ageRecipient)})
		}},
		{"backup for no recipient", 400, func() (*http.Response, error) {
			return c.Backup(ctx, gen.BackupJSONRequestBody{Recipient: str("x")})
		}},
		{"doctor", 200, func() (*http.Response, error) { return c.Doctor(ctx) }},
	} {
		resp, err := tc.ask()
		if err != nil {
			t.Fatalf("%s: %v", tc.what, err)
		}
		if resp.StatusCode != tc.status {
			body, _ := io.ReadAll(resp.Body)
			t.Errorf("%s: status %d, want %d: %s", tc.what, resp.StatusCode, tc.status, body)
		}
	}
	mustFinishResealing(t, i)
	if resp, err := c.PruneKeyringWithResponse(ctx, gen.PruneKeyringJSONRequestBody{}); err != nil || resp.JSON200 == nil || !slices.Equal(resp.JSON200.Keys, []int{2}) {
		t.Errorf("prune: %v, %s", err, resp.Body)
	}
}

// All APIs share the check that rejects bodies of the wrong form.
func TestAdministrationRejectsBodiesThatDoNotMatchTheDocument(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustServe(t, i)
	client := checked{t, i.transport()}
	defer client.transport.CloseIdleConnections()
	for path, item := range at(document(), "paths") {
		if at(item.(node), "post", "requestBody") == nil {
			continue
		}
		for _, body := range []string{"", "null", "[]", "{", `{"last":"x","key":7,"before":[],"anchor":{},"recipient":1,"store":2,"id":3,"no_compact":1}`} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", "http://admin"+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 422 {
				t.Errorf("%s with %q: status %d, want 422", path, body, resp.StatusCode)
			}
		}
	}
}

func TestAdminSocketIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	info, err := os.Lstat(i.socket())
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("the socket: %v, %v", info.Mode(), err)
	}
	for path := range at(document(), "paths") {
		for _, method := range []string{"GET", "POST"} {
			for header, want := range map[string][]int{"": {401}, i.pskHeader(): {401, 404}, i.sessionHeader(): {401, 404}} {
				if a := p.mustDo(t, method, path, header, ""); !slices.Contains(want, a.status) {
					t.Errorf("%s %s on the network: status %d, want %v", method, path, a.status, want)
				}
			}
		}
	}
	p.mustStop(t)
	if _, err := os.Lstat(i.socket()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket was not removed: %v", err)
	}
}

func TestSocketLeftByACrashIsReplaced(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustServe(t, i).mustKill(t)
	if _, err := os.Lstat(i.socket()); err != nil {
		t.Fatal(err)
	}
	i.mustAdminister(t, "keyring", "show")
	mustServe(t, i).mustKill(t)
	mustServe(t, i)
	i.mustAdminister(t, "keyring", "show")
}

// A socket path that is too long for the kernel is reported before the server
// starts.
func TestTooLongSocketPathIsNamed(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	long := i.path(strings.Repeat("d", 120))
	mustWork(t, os.Rename(i.path("data"), long))
	i.mustEdit(t, "strongroom.yaml", "path: data/", "path: "+strings.Repeat("d", 120)+"/")
	wantRefusal(t, i.administer(t, "serve"), "administration: "+long+"/admin.sock has ", "at most 107")
}

// strangerEnv names a socket to which this test binary connects, see TestMain.
const strangerEnv = "STRONGROOM_TEST_STRANGER"

func askAsStranger(socket string) {
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	resp, err := client.Get("http://admin/strongroom/v1/status")
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(os.Geteuid(), resp.StatusCode, string(body))
}

func TestAnotherUserIsRejectedByTheKernelAndTheServer(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: only root can become somebody else")
	}
	i := mustInit(t)
	p := mustServe(t, i)
	for dir := i.path("data"); dir != os.TempDir() && dir != "/"; dir = dir[:strings.LastIndexByte(dir, '/')] {
		mustWork(t, os.Chmod(dir, 0o711))
	}
	ask := func() string {
		stranger := exec.CommandContext(t.Context(), "/proc/self/exe")
		stranger.Env = append(os.Environ(), strangerEnv+"="+i.socket())
		stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := stranger.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if got := ask(); !strings.Contains(got, "permission denied") {
		t.Errorf("the kernel let another user connect: %s", got)
	}
	mustWork(t, os.Chmod(i.socket(), 0o666))
	if got := ask(); !strings.HasPrefix(got, "65534 403 ") {
		t.Errorf("the server answers another user: %s", got)
	}
	p.mustStop(t)
	if out := i.mustAdminister(t, "audit", "export"); !strings.Contains(out, `"action":"authenticate"`) {
		t.Errorf("the audit log lacks the attempt:\n%s", out)
	}
}
