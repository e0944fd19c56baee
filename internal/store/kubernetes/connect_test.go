package kubernetes_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/store/kubernetes"
	"github.com/strongroom/strongroom/internal/test/kubetest"
)

func mustWriteFile(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
}

func TestKubeconfigGivesAddressAndCredentials(t *testing.T) {
	server := kubetest.Start(t)
	namespace := newNamespace(t, installed(t))
	file := filepath.Join(t.TempDir(), "kubeconfig")
	mustWriteFile(t, file, server.Kubeconfig(server.Token(t, "strongroom", "strongroom")), 0o600)
	for context, ok := range map[string]bool{"": true, "test": true, "another": false} {
		cluster, err := kubernetes.FromKubeconfig(file, context)
		if (err == nil) != ok {
			t.Errorf("context %q: %v", context, err)
		}
		if err == nil {
			if _, err := open(t, cluster, namespace).List(t.Context(), shop, secret.Page{}); err != nil {
				t.Errorf("context %q: %v", context, err)
			}
		}
	}
	if _, err := kubernetes.FromKubeconfig(file+"-missing", ""); err == nil {
		t.Error("a kubeconfig that is not there is taken for one")
	}
}

// An exec plugin is run again when the API server refuses its first token.
func TestExecPluginSuppliesCredentials(t *testing.T) {
	server := installed(t)
	namespace := newNamespace(t, server)
	dir := t.TempDir()
	token, plugin, file := filepath.Join(dir, "token"), filepath.Join(dir, "plugin"), filepath.Join(dir, "kubeconfig")
	mustWriteFile(t, plugin, fmt.Appendf(nil,
		"#!/bin/sh\necho '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"'$(cat %s)'\"}}'\n", token), 0o700)
	var kubeconfig object
	if err := json.Unmarshal(server.Kubeconfig(""), &kubeconfig); err != nil {
		t.Fatal(err)
	}
	kubeconfig["users"] = []object{{"name": "test", "user": object{"exec": object{
		"apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never",
	}}}}
	text, err := json.Marshal(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	mustWriteFile(t, file, text, 0o600)
	cluster, err := kubernetes.FromKubeconfig(file, "")
	if err != nil {
		t.Fatal(err)
	}
	wantReadAnew(t, open(t, cluster, namespace), token, server.Token(t, "strongroom", "strongroom"))
}

// wantReadAnew checks that the store rereads the token file when a token is
// refused.
func wantReadAnew(t *testing.T, st *kubernetes.Store, file, good string) {
	t.Helper()
	list := func() error { _, err := st.List(t.Context(), shop, secret.Page{}); return err }
	mustWriteFile(t, file, []byte("nobody's"), 0o600)
	wantTrouble(t, "List with a token of nobody's", list())
	mustWriteFile(t, file, []byte(good), 0o600)
	if err := list(); err != nil {
		t.Errorf("List with a good token: %v", err)
	}
}

func TestInClusterFailsOutsideACluster(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := kubernetes.InCluster(); err == nil {
		t.Error("InCluster found a cluster")
	}
}
