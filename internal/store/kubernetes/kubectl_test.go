package kubernetes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// kubectl returns a function that runs the real kubectl as the administrator of the
// server. Other tests cover the same without kubectl.
func kubectl(t *testing.T, server *kubetest.Server) func(stdin string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("NOT TESTED WITH KUBECTL: there is none on this machine")
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, server.Kubeconfig(server.Admin().BearerToken), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"--kubeconfig", kubeconfig}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
}

func TestKubectlAppliesTheConfigs(t *testing.T) {
	server := installed(t)
	run := kubectl(t, server)
	applied := run("", "apply", "-k", configs)
	for _, object := range []string{
		"namespace/strongroom", "namespace/app-secrets", "serviceaccount/strongroom", "role.rbac.authorization.k8s.io/strongroom",
		"rolebinding.rbac.authorization.k8s.io/strongroom", "configmap/strongroom", "statefulset.apps/strongroom", "service/strongroom",
		"validatingadmissionpolicy.admissionregistration.k8s.io/strongroom-manages-only-its-own",
		"validatingadmissionpolicybinding.admissionregistration.k8s.io/strongroom-manages-only-its-own",
	} {
		if !strings.Contains(applied, "\n"+object+" ") && !strings.HasPrefix(applied, object+" ") {
			t.Errorf("%s is not applied:\n%s", object, applied)
		}
	}
	generation := func() string {
		return run("", "-n", "strongroom", "get", "statefulset", "strongroom", "-o", "jsonpath={.metadata.generation}")
	}
	before := generation()
	run("", "apply", "-k", configs)
	if after := generation(); after != before {
		t.Errorf("applying them again makes generation %s of %s: pods would start anew", after, before)
	}
}

func TestKubectlReadsTheKustomizationsLikeTheTests(t *testing.T) {
	run := kubectl(t, installed(t))
	for _, dir := range []string{".", postgres} {
		var want []string
		for _, o := range resources(t, dir) {
			want = append(want, o["kind"].(string))
		}
		var got []string
		for line := range strings.Lines(run("", "kustomize", filepath.Join(configs, dir))) {
			if kind, ok := strings.CutPrefix(line, "kind: "); ok {
				got = append(got, strings.TrimSpace(kind))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", dir, diff)
		}
	}
}

func TestKubectlAndTheStoreChangeTheSameSecret(t *testing.T) {
	server := installed(t)
	run := kubectl(t, server)
	st, namespace := ready(t, server)
	if _, err := st.Create(t.Context(), at("db"), secret.Draft{Data: data{"password": "one"}}); err != nil {
		t.Fatal(err)
	}
	name := objectname.Of(at("db").Ref)
	if got := run("", "-n", namespace, "get", "secret", name, "-o", "jsonpath={.data.password} {.type}"); got != "b25l Opaque" {
		t.Errorf("kubectl sees %s", got)
	}
	run(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"`+name+`","namespace":"`+namespace+`"},"stringData":{"password":"two","added":"new"}}`,
		"apply", "-f", "-")
	_, values, err := st.Reveal(t.Context(), at("db"))
	if want := (data{"added": "new", "password": "two"}); err != nil || !cmp.Equal(values, want) {
		t.Errorf("after kubectl apply there are %d keys, or others than it wrote: %v", len(values), err)
	}
	if _, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"password": "three"}}); err != nil {
		t.Fatal(err)
	}
	if got := run("", "-n", namespace, "get", "secret", name, "-o", "jsonpath={.data} {.metadata.annotations}"); !strings.HasPrefix(got, `{"password":"dGhyZWU="} `) || strings.Contains(got, "new") {
		t.Errorf("kubectl sees %s", got)
	}
	run("", "-n", namespace, "delete", "secret", name)
	if infos, err := st.List(t.Context(), shop, secret.Page{}); err != nil || len(infos) != 0 {
		t.Errorf("after kubectl delete there are %d, %v", len(infos), err)
	}
}
