package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/grant"
	"github.com/strongroom/strongroom/internal/issued"
	"github.com/strongroom/strongroom/internal/keyring"
	"github.com/strongroom/strongroom/internal/lastaccess"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/session"
	"github.com/strongroom/strongroom/internal/state"
	"github.com/strongroom/strongroom/internal/store/bolt"
	"github.com/strongroom/strongroom/internal/store/memory"
)

var (
	root = secret.Administrator("root")
	db   = secret.Ref{Owner: secret.User("alice"), Name: "db"}
)

// A source returns a fixed key.
type source struct{ key *seal.Key }

func (s source) Key(context.Context) (*seal.Key, error) { return s.key, nil }

// A place is a state file on which services are opened one after the other.
type place struct {
	path      string
	kek       source
	opts      bolt.Options
	retention time.Duration
	clock     issued.Clock
	log       slog.Handler
	duties    admin.Duties
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{path: filepath.Join(t.TempDir(), "state.db"), kek: source{seal.NewKey()}, clock: issued.SystemClock(), log: slog.DiscardHandler, duties: admin.Alone{}}
	p.opts = bolt.Options{Versions: 10, DeletedFor: time.Hour, PastBytes: 1 << 20}
	err := admin.CreateState(t.Context(), p.path, p.kek)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// open returns a service and a function that closes it and its parts.
func (p *place) open(t *testing.T) (s *admin.Service, closeAll func()) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	file, keys, err := admin.OpenState(t.Context(), p.path, p.kek, state.Options{})
	must(err)
	accesses := lastaccess.Open(file, keys.Ring())
	log := audit.Open(file, keys.Ring().Derive("entry"), keys.Ring().Derive("chain"), accesses.Follow)
	store := bolt.Open(file, "embedded", keys.Ring(), log, p.opts)
	issuedKeys, err := issued.Open(file, keys.Ring(), log, issued.SystemClock(), slog.New(slog.DiscardHandler))
	must(err)
	s = admin.Open(admin.Parts{
		File: file, Audit: log, Keys: issuedKeys, Sessions: session.Open(file, keys.Ring(), log), LastAccess: accesses, Keyring: keys, KeySource: p.kek, Stores: map[string]*bolt.Store{"embedded": store}, Retention: p.retention, Clock: p.clock, Duties: p.duties,
	}, slog.New(p.log))
	s.TidyHourly() // like a server
	return s, func() {
		t.Helper()
		must(errors.Join(s.Close(), issuedKeys.Close(), log.Close(), file.Close()))
	}
}

func mustCreate(t *testing.T, s *admin.Service, ref secret.Ref) {
	t.Helper()
	draft := secret.Draft{Data: map[string]secret.Value{"k": secret.Value(strings.Repeat("v", 5000))}}
	if _, err := s.Stores["embedded"].Create(t.Context(), secret.Op{Ref: ref, Event: &secret.Event{Time: time.Now(), Ref: ref}}, draft); err != nil {
		t.Fatal(err)
	}
}

// mustCome waits until a background operation has taken effect.
func mustCome(t *testing.T, to func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !to(); {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
	}
}

func deletedOf(t *testing.T, s *admin.Service) int {
	t.Helper()
	deleted, err := s.Stores["embedded"].Deleted(t.Context(), db.Owner)
	if err != nil {
		t.Fatal(err)
	}
	return len(deleted)
}

// There are more deleted secrets than expireAtOnce.
func TestOldDeletedSecretsAreRemovedAtStart(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	const secrets = 250
	for n := range secrets {
		ref := secret.Ref{Owner: db.Owner, Name: fmt.Sprint(n)}
		mustCreate(t, s, ref)
		if err := s.Stores["embedded"].Delete(t.Context(), secret.Op{Ref: ref}); err != nil {
			t.Fatal(err)
		}
	}
	mustCreate(t, s, db)
	left := deletedOf(t, s)
	closeAll()
	s, closeAll = p.open(t)
	if got := deletedOf(t, s); got != left || left == 0 {
		t.Errorf("%d are deleted, want %d: none for long enough", got, left)
	}
	closeAll()
	p.opts.DeletedFor = 0
	s, closeAll = p.open(t)
	defer closeAll()
	mustCome(t, func() bool { return deletedOf(t, s) == 0 })
	if _, _, err := s.Stores["embedded"].Reveal(t.Context(), secret.Op{Ref: db}); err != nil {
		t.Errorf("what was not deleted: %v", err)
	}
	if report, err := s.Stores["embedded"].Verify(t.Context()); err != nil || len(report.Problems) > 0 || report.Deleted > 0 {
		t.Errorf("Verify: %+v, %v", report, err)
	}
}

func TestOldAuditEntriesAreDroppedAtStart(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	for range 20 {
		if err := s.Audit.Record(t.Context(), secret.Event{Time: time.Now().Add(-48 * time.Hour), Subject: "old"}); err != nil {
			t.Fatal(err)
		}
	}
	mustCreate(t, s, db)
	closeAll()
	s, closeAll = p.open(t)
	if entries, err := s.Entries(0, 0, 0); err != nil || len(entries) != 21 {
		t.Errorf("without a retention there are %d entries, %v, want all", len(entries), err)
	}
	closeAll()
	p.retention = 24 * time.Hour
	s, closeAll = p.open(t)
	defer closeAll()
	var entries []audit.Entry
	mustCome(t, func() bool {
		var err error
		if entries, err = s.Entries(0, 0, 0); err != nil {
			t.Fatal(err)
		}
		return entries[0].Seq > 1
	})
	if last := entries[len(entries)-1]; entries[0].Seq != 21 || last.Event.Subject != "retention" || last.Count != 20 {
		t.Errorf("it begins at entry %d, and on record is %+v", entries[0].Seq, last)
	}
	if report, err := s.VerifyAudit(t.Context(), ""); err != nil || report.Problem != "" {
		t.Errorf("VerifyAudit: %+v, %v", report, err)
	}
}

func TestEntriesComeInBoundedPages(t *testing.T) {
	s, closeAll := newPlace(t).open(t)
	defer closeAll()
	for range 1100 {
		if err := s.Audit.Note(secret.Event{Time: time.Now(), Subject: "a", Action: secret.List}); err != nil {
			t.Fatal(err)
		}
	}
	const entries = 30
	for n := range entries {
		if err := s.Audit.Record(t.Context(), secret.Event{Subject: fmt.Sprint(n), Action: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Entries(0, 0, 0)
	if err != nil || len(all) < entries {
		t.Fatalf("all: %d, %v", len(all), err)
	}
	for _, tc := range []struct {
		after       uint64
		last, limit int
		want        []audit.Entry
	}{
		{0, 0, 5, all[:5]},
		{all[9].Seq, 0, 5, all[10:15]},
		{all[len(all)-1].Seq, 0, 5, nil},
		{1 << 60, 0, 0, nil},
		{0, 3, 0, all[len(all)-3:]},
		{0, 1 << 30, 0, all},
		{0, -1, -1, all},
		{0, 0, 1 << 30, all},
	} {
		got, err := s.Entries(tc.after, tc.last, tc.limit)
		if err != nil || !slices.EqualFunc(got, tc.want, func(a, b audit.Entry) bool { return a.Seq == b.Seq }) {
			t.Errorf("Entries(%d, %d, %d): %d, %v, want %d", tc.after, tc.last, tc.limit, len(got), err, len(tc.want))
		}
	}
}

func TestKeyringDoesNotChangeDuringAReseal(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	defer closeAll()
	for n := range 1000 {
		mustCreate(t, s, secret.Ref{Owner: db.Owner, Name: fmt.Sprint(n)})
	}
	for what, change := range map[string]func(context.Context, secret.Caller) (admin.Keyring, error){"Rotate": s.Rotate, "Prune": pruneOf(s)} {
		// On a busy machine the reseal may end before the first attempt.
		refused := false
		for try := 0; !refused && try < 20; try++ {
			if _, err := s.Rotate(t.Context(), root); err != nil {
				t.Fatal(err)
			}
			_, err := change(t.Context(), root)
			if refused = errors.Is(err, admin.ErrResealing); err != nil && !refused {
				t.Fatal(err)
			}
			if err := s.WaitForReseal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !refused {
			t.Errorf("%s was never refused", what)
		}
	}
	k, err := s.Prune(t.Context(), root, admin.FromFiles)
	if err != nil || len(k.IDs) != 1 || k.Resealing {
		t.Errorf("Prune: %+v, %v", k, err)
	}
	if _, _, err := s.Stores["embedded"].Reveal(t.Context(), secret.Op{Ref: secret.Ref{Owner: db.Owner, Name: "999"}}); err != nil {
		t.Error(err)
	}
}

// The two attempts may share a commit and then run at the same time.
func pruneOf(s *admin.Service) func(context.Context, secret.Caller) (admin.Keyring, error) {
	return func(ctx context.Context, caller secret.Caller) (admin.Keyring, error) {
		return s.Prune(ctx, caller, admin.FromFiles)
	}
}

func TestConcurrentRotateAndPruneLoseNothing(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	defer closeAll()
	for n := range 20 {
		mustCreate(t, s, secret.Ref{Owner: db.Owner, Name: fmt.Sprint(n)})
	}
	for round := range 50 {
		var both sync.WaitGroup
		for _, change := range []func(context.Context, secret.Caller) (admin.Keyring, error){s.Rotate, pruneOf(s), s.Rotate} {
			both.Go(func() {
				if _, err := change(t.Context(), root); err != nil && !errors.Is(err, admin.ErrResealing) {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if err := s.WaitForReseal(t.Context()); err != nil {
			t.Fatal(err)
		}
		for n := range 20 {
			if _, _, err := s.Stores["embedded"].Reveal(t.Context(), secret.Op{Ref: secret.Ref{Owner: db.Owner, Name: fmt.Sprint(n)}}); err != nil {
				t.Fatalf("round %d: %v, and the keys are %v", round, err, s.KeyringNow())
			}
		}
	}
}

func TestNextProcessResumesTheReseal(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	for n := range 1000 {
		mustCreate(t, s, secret.Ref{Owner: db.Owner, Name: fmt.Sprint(n)})
	}
	if _, err := s.Rotate(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	closeAll() // waits for one step, not for the whole reseal
	s, closeAll = p.open(t)
	defer closeAll()
	if k := s.KeyringNow(); !slices.Equal(k.IDs, []uint32{1, 2}) {
		t.Fatalf("it has %+v", k)
	}
	waiting, stop := context.WithCancel(t.Context())
	stop()
	if err := s.WaitForReseal(waiting); s.KeyringNow().Resealing && !errors.Is(err, context.Canceled) {
		t.Errorf("waiting in vain: %v", err)
	}
	if err := s.WaitForReseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k, err := s.Prune(t.Context(), root, admin.FromFiles); err != nil || k.Primary != 2 {
		t.Errorf("Prune: %+v, %v", k, err)
	}
}

// Prune leaves no record under a retired key, even if an earlier reseal was incomplete.
func TestPruneResealsRecordsOfARetiredKey(t *testing.T) {
	s, closeAll := newPlace(t).open(t)
	defer closeAll()
	mustCreate(t, s, db)
	mustIssue(t, s)
	if _, err := s.Parts.Keyring.Rotate(t.Context()); err != nil { // the keyring alone reseals nothing
		t.Fatal(err)
	}
	if _, err := s.Prune(t.Context(), root, admin.FromFiles); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Stores["embedded"].Reveal(t.Context(), secret.Op{Ref: db}); err != nil {
		t.Error(err)
	}
	if n, problems, err := s.Keys.Verify(); n != 1 || problems != nil || err != nil {
		t.Errorf("%d issued keys, %q, %v", n, problems, err)
	}
}

func mustIssue(t *testing.T, s *admin.Service) {
	t.Helper()
	_, _, err := s.Keys.Create(t.Context(), root, issued.Draft{
		Subject: "ci", Grants: []grant.Line{{Actions: secret.Actions(), Owner: "user/alice"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A hookWriter calls do after at bytes.
type hookWriter struct {
	io.Writer
	at int
	do func()
}

func (h *hookWriter) Write(p []byte) (int, error) {
	if h.at -= len(p); h.at < 0 && h.do != nil {
		h.do()
		h.do = nil
	}
	return h.Writer.Write(p)
}

func TestBackupOpensAfterTheKeyringChangedDuringIt(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	defer closeAll()
	for n := range 100 {
		mustCreate(t, s, secret.Ref{Owner: db.Owner, Name: fmt.Sprint(n)})
	}
	for name, change := range map[string]func() error{
		"rotated":   func() error { _, err := s.Rotate(t.Context(), root); return err },
		"pruned":    func() error { _, err := s.Prune(t.Context(), root, admin.FromFiles); return err },
		"rewrapped": func() error { _, err := s.Rewrap(t.Context(), root, p.kek.key, admin.FromFiles); return err },
	} {
		var sealed bytes.Buffer
		done := make(chan error, 1)
		// Not during the copy of the file, which may block writes.
		h := &hookWriter{&sealed, 100_000, func() { go func() { done <- change() }(); <-time.After(50 * time.Millisecond) }}
		if err := s.Backup(t.Context(), root, "", h); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := s.WaitForReseal(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustRestore(t, p, sealed.Bytes(), name)
	}
}

func mustRestore(t *testing.T, p *place, sealed []byte, name string) {
	t.Helper()
	plain, err := admin.Decrypt(t.Context(), bytes.NewReader(sealed), p.kek, nil)
	if err != nil {
		t.Fatalf("%s meanwhile: %v", name, err)
	}
	other := *p
	other.path = filepath.Join(t.TempDir(), "restored.db")
	if err := admin.Restore(t.Context(), other.path, plain, p.kek); err != nil {
		t.Fatalf("%s meanwhile: %v", name, err)
	}
	s, closeAll := other.open(t)
	defer closeAll()
	if report, err := s.Stores["embedded"].Verify(t.Context()); err != nil || len(report.Problems) > 0 || report.Secrets != 100 {
		t.Errorf("%s meanwhile: %+v, %v", name, report, err)
	}
}

func TestFailedRestoreLeavesNoFile(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	mustCreate(t, s, db)
	var plain bytes.Buffer
	if _, err := s.File.WriteTo(&plain); err != nil {
		t.Fatal(err)
	}
	closeAll()
	for name, tc := range map[string]struct {
		plain  []byte
		source keyring.Source
	}{
		"another key": {plain.Bytes(), source{seal.NewKey()}},
		"cut":         {plain.Bytes()[:plain.Len()/2], p.kek},
		"empty":       {nil, p.kek},
	} {
		dir := t.TempDir()
		if err := admin.Restore(t.Context(), filepath.Join(dir, "state.db"), bytes.NewReader(tc.plain), tc.source); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: %v is left", name, left)
		}
	}
	if err := admin.Restore(t.Context(), p.path, &plain, p.kek); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another: %v, want ErrExist", err)
	}
	_, closeAll = p.open(t)
	closeAll()
}

func TestBackupForAnInvalidRecipientIsRejected(t *testing.T) {
	s, closeAll := newPlace(t).open(t)
	defer closeAll()
	var out bytes.Buffer
	err := s.Backup(t.Context(), root, "age1nobody", &out)
	if _, ok := errors.AsType[*secret.InvalidError](err); !ok || out.Len() > 0 {
		t.Errorf("%v, and %d bytes", err, out.Len())
	}
}

func TestAdministrationIsAuditedWithItsOutcome(t *testing.T) {
	s, closeAll := newPlace(t).open(t)
	defer closeAll()
	caller := root
	caller.From, caller.Request = "@", "id"
	_, _ = s.Rotate(t.Context(), caller)
	_ = s.WaitForReseal(t.Context())
	_, _ = s.Prune(t.Context(), caller, admin.FromFiles)
	_, _ = s.Rewrap(t.Context(), caller, seal.NewKey(), admin.FromFiles)
	_ = s.Backup(t.Context(), caller, "", io.Discard)
	_ = s.Backup(t.Context(), caller, "x", io.Discard)
	entries, err := s.Entries(0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprint(e.Event.Action, " ", e.Event.Outcome))
		if e.Event.Subject != "root" || e.Event.From != "@" || e.Event.Request != "id" || e.Event.Time.IsZero() {
			t.Errorf("on record is %+v", e.Event)
		}
	}
	want := []string{
		"keyring rotate unknown", "keyring rotate done", "keyring prune unknown", "keyring prune done",
		"keyring rewrap unknown", "keyring rewrap done", "backup unknown", "backup done", "backup unknown", "backup invalid",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDoctorReportsProblems(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	defer closeAll()
	mustCreate(t, s, db)
	mustIssue(t, s)
	wrong := func() (all []string) {
		t.Helper()
		findings, err := s.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if !f.OK {
				all = append(all, f.About+": "+f.Text)
			}
		}
		return all
	}
	if err := os.Chmod(filepath.Dir(p.path), 0o700); err != nil {
		t.Fatal(err)
	}
	healthy := wrong() // a full test machine may have a disk warning
	for _, tc := range []struct {
		name        string
		spoil, mend func() error
		says        string
	}{
		{"others can access the file", chmod(p.path, 0o640), chmod(p.path, 0o600), "permissions: other users can access " + p.path + " (mode 0640): run chmod go-rwx on it"},
		{"others can access the directory", chmod(filepath.Dir(p.path), 0o755), chmod(filepath.Dir(p.path), 0o700), " (mode 0755)"},
		{"an issued key is damaged", spoilFirst(t, s, "issued"), nil, "issued keys: issued key in row"},
		{"values are damaged", spoilFirst(t, s, "store/embedded/past"), nil, "store embedded: secret user/alice/db: values"},
		{"the clock has gone back", func() error {
			return s.Audit.Record(t.Context(), secret.Event{Time: time.Now().Add(time.Hour)})
		}, nil, "clock: it is 1h0m0s behind the last entry of the audit log"},
	} {
		before := len(wrong())
		if err := tc.spoil(); err != nil {
			t.Fatal(err)
		}
		if got := wrong(); len(got) != before+1 || !strings.Contains(strings.Join(got, "\n"), tc.says) {
			t.Errorf("%s: it finds %q", tc.name, got)
		}
		if tc.mend != nil {
			if err := tc.mend(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := wrong(); len(got) != len(healthy)+3 {
		t.Errorf("in the end: %q", got)
	}
}

func chmod(path string, mode os.FileMode) func() error {
	return func() error { return os.Chmod(path, mode) }
}

func spoilFirst(t *testing.T, s *admin.Service, bucket string) func() error {
	t.Helper()
	return func() error {
		return s.File.Update(t.Context(), func(tx *state.Tx) error {
			rows := tx.Bucket(bucket)
			for key, sealed := range rows.From([]byte{0}) {
				changed := bytes.Clone(sealed)
				changed[len(changed)-1] ^= 1
				return rows.Put(bytes.Clone(key), changed)
			}
			return errors.New("there are no rows")
		})
	}
}

// A meddling store changes the source after each copy.
type meddling struct {
	*memory.Store
	meddle func()
}

func (m meddling) Create(ctx context.Context, op secret.Op, draft secret.Draft) (secret.Info, error) {
	info, err := m.Store.Create(ctx, op, draft)
	m.meddle()
	return info, err
}

func TestMigrateKeepsSecretsChangedAfterTheCopy(t *testing.T) {
	s, closeAll := newPlace(t).open(t)
	defer closeAll()
	mustCreate(t, s, db)
	source := s.Stores["embedded"]
	s.Elsewhere = map[string]secret.Store{"elsewhere": meddling{memory.New(), func() {
		change := secret.Change{Set: map[string]secret.Value{"k": "changed"}}
		if _, err := source.Replace(t.Context(), secret.Op{Ref: db}, change); err != nil {
			t.Error(err)
		}
	}}}
	m, err := s.Migrate(t.Context(), root, "embedded", "elsewhere", true)
	if err != nil || m.Deleted != 0 || len(m.Left) != 1 {
		t.Errorf("Migrate: %+v, %v", m, err)
	}
	if _, values, err := source.Reveal(t.Context(), secret.Op{Ref: db}); err != nil || values["k"] != "changed" {
		t.Errorf("what was changed: %v", err)
	}
}

// A goneWriter is a client that disconnects after the first write.
type goneWriter func()

func (gone goneWriter) Write([]byte) (int, error) {
	gone()
	return 0, io.ErrClosedPipe
}

// A missing outcome means that the server died during the attempt.
func TestBackupOfADisconnectedClientHasAnOutcome(t *testing.T) {
	s, closeAll := newPlace(t).open(t)
	defer closeAll()
	ctx, goAway := context.WithCancel(t.Context())
	if err := s.Backup(ctx, root, "", goneWriter(goAway)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Backup: %v", err)
	}
	last, err := s.Audit.Tail(1)
	if err != nil || len(last) != 1 || last[0].Event.Action != "backup" || last[0].Event.Outcome != secret.Failed {
		t.Errorf("on record is %+v, %v", last, err)
	}
}
