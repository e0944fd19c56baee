//go:build linux

package main_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/objectname"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/store/bolt"
)

const (
	scaleEnv = "STRONGROOM_SCALE" // number of owners with 1,000 secrets each

	secretsOfAnOwner = 1000
	listedSecrets    = 20 // secrets of one more app, in both stores, so that lists are comparable
	fillers          = 512
	scaleRounds      = 1000 // requests of each kind to each server
	wantReady        = time.Second
	wantRatio        = 1.3
)

// A store with a million secrets must open immediately and be as fast as one
// with a thousand, apart from the cost of a deeper tree. Both servers run at
// the same time and are measured in turns, so that other load slows both.
func TestMillionSecretsAreAsFastAsAThousand(t *testing.T) {
	if os.Getenv(scaleEnv) == "" {
		t.Skip("takes minutes: set " + scaleEnv + " to a number of owners")
	}
	owners := mustCount(t, scaleEnv, 0)
	large, small := mustFill(t, owners), mustFill(t, 1)
	l, s := mustOpenScaled(t, large, owners), mustOpenScaled(t, small, 1)
	for round := range scaleRounds {
		for _, kind := range scaledKinds {
			// The servers take turns at being first.
			for _, asked := range [][]*scaled{{l, s}, {s, l}}[round%2] {
				asked.ask(t, kind, round)
			}
		}
	}
	for _, kind := range scaledKinds {
		ratio := float64(l.median(kind)) / float64(s.median(kind))
		t.Logf("%-6s  p50 %8s of %d secrets, %8s of %d: ratio %.2f",
			kind, l.median(kind), owners*secretsOfAnOwner, s.median(kind), secretsOfAnOwner, ratio)
		if ratio > wantRatio {
			t.Errorf("%s: the ratio is %.2f, want at most %.1f", kind, ratio, wantRatio)
		}
	}
	// The list comes last, since it reads all secrets.
	l.mustHaveAll(t)
	s.mustHaveAll(t)
	t.Logf("and now it has in memory: %s; and the small one: %s", l.memory(t), s.memory(t))
}

// Values that are read again come from the server's cache.
var scaledKinds = []string{"GET", "again", "reveal", "PUT", "list"}

// mustFill creates an install with this many apps of 1,000 secrets, and one
// more app with a few. Through the API it would take hours.
func mustFill(t *testing.T, owners int) install {
	t.Helper()
	i, began := mustInit(t), time.Now()
	file, keys, err := admin.OpenState(t.Context(), i.path("data/strongroom.db"), keyring.FromFile(i.path("keys/state.key")), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := bolt.Open(file, "embedded", keys.Ring(), nil, bolt.Options{})
	refs := make(chan secret.Ref, fillers)
	var filling sync.WaitGroup
	for range fillers {
		filling.Go(func() {
			for ref := range refs {
				draft := secret.Draft{Data: map[string]secret.Value{"user": "kim", "password": secret.Value(objectname.Of(ref))}}
				if _, err := s.Create(t.Context(), secret.Op{Ref: ref}, draft); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sendRefs(t.Context(), refs, owners)
	filling.Wait()
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d secrets of %d owners: %d MiB, filled in %s", owners*secretsOfAnOwner, owners, sizeOf(t, i)>>20, time.Since(began).Round(time.Millisecond))
	return i
}

func sendRefs(ctx context.Context, refs chan<- secret.Ref, owners int) {
	defer close(refs)
	for owner := range owners + 1 {
		count := secretsOfAnOwner
		if owner == owners {
			owner, count = listedApp, listedSecrets
		}
		for n := range count {
			if ctx.Err() != nil {
				return
			}
			refs <- secret.Ref{Owner: secret.App(appNumber(owner)), Name: secretNumber(n)}
		}
	}
}

const listedApp = 0xffffff

func appNumber(n int) string    { return fmt.Sprintf("0f8fad5b-d9cb-469f-a165-%012x", n) }
func secretNumber(n int) string { return fmt.Sprintf("secret-%04d", n) }

func sizeOf(t *testing.T, i install) int64 {
	t.Helper()
	info, err := os.Stat(i.path("data/strongroom.db"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// A scaled server is a server with measured response times.
type scaled struct {
	*process
	install install
	owners  int
	times   map[string][]time.Duration
}

// mustOpenScaled starts the server twice: once without the file in the page
// cache, as far as the kernel allows, to measure the time, and once more.
func mustOpenScaled(t *testing.T, i install, owners int) *scaled {
	t.Helper()
	serve := func() (*process, time.Duration) {
		began := time.Now()
		p := mustStart(t, mustBuildFast(t), "serve", "--config", i.config(), "--listen", "127.0.0.1:0")
		p.want(t, 200, "GET", "/readyz", "", "")
		return p, time.Since(began)
	}
	dropCache(t, i.path("data/strongroom.db"))
	p, cold := serve()
	p.mustStop(t)
	p, warm := serve()
	t.Logf("%d MiB: ready after %s, and from memory after %s; %s", sizeOf(t, i)>>20, cold.Round(time.Millisecond), warm.Round(time.Millisecond), p.memory(t))
	if warm > wantReady {
		t.Errorf("the server is ready after %s, want at most %s", warm, wantReady)
	}
	return &scaled{process: p, install: i, owners: owners, times: map[string][]time.Duration{}}
}

// mustHaveAll checks that the server has all secrets of one owner.
func (s *scaled) mustHaveAll(t *testing.T) {
	t.Helper()
	var details []nx1Detail
	mustDecode(t, s.want(t, 200, "GET", "/api/app/"+appNumber(0)+"/secrets", s.install.pskHeader(), "").body, &details)
	if len(details) != secretsOfAnOwner {
		t.Errorf("%d secrets are listed, want %d", len(details), secretsOfAnOwner)
	}
}

// ask sends one request of a kind, each time for another secret (except for the
// list).
func (s *scaled) ask(t *testing.T, kind string, round int) {
	t.Helper()
	method, body := "GET", ""
	path := "/api/app/" + appNumber(round*7%s.owners) + "/secrets/" + secretNumber(round*7%secretsOfAnOwner)
	switch kind {
	case "reveal":
		path += "/reveal"
	case "PUT":
		method, body = "PUT", fmt.Sprintf(`{"data":[{"key":"password","value":"%d"}]}`, round)
	case "list":
		path = "/api/app/" + appNumber(listedApp) + "/secrets"
	}
	began := time.Now()
	s.want(t, 200, method, path, s.install.pskHeader(), body)
	s.times[kind] = append(s.times[kind], time.Since(began))
}

func (s *scaled) median(kind string) time.Duration {
	sorted := slices.Sorted(slices.Values(s.times[kind]))
	return sorted[len(sorted)/2].Round(time.Microsecond)
}

var inMemory = regexp.MustCompile(`(?m)^(Rss|Pss|Pss_Anon|Pss_File): +(\d+) kB$`)

// memory returns the memory of the process, and the part of it that maps the
// file, which the kernel can reclaim.
func (p *process) memory(t *testing.T) string {
	t.Helper()
	text := mustRead(t, fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	said := ""
	for _, m := range inMemory.FindAllStringSubmatch(text, -1) {
		kB, _ := strconv.Atoi(m[2])
		said += fmt.Sprintf("%s %d MiB ", m[1], kB>>10)
	}
	return said
}

// dropCache asks the kernel to drop a file from the page cache.
func dropCache(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}
