package bolt

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/state/statetest"
)

func mustOpenAlone(t *testing.T, opts Options) *Store {
	t.Helper()
	path, ring := filepath.Join(t.TempDir(), "state.db"), seal.NewRing()
	if err := statetest.Create(path, func(string) ([]byte, error) { return []byte("wrapped"), nil }); err != nil {
		t.Fatal(err)
	}
	file, err := statetest.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return Open(file, "embedded", ring, nil, opts)
}

func mustSucceed(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func mustReplaceAlone(t *testing.T, s *Store, op secret.Op, value string) {
	t.Helper()
	_, err := s.Replace(t.Context(), op, secret.Change{Set: map[string]secret.Value{"k": secret.Value(value)}})
	mustSucceed(t, err)
}

// A deletion can drop earlier versions of a record whose head is the same again after
// the undeletion. A record that was cached before must not bring them back.
func TestCachedVersionsThatWereDroppedDoNotCount(t *testing.T) {
	s := mustOpenAlone(t, Options{Versions: 10, DeletedFor: time.Hour, PastBytes: 1 << 20})
	op := secret.Op{Ref: secret.Ref{Owner: secret.User("ann"), Name: "db"}}
	_, err := s.Create(t.Context(), op, secret.Draft{})
	mustSucceed(t, err)
	for i := range 6 {
		mustReplaceAlone(t, s, op, fmt.Sprint(i))
	}
	cached := s.infos.rows[s.rowKey(op.Ref)]
	if len(cached.versions) != 6 {
		t.Fatalf("the cached record has %d earlier versions, want 6", len(cached.versions))
	}
	s.opts.Versions = 2
	mustSucceed(t, s.Delete(t.Context(), op))
	s.opts.Versions = 10
	_, err = s.Undelete(t.Context(), op, "")
	mustSucceed(t, err)
	s.infos.put(cached)
	mustReplaceAlone(t, s, op, "last")
	versions, err := s.Versions(t.Context(), op.Ref)
	if err != nil || len(versions) != 4 {
		t.Errorf("%d versions, %v, want the 2 that were left, the one before and the current one", len(versions), err)
	}
	for s.opts.Versions = 3; s.opts.Versions > 0; s.opts.Versions-- {
		mustReplaceAlone(t, s, op, fmt.Sprint(s.opts.Versions))
		if report, err := s.Verify(t.Context()); err != nil || len(report.Problems) > 0 || report.Versions != s.opts.Versions {
			t.Errorf("with %d earlier versions: %+v, %v", s.opts.Versions, report, err)
		}
	}
}

// Value reads run in transactions that can write, which may never be committed.
func TestValueReadCachesTheRecordOnceItIsCommitted(t *testing.T) {
	s := mustOpenAlone(t, Options{Versions: 10, DeletedFor: time.Hour, PastBytes: 1 << 20})
	op := secret.Op{Ref: secret.Ref{Owner: secret.User("ann"), Name: "db"}}
	_, err := s.Create(t.Context(), op, secret.Draft{Description: "of the project"})
	mustSucceed(t, err)
	key := s.rowKey(op.Ref)
	s.infos = newInfoCache()
	failing := errors.New("no room for the entry")
	s.audit, op.Event = recorder{failing}, &secret.Event{}
	if _, _, err := s.Reveal(t.Context(), op); !errors.Is(err, failing) || len(s.infos.rows) > 0 {
		t.Errorf("%d records are cached after a read that failed: %v", len(s.infos.rows), err)
	}
	s.audit = recorder{}
	for range 2 {
		info, _, err := s.Reveal(t.Context(), op)
		if cached := s.infos.rows[key]; err != nil || info.Description != "of the project" || cached.info.Description != info.Description || cached.uncached {
			t.Errorf("%+v is cached: %v", s.infos.rows[key], err)
		}
	}
}

// A recorder records nothing.
type recorder struct{ err error }

func (r recorder) Append(*state.Tx, secret.Event) error { return r.err }
