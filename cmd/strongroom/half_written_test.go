package main_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth/apikey"
)

// limitedKey returns an API key that may list one secret and reveal none, and
// its keys file. The last lines of the file impose the limits: without some of
// them the key would have more rights.
func limitedKey() (key, file string) {
	key, id := apikey.Generate()
	return key, fmt.Sprintf(`keys:
  - id: %s
    sha256: %s
    subject: limited
    grants:
      - actions: [list, reveal]
        owner: app/*
        names: [open]
      - owner: app/*
        actions: [reveal]
        deny: true
`, id, apikey.HashOf(key))
}

// wantLimits checks that the key has no more rights than in the complete file.
func (p *process) wantLimits(t *testing.T, key, after string) {
	t.Helper()
	for _, path := range []string{app + "/open/reveal", app + "/closed/reveal"} {
		if a := p.mustDo(t, "GET", path, "Authorization-PSK: "+key, ""); a.status == 200 {
			t.Fatalf("the key reveals %s %s", path, after)
		}
	}
}

func mustServeTwoSecrets(t *testing.T) (install, *process) {
	t.Helper()
	i := mustInit(t)
	p := mustServe(t, i)
	for _, name := range []string{"open", "closed"} {
		p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"`+name+`","data":[{"key":"k","value":"value-of-it"}]}`)
	}
	return i, p
}

// A keys file with an end mark is loaded completely and at once, or not at all.
func TestKeysFileCutAtAnyByteNeverAllowsMore(t *testing.T) {
	t.Parallel() // it waits for reloads most of the time
	i, p := mustServeTwoSecrets(t)
	key, lines := limitedKey()
	whole := "---\n" + lines + "...\n"
	for cut := range len(whole) {
		mustWrite(t, i.path("keys/psks.yaml"), whole[:cut])
		p.signal(syscall.SIGHUP)
		p.mustSayTimes(t, broken, cut+1)
		p.wantLimits(t, key, fmt.Sprintf("after the first %d bytes of %d", cut, len(whole)))
	}
	mustWrite(t, i.path("keys/psks.yaml"), whole)
	p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+key)
	p.wantLimits(t, key, "in the end")
}

// A keys file without an end mark is rejected if it was cut off within a line.
func TestKeysFileCutWithinALineIsRejected(t *testing.T) {
	t.Parallel() // it waits for reloads most of the time
	i, p := mustServeTwoSecrets(t)
	key, whole := limitedKey()
	times := 0
	for cut := 1; cut < len(whole); cut++ {
		if whole[cut-1] == '\n' {
			continue
		}
		mustWrite(t, i.path("keys/psks.yaml"), whole[:cut])
		p.signal(syscall.SIGHUP)
		times++
		p.mustSayTimes(t, broken, times)
		p.wantLimits(t, key, fmt.Sprintf("after the first %d bytes of %d", cut, len(whole)))
	}
	if says := p.mustSay(t, broken)[1]; !strings.Contains(says, "does not end with a newline") {
		t.Errorf("the log says %s", says)
	}
}

// Such a file, written line by line, is loaded only when it has stopped
// changing.
func TestKeysFileIsNotLoadedWhileItIsWritten(t *testing.T) {
	t.Parallel() // it waits for reloads most of the time
	i, p := mustServeTwoSecrets(t)
	key, whole := limitedKey()
	lines := strings.SplitAfter(whole, "\n")
	for range 2 {
		f, err := os.OpenFile(i.path("keys/psks.yaml"), os.O_WRONLY|os.O_TRUNC, 0)
		mustWork(t, err)
		for _, line := range lines {
			_, err := f.WriteString(line)
			mustWork(t, err)
			for range 4 {
				time.Sleep(100 * time.Millisecond)
				p.wantLimits(t, key, "while the file is being written, after "+line)
			}
		}
		mustWork(t, f.Close())
	}
	p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+key)
	p.wantLimits(t, key, "in the end")
}
