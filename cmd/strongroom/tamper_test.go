package main_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func TestOldCopyOfTheStateFileIsRejected(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustAnchorTo(t, "{file: anchor}")
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"old"}]}`)
	p.mustStop(t)
	old := mustRead(t, i.path("data/strongroom.db"))

	p = mustServe(t, i)
	p.want(t, 200, "PUT", app+"/db", i.pskHeader(), `{"data":[{"key":"k","value":"new"}]}`)
	p.mustStop(t)
	mustServe(t, i).mustStop(t) // a normal run
	present, anchor := mustRead(t, i.path("data/strongroom.db")), mustRead(t, i.path("anchor"))

	mustWrite(t, i.path("data/strongroom.db"), old)
	wantRefusalWith(t, i.administer(t, "serve"), 74, "the state file and its journal do not fit together")
	journal := []string{i.path("data/strongroom.db.journal0"), i.path("data/strongroom.db.journal1")}
	mustWork(t, errors.Join(os.Remove(journal[0]), os.Remove(journal[1])))
	for _, args := range [][]string{{"serve"}, {"doctor"}, {"audit", "verify"}, {"keyring", "show"}} {
		wantRefusal(t, i.administer(t, args...), "audit.anchor.file: ", "an old copy of the state file was put back: the audit log ends at entry 2 but was anchored at entry 3; "+
			"if this is expected, as after a restore, move "+i.path("anchor")+" away to begin a new anchor")
	}
	if mustRead(t, i.path("anchor")) != anchor {
		t.Error("the anchor was overwritten")
	}
	mustWrite(t, i.path("data/strongroom.db"), present)
	mustWork(t, errors.Join(os.Remove(journal[0]), os.Remove(journal[1])))
	hasValue("db", "new")(t, mustServe(t, i), i)
}

// A killed server may have anchored fewer entries than the audit log has, never
// more.
func TestKilledServerRestartsWithItsAnchor(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	i.mustAnchorTo(t, "{file: anchor}")
	for range 3 {
		p := mustServe(t, i)
		_, stop := mustLoadUntilKilled(t, p, i)
		p.mustKill(t)
		stop()
	}
	mustServe(t, i)
}

func mustLoadUntilKilled(t *testing.T, p *process, i install) (acknowledged func() int, wait func()) {
	t.Helper()
	done := make(chan int, 1)
	first := make(chan struct{})
	go func() {
		n := 0
		for {
			if _, err := p.try(t, "DELETE", app+"/none", i.pskHeader(), ""); err != nil {
				done <- n
				return
			}
			if n++; n == 20 {
				close(first)
			}
		}
	}()
	<-first
	return func() int { return <-done }, func() { <-done }
}

func TestAnchorOfAnotherLogIsRejected(t *testing.T) {
	t.Parallel()
	i, other := mustHaveAPast(t), mustHaveAPast(t)
	i.mustAnchorTo(t, "{file: anchor.file}")
	line := other.mustAdminister(t, "audit", "verify")
	mustWrite(t, i.path("anchor.file"), line[strings.IndexByte(line, '\n')+1:])
	wantRefusal(t, i.administer(t, "serve"), "audit.anchor.file: ", "not an anchor of this audit log")
	mustWrite(t, i.path("anchor.file"), strings.Replace(mustRead(t, i.path("anchor")), " 1", " 2", 1))
	wantRefusal(t, i.administer(t, "serve"), "audit.anchor.file: ", "not an anchor of this audit log")
}

// Changes by a process with write access to the file must be detected.
func TestTamperingWithTheAuditLogIsReported(t *testing.T) {
	t.Parallel()
	prepared := mustHaveAPast(t)
	entry := func(seq byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, seq} }
	change := func(seq byte, edit func(sealed []byte)) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			log := tx.Bucket([]byte("audit"))
			stored := bytes.Clone(log.Get(entry(seq)))
			if stored == nil {
				return errors.New("there is no such entry")
			}
			edit(stored)
			return log.Put(entry(seq), stored)
		}
	}
	for name, tamper := range map[string]func(*bbolt.Tx) error{
		"a bit of an entry": change(3, func(sealed []byte) { sealed[len(sealed)-1] ^= 1 }),
		"a bit of its MAC":  change(3, func(sealed []byte) { sealed[0] ^= 1 }),
		"an entry emptied":  change(3, func(sealed []byte) { clear(sealed) }),
		"two exchanged": func(tx *bbolt.Tx) error {
			log := tx.Bucket([]byte("audit"))
			third, fourth := bytes.Clone(log.Get(entry(3))), bytes.Clone(log.Get(entry(4)))
			return errors.Join(log.Put(entry(3), fourth), log.Put(entry(4), third))
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := prepared.mustCopy(t)
			mustChangeState(t, i, tamper)
			check := func(when string) {
				t.Helper()
				wantRefusal(t, i.administer(t, "audit", "verify"), "after 2 entries: ", "entry 3")
				r := i.administer(t, "doctor")
				if r.code != 1 || !strings.Contains(r.stdout, "WRONG  audit log: ") || !strings.Contains(r.stdout, "entry 3") {
					t.Errorf("%s, doctor prints (%d)\n%s", when, r.code, r.stdout)
				}
				if r := i.administer(t, "audit", "prune", "--yes", "--keep", "1ns"); r.code == 0 && strings.HasPrefix(r.stdout, "12") {
					t.Errorf("%s, audit prune removed the evidence", when)
				}
			}
			check("before the start")
			wantRefusalWith(t, i.administer(t, "serve"), 74, "its rows are not those that Strongroom has written", "strongroom audit mend")
			check("after it")
		})
	}
}

// If the head of the audit log is damaged, no entry can be added, so no request
// is served.
func TestLogWithADamagedHeadCanBeRepaired(t *testing.T) {
	t.Parallel()
	i := mustHaveAPast(t)
	mustChangeState(t, i, func(tx *bbolt.Tx) error {
		log := tx.Bucket([]byte("audit"))
		head := bytes.Repeat([]byte{0xff}, 8)
		stored := bytes.Clone(log.Get(head))
		stored[len(stored)-1] ^= 1
		return log.Put(head, stored)
	})
	const body = `{"secret_name":"new","data":[{"key":"k","value":"v"}]}`
	wantRefusalWith(t, i.administer(t, "serve"), 74, "strongroom audit mend")
	if got := i.mustAdminister(t, "audit", "mend", "--yes"); !strings.Contains(got, "continues after its last intact entry") {
		t.Errorf("mend prints %s", got)
	}
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), body)
	if got := i.mustAdminister(t, "audit", "mend", "--yes"); !strings.Contains(got, "the head is intact") {
		t.Errorf("the second mend prints %s", got)
	}
	if got := i.mustAdminister(t, "audit", "tail", "-n", "5"); !strings.Contains(got, `"action":"audit mend"`) || !strings.Contains(got, `"action":"state accept"`) {
		t.Errorf("the audit log lacks the repair:\n%s", got)
	}
	p.mustStop(t)
}

// A server whose state file was deleted would write to a file without a name,
// and lose every write.
func TestServerExitsWhenItsStateFileIsDeletedOrReplaced(t *testing.T) {
	t.Parallel()
	for name, loss := range map[string]func(path string) error{
		"deleted": os.Remove,
		"moved":   func(path string) error { return os.Rename(path, path+".away") },
		"replaced": func(path string) error {
			text, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path+".copy", text, 0o600), os.Rename(path+".copy", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantWithin(t, 3*time.Second, "until the server exits", func() time.Duration {
				i := mustInit(t)
				p := mustServe(t, i)
				p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[]}`)
				p.client.CloseIdleConnections()
				lost := time.Now()
				mustWork(t, loss(i.path("data/strongroom.db")))
				code, log := p.mustEnd(t)
				if code == 0 || !strings.Contains(log, "strongroom: the state file was deleted or replaced") {
					t.Errorf("exit code %d:\n%s", code, log)
				}
				return time.Since(lost)
			})
		})
	}
}

func TestWriteToADeletedFileIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	mustWork(t, os.Remove(i.path("data/strongroom.db")))
	for n := 0; ; n++ {
		a, err := p.try(t, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[]}`)
		if err != nil {
			break
		}
		if a.status < 500 {
			t.Errorf("request %d: status %d: %s", n, a.status, a.body)
		}
	}
	p.mustEnd(t)
}
