package main_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// With the default policy, kubelet adds g+rw to the state file whenever it
// mounts the volume, and the server refuses to open the file.
func TestManifestsKeepTheModeOfTheStateFile(t *testing.T) {
	files, err := filepath.Glob("../../configs/kubernetes/*.yaml")
	mustWork(t, err)
	pods := 0
	for _, file := range files {
		text := mustRead(t, file)
		groups := strings.Count(text, "fsGroup: ")
		pods += groups
		if kept := strings.Count(text, "fsGroupChangePolicy: OnRootMismatch"); kept != groups {
			t.Errorf("%s has fsGroup %d times and fsGroupChangePolicy: OnRootMismatch %d times", file, groups, kept)
		}
	}
	if pods < 2 {
		t.Errorf("%d manifests have an fsGroup, want the StatefulSet and the Job", pods)
	}
}

// With latest, a node could pull an untested image, or not find an image that was loaded
// by hand.
func TestManifestsNameTheImageOfThisRelease(t *testing.T) {
	found := regexp.MustCompile(`(?m)^RELEASE +\?= (.+)$`).FindStringSubmatch(mustRead(t, "../../Makefile"))
	if found == nil {
		t.Fatal("the Makefile has no RELEASE")
	}
	files, err := filepath.Glob("../../configs/kubernetes/*.yaml")
	mustWork(t, err)
	images := 0
	for _, file := range files {
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
	if images < 3 {
		t.Errorf("%d images, want those of the Job, the StatefulSet and the CronJob", images)
	}
}

// kubectl apply -k applies the files in the order of the list.
func TestKustomizationHasEveryFileAndTheJobBeforeTheServer(t *testing.T) {
	text := mustRead(t, "../../configs/kubernetes/kustomization.yaml")
	files, err := filepath.Glob("../../configs/kubernetes/*.yaml")
	mustWork(t, err)
	for _, file := range files {
		if name := filepath.Base(file); name != "kustomization.yaml" && !strings.Contains(text, "  - "+name+"\n") {
			t.Errorf("the kustomization lacks %s", name)
		}
	}
	volume, job, server := strings.Index(text, "- pvc.yaml"), strings.Index(text, "- init.yaml"), strings.Index(text, "- statefulset.yaml")
	if !strings.Contains(text, "order: fifo") || volume > job || job > server {
		t.Error("want the volume, then the Job, then the server")
	}
}

// Every installation that was made from a sample would accept the keys and issuers in it.
func TestConfigsForServersAcceptNoExampleCaller(t *testing.T) {
	for _, file := range []string{"../../configs/systemd/strongroom.yaml", "../../configs/kubernetes/config.yaml"} {
		for line := range strings.Lines(mustRead(t, file)) {
			if at := strings.TrimSpace(line); !strings.HasPrefix(at, "#") && (strings.Contains(at, "issuer:") || strings.Contains(at, "owner:")) {
				t.Errorf("%s: %s", file, at)
			}
		}
	}
}
