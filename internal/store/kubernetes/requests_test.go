package kubernetes_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

// verbs returns a function that returns the verbs of all requests since its last
// call, from the API server's own audit log.
func verbs(t *testing.T, server *kubetest.Server, namespace string) func() []string {
	t.Helper()
	seen := len(server.Requests(t, namespace))
	return func() (verbs []string) {
		t.Helper()
		all := server.Requests(t, namespace)
		for _, r := range all[seen:] {
			verbs = append(verbs, r.Verb)
		}
		seen = len(all)
		return verbs
	}
}

func TestOperationsSendTheFewestRequests(t *testing.T) {
	server := installed(t)
	st, namespace := ready(t, server)
	since := verbs(t, server, namespace)
	description := "described"
	var at0 secret.Revision
	for _, tc := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"create", func() error {
			info, err := st.Create(t.Context(), at("db"), secret.Draft{Data: data{"a": "1", "b": "2"}})
			at0 = info.Revision
			return err
		}, []string{"create"}},
		{"replace", func() error {
			_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"a": "1", "b": "2"}})
			return err
		}, []string{"patch"}},
		{"replace and keep", func() error {
			_, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"a": "3"}, Keep: []string{"b"}, Description: &description})
			return err
		}, []string{"patch"}},
		{"head", func() error { _, err := st.Head(t.Context(), at("db").Ref); return err }, []string{"get"}},
		{"reveal", func() error { _, _, err := st.Reveal(t.Context(), at("db")); return err }, []string{"get"}},
		{"list", func() error { _, err := st.List(t.Context(), shop, secret.Page{}); return err }, []string{"list"}},
		{"describe", func() error { _, err := st.Describe(t.Context(), at("db"), "db", "again"); return err }, []string{"patch"}},
		{"replace what is missing", func() error {
			if _, err := st.Replace(t.Context(), at("missing"), secret.Change{}); err == nil {
				t.Error("replaced what is missing")
			}
			return nil
		}, []string{"patch"}},
		{"replace what has changed", func() error {
			op := at("db")
			op.OnlyIf = at0
			if _, err := st.Replace(t.Context(), op, secret.Change{}); err == nil {
				t.Error("replaced what has changed")
			}
			return nil
		}, []string{"patch", "get"}},
		{"delete", func() error { return st.Delete(t.Context(), at("db")) }, []string{"get", "delete"}},
	} {
		if err := tc.do(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, since()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tc.name, diff)
		}
	}
	for _, r := range server.Requests(t, namespace) {
		if r.User.Username == "system:serviceaccount:strongroom:strongroom" && !strings.HasPrefix(r.UserAgent, "strongroom") {
			t.Errorf("a %s came from %q", r.Verb, r.UserAgent)
		}
	}
}

// client-go's rate limit (5 requests a second, bursts of 10) does not apply.
func TestRequestsAreNotRateLimited(t *testing.T) {
	st, _ := ready(t, installed(t))
	for range 100 {
		if _, err := st.List(t.Context(), shop, secret.Page{}); err != nil {
			t.Fatal(err)
		}
	}
	if late := t.Context().Err(); late != nil {
		t.Error(late)
	}
}

// The store shows a change that kubectl made to a managed Secret, and kubectl shows
// the store's changes.
func TestKubectlAndTheStoreSeeTheSameSecret(t *testing.T) {
	server := installed(t)
	st, namespace := ready(t, server)
	path := "/api/v1/namespaces/" + namespace + "/secrets/" + objectname.Of(at("db").Ref)
	before, err := st.Create(t.Context(), at("db"), secret.Draft{Description: "the database", Data: data{"password": "one"}})
	if err != nil {
		t.Fatal(err)
	}
	got := server.Must(t, http.MethodGet, path, nil)
	if got["data"].(object)["password"] != "b25l" || got["type"] != "Opaque" {
		t.Errorf("the cluster has %v of type %v", got["data"], got["type"])
	}
	labels := got["metadata"].(object)["labels"].(object)
	if labels["app.kubernetes.io/managed-by"] != "strongroom" || labels["strongroom.github.io/app-id"] != shop.ID {
		t.Errorf("it has the labels %v", labels)
	}

	status, answer := kubetest.JSONPatch(t, server.Admin(), path, `[
		{"op":"add","path":"/data/added","value":"/wA="},
		{"op":"add","path":"/data/password","value":"dHdv"},
		{"op":"add","path":"/metadata/labels/team","value":"shop"},
		{"op":"add","path":"/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration","value":"{\"data\":{\"password\":\"b25l\"}}"}]`)
	if status != http.StatusOK {
		t.Fatalf("%d: %v", status, answer["message"])
	}
	info, values, err := st.Reveal(t.Context(), at("db"))
	if err != nil {
		t.Fatal(err)
	}
	if want := (data{"added": "\xff\x00", "password": "two"}); !cmp.Equal(values, want) {
		t.Errorf("Reveal has keys %q, or values that kubectl has not written", info.Keys)
	}
	if !slices.Equal(info.Keys, []string{"added", "password"}) || info.Revision == before.Revision {
		t.Errorf("got keys %q at revision %q", info.Keys, info.Revision)
	}

	if _, err := st.Replace(t.Context(), at("db"), secret.Change{Set: data{"password": "three"}, Keep: []string{"added"}}); err != nil {
		t.Fatal(err)
	}
	got = server.Must(t, http.MethodGet, path, nil)
	if values := got["data"].(object); values["password"] != "dGhyZWU=" || values["added"] != "/wA=" || len(values) != 2 {
		t.Errorf("the cluster has %d keys, or bytes that are not text were mangled", len(values))
	}
	metadata := got["metadata"].(object)
	if metadata["labels"].(object)["team"] != "shop" {
		t.Error("a label of others is gone")
	}
	if _, there := metadata["annotations"].(object)["kubectl.kubernetes.io/last-applied-configuration"]; there {
		t.Error("the values that were replaced are still in kubectl's annotation")
	}
}

// A Secret without our labels is not found, not listed and not changed.
func TestForeignSecretsAreNotReadOrChanged(t *testing.T) {
	server := installed(t)
	st, namespace := ready(t, server)
	secrets := "/api/v1/namespaces/" + namespace + "/secrets"
	name := objectname.Of(at("db").Ref)
	ours := func(change func(metadata object)) object {
		metadata := object{
			"name": name,
			"labels": object{
				"app.kubernetes.io/managed-by": "strongroom", "strongroom.github.io/app-id": shop.ID,
			},
			"annotations": object{"strongroom.github.io/name": "db", "strongroom.github.io/owner": shop.String()},
		}
		change(metadata)
		return object{"metadata": metadata, "data": object{"k": "dg=="}}
	}
	for _, tc := range []struct {
		name   string
		secret object
	}{
		{"without labels", ours(func(m object) { delete(m, "labels") })},
		{"managed by others", ours(func(m object) { m["labels"].(object)["app.kubernetes.io/managed-by"] = "helm" })},
		{"of another app", ours(func(m object) { m["labels"].(object)["strongroom.github.io/app-id"] = "another" })},
		{"of a user", ours(func(m object) {
			m["labels"] = object{"app.kubernetes.io/managed-by": "strongroom", "strongroom.github.io/user": shop.ID}
		})},
		{"without a name of ours", ours(func(m object) { delete(m, "annotations") })},
		{"with another name", ours(func(m object) { m["annotations"].(object)["strongroom.github.io/name"] = "DB" })},
		{"on its way out", ours(func(m object) { m["finalizers"] = []string{"example.org/wait"} })},
		{"of another type", func() object {
			o := ours(func(object) {})
			o["type"] = "example.org/other"
			return o
		}()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server.Must(t, http.MethodPost, secrets, tc.secret)
			if tc.name == "on its way out" {
				server.Must(t, http.MethodDelete, secrets+"/"+name, nil)
			}
			before := server.Must(t, http.MethodGet, secrets+"/"+name, nil)
			if tc.name == "on its way out" {
				wantUnseen(t, st, secret.ErrBeingDeleted)
			} else {
				wantUnseen(t, st, secret.ErrExists)
			}
			after := server.Must(t, http.MethodGet, secrets+"/"+name, nil)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("it was changed (-before +after):\n%s", diff)
			}
			kubetest.JSONPatch(t, server.Admin(), secrets+"/"+name, `[{"op":"add","path":"/metadata/finalizers","value":[]}]`)
			kubetest.Do(t, server.Admin(), http.MethodDelete, secrets+"/"+name, nil)
		})
	}
}

// wantUnseen fails unless the secret is not found and its name cannot be used.
func wantUnseen(t *testing.T, st secret.Store, taken error) {
	t.Helper()
	ctx := t.Context()
	_, head := st.Head(ctx, at("db").Ref)
	_, _, reveal := st.Reveal(ctx, at("db"))
	_, replace := st.Replace(ctx, at("db"), secret.Change{Set: data{"k": "w"}})
	_, keep := st.Replace(ctx, at("db"), secret.Change{Keep: []string{"k"}})
	_, describe := st.Describe(ctx, at("db"), "db", "mine")
	_, rename := st.Describe(ctx, at("db"), "other", "mine")
	_, create := st.Create(ctx, at("db"), secret.Draft{})
	for name, err := range map[string]error{
		"Head": head, "Reveal": reveal, "Replace": replace, "Replace that keeps": keep, "Describe": describe,
		"rename": rename, "Delete": st.Delete(ctx, at("db")),
	} {
		wantError(t, name, err, secret.ErrNotFound)
	}
	wantError(t, "Create", create, taken)
	if _, err := st.Create(ctx, at("free"), secret.Draft{}); err != nil {
		t.Fatal(err)
	}
	_, onto := st.Describe(ctx, at("free"), "db", "")
	wantError(t, "rename onto it", onto, taken)
	if err := st.Delete(ctx, at("free")); err != nil {
		t.Fatal(err)
	}
	if infos, err := st.List(ctx, shop, secret.Page{}); err != nil || len(infos) != 0 {
		t.Errorf("List: got %d, %v", len(infos), err)
	}
}
