package kubernetes_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"k8s.io/client-go/rest"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

const (
	configs  = "../../../configs/kubernetes"
	postgres = "../kubernetes-postgres" // from configs
)

// read returns the objects in a file of configs/kubernetes.
func read(t testing.TB, name string) (objects []object) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(configs, name))
	if err != nil {
		t.Fatal(err)
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var o object
		switch err := documents.Decode(&o); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		}
		objects = append(objects, o)
	}
}

// installed returns an API server to which configs/kubernetes was applied, and
// nothing else.
func installed(t testing.TB) *kubetest.Server {
	t.Helper()
	server := kubetest.Start(t)
	install.Do(func() {
		for _, o := range resources(t, ".") {
			server.Apply(t, o)
		}
	})
	return server
}

var install sync.Once

// resources returns the objects of the kustomization in a directory, in their order.
func resources(t testing.TB, dir string) (objects []object) {
	t.Helper()
	for _, name := range read(t, filepath.Join(dir, "kustomization.yaml"))[0]["resources"].([]any) {
		path := filepath.Join(dir, name.(string))
		if filepath.Ext(path) == ".yaml" {
			objects = append(objects, read(t, path)...)
		} else {
			objects = append(objects, resources(t, path)...)
		}
	}
	return objects
}

// asStrongroom returns the client config of the pod in configs/kubernetes.
func asStrongroom(t testing.TB, server *kubetest.Server) *rest.Config {
	t.Helper()
	return server.As(server.Token(t, "strongroom", "strongroom"))
}

// newNamespace creates a namespace like app-secrets. In it, Strongroom's service
// account has the rights that configs/kubernetes gives it, and no others.
func newNamespace(t testing.TB, server *kubetest.Server) string {
	t.Helper()
	namespace := server.Namespace(t)
	for _, o := range read(t, "shared/rbac.yaml") {
		metadata := o["metadata"].(object)
		if metadata["namespace"] != "app-secrets" {
			continue
		}
		metadata["namespace"] = namespace
		if rules, ok := o["rules"].([]any); ok {
			for _, rule := range rules {
				if r := rule.(object); r["resourceNames"] != nil {
					r["resourceNames"] = []string{namespace}
				}
			}
		}
		server.Apply(t, o)
	}
	return namespace
}

func TestEverythingInConfigsCanBeApplied(t *testing.T) {
	server := installed(t)
	st := open(t, asStrongroom(t, server), "app-secrets")
	await(t, "the role to count", func() bool { return st.Check(t.Context()) == nil })
}

// Both directories describe objects of the same names, so the objects with a database go to
// another namespace.
func TestServersThatShareADatabaseCanBeApplied(t *testing.T) {
	server := installed(t)
	namespace := server.Namespace(t)
	applied := map[any]object{}
	for _, o := range resources(t, postgres) {
		metadata := o["metadata"].(object)
		if metadata["namespace"] != "strongroom" {
			continue
		}
		metadata["namespace"] = namespace
		server.Apply(t, o)
		applied[o["kind"]] = o
	}
	labels := applied["Deployment"]["spec"].(object)["template"].(object)["metadata"].(object)["labels"]
	for kind, selector := range map[string]any{
		"Service":             applied["Service"]["spec"].(object)["selector"],
		"Deployment":          applied["Deployment"]["spec"].(object)["selector"].(object)["matchLabels"],
		"PodDisruptionBudget": applied["PodDisruptionBudget"]["spec"].(object)["selector"].(object)["matchLabels"],
	} {
		if diff := cmp.Diff(labels, selector); diff != "" {
			t.Errorf("the %s does not select the pods of the Deployment: %s", kind, diff)
		}
	}
}

func TestConfigsInTheConfigMapsLoad(t *testing.T) {
	for dir, container := range map[string]object{
		".":      containerOf(read(t, "statefulset.yaml")[0]),
		postgres: containerOf(read(t, filepath.Join(postgres, "deployment.yaml"))[0]),
	} {
		text := read(t, filepath.Join(dir, "config.yaml"))[0]["data"].(object)["strongroom.yaml"].(string)
		file := filepath.Join(t.TempDir(), "strongroom.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Stores["cluster"].Kubernetes.Namespace; got != "app-secrets" {
			t.Errorf("%s: the store is in namespace %q", dir, got)
		}
		for _, path := range regexp.MustCompile(`(/etc|/var)/[^,}\s]+`).FindAllString(text, -1) {
			if !isMounted(container, path) {
				t.Errorf("%s: the config names %s, which is in no volume of the pod", dir, path)
			}
		}
	}
}

// containerOf returns the only container of a StatefulSet or Deployment.
func containerOf(o object) object {
	return o["spec"].(object)["template"].(object)["spec"].(object)["containers"].([]any)[0].(object)
}

func isMounted(container object, path string) bool {
	for _, mount := range container["volumeMounts"].([]any) {
		if strings.HasPrefix(path, mount.(object)["mountPath"].(string)+"/") {
			return true
		}
	}
	return false
}

// TestPolicyRejectsChangesToForeignSecrets sends requests with Strongroom's account
// that only a bug could send.
func TestPolicyRejectsChangesToForeignSecrets(t *testing.T) {
	server := installed(t)
	namespace := newNamespace(t, server)
	us := asStrongroom(t, server)
	secrets := "/api/v1/namespaces/" + namespace + "/secrets"
	st := open(t, us, namespace)
	await(t, "the role to count", func() bool { return st.Check(t.Context()) == nil })

	managed, foreign := object{"app.kubernetes.io/managed-by": "strongroom"}, object{"app.kubernetes.io/managed-by": "helm"}
	server.Must(t, http.MethodPost, secrets, object{"metadata": object{"name": "theirs", "labels": foreign}, "data": object{"k": "dg=="}})
	server.Must(t, http.MethodPost, secrets, object{"metadata": object{"name": "unlabelled"}, "data": object{"k": "dg=="}})
	server.Must(t, http.MethodPost, secrets, object{"metadata": object{"name": "ours", "labels": managed}})
	await(t, "the policy to count", func() bool {
		status, _ := kubetest.Do(t, us, http.MethodPost, secrets+"?dryRun=All", object{"metadata": object{"name": "new"}})
		return status == http.StatusForbidden
	})
	patch := func(name, ops string) func() (int, object) {
		return func() (int, object) { return kubetest.JSONPatch(t, us, secrets+"/"+name, ops) }
	}
	do := func(method, path string, body any) func() (int, object) {
		return func() (int, object) { return kubetest.Do(t, us, method, path, body) }
	}
	const label = `/metadata/labels/app.kubernetes.io~1managed-by`
	for _, tc := range []struct {
		name string
		do   func() (int, object)
		want int
	}{
		{"create without the label", do(http.MethodPost, secrets, object{"metadata": object{"name": "a"}}), http.StatusForbidden},
		{"create with another's", do(http.MethodPost, secrets, object{"metadata": object{"name": "a", "labels": foreign}}), http.StatusForbidden},
		{"create of another type", do(http.MethodPost, secrets, object{
			"metadata": object{"name": "a", "labels": managed}, "type": "kubernetes.io/basic-auth", "data": object{"username": "dg=="},
		}), http.StatusForbidden},
		{"change theirs", patch("theirs", `[{"op":"add","path":"/data/k","value":"dw=="}]`), http.StatusForbidden},
		{"take theirs over", patch("theirs", `[{"op":"replace","path":"`+label+`","value":"strongroom"}]`), http.StatusForbidden},
		{"take an unlabelled one over", patch("unlabelled", `[{"op":"add","path":"/metadata/labels","value":{"app.kubernetes.io/managed-by":"strongroom"}}]`), http.StatusForbidden},
		{"give ours away", patch("ours", `[{"op":"remove","path":"`+label+`"}]`), http.StatusForbidden},
		{"delete theirs", do(http.MethodDelete, secrets+"/theirs", nil), http.StatusForbidden},
		{"delete an unlabelled one", do(http.MethodDelete, secrets+"/unlabelled", nil), http.StatusForbidden},
		{"delete all", do(http.MethodDelete, secrets, nil), http.StatusForbidden},
		{"change ours", patch("ours", `[{"op":"add","path":"/data","value":{"k":"dw=="}}]`), http.StatusOK},
		{"delete ours", do(http.MethodDelete, secrets+"/ours", nil), http.StatusOK},
	} {
		if got, answer := tc.do(); got != tc.want {
			t.Errorf("%s: got %d, want %d: %v", tc.name, got, tc.want, answer["message"])
		}
	}
	for _, name := range []string{"theirs", "unlabelled"} {
		if got := server.Must(t, http.MethodGet, secrets+"/"+name, nil)["data"].(object)["k"]; got != "dg==" {
			t.Errorf("%s was changed", name)
		}
	}
}

// A request that the policy refuses is our error, not the caller's.
func TestPolicyRefusalIsNotReportedAsTheCallersError(t *testing.T) {
	server := installed(t)
	namespace := newNamespace(t, server)
	st := open(t, asStrongroom(t, server), namespace)
	await(t, "the role to count", func() bool { return st.Check(t.Context()) == nil })
	op := at("db")
	server.Must(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/secrets", object{
		"metadata": object{"name": objectname.Of(op.Ref)}, "data": object{"k": "dg=="},
	})
	if _, err := st.Create(t.Context(), op, secret.Draft{}); !errors.Is(err, secret.ErrExists) {
		t.Errorf("Create where a foreign Secret is: got %v, want that it exists", err)
	}
	if _, err := st.Head(t.Context(), op.Ref); !errors.Is(err, secret.ErrNotFound) {
		t.Errorf("Head of a foreign Secret: got %v, want that it is not found", err)
	}
}
