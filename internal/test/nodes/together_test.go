package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/auth/apikey"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// rounds returns how often a test is repeated: make nodes sets it.
func rounds(t *testing.T, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("STRONGROOM_ROUNDS"))
	if err != nil {
		return usual
	}
	return n
}

var root = secret.Administrator("root")

// caller returns the caller of an issued key, as authentication finds it at the beginning
// of a request.
func (n *node) caller(ctx context.Context, key string) (secret.Caller, bool, error) {
	if err := n.request(ctx); err != nil {
		return secret.Caller{}, false, err
	}
	caller, ok := n.keys.For("keys").Caller(apikey.HashOf(key))
	return caller, ok, nil
}

func (n *node) service() *secret.Service { return secret.NewService(n.Store, n.log) }

func TestAgentKeyIsGoodForItsReadsOnAllNodesTogether(t *testing.T) {
	i := install(t, newDatabase(t), 3)
	ref := secret.Ref{Owner: alice, Name: "token"}
	draft := secret.Draft{Data: map[string]secret.Value{"value": "v"}}
	if _, err := i.nodes[0].Create(t.Context(), secret.Op{Ref: ref}, draft); err != nil {
		t.Fatal(err)
	}
	for round := range rounds(t, 20) {
		issuer := i.nodes[round%len(i.nodes)]
		key, _, err := issuer.keys.CreateAgent(t.Context(), root, issued.AgentDraft{Owner: alice, Names: []string{ref.Name}, Reads: 7, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		var reads atomic.Int64
		var all sync.WaitGroup
		for _, n := range i.nodes {
			for range 4 {
				all.Go(func() {
					caller, ok, err := n.caller(t.Context(), key)
					if err != nil {
						t.Error(err)
					}
					if !ok { // all reads are used
						return
					}
					_, data, err := n.service().Reveal(t.Context(), caller, ref)
					switch {
					case err == nil && data["value"] == "v":
						reads.Add(1)
					case !errors.Is(err, secret.ErrForbidden):
						t.Errorf("a read: %v", err)
					}
				})
			}
		}
		all.Wait()
		if n := reads.Load(); n != 7 {
			t.Fatalf("round %d: %d reads, want 7", round, n)
		}
	}
	i.mustVerify(t)
}

// A node that has not applied a revocation still finds the caller of the key. It must not
// answer a request that begins after the revocation.
func TestRevokedKeyIsLetInByNoNode(t *testing.T) {
	i := install(t, newDatabase(t), 3)
	for range rounds(t, 20) {
		key, created, err := i.nodes[0].keys.Create(t.Context(), root, issued.Draft{Subject: "program", Grants: []grant.Line{{Actions: []secret.Action{secret.List, secret.Reveal}, Owner: alice.String()}}})
		if err != nil {
			t.Fatal(err)
		}
		for k, n := range i.nodes {
			if _, ok, err := n.caller(t.Context(), key); !ok || err != nil {
				t.Fatalf("node %d does not know a new key: %v", k, err)
			}
		}
		paused, resume := make(chan struct{}), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			err := i.nodes[2].file.Hold(func() error {
				close(paused)
				<-resume
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
		<-paused
		if _, err := i.nodes[1].keys.Revoke(t.Context(), root, created.ID, false); err != nil {
			t.Fatal(err)
		}
		for k, n := range i.nodes {
			all.Go(func() {
				caller, isKnown := n.keys.For("keys").Caller(apikey.HashOf(key))
				if !isKnown {
					return
				}
				caller.Fresh = func() error { // as in package auth
					err := n.request(t.Context())
					if _, isKnown := n.keys.For("keys").Caller(apikey.HashOf(key)); err == nil && !isKnown {
						return secret.ErrForbidden
					}
					return err
				}
				_, listErr := n.service().List(t.Context(), caller, alice, secret.Page{})
				_, _, revealErr := n.service().Reveal(t.Context(), caller, secret.Ref{Owner: alice, Name: "missing"})
				for what, err := range map[string]error{"a list": listErr, "a value": revealErr, "other answers": caller.Confirm()} {
					if !errors.Is(err, secret.ErrForbidden) {
						t.Errorf("node %d gives %s to a revoked key: %v", k, what, err)
					}
				}
			})
		}
		time.AfterFunc(20*time.Millisecond, func() { close(resume) })
		all.Wait()
	}
}

func TestNodesRotateTheKeyringWhileOthersWrite(t *testing.T) {
	i := install(t, newDatabase(t), 3)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	written := make([]int, len(i.nodes))
	for k, n := range i.nodes {
		writing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ref := secret.Ref{Owner: alice, Name: fmt.Sprintf("%d-%d", k, written[k])}
				draft := secret.Draft{Description: ref.Name, Data: map[string]secret.Value{"value": secret.Value(ref.Name)}}
				if _, err := n.Create(t.Context(), secret.Op{Ref: ref}, draft); err != nil {
					t.Errorf("writing %s: %v", ref.Name, err)
					return
				}
				written[k]++
			}
		})
	}
	rotated := map[uint32]bool{}
	var mu sync.Mutex
	var rotating sync.WaitGroup
	for _, n := range i.nodes[:2] {
		rotating.Go(func() {
			for range rounds(t, 10) {
				id, err := n.rings.Rotate(t.Context())
				mu.Lock()
				switch {
				case errors.Is(err, keyring.ErrChanged): // the other node was first
				case err != nil:
					t.Errorf("rotating: %v", err)
				case rotated[id]:
					t.Errorf("two nodes have made key %d", id)
				default:
					rotated[id] = true
				}
				mu.Unlock()
			}
		})
	}
	rotating.Wait()
	close(stop)
	writing.Wait()
	if len(rotated) == 0 {
		t.Error("no rotation has succeeded")
	}
	i.nodes = append(i.nodes, i.join(t, "a new node"))
	i.mustVerify(t)
	for k, n := range i.nodes {
		if have, want := len(n.rings.Ring().IDs()), len(rotated)+1; have != want {
			t.Errorf("node %d has %d keys, want %d", k, have, want)
		}
		for writer, count := range written {
			for at := range count {
				ref := secret.Ref{Owner: alice, Name: fmt.Sprintf("%d-%d", writer, at)}
				if _, data, err := n.Reveal(t.Context(), secret.Op{Ref: ref}); err != nil || string(data["value"]) != ref.Name {
					t.Fatalf("node %d reads %s: %v", k, ref.Name, err)
				}
			}
		}
	}
}

// The file has a change a moment before memory that follows it.
func TestRequestWaitsForMemoryThatFollowsTheFile(t *testing.T) {
	i := install(t, newDatabase(t), 2)
	writer, reader := i.nodes[0], i.nodes[1]
	telling, tell := make(chan struct{}), make(chan struct{})
	reader.file.Watch("test", func([]state.Row) {
		close(telling)
		<-tell
	})
	err := writer.file.Update(t.Context(), func(tx *state.Tx) error {
		rows := tx.Bucket("test")
		return rows.Put([]byte("key"), []byte("value"))
	})
	if err != nil {
		t.Fatal(err)
	}
	following := make(chan error, 1)
	go func() { following <- reader.request(t.Context()) }()
	<-telling
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := reader.request(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a request before memory has the change: %v", err)
	}
	close(tell)
	if err := errors.Join(<-following, reader.request(t.Context())); err != nil {
		t.Error(err)
	}
}

// The number of a version is compared with that of the current one, which another node may
// have written.
func TestVersionIsReadByItsNumberAtOnce(t *testing.T) {
	i := install(t, newDatabase(t), 2)
	writer, reader := i.nodes[0].service(), i.nodes[1].service()
	ref := secret.Ref{Owner: alice, Name: "token"}
	who := secret.Caller{
		Subject: "s", Fresh: func() error { return i.nodes[1].request(t.Context()) },
		Grants: []secret.Grant{{Actions: []secret.Action{secret.Create, secret.Write, secret.Reveal}, Owner: alice}},
	}
	for k, value := range []secret.Value{"first", "second"} {
		if _, err := writer.Put(t.Context(), who, ref, "", nil, map[string]secret.Value{"value": value}); err != nil {
			t.Fatal(err)
		}
		if _, data, err := reader.RevealNumber(t.Context(), who, ref, uint64(k+1)); err != nil || data["value"] != value {
			t.Errorf("version %d is the %s one: %v", k+1, value, err)
		}
	}
	if _, err := writer.Put(t.Context(), who, ref, "", nil, map[string]secret.Value{"value": "third"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reader.RevealNumber(t.Context(), who, ref, 2); !errors.Is(err, secret.ErrForbidden) {
		t.Errorf("an earlier version, without the right to administer: %v", err)
	}
}

// An outcome without a change, or whose change is given up, must not come from an older state.
func TestTransactionWithoutAChangeReadsTheNewestState(t *testing.T) {
	i := install(t, newDatabase(t), 2)
	writer, reader := i.nodes[0].file, i.nodes[1].file
	errMissing := errors.New("the row is missing")
	for k, before := range []func(*state.Bucket) error{
		func(*state.Bucket) error { return nil },
		func(b *state.Bucket) error { return b.Put([]byte("other"), []byte("given up")) },
	} {
		key := fmt.Append(nil, k)
		err := writer.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("test")
			return b.Put(key, []byte("value"))
		})
		if err != nil {
			t.Fatal(err)
		}
		err = reader.Update(t.Context(), func(tx *state.Tx) error {
			b := tx.Bucket("test")
			if err := before(&b); err != nil {
				return err
			}
			if b.Get(key) == nil {
				return errMissing
			}
			return nil
		})
		if err != nil {
			t.Errorf("outcome %d: %v", k, err)
		}
	}
}
