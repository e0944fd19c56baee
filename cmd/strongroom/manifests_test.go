package main_test

import (
	"path/filepath"
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
