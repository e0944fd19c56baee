package audit_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// openKey seals nothing and accepts every MAC, so that the fuzzed bytes reach the
// parsers.
type openKey struct{}

func (openKey) Seal(text, _ []byte) []byte          { return bytes.Clone(text) }
func (openKey) Open(text, _ []byte) ([]byte, error) { return text, nil }
func (openKey) MAC(...[]byte) []byte                { return make([]byte, 32) }

func FuzzStoredEntry(f *testing.F) {
	zeros := string(make([]byte, 32))
	f.Add([]byte(zeros+`{"time":"2026-11-21T12:00:00Z","subject":"a","action":"list","outcome":"done","count":3}`), []byte(zeros+`{"seq":0}`))
	f.Add([]byte(zeros), []byte(zeros+`{"seq":7,"mac":"00","dropped":-1}`))
	f.Add([]byte(zeros+`{"count":-1}`), []byte{})
	f.Add([]byte(zeros), []byte(zeros+`{"seq":1}`)) // an entry of a log that was pruned
	file := mustFile(f)
	l := audit.Open(file, openKey{}, openKey{})
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, entry, checkpoint []byte) {
		tamper(t, file, func(log *state.Bucket) error {
			if err := all(drop(0, 1))(log); err != nil {
				return err
			}
			if len(checkpoint) > 0 {
				_ = log.Put(checkpointKey, bytes.Clone(checkpoint))
			}
			_ = log.Put(headKey, append(seq(1), make([]byte, 64)...))
			return log.Put(seq(1), bytes.Clone(entry))
		})
		r, err := l.Verify(t.Context())
		if err == nil && (r.Entries != 1 || r.First.Count < 1) {
			t.Errorf("%d entries, the first with count %d", r.Entries, r.First.Count)
		}
		_, _ = l.Read(0, 10)
	})
}

func FuzzParseAnchor(f *testing.F) {
	a := audit.Anchor{File: "f00d", Seq: 4711, MAC: audit.MAC{1}, Time: time.Unix(0, 5).UTC(), Signature: audit.MAC{2}}
	f.Add(a.String())
	f.Add(a.String() + "\n")
	f.Add("strongroom-audit-v1 x 1 2 3 4")
	a.State = state.Position{Seq: 5200, Chain: [16]byte{3}}
	f.Add(a.String())
	f.Fuzz(func(t *testing.T, text string) {
		a, err := audit.ParseAnchor(text)
		if err != nil {
			return
		}
		again, err := audit.ParseAnchor(a.String())
		if err != nil || again.String() != a.String() {
			t.Errorf("%q is written as %q and read as %q, %v", text, a, again, err)
		}
	})
}

// What is read back is what encoding/json would have written, in every field.
func FuzzEntryIsReadAsWritten(f *testing.F) {
	f.Add("alice", "k7q2", "127.0.0.1", "Zx", "DB <&>\u2028", "b\x00\"\\\xff", "", int64(5))
	f.Add("", "", "", "", "", "", "GITHUB_TOKEN\nNPM_TOKEN", int64(0))
	file := mustFile(f)
	l := audit.Open(file, openKey{}, openKey{})
	f.Cleanup(func() { _ = l.Close() })
	f.Fuzz(func(t *testing.T, subject, key, from, request, name, newName, covers string, at int64) {
		e := secret.Event{
			Time: time.Unix(at%1e9, at%1e9).UTC(), Subject: subject, CredentialID: key, From: from, Request: request, Action: secret.Reveal,
			Ref: secret.Ref{Owner: secret.User(subject), Name: name}, NewName: newName, Outcome: secret.Done, Covers: covers,
		}
		if err := l.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		got, err := l.Tail(1)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []*string{&e.Subject, &e.CredentialID, &e.From, &e.Request, &e.Ref.Owner.ID, &e.Ref.Name, &e.NewName, &e.Covers} {
			*text = string([]rune(*text)) // invalid UTF-8 becomes U+FFFD
		}
		if got[0].Event != e {
			t.Errorf("read  %+v\nwrote %+v", got[0].Event, e)
		}
	})
}
