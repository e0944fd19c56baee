package admin_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/admin"
	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// sealedRows returns the values of the store's rows.
func sealedRows(t *testing.T, s *admin.Service) (all [][]byte) {
	t.Helper()
	err := s.File.View(func(tx *state.Tx) error {
		for _, name := range []string{"secrets", "past", "deleted"} {
			b := tx.Bucket("store/embedded/" + name)
			for _, value := range b.From([]byte{0}) {
				all = append(all, bytes.Clone(value))
			}
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	return all
}

// inFiles counts which of the contents the state file or its journal has, live or not.
func inFiles(t *testing.T, s *admin.Service, contents [][]byte) (n int) {
	t.Helper()
	var all []byte
	for _, path := range append(s.File.Journal(), s.File.Path()) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	for _, content := range contents {
		if bytes.Contains(all, content[:min(len(content), 256)]) { // more may be on two pages
			n++
		}
	}
	return n
}

// The old ciphertext and the old wrapped keyring are looked for in the raw files.
func TestContentRemovedForGoodLeavesTheFiles(t *testing.T) {
	for name, remove := range map[string]func(*testing.T, *admin.Service, *place) error{
		"secret destroy": func(t *testing.T, s *admin.Service, _ *place) error {
			return s.Destroy(t.Context(), root, mustSecrets(t, s), db, admin.FromFiles)
		},
		"owner erase": func(t *testing.T, s *admin.Service, _ *place) error {
			return s.Erase(t.Context(), root, mustSecrets(t, s), db.Owner, admin.FromFiles)
		},
		"keyring prune": func(t *testing.T, s *admin.Service, _ *place) error {
			if _, err := s.Rotate(t.Context(), root); err != nil {
				return err
			}
			if err := s.WaitForReseal(t.Context()); err != nil {
				return err
			}
			_, err := s.Prune(t.Context(), root, admin.FromFiles)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			s, closeAll := p.open(t)
			defer closeAll()
			mustCreate(t, s, db)
			old := sealedRows(t, s)
			if got := inFiles(t, s, old); got != len(old) {
				t.Fatalf("%d of %d rows are in the files before", got, len(old))
			}
			if err := remove(t, s, p); err != nil {
				t.Fatal(err)
			}
			if err := s.WaitForPurge(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := inFiles(t, s, old); got > 0 {
				t.Errorf("%d of %d old rows are still in the files", got, len(old))
			}
		})
	}
	t.Run("keyring rewrap", func(t *testing.T) {
		p := newPlace(t)
		s, closeAll := p.open(t)
		defer closeAll()
		old, err := s.File.Keyring()
		if err != nil {
			t.Fatal(err)
		}
		if inFiles(t, s, [][]byte{old}) != 1 {
			t.Fatal("the keyring is not found before")
		}
		if _, err := s.Rewrap(t.Context(), root, seal.NewKey(), admin.FromFiles); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitForPurge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if inFiles(t, s, [][]byte{old}) > 0 {
			t.Error("the keyring under the old key is still in the files")
		}
	})
}

// With KeepInFiles the content stays, also for the next process to report.
func TestContentThatStaysInTheFilesIsReportedUntilACompaction(t *testing.T) {
	p := newPlace(t)
	s, closeAll := p.open(t)
	mustCreate(t, s, db)
	old := sealedRows(t, s)
	if err := s.Destroy(t.Context(), root, mustSecrets(t, s), db, admin.KeepInFiles); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitForPurge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, s, old) == 0 {
		t.Error("nothing is left in the files")
	}
	closeAll()
	s, closeAll = p.open(t)
	defer closeAll()
	if got := s.CompactionFindings(); len(got) != 1 || !got[0].Warns() || !strings.HasPrefix(got[0].Text, "what was removed for good") {
		t.Errorf("the findings are %+v", got)
	}
	if _, _, err := s.Compact(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	if got := s.CompactionFindings(); len(got) != 1 || got[0].Warns() {
		t.Errorf("after a compaction the findings are %+v", got)
	}
	if n := inFiles(t, s, old); n > 0 {
		t.Errorf("%d old rows are in the files after a compaction", n)
	}
}

func TestPurgeThatAStopPreventsIsLogged(t *testing.T) {
	p := newPlace(t)
	var logged bytes.Buffer
	p.log = slog.NewTextHandler(&logged, nil)
	s, closeAll := p.open(t)
	defer closeAll()
	mustCreate(t, s, db)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Destroy(t.Context(), root, mustSecrets(t, s), db, admin.FromFiles); err != nil {
		t.Fatal(err)
	}
	if err := s.WaitForPurge(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("the purge ended with %v, want context.Canceled", err)
	}
	if !strings.Contains(logged.String(), "run strongroom compact") {
		t.Errorf("the log has %q, want what to do", logged.String())
	}
}

func mustSecrets(t *testing.T, s *admin.Service) *secret.Service {
	t.Helper()
	secrets, err := s.Secrets("embedded")
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}
