package audit_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/audit"
	"github.com/strongroom/strongroom/internal/secret"
)

func TestExportHasOneLinePerEntry(t *testing.T) {
	l := mustLog(t, mustFile(t))
	mustRecord(t, l, "a")
	refused := event("b")
	refused.Outcome, refused.NewName = secret.Denied, ""
	admin := secret.Event{Time: start, Subject: "ops", Action: "keyring rotate", Outcome: secret.Done}
	for _, e := range []secret.Event{refused, admin} {
		if err := l.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	l.Failed("192.0.2.1")
	l.Failed("192.0.2.1")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := exported(t, entries(t, l))
	want := []string{
		`{"seq":1,"time":"2026-11-21T12:00:00.000000005Z","subject":"alice","key":"k7","from":"::1","request":"R1",` +
			`"action":"write","kind":"user","owner":"alice","name":"a","new_name":"new","outcome":"done","allowed":true,"mac":"`,
		`{"seq":2,"time":"2026-11-21T12:00:00.000000005Z","subject":"alice","key":"k7","from":"::1","request":"R1",` +
			`"action":"write","kind":"user","owner":"alice","name":"b","outcome":"denied","allowed":false,"mac":"`,
		`{"seq":3,"time":"2026-11-21T12:00:00Z","subject":"ops","action":"keyring rotate","outcome":"done","allowed":true,"mac":"`,
		`{"seq":4,"time":"`,
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d:\n got %s\nwant %s…", i+1, got[i], want[i])
		}
	}
	if want := `"subject":"","from":"192.0.2.1","action":"authenticate","outcome":"denied","count":2,"allowed":false,"mac":"`; !strings.Contains(got[3], want) {
		t.Errorf("line 4:\n got %s\nwant …%s…", got[3], want)
	}
}

func exported(t *testing.T, entries []audit.Entry) (lines []string) {
	t.Helper()
	for _, e := range entries {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return lines
}

func TestEntriesNameTheirNode(t *testing.T) {
	f := mustFile(t)
	mustRecord(t, mustLog(t, f), "before")
	one, two := mustLog(t, f), mustLog(t, f)
	one.SetNode("north-1")
	two.SetNode("south<2>") // the config refuses it
	mustRecord(t, one, "a")
	mustRecord(t, two, "b")
	all := entries(t, two)
	for i, want := range []string{"", "north-1", "south<2>"} {
		if got := all[i].Node; got != want {
			t.Errorf("entry %d is of node %q, want %q", i+1, got, want)
		}
	}
	lines := exported(t, all)
	if strings.Contains(lines[0], `"node"`) || !strings.Contains(lines[1], `"node":"north-1"`) {
		t.Errorf("exported %s and %s", lines[0], lines[1])
	}
}

func TestExportCanBeComparedWithAnAnchor(t *testing.T) {
	l := mustLog(t, mustFile(t))
	mustRecord(t, l, "a", "b")
	a, err := l.Anchor()
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, l, "c")
	var line struct {
		Seq uint64
		MAC audit.MAC
	}
	if err := json.Unmarshal([]byte(exported(t, entries(t, l))[1]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Seq != a.Seq || line.MAC != a.MAC {
		t.Errorf("exported %+v, anchored %v", line, a)
	}
}

func TestReadPagesThroughTheLog(t *testing.T) {
	l := mustPruned(t, mustFile(t)) // 4 to 7
	for _, tc := range []struct {
		what        string
		read        func() ([]audit.Entry, error)
		first, last uint64
	}{
		{"from the beginning", func() ([]audit.Entry, error) { return l.Read(0, 2) }, 4, 5},
		{"the next page", func() ([]audit.Entry, error) { return l.Read(5, 2) }, 6, 7},
		{"behind the end", func() ([]audit.Entry, error) { return l.Read(7, 2) }, 0, 0},
		{"far behind the end", func() ([]audit.Entry, error) { return l.Read(math.MaxUint64, 2) }, 0, 0},
		{"none", func() ([]audit.Entry, error) { return l.Read(0, 0) }, 0, 0},
		{"the tail", func() ([]audit.Entry, error) { return l.Tail(1) }, 7, 7},
		{"more than there are", func() ([]audit.Entry, error) { return l.Tail(100) }, 4, 7},
		{"no tail", func() ([]audit.Entry, error) { return l.Tail(-1) }, 0, 0},
	} {
		got, err := tc.read()
		if err != nil {
			t.Errorf("%s: %v", tc.what, err)
		}
		if tc.first == 0 {
			if len(got) != 0 {
				t.Errorf("%s: got %d entries, want none", tc.what, len(got))
			}
			continue
		}
		if want := int(tc.last - tc.first + 1); len(got) != want || got[0].Seq != tc.first {
			t.Errorf("%s: got %d entries, want %d from %d on", tc.what, len(got), want, tc.first)
		}
	}
}

func TestReadNamesAnInauthenticEntry(t *testing.T) {
	f := mustFile(t)
	l := mustPruned(t, f)
	tamper(t, f, flip(seq(6), -1))
	got, err := l.Tail(10)
	if b, ok := errors.AsType[*audit.Break](err); !ok || b.Seq != 6 || len(got) != 2 {
		t.Errorf("%d entries, %v, want 2 and a break at 6", len(got), err)
	}
	if got, err := l.Read(6, 10); err != nil || len(got) != 1 {
		t.Errorf("behind it: %d entries, %v, want 1", len(got), err)
	}
}
