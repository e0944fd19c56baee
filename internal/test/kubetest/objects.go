package kubetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// An Object is a decoded JSON object of the API.
type Object = map[string]any

// Do sends a request as cfg's user, with the body as JSON, and returns the
// status and the object in the answer.
func Do(t testing.TB, cfg *rest.Config, method, path string, body any) (status int, answer Object) {
	t.Helper()
	status, answer, err := send(t, cfg, method, path, "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

// JSONPatch is Do with a JSON Patch.
func JSONPatch(t testing.TB, cfg *rest.Config, path, steps string) (status int, answer Object) {
	t.Helper()
	status, answer, err := send(t, cfg, http.MethodPatch, path, "application/json-patch+json", json.RawMessage(steps))
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

// Try is Do for a server that may not answer.
func Try(t testing.TB, cfg *rest.Config, method, path string, body any) (status int, err error) {
	t.Helper()
	status, _, err = send(t, cfg, method, path, "application/json", body)
	return status, err
}

func send(t testing.TB, cfg *rest.Config, method, path, contentType string, body any) (status int, answer Object, err error) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, cfg.Host+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return resp.StatusCode, answer, err
}

// Must sends a request as an administrator and fails the test unless it succeeds.
func (s *Server) Must(t testing.TB, method, path string, body any) Object {
	t.Helper()
	status, answer := Do(t, s.Admin(), method, path, body)
	if status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %d: %v", method, path, status, answer["message"])
	}
	return answer
}

// Namespace creates a namespace and returns its name.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	made := s.Must(t, http.MethodPost, "/api/v1/namespaces", Object{"metadata": Object{"generateName": "test-"}})
	return made["metadata"].(Object)["name"].(string)
}

// ServiceAccount creates a service account without any right.
func (s *Server) ServiceAccount(t testing.TB, namespace, name string) {
	t.Helper()
	s.Must(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/serviceaccounts", Object{"metadata": Object{"name": name}})
}

// Token returns a token of the service account for these audiences; without any
// it is for the API server itself.
func (s *Server) Token(t testing.TB, namespace, name string, audiences ...string) string {
	t.Helper()
	made := s.Must(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/serviceaccounts/"+name+"/token",
		Object{"spec": Object{"audiences": audiences, "expirationSeconds": int(time.Hour / time.Second)}})
	return made["status"].(Object)["token"].(string)
}

// resources are the paths of the kinds that Apply supports; %s is the namespace.
var resources = map[string]string{
	"Namespace":                        "/api/v1/namespaces",
	"ServiceAccount":                   "/api/v1/namespaces/%s/serviceaccounts",
	"Secret":                           "/api/v1/namespaces/%s/secrets",
	"ConfigMap":                        "/api/v1/namespaces/%s/configmaps",
	"Service":                          "/api/v1/namespaces/%s/services",
	"Role":                             "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/roles",
	"RoleBinding":                      "/apis/rbac.authorization.k8s.io/v1/namespaces/%s/rolebindings",
	"ClusterRole":                      "/apis/rbac.authorization.k8s.io/v1/clusterroles",
	"ClusterRoleBinding":               "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
	"Deployment":                       "/apis/apps/v1/namespaces/%s/deployments",
	"PodDisruptionBudget":              "/apis/policy/v1/namespaces/%s/poddisruptionbudgets",
	"StatefulSet":                      "/apis/apps/v1/namespaces/%s/statefulsets",
	"Job":                              "/apis/batch/v1/namespaces/%s/jobs",
	"CronJob":                          "/apis/batch/v1/namespaces/%s/cronjobs",
	"PersistentVolumeClaim":            "/api/v1/namespaces/%s/persistentvolumeclaims",
	"NetworkPolicy":                    "/apis/networking.k8s.io/v1/namespaces/%s/networkpolicies",
	"ValidatingAdmissionPolicy":        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
	"ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}

// Apply applies an object like kubectl apply --server-side, and fails on fields
// that the API does not have.
func (s *Server) Apply(t testing.TB, object Object) {
	t.Helper()
	kind, _ := object["kind"].(string)
	path, known := resources[kind]
	if !known {
		t.Fatalf("kubetest does not know where to apply a %q", kind)
	}
	metadata := object["metadata"].(Object)
	if strings.Contains(path, "%s") {
		path = fmt.Sprintf(path, metadata["namespace"])
	}
	path += "/" + metadata["name"].(string) + "?fieldManager=kubetest&fieldValidation=Strict"
	status, answer, err := send(t, s.Admin(), http.MethodPatch, path, "application/apply-patch+yaml", object)
	if err != nil {
		t.Fatal(err)
	}
	if status >= http.StatusMultipleChoices {
		t.Fatalf("applying the %s %v: %d: %v", kind, metadata["name"], status, answer["message"])
	}
}

// Kubeconfig returns a kubeconfig file for this token.
func (s *Server) Kubeconfig(token string) []byte {
	text, err := json.Marshal(Object{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []Object{{"name": "test", "cluster": Object{"server": s.URL, "certificate-authority-data": []byte(s.CA)}}},
		"users":    []Object{{"name": "test", "user": Object{"token": token}}},
		"contexts": []Object{{"name": "test", "context": Object{"cluster": "test", "user": "test"}}},
	})
	if err != nil {
		panic(err) // text and bytes can always be encoded
	}
	return text
}
