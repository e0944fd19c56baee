package main_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// manifests returns the files of configs/kubernetes and configs/kubernetes-postgres.
func manifests(t *testing.T) (files []string) {
	t.Helper()
	for _, dir := range []string{"kubernetes", "kubernetes/shared", "kubernetes-postgres"} {
		found, err := filepath.Glob("../../configs/" + dir + "/*.yaml")
		mustWork(t, err)
		if len(found) == 0 {
			t.Errorf("%s has no manifests", dir)
		}
		files = append(files, found...)
	}
	return files
}

// With the default policy, kubelet adds g+rw to the state file whenever it
// mounts the volume, and the server refuses to open the file.
func TestManifestsKeepTheModeOfTheStateFile(t *testing.T) {
	pods := 0
	for _, file := range manifests(t) {
		text := mustRead(t, file)
		groups := strings.Count(text, "fsGroup: ")
		pods += groups
		if kept := strings.Count(text, "fsGroupChangePolicy: OnRootMismatch"); kept != groups {
			t.Errorf("%s has fsGroup %d times and fsGroupChangePolicy: OnRootMismatch %d times", file, groups, kept)
		}
	}
	if pods < 5 {
		t.Errorf("%d manifests have an fsGroup, want the StatefulSet, the Deployment, the CronJob and two Jobs", pods)
	}
}

// With latest, a node could pull an untested image, or not find an image that was loaded
// by hand.
func TestManifestsNameTheImageOfThisRelease(t *testing.T) {
	found := regexp.MustCompile(`(?m)^RELEASE +\?= (.+)$`).FindStringSubmatch(mustRead(t, "../../Makefile"))
	if found == nil {
		t.Fatal("the Makefile has no RELEASE")
	}
	images := 0
	for _, file := range manifests(t) {
		text := mustRead(t, file)
		all := strings.Count(text, "image: ")
		images += all
		if n := strings.Count(text, "image: strongroom:"+found[1]); n != all {
			t.Errorf("%s has %d images, and %d of them are strongroom:%s", file, all, n, found[1])
		}
		if n := strings.Count(text, "imagePullPolicy: IfNotPresent"); n != all {
			t.Errorf("%s has %d images and %d times imagePullPolicy: IfNotPresent", file, all, n)
		}
	}
	if images < 5 {
		t.Errorf("%d images, want those of the StatefulSet, the Deployment, the CronJob and two Jobs", images)
	}
}

// kubectl apply -k applies the files in the order of the list.
func TestKustomizationsHaveEveryFileAndTheJobBeforeTheServer(t *testing.T) {
	for _, file := range manifests(t) {
		list := filepath.Join(filepath.Dir(file), "kustomization.yaml")
		if name := filepath.Base(file); file != list && !strings.Contains(mustRead(t, list), "  - "+name+"\n") {
			t.Errorf("%s lacks %s", list, name)
		}
	}
	for dir, order := range map[string][]string{
		"kubernetes":          {"shared", "pvc.yaml", "init.yaml", "statefulset.yaml"},
		"kubernetes-postgres": {"../kubernetes/shared", "init.yaml", "deployment.yaml"},
	} {
		text := mustRead(t, "../../configs/"+dir+"/kustomization.yaml")
		at := -1
		for _, name := range order {
			next := strings.Index(text, "  - "+name+"\n")
			if next <= at || !strings.Contains(text, "order: fifo") {
				t.Errorf("%s: %s is not in the order %q", dir, name, order)
			}
			at = next
		}
	}
}

// Every installation that was made from a sample would accept the keys and issuers in it.
func TestConfigsForServersAcceptNoExampleCaller(t *testing.T) {
	for _, file := range []string{"../../configs/systemd/strongroom.yaml", "../../configs/kubernetes/config.yaml", "../../configs/kubernetes-postgres/config.yaml"} {
		for line := range strings.Lines(mustRead(t, file)) {
			if at := strings.TrimSpace(line); !strings.HasPrefix(at, "#") && (strings.Contains(at, "issuer:") || strings.Contains(at, "owner:")) {
				t.Errorf("%s: %s", file, at)
			}
		}
	}
}
