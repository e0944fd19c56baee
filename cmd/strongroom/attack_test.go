package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/state"
)

// rows are the rows of a state file by bucket and key.
type rows map[string]map[string][]byte

func mustReadRows(t *testing.T, path string) rows {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	mustWork(t, err)
	all := rows{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			in := map[string][]byte{}
			all[string(name)] = in
			return b.ForEach(func(key, value []byte) error {
				in[string(key)] = bytes.Clone(value)
				return nil
			})
		})
	})
	mustWork(t, errors.Join(err, db.Close()))
	return all
}

// attackedInstall returns a stopped install, and the rows from before its last changes: a
// value was replaced, an API key revoked, an agent key spent, a secret deleted.
func attackedInstall(t *testing.T) (i install, before rows) {
	t.Helper()
	i = mustInit(t)
	p := mustServe(t, i)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"db","data":[{"key":"k","value":"old"}]}`)
	p.want(t, 200, "POST", app, i.pskHeader(), `{"secret_name":"gone","data":[{"key":"k","value":"deleted"}]}`)
	p.want(t, 201, "POST", "/api/secrets", i.sessionHeader(), `{"name":"TOKEN","value":"v"}`)
	agent := strings.TrimSpace(i.mustAdminister(t, "agent-key", "create", theUser, "TOKEN", "--sandbox", "box", "--reads", "1"))
	revoked := strings.TrimSpace(i.mustAdminister(t, "agent-key", "create", theUser, "TOKEN"))
	p.mustStop(t)
	before = mustReadRows(t, i.path("data/strongroom.db"))

	p = mustServe(t, i)
	p.want(t, 200, "PUT", app+"/db", i.pskHeader(), `{"data":[{"key":"k","value":"new"}]}`)
	p.want(t, 200, "DELETE", app+"/gone", i.pskHeader(), "")
	p.want(t, 200, "GET", "/api/v1/sandboxes/box/settings/secrets/TOKEN", "X-Session-API-Key: "+agent, "")
	i.mustAdminister(t, "agent-key", "revoke", "--yes", idIn(revoked))
	i.mustAdminister(t, "keyring", "rotate")
	mustFinishResealing(t, i)
	p.mustStop(t)
	return i, before
}

// Each attack writes rows that were authentic once, and needs no key.
func TestAuthenticRowInTheWrongPlaceOrTimeIsRefused(t *testing.T) {
	t.Parallel()
	prepared, before := attackedInstall(t)
	now := mustReadRows(t, prepared.path("data/strongroom.db"))
	putBack := func(bucket string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return setRows(tx, bucket, before[bucket]) }
	}
	for name, attack := range map[string]func(*bbolt.Tx) error{
		"old value":                          putBack("store/embedded/secrets"),
		"revoked key and spent agent key":    putBack("issued"),
		"all past records":                   putBack("store/embedded/past"),
		"past record as the live one":        func(tx *bbolt.Tx) error { return reviveFromThePast(tx, now) },
		"newest audit entry with older head": func(tx *bbolt.Tx) error { return setRows(tx, "audit", before["audit"]) },
		"keyring from before its rotation": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("state")).Put([]byte("keyring"), before["state"]["keyring"])
		},
		"MAC removed, and format 2": func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("state"))
			return errors.Join(putBack("issued")(tx), b.Delete([]byte("mac")), b.Put([]byte("version"), []byte("2")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := prepared.mustCopy(t)
			mustChangeState(t, i, attack)
			if maps.EqualFunc(now, mustReadRows(t, i.path("data/strongroom.db")), func(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }) {
				t.Fatal("the attack changes nothing")
			}
			for _, args := range [][]string{{"serve"}, {"audit", "verify"}} {
				if r := i.administer(t, args...); r.code == 0 || !strings.Contains(r.stderr, "its rows are not those") {
					t.Errorf("%s: exit code %d, %s", args, r.code, r.stderr)
				}
			}
			if r := i.administer(t, "doctor"); r.code == 0 || !strings.Contains(r.stdout+r.stderr, "its rows are not those") {
				t.Errorf("doctor: exit code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
			if r := i.administer(t, "backup", "--out", i.path("copy")); r.code == 0 {
				t.Error("the altered file can be backed up")
			}
		})
	}
}

// setRows makes these the rows of the bucket.
func setRows(tx *bbolt.Tx, bucket string, to map[string][]byte) error {
	if tx.Bucket([]byte(bucket)) != nil {
		if err := tx.DeleteBucket([]byte(bucket)); err != nil {
			return err
		}
	}
	b, err := tx.CreateBucket([]byte(bucket))
	for key, value := range to {
		err = errors.Join(err, b.Put([]byte(key), value))
	}
	return err
}

// reviveFromThePast puts the record of an earlier version into the place of the live one,
// to which it belonged.
func reviveFromThePast(tx *bbolt.Tx, now rows) error {
	secrets := tx.Bucket([]byte("store/embedded/secrets"))
	for key, past := range now["store/embedded/past"] {
		id, isRecord := strings.CutSuffix(key, "d")
		if !isRecord {
			continue
		}
		for row, live := range now["store/embedded/secrets"] {
			if bytes.HasPrefix(live, []byte(id[:16])) {
				return secrets.Put([]byte(row), past)
			}
		}
	}
	return errors.New("there is no record in the past")
}

// 200 random attacks on rows of all buckets are refused, each for sure.
func TestRandomAttackOnRowsIsRefused(t *testing.T) {
	t.Parallel()
	i, before := attackedInstall(t)
	path, source := i.path("data/strongroom.db"), keyring.FromFile(i.path("keys/state.key"))
	now, image := mustReadRows(t, path), mustRead(t, path)
	random := rand.New(rand.NewPCG(14, 3))
	kinds := []func(*rand.Rand, rows, rows, string) (what string, changed map[string][]byte){replay, swap, resurrect, removeRow}
	buckets, counts := slices.Sorted(maps.Keys(now)), map[string]int{}
	for done := 0; done < 200; {
		bucket := buckets[random.IntN(len(buckets))]
		what, changed := kinds[random.IntN(len(kinds))](random, before, now, bucket)
		if changed == nil {
			continue // this bucket has no such rows
		}
		done++
		counts[what+" in "+bucket]++
		copied := filepath.Join(t.TempDir(), "state.db")
		mustWrite(t, copied, image)
		db, err := bbolt.Open(copied, 0o600, &bbolt.Options{NoSync: true})
		mustWork(t, err)
		mustWork(t, errors.Join(db.Update(func(tx *bbolt.Tx) error { return setRows(tx, bucket, changed) }), db.Close()))
		file, _, err := admin.OpenState(t.Context(), copied, source, state.Options{})
		if err == nil {
			t.Errorf("a %s in %s is not noticed", what, bucket)
			mustWork(t, file.Close())
		} else if bucket != "state" && !errors.Is(err, state.ErrAltered) {
			t.Errorf("a %s in %s: %v", what, bucket, err)
		}
		mustWork(t, os.RemoveAll(filepath.Dir(copied)))
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%3d %s: refused", counts[what], what)
	}
	if len(counts) < 2*len(buckets) {
		t.Errorf("only %v were tried", counts)
	}
}

// pick returns a key that meets the condition, empty for none.
func pick(random *rand.Rand, in map[string][]byte, meets func(key string) bool) string {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(in)), func(k string) bool { return !meets(k) })
	if len(keys) == 0 {
		return ""
	}
	return keys[random.IntN(len(keys))]
}

func replay(random *rand.Rand, before, now rows, bucket string) (string, map[string][]byte) {
	key := pick(random, before[bucket], func(k string) bool { return now[bucket][k] != nil && !bytes.Equal(now[bucket][k], before[bucket][k]) })
	if key == "" {
		return "", nil
	}
	changed := maps.Clone(now[bucket])
	changed[key] = before[bucket][key]
	return "replay", changed
}

func resurrect(random *rand.Rand, before, now rows, bucket string) (string, map[string][]byte) {
	key := pick(random, before[bucket], func(k string) bool { return now[bucket][k] == nil })
	if key == "" {
		return "", nil
	}
	changed := maps.Clone(now[bucket])
	changed[key] = before[bucket][key]
	return "resurrection", changed
}

func swap(random *rand.Rand, _, now rows, bucket string) (string, map[string][]byte) {
	any := func(string) bool { return true }
	a, b := pick(random, now[bucket], any), pick(random, now[bucket], any)
	if bytes.Equal(now[bucket][a], now[bucket][b]) {
		return "", nil
	}
	changed := maps.Clone(now[bucket])
	changed[a], changed[b] = now[bucket][b], now[bucket][a]
	return "swap", changed
}

func removeRow(random *rand.Rand, _, now rows, bucket string) (string, map[string][]byte) {
	key := pick(random, now[bucket], func(k string) bool { return fmt.Sprint(bucket, k) != "statecomplete" })
	if key == "" {
		return "", nil
	}
	changed := maps.Clone(now[bucket])
	delete(changed, key)
	return "deletion", changed
}
