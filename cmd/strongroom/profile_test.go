package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestCPUProfileIsWrittenOnExit(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	file := filepath.Join(t.TempDir(), "cpu")
	p := mustStart(t, program, "serve", "--config", i.config(), "--listen", "127.0.0.1:0", "--cpu-profile", file)
	p.signal(syscall.SIGTERM)
	if code, log := p.mustEnd(t); code != 0 {
		t.Fatalf("ended with %d:\n%s", code, log)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), "\x1f\x8b") { // profiles are gzip files
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}
