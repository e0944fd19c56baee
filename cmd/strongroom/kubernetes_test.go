package main_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// A cluster is a namespace of an API server, with an install whose config has a
// store in that namespace.
type cluster struct {
	install
	server    *kubetest.Server
	namespace string
}

const shopID = "0f8fad5b-d9cb-469f-a165-70867728950e"

func mustHaveCluster(t *testing.T) cluster {
	t.Helper()
	c := cluster{install: mustInit(t), server: kubetest.Start(t)}
	c.namespace = c.server.Namespace(t)
	c.server.ServiceAccount(t, c.namespace, "strongroom")
	c.server.Apply(t, kubetest.Object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
		"metadata": kubetest.Object{"name": "strongroom", "namespace": c.namespace},
		"rules": []kubetest.Object{
			{"apiGroups": []string{""}, "resources": []string{"secrets"}, "verbs": []string{"create", "get", "list", "patch", "delete"}},
			{"apiGroups": []string{""}, "resources": []string{"namespaces"}, "verbs": []string{"get"}},
		},
	})
	c.server.Apply(t, kubetest.Object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
		"metadata": kubetest.Object{"name": "strongroom", "namespace": c.namespace},
		"roleRef":  kubetest.Object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "strongroom"},
		"subjects": []kubetest.Object{{"kind": "ServiceAccount", "name": "strongroom", "namespace": c.namespace}},
	})
	mustWrite(t, c.path("kubeconfig"), string(c.server.Kubeconfig(c.server.Token(t, c.namespace, "strongroom"))))
	c.mustEdit(t, "strongroom.yaml", "  embedded: {bolt: {}}\n", fmt.Sprintf(
		"  embedded: {bolt: {}}\n  cluster: {kubernetes: {namespace: %s, kubeconfig: kubeconfig, timeout: 5s}}\n", c.namespace))
	return c
}

func (c cluster) secrets() string { return "/api/v1/namespaces/" + c.namespace + "/secrets" }

// mustKeepIn makes both APIs use this store.
func (c cluster) mustKeepIn(t *testing.T, store string) {
	t.Helper()
	for _, api := range []string{"openhands", "nx1"} {
		for _, other := range []string{"embedded", "cluster"} {
			text := mustRead(t, c.path("strongroom.yaml"))
			mustWrite(t, c.path("strongroom.yaml"), strings.Replace(text, api+": {store: "+other, api+": {store: "+store, 1))
		}
	}
}

func TestBothAPIsCanStoreSecretsInACluster(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	c.mustKeepIn(t, "cluster")
	p := mustServe(t, c.install)
	p.mustBecome(t, 200, "GET", "/readyz", "")

	created := p.want(t, 200, "POST", app, c.pskHeader(), `{"secret_name":"db","data":[{"key":"PASSWORD","value":"canary-one"}]}`)
	ref := secret.Ref{Owner: secret.App(shopID), Name: "db"}
	inCluster := func() kubetest.Object {
		return c.server.Must(t, http.MethodGet, c.secrets()+"/"+objectname.Of(ref), nil)
	}
	if got := inCluster()["data"].(kubetest.Object)["PASSWORD"]; got != base64.StdEncoding.EncodeToString([]byte("canary-one")) {
		t.Error("the cluster has another value")
	}
	if a := p.want(t, 200, "GET", app, c.pskHeader(), ""); !strings.Contains(a.body, `"value":"****"`) {
		t.Errorf("the list is %s", a.body)
	}
	p.want(t, 409, "POST", app, c.pskHeader(), `{"secret_name":"db","data":[]}`)
	p.want(t, 200, "PUT", app+"/db", c.pskHeader(), `{"data":[{"key":"PASSWORD","value":"canary-two"}]}`)
	stale, err := p.send(t, request{"PUT", app + "/db", []string{c.pskHeader(), "If-Match: " + created.header.Get("ETag")}, `{"data":[]}`})
	if err != nil || stale.status != 412 {
		t.Errorf("with If-Match for an outdated revision: got %d, %v", stale.status, err)
	}
	if a := p.want(t, 200, "GET", app+"/db/reveal", c.pskHeader(), ""); !strings.Contains(a.body, "canary-two") {
		t.Errorf("the revealed values are %s", a.body)
	}
	p.want(t, 404, "PUT", app+"/missing", c.pskHeader(), `{"data":[]}`)

	// A value written with kubectl may be binary. Only revealing it fails.
	kubetest.JSONPatch(t, c.server.Admin(), c.secrets()+"/"+objectname.Of(ref), `[{"op":"add","path":"/data/BYTES","value":"/wA="}]`)
	p.want(t, 409, "GET", app+"/db/reveal", c.pskHeader(), "")
	p.want(t, 200, "GET", app+"/db", c.pskHeader(), "")
	if got := inCluster()["data"].(kubetest.Object)["BYTES"]; got != "/wA=" {
		t.Error("binary bytes were changed")
	}

	p.want(t, 201, "POST", "/api/secrets", c.sessionHeader(), `{"name":"GITHUB_TOKEN","value":"canary-three"}`)
	p.want(t, 200, "PUT", "/api/secrets/GITHUB_TOKEN", c.sessionHeader(), `{"name":"GH_TOKEN","description":"renamed"}`)
	if a := p.want(t, 200, "GET", "/api/secrets", c.sessionHeader(), ""); a.body != `{"custom_secrets":[{"name":"GH_TOKEN","description":"renamed"}]}` {
		t.Errorf("the list is %s", a.body)
	}
	p.want(t, 200, "DELETE", app+"/db", c.pskHeader(), "")
	if status, _ := kubetest.Do(t, c.server.Admin(), http.MethodGet, c.secrets()+"/"+objectname.Of(ref), nil); status != 404 {
		t.Errorf("the cluster still has it: %d", status)
	}

	if out := c.mustAdminister(t, "doctor"); !strings.Contains(out, "ok     store cluster") {
		t.Errorf("doctor prints\n%s", out)
	}
	r := c.administer(t, "secret", "history", "--store", "cluster", "app/"+shopID, "db")
	if r.code == 0 || !strings.Contains(r.stderr, "not kept by this store") {
		t.Errorf("its history: %d %s", r.code, r.stderr)
	}
	p.signal(os.Interrupt)
	_, log := p.mustEnd(t)
	if strings.Contains(log, "canary") {
		t.Errorf("the log has a value:\n%s", log)
	}
	record := c.mustAdminister(t, "audit", "export")
	for _, entry := range []string{
		`"action":"create","kind":"app","owner":"` + shopID + `","name":"db","outcome":"unknown"`,
		`"action":"create","kind":"app","owner":"` + shopID + `","name":"db","outcome":"done"`,
		`"action":"create","kind":"app","owner":"` + shopID + `","name":"db","outcome":"exists"`,
		`"action":"write","kind":"app","owner":"` + shopID + `","name":"db","outcome":"changed"`,
		`"action":"write","kind":"app","owner":"` + shopID + `","name":"missing","outcome":"not found"`,
		`"new_name":"GH_TOKEN","outcome":"done"`,
	} {
		if !strings.Contains(record, entry) {
			t.Errorf("there is no entry %s in\n%s", entry, record)
		}
	}
}

// A finalizer keeps the object after its deletion: the secret is gone, but its
// name is not yet free.
func TestCreatingASecretThatIsBeingDeletedIsExplained(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	c.mustKeepIn(t, "cluster")
	p := mustServe(t, c.install)
	p.mustBecome(t, 200, "GET", "/readyz", "")
	const body = `{"secret_name":"db","data":[{"key":"PASSWORD","value":"canary-one"}]}`
	p.want(t, 200, "POST", app, c.pskHeader(), body)
	object := c.secrets() + "/" + objectname.Of(secret.Ref{Owner: secret.App(shopID), Name: "db"})
	kubetest.JSONPatch(t, c.server.Admin(), object, `[{"op":"add","path":"/metadata/finalizers","value":["example.org/wait"]}]`)

	p.want(t, 200, "DELETE", app+"/db", c.pskHeader(), "")
	p.want(t, 404, "GET", app+"/db", c.pskHeader(), "")
	p.want(t, 404, "GET", app+"/db/reveal", c.pskHeader(), "")
	p.want(t, 404, "PUT", app+"/db", c.pskHeader(), `{"data":[]}`)
	p.want(t, 404, "DELETE", app+"/db", c.pskHeader(), "")
	a := p.want(t, 503, "POST", app, c.pskHeader(), body)
	if !strings.Contains(a.body, "The secret is being deleted: try again later.") || a.header.Get("Retry-After") == "" {
		t.Errorf("creating a secret with the same name: %s, Retry-After %q", a.body, a.header.Get("Retry-After"))
	}

	kubetest.JSONPatch(t, c.server.Admin(), object, `[{"op":"remove","path":"/metadata/finalizers"}]`)
	p.want(t, 200, "POST", app, c.pskHeader(), body)
}

func TestAgentKeyForAClusterSecretIsCheckedInTheCluster(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	c.mustKeepIn(t, "cluster")
	p := mustServe(t, c.install)
	p.mustBecome(t, 200, "GET", "/readyz", "")
	p.want(t, 201, "POST", "/api/secrets", c.sessionHeader(), `{"name":"TOKEN","value":"canary-one"}`)
	r := c.administer(t, "agent-key", "create", theUser, "TOKEN", "TOKNE")
	if r.code != 0 || strings.Count(r.stderr, "warning:") != 1 || !strings.Contains(r.stderr, `no store has a secret "TOKNE" of user/default`) {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}

// An unavailable cluster does not affect secrets in other stores.
func TestServerStartsWithoutItsCluster(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	c.mustEdit(t, "strongroom.yaml", "nx1: {store: embedded", "nx1: {store: cluster")
	c.mustEdit(t, "kubeconfig", c.server.URL, "https://127.0.0.1:1")
	p := mustServe(t, c.install)
	p.want(t, 201, "POST", "/api/secrets", c.sessionHeader(), `{"name":"A","value":"v"}`)
	a := p.want(t, 503, "PUT", "/api/app/"+shopID+"/secrets/db", c.pskHeader(), `{"data":[]}`)
	if a.header.Get("Retry-After") == "" {
		t.Error("Retry-After is missing")
	}
	p.want(t, 503, "GET", "/readyz", "", "")
	r := c.administer(t, "doctor")
	if r.code != 1 || !strings.Contains(r.stdout, "WRONG  store cluster") || !strings.Contains(r.stdout, "connection refused") {
		t.Errorf("doctor: %d\n%s", r.code, r.stdout)
	}
}

func TestMissingKubeconfigIsReportedByConfigCheckAndServe(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustEdit(t, "strongroom.yaml", "embedded: {bolt: {}}", "embedded: {kubernetes: {namespace: app-secrets, kubeconfig: missing}}")
	for _, command := range []string{"config check", "serve"} {
		r := run(t, append(strings.Fields(command), "--config", i.config())...)
		wantRefusal(t, r, "stores.embedded.kubernetes: ", "missing")
	}
}

// Missing rights of the server are reported to the log and to administrators. They are
// not the caller's fault.
func TestMissingClusterRightsAreReportedToTheLogOnly(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	c.mustEdit(t, "strongroom.yaml", "nx1: {store: embedded", "nx1: {store: cluster")
	c.server.ServiceAccount(t, c.namespace, "nobody")
	mustWrite(t, c.path("kubeconfig"), string(c.server.Kubeconfig(c.server.Token(t, c.namespace, "nobody"))))
	p := mustServe(t, c.install)
	p.want(t, 503, "GET", "/readyz", "", "")
	p.want(t, 500, "PUT", "/api/app/"+shopID+"/secrets/db", c.pskHeader(), `{"data":[]}`)
	if r := c.administer(t, "doctor"); !strings.Contains(r.stdout, "we may not create, get, list, patch, delete secrets") {
		t.Errorf("doctor prints\n%s", r.stdout)
	}
	p.signal(os.Interrupt)
	_, log := p.mustEnd(t)
	for _, said := range []string{"not ready", "we may not create, get, list, patch, delete secrets", "we lack a right in the cluster"} {
		if !strings.Contains(log, said) {
			t.Errorf("the log lacks %q:\n%s", said, log)
		}
	}
}

func TestMigrateMovesAllSecretsThereAndBack(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	p := mustServe(t, c.install)
	p.want(t, 201, "POST", "/api/secrets", c.sessionHeader(), `{"name":"TOKEN","value":"t","description":"d"}`)
	for _, name := range []string{"a", "b", "c"} {
		p.want(t, 200, "POST", app, c.pskHeader(), `{"secret_name":"`+name+`","data":[{"key":"k","value":"`+name+`"}]}`)
	}
	there := []string{"migrate", "--from", "embedded", "--to", "cluster"}
	wantSays := func(want string, args ...string) {
		t.Helper()
		if out := c.mustAdminister(t, args...); out != want {
			t.Errorf("migrate prints %q, want %q", out, want)
		}
	}
	wantSays("copied 4, already present 0, deleted at the source 0\n", there...)
	wantSays("copied 0, already present 4, deleted at the source 0\n", there...)

	// A secret that has changed since is neither overwritten nor deleted.
	p.want(t, 200, "PUT", app+"/b", c.pskHeader(), `{"data":[{"key":"k","value":"changed"}]}`)
	r := c.administer(t, append(there, "--delete-source", "--yes")...)
	if r.code != 1 || r.stdout != "skipped: \"b\" of app/"+shopID+": secret already exists\ncopied 0, already present 3, deleted at the source 3\n" {
		t.Errorf("got %d, %q and %q", r.code, r.stdout, r.stderr)
	}
	p.want(t, 200, "GET", app+"/b", c.pskHeader(), "")
	p.want(t, 404, "GET", app+"/a", c.pskHeader(), "")

	p.signal(os.Interrupt)
	p.mustEnd(t)
	c.mustKeepIn(t, "cluster")
	p = mustServe(t, c.install)
	for _, name := range []string{"a", "b", "c"} {
		if a := p.want(t, 200, "GET", app+"/"+name+"/reveal", c.pskHeader(), ""); !strings.Contains(a.body, `"value":"`+name+`"`) {
			t.Errorf("%s is %s", name, a.body)
		}
	}
	if a := p.want(t, 200, "GET", "/api/secrets", c.sessionHeader(), ""); !strings.Contains(a.body, `"description":"d"`) {
		t.Errorf("the list is %s", a.body)
	}
	p.want(t, 200, "DELETE", app+"/b", c.pskHeader(), "")
	p.signal(os.Interrupt)
	p.mustEnd(t)

	// Also without a server.
	wantSays("copied 3, already present 0, deleted at the source 3\n", "migrate", "--from", "cluster", "--to", "embedded", "--delete-source", "--yes")
	for _, args := range [][]string{{"--from", "cluster", "--to", "nowhere"}, {"--from", "cluster", "--to", "cluster"}} {
		if r := c.administer(t, append([]string{"migrate"}, args...)...); r.code != 1 || r.stdout != "" {
			t.Errorf("migrate %q: got %d, %q", args, r.code, r.stdout)
		}
	}
	if record := c.mustAdminister(t, "audit", "export"); strings.Count(record, `"action":"migrate"`) < 2*7 {
		t.Errorf("the audit log is\n%s", record)
	}
}

// If both stores were the same namespace, deleting the source would delete the
// copy.
func TestMigrateRejectsTwoNamesOfOneStore(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	c.mustEdit(t, "strongroom.yaml", "  cluster: ", fmt.Sprintf("  again: {kubernetes: {namespace: %s, kubeconfig: kubeconfig}}\n  cluster: ", c.namespace))
	c.mustKeepIn(t, "cluster")
	p := mustServe(t, c.install)
	p.mustBecome(t, 200, "GET", "/readyz", "")
	p.want(t, 201, "POST", "/api/secrets", c.sessionHeader(), `{"name":"TOKEN","value":"t"}`)
	r := c.administer(t, "migrate", "--from", "cluster", "--to", "again", "--delete-source", "--yes")
	if r.code != 1 || !strings.Contains(r.stderr, "in the same place") {
		t.Errorf("got %d, %q and %q", r.code, r.stdout, r.stderr)
	}
	if a := p.want(t, 200, "GET", "/api/secrets", c.sessionHeader(), ""); !strings.Contains(a.body, "TOKEN") {
		t.Errorf("the list is %s", a.body)
	}
}

func TestSecretOfTheClusterIsImportedByName(t *testing.T) {
	t.Parallel()
	c := mustHaveCluster(t)
	c.server.Must(t, http.MethodPost, c.secrets(), kubetest.Object{
		"metadata": kubetest.Object{"name": "legacy"}, "data": kubetest.Object{"user": "YXBw", "bytes": "/wA="},
	})
	before := c.server.Must(t, http.MethodGet, c.secrets()+"/legacy", nil)
	take := func(from string) result {
		return c.administer(t, "secret", "import", "kubernetes", c.namespace+"/"+from, "app/"+shopID, "db", "--store", "cluster", "--kubeconfig", c.path("kubeconfig"))
	}
	if r := take("legacy"); r.code != 0 || r.stdout != "imported to app/"+shopID+" as \"db\", with the keys bytes, user\n" {
		t.Fatalf("got %d, %q and %q", r.code, r.stdout, r.stderr)
	}
	ref := secret.Ref{Owner: secret.App(shopID), Name: "db"}
	copied := c.server.Must(t, http.MethodGet, c.secrets()+"/"+objectname.Of(ref), nil)["data"].(kubetest.Object)
	if copied["bytes"] != "/wA=" || copied["user"] != "YXBw" {
		t.Error("the imported secret differs from the original")
	}
	if after := c.server.Must(t, http.MethodGet, c.secrets()+"/legacy", nil); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Error("the Secret was changed")
	}
	for from, said := range map[string]string{
		"legacy": "already exists", "missing": "there is no Secret missing", objectname.Of(ref): "a store of Strongroom already manages it", "a/b": "must be NAMESPACE/SECRET",
	} {
		if r := take(from); r.code != 1 || !strings.Contains(r.stderr, said) {
			t.Errorf("%s: got %d, %q", from, r.code, r.stderr)
		}
	}
}
