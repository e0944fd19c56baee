package console

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxLines limits the package with its templates, style sheet and scripts, so that it can be
// read as a whole. Tests do not count.
const maxLines = 4000

func TestTheConsoleStaysSmall(t *testing.T) {
	lines := 0
	for _, pattern := range []string{"*.go", "pages/*", "assets/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				lines += bytes.Count(text, []byte("\n"))
			}
		}
	}
	t.Logf("%d lines", lines)
	if lines >= maxLines {
		t.Errorf("the console has %d lines, want less than %d", lines, maxLines)
	}
}
