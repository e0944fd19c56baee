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
	if path := p.revealed(t, key); path != "" {
		t.Fatalf("the key reveals %s %s", path, after)
	}
}

// revealed returns the path of a value that the key reveals, empty for none.
func (p *process) revealed(t *testing.T, key string) string {
	t.Helper()
	for _, path := range []string{app + "/open/reveal", app + "/closed/reveal"} {
		if p.mustDo(t, "GET", path, "Authorization-PSK: "+key, "").status == 200 {
			return path
		}
	}
	return ""
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
	for done, attempts := 0, 0; done < 2; attempts++ {
		path, after, pause := p.mustWriteSlowly(t, i.path("keys/psks.yaml"), whole, key)
		switch {
		case pause < quietFor:
			done++
			if path != "" {
				t.Fatalf("the key reveals %s while the file is being written, after %s", path, after)
			}
		case attempts > 10:
			t.Skip("NOT TESTED: this machine is too busy to write a line in time")
		}
	}
	p.mustBecome(t, 200, "GET", app, "Authorization-PSK: "+key)
	p.wantLimits(t, key, "in the end")
}

// quietFor is a little less than the time for which a file has to stay the same before the server
// loads it.
const quietFor = 700 * time.Millisecond

// mustWriteSlowly writes the file line by line, and uses the key after each line. If the key
// reveals a value, it returns its path and the last line. It also returns the longest pause
// between two lines.
func (p *process) mustWriteSlowly(t *testing.T, path, whole, key string) (revealed, after string, pause time.Duration) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	mustWork(t, err)
	defer func() { mustWork(t, f.Close()) }()
	written := time.Now()
	for line := range strings.Lines(whole) {
		began := time.Now()
		_, err := f.WriteString(line)
		mustWork(t, err)
		pause, written = max(pause, time.Since(written)), began
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			if revealed = p.revealed(t, key); revealed != "" {
				return revealed, line, max(pause, time.Since(written))
			}
		}
	}
	return "", "", max(pause, time.Since(written))
}
