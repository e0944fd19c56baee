package main_test

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/state"
)

func TestKeyringRotatesWhileClientsWrite(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	counters, stop := mustLoad(t, p, i, 2)
	for primary := 2; primary <= 3; primary++ {
		before := allAcked(counters)
		out := i.mustAdminister(t, "keyring", "rotate")
		if want := fmt.Sprintf("key %d seals; retired: ", primary); !strings.HasPrefix(out, want) {
			t.Fatalf("rotate prints %s", out)
		}
		// Read immediately, while some records are sealed by the old key and
		// some by the new one.
		for n, c := range counters {
			got := c.reveal(t, p)
			for at := range got {
				if got[at] < before[n][at] {
					t.Errorf("%s is %d, but %d was acknowledged before", c.secret(at), got[at], before[n][at])
				}
			}
		}
		mustFinishResealing(t, i)
	}
	stop()
	if out := i.mustAdminister(t, "keyring", "prune", "--yes"); !strings.HasPrefix(out, "key 3 seals; retired: []\n") {
		t.Errorf("prune prints %s", out)
	}
	i.mustAdminister(t, "doctor")
	p.mustStop(t)
	p = mustServe(t, i)
	acknowledged := int64(0)
	for _, c := range counters {
		last := values(c.acked)
		c.wantMoment(t, c.reveal(t, p), last, last)
		acknowledged += last[0] + last[1]
	}
	if acknowledged == 0 {
		t.Error("nothing was written")
	}
	t.Logf("%d writes were acknowledged around two rotations", acknowledged)
}

// Until the config names the new key, the server runs but could not start
// again.
func TestDoctorChecksThatTheConfiguredKeyOpensTheStateFile(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	i.mustAdminister(t, "keyring", "rewrap", "--new-key", i.path("keys/new.key"))
	r := i.administer(t, "doctor")
	if r.code != 1 || !strings.Contains(r.stdout, "\nWRONG  key: the server will not start again with the configured key: this key does not open the keyring\n") {
		t.Errorf("exit code %d:\n%s", r.code, r.stdout)
	}
	const warning = "warning: key: the server will not start again with the configured key"
	if says := i.mustAdminister(t, "status"); !strings.Contains(says, warning) {
		t.Errorf("status does not warn:\n%s", says)
	}
	i.mustEdit(t, "strongroom.yaml", "keys/state.key", "keys/new.key")
	i.mustAdminister(t, "doctor")
	if says := i.mustAdminister(t, "status"); strings.Contains(says, "warning: key") {
		t.Errorf("status still warns:\n%s", says)
	}
	p.mustStop(t)
	mustServe(t, i)
}

func allAcked(counters []*counter) (all [][]int64) {
	for _, c := range counters {
		all = append(all, values(c.acked))
	}
	return all
}

// mustFinishResealing polls the status until all records are resealed.
func mustFinishResealing(t *testing.T, i install) {
	t.Helper()
	client := i.adminClient(t)
	for deadline := time.Now().Add(patience); ; {
		resp, err := client.StatusWithResponse(t.Context())
		if err != nil || resp.JSON200 == nil {
			t.Fatalf("status: %v", err)
		}
		if !resp.JSON200.Keyring.Resealing {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("resealing does not end: %+v", resp.JSON200.Keyring)
		}
	}
}

// If the server is killed during resealing, the next one continues.
func TestResealingContinuesAfterACrash(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	p := mustServe(t, i)
	const secrets = 1200
	create := func(worker int) {
		for n := worker; n < secrets; n += 16 {
			p.want(t, 200, "POST", app, i.pskHeader(), fmt.Sprintf(`{"secret_name":"s%d","data":[{"key":"k","value":"value %d"}]}`, n, n))
		}
	}
	atOnce(16, create)()
	key := mustKillWhileResealing(t, i, p)
	p = mustServe(t, i)
	mustFinishResealing(t, i)
	want := fmt.Sprintf(`^key %d seals; retired: \[1[ \d]*\]\nresealing is done: `, key)
	if out := i.mustAdminister(t, "keyring", "show"); !regexp.MustCompile(want).MatchString(out) {
		t.Errorf("show prints %s", out)
	}
	p.mustStop(t)
	for old := range key - 1 {
		if n := sealedBy(t, i, old+1); n > 0 {
			t.Errorf("%d rows are still sealed by key %d", n, old+1)
		}
	}
	p = mustServe(t, i)
	mustFinishResealing(t, i)
	i.mustAdminister(t, "keyring", "prune", "--yes")
	for n := 0; n < secrets; n += 37 {
		hasValue(fmt.Sprint("s", n), fmt.Sprint("value ", n))(t, p, i)
	}
	i.mustAdminister(t, "doctor")
}

// mustKillWhileResealing rotates the keyring and kills the server before all rows are resealed. It
// tries again with the next key if the kill came too early or too late. It returns the sealing key.
func mustKillWhileResealing(t *testing.T, i install, p *process) (key uint32) {
	t.Helper()
	for key = 2; key < 30; key++ {
		client := i.adminClient(t)
		_, err := client.RotateKeyring(t.Context())
		mustWork(t, err)
		for {
			resp, err := client.StatusWithResponse(t.Context())
			if err != nil || resp.JSON200 == nil {
				t.Fatalf("status: %v", err)
			}
			if k := resp.JSON200.Keyring; k.Resealed > 0 || !k.Resealing {
				break
			}
		}
		p.mustKill(t)
		old, anew := sealedBy(t, i, key-1), sealedBy(t, i, key)
		t.Logf("killed with %d rows sealed by the old key and %d by key %d", old, anew, key)
		if old > 0 && anew > 0 {
			return key
		}
		p = mustServe(t, i)
		mustFinishResealing(t, i)
	}
	t.Fatal("resealing had never begun, or was always finished")
	return 0
}

// sealedBy counts the value rows that a sealing key sealed. A row begins with
// the key's id.
func sealedBy(t *testing.T, i install, key uint32) (rows int) {
	t.Helper()
	file, _, err := admin.OpenState(t.Context(), i.mustCopy(t).path("data/strongroom.db"), keyring.FromFile(i.path("keys/state.key")), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	err = file.View(func(tx *state.Tx) error {
		past := tx.Bucket("store/embedded/past")
		for _, value := range past.From([]byte{0}) {
			if binary.BigEndian.Uint32(value) == key {
				rows++
			}
		}
		return nil
	})
	mustWork(t, err)
	return rows
}

func TestRewrapReplacesTheSealingKey(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("with a server %v", running), func(t *testing.T) {
			i := mustInit(t)
			p := mustServe(t, i)
			p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"kept"}]}`)
			if !running {
				p.mustStop(t)
			}
			i.mustAdminister(t, "backup", "--out", i.path("before"))
			i.mustAdminister(t, "keyring", "rewrap", "--new-key", i.path("keys/new.key"))
			if running {
				i.mustAdminister(t, "keyring", "rotate") // uses the new key, too
				hasValue("db", "kept")(t, p, i)
				p.mustStop(t)
			}
			for _, args := range [][]string{{"serve"}, {"keyring", "show"}, {"doctor"}} {
				wantRefusal(t, i.administer(t, args...), "state.key: this key does not open the keyring")
			}
			i.mustAdminister(t, "backup", "verify", i.path("before")) // still needs the old key
			i.mustEdit(t, "strongroom.yaml", "keys/state.key", "keys/new.key")
			hasValue("db", "kept")(t, mustServe(t, i), i)
			i.mustAdminister(t, "backup", "--out", i.path("after"))
			i.mustAdminister(t, "backup", "verify", i.path("after"))
			wantRefusal(t, i.administer(t, "backup", "verify", i.path("before")), "this key does not open the keyring")
		})
	}
}

func TestRewrapRejectsAKeyFileReadableByOtherUsers(t *testing.T) {
	t.Parallel()
	i := mustInit(t)
	mustWrite(t, i.path("new.key"), mustRead(t, i.path("keys/state.key")))
	chmod("new.key", 0o644)(t, i)
	wantRefusal(t, i.administer(t, "keyring", "rewrap", "--new-key", i.path("new.key")), "--new-key: ", "other users can access ", "(mode 0644)")
	mustServe(t, i)
}
