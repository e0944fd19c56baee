package main_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// copies returns the paths of the person's copies of run --fallback.
func (p person) copies(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(p.home, ".cache/strongroom/fallback/*/*"))
	mustWork(t, err)
	return paths
}

func (p person) mustHaveCopies(t *testing.T, n int) []string {
	t.Helper()
	paths := p.copies(t)
	if len(paths) != n {
		t.Fatalf("there are %d copies, want %d", len(paths), n)
	}
	return paths
}

// printed runs a command that prints a variable, with --fallback.
func (p person) printed(t *testing.T, age string, args ...string) result {
	t.Helper()
	return p.run(t, append(append([]string{"run", "--fallback", age}, args...), "--", "sh", "-c", `printf %s "$TOKEN$DB_PASSWORD"`)...)
}

// restart starts the person's server again, at the same address.
func (p *person) restart(t *testing.T) {
	t.Helper()
	p.server = mustStart(t, program, "serve", "--config", p.in.config(), "--listen", p.server.address)
}

func TestFallbackIsUsedWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.useFast(t)
	p.mustSet(t, "fallback-value", "TOKEN")
	p.mustSet(t, "fallback-password", "shop", "db.PASSWORD")
	for _, owner := range []string{"me", "shop"} {
		if r := p.printed(t, "1h", owner); r.code != 0 || !strings.HasPrefix(r.stdout, "fallback-") || r.stderr != "" {
			t.Fatalf("while the server is there: %+v", r)
		}
	}
	for _, path := range p.mustHaveCopies(t, 2) {
		info, err := os.Stat(path)
		mustWork(t, err)
		dir, err := os.Stat(filepath.Dir(path))
		mustWork(t, err)
		if text := mustRead(t, path); strings.Contains(text, "fallback-") || strings.Contains(text, "TOKEN") || info.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
			t.Errorf("%s has the value or its name, or mode %o in %o", path, info.Mode().Perm(), dir.Mode().Perm())
		}
	}
	old := filepath.Join(filepath.Dir(p.copies(t)[0]), "old")
	mustWrite(t, old, "of a credential that is gone")
	mustWork(t, os.Chtimes(old, time.Time{}, time.Now().AddDate(0, 0, -31)))
	p.printed(t, "1h")
	if _, err := os.Stat(old); err == nil {
		t.Error("a copy that is too old to be used is still there")
	}
	p.server.mustStop(t)
	const warning = "warning: the server does not answer: "
	if r := p.printed(t, "1h"); r.code != 0 || r.stdout != "fallback-value" || !strings.Contains(r.stderr, warning) || !strings.Contains(r.stderr, "using the values of 20") {
		t.Errorf("while the server is away: %+v", r)
	}
	if r := p.printed(t, "1h", "shop", "--mask"); r.code != 0 || r.stdout != "****" || !strings.Contains(r.stderr, warning) {
		t.Errorf("while the server is away: %+v", r)
	}
	wantRefusal(t, p.run(t, "run", "--", "true"), "the server does not answer")
	wantRefusal(t, p.printed(t, "1h", "--only", "TOKEN"), "the server does not answer", "there is no copy of these secrets")
	wantRefusal(t, p.printed(t, "1ms"), "the copy of 20", "has expired")
	wantRefusal(t, p.printed(t, "31d"), "--fallback: want a time of at most 30 days")
	p.must(t, "logout")
	p.mustHaveCopies(t, 0)
}

func TestExpiredAndDamagedCopiesAreNotUsed(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.useFast(t)
	p.mustSet(t, "fallback-value", "TOKEN")
	p.printed(t, "1ms")
	path := p.mustHaveCopies(t, 1)[0]
	p.server.mustStop(t)
	wantRefusal(t, p.printed(t, "1h"), "has expired") // the copy says itself how long it is good
	p.restart(t)
	p.printed(t, "1h")
	p.server.mustStop(t)
	good := mustRead(t, path)
	if r := p.printed(t, "1h"); r.code != 0 {
		t.Fatalf("the copy is not used: %s", r.stderr)
	}
	for _, at := range []int{0, 31, 32, 63, 64, 100, len(good) / 2, len(good) - 1} {
		bad := []byte(good)
		bad[at] ^= 1
		mustWrite(t, path, string(bad))
		wantRefusal(t, p.printed(t, "1h"), "is damaged, or of other secrets")
	}
	for _, short := range []string{"", good[:40], good[:len(good)-1], good + "x"} {
		mustWrite(t, path, short)
		wantRefusal(t, p.printed(t, "1h"), "is damaged, or of other secrets")
	}
}

// A copy is moved to where the copy for another question, server or user is.
func TestCopyOfAnotherServerOrUserIsNotUsed(t *testing.T) {
	t.Parallel()
	one := mustLogIn(t)
	one.useFast(t)
	one.mustSet(t, "value-of-one", "TOKEN")
	other := mustLogIn(t)
	other.useFast(t)
	other.mustSet(t, "value-of-other", "TOKEN")
	one.printed(t, "1h")
	other.printed(t, "1h")
	theirs := mustRead(t, one.mustHaveCopies(t, 1)[0])
	mine := other.mustHaveCopies(t, 1)[0]
	own := mustRead(t, mine)
	other.server.mustStop(t)
	mustWrite(t, mine, theirs)
	wantRefusal(t, other.printed(t, "1h"), "is damaged, or of other secrets")
	mustWrite(t, mine, own)
	if r := other.printed(t, "1h"); r.stdout != "value-of-other" {
		t.Errorf("the own copy: %+v", r)
	}

	// The same key is used at another address, with all copies of the first.
	job := person{home: other.home, program: other.program, env: []string{"STRONGROOM_URL=http://127.0.0.1:1", "STRONGROOM_API_KEY=" + other.in.sessionKey}}
	wantRefusal(t, job.printed(t, "1h"), "there is no copy of these secrets for this credential and server")
	// Another question of the same credential.
	other.restart(t)
	other.mustSet(t, "another-value", "OTHER")
	other.printed(t, "1h", "--only", "OTHER")
	other.server.mustStop(t)
	for _, path := range other.mustHaveCopies(t, 2) {
		if path != mine {
			mustWrite(t, path, own)
		}
	}
	wantRefusal(t, other.printed(t, "1h", "--only", "OTHER"), "is damaged, or of other secrets")
}

// The server's last answer counts, also if it was a refusal.
func TestFallbackIsNeverWiderThanTheLastAnswer(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.useFast(t)
	p.mustSet(t, "first-value", "TOKEN")
	p.mustSet(t, "second-value", "TOKEN2")
	p.printed(t, "1h")
	p.must(t, "rm", "TOKEN2", "--yes")
	p.printed(t, "1h")
	p.printed(t, "1h", "--only", "TOKEN")
	p.server.mustStop(t)
	if r := p.run(t, "run", "--fallback", "1h", "--", "env"); !strings.Contains(r.stdout, "TOKEN=first-value") || strings.Contains(r.stdout, "TOKEN2") {
		t.Errorf("the copy has a secret that the server has not: %s", r.stdout)
	}
	p.restart(t)
	p.must(t, "rm", "TOKEN", "--yes")
	wantRefusal(t, p.printed(t, "1h", "--only", "TOKEN"), "TOKEN: ")
	p.mustHaveCopies(t, 0) // the one of all secrets had this one, too
	p.server.mustStop(t)
	wantRefusal(t, p.printed(t, "1h", "--only", "TOKEN"), "there is no copy of these secrets")

	// The server ends the credential: no copy of it is left.
	p.restart(t)
	p.printed(t, "1h")
	p.mustHaveCopies(t, 1)
	mustWrite(t, p.in.path("keys/session-keys.yaml"), mustRead(t, mustInit(t).path("keys/session-keys.yaml")))
	p.server.mustStop(t)
	p.restart(t)
	wantRefusal(t, p.printed(t, "1h"), "the server does not accept this credential")
	p.mustHaveCopies(t, 0)
	p.server.mustStop(t)
	wantRefusal(t, p.printed(t, "1h"), "there is no copy of these secrets")
}

func TestFallbackNeedsACredentialThatStays(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	token := filepath.Join(p.home, "token")
	mustWrite(t, token, "x")
	job := person{home: p.home, env: []string{"STRONGROOM_URL=http://" + p.server.address, "STRONGROOM_TOKEN_FILE=" + token}}
	wantRefusal(t, job.printed(t, "1h"), "--fallback: needs an API key or a sign-in")
}

// A proxy before the server also answers, for example during an upgrade of the server.
func TestOnlyADecisionAboutTheSecretsRemovesCopies(t *testing.T) {
	t.Parallel()
	p := mustLogIn(t)
	p.useFast(t)
	p.mustSet(t, "fallback-value", "TOKEN")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: p.server.address})
	var status atomic.Int64 // of the proxy's own answers; 0: it asks the server
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := int(status.Load()); s != 0 {
			w.WriteHeader(s)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	job := person{home: p.home, program: p.program, env: []string{"STRONGROOM_URL=" + front.URL, "STRONGROOM_API_KEY=" + p.in.sessionKey}}
	for _, tc := range []struct {
		status int
		used   bool
		copies int
	}{
		{302, true, 1},
		{308, true, 1},
		{408, true, 1},
		{425, true, 1},
		{429, true, 1},
		{502, true, 1},
		{400, false, 1},
		{405, false, 1},
		{431, false, 1},
		{403, false, 0},
		{404, false, 0},
		{401, false, 0},
	} {
		status.Store(0)
		job.printed(t, "1h")
		job.mustHaveCopies(t, 1)
		status.Store(int64(tc.status))
		r := job.printed(t, "1h")
		if used := r.code == 0 && r.stdout == "fallback-value" && strings.Contains(r.stderr, "using the values of 20"); used != tc.used {
			t.Errorf("after %d: %+v", tc.status, r)
		}
		if n := len(job.copies(t)); n != tc.copies {
			t.Errorf("after %d there are %d copies, want %d", tc.status, n, tc.copies)
		}
	}
}
